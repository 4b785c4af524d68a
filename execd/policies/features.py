"""What a model is told: one function from a State to numbers, for training and for serving alike.

Promise: a feature says nothing about which asset it is, in which unit it trades, or how many slices the window has
other than as a fraction; scaling all prices or all volumes moves none of them; each is finite whatever the bars are;
and none can know anything at or after the slice that it is for, because a State does not hold it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from execd.core.commands import Observation
from execd.core.events import Bar
from execd.core.grid import Instrument, Lots, Nanos, Notional, Side, Ticks
from execd.policies import curve
from execd.policies.curve import Forecast, expected_curve, forecast
from execd.policies.state import HISTORY, Flags, Floats, State, of, of_many

VERSION = 1

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
)
TARGET = NAMES.index("target")
ELAPSED = NAMES.index("elapsed")
INTERVAL = NAMES.index("interval")

_DAY = 86_400_000_000_000
_CLIP = 5.0


def features(state: State) -> Floats:
    """Return [B, len(NAMES)] features of B moments, float64, each in [-5, 5]."""
    seen = forecast(state)
    columns = (*_position(state), *_volume(state, seen), *_price(state), *_clock(state), *_knowledge(state, seen))
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
    judged = (seen.before > 0) & (done > 0) & (seen.done > 0)
    expected = np.where(judged, seen.before * done, 1.0)
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


def _price(state: State) -> list[Floats]:
    traded = state.present & (state.volume > 0) & (state.close > 0)
    at = np.maximum.accumulate(np.where(traded, np.arange(traded.shape[1]), -1), axis=1)
    price = np.where(at >= 0, state.close[np.arange(len(at))[:, None], np.maximum(at, 0)], 1.0)
    both = (at[:, :-1] >= 0) & state.present[:, 1:]
    logs = np.log(price)
    moves = np.where(both, logs[:, 1:] - logs[:, :-1], 0.0)
    rms = _rms(moves, both)
    recent = _rms(moves[:, -4:], both[:, -4:])
    moving, recently = rms > 0, (rms > 0) & (recent > 0)
    unit = np.where(moving, rms, 1.0)
    last = np.where(moving, moves[:, -1] / unit, 0.0)
    notional, volume = state.notional[:, HISTORY:].sum(axis=1), state.volume[:, HISTORY:].sum(axis=1)
    priced = moving & (volume > 0) & (notional > 0)
    average = np.where(priced, notional / np.where(priced, volume, 1.0), price[:, -1])
    drift = np.where(priced, np.log(price[:, -1] / average) / (unit * np.sqrt(max(1, state.slice))), 0.0)
    return [
        np.where(moving, np.log(1e4 * unit) / 2.0, 0.0),
        np.where(recently, np.log(np.where(recently, recent, 1.0) / unit), 0.0),
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
    day = 2.0 * np.pi * (at % _DAY) / _DAY
    hour = 24.0 * day
    weekend = (((at // _DAY) + 3) % 7 >= 5).astype(np.float64)
    return [np.sin(day), np.cos(day), np.sin(2 * day), np.cos(2 * day), weekend, np.sin(hour), np.cos(hour)]


def _knowledge(state: State, seen: Forecast) -> list[Floats]:
    history = state.present[:, :HISTORY].sum(axis=1)
    known = state.present.sum(axis=1)
    return [
        np.log1p(known) / np.log1p(HISTORY),
        (history > 0).astype(np.float64),
        state.filled - _done_share(state, seen),
    ]


def schema() -> str:
    """Return the sha256 of everything that fixes what the features mean: names, version and constants."""
    constants = {key: value for key, value in sorted(vars(curve).items()) if key.isupper() and key[0] != "_"}
    facts = {"version": VERSION, "names": NAMES, "history": HISTORY, "curve": constants}
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
    )


def _bar(start: Nanos, interval: Nanos, i: int) -> Bar:
    wobble = (i * i * 7919 + i * 104_729) % 1009
    volume, close = 0 if wobble % 13 == 0 else 100 + wobble, 50_000 + wobble % 97 - i
    return Bar(Nanos(start + i * interval), Lots(volume), Notional(volume * (close - 3)), Ticks(close), 1)
