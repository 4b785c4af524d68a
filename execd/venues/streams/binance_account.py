"""Binance Spot's reports of our own orders.

Promise: `StreamRestored` is said only after what was missed has been fetched: own fills and the states of our living
orders, without exception.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from execd.core.events import Channel, Event
from execd.core.grid import MINUTE, Nanos
from execd.venues import VenueError
from execd.venues.credentials import Credentials
from execd.venues.streams import Dial, Sink, Stream, StreamLimits, beside, reason
from execd.venues.streams.binance_frames import AccountFrames, Goodbye, Reply, Report
from execd.venues.streams.feed import BadFrame, StreamBroken

CatchUp = Callable[[Nanos], Awaitable[Sequence[Event]]]
"""What happened to our orders since a moment.  Raises VenueError where it cannot be known."""

REPLY_S = 10.0
"""How long a subscription may take."""

OVERLAP = MINUTE
"""How far before the last report a catch-up begins: reports and fills may have crossed on the way."""


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
