"""Binance Spot: `<symbol>@trade` and `<symbol>@bookTicker` on one connection; trade ids rise by one.

Formats: binance-spot-api-docs, web-socket-streams.md and rest-api.md.
"""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlencode

import msgspec

from execd.core.events import TradePrinted
from execd.core.grid import Nanos, Side
from execd.venues.digits import Grid
from execd.venues.streams.feed import (
    BROKEN,
    NANOS_PER_MS,
    BadFrame,
    Count,
    Facts,
    Feed,
    Millis,
    Paging,
    Request,
    StreamBroken,
)

GOODBYES = frozenset({"eventStreamTerminated", "listenKeyExpired", "serverShutdown"})
"""Events by which Binance ends a stream."""


class Trade(msgspec.Struct, gc=False):
    """A trade; `kind` is told by the futures' streams alone."""

    id: Count = msgspec.field(name="t")
    price: str = msgspec.field(name="p")
    quantity: str = msgspec.field(name="q")
    at_ms: Millis = msgspec.field(name="T")
    maker_bought: bool = msgspec.field(name="m")
    kind: str = msgspec.field(name="X", default="MARKET")


class Ticker(msgspec.Struct, gc=False):
    """A best quote; `at_ms` is told by the futures' streams alone."""

    update: Count = msgspec.field(name="u")
    bid: str = msgspec.field(name="b")
    bid_size: str = msgspec.field(name="B")
    ask: str = msgspec.field(name="a")
    ask_size: str = msgspec.field(name="A")
    at_ms: Millis | None = msgspec.field(name="T", default=None)


class _Kind(msgspec.Struct, gc=False):
    e: str = ""


class _TradeFrame(msgspec.Struct, gc=False):
    stream: str
    data: Trade


class _TickerFrame(msgspec.Struct, gc=False):
    stream: str
    data: Ticker


class _Envelope(msgspec.Struct, gc=False):
    stream: str = ""
    e: str = ""
    data: _Kind = msgspec.field(default_factory=_Kind)


class _Row(msgspec.Struct, gc=False):
    id: Count
    price: str
    qty: str
    time: Millis
    maker_bought: bool = msgspec.field(name="isBuyerMaker")


class BinanceFeed(Feed):
    """One market of Binance Spot.

    `old_weight` is what old trades cost, `key_header` where they want a key.
    """

    contiguous = True
    paging = Paging.BY_ID
    page_most = 1000
    old_weight: ClassVar[float] = 5
    key_header: ClassVar[str | None] = None
    streams_at = ("wss://stream.binance.com:9443", "wss://stream.testnet.binance.vision")
    rest_at = ("https://api.binance.com/api/v3", "https://testnet.binance.vision/api/v3")

    def __init__(self, market_id: str, grid: Grid, *, sandbox: bool = False, linear: bool = False) -> None:
        """Read one market: see `Feed`."""
        super().__init__(market_id, grid, sandbox=sandbox, linear=linear)
        self._trade, self._ticker = f"{market_id.lower()}@trade", f"{market_id.lower()}@bookTicker"
        self._envelopes = msgspec.json.Decoder(_Envelope)
        self._trades, self._tickers = msgspec.json.Decoder(_TradeFrame), msgspec.json.Decoder(_TickerFrame)
        # Most frames begin so, and need no second look to know what they are.
        self._as_trade = f'{{"stream":"{self._trade}"'.encode()
        self._as_ticker = f'{{"stream":"{self._ticker}"'.encode()

    @property
    def url(self) -> str:
        """Both streams, combined."""
        return f"{self.streams_at[self._sandbox]}/stream?streams={self._trade}/{self._ticker}"

    def decode(self, frame: bytes, now: Nanos) -> Facts:
        """What a frame tells; a quote of spot has no time and takes `now`.  Raises BadFrame, StreamBroken."""
        try:
            if frame.startswith(self._as_trade):
                return self._print(self._trades.decode(frame).data)
            if frame.startswith(self._as_ticker):
                return self._best(self._tickers.decode(frame).data, now)
            envelope = self._envelopes.decode(frame)
            if envelope.stream == self._trade:
                return self._print(self._trades.decode(frame).data)
            if envelope.stream == self._ticker:
                return self._best(self._tickers.decode(frame).data, now)
        except BROKEN as error:
            raise BadFrame(str(error)) from None
        kind = envelope.e or envelope.data.e
        if kind in GOODBYES:
            raise StreamBroken(kind)
        return ()

    def _print(self, trade: Trade) -> Facts:
        price, quantity = self._sized(trade.price, trade.quantity)
        # `m`: the buyer was the maker, so that the aggressor sold.
        taker = Side.SELL if trade.maker_bought else Side.BUY
        return (TradePrinted(trade.id, price, quantity, Nanos(trade.at_ms * NANOS_PER_MS), taker),)

    def _best(self, ticker: Ticker, now: Nanos) -> Facts:
        at = now if ticker.at_ms is None else Nanos(ticker.at_ms * NANOS_PER_MS)
        return self._quote(ticker.bid, ticker.bid_size, ticker.ask, ticker.ask_size, at, ticker.update)

    def request(self, first: int | None, last: int | None, since: Nanos | None) -> Request:  # noqa: ARG002 (by id)
        """The newest trades, or old ones from an id on."""
        asked: dict[str, str | int] = {"symbol": self._id, "limit": self.page_most}
        base = self.rest_at[self._sandbox]
        if first is None:
            return Request(f"{base}/trades?{urlencode(asked)}", weight=5)
        url = f"{base}/historicalTrades?{urlencode({**asked, 'fromId': first})}"
        return Request(url, weight=self.old_weight, key_header=self.key_header)

    def page(self, answer: object) -> list[TradePrinted]:
        """Rows of trades or historicalTrades.  Raises ValueError."""
        found = []
        for row in msgspec.convert(answer, list[_Row], strict=False):
            price, quantity = self._sized(row.price, row.qty)
            taker = Side.SELL if row.maker_bought else Side.BUY
            found.append(TradePrinted(row.id, price, quantity, Nanos(row.time * NANOS_PER_MS), taker))
        return found
