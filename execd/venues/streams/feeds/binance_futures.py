"""Binance USD-M futures: `<symbol>@trade` and `<symbol>@bookTicker` on the /public tier; trade ids rise by one.

The trade stream tells more than the market's trades: ids that were used up without a trade (`X` is NA, price and
quantity 0), and positions that the exchange closed itself (INSURANCE_FUND, ADL).  These are told as `TradeBusted`, so
that they are no gap and no volume.  REST leaves the same ids out (`sparse`).  An `X` that is not known here is a bad
frame, so that REST decides whether it was a trade.

Formats: developers.binance.com, derivatives, usds-margined-futures: "Individual Symbol Book Ticker Streams", "Recent
Trades List" and "Old Trades Lookup"; the trade stream has no page there, its `X` is known from recorded frames.
"""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from execd.core.events import TradeBusted, TradePrinted
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
from execd.venues.streams.feeds.binance import GOODBYES

OF_THE_MARKET = frozenset({"MARKET", "RPI"})
"""Values of `X` for a trade in the order book; RPI: with an order that only takers by hand can meet."""

BESIDE_IT = frozenset({"NA", "INSURANCE_FUND", "ADL"})
"""Values of `X` for what is no trade of the market."""


class _Trade(msgspec.Struct, gc=False):
    id: Count = msgspec.field(name="t")
    price: str = msgspec.field(name="p")
    quantity: str = msgspec.field(name="q")
    at_ms: Millis = msgspec.field(name="T")
    maker_bought: bool = msgspec.field(name="m")
    kind: str = msgspec.field(name="X", default="MARKET")


class _Ticker(msgspec.Struct, gc=False):
    update: Count = msgspec.field(name="u")
    at_ms: Millis = msgspec.field(name="T")
    bid: str = msgspec.field(name="b")
    bid_size: str = msgspec.field(name="B")
    ask: str = msgspec.field(name="a")
    ask_size: str = msgspec.field(name="A")


class _Kind(msgspec.Struct, gc=False):
    e: str = ""


class _TradeFrame(msgspec.Struct, gc=False):
    stream: str
    data: _Trade


class _TickerFrame(msgspec.Struct, gc=False):
    stream: str
    data: _Ticker


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


class BinanceFuturesFeed(Feed):
    """One market of Binance USD-M futures."""

    contiguous = True
    paging = Paging.BY_ID
    page_most = 500
    sparse = True
    streams_at = ("wss://fstream.binance.com/public", "wss://fstream.binancefuture.com/public")
    rest_at = ("https://fapi.binance.com/fapi/v1", "https://demo-fapi.binance.com/fapi/v1")

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

    def decode(self, frame: bytes, now: Nanos) -> Facts:  # noqa: ARG002 (quotes have a time of their own)
        """What a frame tells.  Raises BadFrame, StreamBroken."""
        try:
            if frame.startswith(self._as_trade):
                return self._print(self._trades.decode(frame).data)
            if frame.startswith(self._as_ticker):
                return self._best(self._tickers.decode(frame).data)
            envelope = self._envelopes.decode(frame)
            if envelope.stream == self._trade:
                return self._print(self._trades.decode(frame).data)
            if envelope.stream == self._ticker:
                return self._best(self._tickers.decode(frame).data)
        except BROKEN as error:
            raise BadFrame(str(error)) from None
        kind = envelope.e or envelope.data.e
        if kind in GOODBYES:
            raise StreamBroken(kind)
        return ()

    def _print(self, trade: _Trade) -> Facts:
        if trade.kind in BESIDE_IT:
            return (TradeBusted(trade.id),)
        if trade.kind not in OF_THE_MARKET:
            raise BadFrame(f"a trade of the unknown kind {trade.kind[:40]!r}")
        price, quantity = self._sized(trade.price, trade.quantity)
        # `m`: the buyer was the maker, so that the aggressor sold.
        taker = Side.SELL if trade.maker_bought else Side.BUY
        return (TradePrinted(trade.id, price, quantity, Nanos(trade.at_ms * NANOS_PER_MS), taker),)

    def _best(self, ticker: _Ticker) -> Facts:
        at = Nanos(ticker.at_ms * NANOS_PER_MS)
        return self._quote(ticker.bid, ticker.bid_size, ticker.ask, ticker.ask_size, at, ticker.update)

    def request(self, first: int | None, last: int | None, since: Nanos | None) -> Request:  # noqa: ARG002 (by id)
        """The newest trades, or old ones from an id on, which wants a key."""
        asked: dict[str, str | int] = {"symbol": self._id, "limit": self.page_most}
        base = self.rest_at[self._sandbox]
        if first is None:
            return Request(f"{base}/trades?{urlencode(asked)}", weight=5)
        url = f"{base}/historicalTrades?{urlencode({**asked, 'fromId': first})}"
        return Request(url, weight=20, key_header="X-MBX-APIKEY")

    def page(self, answer: object) -> list[TradePrinted]:
        """Rows of trades or historicalTrades.  Raises ValueError."""
        found = []
        for row in msgspec.convert(answer, list[_Row], strict=False):
            price, quantity = self._sized(row.price, row.qty)
            taker = Side.SELL if row.maker_bought else Side.BUY
            found.append(TradePrinted(row.id, price, quantity, Nanos(row.time * NANOS_PER_MS), taker))
        return found
