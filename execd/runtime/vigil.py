"""What a watchdog makes of what it sees: when a heartbeat has stopped, and when an exchange is clean.

Pure: who looks brings the time, in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SOONEST_S, LATEST_S = 0.25, 10.0
"""Between two rounds that were not clean, doubling from one to the other."""

CLEAN_READS = 2
"""So many readings without an order of execd's, far enough apart, end the hurry."""

KEEP_LOOKING_S = 10.0
"""Between two rounds after that, as long as the latch is set."""


@dataclass(slots=True)
class _Seen:
    beat: bytes
    since_s: float
    reported: bool = False


class Vigil:
    """Judges heartbeats: one that has not changed for too long has stopped.

    Only changes count, by the watcher's own monotonic clock: no clock of a daemon is believed, and a heartbeat that was
    stale already gets the whole patience once more when it is first seen.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._seen: dict[str, _Seen] = {}

    def look(self, now_s: float, found: Mapping[str, bytes] | None) -> dict[str, bytes]:
        """Return the heartbeats that have stopped since the last look, by name, with their last beat; each once.

        `found` is None where the folder could not be read: then nothing has changed, and nothing has ended.
        """
        if found is not None:
            self._seen = {name: self._after(now_s, name, beat) for name, beat in found.items()}
        stopped: dict[str, bytes] = {}
        for name, seen in self._seen.items():
            if not seen.reported and now_s - seen.since_s >= self._patience_s:
                seen.reported = True
                stopped[name] = seen.beat
        return stopped

    def ages_s(self, now_s: float) -> dict[str, float]:
        """How long each heartbeat has been silent, in seconds."""
        return {name: now_s - seen.since_s for name, seen in self._seen.items()}

    def stopped(self) -> dict[str, bytes]:
        """The heartbeats that have stopped and not begun again, with their last beat."""
        return {name: seen.beat for name, seen in self._seen.items() if seen.reported}

    def _after(self, now_s: float, name: str, beat: bytes) -> _Seen:
        seen = self._seen.get(name)
        return seen if seen is not None and seen.beat == beat else _Seen(beat, now_s)


class Calm:
    """How often the exchange has been read without an order of execd's, and how long to wait for the next round."""

    def __init__(self, apart_s: float) -> None:
        self._apart_s = apart_s
        self._hurried = 0
        self._clean_since_s: float | None = None
        self._reads = 0

    @property
    def settled(self) -> bool:
        """Whether enough clean reads have been seen since the last that was not."""
        return self._reads >= CLEAN_READS

    def saw(self, now_s: float, *, clean: bool) -> float:
        """Take note of a round; return the seconds until the next."""
        if not clean:
            self._reads, self._clean_since_s = 0, None
            self._hurried += 1
            return min(LATEST_S, SOONEST_S * 2.0 ** min(self._hurried - 1, 16))
        self._hurried = 0
        if self._clean_since_s is None or now_s - self._clean_since_s >= self._apart_s:
            self._reads, self._clean_since_s = self._reads + 1, now_s
        return KEEP_LOOKING_S if self.settled else self._apart_s
