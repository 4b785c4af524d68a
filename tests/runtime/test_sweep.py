"""The sweep of a kill goes on for ever, in parallel but not all at once, until the exchange has twice said: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from execd.core.commands import CancelOrder
from execd.core.events import CancelRefused, Event, OrderLost
from execd.core.grid import SECOND, Nanos
from execd.runtime import watch
from execd.runtime.watch import Sweep
from execd.venues import OpenOrder, Venue, VenueCaps, VenueError
from tests.core.build import Work

VALIDITY_S = 5
MINE = [f"P1n{number}" for number in range(1, 26)]


class Over(Exception):
    """The script has ended."""


class Exchange:
    """Gives the listings of a script, one a reading (None: no answer), and keeps what it was asked to cancel."""

    caps = VenueCaps(True, True, Nanos(VALIDITY_S * SECOND))

    def __init__(self, *listings: Sequence[str] | None) -> None:
        self._listings = list(listings)
        self.canceled: list[str] = []
        self.most_at_once = self._now = 0
        self.broken = False

    async def open_orders(self, symbol: str) -> list[OpenOrder]:
        if not self._listings:
            raise Over
        listing = self._listings.pop(0)
        if listing is None:
            raise VenueError("no answer")
        return [OpenOrder(order, f"v{order}", symbol) for order in listing]

    async def cancel(self, command: CancelOrder) -> CancelRefused:
        if self.broken:
            raise KeyError("an adapter's own mistake")
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        self.canceled.append(command.order)
        return CancelRefused(command.order, "gone")


class Watch:
    """A sweep whose time is told in the pauses that it takes."""

    def __init__(self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, work: Work | None = None) -> None:
        self.exchange, self.tripped = exchange, True
        self.pauses: list[float] = []
        self.certain_after: list[float] = []
        self.facts: list[Event] = []
        self.at_pause: Callable[[int], None] = lambda _: None
        monkeypatch.setattr(watch, "asyncio", SimpleNamespace(sleep=self._sleep, gather=asyncio.gather))
        execution = (work or Work()).execution
        self.sweep = Sweep(cast("Venue", exchange), self, execution, self.facts.append, self._certain)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.at_pause(len(self.pauses))
        await asyncio.sleep(0)

    async def _certain(self) -> None:
        assert not self.sweep.clear, "clear is said after the accounts were compared"
        self.certain_after.append(sum(self.pauses))

    async def to_the_end(self) -> None:
        with pytest.raises(Over):
            await self.sweep.run()


async def test_ten_cancels_are_out_at_once_and_nobody_elses_order_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = Exchange([*MINE, "somebody", "P2n1", "P1x"])
    await Watch(exchange, monkeypatch).to_the_end()

    assert sorted(exchange.canceled) == sorted(MINE)
    assert exchange.most_at_once == 10


async def test_it_is_content_after_clean_readings_a_requests_validity_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first clean reading is the one after the cancel; a request could still arrive for five seconds."""
    looked = Watch(Exchange(["P1n1"], *[[]] * 20), monkeypatch)
    clean_from: list[float] = []
    looked.at_pause = lambda number: clean_from.append(sum(looked.pauses)) if number == 2 else None
    await looked.to_the_end()

    (certain,) = looked.certain_after
    assert certain - clean_from[0] >= VALIDITY_S
    assert looked.sweep.clear
    assert looked.pauses[-1] == watch.SWEEP_SLOWLY_S > watch.SWEEP_EVERY_S


async def test_a_reading_that_is_not_clean_or_not_there_begins_it_all_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in (["P1n2"], None):
        looked = Watch(Exchange(*[[]] * 5, broken, *[[]] * 5), monkeypatch)
        await looked.to_the_end()

        assert looked.certain_after == [], broken


async def test_with_an_order_in_doubt_no_reading_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange does not list what has not arrived yet."""
    work = Work()
    work.tell(OrderLost(work.started().order, "time-out"))
    looked = Watch(Exchange(*[[]] * 50), monkeypatch, work)
    await looked.to_the_end()

    assert looked.certain_after == []


async def test_what_turns_up_later_is_canceled_and_the_certainty_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Watch(Exchange(*[[]] * 10, ["P1n3"]), monkeypatch)
    await looked.to_the_end()

    assert len(looked.certain_after) == 1
    assert (looked.exchange.canceled, looked.sweep.clear) == (["P1n3"], False)


async def test_an_exchange_that_does_not_answer_is_asked_again_ever_more_slowly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = Watch(Exchange(*[None] * 50), monkeypatch)
    await looked.to_the_end()

    assert looked.pauses[:3] == [watch.SWEEP_EVERY_S, 2 * watch.SWEEP_EVERY_S, 4 * watch.SWEEP_EVERY_S]
    assert max(looked.pauses) == looked.pauses[-1] == watch.SWEEP_PAUSE_MAX_S


async def test_an_adapter_that_breaks_its_contract_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What became of that order is not known, and the next reading is waited for."""
    exchange = Exchange(["P1n1"], ["P1n1"])
    exchange.broken = True
    looked = Watch(exchange, monkeypatch)
    await looked.to_the_end()

    assert looked.facts == [OrderLost("P1n1", "the adapter failed: KeyError")] * 2


async def test_without_a_latch_nothing_is_asked_and_a_certainty_of_before_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The latch is set at the fifth look: then comes the first question, at the sixth the second."""
    looked = Watch(Exchange(["P1n1"]), monkeypatch)
    looked.sweep.clear, looked.tripped = True, False

    def trip(number: int) -> None:
        looked.tripped = number >= 5

    looked.at_pause = trip
    await looked.to_the_end()

    assert (looked.exchange.canceled, len(looked.pauses), looked.sweep.clear) == (["P1n1"], 6, False)
