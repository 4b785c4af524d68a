"""What the venue says and fails to say: doubts step by step, fills that should not be, rejections, the last fills."""

from __future__ import annotations

import pytest

from execd.core import doubt
from execd.core.commands import CancelOrder, FinishParent, ListFills, QueryOrder, RaiseAlarm, RecordRefusal, SubmitOrder
from execd.core.events import (
    CancelRefused,
    Channel,
    FillsListed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    ParentCanceled,
    ParentResumed,
    Recovered,
    StreamRestored,
)
from execd.core.execution import LIST_TRIES_MAX, Phase
from execd.core.grid import Nanos
from execd.core.orders import OrderState
from tests.core.build import NEWS_FROM, Work, a_fill, a_parent, at, every, only, the_ask

S = OrderState
CANCEL = CancelOrder("P1n1", "BTC/USDT")
QUERY = QueryOrder("P1n1", "BTC/USDT")
MISSING = OrderMissing("P1n1")

# -------------------------------------------------------------------------------------------------------------- doubt


def test_a_submit_without_an_answer_is_in_doubt_after_the_time_out_and_its_rest_stays_committed() -> None:
    work = Work()
    order = work.started()
    assert work.wakes_at == 5

    assert work.wake(4.999_999_999) == []
    assert work.state(order) is S.SENT

    assert work.wake(5) == [CANCEL]
    assert work.state(order) is S.IN_DOUBT
    assert (work.execution.committed, work.execution.uncommitted) == (100, 900)
    assert work.execution.held(work.now) == "an order is in doubt"


def test_an_order_that_never_arrived_gives_its_quantity_back_after_the_whole_way_out() -> None:
    """Cancel; query every two seconds; two "not found" after the submit has expired; the list of our fills."""
    work = Work()
    order = work.started()
    work.tell(CancelRefused("P1n1", "unknown order"), 0.1)
    assert work.state(order) is S.IN_DOUBT
    told: list[tuple[float, object]] = []
    for tenth in range(1, 230):
        seconds = tenth / 10
        for command in work.wake(seconds):
            told.append((seconds, command))
            if command == QUERY:
                assert work.tell(MISSING) == []

    assert told == [
        # The cancel went with the refusal.  Until seventeen seconds "not found" is no news, then it is, twice.
        *((tenth / 10, QUERY) for tenth in range(1, 202, 20)),
        (22.1, ListFills("BTC/USDT", at(-60))),
    ]
    assert work.execution.committed == 100

    assert work.tell(FillsListed(at(18)), 23) == [], "not read through the last answer"
    assert work.state(order) is S.IN_DOUBT

    again = only(SubmitOrder, work.tell(FillsListed(at(20.2)), 23.1))
    assert (again.order, again.quantity) == ("P1n2", 100)
    assert work.execution.ledger[0].notes == {"never arrived": 1}


def test_an_order_that_is_gone_but_traded_gives_back_only_its_rest() -> None:
    work = Work()
    order = work.started()
    work.tell(OrderLost("P1n1", "timed out"), 1)
    for seconds in (NEWS_FROM, NEWS_FROM + 2):
        work.tell(MISSING, seconds)
    work.fill(order, 30, 20)

    again = only(SubmitOrder, work.tell(FillsListed(at(20)), 20))
    assert again.quantity == 70
    assert work.execution.ledger[0].notes == {"gone": 1}


@pytest.mark.parametrize("nanos", [0, 1])
def test_the_question_after_the_cancel_follows_at_once_but_never_in_the_same_moment(nanos: int) -> None:
    """A deadline that is not in the future would spin."""
    work = Work()
    work.started()
    assert work.tell(OrderLost("P1n1", "timed out"), 1) == [CANCEL]
    assert work.execution.deadline() == at(1) + 1

    work.now = Nanos(work.now + nanos)
    assert work.wake(1 + nanos / 1e9) == [QUERY]
    assert work.wakes_at == pytest.approx(1.5), "held: we look again every half second"


def test_an_order_that_is_found_alive_is_canceled_not_worked_on() -> None:
    work = Work()
    order = work.started()
    work.tell(OrderLost("P1n1", "timed out"), 1)

    assert work.accept(order, 1.5, filled=20) == [CANCEL]
    assert (work.state(order), work.execution.filled, work.execution.committed) == (S.IN_DOUBT, 20, 100)
    assert work.wake(1.6) == [QUERY]

    again = only(SubmitOrder, work.close(order, 20, 2, "canceled"))
    assert (again.order, again.quantity) == ("P1n2", 80)


def test_a_cancel_without_an_answer_leaves_the_order_in_doubt() -> None:
    work = Work()
    order = work.working()
    work.wake(39)
    assert work.state(order) is S.CANCELING

    assert work.wake(43.999) == []
    assert work.wakes_at == 44
    assert work.wake(44) == [CANCEL]
    assert work.state(order) is S.IN_DOUBT


def test_a_doubt_is_resolved_before_the_end_of_the_parent() -> None:
    work = Work()
    order = work.working()
    work.tell(ParentCanceled("P1", "ann"), 10)
    work.tell(CancelRefused("P1n1", "unknown order"), 11)

    assert work.execution.phase is Phase.ENDING
    assert work.wake(600) == [QUERY]
    assert work.execution.phase is Phase.ENDING
    assert work.close(order, 0, 601, "canceled") == [FinishParent("P1", "canceled by ann")]


def test_after_a_restart_everything_in_flight_is_in_doubt_and_nothing_is_up() -> None:
    work = Work()
    order = work.working()

    assert work.tell(Recovered(), 10) == [CANCEL]
    assert work.state(order) is S.IN_DOUBT
    assert work.execution.held(work.now) == "the market stream is down: not up yet"

    work.close(order, 25, 10.5, "canceled")
    assert work.tell(StreamRestored(Channel.MARKET), 11) == []
    again = only(SubmitOrder, work.tell(StreamRestored(Channel.ACCOUNT), 11))
    assert (again.order, again.quantity) == ("P1n2", 75)


def test_after_a_restart_the_question_to_the_policy_is_asked_again() -> None:
    """The old process took the answer with it; one that comes late is as good as any."""
    work = Work()
    work.tell(Recovered(), 0.5)
    work.tell(StreamRestored(Channel.MARKET))

    ask = the_ask(work.tell(StreamRestored(Channel.ACCOUNT)))
    assert (ask.slice, ask.due) == (0, at(1.5))


def test_after_a_restart_a_pause_a_kill_and_a_cancel_stand() -> None:
    work = Work()
    work.tell(ParentCanceled("P1", "ann"))
    work.execution.killed, work.execution.paused_by = True, "bob"

    work.tell(Recovered(), 1)

    assert (work.execution.killed, work.execution.paused_by, work.execution.canceled_by) == (True, "bob", "ann")


def test_a_parent_that_had_ended_says_so_again_after_a_restart() -> None:
    """The old process may have died between deciding that this was the end and saying so."""
    work = Work()
    assert work.tell(ParentCanceled("P1", "ann")) == [FinishParent("P1", "canceled by ann")]

    assert work.tell(Recovered(), 1) == [FinishParent("P1", "canceled by ann")]


# --------------------------------------------------------------------------------------------------------- anomalies


def test_an_overfill_by_the_venue_is_booked_alarmed_once_and_halts() -> None:
    work = Work()
    order = work.working()

    assert work.fill(order, 101, 1) == [
        RaiseAlarm("P1", "overfill", "P1n1: 101 of 100 lots were filled"),
        CANCEL,
    ]
    assert (work.execution.filled, work.execution.overfilled) == (101, True)
    assert work.execution.held(work.now) == "halted: P1n1: 101 of 100 lots were filled"
    assert work.fill(order, 5, 2) == [], "one alarm"
    work.close(order, 106, 3)

    assert work.tell(ParentResumed("P1", "ann"), 10) == [], "no resume lifts a halt"
    assert work.tell(ParentCanceled("P1", "ann"), 11) == [FinishParent("P1", "canceled by ann")]


def test_more_than_the_whole_parent_is_booked_and_ends_it() -> None:
    work = Work(a_parent(slices=1))
    order = work.working()

    (alarm,) = every(RaiseAlarm, work.fill(order, 1_007, 1))
    assert alarm.code == "overfill"
    assert work.execution.uncommitted == -7
    assert work.close(order, 1_007, 2) == [FinishParent("P1", "filled")]


def test_a_fill_of_an_order_that_was_closed_with_less_is_booked_and_may_overfill() -> None:
    """The venue gave quantity back, it was sent again, and then the venue changed its mind."""
    work = Work(a_parent(slices=1))
    order = work.working()
    again = only(SubmitOrder, work.close(order, 0, 1, "canceled"))
    assert again.quantity == 1_000

    (alarm,) = every(RaiseAlarm, work.fill(order, 1, 2))
    assert (alarm.code, work.execution.uncommitted) == ("overfill", -1)


@pytest.mark.parametrize("quantity", [7, 1_000])
def test_a_fill_of_an_order_that_we_never_sent_is_booked_alarmed_and_halts(quantity: int) -> None:
    """A second copy of us, or a lost journal: in either case nobody should go on.  Room or no room for it."""
    work = Work()
    order = work.working()
    stray = OrderFilled(a_fill(quantity, id="x", order="P1n9"))

    commands = work.tell(stray, 1)

    (alarm,) = every(RaiseAlarm, commands)
    assert alarm.code == "stray_fill"
    assert commands[1:] == [CANCEL]
    assert (work.execution.filled, work.execution.committed) == (quantity, quantity + 100)
    assert work.tell(stray, 2) == [], "once"
    work.close(order, 0, 3, "canceled")
    if quantity < work.parent.quantity:
        assert str(work.execution.held(work.now)).startswith("halted: a fill of an order that we never sent")
        assert work.wake(30) == []
    else:
        assert work.execution.phase is Phase.DONE
    assert len(work.sent) == 1


# --------------------------------------------------------------------------------------------------------- rejections


def test_rejections_in_a_row_are_backed_off_from_ever_longer_and_then_stop_the_parent() -> None:
    work = Work()
    order, seconds, waits = work.started(), 0.0, []
    for _ in range(4):
        assert work.close(order, 0, seconds, "rejected: insufficient balance") == []
        assert work.wakes_at is not None
        waits.append(work.wakes_at - seconds)
        seconds = work.wakes_at
        order = only(SubmitOrder, work.wake(seconds))
    assert work.close(order, 0, seconds, "rejected: insufficient balance") == []
    assert work.wakes_at is not None
    waits.append(work.wakes_at - seconds)

    assert waits == pytest.approx([1, 2, 4, 8, 16])
    assert work.execution.ledger[0].notes == {"unfilled: rejected": 5}
    refusal, alarm = work.wake(work.wakes_at)
    assert isinstance(refusal, RecordRefusal)
    assert alarm == RaiseAlarm("P1", "repeated", refusal.words)
    assert (refusal.control, refusal.words) == (
        "P18",
        "5 rejections in a row; at most 5 (risk.yaml: rejects_in_a_row)",
    )
    assert len(work.sent) == 5

    assert only(SubmitOrder, work.tell(ParentResumed("P1", "ann"), 32)).order == "P1n6"


def test_an_acceptance_ends_the_row_of_rejections() -> None:
    work = Work()
    order = work.started()
    order = only(SubmitOrder, [*work.close(order, 0, 0.1, "rejected: odd"), *work.wake(2)])
    work.accept(order, 2.1)
    order = only(SubmitOrder, [*work.close(order, 0, 2.2, "canceled"), *work.wake(3)])

    work.close(order, 0, 3.1, "rejected: odd")

    assert work.wakes_at == 4.1, "the first of a row again"


def test_a_fill_ends_the_row_of_rejections() -> None:
    """An immediate-or-cancel order may be filled and closed without ever having been reported as open."""
    work = Work()
    order = work.started()
    order = only(SubmitOrder, [*work.close(order, 0, 0.1, "rejected: odd"), *work.wake(2)])
    work.fill(order, 10, 2.1)
    order = only(SubmitOrder, [*work.close(order, 10, 2.2, "expired"), *work.wake(3)])

    work.close(order, 0, 3.1, "rejected: odd")

    assert work.wakes_at == 4.1


# --------------------------------------------------------------------------------------------------- the last fills


def test_the_end_waits_for_the_fills_that_the_venue_has_counted_and_not_itemised() -> None:
    """The journal's fills and the venue's must be equal in number, not only in sum."""
    work = Work(a_parent(slices=1))
    order = work.started()

    assert work.close(order, 1_000, 1) == [ListFills("BTC/USDT", at(-60))]
    assert work.execution.phase is Phase.ENDING
    assert work.wakes_at == 3
    assert work.wake(2.9) == []
    assert work.wakes_at == 3
    assert work.wake(3) == [ListFills("BTC/USDT", at(-60))]
    assert work.fill(order, 600, 3.5) == []
    assert work.tell(FillsListed(at(3.5)), 3.5) == []

    assert work.fill(order, 400, 3.6) == [FinishParent("P1", "filled")]


def test_fills_that_never_come_are_not_waited_for_for_ever() -> None:
    work = Work(a_parent(slices=1))
    order = work.started()
    tries = len(every(ListFills, work.close(order, 1_000, 1)))
    while work.execution.phase is not Phase.DONE:
        assert work.wakes_at is not None
        last = work.wake(work.wakes_at)
        tries += len(every(ListFills, last))

    assert tries == LIST_TRIES_MAX
    assert [command for command in last if not isinstance(command, RaiseAlarm)] == [FinishParent("P1", "filled")]
    assert [alarm.code for alarm in every(RaiseAlarm, last)] == ["unitemised"]
    assert work.execution.filled == 1_000


def test_how_long_the_last_fills_are_waited_for() -> None:
    """Every two seconds, for five minutes: a venue's history may lag a busy market by minutes."""
    assert LIST_TRIES_MAX * doubt.ASK_EVERY == 300 * 10**9
