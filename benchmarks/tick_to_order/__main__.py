"""Tick to order: execd beside a bare loop, ccxt.pro and nautilus_trader.  This process is the probe.

    python -m benchmarks.tick_to_order [--rounds 3] [--triggers 150] [--rates 100,1000,10000,50000] [--only WORDS]

All entries take turns within a round, so that all see the same machine.  `--quick` is for whoever changes this.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.environment import environment
from benchmarks.tables import caution, machine, percentiles, saved
from benchmarks.tick_to_order.lineup import ENTRIES, measure
from benchmarks.tick_to_order.report import Cells, page

RATES = "100,1000,10000,50000"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of all entries at all rates")
    parser.add_argument("--triggers", type=int, default=150, help="of an entry at a rate in a round")
    parser.add_argument("--rates", default=RATES, help="prints a second in the background, with commas between")
    parser.add_argument("--only", default="", help="measure the entries whose name holds these words, and the floor")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="where the page is written")
    parser.add_argument("--quick", action="store_true", help="small numbers, and no page is written")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.triggers = 1, 30
    rates = [int(rate) for rate in given.rates.split(",")]
    entries = [entry for number, entry in enumerate(ENTRIES) if number == 0 or given.only in entry.name]
    peers, before = environment(), "\n\n".join(filter(None, (machine(), caution())))
    cells: Cells = {}
    for number in range(given.rounds):
        for rate in rates:
            for entry in entries:
                found = measure(entry, peers, rate, given.triggers, seed=number + 1)
                cells.setdefault((entry.name, rate), []).append(found)
                told = "{:,.0f} / {:,.0f} / {:,.0f} us".format(*percentiles(found.nanos)) if found.nanos else ""
                strays = f", {found.strays} orders that nothing asked for" if found.strays else ""
                words = f"round {number + 1}, {rate:,}/s, {entry.name}: {told or found.error}{strays}"
                sys.stderr.write(f"{time.strftime('%H:%M:%S')} {words}\n")
    text = page(cells, rates, before, machine(), {"ccxt": version("ccxt"), **peers.versions})
    sys.stdout.write(text)
    if not given.quick:
        figures = {f"{name} at {rate}": [asdict(each) for each in rounds] for (name, rate), rounds in cells.items()}
        path = saved(given.out, "tick-to-order", text, json.dumps(figures).encode())
        sys.stderr.write(f"written to {path}\n")


if __name__ == "__main__":
    main()
