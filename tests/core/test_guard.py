"""The guard: what it says is exact, what it forbids ends at its moment, and only an operator undoes the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from execd.core.commands import RaiseAlarm
from execd.core.grid import HOUR, SECOND, Lots, Nanos, Notional, Side, Ticks
from execd.core.guard import Guard
from execd.core.orders import ChildOrder
from tests.core.build import Work, a_fill, a_market, a_parent, at, limits

JUMP = a_market(low=10_000, high=10_201)
CALM = a_market(low=10_000, high=10_200)


def guard(side: Side = Side.BUY, **changes: int) -> Guard:
    return Guard(a_parent(side=side), limits(**changes))


def child(side: Side, limit: int) -> ChildOrder:
    """An order of the execution's own making."""
    work = Work(a_parent(side=side))
    order = work.child(work.started())
    order.limit = Ticks(limit)
    return order


def test_a_jump_pauses_for_thirty_seconds_and_says_how_long_still() -> None:
    over = guard()
    assert over.paused(at(0)) is None
    over.feel(at(0), CALM)
    assert over.paused(at(0)) is None

    over.feel(at(0), JUMP)

    assert over.paused(at(0)) == "the market has jumped; nothing is sent for another 31 s"
    assert over.paused(at(29.5)) == "the market has jumped; nothing is sent for another 1 s"
    assert over.paused(at(30)) is None
    assert over.alarms() == []


@pytest.mark.parametrize(("last", "stops"), [(at(0) + HOUR, False), (at(0) + HOUR - 1, True)])
def test_jumps_count_for_an_hour(last: int, *, stops: bool) -> None:
    """While one pause lasts, no second jump is counted."""
    over = guard()
    for moment in (at(0), at(29), at(30), last):
        over.feel(Nanos(moment), JUMP)

    told = [alarm.code for alarm in over.alarms()]
    assert told == (["volatility"] if stops else [])
    assert (over.disabled is not None) == stops


def test_an_operators_word_ends_it_and_counts_anew() -> None:
    over = guard()
    for moment in (0, 30, 60):
        over.feel(at(moment), JUMP)
    text = "trades lay 201 bp apart within 10 s; at most 200 (risk.yaml: swing_bps), the 3rd time in an hour"
    assert str(over.disabled) == f"disabled: {text}; an operator resumes it (execd resume)"
    assert over.alarms() == [RaiseAlarm("P1", "volatility", text)]
    assert over.alarms() == [], "told once"

    over.resume()

    over.feel(at(90), JUMP)
    over.feel(at(120), JUMP)
    assert str(over.disabled) == "None", "one more makes three again"


def test_the_first_reason_stands() -> None:
    over = guard()
    over.disable("repeated", "one")
    over.disable("slippage", "two")
    assert over.disabled == "disabled: one; an operator resumes it (execd resume)"
    assert [alarm.text for alarm in over.alarms()] == ["one"]


@pytest.mark.parametrize(
    ("side", "limit", "price", "stops"),
    [
        (Side.BUY, 10_000, 10_000, False),
        (Side.BUY, 10_000, 10_001, True),
        (Side.BUY, 10_000, 9_000, False),
        (Side.SELL, 10_002, 10_002, False),
        (Side.SELL, 10_002, 10_001, True),
        (Side.SELL, 10_002, 11_000, False),
    ],
)
def test_a_fill_through_its_own_limit_is_an_anomaly(side: Side, limit: int, price: int, *, stops: bool) -> None:
    over = guard(side)
    over.examine(child(side, limit), a_fill(price=Ticks(price)))
    expected = f"P1n1 was filled at {price / 100:.2f}, beyond its limit of {limit / 100:.2f}"
    assert [alarm.text for alarm in over.alarms()] == ([expected] if stops else [])


@pytest.mark.parametrize(
    ("side", "paid", "stops"),
    [
        # The parent is of 1,000 lots at an arrival of 10,000: 25 bps of it are 25,000 ticks.
        (Side.BUY, 100 * 10_000 + 25_000, False),
        (Side.BUY, 100 * 10_000 + 25_010, True),
        (Side.BUY, 100 * 9_000, False),
        (Side.SELL, 100 * 10_000 - 25_000, False),
        (Side.SELL, 100 * 10_000 - 25_010, True),
        (Side.SELL, 100 * 11_000, False),
    ],
)
def test_a_cost_is_weighed_against_the_whole_parent(side: Side, paid: int, *, stops: bool) -> None:
    """A hundred lots have filled; the market paid 10,000 for each."""
    over, market = guard(side), a_market(volume=Lots(7), notional=Notional(70_000))

    over.weigh(at(0), Lots(100), Notional(paid), market, 20_000)

    told = (
        "the fills have cost 25 bp of the parent's value beyond the market's VWAP; at most 25 (risk.yaml: slippage_bps)"
    )
    assert [(alarm.code, alarm.text) for alarm in over.alarms()] == ([("slippage", told)] if stops else [])


def test_without_a_market_nothing_is_weighed() -> None:
    over = guard()
    over.weigh(at(0), Lots(100), Notional(10**9), replace(a_market(), volume=Lots(0)), 20_000)
    assert over.disabled is None
    assert SECOND == 10**9
