"""Convex policies: the schedule is linear in its coefficients, so mean |slippage| has one minimum, and it is found.

    X_k = s_k + e_k (phi_k . beta(k)),     slip = sum over k of D_k (U_k - X_k) = c - z . w

as in learning.md 5.3: s the forecast share, e = s (1 - s), beta(k) a polynomial in the slice's place, so that w is one
vector.  Static: s and phi are what the start knew.  Dynamic: what was known before each slice.

Promise: phi_k and s_k read the bars before slice k; w, and the scale of phi, are fitted on the windows handed as past.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial import legendre

from execd.learning import convex
from execd.learning.baselines.market import Cells, Market, last, rolling
from execd.learning.baselines.tracking import shares
from execd.learning.baselines.volume import Season
from execd.learning.windows import Windows
from execd.policies.floats import Floats
from execd.policies.profile import DAY
from execd.policies.state import HISTORY

ROUNDS = 50
"""Of reweighted least squares; 12 lose a point of gain against 50 (learning.md 8)."""
RIDGES = (0.01, 0.03, 0.1)
"""The last fifth of the past windows chooses."""
TERMS = 5
_FAR = 5.0
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Clues:
    """What a policy may use: `start` [R, n - 1] the share to begin from, `phi` [R, n - 1, F] what to move it by."""

    start: Floats
    phi: Floats


def static_clues(market: Market, rows: Cells, coming: Floats, seen: Season) -> Clues:
    """Return what the start of each window knows, the same for all of its slices but for the forecast's own share."""
    whole = np.cumsum(coming[market.cells[rows]], axis=1)
    start = (whole / whole[:, -1:])[:, :-1]
    known = signs(market, seen)[market.cells[rows]]
    phi = np.broadcast_to(known[:, None, :], (*start.shape, known.shape[1]))
    return Clues(start, np.concatenate([phi, start[:, :, None]], axis=2))


def dynamic_clues(market: Market, rows: Cells, coming: Floats, seen: Season) -> Clues:
    """Return what is known before each slice: the catch-up forecast, its surprises, the signs of the last bars."""
    after, before = shares(market, rows, coming)
    plan = np.cumsum(coming[market.cells[rows]], axis=1)
    done = np.cumsum(market.windows.volume[rows, HISTORY:], axis=1)
    n, tiny = market.slices, 1e-12 * plan[:, -1:]
    surprise = np.zeros((len(rows), n - 1))
    surprise[:, 1:] = np.log((done[:, : n - 2] + tiny) / (plan[:, : n - 2] + tiny))
    start, before, static = after[:, :-1], before[:, :-1], (plan / plan[:, -1:])[:, :-1]
    known = signs(market, seen)[market.cells[rows][:, None] + np.arange(n - 1)[None, :]]
    own = np.stack([start, before, static, surprise, start * surprise], axis=2)
    return Clues(start, np.concatenate([known, own], axis=2))


def signs(market: Market, seen: Season) -> Floats:
    """Return [N, F] the clock at each bar and, of those before it, volume and size of moves against the week's."""
    t = np.arange(len(market.log_volume))
    day = 2.0 * np.pi * ((market.bars.start + t * market.bars.interval) % DAY) / DAY
    plain = market.log_volume - seen.log[market.bins(t)]
    week = rolling(plain, market.count(168))
    size = np.log(np.abs(np.diff(np.log(market.price), prepend=np.log(market.price[0]))) + 1e-4)
    usual = rolling(size, market.count(168))
    return np.stack(
        [
            np.ones(len(t)),
            *(f(i * day) for i in (1, 2) for f in (np.sin, np.cos)),
            (market.bins(t) >= market.slots).astype(np.float64),
            last(plain) - week,
            rolling(plain, market.count(6)) - week,
            rolling(plain, market.count(24)) - week,
            last(size) - usual,
            rolling(size, market.count(6)) - usual,
        ],
        axis=1,
    )


def convex_schedule(market: Market, past: Cells, rows: Cells, clues: tuple[Clues, Clues]) -> Floats:
    """Return [R, n] the schedules of `rows` by the policy fitted on `past`; `clues` are of past and of rows.

    Raises:
        ValueError: if there is no past.
    """
    taught, asked = clues
    if not len(past):
        raise ValueError("a convex policy needs past windows to fit")
    mean, spread = taught.phi.mean(axis=(0, 1)), taught.phi.std(axis=(0, 1))
    constant = spread <= 1e-9
    mean, scale = np.where(constant, 0.0, mean), np.where(constant, 1.0, spread)
    places: Floats = legendre.legvander(np.linspace(-1.0, 1.0, market.slices - 1), TERMS - 1).astype(np.float64)
    w = _fitted(market.windows.take(past), Clues(taught.start, _standard(taught.phi, mean, scale)), places)
    move = (_standard(asked.phi, mean, scale) * (places @ w.T)[None, :, :]).sum(axis=2)
    schedule = np.ones((len(rows), market.slices))
    schedule[:, :-1] = np.clip(asked.start + _envelope(asked.start) * move, 0.0, 1.0)
    held: Floats = np.maximum.accumulate(schedule, axis=1)
    return held


def _fitted(windows: Windows, taught: Clues, places: Floats) -> Floats:
    """Return w [F, TERMS] by least absolute slippage, in units of TWAP's."""
    n = windows.slices
    moves, share = windows.moves(), windows.market()[:, :-1]
    twap = np.abs((moves * (share - np.arange(1, n) / n)).sum(axis=1)).mean()
    moves = moves / max(float(twap), 1e-12)
    c = (moves * (share - taught.start)).sum(axis=1)
    pull = (moves * _envelope(taught.start))[:, :, None]
    z = np.concatenate(
        [
            np.matmul((taught.phi[i : i + _CHUNK] * pull[i : i + _CHUNK]).transpose(0, 2, 1), places)
            for i in range(0, len(c), _CHUNK)
        ]
    )
    columns = torch.from_numpy(z.reshape(len(z), -1))
    w = convex.fit_best(torch.from_numpy(c), columns, convex.latest(windows.start), ROUNDS, RIDGES)
    return w.numpy().reshape(-1, TERMS)


def _standard(phi: Floats, mean: Floats, scale: Floats) -> Floats:
    out: Floats = np.clip((phi - mean) / scale, -_FAR, _FAR)
    return out


def _envelope(share: Floats) -> Floats:
    return share * (1.0 - share)
