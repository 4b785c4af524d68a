"""What one parent did lately: orders, cancels, fills and refusals, counted for the gate.

Promise: every count is exact over its window, and a window ends at the moment that is asked about; memory is bounded
by what the gate lets through.
"""

from __future__ import annotations

from collections import Counter, deque

from execd.core.grid import MINUTE, Lots, Nanos, Ticks

LONG = Nanos(10 * MINUTE)
"""The window in which messages are held against fills."""

Alike = tuple[Lots, Ticks]
"""Orders of one parent are alike where quantity and price are the same: they have one side."""


class Throttle:
    """Counts over rolling windows: a minute for what repeats, `LONG` for messages and fills."""

    def __init__(self) -> None:
        self._orders: deque[tuple[Nanos, Alike]] = deque()
        self._alike: Counter[Alike] = Counter()
        self._rejects: deque[Nanos] = deque()
        self._messages: deque[Nanos] = deque()
        self._fills: deque[Nanos] = deque()

    def order(self, now: Nanos, quantity: Lots, limit: Ticks) -> None:
        """An order is sent."""
        self._messages.append(now)
        self._orders.append((now, (quantity, limit)))
        self._alike[quantity, limit] += 1

    def cancel(self, now: Nanos) -> None:
        """A cancel is sent."""
        self._messages.append(now)

    def fill(self, now: Nanos) -> None:
        """An order traded."""
        self._fills.append(now)

    def reject(self, now: Nanos) -> None:
        """The venue refused an order."""
        self._rejects.append(now)

    def clear(self) -> None:
        """A human has looked at what was repeated: count it anew."""
        self._orders.clear()
        self._alike.clear()
        self._rejects.clear()
        self._messages.clear()
        self._fills.clear()

    def alike(self, now: Nanos, quantity: Lots, limit: Ticks) -> int:
        """How many orders of just this quantity and price were sent within a minute."""
        while self._orders and self._orders[0][0] <= now - MINUTE:
            _, key = self._orders.popleft()
            self._alike[key] -= 1
            if not self._alike[key]:
                del self._alike[key]
        return self._alike[quantity, limit]

    def rejects(self, now: Nanos) -> int:
        """How many orders the venue refused within a minute."""
        return _within(self._rejects, now, MINUTE)

    def messages(self, now: Nanos) -> int:
        """How many orders and cancels were sent within `LONG`."""
        return _within(self._messages, now, LONG)

    def fills(self, now: Nanos) -> int:
        """How many reports of fills came within `LONG`."""
        return _within(self._fills, now, LONG)


def _within(moments: deque[Nanos], now: Nanos, window: Nanos) -> int:
    while moments and moments[0] <= now - window:
        moments.popleft()
    return len(moments)
