"""Volume curves: the expected share of a window's market volume by each moment, and policies that follow it.

`CurvePolicy` is the baseline to beat and the fallback that takes over from any model.  It needs no training run, no
torch and no history: where bars are known it re-forecasts what is left of the window's volume and trades up to

    u = (V_done + v_next) / (V_done + sum of v over the slices left)

which is to track the *cumulative* realized share (learned from Bialkowski, Darolles and Le Fol 2008, with the catch-up
that distributing only the remainder lacks).  Without bars that is the static curve; without a curve, TWAP.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from execd.core.commands import Observation
from execd.core.grid import Nanos
from execd.policies import Proposal
from execd.policies.state import HISTORY, Flags, Floats, State, of, slice_bounds

# Mean volume of each hour of the day (UTC) relative to the average hour, Monday to Friday and at the weekend.  Measured
# on 30-minute bars of 26 USD-margined perpetuals, 2023-01-01 to 2024-09-30, each bar against its own week's mean.
WEEKDAY = (
    *(1.145, 1.093, 0.942, 0.831, 0.797, 0.827, 0.897, 0.965, 1.071, 1.039, 1.031, 0.983),
    *(1.309, 1.476, 1.776, 1.636, 1.571, 1.277, 1.186, 1.078, 0.993, 0.851, 0.781, 0.736),
)
WEEKEND = (
    *(0.923, 0.798, 0.663, 0.586, 0.650, 0.646, 0.636, 0.696, 0.734, 0.720, 0.724, 0.691),
    *(0.780, 0.862, 0.937, 0.936, 0.967, 0.881, 0.786, 0.713, 0.799, 0.640, 0.765, 0.734),
)

# How the volume of the coming bars remembers the last ones: the part of the log surprise that is still there j bars
# on is PULL * KEEP**j, for a fast and for a slow average.  Chosen on bars before 2024-10-01 (docs/evaluation.md).
FAST_HALF_LIFE, MID_HALF_LIFE = 2.0, 8.0
FAST_PULL, FAST_KEEP = 0.80, 0.80
MID_PULL, MID_KEEP = 0.75, 0.93
SETTLE = 8.0
"""Surprises of m known bars count m / (m + SETTLE): the mean of a few bars is no expectation."""
QUIET = 0.05
"""Added to volume ratios before the logarithm, so that an empty bar is a finite surprise."""

_HOUR = 3_600_000_000_000
_WEEK = 168 * _HOUR
_EPOCH_TO_MONDAY = 72 * _HOUR  # 1970-01-01 was a Thursday
_HOURS = np.arange(169, dtype=np.float64)
_WEEKLY = np.concatenate([[0.0], np.cumsum(WEEKDAY * 5 + WEEKEND * 2)])


def profile_mass(start: NDArray[np.int64], bounds: NDArray[np.int64]) -> Floats:
    """Return the expected volume between successive bounds by the static hour-of-week profile.

    Args:
        start: [B] moments, nanoseconds since the epoch.
        bounds: [m + 1] offsets from them in nanoseconds, ascending; negative ones lie before.

    Returns:
        [B, m], in units of an average hour's volume.
    """
    # Counted from the start's own week, in whole nanoseconds: differences of short slices stay exact.
    at = (start[:, None] + _EPOCH_TO_MONDAY) % _WEEK + bounds[None, :]
    weeks, within = np.divmod(at, _WEEK)
    cumulative = weeks * _WEEKLY[-1] + np.interp(within / _HOUR, _HOURS, _WEEKLY)
    mass: Floats = cumulative[:, 1:] - cumulative[:, :-1]
    return mass


def expected_curve(start: Nanos, end: Nanos, slices: int) -> tuple[float, ...]:
    """Return the expected cumulative volume fraction at the end of each slice: rising, the last exactly 1.0.

    Raises:
        ValueError: if the window is empty or has no slices.
    """
    if end <= start or slices < 1:
        raise ValueError(f"a curve needs a window and slices, not {start}..{end} in {slices}")
    bounds = slice_bounds(start, end, slices)
    return tuple(float(x) for x in expected_curves(bounds[:1], bounds - bounds[0])[0])


def expected_curves(start: NDArray[np.int64], bounds: NDArray[np.int64]) -> Floats:
    """Return [B, n] expected curves of the windows at `start` with slice bounds [n + 1] relative to it, from 0."""
    mass = np.cumsum(profile_mass(start, bounds), axis=1)
    curve = np.minimum(mass / mass[:, -1:], 1.0)
    curve[:, -1] = 1.0
    return curve


@dataclass(frozen=True, slots=True)
class Forecast:
    """How the market's volume ran against expectation, and what is left of it, for B rows.

    Attributes:
        ratio: [B, HISTORY + k] log of each bar's volume over expectation, less its row's mean; 0 where unknown.
        level: [B] volume for one unit of expectation; 0 where nothing is known.
        before: [B] the same from the bars before the start alone.
        fast: [B] the recent bars' mean `ratio`, half-life FAST_HALF_LIFE bars.
        mid: [B] likewise with MID_HALF_LIFE.
        done: [B] the window's volume so far.
        coming: [B, n - k] the forecast volume of the slices left.
        target: [B] the catch-up target u at the end of the coming slice, in [0, 1].
    """

    ratio: Floats
    level: Floats
    before: Floats
    fast: Floats
    mid: Floats
    done: Floats
    coming: Floats
    target: Floats


def expectation(state: State) -> Floats:
    """Return [B, HISTORY + n] each bar's expected volume as a fraction of the window's: profile, then curve."""
    bounds = np.arange(-HISTORY, 1, dtype=np.int64) * state.interval
    window = profile_mass(state.start, np.array([0, state.interval * state.slices], dtype=np.int64))
    before = profile_mass(state.start, bounds) / window
    return np.concatenate([before, state.curve[:, :1], state.curve[:, 1:] - state.curve[:, :-1]], axis=1)


def forecast(state: State) -> Forecast:
    """Forecast the slices left from the bars seen.  Pure; any unit of volume; [B] rows at once."""
    seen = HISTORY + state.slice
    expected = expectation(state)
    known = state.present & (expected[:, :seen] > 0)
    volume, usual = state.volume * known, expected[:, :seen] * known
    level = _over(volume.sum(axis=1), usual.sum(axis=1))
    before = _over(volume[:, :HISTORY].sum(axis=1), usual[:, :HISTORY].sum(axis=1))
    raw = _over(state.volume, expected[:, :seen] * level[:, None])
    known &= (level > 0)[:, None]
    ratio = np.where(known, np.log((raw + QUIET) / (1.0 + QUIET)), 0.0)
    ratio = np.where(known, ratio - _mean(ratio, known.astype(np.float64))[:, None], 0.0)
    age = np.arange(seen - 1, -1, -1, dtype=np.float64)
    fast = _mean(ratio, known * 0.5 ** (age / FAST_HALF_LIFE))
    mid = _mean(ratio, known * 0.5 ** (age / MID_HALF_LIFE))
    count = known.sum(axis=1)
    trust = (count / (count + SETTLE))[:, None]
    ahead = np.arange(1, state.slices - state.slice + 1, dtype=np.float64)
    surprise = np.outer(fast - mid, FAST_PULL * FAST_KEEP**ahead) + np.outer(mid, MID_PULL * MID_KEEP**ahead)
    coming = expected[:, seen:] * np.where(level > 0, level, 1.0)[:, None] * np.exp(trust * surprise)
    done = state.volume[:, HISTORY:].sum(axis=1)
    share = _over(done + coming[:, 0], done + coming.sum(axis=1))
    target = np.where(level > 0, np.clip(share, 0.0, 1.0), state.curve[:, state.slice])
    return Forecast(ratio, level, before, fast, mid, done, coming, target)


def _mean(values: Floats, weights: Floats | Flags) -> Floats:
    return _over((values * weights).sum(axis=1), weights.sum(axis=1))


def _over(a: Floats, b: Floats) -> Floats:
    """A / b, of one shape, and 0 where b is not positive."""
    return np.divide(a, b, out=np.zeros(a.shape), where=b > 0)


def share_for(target: float, observation: Observation) -> float:
    """Return the share of what is left that brings the filled quantity to a cumulative target, in [0, 1].

    The last slice takes all that is left, and so does a parent with nothing left.
    """
    left = observation.quantity - observation.filled
    if observation.slice >= observation.slices - 1 or left <= 0:
        return 1.0
    return min(1.0, max(0.0, (target * observation.quantity - observation.filled) / left))


class CurvePolicy:
    """Track the market's cumulative volume share along `Observation.curve`, catching up with what has been seen."""

    name = "curve"

    def propose(self, observation: Observation) -> Proposal:
        """Return the share that brings us to the catch-up target at the end of this slice."""
        target = float(forecast(of(observation)).target[0])
        return Proposal(share_for(target, observation), self.name)


class TwapPolicy:
    """The same quantity in every slice, catching up with what did not fill."""

    name = "twap"

    def propose(self, observation: Observation) -> Proposal:
        """Return the share that brings us to (k + 1) / n at the end of this slice."""
        return Proposal(share_for((observation.slice + 1) / observation.slices, observation), self.name)
