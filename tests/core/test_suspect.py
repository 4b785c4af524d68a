"""While trades of the participation window are missing for more than a moment, orders rest and none crosses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.commands import CancelOrder, SubmitOrder
from execd.core.events import Gap, MarketView, Recovered
from execd.core.execution import INCOMPLETE
from execd.core.grid import SECOND, Nanos
from execd.core.guard import GRACE, Guard
from execd.core.orders import OrderKind, Urgency
from tests.core.build import START, Work, a_market, a_parent, at, limits, only

WINDOW_S = 300


def a_gap(until: float, number: int = 10) -> Gap:
    """One trade is missing; the one after it is of `until` seconds after the start."""
    return Gap(number, number, at(until - 1), at(until))


def missing(*untils: float) -> MarketView:
    return a_market(gaps=tuple(a_gap(until, number) for number, until in enumerate(untils)))


def told(*views: tuple[float, MarketView]) -> Guard:
    """A guard that was shown the market at some moments."""
    guard = Guard(a_parent(), limits())
    for seconds, view in views:
        guard.miss(at(seconds), view)
    return guard


# ----------------------------------------------------------------------------------------------------- when it is so


def test_data_are_suspect_once_a_trade_has_been_missing_for_longer_than_the_grace() -> None:
    guard = told((10, missing(10)))

    assert guard.suspect(at(10)) is None
    assert guard.suspect(Nanos(at(10) + GRACE)) is None
    assert guard.suspect(Nanos(at(10) + GRACE + 1)) == (
        "market data are incomplete: trades of the last 300 s have been missing for 2 s; orders rest and do not cross"
    )


@pytest.mark.parametrize(("shown", "until"), [(10, 11), (10, 10), (11, 10)])
def test_it_has_been_missing_since_it_was_first_shown_or_since_the_trade_after_it_whichever_was_earlier(
    shown: float, until: float
) -> None:
    """The venue's clock may be ahead of ours; and between two looks nobody sees."""
    guard = told((shown, missing(until)))

    assert guard.suspect(at(12)) is None
    assert guard.suspect(Nanos(at(12) + 1)) is not None


def test_data_in_which_nothing_is_missing_are_not_suspect() -> None:
    assert told().suspect(at(100)) is None
    assert told((10, a_market())).suspect(at(100)) is None


def test_a_hole_of_unknown_content_counts_like_missing_ids() -> None:
    assert told((10, a_market(holes=((at(7), at(9)),)))).suspect(at(13)) is not None


@pytest.mark.parametrize("holes", [(), ((START, at(-300)),)])
def test_what_lies_a_whole_window_back_is_of_no_account(holes: tuple[Any, ...]) -> None:
    assert told((10, a_market(gaps=(a_gap(10 - WINDOW_S),), holes=holes))).suspect(at(20)) is None


def test_it_ends_by_itself_when_the_latest_of_what_is_missing_has_left_the_window() -> None:
    guard = told((10, missing(9, 2)))

    assert guard.suspect(Nanos(at(9 + WINDOW_S) - 1)) is not None
    assert guard.suspect(at(9 + WINDOW_S)) is None


def test_it_ends_at_once_when_the_trades_have_been_fetched() -> None:
    guard = told((10, missing(9)), (15, a_market()))

    assert guard.suspect(at(15)) is None


def test_a_gap_that_is_filled_piece_by_piece_stands_since_its_beginning() -> None:
    guard = told((10, missing(9)), (10.5, missing(10)), (11.5, missing(11, 11.4)))

    assert guard.suspect(at(11.5)) is not None
    assert told((11.5, missing(11, 11.4))).suspect(at(11.5)) is None


@pytest.mark.parametrize("between", [(13.0, a_market()), (9.0 + WINDOW_S, missing(9))])
def test_a_gap_after_a_time_without_one_has_a_grace_of_its_own(between: tuple[float, MarketView]) -> None:
    later = 20.0 + WINDOW_S
    guard = told((10, missing(9)), between, (later, missing(9, later)))

    assert guard.suspect(at(later + 2)) is None
    assert guard.suspect(at(later + 2.1)) is not None


@pytest.mark.parametrize("later", [9.0 + WINDOW_S, 20.0 + WINDOW_S])
def test_a_gap_that_leaves_the_window_unseen_leaves_no_age_to_the_next_one(later: float) -> None:
    """Between two looks at the market the old one left, and a new one came."""
    guard = told((10, missing(9)), (later, missing(9, later)))

    assert guard.suspect(at(later)) is None


# ---------------------------------------------------------------------------------------------------- what follows


def test_a_slice_that_would_cross_rests_until_the_trades_are_there_and_the_ledger_says_so() -> None:
    work = Work()
    order = work.working()
    work.market["gaps"] = (a_gap(30),)
    work.wake(30)
    record = work.execution.ledger[0]
    assert record.notes == {}

    assert work.wake(39) == []
    assert work.execution.suspect(work.now) is not None
    assert work.wakes_at == 39.5, "it looks again as often as at anything outside that stops it"
    assert work.wake(39.5) == []
    assert record.notes == {INCOMPLETE: 1}

    work.market["gaps"] = ()
    assert work.wake(40) == [CancelOrder("P1n1", "BTC/USDT")]
    assert only(SubmitOrder, work.close(order, 0, 40.1, "canceled")).kind is OrderKind.TAKE


def test_a_slice_that_rests_anyway_is_as_it_was() -> None:
    work = Work()
    work.market["gaps"] = (a_gap(0),)
    work.working()

    work.wake(10)
    assert work.execution.suspect(work.now) is not None
    assert work.execution.ledger[0].notes == {}
    assert work.wakes_at == 16


def test_the_gate_is_told_what_the_router_is_told() -> None:
    """Two defences: whatever drafted an order that crosses, it would be refused."""
    work = Work()
    work.market["gaps"] = (a_gap(0),)
    work.wake(3)

    assert work.execution.risk_view(work.now).suspect == work.execution.suspect(work.now) is not None


def test_an_order_that_takes_is_not_followed_by_another_that_takes() -> None:
    work = Work(a_parent(urgency=Urgency.HIGH))
    work.market["gaps"] = (a_gap(17),)
    order = work.working()
    work.wake(17.9)
    work.market["gaps"] = ()
    work.wake(18)
    crossing = only(SubmitOrder, work.close(order, 0, 18.1, "canceled"))
    assert crossing.kind is OrderKind.TAKE

    work.market["gaps"] = (a_gap(18),)
    work.accept(crossing, 18.2)
    assert work.wake(20.3) == [CancelOrder("P1n2", "BTC/USDT")]
    again = only(SubmitOrder, work.close(crossing, 0, 20.4, "expired"))

    assert again.kind is OrderKind.REST


def test_in_the_last_slice_too_nothing_crosses() -> None:
    """When in doubt it trades less: the rest is left."""
    work = Work(a_parent(slices=1, end=at(60)))
    work.market["gaps"] = (a_gap(0),)
    work.working()

    for second in range(1, 60):
        work.wake(second)

    assert [order.kind for order in work.sent] == [OrderKind.REST]


def test_a_restart_forgets_nothing_of_it() -> None:
    """What the journal's views say is missing was missing before."""
    work = Work()
    work.market["gaps"] = (a_gap(0),)
    work.wake(1)
    work.tell(Recovered(), 3.1)

    assert work.execution.suspect(work.now) is not None


# ------------------------------------------------------------------------------------------------------- the property

STEPS = st.sampled_from(["wake", "gap", "gap", "fill", "hole", "mend", "close"])
WAITS = st.sampled_from([0, SECOND // 10, SECOND // 2, SECOND, GRACE, GRACE + 1, 5 * SECOND, 29 * SECOND])
WINDOW = Nanos(30 * SECOND)


@dataclass
class Passage:
    """An execution whose slices cross early, in a market of which trades go missing and are found again.

    `stood` are the missing trades with the moment at which each was first shown: the property's own book.
    """

    work: Work = field(
        default_factory=lambda: Work(
            a_parent(slices=4, end=at(120), urgency=Urgency.HIGH),
            limits=limits(participation_window=WINDOW, children_per_slice=1_000, rejects_in_a_row=1_000),
        )
    )
    stood: dict[Gap | tuple[Nanos, Nanos], Nanos] = field(default_factory=dict)
    taken: int = 0
    kept: int = 0

    def step(self, wait: int, what: str) -> None:
        work = self.work
        work.now = Nanos(work.now + wait)
        number = len(self.stood) + work.now
        if what == "gap":
            self.stood[Gap(number, number, work.now, Nanos(work.now - SECOND))] = work.now
        elif what == "hole":
            self.stood[Nanos(number), work.now] = work.now
        elif what in ("fill", "mend") and self.stood:
            del self.stood[next(iter(self.stood))]
        work.market["gaps"] = tuple(each for each in self.stood if isinstance(each, Gap))
        work.market["holes"] = tuple(each for each in self.stood if not isinstance(each, Gap))
        before = len(work.sent)
        work.wake((work.now - START) / SECOND)
        for order in list(work.execution.blotter.alive.values()):
            sent = next(each for each in work.sent if each.order == order.client_id)
            if order.kind is OrderKind.TAKE or order.canceled_at is not None or what == "close":
                work.close(sent, 0, reason="canceled")
            elif order.venue_id is None:
                work.accept(sent)
        for sent in work.sent[before:]:
            self.check(sent)

    def check(self, order: SubmitOrder) -> None:
        now = self.work.now
        standing = [
            each
            for each, since in self.stood.items()
            if (each.until if isinstance(each, Gap) else each[1]) > now - WINDOW and now - since > GRACE
        ]
        self.taken += order.kind is OrderKind.TAKE
        self.kept += bool(standing)
        assert order.kind is OrderKind.REST or not standing


@given(st.lists(st.tuples(WAITS, STEPS), min_size=10, max_size=60))
@settings(max_examples=150)
def test_while_data_are_suspect_no_order_ever_crosses(steps: list[tuple[int, str]]) -> None:
    passage = Passage()
    passage.work.fall_back()
    for wait, what in steps:
        passage.step(wait, what)


def test_the_property_sees_orders_of_either_kind() -> None:
    """Not vacuous: some cross in whole data, some rest where they would have crossed."""
    passage = Passage()
    passage.work.fall_back()
    for wait, what in [
        (10 * SECOND, "wake"),
        (SECOND, "gap"),
        (5 * SECOND, "wake"),
        (SECOND, "close"),
        (SECOND, "wake"),
    ]:
        passage.step(wait, what)

    assert passage.taken
    assert passage.kept
