"""Holds the exchange's dead-man switch, as long as this process can be trusted with what is open.

Promise: each renewal is earned by the loop that trades: it has come round since the last one, it keeps up, what it
wrote is durable, and no kill switch is set.  A process that hangs, cannot write, or is killed lets the timer run out,
and then the exchange cancels.  It is released only when nothing of ours is open there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

from execd.core.grid import SECOND, Nanos
from execd.venues import VenueCaps, VenueError
from execd.venues.deadman import DeadMan, Reach

WRITTEN_WITHIN_S = 5.0
"""How long the journal may take to make durable what was appended."""

ARM_PAUSES_S = (1.0, 2.0, 4.0)
"""Between the first attempts to arm: an outage at the start is often over soon."""

WATCHDOG = "if this process dies, only `execd watchdog` cancels what is open"


class Timed(Protocol):
    """What is needed of a venue."""

    name: str
    caps: VenueCaps

    async def hold_dead_man(self, symbol: str) -> None:
        """Start the timer anew.  Raises VenueError."""
        ...

    async def release_dead_man(self, symbol: str) -> None:
        """Stop the timer.  Raises VenueError."""
        ...


class Grip:
    """The hold on one symbol's timer.

    Args:
        venue: has the timer, or none.
        symbol: what is traded.
        clock: our time.
        say: tells the operator a sentence.
        told: is given the moment at which the timer fires unless it is held again; None: it is not armed.
        pause: waits some seconds; another one in tests.
    """

    def __init__(
        self,
        venue: Timed,
        symbol: str,
        clock: Callable[[], Nanos],
        say: Callable[[str], None],
        told: Callable[[Nanos | None], None],
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._venue, self._symbol, self._clock = venue, symbol, clock
        self._say, self._told, self._pause = say, told, pause
        self._timer: DeadMan = venue.caps.dead_man
        self._came_round = False
        self._trouble: str | None = None
        self.expiry: Nanos | None = None
        """When the exchange cancels unless we hold the timer again; None: it is not armed."""

    def problem(self) -> str | None:
        """Why nothing new should be sent, always in the same words; None where all is covered, or never could be."""
        if self.expiry is None or self._clock() < self.expiry:
            return None
        return f"the dead-man switch of {self._venue.name} has run out and is not held again"

    def come_round(self) -> None:
        """The loop that trades has come round; it calls this itself."""
        self._came_round = True

    async def arm(self) -> None:
        """Start the timer, or say why there is none.  Raises VenueError: it could not be armed."""
        if not self._timer.held:
            self._say(absent(self._venue.name, self._timer))
            return
        for pause_s in ARM_PAUSES_S:
            try:
                await self._hold()
                break
            except VenueError as error:
                self._say(f"{error}; trying again")
                await self._pause(pause_s)
        else:
            await self._hold()
        self._say(armed(self._venue.name, self._symbol, self._timer))

    async def keep(self, unwell: Callable[[], str | None], written: Callable[[], Awaitable[None]]) -> None:
        """Hold the timer anew again and again, for ever, each time that the process is well.

        Args:
            unwell: says why what is open should not be kept alive; None: it may.
            written: returns once all that was appended to the journal is durable.
        """
        while self._timer.held:
            await self._pause(self._timer.renew / SECOND)
            await self._renew(await self._doubt(unwell, written))

    async def release(self, *, clean: bool) -> None:
        """Stop the timer if it is certain (`clean`) that nothing of ours is open; else leave it armed and say so."""
        if self.expiry is None:
            return
        why = "not all of our orders are known to be closed"
        if clean:
            try:
                await self._venue.release_dead_man(self._symbol)
            except VenueError as error:
                why = str(error)
            else:
                self._is(None)
                return
        self._say(f"the dead-man switch stays armed until {_moment(self.expiry)}: {why}")

    async def _doubt(self, unwell: Callable[[], str | None], written: Callable[[], Awaitable[None]]) -> str | None:
        came_round, self._came_round = self._came_round, False
        if not came_round:
            return "the loop that trades has not come round"
        try:
            async with asyncio.timeout(WRITTEN_WITHIN_S):
                await written()
        except TimeoutError:
            return f"the journal is not durable after {WRITTEN_WITHIN_S:g} s"
        return unwell()

    async def _renew(self, doubt: str | None) -> None:
        if doubt is None:
            try:
                await self._hold()
            except VenueError as error:
                doubt = str(error)
        if doubt is None and self._trouble is not None:
            self._say("the dead-man switch is held again")
        elif doubt is not None and self._trouble is None and self.expiry is not None:
            self._say(f"the dead-man switch was not renewed and fires at {_moment(self.expiry)}: {doubt}")
        self._trouble = doubt

    async def _hold(self) -> None:
        # From before the request: the timer runs from its arrival on, which is later.
        expiry = Nanos(self._clock() + self._timer.window)
        await self._venue.hold_dead_man(self._symbol)
        self._is(expiry)

    def _is(self, expiry: Nanos | None) -> None:
        self.expiry = expiry
        self._told(expiry)


def armed(venue: str, symbol: str, timer: DeadMan) -> str:
    """What an operator must know of a timer that is armed."""
    whose = f"every open order in {symbol} on this account"
    if timer.reach is Reach.ACCOUNT:
        whose = "EVERY open order of the account, those of other programs and people too"
    return f"dead-man switch armed: {timer.window // SECOND} s without us and {venue} cancels {whose}{_besides(timer)}"


def absent(venue: str, timer: DeadMan) -> str:
    """What an operator must know where no request holds a timer."""
    what = (
        f"the dead-man switch of {venue} is not used"
        if timer.reach is Reach.CONNECTION
        else f"no dead-man switch on {venue}"
    )
    return f"{what}{_besides(timer)}: {WATCHDOG}"


def _besides(timer: DeadMan) -> str:
    return f" ({timer.trap})" if timer.trap else ""


def _moment(at: Nanos) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%H:%M:%S UTC")
