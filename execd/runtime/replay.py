"""A journal through the desk again: recovery, and the proof that each decision repeats.

Promise: recovering and replaying are the same loop.  The desk that comes out holds what the journal says, no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from execd.core.commands import Command
from execd.core.desk import Desk
from execd.core.events import MarketObserved
from execd.core.grid import Nanos
from execd.runtime.journal import Row


@dataclass(frozen=True, slots=True)
class Difference:
    """A row whose commands did not repeat."""

    row: Row
    now_gives: tuple[Command, ...]


@dataclass(slots=True)
class Replay:
    """What a replay found: the desk at the end, how many rows and decisions, and those that differ."""

    desk: Desk
    rows: int
    decisions: int
    last: Nanos
    differences: list[Difference]


def replay(rows: Iterable[Row]) -> Replay:
    """Feed every row to a new desk and compare the commands."""
    result = Replay(Desk(), 0, 0, Nanos(0), [])
    for row in rows:
        commands = tuple(result.desk.handle(row.at, row.fact))
        result.rows += 1
        result.last = row.at
        if not isinstance(row.fact, MarketObserved):
            result.decisions += 1
        if commands != row.commands:
            result.differences.append(Difference(row, commands))
    return result


def restore_trackers(desk: Desk) -> None:
    """Let each tracker continue from the last view that was journalled."""
    for execution in desk.executions.values():
        execution.tracker.restore(execution.market, execution.bars)
