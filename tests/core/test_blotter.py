"""What the venue may have done for us is never less than what the blotter says, in whatever order it is told."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.blotter import Blotter, Change, Report
from execd.core.events import CancelRefused, OrderAccepted, OrderClosed, OrderFilled, OrderLost, OrderMissing
from execd.core.grid import Lots, Nanos
from execd.core.orders import ChildOrder, OrderState
from tests.core.build import BID, NEWS_FROM, START, VALIDITY, a_child, a_fill, at

S = OrderState

ACCEPTED = OrderAccepted("P1n1", "v1", Lots(3))
FILLED = OrderFilled(a_fill(4))
CLOSED = OrderClosed("P1n1", Lots(6), "canceled")
LOST = OrderLost("P1n1", "timed out")
MISSING = OrderMissing("P1n1")
REFUSED = CancelRefused("P1n1", "unknown order")


def a_blotter(*orders: ChildOrder) -> Blotter:
    blotter = Blotter(VALIDITY)
    for order in orders:
        blotter.add(order)
    return blotter


def with_order_in(state: OrderState) -> Blotter:
    """A blotter with child 1 in a state; the closed one has six of ten lots by the venue's count."""
    blotter = a_blotter(a_child(state=S.SENT if state is S.CLOSED else state))
    if state is S.CLOSED:
        blotter.report(START, CLOSED)
    return blotter


# The order before, the report, and then: the order's state, its filled, its leaves.
REPORTS: dict[tuple[OrderState, Report], tuple[OrderState, int, int]] = {
    (S.SENT, ACCEPTED): (S.WORKING, 3, 7),
    (S.SENT, FILLED): (S.SENT, 4, 6),  # a fill is not a move
    (S.SENT, CLOSED): (S.CLOSED, 6, 0),
    (S.SENT, LOST): (S.IN_DOUBT, 0, 10),
    (S.SENT, MISSING): (S.IN_DOUBT, 0, 10),  # it may still arrive
    (S.SENT, REFUSED): (S.IN_DOUBT, 0, 10),
    (S.WORKING, ACCEPTED): (S.WORKING, 3, 7),
    (S.WORKING, FILLED): (S.WORKING, 4, 6),
    (S.WORKING, CLOSED): (S.CLOSED, 6, 0),
    (S.WORKING, LOST): (S.IN_DOUBT, 0, 10),
    (S.WORKING, MISSING): (S.IN_DOUBT, 0, 10),
    (S.WORKING, REFUSED): (S.IN_DOUBT, 0, 10),
    (S.CANCELING, ACCEPTED): (S.CANCELING, 3, 7),  # a late acknowledgment does not undo a cancel
    (S.CANCELING, FILLED): (S.CANCELING, 4, 6),
    (S.CANCELING, CLOSED): (S.CLOSED, 6, 0),
    (S.CANCELING, LOST): (S.IN_DOUBT, 0, 10),
    (S.CANCELING, MISSING): (S.IN_DOUBT, 0, 10),
    (S.CANCELING, REFUSED): (S.IN_DOUBT, 0, 10),
    (S.IN_DOUBT, ACCEPTED): (S.IN_DOUBT, 3, 7),  # found, but we lost track of it once: ended, not worked on
    (S.IN_DOUBT, FILLED): (S.IN_DOUBT, 4, 6),
    (S.IN_DOUBT, CLOSED): (S.CLOSED, 6, 0),
    (S.IN_DOUBT, LOST): (S.IN_DOUBT, 0, 10),
    (S.IN_DOUBT, MISSING): (S.IN_DOUBT, 0, 10),
    (S.IN_DOUBT, REFUSED): (S.IN_DOUBT, 0, 10),
    (S.CLOSED, ACCEPTED): (S.CLOSED, 6, 0),
    (S.CLOSED, FILLED): (S.CLOSED, 6, 0),  # four of the six that the venue has counted
    (S.CLOSED, CLOSED): (S.CLOSED, 6, 0),
    (S.CLOSED, LOST): (S.CLOSED, 6, 0),
    (S.CLOSED, MISSING): (S.CLOSED, 6, 0),
    (S.CLOSED, REFUSED): (S.CLOSED, 6, 0),
}


@pytest.mark.parametrize(("state", "report"), REPORTS, ids=lambda part: getattr(part, "name", type(part).__name__))
def test_every_report_is_legal_in_every_state(state: OrderState, report: Report) -> None:
    blotter = with_order_in(state)
    was_alive, before = state is not S.CLOSED, blotter.filled
    after, filled, leaves = REPORTS[state, report]

    change = blotter.report(at(1), report)

    order = blotter.orders["P1n1"]
    assert (order.state, blotter.filled, blotter.leaves) == (after, filled, leaves)
    assert (change.order, change.lots) == (order, filled - before)
    assert change.closed is (was_alive and after is S.CLOSED)
    assert ("P1n1" in blotter.alive) is (after is not S.CLOSED)
    blotter.assert_sums()


@pytest.mark.parametrize(("state", "report"), REPORTS, ids=lambda part: getattr(part, "name", type(part).__name__))
def test_a_report_that_comes_twice_counts_once(state: OrderState, report: Report) -> None:
    blotter = with_order_in(state)
    blotter.report(at(1), report)
    before = (blotter.filled, blotter.leaves, blotter.notional, blotter.orders["P1n1"].state)

    change = blotter.report(at(2), report)

    assert (change.lots, change.notional, change.closed, change.rejected) == (0, 0, False, False)
    assert (blotter.filled, blotter.leaves, blotter.notional, blotter.orders["P1n1"].state) == before


def test_the_table_is_complete() -> None:
    kinds = {ACCEPTED, FILLED, CLOSED, LOST, MISSING, REFUSED}

    assert set(REPORTS) == {(state, report) for state in S for report in kinds}


def test_a_report_that_is_none_stops_the_process() -> None:
    class Rumour:
        order = "P1n1"

    with pytest.raises(AssertionError):
        a_blotter(a_child()).report(START, cast("Report", Rumour()))


# ------------------------------------------------------------------------------------------------------- contradictions


def test_a_fill_that_contradicts_the_final_count_is_booked() -> None:
    """The venue said six and then itemised nine: nine may have happened, so nine count."""
    blotter = with_order_in(S.CLOSED)
    for number in range(3):
        blotter.report(at(1), OrderFilled(a_fill(3, id=f"t{number}")))

    assert (blotter.filled, blotter.leaves, blotter.notional) == (9, 0, 9 * BID)
    blotter.assert_sums()


def test_counts_that_shrink_are_late_messages() -> None:
    blotter = a_blotter(a_child(state=S.WORKING))
    for filled in (7, 2):
        blotter.report(at(1), OrderAccepted("P1n1", "v1", Lots(filled)))
    blotter.report(at(1), OrderClosed("P1n1", Lots(5), "canceled"))

    assert (blotter.filled, blotter.leaves) == (7, 0)


def test_an_order_found_while_in_doubt_is_canceled_again_and_its_not_founds_are_void() -> None:
    order = a_child(state=S.IN_DOUBT, canceled_at=at(8), missing=1, missing_at=at(9))
    a_blotter(order).report(at(10), ACCEPTED)

    assert (order.state, order.venue_id) == (S.IN_DOUBT, "v1")
    assert (order.canceled_at, order.missing, order.missing_at) == (None, 0, None)


def test_not_found_counts_once_it_is_news() -> None:
    order = a_child(state=S.WORKING)
    a_blotter(order).report(at(NEWS_FROM), MISSING)

    assert (order.state, order.missing, order.missing_at) == (S.IN_DOUBT, 1, at(NEWS_FROM))


# --------------------------------------------------------------------------------------------------------------- sums


def test_what_was_counted_and_not_itemised_is_known_to_be_unitemised() -> None:
    before, after = with_order_in(S.CLOSED), with_order_in(S.CLOSED)
    after.report(at(1), OrderFilled(a_fill(6)))

    assert (before.unitemised, before.fills) == (True, [])
    assert (after.unitemised, after.fills) == (False, [a_fill(6)])


def test_the_most_that_is_at_risk_are_the_leaves_at_their_limits() -> None:
    dear = a_child(client_id="P1n2", quantity=5, limit=20_000, state=S.IN_DOUBT)
    blotter = a_blotter(a_child(state=S.WORKING, reported=4), dear)

    assert blotter.at_risk == 6 * BID + 5 * 20_000


def test_fills_are_in_the_venues_order_of_time_strays_among_them() -> None:
    blotter = a_blotter(a_child(), a_child(client_id="P1n2"))
    for number, (order, seconds) in enumerate([("P1n2", 3), ("P1n1", 1), ("P1n9", 2), ("P1n1", 3)]):
        blotter.report(at(5), OrderFilled(a_fill(1, id=f"t{number}", order=order, at=at(seconds))))

    assert [fill.id for fill in blotter.fills] == ["t1", "t2", "t0", "t3"]


def test_a_client_id_is_used_once() -> None:
    blotter = a_blotter(a_child())

    with pytest.raises(AssertionError, match="used once"):
        blotter.add(a_child())


def test_the_flow_counts_what_filled_after_a_moment_by_our_time() -> None:
    """Late fills of what a count has told already are not new."""
    blotter = a_blotter(a_child(state=S.WORKING))
    blotter.report(at(1), OrderAccepted("P1n1", "v1", Lots(3)))
    blotter.report(at(2), OrderFilled(a_fill(3)))
    blotter.report(at(3), OrderFilled(a_fill(2, id="t2")))
    blotter.report(at(4), OrderFilled(a_fill(1, id="t3", order="P1n9")))

    assert list(blotter.flow) == [(at(1), 3), (at(3), 2), (at(4), 1)]
    assert [blotter.flowed(at(seconds)) for seconds in (0, 1, 3, 4)] == [6, 3, 1, 0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda blotter: setattr(blotter.orders["P1n1"], "state", S.WORKING),
        lambda blotter: setattr(blotter.orders["P1n2"], "state", S.CLOSED),
        lambda blotter: blotter.orders["P1n1"].report(Lots(9)),
        lambda blotter: blotter.orders["P1n1"].record(a_fill(6)),
    ],
)
def test_sums_that_drift_from_the_orders_are_noticed(damage: object) -> None:
    blotter = with_order_in(S.CLOSED)
    blotter.add(a_child(client_id="P1n2"))
    blotter.assert_sums()

    assert callable(damage)
    damage(blotter)

    with pytest.raises(AssertionError):
        blotter.assert_sums()


# ------------------------------------------------------------------------------------------------------------- strays


def test_a_fill_that_bears_our_name_and_that_we_never_sent_is_booked_once() -> None:
    blotter = a_blotter()
    stray = OrderFilled(a_fill(4, order="P1n9"))

    assert blotter.report(at(1), stray) == Change(None, 4, 4 * BID)
    assert blotter.report(at(2), stray) == Change(None, 0, 0)
    assert (blotter.filled, blotter.notional, blotter.leaves) == (4, 4 * BID, 0)


@pytest.mark.parametrize("report", [ACCEPTED, CLOSED, LOST, MISSING, REFUSED], ids=lambda report: type(report).__name__)
def test_other_news_of_an_order_that_we_never_sent_changes_nothing(report: Report) -> None:
    blotter = a_blotter()

    assert blotter.report(at(1), report) == Change(None, 0, 0)
    assert (blotter.filled, blotter.orders) == (0, {})


# --------------------------------------------------------------------------------------------------------- rejections


@pytest.mark.parametrize(
    ("order", "close", "rejected"),
    [
        ({}, OrderClosed("P1n1", Lots(0), "rejected: odd"), True),
        ({}, OrderClosed("P1n1", Lots(0), "insufficient balance"), True),
        ({}, OrderClosed("P1n1", Lots(0), "crosses: post-only"), False),
        ({}, OrderClosed("P1n1", Lots(0), "prevented: own order"), False),
        ({}, OrderClosed("P1n1", Lots(0), "canceled"), False),
        ({}, OrderClosed("P1n1", Lots(0), "expired"), False),
        ({}, OrderClosed("P1n1", Lots(1), "rejected: odd"), False),
        ({"venue_id": "v1"}, OrderClosed("P1n1", Lots(0), "rejected: odd"), False),
        ({"state": S.IN_DOUBT}, OrderClosed("P1n1", Lots(0), "rejected: odd"), False),
    ],
)
def test_a_rejection_is_the_first_word_about_an_order_and_a_no(
    order: dict[str, Any], close: OrderClosed, rejected: bool
) -> None:
    change = a_blotter(a_child(**order)).report(at(1), close)

    assert (change.closed, change.rejected) == (True, rejected)


# ------------------------------------------------------------------------------------------------- the end of a doubt


def test_everything_in_flight_is_in_doubt_after_a_restart_and_nothing_else_is() -> None:
    orders = [a_child(client_id=f"P1n{n}", state=state) for n, state in enumerate((S.SENT, S.WORKING, S.CANCELING))]
    blotter = a_blotter(*orders, a_child(client_id="P1n3"))
    blotter.report(at(1), OrderClosed("P1n3", Lots(0), "canceled"))

    blotter.doubt_all(at(9))

    assert [order.state for order in blotter.orders.values()] == [S.IN_DOUBT] * 3 + [S.CLOSED]
    assert {order.doubted_at for order in blotter.alive.values()} == {at(9)}


def test_a_missing_order_is_closed_by_the_list_of_our_fills_with_what_filled() -> None:
    gone = a_child(state=S.IN_DOUBT, missing=2, missing_at=at(20))
    unsure = a_child(client_id="P1n2", state=S.IN_DOUBT, missing=1, missing_at=at(20))
    blotter = a_blotter(gone, unsure)
    blotter.report(at(21), OrderFilled(a_fill(4)))

    assert blotter.close_missing(at(19)) == []
    assert blotter.close_missing(at(21)) == [gone]

    assert (blotter.filled, blotter.leaves, list(blotter.alive)) == (4, 10, ["P1n2"])
    blotter.assert_sums()


# ----------------------------------------------------------------------------------------------------------- any order


@st.composite
def reports(draw: st.DrawFn) -> list[Report]:
    """What a venue that keeps its word may say of three orders of ten lots, in any order, lost and repeated."""
    told: list[Report] = []
    for number in (1, 2, 3):
        name = f"P1n{number}"
        parts = draw(st.lists(st.integers(1, 4), max_size=4).filter(lambda parts: sum(parts) <= 10))
        told += [OrderFilled(a_fill(part, id=f"{name}-{i}", order=name)) for i, part in enumerate(parts)]
        told += [OrderAccepted(name, "v", Lots(sum(parts[:i]))) for i in range(len(parts) + 1)]
        told += [OrderClosed(name, Lots(sum(parts)), "canceled"), OrderLost(name, "?"), CancelRefused(name, "?")]
    return draw(st.lists(st.sampled_from(told), max_size=40))


@given(reports())
@settings(max_examples=200)
def test_in_any_order_of_reports_nothing_that_may_have_happened_is_forgotten(told: list[Report]) -> None:
    blotter = a_blotter(*(a_child(client_id=f"P1n{number}") for number in (1, 2, 3)))
    for second, report in enumerate(told):
        before = blotter.filled
        change = blotter.report(Nanos(START + second), report)
        assert change.lots == blotter.filled - before >= 0
        blotter.assert_sums()

    fills = {report.fill for report in told if isinstance(report, OrderFilled)}
    assert blotter.notional == sum(fill.price * fill.quantity for fill in fills)
    assert sum(lots for _, lots in blotter.flow) == blotter.filled
    for name, order in blotter.orders.items():
        counts = [r.filled for r in told if isinstance(r, OrderAccepted | OrderClosed) and r.order == name]
        assert order.filled == max([0, *counts, sum(fill.quantity for fill in fills if fill.order == name)])
        closed = any(isinstance(report, OrderClosed) and report.order == name for report in told)
        assert order.leaves == (0 if closed else 10 - order.filled)
