"""All parents of this process, and the latch that stands over them.

Promise: each fact reaches the executions that it concerns, and no other; a parent that comes later is born into what
stands by then: the kill switch latched, a drain begun, an unwell process, the streams up.
"""

from __future__ import annotations

from execd.core.blotter import Report
from execd.core.commands import Command
from execd.core.events import (
    CancelRefused,
    Channel,
    ClockChecked,
    DrainBegun,
    Event,
    FillsListed,
    HealthChanged,
    KillReset,
    KillTripped,
    LimitOverridden,
    MarketObserved,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    ParentCanceled,
    ParentPaused,
    ParentResumed,
    ParentSubmitted,
    ProposalFailed,
    Recovered,
    ShadowProposed,
    SliceProposed,
    StreamLost,
    StreamRestored,
    Woken,
)
from execd.core.execution import Execution
from execd.core.grid import Nanos


class Desk:
    """The executions of this process by parent id."""

    def __init__(self) -> None:
        self.executions: dict[str, Execution] = {}
        self.killed: KillTripped | None = None
        self._draining: DrainBegun | None = None
        self._up: dict[Channel, StreamRestored] = {}
        self._health: HealthChanged | None = None
        self._clock: ClockChecked | None = None

    def deadline(self) -> Nanos | None:
        """The earliest moment at which an execution wants to be woken."""
        earliest = None
        for execution in self.executions.values():
            moment = execution.deadline()
            if moment is not None and (earliest is None or moment < earliest):
                earliest = moment
        return earliest

    def handle(self, now: Nanos, event: Event) -> list[Command]:
        """Route a fact and gather the commands that it causes."""
        if isinstance(event, ParentSubmitted):
            return self._submit(now, event)
        self._note(event)
        commands: list[Command] = []
        for execution in self._concerned(event):
            commands += execution.handle(now, event)
        return commands

    def _note(self, event: Event) -> None:
        """Keep what a parent that comes later must be told."""
        match event:
            case KillTripped():
                self.killed = event
            case KillReset():
                self.killed = None
            case DrainBegun():
                self._draining = event
            case HealthChanged():
                self._health = event
            case ClockChecked():
                self._clock = event
            case StreamRestored(channel=channel):
                self._up[channel] = event
            case StreamLost(channel=channel):
                self._up.pop(channel, None)
            case Recovered():
                self._draining = None
                self._up.clear()
            case _:
                pass

    def _submit(self, now: Nanos, event: ParentSubmitted) -> list[Command]:
        assert event.parent.id not in self.executions, f"parent {event.parent.id} was submitted twice"
        execution = self.executions[event.parent.id] = Execution(event)
        commands = execution.handle(now, event)
        # What holds it back comes before what lets it go.
        for standing in (self.killed, self._draining, self._health, self._clock, *self._up.values()):
            if standing is not None:
                commands += execution.handle(now, standing)
        return commands

    def _concerned(self, event: Event) -> list[Execution]:
        match event:
            case (
                MarketObserved(parent=parent)
                | SliceProposed(parent=parent)
                | ProposalFailed(parent=parent)
                | ShadowProposed(parent=parent)
                | ParentPaused(parent=parent)
                | ParentResumed(parent=parent)
                | ParentCanceled(parent=parent)
                | LimitOverridden(parent=parent)
            ):
                found = self.executions.get(parent)
                return [] if found is None else [found]
            case OrderAccepted() | OrderFilled() | OrderClosed() | OrderLost() | OrderMissing() | CancelRefused():
                found = self.executions.get(parent_of(event))
                return [] if found is None else [found]
            case (
                Woken()
                | Recovered()
                | FillsListed()
                | StreamLost()
                | StreamRestored()
                | DrainBegun()
                | KillTripped()
                | KillReset()
                | ClockChecked()
                | HealthChanged()
                | ParentSubmitted()
            ):
                return list(self.executions.values())


def parent_of(event: Report) -> str:
    """The parent id inside a report's client id, "" where it is none of ours."""
    client_id = event.fill.order if isinstance(event, OrderFilled) else event.order
    parent, _, number = client_id.rpartition("n")
    return parent if number.isdigit() else ""
