"""Whether this process can be trusted to trade: room on its disk, a journal that keeps up, a loop that is on time.

Promise: what is wrong is told to the desk as one fact when it begins and one when it ends; while it lasts no new order
leaves, and cancels go on.  A figure that cannot be had is wrong.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from execd.core.events import Event, HealthChanged
from execd.core.grid import SECOND
from execd.runtime.settings import HealthSettings

LOOK_S = 0.1
LOOKS = 100
"""Looks at the loop that a judgement rests on: ten seconds of them."""

LOOKS_A_JUDGEMENT = 10
"""Looks from one judgement to the next: a second."""

MIB = 1 << 20


class Log(Protocol):
    """What is asked of a journal."""

    @property
    def last(self) -> int:
        """The number of the last row that was appended."""
        ...

    @property
    def durable(self) -> int:
        """The number of the last row that is known to be durable."""
        ...


class Health:
    """Looks again and again, and judges."""

    def __init__(
        self,
        settings: HealthSettings,
        folder: Path,
        journal: Log,
        monotonic: Callable[[], float] = time.monotonic,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
        uncovered: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Watch over a journal in a folder; `uncovered` says why what is sent would not be canceled if we died."""
        self._settings, self._folder, self._journal = settings, folder, journal
        self._uncovered = uncovered
        self._monotonic, self._free = monotonic, free
        self._lags: deque[float] = deque(maxlen=LOOKS)
        self._behind: tuple[int, float] | None = None
        """The first row that was not durable when last looked at, and since when it is not."""

    def lagged(self, seconds: float) -> None:
        """The loop came back so much later than it was asked to."""
        self._lags.append(seconds)

    def problem(self) -> str | None:
        """Say in one sentence, always of the same words, why nothing should be sent; None where all is well."""
        return self._disk() or self._log() or self._loop() or self._uncovered()

    def _disk(self) -> str | None:
        least = self._settings.disk_free
        try:
            free = self._free(self._folder)
        except OSError as error:
            return f"the disk of {self._folder} cannot be looked at: {error.strerror}"
        if free < least * MIB:
            return f"less than {least} MiB are free on the disk of {self._folder} (execd.yaml: health.disk_free)"
        return None

    def _log(self) -> str | None:
        now, first = self._monotonic(), self._journal.durable + 1
        if first > self._journal.last:
            self._behind = None
            return None
        if self._behind is None or self._behind[0] != first:
            self._behind = (first, now)
        most = self._settings.journal_lag
        if now - self._behind[1] > most / SECOND:
            return f"the journal's disk needs more than {most / SECOND:g} s for a row (execd.yaml: health.journal_lag)"
        return None

    def _loop(self) -> str | None:
        most = self._settings.loop_lag
        if len(self._lags) == LOOKS and statistics.quantiles(self._lags, n=LOOKS)[-1] > most / SECOND:
            return f"the event loop is more than {most / SECOND:g} s late (execd.yaml: health.loop_lag)"
        return None


async def watch_health(
    health: Health, believed: Callable[[], str | None], post: Callable[[Event], None], told: Callable[[float], None]
) -> None:
    """Measure the loop, judge, and tell the desk what has changed, for ever.

    Args:
        health: the judge.
        believed: what the desk believes to be wrong.
        post: takes the fact.
        told: hears by how many seconds the loop was late, each time.
    """
    posted: tuple[str | None] | None = None
    while True:
        for _ in range(LOOKS_A_JUDGEMENT):
            due = time.monotonic() + LOOK_S
            await asyncio.sleep(LOOK_S)
            lag = max(0.0, time.monotonic() - due)
            told(lag)
            health.lagged(lag)
        problem = health.problem()
        # What was posted may still wait in the inbox.
        if problem != believed() and (problem,) != posted:
            post(HealthChanged(problem))
        posted = (problem,)
