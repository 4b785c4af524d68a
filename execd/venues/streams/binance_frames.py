"""Binance's frames about our own orders to facts.

Promise: any bytes whatever give a fact, None (nothing of interest) or `BadFrame`; prices and quantities are exact.
Field names: binance-spot-api-docs, user-data-stream.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from execd.core.events import Event, OrderAccepted, OrderClosed, OrderFilled
from execd.core.grid import Nanos
from execd.core.orders import Fill, Liquidity
from execd.venues.capabilities import OrderReply
from execd.venues.digits import Grid, exact
from execd.venues.streams.feed import BROKEN, NANOS_PER_MS, BadFrame, Count, Millis
from execd.venues.streams.feeds.binance import GOODBYES

OK = 200


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The exchange ends the stream: connect anew.  `why` is its own event name."""

    why: str


class _Kind(msgspec.Struct, gc=False):
    e: str = ""


class _AccountEnvelope(msgspec.Struct, gc=False):
    event: msgspec.Raw = msgspec.Raw(b"")
    id: str | int | None = None
    status: int | None = None
    error: msgspec.Raw = msgspec.Raw(b"")


class _Report(msgspec.Struct, gc=False):
    event_ms: Millis = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    client_id: str = msgspec.field(name="c")
    execution: str = msgspec.field(name="x")
    status: str = msgspec.field(name="X")
    venue_id: Count = msgspec.field(name="i")
    filled: str = msgspec.field(name="z")
    original_id: str | None = msgspec.field(name="C", default=None)
    refusal: str = msgspec.field(name="r", default="NONE")
    quantity: str = msgspec.field(name="l", default="0")
    price: str = msgspec.field(name="L", default="0")
    fee: str | None = msgspec.field(name="n", default=None)
    fee_currency: str | None = msgspec.field(name="N", default=None)
    at_ms: Millis = msgspec.field(name="T", default=0)
    trade_id: int = msgspec.field(name="t", default=-1)
    maker: bool = msgspec.field(name="m", default=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request of ours."""

    id: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What one executionReport says: facts about one order, when (venue time), and the venue's own id of the order."""

    order: str
    venue_id: str
    at: Nanos
    facts: tuple[Event, ...]


class AccountFrames:
    """Frames of the user data stream of one symbol."""

    def __init__(self, market_id: str, grid: Grid, statuses: OrderReply) -> None:
        self._symbol, self._grid, self._statuses = market_id, grid, statuses
        self._envelopes = msgspec.json.Decoder(_AccountEnvelope)
        self._kinds = msgspec.json.Decoder(_Kind)
        self._reports = msgspec.json.Decoder(_Report)

    def decode(self, frame: bytes) -> Report | Reply | Goodbye | None:
        """One frame; None for what is no business of ours.  Raises BadFrame."""
        try:
            envelope = self._envelopes.decode(frame)
            if envelope.id is not None:
                text = bytes(envelope.error).decode()[:200]
                return Reply(str(envelope.id), envelope.status == OK, text)
            body = envelope.event if bytes(envelope.event) else frame
            kind = self._kinds.decode(body).e
            if kind == "executionReport":
                return self._report(self._reports.decode(body))
        except BROKEN as error:
            raise BadFrame(str(error)) from None
        return Goodbye(kind) if kind in GOODBYES else None

    def _report(self, report: _Report) -> Report | None:
        if report.symbol != self._symbol:
            return None
        # A cancel carries an id of its own in `c`, and the order's in `C`.
        order = report.original_id if report.execution == "CANCELED" and report.original_id else report.client_id
        facts: list[Event] = [OrderFilled(self._fill(report, order))] if report.execution == "TRADE" else []
        filled, venue_id = self._grid.lots(report.filled), str(report.venue_id)
        word = self._statuses.closed.get(report.status)
        if word is not None:
            refusal = report.refusal if report.refusal != "NONE" else ""
            facts.append(OrderClosed(order, filled, f"{word}: {refusal[:100]}" if refusal else word))
        elif report.status not in self._statuses.open:
            raise BadFrame(f"unknown order status {report.status[:40]!r}")
        elif not facts:
            facts.append(OrderAccepted(order, venue_id, filled))
        return Report(order, venue_id, Nanos(report.event_ms * NANOS_PER_MS), tuple(facts))

    def _fill(self, report: _Report, order: str) -> Fill:
        if report.trade_id < 0:
            raise BadFrame("an execution without a trade id")
        return Fill(
            id=str(report.trade_id),
            order=order,
            price=self._grid.ticks(report.price),
            quantity=self._grid.lots(report.quantity),
            at=Nanos(report.at_ms * NANOS_PER_MS),
            liquidity=Liquidity.MAKER if report.maker else Liquidity.TAKER,
            fee=fee_of(report.fee),
            fee_currency=report.fee_currency or "",
        )


def fee_of(text: str | None) -> Decimal:
    """An exact fee.  Raises ValueError where it is no finite number."""
    return exact(text or "0")
