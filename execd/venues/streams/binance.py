"""Binance Spot's native streams: public prints and quotes, and reports of our own orders.

Promise: `StreamRestored` is said only after what was missed has been fetched: public trades by id (or their gap is left
standing where the exchange will not give them), own fills and the states of our living orders without exception.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from execd.core.events import Channel, Event, TradePrinted
from execd.core.grid import MINUTE, Nanos
from execd.venues import VenueError
from execd.venues.credentials import Credentials
from execd.venues.streams import BadFrame, Dial, Sink, Stream, StreamBroken, StreamLimits, beside, reason
from execd.venues.streams.binance_frames import AccountFrames, Goodbye, MarketFrames, Reply, Report
from execd.venues.streams.sequence import Sequence as Ids

History = Callable[[int | None, int | None], Awaitable[Sequence[TradePrinted]]]
"""A page of public trades from an id (None: the most recent ones), not beyond another."""

CatchUp = Callable[[Nanos], Awaitable[Sequence[Event]]]
"""What happened to our orders since a moment.  Raises VenueError where it cannot be known."""

REFILL_TRIES = 3
"""How often a refused back-fill is asked for before its gap is left standing."""

REPLY_S = 10.0
"""How long a subscription may take."""

OVERLAP = MINUTE
"""How far before the last report a catch-up begins: reports and fills may have crossed on the way."""


class MarketStream(Stream):
    """`<symbol>@trade` and `<symbol>@bookTicker` on one connection."""

    channel = Channel.MARKET

    def __init__(
        self,
        url: str,
        dial: Dial,
        limits: StreamLimits,
        *,
        frames: MarketFrames,
        history: History,
        clock: Callable[[], Nanos],
    ) -> None:
        super().__init__(f"{url}/stream?streams={'/'.join(frames.names)}", dial, limits)
        self.ids = Ids()
        self._frames, self._history, self._clock = frames, history, clock
        self._jumped = asyncio.Event()

    async def session(self, socket: ClientConnection, sink: Sink) -> None:
        """Read prints and quotes until the connection breaks or falls silent.  Raises StreamBroken."""
        async with beside(self._refills(sink)):
            await self._read(socket, sink)

    async def _read(self, socket: ClientConnection, sink: Sink) -> None:
        loop, patience = asyncio.get_running_loop(), self._limits.stale_s
        try:
            async with asyncio.timeout(patience) as silence:
                while True:
                    if self._hear(await socket.recv(decode=False), sink):
                        silence.reschedule(loop.time() + patience)
        except TimeoutError:
            raise StreamBroken(f"no print and no quote for {patience:g} s") from None

    def _hear(self, frame: bytes, sink: Sink) -> bool:
        """Pass a frame on; whether it was a print or a quote.  Raises StreamBroken."""
        try:
            fact = self._frames.decode(frame, self._clock())
        except BadFrame:
            self.bad_frames += 1
            return False
        if isinstance(fact, Goodbye):
            raise StreamBroken(fact.why)
        if fact is None:
            return False
        if isinstance(fact, TradePrinted):
            self._offer(fact, sink)
        else:
            sink(fact)
        return True

    def _offer(self, trade: TradePrinted, sink: Sink) -> None:
        jumps = self.ids.jumps
        if self.ids.take(trade.id):
            sink(trade)
        if self.ids.jumps != jumps:
            self._jumped.set()

    async def _refills(self, sink: Sink) -> None:
        """Fill what the lost connection missed, say so, then fill each later jump as it is seen."""
        if self.ids.next is not None:
            await self._persist(self._newest, sink)
        while self._jumped.is_set():
            await self._fill(sink)
        self.restored(sink)
        while True:
            await self._jumped.wait()
            await self._fill(sink)

    async def _fill(self, sink: Sink) -> None:
        # Cleared first: what jumps while we fill asks for another round.
        self._jumped.clear()
        await self._persist(self._fill_gaps, sink)

    async def _persist(self, work: Callable[[Sink], Awaitable[None]], sink: Sink) -> None:
        for attempt in range(REFILL_TRIES):
            try:
                return await work(sink)
            except VenueError:
                # The gap stands in the market tracker; the next jump or reconnection tries again.
                await asyncio.sleep(self._limits.first_delay_s * 2**attempt)
        return None

    async def _newest(self, sink: Sink) -> None:
        for trade in await self._history(None, None):
            self._offer(trade, sink)

    async def _fill_gaps(self, sink: Sink) -> None:
        for first, last in tuple(self.ids.missing):
            start = first
            while start <= last:
                page = [trade for trade in await self._history(start, last) if trade.id >= start]
                if not page:
                    break
                for trade in page:
                    self._offer(trade, sink)
                start = page[-1].id + 1


class AccountStream(Stream):
    """Execution reports over the WebSocket API's signed subscription."""

    channel = Channel.ACCOUNT

    def __init__(
        self,
        url: str,
        dial: Dial,
        limits: StreamLimits,
        *,
        credentials: Credentials,
        frames: AccountFrames,
        catch_up: CatchUp,
        heard: Callable[[Report], bool],
        clock: Callable[[], Nanos],
        venue_ms: Callable[[], int],
    ) -> None:
        super().__init__(url, dial, limits)
        self._credentials, self._frames, self._catch_up = credentials, frames, catch_up
        self._heard, self._clock, self._venue_ms = heard, clock, venue_ms
        self._numbers = itertools.count(1)
        self._since = Nanos(clock() - OVERLAP)
        self._failure: str | None = None

    async def session(self, socket: ClientConnection, sink: Sink) -> None:
        """Subscribe, catch up beside the stream, read until the connection breaks.  Raises StreamBroken."""
        self._failure = None
        await self._subscribe(socket, sink)
        async with beside(self._restore(socket, sink)):
            try:
                while True:
                    self._hear(await socket.recv(decode=False), sink)
            except ConnectionClosed as closed:
                raise StreamBroken(self._failure or reason(closed)) from None

    async def _subscribe(self, socket: ClientConnection, sink: Sink) -> None:
        number = f"execd-{next(self._numbers)}"
        params = self._credentials.signed({"timestamp": self._venue_ms()})
        request = {"id": number, "method": "userDataStream.subscribe.signature", "params": params}
        await socket.send(json.dumps(request))
        try:
            async with asyncio.timeout(REPLY_S):
                reply = None
                while reply is None or reply.id != number:
                    reply = self._hear(await socket.recv(decode=False), sink)
        except TimeoutError:
            raise StreamBroken("the subscription was not answered") from None
        if not reply.ok:
            raise StreamBroken(f"the subscription was refused: {reply.text}")

    async def _restore(self, socket: ClientConnection, sink: Sink) -> None:
        try:
            facts = await self._catch_up(self._since)
        except VenueError as error:
            self._failure = f"catching up failed: {error}"
            await socket.close()
            return
        for fact in facts:
            sink(fact)
        self.restored(sink)

    def _hear(self, data: bytes, sink: Sink) -> Reply | None:
        """Pass on what a frame says of our orders; return a reply to a request of ours.  Raises StreamBroken."""
        try:
            frame = self._frames.decode(data)
        except BadFrame:
            self.bad_frames += 1
            return None
        match frame:
            case Goodbye(why):
                raise StreamBroken(why)
            case Reply():
                return frame
            case Report() if self._heard(frame):
                self._since = max(self._since, Nanos(frame.at - OVERLAP))
                for fact in frame.facts:
                    sink(fact)
        return None
