"""Many voyages over processes: `python -m tests.sim.fleet SEEDS [FIRST]`; the last line is `wrecks: N`."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.sim.voyage import Outcome, sail

CONVOY = 25
"""Seeds that one process sails before it reports."""


@dataclass(slots=True)
class Log:
    """What a fleet has met so far.  Seconds are virtual."""

    seeds: int = 0
    fair: int = 0
    seconds: float = 0.0
    events: int = 0
    facts: int = 0
    orders: int = 0
    crashes: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    wrecks: list[tuple[int, str]] = field(default_factory=list)

    def enter(self, outcome: Outcome) -> None:
        """Add a voyage."""
        self.seeds += 1
        self.fair += outcome.fair
        self.seconds += outcome.seconds
        self.events += outcome.events
        self.facts += outcome.rows
        self.orders += outcome.orders
        self.crashes += outcome.crashes
        self.faults.update(outcome.faults)
        self.ends.update(outcome.ends.values())
        if outcome.wreck is not None:
            self.wrecks.append((outcome.seed, outcome.wreck))


def convoy(seeds: range) -> list[Outcome]:
    """Sail some seeds, one after the other."""
    return [sail(seed) for seed in seeds]


def voyages(first: int, count: int, processes: int) -> Iterator[Outcome]:
    """Sail `count` seeds from `first` on; outcomes come in the order of their seeds."""
    parts = [range(at, min(at + CONVOY, first + count)) for at in range(first, first + count, CONVOY)]
    if processes < 2:
        for part in parts:
            yield from convoy(part)
        return
    with ProcessPoolExecutor(processes) as pool:
        for outcomes in pool.map(convoy, parts):
            yield from outcomes


def report(log: Log, took: float) -> str:
    """The account of a fleet; its last line is the verdict."""
    lines = [f"fault  {name:<28} {count:>9}" for name, count in sorted(log.faults.items())]
    lines += [f"end    {why:<28} {count:>9}" for why, count in sorted(log.ends.items())]
    lines += [
        f"seeds  {log.seeds} ({log.fair} in fair weather), {log.seconds / 3600:.1f} virtual hours, {took:.0f} s",
        f"facts  {log.facts} journalled, {log.orders} orders sent, {log.crashes} crashes, {log.faults.total()} faults",
        f"speed  {log.events / took:.0f} events/s, {log.seeds / took:.1f} voyages/s, x{log.seconds / took:.0f} in time",
    ]
    lines += [f"wreck  seed {seed}: {why}" for seed, why in log.wrecks]
    return "\n".join([*lines, f"wrecks: {len(log.wrecks)}"])


def main(arguments: list[str]) -> int:
    """Run a fleet; 1 if any voyage is wrecked."""
    if not 1 <= len(arguments) <= 2 or not all(each.isdigit() for each in arguments):
        sys.stdout.write("usage: python -m tests.sim.fleet SEEDS [FIRST]   (whole numbers)\n")
        return 2
    count, first = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    log, begun = Log(), time.monotonic()
    for outcome in voyages(first, count, len(os.sched_getaffinity(0))):
        log.enter(outcome)
        if log.seeds % 250 == 0:
            sys.stderr.write(f"{log.seeds} of {count} voyages, {len(log.wrecks)} wrecks\n")
    sys.stdout.write(report(log, time.monotonic() - begun) + "\n")
    return 1 if log.wrecks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
