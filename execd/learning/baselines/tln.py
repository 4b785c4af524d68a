"""The paper's static model (2502.13722): a Temporal Linear Network is a linear map, a softmax over the slices follows.

Written from the formula: weights = softmax(W x + b), decided once, at the start; loss = mean |slippage|, or mean of its
square, in units of what TWAP has: in plain fractions squares are so small that Adam stands still.  Inputs as published:
120 bars of volume, over its mean of the 336 bars before them, and of VWAP returns; the hour and the weekday, which are
one-hot here instead of 120 raw integers each: what a linear map can make of either is the same, but gradient descent
gets there.  Inputs are dropped at random while it learns.

Promise: reads the bars before the window; W, b and the inputs' scale are learned from the windows handed as past, the
last fifth of which decides when to stop.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from execd.learning.baselines.market import Cells, Market, rolling
from execd.policies.floats import Floats
from execd.policies.profile import DAY, HOUR

LOOKBACK = 120
_MEAN_OF = 336
_EPOCHS = 60
_PATIENCE = 6
_BATCH = 256
_RATE = 1e-3
_DROPOUT = 0.7
"""Of the inputs: without it 271 inputs fit the noise of a year of windows, and lose a third of the gain."""
_FAR = 5.0


class TemporalLinear:
    """The linear map, kept from one refit to the next as a start for the following.

    Args:
        slices: n.
        seed: Of the order of the windows and of what is dropped.
        power: Of |slippage| in the loss: 1, or 2 for the quadratic one.
    """

    def __init__(self, slices: int, seed: int, power: int = 1) -> None:
        self._weights = torch.zeros(2 * LOOKBACK + 31, slices)
        self._bias = torch.zeros(slices)
        self._seed, self._power = seed, power

    def refit(self, market: Market, past: Cells) -> None:
        """Learn from past windows, ascending in time."""
        x, windows = self._scaled(market, past, learn=True), market.windows.take(past)
        moves = torch.from_numpy(windows.moves().astype(np.float32))
        share = torch.from_numpy(windows.market()[:, :-1].astype(np.float32))
        twap = torch.arange(1, market.slices) / market.slices
        unit = float((moves * (share - twap)).sum(dim=1).abs().mean()) or 1.0
        moves = moves / unit  # losses near 1: Adam's epsilon and the stopping rule mean something
        cut = max(1, len(past) * 4 // 5)
        self._descend(x, moves, share, cut, min(len(past) - 1, cut + market.slices))

    def _descend(self, x: Tensor, moves: Tensor, share: Tensor, cut: int, late: int) -> None:
        order = torch.Generator().manual_seed(self._seed)
        keep = 1.0 - _DROPOUT
        learned = [self._weights.requires_grad_(), self._bias.requires_grad_()]
        optimizer = torch.optim.Adam(learned, lr=_RATE)
        best, kept, since = float("inf"), [p.detach().clone() for p in learned], 0
        for _ in range(_EPOCHS):
            for rows in torch.split(torch.randperm(cut, generator=order), _BATCH):
                optimizer.zero_grad()
                told = x[rows] * (torch.rand(len(rows), x.shape[1], generator=order) < keep) / keep
                self._loss(told, moves[rows], share[rows]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            with torch.no_grad():
                score = float(self._loss(x[late:], moves[late:], share[late:]))
            since += 1
            if score < best:
                best, kept, since = score, [p.detach().clone() for p in learned], 0
            if since > _PATIENCE:
                break
        self._weights, self._bias = kept

    def schedule(self, market: Market, rows: Cells) -> Floats:
        """Return [R, n]."""
        with torch.no_grad():
            share = self._shares(self._scaled(market, rows, learn=False)).numpy().astype(np.float64)
        out = np.ones((len(rows), market.slices))
        out[:, :-1] = np.minimum(share, 1.0)
        return out

    def _loss(self, x: Tensor, moves: Tensor, market: Tensor) -> Tensor:
        return (moves * (market - self._shares(x))).sum(dim=1).abs().pow(self._power).mean()

    def _shares(self, x: Tensor) -> Tensor:
        return torch.softmax(x @ self._weights + self._bias, dim=1).cumsum(dim=1)[:, :-1]

    def _scaled(self, market: Market, rows: Cells, *, learn: bool) -> Tensor:
        x = inputs(market, rows)
        if learn:
            self._mean, self._scale = x.mean(dim=0), x.std(dim=0).clamp(min=1e-3)
        return ((x - self._mean) / self._scale).clamp(-_FAR, _FAR)


def inputs(market: Market, rows: Cells) -> Tensor:
    """Return [R, 271] float32: relative volumes, VWAP returns, hour and weekday of the start."""
    cells = market.cells[rows]
    volume, price = market.bars.volume, market.price
    back = np.maximum(cells[:, None] - np.arange(LOOKBACK, 0, -1)[None, :], 1)
    usual = rolling(volume, _MEAN_OF)[np.maximum(cells - LOOKBACK, 1)]
    usual = np.where(usual > 0, usual, 1.0)
    moves = price[back] / price[back - 1] - 1.0
    at = market.bars.start + cells * market.bars.interval
    hour, day = np.eye(24)[(at % DAY) // HOUR], np.eye(7)[(at // DAY) % 7]
    columns = np.concatenate([volume[back] / usual[:, None], moves, hour, day], axis=1)
    return torch.from_numpy(columns.astype(np.float32))
