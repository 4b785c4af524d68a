"""Kraken Spot, WebSocket v2: `trade` and `ticker` on one connection; trade ids rise by one.

Formats: docs.kraken.com, Spot WebSocket v2 (trade, ticker, ping) and Spot REST, Get Recent Trades.  Numbers come as
JSON numbers and are read digit by digit, never as floats.  A subscription may repeat the newest 50 trades.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal
from urllib.parse import urlencode

import msgspec

from execd.core.events import QuoteChanged, TradeBusted, TradePrinted
from execd.core.grid import SECOND, Nanos, Side
from execd.venues.digits import Grid, exact
from execd.venues.streams.feed import (
    BROKEN,
    LATEST_MS,
    BadFrame,
    Beat,
    Count,
    Facts,
    Feed,
    Paging,
    Request,
    StreamBroken,
    moment,
)

TAKER = {"buy": Side.BUY, "sell": Side.SELL, "b": Side.BUY, "s": Side.SELL}

OLD_NAMES = {"BTC": "XBT", "DOGE": "XDG"}
"""What REST still calls some currencies."""

MICROSECOND = SECOND // 1_000_000

# Most frames begin so, and need no second look to know what they are.
AS_TRADES, AS_TICKER = b'{"channel":"trade",', b'{"channel":"ticker",'


class _Trade(msgspec.Struct, gc=False):
    symbol: str
    side: Literal["buy", "sell"]
    price: msgspec.Raw
    qty: msgspec.Raw
    trade_id: Count
    timestamp: str


class _Ticker(msgspec.Struct, gc=False):
    symbol: str
    bid: msgspec.Raw
    bid_qty: msgspec.Raw
    ask: msgspec.Raw
    ask_qty: msgspec.Raw
    timestamp: str | None = None


class _TradesFrame(msgspec.Struct, gc=False):
    data: list[_Trade]


class _TickersFrame(msgspec.Struct, gc=False):
    data: list[_Ticker]


class _Envelope(msgspec.Struct, gc=False):
    channel: str = ""
    method: str = ""
    success: bool = True
    error: str | None = None


class _Row(msgspec.Struct, gc=False, array_like=True):
    price: str
    quantity: str
    seconds: Decimal
    side: Literal["b", "s"]
    kind: str
    other: str
    trade_id: Count


class _Answer(msgspec.Struct, gc=False):
    error: list[str]
    result: Mapping[str, list[_Row] | str | int] = {}


class KrakenFeed(Feed):
    """One spot market of Kraken, which has no test network."""

    contiguous = True
    paging = Paging.BY_TIME
    page_most = 1000
    by_symbol = True
    # It closes what was silent for a minute.
    beat = Beat(30.0, '{"method":"ping"}')

    def __init__(self, market_id: str, grid: Grid, *, sandbox: bool = False, linear: bool = False) -> None:
        """Read one market, by its symbol: REST's own name of it the streams do not know."""
        super().__init__(market_id, grid, sandbox=sandbox, linear=linear)
        base, _, counter = market_id.partition("/")
        self._pair = OLD_NAMES.get(base, base) + OLD_NAMES.get(counter, counter)
        self._envelopes = msgspec.json.Decoder(_Envelope)
        self._trades, self._tickers = msgspec.json.Decoder(_TradesFrame), msgspec.json.Decoder(_TickersFrame)

    @property
    def url(self) -> str:
        """The public endpoint."""
        return "wss://ws.kraken.com/v2"

    @property
    def hello(self) -> Sequence[str]:
        """Both channels, the quotes at every change of the best prices."""
        trades = {"channel": "trade", "symbol": [self._id], "snapshot": False}
        quotes = {"channel": "ticker", "symbol": [self._id], "event_trigger": "bbo"}
        return [json.dumps({"method": "subscribe", "params": params}) for params in (trades, quotes)]

    def decode(self, frame: bytes, now: Nanos) -> Facts:
        """What a frame tells; a quote takes `now` where it has no time of its own.  Raises BadFrame, StreamBroken."""
        try:
            if frame.startswith(AS_TRADES):
                return self._prints(self._trades.decode(frame).data)
            if frame.startswith(AS_TICKER):
                return self._quotes(self._tickers.decode(frame).data, now)
            envelope = self._envelopes.decode(frame)
            if envelope.channel == "trade":
                return self._prints(self._trades.decode(frame).data)
            if envelope.channel == "ticker":
                return self._quotes(self._tickers.decode(frame).data, now)
        except BROKEN as error:
            raise BadFrame(str(error)) from None
        if envelope.error is not None or not envelope.success:
            raise StreamBroken(f"refused: {envelope.method} {envelope.error or ''}"[:120])
        return ()

    def _prints(self, trades: Sequence[_Trade]) -> list[TradePrinted]:
        return [self._print(trade) for trade in trades if trade.symbol == self._id]

    def _print(self, trade: _Trade) -> TradePrinted:
        price, quantity = self._sized(_plain(trade.price), _plain(trade.qty))
        return TradePrinted(trade.trade_id, price, quantity, moment(trade.timestamp), TAKER[trade.side])

    def _quotes(self, tickers: Sequence[_Ticker], now: Nanos) -> Facts:
        found: list[TradePrinted | QuoteChanged | TradeBusted] = []
        for ticker in tickers:
            if ticker.symbol == self._id:
                at = now if ticker.timestamp is None else moment(ticker.timestamp)
                bid, bid_size = _plain(ticker.bid), _plain(ticker.bid_qty)
                found += self._quote(bid, bid_size, _plain(ticker.ask), _plain(ticker.ask_qty), at)
        return found

    def request(self, first: int | None, last: int | None, since: Nanos | None) -> Request:  # noqa: ARG002 (by time)
        """The newest trades, or those after a moment, ascending."""
        asked: dict[str, str | int] = {"pair": self._pair, "count": self.page_most}
        if first is not None and since is not None:
            # What it names is left out, and the streams round the times to microseconds.
            asked["since"] = max(0, since - MICROSECOND - 1)
        return Request(f"https://api.kraken.com/0/public/Trades?{urlencode(asked)}")

    def page(self, answer: object) -> list[TradePrinted]:
        """The rows of the one pair that was asked for, whatever REST calls it.  Raises ValueError."""
        told = msgspec.convert(answer, _Answer, strict=False)
        rows = [row for value in told.result.values() if isinstance(value, list) for row in value]
        if told.error:
            raise ValueError(f"refused: {', '.join(told.error)[:100]}")
        return [self._row(row) for row in rows]

    def _row(self, row: _Row) -> TradePrinted:
        price, quantity = self._sized(row.price, row.quantity)
        seconds = exact(row.seconds)
        if not 0 <= seconds <= LATEST_MS // 1000:
            raise ValueError(f"{seconds} is no time in seconds")
        return TradePrinted(row.trade_id, price, quantity, Nanos(int(seconds * SECOND)), TAKER[row.side])


def _plain(number: msgspec.Raw) -> str:
    """A JSON number as plain digits.  Raises ValueError."""
    text = str(number, "ascii")
    return format(exact(text), "f") if "e" in text or "E" in text else text
