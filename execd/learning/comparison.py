"""Any folder of bars, every baseline, every model: `execd evaluate`.

Promise: a model is judged as it is shipped, on windows that begin after all that it was fitted or chosen on; baselines
are refitted walk-forward; all methods are asked about the same windows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from execd.learning import judging, robustness
from execd.learning.baselines.market import Market
from execd.learning.baselines.transformer import Pooled
from execd.learning.examples import Answer
from execd.learning.judging import Outcome
from execd.learning.protocol import day, learned_until, protocol
from execd.learning.recipe import nanos
from execd.learning.series import DataRefused, read_bars
from execd.learning.walkforward import EMBARGO, EVERY, LEAST, METHODS, Span, Wanted, pool, walk
from execd.policies.floats import Floats
from execd.policies.learned import LearnedPolicy, ModelRefused, load
from execd.policies.manifest import Manifest
from execd.policies.profile import DAY

Say = Callable[[str, float], None]
Results = dict[str, Any]

_SHAPE = re.compile(r"(\d{1,4})x(\d{1,4})(m|h)")
_UNITS = {"m": 60_000_000_000, "h": 3_600_000_000_000}
_MONTHS = (1, 2, 3, 4, 6, 12)


@dataclass(frozen=True, slots=True)
class Layout:
    """A shape of windows: `slices` slices of `interval` ns, as written: 12x1h."""

    text: str
    slices: int
    interval: int


@dataclass(frozen=True, slots=True)
class Question:
    """What `execd evaluate` is asked.  None: all assets; after the models' own data; to the end of the data."""

    models: tuple[Path, ...]
    folder: Path
    shapes: tuple[Layout, ...]
    assets: tuple[str, ...] | None = None
    first: str | None = None
    until: str | None = None
    months: int = 1
    methods: tuple[str, ...] = METHODS
    jobs: int = 1
    seed: int = 20261122


@dataclass(frozen=True, slots=True)
class _Job:
    path: Path
    shape: Layout
    span: Span
    models: tuple[Path, ...]
    methods: tuple[str, ...]
    seed: int
    tried: bool
    pooled: Pooled | None = field(default=None, compare=False)


def layout(text: str) -> Layout:
    """Read a shape such as 12x1h or 24x30m.

    Raises:
        DataRefused: if it is none, or its slices do not fit a day.
    """
    found = _SHAPE.fullmatch(text.strip())
    slices, interval = (int(found[1]), int(found[2]) * _UNITS[found[3]]) if found else (0, 0)
    if slices < 2 or not interval or DAY % interval:
        raise DataRefused(f"shape {text!r}: allowed is slices x length, such as 12x1h or 24x30m; lengths divide a day")
    return Layout(text.strip(), slices, interval)


def compare(question: Question, say: Say) -> Results:
    """Judge models and baselines.

    Returns:
        `pool` and `assets` of the first shape, `by` its start hour and volatility, its `robustness` by scenario,
        `shapes` with the same of every shape but for the robustness, and the `protocol`.

    Raises:
        ModelRefused: if a model folder is not as its manifest says, or two share a name.
        DataRefused: if the folder, an asset, a shape or the span cannot be used.
    """
    models, paths = _models(question.models), _paths(question)
    span = _span(question, [policy.manifest for policy in models.values()], paths)
    jobs = [job for shape in question.shapes for job in _jobs(question, shape, span, paths, say)]
    found = _run(jobs, question.jobs, say)
    shapes = {}
    for shape in question.shapes:
        judged = _judged({job.path.stem: found[job] for job in jobs if job.shape == shape}, question.seed)
        reasons = {name: policy.covers(shape.interval * shape.slices, shape.slices) for name, policy in models.items()}
        shapes[shape.text] = judged | {"not_covered": {name: why for name, why in reasons.items() if why}}
    main = shapes[question.shapes[0].text]
    if not main["assets"]:
        raise DataRefused(
            f"{question.folder}: no window from {day(span.first)} to {day(span.until)} has {LEAST} windows before it "
            "to fit the baselines on; allowed are longer files, or another --from and --until"
        )
    told = {
        "shapes": [shape.text for shape in question.shapes],
        **protocol(span, Wanted(question.methods, question.seed), models, [path.stem for path in paths]),
        "scenarios": {name: each.about for name, each in robustness.scenarios(question.shapes[0].slices).items()},
    }
    return {key: main[key] for key in ("pool", "assets", "by", "robustness")} | {"shapes": shapes, "protocol": told}


def _models(folders: Sequence[Path]) -> dict[str, LearnedPolicy]:
    models: dict[str, LearnedPolicy] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in models or name in EVERY:
            raise ModelRefused(f"{folder}: a method is called {name!r} already; allowed is each name once")
        models[name] = load(folder)
    return models


def _paths(question: Question) -> list[Path]:
    every = {path.stem: path for path in sorted(question.folder.glob("*.parquet"))}
    if not every:
        raise DataRefused(
            f"{question.folder}: holds no SYM.parquet; needed are bars: ts, open, high, low, close, volume"
        )
    for asset in question.assets or ():
        if asset not in every:
            raise DataRefused(f"{question.folder / asset}.parquet: absent; there are {', '.join(every)}")
    return [every[asset] for asset in question.assets or every]


def _span(question: Question, manifests: list[Manifest], paths: list[Path]) -> Span:
    if question.months not in _MONTHS:
        raise DataRefused(f"--refit-months {question.months}: allowed are {', '.join(map(str, _MONTHS))}")
    closed = max((nanos(learned_until(manifest)) + EMBARGO for manifest in manifests), default=0)
    if question.first is None and not manifests:
        raise DataRefused("--from: absent; without a model it must say where to begin, such as 2024-01-01")
    first = closed if question.first is None else _nanos("--from", question.first)
    if first < closed:
        raise DataRefused(
            f"--from {question.first}: the models were fitted and chosen on data until {day(closed - EMBARGO)}; "
            f"allowed is {day(closed)} or later"
        )
    ends = [_end(path) for path in paths]
    until = max(ends) if question.until is None else _nanos("--until", question.until)
    if until <= first:
        raise DataRefused(
            f"{question.folder}: nothing from {day(first)} to {day(until)}; allowed is data after the first"
        )
    return Span(first, until, question.months)


def _end(path: Path) -> int:
    series = read_bars(path)
    return series.start + series.interval * len(series.volume)


def _nanos(option: str, iso: str) -> int:
    try:
        return nanos(iso)
    except ValueError as error:
        raise DataRefused(f"{option} {iso}: is no date; allowed are ISO dates, UTC, such as 2025-01-02") from error


def _jobs(question: Question, shape: Layout, span: Span, paths: list[Path], say: Say) -> list[_Job]:
    """One shape's, with the networks that are taught from all assets together."""
    torch.set_num_threads(1)
    pooled = None
    if "transformer_pooled" in question.methods:
        markets = (Market.read(path, shape.interval, shape.slices, span.until) for path in paths)
        told = f"teaching transformer_pooled {shape.text}"
        pooled = pool(markets, span, shape.slices, question.seed, lambda done: say(told, done))
    tried = shape == question.shapes[0]  # what is achieved takes models many more decisions than what is planned
    return [_Job(path, shape, span, question.models, question.methods, question.seed, tried, pooled) for path in paths]


def _run(jobs: list[_Job], processes: int, say: Say) -> dict[_Job, Outcome | None]:
    found: dict[_Job, Outcome | None] = {}
    if processes <= 1 or len(jobs) == 1:
        for i, job in enumerate(jobs):
            found[job] = _work(job, lambda part, i=i, job=job: say(_what(job), (i + part) / len(jobs)))  # type: ignore[misc]
        say("judging", 1.0)
        return found
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(_work, job): job for job in jobs}
        say("judging", 0.0)
        try:
            for done in as_completed(waiting):
                found[waiting[done]] = done.result()
                say(_what(waiting[done]), len(found) / len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return {job: found[job] for job in jobs}


def _what(job: _Job) -> str:
    return f"judging, {job.path.stem} {job.shape.text}"


def _work(job: _Job, say: Callable[[float], None] | None = None) -> Outcome | None:
    """One asset and shape: what every method's windows came to, None where there are none."""
    torch.set_num_threads(1)
    market = Market.read(job.path, job.shape.interval, job.shape.slices, job.span.until)
    answers = {
        name: answer
        for name, (policy, answer) in _answers(job.models).items()
        if policy.covers(job.shape.interval * job.shape.slices, job.shape.slices) is None
    }
    decided = walk(market, job.span, answers, Wanted(job.methods, job.seed, job.pooled), say)
    if decided is None:
        return None
    seen = judging.outcome(decided)
    if not job.tried:
        return seen
    return replace(seen, tally=robustness.tally(decided, answers, job.path.stem, job.seed))


@cache
def _answers(folders: tuple[Path, ...]) -> dict[str, tuple[LearnedPolicy, Answer]]:
    """Load a process's models once."""
    return {name: (policy, partial(_answer, policy)) for name, policy in _models(folders).items()}


def _answer(policy: LearnedPolicy, rows: Floats) -> Floats:
    return np.array(policy.targets(rows))


def _judged(found: dict[str, Outcome | None], seed: int) -> Results:
    parts = {asset: part for asset, part in found.items() if part is not None}
    out: Results = {
        "pool": {},
        "assets": {},
        "by": {},
        "robustness": {},
        "left_out": [asset for asset in found if asset not in parts],
    }
    if parts:
        pool = judging.joined(list(parts.values()))
        out["pool"] = judging.figures(pool, seed)
        tallies = [part.tally for part in parts.values() if part.tally]
        out["robustness"] = robustness.figures(tallies, seed) if tallies else {}
        out["assets"] = {asset: judging.figures(part, seed) for asset, part in parts.items()}
        out["by"] = {
            "start_hour": judging.by_hour(pool, seed),
            "volatility": judging.by_volatility(list(parts.values()), seed),
        }
    return out
