"""How long a stream may be silent, learnt from the stream itself.

Promise: a market that speaks many times a second is noticed dead within seconds; a quiet one is given its time.
"""

from __future__ import annotations

from execd.core.grid import SECOND, Nanos

TIMES = 5
"""Silent for so many times its longest silence of late, a stream is taken for dead."""

LEAST = Nanos(3 * SECOND)
"""However lively a market is: exchanges pause for a second or two without being dead."""

LATELY = Nanos(30 * SECOND)
"""How long a silence is remembered, at least; twice that at most."""


class Rhythm:
    """The silences of one stream; `most` is how long any of them may be."""

    __slots__ = ("_before", "_longest", "_most", "_since", "heard_at")

    def __init__(self, now: Nanos, most: Nanos) -> None:
        self._most = most
        self._before: Nanos | None = None  # the longest silence of the stretch before this one, once there was one
        self._longest, self._since = Nanos(0), now
        self.heard_at = now

    def beat(self, now: Nanos) -> None:
        """The stream has spoken."""
        silence = now - self.heard_at
        if silence > self._longest:
            self._longest = Nanos(silence)
        self.heard_at = now

    def patience(self, now: Nanos) -> Nanos:
        """How long the stream may be silent at this moment."""
        if now - self._since >= LATELY:
            self._before, self._longest, self._since = self._longest, Nanos(0), now
        if self._before is None:
            return self._most  # Nothing is known of it yet.
        return Nanos(min(self._most, max(LEAST, TIMES * max(self._before, self._longest))))
