"""What is looked at again and again beside the trading: what a kill left, clocks, the exchange's account, the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from execd.core.commands import CancelOrder
from execd.core.events import Event, OrderFilled, OrderLost
from execd.core.execution import Execution
from execd.core.grid import Nanos
from execd.runtime.reconcile import Verdict, compare, is_ours, since_overlap
from execd.venues import Venue, VenueError

SWEEP_EVERY_S, SWEEP_PAUSE_MAX_S, SWEEP_SLOWLY_S = 1.0, 5.0, 15.0
"""Between two readings of the sweep of a kill: at first, at most while something is open, and once all is clear."""

CANCELS_AT_ONCE = 10


class Latched(Protocol):
    """What the sweep needs of the kill switch."""

    @property
    def tripped(self) -> bool:
        """Whether anything is latched over the parent."""
        ...


class Sweep:
    """While the kill switch is latched, cancels at the exchange whatever of a parent is open, until that is certain.

    Looks at the latch itself: it works where the desk has not heard of it yet.  Certain is what two clean readings say
    that lie a request's validity apart, with no order alive in our own account between them.  After that it looks on,
    slowly, for as long as the latch is set.  It never sells back what was bought.

    `clear`: nothing of ours is open, that is certain, and the accounts were compared since.
    """

    def __init__(
        self,
        venue: Venue,
        latch: Latched,
        execution: Execution,
        post: Callable[[Event], None],
        certain: Callable[[], Awaitable[None]],
    ) -> None:
        """Prepare to sweep; `certain` is called each time that it has become so, and is waited for."""
        self.clear = False
        self._venue, self._latch, self._execution = venue, latch, execution
        self._post, self._certain = post, certain
        self._clean_s: float | None = None
        self._pause_s = SWEEP_EVERY_S

    async def run(self) -> None:
        """Look, cancel, look again, for ever."""
        while True:
            await asyncio.sleep(self._pause_s)
            if self._latch.tripped:
                await self._look()
            else:
                self._begin_anew(SWEEP_EVERY_S)

    async def _look(self) -> None:
        ours = await self._open()
        if ours is None or ours or self._execution.blotter.alive:
            await self._cancel(ours or [])
            self._begin_anew(min(2 * self._pause_s, SWEEP_PAUSE_MAX_S))
        elif not self.clear:
            # What was slept between readings is at most the time between them.
            self._clean_s = 0.0 if self._clean_s is None else self._clean_s + self._pause_s
            self._pause_s = SWEEP_EVERY_S
            if self._clean_s >= self._venue.caps.request_validity / 1e9:
                await self._certain()
                self.clear, self._pause_s = True, SWEEP_SLOWLY_S

    def _begin_anew(self, pause_s: float) -> None:
        self.clear, self._clean_s, self._pause_s = False, None, pause_s

    async def _open(self) -> list[str] | None:
        """The client ids of our open orders; None where the exchange gives no answer."""
        parent = self._execution.parent
        try:
            orders = await self._venue.open_orders(parent.instrument.symbol)
        except VenueError:
            return None
        return [order.client_id for order in orders if is_ours(order.client_id, parent.id)]

    async def _cancel(self, orders: list[str]) -> None:
        for first in range(0, len(orders), CANCELS_AT_ONCE):
            await asyncio.gather(*map(self._cancel_one, orders[first : first + CANCELS_AT_ONCE]))

    async def _cancel_one(self, order: str) -> None:
        try:
            self._post(await self._venue.cancel(CancelOrder(order, self._execution.parent.instrument.symbol)))
        except Exception as error:  # An adapter that breaks its contract must not end what goes on for ever.
            self._post(OrderLost(order, f"the adapter failed: {type(error).__name__}"))


async def watch_account(
    venue: Venue,
    execution: Execution,
    post: Callable[[Event], None],
    every: Nanos,
    told: Callable[[Verdict], None],
) -> None:
    """Read the exchange's list of our fills again and again and book what never reached us, for ever."""
    while True:
        await asyncio.sleep(every / 1e9)
        await look_at_account(venue, execution, post, told)


async def look_at_account(
    venue: Venue, execution: Execution, post: Callable[[Event], None], told: Callable[[Verdict], None]
) -> None:
    """Read the exchange's list of our fills once and book what never reached us."""
    verdict = await compare(venue, execution, since_overlap(execution))
    told(verdict)
    for fill in verdict.missing_here:
        post(OrderFilled(fill))


async def watch_clock(venue: Venue, every: Nanos, told: Callable[[Nanos], None]) -> None:
    """Compare our clock with the exchange's, for ever."""
    while True:
        await asyncio.sleep(every / 1e9)
        try:
            told(await venue.clock_offset())
        except VenueError:
            continue  # An unanswered question says nothing about the clocks; the streams tell of a dead network.
