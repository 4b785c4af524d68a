"""What was measured of the data plane, as a page.

Promise: pure; each table has peer, execd, ratio and spread; what could not be measured stands there with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.streams.bouts import BARE, CCXT, CCXT_DEFAULT, CRYPTOFEED, EXECD, Bout, Client
from benchmarks.tables import Target, ratios, spread, table, targets

LOOPS = ("asyncio", "uvloop")
DAEMON = "uvloop"
"""The loop that the daemon runs on where it is there."""

HOW = """\
`make bench-streams`: one sender and one listener on loopback, a process and a processor each; no TLS, no compression,
one trade a frame, in Binance's form. Medians of the rounds with the lowest and the highest; a ratio is the median of
the rounds' own ratios. CPU is the listener's processor time. The ratios carry over to other machines, the figures do
not. cryptofeed reads Binance's aggregated trades, its own choice, here as many as the others read single ones."""

Floods = dict[tuple[str, str], list[Bout]]
"""By client and loop: a bout a round."""


@dataclass(frozen=True, slots=True)
class Delay:
    """From the sending of a trade to its callback, over all rounds: percentiles in us."""

    client: str
    per_second: int
    rounds: list[tuple[float, float, float]]
    cpu_us: list[float]
    count: int
    lost: int
    error: str = ""


@dataclass(slots=True)
class Found:
    """All that a run has measured."""

    floods: Floods = field(default_factory=dict)
    ring: list[Bout] = field(default_factory=list)
    delays: list[Delay] = field(default_factory=list)
    symbols: dict[int, list[Bout]] = field(default_factory=dict)
    parents: dict[int, list[Bout]] = field(default_factory=dict)
    long: Bout | None = None
    versions: dict[str, str] = field(default_factory=dict)


def page(found: Found, before: str, after: str) -> str:
    """The whole page; `before` and `after` tell the machine's state."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.versions.items()))
    parts = [
        "# What a public trade costs, from the socket to the benchmark's sum",
        f"{before}\n\n{versions}",
        HOW,
        "## Targets\n\n" + targets(wanted(found)),
        "## Sustained, as fast as it is read\n\n" + flooded(found.floods),
    ]
    if found.ring:
        parts.append("## What ccxt.pro loses with its own ring\n\n" + ring(found.ring))
    if found.delays:
        parts.append("## From the sending to the callback\n\n" + delayed(found.delays))
    if found.symbols or found.parents:
        parts.append("## How the cost grows\n\n" + growth(found))
    if found.long is not None:
        parts.append("## Memory\n\n" + memory(found.long))
    return "\n\n".join([*parts, after]) + "\n"


def flooded(floods: Floods) -> str:
    """The table of the floods, with how many times as fast execd is."""
    head = ("client", "loop", "trades", "trades/s", "CPU us/trade", "peak MB", "lost", "execd / client")
    rows: list[tuple[str, ...]] = []
    for client in (BARE, EXECD, CRYPTOFEED, CCXT):
        for loop in LOOPS:
            bouts = floods.get((client.name, loop))
            if not bouts:
                continue
            if error := next((bout.error for bout in bouts if bout.error), ""):
                rows.append((client.name, loop, *[""] * 5, error))
                continue
            rows.append(
                (
                    client.name,
                    loop,
                    f"{len(bouts)} x {bouts[0].sent:,}",
                    f"{spread(bout.per_s for bout in bouts):,.0f}",
                    f"{spread(bout.cpu_us for bout in bouts):.2f}",
                    f"{max(bout.peak_mb for bout in bouts):.0f}",
                    f"{sum(bout.lost for bout in bouts):,}",
                    "" if client is EXECD else _times(floods, client, loop),
                )
            )
    return table(head, rows)


def _times(floods: Floods, client: Client, loop: str) -> str:
    found = faster(floods, client, loop)
    return "" if found is None else f"{found[1]}"


def faster(floods: Floods, client: Client, loop: str) -> tuple[float, str] | None:
    """How many times as many trades a second execd takes as a client: the median, and it with its spread."""
    ours, theirs = floods.get((EXECD.name, loop), []), floods.get((client.name, loop), [])
    if not ours or not theirs or any(bout.error for bout in (*ours, *theirs)):
        return None
    ratio = ratios([bout.per_s for bout in ours], [bout.per_s for bout in theirs])
    return ratio.middle, f"{ratio:.2f}"


def ring(bouts: Sequence[Bout]) -> str:
    """How many trades a ring of a thousand loses in one flood."""
    if bouts[0].error:
        return bouts[0].error
    rows = [(CCXT_DEFAULT.name, f"{bout.sent:,}", f"{bout.seen:,}", f"{bout.lost:,}") for bout in bouts]
    return table(("client", "sent", "seen", "lost, without an error"), rows)


def delayed(delays: Sequence[Delay]) -> str:
    """The table of latencies, beside the bare loop's at the same rate."""
    head = ("client", "trades/s", "trades", "p50 us", "p99 us", "p99.9 us", "CPU us/trade", "lost", "p99 / bare p99")
    rows: list[tuple[str, ...]] = []
    for each in delays:
        name, rate = each.client, f"{each.per_second:,}"
        if each.error:
            rows.append((name, rate, *[""] * 6, each.error))
            continue
        levels = [f"{spread(values):.0f}" for values in zip(*each.rounds, strict=True)]
        cpu, bare = f"{spread(each.cpu_us):.1f}", slower(delays, each.client, each.per_second)
        ratio = "" if bare is None or name == BARE.name else bare[1]
        rows.append((name, rate, f"{each.count:,}", *levels, cpu, f"{each.lost:,}", ratio))
    return table(head, rows)


def slower(delays: Sequence[Delay], client: str, per_second: int) -> tuple[float, str] | None:
    """A client's p99 over the bare loop's at a rate, round by round: the median, and it with its spread."""
    by_name = {each.client: each for each in delays if each.per_second == per_second and not each.error}
    if client not in by_name or BARE.name not in by_name:
        return None
    ratio = ratios([each[1] for each in by_name[client].rounds], [each[1] for each in by_name[BARE.name].rounds])
    return ratio.middle, f"{ratio:.2f}"


def growth(found: Found) -> str:
    """What a trade costs by the number of markets, of parents, and of trades a second."""
    parts = []
    for what, bouts in (("markets in one loop", found.symbols), ("parents on one market", found.parents)):
        if not bouts:
            continue
        rows = [
            (
                f"{count}",
                f"{spread(bout.per_s for bout in each):,.0f}",
                f"{spread(bout.cpu_us for bout in each):.2f}",
                f"{max(bout.peak_mb for bout in each):.0f}",
                f"{sum(bout.lost for bout in each):,}",
            )
            for count, each in sorted(bouts.items())
            if not any(bout.error for bout in each)
        ]
        parts.append(table((what, "trades/s", "CPU us/trade", "peak MB", "lost"), rows))
    ours = [each for each in found.delays if each.client == EXECD.name and not each.error]
    if ours:
        costs = [(f"{each.per_second:,}", f"{spread(each.cpu_us):.1f}") for each in ours]
        if flood := found.floods.get((EXECD.name, DAEMON)):
            costs.append(("as fast as they are read", f"{spread(bout.cpu_us for bout in flood):.1f}"))
        parts.append(table(("trades/s", "CPU us/trade"), costs))
    return "\n\n".join(parts)


def memory(long: Bout) -> str:
    """How the memory went over a long flood: means of its quarters."""
    if long.error:
        return long.error
    samples = long.memory_mb
    quarters = [samples[len(samples) * part // 4 : len(samples) * (part + 1) // 4] for part in range(4)]
    rows = [
        (f"{part + 1}", f"{sum(quarter) / len(quarter):.1f}", f"{max(quarter):.1f}")
        for part, quarter in enumerate(quarters)
        if quarter
    ]
    told = f"{long.sent:,} trades, {long.lost:,} lost, {long.per_s:,.0f} a second; resident MB, every second.\n\n"
    return told + table(("quarter", "mean", "most"), rows)


def risen_mb(long: Bout | None) -> float | None:
    """By how much the memory of the last quarter is above that of the second: what grows with trades shows there."""
    if long is None or long.error or len(long.memory_mb) < 8:
        return None
    samples = long.memory_mb
    second, last = samples[len(samples) // 4 : len(samples) // 2], samples[3 * len(samples) // 4 :]
    return sum(last) / len(last) - sum(second) / len(second)


def wanted(found: Found) -> list[Target]:
    """What the data plane was to reach, with what it did on the daemon's loop."""

    def times(client: Client) -> float | None:
        ratio = faster(found.floods, client, DAEMON)
        return None if ratio is None else ratio[0]

    ours = found.floods.get((EXECD.name, DAEMON), [])
    # A bout without figures lost nothing and found nothing.
    lost = None if not ours or any(bout.error for bout in ours) else float(sum(bout.lost for bout in ours))
    late = slower(found.delays, EXECD.name, 10_000)
    return [
        Target("trades/s over ccxt.pro's", times(CCXT), 4.0),
        Target("trades/s over cryptofeed's handler", times(CRYPTOFEED), 1.3),
        Target("trades/s over a bare websockets + msgspec loop's", times(BARE), 0.65),
        Target("trades lost in the floods", lost, 0.0, at_most=True),
        Target("p99 at 10,000/s over the bare loop's", None if late is None else late[0], 3.0, at_most=True),
        Target("memory that the second half of the long flood added, MB", risen_mb(found.long), 2.0, at_most=True),
    ]
