"""One parent order, from first look to last fill.

    prints in  -> `observe`  (nothing out; what was waited for brings the deadline forward)
    facts in   -> `handle`   -> commands out
    `deadline` -> when to wake us if nothing happens

Promise: commands never put more at risk than the parent order asks for.  After every event filled + what may still
fill <= quantity, or the venue overfilled us, and then we are halted.  A fill is never refused.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import assert_never

from execd.core import awaited, doubt, risk, router
from execd.core.blotter import Blotter, Report
from execd.core.commands import (
    CancelOrder,
    Command,
    FinishParent,
    ListFills,
    Observation,
    ProposeSlice,
    RaiseAlarm,
    RecordRefusal,
    SubmitOrder,
)
from execd.core.events import (
    Bar,
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
    MarketView,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    ParentCanceled,
    ParentPaused,
    ParentResumed,
    ParentSubmitted,
    Print,
    ProposalFailed,
    Recovered,
    ShadowProposed,
    SliceProposed,
    StreamLost,
    StreamRestored,
    Woken,
)
from execd.core.grid import MINUTE, SECOND, Lots, Nanos, Notional, Ticks
from execd.core.guard import Guard
from execd.core.ledger import SliceRecord
from execd.core.orders import ChildOrder, OrderState
from execd.core.schedule import Schedule, sane
from execd.core.throttle import Throttle
from execd.core.vwap import VwapTracker

LOOK_EVERY = Nanos(SECOND // 2)
"""How often we look again while something outside keeps us from trading."""

BROUGHT_EVERY = Nanos(5_000_000)
"""Between two looks that a print has brought forward: a flood of prints is no flood of decisions."""

INCOMPLETE = "market data are incomplete: resting only"
"""The ledger's note of a slice that would have crossed by now."""

LIST_TRIES_MAX = 150
"""How often we ask for fills that the venue counted but has not itemised, before we end without them: five minutes."""


class Phase(Enum):
    """Where the parent stands.  Holds (pause, kill, drain, streams) are independent facts beside it."""

    WAITING = "waiting"  # Before its start.
    WORKING = "working"
    ENDING = "ending"  # Nothing new; what is alive is being ended.
    DONE = "done"  # Nothing alive, nothing in doubt.


class Execution:
    """Works one parent order.  `handle` is the only place where decisions are made."""

    def __init__(self, submitted: ParentSubmitted) -> None:
        self.parent = submitted.parent
        self.limits = submitted.limits
        self.validity = submitted.validity
        self.own_prints = submitted.own_prints
        self.history = submitted.history
        self.hours = submitted.hours
        self._proposal_within = submitted.proposal_within
        self.schedule = Schedule(submitted.parent, submitted.curve, submitted.limits.ahead_ppm)
        self.tracker = VwapTracker(
            submitted.parent, submitted.limits.participation_window, contiguous=submitted.contiguous
        )
        self.phase = Phase.WAITING
        self.market = MarketView()
        self.bars: dict[int, Bar] = {}
        self.arrival2: int | None = None
        self.blotter = Blotter(submitted.validity)
        self.guard = Guard(submitted.parent, submitted.limits)
        self.slice: router.Slice | None = None
        self.ledger: dict[int, SliceRecord] = {}
        self.shadow: dict[int, ShadowProposed] = {}
        self.refused: Counter[str] = Counter()
        self.clipped: Counter[str] = Counter()
        self.ended_why: str | None = None
        self.overfilled = False
        # Holds: each an independent fact.
        self.killed = False
        self.paused_by: str | None = None
        self.canceled_by: str | None = None
        self.draining: str | None = None
        self.halted: str | None = None
        self.unwell: str | None = None
        self.clock_offset = Nanos(0)
        self.streams_down: dict[Channel, str] = dict.fromkeys(Channel, "not up yet")
        # The proposal that is out, and when the curve takes over.
        self._asked: int | None = None
        self._due: Nanos = Nanos(0)
        self._tokens = submitted.limits.message_burst * SECOND
        self._tokens_at = submitted.parent.start
        self._rejects = 0
        self._lately = Throttle()
        self._day_spent = submitted.day_spent
        self._hold_until = Nanos(0)
        # Where the market alone is in the way: until when that is not told again, and whether it is stale, or the gate
        # refuses.  Then the print that may end it: prints are in no journal, they move the deadline and decide nothing.
        self._blocked_until = Nanos(0)
        self._blocked_stale = False
        self._awaited: awaited.Awaited | None = None
        self._brought = False
        self._bring_from = Nanos(0)
        self._listed_at: Nanos | None = None
        self._list_tries = 0
        self._wake: Nanos | None = Nanos(0)

    # ------------------------------------------------------------------------------------------------ quantities

    @property
    def filled(self) -> Lots:
        """Lots that traded."""
        return self.blotter.filled

    @property
    def committed(self) -> Lots:
        """Filled plus what may still fill."""
        return Lots(self.blotter.filled + self.blotter.leaves)

    @property
    def uncommitted(self) -> int:
        """Lots that may still be sent.  Negative only if the venue overfilled us."""
        return self.parent.quantity - self.committed

    # -------------------------------------------------------------------------------------------------- the port

    def observe(self, now: Nanos, event: Print) -> bool:
        """Take a print or a quote into account; True where it has brought the deadline forward.

        O(1); touches no order and decides nothing.
        """
        self.tracker.observe(now, event)
        if self._awaited is None or not self._awaited.met(event):
            return False
        self._awaited, self._brought = None, True
        look_at = Nanos(min(max(now, self._bring_from), now + BROUGHT_EVERY))
        self._bring_from = Nanos(look_at + BROUGHT_EVERY)
        self._wake_at(look_at)
        return True

    def deadline(self) -> Nanos | None:
        """When `handle(now, Woken())` should come if nothing else does; None: never."""
        return self._wake

    def handle(self, now: Nanos, event: Event) -> list[Command]:
        """Apply a fact and say what should be done.  Pure: the same facts give the same commands."""
        if isinstance(event, MarketObserved):
            self._see(now, event.view)
            return []
        if isinstance(event, ShadowProposed):
            # Before the step: not even a deadline moves for a model that only watches.
            self.shadow[event.slice] = event
            return []
        commands = self._apply(now, event)
        commands += self._step(now)
        commands += self.guard.alarms()
        self._assert_room()
        return commands

    def _apply(self, now: Nanos, event: Event) -> list[Command]:
        """The only fork: what each fact changes."""
        match event:
            case SliceProposed() | ProposalFailed():
                self._decide(now, event)
            case OrderAccepted() | OrderFilled() | OrderClosed() | OrderLost() | OrderMissing() | CancelRefused():
                return self._report(now, event)
            case FillsListed(through=through):
                self._close_missing(through)
            case Recovered():
                return self._recover(now)
            case StreamLost(channel=channel, why=why):
                self.streams_down[channel] = why
            case StreamRestored(channel=channel):
                self.streams_down.pop(channel, None)
            case ParentPaused(by=by):
                self.paused_by = by
            case ParentResumed():
                self.paused_by, self._rejects = None, 0
                self.guard.resume()
                self._lately.clear()
            case ParentCanceled(by=by):
                self.canceled_by = by
            case DrainBegun(why=why):
                self.draining = why
            case KillTripped():
                self.killed = True
            case KillReset():
                self.killed = False
            case ClockChecked(offset=offset):
                self.clock_offset = offset
            case HealthChanged(problem=problem):
                self.unwell = problem
            case LimitOverridden():
                self.guard.loosen(event)
            case Woken() | MarketObserved() | ParentSubmitted() | ShadowProposed():
                pass
            case _:
                assert_never(event)
        return []

    # ------------------------------------------------------------------------------------------------- the market

    def suspect(self, now: Nanos) -> str | None:
        """Why orders only rest now, in words: trades are missing; None where the market's data are complete enough."""
        return self.guard.suspect(now)

    def _see(self, now: Nanos, view: MarketView) -> None:
        self.market = view
        self.guard.miss(now, view)
        if self.phase is Phase.WORKING:
            self.guard.feel(now, view)
        for bar in view.bars:
            self.bars[self.parent.slice_at(bar.start)] = bar
        if self.arrival2 is None:
            self.arrival2 = view.mid2

    def bar(self, number: int) -> Bar:
        """The market in slice `number`; an empty bar where nothing traded."""
        before = self.bars.get(number - 1)
        close = before.close if before else Ticks(0)
        return self.bars.get(number) or Bar(self.parent.boundary(number), Lots(0), Notional(0), close, 0)

    # ------------------------------------------------------------------------------------------- slices, proposals

    def observation(self, now: Nanos, number: int) -> Observation:
        """What a policy is told before slice `number`."""
        parent = self.parent
        return Observation(
            instrument=parent.instrument,
            side=parent.side,
            now=now,
            start=parent.start,
            end=parent.end,
            slice=number,
            slices=parent.slices,
            interval=Nanos(parent.boundary(number + 1) - parent.boundary(number)),
            quantity=parent.quantity,
            filled=self.filled,
            own_notional=self.blotter.notional,
            bars=tuple(self.bar(index) for index in range(number)),
            history=self.history,
            curve=self.schedule.curve,
            arrival=None if self.arrival2 is None else self.arrival2 / 2,
            mid2=self.market.mid2,
            hours=self.hours,
        )

    def _ask(self, now: Nanos, number: int) -> ProposeSlice:
        begin, end = self.parent.boundary(number), self.parent.boundary(number + 1)
        self._asked = number
        self._due = Nanos(now + min(self._proposal_within, (end - begin) // 4))
        return ProposeSlice(self.parent.id, number, self.observation(now, number), self._due)

    def _decide(self, now: Nanos, event: SliceProposed | ProposalFailed) -> None:
        if event.slice != self._asked or now >= self._due:
            return  # A late answer: the curve has decided or is about to, or the slice is over.
        if isinstance(event, ProposalFailed):
            self._begin_slice(event.slice, None, "curve", event.why)
        elif not sane(event.share):
            self._begin_slice(event.slice, None, "curve", f"{event.model} proposed {event.share}")
        else:
            self._begin_slice(event.slice, event.share, event.model, "proposed")

    def _begin_slice(self, number: int, share: float | None, decided_by: str, why: str) -> None:
        """Set the target of a slice: the proposal inside the schedule's band, never below what was aimed at before."""
        self._asked = None
        planned = self.schedule.planned(number)
        wanted = planned if share is None else self.schedule.wanted(self.filled, share)
        aimed = self.slice.target if self.slice else Lots(0)
        target = Lots(max(aimed, self.schedule.clamp(number, wanted)))
        begin, end = self.parent.boundary(number), self.parent.boundary(number + 1)
        self.slice = router.Slice(number, target, begin, end)
        record = SliceRecord(number, begin, end, planned, target, share, decided_by, why, self.filled)
        if share is not None and target != wanted:
            record.note("clamped to the schedule's band" if number < self.parent.slices - 1 else "last slice: the rest")
        self.ledger[number] = record

    # ---------------------------------------------------------------------------------------------------- reports

    def _report(self, now: Nanos, event: Report) -> list[Command]:
        change = self.blotter.report(now, event)
        order = change.order
        if order is None:
            if not change.lots:
                return []
            self.overfilled = self.overfilled or self.uncommitted < 0
            return self._halt("stray_fill", f"a fill of an order that we never sent was booked: {event}")
        record = self.ledger[order.slice]
        record.filled += change.lots
        record.notional += change.notional
        if change.closed and not order.filled and isinstance(event, OrderClosed):
            record.note(f"unfilled: {event.reason.partition(':')[0]}")
        if isinstance(event, OrderAccepted) or change.lots:
            self._rejects = 0
        if change.lots:
            self._lately.fill(now)
            self._weigh(now, order, event)
        if change.closed:
            self._hold_until = Nanos(max(self._hold_until, order.sent_at + router.RETRY))
        if change.rejected:
            self._rejects += 1
            self._lately.reject(now)
            self._hold_until = Nanos(now + router.RETRY * 2 ** min(self._rejects, 5))
        if order.filled > order.quantity or self.uncommitted < 0:
            self.overfilled = True
            return self._halt("overfill", f"{order.client_id}: {order.filled} of {order.quantity} lots were filled")
        return []

    def _weigh(self, now: Nanos, order: ChildOrder, event: Report) -> None:
        if isinstance(event, OrderFilled):
            self.guard.examine(order, event.fill)
        # Lots that were counted and not itemised have no price yet.
        if self.arrival2 is not None and not self.blotter.unitemised:
            self.guard.weigh(now, self.filled, self.blotter.notional, self.market, self.arrival2)

    def _halt(self, code: str, text: str) -> list[Command]:
        first = self.halted is None
        self.halted = self.halted or f"halted: {text}"
        return [RaiseAlarm(self.parent.id, code, text)] if first else []

    def _close_missing(self, through: Nanos) -> None:
        for order in self.blotter.close_missing(through):
            self.ledger[order.slice].note("gone" if order.filled else "never arrived")

    def _recover(self, now: Nanos) -> list[Command]:
        """The process is new: what was in flight is in doubt, what was asked is forgotten, nothing is up."""
        self.blotter.doubt_all(now)
        self._asked = None
        self.draining = None
        self._listed_at, self._list_tries = None, 0
        self.streams_down = dict.fromkeys(Channel, "not up yet")
        # The old process may have died between deciding that this was the end and saying so.
        return [] if self.ended_why is None else [FinishParent(self.parent.id, self.ended_why)]

    # -------------------------------------------------------------------------------------------------- the step

    def _step(self, now: Nanos) -> list[Command]:
        """After any fact: doubts first, then what the phase demands.  Sets the next deadline."""
        self._wake = self._awaited = None
        if self.phase is Phase.DONE:
            return []
        commands = self._resolve_doubts(now)
        if self.phase is Phase.WAITING and now >= self.parent.start:
            self.phase = Phase.WORKING
        if self._over(now):
            self.phase = Phase.ENDING
        if self.phase is Phase.ENDING or self.draining:
            commands += self._cancel_working(now)
            commands += self._finish(now)
        elif self.phase is Phase.WAITING:
            self._wake_at(self.parent.start)
        elif self.held(now) or self.killed:
            commands += self._cancel_working(now)
            self._wake_at(Nanos(now + LOOK_EVERY))
            self._wake_at(self.parent.end)
            if not self.killed and self._stopped(now) is None:
                self._wait_for(now, awaited.news(self.market), stale=True)
        else:
            commands += self._work(now)
        return commands

    def _wake_at(self, moment: Nanos) -> None:
        self._wake = moment if self._wake is None else min(self._wake, moment)

    def _over(self, now: Nanos) -> bool:
        return now >= self.parent.end or self.canceled_by is not None or self.filled >= self.parent.quantity

    def held(self, now: Nanos) -> str | None:
        """Why no new order may be sent now, in words; None if one may (the gate has its say all the same)."""
        return self._stopped(now) or risk.stale(now, self.market, self.limits)

    def _stopped(self, now: Nanos) -> str | None:
        """Why, whatever the market is like."""
        if self.halted:
            return self.halted
        if self.guard.disabled:
            return self.guard.disabled
        if self.paused_by:
            return f"paused by {self.paused_by}"
        if self.draining:
            return f"draining: {self.draining}"
        for channel, why in self.streams_down.items():
            return f"the {channel.value} stream is down: {why}"
        if any(order.state is OrderState.IN_DOUBT for order in self.blotter.alive.values()):
            return "an order is in doubt"
        return self.guard.paused(now)

    def _resolve_doubts(self, now: Nanos) -> list[Command]:
        commands: list[Command] = []
        for order in self.blotter.alive.values():
            since = order.canceled_at if order.state is OrderState.CANCELING else order.sent_at
            if order.state in (OrderState.SENT, OrderState.CANCELING) and since is not None:
                if now >= since + self.limits.ack_timeout:
                    doubt.begin(order, now)
                else:
                    self._wake_at(Nanos(since + self.limits.ack_timeout))
            if order.state is OrderState.IN_DOUBT:
                question = doubt.question(order, now, self.parent.instrument.symbol)
                commands += [] if question is None else [question]
                self._wake_at(max(doubt.next_question_at(order, now), Nanos(now + 1)))
        return commands

    def _cancel_working(self, now: Nanos) -> list[Command]:
        working = [order for order in self.blotter.alive.values() if order.state is OrderState.WORKING]
        return [self._cancel(now, order) for order in working]

    def _cancel(self, now: Nanos, order: ChildOrder) -> CancelOrder:
        order.move(OrderState.CANCELING)
        order.canceled_at = now
        self._lately.cancel(now)
        self._wake_at(Nanos(now + self.limits.ack_timeout))
        return CancelOrder(order.client_id, self.parent.instrument.symbol)

    def _work(self, now: Nanos) -> list[Command]:
        number = self.parent.slice_at(now)
        self._wake_at(self.parent.boundary(number + 1))
        if self._asked is not None and now >= self._due:
            self._begin_slice(self._asked, None, "curve", "the policy was late")
        if self._asked is not None:
            self._wake_at(self._due)
            return []
        if self.slice is None or self.slice.number != number:
            ask = self._ask(now, number)
            self._wake_at(self._due)
            return [ask]
        return self._route(now, self.slice)

    def _route(self, now: Nanos, slice_: router.Slice) -> list[Command]:
        record = self.ledger[slice_.number]
        if now < self._hold_until:
            self._wake_at(self._hold_until)
            return []
        passive = self.suspect(now) is not None
        if passive and now >= router.cross_at(self.parent, slice_):
            record.notes[INCOMPLETE] = 1
            self._wake_at(Nanos(now + LOOK_EVERY))
        alive = list(self.blotter.alive.values())
        step = router.plan(now, self.parent, slice_, self.market, alive, self.committed, passive=passive)
        match step:
            case router.Cancel(order=order):
                return [self._cancel(now, order)]
            case router.Wait(until=until, why=why):
                if not self.blotter.alive:
                    record.note(why)
                self._wake_at(until)
                return []
            case risk.Draft():
                return self._send(now, record, step)
            case _:
                assert_never(step)

    def _send(self, now: Nanos, record: SliceRecord, draft: risk.Draft) -> list[Command]:
        """Clip, check, send: no pause between the check and its use."""
        view = self.risk_view(now)
        most, binding = risk.allowance(view, draft.limit)
        if most < draft.quantity:
            small = most < self.parent.instrument.least(draft.limit)
            if small and not self._hold_back(view, binding, draft):
                return []
            record.note(f"clipped by {binding.name.lower()}")
            self.clipped[binding.value] += 1
            if small:
                return []
            draft = risk.Draft(draft.side, most, draft.limit, draft.kind, draft.slice)
        verdict = risk.check(draft, view)
        if isinstance(verdict, risk.Refused):
            return self._refused(view, record, verdict)
        order = router.child(verdict, self.parent, len(self.blotter.orders) + 1)
        self.blotter.add(order)
        self._lately.order(now, order.quantity, order.limit)
        record.children += 1
        self._tokens -= SECOND
        self._wake_at(Nanos(now + self.limits.ack_timeout))
        return [
            SubmitOrder(
                order=order.client_id,
                symbol=self.parent.instrument.symbol,
                side=order.side,
                quantity=order.quantity,
                limit=order.limit,
                kind=order.kind,
                slice=order.slice,
                valid_until=Nanos(now + doubt.SEND_WITHIN),
            )
        ]

    def _refused(self, view: risk.RiskView, record: SliceRecord, verdict: risk.Refused) -> list[Command]:
        refusal = verdict.refusal
        if not self._hold_back(view, refusal, verdict.draft):
            return []
        record.note(f"refused: {refusal.name.lower()}")
        self.refused[refusal.value] += 1
        if refusal is risk.Refusal.REPEATED:
            self.guard.disable("repeated", verdict.words)
        return [RecordRefusal(self.parent.id, record.number, refusal.value, verdict.words)]

    def _hold_back(self, view: risk.RiskView, refusal: risk.Refusal, draft: risk.Draft) -> bool:
        """Send nothing for a while; shorter where only the market is in the way.  False where that was told already."""
        condition = awaited.after(refusal, draft, view)
        if condition is not None:
            return self._wait_for(view.now, condition, stale=False)
        self._hold_until = Nanos(view.now + router.RETRY)
        self._wake_at(self._hold_until)
        return True

    def _wait_for(self, now: Nanos, condition: awaited.Awaited, *, stale: bool) -> bool:
        """Look again in a while, sooner where a print brings what is missing; True where this while begins now.

        A print brings one look forward in a while: one that was in vain is not told, and brings no other.
        """
        begins = now >= self._blocked_until or stale is not self._blocked_stale
        if begins:
            self._blocked_until, self._blocked_stale, self._brought = Nanos(now + router.RETRY), stale, False
        if not self._brought:
            self._awaited = condition
        self._wake_at(self._blocked_until)
        return begins

    def risk_view(self, now: Nanos) -> risk.RiskView:
        """All that the gate looks at, at a moment.  What it trims is older than any later moment could ask for."""
        limits = self.guard.in_force(now)
        earliest = now - max(limits.window, limits.participation_window)
        while self.blotter.flow and self.blotter.flow[0][0] <= earliest:
            self.blotter.flow.popleft()
        refill = (now - self._tokens_at) * limits.messages_per_second
        self._tokens = min(limits.message_burst * SECOND, self._tokens + refill)
        self._tokens_at = now
        number = self.slice.number if self.slice else 0
        return risk.RiskView(
            now=now,
            parent=self.parent,
            limits=limits,
            market=self.market,
            arrival2=self.arrival2,
            killed=self.killed,
            held=self.held(now),
            committed=self.committed,
            leaves=self.blotter.leaves,
            spent=self.blotter.notional + self.blotter.at_risk,
            day_spent=self._day_spent,
            ceiling=self.schedule.ceiling(number),
            window_used=Lots(self.blotter.flowed(now - limits.window) + self.blotter.leaves),
            own_trailing=self.blotter.flowed(now - limits.participation_window),
            tape_includes_own=self.own_prints,
            open_orders=len(self.blotter.alive),
            message_tokens=self._tokens // SECOND,
            rejects=self._rejects,
            children=self.ledger[number].children if number in self.ledger else 0,
            lately=self._lately,
            suspect=self.suspect(now),
            clock_offset=self.clock_offset,
            unwell=self.unwell,
        )

    def _finish(self, now: Nanos) -> list[Command]:
        """End the parent once nothing is alive and every fill is itemised."""
        if self.blotter.alive:
            return []
        if self.blotter.unitemised and self._list_tries < LIST_TRIES_MAX:
            return self._list_fills(now)
        alarms: list[Command] = []
        if self.blotter.unitemised:
            text = f"the venue counted fills that it has not listed in {self._list_tries} tries; the ledger lacks them"
            alarms.append(RaiseAlarm(self.parent.id, "unitemised", text))
        if self.phase is not Phase.ENDING:
            return [*alarms, FinishParent(self.parent.id, f"drained: {self.draining}")]
        self.phase = Phase.DONE
        self._wake = None
        if self.canceled_by is not None:
            self.ended_why = f"canceled by {self.canceled_by}"
        else:
            self.ended_why = "filled" if self.filled >= self.parent.quantity else "the end came"
        return [*alarms, FinishParent(self.parent.id, self.ended_why)]

    def _list_fills(self, now: Nanos) -> list[Command]:
        if self._listed_at is not None and now < self._listed_at + doubt.ASK_EVERY:
            self._wake_at(Nanos(self._listed_at + doubt.ASK_EVERY))
            return []
        self._listed_at = now
        self._list_tries += 1
        self._wake_at(Nanos(now + doubt.ASK_EVERY))
        # A minute early, as with a doubt: fills bear the venue's time, and its clock is not ours.
        return [ListFills(self.parent.instrument.symbol, Nanos(self.parent.start - MINUTE))]

    def _assert_room(self) -> None:
        """The room invariant."""
        assert self.uncommitted >= 0 or self.overfilled, f"committed {self.committed} of {self.parent.quantity}"
        assert self.phase is not Phase.DONE or not self.blotter.alive, "a parent ended with an order alive"
