"""Bars as the sequence networks read them, and windows in stretches, so that what overlaps is read once.

Each bar is told by its volume, its VWAP return, the hour and the weekday: the four features of 2502.18177 in columns
that a network of this size can use.  Windows of every hour overlap in all but one bar, so a stretch of bars is encoded
once for all windows that start in it.

Promise: what is told of a bar is known when it is over; what a course holds of its windows ends with the last of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from execd.learning.baselines.market import Cells, Market, rolling
from execd.policies.floats import Floats
from execd.policies.profile import DAY

COLUMNS = 11
LOOKBACK = 120
"""Bars that a network has read, at least, before it decides; fewer where there are none."""
STRETCH = 96
"""Bars in which the windows of one stretch start."""
_MEAN_OF = 336
_FAR = 5.0


@dataclass(frozen=True, slots=True)
class Course:
    """One asset's bars and some of its windows.

    Attributes:
        told: [N, COLUMNS] what each bar says once it is over.
        cells: [W] the bar that each window starts with, ascending.
        ends: [W] nanoseconds since the epoch.
        moves: [W, n - 1] D of learning.md 5.3.
        share: [W, n - 1] the market's cumulative share.
    """

    told: Tensor
    cells: Cells
    ends: Cells
    moves: Tensor
    share: Tensor

    @classmethod
    def of(cls, market: Market, rows: Cells) -> Course:
        """Return the windows `rows` of a market, ascending in time."""
        windows = market.windows.take(rows)
        ends = windows.start + market.bars.interval * market.slices
        share = windows.market()[:, :-1]
        return cls(told(market), market.cells[rows], ends, _single(windows.moves()), _single(share))

    def take(self, rows: slice) -> Course:
        """Return some of the windows."""
        return Course(self.told, self.cells[rows], self.ends[rows], self.moves[rows], self.share[rows])

    def until(self, at: int) -> Course:
        """Return the windows that are over at `at` (ns), with moves in units of TWAP's mean |slippage| on them."""
        past = self.take(slice(0, int(np.searchsorted(self.ends, at, side="right"))))
        steps = past.moves.shape[1]
        twap = torch.arange(1, steps + 1) / (steps + 1)
        unit = (past.moves * (past.share - twap)).sum(dim=1).abs().mean() if len(past.cells) else torch.ones(())
        return Course(past.told, past.cells, past.ends, past.moves / unit.clamp(min=1e-12), past.share)

    def parted(self) -> tuple[Course, Course]:
        """Return the first four fifths of the windows, and those of the last that share no bar with them."""
        cut = len(self.cells) * 4 // 5
        over = self.cells[max(0, cut - 1)] + self.moves.shape[1] + 1 if len(self.cells) else 0
        return self.take(slice(0, cut)), self.take(slice(int(np.searchsorted(self.cells, over)), None))


def told(market: Market) -> Tensor:
    """Return [N, COLUMNS]: of each bar, volume and VWAP return against their usual size, the hour, the weekday."""
    level = rolling(market.bars.volume, _MEAN_OF)
    volume = market.bars.volume / np.where(level > 0, level, 1.0)
    move = np.diff(np.log(market.price), prepend=np.log(market.price[0]))
    usual = rolling(np.abs(move), _MEAN_OF)
    move = move / np.where(usual > 0, usual, 1.0)
    at = market.bars.start + np.arange(len(volume)) * market.bars.interval
    day, weekday = 2.0 * np.pi * (at % DAY) / DAY, (at // DAY + 3) % 7
    columns = [
        np.log(volume + 0.02),
        volume - 1.0,
        move,
        np.log(np.abs(move) + 0.1),
        *(f(i * day) for i in (1, 2) for f in (np.sin, np.cos)),
        *(f(2.0 * np.pi * weekday / 7.0) for f in (np.sin, np.cos)),
        (weekday >= 5).astype(np.float64),
    ]
    return _single(np.clip(np.stack(columns, axis=1), -_FAR, _FAR))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Windows of one course that start in the STRETCH bars from bar `first` on.

    Attributes:
        course: Which of the courses.
        first: The bar; it may lie before the first there is.
        rows: Which of its windows.
        places: [K] how many bars after `first` each starts.
    """

    course: int
    first: int
    rows: slice
    places: Cells


def stretches(courses: Sequence[Course], shift: int = 0) -> list[Stretch]:
    """Return all windows of all courses in stretches, in order; `shift`, below STRETCH, moves where they are cut."""
    out = []
    for i, course in enumerate(courses):
        group = (course.cells + shift) // STRETCH
        bounds = np.flatnonzero(np.diff(group, prepend=-1, append=-1))
        for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            first = int(group[begin]) * STRETCH - shift
            out.append(Stretch(i, first, slice(begin, end), course.cells[begin:end] - first))
    return out


def read(courses: Sequence[Course], batch: Sequence[Stretch]) -> tuple[Tensor, Tensor, Tensor]:
    """Return what is told of a batch, and where before each slice the last bar that is over stands in it.

    Returns:
        [B, T, COLUMNS]; then, for each of the batch's K windows, its line [K] of B and its places [n - 1, K] of T.
    """
    steps = courses[0].moves.shape[1]
    reach = np.arange(-LOOKBACK, STRETCH + steps - 1)
    bars = [courses[one.course].told for one in batch]
    index = [np.clip(one.first + reach, 0, len(each) - 1) for one, each in zip(batch, bars, strict=True)]
    lines = np.concatenate([np.full(len(one.places), i) for i, one in enumerate(batch)])
    before = np.concatenate([one.places for one in batch]) + LOOKBACK - 1  # not the slice's own bar, as published
    places = before[None, :] + np.arange(steps)[:, None]
    stacked = torch.stack([each[at] for each, at in zip(bars, index, strict=True)])
    return stacked, torch.from_numpy(lines), torch.from_numpy(places)


def _single(values: Floats) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
