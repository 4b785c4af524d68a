"""Bybit v5: `publicTrade.<symbol>` and `orderbook.1.<symbol>` of a spot or a linear market.

Block trades (`BT`) were made apart from the book and are not of the market; trades with orders that only takers by hand
can meet (`RPI`) are made in it, and count.  Ids do not rise by one: numbers on spot, UUIDs on linear.  Level 1 of the
book comes as snapshots only, of which `seq` says which is the later one: `u` begins anew with 1 at times.

Formats: bybit-exchange.github.io/docs/v5: "Connect", websocket/public/trade, websocket/public/orderbook and
market/recent-trade, which gives the newest trades and no older ones.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlencode

import msgspec

from execd.core.events import TradePrinted
from execd.core.grid import Nanos, Side
from execd.venues.digits import Grid
from execd.venues.streams.feed import (
    BROKEN,
    NANOS_PER_MS,
    BadFrame,
    Beat,
    Count,
    Facts,
    Feed,
    Millis,
    Paging,
    Request,
    StreamBroken,
    number,
)

MOST_ON_SPOT = 60
"""Trades of one answer for a spot market."""

Level = Annotated[list[str], msgspec.Meta(min_length=2)]
"""A price and a quantity."""


class _Trade(msgspec.Struct, gc=False):
    id: str = msgspec.field(name="i")
    price: str = msgspec.field(name="p")
    quantity: str = msgspec.field(name="v")
    side: Literal["Buy", "Sell"] = msgspec.field(name="S")
    at_ms: Millis = msgspec.field(name="T")
    block: bool = msgspec.field(name="BT", default=False)


class _Book(msgspec.Struct, gc=False):
    bids: list[Level] = msgspec.field(name="b")
    asks: list[Level] = msgspec.field(name="a")
    update: Count = msgspec.field(name="seq")


class _TradeFrame(msgspec.Struct, gc=False):
    data: list[_Trade]


class _BookFrame(msgspec.Struct, gc=False):
    type: Literal["snapshot"]
    sent_ms: Millis = msgspec.field(name="ts")
    data: _Book
    at_ms: Millis | None = msgspec.field(name="cts", default=None)


class _Envelope(msgspec.Struct, gc=False):
    topic: str = ""
    success: bool = True
    why: str = msgspec.field(name="ret_msg", default="")


class _Row(msgspec.Struct, gc=False):
    id: str = msgspec.field(name="execId")
    price: str
    quantity: str = msgspec.field(name="size")
    side: Literal["Buy", "Sell"]
    at_ms: Millis = msgspec.field(name="time")
    block: bool = msgspec.field(name="isBlockTrade", default=False)


class _Rows(msgspec.Struct, gc=False):
    rows: list[_Row] = msgspec.field(name="list", default_factory=list)


class _Answer(msgspec.Struct, gc=False):
    code: int = msgspec.field(name="retCode")
    why: str = msgspec.field(name="retMsg")
    result: _Rows


class BybitFeed(Feed):
    """One spot or linear market of Bybit."""

    contiguous = False
    paging = Paging.RECENT
    page_most = 1000
    beat = Beat(20.0, '{"op":"ping"}')
    streams_at = ("wss://stream.bybit.com/v5/public", "wss://stream-testnet.bybit.com/v5/public")
    rest_at = ("https://api.bybit.com/v5/market", "https://api-testnet.bybit.com/v5/market")

    def __init__(self, market_id: str, grid: Grid, *, sandbox: bool = False, linear: bool = False) -> None:
        """Read one market: see `Feed`."""
        super().__init__(market_id, grid, sandbox=sandbox, linear=linear)
        self._trade, self._book = f"publicTrade.{market_id}", f"orderbook.1.{market_id}"
        self._envelopes = msgspec.json.Decoder(_Envelope)
        self._trades = msgspec.json.Decoder(_TradeFrame)
        # The documents have `ts` with and without quotes.
        self._books = msgspec.json.Decoder(_BookFrame, strict=False)
        # Most frames begin so, and need no second look to know what they are.
        self._as_trades = f'{{"topic":"{self._trade}"'.encode()
        self._as_book = f'{{"topic":"{self._book}"'.encode()

    @property
    def _category(self) -> str:
        return "linear" if self._linear else "spot"

    @property
    def url(self) -> str:
        """The public topics of the market's category."""
        return f"{self.streams_at[self._sandbox]}/{self._category}"

    @property
    def hello(self) -> tuple[str]:
        """Subscribe to both topics."""
        return (msgspec.json.encode({"op": "subscribe", "args": [self._trade, self._book]}).decode(),)

    def decode(self, frame: bytes, now: Nanos) -> Facts:  # noqa: ARG002 (quotes have a time of their own)
        """What a frame tells.  Raises BadFrame, StreamBroken."""
        try:
            if frame.startswith(self._as_trades):
                return self._prints(self._trades.decode(frame).data)
            if frame.startswith(self._as_book):
                return self._best(self._books.decode(frame))
            envelope = self._envelopes.decode(frame)
            if envelope.topic == self._trade:
                return self._prints(self._trades.decode(frame).data)
            if envelope.topic == self._book:
                return self._best(self._books.decode(frame))
        except BROKEN as error:
            raise BadFrame(str(error)) from None
        if not envelope.success:
            raise StreamBroken(f"refused: {envelope.why}")
        return ()

    def _prints(self, trades: list[_Trade] | list[_Row]) -> list[TradePrinted]:
        return [self._print(trade) for trade in trades if not trade.block]

    def _print(self, trade: _Trade | _Row) -> TradePrinted:
        price, quantity = self._sized(trade.price, trade.quantity)
        taker = Side.BUY if trade.side == "Buy" else Side.SELL
        return TradePrinted(number(trade.id), price, quantity, Nanos(trade.at_ms * NANOS_PER_MS), taker)

    def _best(self, frame: _BookFrame) -> Facts:
        book = frame.data
        if not (book.bids and book.asks):
            return ()
        bid, ask = book.bids[0], book.asks[0]
        at_ms = frame.sent_ms if frame.at_ms is None else frame.at_ms
        return self._quote(bid[0], bid[1], ask[0], ask[1], Nanos(at_ms * NANOS_PER_MS), book.update)

    def request(self, first: int | None, last: int | None, since: Nanos | None) -> Request:  # noqa: ARG002 (recent)
        """The newest trades, whatever is asked for: there are no others."""
        most = self.page_most if self._linear else MOST_ON_SPOT
        asked = urlencode({"category": self._category, "symbol": self._id, "limit": most})
        return Request(f"{self.rest_at[self._sandbox]}/recent-trade?{asked}")

    def page(self, answer: object) -> list[TradePrinted]:
        """Rows of recent-trade.  Raises ValueError."""
        said = msgspec.convert(answer, _Answer, strict=False)
        if said.code:
            raise ValueError(f"Bybit refused with {said.code}: {said.why[:100]}")
        return self._prints(said.result.rows)
