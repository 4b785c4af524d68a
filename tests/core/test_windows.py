"""Whatever a model says, no window of time sees more than its limit: not at its edges, not over two slices.

The orders are held against limits of every kind at once, reckoned here from what left and what filled alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.commands import CancelOrder, Command, ProposeSlice, SubmitOrder
from execd.core.events import Event
from execd.core.grid import MINUTE, SECOND, Lots, Nanos, Notional
from tests.core.build import START, Work, a_parent, every, limits

ABSURD = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 2.0, 1e300])
SHARES = st.one_of(st.floats(0, 1), ABSURD)
STEPS = st.lists(
    st.tuples(st.integers(0, 40), SHARES, st.integers(0, 100), st.booleans()),
    min_size=5,
    max_size=60,
)
TIGHT = limits(
    window=Nanos(30 * SECOND),
    window_quantity=Lots(120),
    child_quantity=Lots(70),
    child_notional=Notional(600_000),
    open_orders=2,
    children_per_slice=4,
    messages_per_second=1,
    message_burst=2,
    same_orders=4,
    messages_per_fill=5,
    parent_notional=Notional(7_000_000),
    day_notional=Notional(8_000_000),
    ahead_ppm=1_000_000,
)
DAY_SPENT = Notional(2_500_000)


@dataclass(frozen=True)
class Left:
    """An order that left, and when."""

    order: SubmitOrder
    at: Nanos


class Recorded(Work):
    """Remembers what left and what filled, and when; keeps what it is still asked to do."""

    def __init__(self) -> None:
        self.left: dict[str, Left] = {}
        self.filled: list[tuple[Nanos, int]] = []
        self.asked: list[Command] = []
        super().__init__(a_parent(), limits=TIGHT, day_spent=DAY_SPENT)

    def tell(self, event: Event, seconds: float | None = None) -> list[Command]:
        """Let a fact happen, and keep what it leads to."""
        commands = super().tell(event, seconds)
        self.left |= {order.order: Left(order, self.now) for order in every(SubmitOrder, commands)}
        self.asked += commands
        return commands

    def answer(self, share: float) -> None:
        """Do what was asked, and what that leads to, until nothing is asked any more."""
        while self.asked:
            command = self.asked.pop(0)
            if isinstance(command, ProposeSlice):
                self.propose(share, command.slice)
            elif isinstance(command, SubmitOrder):
                self.accept(command)
            elif isinstance(command, CancelOrder):
                self.close(self.left[command.order].order, self.execution.blotter.orders[command.order].filled)

    def trade(self, part: int, *, closes: bool) -> None:
        """Fill some hundredths of what each order has left, and perhaps close it."""
        for child in list(self.execution.blotter.alive.values()):
            order, lots = self.left[child.client_id].order, (child.quantity - child.filled) * part // 100
            if lots:
                self.filled.append((self.now, lots))
                self.fill(order, lots)
            if closes and child.alive:
                self.close(order, child.filled, None, "expired")


def worked(steps: list[tuple[int, float, int, bool]]) -> Recorded:
    """Work a parent by such steps: answer what is asked, fill a part, perhaps close, wait."""
    work, seconds = Recorded(), 0.0
    for wait, share, part, closes in steps:
        work.answer(share)
        work.trade(part, closes=closes)
        work.answer(share)
        seconds += wait / 4
        work.wake(seconds)
    return work


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_no_window_of_fills_exceeds_its_quantity_at_any_edge(steps: list[tuple[int, float, int, bool]]) -> None:
    """Every window that ends with a fill, and so every window."""
    filled = worked(steps).filled
    for end, _ in filled:
        within = sum(lots for moment, lots in filled if end - TIGHT.window < moment <= end)
        assert within <= TIGHT.window_quantity


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_no_order_and_no_number_of_orders_exceeds_its_limit(steps: list[tuple[int, float, int, bool]]) -> None:
    work = worked(steps)
    left = list(work.left.values())
    for number, each in enumerate(left):
        order = each.order
        assert order.quantity <= TIGHT.child_quantity
        assert order.quantity * order.limit <= TIGHT.child_notional
        minute = [e.order for e in left[: number + 1] if each.at - MINUTE < e.at]
        alike = [e for e in minute if (e.quantity, e.limit) == (order.quantity, order.limit)]
        assert len(alike) <= TIGHT.same_orders
        elapsed = (each.at - START) / SECOND
        assert number + 1 <= TIGHT.message_burst + TIGHT.messages_per_second * elapsed
        assert sum(e.order.slice == order.slice for e in left) <= TIGHT.children_per_slice
    spent = work.execution.blotter.notional + work.execution.blotter.at_risk
    assert spent <= TIGHT.parent_notional
    assert spent + DAY_SPENT <= TIGHT.day_notional
    assert work.execution.committed <= work.parent.quantity


def test_the_steps_can_send_and_fill() -> None:
    """The properties above would hold of a parent that never trades."""
    work = worked([(40, 1.0, 40 + 7 * (number % 9), number % 2 == 0) for number in range(60)])

    assert len(work.left) > 5
    assert sum(lots for _, lots in work.filled) > TIGHT.window_quantity, "more than one window's worth"
