"""Walk-forward: baselines refitted every few months on all that was over by then, models as they are shipped.

Promise: what a refit at a moment reads ends a day (`EMBARGO`) before it; a window belongs to the refit before its
start; every method is asked about the same windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from execd.learning.baselines import linear, tracking
from execd.learning.baselines.kalman import kalman_coming
from execd.learning.baselines.market import DAY, Cells, Market
from execd.learning.baselines.tln import TemporalLinear
from execd.learning.baselines.volume import har_coming, season, static_coming
from execd.learning.examples import Answer, roll_out
from execd.learning.windows import Windows
from execd.policies.state import Floats

METHODS = (
    "twap",
    "tod_curve",
    "har_replan",
    "har_catchup",
    "kalman",
    "tln_static",
    "convex_static",
    "convex_dynamic",
)

EMBARGO = DAY
LEAST = 720
"""A refit on fewer windows is left out, and with it the windows up to the next."""


@dataclass(frozen=True, slots=True)
class Span:
    """What is judged: windows that start in [first, until) ns, refits every `months`."""

    first: int
    until: int
    months: int


@dataclass(frozen=True, slots=True)
class Decided:
    """R windows and the cumulative targets [R, n] of every method."""

    windows: Windows
    schedules: dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Fold:
    """One refit: it learns from windows `past`, bars before index `known`, and decides `rows`."""

    past: Cells
    known: int
    rows: Cells


def folds(market: Market, span: Span) -> Iterator[Fold]:
    """Yield the refits of a span, the first at its beginning, the next at beginnings of months."""
    bounds = [span.first, *_months(span), span.until]
    start, end = market.windows.start, market.windows.start + market.bars.interval * market.slices
    for at, following in pairwise(bounds):
        past = np.flatnonzero(end <= at - EMBARGO)
        rows = np.flatnonzero((start >= at) & (start < following) & (end <= span.until))
        if len(past) >= LEAST and len(rows):
            yield Fold(past, market.before(at - EMBARGO), rows)


def _months(span: Span) -> Iterator[int]:
    at = datetime.fromtimestamp(span.first / 1e9, UTC)
    month = at.year * 12 + at.month - 1
    while True:
        month += 1
        ns = int(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
        if ns >= span.until:
            return
        if month % 12 % span.months == 0:
            yield ns


def walk(
    market: Market, span: Span, models: Mapping[str, Answer], seed: int, say: Callable[[float], None] | None = None
) -> Decided | None:
    """Return what every method decides in the span's windows; None where there are none.

    Args:
        market: One asset's bars and windows.
        span: What is judged.
        models: By name, features [B, F] to cumulative targets [B].
        seed: Of the order in which the one method that descends a gradient sees its windows.
        say: Called with the fraction done.
    """
    network = TemporalLinear(market.slices, seed)
    plan = list(folds(market, span))
    made: list[dict[str, Floats]] = []
    for i, fold in enumerate(plan):
        answers = {name: roll_out(answer, market.windows.take(fold.rows)) for name, answer in models.items()}
        made.append(baselines(market, fold, network) | answers)
        if say:
            say((i + 1) / len(plan))
    if not plan:
        return None
    rows = np.concatenate([fold.rows for fold in plan])
    schedules = {name: np.concatenate([part[name] for part in made]) for name in made[0]}
    return Decided(market.windows.take(rows), schedules)


def baselines(market: Market, fold: Fold, network: TemporalLinear) -> dict[str, Floats]:
    """Return [R, n] by method, fitted on the fold's past."""
    rows, n = fold.rows, market.slices
    seen = season(market, fold.known)
    har = har_coming(market, seen, fold.known)
    cells = market.cells[rows]
    kalman = kalman_coming(market, seen, fold.known, slice(int(cells[0]), int(cells[-1]) + n))
    network.refit(market, fold.past)
    made = {
        "twap": np.broadcast_to(np.arange(1, n + 1) / n, (len(rows), n)),
        "tod_curve": tracking.planned(market, rows, static_coming(market, seen)),
        "har_replan": tracking.replanned(market, rows, har),
        "har_catchup": tracking.caught_up(market, rows, har),
        "kalman": tracking.caught_up(market, rows, kalman),
        "tln_static": network.schedule(market, rows),
    }
    for name, clues in (("convex_static", linear.static_clues), ("convex_dynamic", linear.dynamic_clues)):
        both = clues(market, fold.past, har, seen), clues(market, rows, har, seen)
        made[name] = linear.convex_schedule(market, fold.past, rows, both)
    return made
