"""Volume, notional, low and high of a span that moves along with the venue's time.

Promise: exact in whatever order prints come, and when some are taken back; O(1) amortised; memory is one bucket for
each second of the span.
"""

from __future__ import annotations

from collections import deque

from execd.core.grid import SECOND, Nanos, Ticks

_SECOND, _VOLUME, _NOTIONAL, _LOW, _HIGH = range(5)


class Rolling:
    """Sums of the last `span`, in buckets of one second of venue time."""

    __slots__ = ("_buckets", "_gone", "_span", "notional", "volume")

    def __init__(self, span: Nanos) -> None:
        self._span = span // SECOND
        self._buckets: deque[list[int]] = deque()  # ascending by second
        self._gone: int | None = None  # the latest second that has left the span, for good
        self.volume = 0
        self.notional = 0

    def add(self, at: Nanos, volume: int, notional: int, low: int, high: int) -> int:
        """Count prints of one second, late ones too; return the volume of that second, as far as it is known."""
        second = at // SECOND
        if self._gone is not None and second <= self._gone:
            return volume
        self.volume += volume
        self.notional += notional
        bucket = self._bucket(second, low, high)
        bucket[_VOLUME] += volume
        bucket[_NOTIONAL] += notional
        bucket[_LOW] = min(bucket[_LOW], low)
        bucket[_HIGH] = max(bucket[_HIGH], high)
        return bucket[_VOLUME]

    def take_back(self, at: Nanos, volume: int, notional: int) -> None:
        """Undo an `add` of this second.  Its low and high stay: they only grow wider than the truth, never narrower."""
        second = at // SECOND
        if self._gone is not None and second <= self._gone:
            return
        self.volume -= volume
        self.notional -= notional
        bucket = next(bucket for bucket in self._buckets if bucket[_SECOND] == second)
        bucket[_VOLUME] -= volume
        bucket[_NOTIONAL] -= notional

    def forget(self, now: Nanos) -> None:
        """Drop the buckets that lie a whole span or more before now."""
        oldest = now // SECOND - self._span
        if self._gone is None or oldest > self._gone:
            self._gone = oldest
        while self._buckets and self._buckets[0][_SECOND] <= self._gone:
            bucket = self._buckets.popleft()
            self.volume -= bucket[_VOLUME]
            self.notional -= bucket[_NOTIONAL]

    def extremes(self, now: Nanos, seconds: int) -> tuple[Ticks, Ticks] | None:
        """The lowest and the highest price of the last so many seconds; None where nothing traded."""
        oldest = now // SECOND - seconds
        low = high = None
        for bucket in reversed(self._buckets):
            if bucket[_SECOND] <= oldest:
                break
            low = bucket[_LOW] if low is None else min(low, bucket[_LOW])
            high = bucket[_HIGH] if high is None else max(high, bucket[_HIGH])
        return None if low is None or high is None else (Ticks(low), Ticks(high))

    def _bucket(self, second: int, low: int, high: int) -> list[int]:
        """The bucket of a second; a newer one than all pushes out what is a whole span older."""
        buckets = self._buckets
        position = len(buckets)
        while position and buckets[position - 1][_SECOND] > second:
            position -= 1
        if position and buckets[position - 1][_SECOND] == second:
            return buckets[position - 1]
        bucket = [second, 0, 0, low, high]
        buckets.insert(position, bucket)
        if position == len(buckets) - 1:
            self.forget(Nanos(second * SECOND))
        return bucket
