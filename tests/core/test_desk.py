"""Each fact reaches the executions that it concerns and no other; who comes later is born into what stands."""

from __future__ import annotations

from typing import Any, cast, get_args

import pytest

from execd.core.commands import CancelOrder, FinishParent, ProposeSlice, SubmitOrder
from execd.core.desk import Desk, parent_of
from execd.core.events import (
    CancelRefused,
    Channel,
    ClockChecked,
    DrainBegun,
    Event,
    FillsListed,
    HealthChanged,
    KillReset,
    KillTripped,
    LimitOverridden,
    MarketObserved,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    ParentCanceled,
    ParentPaused,
    ParentResumed,
    ParentSubmitted,
    ProposalFailed,
    Recovered,
    ShadowProposed,
    SliceProposed,
    StreamLost,
    StreamRestored,
    Woken,
)
from execd.core.execution import Execution
from execd.core.grid import Lots, Nanos
from tests.core.build import START, a_fill, a_market, a_parent, a_submission, at, every

UP = (StreamRestored(Channel.ACCOUNT), StreamRestored(Channel.MARKET))


def a_desk(*ids: str, up: bool = True) -> Desk:
    """A desk with a parent for each id, each of which has asked for its first slice if the streams are up."""
    desk = Desk()
    for name in ids:
        desk.handle(START, a_submission(a_parent(id=name)))
        desk.handle(START, MarketObserved(name, a_market()))
    for event in UP if up else ():
        desk.handle(START, event)
    return desk


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Event]]:
    """Which parent was told what."""
    heard: list[tuple[str, Event]] = []
    handle = Execution.handle

    def listening(self: Execution, now: Any, event: Event) -> Any:
        heard.append((self.parent.id, event))
        return handle(self, now, event)

    monkeypatch.setattr(Execution, "handle", listening)
    return heard


TO_ONE: list[Event] = [
    MarketObserved("B", a_market()),
    SliceProposed("B", 0, 0.1, "m"),
    ProposalFailed("B", 0, "absent"),
    ShadowProposed("B", 0, 0.1, "m-2", ""),
    ParentPaused("B", "ann"),
    ParentResumed("B", "ann"),
    ParentCanceled("B", "ann"),
    LimitOverridden("B", "child_notional", 9, at(60), "bob", "because"),
    OrderAccepted("Bn1", "v", Lots(0)),
    OrderFilled(a_fill(1, order="Bn1")),
    OrderClosed("Bn1", Lots(0), "canceled"),
    OrderLost("Bn1", "timed out"),
    OrderMissing("Bn1"),
    CancelRefused("Bn1", "unknown order"),
]
TO_ALL: list[Event] = [
    Woken(),
    Recovered(),
    FillsListed(START),
    StreamLost(Channel.MARKET, "silent"),
    StreamRestored(Channel.MARKET),
    DrainBegun("SIGTERM"),
    KillTripped("panic"),
    KillReset("ann", "over"),
    ClockChecked(Nanos(5)),
    HealthChanged("the disk is full"),
]


@pytest.mark.parametrize("event", TO_ONE, ids=lambda event: type(event).__name__)
def test_a_fact_about_one_parent_reaches_that_parent_alone(event: Event, told: list[tuple[str, Event]]) -> None:
    desk = a_desk("A", "B", "C", up=False)
    told.clear()

    desk.handle(START, event)

    assert told == [("B", event)]


@pytest.mark.parametrize("event", TO_ALL, ids=lambda event: type(event).__name__)
def test_a_fact_about_the_world_reaches_every_parent(event: Event, told: list[tuple[str, Event]]) -> None:
    desk = a_desk("A", "B", "C", up=False)
    told.clear()

    desk.handle(START, event)

    assert told == [("A", event), ("B", event), ("C", event)]


@pytest.mark.parametrize("event", TO_ONE, ids=lambda event: type(event).__name__)
def test_a_fact_about_a_parent_that_is_not_ours_reaches_nobody(event: Event, told: list[tuple[str, Event]]) -> None:
    desk = a_desk("A", up=False)
    told.clear()

    assert desk.handle(START, event) == []
    assert told == []


def test_every_fact_is_for_one_for_all_or_makes_a_parent() -> None:
    assert {type(event) for event in TO_ONE + TO_ALL} | {ParentSubmitted} == set(get_args(Event))


def test_a_fact_that_nobody_knows_stops_the_process() -> None:
    with pytest.raises((AssertionError, TypeError)):
        a_desk("A").handle(START, cast("Event", "rumour"))


def test_commands_of_all_parents_are_gathered() -> None:
    desk = a_desk("A", "B")

    asked = every(ProposeSlice, desk.handle(START, Recovered()) + desk.handle(START, UP[0]) + desk.handle(START, UP[1]))

    assert [ask.parent for ask in asked] == ["A", "B"]


def test_the_deadline_is_the_earliest_of_all_and_none_without_a_parent_at_work() -> None:
    desk = a_desk()
    assert desk.deadline() is None

    desk.handle(START, a_submission(a_parent(id="A", start=at(30), end=at(90))))
    desk.handle(START, a_submission(a_parent(id="B", start=at(20), end=at(90))))
    assert desk.deadline() == at(20)

    desk.handle(START, ParentCanceled("B", "ann"))
    assert desk.deadline() == at(30)

    desk.handle(START, ParentCanceled("A", "ann"))
    assert desk.deadline() is None


def test_a_parent_is_submitted_once() -> None:
    desk = a_desk("A")

    with pytest.raises(AssertionError, match="parent A was submitted twice"):
        desk.handle(START, a_submission(a_parent(id="A")))


# ------------------------------------------------------------------------------------------------ what stands already


def born(*before: Event) -> tuple[Desk, Execution]:
    """A parent that comes after some facts, and has seen the market."""
    desk = a_desk(up=False)
    for event in before:
        desk.handle(START, event)
    desk.handle(START, a_submission(a_parent(id="A")))
    desk.handle(START, MarketObserved("A", a_market()))
    return desk, desk.executions["A"]


def test_a_parent_that_comes_after_the_kill_is_born_killed() -> None:
    desk, late = born(*UP, KillTripped("panic"))

    assert late.killed
    assert desk.handle(START, Woken()) == []


def test_a_parent_that_comes_after_the_reset_is_not_killed() -> None:
    desk, late = born(*UP, KillTripped("panic"), KillReset("ann", "over"))

    assert not late.killed
    assert every(ProposeSlice, desk.handle(START, Woken()))


def test_a_parent_that_comes_during_a_drain_is_drained() -> None:
    _, late = born(*UP, DrainBegun("SIGTERM"))

    assert late.draining == "SIGTERM"


def test_a_parent_that_comes_later_knows_which_streams_are_up() -> None:
    _, late = born(*UP, StreamLost(Channel.MARKET, "silent"))

    assert set(late.streams_down) == {Channel.MARKET}


def test_a_restart_ends_the_drain_and_forgets_the_streams_but_not_the_kill() -> None:
    _, late = born(*UP, DrainBegun("SIGTERM"), KillTripped("panic"), Recovered())

    assert late.draining is None
    assert set(late.streams_down) == set(Channel)
    assert late.killed


def test_the_kill_reaches_orders_of_every_parent() -> None:
    desk = a_desk("A", "B")
    for name in ("A", "B"):
        (order,) = every(SubmitOrder, desk.handle(START, ProposalFailed(name, 0, "absent")))
        desk.handle(START, OrderAccepted(order.order, "v", Lots(0)))

    assert desk.handle(at(1), KillTripped("panic")) == [
        CancelOrder("An1", "BTC/USDT"),
        CancelOrder("Bn1", "BTC/USDT"),
    ]
    assert desk.killed == KillTripped("panic")


def test_a_parent_that_ends_leaves_the_others_at_work() -> None:
    desk = a_desk("A", "B")

    assert desk.handle(START, ParentCanceled("A", "ann")) == [FinishParent("A", "canceled by ann")]
    assert every(SubmitOrder, desk.handle(START, ProposalFailed("B", 0, "absent")))


# ------------------------------------------------------------------------------------------------------------ the names


@pytest.mark.parametrize(
    ("client_id", "parent"),
    [
        ("P1n1", "P1"),
        ("btc-7n12", "btc-7"),
        ("mission1n3", "mission1"),
        ("n1", ""),
        ("P1", ""),
        ("P1nx", ""),
        ("P1n", ""),
        ("somebody else's", ""),
        ("", ""),
    ],
)
def test_the_parent_is_in_the_client_id(client_id: str, parent: str) -> None:
    assert parent_of(OrderLost(client_id, "timed out")) == parent
    assert parent_of(OrderFilled(a_fill(1, order=client_id))) == parent


def test_every_client_id_that_a_parent_gives_leads_back_to_it() -> None:
    for name in ("P1", "n", "1n1", "win2n"):
        assert parent_of(OrderMissing(a_parent(id=name).client_id(12))) == name
