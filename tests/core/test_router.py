"""The router rests, follows the touch, crosses before the slice ends, and has one order at work at most."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.grid import BPS, SECOND, Lots, Nanos, Side, Ticks
from execd.core.orders import ChildOrder, Finish, OrderKind, OrderState, ParentOrder, Urgency
from execd.core.risk import Approved, Draft
from execd.core.router import Cancel, Slice, Wait, child, cross_at, plan, reprice_every
from tests.core.build import ASK, BID, START, a_child, a_draft, a_market, a_parent, at

S = OrderState
FIRST = Slice(0, Lots(100), at(0), at(60))
LAST = Slice(9, Lots(1_000), at(540), at(600))
SELLER = a_parent(side=Side.SELL)


def planned(
    seconds: float,
    *alive: ChildOrder,
    parent: ParentOrder | None = None,
    slice_: Slice = FIRST,
    committed: int = 0,
    passive: bool = False,
    **market: Any,
) -> Cancel | Draft | Wait:
    now, market_ = at(seconds), a_market(at(seconds), **market)
    return plan(now, parent or a_parent(), slice_, market_, list(alive), Lots(committed), passive=passive)


def drafted(seconds: float, **changes: Any) -> Draft:
    step = planned(seconds, **changes)
    assert isinstance(step, Draft)
    return step


def working(**changes: Any) -> ChildOrder:
    return a_child(state=S.WORKING, **changes)


# ----------------------------------------------------------------------------------------------------- a new order


def test_a_slice_begins_by_resting_at_our_side_of_the_book() -> None:
    assert planned(0) == Draft(Side.BUY, Lots(100), Ticks(BID), OrderKind.REST, 0)
    assert planned(0, parent=SELLER) == Draft(Side.SELL, Lots(100), Ticks(ASK), OrderKind.REST, 0)


def test_only_what_is_not_committed_is_wanted() -> None:
    assert drafted(0, committed=63).quantity == 37


@pytest.mark.parametrize("committed", [100, 130])
def test_a_slice_that_has_what_it_wants_waits_for_its_end(committed: int) -> None:
    assert planned(0, committed=committed) == Wait(at(60), "on schedule")


@pytest.mark.parametrize(("urgency", "seconds"), [(Urgency.HIGH, 18), (Urgency.MEDIUM, 39), (Urgency.LOW, 60)])
def test_a_slice_crosses_the_earlier_the_more_urgent_it_is(urgency: Urgency, seconds: float) -> None:
    parent = a_parent(urgency=urgency)

    assert cross_at(parent, FIRST) == at(seconds)
    assert drafted(seconds - 1e-9, parent=parent).kind is OrderKind.REST
    assert drafted(seconds, parent=parent).kind is OrderKind.TAKE


@pytest.mark.parametrize(("urgency", "seconds"), [(Urgency.HIGH, 558), (Urgency.MEDIUM, 570), (Urgency.LOW, 570)])
def test_the_last_slice_crosses_from_its_middle_on_at_the_latest(urgency: Urgency, seconds: float) -> None:
    """Several tries need time."""
    assert cross_at(a_parent(urgency=urgency), LAST) == at(seconds)


@pytest.mark.parametrize("urgency", Urgency)
def test_the_last_slice_never_crosses_where_the_rest_is_to_be_left(urgency: Urgency) -> None:
    parent = a_parent(urgency=urgency, finish=Finish.LEAVE)

    assert cross_at(parent, LAST) == at(600)
    assert drafted(599.999, parent=parent, slice_=LAST).kind is OrderKind.REST
    assert cross_at(parent, FIRST) == cross_at(a_parent(urgency=urgency), FIRST), "earlier slices are as urgent as ever"


@pytest.mark.parametrize("slice_", [FIRST, LAST])
def test_a_router_that_is_told_to_be_passive_rests_to_the_end_of_its_slice(slice_: Slice) -> None:
    late = (slice_.end - START) / SECOND - 0.001

    assert drafted(late, slice_=slice_).kind is OrderKind.TAKE
    assert drafted(late, slice_=slice_, passive=True) == Draft(
        Side.BUY, slice_.target, Ticks(BID), OrderKind.REST, slice_.number
    )


def test_a_passive_router_leaves_what_rests_and_ends_what_takes() -> None:
    resting, taking = working(sent_at=at(38)), working(kind=OrderKind.TAKE, sent_at=at(39))

    assert planned(39, resting) == Cancel(resting, "time to take")
    assert planned(39, resting, passive=True) == Wait(at(44), "order at work")
    assert planned(39, taking, passive=True) == Cancel(taking, "time to rest")


def test_an_aggressive_order_reaches_three_basis_points_through_the_touch() -> None:
    assert drafted(50).limit == 10_005  # 10,002 + 3.0006, rounded towards the touch
    assert drafted(50, parent=SELLER).limit == 9_997


def test_where_three_basis_points_are_less_than_a_tick_the_touch_itself_is_the_limit() -> None:
    assert drafted(50, bid=3_000, ask=3_001).limit == 3_001


@pytest.mark.parametrize(
    ("side", "limit", "seconds", "price"),
    [
        (Side.BUY, 9_990, 0, 9_990),
        (Side.BUY, 9_990, 50, 9_990),
        (Side.BUY, 10_004, 0, BID),
        (Side.BUY, 10_004, 50, 10_004),
        (Side.BUY, 10_006, 50, 10_005),
        (Side.SELL, 10_010, 0, 10_010),
        (Side.SELL, 10_010, 50, 10_010),
        (Side.SELL, 9_998, 50, 9_998),
        (Side.SELL, 9_996, 50, 9_997),
    ],
)
def test_no_order_goes_beyond_the_parents_limit(side: Side, limit: int, seconds: float, price: int) -> None:
    assert drafted(seconds, parent=a_parent(side=side, limit=limit)).limit == price


def test_what_is_below_the_exchanges_minimum_is_carried_never_rounded_up() -> None:
    assert drafted(0, committed=95).quantity == 5
    assert planned(0, committed=96) == Wait(at(60), "below the exchange's minimum, carried")


# ------------------------------------------------------------------------------------------------- an order at work


@pytest.mark.parametrize("state", [S.SENT, S.CANCELING, S.IN_DOUBT])
@pytest.mark.parametrize("seconds", [1, 20, 59])
def test_nothing_is_sent_before_the_venue_has_said_that_the_old_order_is_over(
    state: OrderState, seconds: float
) -> None:
    """Not when a cancel was asked for, not when its answer is late."""
    step = planned(seconds, a_child(state=state))

    assert step == Wait(at(60), "order at work")


def test_a_resting_order_stays_where_the_touch_is() -> None:
    assert planned(38.9, working()) == Wait(at(39), "order at work")


@pytest.mark.parametrize(("bid", "moved"), [(BID, False), (BID + 1, True), (BID - 1, True)])
def test_a_resting_order_follows_the_touch_once_it_has_stayed_its_time(bid: int, moved: bool) -> None:
    """A tenth of the slice: bounded, however often the touch moves."""
    order = working()

    assert isinstance(planned(5.999_999_999, order, bid=bid), Wait)
    assert (planned(6, order, bid=bid) == Cancel(order, "the touch has moved")) is moved


def test_a_sell_follows_the_ask() -> None:
    order = working(side=Side.SELL, limit=ASK)

    assert isinstance(planned(6, order, parent=SELLER, bid=BID - 5), Wait)
    assert planned(6, order, parent=SELLER, ask=ASK + 1) == Cancel(order, "the touch has moved")


def test_an_order_at_the_parents_limit_is_not_repriced_for_a_touch_beyond_it() -> None:
    order = working(limit=9_990)

    assert isinstance(planned(30, order, parent=a_parent(limit=9_990)), Wait)


def test_a_resting_order_is_in_the_way_when_it_is_time_to_cross() -> None:
    order = working()

    assert planned(39, order) == Cancel(order, "time to take")


def test_an_aggressive_order_that_is_left_over_is_in_the_way_of_the_next_slice() -> None:
    order = working(kind=OrderKind.TAKE, limit=10_005)

    assert planned(0, order) == Cancel(order, "time to rest")


def test_an_aggressive_order_that_rests_although_it_should_not_follows_the_touch_too() -> None:
    order = working(kind=OrderKind.TAKE, limit=10_005, sent_at=at(40))

    assert planned(40.5, order) == Wait(at(46), "order at work")
    assert planned(46, order) == Cancel(order, "the touch has moved")


@pytest.mark.parametrize(
    ("seconds", "until"),
    [
        (0, 6),  # when it may follow the touch
        (10, 16),
        (35, 39),  # when it is time to cross
    ],
)
def test_an_order_at_work_is_looked_at_again_when_it_may_be_in_the_way(seconds: float, until: float) -> None:
    assert planned(seconds, working()) == Wait(at(until), "order at work")


def test_an_order_at_work_is_looked_at_again_at_the_slices_end_at_the_latest() -> None:
    parent = a_parent(urgency=Urgency.LOW)

    assert planned(58, working(), parent=parent) == Wait(at(60), "order at work")


def test_an_order_is_looked_at_again_as_soon_as_it_may_follow_the_touch() -> None:
    """Its acceptance half a second after the sending must not put the look off by as much."""
    assert planned(0.5, working()) == Wait(at(6), "order at work")


@pytest.mark.parametrize(("seconds", "stays"), [(1, 0.5), (5, 0.5), (60, 6), (150, 15), (3_600, 15)])
def test_a_resting_order_stays_a_tenth_of_its_slice_within_bounds(seconds: float, stays: float) -> None:
    assert reprice_every(Slice(0, Lots(1), at(0), at(seconds))) == stays * SECOND


# ---------------------------------------------------------------------------------------------------------- the child


def test_a_child_is_what_was_approved_under_a_derived_id() -> None:
    draft = a_draft(quantity=42, limit=9_999, kind=OrderKind.TAKE, slice=3)
    order = child(Approved(draft, at(200)), a_parent(), 17)

    assert order == ChildOrder("P1n17", Side.BUY, Lots(42), Ticks(9_999), OrderKind.TAKE, 3, at(200))
    assert order.state is S.SENT


@given(
    st.integers(0, 60 * 10**9 - 1),
    st.integers(0, 200),
    st.sampled_from(Urgency),
    st.sampled_from(Side),
    st.none() | st.integers(9_000, 11_000),
    st.integers(1, 20_000),
    st.integers(1, 50),
    st.booleans(),
)
def test_a_draft_is_never_too_much_too_little_or_too_dear(
    nanos: int, committed: int, urgency: Urgency, side: Side, limit: int | None, bid: int, spread: int, passive: bool
) -> None:
    """Whatever the moment: no more than the slice wants, no less than the exchange takes, inside the limit."""
    parent = a_parent(urgency=urgency, side=side, limit=limit)
    now = Nanos(START + nanos)
    step = plan(now, parent, FIRST, a_market(now, bid=bid, ask=bid + spread), [], Lots(committed), passive=passive)

    if isinstance(step, Draft):
        assert step.kind is OrderKind.REST or not passive
        assert parent.instrument.least(step.limit) <= step.quantity == FIRST.target - committed
        assert limit is None or (step.limit - limit) * side.sign <= 0
        assert step.side is side
        touch = bid + spread if side is Side.BUY else bid
        assert step.kind is OrderKind.REST or (step.limit - touch) * side.sign * BPS <= 3 * touch
    else:
        assert isinstance(step, Wait)
        assert now < step.until
