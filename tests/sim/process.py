"""Our process: the real sequencer, hands, journal, replay, clock and fuse, on a virtual disk and in virtual time.

    stream, answer, operator  ->  sequencer  ->  journal  ->  hands  ->  wire

Only what turns the crank is the simulation's own: when facts are handled, when the journal writes, when a call goes on,
and where the process dies.  Promise: what a death takes with it is everything but the disk and the latch; starting is
recovering, by the same calls in the same order as in `execd.runtime.session`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from execd.core.commands import Command, FinishParent, ProposeSlice, SubmitOrder
from execd.core.desk import Desk
from execd.core.events import Event, KillReset, KillTripped, MarketObserved, ParentSubmitted, Print, Recovered, Woken
from execd.core.execution import Execution
from execd.core.grid import SECOND, Nanos
from execd.runtime import replay
from execd.runtime.advisor import Advisor
from execd.runtime.arming import arrive, fuse_of, recall
from execd.runtime.clock import Clock
from execd.runtime.hands import Hands
from execd.runtime.journal import Header, Journal, JournalError, JournalFailed, Row
from execd.runtime.sequencer import Sequencer
from execd.venues import Venue
from tests.sim.crew import Crew, Promise
from tests.sim.disk import Disk
from tests.sim.lookout import Lookout
from tests.sim.oracles import Oracles
from tests.sim.sea import Crash, Sea, Wreck
from tests.sim.wire import Wire

HEADER = Header("P", "account", "practice", "0" * 64, Nanos(0), "sim", "0" * 64, "0" * 64, "0" * 64)
NAME = "parent.journal"
TIMER = SECOND // 1_000
SPINS_MAX = 100
"""Wakes in one second that no healthy desk asks for."""


class Process:
    """Runs a life until it crashes, or drains, and then the next."""

    def __init__(
        self, sea: Sea, wire: Wire, oracles: Oracles, disk: Disk, propose: Callable[[ProposeSlice], None]
    ) -> None:
        self.sea, self.wire, self.oracles, self.disk, self.propose = sea, wire, oracles, disk, propose
        self.life = 0
        self.clock: Callable[[], Nanos] = Clock()
        self.rows: list[Row] = []
        """What this life and the journal that it found have in common."""
        self.latch: KillTripped | None = None
        """The kill switch's file: it outlives every process."""
        self.finished: set[str] = set()
        self.crashes = 0
        self._sequencer: Sequencer | None = None
        self._journal: Journal | None = None
        self._crew = Crew(sea, self._guarded)
        self._watched = sea.rng.random() < 0.5
        self._lookout: Lookout | None = None
        self._drained: set[str] = set()
        self._turning = self._writing = self._told = False
        self._armed: int | None = None
        self._wakes = (0, 0)
        wire.ear, wire.leaving = self, self._leaving

    @property
    def desk(self) -> Desk | None:
        """The desk of the life that is, None between two lives."""
        return self._sequencer.desk if self._sequencer else None

    # --------------------------------------------------------------------------------------------------- in and out

    def hear(self, life: int, fact: Event) -> None:
        """Take a fact in, unless it was meant for an earlier life."""
        if life == self.life and self._sequencer is not None:
            self.wire.note(fact)
            self.post(fact)

    def post(self, fact: Event) -> None:
        """Put a fact into the inbox; it is handled when the process gets to it."""
        if self._sequencer is None:
            return
        self._sequencer.post(fact)
        if not self._turning:
            self._turning = True
            busy = self.sea.seconds(0, 3) if self.sea.strikes("process busy") else 0
            self.sea.after(busy, self._turn_all, self.life)

    def _turn_all(self, life: int) -> None:
        if life == self.life and self._sequencer is not None:
            self._turning = False
            self._guarded(self._sequencer.drain)
            self._arm()

    def command(self, fact: Event) -> bool:
        """Let an operator speak; False if nobody is there to listen.  The kill switch is a file and needs nobody."""
        if isinstance(fact, KillTripped | KillReset):
            self.latch = fact if isinstance(fact, KillTripped) else None
            self.sea.after(self.sea.seconds(0, 0.5), self._look, self.life)
            return True
        self.hear(self.life, fact)
        return self._sequencer is not None

    def _look(self, life: int) -> None:
        """Look at the latch, as `watch_latch` does, and tell the desk what is new."""
        if life != self.life or self._sequencer is None or self._told == (self.latch is not None):
            return
        self._told = self.latch is not None
        self.post(self.latch or KillReset("operator", "see KILL.log"))

    def observe(self, event: Print) -> None:
        """Show a print."""
        if self._sequencer is not None:
            self._sequencer.post(event)
            self.oracles.shown = self.clock()
            self._arm()

    # ------------------------------------------------------------------------------------- the journal, the witness

    def append(self, at: Nanos, fact: Event, commands: Sequence[Command]) -> int:
        """The sequencer's log: the journal, with a death before and one after."""
        journal = self._journal
        assert journal is not None, "a sequencer lives as long as its journal"
        if commands and self.sea.strikes("crash before append"):
            raise Crash
        seq = journal.append(at, fact, commands)
        self.rows.append(Row(seq, at, fact, tuple(commands)))
        if commands and self.sea.strikes("crash after append"):
            raise Crash
        if not self._writing:
            self._writing = True
            slow = self.sea.strikes("disk slow")
            self.sea.after(self.sea.seconds(0, 4) if slow else self.sea.seconds(0.0002, 0.005), self._write, self.life)
        return seq

    def _write(self, life: int) -> None:
        if life == self.life and self._journal is not None:
            self._writing = False
            self._guarded(self._journal.write)

    async def durable(self, seq: int) -> None:
        """Wait until a row is durable."""
        promise = Promise()
        assert self._journal is not None, "a task lives as long as its journal"
        if not self._journal.when_durable(seq, promise.settle):
            await promise

    def _witness(self, now: Nanos, fact: Event, commands: Sequence[Command]) -> None:
        desk = self.desk
        assert desk is not None, "a witness lives as long as its desk"
        if self.sea.told and not isinstance(fact, MarketObserved):
            self.sea.say("fact", str(fact))
            for command in commands:
                self.sea.say("command", short(command))
        if isinstance(fact, ParentSubmitted):
            self._take_up(desk.executions[fact.parent.id])
        if isinstance(fact, MarketObserved):
            arrive(self.wire.fuses[fact.parent], desk.executions[fact.parent].limits, fact)
        self.oracles.check(desk, now, fact, commands)

    def _failed(self, _failure: JournalFailed) -> None:
        """What cannot be recorded must not be done: the real process leaves at once, and so does this one."""
        raise Crash

    # ----------------------------------------------------------------------------------------------------- obeying

    def _obey(self, hands: Hands, command: Command, seq: int) -> None:
        if isinstance(command, ProposeSlice):
            self.propose(command)
            return
        if isinstance(command, SubmitOrder):
            self.oracles.rows_of[command.order] = seq
        hands.obey(command, seq)

    def _leaving(self, command: SubmitOrder) -> None:
        assert self._journal is not None, "nobody sends without a journal"
        self.oracles.left(command, self.clock(), self._journal.durable, latched=self.latch is not None)

    def _finish(self, command: FinishParent) -> None:
        """As the daemon does: what was the end is told to the operator once it is durable."""
        self._crew.create_task(self._account(command))

    async def _account(self, command: FinishParent) -> None:
        journal, desk = self._journal, self.desk
        assert journal is not None, "a task lives as long as its journal"
        assert desk is not None, "a task lives as long as its desk"
        await self.durable(journal.last)
        if self.sea.strikes("crash before telling"):
            raise Crash
        drained = command.why.startswith("drained")
        (self._drained if drained else self.finished).add(command.parent)
        if self._drained and set(desk.executions) <= self._drained | self.finished:
            # Not from inside of a task, which cannot put an end to itself.
            self.sea.at(self.sea.now, self._leave, self.life)

    def _leave(self, life: int) -> None:
        if life == self.life and self._journal is not None:
            self._end(self._journal, power=False)

    # ------------------------------------------------------------------------------------------------------ time

    def _arm(self) -> None:
        """Arrange to be woken when the desk asks for it."""
        desk = self.desk
        deadline = desk.deadline() if desk else None
        if deadline is None:
            return
        # No timer is finer; and a clock that still waits for an earlier life's last moment stands still meanwhile.
        wait = deadline - self.clock()
        moment = self.sea.now + (max(wait, TIMER) if wait > 0 else 0)
        if self._armed is not None and self._armed <= moment:
            return
        self._armed = moment
        late = self.sea.seconds(0, 1) if self.sea.strikes("woken late") else 0
        self.sea.at(moment + late, self._wake, self.life)

    def _wake(self, life: int) -> None:
        if life != self.life or self._sequencer is None:
            return
        self._armed = None
        deadline = self._sequencer.desk.deadline()
        if deadline is not None and deadline <= self.clock():
            self._count_wakes()
            self._guarded(self._sequencer.turn, Woken())
        self._arm()

    def _count_wakes(self) -> None:
        second, count = self._wakes
        now = self.sea.now // SECOND
        self._wakes = (now, count + 1 if now == second else 1)
        if self._wakes[1] > SPINS_MAX:
            raise Wreck("the desk spins: a hundred wakes in a second")

    # ------------------------------------------------------------------------------------------------- life and death

    def _guarded(self, act: Callable[..., None], *given: object) -> None:
        """Do something that may be the death of the process."""
        try:
            act(*given)
        except Crash:
            self.crash()

    def crash(self) -> None:
        """Die here.  Sometimes the machine dies too, and the disk forgets what was not synced."""
        if self._journal is not None:
            self.crashes += 1
            self.disk.dead = True
            self._end(self._journal, power=self.sea.strikes("power lost"))

    def _end(self, journal: Journal, *, power: bool) -> None:
        """Close what the system would close; where the process died, nothing of it reaches the disk."""
        self.sea.say("process", "stops" if not self.disk.dead else f"dies{', and the power fails' if power else ''}")
        self._close(journal)
        self.disk.revive(power=power)
        for channel in self.wire.up:
            self.wire.up[channel] = False
        self._come_back()

    def _close(self, journal: Journal) -> None:
        self._crew.abandon()
        journal.on_failure = lambda _: None
        self.oracles.durable = max(self.oracles.durable, journal.durable)
        journal.close()
        self.oracles.durable = max(self.oracles.durable, journal.durable)
        self._sequencer = self._journal = None
        self.life += 1

    def abandon(self) -> None:
        """The voyage is over: close the journal, as a process does that was asked to leave."""
        if self._journal is not None:
            self._close(self._journal)

    def _come_back(self) -> None:
        away = self.sea.seconds(0.1, 5) if self.sea.rng.random() < 0.8 else self.sea.seconds(5, 90)
        self.sea.after(away, self.start)

    def start(self) -> None:
        """Start, which is recovering: replay, prove, latch, doubt, streams."""
        self.life += 1
        self._guarded(self._begin)
        self._arm()

    def _begin(self) -> None:
        clock = self.clock = Clock()
        # As `follow_clock`: the venue's time as well as a few answers of a second at most can tell it.
        misread = self.sea.seconds(-0.4, 0.4) if self.sea.strikes("clock misread") else 0
        clock.shift(Nanos(self.sea.now + self.wire.venue.skew - clock() + misread))
        journal = self._journal = self._open()
        if journal is None:
            self.crashes += self.disk.dead
            self.disk.revive(power=self.disk.dead and self.sea.strikes("power lost"))
            self._come_back()
            return
        journal.on_failure = self._failed
        rows = list(journal.rows())
        self.sea.say("process", f"starts on {len(rows)} rows")
        found = replay.replay(rows)
        self.oracles.recovered(self.rows, rows, found)
        self.oracles.reborn(rows, found)
        self.rows = rows
        clock.not_before(found.last)
        replay.restore_trackers(found.desk)
        journal.start(clock(), Nanos(0), HEADER)
        self._live(found.desk, journal, clock)

    def _open(self) -> Journal | None:
        """Open the journal as every start does; None where the disk does not let us."""
        try:
            return Journal.open(self.disk.folder / NAME, header=HEADER, create=True, threaded=False)
        except JournalError as error:
            if not (self.disk.struck or self.disk.dead):
                raise Wreck(f"the journal that a death has left cannot be used: {error}") from error
            self.sea.say("process", f"cannot start: {error}")
            return None

    def _live(self, desk: Desk, journal: Journal, clock: Clock) -> None:
        self._crew = Crew(self.sea, self._guarded)
        sequencer = self._sequencer = Sequencer(desk, self, clock, self._witness)
        hands = Hands(
            cast("Venue", self.wire),
            cast("Advisor", None),  # The world proposes: a policy in the loop could not be late.
            self.post,
            self.durable,
            cast("asyncio.TaskGroup", self._crew),
            self._finish,
        )
        sequencer.obey = lambda command, seq: self._obey(hands, command, seq)
        self._armed, self._drained = None, set()
        self._turning = self._writing = False
        self._told = desk.killed is not None
        self.wire.connect(clock)
        self._lookout = Lookout(self, self.wire, self._crew, self.post) if self._watched else None
        for execution in desk.executions.values():
            self._take_up(execution)
        if journal.last:
            sequencer.turn(Recovered())
        self.sea.after(self.sea.seconds(0, 0.5), self._look, self.life)

    def _take_up(self, execution: Execution) -> None:
        """Arm the fuse, as `session.arm`: what earlier lives have sent is counted.  Watch over the parent."""
        if self._lookout is not None:
            self._lookout.watch(execution)
        parent, limits, venue = execution.parent, execution.limits, self.wire.venue
        fuse = self.wire.fuses[parent.id] = fuse_of(
            parent, limits, venue.bid + venue.ask, killed=lambda: self.latch is not None, processing=execution.validity
        )
        recall(fuse, limits, self.rows)


def short(command: Command) -> str:
    """A command in a line: an observation is too long for one."""
    if isinstance(command, ProposeSlice):
        return f"ProposeSlice(parent={command.parent!r}, slice={command.slice})"
    return str(command)
