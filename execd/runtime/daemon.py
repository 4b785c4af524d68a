"""Wires one parent order to one exchange and works it to its end: start, recover, run, drain, account.

Promise: starting is recovering.  A journal is replayed and proven before it is worked on; what was in flight is in
doubt until the exchange has spoken; a journal that cannot be written ends the process at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import execd
from execd.core.commands import Command, FinishParent
from execd.core.events import (
    ClockChecked,
    DrainBegun,
    Event,
    KillTripped,
    OrderFilled,
    ParentSubmitted,
    Recovered,
    Woken,
)
from execd.core.execution import Execution, Phase
from execd.core.grid import Nanos
from execd.core.orders import OrderState
from execd.core.usage import uses
from execd.runtime import files, launch, loosening, practice, watch
from execd.runtime.advisor import Advice, Advisor
from execd.runtime.arming import arrive
from execd.runtime.balance import BalanceCheck
from execd.runtime.clock import Clock
from execd.runtime.control import Control
from execd.runtime.deadman import Grip
from execd.runtime.door import BEHIND_MAX_S, Door, PortTakenError
from execd.runtime.hands import Hands
from execd.runtime.health import Health, watch_health
from execd.runtime.heartbeat import Heart
from execd.runtime.journal import JournalFailed
from execd.runtime.kill_switch import KillSwitch
from execd.runtime.latch import Kind, Scope
from execd.runtime.launch import Job, Opened
from execd.runtime.loop import end_quick_start
from execd.runtime.metrics import Metrics
from execd.runtime.reconcile import Verdict, compare
from execd.runtime.report import ModelUse, Report, as_dict, report
from execd.runtime.sequencer import Sequencer
from execd.runtime.session import Session, UnsafeError, arm, begin, resume
from execd.runtime.settings import LogFormat, Mode
from execd.runtime.shadow import Shadow
from execd.runtime.show import KILLED
from execd.runtime.tape import Tape
from execd.runtime.telemetry import FactLog, configure
from execd.venues import Venue
from execd.venues.fuse import Fuse

JOURNAL_FAILED = 70
"""Exit code of a process whose journal could not be written."""

LAST_WORD_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Between the last questions about our account: an outage or a ban at the very end is often over soon."""


class Screen(Protocol):
    """Shows progress to whoever looks."""

    def show(self, execution: Execution, now: Nanos) -> None:
        """Draw the present state."""
        ...

    def say(self, words: str) -> None:
        """Tell one sentence."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended: the report, and whether the parent stays resumable because the process was asked to leave."""

    report: Report
    drained: bool


async def run(job: Job, screen: Screen) -> Result:
    """Work a parent order until it is over or the process is asked to leave.

    Raises:
        InterlockError, UnsafeError, AdmissionRefused, SettingsError, JournalError, VenueError, PracticeError,
        ControlError: one clear sentence each; nothing was sent, or all that was sent stays in the journal.
    """
    launch.interlocks(job)
    clock = Clock()
    place = files.place(job)
    held_by = files.resumable(job, place, screen.say)
    async with AsyncExitStack() as stack:
        opened = await launch.open_exchange(job, clock, held_by)
        stack.push_async_callback(opened.venue.close)
        _log_to_stderr(job, opened.secrets)
        instrument = await launch.settle(job, opened, clock)
        for warning in opened.warnings:
            screen.say(warning)
        account = await opened.venue.account()
        if place.journal.exists():
            session = await resume(job, place, opened, account, clock, screen.say)
        else:
            session = await _begin(opened, begin(job, place, opened, instrument, account, clock, screen.say))
        stack.callback(session.journal.close)
        worker = _Worker(job, session, opened, clock, screen)
        end_quick_start()
        result = await worker.work()
    if result.drained:
        return result
    done = files.archive(place, result.report.execution.parent.id)
    if opened.own and opened.practice is not None:
        practice.stop(opened.practice)
    return Result(replace(result.report, journal=str(done)), drained=False)


async def _begin(opened: Opened, beginning: Awaitable[Session]) -> Session:
    """Begin; an exchange that we started for an order that is refused leaves again."""
    try:
        return await beginning
    except BaseException:
        if opened.own and opened.practice is not None:
            practice.stop(opened.practice)
        raise


class _Worker:
    """One life of the process on one parent."""

    def __init__(self, job: Job, session: Session, opened: Opened, clock: Clock, screen: Screen) -> None:
        self._job, self._session, self._opened = job, session, opened
        self._clock, self._screen = clock, screen
        self._venue: Venue = opened.venue
        self._metrics = Metrics(
            self._venue.name, job.order.symbol, session.advice.policy.name, version=execd.__version__, started=clock()
        )
        self._log = FactLog()
        self._finished: asyncio.Future[FinishParent] = asyncio.get_running_loop().create_future()
        self._fuse: Fuse | None = None
        self._signals = 0
        self._verdict: Verdict | None = None
        self._balance: BalanceCheck | None = None
        self._grip = Grip(self._venue, job.order.symbol, clock, screen.say, self._metrics.dead_man)
        self._kill: KillSwitch
        self._sweep: watch.Sweep

    @property
    def _execution(self) -> Execution:
        return next(iter(self._session.desk.executions.values()))

    async def work(self) -> Result:
        """Run until the parent is over or drained; return the account."""
        session = self._session
        session.journal.on_failure = _die
        session.journal.on_durable = self._metrics.appended
        for execution in session.desk.executions.values():
            self._log.know(execution.parent)
        try:
            async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
                advisor = Advisor(
                    session.advice.policy, self._metrics.inferred, session.advice.ranges, self._metrics.looked
                )
                sequencer = Sequencer(session.desk, session.journal, self._clock, self._witness)
                self._kill = KillSwitch(session.latch, session.desk, sequencer.post, self._metrics)
                stack.callback(self._kill.close)
                shadow = None
                if session.shadow is not None and session.shadow.fallback is None:
                    shadow = Shadow(session.shadow, sequencer.post)
                    stack.callback(shadow.close)
                sequencer.obey = Hands(
                    self._venue, advisor, sequencer.post, session.journal.sync, group, self._finish, shadow
                ).obey
                return await self._live(sequencer, group)
        except BaseExceptionGroup as broken:
            raise _first(broken) from broken

    def _witness(self, now: Nanos, event: Event, commands: Sequence[Command]) -> None:
        if self._fuse is not None:
            arrive(self._fuse, self._execution.limits, event)
        if isinstance(event, KillTripped):
            self._verdict = None  # What agreed before says nothing of what came after.
        self._kill.witness(now, event, commands, self._execution, self._fuse)
        # After what was decided is on its way: nobody waits for a line of the log, an order waits for this loop.
        asyncio.get_running_loop().call_soon(self._tell, now, event, commands)

    def _tell(self, now: Nanos, event: Event, commands: Sequence[Command]) -> None:
        self._log(now, event, commands)
        self._metrics(now, event, commands)

    async def _live(self, sequencer: Sequencer, group: asyncio.TaskGroup) -> Result:
        if self._opened.paper is None:  # What is imagined dies with us.
            await self._grip.arm()
        self._arm(sequencer)
        execution, tape = self._execution, Tape(self._venue, self._job.order.symbol, sequencer.post)
        if self._opened.paper is None:  # An imagined account's funds do not move.
            self._balance = BalanceCheck(self._venue, execution)
        status = self._status
        self._sweep = watch.Sweep(
            self._venue, self._session.latch, execution, sequencer.post, lambda: self._swept(sequencer)
        )
        door = Door(self._metrics.exposition, sequencer.behind, self._ready, status, self._kill.trip)
        place = files.place(self._job)
        control = Control(place.socket, execution.parent.id, sequencer.tell, self._session.journal.sync, status)
        control.look = self._kill.nudge
        async with AsyncExitStack() as stack:
            stack.push_async_callback(door.close)
            await self._open_door(door)
            stack.push_async_callback(control.close)
            await control.open()
            heart = Heart(place.heartbeat, self._who(), lambda: self._healthy(sequencer))
            stack.callback(heart.close)
            # The loop stands still: nothing that could be sent has been decided.
            await heart.begin()
            sequencer.pulse = lambda: self._come_round(heart)
            drained, complete = await self._trade(sequencer, group, tape)
            if not execution.blotter.alive:
                await heart.end()
            result = await self._account(sequencer, drained=drained, complete=complete)
            verdict = result.report.verdict
            if verdict.open:
                await heart.begin()  # What should not be there is left to the watchdog.
            closed = not execution.blotter.alive and verdict.unanswered is None and not verdict.open
            await self._grip.release(clean=closed)
            return result

    async def _trade(self, sequencer: Sequencer, group: asyncio.TaskGroup, tape: Tape) -> tuple[bool, bool]:
        """Let the loop run to its end; whether it was drained, and whether all prints of the window are known."""
        with self._signal_handlers(sequencer):
            tasks = [group.create_task(each) for each in self._tasks(sequencer, tape)]
            loop = group.create_task(sequencer.run())
            await self._finished
            drained = self._execution.phase is not Phase.DONE
            complete = drained or await tape.complete(self._execution, self._clock)
            for task in (*tasks, loop):
                task.cancel()
            await asyncio.wait([*tasks, loop])
        return drained, complete

    def _who(self) -> dict[str, str]:
        """What a heartbeat tells of this daemon."""
        header = self._session.journal.header
        return {"parent": header.parent, "symbol": self._job.order.symbol, "account": header.account}

    def _come_round(self, heart: Heart) -> None:
        """The loop that trades calls this itself, each time that it comes round."""
        heart.beat()
        self._grip.come_round()

    def _unwell(self, sequencer: Sequencer) -> str | None:
        """Why what is open at the exchange should not be kept alive."""
        if self._session.latch.tripped:
            return "the kill switch is latched"
        return None if self._healthy(sequencer) else "the loop that trades is behind"

    def _healthy(self, sequencer: Sequencer) -> bool:
        """Whether the loop that trades keeps up and what it decides can be recorded."""
        return sequencer.behind() < BEHIND_MAX_S and self._session.journal.failed is None

    def _arm(self, sequencer: Sequencer) -> None:
        """Give the venue its fuse, and tell the desk of this life."""
        session = self._session
        if isinstance(session.first, Recovered):
            self._fuse = arm(session, self._venue)
        sequencer.turn(session.first)
        if isinstance(session.first, ParentSubmitted):
            self._fuse = arm(session, self._venue)

    def _tasks(self, sequencer: Sequencer, tape: Tape) -> Iterator[Any]:
        timing, execution = self._job.settings.timing, self._execution
        yield self._venue.stream(self._job.order.symbol, sequencer.post)
        yield tape.mend_for_ever(execution)
        yield self._kill.watch(timing.latch_poll)
        yield self._sweep.run()
        yield watch.watch_account(self._venue, execution, sequencer.post, timing.reconcile, self._reconciled)
        if self._balance is not None:
            # Half as often as the fills: it takes three questions.
            yield self._balance.watch(Nanos(2 * timing.reconcile), self._metrics.drifted)
        yield watch.watch_clock(self._venue, timing.clock_check, lambda offset: self._clock_checked(sequencer, offset))
        yield loosening.watch(
            self._job.settings.state_dir,
            self._session.journal.path.stem,
            execution,
            self._clock,
            lambda fact: self._recorded(sequencer, fact),
        )
        journal = self._session.journal
        yield self._grip.keep(lambda: self._unwell(sequencer), lambda: journal.sync(journal.last))
        health = Health(self._job.settings.health, journal.path.parent, journal, uncovered=self._grip.problem)
        yield watch_health(health, lambda: execution.unwell, sequencer.post, self._metrics.loop_lagged)
        yield self._show_progress()

    async def _recorded(self, sequencer: Sequencer, fact: Event) -> None:
        await self._session.journal.sync(await sequencer.tell(fact))

    def _clock_checked(self, sequencer: Sequencer, offset: Nanos) -> None:
        self._metrics.clock_checked(offset)
        sequencer.post(ClockChecked(offset))

    async def _show_progress(self) -> None:
        while True:
            now = self._clock()
            self._screen.show(self._execution, now)
            self._metrics.parent(self._execution, now, latched=self._session.latch.latched)
            self._metrics.survived(self._venue.bad_frames)
            await asyncio.sleep(self._job.settings.timing.progress / 1e9)

    async def _open_door(self, door: Door) -> None:
        metrics = self._job.settings.metrics
        try:
            await door.open(metrics.host, metrics.port)
        except PortTakenError as error:
            if self._job.mode in (Mode.LIVE, Mode.TESTNET):
                raise UnsafeError(f"{error} (execd.yaml: metrics.port); an order must not run unseen") from error
            await door.open(metrics.host, 0)
            self._screen.say(f"{error}; metrics are on port {door.port} instead")

    async def _account(self, sequencer: Sequencer, *, drained: bool, complete: bool) -> Result:
        """Bring the account to its end: last facts, last view of the market, the exchange's word on it all."""
        sequencer.drain()
        sequencer.turn(Woken())
        execution = self._execution
        verdict = await self._compared(drained=drained)
        if verdict.missing_here:
            for fill in verdict.missing_here:
                sequencer.turn(OrderFilled(fill))
            verdict = await self._compared(drained=drained)
        self._reconciled(verdict)
        if self._balance is not None and verdict.unanswered is None:
            await self._balance.measure()
        await self._session.journal.sync(self._session.journal.last)
        if not complete:
            self._screen.say("not every public trade of the window could be fetched; the benchmark is incomplete")
        self._metrics.parent(execution, self._clock(), latched=self._session.latch.latched)
        return Result(self._report(verdict), drained)

    async def _compared(self, *, drained: bool) -> Verdict:
        """Our account against the exchange's, asked for again for a while where there is no answer and no hurry."""
        verdict = await compare(self._venue, self._execution)
        for pause_s in () if drained else LAST_WORD_PAUSES_S:
            if verdict.unanswered is None:
                break
            await asyncio.sleep(pause_s)
            verdict = await compare(self._venue, self._execution)
        return verdict

    def _report(self, verdict: Verdict) -> Report:
        session, advice = self._session, self._session.advice
        parent, found = self._execution.parent, self._opened.practice
        tape = None
        if found is not None and found.tape is not None:
            tape = {
                "file": found.tape.get("file"),
                "from_us": found.tape_moment(parent.start),
                "to_us": found.tape_moment(parent.end),
            }
        return report(
            self._execution,
            verdict,
            _use(advice),
            shadow=None if session.shadow is None else _use(session.shadow),
            mode=self._job.mode.value,
            journal=str(session.journal.path),
            tape=tape,
            balance_drift=None if self._balance is None else self._balance.drift,
        )

    def _status(self) -> dict[str, Any]:
        unknown = Verdict(0, 0, unanswered="not asked yet")
        execution = self._execution
        held = KILLED if execution.killed else execution.held(self._clock())
        alive = execution.blotter.alive.values()
        latch = self._session.latch
        latched = latch.latched
        return {
            **as_dict(self._report(self._verdict or unknown)),
            "held": held,
            "controls": [asdict(use) for use in uses(execution.risk_view(self._clock()))],
            "open_orders": len(alive),
            "in_doubt": sum(order.state is OrderState.IN_DOUBT for order in alive),
            "kill": {
                "latched": [scope.value for scope in latch.latches if scope in latched],
                "causes": [f"{scope.value}: {cause.cause} (by {cause.by})" for scope, cause in latch.causes()],
                "clear": self._sweep.clear,
            },
        }

    def _ready(self) -> dict[str, bool]:
        execution = self._execution
        return {
            "streams": not execution.streams_down,
            "journal": self._session.journal.failed is None,
            "not_killed": not execution.killed,
            "no_doubt": not any(order.state is OrderState.IN_DOUBT for order in execution.blotter.alive.values()),
        }

    def _reconciled(self, verdict: Verdict) -> None:
        self._verdict = verdict
        differences = len(verdict.missing_here) + len(verdict.missing_there) + len(verdict.different)
        self._metrics.reconciled(answered=verdict.unanswered is None, differences=differences)

    async def _swept(self, sequencer: Sequencer) -> None:
        """Nothing of ours is open after a kill: hold the accounts against each other, and say so."""
        await watch.look_at_account(self._venue, self._execution, sequencer.post, self._reconciled)
        self._screen.say("killed: the exchange has nothing of ours open, and had none a request's validity before")

    def _finish(self, command: FinishParent) -> None:
        if not self._finished.done():
            self._finished.set_result(command)

    @contextmanager
    def _signal_handlers(self, sequencer: Sequencer) -> Iterator[None]:
        """SIGTERM and SIGINT drain, the second of them leaves at once; SIGUSR1 trips the kill switch."""
        loop, current = asyncio.get_running_loop(), asyncio.current_task()
        assert current is not None

        def drain(name: str) -> None:
            self._signals += 1
            if self._signals > 1:
                current.cancel()
                return
            self._screen.say(f"{name}: canceling what is open; the parent stays resumable. Once more leaves at once")
            sequencer.post(DrainBegun(name))
            loop.call_later(self._job.settings.timing.drain / 1e9, self._give_up_draining)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, drain, number.name)
        loop.add_signal_handler(signal.SIGUSR1, lambda: self._kill.trip_soon(Scope.ALL, "SIGUSR1", Kind.SIGNAL.value))
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
                loop.remove_signal_handler(number)

    def _give_up_draining(self) -> None:
        if not self._finished.done():
            self._finished.set_exception(
                UnsafeError(
                    "not all orders could be ended in time (execd.yaml: timing.drain); run again to resolve them"
                )
            )


def _log_to_stderr(job: Job, secrets: tuple[str, ...]) -> None:
    log = job.settings.log
    configure(json=log.format is LogFormat.JSON, level=log.level.value, secrets=secrets)


def _use(advice: Advice) -> ModelUse:
    return ModelUse(advice.asked, advice.sha256, advice.fallback)


def _die(failure: JournalFailed) -> None:
    """What cannot be recorded must not be done: leave before anything else happens.  Called by the writer's thread."""
    sys.stderr.write(f"execd: {failure}; stopping at once\n")
    sys.stderr.flush()
    os._exit(JOURNAL_FAILED)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first cause inside nested groups."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
