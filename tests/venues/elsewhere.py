"""Exchanges other than Binance Spot, as far as their public data go: real ccxt in front, one market of each behind.

A `Form` is one exchange's own way to write; what is written is the same for all of them, and stands here.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import WSMsgType, web

from execd.core.events import TradePrinted
from execd.core.grid import MINUTE, SECOND, Instrument, Nanos, Side
from execd.venues.ccxt_venue import CcxtVenue
from tests.venues.helpers import WAIT_S
from tests.venues.timers import Recorder, serving

START_MS = 1_704_067_200_000
"""The first minute that the exchanges know: long ago, so that ccxt takes their older candles."""

START_S = START_MS // 1000
MINUTES = 600
EMPTY_MINUTE = 3
"""A minute without a trade, of which there is no candle."""

NOW = Nanos(START_MS * 1_000_000 + MINUTES * MINUTE + 400 * SECOND // 1000)
"""Our own time: 400 ms after a full second."""

NOW_MS = NOW // 1_000_000

END = Nanos(START_MS * 1_000_000 + MINUTES * MINUTE)

Levels = list[tuple[str, str]]


@dataclass(frozen=True)
class Row:
    """A public trade; `ms` after the first minute."""

    id: int
    price: str
    size: str
    side: str
    ms: int

    @property
    def at_ms(self) -> int:
        """When it was."""
        return START_MS + self.ms


ROWS = (
    Row(1001, "50000.1", "0.015", "buy", 0),
    Row(1002, "49999.9", "0.002", "sell", 0),
    Row(1003, "50000.5", "1.25", "buy", 7),
    Row(1004, "50000", "0.1", "sell", 1_500),
    Row(1005, "50010", "12", "buy", 61_001),
)


@dataclass(frozen=True)
class Candle:
    """A minute's."""

    minute: int

    @property
    def ms(self) -> int:
        """When it begins."""
        return START_MS + self.minute * 60_000

    @property
    def prices(self) -> tuple[str, str, str, str]:
        """Open, high, low, close; the mean of the last three is the close."""
        close = 50_000 + self.minute
        return str(close - 1), str(close + 1), str(close - 1), str(close)

    @property
    def thousandths(self) -> int:
        """Its volume."""
        return self.minute + 1

    @property
    def volume(self) -> str:
        """Its volume as text."""
        return f"{self.thousandths // 1000}.{self.thousandths % 1000:03}"


def candles(first_ms: int, last_ms: int) -> list[Candle]:
    """Those that begin between two moments, both of them too; none without a trade."""
    found = [Candle(minute) for minute in range(MINUTES) if minute != EMPTY_MINUTE]
    return [candle for candle in found if first_ms <= candle.ms <= last_ms]


class Form(ABC):
    """One exchange's own way to write; `paths` says which of its methods answers what."""

    exchange: ClassVar[str]
    symbol: ClassVar[str] = "BTC/USDT"
    tick: ClassVar[str] = "0.1"
    lot: ClassVar[str] = "0.00000001"
    least: ClassVar[str] = "0.00001"
    worth: ClassVar[str | None] = "5"
    small: ClassVar[str] = "0.00002"
    paths: ClassVar[Mapping[str, str]]

    def asked(self, path: str, _sent: Mapping[str, Any]) -> str:
        """What a request is about."""
        return self.paths[path]

    @abstractmethod
    def markets(self, sent: Mapping[str, Any]) -> Any:
        """The one market."""

    @abstractmethod
    def time(self, ms: int) -> Any:
        """The exchange's time."""

    @abstractmethod
    def book(self, bids: Levels, asks: Levels) -> Any:
        """The best levels."""

    @abstractmethod
    def candles(self, sent: Mapping[str, Any]) -> Any:
        """What was asked for, and as many as the exchange gives at once."""

    @abstractmethod
    def trades(self, rows: Sequence[Row], sent: Mapping[str, Any]) -> Any:
        """The newest trades, or what was asked for."""

    def nothing(self, _sent: Mapping[str, Any]) -> Any:
        """A list in which there is nothing, where ccxt asks for more than a market's grid needs."""
        return []


@dataclass
class Elsewhere(Recorder):
    """One exchange.  `instead` is what it answers to all, if anything; `ahead_ms` is its clock before ours."""

    form: Form | None = None
    instead: Any = None
    nonsense: bool = False
    ahead_ms: int = 0
    bids: Levels = field(default_factory=lambda: [("49999.9", "1.5"), ("49999.8", "7")])
    ask: str = "50000.1"
    empty: bool = False
    rows: Sequence[Row] = ROWS
    sockets: list[web.WebSocketResponse] = field(default_factory=list)

    def told(self, path: str, sent: dict[str, Any]) -> Any:
        """What the exchange has to say."""
        assert self.form is not None
        if self.nonsense:
            return self.instead
        match self.form.asked(path, sent):
            case "time":
                return self.form.time(NOW_MS + self.ahead_ms)
            case "book":
                asks = [] if self.empty else [(self.ask, self.form.small), ("50000.2", "3")]
                return self.form.book(self.bids, asks)
            case "trades":
                return self.form.trades(self.rows, sent)
            case what:
                answer: Callable[[Mapping[str, Any]], Any] = getattr(self.form, what)
                return answer(sent)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket on which the test speaks, or REST."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await super().serve(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async with self.moved:
            self.sockets.append(socket)
            self.moved.notify_all()
        async for message in socket:
            assert message.type is WSMsgType.TEXT
        return socket

    async def say(self, *frames: bytes) -> None:
        """Send frames over the first connection, once it is there."""
        async with asyncio.timeout(WAIT_S), self.moved:
            await self.moved.wait_for(lambda: bool(self.sockets))
        for frame in frames:
            await self.sockets[0].send_str(frame.decode())

    def requests(self, what: str) -> int:
        """How often the exchange was asked about something."""
        assert self.form is not None
        return sum(self.form.asked(path, sent) == what for path, sent in self.came)


class Place:
    """An exchange and our adapter to it."""

    def __init__(self, server: Elsewhere, venue: CcxtVenue) -> None:
        assert server.form is not None
        self.server, self.venue, self.form = server, venue, server.form
        self.grid: Instrument

    @property
    def symbol(self) -> str:
        """Its market."""
        return self.form.symbol

    def print(self, row: Row) -> TradePrinted:
        """A trade as we must read it."""
        side = Side.BUY if row.side == "buy" else Side.SELL
        at = Nanos(row.at_ms * 1_000_000)
        return TradePrinted(row.id, self.grid.ticks(row.price), self.grid.lots(row.size), at, side)


@contextlib.asynccontextmanager
async def going_to(form: type[Form], folder: Path) -> AsyncIterator[Place]:
    """An exchange, and an adapter whose market is open."""
    async with serving(folder, partial(Elsewhere, form=form())) as server:
        venue = CcxtVenue(form.exchange, None, server.endpoint, None, lambda: NOW)
        place = Place(server, venue)
        try:
            place.grid = await venue.open(form.symbol)
            yield place
        finally:
            await venue.close()
