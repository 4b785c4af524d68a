"""An order in doubt is asked about, never sent again, and only the venue's word ends the doubt."""

from __future__ import annotations

import pytest

from execd.core import doubt
from execd.core.commands import CancelOrder, ListFills, QueryOrder
from execd.core.grid import Nanos
from execd.core.orders import ChildOrder, OrderState
from tests.core.build import NEWS_FROM, VALIDITY, a_child, a_fill, at

S = OrderState


def in_doubt(seconds: float = 10) -> ChildOrder:
    order = a_child(state=S.WORKING)
    assert doubt.begin(order, at(seconds))
    return order


def missing_twice(order: ChildOrder, first: float = 20) -> ChildOrder:
    doubt.missed(order, at(first), VALIDITY)
    doubt.missed(order, at(first + 2), VALIDITY)
    return order


@pytest.mark.parametrize("state", [S.SENT, S.WORKING, S.CANCELING])
def test_a_doubt_begins_afresh_and_the_order_keeps_its_rest(state: OrderState) -> None:
    order = a_child(state=state, canceled_at=at(1), asked_at=at(2), missing=1, missing_at=at(3))

    assert doubt.begin(order, at(10))

    assert (order.state, order.leaves, order.doubted_at) == (S.IN_DOUBT, 10, at(10))
    assert (order.canceled_at, order.asked_at, order.missing, order.missing_at) == (None, None, 0, None)


@pytest.mark.parametrize("state", [S.IN_DOUBT, S.CLOSED])
def test_a_doubt_that_has_begun_or_is_over_does_not_begin_again(state: OrderState) -> None:
    order = a_child(state=state, canceled_at=at(1), missing=1)

    assert not doubt.begin(order, at(10))

    assert (order.state, order.doubted_at, order.canceled_at, order.missing) == (state, None, at(1), 1)


def test_first_a_cancel_then_a_query_every_two_seconds() -> None:
    order = in_doubt()
    asked = [(s, doubt.question(order, at(s), "BTC/USDT")) for s in (10, 10.1, 11, 12.0, 12.1, 14, 14.1)]

    assert [(s, question) for s, question in asked if question is not None] == [
        (10, CancelOrder("P1n1", "BTC/USDT")),
        (10.1, QueryOrder("P1n1", "BTC/USDT")),
        (12.1, QueryOrder("P1n1", "BTC/USDT")),
        (14.1, QueryOrder("P1n1", "BTC/USDT")),
    ]


def test_the_next_question_is_due_at_once_and_then_two_seconds_after_the_last() -> None:
    order = in_doubt()
    assert doubt.next_question_at(order, at(10)) == at(10)

    doubt.question(order, at(10), "BTC/USDT")
    assert doubt.next_question_at(order, at(10)) == at(10)

    doubt.question(order, at(11), "BTC/USDT")
    assert doubt.next_question_at(order, at(11)) == at(13)


def test_after_two_not_founds_our_fills_are_listed_from_well_before_the_order() -> None:
    order = missing_twice(in_doubt())
    doubt.question(order, at(22), "BTC/USDT")

    assert doubt.question(order, at(22), "BTC/USDT") == ListFills("BTC/USDT", at(-60))


def test_a_submit_may_arrive_until_its_sending_time_and_the_venues_validity_are_over() -> None:
    """Two seconds for leaving us, five for the venue to act."""
    assert doubt.expires(a_child(sent_at=at(3)), VALIDITY) == at(10)


@pytest.mark.parametrize(("seconds", "counted"), [(0, 0), (7, 0), (NEWS_FROM - 1e-9, 0), (NEWS_FROM, 1)])
def test_not_found_means_nothing_while_the_submit_or_an_answer_about_that_time_may_be_in_flight(
    seconds: float, counted: int
) -> None:
    assert doubt.expires(a_child(), VALIDITY) + doubt.ANSWER_WITHIN == at(NEWS_FROM)
    order = a_child(state=S.IN_DOUBT)
    doubt.missed(order, at(seconds), VALIDITY)

    assert order.missing == counted


def test_two_not_founds_in_one_breath_are_one() -> None:
    order = in_doubt()
    counts = []
    for seconds in (20, 20.5, 21.999_999_999, 22, 23, 24):
        doubt.missed(order, at(seconds), VALIDITY)
        counts.append(order.missing)

    assert counts == [1, 1, 1, 2, 2, 3]
    assert order.missing_at == at(24)


@pytest.mark.parametrize(("through", "settled"), [(21.999_999_999, False), (22, True), (30, True)])
def test_only_a_list_read_through_the_last_not_found_ends_the_doubt(through: float, settled: bool) -> None:
    order = missing_twice(in_doubt())

    assert doubt.settled_by_fills(order, at(through)) is settled


def test_one_not_found_is_not_enough() -> None:
    order = in_doubt()
    doubt.missed(order, at(20), VALIDITY)

    assert not doubt.settled_by_fills(order, at(1_000))


@pytest.mark.parametrize("state", [state for state in S if state is not S.IN_DOUBT])
def test_a_list_of_fills_settles_nothing_about_an_order_that_is_not_in_doubt(state: OrderState) -> None:
    order = missing_twice(in_doubt())
    order.state = state

    assert not doubt.settled_by_fills(order, at(1_000))


def test_no_time_alone_ends_a_doubt() -> None:
    """However long it lasts, the order keeps the rest that its fills have not used up, and we go on asking."""
    order = in_doubt()
    order.record(a_fill(4))
    for hour in range(1, 50):
        assert doubt.question(order, Nanos(at(3_600 * hour)), "BTC/USDT") is not None
        assert order.leaves == 6
