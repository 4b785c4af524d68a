"""`execd backtest`: thousands of parents through the real core on the past, in processes of their own.

Promise: the same options and files give the same figures, however many workers there are.  Parents are drawn before any
is worked, each file in turn, and every model works the same ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from execd.core.grid import SECOND, Nanos, Side
from execd.exchange.tapefile import MarketFileError, symbol_of
from execd.runtime.admission import LONGEST, SHORTEST, SLICE_SHORTEST, SLICES_MOST
from execd.runtime.advisor import Advice
from execd.runtime.backtest_market import BacktestRefused, Market, open_market
from execd.runtime.backtest_parent import Result, Shape, advise, run
from execd.runtime.backtest_report import summarize
from execd.runtime.settings import RiskFile, Settings
from execd.runtime.settings_kinds import Kind, Number, Rate, Span, show_span

DURATION, SHARE = Span(show_span(SHORTEST), show_span(LONGEST)), Rate("25%")
SPREAD = Number(least="0", most="100", unit="bps", example="1.5")
CHUNK = 8
"""Parents that a worker takes at once."""

Say = Callable[[str, float], None]
"""Told what is going on, and which part of it is done."""


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for.  `data` is a file or a folder; `spread_bps` the width of touches that were not recorded."""

    settings: Settings
    risk: RiskFile
    data: Path
    models: tuple[str, ...]
    shape: Shape
    parents: int
    seed: int
    workers: int
    spread_bps: float


@dataclass(frozen=True, slots=True)
class Task:
    """One parent that is to be worked."""

    path: Path
    start: Nanos
    side: Side


@dataclass(frozen=True, slots=True)
class Opened:
    """The markets that are used, by file, and why others of the folder are not."""

    markets: dict[Path, Market]
    left_out: dict[str, str]


def shape(duration: str, slices: int, quantity_share: str) -> Shape:
    """Read the parents' shape from the options' texts.  Raises BacktestRefused."""
    length = _read("--duration", duration, DURATION)
    most = min(SLICES_MOST, length // SLICE_SHORTEST)
    if not 1 <= slices <= most:
        raise BacktestRefused(
            f"--slices: value is {slices}; allowed: from 1 to {most}, a slice lasts at least a second"
        )
    return Shape(length, slices, _read("--quantity-share", quantity_share, SHARE))


def spread(text: str) -> float:
    """Read the spread of touches that were not recorded.  Raises BacktestRefused."""
    return float(_read("--spread", text, SPREAD))


def backtest(job: Job, say: Say) -> dict[str, Any]:
    """Work all parents by all models and add them up: plain data, ready for JSON.

    Raises:
        BacktestRefused: the data or a model cannot be used.
    """
    twice = sorted({model for model in job.models if job.models.count(model) > 1})
    if twice:
        raise BacktestRefused(f"--model: {twice[0]} is given twice; allowed: each model once")
    advices = {model: advise(model, job.settings, job.shape) for model in job.models}
    opened = _open(job, say)
    tasks = draw(job, opened.markets)
    results = _work(job, advices, tasks, say)
    return summarize(
        results,
        advices=advices,
        markets={market.name: market for market in opened.markets.values()},
        left_out=opened.left_out,
        asked=_asked(job),
        seed=job.seed,
    )


def draw(job: Job, markets: dict[Path, Market]) -> list[Task]:
    """Draw the parents: each market in turn, any of its starts, either side; in the markets' order."""
    rng = np.random.default_rng(job.seed)
    starts = {path: market.starts(job.shape.duration) for path, market in markets.items()}
    paths = list(markets)
    tasks = []
    for number in range(job.parents):
        path = paths[number % len(paths)]
        start = Nanos(int(rng.choice(starts[path])))
        tasks.append(Task(path, start, Side.BUY if rng.random() < 0.5 else Side.SELL))
    return sorted(tasks, key=lambda task: paths.index(task.path))


class Bench:
    """What a process needs to work parents: the models, and the market that was used last."""

    def __init__(self, job: Job, advices: dict[str, Advice] | None = None) -> None:
        self._job = job
        self._advices = advices or {model: advise(model, job.settings, job.shape) for model in job.models}
        self._path: Path | None = None
        self._market: Market | None = None

    def work(self, tasks: Sequence[Task]) -> list[Result]:
        """Work some parents, one after the other."""
        job = self._job
        return [
            run(self._open(task.path), task.start, task.side, job.shape, job.settings, job.risk, self._advices)
            for task in tasks
        ]

    def _open(self, path: Path) -> Market:
        if self._market is None or self._path != path:
            self._path, self._market = path, open_market(path, self._job.spread_bps)
        return self._market


_bench: Bench | None = None
"""A worker process's own."""


def _set_up(job: Job) -> None:
    global _bench  # noqa: PLW0603 - a pool hands its processes state in no other way
    Thread(target=_leave_with_the_parent, daemon=True).start()
    _bench = Bench(job)


def _leave_with_the_parent() -> None:
    """A process that was killed ends no pool: without this its workers would wait for work for ever."""
    parent = parent_process()
    assert parent is not None, "a worker is somebody's child"
    parent.join()
    os._exit(1)


def _work_here(tasks: Sequence[Task]) -> list[Result]:
    assert _bench is not None, "a worker is set up before it works"
    return _bench.work(tasks)


def _work(job: Job, advices: dict[str, Advice], tasks: Sequence[Task], say: Say) -> list[Result]:
    """Work all tasks; the results are in their order."""
    chunks = [tasks[at : at + CHUNK] for at in range(0, len(tasks), CHUNK)]
    results: list[Result] = []
    for found in _chunks(job, advices, chunks):
        results += found
        say("parents", len(results) / len(tasks))
    return results


def _chunks(job: Job, advices: dict[str, Advice], chunks: Sequence[Sequence[Task]]) -> Iterator[list[Result]]:
    if job.workers == 1:
        yield from map(Bench(job, advices).work, chunks)
        return
    # Spawned, not forked: torch has threads by now.
    pool = ProcessPoolExecutor(job.workers, get_context("spawn"), _set_up, (job,))
    try:
        yield from pool.map(_work_here, chunks)
    finally:
        pool.shutdown(cancel_futures=True)


def _open(job: Job, say: Say) -> Opened:
    """Open what can be used of the data.  Of a folder that is what risk.yaml allows and is long enough."""
    if job.data.is_dir():
        paths = sorted(path for path in job.data.iterdir() if path.suffix in (".parquet", ".csv"))
    elif job.data.is_file():
        paths = [job.data]
    else:
        paths = []
    if not paths:
        raise BacktestRefused(f"--data: {job.data} is no market file and no folder that holds one (parquet or csv)")
    markets, left_out = {}, {}
    for number, path in enumerate(paths):
        try:
            markets[path] = _usable(job, path)
        except (BacktestRefused, MarketFileError) as error:
            left_out[path.name] = str(error)
        say("market data", (number + 1) / len(paths))
    if not markets:
        raise BacktestRefused("\n".join(left_out.values()))
    return Opened(markets, left_out)


def _usable(job: Job, path: Path) -> Market:
    symbol = symbol_of(path)
    if symbol not in job.risk.instruments:
        known = ", ".join(job.risk.instruments) or "none yet"
        raise BacktestRefused(f"{path}: symbol is {symbol}; allowed: {known} ({job.risk.path}: instruments)")
    market = open_market(path, job.spread_bps)
    if not len(market.starts(job.shape.duration)):
        length = show_span(job.shape.duration)
        raise BacktestRefused(f"{path}: holds no window of {length} without a hole; allowed: a shorter --duration")
    return market


def _asked(job: Job) -> dict[str, Any]:
    """What was asked for, as the report says it."""
    paper = job.settings.paper
    return {
        "data": str(job.data),
        "duration_s": job.shape.duration / SECOND,
        "slices": job.shape.slices,
        "quantity_share": job.shape.share_ppm / 1_000_000,
        "parents": job.parents,
        "seed": job.seed,
        "latency_ms": paper.latency / 1_000_000,
        "maker_fee_bps": float(paper.maker_fee),
        "taker_fee_bps": float(paper.taker_fee),
        "spread_bps": job.spread_bps,
    }


def _read(option: str, text: str, kind: Kind) -> Any:
    try:
        return kind.parse(text)
    except ValueError as error:
        raise BacktestRefused(f"{option}: value is {text}; allowed: {kind.allowed}") from error
