"""Coinbase Advanced Trade: `market_trades` and `ticker` on one connection; trade ids rise by one.

Formats: docs.cdp.coinbase.com, Advanced Trade WebSocket Channels and Get Public Market Trades.  No channel here wants a
key.  `market_trades` gathers what traded in the last 250 ms and, to begin with, repeats the newest trades; `ticker`
gives the best quotes whenever something trades; `heartbeats` keeps both open in a quiet market.  What is asked for in
USDC comes under the name of the same market in USD.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import attrgetter
from typing import Literal
from urllib.parse import quote

import msgspec

from execd.core.events import QuoteChanged, TradeBusted, TradePrinted
from execd.core.grid import Nanos, Side
from execd.venues.digits import Grid
from execd.venues.streams.feed import (
    BROKEN,
    BadFrame,
    Facts,
    Feed,
    Paging,
    Request,
    StreamBroken,
    moment,
    number,
)

TAKER = {"BUY": Side.SELL, "SELL": Side.BUY}
"""The `side` of a trade is that of the order which rested in the book."""

# Most frames begin so, and need no second look to know what they are.
AS_TRADES, AS_TICKER = b'{"channel":"market_trades",', b'{"channel":"ticker",'


class _Trade(msgspec.Struct, gc=False):
    trade_id: str
    product_id: str
    price: str
    size: str
    side: Literal["BUY", "SELL"]
    time: str


class _Ticker(msgspec.Struct, gc=False):
    product_id: str
    best_bid: str = "0"
    best_bid_quantity: str = "0"
    best_ask: str = "0"
    best_ask_quantity: str = "0"


class _TradesEvent(msgspec.Struct, gc=False):
    trades: list[_Trade]


class _TradesFrame(msgspec.Struct, gc=False):
    events: list[_TradesEvent]


class _TickersEvent(msgspec.Struct, gc=False):
    tickers: list[_Ticker]


class _TickersFrame(msgspec.Struct, gc=False):
    timestamp: str
    events: list[_TickersEvent]


class _Envelope(msgspec.Struct, gc=False):
    channel: str = ""
    type: str = ""
    message: str = ""


class _Page(msgspec.Struct, gc=False):
    trades: list[_Trade]


class CoinbaseFeed(Feed):
    """One spot market of Coinbase; there is no test network."""

    contiguous = True
    paging = Paging.RECENT
    page_most = 1000
    channels = ("heartbeats", "market_trades", "ticker")

    def __init__(self, market_id: str, grid: Grid, *, sandbox: bool = False, linear: bool = False) -> None:
        """Read one market, as "BTC-USD"."""
        super().__init__(market_id, grid, sandbox=sandbox, linear=linear)
        self._ids = {market_id, market_id.removesuffix("C") if market_id.endswith("-USDC") else market_id}
        self._envelopes = msgspec.json.Decoder(_Envelope)
        self._trades, self._tickers = msgspec.json.Decoder(_TradesFrame), msgspec.json.Decoder(_TickersFrame)

    @property
    def url(self) -> str:
        """The market data endpoint."""
        return "wss://advanced-trade-ws.coinbase.com"

    @property
    def hello(self) -> Sequence[str]:
        """One message a channel; the exchange waits five seconds for the first."""
        return [json.dumps({"type": "subscribe", "product_ids": [self._id], "channel": name}) for name in self.channels]

    def decode(self, frame: bytes, now: Nanos) -> Facts:  # noqa: ARG002 (every frame has its time)
        """What a frame tells.  Raises BadFrame, StreamBroken."""
        try:
            if frame.startswith(AS_TRADES):
                return self._told(self._trades.decode(frame))
            if frame.startswith(AS_TICKER):
                return self._quotes(self._tickers.decode(frame))
            envelope = self._envelopes.decode(frame)
            if envelope.channel == "market_trades":
                return self._told(self._trades.decode(frame))
            if envelope.channel == "ticker":
                return self._quotes(self._tickers.decode(frame))
        except BROKEN as error:
            raise BadFrame(str(error)) from None
        if envelope.type == "error":
            raise StreamBroken(f"refused: {envelope.message[:100]}")
        return ()

    def _told(self, frame: _TradesFrame) -> Facts:
        return self._prints([trade for event in frame.events for trade in event.trades])

    def _prints(self, trades: Sequence[_Trade]) -> list[TradePrinted]:
        """Trades in their order; the exchange sends the newest first."""
        found = []
        for trade in trades:
            if trade.product_id in self._ids:
                price, size = self._sized(trade.price, trade.size)
                found.append(TradePrinted(number(trade.trade_id), price, size, moment(trade.time), TAKER[trade.side]))
        return sorted(found, key=attrgetter("id"))

    def _quotes(self, frame: _TickersFrame) -> Facts:
        at = moment(frame.timestamp)
        found: list[TradePrinted | QuoteChanged | TradeBusted] = []
        for event in frame.events:
            for ticker in event.tickers:
                # A market that is not traded at the moment comes with empty texts.
                if ticker.product_id in self._ids and ticker.best_bid and ticker.best_ask:
                    found += self._quote(
                        ticker.best_bid, ticker.best_bid_quantity, ticker.best_ask, ticker.best_ask_quantity, at
                    )
        return found

    def request(self, first: int | None, last: int | None, since: Nanos | None) -> Request:  # noqa: ARG002 (see below)
        """The newest trades: of an older stretch the exchange would leave out its beginning, not its end."""
        market = quote(self._id, safe="")
        return Request(f"https://api.coinbase.com/api/v3/brokerage/market/products/{market}/ticker?limit=1000")

    def page(self, answer: object) -> list[TradePrinted]:
        """The trades of a market's ticker.  Raises ValueError."""
        return self._prints(msgspec.convert(answer, _Page).trades)
