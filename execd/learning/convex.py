"""The convex dynamic policy: slippage is linear in the coefficients, so its mean absolute value is a convex problem.

With X_s = u_s + u_s (1 - u_s) b_s . w, the slippage of a window is c - z . w with c = sum D (U - u) and
z = sum D u (1 - u) b, D, U and u as in `windows`.  `fit` minimizes the sum of |c - z . w| by iteratively reweighted
least squares, with a small ridge.  The start of the network, and the baseline that it has to beat.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from execd.learning.examples import Examples
from execd.policies.features import NAMES, TARGET
from execd.policies.network import TargetNet

_ROWS = 200_000
_SMALL = 0.01
"""Residuals below this part of TWAP's mean |slippage| count as this much, so that weights stay finite."""


def design(network: TargetNet, examples: Examples) -> tuple[Tensor, Tensor]:
    """Return (c [W], z [W, COLUMNS]) in units of the examples' scale, float64."""
    windows, steps, _ = examples.features.shape
    chunk = max(1, _ROWS // (steps * 16))
    cs, zs = [], []
    with torch.inference_mode():
        for i in range(0, windows, chunk):
            rows = examples.features[i : i + chunk]
            u = rows[:, :, TARGET]
            moves = examples.moves[i : i + chunk] * (1e4 / examples.scale)
            weights = moves * u * (1.0 - u)
            basis = network.basis(rows.reshape(-1, len(NAMES))).reshape(len(rows), steps, -1)
            zs.append(torch.bmm(weights.unsqueeze(1), basis).squeeze(1).double())
            cs.append((moves * (examples.market[i : i + chunk] - u)).sum(dim=1).double())
    return torch.cat(cs), torch.cat(zs)


def fit(c: Tensor, z: Tensor, rounds: int, ridge: float) -> Tensor:
    """Return the w [K] that minimizes sum |c - z w| + ridge |w|^2, by IRLS, float64.

    Args:
        c: [W] slippage of the catch-up schedule.
        z: [W, K].
        rounds: How many reweightings; 40 are converged for practical purposes.
        ridge: Relative to the mean diagonal of the normal equations.
    """
    w = torch.zeros(z.shape[1], dtype=torch.float64)
    for _ in range(rounds):
        balance = 1.0 / (c - z @ w).abs().clamp(min=_SMALL)
        scaled = z * balance.unsqueeze(1)
        normal = z.T @ scaled
        normal.diagonal().add_(ridge * normal.diagonal().mean() + 1e-12)
        w = torch.linalg.solve(normal, scaled.T @ c)
    return w


def fit_best(c: Tensor, z: Tensor, late: Tensor, rounds: int, ridges: Sequence[float]) -> Tensor:
    """Return `fit` on all windows with the ridge that did best on the `late` [W] ones when fitted on the others.

    A third of the rounds is enough to choose.
    """
    scores = []
    for ridge in ridges:
        w = fit(c[~late], z[~late], max(1, rounds // 3), ridge)
        scores.append(float((c[late] - z[late] @ w).abs().mean()))
    return fit(c, z, rounds, ridges[scores.index(min(scores))])


def latest(start: NDArray[np.int64]) -> Tensor:
    """Return which [W] windows start in the last fifth: to choose a ridge by."""
    return torch.from_numpy(start > np.quantile(start, 0.8))


def start_from(network: TargetNet, w: Tensor) -> None:
    """Make w the network's linear part."""
    with torch.no_grad():
        network.linear.copy_(w.float())
