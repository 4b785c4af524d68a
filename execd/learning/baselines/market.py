"""One asset's past in bars of one slice: what the baselines learn from and are judged on.

Promise: `rolling` and `last` at bar t look at bars before t alone, so that they may be used to decide at t.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from execd.learning.series import DataRefused, Series, coarse, read_bars
from execd.learning.windows import Windows, cut, starts
from execd.policies.floats import Flags, Floats
from execd.policies.profile import DAY, HOUR
from execd.policies.season import weekend

Cells = NDArray[np.int64]


@dataclass(frozen=True)
class Market:
    """One asset's bars, each as long as a slice, and every window of `slices` of them that starts at a full hour.

    Attributes:
        bars: N bars.
        slices: n.
        cells: [W] the bar that each window starts with, ascending.
        windows: The windows, with HISTORY bars before each.
    """

    bars: Series
    slices: int
    cells: Cells
    windows: Windows

    @classmethod
    def of(cls, bars: Series, slices: int, until: int) -> Market:
        """Return the market of all windows that end before `until` (ns)."""
        cells = starts(bars, bars.interval, slices, bars.start, until)
        cells = cells[(bars.start + cells * bars.interval) % HOUR == 0]
        return cls(bars, slices, cells, cut(bars, 0, bars.interval, slices, cells))

    @classmethod
    def read(cls, path: Path, interval: int, slices: int, until: int) -> Market:
        """Return the market of a file of bars, in slices of `interval` ns.

        Raises:
            DataRefused: if the file cannot be used, or slices of this length do not fit its bars.
        """
        series = read_bars(path)
        try:
            bars = coarse(series, interval)
        except ValueError as error:
            raise DataRefused(f"{path}: {error}; allowed are multiples") from error
        return cls.of(bars, slices, until)

    @cached_property
    def known(self) -> Flags:
        """[N] whether a bar is known and traded."""
        return self.bars.known & (self.bars.volume > 0)

    @cached_property
    def price(self) -> Floats:
        """[N] each bar's VWAP; where nothing traded, the last price before."""
        volume = np.where(self.known, self.bars.volume, 1.0)
        price: Floats = np.where(self.known, self.bars.notional / volume, self.bars.close)
        return price

    @cached_property
    def log_volume(self) -> Floats:
        """[N] log volume; where nothing traded or nothing is known, the last one before."""
        return last_known(np.log(np.where(self.known, self.bars.volume, 1.0)), self.known)

    def bins(self, t: Cells) -> Cells:
        """Return the slot of the day of bars t, UTC, Monday to Friday and the weekend apart."""
        at = self.bars.start + t * self.bars.interval
        slot: Cells = (at % DAY) // self.bars.interval + weekend(at) * self.slots
        return slot

    @property
    def slots(self) -> int:
        """How many bars a day has."""
        return DAY // self.bars.interval

    def count(self, hours: float) -> int:
        """Return how many bars make so many hours, at least 1."""
        return max(1, round(hours * HOUR / self.bars.interval))

    def before(self, at: int) -> int:
        """Return how many bars are over at `at` (ns)."""
        return int(np.clip((at - self.bars.start) // self.bars.interval, 0, len(self.bars.volume)))


def last_known(values: Floats, known: Flags) -> Floats:
    """Return values with the last known one in the place of each unknown; before the first, the value as it is."""
    at = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))
    out: Floats = values[at]
    return out


def rolling(values: Floats, count: int) -> Floats:
    """Return [N] the mean of the `count` values before each: at t of [t - count, t), fewer at the beginning, 0 at 0."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    t = np.arange(len(values))
    first = np.maximum(t - count, 0)
    mean: Floats = (total[t] - total[first]) / np.maximum(t - first, 1)
    return mean


def last(values: Floats, back: int = 1) -> Floats:
    """Return [N] the value `back` before each; the first one where there is none."""
    out: Floats = values[np.maximum(np.arange(len(values)) - back, 0)]
    return out
