"""One inbox, one writer:  stamp  ->  desk  ->  journal  ->  obey.

Promise: facts are handled one at a time, in the order in which they are numbered, each to its end without a pause;
nothing is obeyed before the fact that caused it is handed to the journal with its commands.  Whoever sends an order
waits, by the row's number, until that is durable: a slow disk delays orders, never a cancel or the kill switch.
Prints go straight to the trackers: they decide nothing.  One that brings what a parent has waited for rings the bell,
so that its turn comes at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from execd.core.commands import Command
from execd.core.desk import Desk
from execd.core.events import (
    Event,
    MarketObserved,
    MarketView,
    Print,
    PrintsMissed,
    QuoteChanged,
    TradeBusted,
    TradeCorrected,
    TradePrinted,
    Woken,
)
from execd.core.grid import Nanos

PULSE_S = 0.5
"""The loop comes round at least so often, also where nothing happens."""

PRINTS: Final = (TradePrinted, QuoteChanged, TradeBusted, TradeCorrected, PrintsMissed)
"""The most frequent first: they are looked for in this order, thousands of times a second."""

INBOX_MAX = 10_000
"""Most facts that may wait.  More mean that we cannot keep up, and then we must not trade."""


class InboxFullError(Exception):
    """Facts came faster than they could be handled."""


class Log(Protocol):
    """What the sequencer needs of a journal."""

    def append(self, at: Nanos, fact: Event, commands: Sequence[Command]) -> int:
        """Take a fact and its commands; return the row's number."""
        ...


class Sequencer:
    """Owns the desk.  `post` may be called from any task of the loop, never from a thread."""

    def __init__(
        self,
        desk: Desk,
        journal: Log,
        clock: Callable[[], Nanos],
        witness: Callable[[Nanos, Event, Sequence[Command]], None],
    ) -> None:
        self.desk = desk
        self._journal = journal
        self._clock = clock
        self.obey: Callable[[Command, int], None] = _nobody
        """Begins to do what a command in a row asks; given after the hands exist, which post here."""
        self.pulse: Callable[[], None] = _nothing
        """Called each time `run` comes round: whoever must know that this loop, and no other, goes on."""
        self._witness = witness
        self._inbox: deque[Event] = deque()
        self._told: dict[int, asyncio.Future[int]] = {}  # by the identity of a fact that waits, or is being handled
        self._bell = asyncio.Event()
        self._seen: dict[str, MarketView] = {}
        self._waiting_since: Nanos | None = None

    def behind(self) -> float:
        """Seconds by which the oldest waiting fact, or a deadline that has come, is overdue; 0 if nothing waits."""
        now = self._clock()
        due = [at for at in (self._waiting_since, self.desk.deadline()) if at is not None]
        return max(0.0, (now - min(due)) / 1e9) if due else 0.0

    def post(self, event: Event | Print) -> None:
        """Take a fact in.  A print is observed at once; all else waits its turn.  Raises InboxFullError."""
        if isinstance(event, PRINTS):
            now = self._clock()
            # No further call for each print: the parents share one symbol, a sequencer runs per symbol.
            for execution in self.desk.executions.values():
                if execution.observe(now, event):
                    self._bell.set()
            return
        if len(self._inbox) >= INBOX_MAX:
            raise InboxFullError(f"{INBOX_MAX} facts are waiting; nothing more can be taken in")
        if not self._inbox:
            self._waiting_since = self._clock()
        self._inbox.append(event)
        self._bell.set()

    async def tell(self, event: Event) -> int:
        """Take a fact in and wait until it was handled; the number of its row in the journal.

        Who gives up waiting does not take the fact back.  Raises InboxFullError.
        """
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.post(event)
        self._told[id(event)] = told
        return await told

    async def run(self) -> None:
        """Handle facts and deadlines until canceled.  Raises whatever the journal raises."""
        while True:
            due = await self._wait()
            self.pulse()
            if due:
                self.turn(self._inbox.popleft() if self._inbox else Woken())

    def drain(self) -> None:
        """Handle all the facts that are waiting."""
        while self._inbox:
            self.turn(self._inbox.popleft())

    def turn(self, event: Event) -> None:
        """Handle one fact to its end: decided, handed to the journal, obeyed."""
        now = self._clock()
        self._waiting_since = now if self._inbox else None
        self._show_market(now)
        commands = self._decide(now, event)
        seq = self._journal.append(now, event, commands)
        self._witness(now, event, commands)
        for command in commands:
            self.obey(command, seq)
        told = self._told.pop(id(event), None)
        if told is not None and not told.done():
            told.set_result(seq)

    def _decide(self, now: Nanos, event: Event) -> list[Command]:
        try:
            return self.desk.handle(now, event)
        except BaseException:
            # The fact that broke us must be in the journal for whoever looks for the reason.
            self._journal.append(now, event, [])
            raise

    def _show_market(self, now: Nanos) -> None:
        """Give each execution the market as it is now, if it has changed, and record that it was shown."""
        for parent, execution in self.desk.executions.items():
            view = execution.tracker.view(now)
            if view == self._seen.get(parent):
                continue
            self._seen[parent] = view
            seen = MarketObserved(parent, view)
            commands = self.desk.handle(now, seen)
            self._journal.append(now, seen, commands)
            self._witness(now, seen, commands)

    async def _wait(self) -> bool:
        """Return when a fact is there or the desk's deadline has come; False where we only have to come round."""
        if self._inbox:
            # Let the streams and the timers have their turn between two facts.
            await asyncio.sleep(0)
            return True
        self._bell.clear()
        deadline = self.desk.deadline()
        delay = PULSE_S if deadline is None else (deadline - self._clock()) / 1e9
        if delay <= 0:
            await asyncio.sleep(0)
            return True
        try:
            async with asyncio.timeout(min(delay, PULSE_S)):
                await self._bell.wait()
        except TimeoutError:
            return deadline is not None and delay <= PULSE_S
        if self._inbox:
            return True
        # The bell without a fact: a print has brought the deadline forward, perhaps not as far as to this moment.
        deadline = self.desk.deadline()
        return deadline is not None and deadline <= self._clock()


def _nothing() -> None:
    pass


def _nobody(command: Command, _seq: int) -> None:
    raise AssertionError(f"nobody is there to obey {command}")
