"""Volume forecasts: the time-of-day season and a heterogeneous autoregression (HAR, Corsi 2009) of log volume.

Promise: a forecast at bar t reads the bars before t, and coefficients of the bars before `until`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from execd.learning.baselines.market import Market, last, rolling
from execd.policies.floats import Floats

_LEVEL_H = 168
_SPANS_H = (3, 6, 24)
_RIDGE = 1e-6


@dataclass(frozen=True, slots=True)
class Season:
    """[bins] what each slot of the day is worth: in log volume, and in volume over an average slot's."""

    log: Floats
    share: Floats


def season(market: Market, until: int) -> Season:
    """Measure the season on the bars before index `until`, each against the mean of the week before it."""
    week = market.count(_LEVEL_H)
    use = market.known.copy()
    use[: min(week, until // 2)] = False
    use[until:] = False
    bins = market.bins(np.arange(len(use)))[use]
    size = 2 * market.slots
    count = np.maximum(np.bincount(bins, minlength=size), 1)
    log = (market.log_volume - rolling(market.log_volume, week))[use]
    usual = rolling(market.bars.volume, week)[use]
    share = market.bars.volume[use] / np.where(usual > 0, usual, 1.0)
    means = (np.bincount(bins, log, size) / count, np.bincount(bins, share, size) / count)
    return Season(means[0], np.maximum(means[1], 1e-6))


def static_coming(market: Market, seen: Season) -> Floats:
    """Return [N, n] the season's volume of the n bars from each bar on, in units of an average slot's."""
    return seen.share[_bins_ahead(market)]


def har_coming(market: Market, seen: Season, until: int) -> Floats:
    """Return [N, n] the forecast volume of the n bars from each bar t on, by what is known before t.

    One least-squares regression for each bar ahead, of log volume over its season and last week's level, on the last
    bar, the means of 3, 6 and 24 hours, and the same slot of the day before.  Fitted on the bars before `until`.
    """
    plain = market.log_volume - seen.log[market.bins(np.arange(len(market.log_volume)))]
    level = rolling(plain, market.count(_LEVEL_H))
    known = [last(plain) - level] + [rolling(plain, market.count(h)) - level for h in _SPANS_H]
    size, t = len(plain), np.arange(len(plain))
    coming = np.empty((size, market.slices))
    ahead = seen.log[_bins_ahead(market)]
    for h in range(market.slices):
        yesterday = last(plain, market.slots - h) - level if h < market.slots else np.zeros(size)
        rows = np.stack([np.ones(size), *known, yesterday], axis=1)
        learn = (t >= min(market.count(_LEVEL_H), until // 2)) & (t + h < until)
        learn[learn] &= market.known[t[learn] + h]
        wanted = plain[t[learn] + h] - level[learn]
        past = rows[learn]
        normal = past.T @ past + _RIDGE * max(1, len(past)) * np.eye(past.shape[1])
        beta = np.linalg.solve(normal, past.T @ wanted)
        spread = float(np.mean((wanted - past @ beta) ** 2)) if len(past) else 0.0
        coming[:, h] = level + rows @ beta + ahead[:, h] + spread / 2.0
    out: Floats = np.exp(coming)
    return out


def _bins_ahead(market: Market) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    t = np.arange(len(market.bars.volume))
    return np.stack([market.bins(t + h) for h in range(market.slices)], axis=1)
