"""Decimal strings to whole ticks and lots, fast and exact: for the streams, where Decimal is too slow.

Promise: the answer equals `Instrument.ticks` and `Instrument.lots`, or `ValueError` is raised; no float, no rounding.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from execd.core.grid import Instrument, Lots, OffGrid, Ticks

LONGEST = 40
"""Characters of the longest number that can mean anything; a longer one would only cost time and memory."""


KNOWN_MAX = 4096
"""Texts whose count is remembered."""


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
    """One step of a grid."""

    __slots__ = ("_known", "_scales")

    def __init__(self, unit: Decimal) -> None:
        _, digits, exponent = unit.normalize().as_tuple()
        if not isinstance(exponent, int) or unit <= 0:
            raise ValueError(f"a grid's step must be a positive number, not {unit}")
        count = int("".join(map(str, digits)))
        self._known: dict[str, int] = {}
        # By the number of decimal places of a text: (what its digits are multiplied by, what one step is then).
        self._scales: list[tuple[int, int]] = [
            (10 ** max(0, -exponent - places), count * 10 ** max(0, exponent + places)) for places in range(LONGEST)
        ]

    def count(self, text: str) -> int:
        """How many steps a plain, unsigned decimal string is.  Raises ValueError; OffGrid if it is no whole count."""
        known = self._known.get(text)
        if known is not None:
            return known  # A tape repeats its prices and its sizes all the time.
        if len(text) > LONGEST:
            raise ValueError(f"a number of {len(text)} characters")
        whole, point, fraction = text.partition(".")
        digits = whole + fraction
        # int() alone would take signs, underscores, spaces and other scripts' digits for numbers.
        if not (digits.isdigit() and text.isascii() and whole and (fraction or not point)):
            raise ValueError(f"{text[:LONGEST]!r} is no decimal number")
        times, step = self._scales[len(fraction)]
        count, rest = divmod(int(digits) * times, step)
        if rest:
            raise OffGrid(f"{text[:LONGEST]} is not on the grid")
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[text] = count
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
