"""Windows as training examples: the features before every slice, and what the slippage depends on.

Promise: every feature row comes from `execd.policies.features.features`, the function that serves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from execd.learning.costs import costs_bps
from execd.learning.recipe import Costs
from execd.learning.windows import Windows
from execd.policies.features import NAMES, TARGET, features
from execd.policies.floats import Floats
from execd.policies.network import TargetNet
from execd.policies.state import HISTORY

Answer = Callable[[Floats], Floats]

LAG = NAMES.index("lag")
"""The one feature that tells of our own fills: their sum is a term of it."""

_CHUNK = 256
_ROWS = 20_000
_LATE = 0.5
"""Share of decisions at which the order lags or leads its own schedule."""


@dataclass(frozen=True, slots=True)
class Examples:
    """W windows of one shape, ready to be learned from.

    Attributes:
        features: [W, n - 1, F] float32, before each slice but the last (whose target is 1).
        moves: [W, n - 1] float32: D of learning.md 5.3.
        market: [W, n - 1] float32: U.
        own: [W, n - 1] float32: the filled fraction that the features tell of.
        scale: Mean |slippage| of TWAP over these windows, bps: the unit of losses.
    """

    features: Tensor
    moves: Tensor
    market: Tensor
    own: Tensor
    scale: float

    def slip(self, filled: Tensor, rows: Tensor | slice) -> Tensor:
        """Return [rows] slippage of shares filled [rows, n - 1], in units of `scale`."""
        slip: Tensor = (self.moves[rows] * (self.market[rows] - filled)).sum(dim=1) * (1e4 / self.scale)
        return slip

    def paid(self, filled: Tensor, rows: Tensor | slice, costs: Costs) -> Tensor:
        """Return [rows] the costs of shares filled [rows, n - 1], in units of `scale`."""
        last = torch.ones_like(filled[:, :1])
        own, market = torch.cat([filled, last], dim=1), torch.cat([self.market[rows], last], dim=1)
        return costs_bps(own, market, costs) / self.scale

    def lagging(self, filled: Tensor, rows: Tensor | slice, k: int) -> Tensor:
        """Return [rows, F] the features before slice k of orders that have really filled [rows]."""
        told = self.features[rows, k]
        lag = told[:, LAG] + (filled - self.own[rows, k])
        return torch.cat([told[:, :LAG], lag.unsqueeze(1), told[:, LAG + 1 :]], dim=1)


def examples(windows: Windows, random: np.random.Generator) -> Examples:
    """Compute the features of every slice of every window.

    The own filled fraction is drawn: half of the time what the catch-up schedule had reached, else up to 30 % less or
    5 % more.  Slippage against VWAP does not depend on it, so the network learns to look at the market instead.
    """
    n = windows.slices
    rows = np.zeros((len(windows), n - 1, len(NAMES)), dtype=np.float32)
    own = np.zeros(rows.shape[:2], dtype=np.float32)
    late = np.where(random.random(rows.shape[:2]) < _LATE, random.uniform(0.7, 1.05, rows.shape[:2]), 1.0)
    for chunk, part in in_chunks(windows):
        filled = np.zeros(len(part))
        for k in range(n - 1):
            own[chunk, k] = filled
            rows[chunk, k] = features(part.state(k, filled))
            filled = np.minimum(1.0, rows[chunk, k, TARGET] * late[chunk, k])
    twap = np.broadcast_to(np.arange(1, n + 1) / n, (len(windows), n))
    return Examples(
        features=torch.from_numpy(rows),
        moves=torch.from_numpy(windows.moves().astype(np.float32)),
        market=torch.from_numpy(windows.market()[:, :-1].astype(np.float32)),
        own=torch.from_numpy(own),
        scale=float(np.abs(windows.slip_bps(twap)).mean()),
    )


def sample(taught: Sequence[Examples]) -> Tensor:
    """Return [R, F] feature rows, evenly spaced over each shape's and about as many of each: what is usual."""
    rows = [one.features.flatten(0, 1) for one in taught]
    return torch.cat([each[:: max(1, len(each) // _ROWS)] for each in rows])


def forgetful(windows: Windows, random: np.random.Generator, none: float, short: float) -> Windows:
    """Return the windows with a share `none` of them without history and a share `short` with a part of it."""
    draw = random.random(len(windows))
    part = random.integers(1, HISTORY, len(windows))
    keep = np.where(draw < none, 0, np.where(draw < none + short, part, HISTORY))
    return windows.forgetting(keep)


def roll_out(answer: Answer, windows: Windows) -> Floats:
    """Return [W, n] the schedules that a model really keeps: each decision sees what the ones before it did.

    `answer` maps [W, F] features to [W] cumulative targets.
    """
    schedule = np.ones((len(windows), windows.slices))
    for chunk, part in in_chunks(windows):
        filled = np.zeros(len(part))
        for k in range(windows.slices - 1):
            filled = np.maximum(filled, answer(features(part.state(k, filled))))
            schedule[chunk, k] = filled
    return schedule


def in_chunks(windows: Windows) -> Iterator[tuple[slice, Windows]]:
    """Yield the windows by parts small enough for what is computed of them to stay in the processor's cache."""
    for i in range(0, len(windows), _CHUNK):
        chunk = slice(i, i + _CHUNK)
        yield chunk, windows.take(chunk)


def eager(network: TargetNet) -> Answer:
    """Return an untraced network as an `Answer`."""

    def answer(rows: Floats) -> Floats:
        with torch.inference_mode():
            targets: Floats = network(torch.from_numpy(rows.astype(np.float32))).numpy().astype(np.float64)
        return targets

    return answer
