"""Any folder of bars, every baseline, every model: `execd evaluate`.

Promise: a model is judged as it is shipped, on windows that begin after all that it was fitted or chosen on; baselines
are refitted walk-forward; all methods are asked about the same windows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from execd.learning import judging
from execd.learning.baselines.market import DAY, Market, coarse
from execd.learning.examples import Answer
from execd.learning.judging import Outcome
from execd.learning.recipe import nanos
from execd.learning.series import DataRefused, read_bars
from execd.learning.walkforward import EMBARGO, LEAST, METHODS, Span, walk
from execd.policies.learned import LearnedPolicy, ModelRefused, load
from execd.policies.manifest import Manifest
from execd.policies.state import Floats

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
    jobs: int = 1
    seed: int = 20261122


@dataclass(frozen=True, slots=True)
class _Job:
    path: Path
    shape: Layout
    span: Span
    models: tuple[Path, ...]
    seed: int


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
        `pool` and `assets` of the first shape, `by` its start hour and volatility, `shapes` with the same of every
        shape, and the `protocol`.

    Raises:
        ModelRefused: if a model folder is not as its manifest says, or two share a name.
        DataRefused: if the folder, an asset, a shape or the span cannot be used.
    """
    models, paths = _models(question.models), _paths(question)
    span = _span(question, [policy.manifest for policy in models.values()], paths)
    jobs = [_Job(path, shape, span, question.models, question.seed) for shape in question.shapes for path in paths]
    found = _run(jobs, question.jobs, say)
    shapes = {}
    for shape in question.shapes:
        judged = _judged({job.path.stem: found[job] for job in jobs if job.shape == shape}, question.seed)
        reasons = {name: policy.covers(shape.interval * shape.slices, shape.slices) for name, policy in models.items()}
        shapes[shape.text] = judged | {"not_covered": {name: why for name, why in reasons.items() if why}}
    main = shapes[question.shapes[0].text]
    if not main["assets"]:
        raise DataRefused(
            f"{question.folder}: no window from {_day(span.first)} to {_day(span.until)} has {LEAST} windows before it "
            "to fit the baselines on; allowed are longer files, or another --from and --until"
        )
    protocol = _protocol(question, span, models, paths)
    return {key: main[key] for key in ("pool", "assets", "by")} | {"shapes": shapes, "protocol": protocol}


def _models(folders: Sequence[Path]) -> dict[str, LearnedPolicy]:
    models: dict[str, LearnedPolicy] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in models or name in METHODS:
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
    closed = max((nanos(_learned_until(manifest)) + EMBARGO for manifest in manifests), default=0)
    if question.first is None and not manifests:
        raise DataRefused("--from: absent; without a model it must say where to begin, such as 2024-01-01")
    first = closed if question.first is None else _nanos("--from", question.first)
    if first < closed:
        raise DataRefused(
            f"--from {question.first}: the models were fitted and chosen on data until {_day(closed - EMBARGO)}; "
            f"allowed is {_day(closed)} or later"
        )
    ends = [_end(path) for path in paths]
    until = max(ends) if question.until is None else _nanos("--until", question.until)
    if until <= first:
        raise DataRefused(
            f"{question.folder}: nothing from {_day(first)} to {_day(until)}; allowed is data after the first"
        )
    return Span(first, until, question.months)


def _learned_until(manifest: Manifest) -> str:
    """The last day that a model was fitted on, or chosen by."""
    splits = manifest.recipe.get("splits", {})
    return max(manifest.data_until, str(splits.get("validate_until", "")))


def _end(path: Path) -> int:
    series = read_bars(path)
    return series.start + series.interval * len(series.volume)


def _nanos(option: str, iso: str) -> int:
    try:
        return nanos(iso)
    except ValueError as error:
        raise DataRefused(f"{option} {iso}: is no date; allowed are ISO dates, UTC, such as 2025-01-02") from error


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1e9, UTC).strftime("%Y-%m-%d")


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
    series = read_bars(job.path)
    try:
        bars = coarse(series, job.shape.interval)
    except ValueError as error:
        raise DataRefused(f"{job.path}: {error}; allowed are multiples") from error
    answers = {
        name: answer
        for name, (policy, answer) in _answers(job.models).items()
        if policy.covers(job.shape.interval * job.shape.slices, job.shape.slices) is None
    }
    decided = walk(Market.of(bars, job.shape.slices, job.span.until), job.span, answers, job.seed, say)
    return None if decided is None else judging.outcome(decided)


@cache
def _answers(folders: tuple[Path, ...]) -> dict[str, tuple[LearnedPolicy, Answer]]:
    """Load a process's models once."""
    return {name: (policy, partial(_answer, policy)) for name, policy in _models(folders).items()}


def _answer(policy: LearnedPolicy, rows: Floats) -> Floats:
    return np.array(policy.targets(rows))


def _judged(found: dict[str, Outcome | None], seed: int) -> Results:
    parts = {asset: part for asset, part in found.items() if part is not None}
    out: Results = {"pool": {}, "assets": {}, "by": {}, "left_out": [asset for asset in found if asset not in parts]}
    if parts:
        pool = judging.joined(list(parts.values()))
        out["pool"] = judging.figures(pool, seed)
        out["assets"] = {asset: judging.figures(part, seed) for asset, part in parts.items()}
        out["by"] = {
            "start_hour": judging.by_hour(pool, seed),
            "volatility": judging.by_volatility(list(parts.values()), seed),
        }
    return out


def _protocol(question: Question, span: Span, models: dict[str, LearnedPolicy], paths: list[Path]) -> Results:
    return {
        "shapes": [shape.text for shape in question.shapes],
        "starts": "every full hour, UTC",
        "from": _day(span.first),
        "until": _day(span.until),
        "refit_months": span.months,
        "embargo_h": EMBARGO // 3_600_000_000_000,
        "blocks": "weeks, all assets together",
        "gain_vs_twap": "fraction of TWAP's mean |slippage| at the same cadence",
        "seed": question.seed,
        "models": {
            name: {
                "learned_until": _learned_until(policy.manifest),
                "never_trained_on": _unseen(policy.manifest, paths),
            }
            for name, policy in models.items()
        },
    }


def _unseen(manifest: Manifest, paths: list[Path]) -> list[str]:
    seen = {asset for source in _sources(manifest) for asset in source.get("assets", ())}
    return [path.stem for path in paths if path.stem not in seen]


def _sources(manifest: Manifest) -> Iterator[dict[str, Any]]:
    yield from manifest.recipe.get("sources", ())
