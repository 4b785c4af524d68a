"""What is looked at again and again beside the trading: kill switch, clocks, the exchange's account, the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from execd.core.commands import CancelOrder
from execd.core.desk import Desk
from execd.core.events import Event, KillReset, KillTripped, OrderFilled
from execd.core.execution import Execution
from execd.core.grid import MINUTE, Nanos
from execd.runtime.latch import Latch
from execd.runtime.reconcile import Verdict, compare, is_ours
from execd.venues import Venue, VenueError

LOOP_LOOK_S = 0.1
OVERLAP = Nanos(10 * MINUTE)
"""How far back before the last fill the running reconciliation reads."""

CLEAN_READS = 2
"""How many readings without an open order of ours end the sweep of a kill."""

SWEEP_EVERY_S = 1.0


async def watch_latch(latch: Latch, desk: Desk, post: Callable[[Event], None], every: Nanos) -> None:
    """Tell the desk when the kill switch latches or is released, for ever."""
    told = desk.killed is not None
    while True:
        tripped = latch.tripped
        if tripped and not told:
            causes = "; ".join(f"{cause.cause} (by {cause.by})" for cause in latch.causes())
            post(KillTripped(causes or "unknown"))
        elif told and not tripped:
            post(KillReset("operator", f"see {latch.log.name}"))
        told = tripped
        await asyncio.sleep(every / 1e9)


async def sweep(venue: Venue, latch: Latch, execution: Execution, post: Callable[[Event], None]) -> None:
    """While the kill switch is latched, cancel at the exchange whatever of ours is open, until two clean reads.

    Looks at the latch itself: it works where the desk has not heard of it yet.
    """
    parent = execution.parent
    clean = 0
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        if not latch.tripped:
            clean = 0
            continue
        if clean >= CLEAN_READS:
            continue
        try:
            orders = await venue.open_orders(parent.instrument.symbol)
        except VenueError:
            clean = 0
            continue
        ours = [order.client_id for order in orders if is_ours(order.client_id, parent.id)]
        clean = 0 if ours else clean + 1
        for client_id in ours:
            post(await venue.cancel(CancelOrder(client_id, parent.instrument.symbol)))


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
        fills = execution.blotter.fills
        since = max(execution.parent.start - MINUTE, fills[-1].at - OVERLAP) if fills else None
        verdict = await compare(venue, execution, None if since is None else Nanos(since))
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


async def watch_loop(told: Callable[[float], None]) -> None:
    """Measure by how much the event loop is late, for ever."""
    while True:
        due = time.monotonic() + LOOP_LOOK_S
        await asyncio.sleep(LOOP_LOOK_S)
        told(max(0.0, time.monotonic() - due))
