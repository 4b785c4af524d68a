"""What the papers' models see and learn from, written from the formulas of 2502.13722 and 2502.18177; numpy alone.

A bar has four features: volume over the mean of 336 bars that ended a window and a lookback before it, the hour, the
weekday (Monday 0), the VWAP's return.  `view` is the bars row - LOOKBACK - 1 to row + n - 2 around a window of n bars
that starts at bar `row`; a feed is the part of it that a model reads:

    static      row - LOOKBACK     to row - 1        all that is closed at the start
    published   row - LOOKBACK     to row + n - 2    the dynamic model's, whose slice t reads up to place LOOKBACK + t:
                                                     that is bar row + t, the one that it is about to trade in
    mended      row - LOOKBACK - 1 to row + n - 3    the same model one bar later: slice t reads up to bar row + t - 1

Promise: this module runs in execd's environment and in the papers' alike, so that both mean the same windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LOOKBACK = 120
MEAN_OF = 336
FEEDS = {"static": slice(1, LOOKBACK + 1), "published": slice(1, None), "mended": slice(0, -1)}
GAIN = 1e-5
"""Of the loss on the late windows: what an epoch has to gain to count, in the author's notebooks."""
MARK = "fits done: "
"""Begins the lines by which the papers' environment tells execd's how far it is."""

_HOUR = 3_600_000_000_000
_DAY = 24 * _HOUR


def bar_features(volume: Floats, price: Floats, at: Ints, slices: int) -> Floats:
    """Return [N, 4] a bar's features; NaN where too little came before it.

    Args:
        volume: [N] traded quantity.
        price: [N] VWAP; the last one before, where nothing traded.
        at: [N] nanoseconds since the epoch at which a bar opens.
        slices: n, how many bars a window has.
    """
    total = np.concatenate([[0.0], np.cumsum(volume)])
    end = np.arange(len(volume)) - LOOKBACK - slices + 1
    reach = end >= MEAN_OF
    mean = np.full(len(volume), np.nan)
    mean[reach] = (total[end[reach]] - total[end[reach] - MEAN_OF]) / MEAN_OF
    mean[mean <= 0] = np.nan
    moves = np.full(len(price), np.nan)
    moves[1:] = price[1:] / price[:-1] - 1.0
    return np.stack([volume / mean, at % _DAY // _HOUR, (at // _DAY + 3) % 7, moves], axis=1)


def usable(features: Floats, rows: Ints, slices: int) -> NDArray[np.bool_]:
    """Return [R] whether every bar of the window's view has its features."""
    gaps = np.concatenate([[0], np.cumsum(~np.isfinite(features).all(axis=1))])
    first, last = rows - LOOKBACK - 1, rows + slices - 1
    inside = (first >= 0) & (last <= len(features))
    whole: NDArray[np.bool_] = inside & (gaps[np.minimum(last, len(features))] == gaps[np.maximum(first, 0)])
    return whole


def view(features: Floats, rows: Ints, slices: int) -> NDArray[np.float32]:
    """Return [R, LOOKBACK + n, 4]; bar row + t is at place LOOKBACK + 1 + t."""
    bars: NDArray[np.float32] = features[rows[:, None] + np.arange(-LOOKBACK - 1, slices - 1)].astype(np.float32)
    return bars


def targets(volume: Floats, price: Floats, rows: Ints, slices: int) -> NDArray[np.float32]:
    """Return [R, n, 2] volumes over the lookback's sum, and VWAPs over the lookback's first."""
    own = rows[:, None] + np.arange(slices)
    before = volume[rows[:, None] + np.arange(-LOOKBACK, 0)].sum(axis=1)
    share = volume[own] / np.where(before > 0, before, 1.0)[:, None]
    return np.stack([share, price[own] / price[rows - LOOKBACK][:, None]], axis=2).astype(np.float32)


def moved(allocate: Any, views: NDArray[np.float32], feed: str, slices: int) -> Floats:
    """Return [n - 1, n]: by how much at most slice j's allocation moves where bar row + t is changed.

    At and above the diagonal's left, j <= t, all must be 0 for an allocation that can be traded: bar row + t closes
    only after slice t.

    Args:
        allocate: From a feed [R, L, 4] to allocations [R, n].
        views: [R, LOOKBACK + n, 4].
        feed: One of FEEDS.
        slices: n.
    """
    part = FEEDS[feed]
    base = allocate(views[:, part])
    out = np.zeros((slices - 1, slices))
    for t in range(slices - 1):
        changed = views.copy()
        changed[:, LOOKBACK + 1 + t] += np.array([1.0, 0.0, 0.0, 0.01], dtype=np.float32)
        out[t] = np.abs(allocate(changed[:, part]) - base).max(axis=0)
    return out
