"""The public trades and best quotes of one market, over one connection or several.

    connections  ->  first arrival wins  ->  each trade once  ->  sink
                     a jump, a reconnection  ->  back-fill

Promise: a trade is passed on once, whichever connection brought it first.  A planned renewal has the next connection up
before the last one goes.  `StreamLost` is said when no connection is left, `StreamRestored` only after what was missed
has been fetched, or its gap is left standing where the exchange will not give it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from execd.core.events import (
    Channel,
    PrintsMissed,
    QuoteChanged,
    StreamLost,
    StreamRestored,
    TradeBusted,
    TradePrinted,
)
from execd.core.grid import Nanos
from execd.venues import Sink, VenueError, passed_over
from execd.venues.streams import Dial, StreamLimits, nowhere
from execd.venues.streams.connection import Connection, Line
from execd.venues.streams.feed import Facts, Feed
from execd.venues.streams.sequence import Repeats
from execd.venues.streams.sequence import Sequence as Ids

History = Callable[[int | None, int | None, Nanos | None], Awaitable[Sequence[TradePrinted]]]
"""A page of public trades from an id (None: the most recent ones), not beyond another; see `Venue.trades`."""

REFILL_TRIES = 3
"""How often a refused back-fill is asked for before its gap is left standing."""

PAGES_MAX = 2_000
"""Most pages that are fetched for one gap."""


class MarketStream:
    """One market's trades and quotes; `limits.connections` at a time carry them."""

    channel = Channel.MARKET

    def __init__(
        self, feed: Feed, dial: Dial, limits: StreamLimits, *, history: History, clock: Callable[[], Nanos]
    ) -> None:
        self.ids: Ids | Repeats = Ids() if feed.contiguous else Repeats()
        self._line = Line(feed, dial, limits, clock, self._hear, self._spoil)
        self._feed, self._limits, self._history, self._clock = feed, limits, history, clock
        self._sink: Sink = nowhere
        self._live: list[Connection] = []  # those that are up, the oldest first
        self._up: bool | None = None
        self._update = 0
        self._at: Nanos | None = None  # the venue's time of the newest trade that was passed on
        self._lost_at: Nanos | None = None  # that of the newest one before the last loss
        self._since: Nanos | None = None  # not after anything that is missing
        self._spoiled = False
        self._wanted = asyncio.Event()

    @property
    def bad_frames(self) -> int:
        """Frames that made no sense and were survived."""
        return self._line.bad_frames

    @property
    def connections(self) -> int:
        """How many connections were made so far."""
        return self._line.connections

    async def run(self, sink: Sink) -> None:
        """Stream into the sink until canceled, reconnecting for ever."""
        self._sink = sink
        count = self._limits.connections
        async with asyncio.TaskGroup() as group:
            group.create_task(self._mend())
            for number in range(1, count + 1):
                # Their ages are spread, so that they are not renewed together.
                group.create_task(self._keep(self._limits.renew_s * number / count))

    # -------------------------------------------------------------------------------------------------- connections

    async def _keep(self, age_s: float) -> None:
        """Keep one connection up for ever, the next one up before the last one goes where that can be planned."""
        delay_s = self._limits.first_delay_s
        current = Connection(self._line, age_s)
        try:
            while True:
                if await current.settled():
                    self._came(current)
                    delay_s = self._limits.first_delay_s
                while not await current.spent():
                    current = await self._renewed(current)
                self._gone(current)
                await asyncio.sleep(delay_s)
                delay_s = min(self._limits.longest_delay_s, delay_s * 2)
                current = Connection(self._line, self._limits.renew_s)
        finally:
            await current.close()

    async def _renewed(self, old: Connection) -> Connection:
        """Open the next connection beside one that is old, and end that once both have been heard for a while."""
        new = Connection(self._line, self._limits.renew_s)
        try:
            if await new.settled():
                self._came(new)
                if await new.lasts(self._limits.overlap_s):
                    self._gone(old)
                    await old.close()
                    return new
                self._gone(new)
        except BaseException:
            await new.close()
            raise
        old.rest(self._limits.longest_delay_s)
        return old

    def _came(self, connection: Connection) -> None:
        self._live.append(connection)
        if not self._up:
            self._wanted.set()

    def _gone(self, connection: Connection) -> None:
        if connection in self._live:
            self._live.remove(connection)
        if self._live:
            return
        self._update = 0
        self._lost_at = self._at if self._lost_at is None else self._lost_at
        if self._up is not False:
            self._up = False
            self._sink(StreamLost(self.channel, connection.why))

    # -------------------------------------------------------------------------------------------------------- facts

    def _hear(self, connection: Connection, facts: Facts) -> None:
        for fact in facts:
            if isinstance(fact, TradePrinted):
                self._offer(fact)
            elif isinstance(fact, QuoteChanged):
                self._quote(connection, fact)
            else:
                # Not dropped as a repeat: what takes a trade back bears that trade's id.
                self._take(fact.id)
                self._sink(fact)

    def _offer(self, trade: TradePrinted) -> None:
        if self._spoiled:
            # What the frame was about, its neighbors cannot tell where ids do not rise by one.
            self._spoiled = False
            self._sink(PrintsMissed(self._at or trade.at, trade.at))
        if self._take(trade.id, trade.count):
            self._sink(trade)
        if self._at is None or trade.at > self._at:
            self._at = trade.at

    def _take(self, trade: int, count: int = 1) -> bool:
        """Whether a print is new; a jump is to be filled."""
        ids = self.ids
        jumps = ids.jumps
        new = ids.take(trade, count)
        if ids.jumps != jumps:
            self._since = self._at if self._since is None else self._since
            self._wanted.set()
        return new

    def _spoil(self) -> None:
        """A frame made no sense: perhaps it was a trade."""
        self._spoiled = isinstance(self.ids, Repeats)

    def _quote(self, connection: Connection, quote: QuoteChanged) -> None:
        """Pass a quote on, unless another connection brought this one or a later one before."""
        if quote.update == 0:
            if len(self._live) > 1 and connection is not self._live[0]:
                return  # Nothing tells which is the later one of two.
        elif quote.update <= self._update and quote.update > connection.update:
            connection.update = quote.update
            return
        else:
            # Lower than what this connection itself has said before, the exchange has begun to count anew.
            self._update = connection.update = quote.update
        self._sink(quote)

    # ---------------------------------------------------------------------------------------------------- back-fill

    async def _mend(self) -> None:
        """Fetch what was missed: after a loss, before the stream is called restored, and at each later jump."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if not self._up and self.ids.next is not None:
                self._resume(await self._asked() or ())
            await self._fill()
            if self._live and not self._up and not self._wanted.is_set():
                self._up = True
                self._sink(StreamRestored(self.channel))

    def _resume(self, newest: Sequence[TradePrinted]) -> None:
        """Merge the newest trades after a loss; where no id tells, say so if they do not reach back to before it."""
        lost_at, self._lost_at = self._lost_at, None
        if isinstance(self.ids, Repeats) and lost_at is not None:
            reach_back = newest and (newest[0].at < lost_at or newest[0].id in self.ids)
            if not reach_back:
                self._sink(PrintsMissed(lost_at, newest[0].at if newest else self._clock()))
        for trade in newest:
            self._offer(trade)

    async def _fill(self) -> None:
        """Ask for each range of missing ids, and leave standing what is refused: the market tracker keeps it."""
        for first, last in tuple(self.ids.missing):
            start, since, pages = first, self._since, 0
            while start <= last and pages < PAGES_MAX:
                page = [trade for trade in await self._asked(start, last, since) or () if trade.id >= start]
                if not page:
                    break
                for trade in page:
                    self._offer(trade)
                if self._feed.sparse:
                    for number in passed_over(start, last, page):
                        self._take(number)
                        self._sink(TradeBusted(number))
                start, since, pages = page[-1].id + 1, page[-1].at, pages + 1
        if not self.ids.missing:
            self._since = None

    async def _asked(
        self, first: int | None = None, last: int | None = None, since: Nanos | None = None
    ) -> Sequence[TradePrinted] | None:
        """A page of public trades; None where it is refused again and again."""
        for attempt in range(REFILL_TRIES):
            try:
                return await self._history(first, last, since)
            except VenueError:
                await asyncio.sleep(self._limits.first_delay_s * 2**attempt)
        return None
