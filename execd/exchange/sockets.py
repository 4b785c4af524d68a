"""One WebSocket connection, either kind: frames in, frames out, pings, and what happens to the slow and the mute.

Promise: sending never waits. What a client does not read is kept up to a bound, then its connection is cut, so
that no client can hold up another. Every frame out passes `Socket.send` and every frame in `Socket.frames`;
those two are also where a test can make the exchange misbehave.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMsgType, web

MAX_FRAME_BYTES = 1 << 20


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
    """A connection, from its hand-shake to its end; while it is open it stands in the register."""

    def __init__(self, request: web.Request, rules: SocketRules, register: set[Socket]) -> None:
        self._register = register
        self._request = request
        self._rules = rules
        self._ws = web.WebSocketResponse(autoping=False, max_msg_size=MAX_FRAME_BYTES, compress=False, timeout=2.0)
        self._waiting: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._pong_at = 0.0
        self._arrived: deque[float] = deque(maxlen=rules.messages_per_s)

    @property
    def response(self) -> web.WebSocketResponse:
        """What the HTTP handler returns."""
        return self._ws

    def send(self, frame: bytes) -> None:
        """Send a text frame as soon as the client takes it; cut the client off where too many wait."""
        if len(self._waiting) >= self._rules.queue:
            self.cut()
            return
        self._waiting.append(frame)
        self._wake.set()

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
                if not self._allowed(loop.time()):
                    await self.close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
                elif message.type is WSMsgType.TEXT:
                    yield message.data
                elif message.type is WSMsgType.PING:
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

    async def _write(self) -> None:
        # A client that went away in mid-send is no news here: the reader sees the end of the connection.
        with contextlib.suppress(ConnectionError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._ws.send_frame(self._waiting.popleft(), WSMsgType.TEXT)

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
                await self._ws.ping(str(int(now * 1_000)).encode())
