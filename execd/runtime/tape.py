"""Keeps the benchmark whole: fetches by id every public trade that the stream did not bring.

Promise: a gap stands in the tracker until its trades have come; what cannot be fetched is left standing and reported,
never papered over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from execd.core.execution import Execution
from execd.core.grid import SECOND, Nanos
from execd.core.vwap import VwapTracker
from execd.venues import Sink, Venue, VenueError

LOOK_EVERY_S = 1.0
"""How often the trackers are asked for gaps."""

PAGES_MAX = 2_000
"""Most pages fetched for one gap in one go: two million trades."""

SETTLED_AFTER = Nanos(SECOND)
"""How long after the end a venue's own list of trades is taken to hold all that came before it."""

PATIENCE_S = 20.0
"""How long the end of a parent waits for its last prints before the report says that some are missing."""


@dataclass(slots=True)
class Tape:
    """The public trades of one symbol, by id."""

    venue: Venue
    symbol: str
    sink: Sink
    failures: int = 0

    async def warm(self) -> None:
        """Fetch the most recent trades, so that rolling windows and the first moments of a parent are known."""
        for trade in await self.venue.trades(self.symbol, None, None):
            self.sink(trade)

    async def mend(self, tracker: VwapTracker) -> None:
        """Try to fill every gap of a tracker once."""
        for first, last in tracker.missing:
            try:
                await self._fetch(first, last)
            except VenueError:
                # The gap stays in the tracker, and with it in every view and in the report.
                self.failures += 1

    async def mend_for_ever(self, execution: Execution) -> None:
        """Look for gaps again and again until canceled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.mend(execution.tracker)

    async def complete(self, execution: Execution, clock: Callable[[], Nanos]) -> bool:
        """Bring the tape up to the end of the window; False if some of it could not be had."""
        tracker, end = execution.tracker, min(execution.parent.end, clock())
        try:
            async with asyncio.timeout(PATIENCE_S):
                while tracker.missing or not self._reaches(tracker, end):
                    after_the_end = clock() > end + SETTLED_AFTER
                    followed = await self._follow(tracker)
                    await self.mend(tracker)
                    if after_the_end and followed and not tracker.missing:
                        break  # Asked well after the end, the venue has no later trade: the tape is whole.
                    await asyncio.sleep(LOOK_EVERY_S / 5)
        except TimeoutError:
            return False
        return True

    def _reaches(self, tracker: VwapTracker, end: Nanos) -> bool:
        at = tracker.last_venue_at
        return at is not None and at >= end

    async def _follow(self, tracker: VwapTracker) -> bool:
        if tracker.last_id is None:
            return False
        try:
            await self._fetch(tracker.last_id + 1, None)
        except VenueError:
            self.failures += 1
            return False
        return True

    async def _fetch(self, first: int, last: int | None) -> None:
        for _ in range(PAGES_MAX):
            page = await self.venue.trades(self.symbol, first, last)
            for trade in page:
                self.sink(trade)
            if not page or (last is not None and page[-1].id >= last):
                return
            first = page[-1].id + 1
