"""One WebSocket connection, either kind: frames in, frames out, pings, and what happens to the slow and the mute.

Promise: sending never waits. What a client does not read is kept up to a bound, then its connection is cut, so
that no client can hold up another. Every frame out passes `Socket.send` and every frame in `Socket.frames`;
those two are also where the exchange misbehaves when it is told to (see `storm_frames`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMsgType, web

from execd.exchange.storm import Seen, Storm
from execd.exchange.storm_frames import Gusts, Piece, SlowFrame

MAX_FRAME_BYTES = 1 << 20
REPLY = Seen("reply")


@dataclass(frozen=True, slots=True)
class SocketRules:
    """How a connection is kept, as Binance keeps it.

    Attributes:
        ping_every_s: The server pings this often.
        pong_within_s: A client that has not answered a ping for this long is cut off.
        lifetime_s: A connection ends after this long: a day.
        messages_per_s: Incoming frames a second over which a market stream's client is cut off; None for no limit.
        queue: Frames that are kept for a client that does not read.
    """

    ping_every_s: float = 20.0
    pong_within_s: float = 60.0
    lifetime_s: float = 86_400.0
    messages_per_s: int | None = None
    queue: int = 10_000


class Socket:
    """A connection, from its hand-shake to its end; while it is open it stands in the register.

    `kind` is `market` or `user`; with a `storm` its frames suffer what that one's rules say.
    """

    def __init__(
        self, request: web.Request, rules: SocketRules, register: set[Socket], kind: str, storm: Storm | None = None
    ) -> None:
        self.kind = kind
        self._gusts = None if storm is None else Gusts(storm, self._keep_for_writing)
        self._mute_until = 0.0
        self._pen = asyncio.Lock()  # a slow frame must not have a ping in its middle
        self._register = register
        self._request = request
        self._rules = rules
        self._ws = web.WebSocketResponse(autoping=False, max_msg_size=MAX_FRAME_BYTES, compress=False, timeout=2.0)
        self._waiting: deque[Piece] = deque()
        self._wake = asyncio.Event()
        self._pong_at = 0.0
        self._arrived: deque[float] = deque(maxlen=rules.messages_per_s)

    @property
    def response(self) -> web.WebSocketResponse:
        """What the HTTP handler returns."""
        return self._ws

    def send(self, frame: bytes, seen: Seen = REPLY) -> None:
        """Send a text frame as soon as the client takes it; cut the client off where too many wait.

        Args:
            frame: the text.
            seen: what it is and whom it is about, for the rules of a storm.
        """
        if self._gusts is None:
            self._keep_for_writing(frame)
        else:
            self._gusts.send(frame, seen)

    def mute(self, seconds: float) -> None:
        """Be half open for a while: send nothing, answer no ping, read nothing."""
        self._mute_until = asyncio.get_running_loop().time() + seconds

    def cut(self) -> None:
        """End the connection at once, without a close frame: the client does not read anyway."""
        self._waiting.clear()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def close(self, code: int = WSCloseCode.GOING_AWAY, reason: str = "") -> None:
        """End the connection politely."""
        await self._ws.close(code=code, message=reason.encode())

    async def frames(self) -> AsyncIterator[str]:
        """Shake hands, then give every text frame that comes until the connection ends."""
        await self._ws.prepare(self._request)
        loop = asyncio.get_running_loop()
        self._pong_at = loop.time()
        self._register.add(self)
        helpers = [asyncio.create_task(self._write()), asyncio.create_task(self._keep())]
        try:
            async for message in self._ws:
                if self._muted:
                    continue
                if not self._allowed(loop.time()):
                    await self.close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
                elif message.type is WSMsgType.TEXT:
                    yield message.data
                elif message.type is WSMsgType.PING:
                    async with self._pen:
                        await self._ws.pong(message.data)
                elif message.type is WSMsgType.PONG:
                    self._pong_at = loop.time()
        finally:
            self._register.discard(self)
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    def _allowed(self, now: float) -> bool:
        """Whether the client keeps to its messages a second; pings and pongs count."""
        limit = self._rules.messages_per_s
        if limit is None:
            return True
        too_fast = len(self._arrived) == limit and now - self._arrived[0] < 1.0
        self._arrived.append(now)
        return not too_fast

    @property
    def _muted(self) -> bool:
        return asyncio.get_running_loop().time() < self._mute_until

    def _keep_for_writing(self, piece: Piece) -> None:
        if len(self._waiting) >= self._rules.queue:
            self.cut()
            return
        self._waiting.append(piece)
        self._wake.set()

    async def _write(self) -> None:
        # A client that went away in mid-send is no news here: the reader sees the end of the connection.
        with contextlib.suppress(ConnectionError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._put(self._waiting.popleft())

    async def _put(self, piece: Piece) -> None:
        if self._muted:
            return
        async with self._pen:
            if not isinstance(piece, SlowFrame):
                await self._ws.send_frame(piece, WSMsgType.TEXT)
            elif self._request.transport is not None:
                await piece.write(self._request.transport)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        born = loop.time()
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._rules.ping_every_s)
                now = loop.time()
                if now - born >= self._rules.lifetime_s:
                    await self.close(WSCloseCode.GOING_AWAY, "24 hours")
                    return
                if now - self._pong_at > self._rules.pong_within_s:
                    self.cut()
                    return
                if not self._muted:
                    async with self._pen:
                        await self._ws.ping(str(int(now * 1_000)).encode())
