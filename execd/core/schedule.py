"""target(now) and the band around it.

Promise: the schedule is 0 at the start, the quantity at the end, and never decreases.  A policy may move a slice's
target only inside the band; in the last slice the target is the whole quantity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from execd.core.grid import PPM, Lots, Nanos
from execd.core.orders import ParentOrder


@dataclass(frozen=True, slots=True)
class Schedule:
    """The plan of one parent: `curve[k]` is the cumulative fraction due at the end of slice k, the last 1.0."""

    parent: ParentOrder
    curve: tuple[float, ...]
    band_ppm: int

    def __post_init__(self) -> None:
        if len(self.curve) != self.parent.slices:
            raise ValueError(f"curve has {len(self.curve)} points for {self.parent.slices} slices")
        rising = all(0.0 <= a <= b for a, b in pairwise((0.0, *self.curve)))
        if not rising or self.curve[-1] != 1.0:
            raise ValueError("curve must rise from 0 to exactly 1")

    def planned(self, number: int) -> Lots:
        """Cumulative lots due at the end of slice `number`, rounded down; the quantity at the last, 0 before the first.

        The cumulative target is what is rounded, so that the rounding of one slice is made good in the next.
        """
        if number < 0:
            return Lots(0)
        if number >= self.parent.slices - 1:
            return self.parent.quantity
        return Lots(math.floor(self.curve[number] * self.parent.quantity))

    def target(self, now: Nanos) -> Lots:
        """Cumulative lots due by a moment: linear inside a slice."""
        parent = self.parent
        if now <= parent.start:
            return Lots(0)
        if now >= parent.end:
            return parent.quantity
        number = parent.slice_at(now)
        begin, end = parent.boundary(number), parent.boundary(number + 1)
        before, after = self.planned(number - 1), self.planned(number)
        return Lots(before + (after - before) * (now - begin) // (end - begin))

    @property
    def band(self) -> Lots:
        """How far from the plan a slice's target may lie, in lots."""
        return Lots(self.parent.quantity * self.band_ppm // PPM)

    def ceiling(self, number: int) -> Lots:
        """The most that may be committed during slice `number`."""
        return Lots(min(self.parent.quantity, self.planned(number) + self.band))

    def clamp(self, number: int, wanted: Lots) -> Lots:
        """Bring a wanted cumulative target for the end of slice `number` inside the band."""
        if number >= self.parent.slices - 1:
            return self.parent.quantity
        low = max(0, self.planned(number) - self.band)
        return Lots(max(low, min(self.ceiling(number), wanted)))

    def wanted(self, filled: Lots, share: float) -> Lots:
        """The cumulative target that a share of what is left means, rounded down.  `share` must lie in [0, 1]."""
        left = max(0, self.parent.quantity - filled)
        return Lots(filled + math.floor(share * left))


def sane(share: float) -> bool:
    """Whether a proposal's share is a number in [0, 1]."""
    return math.isfinite(share) and 0.0 <= share <= 1.0
