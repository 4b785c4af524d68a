"""Paper trading: orders travel, the market of their arrival decides, and nothing outlives the process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from execd.core.commands import CancelOrder, ListFills, QueryOrder
from execd.core.events import (
    Bar,
    CancelRefused,
    Channel,
    Event,
    FillsListed,
    OrderClosed,
    OrderFilled,
    OrderMissing,
    Print,
    StreamRestored,
    TradePrinted,
)
from execd.core.grid import SECOND, Instrument, Lots, Nanos, Side
from execd.core.orders import OrderKind
from execd.venues import Balance, Sink, VenueCaps
from execd.venues.paper import PaperVenue
from tests.venues.helpers import SYMBOL, a_fuse, a_print, a_quote, a_submit, an_instrument

LATENCY = Nanos(SECOND // 10)


class Feed:
    """A data source that a test plays: only what paper trading asks of one."""

    name = "binance"
    caps = VenueCaps(contiguous_trade_ids=True, own_prints=True, request_validity=Nanos(13 * SECOND))

    def __init__(self) -> None:
        self.sink: Sink | None = None

    async def open(self, symbol: str) -> Instrument:
        return an_instrument()

    async def bars(self, symbol: str, interval: Nanos, count: int, before: Nanos) -> Sequence[Bar]:
        return []

    async def trades(self, symbol: str, first: int | None, last: int | None) -> Sequence[TradePrinted]:
        return []

    async def stream(self, symbol: str, sink: Sink) -> None:
        self.sink = sink
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.sink = None


class World:
    """A paper account whose time a test moves: each `pause` waits until the test lets it pass."""

    def __init__(self) -> None:
        self.time = Nanos(1_000 * SECOND)
        self.feed = Feed()
        self.waiting: list[tuple[float, asyncio.Event]] = []
        self.heard: list[Event | Print] = []
        self.fuse = a_fuse()
        self.venue = PaperVenue(
            self.feed,  # type: ignore[arg-type]  # it plays the part of a Venue that paper trading uses
            lambda: self.time,
            latency=LATENCY,
            maker_fee=Decimal("0.001"),
            taker_fee=Decimal("0.001"),
            funds=[Balance("USDT", "10", "10")],
            pause=self._pause,
        )

    async def _pause(self, seconds: float) -> None:
        passed = asyncio.Event()
        self.waiting.append((seconds, passed))
        await passed.wait()

    async def start(self) -> None:
        """Open, arm, and start the stream."""
        await self.venue.open(SYMBOL)
        self.venue.arm(self.fuse)
        self.streaming = asyncio.create_task(self.venue.stream(SYMBOL, self.heard.append))
        await self.settle()

    async def settle(self) -> None:
        """Let everything run that can."""
        for _ in range(5):
            await asyncio.sleep(0)

    async def travel(self) -> None:
        """Let one journey pass, and the time that it takes."""
        await self.settle()
        seconds, passed = self.waiting.pop(0)
        self.time = Nanos(self.time + int(seconds * SECOND))
        passed.set()
        await self.settle()

    def market(self, *prints: Print) -> None:
        """Let the data source say something."""
        assert self.feed.sink is not None
        for each in prints:
            self.feed.sink(each)

    async def stop(self) -> None:
        self.streaming.cancel()
        await asyncio.wait([self.streaming])


async def test_an_order_meets_the_market_of_its_arrival_not_of_its_sending() -> None:
    world = World()
    await world.start()
    world.market(a_quote(99, 50, 101, 40))
    order = a_submit(1, 10, 101, kind=OrderKind.TAKE, at=world.time)
    submitting = asyncio.create_task(world.venue.submit(order))
    await world.settle()
    world.market(a_quote(99, 50, 103, 40))

    await world.travel()
    assert not submitting.done(), "the answer travels too"
    await world.travel()

    assert OrderClosed("p1n1", Lots(0), "expired") == await submitting
    await world.stop()


async def test_an_order_that_arrives_after_its_validity_is_dropped() -> None:
    world = World()
    await world.start()
    order = a_submit(1, 10, 98, valid_until=Nanos(world.time + LATENCY - 1))
    submitting = asyncio.create_task(world.venue.submit(order))
    await world.travel()
    await world.travel()

    fact = await submitting
    assert isinstance(fact, OrderClosed)
    assert fact.reason.startswith("expired")
    assert 0 == world.fuse.committed
    await world.stop()


async def test_a_fill_on_the_way_of_a_cancel_counts_and_the_cancel_is_refused() -> None:
    world = World()
    await world.start()
    world.market(a_quote(99, 50, 101, 40))
    submitting = asyncio.create_task(world.venue.submit(a_submit(1, 10, 100, at=world.time)))
    await world.travel()
    await world.travel()
    await submitting

    canceling = asyncio.create_task(world.venue.cancel(CancelOrder("p1n1", SYMBOL)))
    await world.settle()
    world.market(a_print(100, 10, Side.SELL))
    await world.travel()
    await world.travel()

    assert isinstance(await canceling, CancelRefused)
    assert [10] == [fact.fill.quantity for fact in world.heard if isinstance(fact, OrderFilled)]
    assert OrderClosed("p1n1", Lots(10), "filled") in world.heard
    await world.stop()


async def test_our_fill_comes_before_the_print_that_caused_it_is_passed_on_and_both_come() -> None:
    world = World()
    await world.start()
    world.market(a_quote(99, 50, 101, 40))
    submitting = asyncio.create_task(world.venue.submit(a_submit(1, 10, 100, at=world.time)))
    await world.travel()
    await world.travel()
    await submitting
    world.market(a_print(100, 4, Side.SELL))

    assert [OrderFilled, TradePrinted] == [type(fact) for fact in world.heard[-2:]]
    await world.stop()


async def test_the_account_channel_is_up_at_once_and_the_data_sources_own_account_is_not_ours() -> None:
    world = World()
    await world.start()
    world.market(*[])
    assert world.feed.sink is not None
    world.feed.sink(StreamRestored(Channel.ACCOUNT))
    world.feed.sink(StreamRestored(Channel.MARKET))

    assert [StreamRestored(Channel.ACCOUNT), StreamRestored(Channel.MARKET)] == world.heard
    await world.stop()


async def test_after_a_restart_nothing_is_known_and_no_fill_id_comes_again() -> None:
    ids = []
    for number in (1, 2):
        world = World()
        await world.start()
        world.market(a_quote(99, 50, 101, 40))
        querying = asyncio.create_task(world.venue.query(QueryOrder("p1n1", SYMBOL)))
        await world.travel()
        await world.travel()
        assert OrderMissing("p1n1") == await querying
        order = a_submit(number, 10, 101, kind=OrderKind.TAKE, at=world.time)
        submitting = asyncio.create_task(world.venue.submit(order))
        await world.travel()
        await world.travel()
        await submitting
        listing = asyncio.create_task(world.venue.fills(ListFills(SYMBOL, Nanos(0))))
        await world.travel()
        fill, end = await listing
        assert isinstance(fill, OrderFilled)
        assert isinstance(end, FillsListed)
        ids.append(fill.fill.id)
        await world.stop()

    assert 2 == len(set(ids))


async def test_what_paper_says_of_itself() -> None:
    world = World()
    await world.start()

    assert not world.venue.caps.own_prints
    assert world.venue.caps.request_validity > LATENCY
    assert "paper-binance" == await world.venue.account()
    assert [Balance("USDT", "10", "10")] == list(await world.venue.balances())
    assert Decimal("0.001") == await world.venue.taker_fee()
    await world.stop()
