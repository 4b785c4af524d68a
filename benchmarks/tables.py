"""Figures to tables: medians with their spread, percentiles, Markdown, and the class of the machine.

Promise: pure, but for the machine's own line; nothing here names the machine beyond its class.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np

LEVELS = (0.5, 0.99, 0.999)

BUSY = 0.4
"""A load average of so much a core, before anything was measured, is somebody else's."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and what it lies between."""

    middle: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """As `2.31 (2.20..2.45)`."""
        return f"{self.middle:{spec}} ({self.low:{spec}}..{self.high:{spec}})"


def spread(values: Iterable[float]) -> Spread:
    """The median of the rounds, and the lowest and the highest.  Raises ValueError where there are none."""
    found = sorted(values)
    if not found:
        raise ValueError("no round was measured")
    return Spread(median(found), found[0], found[-1])


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours over theirs, round by round: what both have of the machine's mood goes out."""
    return spread(mine / other for mine, other in zip(ours, theirs, strict=True))


def percentiles(nanos: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[float, float, float]:
    """p50, p99 and p99.9 in microseconds.  Raises ValueError where there is nothing."""
    if not len(nanos):
        raise ValueError("nothing was measured")
    low, high, highest = np.quantile(np.asarray(nanos, dtype=np.float64), LEVELS) / 1e3
    return float(low), float(high), float(highest)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; the first column is words, all others are figures."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"{row[0]}: {len(row)} cells under {len(head)} heads")
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Target:
    """What was to be reached.  `found` None: it was not measured in this run.

    Attributes:
        words: What, as a sentence without an end.
        found: The figure.
        bound: What it is held against.
        at_most: Whether the bound is the most; else it is the least.
    """

    words: str
    found: float | None
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        if self.found is None:
            return False
        return self.found <= self.bound if self.at_most else self.found >= self.bound


def targets(wanted: Iterable[Target]) -> str:
    """The targets as a table, each with yes or no."""
    return table(
        ("target", "bound", "found", "met"),
        [
            (
                each.words,
                f"{'<=' if each.at_most else '>='} {each.bound:g}",
                "not measured" if each.found is None else f"{each.found:.2f}",
                "-" if each.found is None else "yes" if each.met else "**no**",
            )
            for each in wanted
        ],
    )


def machine() -> str:
    """When, and on what class of machine: cores, architecture, Python, how busy."""
    load1, load5, _ = os.getloadavg()
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {platform.machine().replace('_', '-')}, "
        f"Python {platform.python_version()}, load average {load1:.1f} (1 min), {load5:.1f} (5 min)"
    )


def caution() -> str:
    """A warning where other work keeps the machine busy as this begins, else ""."""
    load = os.getloadavg()[0]
    if load < BUSY * (os.cpu_count() or 1):
        return ""
    return (
        f"**Not to be relied on: other work kept the machine busy when this began (load average {load:.1f}). "
        "What waits for a processor is in every percentile, of the floor most of all.**"
    )


def saved(folder: Path, name: str, page: str, data: bytes) -> Path:
    """Write a page and its figures under their name and this day; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{datetime.now(UTC):%Y-%m-%d}.md"
    path.write_text(page)
    path.with_suffix(".json").write_bytes(data)
    return path
