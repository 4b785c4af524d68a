"""Judging: models and baselines on the same held-out later windows, with intervals for the differences.

Promise: every method decides from the same States in the same order, as it would live; a baseline that is fitted is
fitted on the training part alone; differences are paired by window, and their intervals come from a bootstrap over
blocks of time, so that overlapping windows and assets that move together do not count as evidence twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from execd.learning import convex, recipe
from execd.learning.card import tables
from execd.learning.dataset import Cell, DataSet, Part
from execd.learning.examples import eager, examples, in_chunks, roll_out
from execd.learning.recipe import Recipe
from execd.learning.windows import Windows
from execd.policies.curve import forecast
from execd.policies.floats import Floats
from execd.policies.learned import LearnedPolicy, ModelRefused, load
from execd.policies.network import TargetNet

Results = dict[str, Any]
"""{"cells": [...], "protocol": {...}}: plain data, ready for JSON."""

_PARTS: tuple[Part, ...] = ("test", "unseen")
BASELINES = ("twap", "tod_curve", "har_catchup", "convex_dynamic")

_DRAWS = 2000
_FEWEST_BLOCKS = 8
_BAR_BLOCK = 7 * 86_400_000_000_000
_TICK_BLOCK = 900_000_000_000
_CONVEX_ROUNDS = 40


def evaluate(model_dirs: Sequence[Path], data_dir: Path, say: Callable[[str, float], None] | None = None) -> Results:
    """Judge model folders by the held-out part of the first one's recipe.

    Raises:
        ModelRefused: if a folder is not as its manifest says.
        DataRefused: if data is missing.
        ModelRefused: too, if two share a name, or another was trained on data that the first one's recipe holds out.
    """
    models: dict[str, LearnedPolicy] = {}
    for folder in model_dirs:
        policy = load(folder)
        if policy.name in models:
            raise ModelRefused(f"{folder}: its name {policy.name!r} is another one's too; allowed is each name once")
        models[policy.name] = policy
    first = next(iter(models.values())).manifest
    for policy in models.values():
        if policy.manifest.data_until > first.data_until:
            raise ModelRefused(
                f"model {policy.name} was trained on data until {policy.manifest.data_until}; allowed is what "
                f"{first.name}, named first, was trained on: until {first.data_until}"
            )
    return judge(DataSet(recipe.parse(first.recipe), data_dir), models, say or (lambda _what, _done: None))


def render(results: Results) -> str:
    """Return the figures of every model for people: Markdown tables, mean |slippage| in bps."""
    cells = results["cells"]
    names = [name for name in cells[0]["methods"] if name not in BASELINES] if cells else []
    return "\n".join(f"## {name}\n\n{tables(cells, name)}" for name in names)


def judge(data: DataSet, models: Mapping[str, LearnedPolicy], say: Callable[[str, float], None]) -> Results:
    """Return every test cell's figures for the baselines and the models."""
    plan = data.recipe
    judged: list[Results] = []
    work = [(part, source, shape) for part in _PARTS for source in plan.sources for shape in source.shapes]
    for i, (part, source, shape) in enumerate(work):
        windows, past = data.windows(source, shape, part), data.windows(source, shape, "train")
        if windows is not None and past is not None:
            judged.append({"part": part} | _judge(data, Cell(source, shape, windows), past, models))
            if source.kind == "ticks":
                cell = Cell(source, shape, _blind(windows))
                judged.append({"part": f"{part}, no history"} | _judge(data, cell, _blind(past), models))
        say("judging on held-out data", (i + 1) / len(work))
    return {
        "cells": judged,
        "protocol": {"seed": plan.seed, "draws": _DRAWS, "splits": msgspec.to_builtins(plan.splits)},
    }


def _blind(windows: Windows) -> Windows:
    return windows.forgetting(np.zeros(len(windows), dtype=np.int64))


def schedules(windows: Windows, baseline: TargetNet, models: Mapping[str, LearnedPolicy]) -> dict[str, Floats]:
    """Return [W, n] cumulative targets of each method, the last 1."""
    w, n = len(windows), windows.slices
    made = {
        "twap": np.broadcast_to(np.arange(1, n + 1) / n, (w, n)),
        "tod_curve": windows.curve(),
        "har_catchup": catch_up(windows),
        "convex_dynamic": roll_out(eager(baseline), windows),
    }
    for name, policy in models.items():
        made[name] = roll_out(lambda rows, policy=policy: np.array(policy.targets(rows)), windows)  # type: ignore[misc]
    return made


def catch_up(windows: Windows) -> Floats:
    """Return [W, n] what CurvePolicy keeps: the catch-up targets, never taking back what is filled."""
    schedule = np.ones((len(windows), windows.slices))
    for chunk, part in in_chunks(windows):
        nothing = np.zeros(len(part))
        for k in range(windows.slices - 1):
            schedule[chunk, k] = forecast(part.state(k, nothing)).target
    return np.maximum.accumulate(schedule, axis=1)


def _convex(plan: Recipe, windows: Windows) -> TargetNet:
    """The convex dynamic policy of one shape alone, fitted on its training windows."""
    network = TargetNet(())
    taught = examples(windows, np.random.default_rng(plan.seed))
    network.normalize(taught.features.flatten(0, 1))
    c, z = convex.design(network, taught)
    # One shape has one slice length: the columns of the other knots are constant multiples of the same.
    w = convex.fit_best(c, z, convex.latest(windows.start), _CONVEX_ROUNDS, plan.training.convex_ridges)
    convex.start_from(network, w)
    return network.eval()


def _judge(data: DataSet, cell: Cell, past: Windows, models: Mapping[str, LearnedPolicy]) -> Results:
    plan, baseline = data.recipe, _convex(data.recipe, past)
    windows = cell.windows
    slips = {name: windows.slip_bps(x) for name, x in schedules(windows, baseline, models).items()}
    size = {name: np.abs(slip) for name, slip in slips.items()}
    blocks = windows.start // (_TICK_BLOCK if cell.source.kind == "ticks" else _BAR_BLOCK)
    methods: Results = {}
    for name, slip in slips.items():
        methods[name] = _figures(slip) | {"gain_vs_twap": _short(1.0 - size[name].mean() / size["twap"].mean())}
        methods[name]["minus"] = {
            other: paired(size[name] - size[other], blocks, plan.seed)
            for other in BASELINES
            if other in size and other != name
        }
    return {
        "cell": cell.name,
        "source": cell.source.name,
        "horizon_s": cell.shape.horizon / 1e9,
        "interval_s": cell.shape.interval_s,
        "slices": cell.shape.slices,
        "windows": len(windows),
        "blocks": len(np.unique(blocks)),
        "methods": methods,
        "assets": {
            data.assets[asset]: {name: _short(s[windows.asset == asset].mean()) for name, s in size.items()}
            for asset in np.unique(windows.asset)
        },
    }


def _figures(slip: Floats) -> dict[str, float]:
    size = np.abs(slip)
    return {
        "mae_bps": _short(size.mean()),
        "median_bps": _short(np.median(size)),
        "rmse_bps": _short(np.sqrt((slip**2).mean())),
        "p95_bps": _short(np.quantile(size, 0.95)),
        "p99_bps": _short(np.quantile(size, 0.99)),
        "signed_bps": _short(slip.mean()),
    }


def _short(value: np.floating[Any] | float) -> float:
    """A figure to a millionth: what lies beyond is no finding, and differs between machines."""
    return round(float(value), 6)


def paired(difference: Floats, blocks: NDArray[np.int64], seed: int) -> dict[str, float | None]:
    """Return the mean difference and its 95 % interval by a bootstrap over blocks of time.

    Fewer than 8 blocks are no ground for an interval: `low` and `high` are None.
    """
    _, index = np.unique(blocks, return_inverse=True)
    return over_blocks(difference.mean(), np.bincount(index, difference), np.bincount(index), seed)


def over_blocks(
    mean: np.floating[Any] | float, sums: NDArray[Any], counts: NDArray[Any], seed: int
) -> dict[str, float | None]:
    """Return a mean with its interval as `paired` does, given the sum [B] and the count [B] of each block."""
    out: dict[str, float | None] = {"mean": _short(mean), "low": None, "high": None}
    if len(sums) >= _FEWEST_BLOCKS:
        draws = np.random.default_rng(seed).integers(0, len(sums), (_DRAWS, len(sums)))
        means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
        out["low"], out["high"] = (_short(q) for q in np.quantile(means, (0.025, 0.975)))
    return out
