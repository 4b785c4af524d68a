"""What a model is told: one function from a State to numbers, for training and for serving alike.

Promise: a feature says nothing about which asset it is, in which unit it trades, or how many slices the window has
other than as a fraction; scaling all prices or all volumes moves none of them; each is finite whatever the bars are;
and none can know anything at or after the slice that it is for, because a State does not hold it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from execd.core.commands import Observation
from execd.core.events import UNKNOWN_HOURS, Bar, Hours
from execd.core.grid import Instrument, Lots, Nanos, Notional, Side, Ticks
from execd.policies import curve, profile, season
from execd.policies.curve import Forecast, expected_curve, forecast
from execd.policies.floats import Flags, Floats
from execd.policies.profile import DAY, HOUR
from execd.policies.season import HOURS, weekend
from execd.policies.state import HISTORY, State, of, of_many

VERSION = 2

NAMES = (
    # where in the window we are
    *("elapsed", "rate", "grain", "interval", "horizon"),
    # the static curve, and the catch-up forecast against it; `target` is raw, in [0, 1]: the model's starting point
    *("target", "curve_done", "curve_next", "curve_trend", "done_gap", "target_gap"),
    # volume against expectation
    *("surprise", "last_1", "last_2", "last_3", "fast", "mid", "burst"),
    # price path
    *("volatility", "volatility_ratio", "move", "abs_move", "drift", "abs_drift"),
    # clock
    *("day_sin", "day_cos", "halfday_sin", "halfday_cos", "weekend", "hour_sin", "hour_cos"),
    # what is known, and our own progress
    *("known", "has_history", "lag"),
    # the weeks before: volume and moves against them, and the asset's own day
    *("slow_4h", "slow_16h", "slow_64h", "slow_256h", "swing_day", "swing_week", "last_day", "hours_known"),
    *("habit_gap", "habit_next", "forecast_next"),
)
TARGET = NAMES.index("target")
ELAPSED = NAMES.index("elapsed")
INTERVAL = NAMES.index("interval")

_CLIP = 5.0


def features(state: State) -> Floats:
    """Return [B, len(NAMES)] features of B moments, float64, each in [-5, 5]."""
    seen = forecast(state)
    path = _path(state)
    columns = (*_position(state), *_volume(state, seen), *_price(state, path), *_clock(state))
    columns += (*_knowledge(state, seen), *_weeks(state, seen, path), *_habit(state, seen))
    return np.clip(np.array(columns).T, -_CLIP, _CLIP)


def observe(observation: Observation) -> Floats:
    """Return the [len(NAMES)] features of one observation: the same function, on a State of one row."""
    row: Floats = features(of(observation))[0]
    return row


def observe_many(observations: Sequence[Observation]) -> Floats:
    """Return the [B, len(NAMES)] features of many observations; those of like windows at once."""
    rows = np.empty((len(observations), len(NAMES)))
    alike: dict[tuple[int, int, int], list[int]] = {}
    for i, each in enumerate(observations):
        alike.setdefault((each.slice, each.slices, int(each.interval)), []).append(i)
    for places in alike.values():
        rows[places] = features(of_many([observations[i] for i in places]))
    return rows


def envelope(target: Floats) -> Floats:
    """Return u (1 - u): how far the cumulative share may reasonably be off at u, up to a factor."""
    return target * (1.0 - target)


def _position(state: State) -> list[Floats]:
    k, n = state.slice, state.slices
    seconds = state.interval / 1e9
    values = (k / n, 1.0 / (n - k), 1.0 / n, np.log(seconds / 60.0) / 4.0, np.log(seconds * n / 3600.0) / 4.0)
    return [np.full(len(state.start), value) for value in values]


def _volume(state: State, seen: Forecast) -> list[Floats]:
    k, n, zero = state.slice, state.slices, np.zeros(len(state.start))
    done = state.curve[:, k - 1] if k else zero
    coming = state.curve[:, k] - done
    rest = np.maximum(1.0 - done, 1e-9) / (n - k)
    scale = np.maximum(envelope(seen.target), 1e-3)
    plan = seen.expected[:, :k].sum(axis=1)
    judged = (seen.before > 0) & (plan > 0) & (seen.done > 0)
    expected = np.where(judged, seen.before * plan, 1.0)
    ratio = seen.ratio
    return [
        seen.target,
        done,
        n * coming - 1.0,
        np.log(np.maximum(coming, 1e-9) / rest),
        (_done_share(state, seen) - done) / scale,
        (seen.target - state.curve[:, k]) / scale,
        np.where(judged, np.log(np.where(judged, seen.done, 1.0) / expected), 0.0),
        ratio[:, -1],
        ratio[:, -2],
        ratio[:, -3],
        seen.fast,
        seen.mid,
        np.sqrt((ratio[:, -24:] ** 2).mean(axis=1)),
    ]


def _done_share(state: State, seen: Forecast) -> Floats:
    """[B] the estimated share of the window's volume that is behind us."""
    total = seen.done + seen.coming.sum(axis=1)
    static = state.curve[:, state.slice - 1] if state.slice else np.zeros(len(state.start))
    known = (seen.level > 0) & (total > 0)
    return np.where(known, seen.done / np.where(known, total, 1.0), static)


@dataclass(frozen=True, slots=True)
class _Path:
    """The last price [B] before the slice, the log moves [B, HISTORY + k - 1] from bar to bar, which of them are known,
    and the size [B] of those: their root mean square.
    """

    price: Floats
    moves: Floats
    known: Flags
    rms: Floats


def _path(state: State) -> _Path:
    traded = state.present & (state.volume > 0) & (state.close > 0)
    at = np.maximum.accumulate(np.where(traded, np.arange(traded.shape[1]), -1), axis=1)
    price = np.where(at >= 0, state.close[np.arange(len(at))[:, None], np.maximum(at, 0)], 1.0)
    known = (at[:, :-1] >= 0) & state.present[:, 1:]
    logs = np.log(price)
    moves = np.where(known, logs[:, 1:] - logs[:, :-1], 0.0)
    return _Path(price[:, -1], moves, known, _rms(moves, known))


def _price(state: State, path: _Path) -> list[Floats]:
    recent = _rms(path.moves[:, -4:], path.known[:, -4:])
    moving = path.rms > 0
    unit = np.where(moving, path.rms, 1.0)
    last = np.where(moving, path.moves[:, -1] / unit, 0.0)
    notional, volume = state.notional[:, HISTORY:].sum(axis=1), state.volume[:, HISTORY:].sum(axis=1)
    priced = moving & (volume > 0) & (notional > 0)
    average = np.where(priced, notional / np.where(priced, volume, 1.0), path.price)
    drift = np.where(priced, np.log(path.price / average) / (unit * np.sqrt(max(1, state.slice))), 0.0)
    return [
        np.where(moving, np.log(1e4 * unit) / 2.0, 0.0),
        _log_over(recent, path.rms),
        last,
        np.abs(last),
        drift,
        np.abs(drift),
    ]


def _rms(values: Floats, known: Flags) -> Floats:
    mean: Floats = (values**2 * known).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.sqrt(mean)


def _clock(state: State) -> list[Floats]:
    # The middle of the coming slice, by the plan: known beforehand.
    at = state.start + state.interval * state.slice + state.interval // 2
    day = 2.0 * np.pi * (at % DAY) / DAY
    hour, idle = 24.0 * day, weekend(at).astype(np.float64)
    return [np.sin(day), np.cos(day), np.sin(2 * day), np.cos(2 * day), idle, np.sin(hour), np.cos(hour)]


def _knowledge(state: State, seen: Forecast) -> list[Floats]:
    history = state.present[:, :HISTORY].sum(axis=1)
    known = state.present.sum(axis=1)
    return [
        np.log1p(known) / np.log1p(HISTORY),
        (history > 0).astype(np.float64),
        state.filled - _done_share(state, seen),
    ]


def _weeks(state: State, seen: Forecast, path: _Path) -> list[Floats]:
    """How volume and moves stand to those of the weeks before."""
    hour = np.sqrt(state.interval / HOUR)
    lately = _rms(path.moves[:, -24:], path.known[:, -24:])
    return [
        *(seen.slow[:, i] for i in range(seen.slow.shape[1])),
        *(_log_over(state.season.swing[:, i] * hour, path.rms) for i in range(state.season.swing.shape[1])),
        _log_over(lately, path.rms),
        np.log1p(state.season.known) / np.log1p(HOURS),
    ]


def _habit(state: State, seen: Forecast) -> list[Floats]:
    """The window by the asset's own day, and by the forecast: how far ahead of the static curve, and the next slice."""
    k, n = state.slice, state.slices
    whole = seen.expected.sum(axis=1)
    static = seen.expected[:, : k + 1].sum(axis=1) / whole
    scale = np.maximum(envelope(seen.target), 1e-3)
    return [
        (static - state.curve[:, k]) / scale,
        np.log(n * seen.expected[:, k] / whole),
        np.log((n - k) * seen.coming[:, 0] / seen.coming.sum(axis=1)),
    ]


def _log_over(a: Floats, b: Floats) -> Floats:
    known = (a > 0) & (b > 0)
    return np.where(known, np.log(np.where(known, a, 1.0) / np.where(known, b, 1.0)), 0.0)


def schema() -> str:
    """Return the sha256 of everything that fixes what the features mean: names, version and constants."""
    constants = {
        f"{module.__name__}.{key}": value
        for module in (curve, profile, season)
        for key, value in sorted(vars(module).items())
        if key.isupper() and isinstance(value, int | float | tuple)
    }
    facts = {"version": VERSION, "names": NAMES, "history": HISTORY, "constants": constants}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def golden_observations() -> tuple[Observation, ...]:
    """Four fixed observations, made up by arithmetic: a model folder records what they must give."""
    return (
        _example(slices=12, at=0, interval_s=7.5, history=0),
        _example(slices=12, at=7, interval_s=7.5, history=20),
        _example(slices=12, at=3, interval_s=3600.0, history=HISTORY),
        _example(slices=48, at=46, interval_s=300.0, history=10),
    )


def _example(slices: int, at: int, interval_s: float, history: int) -> Observation:
    interval = Nanos(int(interval_s * 1e9))
    start = Nanos(1_735_741_800_000_000_000)
    bars = tuple(_bar(start, interval, i) for i in range(-history, at))
    end = Nanos(start + interval * slices)
    one = Decimal(1)
    return Observation(
        instrument=Instrument("golden", "A/B", "A", "B", one, one, Lots(1), Lots(10**9), Notional(1), Notional(10**15)),
        side=Side.BUY,
        now=Nanos(start + interval * at),
        start=start,
        end=end,
        slice=at,
        slices=slices,
        interval=interval,
        quantity=Lots(1_000_000),
        filled=Lots(900_000 * at // slices),
        own_notional=0,
        bars=bars[history:],
        history=bars[:history],
        curve=expected_curve(start, end, slices),
        arrival=50_000.0,
        mid2=None,
        hours=_hours(start) if history == HISTORY else UNKNOWN_HOURS,
    )


def _hours(start: Nanos) -> Hours:
    bars = [_bar(Nanos(start // HOUR * HOUR), Nanos(HOUR), i) for i in range(-HOURS, 0)]
    return Hours.of(bars)


def _bar(start: Nanos, interval: Nanos, i: int) -> Bar:
    wobble = (i * i * 7919 + i * 104_729) % 1009
    volume, close = 0 if wobble % 13 == 0 else 100 + wobble, 50_000 + wobble % 97 - i
    return Bar(Nanos(start + i * interval), Lots(volume), Notional(volume * (close - 3)), Ticks(close), 1)
