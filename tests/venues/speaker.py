"""A server on loopback that speaks any exchange's dialect, and can be told to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from execd.core.events import TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues.streams.feed import Feed
from tests.venues.helpers import WAIT_S

SECOND_0 = 1_700_000_000_000_000_000


def a_trade(number: int, at_ms: int | None = None) -> TradePrinted:
    """A trade of its own price and size for every number, a millisecond apart."""
    at = Nanos(SECOND_0 + (number if at_ms is None else at_ms) * 1_000_000)
    taker = Side.BUY if number % 2 else Side.SELL
    return TradePrinted(number, Ticks(4_000_000 + number % 977), Lots(1 + number % 13), at, taker)


class Speaker:
    """Clients in the order in which they came; `welcome` is said to each at once; `refusing` resets whoever comes."""

    def __init__(self) -> None:
        self.clients: list[ServerConnection] = []
        self.heard: list[str] = []
        self.welcome: list[bytes] = []
        self.port = 0
        self.refusing, self.refused = False, 0
        self._came = asyncio.Condition()

    @property
    def alive(self) -> list[ServerConnection]:
        """The clients that are still there."""
        return [client for client in self.clients if client.close_code is None]

    async def say(self, frames: Iterable[bytes], to: Iterable[ServerConnection] | None = None) -> None:
        """Send frames to clients, by default to all."""
        for frame in frames:
            for client in self.alive if to is None else to:
                with contextlib.suppress(ConnectionClosed):
                    await client.send(frame, text=True)

    def cut(self, client: ServerConnection) -> None:
        """Reset a connection."""
        client.transport.abort()

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until who came and what they said meets a condition.  Raises TimeoutError."""
        async with asyncio.timeout(WAIT_S), self._came:
            await self._came.wait_for(met)

    async def _serve(self, client: ServerConnection) -> None:
        if self.refusing:
            self.refused += 1
            client.transport.abort()
            return await self._tell()
        await self.say(self.welcome, [client])
        self.clients.append(client)
        await self._tell()
        try:
            async for message in client:
                self.heard.append(str(message))
                await self._tell()
        finally:
            await self._tell()
        return None

    async def _tell(self) -> None:
        async with self._came:
            self._came.notify_all()


@contextlib.asynccontextmanager
async def speaking() -> AsyncIterator[Speaker]:
    """A speaker that listens."""
    speaker = Speaker()
    async with serve(speaker._serve, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=0.1) as server:
        speaker.port = next(iter(server.sockets)).getsockname()[1]
        yield speaker


def local(kind: type[Feed], port: int, *given: Any) -> Feed:
    """A feed of some kind that dials a speaker instead of its exchange."""

    class Local(kind):  # type: ignore[misc, valid-type]  # the kind is chosen by the test
        @property
        def url(self) -> str:
            """The speaker."""
            return f"ws://127.0.0.1:{port}/"

    made: Feed = Local(*given)
    return made
