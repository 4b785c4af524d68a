"""What stops a parent: a hold cancels what is open until it is lifted; a cancel, a drain and the end let it go."""

from __future__ import annotations

from typing import cast

import pytest

from execd.core.commands import CancelOrder, FinishParent, SubmitOrder
from execd.core.events import (
    Channel,
    DrainBegun,
    Event,
    KillReset,
    KillTripped,
    ParentCanceled,
    ParentPaused,
    ParentResumed,
    Recovered,
    StreamLost,
    StreamRestored,
    Woken,
)
from execd.core.execution import LOOK_EVERY, Execution, Phase
from execd.core.grid import SECOND
from execd.core.orders import OrderState
from tests.core.build import BID, START, Work, a_parent, a_submission, at, only

S = OrderState

# ------------------------------------------------------------------------------------------------------------- holds

HOLDS: list[tuple[Event, str | None, Event]] = [
    (ParentPaused("P1", "ann"), "paused by ann", ParentResumed("P1", "ann")),
    (KillTripped("panic"), None, KillReset("ann", "over")),
    (
        StreamLost(Channel.MARKET, "silent"),
        "the market stream is down: silent",
        StreamRestored(Channel.MARKET),
    ),
    (
        StreamLost(Channel.ACCOUNT, "closed"),
        "the account stream is down: closed",
        StreamRestored(Channel.ACCOUNT),
    ),
]


@pytest.mark.parametrize(("hold", "why", "release"), HOLDS, ids=lambda part: type(part).__name__)
def test_a_hold_cancels_what_is_open_and_sends_nothing_until_it_is_lifted(
    hold: Event, why: str | None, release: Event
) -> None:
    work = Work()
    order = work.working()

    assert work.tell(hold, 10) == [CancelOrder("P1n1", "BTC/USDT")]
    assert work.execution.held(work.now) == why
    assert work.wakes_at == 10.5
    assert work.tell(hold, 10.1) == [], "canceled once"
    assert work.close(order, 40, 10.2, "canceled") == []
    assert work.wake(30) == []

    again = only(SubmitOrder, work.tell(release, 31))
    assert (again.order, again.quantity) == ("P1n2", 60)


@pytest.mark.parametrize("hold", [hold for hold, *_ in HOLDS], ids=lambda part: type(part).__name__)
def test_an_order_that_was_under_way_when_the_hold_came_is_canceled_as_soon_as_the_venue_has_it(hold: Event) -> None:
    work = Work()
    order = work.started()

    assert work.tell(hold, 1) == []
    assert work.accept(order, 2) == [CancelOrder("P1n1", "BTC/USDT")]


def test_a_resume_does_not_release_the_kill_switch() -> None:
    work = Work()
    order = work.working()
    work.tell(KillTripped("panic"), 1)
    work.close(order, 0, 1.1, "canceled")

    assert work.tell(ParentResumed("P1", "ann"), 2) == []
    assert work.wake(30) == []
    assert work.execution.killed


def test_holds_are_independent_and_all_must_be_lifted() -> None:
    work = Work()
    for hold, *_ in HOLDS:
        work.tell(hold)
    for *_, release in HOLDS[:-1]:
        assert work.tell(release, 1) == []

    assert only(SubmitOrder, work.tell(HOLDS[-1][2], 2)).order == "P1n1", "the curve decides: the answer is late"


def test_a_stale_market_cancels_and_fresh_news_of_it_resumes() -> None:
    work = Work()
    order = work.working()
    work.market = {"quote_at": at(0), "last_at": at(0)}

    assert work.wake(10) == []
    assert work.wake(10.5) == [CancelOrder("P1n1", "BTC/USDT")]
    assert work.execution.held(work.now) == (
        "nothing was seen of the market for 10.5 s; at most 10 s (risk.yaml: stale_age)"
    )
    work.close(order, 0, 10.6, "canceled")

    work.market = {}
    assert only(SubmitOrder, work.wake(12)).order == "P1n2"


def test_a_held_parent_looks_again_often_and_at_its_end() -> None:
    work = Work(a_parent(end=at(10)))
    work.tell(ParentPaused("P1", "ann"))

    assert work.wakes_at == LOOK_EVERY / SECOND
    work.wake(9.8)
    assert work.wakes_at == 10
    assert work.wake(10) == [FinishParent("P1", "the end came")]


# ------------------------------------------------------------------------------------------------------ cancel, drain


def test_a_canceled_parent_ends_its_orders_and_then_itself() -> None:
    work = Work()
    order = work.working()

    assert work.tell(ParentCanceled("P1", "ann"), 10) == [CancelOrder("P1n1", "BTC/USDT")]
    assert work.execution.phase is Phase.ENDING
    work.fill(order, 40, 10.1)
    assert work.close(order, 40, 10.2, "canceled") == [FinishParent("P1", "canceled by ann")]

    assert (work.execution.phase, work.wakes_at) == (Phase.DONE, None)
    assert work.execution.ended_why == "canceled by ann"


def test_a_parent_that_is_canceled_before_its_start_is_over_at_once() -> None:
    work = Work(a_parent(start=at(30), end=at(630)))

    assert work.tell(ParentCanceled("P1", "ann")) == [FinishParent("P1", "canceled by ann")]


def test_a_drain_cancels_and_lets_go_of_a_parent_that_stays_resumable() -> None:
    work = Work()
    order = work.working()

    assert work.tell(DrainBegun("SIGTERM"), 10) == [CancelOrder("P1n1", "BTC/USDT")]
    assert work.execution.held(work.now) == "draining: SIGTERM"
    assert work.close(order, 0, 10.1, "canceled") == [FinishParent("P1", "drained: SIGTERM")]
    assert work.execution.phase is Phase.WORKING
    assert work.execution.ended_why is None


def test_after_a_drain_and_a_restart_the_same_slice_goes_on() -> None:
    work = Work()
    order = work.working()
    work.fill(order, 40, 9)
    work.tell(DrainBegun("SIGTERM"), 10)
    work.close(order, 40, 10.1, "canceled")

    assert work.tell(Recovered(), 20) == []
    work.tell(StreamRestored(Channel.MARKET))
    again = only(SubmitOrder, work.tell(StreamRestored(Channel.ACCOUNT)))
    assert (again.order, again.quantity) == ("P1n2", 60)


# ------------------------------------------------------------------------------------------------------------- the end


def test_a_parent_that_is_filled_is_over() -> None:
    work = Work(a_parent(slices=1))
    order = work.started()

    assert work.fill(order, 1_000, 1) == [FinishParent("P1", "filled")], "nothing is left that a close could tell"
    assert work.close(order, 1_000, 1.1) == []
    assert (work.execution.phase, work.execution.committed, work.execution.uncommitted) == (Phase.DONE, 1_000, 0)


def test_at_the_end_what_is_open_is_canceled_and_the_rest_is_not_chased() -> None:
    work = Work(a_parent(slices=1, limit=BID))
    work.tell(ParentPaused("P1", "ann"))
    order = only(SubmitOrder, work.tell(ParentResumed("P1", "ann"), 599))
    work.accept(order, 599.5)

    assert work.wake(600) == [CancelOrder("P1n1", "BTC/USDT")]
    assert work.close(order, 0, 600.1, "canceled") == [FinishParent("P1", "the end came")]
    assert work.execution.uncommitted == 1_000


def test_a_finished_parent_asks_for_nothing_and_still_books_a_late_fill() -> None:
    work = Work()
    order = work.working()
    work.tell(ParentCanceled("P1", "ann"), 10)
    work.close(order, 0, 11, "canceled")

    assert work.fill(order, 7, 20) == []
    assert work.wake(30) == work.tell(ParentResumed("P1", "ann")) == []
    assert (work.execution.filled, work.wakes_at) == (7, None)


def test_an_event_that_nobody_handles_stops_the_process() -> None:
    with pytest.raises(AssertionError):
        Execution(a_submission()).handle(START, cast("Event", "rumour"))


def test_the_same_facts_give_the_same_commands() -> None:
    facts: list[tuple[float, Event]] = [
        (0, Woken()),
        (0, StreamRestored(Channel.MARKET)),
        (0, StreamRestored(Channel.ACCOUNT)),
        (1, Woken()),
        (3, ParentPaused("P1", "ann")),
        (4, ParentResumed("P1", "ann")),
        (60, Woken()),
        (62, KillTripped("panic")),
        (70, ParentCanceled("P1", "ann")),
    ]

    one, other = Work(up=False), Work(up=False)

    for seconds, fact in facts:
        assert one.tell(fact, seconds) == other.tell(fact, seconds)
        assert one.wakes_at == other.wakes_at
    assert one.sent
