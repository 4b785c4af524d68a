"""Figures of schedules: slippage and its tails, the volume curve, how far a schedule bends, differences with intervals.

Promise: methods are compared window by window; intervals are 95 %, by a bootstrap over weeks, all assets of a week
together, so that overlapping windows and assets that move together do not count as evidence twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from execd.learning.baselines.market import DAY, HOUR
from execd.learning.evaluation import paired
from execd.learning.walkforward import Decided
from execd.learning.windows import Windows
from execd.policies.state import HISTORY, Flags, Floats

CHAMPION = "convex_dynamic"
WEEK = 7 * DAY
_MONDAY = 4 * DAY  # 1970-01-01 was a Thursday
TERCILES = ("calm", "middle", "wild")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What R windows of one asset, or of several, came to.

    Attributes:
        start: [R] nanoseconds since the epoch.
        volatility: [R] rms of the log moves between the bars of the day before the start.
        spread: [R] sum over the slices of (the market's share - 1/n) squared.
        slip: [R] bps, by method.
        missed: [R] sum over the slices of (own share - the market's) squared, by method.
        bent: [R] half the sum of |own share - 1/n|, by method: the part of the order moved away from TWAP's slices.
    """

    start: NDArray[np.int64]
    volatility: Floats
    spread: Floats
    slip: dict[str, Floats]
    missed: dict[str, Floats]
    bent: dict[str, Floats]

    def take(self, rows: Flags) -> Outcome:
        """Return some of the windows."""
        return Outcome(
            self.start[rows],
            self.volatility[rows],
            self.spread[rows],
            *({name: v[rows] for name, v in part.items()} for part in (self.slip, self.missed, self.bent)),
        )


def outcome(decided: Decided) -> Outcome:
    """Return what the decided windows came to."""
    windows = decided.windows
    even = 1.0 / windows.slices
    market = np.diff(windows.market(), axis=1, prepend=0.0)
    own = {name: np.diff(x, axis=1, prepend=0.0) for name, x in decided.schedules.items()}
    return Outcome(
        start=windows.start,
        volatility=_volatility(windows),
        spread=((market - even) ** 2).sum(axis=1),
        slip={name: windows.slip_bps(x) for name, x in decided.schedules.items()},
        missed={name: ((x - market) ** 2).sum(axis=1) for name, x in own.items()},
        bent={name: np.abs(x - even).sum(axis=1) / 2.0 for name, x in own.items()},
    )


def _volatility(windows: Windows) -> Floats:
    bars = min(HISTORY, max(2, DAY // windows.interval))
    close = windows.close[:, HISTORY - bars : HISTORY]
    known = windows.present[:, HISTORY - bars : HISTORY] & (close > 0)
    moves = np.diff(np.log(np.where(known, close, 1.0)), axis=1)
    both = known[:, 1:] & known[:, :-1]
    rms: Floats = np.sqrt((moves**2 * both).sum(axis=1) / np.maximum(both.sum(axis=1), 1))
    return rms


def joined(parts: Sequence[Outcome]) -> Outcome:
    """Return several assets' windows together."""
    names = list(parts[0].slip)
    return Outcome(
        np.concatenate([p.start for p in parts]),
        np.concatenate([p.volatility for p in parts]),
        np.concatenate([p.spread for p in parts]),
        {name: np.concatenate([p.slip[name] for p in parts]) for name in names},
        {name: np.concatenate([p.missed[name] for p in parts]) for name in names},
        {name: np.concatenate([p.bent[name] for p in parts]) for name in names},
    )


def figures(seen: Outcome, seed: int) -> dict[str, dict[str, Any]]:
    """Return each method's figures; empty where there are no windows.

    `gain_vs_twap` is a fraction of TWAP's mean |slippage|, above 0 where the method is better.
    """
    if not len(seen.start):
        return {}
    weeks = (seen.start - _MONDAY) // WEEK
    size = {name: np.abs(slip) for name, slip in seen.slip.items()}
    return {
        name: {
            "windows": len(slip),
            "mae_bps": short(size[name].mean()),
            "median_bps": short(np.median(size[name])),
            "rmse_bps": short(np.sqrt((slip**2).mean())),
            "p95_bps": short(np.quantile(size[name], 0.95)),
            "p99_bps": short(np.quantile(size[name], 0.99)),
            "signed_bps": short(slip.mean()),
            "signed": paired(slip, weeks, seed),
            "gain_vs_twap": short(1.0 - size[name].mean() / size["twap"].mean()),
            "r2_volume_curve": short(1.0 - seen.missed[name].sum() / max(seen.spread.sum(), 1e-300)),
            "turnover": short(seen.bent[name].mean()),
            f"minus_{CHAMPION}": paired(size[name] - size[CHAMPION], weeks, seed),
        }
        for name, slip in seen.slip.items()
    }


def by_hour(seen: Outcome, seed: int) -> dict[str, Any]:
    """Return the figures by start hour, UTC."""
    hour = (seen.start % DAY) // HOUR
    return {f"{h:02d}": figures(seen.take(hour == h), seed) for h in np.unique(hour)}


def by_volatility(parts: Sequence[Outcome], seed: int) -> dict[str, Any]:
    """Return the figures by tercile of each asset's own volatility before the start."""
    places = [np.searchsorted(np.quantile(p.volatility, (1 / 3, 2 / 3)), p.volatility, side="right") for p in parts]
    place, seen = np.concatenate(places), joined(parts)
    return {name: figures(seen.take(place == i), seed) for i, name in enumerate(TERCILES)}


def short(value: np.floating[Any] | float) -> float:
    """A figure to a millionth: what lies beyond is no finding, and differs between machines."""
    return round(float(value), 6)
