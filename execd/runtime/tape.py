"""Keeps the benchmark whole: fetches by id every public trade that the stream did not bring.

Promise: a gap stands in the tracker until its trades have come; what cannot be fetched is left standing and reported,
never papered over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from execd.core.events import Channel
from execd.core.execution import Execution
from execd.core.grid import SECOND, Nanos
from execd.core.vwap import VwapTracker
from execd.venues import Sink, Venue, VenueError

LOOK_EVERY_S = 1.0
"""How often the trackers are asked for gaps."""

ANCHOR_EVERY_S = 0.05
"""How often, before the first look at the past."""

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

    async def anchor(self, execution: Execution) -> None:
        """Fetch the most recent trades, back to before the parent's start: what the stream could not bring.

        Comes after the stream is up, so that nothing falls between the two.
        """
        tracker, before = execution.tracker, execution.parent.start
        page = await self.venue.trades(self.symbol, None, None)
        for _ in range(PAGES_MAX):
            for trade in page:
                self.sink(trade)
            if not page or page[0].at < before or page[0].id == 0:
                break
            first = page[0].id
            page = await self.venue.trades(self.symbol, max(0, first - len(page)), first - 1)
        tracker.anchor()

    async def mend(self, tracker: VwapTracker) -> None:
        """Try to fill every gap of a tracker once."""
        for first, last in tracker.missing:
            try:
                await self._fetch(first, last)
            except VenueError:
                continue  # The gap stays in the tracker, and with it in every view and in the report.

    async def mend_for_ever(self, execution: Execution) -> None:
        """Anchor the tape once the stream is up, then look for gaps again and again, until canceled."""
        while True:
            if not execution.tracker.anchored and Channel.MARKET not in execution.streams_down:
                await self._try_to_anchor(execution)
            await self.mend(execution.tracker)
            await asyncio.sleep(LOOK_EVERY_S if execution.tracker.anchored else ANCHOR_EVERY_S)

    async def complete(self, execution: Execution, clock: Callable[[], Nanos]) -> bool:
        """Wait for the end of the window and bring the tape up to it; False if some of it could not be had.

        The window of a parent that was canceled ends now.
        """
        tracker, now = execution.tracker, clock()
        end = now if execution.canceled_by is not None else execution.parent.end
        try:
            async with asyncio.timeout(max(0, end - now) / SECOND + PATIENCE_S):
                while tracker.missing or not (tracker.anchored and self._reaches(tracker, end)):
                    if not tracker.anchored:
                        await self._try_to_anchor(execution)
                    after_the_end = clock() > end + SETTLED_AFTER
                    followed = await self._follow(tracker)
                    await self.mend(tracker)
                    if after_the_end and followed and tracker.anchored and not tracker.missing:
                        break  # Asked well after the end, the venue has no later trade: the tape is whole.
                    await asyncio.sleep(LOOK_EVERY_S / 5)
        except TimeoutError:
            return False
        return True

    async def _try_to_anchor(self, execution: Execution) -> None:
        # Not anchored, it is tried again.
        with suppress(VenueError):
            await self.anchor(execution)

    def _reaches(self, tracker: VwapTracker, end: Nanos) -> bool:
        at = tracker.last_venue_at
        return at is not None and at >= end

    async def _follow(self, tracker: VwapTracker) -> bool:
        if tracker.last_id is None:
            return tracker.anchored  # Nothing was ever printed.
        try:
            await self._fetch(tracker.last_id + 1, None)
        except VenueError:
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
