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
from execd.policies.floats import Flags, Floats
from execd.policies.profile import HOUR, profile_mass
from execd.policies.season import HALF_LIVES_H, habit_at
from execd.policies.state import HISTORY, State, of, slice_bounds

# How the volume of the coming bars remembers the last ones: the part of the log surprise that is still there j bars
# on is PULL * KEEP**j, for a fast and for a slow average.  Chosen on bars before 2024-10-01 (docs/evaluation.md).
FAST_HALF_LIFE, MID_HALF_LIFE = 2.0, 8.0
FAST_PULL, FAST_KEEP = 0.80, 0.80
MID_PULL, MID_KEEP = 0.75, 0.93
SETTLE = 8.0
"""Surprises of m known bars count m / (m + SETTLE): the mean of a few bars is no expectation."""
QUIET = 0.05
"""Added to volume ratios before the logarithm, so that an empty bar is a finite surprise."""

SLOW_PULL = (0.30, 0.10, 0.12, 0.20)
"""The same for how the averages of the weeks before, by `season.HALF_LIVES_H`, stand to the level; they do not fade."""


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
        slow: [B, 4] log of the averages by `HALF_LIVES_H` over `level`, each against expectation; 0 where unknown.
        expected: [B, n] what each slice is expected to have by profile and habit alone, in average hours' volume.
        done: [B] the window's volume so far.
        coming: [B, n - k] the forecast volume of the slices left.
        target: [B] the catch-up target u at the end of the coming slice, in [0, 1].
    """

    ratio: Floats
    level: Floats
    before: Floats
    fast: Floats
    mid: Floats
    slow: Floats
    expected: Floats
    done: Floats
    coming: Floats
    target: Floats


def expectation(state: State) -> Floats:
    """Return [B, HISTORY + n] each bar's expected volume, in average hours', by the asset's own habit.

    Before the start the static week has it, in the window the parent's curve.
    """
    grid = np.arange(-HISTORY, state.slices + 1, dtype=np.int64) * state.interval
    static = profile_mass(state.start, grid)
    whole = static[:, HISTORY:].sum(axis=1, keepdims=True)
    static[:, HISTORY:] = whole * np.diff(state.curve, axis=1, prepend=0.0)
    middles = state.start[:, None] + (grid[:-1] + state.interval // 2)[None, :]
    expected: Floats = static * np.exp(habit_at(state.season.habit, middles))
    return expected


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
    slow = _slow(state, expected, level)
    count = known.sum(axis=1)
    trust = (count / (count + SETTLE))[:, None]
    ahead = np.arange(1, state.slices - state.slice + 1, dtype=np.float64)
    surprise = np.outer(fast - mid, FAST_PULL * FAST_KEEP**ahead) + np.outer(mid, MID_PULL * MID_KEEP**ahead)
    lasting = np.exp(trust * surprise + (slow @ np.array(SLOW_PULL))[:, None])
    coming = expected[:, seen:] * np.where(level > 0, level, 1.0)[:, None] * lasting
    done = state.volume[:, HISTORY:].sum(axis=1)
    window = expected[:, HISTORY:]
    share = _over(done + coming[:, 0], done + coming.sum(axis=1))
    static = window[:, : state.slice + 1].sum(axis=1) / window.sum(axis=1)
    target = np.clip(np.where(level > 0, share, static), 0.0, 1.0)
    return Forecast(ratio, level, before, fast, mid, slow, window, done, coming, target)


def _slow(state: State, expected: Floats, level: Floats) -> Floats:
    """[B, 4]: the weeks' averages, aged by the slices of the window and with them added."""
    k, hours = state.slice, state.interval / HOUR
    half_lives = np.array(HALF_LIVES_H)
    fade = 0.5 ** (np.arange(k - 1, -1, -1, dtype=np.float64)[:, None] * hours / half_lives)
    aged = 0.5 ** (k * hours / half_lives)
    window = state.present[:, HISTORY:]
    volume = state.season.volume * aged + (state.volume[:, HISTORY:] * window) @ fade
    mass = state.season.mass * aged + (expected[:, HISTORY : HISTORY + k] * window) @ fade
    usual = mass * level[:, None]
    known = (state.season.known > 0)[:, None] & (volume > 0) & (usual > 0)
    return np.where(known, np.log(np.where(known, volume, 1.0) / np.where(known, usual, 1.0)), 0.0)


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
