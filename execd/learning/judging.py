"""Figures of schedules: slippage and its tails, the volume curve, how far a schedule bends, differences with intervals.

Promise: methods are compared window by window; intervals are 95 %, by a bootstrap over weeks, all assets of a week
together, so that overlapping windows and assets that move together do not count as evidence twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from execd.learning.evaluation import paired
from execd.learning.walkforward import Decided
from execd.learning.windows import Windows
from execd.policies.floats import Flags, Floats
from execd.policies.profile import DAY, HOUR
from execd.policies.state import HISTORY

CHAMPION = "convex_dynamic"
WEEK = 7 * DAY
_MONDAY = 4 * DAY  # 1970-01-01 was a Thursday
TERCILES = ("calm", "middle", "wild")


@dataclass(frozen=True, slots=True)
class Tally:
    """What one asset's windows came to when plans are not achieved, summed by week: all that intervals need.

    Attributes:
        week: [B] `week_of` the windows' starts.
        count: [B] how many windows.
        sums: [2, B] bps by scenario and method: |slippage|, and costs.
    """

    week: NDArray[np.int64]
    count: NDArray[np.int64]
    sums: dict[str, dict[str, Floats]]


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
        apart: [S, R] bps, by method: the slippage of each of the S networks that a method is the mean of.
        tally: One asset's `robustness`, if it was asked for; not of parts, nor of several.
    """

    start: NDArray[np.int64]
    volatility: Floats
    spread: Floats
    slip: dict[str, Floats]
    missed: dict[str, Floats]
    bent: dict[str, Floats]
    apart: dict[str, Floats] = field(default_factory=dict)
    tally: Tally | None = None

    def take(self, rows: Flags) -> Outcome:
        """Return some of the windows."""
        return Outcome(
            self.start[rows],
            self.volatility[rows],
            self.spread[rows],
            slip={name: v[rows] for name, v in self.slip.items()},
            missed={name: v[rows] for name, v in self.missed.items()},
            bent={name: v[rows] for name, v in self.bent.items()},
            apart={name: v[:, rows] for name, v in self.apart.items()},
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
        apart={name: np.stack([windows.slip_bps(one) for one in x]) for name, x in decided.apart.items()},
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
        {name: np.concatenate([p.apart[name] for p in parts], axis=1) for name in parts[0].apart},
    )


def figures(seen: Outcome, seed: int) -> dict[str, dict[str, Any]]:
    """Return each method's figures; empty where there are no windows.

    `gain_vs_twap` is a fraction of TWAP's mean |slippage|, above 0 where the method is better.  Of a method that is the
    mean of several networks, `networks` lists what each comes to alone.
    """
    if not len(seen.start):
        return {}
    weeks = week_of(seen.start)
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
            **({"networks": _apart(seen.apart[name], size["twap"])} if name in seen.apart else {}),
        }
        for name, slip in seen.slip.items()
    }


def _apart(slip: Floats, twap: Floats) -> list[dict[str, float]]:
    """What each of a method's networks comes to alone."""
    return [
        {
            "mae_bps": short(np.abs(own).mean()),
            "rmse_bps": short(np.sqrt((own**2).mean())),
            "p99_bps": short(np.quantile(np.abs(own), 0.99)),
            "gain_vs_twap": short(1.0 - np.abs(own).mean() / twap.mean()),
        }
        for own in slip
    ]


def week_of(start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of the week, from Monday on, UTC, that each moment lies in."""
    return (start - _MONDAY) // WEEK


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
