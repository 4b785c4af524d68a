"""What is known just before a slice, as arrays: one row a parent order (served) or a window of the past (trained on).

Promise: the policies that forecast, their training and their baselines see the market through `State` alone, so what
is served is what was trained.  A `State` for slice k holds the k closed bars of the window and up to HISTORY bars
before it, and nothing later; `of(observation)` reads nothing that lies at or after the observation's slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from execd.core.commands import Observation
from execd.core.events import Hours
from execd.core.grid import Nanos
from execd.policies.floats import Flags, Floats
from execd.policies.profile import HOUR
from execd.policies.season import HOURS, Season, gathered, season

HISTORY = 96
"""How many bars of a slice's length before the start are looked at, at most."""


@dataclass(frozen=True, slots=True)
class State:
    """B moments, each just before slice `slice` (k, from 0) of `slices` (n), all with slices of `interval` ns.

    Bars are columns, oldest first: HISTORY columns before the start, then the k closed ones of the window.  Volumes,
    prices and notionals are in any one unit a row: nothing that is computed from a State depends on it.

    Attributes:
        slice: k.
        slices: n.
        interval: A slice's length in nanoseconds.
        start: [B] the windows' first moments, nanoseconds since the epoch.
        volume: [B, HISTORY + k] market volume; 0 where nothing traded or nothing is known.
        notional: [B, HISTORY + k] market volume times price.
        close: [B, HISTORY + k] last price; read only where the volume is above 0.
        present: [B, HISTORY + k] whether the bar is known at all.
        curve: [B, n] the expected cumulative fraction of the window's volume at the end of each slice.
        filled: [B] our own filled fraction of the parent, 0 to 1.
        season: The assets' own habits, of the hours before the start.
    """

    slice: int
    slices: int
    interval: int
    start: NDArray[np.int64]
    volume: Floats
    notional: Floats
    close: Floats
    present: Flags
    curve: Floats
    filled: Floats
    season: Season


def of(observation: Observation) -> State:
    """Return the State, of one row, that an observation describes.

    A bar is placed by its own start, so that a missing one leaves a hole and not a shift; bars of the window that are
    not over before this slice begins are not looked at.
    """
    return of_many((observation,))


def of_many(observations: Sequence[Observation]) -> State:
    """Return the State, a row each, of observations of the same slice of windows of the same shape."""
    first = observations[0]
    k = first.slice
    # [B, 4, HISTORY + k]: volume, notional, close, present.  Filled as lists: an array's single cells are slow.
    columns = np.array([_placed(each, HISTORY + k) for each in observations])
    return State(
        slice=k,
        slices=first.slices,
        interval=int(first.interval),
        start=np.array([each.start for each in observations], dtype=np.int64),
        volume=columns[:, 0],
        notional=columns[:, 1],
        close=columns[:, 2],
        present=columns[:, 3] > 0,
        curve=np.array([each.curve for each in observations], dtype=np.float64),
        filled=np.array([each.filled / each.quantity for each in observations], dtype=np.float64),
        season=gathered([_season(_Same(each.hours, int(each.start))) for each in observations]),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Same:
    """A parent's hours, which are one object for all of its slices: told apart by identity, not by 960 numbers."""

    hours: Hours
    start: int

    def __hash__(self) -> int:
        return hash((id(self.hours), self.start))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.hours is other.hours and self.start == other.start


@lru_cache(maxsize=256)
def _season(asked: _Same) -> Season:
    """The season, of one row, of a parent: the same before every slice."""
    volume, close = np.zeros((1, HOURS)), np.zeros((1, HOURS))
    first = asked.start // HOUR - HOURS
    for i, (quantity, price) in enumerate(zip(asked.hours.volume, asked.hours.close, strict=True)):
        at = asked.hours.start // HOUR + i - first
        if 0 <= at < HOURS:
            volume[0, at], close[0, at] = quantity, price
    return season(np.array([asked.start], dtype=np.int64), volume, close)


def _placed(seen: Observation, length: int) -> list[list[float]]:
    """The bars' columns; history fills the cells before the start, the window's bars those after it."""
    columns = [[0.0] * length for _ in range(4)]
    volume, notional, close, present = columns
    interval, start = int(seen.interval), int(seen.start)
    for bars, first, end in ((seen.history, 0, HISTORY), (seen.bars, HISTORY, length)):
        for bar in bars:
            # To the nearest cell: a history of ready-made candles need not lie exactly on the parent's grid.
            at = HISTORY + (2 * (bar.start - start) + interval) // (2 * interval)
            if first <= at < end:
                volume[at] += bar.volume
                notional[at] += bar.notional
                close[at] = bar.close
                present[at] = 1.0
    return columns


def slice_bounds(start: Nanos, end: Nanos, slices: int) -> NDArray[np.int64]:
    """Return the slices' n + 1 bounds in nanoseconds, the first at `start` and the last at `end`."""
    span = int(end) - int(start)
    return np.array([int(start) + span * i // slices for i in range(slices + 1)], dtype=np.int64)
