"""What mutation testing asked for: the edges, the exact words and the whole numbers that no other test held.

Each test here kills a mutant of `make mutmut` that all others let live.
"""

from __future__ import annotations

from typing import Any

import pytest

from execd.core.grid import SECOND, Lots, Nanos, Notional, Ticks
from execd.core.orders import OrderState
from execd.core.risk import CONTROLS, Draft, Refusal, RiskView, allowance, participation_room, reference2, stale
from execd.core.router import Slice, Wait, cross_at, plan, reprice_every
from tests.core.build import BID, START, a_child, a_draft, a_market, a_parent, a_view, an_instrument, at, limits

R = Refusal
FIRST = Slice(0, Lots(100), at(0), at(60))
ODD = Slice(0, Lots(100), START, Nanos(START + 60 * SECOND + 7))
ANY_SIZE = a_parent(instrument=an_instrument(min_notional=Notional(0)))


def words(control: Refusal, draft: Draft, view: RiskView) -> str | None:
    """What one control says, whichever would have spoken before it."""
    return dict(CONTROLS)[control](draft, view)


# ------------------------------------------------------------------------------------------------------ the router


def test_the_times_of_a_slice_are_whole_nanoseconds() -> None:
    """Rounded down: a float would lose the last digits of the moment, and the journal would not replay."""
    assert reprice_every(ODD) == 6_000_000_000
    assert cross_at(a_parent(), ODD) == START + 39_000_000_004
    assert isinstance(reprice_every(ODD), int)
    assert isinstance(cross_at(a_parent(), ODD), int)


def test_a_single_lot_that_is_wanted_is_sent() -> None:
    step = plan(at(0), ANY_SIZE, FIRST, a_market(), [], Lots(99), passive=False)
    assert isinstance(step, Draft)
    assert step.quantity == 1


def test_an_order_that_may_follow_the_touch_but_need_not_is_looked_at_a_step_later() -> None:
    """Not at this very moment again: that would spin."""
    order = a_child(state=OrderState.WORKING)
    assert plan(at(6), a_parent(), FIRST, a_market(at(6)), [order], Lots(0), passive=False) == Wait(
        at(12), "order at work"
    )


@pytest.mark.parametrize("seconds", [0, 50])
@pytest.mark.parametrize("side", ["bid", "ask"])
def test_the_router_is_never_asked_without_a_quote(seconds: float, side: str) -> None:
    market: dict[str, Any] = {side: None}
    with pytest.raises(AssertionError, match=r"^the gate demands a quote before the router is asked"):
        plan(at(seconds), a_parent(), FIRST, a_market(at(seconds), **market), [], Lots(0), passive=False)


# ------------------------------------------------------------------------------------------------ the gate's edges


def test_a_quote_of_just_the_allowed_age_is_a_source() -> None:
    """The mid is one of the three that are demanded here."""
    seen = a_market(at(2), quote_at=at(0))
    assert reference2(a_view(now=at(2), market=seen, limits=limits(references=3))) is not None
    assert reference2(a_view(now=Nanos(at(2) + 1), market=seen, limits=limits(references=3))) is None


def test_the_reference_between_two_sources_is_a_whole_number() -> None:
    market = a_market(ask=10_003, minute_volume=Lots(0))
    found = reference2(a_view(market=market))
    assert found == 20_002
    assert isinstance(found, int)


def test_a_share_of_no_volume_is_nothing_however_large_the_share() -> None:
    wide = {"parent": a_parent(participation_ppm=900_000), "limits": limits(participation_ppm=900_000)}
    assert participation_room(a_view(market=a_market(trailing_volume=Lots(0)), **wide)) == 0


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"parent": a_parent(instrument=an_instrument(max_notional=Notional(1_009_999)))}, R.FILTER),
        ({"limits": limits(parent_notional=Notional(1_010_000)), "spent": 1}, R.BUDGET),
        ({"parent": a_parent(budget=Notional(1_010_000)), "spent": 1}, R.BUDGET),
    ],
)
def test_what_money_still_allows_is_rounded_down_to_whole_lots(changes: dict[str, Any], refusal: Refusal) -> None:
    least, binding = allowance(a_view(**changes), Ticks(BID))
    assert (least, binding) == (100, refusal)
    assert isinstance(least, int)


def test_a_price_of_zero_is_outside_the_limits_even_where_there_is_no_least_value() -> None:
    assert words(R.FILTER, a_draft(limit=Ticks(0)), a_view(parent=ANY_SIZE)) is not None
    assert words(R.FILTER, a_draft(limit=Ticks(1)), a_view(parent=ANY_SIZE)) is None


def test_the_least_order_is_told_for_the_drafts_own_price() -> None:
    told = words(R.FILTER, a_draft(limit=Ticks(1), quantity=Lots(1)), a_view())
    assert told is not None
    assert "(least 50.000 BTC, most 100.000 BTC)" in told


def test_the_collar_is_exact_however_large_the_price() -> None:
    """Beyond 2**53 a float would not see one tick."""
    price = 10**19
    market = a_market(bid=price - 1, ask=price + 1, last=price, minute_volume=Lots(0))
    edge = price + price * 50 // 10_000
    assert words(R.COLLAR, a_draft(limit=Ticks(edge)), a_view(market=market)) is None
    assert words(R.COLLAR, a_draft(limit=Ticks(edge + 1)), a_view(market=market)) is not None


def test_the_collar_is_not_asked_without_a_reference() -> None:
    with pytest.raises(AssertionError, match=r"^the control before this one refuses without a reference"):
        words(R.COLLAR, a_draft(), a_view(limits=limits(references=4)))


def test_of_two_equal_shares_the_one_in_risk_yaml_is_named() -> None:
    same = {"parent": a_parent(participation_ppm=250_000), "limits": limits(participation_ppm=250_000)}
    told = words(R.PARTICIPATION, a_draft(), a_view(market=a_market(trailing_volume=Lots(0)), **same))
    assert told is not None
    assert told.endswith("(risk.yaml: participation)")


# ------------------------------------------------------------------------------------------------- the exact words


@pytest.mark.parametrize(
    ("control", "changes", "told"),
    [
        (R.KILLED, {"killed": True}, "the kill switch is latched; a human releases it with `execd reset`"),
        (R.NOT_TRADING, {"now": at(600)}, "outside the parent's window"),
        (R.STALE, {"market": a_market(last_at=None)}, "no quote or no trade has been seen"),
        (R.STALE, {"market": a_market(bid=10_002)}, "the book is crossed: the best bid is not below the best ask"),
        (R.PERIOD_COLLAR, {"arrival2": None}, "no arrival price is known"),
        (R.MESSAGES, {"message_tokens": 0}, "no message token is left (risk.yaml: messages_per_second)"),
    ],
)
def test_what_a_control_says_is_what_an_operator_reads(control: Refusal, changes: dict[str, Any], told: str) -> None:
    assert words(control, a_draft(), a_view(**changes)) == told


def test_a_stale_market_is_told_in_seconds() -> None:
    told = stale(at(12), a_market(at(0)), limits())
    assert told == "nothing was seen of the market for 12.0 s; at most 10 s (risk.yaml: stale_age)"
