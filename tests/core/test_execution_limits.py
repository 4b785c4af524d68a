"""What stops a parent beyond the gate's plain limits: jumps, costs, repeats, a clock, an unwell process; overrides."""

from __future__ import annotations

import pytest

from execd.core.commands import CancelOrder, Command, RaiseAlarm, RecordRefusal, SubmitOrder
from execd.core.events import ClockChecked, Event, HealthChanged, LimitOverridden, ParentResumed
from execd.core.grid import Lots, Nanos, Notional, Ticks
from execd.core.limits import OVERRIDABLE, RiskLimits
from tests.core.build import Work, a_parent, at, every, limits, only


def jump(work: Work, seconds: float, *, high: int = 10_300) -> list[Command]:
    """Wake the parent in a market in which trades lie far apart, for that moment."""
    work.market = {"low": Ticks(10_000), "high": Ticks(high)}
    commands = work.wake(seconds)
    work.market = {}
    return commands


def test_after_a_jump_what_rests_is_canceled_and_nothing_is_sent_for_a_while() -> None:
    work = Work()
    order = work.working()

    jump(work, 1, high=10_200)
    assert work.execution.held(at(1)) is None, "two hundred basis points are the limit"

    assert only(CancelOrder, jump(work, 1)).order == order.order
    assert "has jumped" in str(work.execution.held(at(1)))
    work.close(order, 0, 1.5, "canceled")
    assert not every(SubmitOrder, work.wake(30.9))
    assert len(every(SubmitOrder, work.wake(31.1))) == 1


def test_the_third_jump_within_an_hour_is_for_a_person() -> None:
    work = Work(a_parent(end=at(6_000), slices=100))
    work.working()
    for seconds in (10, 50):
        assert not every(RaiseAlarm, jump(work, seconds))

    (alarm,) = every(RaiseAlarm, jump(work, 90))

    assert (alarm.code, "the 3rd time in an hour" in alarm.text) == ("volatility", True)
    assert "an operator resumes it" in str(work.execution.held(at(200)))
    work.tell(ParentResumed("P1", "ann"), 200)
    assert "disabled" not in str(work.execution.held(at(200)))


def test_jumps_an_hour_apart_are_three_pauses() -> None:
    work = Work(a_parent(end=at(20_000), slices=100))
    work.working()
    for seconds in (10, 3_700, 7_400):
        assert not every(RaiseAlarm, jump(work, seconds))


def test_a_fill_beyond_its_own_limit_stops_the_parent() -> None:
    """No exchange does that; whoever reports it is broken, or we are.  The fill counts all the same."""
    work = Work()
    order = work.working()

    commands = work.fill(order, 10, 1, price=Ticks(order.limit + 1))

    (alarm,) = every(RaiseAlarm, commands)
    assert (alarm.code, order.order in alarm.text) == ("anomaly", True)
    assert work.execution.filled == 10
    assert "disabled" in str(work.execution.held(at(1)))


def test_fills_at_their_limit_are_nothing_to_look_at() -> None:
    work = Work()
    order = work.working()

    assert not every(RaiseAlarm, work.fill(order, 10, 1))


@pytest.mark.parametrize(("market", "stops"), [(9_975, False), (9_974, True)])
def test_a_cost_beyond_the_markets_vwap_stops_the_parent(market: int, *, stops: bool) -> None:
    """Twenty-five basis points of a parent of 100 lots, all of it filled at once, at 10,000.5."""
    work = Work(a_parent(quantity=100, slices=1))
    order = work.working()
    work.market = {"volume": Lots(1_000), "notional": Notional(1_000 * market)}

    commands = work.fill(order, 100, 1)

    assert [alarm.code for alarm in every(RaiseAlarm, commands)] == (["slippage"] if stops else [])


def test_a_clock_that_is_off_and_a_process_that_is_unwell_send_nothing() -> None:
    cases: list[tuple[Event, Event, str]] = [
        (ClockChecked(Nanos(10**9)), ClockChecked(Nanos(0)), "P23"),
        (HealthChanged("the disk is full"), HealthChanged(None), "P28"),
    ]
    for bad, good, control in cases:
        work = Work()
        work.tell(bad, 0.1)
        assert only(RecordRefusal, work.fall_back()).control == control
        work.tell(good, 0.5)
        assert len(every(SubmitOrder, work.wake(2))) == 1


def test_a_limit_is_loosened_until_its_moment_and_no_longer() -> None:
    work = Work(limits=limits(child_quantity=10))
    work.started()
    assert work.execution.guard.in_force(at(1)).child_quantity == 10

    work.tell(LimitOverridden("P1", "child_quantity", 30, at(60), "bob", "thin book"), 1)

    assert work.execution.guard.in_force(at(59)).child_quantity == 30
    assert work.execution.guard.in_force(at(60)) == work.execution.limits


def test_what_knows_no_exception_cannot_be_loosened() -> None:
    fields = set(RiskLimits.__dataclass_fields__)
    assert OVERRIDABLE < fields
    for key in sorted(fields - OVERRIDABLE):
        with pytest.raises(AssertionError, match="knows no exception"):
            Work().tell(LimitOverridden("P1", key, 1, at(60), "bob", "because"), 1)
