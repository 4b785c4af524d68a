"""The oracles: what must be true after every fact, seen from the venue and from the operator, not from the core.

Each method is one promise; a broken one raises Wreck with a sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from execd.core.commands import Command, FinishParent, ProposeSlice, RaiseAlarm, RecordRefusal, SubmitOrder
from execd.core.desk import Desk
from execd.core.events import (
    Channel,
    ClockChecked,
    DrainBegun,
    Event,
    HealthChanged,
    KillReset,
    KillTripped,
    LimitOverridden,
    MarketObserved,
    ParentCanceled,
    ParentPaused,
    ParentResumed,
    ParentSubmitted,
    StreamLost,
    StreamRestored,
)
from execd.core.execution import Execution
from execd.core.grid import SECOND, Lots, Nanos, Side
from execd.core.limits import RiskLimits
from execd.core.orders import OrderKind
from execd.core.risk import Refusal
from execd.runtime.journal import Row
from execd.runtime.replay import Replay
from tests.sim.sea import Sea, Wreck
from tests.sim.venue import Venue

CLOCK_AWAY_MAX = 1.0
"""Seconds by which our time may differ from the venue's: an answer is never known to be younger."""

GRACE = 2 * SECOND
"""How long a trade may be missing before nothing crosses any more."""

FOR_A_PERSON = {"repeated", "slippage", "volatility", "anomaly"}
"""Alarms after which nothing is sent until an operator resumes."""

CONTROLS = {refusal.value for refusal in Refusal}


def must(true: bool, promise: str) -> None:
    """Wreck the voyage if a promise is broken."""
    if not true:
        raise Wreck(promise)


class Oracles:
    """Watches one voyage.  What operators and streams said is kept here from the facts alone."""

    def __init__(self, sea: Sea, venue: Venue, *, fair: bool) -> None:
        self.sea, self.venue, self.fair = sea, venue, fair
        self.paused: set[str] = set()
        self.canceled: set[str] = set()
        self.disabled: set[str] = set()
        self.killed = False
        self.draining = False
        self.unwell: str | None = None
        self.clock_offset = 0
        self.known: set[str] = set()
        self.loosened: list[LimitOverridden] = []
        self.down: set[Channel] = set(Channel)
        self.sent: set[str] = set()
        self.submits: Counter[str] = Counter()
        self.finished: dict[str, str] = {}
        self.aims: dict[str, tuple[int, int]] = {}
        self.shown = sea.now
        self.now = sea.now
        self.durable = 0
        self.rows_of: dict[str, int] = {}
        self.volumes: dict[str, int] = {}
        self.missing: dict[str, dict[tuple[int, int], int]] = {}
        """Of each parent the gaps of its last view, by their ids, with the moment at which each was first shown."""
        self.checks = 0

    def check(self, desk: Desk, now: Nanos, fact: Event, commands: Sequence[Command]) -> None:
        """Check all that can be checked after a fact and its commands; `now` is the process's own time."""
        self._time(now)
        if isinstance(fact, MarketObserved):
            must(not commands, "a look at the market is no decision")
            must(fact.view.volume >= self.volumes.get(fact.parent, 0), "the market's volume over the window fell")
            self._listen(fact)
            return
        self.checks += 1
        self._listen(fact)
        for command in commands:
            self._command(desk, command)
        for execution in desk.executions.values():
            self._room(execution)
            self._aim(execution)
            if self.checks % 64 == 0:
                execution.blotter.assert_sums()

    def _time(self, now: Nanos) -> None:
        """The process's time is the venue's, and never goes back."""
        must(now >= self.now, f"time went back by {(self.now - now) / SECOND:.3f} s")
        away = (now - self.sea.now - self.venue.skew) / SECOND
        must(abs(away) <= CLOCK_AWAY_MAX, f"our time is {away:.3f} s away from the venue's")
        self.now = now

    def recovered(self, before: Sequence[Row], rows: Sequence[Row], found: Replay) -> None:
        """A death has left a beginning of what was written, with all in it that was durable or has left us."""
        for number, (old, new) in enumerate(zip(before, rows, strict=False), 1):
            # A NaN is not equal to itself.
            if old != new and str(old) != str(new):
                raise Wreck(f"row {number} was {old}, and is read as {new}")
        must(len(rows) <= len(before), f"{len(before)} rows were written, {len(rows)} are read")
        must(len(rows) >= self.durable, f"{self.durable} rows were called durable, {len(rows)} are left")
        for difference in found.differences:
            raise Wreck(f"{difference.row}: replay gives {difference.now_gives}")
        must(found.rows == len(rows), f"{len(rows)} rows were read, {found.rows} replayed")
        known = {order for execution in found.desk.executions.values() for order in execution.blotter.orders}
        must(self.sent <= known, f"{sorted(self.sent - known)} have left us and are not in the journal")

    def reborn(self, rows: Sequence[Row], found: Replay) -> None:
        """The process is new: what it believed past its journal is forgotten, and so is any drain."""
        self.paused, self.canceled, self.killed, self.volumes = set(), set(), False, {}
        self.unwell, self.clock_offset, self.loosened, self.disabled = None, 0, [], set()
        self.known, self.missing = set(), {}
        for row in rows:
            self.now = row.at
            self._listen(row.fact)
            for command in row.commands:
                if isinstance(command, RaiseAlarm):
                    self._alarm(command)
        self.draining, self.down = False, set(Channel)
        self.finished, self.aims, self.rows_of = {}, {}, {}
        self.now = found.last

    def _listen(self, fact: Event) -> None:
        match fact:
            case MarketObserved(parent=parent, view=view):
                self.volumes[parent] = view.volume
                before = self.missing.get(parent, {}).items()
                self.missing[parent] = {
                    (gap.first, gap.last): min(
                        (at for (first, last), at in before if first <= gap.first and gap.last <= last),
                        default=self.now,
                    )
                    for gap in view.gaps
                }
            case ParentPaused(parent=parent):
                self.paused.add(parent)
            case ParentResumed(parent=parent):
                self.paused.discard(parent)
                self.disabled.discard(parent)
            case ParentCanceled(parent=parent):
                self.canceled.add(parent)
            case KillTripped():
                self.killed = True
            case KillReset():
                self.killed = False
            case DrainBegun():
                self.draining = True
            case HealthChanged(problem=problem):
                self.unwell = problem
            case ClockChecked(offset=offset):
                self.clock_offset = offset
            case ParentSubmitted(parent=parent):
                self.known.add(parent.id)
            # Of a parent that is not there yet, nothing is loosened.
            case LimitOverridden() if fact.parent in self.known:
                self.loosened.append(fact)
            case StreamLost(channel=channel):
                self.down.add(channel)
            case StreamRestored(channel=channel):
                self.down.discard(channel)
            case _:
                pass

    def _alarm(self, alarm: RaiseAlarm) -> None:
        if alarm.code in FOR_A_PERSON:
            self.disabled.add(alarm.parent)

    def _command(self, desk: Desk, command: Command) -> None:
        match command:
            case SubmitOrder():
                self._submit(desk.executions[command.order.rpartition("n")[0]], command)
            case FinishParent():
                self._finish(desk.executions[command.parent], command)
            case ProposeSlice():
                execution = desk.executions[command.parent]
                must(command.slice == execution.parent.slice_at(self.now), "a proposal is about the slice of now")
                must(command.due > self.now, "a policy is given time to think")
            case RecordRefusal(control=control):
                must(control in CONTROLS, f"a refusal names its control, not {control!r}")
            case RaiseAlarm():
                self._alarm(command)
                must(not self.fair, f"no alarm in fair weather: {command}")
            case _:
                pass

    # ------------------------------------------------------------------------------------------------ quantities

    def _room(self, execution: Execution) -> None:
        """Neither the venue's truth nor our belief exceeds the parent, and our belief is never the smaller."""
        parent, committed = execution.parent, execution.committed
        must(committed <= parent.quantity or execution.overfilled, "the core knows of more than the parent")
        if parent.id in self.venue.treacherous:
            return
        stake = self.venue.stakes.get(parent.id)
        if stake is None:
            return
        must(not execution.overfilled, "an honest venue does not overfill")
        if stake.whole > min(parent.quantity, committed):
            raise Wreck(f"at the venue {stake}; the core believes {committed}, the parent is {parent.quantity} lots")
        must(execution.filled <= stake.filled, f"the core counts {execution.filled} lots, the venue {stake.filled}")

    def _aim(self, execution: Execution) -> None:
        """Targets never fall, keep to the band, and reach the whole in the last slice."""
        slice_, schedule = execution.slice, execution.schedule
        if slice_ is None:
            return
        aim = (slice_.number, int(slice_.target))
        before = self.aims.get(execution.parent.id, (0, 0))
        if aim == before:
            return
        self.aims[execution.parent.id] = aim
        must(aim[1] >= before[1], f"the target fell from {before} to {aim}")
        ceiling = max(before[1], int(schedule.ceiling(slice_.number)))
        must(aim[1] <= ceiling, f"slice {aim[0]} aims at {aim[1]}, its band ends at {ceiling}")
        must(aim[1] >= schedule.planned(slice_.number) - schedule.band, "a target lies below its band")
        last = slice_.number == execution.parent.slices - 1
        must(not last or slice_.target == execution.parent.quantity, "the last slice aims at the whole")

    # --------------------------------------------------------------------------------------------------- orders

    def _submit(self, execution: Execution, order: SubmitOrder) -> None:
        """An order leaves only while everybody lets it, once, and within its parent's terms."""
        parent, now = execution.parent, self.now
        must(not self.killed, "an order left while the kill switch was latched")
        must(not self.draining, "an order left while draining")
        must(self.unwell is None, "an order left an unwell process")
        must(abs(self.clock_offset) <= execution.limits.clock_skew, "an order left by a clock that is off")
        must(parent.id not in self.disabled, "an order left after an alarm that only a person lifts")
        must(now >= execution.guard.calm_at, "an order left right after a jump of the market")
        must(parent.id not in self.paused, "an order left while its parent was paused")
        must(parent.id not in self.canceled, "an order left after its parent was canceled")
        must(parent.id not in self.finished, "an order left after its parent had ended")
        must(execution.halted is None, "an order left while halted")
        must(not self.down, f"an order left while a stream was down: {self.down}")
        must(now - self.shown <= execution.limits.stale_age, "an order left on a stale market")
        must(parent.start <= now < parent.end, "an order left outside its parent's window")
        must(order.order not in self.sent, f"{order.order} was sent twice")
        must(order.valid_until > now, "an order is valid when it leaves")
        if order.kind is OrderKind.TAKE:
            self._whole(execution)
        self._terms(execution, order)
        self._pace(execution)
        if not execution.overfilled:
            doubtful = any(child.doubted_at is not None and child.alive for child in execution.blotter.orders.values())
            must(not doubtful, "an order left while another was in doubt")

    def _whole(self, execution: Execution) -> None:
        """Nothing crosses while a trade of the participation window is known to have been missing for a while."""
        recent = self.now - execution.limits.participation_window
        missing = self.missing.get(execution.parent.id, {})
        for gap in execution.market.gaps:
            stood = self.now - min(missing[gap.first, gap.last], gap.until)
            must(gap.until <= recent or stood <= GRACE, f"an order crossed while {gap} was missing")

    def _limits(self, execution: Execution) -> RiskLimits:
        """What was in force when this was decided, by the facts alone."""
        loose: dict[str, Any] = {
            fact.key: fact.value
            for fact in self.loosened
            if fact.parent == execution.parent.id and self.now < fact.until
        }
        return replace(execution.limits, **loose)

    def _terms(self, execution: Execution, order: SubmitOrder) -> None:
        parent, limits = execution.parent, self._limits(execution)
        must(order.side is parent.side, "a child trades the way of its parent")
        if parent.limit is not None:
            beyond = order.limit > parent.limit if parent.side is Side.BUY else order.limit < parent.limit
            must(not beyond, f"a child at {order.limit} is beyond the parent's limit of {parent.limit}")
        must(parent.instrument.tradable(order.quantity, order.limit), "a child keeps the exchange's limits")
        must(order.quantity <= limits.child_quantity, "a child is no larger than risk allows")
        must(order.quantity * order.limit <= limits.child_notional, "a child is worth no more than risk allows")
        number = execution.parent.slice_at(self.now)
        must(execution.committed <= execution.schedule.ceiling(number), "quantity ran ahead of its schedule")
        must(len(execution.blotter.alive) <= limits.open_orders, "more orders are open than risk allows")

    def _pace(self, execution: Execution) -> None:
        parent, limits = execution.parent, execution.limits
        elapsed = (self.now - parent.start) / SECOND
        most = limits.message_burst + limits.messages_per_second * elapsed
        must(self.submits[parent.id] + 1 <= most, "orders left faster than risk allows")

    def left(self, order: SubmitOrder, now: Nanos, durable: int, *, latched: bool) -> None:
        """An order leaves us, for the wire: once, on record, in time, and not past a latched kill switch."""
        must(order.order not in self.sent, f"{order.order} was sent twice")
        row = self.rows_of.get(order.order)
        must(row is not None, f"{order.order} was sent, and this life has not decided it")
        must(row is not None and row <= durable, f"{order.order} was sent before its row {row} was durable")
        must(now <= order.valid_until, f"{order.order} was sent after its validity")
        must(not latched, f"{order.order} was sent while the kill switch was latched")
        self.sent.add(order.order)
        self.submits[order.order.rpartition("n")[0]] += 1

    # ---------------------------------------------------------------------------------------------------- the end

    def _finish(self, execution: Execution, command: FinishParent) -> None:
        """An end is told once, for a reason that is true, with nothing alive and nothing missing."""
        parent, why = execution.parent, command.why
        must(parent.id not in self.finished, f"{parent.id} ended twice: {self.finished.get(parent.id)}, {why}")
        if why.startswith("drained"):
            must(self.draining, "a parent was drained though nobody asked")
        else:
            self.finished[parent.id] = why
            true = {
                "filled": execution.filled >= parent.quantity,
                "the end came": self.now >= parent.end,
            }.get(why, why.startswith("canceled") and parent.id in self.canceled)
            must(true, f"{parent.id} ended because {why!r}, which is not so")
        stake = self.venue.stakes.get(parent.id)
        if stake is not None and parent.id not in self.venue.treacherous:
            must(stake.resting == 0 == stake.flying, f"{parent.id} ended ({why}) while {stake} stood at the venue")
            self.ledger(execution)

    def ledger(self, execution: Execution) -> None:
        """Our itemised ledger is the venue's, fill by fill."""
        theirs = {fill.id: fill for fill, _ in self.venue.fills if fill.order.startswith(f"{execution.parent.id}n")}
        ours = {fill.id: fill for fill in execution.blotter.fills}
        must(len(ours) == len(execution.blotter.fills), "a fill is in our ledger twice")
        lost, invented = sorted(theirs.keys() - ours.keys()), sorted(ours.keys() - theirs.keys())
        # Where the venue belied its own final count, that count no longer shows that a fill is missing.
        lost = [key for key in lost if theirs[key].order not in self.venue.betrayed]
        must(not lost, f"fills {lost} are not in our ledger")
        must(not invented, f"fills {invented} are in our ledger alone")
        must(
            all(fill == theirs[key] for key, fill in ours.items()), "a fill differs between our ledger and the venue's"
        )
        must(
            execution.filled == Lots(sum(fill.quantity for fill in ours.values())), "the count is not the ledger's sum"
        )

    def haven(self, desk: Desk, rows: int) -> None:
        """After the end: the ledger once more, late reports included."""
        for execution in desk.executions.values():
            execution.blotter.assert_sums()
            self.ledger(execution)
            must(not self.venue.stake(f"{execution.parent.id}n1").resting, "an order was left alive")
            if execution.parent.id in self.venue.treacherous and execution.overfilled:
                must(execution.halted is not None, "an overfill halts")
            if self.fair:
                why = self.finished.get(execution.parent.id)
                must(why == "filled", f"in fair weather a parent is filled, not {why!r} at {execution.filled}")
        must(rows > 0, "a voyage leaves a journal")
