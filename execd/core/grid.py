"""The integer grid: every price is a whole number of ticks, every quantity a whole number of lots.

Promise: the only roundings of execd are in this file, and each says in its name which way it rounds.
Decimal appears at the edges, made from the venue's own strings; a float never becomes a price.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum
from fractions import Fraction
from typing import NewType

Ticks = NewType("Ticks", int)
"""A price, in units of the instrument's tick."""

Lots = NewType("Lots", int)
"""A quantity, in units of the instrument's lot (its quantity step)."""

Nanos = NewType("Nanos", int)
"""A moment (since the Unix epoch, UTC) or a span, in nanoseconds."""

Notional = NewType("Notional", int)
"""Price times quantity, in ticks times lots."""

SECOND = Nanos(1_000_000_000)
MINUTE = Nanos(60 * SECOND)
HOUR = Nanos(60 * MINUTE)

BPS = 10_000
PPM = 1_000_000


class OffGrid(ValueError):
    """A price or a quantity that is no whole multiple of the instrument's tick or lot."""


class Side(Enum):
    """Which way we trade."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell: a positive signed difference is a cost to the client."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is traded where, and the grid it is traded on.

    `min_notional` and `max_notional` are in ticks times lots, rounded to the strict side.
    """

    venue: str
    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_quantity: Lots
    max_quantity: Lots
    min_notional: Notional
    max_notional: Notional

    def __post_init__(self) -> None:
        if not (self.tick > 0 and self.lot > 0):
            raise ValueError(f"{self.symbol}: tick {self.tick} and lot {self.lot} must be positive")
        if not 0 < self.min_quantity <= self.max_quantity:
            raise ValueError(f"{self.symbol}: quantity limits {self.min_quantity}..{self.max_quantity} lots are empty")

    def ticks(self, price: Decimal | str) -> Ticks:
        """Return an exact price in ticks.  Raises OffGrid."""
        return Ticks(_whole(Decimal(price), self.tick, f"{self.symbol} price"))

    def lots(self, quantity: Decimal | str) -> Lots:
        """Return an exact quantity in lots.  Raises OffGrid."""
        return Lots(_whole(Decimal(quantity), self.lot, f"{self.symbol} quantity"))

    def ticks_not_worse(self, price: Decimal, side: Side) -> Ticks:
        """Round a limit price so that it never becomes worse for the client: a buy down, a sell up."""
        rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        return Ticks(int((price / self.tick).to_integral_value(rounding)))

    def lots_down(self, quantity: Decimal) -> Lots:
        """Round a quantity down to whole lots: never more than was asked."""
        return Lots(int((quantity / self.lot).to_integral_value(ROUND_FLOOR)))

    def notional_down(self, money: Decimal) -> Notional:
        """An amount of quote currency in ticks times lots, rounded down: for a most."""
        return Notional(int((money / (self.tick * self.lot)).to_integral_value(ROUND_FLOOR)))

    def notional_up(self, money: Decimal) -> Notional:
        """An amount of quote currency in ticks times lots, rounded up: for a least."""
        return Notional(int((money / (self.tick * self.lot)).to_integral_value(ROUND_CEILING)))

    def price(self, ticks: int) -> Decimal:
        """Ticks as an exact price in quote currency."""
        return self.tick * ticks

    def quantity(self, lots: int) -> Decimal:
        """Lots as an exact quantity of base currency."""
        return self.lot * lots

    def money(self, notional: int) -> Decimal:
        """Ticks times lots as an exact amount of quote currency."""
        return self.tick * self.lot * notional

    def average(self, notional: int, lots: int) -> Decimal | None:
        """Notional over quantity as a price in quote currency, None where nothing traded."""
        return self.tick * notional / lots if lots else None

    def tradable(self, lots: int, ticks: int) -> bool:
        """Whether the exchange would accept an order of this size at this price."""
        return self.min_quantity <= lots <= self.max_quantity and self.min_notional <= lots * ticks <= self.max_notional

    def least(self, ticks: int) -> Lots:
        """The smallest quantity that the exchange accepts at a price."""
        return Lots(max(self.min_quantity, -(-self.min_notional // max(1, ticks))))


def _whole(value: Decimal, unit: Decimal, what: str) -> int:
    # Fractions: a Decimal quotient is rounded to 28 digits before it could be asked whether it is whole.
    count = Fraction(value) / Fraction(unit)
    if count.denominator != 1:
        raise OffGrid(f"{what} {value} is not a multiple of {unit}")
    return count.numerator
