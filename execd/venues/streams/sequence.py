"""Which public trades of a contiguous sequence were passed on, and which are missing.

Promise: each id is passed on once, whether it came by the stream, by a repeated snapshot or by back-fill.
"""

from __future__ import annotations

MISSING_MAX = 64
"""Ranges of missing ids that are remembered; the oldest is given up for a newer one."""


class Sequence:
    """The ids of one symbol's public trades."""

    def __init__(self) -> None:
        self.next: int | None = None
        self.missing: list[tuple[int, int]] = []
        self.jumps = 0
        self.repeats = 0

    def take(self, trade: int) -> bool:
        """Whether a trade is new; notes the range that a jump leaves out."""
        expected = self.next
        if expected is None or trade >= expected:
            if expected is not None and trade > expected:
                self.jumps += 1
                self.missing = [*self.missing, (expected, trade - 1)][-MISSING_MAX:]
            self.next = trade + 1
            return True
        return self._fill(trade)

    def _fill(self, trade: int) -> bool:
        for index, (first, last) in enumerate(self.missing):
            if first <= trade <= last:
                parts = [(first, trade - 1), (trade + 1, last)]
                self.missing[index : index + 1] = [part for part in parts if part[0] <= part[1]]
                return True
        self.repeats += 1
        return False
