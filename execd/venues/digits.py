"""Decimal strings to whole ticks and lots, fast and exact: for the streams, where Decimal is too slow.

Promise: the answer equals `Instrument.ticks` and `Instrument.lots`, or `ValueError` is raised; no float, no rounding.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from execd.core.grid import Instrument, Lots, OffGrid, Ticks

LONGEST = 40
"""Characters of the longest number that can mean anything; a longer one would only cost time and memory."""


def exact(value: object) -> Decimal:
    """A number as an exchange wrote it.  Raises ValueError where it is none, not finite, or absurdly large or fine."""
    text = str(value)
    try:
        number = Decimal(text) if len(text) <= LONGEST else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > LONGEST:
        raise ValueError(f"{text[:LONGEST]!r} is no number that can be used")
    return number


class Unit:
    """One step of a grid, as `step` units of ten to the minus `places`."""

    __slots__ = ("_places", "_step")

    def __init__(self, unit: Decimal) -> None:
        _, digits, exponent = unit.normalize().as_tuple()
        if not isinstance(exponent, int) or unit <= 0:
            raise ValueError(f"a grid's step must be a positive number, not {unit}")
        count = int("".join(map(str, digits)))
        self._places: int = max(0, -exponent)
        self._step: int = count * 10 ** max(0, exponent)

    def count(self, text: str) -> int:
        """How many steps a plain, unsigned decimal string is.  Raises ValueError; OffGrid if it is no whole count."""
        whole, _, fraction = text.partition(".")
        if len(text) > LONGEST:
            raise ValueError(f"a number of {len(text)} characters")
        # int() alone would take signs, underscores, spaces and other scripts' digits for numbers.
        if not (whole.isdigit() and (fraction.isdigit() or not fraction) and text.isascii()):
            raise ValueError(f"{text[:40]!r} is no decimal number")
        places = self._places
        if len(fraction) > places:
            if fraction[places:].strip("0"):
                raise OffGrid(f"{text[:40]} is not on the grid")
            fraction = fraction[:places]
        value = int(whole + fraction.ljust(places, "0"))
        count, rest = divmod(value, self._step)
        if rest:
            raise OffGrid(f"{text[:40]} is not on the grid")
        return count


class Grid:
    """An instrument's two units."""

    __slots__ = ("_lot", "_tick")

    def __init__(self, instrument: Instrument) -> None:
        self._tick = Unit(instrument.tick)
        self._lot = Unit(instrument.lot)

    def ticks(self, price: str) -> Ticks:
        """An exact price in ticks.  Raises ValueError."""
        return Ticks(self._tick.count(price))

    def lots(self, quantity: str) -> Lots:
        """An exact quantity in lots.  Raises ValueError."""
        return Lots(self._lot.count(quantity))
