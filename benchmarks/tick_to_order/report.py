"""What was measured from tick to order, as a page.

Promise: pure; each table has every entry beside the floor of the same rounds, with its spread; what could not be
measured stands there with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.tables import Spread, Target, percentiles, ratios, spread, table, targets
from benchmarks.tick_to_order.exchange import LATE_MOST, LATE_S, Measured
from benchmarks.tick_to_order.lineup import DURABLE, ENTRIES, EXECD, FLOOR, HAND, MODEL, Entry

Cells = dict[tuple[str, int], list[Measured]]
"""By entry's name and prints a second: a measurement a round."""

P50, P99 = 0, 1

DROWNED = f"drowned: no order within {LATE_S:g} s of its trigger, {LATE_MOST} times"

HOW = """\
`make bench`: three processes on loopback without TLS. The exchange sends prints and triggers and takes orders, in one
loop that never sleeps; the probe starts all and counts. A trigger is a large trade. To execd it is the print that makes
room under the participation cap, so that the waiting order goes out: by stream, tracker, sequencer, gate, journal,
hands, fuse and adapter. The others compare its size with a number. Every trigger makes one order; the next comes 30 to
50 ms after that. Times run from before the trigger's bytes are written to after the order's are read, by one clock.
Percentiles are of all rounds together; ratios are medians of the rounds' own, with the lowest and the highest. ccxt's
limiter is off in ccxt.pro's row, and nautilus_trader logs errors only; execd logs each fact, to nowhere."""


def page(cells: Cells, rates: Sequence[int], before: str, after: str, versions: dict[str, str]) -> str:
    """The whole page; `before` and `after` tell the machine's state."""
    told = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    parts = [
        "# From a trade's bytes to the order's",
        f"{before}\n\n{told}",
        HOW,
        "## Targets\n\n" + targets(wanted(cells, rates)),
        *(f"## At {rate:,} prints a second\n\n" + measured(cells, rate) for rate in rates),
        "## What each part costs\n\n" + prices(cells, rates),
    ]
    return "\n\n".join([*parts, after]) + "\n"


def measured(cells: Cells, rate: int) -> str:
    """All entries at one rate."""
    head = ("who", "triggers", "p50 us", "p99 us", "p99.9 us", "late", "p50 / floor", "p99 / floor")
    rows: list[tuple[str, ...]] = []
    for entry in ENTRIES:
        rounds = cells.get((entry.name, rate), [])
        if not rounds:
            continue
        error = next((each.error for each in rounds if each.error), "")
        nanos = [nano for each in rounds for nano in each.nanos]
        late = sum(each.late for each in rounds)
        if not nanos:
            rows.append((entry.name, "0", "", "", "", f"{late}", "", error or DROWNED))
            continue
        levels = [f"{level:,.0f}" for level in percentiles(nanos)]
        over = [times(cells, entry, FLOOR, rate, level) for level in (P50, P99)]
        ratio = ["" if entry is FLOOR or each is None else f"{each:.2f}" for each in over]
        rows.append((entry.name, f"{len(nanos):,}", *levels, f"{late}", ratio[0], ratio[1]))
    return table(head, rows)


def times(cells: Cells, entry: Entry, other: Entry, rate: int, level: int) -> Spread | None:
    """A percentile of an entry over another's, round by round; None where a round has nothing of either."""
    ours, theirs = cells.get((entry.name, rate), []), cells.get((other.name, rate), [])
    if not ours or len(ours) != len(theirs) or any(not each.nanos for each in (*ours, *theirs)):
        return None
    mine, yours = ([percentiles(each.nanos)[level] for each in which] for which in (ours, theirs))
    return ratios(mine, yours)


def prices(cells: Cells, rates: Sequence[int]) -> str:
    """The model, the durable journal and ccxt's order path, each apart: what p50 and p99 gain by it."""
    rows = []
    for words, more, less in (
        ("the model (once a slice, here every 6 s)", MODEL, EXECD),
        ("the journal on a disk", DURABLE, EXECD),
        ("ccxt's REST path for the order", EXECD, HAND),
    ):
        for rate in rates:
            added = [gained(cells, more, less, rate, level) for level in (P50, P99)]
            shown = ["" if each is None else f"{each:+,.0f}" for each in added]
            rows.append((words, f"{rate:,}", *shown))
    return table(("what", "prints/s", "p50 us, median of rounds (range)", "p99 us, median of rounds (range)"), rows)


def gained(cells: Cells, more: Entry, less: Entry, rate: int, level: int) -> Spread | None:
    """By how much a percentile of one entry is above another's, round by round, in us."""
    with_it, without = cells.get((more.name, rate), []), cells.get((less.name, rate), [])
    if not with_it or len(with_it) != len(without) or any(not each.nanos for each in (*with_it, *without)):
        return None
    return spread(
        percentiles(one.nanos)[level] - percentiles(other.nanos)[level]
        for one, other in zip(with_it, without, strict=True)
    )


def wanted(cells: Cells, rates: Sequence[int]) -> list[Target]:
    """What tick to order was to reach: against the floor, at each rate."""
    found = {rate: times(cells, EXECD, FLOOR, rate, P99) for rate in rates}
    return [
        Target(
            f"p99 over the floor's at {rate:,} prints/s: no model, journal in RAM",
            None if ratio is None else ratio.middle,
            2.5,
            at_most=True,
        )
        for rate, ratio in found.items()
    ]
