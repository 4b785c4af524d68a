"""From a forecast of the coming volume to a schedule: once, at a rate, by re-planning what is left, or by catching up.

`coming` is [N, n]: the volume forecast, before each bar, of the n bars from it on; in any unit, but one unit a window.
"""

from __future__ import annotations

import numpy as np

from execd.learning.baselines.market import Cells, Market
from execd.policies.floats import Floats
from execd.policies.state import HISTORY


def planned(market: Market, rows: Cells, coming: Floats) -> Floats:
    """Return [R, n]: the whole schedule is fixed at the start, in proportion to the forecast."""
    whole = np.cumsum(coming[market.cells[rows]], axis=1)
    return _closed(whole / whole[:, -1:])


def participated(market: Market, rows: Cells, coming: Floats) -> Floats:
    """Return [R, n]: participation, a share of the volume just done, and a clean-up in the last slice.

    Before each slice the rate is set so that the order would just finish: what is left over the volume forecast for
    what is left of the window.  The slice trades the rate times the volume just seen, which is the bar's before: within
    a slice nothing is seen.  A rate that is set once, at the start, leaves so much to the last slice that TWAP does
    better.
    """
    cells, n = market.cells[rows], market.slices
    seen = market.windows.volume[rows, HISTORY - 1 : HISTORY - 1 + n]
    schedule = np.ones((len(rows), n))
    left = np.ones(len(rows))
    for k in range(n - 1):
        rate = left / coming[cells + k, : n - k].sum(axis=1)
        left = left - np.minimum(left, rate * seen[:, k])
        schedule[:, k] = 1.0 - left
    return _closed(schedule)


def replanned(market: Market, rows: Cells, coming: Floats) -> Floats:
    """Return [R, n]: before each slice, what is left is spread over the volume forecast for what is left.

    After Bialkowski, Darolles and Le Fol (2008).  Past mistakes of the forecast are not made good.
    """
    cells, n = market.cells[rows], market.slices
    schedule = np.ones((len(rows), n))
    done = np.zeros(len(rows))
    for k in range(n - 1):
        ahead = coming[cells + k, : n - k]
        done = done + (1.0 - done) * ahead[:, 0] / ahead.sum(axis=1)
        schedule[:, k] = done
    return _closed(schedule)


def caught_up(market: Market, rows: Cells, coming: Floats) -> Floats:
    """Return [R, n]: before each slice, up to the market's own cumulative share as far as it is known and forecast."""
    return _closed(shares(market, rows, coming)[0])


def shares(market: Market, rows: Cells, coming: Floats) -> tuple[Floats, Floats]:
    """Return [R, n] the market's estimated cumulative share after each slice and before it, as seen before it."""
    cells, n = market.cells[rows], market.slices
    volume = market.windows.volume[rows, HISTORY:]
    after, before = np.ones((len(rows), n)), np.ones((len(rows), n))
    done = np.zeros(len(rows))
    for k in range(n):
        ahead = coming[cells + k, : n - k]
        total = done + ahead.sum(axis=1)
        after[:, k], before[:, k] = (done + ahead[:, 0]) / total, done / total
        done = done + volume[:, k]
    after[:, -1] = 1.0
    return after, before


def _closed(schedule: Floats) -> Floats:
    """Never take back what is filled; the last slice takes all."""
    held = np.maximum.accumulate(np.clip(schedule, 0.0, 1.0), axis=1)
    held[:, -1] = 1.0
    return held
