"""What was decided in each slice, and why: the rows of the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from execd.core.grid import Lots, Nanos


@dataclass(slots=True)
class SliceRecord:
    """One slice: what was proposed, by whom, what was aimed at and what came of it.

    `planned` and `target` are cumulative lots at the slice's end; `filled` and `notional` are what filled during it;
    `why` says who set the target, when `before` lots had filled; `notes` count the words of refusals, clips and waits.
    """

    number: int
    start: Nanos
    end: Nanos
    planned: Lots
    target: Lots
    share: float | None
    decided_by: str
    why: str
    before: Lots
    children: int = 0
    filled: int = 0
    notional: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    def note(self, words: str) -> None:
        """Count a reason."""
        self.notes[words] += 1
