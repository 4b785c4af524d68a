"""One parent at work: each slice is asked about, decided, checked, sent, and followed to its end."""

from __future__ import annotations

import math

import pytest

from execd.core import router
from execd.core.commands import (
    CancelOrder,
    FinishParent,
    Observation,
    ProposeSlice,
    RecordRefusal,
    SubmitOrder,
)
from execd.core.events import (
    Channel,
    MarketObserved,
    ParentPaused,
    ParentResumed,
    QuoteChanged,
    StreamRestored,
)
from execd.core.execution import Execution, Phase
from execd.core.grid import SECOND, Lots, Nanos, Notional, Side, Ticks
from execd.core.orders import Finish, OrderKind, OrderState
from tests.core.build import (
    ASK,
    BID,
    START,
    Work,
    a_bar,
    a_market,
    a_parent,
    a_print,
    a_submission,
    an_instrument,
    at,
    limits,
    only,
    the_ask,
)

S = OrderState

# --------------------------------------------------------------------------------------------------------- the start


def test_a_new_execution_wants_to_be_looked_at_at_once() -> None:
    assert Execution(a_submission()).deadline() == 0


def test_nothing_happens_before_the_start_and_then_we_are_woken_for_it() -> None:
    work = Work(a_parent(start=at(30), end=at(630)))

    assert work.first == []
    assert (work.execution.phase, work.wakes_at) == (Phase.WAITING, 30)
    assert the_ask(work.wake(30)).slice == 0
    assert work.execution.phase is Phase.WORKING


def test_nothing_is_asked_before_both_streams_are_up() -> None:
    work = Work(up=False)
    assert work.first == []
    assert work.execution.held(work.now) == "the market stream is down: not up yet"

    assert work.tell(StreamRestored(Channel.MARKET)) == []
    assert work.execution.held(work.now) == "the account stream is down: not up yet"
    assert work.wakes_at == 0.5

    assert the_ask(work.tell(StreamRestored(Channel.ACCOUNT))).slice == 0


def test_the_arrival_price_is_the_first_mid_that_was_seen() -> None:
    execution = Execution(a_submission())
    execution.handle(START, MarketObserved("P1", a_market(bid=None)))
    assert execution.arrival2 is None

    for bid in (9_000, 9_500):
        assert execution.handle(START, MarketObserved("P1", a_market(bid=bid))) == []
    assert execution.arrival2 == 9_000 + ASK


def test_prints_and_quotes_go_to_the_tracker_and_decide_nothing() -> None:
    execution = Execution(a_submission())
    execution.observe(at(1), a_print(1, 1, BID, 7))
    execution.observe(at(2), QuoteChanged(Ticks(BID), Lots(1), Ticks(ASK), Lots(1), at(2)))

    view = execution.tracker.view(at(2))
    assert (view.volume, view.bid, view.quote_at) == (7, BID, at(2))
    assert execution.market.bid is None, "what no MarketObserved has told, no decision knows"


# ----------------------------------------------------------------------------------------------------- the question


def test_the_policy_is_told_all_that_is_known_and_asked_for_an_answer_within_a_second() -> None:
    work = Work(history=(a_bar(-60),))
    parent = work.parent

    ask = only(ProposeSlice, work.first)

    assert (ask.parent, ask.slice, ask.due) == ("P1", 0, at(1))
    assert ask.observation == Observation(
        instrument=parent.instrument,
        side=Side.BUY,
        now=START,
        start=START,
        end=at(600),
        slice=0,
        slices=10,
        interval=Nanos(60 * SECOND),
        quantity=Lots(1_000),
        filled=Lots(0),
        own_notional=0,
        bars=(),
        history=(a_bar(-60),),
        curve=work.submitted.curve,
        arrival=10_001.0,
        mid2=20_002,
    )
    assert work.wakes_at == 1


def test_a_policy_may_think_as_long_as_was_said_and_a_quarter_of_a_slice_at_most() -> None:
    assert the_ask(Work(proposal_within=Nanos(3 * SECOND)).first).due == at(3)
    assert the_ask(Work(a_parent(end=at(20))).first).due == at(0.5)


def test_the_same_question_is_not_asked_twice() -> None:
    work = Work()

    assert work.wake(0.3) == work.wake(0.6) == []
    assert work.wakes_at == 1


def test_later_slices_are_told_the_bars_of_all_slices_before_them() -> None:
    """A slice in which nothing traded has an empty bar, at the close of the one before it."""
    work = Work()
    order = work.working()
    work.fill(order, 100, 1)
    work.close(order, 100, 2)
    work.market["bars"] = (a_bar(0, close=10_007),)

    ask = the_ask(work.wake(60))
    assert (ask.slice, ask.due) == (1, at(61))
    assert ask.observation.bars == (a_bar(0, close=10_007),)
    assert (ask.observation.filled, ask.observation.own_notional) == (100, 100 * BID)

    work.market["bars"] = ()
    ask = the_ask(work.wake(120))
    empty = a_bar(60, volume=Lots(0), notional=Notional(0), close=10_007, trades=0)
    assert ask.observation.bars == (a_bar(0, close=10_007), empty)


def test_a_first_slice_in_which_nothing_traded_has_no_price() -> None:
    nothing = a_bar(0, volume=Lots(0), notional=Notional(0), close=Ticks(0), trades=0)

    assert Execution(a_submission()).bar(0) == nothing


# --------------------------------------------------------------------------------------------------- the decision


def test_a_proposal_becomes_an_order_for_its_share_of_what_is_left() -> None:
    work = Work()

    order = only(SubmitOrder, work.propose(0.12))

    assert order == SubmitOrder("P1n1", "BTC/USDT", Side.BUY, Lots(120), Ticks(BID), OrderKind.REST, 0, at(2))
    record = work.execution.ledger[0]
    assert (record.planned, record.target, record.share) == (100, 120, 0.12)
    assert (record.decided_by, record.why, record.children, dict(record.notes)) == ("vwap-2", "proposed", 1, {})
    assert (record.start, record.end) == (at(0), at(60))
    assert work.wakes_at == 5, "without an answer it is in doubt by then"


@pytest.mark.parametrize(("share", "target"), [(0.9, 150), (0.0, 50)])
def test_a_proposal_beyond_the_schedules_band_is_brought_inside_it(share: float, target: int) -> None:
    work = Work()
    work.propose(share)

    record = work.execution.ledger[0]
    assert (record.share, record.target) == (share, target)
    assert record.notes == {"clamped to the schedule's band": 1}


def test_in_the_last_slice_the_rest_is_aimed_at_whatever_was_proposed() -> None:
    work = Work(a_parent(slices=2))
    work.tell(ParentPaused("P1", "ann"))
    assert the_ask(work.tell(ParentResumed("P1", "ann"), 300)).slice == 1

    work.propose(0.1, 1)

    assert work.execution.ledger[1].target == 1_000
    assert work.execution.ledger[1].notes["last slice: the rest"] == 1


@pytest.mark.parametrize("share", [math.nan, math.inf, -0.01, 1.01])
def test_where_the_model_proposes_nonsense_the_curve_decides_and_the_ledger_says_so(share: float) -> None:
    work = Work()

    assert only(SubmitOrder, work.propose(share)).quantity == 100
    record = work.execution.ledger[0]
    assert (record.decided_by, record.why, record.share) == ("curve", f"vwap-2 proposed {share}", None)


def test_where_the_policy_fails_the_curve_decides_and_the_ledger_says_why() -> None:
    work = Work()

    assert only(SubmitOrder, work.fall_back()).quantity == 100
    assert (work.execution.ledger[0].decided_by, work.execution.ledger[0].why) == ("curve", "absent")


def test_where_the_policy_is_late_the_curve_decides_at_the_due_moment() -> None:
    work = Work()

    assert work.wake(0.999_999_999) == []
    assert only(SubmitOrder, work.wake(1)).quantity == 100
    assert (work.execution.ledger[0].decided_by, work.execution.ledger[0].why) == ("curve", "the policy was late")


def test_an_answer_after_the_curve_has_decided_changes_nothing() -> None:
    work = Work()
    work.wake(1)

    assert work.propose(0.15, 0, 1.2) == []
    assert work.fall_back(0, 1.3) == []
    assert (work.execution.ledger[0].decided_by, work.execution.ledger[0].target) == ("curve", 100)


def test_an_answer_after_its_due_moment_is_late_even_if_it_overtakes_the_timer() -> None:
    """ "After `due` the fallback decides": not which of two events stood first in the inbox."""
    work = Work()
    work.propose(0.15, 0, 1.5)

    assert (work.execution.ledger[0].decided_by, work.execution.ledger[0].target) == ("curve", 100)


@pytest.mark.parametrize("number", [1, 5, -1])
def test_an_answer_about_another_slice_than_the_one_asked_about_is_ignored(number: int) -> None:
    work = Work()

    assert work.propose(0.15, number) == []
    assert work.execution.ledger == {}
    assert only(SubmitOrder, work.propose(0.11)).quantity == 110


def test_a_second_answer_about_the_same_slice_is_ignored() -> None:
    work = Work()
    work.propose(0.11)
    work.propose(0.15)

    assert work.execution.ledger[0].target == 110


def test_the_target_never_falls_below_what_was_aimed_at_before() -> None:
    work = Work(limits=limits(ahead_ppm=500_000))
    work.accept(only(SubmitOrder, work.propose(0.5)))
    work.wake(60)
    work.propose(0.0, 1)

    assert [work.execution.ledger[number].target for number in (0, 1)] == [500, 500]


def test_slices_that_went_by_while_we_were_held_are_not_asked_about() -> None:
    work = Work()
    order = work.working()
    work.tell(ParentPaused("P1", "ann"), 10)
    work.close(order, 0, 11, "canceled")
    work.wake(200)

    assert the_ask(work.tell(ParentResumed("P1", "ann"), 250)).slice == 4
    assert set(work.execution.ledger) == {0}


# ------------------------------------------------------------------------------------------------ the router's steps


def test_a_slice_rests_then_crosses_and_its_rest_is_the_next_order() -> None:
    work = Work()
    resting = work.working()
    work.fill(resting, 30, 20)
    assert work.wakes_at == 26

    assert work.wake(39) == [CancelOrder("P1n1", "BTC/USDT")]
    assert work.state(resting) is S.CANCELING
    assert work.wake(39.2) == [], "not before the venue has said that the old order is over"

    crossing = only(SubmitOrder, work.close(resting, 30, 39.3, "canceled"))
    assert (crossing.order, crossing.quantity, crossing.limit, crossing.kind) == ("P1n2", 70, 10_005, OrderKind.TAKE)
    work.fill(crossing, 70, 39.4)
    assert work.close(crossing, 70, 39.4) == []

    record = work.execution.ledger[0]
    assert (record.children, record.filled, record.notional) == (2, 100, 30 * BID + 70 * 10_005)
    assert work.wakes_at == 39.8
    assert work.wake(39.8) == []
    assert work.wakes_at == 60
    assert record.notes == {"on schedule": 1}


def test_two_aggressive_orders_are_half_a_second_apart() -> None:
    """Immediate-or-cancel that found nothing: never a spin."""
    work = Work()
    work.tell(ParentPaused("P1", "ann"))
    first = only(SubmitOrder, work.tell(ParentResumed("P1", "ann"), 40))
    assert first.kind is OrderKind.TAKE

    assert work.close(first, 0, 40.1, "expired") == []
    assert work.execution.ledger[0].notes == {"unfilled: expired": 1}
    assert work.wakes_at == 40.5
    assert work.wake(40.499_999_999) == []
    assert only(SubmitOrder, work.wake(40.5)).order == "P1n2"


def test_an_order_that_has_lost_the_touch_is_replaced_only_after_its_end() -> None:
    work = Work()
    order = work.working()
    work.market["bid"] = BID + 1

    assert work.wake(6) == [CancelOrder("P1n1", "BTC/USDT")]
    replacement = only(SubmitOrder, work.close(order, 0, 6.1, "canceled"))
    assert (replacement.limit, replacement.quantity) == (BID + 1, 100)


def test_what_is_below_the_exchanges_minimum_is_carried_into_the_next_slice() -> None:
    work = Work()
    order = work.working()
    work.fill(order, 97, 1)

    assert work.close(order, 97, 2, "canceled") == []
    assert work.execution.ledger[0].notes == {"below the exchange's minimum, carried": 1}
    work.wake(60)
    assert only(SubmitOrder, work.fall_back(1)).quantity == 103


def test_a_rest_below_the_exchanges_minimum_is_reported_at_the_end_never_dumped() -> None:
    work = Work(a_parent(quantity=12, slices=1, instrument=an_instrument(min_quantity=10)))
    order = work.started()
    work.fill(order, 9, 1)
    work.close(order, 9, 2, "canceled")

    assert work.wake(599) == []
    assert work.wake(600) == [FinishParent("P1", "the end came")]
    assert (work.execution.filled, len(work.sent)) == (9, 1)


def test_a_parent_that_leaves_its_rest_stays_passive_to_the_end() -> None:
    work = Work(a_parent(slices=1, finish=Finish.LEAVE))
    work.working()

    assert work.wake(599.9) == []
    assert work.wake(600) == [CancelOrder("P1n1", "BTC/USDT")]
    assert {order.kind for order in work.sent} == {OrderKind.REST}


def test_a_plan_of_an_unknown_kind_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "plan", lambda *_, **__: "something else")

    with pytest.raises(AssertionError):
        Work().fall_back()


# ------------------------------------------------------------------------------------------------------------ the gate


def test_a_wish_that_is_too_large_is_clipped_and_the_ledger_says_by_what() -> None:
    work = Work(limits=limits(window_quantity=40))

    assert only(SubmitOrder, work.fall_back()).quantity == 40
    assert work.execution.ledger[0].notes == {"clipped by window": 1}


def test_what_was_clipped_below_the_exchanges_minimum_is_held_back() -> None:
    work = Work(limits=limits(window_quantity=4))

    assert work.fall_back() == []
    assert work.execution.ledger[0].notes == {"clipped by window": 1}
    assert work.wakes_at == 0.5


def test_a_refusal_is_recorded_and_backed_off_from() -> None:
    work = Work(a_parent(limit=9_000))

    assert work.fall_back() == [
        RecordRefusal("P1", 0, "P9", "rests 1000.9 bp away; at most 200 (risk.yaml: rest_bps)"),
    ]
    assert work.execution.ledger[0].notes == {"refused: collar": 1}
    assert work.wakes_at == 0.5
    assert work.wake(0.4) == []
    assert only(RecordRefusal, work.wake(0.5)).control == "P9"
    assert work.execution.ledger[0].notes == {"refused: collar": 2}
    assert work.sent == []


def test_messages_come_from_a_bucket_that_refills() -> None:
    work = Work(limits=limits(message_burst=1, messages_per_second=1))
    first = work.started()

    refusal = only(RecordRefusal, work.close(first, 0, 0.6, "expired"))
    assert (refusal.control, work.wakes_at) == ("P16", 1.1)

    second = only(SubmitOrder, work.wake(1.1))
    assert second.order == "P1n2"

    assert only(RecordRefusal, work.close(second, 0, 1.7, "expired")).control == "P16", "what was spent is spent"


def test_a_slice_has_so_many_children_and_no_more() -> None:
    work = Work(limits=limits(children_per_slice=2))
    for number, seconds in ((1, 0.6), (2, 1.2)):
        order = work.started() if number == 1 else work.sent[-1]
        assert order.order == f"P1n{number}"
        commands = work.close(order, 0, seconds, "expired")

    assert only(RecordRefusal, commands).words == "2 children in this slice; at most 2 (risk.yaml: children_per_slice)"
    work.wake(60)
    assert only(SubmitOrder, work.fall_back(1)).order == "P1n3", "the next slice starts afresh"


def test_a_budget_is_never_overspent_by_what_filled_and_may_fill() -> None:
    work = Work(a_parent(budget=1_500_000))
    order = work.working()
    work.fill(order, 100, 1)
    work.close(order, 100, 2)
    work.wake(60)

    assert only(SubmitOrder, work.fall_back(1)).quantity == 50
    assert work.execution.ledger[1].notes == {"clipped by budget": 1}


def test_a_budget_is_not_overspent_on_fills_that_were_counted_and_not_itemised() -> None:
    """The close with its final count often comes before the fills: those lots were spent all the same."""
    work = Work(a_parent(budget=1_500_000))
    order = work.working()
    work.close(order, 100, 2)
    work.wake(60)

    assert only(SubmitOrder, work.fall_back(1)).quantity == 50
