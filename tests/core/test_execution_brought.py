"""A print that brings what the market alone kept from an order brings the next look forward; nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from execd.core.commands import ProposeSlice, RecordRefusal, SubmitOrder
from execd.core.events import (
    Channel,
    Event,
    HealthChanged,
    KillTripped,
    ParentPaused,
    Print,
    QuoteChanged,
    StreamLost,
)
from execd.core.execution import BROUGHT_EVERY
from tests.core.build import ASK, BID, Work, a_parent, a_print, at, limits, only

THIN = {"trailing_volume": 0}
"""A market in which nothing has traded for a while: no share of it is ours to take."""


def a_quote(bid: int = BID, ask: int = ASK) -> QuoteChanged:
    return QuoteChanged(**dict.fromkeys(("bid_size", "ask_size"), 5), bid=bid, ask=ask, at=at(0))  # type: ignore[arg-type]


def blocked(**changes: Any) -> Work:
    """A parent whose first hundred lots wait for nine hundred that others trade."""
    work = Work(**changes)
    work.market.update(THIN)
    assert work.fall_back() == []
    return work


def shown(work: Work, event: Print, seconds: float) -> bool:
    """Show a print at a moment, as the sequencer does: between the facts."""
    work.now = at(seconds)
    return work.execution.observe(work.now, event)


# --------------------------------------------------------------------------------------------------- participation


def test_an_order_that_waits_for_volume_leaves_with_the_print_that_brings_it() -> None:
    work = blocked()
    assert work.wakes_at == 0.5

    assert not shown(work, a_print(1, quantity=899), 0.1)
    assert work.wakes_at == 0.5, "no sooner"
    assert shown(work, a_print(2), 0.2)
    assert work.wakes_at == 0.2

    work.market["trailing_volume"] = 900
    assert only(SubmitOrder, work.wake(0.2)).quantity == 100
    assert work.execution.ledger[0].notes == {"clipped by participation": 1}


def test_the_regular_look_takes_less_where_the_exchange_takes_it() -> None:
    """A print does not cut an order into crumbs; half a second later a part is better than nothing."""
    work = blocked()
    shown(work, a_print(1, quantity=899), 0.1)
    work.market["trailing_volume"] = 899

    assert only(SubmitOrder, work.wake(0.5)).quantity == 99


def test_a_print_after_the_one_that_brought_it_brings_nothing() -> None:
    work = blocked()
    assert shown(work, a_print(1, quantity=900), 0.1)

    assert not shown(work, a_print(2, quantity=900), 0.1)


def test_a_look_in_vain_is_not_told_and_no_other_is_brought_before_the_regular_one() -> None:
    """Between print and look the volume may have left the window."""
    work = blocked()
    shown(work, a_print(1, quantity=900), 0.1)

    assert work.wake(0.1) == []
    assert work.execution.ledger[0].notes == {"clipped by participation": 1}
    assert work.wakes_at == 0.5
    assert not shown(work, a_print(2, quantity=900), 0.2)

    assert work.wake(0.5) == []
    assert work.execution.ledger[0].notes == {"clipped by participation": 2}
    assert work.wakes_at == 1
    assert shown(work, a_print(3, quantity=900), 0.6)


def test_a_fact_that_comes_while_volume_is_awaited_ends_no_wait() -> None:
    work = blocked()

    assert work.tell(HealthChanged(None), 0.2) == []
    assert work.wakes_at == 0.5
    assert work.execution.ledger[0].notes == {"clipped by participation": 1}
    assert shown(work, a_print(1, quantity=900), 0.3)


# ------------------------------------------------------------------------------------------------ the gate's other noes


def test_a_parent_beyond_its_limit_price_leaves_when_quote_and_trade_have_come_to_it() -> None:
    work = Work(a_parent(limit=9_000), limits=limits(period_collar_bps=2_000))
    assert only(RecordRefusal, work.fall_back()).control == "P9"

    assert not shown(work, a_quote(9_000, 9_002), 0.1)
    assert shown(work, a_print(1, price=9_001), 0.2)

    work.market.update(bid=9_000, ask=9_002, last=9_001)
    assert only(SubmitOrder, work.wake(0.2)).limit == 9_000


def test_a_refusal_by_the_market_is_told_once_in_a_while_whoever_looks() -> None:
    work = Work()
    work.market["bid"] = 9_000
    assert only(RecordRefusal, work.fall_back()).control == "P22b"

    assert work.tell(HealthChanged(None), 0.2) == []
    assert only(RecordRefusal, work.wake(0.5)).control == "P22b"
    assert work.execution.refused == {"P22b": 2}


def test_a_wide_spread_ends_with_the_quote_that_narrows_it() -> None:
    work = Work()
    work.market["bid"] = 9_000
    work.fall_back()

    assert not shown(work, a_quote(9_000), 0.1)
    assert shown(work, a_quote(), 0.2)
    del work.market["bid"]
    assert only(SubmitOrder, work.wake(0.2)).limit == BID


# ------------------------------------------------------------------------------------------------------ a stale market


def stale_at_a_boundary() -> Work:
    """The second slice begins while nothing is heard of the market."""
    work = Work()
    order = work.working()
    work.fill(order, 100, 1)
    work.close(order, 100, 1)
    work.market.update(quote_at=at(1), last_at=at(1))
    assert work.wake(60) == []
    assert work.execution.held(work.now) is not None
    return work


@pytest.mark.parametrize("event", [a_print(1), a_quote()], ids=lambda event: type(event).__name__)
def test_a_stale_market_ends_with_the_first_print_and_the_policy_is_asked_at_once(event: Print) -> None:
    work = stale_at_a_boundary()
    assert work.wakes_at == 60.5

    assert shown(work, event, 60.1)
    assert work.wakes_at == 60.1
    work.market.clear()
    assert only(ProposeSlice, work.wake(60.1)).slice == 1
    assert only(SubmitOrder, work.propose(0.1, 1)).slice == 1


@pytest.mark.parametrize(
    "stop",
    [KillTripped("panic"), ParentPaused("P1", "ann"), StreamLost(Channel.MARKET, "silent")],
    ids=lambda stop: type(stop).__name__,
)
def test_no_print_ends_what_is_not_the_markets(stop: Event) -> None:
    work = stale_at_a_boundary()
    work.tell(stop, 60.1)

    assert not shown(work, a_print(1), 60.2)
    assert work.wakes_at == 60.6


# ------------------------------------------------------------------------------------------------- waits that must last


def test_no_print_shortens_the_wait_after_a_refusal_of_the_venue() -> None:
    work = Work()
    order = work.started()
    work.market.update(THIN)
    work.close(order, 0, 0.1, "rejected: insufficient balance")
    assert work.wakes_at == 1.1

    assert not shown(work, a_print(1, quantity=10**6), 0.2)
    assert not shown(work, a_quote(), 0.2)
    work.market.clear()
    assert work.wakes_at == 1.1
    assert work.wake(1.099_999_999) == []
    assert only(SubmitOrder, work.wake(1.1)).order == "P1n2"


def test_no_print_shortens_the_wait_between_two_orders() -> None:
    work = Work()
    order = work.started()
    work.close(order, 0, 0.1, "expired")

    assert not shown(work, a_print(1, quantity=10**6), 0.2)
    assert work.wakes_at == 0.5


def test_no_print_shortens_the_wait_for_a_message_token() -> None:
    work = Work(limits=limits(message_burst=1, messages_per_second=1))
    order = work.started()
    assert only(RecordRefusal, work.close(order, 0, 0.6, "expired")).control == "P16"

    assert not shown(work, a_print(1, quantity=10**6), 0.7)
    assert work.wakes_at == 1.1


# ------------------------------------------------------------------------------------------------------------ no flood


def flapping() -> Work:
    """A print has brought a look; by then the market is of another kind of no use, and so on."""
    work = blocked()
    assert shown(work, a_print(1, quantity=900), 0.1)
    work.market["bid"] = None
    work.wake(0.1)
    return work


def test_two_looks_that_prints_bring_are_five_milliseconds_apart() -> None:
    work = flapping()

    assert shown(work, a_quote(), 0.101)
    assert work.wakes_at == 0.105
    del work.market["bid"]
    work.wake(0.105)
    assert shown(work, a_print(2, quantity=900), 0.107)
    assert work.wakes_at == 0.11
    work.market["bid"] = None
    work.wake(0.11)
    assert shown(work, a_quote(), 0.2)
    assert work.wakes_at == 0.2


def test_looks_that_a_fact_forestalls_put_off_no_later_one() -> None:
    """However often that happens, a print brings a look within five milliseconds."""
    work = flapping()
    for number in range(10):
        now = 0.1001 + number / 10_000
        assert shown(work, a_quote() if number % 2 == 0 else a_print(number + 2, quantity=900), now)
        deadline = work.execution.deadline()
        assert deadline is not None
        assert deadline <= work.now + BROUGHT_EVERY
        if number % 2 == 0:
            del work.market["bid"]
        else:
            work.market["bid"] = None
        work.tell(HealthChanged(None), now)


def test_while_the_streams_are_down_no_print_is_waited_for() -> None:
    assert not shown(Work(up=False), a_print(1), 0.1)
