"""How far could any schedule get that does not know the future: the convex policy, told the next bars' volume.

    python -m benchmarks.ceiling --data DIR/bars/binance_perp_30m [--shape 12x1h] [--known 1 2 3] [--assets ...]

`convex_dynamic` of `execd evaluate`, refitted on the same days, told beside its own clues what the next bars will turn
out to be.  Between the policy and `knows 1` lies what a better forecast of the next bar could bring it; what `knows 2`
has beyond that no causal policy can have.  Promise: nothing here is a policy; only the figure is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from execd.learning import judging
from execd.learning.baselines import linear
from execd.learning.baselines.linear import Clues
from execd.learning.baselines.market import Cells, Market
from execd.learning.baselines.volume import Season, har_coming, season
from execd.learning.comparison import layout
from execd.learning.judging import CHAMPION, Outcome
from execd.learning.recipe import nanos
from execd.learning.walkforward import Decided, Span, folds
from execd.policies.floats import Floats

SEED = 20261122


def told(market: Market, coming: Floats, known: int) -> Floats:
    """Return [N, n] the forecasts with those of the next `known` bars replaced by what these bars will have."""
    out, size = coming.copy(), len(coming)
    for ahead in range(min(known, market.slices)):
        out[: size - ahead, ahead] = np.maximum(market.bars.volume[ahead:], 1e-12)
    return out


def asset(path: Path, shape: str, span: Span, known: Sequence[int]) -> Outcome:
    """Return what one asset's windows came to: TWAP, the convex policy, and that policy told the next bars."""
    torch.set_num_threads(1)
    asked = layout(shape)
    market = Market.read(path, asked.interval, asked.slices, span.until)
    plan = list(folds(market, span))
    if not plan:
        raise SystemExit(f"{path}: no window in the span; allowed is a span with 30 days of bars before it")
    made: dict[str, list[Floats]] = {}
    for fold in plan:
        seen = season(market, fold.known)
        har = har_coming(market, seen, fold.known)
        for knows in (0, *known):
            past, now = (_clues(market, rows, har, seen, knows) for rows in (fold.past, fold.rows))
            name = f"knows {knows}" if knows else CHAMPION
            made.setdefault(name, []).append(linear.convex_schedule(market, fold.past, fold.rows, (past, now)))
    rows = np.concatenate([fold.rows for fold in plan])
    even = np.broadcast_to(np.arange(1, asked.slices + 1) / asked.slices, (len(rows), asked.slices))
    schedules = {"twap": even} | {name: np.concatenate(parts) for name, parts in made.items()}
    return judging.outcome(Decided(market.windows.take(rows), schedules, {}))


def _clues(market: Market, rows: Cells, har: Floats, seen: Season, knows: int) -> Clues:
    """The policy's own clues; where it is told, all of them as forecast and as told, from the told share on."""
    own = linear.dynamic_clues(market, rows, har, seen)
    if not knows:
        return own
    also = linear.dynamic_clues(market, rows, told(market, har, knows), seen)
    return Clues(also.start, np.concatenate([own.phi, also.phi], axis=2))


def main() -> None:
    """Walk every asset forward and print the pool and each asset against TWAP."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder of bars, SYM.parquet")
    parser.add_argument("--assets", default="BTCUSDT,ETHUSDT,BNBUSDT,ADAUSDT,XRPUSDT,SOLUSDT,DOGEUSDT,LTCUSDT")
    parser.add_argument("--shape", default="12x1h")
    parser.add_argument("--known", type=int, nargs="*", default=[1, 2, 3], help="how many of the next bars are known")
    parser.add_argument("--from", dest="first", default="2025-01-02")
    parser.add_argument("--until", default="2025-09-01")
    parser.add_argument("--refit-months", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    span = Span(nanos(asked.first), nanos(asked.until), asked.refit_months)
    names = asked.assets.split(",")
    work = partial(asset, shape=asked.shape, span=span, known=asked.known)
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as workers:
        parts = list(workers.map(work, [asked.data / f"{name}.parquet" for name in names]))
    _print(names, parts, f"{asked.shape}, {asked.first} to {asked.until}")


def _print(names: list[str], parts: list[Outcome], title: str) -> None:
    methods = [name for name in parts[0].slip if name != "twap"]
    table = Table("asset", "windows", "TWAP, bps", *methods, title=f"{title}: mean |slippage| against TWAP")
    for name, part in (("all", judging.joined(parts)), *zip(names, parts, strict=True)):
        figures = judging.figures(part, SEED)
        gains = [f"{-100 * figures[method]['gain_vs_twap']:+.1f} %" for method in methods]
        table.add_row(name, str(len(part.start)), f"{figures['twap']['mae_bps']:.2f}", *gains)
    Console().print(table)


if __name__ == "__main__":
    main()
