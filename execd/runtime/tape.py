"""Keeps the benchmark whole: fetches every public trade that the stream did not bring, as far as the exchange has it.

Promise: a gap stands in the tracker until its trades have come; what cannot be fetched is left standing and reported,
never papered over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from execd.core.events import Channel, PrintsMissed, TradeBusted, TradePrinted
from execd.core.execution import Execution
from execd.core.grid import SECOND, Nanos
from execd.core.vwap import VwapTracker
from execd.venues import Paging, Sink, Venue, VenueError, passed_over

LOOK_EVERY_S = 1.0
"""How often the trackers are asked for gaps."""

ANCHOR_EVERY_S = 0.05
"""How often, before the first look at the past."""

ANCHOR_SLOWLY_S = 30.0
"""Between two looks at a past that is refused again and again, at most."""

PAGES_MAX = 2_000
"""Most pages fetched for one gap in one go: two million trades."""

SETTLED_AFTER = Nanos(SECOND)
"""How long after the end a venue's own list of trades is taken to hold all that came before it."""

PATIENCE_S = 20.0
"""How long the end of a parent waits for its last prints before the report says that some are missing."""


@dataclass(slots=True)
class Tape:
    """The public trades of one symbol."""

    venue: Venue
    symbol: str
    sink: Sink

    async def anchor(self, execution: Execution) -> None:
        """Fetch the trades since the parent's start that the stream could not bring, and say from where on.

        Comes after the stream is up, so that nothing falls between the two.
        """
        tracker, start = execution.tracker, execution.parent.start
        match self.venue.caps.paging:
            case Paging.BY_ID:
                await self._back_to(start)
            case Paging.BY_TIME:
                await self._fetch(0, tracker.last_id, start)
            case Paging.RECENT:
                # They are all that there is: what lies between the start and them is a hole.
                page = await self._newest(tracker)
                if not tracker.anchored and page and page[0].at > start:
                    self.sink(PrintsMissed(start, page[0].at))
        tracker.anchor()

    async def _back_to(self, start: Nanos) -> None:
        page = await self.venue.trades(self.symbol, None, None)
        for _ in range(PAGES_MAX):
            for trade in page:
                self.sink(trade)
            if not page or page[0].at < start or page[0].id == 0:
                break
            first = page[0].id
            page = await self.venue.trades(self.symbol, max(0, first - len(page)), first - 1)

    async def _newest(self, tracker: VwapTracker) -> Sequence[TradePrinted]:
        """Fetch the newest trades: from the first of them to the last, nothing is unknown any more."""
        page = await self.venue.trades(self.symbol, None, None)
        for trade in page:
            self.sink(trade)
        if page:
            tracker.mend(page[0].at, page[-1].at)
        return page

    async def mend(self, tracker: VwapTracker) -> None:
        """Try to fill every gap of a tracker once."""
        if self.venue.caps.paging is Paging.RECENT:
            return  # The stream has asked for the newest trades when it came back; there are no others.
        for gap in tracker.missing:
            try:
                await self._fetch(gap.first, gap.last, gap.since)
            except VenueError:
                continue  # The gap stays in the tracker, and with it in every view and in the report.

    async def mend_for_ever(self, execution: Execution) -> None:
        """Anchor the tape once the stream is up, then look for gaps again and again, until canceled."""
        # An earlier life has looked back already; what came since is a gap of ids, or known to the newest trades alone.
        due = not execution.tracker.anchored or self.venue.caps.paging is Paging.RECENT
        pause_s = ANCHOR_EVERY_S
        while True:
            if due and Channel.MARKET not in execution.streams_down:
                due = not await self._try_to_anchor(execution)
                pause_s = min(ANCHOR_SLOWLY_S, 2 * pause_s) if due else LOOK_EVERY_S
            await self.mend(execution.tracker)
            await asyncio.sleep(pause_s)

    async def complete(self, execution: Execution, clock: Callable[[], Nanos]) -> bool:
        """Wait for the end of the window and bring the tape up to it; False if some of it could not be had.

        The window of a parent that was canceled ends now.
        """
        tracker, now = execution.tracker, clock()
        end = now if execution.canceled_by is not None else execution.parent.end
        try:
            async with asyncio.timeout(max(0, end - now) / SECOND + PATIENCE_S):
                while self._lacks(execution, end) or not (tracker.anchored and self._reaches(tracker, end)):
                    if not tracker.anchored:
                        await self._try_to_anchor(execution)
                    after_the_end = clock() > end + SETTLED_AFTER
                    followed = await self._follow(tracker, end)
                    await self.mend(tracker)
                    if after_the_end and followed and tracker.anchored and not self._lacks(execution, end):
                        break  # Asked well after the end, the venue has no later trade: the tape is whole.
                    await asyncio.sleep(LOOK_EVERY_S / 5)
        except TimeoutError:
            reached = tracker.last_venue_at or execution.parent.start
            if reached < end:
                # No jump of ids tells of what was printed last.
                self.sink(PrintsMissed(reached, end))
            return False
        return True

    async def _try_to_anchor(self, execution: Execution) -> bool:
        # Not anchored, it is tried again.
        with suppress(VenueError):
            await self.anchor(execution)
            return True
        return False

    def _lacks(self, execution: Execution, end: Nanos) -> bool:
        """Whether trades of the window are missing that may still be had."""
        start = execution.parent.start
        return any(gap.until >= start and gap.since < end for gap in execution.tracker.missing)

    def _reaches(self, tracker: VwapTracker, end: Nanos) -> bool:
        at = tracker.last_venue_at
        return at is not None and at >= end

    async def _follow(self, tracker: VwapTracker, end: Nanos) -> bool:
        if tracker.last_id is None:
            return tracker.anchored  # Nothing was ever printed.
        try:
            if self.venue.caps.paging is Paging.RECENT:
                await self._newest(tracker)
            else:
                await self._fetch(tracker.last_id + 1, None, tracker.last_venue_at, end)
        except VenueError:
            return False
        return True

    async def _fetch(self, first: int, last: int | None, since: Nanos | None, end: Nanos | None = None) -> None:
        """Fetch trades by id, page by page, to the last one or to a moment of the venue's time.

        `since` is where a venue begins that pages by time.
        """
        for _ in range(PAGES_MAX):
            page = await self.venue.trades(self.symbol, first, last, since)
            for trade in page:
                self.sink(trade)
            if self.venue.caps.sparse:
                for number in passed_over(first, last, page):
                    self.sink(TradeBusted(number))
            if not page or page[-1].id < first or (last is not None and page[-1].id >= last):
                return
            first, since = page[-1].id + 1, page[-1].at
            if end is not None and since >= end:
                return
