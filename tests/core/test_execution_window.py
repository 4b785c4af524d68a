"""Whatever is proposed, filled, lost and in whatever order: the room and the rolling window hold, and it replays.

The venue here keeps its word (a final count is final) and is free in everything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.commands import CancelOrder, Command, ListFills, ProposeSlice, QueryOrder, SubmitOrder
from execd.core.events import (
    CancelRefused,
    Channel,
    Event,
    FillsListed,
    MarketObserved,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    ParentPaused,
    ParentResumed,
    Recovered,
    SliceProposed,
    StreamRestored,
    Woken,
)
from execd.core.execution import Execution
from execd.core.grid import SECOND, Lots, Nanos
from execd.core.limits import RiskLimits
from tests.core.build import START, a_fill, a_market, a_parent, a_submission, at, limits

WINDOW = Nanos(10 * SECOND)
MOST = 100
TIGHT = limits(
    window=WINDOW,
    window_quantity=Lots(MOST),
    participation_window=WINDOW,
    ahead_ppm=1_000_000,
    message_burst=100,
    messages_per_second=100,
    rejects_in_a_row=1_000,
    children_per_slice=1_000,
    ack_timeout=Nanos(3 * SECOND),
)
# Waits that fall on the window's edges as well as beside them.
WAITS = st.sampled_from([0, 1, SECOND // 2, SECOND, 2 * SECOND, 5 * SECOND, WINDOW - 1, WINDOW, WINDOW + 1])
HAPPENINGS = st.sampled_from(
    ["fill", "fill", "fill", "fill", "close", "close", "accept", "lose", "refuse", "wake", "pause", "restart"]
)


@dataclass
class Resting:
    """An order at the venue."""

    order: SubmitOrder
    filled: int = 0
    closed: bool = False


@dataclass
class Voyage:
    """An execution and a venue, driven by drawn choices; every fact is kept."""

    data: st.DataObject
    limits: RiskLimits
    now: Nanos = START
    facts: list[tuple[Nanos, Event]] = field(default_factory=list)
    answers: list[tuple[list[Command], Nanos | None]] = field(default_factory=list)
    venue: dict[str, Resting] = field(default_factory=dict)
    fills: list[tuple[Nanos, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.submitted = a_submission(a_parent(quantity=3_000, end=at(100)), limits=self.limits)
        self.execution = Execution(self.submitted)
        for event in (self.submitted, StreamRestored(Channel.ACCOUNT), StreamRestored(Channel.MARKET)):
            self.tell(event)

    def tell(self, event: Event) -> None:
        """Let a fact happen and answer some of what it leads to."""
        for fact in (MarketObserved("P1", a_market(self.now)), event):
            self.facts.append((self.now, fact))
            commands = self.execution.handle(self.now, fact)
            self.answers.append((commands, self.execution.deadline()))
        self.execution.blotter.assert_sums()
        for command in commands:
            self.obey(command)

    def obey(self, command: Command) -> None:
        match command:
            case ProposeSlice(slice=number):
                self.tell(SliceProposed("P1", number, self.data.draw(st.floats(0, 1)), "wild"))
            case SubmitOrder():
                self.venue[command.order] = Resting(command)
            case QueryOrder(order=name):
                resting = self.venue[name]
                if resting.closed:
                    self.tell(OrderClosed(name, Lots(resting.filled), "canceled"))
                else:
                    self.tell(OrderAccepted(name, "v", Lots(resting.filled)))
            case ListFills():
                self.tell(FillsListed(self.now))
            case CancelOrder():
                pass  # Whether and when it takes effect is drawn.

    def sail(self, wait: int, what: str) -> None:
        self.now = Nanos(self.now + wait)
        alive = [resting for resting in self.venue.values() if not resting.closed]
        if what == "pause":
            self.tell(ParentPaused("P1", "ann"))
            self.tell(ParentResumed("P1", "ann"))
        elif what == "restart":
            for event in (Recovered(), StreamRestored(Channel.ACCOUNT), StreamRestored(Channel.MARKET)):
                self.tell(event)
        elif what == "wake" or not alive:
            self.tell(Woken())
        else:
            self.happen(what, self.data.draw(st.sampled_from(alive)))

    def happen(self, what: str, resting: Resting) -> None:
        name = resting.order.order
        if what == "accept":
            self.tell(OrderAccepted(name, "v", Lots(resting.filled)))
        elif what == "lose":
            self.tell(OrderLost(name, "timed out"))
            self.tell(OrderMissing(name))
        elif what == "refuse":
            self.tell(CancelRefused(name, "unknown order"))
        elif what == "close" or resting.filled == resting.order.quantity:
            resting.closed = True
            self.tell(OrderClosed(name, Lots(resting.filled), "canceled"))
        else:
            left = resting.order.quantity - resting.filled
            quantity = self.data.draw(st.sampled_from([left, left, (left + 1) // 2, 1]))
            resting.filled += quantity
            self.fills.append((self.now, quantity))
            self.tell(OrderFilled(a_fill(quantity, id=f"t{len(self.fills)}", order=name, at=self.now)))


@given(st.data(), st.lists(st.tuples(WAITS, HAPPENINGS), min_size=5, max_size=50))
@settings(max_examples=120)
def test_no_window_anywhere_holds_more_than_its_limit(data: st.DataObject, steps: list[tuple[int, str]]) -> None:
    voyage = Voyage(data, TIGHT)
    for wait, what in steps:
        voyage.sail(wait, what)
        live = sum(r.order.quantity - r.filled for r in voyage.venue.values() if not r.closed)
        filled = sum(quantity for _, quantity in voyage.fills)

        assert voyage.execution.filled == filled
        assert filled + live <= voyage.execution.committed <= voyage.submitted.parent.quantity
        assert window_ending(voyage.now, voyage.fills) + live <= MOST

    for end, _ in voyage.fills:
        assert window_ending(end, voyage.fills) <= MOST
    left = [resting for resting in voyage.venue.values() if not resting.closed]
    assert voyage.execution.phase.value != "done" or all(r.filled == r.order.quantity for r in left)


def window_ending(moment: Nanos, fills: list[tuple[Nanos, int]]) -> int:
    """What filled in the window that ends with a moment; a window is open at its beginning."""
    return sum(quantity for at_, quantity in fills if moment - WINDOW < at_ <= moment)


@given(st.data(), st.lists(st.tuples(WAITS, HAPPENINGS), min_size=5, max_size=30))
@settings(max_examples=40)
def test_the_facts_alone_repeat_every_command_and_every_deadline(
    data: st.DataObject, steps: list[tuple[int, str]]
) -> None:
    voyage = Voyage(data, TIGHT)
    for wait, what in steps:
        voyage.sail(wait, what)

    again = Execution(voyage.submitted)
    for (now, fact), answer in zip(voyage.facts, voyage.answers, strict=True):
        assert (again.handle(now, fact), again.deadline()) == answer


def test_the_window_binds_and_frees_what_lies_a_whole_window_back() -> None:
    """Not vacuous: a hundred at once, then nothing until ten seconds later to the nanosecond."""
    execution = Execution(a_submission(a_parent(quantity=3_000, end=at(100)), limits=TIGHT))
    sent: list[SubmitOrder] = []

    def tell(seconds: float, event: Event) -> None:
        execution.handle(at(seconds), MarketObserved("P1", a_market(at(seconds))))
        sent.extend(command for command in execution.handle(at(seconds), event) if isinstance(command, SubmitOrder))

    for event in (StreamRestored(Channel.ACCOUNT), StreamRestored(Channel.MARKET)):
        tell(0, event)
    tell(0, SliceProposed("P1", 0, 1.0, "wild"))
    assert [order.quantity for order in sent] == [MOST]
    tell(0, OrderFilled(a_fill(MOST)))
    tell(0, OrderClosed("P1n1", Lots(MOST), "filled"))

    tell(9.999_999_999, Woken())
    assert len(sent) == 1
    tell(10, Woken())
    tell(10.0, SliceProposed("P1", 1, 1.0, "wild"))
    tell(10.499_999_999, Woken())
    tell(10.5, Woken())
    assert [order.quantity for order in sent] == [MOST, MOST]
    assert not execution.blotter.flow, "what no window holds any more is forgotten"
