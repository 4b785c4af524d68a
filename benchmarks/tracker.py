"""What a print costs in the tracker that keeps the benchmark, beside trackers that keep less; and whether memory grows.

    python -m benchmarks.tracker [--prints 100000] [--rounds 15] [--memory 10000000] [--out FILE]

Every tracker is given the same prints, made beforehand, one call a print.  A figure is nanoseconds a print over a whole
round, a new tracker each: the least of the rounds, which other processes disturb least, and the median.  The naive
trackers add up the window's volume and notional and nothing else: no ids, no gaps, no slices, no rolling sums.

Memory is that of a process of its own, which makes its prints as it goes, one in a hundred of them late and one in ten
thousand never: resident memory after a tenth of them, and after all.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter_ns

from benchmarks.parents import submitted
from benchmarks.tables import Target, machine, table, targets
from execd.core.events import TradePrinted
from execd.core.grid import HOUR, MINUTE, SECOND, Lots, Nanos, Side, Ticks
from execd.core.vwap import VwapTracker

START = Nanos(1_800_000_000 * SECOND)
TRAILING = Nanos(15 * MINUTE)
A_SECOND = 1_000
"""Prints a second of venue time: a busy market."""
SLOW_SECOND = 10
LATE_ONE_IN, LOST_ONE_IN = 100, 10_000

NANOS_MAX, GROWTH_MAX_MIB = 500, 1
"""The targets: an in-order print, and the growth of memory from a tenth of the prints to all."""

Observe = Callable[[Nanos, TradePrinted], None]


class PlainSums:
    """Volume and notional of a window, of integers."""

    def __init__(self, start: Nanos, end: Nanos) -> None:
        self._start, self._end = start, end
        self.volume = self.notional = 0

    def observe(self, _now: Nanos, trade: TradePrinted) -> None:
        """Add a print."""
        if self._start <= trade.at < self._end:
            self.volume += trade.quantity
            self.notional += trade.price * trade.quantity


class SeenSums(PlainSums):
    """The same, each id once: every id is kept, for ever."""

    def __init__(self, start: Nanos, end: Nanos) -> None:
        super().__init__(start, end)
        self._seen: set[int] = set()

    def observe(self, now: Nanos, trade: TradePrinted) -> None:
        """Add a print that was not seen before."""
        if trade.id not in self._seen:
            self._seen.add(trade.id)
            super().observe(now, trade)


class DecimalSums:
    """Volume and notional of a window as most write it: a Decimal for the price and one for the quantity."""

    def __init__(self, start: Nanos, end: Nanos) -> None:
        self._start, self._end = start, end
        self._tick, self._lot = Decimal("0.01"), Decimal("0.00001")
        self.volume = self.notional = Decimal(0)

    def observe(self, _now: Nanos, trade: TradePrinted) -> None:
        """Add a print."""
        if self._start <= trade.at < self._end:
            price, quantity = trade.price * self._tick, trade.quantity * self._lot
            self.volume += quantity
            self.notional += price * quantity


def tape(prints: int, a_second: int, *, loose: bool = False) -> list[TradePrinted]:
    """Prints in order; loose ids are random ones."""
    chance = random.Random(prints)
    return [
        TradePrinted(
            chance.getrandbits(62) if loose else number,
            Ticks(6_500_000 + chance.randrange(-5_000, 5_000)),
            Lots(chance.randrange(1, 100_000)),
            Nanos(START + number * SECOND // a_second),
            Side.BUY,
        )
        for number in range(prints)
    ]


def disturbed(prints: Sequence[TradePrinted]) -> list[TradePrinted]:
    """The same with one in a hundred late by up to fifty places."""
    chance = random.Random(1)
    places = [
        (number + (chance.randrange(1, 50) if number % LATE_ONE_IN == 0 else 0), number)
        for number in range(len(prints))
    ]
    return [prints[number] for _, number in sorted(places)]


def tracker(*, contiguous: bool) -> VwapTracker:
    """A new one, whose window holds all prints."""
    made = VwapTracker(submitted(1, START, length=Nanos(12 * HOUR), slices=144).parent, TRAILING, contiguous=contiguous)
    made.anchor()
    return made


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: who is asked, and what comes."""

    words: str
    make: Callable[[], Observe]
    prints: Sequence[TradePrinted]

    def round(self) -> float:
        """Nanoseconds a print, over all of them."""
        observe = self.make()
        began = perf_counter_ns()
        for trade in self.prints:
            observe(trade.at, trade)
        return (perf_counter_ns() - began) / len(self.prints)


def cases(prints: int) -> list[Case]:
    """All that is measured; the first is what the target is about."""
    busy, slow, loose = tape(prints, A_SECOND), tape(prints, SLOW_SECOND), tape(prints, A_SECOND, loose=True)
    window = (START, Nanos(START + 12 * HOUR))
    return [
        Case("execd, in order", lambda: tracker(contiguous=True).observe, busy),
        Case(f"execd, in order, {SLOW_SECOND} a second", lambda: tracker(contiguous=True).observe, slow),
        Case("execd, one in a hundred late", lambda: tracker(contiguous=True).observe, disturbed(busy)),
        Case("execd, each print twice", lambda: tracker(contiguous=True).observe, [p for p in busy for _ in range(2)]),
        Case("execd, ids without order", lambda: tracker(contiguous=False).observe, loose),
        Case("plain sums", lambda: PlainSums(*window).observe, busy),
        Case("plain sums, each id once", lambda: SeenSums(*window).observe, busy),
        Case("Decimal sums", lambda: DecimalSums(*window).observe, busy),
    ]


def measure(asked: Sequence[Case], rounds: int) -> dict[str, list[float]]:
    """Nanoseconds a print by case, the cases in turns, so that all see the same machine."""
    found: dict[str, list[float]] = {case.words: [] for case in asked}
    for _ in range(rounds):
        for case in asked:
            gc.collect()
            found[case.words].append(case.round())
    return found


def endless(prints: int) -> Iterator[TradePrinted]:
    """Prints made as they are asked for: some late, some never."""
    held: TradePrinted | None = None
    for number in range(prints):
        at = Nanos(START + number * SECOND // A_SECOND)
        trade = TradePrinted(number, Ticks(6_500_000 + number % 7_919), Lots(1 + number % 9_973), at, Side.BUY)
        if number % LOST_ONE_IN == 0:
            continue
        if number % LATE_ONE_IN == 0:
            held = trade
            continue
        yield trade
        if held is not None and number % LATE_ONE_IN == LATE_ONE_IN // 2:
            yield held
            held = None


def resident() -> float:
    """The memory of this process that lies in RAM, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def remember(prints: int) -> None:
    """Follow so many prints, with a look each ten thousand, and print resident memory after a tenth and after all."""
    followed = tracker(contiguous=True)
    marks = []
    for number, trade in enumerate(endless(prints)):
        followed.observe(trade.at, trade)
        if number % 10_000 == 0:
            followed.view(trade.at)
        if number == prints // 10:
            marks.append(resident())
    sys.stdout.write(f"{marks[0]} {resident()}\n")


def memory(prints: int) -> tuple[float, float]:
    """The same in a process of its own."""
    told = [sys.executable, "-m", "benchmarks.tracker", "--remember", str(prints)]
    early, late = subprocess.run(told, check=True, capture_output=True, text=True).stdout.split()
    return float(early), float(late)


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prints", type=int, default=100_000, help="prints a round")
    parser.add_argument("--rounds", type=int, default=15, help="rounds a figure")
    parser.add_argument("--memory", type=int, default=10_000_000, help="prints over which memory is watched")
    parser.add_argument("--remember", type=int, help=argparse.SUPPRESS)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results") / f"tracker-{today}.md", help="the page")
    given = parser.parse_args()
    if given.remember:
        remember(given.remember)
        return
    before = machine()
    found = measure(cases(given.prints), given.rounds)
    early, late = memory(given.memory)
    first = next(iter(found.values()))
    rows = [
        (words, f"{min(each):.0f}", f"{median(each):.0f}", f"{max(each):.0f}", f"{min(each) / min(first):.2f}")
        for words, each in found.items()
    ]
    lines = [
        table(("ns a print", "least", "median", "most", "of the first"), rows),
        "",
        f"{given.rounds} rounds of {given.prints:,} prints, {A_SECOND:,} a second of the exchange's time.",
        "",
        f"Memory: {early:.1f} MiB resident after {given.memory // 10:,} prints, {late:.1f} MiB after {given.memory:,}.",
        "",
        targets(
            [
                Target("an in-order print, ns, least", min(first), NANOS_MAX, at_most=True),
                Target("memory's growth, MiB", late - early, GROWTH_MAX_MIB, at_most=True),
            ]
        ),
    ]
    text = "\n".join([before, "", *lines, "", machine()])
    sys.stdout.write(f"{text}\n")
    given.out.write_text(f"# What a print costs in the tracker, {today}\n\n`make bench-tracker`.\n\n{text}\n", "utf-8")


if __name__ == "__main__":
    main()
