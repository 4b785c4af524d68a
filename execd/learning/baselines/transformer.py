"""The idea of 2503.02680 where it is affordable: one small causal transformer for all assets, the same sequential head.

Bars pass a gated residual network (as in Lim et al. 2021, the published encoder's building block), then blocks of
attention to the last bars, gated and normalized, with a learned preference of each head for how far back it looks.
Pooled: one set of weights for all assets, which are told apart by nothing, each asset's slippage in units of its
TWAP's.  Not as published: no recurrent layers under the attention and no signatures; no bar is read before it is over;
windows of all assets, and not of one, say when to stop.  Width, reach, dropout and rate were chosen on eight coins
before 2024-10-01.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from execd.learning.baselines.allocator import SEEDS, Allocator, Lesson, decided, teach
from execd.learning.baselines.market import Cells, Market
from execd.learning.baselines.sequence import COLUMNS, Course
from execd.policies.floats import Floats

_WIDTH = 72
_HEADS = 3
_BLOCKS = 2
_REACH = 24
_UNITS = 64
_DROPOUT = 0.3
_LESSON = Lesson(passes=10, patience=3, batch=8, rate=2e-3, decay=0.1)

Weights = dict[str, NDArray[np.float32]]


class _Gated(nn.Module):
    """A gated residual network: norm(x + GLU(ELU(x)))."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(_WIDTH, _WIDTH), nn.Linear(_WIDTH, 2 * _WIDTH)
        self.norm, self.drop = nn.LayerNorm(_WIDTH), nn.Dropout(_DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(x + functional.glu(self.out(self.drop(functional.elu(self.into(x)))), dim=-1))
        return out


class _Attention(nn.Module):
    """Each bar looks at itself and the _REACH - 1 before it; what it finds is gated and added."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.out = nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, 2 * _WIDTH)
        self.norm, self.gated, self.drop = nn.LayerNorm(_WIDTH), _Gated(), nn.Dropout(_DROPOUT)
        slopes = 4.0 * torch.arange(_HEADS).unsqueeze(1) / _REACH
        self.lag = nn.Parameter(-slopes * torch.arange(_REACH))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        lag = torch.arange(length).unsqueeze(1) - torch.arange(length)
        near = (lag >= 0) & (lag < _REACH)
        liking = self.lag[:, lag.clamp(0, _REACH - 1)].masked_fill(~near, float("-inf"))
        q, k, v = self.asked(x).reshape(batch, length, 3, _HEADS, width // _HEADS).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=liking)
        found = self.drop(found.transpose(1, 2).reshape(batch, length, width))
        out: Tensor = self.gated(self.norm(x + functional.glu(self.out(found), dim=-1)))
        return out


def _new(slices: int) -> Allocator:
    encoder = nn.Sequential(
        nn.Linear(COLUMNS, _WIDTH), _Gated(), *(_Attention() for _ in range(_BLOCKS)), nn.Dropout(_DROPOUT)
    )
    return Allocator(encoder, _WIDTH, slices, _UNITS)


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """What was learned from all assets: at each moment `at` (ns), ascending, the weights of SEEDS networks."""

    slices: int
    at: tuple[int, ...]
    weights: tuple[tuple[Weights, ...], ...]

    def schedules(self, market: Market, rows: Cells, at: int) -> Floats:
        """Return [S, R, n], what each network of the last time at or before `at` decides.

        Raises:
            LookupError: if there is none.
        """
        place = int(np.searchsorted(self.at, at, side="right")) - 1
        if place < 0:
            raise LookupError(f"no pooled networks were taught by {at}")
        return decided([self._loaded(each) for each in self.weights[place]], market, rows)

    def _loaded(self, weights: Weights) -> Allocator:
        with torch.random.fork_rng(devices=[]):
            network = _new(self.slices)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        return network.eval()


def taught(
    courses: Sequence[Course], slices: int, seed: int, say: Callable[[float], None] | None = None
) -> tuple[Weights, ...]:
    """Return the weights of SEEDS networks that have learned from all courses, as `Course.until` returns them."""
    out = []
    for i in range(SEEDS):
        told = None if say is None else lambda done, i=i: say((i + done) / SEEDS)
        network = teach(lambda: _new(slices), courses, _LESSON, seed + i, told)
        out.append({name: value.numpy() for name, value in network.state_dict().items()})
    return tuple(out)
