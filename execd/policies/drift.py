"""Whether what a model is shown looks like what it was trained on.

Two measures, both from the quantiles that the model's manifest records of its training rows.

`Guard` judges one row.  A feature is out of range where it lies outside of [q 0.1 %, q 99.9 %], widened on both sides
by MARGIN of that span.  The drift is the share of features that are out; above LIMIT the model must not decide.  One
wild feature is no reason: the network holds it within what training has seen.

`Stability` watches the rows of one parent: the population stability index (PSI) of the market's features, the mean of

    sum over bins of (a - e) ln(a / e)

with e a bin's share in training and a its share here, PRIOR rows of training counted in, so that the first few slices
say little.  The slices of one parent resemble each other: over 12 held-out ones it is 0.25 in the median and 0.48 at
95 %, over rows drawn at random 0.10 and 0.14; it is for comparing parents.  Features of the plan and of the clock are
left out: in one parent they must differ from training's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from execd.policies import Inputs
from execd.policies.features import NAMES
from execd.policies.floats import Floats
from execd.policies.manifest import LEVELS, Ranges

MARGIN = 0.25
"""Of the span that training saw, how far beyond it a feature may lie."""
LIMIT = 0.04
"""The share of features that may be out of range: one of 34.  Three held-out decisions in 10,000 have more."""
PRIOR = 10.0

PLANNED = frozenset(
    (
        *("elapsed", "rate", "grain", "interval", "horizon", "curve_done", "curve_next", "curve_trend", "target"),
        *("day_sin", "day_cos", "halfday_sin", "halfday_cos", "weekend", "hour_sin", "hour_cos"),
        *("known", "has_history", "hours_known", "habit_gap", "habit_next", "forecast_next"),
    )
)
"""Features that are the parent's own position, the plan or the clock: they say nothing about the market."""

_MARKET = np.array([name not in PLANNED for name in NAMES])
_LEAST = 1e-3
"""What a feature that never moved in training may move all the same."""


class Guard:
    """Holds rows of features against a manifest's ranges."""

    def __init__(self, ranges: Ranges) -> None:
        quantiles = np.array(ranges.quantiles)
        span = np.maximum(quantiles[:, -1] - quantiles[:, 0], _LEAST / MARGIN)
        self._middle = (quantiles[:, -1] + quantiles[:, 0]) / 2
        self._reach = span * (0.5 + MARGIN)
        self._low, self._high = quantiles[:, 0], quantiles[:, -1]
        self._inner = np.ascontiguousarray(quantiles[:, 1:-1])

    def read(self, row: Floats) -> Inputs:
        """Return how one row of [len(NAMES)] features lies against training."""
        # As the network sees it, and as the quantiles were taken: 0.1 is not the same number in both.
        seen = row.astype(np.float32).astype(np.float64)
        far = np.abs(seen - self._middle) / self._reach
        drift = np.count_nonzero(far > 1.0) / len(seen)
        bins = (seen[:, None] >= self._inner).sum(axis=1)
        return Inputs(drift, self._words(seen, far) if drift > LIMIT else "", tuple(bins.tolist()))

    def _words(self, seen: Floats, far: Floats) -> str:
        worst = int(far.argmax())
        out = np.count_nonzero(far > 1.0)
        return (
            f"{out} of {len(seen)} inputs are out of the training range, the worst {NAMES[worst]}: {seen[worst]:.3g}, "
            f"trained on {self._low[worst]:.3g}..{self._high[worst]:.3g}"
        )


class Stability:
    """The running PSI of one parent's inputs.  Counts what it is shown; nothing decides by it."""

    def __init__(self, ranges: Ranges) -> None:
        self._expected: Floats = np.array(ranges.shares)
        self._counts = np.zeros_like(self._expected)
        self._rows: NDArray[np.intp] = np.arange(len(self._expected))

    def add(self, inputs: Inputs) -> float:
        """Count one row and return the PSI of all so far; 0 is exactly as in training."""
        self._counts[self._rows, np.array(inputs.bins)] += 1.0
        seen = self._counts.sum(axis=1, keepdims=True)
        actual = (self._counts + PRIOR * self._expected) / (seen + PRIOR)
        both = (self._expected > 0) & (actual > 0)
        safe, wanted = np.where(both, actual, 1.0), np.where(both, self._expected, 1.0)
        parts = np.where(both, (actual - self._expected) * np.log(safe / wanted), 0.0)
        return float(parts.sum(axis=1)[_MARKET].mean())


def refusal(ranges: Ranges) -> str | None:
    """Return what is wrong with a manifest's ranges, None where they can be used."""
    wanted = (len(NAMES), len(LEVELS)), (len(NAMES), len(LEVELS) - 1)
    for what, rows, (count, width) in zip(
        ("quantiles", "shares"), (ranges.quantiles, ranges.shares), wanted, strict=True
    ):
        if len(rows) != count or any(len(row) != width for row in rows):
            return f"ranges.{what} has not {count} rows of {width} numbers"
        if not np.isfinite(rows).all():
            return f"ranges.{what} holds a number that is not finite"
    if (np.diff(ranges.quantiles, axis=1) < 0).any():
        return "ranges.quantiles fall somewhere; allowed are rising ones"
    return None
