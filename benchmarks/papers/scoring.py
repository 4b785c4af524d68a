"""The packages' schedules beside execd's baselines and models, on the same windows and by the same code.

Promise: nothing here computes a figure that `execd evaluate` computes otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.papers.feed import GAIN, Floats
from benchmarks.papers.fits import Fit, tape
from execd.learning import judging
from execd.learning.baselines import linear, tracking
from execd.learning.baselines.market import Market
from execd.learning.baselines.tln import TemporalLinear
from execd.learning.baselines.volume import Season, har_coming, season
from execd.learning.comparison import layout
from execd.learning.evaluation import paired
from execd.learning.examples import roll_out
from execd.learning.judging import CHAMPION, Outcome
from execd.learning.protocol import learned_until
from execd.learning.recipe import nanos
from execd.learning.walkforward import EMBARGO, Decided, Fold, Span, folds
from execd.policies.learned import LearnedPolicy
from execd.policies.profile import DAY

SHAPE = layout("12x1h")
SEED = 20261122
ONCE = f"{CHAMPION}_once"
LEAKY, MENDED = "dynamic_vwap_leaky", "dynamic_vwap_mended"

Told = list[tuple[Fit, dict[str, Floats], dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Ground:
    """One asset: its windows with what execd's methods decide in them, and what the packages are given."""

    decided: Decided
    tape: dict[str, Any]


def ground(path: Path, first: str, until: str, models: Sequence[LearnedPolicy]) -> Ground:
    """Walk one asset forward, baselines refitted monthly; `ONCE` is fitted at the start alone, as the packages are.

    Raises:
        ValueError: if the span has no window, or a model knows it already.
    """
    span = Span(nanos(first), nanos(until), 1)
    market = Market.read(path, SHAPE.interval, SHAPE.slices, span.until)
    plan = list(folds(market, span))
    early = [model.name for model in models if nanos(learned_until(model.manifest)) + EMBARGO > span.first]
    if early or not plan:
        raise ValueError(f"{path}: from {first} to {until} there is no window, or it was learned from by {early}")
    network = TemporalLinear(SHAPE.slices, SEED)
    made = [_methods(market, fold, network, models) for fold in plan]
    rows = np.concatenate([fold.rows for fold in plan])
    schedules = {name: np.concatenate([part[name] for part in made]) for name in made[0]}
    once = _convex(market, replace(plan[0], rows=rows))[CHAMPION]
    return Ground(Decided(market.windows.take(rows), schedules | {ONCE: once}), tape(market, plan[0].past, rows))


def _methods(market: Market, fold: Fold, network: TemporalLinear, models: Sequence[LearnedPolicy]) -> dict[str, Floats]:
    """The baselines that stand beside the packages, the volume trackers' best among them, and the models."""
    rows, n = fold.rows, SHAPE.slices
    network.refit(market, fold.past)
    made = {
        "twap": np.broadcast_to(np.arange(1, n + 1) / n, (len(rows), n)),
        "har_catchup": tracking.caught_up(market, rows, _volume(market, fold)[0]),
        "tln_static": network.schedule(market, rows),
    }
    windows = market.windows.take(rows)
    return made | _convex(market, fold) | {m.name: roll_out(partial(_answer, m), windows) for m in models}


def _volume(market: Market, fold: Fold) -> tuple[Floats, Season]:
    seen = season(market, fold.known)
    return har_coming(market, seen, fold.known), seen


def _convex(market: Market, fold: Fold) -> dict[str, Floats]:
    told = _volume(market, fold)
    made = {}
    for name, clues in (("convex_static", linear.static_clues), (CHAMPION, linear.dynamic_clues)):
        both = clues(market, fold.past, *told), clues(market, fold.rows, *told)
        made[name] = linear.convex_schedule(market, fold.past, fold.rows, both)
    return made


def _answer(model: LearnedPolicy, rows: Floats) -> Floats:
    return np.array(model.targets(rows))


def judge(grounds: dict[str, Ground], told: Told) -> dict[str, Any]:
    """Return `pool` and `assets` as `execd evaluate` does, and what only this benchmark knows under `papers`.

    A method of several seeds is scored by the mean of their shares; `papers.seeds` has each alone.
    """
    methods = list(dict.fromkeys(fit.method for fit, _, _ in told))
    parts = {
        asset: _outcome(g, {m: np.mean(_shares(told, asset, m), axis=0) for m in methods})
        for asset, g in grounds.items()
    }
    pool = judging.joined(list(parts.values()))
    return {
        "pool": judging.figures(pool, SEED),
        "assets": {asset: judging.figures(part, SEED) for asset, part in parts.items()},
        "papers": {
            "leaky_minus_mended": {"pool": _leak(pool)} | {asset: _leak(part) for asset, part in parts.items()},
            "seeds": list(_seeds(grounds, told)),
            "look_ahead": {fit.method: how["moved"] for fit, _, how in reversed(told) if "moved" in how},
        },
    }


def _outcome(one: Ground, more: dict[str, Floats]) -> Outcome:
    return judging.outcome(Decided(one.decided.windows, one.decided.schedules | more))


def _shares(told: Told, asset: str, method: str) -> list[Floats]:
    return [shares[asset] for fit, shares, _ in told if fit.method == method and asset in shares]


def _leak(seen: Outcome) -> dict[str, float | None]:
    weeks = (seen.start - 4 * DAY) // judging.WEEK
    return paired(np.abs(seen.slip[LEAKY]) - np.abs(seen.slip[MENDED]), weeks, SEED)


def _seeds(grounds: dict[str, Ground], told: Told) -> Iterator[dict[str, Any]]:
    for method, seed in dict.fromkeys((fit.method, fit.seed) for fit, _, _ in told):
        fits = [(shares, how) for fit, shares, how in told if (fit.method, fit.seed) == (method, seed)]
        parts = [
            _outcome(one, {"alone": shares[asset]})
            for asset, one in grounds.items()
            for shares, _ in fits
            if asset in shares
        ]
        found = judging.figures(judging.joined(parts), SEED)["alone"]
        hows = [how for _, how in fits]
        yield {
            "method": method,
            "seed": seed,
            "fits": len(fits),
            "windows": hows[0]["windows"],
            "parameters": hows[0]["parameters"],
            "epochs": [min(h["epochs"] for h in hows), max(h["epochs"] for h in hows)],
            "kept_epoch": [min(_kept(h) for h in hows), max(_kept(h) for h in hows)],
            "last_rate": min(h["learning_rate"][-1] for h in hows),
            "cpu_s": round(sum(h["cpu_s"] for h in hows)),
            "figures": found,
        }


def _kept(how: dict[str, Any]) -> int:
    """The epoch whose weights were taken: the last that gained what counts as a gain."""
    best, kept = np.inf, 0
    for epoch, lost in enumerate(how["val_loss"], 1):
        if lost + GAIN < best:
            best, kept = lost, epoch
    return kept


def tradable(moved: Sequence[Sequence[float]]) -> bool:
    """Return whether no slice's allocation moves with a bar that closes after the slice began: all of j <= t are 0."""
    return not np.tril(np.array(moved)).any()


Say = Callable[[str, float], None]


def prepare(
    paths: Sequence[Path], first: str, until: str, models: Sequence[LearnedPolicy], say: Say
) -> dict[str, Ground]:
    """Walk every asset forward."""
    out = {}
    for i, path in enumerate(paths):
        say(f"walking execd's methods forward, {path.stem}", i / len(paths))
        out[path.stem] = ground(path, first, until, models)
    say("walking execd's methods forward", 1.0)
    return out
