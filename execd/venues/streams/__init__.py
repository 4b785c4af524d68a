"""Keeps a WebSocket alive for ever: dials, backs off, renews before the exchange does.

Promise: a stream ends only by being canceled.  Every loss is said once with its reason, however often the dial fails
after it; a frame that makes no sense is counted and survived.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from execd.core.events import Channel, StreamLost, StreamRestored
from execd.venues import Sink as Sink
from execd.venues.streams.feed import StreamBroken

Dial = Callable[[str], dict[str, Any]]
"""Extra arguments of `websockets.connect` for a URL."""

LOST = (StreamBroken, ConnectionClosed, WebSocketException, ssl.SSLError, OSError, EOFError)
"""What the end of a connection raises."""

PING_S = 5.0
"""Between pings, and how long a pong may take."""

CLOSE_S = 1.0
"""How long to wait for a peer's goodbye: the default of ten seconds would delay the news of a dead one."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How patient a stream is, in seconds, and how many connections carry the public data.

    `stale_s` is the longest silence, `first_delay_s` and `longest_delay_s` lie between dials, at the age of `renew_s` a
    connection is renewed, and a new one runs beside the old one for `overlap_s`.
    """

    stale_s: float = 10.0
    first_delay_s: float = 0.2
    longest_delay_s: float = 30.0
    # Binance closes every connection after 24 h.
    renew_s: float = 23 * 3600.0
    overlap_s: float = 2.0
    connections: int = 1


class Stream(ABC):
    """One reconnecting WebSocket.  A venue's own streams say how to subscribe and read."""

    channel: Channel

    def __init__(self, url: str, dial: Dial, limits: StreamLimits) -> None:
        self._url, self._dial, self._limits = url, dial, limits
        self._up: bool | None = None
        self._delay = limits.first_delay_s
        self.bad_frames = 0
        self.connections = 0

    async def run(self, sink: Sink) -> None:
        """Stream into the sink until canceled."""
        while True:
            why = await self._connection(sink)
            if self._up is not False:
                self._up = False
                sink(StreamLost(self.channel, why))
            await asyncio.sleep(self._delay)
            self._delay = min(self._limits.longest_delay_s, self._delay * 2)

    @abstractmethod
    async def session(self, socket: ClientConnection, sink: Sink) -> None:
        """Use one open connection until it breaks.  Raises StreamBroken."""

    def restored(self, sink: Sink) -> None:
        """Say that the stream is up and nothing is owed."""
        self._up = True
        self._delay = self._limits.first_delay_s
        sink(StreamRestored(self.channel))

    async def _connection(self, sink: Sink) -> str:
        try:
            async with asyncio.timeout(self._limits.renew_s) as age:
                await self._dialed(sink)
        except TimeoutError:
            return "renewed before the exchange would close it" if age.expired() else "timed out"
        except LOST as error:
            return reason(error)
        return "ended"

    async def _dialed(self, sink: Sink) -> None:
        async with dialed(self._url, self._dial) as socket:
            self.connections += 1
            await self.session(socket, sink)


def dialed(url: str, dial: Dial, kind: type[ClientConnection] = ClientConnection) -> connect:
    """Open a WebSocket: to be entered with `async with`.  No compression: it costs more than it saves here."""
    return connect(
        url,
        compression=None,
        ping_interval=PING_S,
        ping_timeout=PING_S,
        close_timeout=CLOSE_S,
        proxy=None,
        create_connection=kind,
        **dial(url),
    )


def reason(error: BaseException) -> str:
    """A short text for a loss."""
    text = " ".join(str(error).split())[:120]
    return text if isinstance(error, StreamBroken) else f"{type(error).__name__}: {text}"


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run work while the block runs; end it with the block.  What it raised is raised at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def nowhere(_fact: object) -> None:
    """The sink of a stream that does not run."""
    raise AssertionError("a stream that does not run has nothing to tell")
