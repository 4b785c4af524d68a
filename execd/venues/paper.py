"""Live prints, imagined fills: latency, queue, fees.

Promise: no order of ours reaches any exchange.  The market is the data source's; what would have filled is
`PaperBook`'s judgement.  Everything imagined lives in memory: after a restart a query says `OrderMissing` for every
order, and the fills of the earlier life are listed only if `remember` was given them from the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from execd.core.commands import CancelOrder, ListFills, QueryOrder, SubmitOrder
from execd.core.events import (
    Bar,
    CancelRefused,
    Channel,
    Event,
    FillsListed,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    Print,
    QuoteChanged,
    StreamRestored,
    TradePrinted,
)
from execd.core.grid import SECOND, Instrument, Lots, Nanos
from execd.core.orders import Fill
from execd.venues import Balance, OpenOrder, Sink, Venue, VenueError
from execd.venues.deadman import NO_DEAD_MAN
from execd.venues.fuse import Fuse
from execd.venues.paper_book import PaperBook

Pause = Callable[[float], Awaitable[None]]
"""Waits for some seconds."""


class PaperVenue:
    """An imagined account at a real exchange.

    Args:
        data: gives markets, bars, trades, time and the stream.
        clock: our own time.
        latency: how long a request travels, and how long its answer travels back.
        maker_fee: of the notional, for fills of resting orders.
        taker_fee: of the notional, for taking.
        funds: what `balances` shows; nothing is deducted from it.
        pause: waits; another one in tests.
    """

    def __init__(
        self,
        data: Venue,
        clock: Callable[[], Nanos],
        *,
        latency: Nanos,
        maker_fee: Decimal,
        taker_fee: Decimal,
        funds: Sequence[Balance] = (),
        pause: Pause = asyncio.sleep,
    ) -> None:
        self.name = data.name
        # Whatever has not arrived after its validity and one journey never will; a second is the scheduler's.
        validity = Nanos(latency + SECOND)
        self.caps = replace(data.caps, own_prints=False, request_validity=validity, dead_man=NO_DEAD_MAN)
        self._data, self._clock = data, clock
        self._fuse: Fuse | None = None
        self._latency_s = latency / SECOND
        self._maker_fee, self._taker_fee = maker_fee, taker_fee
        self._funds, self._pause = tuple(funds), pause
        self._books: dict[str, PaperBook] = {}
        self._sinks: dict[str, Sink] = {}

    @property
    def bad_frames(self) -> int:
        """The data source's."""
        return self._data.bad_frames

    async def open(self, symbol: str) -> Instrument:
        """Open the market at the data source, and an empty imagined book for it.  Raises VenueError."""
        instrument = await self._data.open(symbol)
        self._books.setdefault(symbol, PaperBook(instrument, maker_fee=self._maker_fee, taker_fee=self._taker_fee))
        return instrument

    def arm(self, fuse: Fuse) -> None:
        """Give the imagined account its fuse.  Before this no order is taken."""
        self._fuse = fuse

    def remember(self, symbol: str, fills: Sequence[Fill]) -> None:
        """Take up the fills that the journal holds of an earlier life.  Raises VenueError."""
        self._book(symbol).remember(fills)

    async def quote(self, symbol: str) -> QuoteChanged:
        """The data source's best bid and ask.  Raises VenueError."""
        return await self._data.quote(symbol)

    async def account(self) -> str:
        """A name that no real account has."""
        return f"paper-{self.name}"

    async def clock_offset(self) -> Nanos:
        """The data source's.  Raises VenueError."""
        return await self._data.clock_offset()

    async def balances(self) -> Sequence[Balance]:
        """The imagined funds."""
        return self._funds

    async def taker_fee(self) -> Decimal:
        """The imagined one."""
        return self._taker_fee

    async def open_orders(self, symbol: str) -> Sequence[OpenOrder]:
        """The imagined orders that are open.  Raises VenueError."""
        return [OpenOrder(order.order, order.venue_id, symbol) for order in self._book(symbol).living()]

    async def bars(self, symbol: str, interval: Nanos, count: int, before: Nanos) -> Sequence[Bar]:
        """The data source's.  Raises VenueError."""
        return await self._data.bars(symbol, interval, count, before)

    async def trades(
        self, symbol: str, first: int | None, last: int | None, since: Nanos | None = None
    ) -> Sequence[TradePrinted]:
        """The data source's.  Raises VenueError."""
        return await self._data.trades(symbol, first, last, since)

    async def submit(self, command: SubmitOrder) -> OrderAccepted | OrderClosed | OrderLost:
        """Imagine an order: it travels, meets the market of its arrival, and the answer travels back."""
        if self._fuse is None:
            return OrderClosed(command.order, Lots(0), "refused: there is no fuse yet")
        refusal = self._fuse.refusal(command, self._clock())
        if refusal is not None:
            return refusal
        await self._pause(self._latency_s)
        arrived = self._clock()
        answer = self._arrive(command, arrived)
        self._note(answer, arrived)
        await self._pause(self._latency_s)
        return answer

    async def cancel(self, command: CancelOrder) -> OrderClosed | CancelRefused | OrderLost:
        """End an imagined order, if it still lives when the request arrives."""
        await self._pause(self._latency_s)
        answer = self._book(command.symbol).cancel(command.order)
        self._note(answer, self._clock())
        await self._pause(self._latency_s)
        return answer

    async def query(self, command: QueryOrder) -> OrderAccepted | OrderClosed | OrderMissing | None:
        """An imagined order's state; `OrderMissing` for all of an earlier life's."""
        await self._pause(self._latency_s)
        answer = self._book(command.symbol).query(command.order)
        self._note(answer, self._clock())
        await self._pause(self._latency_s)
        return answer

    async def fills(self, command: ListFills) -> Sequence[OrderFilled | FillsListed]:
        """The imagined fills of this life since a moment."""
        await self._pause(self._latency_s)
        through = self._clock()
        return (*self._book(command.symbol).fills(command.since), FillsListed(through))

    async def hold_dead_man(self, symbol: str) -> None:
        """Raise VenueError: what is imagined dies with us."""
        raise VenueError(f"the imagined orders in {symbol} need no timer")

    async def release_dead_man(self, symbol: str) -> None:
        """Raise VenueError, as `hold_dead_man`."""
        await self.hold_dead_man(symbol)

    async def stream(self, symbol: str, sink: Sink) -> None:
        """Stream the data source's prints and quotes, and the imagined fills that they cause, until canceled."""
        book = self._book(symbol)
        self._sinks[symbol] = sink

        def hear(event: Event | Print) -> None:
            match event:
                case StreamRestored(Channel.ACCOUNT):
                    return  # ours was said below; the data source's own account is none of our business
                case QuoteChanged():
                    book.quoted(event)
                case TradePrinted():
                    for fact in book.printed(event):
                        self._tell(symbol, fact)
            sink(event)

        sink(StreamRestored(Channel.ACCOUNT))
        try:
            await self._data.stream(symbol, hear)
        finally:
            del self._sinks[symbol]

    async def close(self) -> None:
        """Close the data source."""
        await self._data.close()

    def _book(self, symbol: str) -> PaperBook:
        book = self._books.get(symbol)
        if book is None:
            raise VenueError(f"{symbol} was not opened on {self.name}")
        return book

    def _arrive(self, command: SubmitOrder, now: Nanos) -> OrderAccepted | OrderClosed:
        if now > command.valid_until:
            return OrderClosed(command.order, Lots(0), "expired: it arrived too late")
        answer, fills = self._book(command.symbol).submit(command, now)
        for fact in fills:
            self._tell(command.symbol, fact)
        return answer

    def _tell(self, symbol: str, fact: OrderFilled | OrderClosed) -> None:
        self._note(fact, self._clock())
        sink = self._sinks.get(symbol)
        if sink is not None:
            sink(fact)

    def _note(self, fact: Event, now: Nanos) -> None:
        if self._fuse is not None:
            self._fuse.note(fact, now)
