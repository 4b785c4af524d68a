"""One WebSocket of a market stream, from its dial to its end.

Promise: it ends by itself when the exchange is silent for longer than its rhythm allows, says goodbye, or breaks; why
is told in `why`.  A frame that makes no sense is counted and survived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection

from execd.core.grid import SECOND, Nanos
from execd.venues.streams import LOST, Dial, StreamLimits, beside, dialed, reason
from execd.venues.streams.direct import DirectConnection
from execd.venues.streams.feed import BadFrame, Facts, Feed, StreamBroken
from execd.venues.streams.rhythm import Rhythm

LOOK_MOST_S = 1.0
"""Between two looks at how long a connection has been silent, at most."""

LOOK_AGAIN_S = 0.05
"""Between the look that finds it silent and the one that believes it."""


@dataclass(slots=True)
class Line:
    """What all connections of a stream have in common, and what they count together.

    `hear` is called with the facts of each frame, `spoil` for one that makes no sense.
    """

    feed: Feed
    dial: Dial
    limits: StreamLimits
    clock: Callable[[], Nanos]
    hear: Callable[[Connection, Facts], None]
    spoil: Callable[[], None]
    bad_frames: int = 0
    connections: int = 0


class Connection:
    """Reads one market over one WebSocket.

    `up` is set once it is subscribed, as far as that can be seen; `old` once it is to be renewed.  `update` is the
    number of the last quote that came over it.
    """

    def __init__(self, line: Line, age_s: float) -> None:
        """Begin to dial; it is to be renewed at this age."""
        self.up, self.old = asyncio.Event(), asyncio.Event()
        self.update = 0
        self.why = "ended"
        self._line, self._feed, self._decode, self._clock, self._hear = (
            line,
            line.feed,
            line.feed.decode,
            line.clock,
            line.hear,
        )
        self._rhythm = Rhythm(line.clock(), Nanos(0))
        self._socket: DirectConnection | None = None
        self._answered = False
        self._ended: str | None = None
        self._failed: Exception | None = None
        self._timer = asyncio.get_running_loop().call_later(age_s, self.old.set)
        self._task = asyncio.create_task(self._live())

    async def settled(self) -> bool:
        """Wait until it is up or has ended; whether it is up."""
        await self._until(self.up)
        return self.up.is_set() and not self._task.done()

    async def lasts(self, seconds: float) -> bool:
        """Wait a while, or until it has ended; whether it lives."""
        await asyncio.wait([self._task], timeout=seconds)
        return not self._task.done()

    async def spent(self) -> bool:
        """Wait until it has ended or is old; whether it has ended.  Raises what broke on our side."""
        await self._until(self.old)
        if self._task.done():
            self._task.result()
        return self._task.done()

    def rest(self, seconds: float) -> None:
        """Be old again only after a while."""
        self.old.clear()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.old.set)

    async def close(self) -> None:
        """End it."""
        self._timer.cancel()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _until(self, event: asyncio.Event) -> None:
        waiting = asyncio.create_task(event.wait())
        try:
            await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    async def _live(self) -> None:
        """Read until it breaks."""
        try:
            async with dialed(self._feed.url, self._line.dial, DirectConnection) as socket:
                assert isinstance(socket, DirectConnection)
                self._line.connections += 1
                for message in self._feed.hello:
                    await socket.send(message)
                if not self._feed.hello:
                    self._answered = True
                    self.up.set()
                self._rhythm = Rhythm(self._clock(), Nanos(int(self._line.limits.stale_s * SECOND)))
                self._socket, socket.hear = socket, self._read
                async with beside(self._watch()), beside(self._speak(socket)):
                    while True:  # what is no ordinary frame
                        self._read(await socket.recv(decode=False))
        except LOST as error:
            if self._failed is not None:
                raise self._failed from None
            self.why = self._ended or reason(error)

    def _read(self, frame: bytes) -> None:
        """Pass on what a frame says.  Never raises: it is called from the depths of the event loop."""
        now = self._clock()
        try:
            facts = self._decode(frame, now)
            if facts:
                self._rhythm.beat(now)
                self._hear(self, facts)
        except BadFrame:
            self._line.bad_frames += 1
            self._line.spoil()
            return
        except StreamBroken as broken:
            self._end(str(broken))
        except Exception as error:  # raised again where the connection is awaited
            self._failed = error
            self._end(type(error).__name__)
        if not self._answered:
            # What answers us knows us: the first frame that makes sense says that we are subscribed.
            self._answered = True
            self.up.set()

    def _end(self, why: str) -> None:
        """Not politely: a dead peer would not answer, and nobody waits for a living one's goodbye."""
        self._ended = self._ended or why
        if self._socket is not None:
            self._socket.hear = None
            self._socket.transport.abort()

    async def _watch(self) -> None:
        """Cut the connection off once it has been silent for too long, by two looks."""
        doubted = False
        while True:
            now = self._clock()
            patience, silence = self._rhythm.patience(now), now - self._rhythm.heard_at
            if silence < patience:
                doubted = False
                await asyncio.sleep(min(LOOK_MOST_S, (patience - silence) / SECOND))
            elif doubted:
                self._end(f"no print and no quote for {silence / SECOND:.3g} s")
                return
            else:
                # It may be we who stood still: then what it has said meanwhile is heard first.
                doubted = True
                await asyncio.sleep(LOOK_AGAIN_S)

    async def _speak(self, socket: ClientConnection) -> None:
        """Say what the exchange wants to hear again and again."""
        beat = self._feed.beat
        while beat is not None:
            await asyncio.sleep(beat.every_s)
            await socket.send(beat.message)
