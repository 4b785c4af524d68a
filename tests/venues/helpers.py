"""What the tests of the venues share: an instrument, orders, fills, a clock, and a recorder of facts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import TypeVar

from hypothesis import HealthCheck, settings

from execd.core.commands import SubmitOrder
from execd.core.events import Channel, Event, OrderFilled, Print, QuoteChanged, StreamRestored, TradePrinted
from execd.core.grid import SECOND, Instrument, Lots, Nanos, Notional, Side, Ticks
from execd.core.orders import Fill, Liquidity, OrderKind
from execd.venues import Venue
from execd.venues.fuse import Fuse

T = TypeVar("T")

SYMBOL = "BTC/USDT"
WAIT_S = 20.0

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For property tests: none is about time, and a busy machine must not fail one."""


def an_instrument() -> Instrument:
    """BTC/USDT as Binance has it."""
    return Instrument(
        venue="binance",
        symbol=SYMBOL,
        base="BTC",
        quote="USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
        min_quantity=Lots(1),
        max_quantity=Lots(900_000_000),
        min_notional=Notional(50_000_000),
        max_notional=Notional(10**15),
    )


def now() -> Nanos:
    """The machine's own time."""
    return Nanos(time.time_ns())


def a_fuse(
    side: Side = Side.BUY,
    quantity: int = 1_000_000,
    *,
    lowest: int = 1,
    highest: int = 10**9,
    per_second: int = 100,
    per_minute: int = 1_000,
    killed: Callable[[], bool] = lambda: False,
) -> Fuse:
    """A fuse for the parent `p1`, wide open unless told otherwise."""
    return Fuse(
        "p1",
        side,
        Lots(quantity),
        lowest=Ticks(lowest),
        highest=Ticks(highest),
        per_second=per_second,
        per_minute=per_minute,
        killed=killed,
    )


def a_submit(
    number: int = 1,
    quantity: int = 1_000,
    limit: int = 5_000_000,
    *,
    side: Side = Side.BUY,
    kind: OrderKind = OrderKind.REST,
    at: Nanos | None = None,
    valid_until: Nanos | None = None,
    order: str | None = None,
) -> SubmitOrder:
    """A child of `p1`, valid for two seconds from `at` (the machine's now)."""
    moment = now() if at is None else at
    return SubmitOrder(
        order=f"p1n{number}" if order is None else order,
        symbol=SYMBOL,
        side=side,
        quantity=Lots(quantity),
        limit=Ticks(limit),
        kind=kind,
        slice=0,
        valid_until=Nanos(moment + 2 * SECOND) if valid_until is None else valid_until,
    )


def a_fill(identity: str = "1", order: str = "p1n1", quantity: int = 10, price: int = 5_000_000) -> OrderFilled:
    """A fill of one of our orders."""
    return OrderFilled(
        Fill(identity, order, Ticks(price), Lots(quantity), Nanos(0), Liquidity.MAKER, Decimal(0), "USDT")
    )


def a_quote(bid: int, bid_size: int, ask: int, ask_size: int) -> QuoteChanged:
    """A touch."""
    return QuoteChanged(Ticks(bid), Lots(bid_size), Ticks(ask), Lots(ask_size), Nanos(0))


def a_print(price: int, quantity: int, taker: Side, *, identity: int = 1) -> TradePrinted:
    """A public trade."""
    return TradePrinted(identity, Ticks(price), Lots(quantity), Nanos(1), taker)


class Recorder:
    """A sink that keeps all facts, and lets a test wait for one."""

    def __init__(self) -> None:
        self.facts: list[Event | Print] = []
        self._came = asyncio.Condition()
        self._waking: set[asyncio.Task[None]] = set()

    def __call__(self, fact: Event | Print) -> None:
        """Take a fact."""
        self.facts.append(fact)
        task = asyncio.get_running_loop().create_task(self._wake())
        self._waking.add(task)
        task.add_done_callback(self._waking.discard)

    async def _wake(self) -> None:
        async with self._came:
            self._came.notify_all()

    def of(self, kind: type[T]) -> list[T]:
        """The facts of one kind, as they came."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until the facts meet a condition.  Raises TimeoutError."""
        async with asyncio.timeout(WAIT_S), self._came:
            await self._came.wait_for(met)

    async def first(self, kind: type[T], also: Callable[[T], bool] = lambda _: True, *, after: int = 0) -> T:
        """Wait for a fact of one kind that came after the first `after` facts."""

        def found() -> list[T]:
            return [fact for fact in self.facts[after:] if isinstance(fact, kind) and also(fact)]

        await self.until(lambda: bool(found()))
        return found()[0]


@contextlib.asynccontextmanager
async def streaming(venue: Venue) -> AsyncIterator[Recorder]:
    """An adapter's streams, once both are up."""
    heard = Recorder()
    task = asyncio.create_task(venue.stream(SYMBOL, heard))
    try:
        await heard.until(lambda: {fact.channel for fact in heard.of(StreamRestored)} == set(Channel))
        yield heard
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
