"""Binance Spot's REST answers to facts: where ccxt's unified form loses exactness, ids or fields.

Promise: pure functions; prices and quantities are exact, and an answer that is not of its form raises ValueError,
never something half-parsed.  Formats: binance-spot-api-docs, rest-api.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from execd.core.events import Bar, OrderAccepted, OrderClosed, QuoteChanged
from execd.core.grid import SECOND, Instrument, Lots, Nanos, Notional, Side, Ticks
from execd.core.orders import Fill, Liquidity
from execd.venues import Balance, KeyPermissions
from execd.venues.capabilities import OrderReply
from execd.venues.digits import Grid, exact
from execd.venues.streams.binance_frames import fee_of
from execd.venues.streams.feed import LATEST_MS, NANOS_PER_MS

PAGE = 1000
"""Most rows that one request gives."""

KLINES: Mapping[str, Nanos] = {
    name: Nanos(seconds * SECOND)
    for name, seconds in (
        ("1d", 86_400),
        ("12h", 43_200),
        ("8h", 28_800),
        ("6h", 21_600),
        ("4h", 14_400),
        ("2h", 7_200),
        ("1h", 3_600),
        ("30m", 1_800),
        ("15m", 900),
        ("5m", 300),
        ("3m", 180),
        ("1m", 60),
        ("1s", 1),
    )
}
"""Kline intervals, longest first."""


@dataclass(frozen=True, slots=True)
class OrderReport:
    """One order as a reply has it.  `closed` is the word for its end, None while it lives."""

    order: str
    venue_id: str
    filled: Lots
    closed: str | None

    @property
    def fact(self) -> OrderAccepted | OrderClosed:
        """The report as a fact."""
        if self.closed is None:
            return OrderAccepted(self.order, self.venue_id, self.filled)
        return OrderClosed(self.order, self.filled, self.closed)


def order_report(reply: object, form: OrderReply, grid: Grid, *, canceled: bool = False) -> OrderReport:
    """Read the raw reply to a submit, a query or (`canceled`) a cancel.  Raises ValueError where it lacks anything."""
    row = mapping(reply)
    status = text(row, form.status)
    if status not in form.closed and status not in form.open:
        raise ValueError(f"unknown order status {status[:40]!r}")
    return OrderReport(
        order=text(row, form.canceled_client_id if canceled else form.client_id),
        venue_id=text(row, form.venue_id),
        filled=grid.lots(text(row, form.filled)),
        closed=form.closed.get(status),
    )


def fill(reply: object, order: str, grid: Grid) -> Fill:
    """One row of myTrades, of an order whose client id was found out.  Raises ValueError."""
    row = mapping(reply)
    return Fill(
        id=text(row, "id"),
        order=order,
        price=grid.ticks(text(row, "price")),
        quantity=grid.lots(text(row, "qty")),
        at=_moment(row, "time"),
        liquidity=Liquidity.MAKER if _flag(row, "isMaker") else Liquidity.TAKER,
        fee=fee_of(text(row, "commission")),
        fee_currency=text(row, "commissionAsset"),
    )


def balance(reply: object) -> Balance:
    """Read one currency of the account.  Raises ValueError."""
    row = mapping(reply)
    free, locked = text(row, "free"), text(row, "locked")
    return Balance(currency=text(row, "asset"), free=free, total=str(exact(free) + exact(locked)))


def key_permissions(reply: object) -> KeyPermissions:
    """The answer of account/apiRestrictions; a field that is absent counts as the worse.  Raises ValueError."""
    row = mapping(reply)
    funds = ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer")
    return KeyPermissions(
        may_trade=row.get("enableSpotAndMarginTrading") is True,
        ip_listed=row.get("ipRestrict") is True,
        excess=tuple(name for name in funds if row.get(name) is not False),
    )


def quote(reply: object, grid: Grid, now: Nanos) -> QuoteChanged:
    """A bookTicker's best quote; it has no time of its own.  Raises ValueError, for an empty side of the book too."""
    row = mapping(reply)
    bid, ask = grid.ticks(text(row, "bidPrice")), grid.ticks(text(row, "askPrice"))
    if not 0 < bid < ask:
        raise ValueError("a side of the book is empty")
    return QuoteChanged(
        bid=bid, bid_size=grid.lots(text(row, "bidQty")), ask=ask, ask_size=grid.lots(text(row, "askQty")), at=now
    )


def kline_for(interval: Nanos, names: Collection[str] = frozenset(KLINES)) -> tuple[str, Nanos] | None:
    """The longest of the named klines that divides an interval: its name and length; None where none does."""
    if interval <= 0:
        return None
    return next(((name, length) for name, length in KLINES.items() if name in names and interval % length == 0), None)


def kline_bar(row: object, instrument: Instrument) -> Bar:
    """One kline as a bar.  Raises ValueError.

    An old kline may lie off today's grid: its volume, notional and close are rounded down.
    """
    if not isinstance(row, Sequence) or isinstance(row, str) or len(row) < 9:
        raise ValueError("not a kline")
    kline = {"start": row[0], "trades": row[8]}
    close, volume, quote_volume = map(exact, (row[4], row[5], row[7]))
    return Bar(
        start=_moment(kline, "start"),
        volume=instrument.lots_down(volume),
        notional=instrument.notional_down(quote_volume),
        close=instrument.ticks_not_worse(close, Side.BUY),
        trades=_whole(kline, "trades"),
    )


def merge(klines: Sequence[Bar], kline: Nanos, interval: Nanos, end: Nanos, count: int) -> list[Bar]:
    """Bars of `interval` made of shorter ones, oldest first, the last of them ending at `end`.

    A kline that is not there had no trades; a bar before the first kline is unknown and left out.
    """
    if not klines:
        return []
    parts = {bar.start: bar for bar in klines}
    bars: list[Bar] = []
    close = klines[0].close
    first = Nanos(end - interval * count)
    for start in range(first, end, interval):
        if start < klines[0].start:
            continue
        inside = [parts[at] for at in (Nanos(at) for at in range(start, start + interval, kline)) if at in parts]
        close = inside[-1].close if inside else close
        bars.append(_sum(Nanos(start), inside, close))
    return bars


def _sum(start: Nanos, parts: Sequence[Bar], close: Ticks) -> Bar:
    return Bar(
        start=start,
        volume=Lots(sum(part.volume for part in parts)),
        notional=Notional(sum(part.notional for part in parts)),
        close=close,
        trades=sum(part.trades for part in parts),
    )


def text(row: Mapping[str, Any], name: str) -> str:
    """A field as the venue wrote it: a non-empty string or a whole number.  Raises ValueError."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"the reply has no {name}")
    return str(value)


def mapping(reply: object) -> Mapping[str, Any]:
    """An answer that must be a JSON object.  Raises ValueError."""
    if not isinstance(reply, Mapping):
        raise ValueError("the reply is no JSON object")
    return reply


def _flag(row: Mapping[str, Any], name: str) -> bool:
    value = row.get(name)
    if not isinstance(value, bool):
        raise ValueError(f"the reply has no {name}")
    return value


def _moment(row: Mapping[str, Any], name: str) -> Nanos:
    return Nanos(_whole(row, name, LATEST_MS) * NANOS_PER_MS)


def _whole(row: Mapping[str, Any], name: str, most: int = 2**63 - 1) -> int:
    number = int(text(row, name))
    if not 0 <= number <= most:
        raise ValueError(f"the reply has no possible {name}")
    return number
