"""The dynamic model of 2502.18177 with its index mended: stacked LSTMs over the bars, an allocator on top, per asset.

As published: 120 bars before the window and the window's own, two recurrent layers, a base curve, an MLP for each slice
on the hidden state and the own past allocations, mean |slippage|.  Not as published: LSTM for TKAN, smaller, with
dropout, since on a year or two of one coin the larger ones only overfit; and no bar is read before it is over.  Width,
dropout and rate were chosen on BTC, ETH and ADA before 2024-10-01.
"""

from __future__ import annotations

from torch import Tensor, nn

from execd.learning.baselines.allocator import SEEDS, Allocator, Lesson, decided, teach
from execd.learning.baselines.market import Cells, Market
from execd.learning.baselines.sequence import COLUMNS, Course
from execd.policies.floats import Floats

_WIDTH = 48
_UNITS = 32
_DROPOUT = 0.4
_LESSON = Lesson(passes=30, patience=8, batch=2, rate=2e-3, decay=0.1)


class _Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(COLUMNS, _WIDTH, num_layers=2, dropout=_DROPOUT, batch_first=True)
        self.drop = nn.Dropout(_DROPOUT)

    def forward(self, told: Tensor) -> Tensor:
        out: Tensor = self.drop(self.cells(told)[0])
        return out


class Recurrent:
    """The method for one asset: SEEDS networks, taught anew at each refit."""

    def __init__(self, slices: int, seed: int) -> None:
        self._slices, self._seed = slices, seed
        self._networks: list[Allocator] = []

    def refit(self, market: Market, past: Cells) -> None:
        """Learn from past windows, ascending in time."""
        course = Course.of(market, past)
        courses = [course.until(int(course.ends[-1]))]
        seeds = range(self._seed, self._seed + SEEDS)
        self._networks = [teach(self._new, courses, _LESSON, seed) for seed in seeds]

    def _new(self) -> Allocator:
        return Allocator(_Layers(), _WIDTH, self._slices, _UNITS)

    def schedules(self, market: Market, rows: Cells) -> Floats:
        """Return [S, R, n], each network's."""
        return decided(self._networks, market, rows)
