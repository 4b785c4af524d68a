"""Our process: the real desk behind one inbox and a journal that a crash may shorten.

    fact  ->  desk  ->  journal  ->  sync if an order leaves, a parent ends, or an operator spoke  ->  obey

Promise: what is thrown away at a crash is everything but the synced journal; starting is recovering.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from execd.core.commands import Command, FinishParent, ProposeSlice, SubmitOrder
from execd.core.desk import Desk
from execd.core.events import (
    DrainBegun,
    Event,
    KillReset,
    KillTripped,
    MarketObserved,
    MarketView,
    ParentCanceled,
    ParentPaused,
    ParentResumed,
    ParentSubmitted,
    Print,
    Recovered,
    Woken,
)
from execd.core.grid import Nanos
from tests.sim.oracles import Oracles
from tests.sim.sea import Sea, Wreck
from tests.sim.wire import Wire

SPOKEN = (ParentSubmitted, ParentPaused, ParentResumed, ParentCanceled, DrainBegun, KillTripped, KillReset)
"""Facts that an operator must be able to rely on: durable before they have an effect."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the journal."""

    at: Nanos
    fact: Event
    commands: tuple[Command, ...]


def replay(rows: list[Row]) -> Desk:
    """Feed a journal to a new desk.  Raises Wreck where a decision does not repeat."""
    desk = Desk()
    for number, row in enumerate(rows):
        commands = tuple(desk.handle(row.at, row.fact))
        if commands != row.commands:
            raise Wreck(f"row {number}, {row.fact}: replay gives {commands}, the journal says {row.commands}")
    return desk


class Process:
    """Runs a desk until it crashes, or drains, and then the next."""

    def __init__(self, sea: Sea, wire: Wire, oracles: Oracles, propose: Callable[[ProposeSlice], None]) -> None:
        self.sea, self.wire, self.oracles, self.propose = sea, wire, oracles, propose
        self.life = 0
        self.desk: Desk | None = None
        self.rows: list[Row] = []
        self.synced = 0
        self.latch: KillTripped | None = None
        self.finished: set[str] = set()
        self.crashes = 0
        self._drained: set[str] = set()
        self._seen: dict[str, MarketView] = {}
        self._armed: int | None = None
        self._wakes = (0, 0)
        wire.ear = self

    # --------------------------------------------------------------------------------------------------- in and out

    def hear(self, life: int, fact: Event) -> None:
        """Take a fact in, unless it was meant for an earlier life."""
        if life == self.life and self.desk is not None:
            self.take(self.desk, fact)

    def command(self, fact: Event) -> bool:
        """Let an operator speak; False if nobody is there to listen."""
        if isinstance(fact, KillTripped):
            self.latch = fact  # The latch is a file: it needs no process.
        elif isinstance(fact, KillReset) and self.desk is not None:
            self.latch = None
        if self.desk is None:
            return False
        self.take(self.desk, fact)
        return True

    def observe(self, event: Print) -> None:
        """Show a print."""
        if self.desk is not None:
            self.desk.observe(self.sea.now, event)
            self.oracles.shown = self.sea.now

    def take(self, desk: Desk, fact: Event) -> None:
        """Handle one fact to its end."""
        if not isinstance(fact, KillTripped | KillReset | Recovered):
            self._show_market(desk)
        commands = self._decide(desk, fact)
        if isinstance(fact, SPOKEN) or any(isinstance(command, SubmitOrder | FinishParent) for command in commands):
            if not isinstance(fact, SPOKEN) and self.sea.strikes("crash before obeying"):
                self.crash()
                return
            self.synced = len(self.rows)
        for command in commands:
            if self.sea.strikes("crash while obeying"):
                self.crash()
                return
            self._obey(command)
            if self.desk is not desk:
                return  # That was the end of a drain.
        self._arm()

    def _decide(self, desk: Desk, fact: Event) -> list[Command]:
        if self.sea.told and not isinstance(fact, MarketObserved):
            self.sea.say("fact", str(fact))
        commands = desk.handle(self.sea.now, fact)
        self.rows.append(Row(self.sea.now, fact, tuple(commands)))
        self.oracles.check(desk, fact, commands)
        return commands

    def _show_market(self, desk: Desk) -> None:
        for parent, execution in desk.executions.items():
            view = execution.tracker.view(self.sea.now)
            if view != self._seen.get(parent):
                self._seen[parent] = view
                self._decide(desk, MarketObserved(parent, view))

    def _obey(self, command: Command) -> None:
        if self.sea.told:
            self.sea.say("command", short(command))
        if isinstance(command, SubmitOrder):
            self.oracles.left(command)
        if self.wire.obey(command):
            return
        if isinstance(command, ProposeSlice):
            self.propose(command)
        elif isinstance(command, FinishParent):
            self._finish(command)

    def _finish(self, command: FinishParent) -> None:
        drained = command.why.startswith("drained")
        (self._drained if drained else self.finished).add(command.parent)
        if self.desk and self._drained and set(self.desk.executions) <= self._drained | self.finished:
            self._stop()

    # ------------------------------------------------------------------------------------------------------ time

    def _arm(self) -> None:
        """Arrange to be woken when the desk asks for it."""
        if self.desk is None:
            return
        deadline = self.desk.deadline()
        if deadline is None or (self._armed is not None and self._armed <= deadline):
            return
        self._armed = max(deadline, self.sea.now)
        late = self.sea.seconds(0, 1) if self.sea.strikes("woken late") else 0
        self.sea.at(self._armed + late, self._wake, self.life)

    def _wake(self, life: int) -> None:
        if life != self.life or self.desk is None:
            return
        self._armed = None
        deadline = self.desk.deadline()
        if deadline is not None and deadline <= self.sea.now:
            self._count_wakes()
            self.take(self.desk, Woken())
        else:
            self._arm()

    def _count_wakes(self) -> None:
        second, count = self._wakes
        now = self.sea.now // 1_000_000_000
        self._wakes = (now, count + 1 if now == second else 1)
        if self._wakes[1] > 100:
            raise Wreck("the desk spins: a hundred wakes in a second")

    # ------------------------------------------------------------------------------------------------- life and death

    def crash(self) -> None:
        """Die here: what was not synced may be lost, and nothing more is obeyed."""
        if self.desk is None:
            return
        self.crashes += 1
        if self.sea.strikes("journal tail lost"):
            kept = self.sea.rng.randint(self.synced, len(self.rows))
            del self.rows[kept:]
        self._stop()

    def _stop(self) -> None:
        self.sea.say("process", "stops")
        self.desk = None
        self.life += 1
        for channel in self.wire.up:
            self.wire.up[channel] = False
        away = self.sea.seconds(0.1, 5) if self.sea.rng.random() < 0.8 else self.sea.seconds(5, 90)
        self.sea.after(away, self.start)

    def start(self) -> None:
        """Start, which is recovering: replay, latch, doubt, streams."""
        self.life += 1
        self.sea.say("process", f"starts on {len(self.rows)} rows")
        known = bool(self.rows)
        desk = self.desk = replay(self.rows)
        self.synced = len(self.rows)
        self._armed, self._drained, self._seen = None, set(), {}
        self.oracles.reborn()
        for execution in desk.executions.values():
            execution.tracker.restore(execution.market, execution.bars)
        self.wire.connect()
        if known:
            self.take(desk, Recovered())
        if self.latch is not None and desk.killed is None and self.desk is desk:
            self.take(desk, self.latch)


def short(command: Command) -> str:
    """A command in a line: an observation is too long for one."""
    if isinstance(command, ProposeSlice):
        return f"ProposeSlice(parent={command.parent!r}, slice={command.slice})"
    return str(command)
