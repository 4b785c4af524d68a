"""Planted bugs: each a small lie in one place of the core, most of them found in the wild (design notes, complaints).

A mutant patches the core while it is in force.  Where one defence hides another's failure, the other is switched off
too, and the mutant's sentence says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from execd.core import doubt, execution, risk, router
from execd.core.blotter import Blotter, Change
from execd.core.commands import Command, RaiseAlarm
from execd.core.desk import Desk
from execd.core.events import (
    CancelRefused,
    DrainBegun,
    Event,
    FillsListed,
    KillTripped,
    OrderAccepted,
    OrderClosed,
    OrderLost,
    OrderMissing,
    ParentPaused,
    Recovered,
    StreamLost,
)
from execd.core.execution import Execution
from execd.core.grid import Lots, Nanos, Ticks
from execd.core.guard import Guard
from execd.core.orders import ChildOrder, Fill, OrderState
from execd.core.schedule import Schedule

Patch = tuple[Any, str, Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted bug: what it does, the patches that plant it, and within how many seeds it must be found.

    `front`: the weather that it is looked for in, where it takes one that is rare.
    """

    name: str
    within: int
    patches: tuple[Patch, ...]
    front: str | None = None

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Have the bug in force."""
        with ExitStack() as stack:
            for place, name, lie in self.patches:
                stack.enter_context(patch.object(place, name, lie))
            yield


# What is patched, as it was.
_leaves: Callable[[ChildOrder], Lots] = ChildOrder.__dict__["leaves"].fget
_record = ChildOrder.record
_apply_report = Blotter._apply
_apply = Execution._apply
_begin_slice = Execution._begin_slice
_resolve_doubts = Execution._resolve_doubts
_recover = Execution._recover
_plan = router.plan
_held = Execution.held
_question = doubt.question


def _without(*states: OrderState) -> property:
    """Leaves that forget the rest of orders in some states."""

    def leaves(order: ChildOrder) -> Lots:
        return Lots(0) if order.state in states else _leaves(order)

    return property(leaves)


def _deaf_to(*facts: type) -> Callable[[Execution, Nanos, Event], list[Command]]:
    """An execution that does not listen to some facts."""

    def apply(deaf: Execution, now: Nanos, event: Event) -> list[Command]:
        return [] if isinstance(event, facts) else _apply(deaf, now, event)

    return apply


def _close(blotter: Blotter, order: ChildOrder) -> None:
    if order.move(OrderState.CLOSED):
        blotter._retire(order)


def _lost_is_closed(blotter: Blotter, now: Nanos, order: ChildOrder, event: Event) -> None:
    if isinstance(event, OrderLost):
        order.move(OrderState.CLOSED)
    else:
        _apply_report(blotter, now, order, event)  # type: ignore[arg-type]  # as it came


def _refused_is_closed(blotter: Blotter, now: Nanos, order: ChildOrder, event: Event) -> None:
    if isinstance(event, CancelRefused):
        order.move(OrderState.CLOSED)
    else:
        _apply_report(blotter, now, order, event)  # type: ignore[arg-type]  # as it came


def _closed_uncounted(blotter: Blotter, now: Nanos, order: ChildOrder, event: Event) -> None:
    if isinstance(event, OrderClosed):
        order.move(OrderState.CLOSED)
    else:
        _apply_report(blotter, now, order, event)  # type: ignore[arg-type]  # as it came


def _missing_is_closed(blotter: Blotter, now: Nanos, order: ChildOrder, event: Event) -> None:
    _apply_report(blotter, now, order, event)  # type: ignore[arg-type]  # as it came
    if isinstance(event, OrderMissing) and order.missing >= doubt.MISSING_NEEDED:
        order.move(OrderState.CLOSED)


def _found_and_left(blotter: Blotter, now: Nanos, order: ChildOrder, event: Event) -> None:
    if isinstance(event, OrderAccepted) and order.state is OrderState.IN_DOUBT:
        order.report(event.filled)
    else:
        _apply_report(blotter, now, order, event)  # type: ignore[arg-type]  # as it came


def _accept_revives(blotter: Blotter, now: Nanos, order: ChildOrder, event: Event) -> None:
    if isinstance(event, OrderAccepted):
        order.venue_id, order.state = event.venue_id, OrderState.WORKING
        order.report(event.filled)
    else:
        _apply_report(blotter, now, order, event)  # type: ignore[arg-type]  # as it came


def _count_again(order: ChildOrder, fill: Fill) -> bool:
    return _record(order, fill if fill.id not in order.fills else replace(fill, id=f"{fill.id}+{len(order.fills)}"))


def _none_after_close(order: ChildOrder, fill: Fill) -> bool:
    return order.alive and _record(order, fill)


def _impatient(execution: Execution, now: Nanos) -> list[Command]:
    for order in list(execution.blotter.alive.values()):
        if order.state is OrderState.IN_DOUBT and order.doubted_at is not None and now >= order.doubted_at + 10**9:
            _close(execution.blotter, order)
    return _resolve_doubts(execution, now)


def _work_beside_doubt(execution: Execution, now: Nanos) -> str | None:
    words = _held(execution, now)
    return risk.stale(now, execution.market, execution.limits) if words == "an order is in doubt" else words


def _plan_beside(
    now: Nanos, parent: Any, slice_: Any, market: Any, alive: list[ChildOrder], committed: Lots, *, passive: bool
) -> Any:
    sure = [order for order in alive if order.state is not OrderState.IN_DOUBT]
    return _plan(now, parent, slice_, market, sure, committed, passive=passive)


def _plan_beside_cancel(
    now: Nanos, parent: Any, slice_: Any, market: Any, alive: list[ChildOrder], committed: Lots, *, passive: bool
) -> Any:
    sure = [order for order in alive if order.state is not OrderState.CANCELING]
    return _plan(now, parent, slice_, market, sure, committed, passive=passive)


def _forgetful(execution: Execution, now: Nanos) -> list[Command]:
    for order in list(execution.blotter.alive.values()):
        _close(execution.blotter, order)
    return _recover(execution, now)


def _still_draining(execution: Execution, now: Nanos) -> list[Command]:
    draining = execution.draining
    commands = _recover(execution, now)
    execution.draining = draining
    return commands


def _born_deaf(desk: Desk, now: Nanos, event: Any) -> list[Command]:
    execution = desk.executions[event.parent.id] = Execution(event)
    return execution.handle(now, event)


def _recover_dumb(execution: Execution, now: Nanos) -> list[Command]:
    _recover(execution, now)
    return []


def _drop(blotter: Blotter, now: Nanos, event: Event) -> Change:
    return Change(None, 0, 0)


def _pass(draft: risk.Draft, view: risk.RiskView) -> risk.Approved:
    return risk.Approved(draft, view.now)


def _any_size(view: risk.RiskView, limit: Ticks) -> tuple[Lots, risk.Refusal]:
    return Lots(10**9), risk.Refusal.ROOM


def _controls_but(refusal: risk.Refusal) -> tuple[Any, ...]:
    return tuple(each for each in risk.CONTROLS if each[0] is not refusal)


def _afresh(execution: Execution, number: int, share: float | None, decided_by: str, why: str) -> None:
    execution.slice = None
    _begin_slice(execution, number, share, decided_by, why)


def _unclamped(schedule: Schedule, number: int, wanted: Lots) -> Lots:
    return wanted


class _Odd:
    """Decides by what no journal holds."""

    count = 0

    @classmethod
    def price(cls, parent: Any, market: Any) -> Any:
        cls.count += 1
        return _rest_price(parent, market) + cls.count % 2


_rest_price = router._rest_price


def _shrugged(guard: Guard, code: str, text: str) -> None:
    guard._alarms.append(RaiseAlarm(guard._parent.id, code, text))


def _loose_for_ever(guard: Guard, _now: Nanos) -> Any:
    values: dict[str, Any] = {each.key: each.value for each in guard._overrides}
    return replace(guard._limits, **values)


MUTANTS = (
    # Quantity and doubt.
    Mutant(
        "quantity is released when a cancel is asked for", 30, ((ChildOrder, "leaves", _without(OrderState.CANCELING)),)
    ),
    Mutant(
        "a replacement leaves before the cancel is confirmed, its room forgotten",
        30,
        ((ChildOrder, "leaves", _without(OrderState.CANCELING)), (router, "plan", _plan_beside_cancel)),
    ),
    Mutant("a time-out is taken for a rejection", 30, ((Blotter, "_apply", _lost_is_closed),)),
    Mutant("a refused cancel is taken for a close", 30, ((Blotter, "_apply", _refused_is_closed),)),
    Mutant(
        "a doubtful order is given up after a second and sent anew", 30, ((Execution, "_resolve_doubts", _impatient),)
    ),
    Mutant("room forgets orders in doubt", 30, ((ChildOrder, "leaves", _without(OrderState.IN_DOUBT)),)),
    Mutant(
        "room forgets orders in doubt, and work goes on beside them",
        30,
        (
            (ChildOrder, "leaves", _without(OrderState.IN_DOUBT)),
            (Execution, "held", _work_beside_doubt),
            (router, "plan", _plan_beside),
        ),
    ),
    Mutant(
        '"not found" is believed while the submit may be in flight',
        200,
        ((doubt, "expires", lambda order, _: order.sent_at), (doubt, "ANSWER_WITHIN", 0)),
    ),
    Mutant('"not found" is believed of a moment past', 400, ((doubt, "ANSWER_WITHIN", 0),), front="slow network"),
    Mutant('one "not found" is enough', 200, ((doubt, "MISSING_NEEDED", 1),), front="stubborn venue"),
    Mutant(
        '"not found" is believed without the list of fills',
        200,
        ((Blotter, "_apply", _missing_is_closed),),
        front="amnesia",
    ),
    Mutant("the list of fills ends no doubt", 60, ((Execution, "_apply", _deaf_to(FillsListed)),)),
    Mutant("an order found alive after a doubt is not canceled again", 200, ((Blotter, "_apply", _found_and_left),)),
    Mutant("a late acknowledgment undoes a cancel or a close", 60, ((Blotter, "_apply", _accept_revives),)),
    # The ledger.
    Mutant("a fill that comes twice counts twice", 30, ((ChildOrder, "record", _count_again),)),
    Mutant("a fill after the close is refused", 60, ((ChildOrder, "record", _none_after_close),)),
    Mutant("the venue's final count is ignored", 60, ((Blotter, "_apply", _closed_uncounted),)),
    Mutant("fills that were counted are not asked for at the end", 60, ((Blotter, "unitemised", False),)),
    Mutant("a fill of an order that we never sent is dropped", 60, ((Blotter, "_stray", _drop),), front="treachery"),
    Mutant("an overfill does not halt", 60, ((Execution, "_halt", lambda *_: []),), front="treachery"),
    # Recovery.
    Mutant("recovery forgets what was in flight", 60, ((Execution, "_recover", _forgetful),)),
    Mutant("recovery goes on draining", 60, ((Execution, "_recover", _still_draining),)),
    Mutant("recovery is not told", 60, ((Execution, "_apply", _deaf_to(Recovered)),)),
    Mutant("an end that a crash cut off is not told again", 60, ((Execution, "_recover", _recover_dumb),)),
    Mutant("a decision rests on what the journal does not hold", 30, ((router, "_rest_price", _Odd.price),)),
    # Holds.
    Mutant("the kill switch is ignored", 60, ((Execution, "_apply", _deaf_to(KillTripped)),)),
    Mutant("a pause is ignored", 100, ((Execution, "_apply", _deaf_to(ParentPaused)),)),
    Mutant("a drain is ignored", 60, ((Execution, "_apply", _deaf_to(DrainBegun)),)),
    Mutant("a lost stream is ignored", 100, ((Execution, "_apply", _deaf_to(StreamLost)),)),
    Mutant("a stale market is traded on", 60, ((risk, "stale", lambda *_: None),)),
    Mutant("an order crosses while trades are missing (both defences off)", 60, ((Guard, "suspect", lambda *_: None),)),
    Mutant("an unwell process trades on", 60, ((risk, "CONTROLS", _controls_but(risk.Refusal.UNWELL)),)),
    Mutant("a clock that is off is traded by", 60, ((risk, "CONTROLS", _controls_but(risk.Refusal.CLOCK)),)),
    Mutant("a parent that only a person may resume goes on", 100, ((Guard, "disable", _shrugged),)),
    Mutant("a loosened limit stays loose", 400, ((Guard, "in_force", _loose_for_ever),)),
    Mutant("a parent is born deaf to what stands", 100, ((Desk, "_submit", _born_deaf),)),
    # Plans, proposals, the gate.
    Mutant("a target may fall", 60, ((Execution, "_begin_slice", _afresh),)),
    Mutant("a proposal is not clamped to its band", 30, ((Schedule, "clamp", _unclamped),)),
    Mutant("an absurd proposal is believed", 200, ((execution, "sane", lambda _: True),)),
    Mutant(
        "a child may go beyond the parent's limit (both defences off)",
        60,
        ((router, "_inside", lambda _, price: price), (risk, "CONTROLS", _controls_but(risk.Refusal.LIMIT_PRICE))),
    ),
    Mutant("the gate lets all pass (both defences off)", 30, ((risk, "check", _pass), (risk, "allowance", _any_size))),
)
"""Every planted bug, with the number of seeds within which it must be found."""
