"""One parent order through the real core in virtual time: the desk, the sequencer, the gate and the fuse of a live run.

Promise: no socket, no waiting, no clock but the tape's.  What would have filled is `PaperBook`'s judgement, as in mode
paper: a request travels for the latency, meets the book of its arrival, and its answer travels back; fills are told
when they happen.  The same parent, market and policy give the same facts in the same order.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from execd.core.commands import (
    CancelOrder,
    Command,
    FinishParent,
    ListFills,
    ProposeSlice,
    QueryOrder,
    RaiseAlarm,
    RecordRefusal,
    SubmitOrder,
)
from execd.core.desk import Desk
from execd.core.events import (
    Channel,
    Event,
    FillsListed,
    OrderClosed,
    OrderFilled,
    ParentSubmitted,
    QuoteChanged,
    StreamRestored,
    TradePrinted,
    Woken,
)
from execd.core.execution import Execution
from execd.core.grid import MINUTE, SECOND, Lots, Nanos
from execd.runtime.advisor import Advisor
from execd.runtime.arming import fuse_of
from execd.runtime.sequencer import Log, Sequencer
from execd.venues.fuse import Fuse
from execd.venues.paper_book import PaperBook

PastPrint = TradePrinted | QuoteChanged
"""What a recording holds: nothing in it is missed, changed or taken back."""

PAST_PRINTS = 1_000
"""Most prints before the start that the tracker is given: one page of an exchange's recent trades, as live."""

TAIL = Nanos(2 * SECOND)
"""How long the market goes on after the parent's end: cancels are still under way."""

PATIENCE = Nanos(10 * MINUTE)
"""A parent that is not over so long after its end is a defect of ours."""

TURNS_MAX = 1_000
"""More wake-ups than this at one moment are a spin, and a defect of ours."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the imagined exchange is like: fees are fractions of the notional, `latency` is one way."""

    latency: Nanos
    maker_fee: Decimal
    taker_fee: Decimal

    @property
    def validity(self) -> Nanos:
        """After this a request that has not arrived never will, as in mode paper."""
        return Nanos(self.latency + SECOND)


@dataclass(frozen=True, slots=True)
class Worked:
    """A parent that is over.

    `refusals` counts the gate's refusals by control, `alarms` alarms by code.  `over_mid` is the fills' price over the
    mid that stood when they happened, worse for us is positive, in half ticks times lots; `mids` the sum of those mids
    times lots.
    """

    execution: Execution
    refusals: dict[str, int]
    alarms: dict[str, int]
    over_mid: int
    mids: int


class Forgetful:
    """A log that keeps nothing: a backtest has no life after this one."""

    def __init__(self) -> None:
        self.rows = 0

    def append(self, at: Nanos, fact: Event, commands: Sequence[Command]) -> int:  # noqa: ARG002
        """Count a row."""
        self.rows += 1
        return self.rows


def work(
    submitted: ParentSubmitted,
    past: Sequence[PastPrint],
    prints: Iterable[PastPrint],
    advisor: Advisor,
    terms: Terms,
    log: Log | None = None,
) -> Worked:
    """Work a parent to its end.

    Args:
        submitted: the parent, as the daemon would hand it to the desk at its start.
        past: prints and quotes before the start, in order; at least one quote.
        prints: those from the start until at least `TAIL` after the end, in order.
        advisor: asks the policy.
        terms: the imagined exchange.
        log: takes the rows that a journal would.
    """
    return _Run(submitted, advisor, terms, log or Forgetful()).work(past, prints)


class _Run:
    """Virtual time, one desk, one imagined book."""

    def __init__(self, submitted: ParentSubmitted, advisor: Advisor, terms: Terms, log: Log) -> None:
        parent = submitted.parent
        self.now = parent.start
        self._submitted, self._advisor, self._latency = submitted, advisor, terms.latency
        self._book = PaperBook(parent.instrument, maker_fee=terms.maker_fee, taker_fee=terms.taker_fee)
        self._sequencer = Sequencer(Desk(), log, lambda: self.now, self._witness)
        self._sequencer.obey = self._obey
        self._fuse: Fuse | None = None
        self._travels: list[tuple[Nanos, int, Callable[[], None]]] = []
        self._sent = 0
        self._posted = False
        self._deadline: Nanos | None = None
        self._mid2 = 0
        self._finished = False
        self._refusals: Counter[str] = Counter()
        self._alarms: Counter[str] = Counter()
        self._over_mid = self._mids = 0

    def work(self, past: Sequence[PastPrint], prints: Iterable[PastPrint]) -> Worked:
        """Begin, play the market, and end."""
        parent = self._submitted.parent
        self._begin(past)
        for event in prints:
            self._until(event.at)
            self.now = max(self.now, event.at)
            self._show(event)
            self._settle()
        self._until(Nanos(parent.end + PATIENCE))
        assert self._finished, f"parent {parent.id} is not over {PATIENCE / 1e9:g} s after its end"
        # The last look at the market: a parent that was filled early saw none of the rest of its window.
        self._sequencer.turn(Woken())
        execution = self._sequencer.desk.executions[parent.id]
        return Worked(execution, dict(self._refusals), dict(self._alarms), self._over_mid, self._mids)

    def _begin(self, past: Sequence[PastPrint]) -> None:
        """As a live start: the parent, what the exchange has of the past, and then the streams are up."""
        self._tell(self._submitted)
        self._settle()
        quotes = [event for event in past if isinstance(event, QuoteChanged)]
        trades = [event for event in past if isinstance(event, TradePrinted)]
        for event in trades[-PAST_PRINTS:]:
            self._sequencer.post(event)
        self._show(quotes[-1])
        self._fuse = self._armed(quotes[-1])
        execution = self._sequencer.desk.executions[self._submitted.parent.id]
        execution.tracker.anchor()
        for channel in (Channel.ACCOUNT, Channel.MARKET):
            self._tell(StreamRestored(channel))
        self._settle()

    def _armed(self, quote: QuoteChanged) -> Fuse:
        """The last check before the wire, as the daemon makes it."""
        submitted, mid2 = self._submitted, quote.bid + quote.ask
        return fuse_of(submitted.parent, submitted.limits, mid2, killed=lambda: False, processing=submitted.validity)

    # ------------------------------------------------------------------------------------------------ virtual time

    def _until(self, at: Nanos) -> None:
        """Let everything happen that is due before a moment."""
        while True:
            dues = [self._travels[0][0]] if self._travels else []
            if self._deadline is not None:
                dues.append(self._deadline)
            if not dues or min(dues) >= at:
                return
            self.now = max(self.now, min(dues))
            if self._travels and self._travels[0][0] <= self.now:
                heapq.heappop(self._travels)[2]()
            self._settle()

    def _settle(self) -> None:
        """Handle the facts that wait and the deadlines that have come, until nothing is left to do at this moment."""
        if self._posted:
            self._drain()
        turns = 0
        while self._deadline is not None and self._deadline <= self.now:
            self._sequencer.turn(Woken())
            self._drain()
            turns += 1
            assert turns < TURNS_MAX, f"the core wants to be woken at {self._deadline} again and again"

    def _drain(self) -> None:
        self._sequencer.drain()
        self._posted = False
        self._deadline = self._sequencer.desk.deadline()

    def _after(self, call: Callable[[], None]) -> None:
        """Do something one journey later; what was sent first arrives first."""
        self._sent += 1
        heapq.heappush(self._travels, (Nanos(self.now + self._latency), self._sent, call))

    def _tell(self, fact: Event) -> None:
        self._sequencer.post(fact)
        self._posted = True

    # ---------------------------------------------------------------------------------------- the imagined exchange

    def _show(self, event: PastPrint) -> None:
        """Let the book and the trackers see the market."""
        if isinstance(event, QuoteChanged):
            self._mid2 = event.bid + event.ask
            self._book.quoted(event)
        else:
            for fact in self._book.printed(event):
                self._happened(fact)
        self._sequencer.post(event)
        # What a print has brought forward comes in its turn, as live.
        self._deadline = self._sequencer.desk.deadline()

    def _obey(self, command: Command, _row: int) -> None:
        match command:
            case ProposeSlice():
                self._tell(self._advisor.answer(command))
            case SubmitOrder():
                self._submit(command)
            case CancelOrder():
                self._after(lambda: self._answer(self._book.cancel(command.order)))
            case QueryOrder():
                self._after(lambda: self._answer(self._book.query(command.order)))
            case ListFills():
                self._after(lambda: self._answer(*self._book.fills(command.since), FillsListed(self.now)))
            case FinishParent():
                self._finished = True
            case RaiseAlarm() | RecordRefusal():
                pass  # The witness has counted it.
            case _:
                assert_never(command)

    def _submit(self, command: SubmitOrder) -> None:
        assert self._fuse is not None, "the fuse is armed before the streams are up"
        refusal = self._fuse.refusal(command, self.now)
        if refusal is None:
            self._after(lambda: self._arrive(command))
        else:
            self._tell(refusal)

    def _arrive(self, command: SubmitOrder) -> None:
        if self.now > command.valid_until:
            self._answer(OrderClosed(command.order, Lots(0), "expired: it arrived too late"))
            return
        answer, fills = self._book.submit(command, self.now)
        for fact in fills:
            self._happened(fact)
        self._answer(answer)

    def _answer(self, *facts: Event) -> None:
        """Send an answer on its way back."""
        for fact in facts:
            self._note(fact)
            self._after(lambda fact=fact: self._tell(fact))  # type: ignore[misc]  # mypy cannot infer the default

    def _happened(self, fact: OrderFilled | OrderClosed) -> None:
        """Tell on the account's stream what the market did to an order."""
        if isinstance(fact, OrderFilled):
            fill, sign = fact.fill, self._submitted.parent.side.sign
            self._over_mid += sign * (2 * fill.price - self._mid2) * fill.quantity
            self._mids += self._mid2 * fill.quantity
        self._note(fact)
        self._tell(fact)

    def _note(self, fact: Event) -> None:
        if self._fuse is not None:
            self._fuse.note(fact, self.now)

    def _witness(self, _now: Nanos, _fact: Event, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, RecordRefusal):
                self._refusals[command.control] += 1
            elif isinstance(command, RaiseAlarm):
                self._alarms[command.code] += 1
