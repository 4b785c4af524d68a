"""State and quantity are separate: a move is legal or does not happen, a fill always counts, once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.core.orders import TRANSITIONS, ChildOrder, OrderKind, OrderState
from tests.core.build import BID, START, a_child, a_fill, a_parent, at

S = OrderState
# Written out again, and by hand: a table cannot be its own test.
LEGAL = {
    (S.SENT, S.WORKING),
    (S.SENT, S.CANCELING),
    (S.SENT, S.IN_DOUBT),
    (S.SENT, S.CLOSED),
    (S.WORKING, S.CANCELING),
    (S.WORKING, S.IN_DOUBT),
    (S.WORKING, S.CLOSED),
    (S.CANCELING, S.IN_DOUBT),
    (S.CANCELING, S.CLOSED),
    (S.IN_DOUBT, S.CANCELING),
    (S.IN_DOUBT, S.CLOSED),
}


@pytest.mark.parametrize("to", S)
@pytest.mark.parametrize("state", S)
def test_an_order_makes_the_legal_moves_and_no_other(state: OrderState, to: OrderState) -> None:
    """An illegal move is a late message: it says so, and nothing happens."""
    order = a_child(state=state)

    assert order.move(to) is ((state, to) in LEGAL)
    assert order.state is (to if (state, to) in LEGAL else state)


def test_every_state_is_in_the_table_and_only_the_close_is_final() -> None:
    assert set(TRANSITIONS) == set(S)
    assert [state for state, moves in TRANSITIONS.items() if not moves] == [S.CLOSED]
    assert all(S.CLOSED in moves for state, moves in TRANSITIONS.items() if state is not S.CLOSED)


def test_nothing_ever_goes_back_to_work_or_to_the_wire() -> None:
    """What was canceled or lost once is never worked on again, and nothing is sent twice."""
    assert {state for state, moves in TRANSITIONS.items() if S.WORKING in moves} == {S.SENT}
    assert not any(S.SENT in moves for moves in TRANSITIONS.values())


def test_a_fill_after_the_close_still_counts() -> None:
    """Venues send the close and the last fill on different channels, in either order."""
    order = a_child(state=S.CLOSED, reported=4)

    assert order.record(a_fill(10))

    assert order.filled == 10
    assert order.leaves == 0


def test_a_repeated_fill_counts_once() -> None:
    order = a_child()

    assert order.record(a_fill(4, id="a"))
    assert not order.record(a_fill(4, id="a"))
    assert order.record(a_fill(4, id="b"))

    assert order.itemised == order.filled == 8


def test_an_order_that_was_just_sent_has_nothing_filled_and_leaves_all() -> None:
    order = ChildOrder("P1n1", Side.BUY, Lots(10), Ticks(BID), OrderKind.REST, 0, START)

    assert (order.state, order.filled, order.leaves, order.venue_id) == (S.SENT, 0, 10, None)
    assert order.fills is not a_child().fills


@pytest.mark.parametrize(("itemised", "reported", "filled"), [(4, 7, 7), (7, 4, 7), (0, 0, 0), (10, 10, 10)])
def test_filled_is_the_larger_of_our_sum_and_the_venues_count(itemised: int, reported: int, filled: int) -> None:
    order = a_child(reported=reported)
    order.record(a_fill(itemised))

    assert order.filled == filled
    assert order.leaves == 10 - filled


def test_a_smaller_count_is_a_late_message() -> None:
    order = a_child()
    order.report(Lots(6))
    order.report(Lots(2))

    assert order.filled == 6


@pytest.mark.parametrize("state", S)
def test_quantity_comes_back_only_with_the_close(state: OrderState) -> None:
    order = a_child(state=state, reported=3)

    assert order.alive is (state is not S.CLOSED)
    assert order.leaves == (0 if state is S.CLOSED else 7)


def test_an_overfilled_order_leaves_nothing_rather_than_less() -> None:
    assert a_child(state=S.WORKING, reported=13).leaves == 0


# ------------------------------------------------------------------------------------------------------------ parents


@pytest.mark.parametrize("changes", [{"quantity": 0}, {"quantity": -1}, {"end": START}, {"slices": 0}])
def test_a_parent_without_quantity_time_or_slices_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="parent P1: quantity, duration and slices must be positive"):
        a_parent(**changes)


def test_the_smallest_parent_is_one_lot_for_a_nanosecond() -> None:
    smallest = a_parent(quantity=1, end=START + 1, slices=1)

    assert smallest.slice_at(START) == 0


@given(st.integers(1, 10**15), st.integers(1, 400), st.data())
def test_every_moment_lies_in_the_slice_whose_boundaries_hold_it(span: int, slices: int, data: st.DataObject) -> None:
    parent = a_parent(end=Nanos(START + span), slices=slices)
    now = Nanos(START + data.draw(st.integers(0, span - 1)))
    number = parent.slice_at(now)

    assert 0 <= number < slices
    assert parent.boundary(number) <= now < parent.boundary(number + 1)


@given(st.integers(400, 10**15), st.integers(1, 400))
def test_the_slices_cover_the_window_without_gap_or_overlap(span: int, slices: int) -> None:
    parent = a_parent(end=Nanos(START + span), slices=slices)
    boundaries = [parent.boundary(number) for number in range(slices + 1)]

    assert (boundaries[0], boundaries[-1]) == (parent.start, parent.end)
    assert [parent.slice_at(moment) for moment in boundaries[:-1]] == list(range(slices))


@pytest.mark.parametrize(("seconds", "number"), [(-1e6, 0), (-1, 0), (0, 0), (599.999, 9), (600, 9), (1e6, 9)])
def test_a_moment_outside_the_window_belongs_to_the_nearest_slice(seconds: float, number: int) -> None:
    assert a_parent().slice_at(at(seconds)) == number


def test_a_client_id_is_derived_from_the_parent_and_the_number() -> None:
    assert [a_parent(id="btc-7").client_id(number) for number in (1, 2, 10)] == ["btc-7n1", "btc-7n2", "btc-7n10"]
