"""Which public trades of one market were passed on, and which are missing.

Promise: each id is passed on once, whether it came by one connection or another, by a repeated snapshot or by
back-fill.  A print that stands for several trades is taken whole or not at all.
"""

from __future__ import annotations

from collections import deque

MISSING_MAX = 64
"""Ranges of missing ids that are remembered; the oldest is given up for a newer one."""

REMEMBERED = 20_000
"""Ids that are remembered to tell repeats apart where they do not rise by one."""


class Sequence:
    """The ids of a market's trades, which rise by one."""

    __slots__ = ("jumps", "missing", "next", "repeats")

    def __init__(self) -> None:
        self.next: int | None = None
        self.missing: list[tuple[int, int]] = []
        self.jumps = 0
        self.repeats = 0

    def take(self, trade: int, count: int = 1) -> bool:
        """Whether a print of the `count` ids that end with `trade` is new; notes the range that a jump leaves out."""
        expected = self.next
        first = trade - count + 1
        if expected is None or first == expected:
            self.next = trade + 1
            return True
        if first > expected:
            self._miss(expected, first - 1)
            self.next = trade + 1
            return True
        if trade >= expected:
            # Some of it is known: it cannot be taken apart, so that the rest is asked for.
            self._miss(expected, trade)
            self.next = trade + 1
            return False
        return self._fill(first, trade)

    def _miss(self, first: int, last: int) -> None:
        self.jumps += 1
        self.missing = [*self.missing, (first, last)][-MISSING_MAX:]

    def _fill(self, first: int, last: int) -> bool:
        for index, (low, high) in enumerate(self.missing):
            if low <= first and last <= high:
                parts = [(low, first - 1), (last + 1, high)]
                self.missing[index : index + 1] = [part for part in parts if part[0] <= part[1]]
                return True
        self.repeats += 1
        return False


class Repeats:
    """The ids of a market's trades, which tell repeats and nothing else."""

    __slots__ = ("_known", "_order", "jumps", "missing", "next", "repeats")

    def __init__(self) -> None:
        self.next: int | None = None
        self.missing: list[tuple[int, int]] = []
        self.jumps = 0
        self.repeats = 0
        self._known: set[int] = set()
        self._order: deque[int] = deque()

    def take(self, trade: int, _count: int = 1) -> bool:
        """Whether a trade is new, as far back as ids are remembered."""
        if trade in self._known:
            self.repeats += 1
            return False
        self._known.add(trade)
        self._order.append(trade)
        if len(self._order) > REMEMBERED:
            self._known.discard(self._order.popleft())
        self.next = trade
        return True

    def __contains__(self, trade: int) -> bool:
        """Whether a trade was passed on."""
        return trade in self._known
