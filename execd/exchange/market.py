"""The symbols' rules, and what a market model promises to the engine and is given by it.

Promise: `SymbolRules` is the only place where the wire's decimal strings become ticks and lots, exactly or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Protocol

from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.exchange.records import ExchangeRefusal

WIRE_DECIMALS = 8


def decimal_string(value: Decimal) -> str:
    """Print an amount as Binance does: 8 decimals, more only where 8 would lose something."""
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int), f"{value} is no amount"
    return f"{value:.{max(WIRE_DECIMALS, -exponent)}f}"


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """What Binance's exchangeInfo says of one symbol.

    Prices and quantities are Decimal here (the filters are printed from them); `ticks` and `lots` make integers.
    The percent-price reference is the last trade (Binance's avgPriceMins 0).
    """

    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_price: Decimal
    max_price: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    max_notional: Decimal = Decimal(9_000_000)
    max_open_orders: int = 200
    bid_multiplier_up: Decimal = Decimal(5)
    bid_multiplier_down: Decimal = Decimal("0.2")
    ask_multiplier_up: Decimal = Decimal(5)
    ask_multiplier_down: Decimal = Decimal("0.2")
    average_price_minutes: int = 0

    @property
    def code(self) -> str:
        """The symbol as the wire spells it, as BTCUSDT."""
        return self.base + self.quote

    @property
    def unit(self) -> Decimal:
        """The quote amount of one tick times one lot."""
        return self.tick * self.lot

    def ticks(self, text: str | Decimal) -> Ticks:
        """A wire price in ticks.  Raises ExchangeRefusal (-1100, -1111 or -1013 PRICE_FILTER)."""
        return Ticks(_whole(text, self.tick, "price", "PRICE_FILTER"))

    def lots(self, text: str | Decimal) -> Lots:
        """A wire quantity in lots.  Raises ExchangeRefusal (-1100, -1111 or -1013 LOT_SIZE)."""
        return Lots(_whole(text, self.lot, "quantity", "LOT_SIZE"))

    def money_down(self, text: str | Decimal) -> int:
        """A wire quote amount in ticks times lots, rounded down.  Raises ExchangeRefusal (-1100 or -1111)."""
        return int(_amount(text, self.unit, "quoteOrderQty") / self.unit)

    def price(self, ticks: int) -> Decimal:
        """Ticks as an exact price."""
        return self.tick * ticks

    def quantity(self, lots: int) -> Decimal:
        """Lots as an exact quantity."""
        return self.lot * lots

    def money(self, notional: int) -> Decimal:
        """Ticks times lots as an exact quote amount."""
        return self.unit * notional

    def price_string(self, ticks: int) -> str:
        """Ticks as the wire prints a price, as 65000.01000000."""
        return decimal_string(self.tick * ticks)

    def quantity_string(self, lots: int) -> str:
        """Lots as the wire prints a quantity."""
        return decimal_string(self.lot * lots)

    def money_string(self, notional: int) -> str:
        """Ticks times lots as the wire prints a quote amount."""
        return decimal_string(self.unit * notional)


def _amount(text: str | Decimal, unit: Decimal, name: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise ExchangeRefusal(-1100, f"Illegal characters found in parameter '{name}'.")
    exponent, finest = value.normalize().as_tuple().exponent, unit.normalize().as_tuple().exponent
    if int(exponent) < min(-WIRE_DECIMALS, int(finest)):
        raise ExchangeRefusal(-1111, f"Parameter '{name}' has too much precision.")
    return value


def _whole(text: str | Decimal, unit: Decimal, name: str, filtered: str) -> int:
    value = _amount(text, unit, name)
    count = value / unit
    if count != int(count):
        raise ExchangeRefusal(-1013, f"Filter failure: {filtered}")
    return int(count)


def _rules(symbol: str, tick: str, lot: str, max_price: str, max_quantity: str, min_notional: str) -> SymbolRules:
    base, quote = symbol.split("/")
    return SymbolRules(
        symbol=symbol,
        base=base,
        quote=quote,
        tick=Decimal(tick),
        lot=Decimal(lot),
        min_price=Decimal(tick),
        max_price=Decimal(max_price),
        min_quantity=Decimal(lot),
        max_quantity=Decimal(max_quantity),
        min_notional=Decimal(min_notional),
    )


# Binance Spot's own grids.
RULES: dict[str, SymbolRules] = {
    rules.symbol: rules
    for rules in (
        _rules("BTC/USDT", "0.01", "0.00001", "1000000", "9000", "5"),
        _rules("ETH/USDT", "0.01", "0.0001", "1000000", "9000", "5"),
        _rules("BNB/USDT", "0.01", "0.001", "100000", "900000", "5"),
        _rules("SOL/USDT", "0.01", "0.001", "10000", "900000", "5"),
        _rules("XRP/USDT", "0.0001", "0.1", "10000", "9222449", "5"),
        _rules("ADA/USDT", "0.0001", "0.1", "1000", "900000", "5"),
        _rules("DOGE/USDT", "0.00001", "1", "1000", "9000000", "1"),
        _rules("TRX/USDT", "0.0001", "0.1", "1000", "90000000", "5"),
        _rules("PEPE/USDT", "0.00000001", "1", "1", "90000000000", "1"),
        _rules("APE/USDT", "0.0001", "0.01", "1000", "900000", "5"),
    )
}


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask with their sizes; a side that is empty has price 0 and size 0."""

    bid: Ticks
    bid_size: Lots
    ask: Ticks
    ask_size: Lots


@dataclass(slots=True)
class Candle:
    """Open, high, low, close in ticks; volumes in lots; quote amounts in ticks times lots."""

    open_at: Nanos
    open: Ticks
    high: Ticks
    low: Ticks
    close: Ticks
    volume: int
    quote_volume: int
    trades: int
    taker_base: int
    taker_quote: int


class Floor(Protocol):
    """What the engine lets a market model do.  All sizes are the market's own: users' orders are never touched."""

    def market_size(self, symbol: str, side: Side, price: Ticks) -> int:
        """The market's own size at a price."""

    def set_size(self, symbol: str, side: Side, price: Ticks, size: int) -> None:
        """Make the market's own size at a price this: growth joins the queue's end, shrinking leaves from there.

        A size that would cross the book is not shown.
        """

    def clear_better(self, symbol: str, side: Side, price: Ticks) -> None:
        """Withdraw the market's own sizes at prices strictly better than this."""

    def levels(self, symbol: str, side: Side, limit: int) -> list[tuple[Ticks, int]]:
        """The market's own levels, best first."""

    def touch(self, symbol: str, side: Side) -> Ticks | None:
        """The best price of a side, users' orders included; None where it is empty."""

    def take(self, at: Nanos, symbol: str, side: Side, quantity: int, limit: Ticks) -> int:
        """A stranger takes up to a quantity inside a limit, by the queue; returns what it got."""

    def print_whole(self, at: Nanos, symbol: str, side: Side, price: Ticks, quantity: Lots) -> None:
        """Print a trade of a tape whole, whatever rests here, and let it fill users' orders by the queue rule."""

    def remember(self, symbol: str, seconds: Sequence[Candle], minutes: Sequence[Candle]) -> None:
        """Take in the candles of the time before the exchange opened."""


class MarketModel(Protocol):
    """Everybody else: the strangers who quote and trade."""

    seed: int

    def rules(self, symbol: str) -> SymbolRules:
        """The rules of a symbol that this market trades.  Raises ValueError for another."""

    def open(self, now: Nanos, symbols: Sequence[str], floor: Floor) -> None:
        """The exchange opens: give it a past and a first book."""

    def next_at(self) -> Nanos | None:
        """When the market wants to act next; None where it never will."""

    def act(self) -> None:
        """Do what is due at `next_at`."""

    def catch_up(self, now: Nanos) -> None:
        """The exchange was not asked for a while: what is due long before `now` may be left out, if it is made up."""

    def taken(self, at: Nanos, symbol: str, side: Side, price: Ticks, quantity: int) -> None:
        """A user took strangers' size of the other side at a price."""
