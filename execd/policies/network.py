"""The network: from features to a cumulative target.  Imports torch; import it only where a model is really used.

    X = clip(u + u (1 - u) z),   z = linear(basis(f)) + residual(f)

u is the catch-up target (a feature), so that a network of zeros is the curve policy.  `linear` holds the convex dynamic
solution (learning.md 5.3): slippage is linear in it.  Its basis is features x Legendre polynomials in elapsed time x
hat functions in the logarithm of the slice's length.  `residual` is a small MLP whose last layer starts at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from execd.policies.features import ELAPSED, INTERVAL, NAMES, TARGET

LEGENDRE = 5
KNOTS_S = (10.0, 180.0, 3600.0)
"""Slice lengths in seconds at which the linear part has weights of its own; between them it interpolates."""
COLUMNS = (len(NAMES) + 1) * LEGENDRE * len(KNOTS_S)

_SPREAD = 1e-6
_FAR = 4.0
"""Standard deviations beyond which a feature counts as this far: no extrapolation."""


class TargetNet(nn.Module):
    """[B, len(NAMES)] raw features -> [B] cumulative targets at the end of the coming slice, in [0, 1].

    `dropout` is of the residual's inputs and of its hidden units, in training only.
    """

    def __init__(self, hidden: Sequence[int], dropout: tuple[float, float] = (0.0, 0.0)) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(NAMES)))
        self.register_buffer("scale", torch.ones(len(NAMES)))
        self.register_buffer("knots", torch.log(torch.tensor(KNOTS_S) / 60.0) / 4.0)
        self.linear = nn.Parameter(torch.zeros(COLUMNS))
        widths = (len(NAMES), *hidden)
        layers: list[nn.Module] = [nn.Dropout(dropout[0])]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.SiLU(), nn.Dropout(dropout[1])]
        last = nn.Linear(widths[-1], 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.residual = nn.Sequential(*layers, last)

    def normalize(self, features: Tensor) -> None:
        """Fix the features' mean and spread from [R, len(NAMES)] training rows; a constant one is left unscaled."""
        spread = features.std(dim=0)
        self.get_buffer("mean").copy_(features.mean(dim=0))
        self.get_buffer("scale").copy_(torch.where(spread > _SPREAD, spread, torch.ones_like(spread)))

    def basis(self, features: Tensor) -> Tensor:
        """Return [B, COLUMNS], of which z's convex part is a linear function."""
        unit = self.unit(features)
        ones = torch.ones_like(unit[:, :1])
        by_time = torch.cat([ones, unit], dim=1).unsqueeze(2) * _legendre(features[:, ELAPSED]).unsqueeze(1)
        by_length = by_time.flatten(1).unsqueeze(2) * _hats(features[:, INTERVAL], self.get_buffer("knots")).unsqueeze(
            1
        )
        return by_length.flatten(1)

    def unit(self, features: Tensor) -> Tensor:
        """Return the features standardized, and held within what training has seen."""
        standard: Tensor = (features - self.get_buffer("mean")) / self.get_buffer("scale")
        return standard.clamp(-_FAR, _FAR)

    def forward(self, features: Tensor) -> Tensor:
        """Return the targets [B]."""
        z = self.basis(features) @ self.linear + self.residual(self.unit(features)).squeeze(1)
        return target(features[:, TARGET], z)


def target(u: Tensor, z: Tensor) -> Tensor:
    """Return the cumulative target: the catch-up target u moved by z envelopes u (1 - u), kept in [0, 1]."""
    return (u + u * (1.0 - u) * z).clamp(0.0, 1.0)


def _legendre(elapsed: Tensor) -> Tensor:
    """[B, LEGENDRE]: the polynomials of degree 0 to 4, shifted to [0, 1]."""
    t = 2.0 * elapsed - 1.0
    even = [torch.ones_like(t), (3 * t**2 - 1) / 2, (35 * t**4 - 30 * t**2 + 3) / 8]
    odd = [t, (5 * t**3 - 3 * t) / 2]
    return torch.stack([even[0], odd[0], even[1], odd[1], even[2]], dim=1)


def _hats(at: Tensor, knots: Tensor) -> Tensor:
    """[B, len(knots)]: weights of linear interpolation between knots, constant outside; they sum to 1."""
    held = torch.minimum(torch.maximum(at, knots[0]), knots[-1]).unsqueeze(1)
    gaps = knots[1:] - knots[:-1]
    rise = ((held - knots[:-1]) / gaps).clamp(0.0, 1.0)
    ones, zeros = torch.ones_like(held), torch.zeros_like(held)
    return torch.cat([ones, rise], dim=1) - torch.cat([rise, zeros], dim=1)
