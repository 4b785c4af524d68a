"""How a benchmark that may lack trades is told: how much of it is known, by how much it can be off, what is missing.

Promise: nothing that rests on an incomplete benchmark is shown as exact.  What is known is rounded down, what bounds an
error up; 100 % is shown only for a complete one.  What the bounds assume is in `execd/core/coverage.py`.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from execd.core.score import Score

HUNDREDTH = Decimal("0.01")

ASSUMED = (
    "if no missed trade was larger than the largest seen or outside the prices seen, and no second in a hole traded "
    "more than the busiest one seen"
)
"""What the bounds rest on, for people."""


def ratio(coverage: Fraction) -> float:
    """A coverage as a float, which is 1 only if the coverage is."""
    value = float(coverage)
    return math.nextafter(1.0, 0.0) if value == 1.0 and coverage < 1 else value


def percent(coverage: Fraction) -> str:
    """How much of the prints is known: `100.00 %`, or at least so much."""
    whole, rest = divmod(math.floor(coverage * 10_000), 100)
    return f"{'' if coverage == 1 else '≥ '}{whole}.{rest:02d} %"


def bps(value: float | None, off: float | None, *, exact: bool = True) -> str:
    """Basis points with their error: `+1.20 bp`, `+1.20 ± 0.40 bp`, or `about +1.20 bp` where nothing bounds it."""
    if value is None:
        return "-"
    if exact:
        return f"{value:+.2f} bp"
    return f"about {value:+.2f} bp" if off is None else f"{value:+.2f} ± {bound(off)} bp"


def bound(off: float) -> str:
    """An error of so many basis points, rounded up."""
    return f"{Decimal(repr(off)).quantize(HUNDREDTH, ROUND_CEILING):f}"


def told(sums: Score) -> str:
    """What an incomplete benchmark is worth, in a sentence."""
    off = "nothing bounds how far its VWAP is off"
    if sums.error_bps is not None:
        off = f"its VWAP is off by at most {bound(sums.error_bps)} bp, {ASSUMED}"
    return f"The benchmark is incomplete: {percent(sums.coverage)} of the prints are in it; {off}."
