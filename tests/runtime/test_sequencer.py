"""A print that brings what a parent waited for brings its turn, at once; and what was decided then can be repeated.

Time is the test's own and stands still: only a bell can wake the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from execd.core.commands import Command, ProposeSlice, SubmitOrder
from execd.core.desk import Desk
from execd.core.events import (
    Channel,
    Event,
    OrderClosed,
    Print,
    PrintsMissed,
    ProposalFailed,
    QuoteChanged,
    StreamRestored,
    TradeBusted,
    TradeCorrected,
    TradePrinted,
    Woken,
)
from execd.core.execution import BROUGHT_EVERY, Execution
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.runtime.journal import Row
from execd.runtime.replay import replay
from execd.runtime.sequencer import Sequencer
from tests.core.build import ASK, BID, START, a_parent, a_print, a_submission, at

GUARD_S = 20.0
ROUNDS = 20
"""Rounds of the loop that a turn may take to come: without a bell it would be the half second of a pulse."""


class Bridge:
    """A real sequencer and a real desk; `rows` are what a journal would hold, `sent` what a venue would be asked."""

    def __init__(self, **changes: Any) -> None:
        self.now = START
        self.rows: list[Row] = []
        self.sent: list[SubmitOrder] = []
        self.sequencer = Sequencer(Desk(), self, lambda: self.now, lambda *_: None)
        self.sequencer.obey = self.obey
        self.left = asyncio.Event()
        self.sequencer.turn(a_submission(**changes))
        for channel in Channel:
            self.sequencer.turn(StreamRestored(channel))

    def append(self, at_: Nanos, fact: Event, commands: Sequence[Command]) -> int:
        self.rows.append(Row(len(self.rows) + 1, at_, fact, tuple(commands)))
        return len(self.rows)

    def obey(self, command: Command, _row: int) -> None:
        if isinstance(command, ProposeSlice):
            self.sequencer.post(ProposalFailed(command.parent, command.slice, "absent"))
        elif isinstance(command, SubmitOrder):
            self.sent.append(command)
            self.left.set()

    def see(self, *prints: Print) -> None:
        for event in prints:
            self.sequencer.post(event)

    @property
    def woken(self) -> list[Nanos]:
        """When nothing but the time, or a print, was the reason of a turn."""
        return [row.at for row in self.rows if isinstance(row.fact, Woken)]

    def settle(self) -> None:
        """Take the turns that are due, without a loop."""
        self.sequencer.drain()
        while (deadline := self.sequencer.desk.deadline()) is not None and deadline <= self.now:
            self.sequencer.turn(Woken())
            self.sequencer.drain()

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        loop = asyncio.create_task(self.sequencer.run())
        await self.rounds()
        yield
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop

    async def rounds(self) -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(0)


def a_quote(bid: int = BID) -> QuoteChanged:
    return QuoteChanged(Ticks(bid), Lots(50), Ticks(ASK), Lots(50), START)


def blocked() -> Bridge:
    """A hundred lots wait for nine hundred that others trade; one has, and it has brought the first look."""
    bridge = Bridge()
    bridge.see(a_quote(), a_print(1, quantity=1))
    bridge.settle()
    assert bridge.sent == []
    return bridge


async def test_the_order_that_waits_for_volume_leaves_with_the_print_that_brings_it_and_not_before() -> None:
    bridge = blocked()
    bridge.now = at(0.1)
    async with bridge.at_work():
        before = bridge.woken
        bridge.see(a_print(2, quantity=898))
        await bridge.rounds()
        assert (bridge.sent, bridge.woken) == ([], before)

        bridge.see(a_print(3, quantity=1))
        await bridge.rounds()

    assert [(order.quantity, order.limit) for order in bridge.sent] == [(100, BID)]
    assert bridge.woken == [*before, at(0.1)]
    assert replay(bridge.rows).differences == []


async def test_a_slice_that_began_in_a_stale_market_is_proposed_and_sent_with_the_first_print() -> None:
    """The whole chain, a policy's answer in it, without time passing."""
    bridge = Bridge()
    async with bridge.at_work():
        bridge.see(a_quote())
        await bridge.rounds()
        assert not any(isinstance(command, ProposeSlice) for row in bridge.rows for command in row.commands)

        bridge.see(a_print(1, quantity=10_000))
        await bridge.rounds()

    assert [order.order for order in bridge.sent] == ["P1n1"]
    assert replay(bridge.rows).differences == []


async def test_a_look_that_must_wait_its_five_milliseconds_comes_when_they_are_over() -> None:
    """The bell makes the loop look at its deadline anew; it is no reason for a turn."""
    bridge = blocked()
    async with bridge.at_work():
        before = bridge.woken
        bridge.see(a_print(2, quantity=900))
        await bridge.rounds()
        assert bridge.woken == before
        assert bridge.sequencer.desk.deadline() == START + BROUGHT_EVERY

        bridge.now = Nanos(START + BROUGHT_EVERY)
        async with asyncio.timeout(GUARD_S):
            await bridge.left.wait()


def test_a_flood_of_prints_is_no_flood_of_turns() -> None:
    """Whatever is waited for: at most one look in five milliseconds, and every print counts."""
    bridge = Bridge(parent=a_parent(end=at(60)))
    bridge.see(a_quote())
    for number in range(20_000):
        bridge.now = Nanos(START + number * SECOND // 10_000)
        quote = a_quote(bid=BID if number % 7 < 6 else ASK)
        trade = TradePrinted(number + 1, Ticks(BID), Lots(1 + 600 * (number % 997 == 0)), bridge.now, Side.BUY)
        bridge.see(quote, trade)
        bridge.settle()
        if bridge.sent and number % 50 == 0:
            bridge.sequencer.turn(OrderClosed(bridge.sent[-1].order, Lots(0), "expired"))
    turns = bridge.woken

    assert bridge.sent
    assert len(turns) < 100
    regular = [moment for moment in turns if (moment - START) % (SECOND // 2) == 0]
    brought = [moment for moment in turns if moment not in regular]
    assert brought
    assert all(later - earlier >= BROUGHT_EVERY for earlier, later in itertools.pairwise(brought))
    assert bridge.sequencer.desk.executions["P1"].tracker.trades == 20_000
    assert replay(bridge.rows).differences == []


class Ear:
    """Stands where an execution does, and notes what it is shown."""

    def __init__(self) -> None:
        self.heard: list[tuple[Nanos, Print]] = []

    def observe(self, now: Nanos, event: Print) -> bool:
        self.heard.append((now, event))
        return False


@pytest.mark.parametrize(
    "event",
    [a_print(1), a_quote(), TradeBusted(1), TradeCorrected(a_print(1)), PrintsMissed(START, at(1))],
    ids=lambda event: type(event).__name__,
)
def test_every_kind_of_print_is_shown_to_every_parent_and_is_no_fact(event: Print) -> None:
    bridge = Bridge()
    ears = [Ear(), Ear()]
    bridge.sequencer.desk.executions = cast("dict[str, Execution]", dict(enumerate(ears)))
    rows = list(bridge.rows)

    bridge.see(event)
    bridge.sequencer.drain()

    assert [ear.heard for ear in ears] == [[(START, event)]] * 2
    assert bridge.rows == rows
