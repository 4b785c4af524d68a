"""The one clock of a process: wall time once at its start, then the monotonic clock.  It never goes back.

Shifted by the venue's offset, `now` is the venue's time as well as we can know it, so that a window means the same
moments to us and to the tape.
"""

from __future__ import annotations

import time

from execd.core.grid import Nanos


class Clock:
    """Gives `now` in nanoseconds since the epoch."""

    def __init__(self) -> None:
        self._base = time.time_ns() - time.monotonic_ns()
        self._latest = 0

    def __call__(self) -> Nanos:
        """Return the present moment; never less than what was returned before."""
        moment = self._base + time.monotonic_ns()
        if moment > self._latest:  # not max(): this is asked for every print
            self._latest = moment
        return Nanos(self._latest)

    def shift(self, offset: Nanos) -> None:
        """Follow the venue's clock from now on: `offset` is its time minus ours.

        For a start, before anything was decided: a clock that ran ahead goes back, instead of standing still until the
        venue's time has caught up with it.
        """
        self._base += offset
        self._latest = 0

    def not_before(self, moment: Nanos) -> None:
        """Start no earlier than the last moment of an earlier life."""
        self._latest = max(self._latest, moment)
