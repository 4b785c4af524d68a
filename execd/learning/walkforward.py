"""Walk-forward: baselines refitted every few months on all that was over by then, models as they are shipped.

Promise: what a refit at a moment reads ends a day (`EMBARGO`) before it; a window belongs to the refit before its
start; every method is asked about the same windows.  Sequence networks, which cost most, are taught anew at the first
refit of each half-year alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from execd.learning.baselines import linear, tracking
from execd.learning.baselines.kalman import kalman_coming
from execd.learning.baselines.market import Cells, Market
from execd.learning.baselines.recurrent import Recurrent
from execd.learning.baselines.sequence import Course
from execd.learning.baselines.tln import TemporalLinear
from execd.learning.baselines.transformer import Pooled, taught
from execd.learning.baselines.volume import Season, har_coming, season, static_coming
from execd.learning.examples import Answer, roll_out
from execd.learning.series import DataRefused
from execd.learning.windows import Windows
from execd.policies.floats import Floats
from execd.policies.profile import DAY

METHODS = (
    "twap",
    "pov",
    "tod_curve",
    "har_replan",
    "har_catchup",
    "kalman",
    "tln_static",
    "tln_quadratic",
    "convex_static",
    "convex_dynamic",
)
"""What is asked unless other names are given."""
NETWORKS = ("rnn_dynamic", "transformer_pooled")
"""What costs minutes, not seconds."""
EVERY = METHODS + NETWORKS
_ALWAYS = {"twap", "convex_dynamic"}
NETWORK_MONTHS = 6
"""How often those are taught anew: at the first refit of each such part of a year."""

_MakeClues = Callable[[Market, Cells, Floats, Season], linear.Clues]

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
class Wanted:
    """Which baselines, and the seed of those that draw; `pooled` is what `pool` returned, for the one that needs it."""

    methods: Collection[str]
    seed: int
    pooled: Pooled | None = None


def named(text: str) -> tuple[str, ...]:
    """Read names of baselines, comma-separated; `default` and `all` stand for several.

    TWAP and convex_dynamic come along always: figures are told against them.

    Raises:
        DataRefused: if a name is not one.
    """
    wanted = set(_ALWAYS)
    for word in (part.strip() for part in text.split(",")):
        several = {"default": METHODS, "all": EVERY}.get(word, (word,))
        if not set(several) <= set(EVERY):
            raise DataRefused(f"--methods {word!r}: is no baseline; allowed are default, all, {', '.join(EVERY)}")
        wanted.update(several)
    return tuple(name for name in EVERY if name in wanted)


@dataclass(frozen=True, slots=True)
class Decided:
    """R windows and what was decided in them.

    Attributes:
        windows: The windows.
        schedules: [R, n] cumulative targets by method.
        apart: [S, R, n] by method: of those that are a mean of several networks, what each decides alone.
    """

    windows: Windows
    schedules: dict[str, Floats]
    apart: dict[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fold:
    """One refit, at moment `at` (ns): it learns from windows `past`, bars before index `known`, and decides `rows`.

    `anew` says whether sequence networks are taught again, too.
    """

    at: int
    anew: bool
    past: Cells
    known: int
    rows: Cells


def folds(market: Market, span: Span) -> Iterator[Fold]:
    """Yield the refits of a span, the first at its beginning, the next at beginnings of months."""
    bounds = [*_refits(span), span.until]
    start, end = market.windows.start, market.windows.start + market.bars.interval * market.slices
    half = None
    for at, following in pairwise(bounds):
        past = np.flatnonzero(end <= at - EMBARGO)
        rows = np.flatnonzero((start >= at) & (start < following) & (end <= span.until))
        if len(past) >= LEAST and len(rows):
            yield Fold(at, half != _half_year(at), past, market.before(at - EMBARGO), rows)
            half = _half_year(at)


def _refits(span: Span) -> Iterator[int]:
    yield span.first
    at = datetime.fromtimestamp(span.first / 1e9, UTC)
    month = at.year * 12 + at.month - 1
    while True:
        month += 1
        ns = int(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
        if ns >= span.until:
            return
        if month % 12 % span.months == 0:
            yield ns


def _half_year(at: int) -> int:
    day = datetime.fromtimestamp(at / 1e9, UTC)
    return (day.year * 12 + day.month - 1) // NETWORK_MONTHS


def pool(
    markets: Iterable[Market], span: Span, slices: int, seed: int, say: Callable[[float], None] | None = None
) -> Pooled:
    """Teach the pooled networks from all markets, at each half-year's first refit that has LEAST windows before it.

    Args:
        markets: Of one shape; each is let go before the next is asked for.
        span: What is judged.
        slices: n of the shape.
        seed: Of weights, dropout and order.
        say: Called with the fraction done.
    """
    courses = [Course.of(market, np.arange(len(market.cells))) for market in markets]
    plan: dict[int, int] = {}
    for at in _refits(span):
        if any(np.count_nonzero(course.ends <= at - EMBARGO) >= LEAST for course in courses):
            plan.setdefault(_half_year(at), at)
    weights = []
    for i, at in enumerate(plan.values()):
        told = None if say is None else lambda done, i=i: say((i + done) / len(plan))
        weights.append(taught([course.until(at - EMBARGO) for course in courses], slices, seed, told))
    return Pooled(slices, tuple(plan.values()), tuple(weights))


def walk(
    market: Market,
    span: Span,
    models: Mapping[str, Answer],
    wanted: Wanted,
    say: Callable[[float], None] | None = None,
) -> Decided | None:
    """Return what every method decides in the span's windows; None where there are none.

    Args:
        market: One asset's bars and windows.
        span: What is judged.
        models: By name, features [B, F] to cumulative targets [B].
        wanted: Which baselines.
        say: Called with the fraction done.
    """
    kept = Kept.new(market.slices, wanted.seed)
    plan = list(folds(market, span))
    made: list[dict[str, Floats]] = []
    for i, fold in enumerate(plan):
        answers = {name: roll_out(answer, market.windows.take(fold.rows)) for name, answer in models.items()}
        made.append(baselines(market, fold, kept, wanted) | answers)
        if say:
            say((i + 1) / len(plan))
    if not plan:
        return None
    rows = np.concatenate([fold.rows for fold in plan])
    every = {name: np.concatenate([part[name] for part in made], axis=-2) for name in made[0]}
    apart = {name: x for name, x in every.items() if x.ndim == 3}
    schedules = {name: x.mean(axis=0) if name in apart else x for name, x in every.items()}
    return Decided(market.windows.take(rows), schedules, apart)


@dataclass(frozen=True, slots=True)
class Kept:
    """One asset's methods that keep what they learned from one refit to the next."""

    linear: Mapping[str, TemporalLinear]
    recurrent: Recurrent

    @classmethod
    def new(cls, slices: int, seed: int) -> Kept:
        """Return them as they are before the first refit."""
        powers = {"tln_static": 1, "tln_quadratic": 2}
        return cls(
            {name: TemporalLinear(slices, seed, power) for name, power in powers.items()}, Recurrent(slices, seed)
        )


def baselines(market: Market, fold: Fold, kept: Kept, wanted: Wanted) -> dict[str, Floats]:
    """Return [R, n] by method, or [S, R, n] by those that are several networks, fitted on the fold's past."""
    rows, n = fold.rows, market.slices
    seen = season(market, fold.known)
    har = har_coming(market, seen, fold.known)
    makers: dict[str, Callable[[], Floats]] = {
        "twap": lambda: np.broadcast_to(np.arange(1, n + 1) / n, (len(rows), n)),
        "pov": lambda: tracking.participated(market, rows, har),
        "tod_curve": lambda: tracking.planned(market, rows, static_coming(market, seen)),
        "har_replan": lambda: tracking.replanned(market, rows, har),
        "har_catchup": lambda: tracking.caught_up(market, rows, har),
        "kalman": lambda: _kalman(market, fold, seen),
        "tln_static": lambda: _linear(market, fold, kept.linear["tln_static"]),
        "tln_quadratic": lambda: _linear(market, fold, kept.linear["tln_quadratic"]),
        "convex_static": lambda: _convex(market, fold, linear.static_clues, har, seen),
        "convex_dynamic": lambda: _convex(market, fold, linear.dynamic_clues, har, seen),
        "rnn_dynamic": lambda: _recurrent(market, fold, kept.recurrent),
        "transformer_pooled": lambda: _pooled(market, fold, wanted.pooled),
    }
    return {name: makers[name]() for name in EVERY if name in wanted.methods}


def _kalman(market: Market, fold: Fold, seen: Season) -> Floats:
    cells = market.cells[fold.rows]
    span = slice(int(cells[0]), int(cells[-1]) + market.slices)
    return tracking.caught_up(market, fold.rows, kalman_coming(market, seen, fold.known, span))


def _linear(market: Market, fold: Fold, network: TemporalLinear) -> Floats:
    network.refit(market, fold.past)
    return network.schedule(market, fold.rows)


def _convex(market: Market, fold: Fold, clues: _MakeClues, har: Floats, seen: Season) -> Floats:
    both = clues(market, fold.past, har, seen), clues(market, fold.rows, har, seen)
    return linear.convex_schedule(market, fold.past, fold.rows, both)


def _recurrent(market: Market, fold: Fold, network: Recurrent) -> Floats:
    if fold.anew:
        network.refit(market, fold.past)
    return network.schedules(market, fold.rows)


def _pooled(market: Market, fold: Fold, networks: Pooled | None) -> Floats:
    if networks is None:
        raise ValueError("transformer_pooled is asked for without the networks that `pool` returns")
    return networks.schedules(market, fold.rows, fold.at)
