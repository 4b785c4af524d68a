"""Hyperliquid: the subscriptions `trades` and `bbo` of one coin; a trade's id is a hash, which tells repeats only.

A market is named by its coin: `BTC` is a perpetual, `PURR/USDC` and `@107` are spot.  A best quote comes once a block
at most, so that the block's time numbers it.  Of old trades there are the newest ten and no others: what a reconnection
misses stays missed.

Formats: hyperliquid.gitbook.io, for-developers/api: "Websocket" with "Subscriptions" and "Timeouts and heartbeats",
"Notation" (the side is the aggressor's) and "Rate limits"; `recentTrades` has no page there, its form is known from
clients that use it, the greeting from Hyperliquid's own Python SDK.
"""

from __future__ import annotations

from typing import Literal

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
)

GREETING = b"Websocket connection established."

SUBSCRIBED_BEFORE = "Already subscribed"
"""Says the one error that costs nothing: the subscription stands."""


class _Trade(msgspec.Struct, gc=False):
    coin: str
    side: Literal["A", "B"]
    price: str = msgspec.field(name="px")
    quantity: str = msgspec.field(name="sz")
    at_ms: Millis = msgspec.field(name="time")
    id: Count = msgspec.field(name="tid")


class _Level(msgspec.Struct, gc=False):
    price: str = msgspec.field(name="px")
    quantity: str = msgspec.field(name="sz")


class _Best(msgspec.Struct, gc=False):
    coin: str
    at_ms: Millis = msgspec.field(name="time")
    sides: tuple[_Level | None, _Level | None] = msgspec.field(name="bbo")


class _TradeFrame(msgspec.Struct, gc=False):
    data: list[_Trade]


class _BestFrame(msgspec.Struct, gc=False):
    data: _Best


class _Envelope(msgspec.Struct, gc=False):
    channel: str


class _Error(msgspec.Struct, gc=False):
    data: str = ""


class HyperliquidFeed(Feed):
    """One coin of Hyperliquid."""

    contiguous = False
    paging = Paging.RECENT
    page_most = 10
    # Hyperliquid closes a connection on which it has said nothing for 60 s.
    beat = Beat(30.0, '{"method":"ping"}')
    streams_at = ("wss://api.hyperliquid.xyz/ws", "wss://api.hyperliquid-testnet.xyz/ws")
    rest_at = ("https://api.hyperliquid.xyz/info", "https://api.hyperliquid-testnet.xyz/info")

    def __init__(self, market_id: str, grid: Grid, *, sandbox: bool = False, linear: bool = False) -> None:
        """Read one market: see `Feed`."""
        super().__init__(market_id, grid, sandbox=sandbox, linear=linear)
        self._envelopes, self._errors = msgspec.json.Decoder(_Envelope), msgspec.json.Decoder(_Error)
        self._trades, self._bests = msgspec.json.Decoder(_TradeFrame), msgspec.json.Decoder(_BestFrame)

    @property
    def url(self) -> str:
        """All channels."""
        return self.streams_at[self._sandbox]

    @property
    def hello(self) -> tuple[str, str]:
        """Subscribe to both."""
        return self._subscribed("trades"), self._subscribed("bbo")

    def _subscribed(self, channel: str) -> str:
        wanted = {"type": channel, "coin": self._id}
        return msgspec.json.encode({"method": "subscribe", "subscription": wanted}).decode()

    def decode(self, frame: bytes, now: Nanos) -> Facts:  # noqa: ARG002 (quotes have a time of their own)
        """What a frame tells.  Raises BadFrame, StreamBroken."""
        if frame == GREETING:
            return ()
        try:
            # Most frames begin so, and need no second look to know what they are.
            if frame.startswith(b'{"channel":"trades"'):
                return self._prints(self._trades.decode(frame).data)
            if frame.startswith(b'{"channel":"bbo"'):
                return self._best(self._bests.decode(frame).data)
            channel = self._envelopes.decode(frame).channel
            if channel == "trades":
                return self._prints(self._trades.decode(frame).data)
            if channel == "bbo":
                return self._best(self._bests.decode(frame).data)
            refusal = self._errors.decode(frame).data if channel == "error" else None
        except BROKEN as error:
            raise BadFrame(str(error)) from None
        if refusal is not None and SUBSCRIBED_BEFORE not in refusal:
            raise StreamBroken(f"refused: {refusal}")
        return ()

    def _prints(self, trades: list[_Trade]) -> list[TradePrinted]:
        return [self._print(trade) for trade in trades if trade.coin == self._id]

    def _print(self, trade: _Trade) -> TradePrinted:
        price, quantity = self._sized(trade.price, trade.quantity)
        # `A` is the side of the asks: the aggressor sold.
        taker = Side.SELL if trade.side == "A" else Side.BUY
        return TradePrinted(trade.id, price, quantity, Nanos(trade.at_ms * NANOS_PER_MS), taker)

    def _best(self, best: _Best) -> Facts:
        bid, ask = best.sides
        if bid is None or ask is None or best.coin != self._id:
            return ()
        at = Nanos(best.at_ms * NANOS_PER_MS)
        return self._quote(bid.price, bid.quantity, ask.price, ask.quantity, at, best.at_ms)

    def request(self, first: int | None, last: int | None, since: Nanos | None) -> Request:  # noqa: ARG002 (recent)
        """The newest trades, whatever is asked for: there are no others."""
        body = {"type": "recentTrades", "coin": self._id}
        return Request(self.rest_at[self._sandbox], weight=20, body=body)

    def page(self, answer: object) -> list[TradePrinted]:
        """Rows of recentTrades.  Raises ValueError."""
        return self._prints(msgspec.convert(answer, list[_Trade]))
