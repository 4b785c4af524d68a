"""Trains the author's packages on the past and judges them beside execd's methods: see benchmarks/README.md.

    python -m benchmarks.papers --data DIR [--assets ...] [--from DATE] [--until DATE] [--seeds 3] [--json]

Takes about twenty minutes of one core the first time; what is trained is kept under --work and not trained again.
Ends with 1 if the mended feed lets an allocation move with a bar that is not closed yet.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.decision import machine
from benchmarks.papers import report
from benchmarks.papers.feed import LOOKBACK
from benchmarks.papers.fits import REQUIREMENTS, Effort, answers, plan
from benchmarks.papers.scoring import MENDED, SHAPE, judge, prepare, tradable
from execd.learning.progress import bars
from execd.learning.protocol import learned_until
from execd.policies.learned import load

SHOWN = ("dvwap=", "dynamic_vwap=", "temporal_linear_network=", "tkan=", "keras=", "jax=")
ASSETS = "BTCUSDT,ETHUSDT,BNBUSDT,ADAUSDT,XRPUSDT"


def main() -> int:
    """Prepare, train, judge, tell."""
    given = _given()
    torch.set_num_threads(1)
    models = [load(folder) for folder in given.models]
    paths = [given.data / f"{asset}.parquet" for asset in given.assets.split(",")]
    effort = Effort(
        given.seeds, given.epochs, given.dynamic_seeds, given.dynamic_epochs, given.dynamic_stride, given.hidden
    )
    with bars() as say:
        grounds = prepare(paths, given.first, given.until, models, say)
        tapes = {asset: one.tape for asset, one in grounds.items()}
        told = answers(plan(list(grounds), effort), tapes, SHAPE.slices, given.work, say)
    results = judge(grounds, told)
    ran = machine()
    results |= {"date": ran[:10], "notes": [*_notes(given, grounds), ran]}
    results["notes"] += [f"{m.name}: fitted and chosen on data until {learned_until(m.manifest)}." for m in models]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"papers-{results['date']}.md").write_text(report.markdown(results))
    if given.json:
        sys.stdout.write(json.dumps(results) + "\n")
    else:
        report.show(results)
    return 0 if tradable(results["papers"]["look_ahead"][MENDED]) else 1


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.papers", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of bars, SYM.parquet each")
    parser.add_argument("--assets", default=ASSETS, help="file stems, comma-separated")
    parser.add_argument("--from", dest="first", default="2025-01-02", help="windows start from this date")
    parser.add_argument("--until", default="2025-07-01", help="and end by this one")
    parser.add_argument("--models", type=Path, nargs="*", default=[Path("models/vwap-2")], help="execd's, beside them")
    parser.add_argument("--seeds", type=int, default=3, help="of each static model")
    parser.add_argument("--epochs", type=int, default=100, help="at most, static")
    parser.add_argument("--dynamic-seeds", type=int, default=1, help="of each dynamic model")
    parser.add_argument("--dynamic-epochs", type=int, default=9, help="at most, dynamic")
    parser.add_argument("--dynamic-stride", type=int, default=5, help="hours between the windows that it learns from")
    parser.add_argument("--hidden", type=int, default=32, help="units a recurrent layer; published: 100")
    parser.add_argument("--work", type=Path, default=Path("build/papers"), help="where environment and fits are kept")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="where the dated result goes")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser.parse_args()


def _notes(given: argparse.Namespace, grounds: dict[str, Any]) -> list[str]:
    count = sum(len(one.decided.windows) for one in grounds.values())
    windows = f"{count:,} windows of {len(grounds)} assets from {given.first} to {given.until}"
    cut = f"{given.hidden} units a layer instead of 100, windows that start every {given.dynamic_stride} hours"
    effort = f"{given.dynamic_seeds} seed(s), {cut}, at most {given.dynamic_epochs} epochs"
    return [
        f"{SHAPE.text}, every start hour, {windows}; lookback {LOOKBACK} bars; slices fill at their VWAP.",
        "The packages are trained once, on windows that ended a day before the first; so is `convex_dynamic_once`.",
        "execd's other baselines are refitted monthly; its models are as shipped.",
        f"`dvwap_*`: a model an asset, {given.seeds} seeds, at most {given.epochs} epochs.",
        f"`dynamic_vwap_*`: one model for all assets, {effort}.",
        "At its published size an epoch of one asset, windows of every hour, takes over two minutes of a core.",
        f"Run with {', '.join(pin for pin in REQUIREMENTS.read_text().split() if pin.startswith(SHOWN))}.",
        "A method of several seeds is scored by the mean of their shares.",
        "[low, high]: 95 %, bootstrap over weeks, all assets together.",
    ]


if __name__ == "__main__":
    sys.exit(main())
