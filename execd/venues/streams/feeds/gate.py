"""Gate Spot, WebSocket v4: `spot.trades` and `spot.book_ticker` on one connection; trade ids rise by one.

Formats: gate.com/docs/developers/apiv4, Spot WebSocket v4 (public trades, best bid or ask price) and Query market
transaction records.  A trade has two ids: `id` counts the trades of all markets, `id_market` those of its own, and is
REST's `sequence_id`; one print may stand for a `range` of the latter.  Only the taker's side is told.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal
from urllib.parse import urlencode

import msgspec

from execd.core.events import TradePrinted
from execd.core.grid import Nanos, Side
from execd.venues.digits import Grid, Unit
from execd.venues.streams.feed import (
    BROKEN,
    LARGEST_ID,
    LATEST_MS,
    NANOS_PER_MS,
    BadFrame,
    Count,
    Facts,
    Feed,
    Millis,
    Paging,
    Request,
    StreamBroken,
    nanos,
)

TAKER = {"buy": Side.BUY, "sell": Side.SELL}

NANOSECOND = Unit(Decimal("0.000001"))
"""In milliseconds, as which the exchange writes times."""

MERGED_MOST = 10_000
"""Trades that one print can stand for; a longer range is none."""


class _Trade(msgspec.Struct, gc=False):
    id_market: Count
    create_time_ms: str
    side: Literal["buy", "sell"]
    currency_pair: str
    amount: str
    price: str
    range: str = ""


class _Quote(msgspec.Struct, gc=False):
    at_ms: Millis = msgspec.field(name="t")
    update: Count = msgspec.field(name="u")
    market: str = msgspec.field(name="s")
    bid: str = msgspec.field(name="b")
    bid_size: str = msgspec.field(name="B")
    ask: str = msgspec.field(name="a")
    ask_size: str = msgspec.field(name="A")


class _TradesFrame(msgspec.Struct, gc=False):
    result: _Trade | list[_Trade]


class _QuoteFrame(msgspec.Struct, gc=False):
    result: _Quote


class _Error(msgspec.Struct, gc=False):
    code: int = 0
    message: str = ""


class _Envelope(msgspec.Struct, gc=False):
    channel: str = ""
    event: str = ""
    error: _Error | None = None


class _Row(msgspec.Struct, gc=False):
    sequence_id: Count
    create_time_ms: str
    side: Literal["buy", "sell"]
    amount: str
    price: str


class GateFeed(Feed):
    """One spot market of Gate."""

    contiguous = True
    paging = Paging.RECENT
    page_most = 1000
    streams_at = ("wss://api.gateio.ws/ws/v4/", "wss://ws-testnet.gate.io/v4/ws/spot")
    rest_at = ("https://api.gateio.ws/api/v4", "https://api-testnet.gateapi.io/api/v4")

    def __init__(self, market_id: str, grid: Grid, *, sandbox: bool = False, linear: bool = False) -> None:
        """Read one market, as "BTC_USDT"."""
        super().__init__(market_id, grid, sandbox=sandbox, linear=linear)
        self._envelopes = msgspec.json.Decoder(_Envelope)
        self._trades, self._quotes = msgspec.json.Decoder(_TradesFrame), msgspec.json.Decoder(_QuoteFrame)

    @property
    def url(self) -> str:
        """The spot endpoint."""
        return self.streams_at[self._sandbox]

    @property
    def hello(self) -> Sequence[str]:
        """Both channels; a request must not be older than a minute."""
        request = {"time": int(time.time()), "event": "subscribe", "payload": [self._id]}
        return [json.dumps({**request, "channel": channel}) for channel in ("spot.trades", "spot.book_ticker")]

    def decode(self, frame: bytes, now: Nanos) -> Facts:  # noqa: ARG002 (every frame has its time)
        """What a frame tells.  Raises BadFrame, StreamBroken."""
        try:
            envelope = self._envelopes.decode(frame)
            if envelope.error is None and envelope.event == "update":
                if envelope.channel == "spot.trades":
                    return self._prints(self._trades.decode(frame).result)
                if envelope.channel == "spot.book_ticker":
                    return self._best(self._quotes.decode(frame).result)
        except BROKEN as error:
            raise BadFrame(str(error)) from None
        if envelope.error is not None:
            raise StreamBroken(f"refused: {envelope.error.code} {envelope.error.message[:100]}")
        return ()

    def _prints(self, result: _Trade | list[_Trade]) -> list[TradePrinted]:
        trades = result if isinstance(result, list) else [result]
        return [self._print(trade) for trade in trades if trade.currency_pair == self._id]

    def _print(self, trade: _Trade) -> TradePrinted:
        price, amount = self._sized(trade.price, trade.amount)
        last, count = _merged(trade)
        return TradePrinted(last, price, amount, _moment(trade.create_time_ms), TAKER[trade.side], count)

    def _best(self, quote: _Quote) -> Facts:
        if quote.market != self._id or not (quote.bid and quote.ask):
            return ()
        at = nanos(quote.at_ms)
        return self._quote(quote.bid, quote.bid_size, quote.ask, quote.ask_size, at, quote.update)

    def request(self, first: int | None, last: int | None, since: Nanos | None) -> Request:  # noqa: ARG002 (see below)
        """The newest trades: older ones are found by the other id only, and a stretch of time loses its beginning."""
        asked = urlencode({"currency_pair": self._id, "limit": self.page_most})
        return Request(f"{self.rest_at[self._sandbox]}/spot/trades?{asked}")

    def page(self, answer: object) -> list[TradePrinted]:
        """Rows of trades.  Raises ValueError."""
        found = []
        for row in msgspec.convert(answer, list[_Row], strict=False):
            price, amount = self._sized(row.price, row.amount)
            found.append(TradePrinted(row.sequence_id, price, amount, _moment(row.create_time_ms), TAKER[row.side]))
        return found


def _merged(trade: _Trade) -> tuple[int, int]:
    """The last id that a print stands for, and how many they are."""
    first, dash, last = trade.range.partition("-")
    if dash and first.isdecimal() and last.isdecimal() and len(trade.range) <= 40:
        begin, end = int(first), int(last)
        # A range that does not hold the print's own id is of some other count.
        if begin <= trade.id_market <= end < min(begin + MERGED_MOST, LARGEST_ID):
            return end, end - begin + 1
    return trade.id_market, 1


def _moment(text: str) -> Nanos:
    """A time in milliseconds with decimals.  Raises ValueError."""
    at = NANOSECOND.count(text)
    if at > LATEST_MS * NANOS_PER_MS:
        raise ValueError(f"{text[:40]} is no time in milliseconds")
    return Nanos(at)
