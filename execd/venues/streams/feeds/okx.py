"""OKX: the channels `trades` and `bbo-tbt` of one instrument; each print says how many trade ids it stands for.

One message stands for all that one taker took at one price: its id is the last of them and `count` how many there are.
No page promises that an instrument's ids rise by one from message to message; the ids of the rows that REST lists do,
and where they should not, a gap is left that nothing fills: seen, never hidden.  Block trades have a channel of their
own and are not among these.  Quantities of derivatives are in contracts.

Formats: okx.com/docs-v5: "WS / Trades channel", "WS / Order book channel", "Notification", "GET / Trades" and
"GET / Trades history".
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
    LARGEST_ID,
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
)

GOODBYES = frozenset({"error", "channel-conn-count-error", "notice"})
"""Events by which OKX refuses a subscription, or tells of the end of the connection within a minute."""

PONG = b"pong"

Level = Annotated[list[str], msgspec.Meta(min_length=2)]
"""A price, a quantity and more that is not read."""


class _Trade(msgspec.Struct, gc=False):
    id: Count = msgspec.field(name="tradeId")
    price: str = msgspec.field(name="px")
    quantity: str = msgspec.field(name="sz")
    side: Literal["buy", "sell"]
    at_ms: Millis = msgspec.field(name="ts")
    count: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_ID)]


class _Book(msgspec.Struct, gc=False):
    bids: list[Level]
    asks: list[Level]
    at_ms: Millis = msgspec.field(name="ts")
    update: Count = msgspec.field(name="seqId")


class _TradeFrame(msgspec.Struct, gc=False):
    data: list[_Trade]


class _BookFrame(msgspec.Struct, gc=False):
    data: list[_Book]


class _Channel(msgspec.Struct, gc=False):
    channel: str = ""
    market: str = msgspec.field(name="instId", default="")


class _Envelope(msgspec.Struct, gc=False):
    event: str = ""
    code: str = ""
    msg: str = ""
    arg: _Channel = msgspec.field(default_factory=_Channel)


class _Row(msgspec.Struct, gc=False):
    id: Count = msgspec.field(name="tradeId")
    price: str = msgspec.field(name="px")
    quantity: str = msgspec.field(name="sz")
    side: Literal["buy", "sell"]
    at_ms: Millis = msgspec.field(name="ts")


class _Answer(msgspec.Struct, gc=False):
    code: str
    msg: str
    data: list[_Row]


class OkxFeed(Feed):
    """One instrument of OKX."""

    contiguous = True
    paging = Paging.BY_ID
    page_most = 100
    # OKX closes a connection on which nothing was said for 30 s.
    beat = Beat(20.0, "ping")
    streams_at = ("wss://ws.okx.com:8443/ws/v5/public", "wss://wspap.okx.com:8443/ws/v5/public")
    rest_at = "https://www.okx.com/api/v5/market"

    def __init__(self, market_id: str, grid: Grid, *, sandbox: bool = False, linear: bool = False) -> None:
        """Read one market: see `Feed`."""
        super().__init__(market_id, grid, sandbox=sandbox, linear=linear)
        self._envelopes = msgspec.json.Decoder(_Envelope)
        # Ids, times and counts are numbers in quotes.
        self._trades = msgspec.json.Decoder(_TradeFrame, strict=False)
        self._books = msgspec.json.Decoder(_BookFrame, strict=False)
        # Most frames begin so, and need no second look to know what they are.
        self._as_trades = f'{{"arg":{{"channel":"trades","instId":"{market_id}"'.encode()
        self._as_book = f'{{"arg":{{"channel":"bbo-tbt","instId":"{market_id}"'.encode()

    @property
    def url(self) -> str:
        """The public channels."""
        return self.streams_at[self._sandbox]

    @property
    def hello(self) -> tuple[str]:
        """Subscribe to both channels."""
        channels = [{"channel": channel, "instId": self._id} for channel in ("trades", "bbo-tbt")]
        return (msgspec.json.encode({"op": "subscribe", "args": channels}).decode(),)

    def decode(self, frame: bytes, now: Nanos) -> Facts:  # noqa: ARG002 (quotes have a time of their own)
        """What a frame tells.  Raises BadFrame, StreamBroken."""
        if frame == PONG:
            return ()
        try:
            if frame.startswith(self._as_trades):
                return self._prints(self._trades.decode(frame).data)
            if frame.startswith(self._as_book):
                return [fact for book in self._books.decode(frame).data for fact in self._best(book)]
            envelope = self._envelopes.decode(frame)
            if not envelope.event and envelope.arg == _Channel("trades", self._id):
                return self._prints(self._trades.decode(frame).data)
            if not envelope.event and envelope.arg == _Channel("bbo-tbt", self._id):
                return [fact for book in self._books.decode(frame).data for fact in self._best(book)]
        except BROKEN as error:
            raise BadFrame(str(error)) from None
        if envelope.event in GOODBYES:
            raise StreamBroken(f"{envelope.event} {envelope.code}: {envelope.msg}")
        return ()

    def _prints(self, trades: list[_Trade]) -> Facts:
        return [self._print(trade, trade.count) for trade in trades]

    def _print(self, trade: _Trade | _Row, count: int) -> TradePrinted:
        if count > trade.id + 1:
            raise BadFrame("more trades than there are ids")
        price, quantity = self._sized(trade.price, trade.quantity)
        taker = Side.BUY if trade.side == "buy" else Side.SELL
        return TradePrinted(trade.id, price, quantity, Nanos(trade.at_ms * NANOS_PER_MS), taker, count)

    def _best(self, book: _Book) -> Facts:
        if not (book.bids and book.asks):
            return ()
        bid, ask = book.bids[0], book.asks[0]
        return self._quote(bid[0], bid[1], ask[0], ask[1], Nanos(book.at_ms * NANOS_PER_MS), book.update)

    def request(self, first: int | None, last: int | None, since: Nanos | None) -> Request:  # noqa: ARG002 (by id)
        """The newest trades, or the page of old ones that begins with an id: OKX pages downwards, from `after`."""
        asked: dict[str, str | int] = {"instId": self._id, "limit": self.page_most}
        header = ("x-simulated-trading", "1") if self._sandbox else None
        if first is None:
            return Request(f"{self.rest_at}/trades?{urlencode(asked)}", header=header)
        after = first + self.page_most
        if last is not None:
            after = min(after, last + 1)
        url = f"{self.rest_at}/history-trades?{urlencode({**asked, 'type': 1, 'after': after})}"
        return Request(url, header=header)

    def page(self, answer: object) -> list[TradePrinted]:
        """Rows of trades or history-trades, each a trade by itself.  Raises ValueError."""
        said = msgspec.convert(answer, _Answer, strict=False)
        if said.code != "0":
            raise ValueError(f"OKX refused with {said.code[:10]}: {said.msg[:100]}")
        return [self._print(row, 1) for row in said.data]
