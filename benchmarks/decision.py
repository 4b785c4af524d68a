"""How long a decision takes: features, guard, network, share; for one parent and for many at once.

    python benchmarks/decision.py [--model models/vwap-2] [--rounds 4000]

Prints a table in Markdown.  Every figure is of this process on one thread, beside whatever else the machine does: by
the clock, which other processes make longer, and of the processor's time, which they hardly do.  Traced and eager are
measured in turns in one run, so that both see the same machine; their ratio is the median of the turns' ratios, with
the quartiles as its spread.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from execd.core.commands import Observation
from execd.core.events import Bar
from execd.core.grid import Instrument, Lots, Nanos, Notional, Side, Ticks
from execd.policies.curve import CurvePolicy, expected_curve
from execd.policies.features import observe
from execd.policies.floats import Floats
from execd.policies.learned import LearnedPolicy, load
from execd.policies.network import TargetNet

MINUTE = 60_000_000_000
HISTORY = 48
"""Bars before the start that the daemon shows."""
BATCHES = (2, 16, 128)
TURNS, PER_TURN = 60, 100
HEAD = "| ms | p50 | p99 | p99.9 | processor p50 | processor p99 | p50 a parent |"
LEVELS = (0.5, 0.99, 0.999)


def observation(number: int, at: int, slices: int = 12, interval: int = 60 * MINUTE) -> Observation:
    """What is known before slice `at` of parent `number`, over a made-up market."""
    random = np.random.default_rng([number, at])
    start = Nanos(1_735_741_800_000_000_000 + number * interval)
    end = Nanos(start + interval * slices)
    volumes = random.lognormal(9.0, 0.6, HISTORY + at).astype(int)
    closes = 5_000_000 + np.cumsum(random.normal(0, 2000, HISTORY + at)).astype(int)
    bars = tuple(
        Bar(Nanos(start + i * interval), Lots(volume), Notional(volume * (close - 3)), Ticks(close), 9)
        for i, (volume, close) in enumerate(zip(volumes.tolist(), closes.tolist(), strict=True), -HISTORY)
    )
    tick, lot = Decimal("0.01"), Decimal("0.001")
    return Observation(
        instrument=Instrument(
            "made up", "A/B", "A", "B", tick, lot, Lots(1), Lots(10**9), Notional(1), Notional(10**18)
        ),
        side=Side.BUY,
        now=Nanos(start + interval * at),
        start=start,
        end=end,
        slice=at,
        slices=slices,
        interval=Nanos(interval),
        quantity=Lots(1_000_000),
        filled=Lots(1_000_000 * at // slices),
        own_notional=0,
        bars=bars[HISTORY:],
        history=bars[:HISTORY],
        curve=expected_curve(start, end, slices),
        arrival=5_000_000.0,
        mid2=None,
    )


def spent(call: Callable[[], object]) -> tuple[float, float]:
    """How long one call takes, in ms: by the clock, and of the processor."""
    cpu, began = time.thread_time(), time.perf_counter()
    call()
    took = time.perf_counter() - began
    return took * 1e3, (time.thread_time() - cpu) * 1e3


def quantiles(calls: Sequence[tuple[float, float]]) -> list[float]:
    """p50, p99 and p99.9 by the clock, p50 and p99 of the processor's time, ms."""
    wall, cpu = np.array(calls).T
    return [*np.quantile(wall, LEVELS).tolist(), *np.quantile(cpu, LEVELS[:2]).tolist()]


def single(decide: Callable[[Observation], object], rounds: int) -> list[float]:
    """One parent at a time, over different parents and slices."""
    asked = cycle([observation(number, number % 11) for number in range(64)])
    for _ in range(100):
        decide(next(asked))
    return quantiles([spent(lambda: decide(next(asked))) for _ in range(rounds)])


def batch(policy: LearnedPolicy, size: int, rounds: int) -> list[float]:
    """So many parents, each in a slice of its own, through one call."""
    asked = [observation(number, number % 11) for number in range(size)]
    for _ in range(10):
        policy.propose_many(asked)
    return quantiles([spent(lambda: policy.propose_many(asked)) for _ in range(max(200, rounds // size))])


def eager(folder: Path, policy: LearnedPolicy) -> LearnedPolicy:
    """The same model, its network not traced."""
    network = TargetNet(policy.manifest.weights.hidden)
    network.load_state_dict(load_file(folder / policy.manifest.weights.file))
    return LearnedPolicy(policy.manifest, network.eval())


def turn(policy: LearnedPolicy, rows: Floats) -> float:
    """The median of some calls of the network, ms."""
    return float(np.median([spent(lambda: policy.targets(rows))[0] for _ in range(PER_TURN)]))


def compare(traced: LearnedPolicy, plain: LearnedPolicy, rows: Floats) -> list[float]:
    """Median ms of both networks alone on one row, and eager over traced: median, lower and upper quartile."""
    both = np.array([[turn(traced, rows), turn(plain, rows)] for _ in range(TURNS)])
    ratio = both[:, 1] / both[:, 0]
    return [*np.median(both, axis=0).tolist(), *np.quantile(ratio, (0.5, 0.25, 0.75)).tolist()]


def machine() -> str:
    """What it ran on, and how busy that was."""
    load1, load5, _ = os.getloadavg()
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"load average {load1:.1f} (1 min), {load5:.1f} (5 min)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("models/vwap-2"), help="a model folder")
    parser.add_argument("--rounds", type=int, default=4000, help="decisions a figure")
    given = parser.parse_args()
    policy, curve = load(given.model), CurvePolicy()
    longest = observation(3, 140, slices=144, interval=5 * MINUTE)
    lines = [
        machine(),
        "",
        HEAD,
        "|---|---|---|---|---|---|---|",
    ]
    measured: list[tuple[str, int, list[float]]] = [
        (f"{policy.name}, one parent", 1, single(policy.propose, given.rounds)),
        (f"{policy.name}, one parent, slice 141 of 144", 1, single(lambda _: policy.propose(longest), given.rounds)),
        ("its features alone", 1, single(observe, given.rounds)),
        ("curve, one parent", 1, single(curve.propose, given.rounds)),
    ]
    measured += [
        (f"{policy.name}, {size} parents at once", size, batch(policy, size, given.rounds)) for size in BATCHES
    ]
    for name, size, found in measured:
        lines.append(f"| {name} | {' | '.join(f'{each:.3f}' for each in found)} | {found[0] / size:.3f} |")
    rows = observe(observation(1, 5))[None, :]
    fast, slow, ratio, low, high = compare(policy, eager(given.model, policy), rows)
    lines += [
        "",
        f"Network alone, one row: traced {fast:.3f} ms, eager {slow:.3f} ms (medians of {TURNS} turns of {PER_TURN});",
    ]
    lines += [f"eager takes {ratio:.2f} times as long (quartiles of the turns {low:.2f} to {high:.2f}).", "", machine()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
