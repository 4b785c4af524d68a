"""What an order waits for is what the gate would then let pass; a print that brings it is seen, no other is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from execd.core.awaited import Awaited, News, Prices, Spread, Volume, after, lots_missing, news
from execd.core.events import PrintsMissed, QuoteChanged, TradeBusted, TradePrinted
from execd.core.grid import PPM, Lots, Notional, Side, Ticks
from execd.core.orders import OrderKind
from execd.core.risk import Approved, Refusal, Refused, RiskView, allowance, check
from tests.core.build import ASK, BID, START, a_draft, a_market, a_parent, a_print, a_view, at, limits

R = Refusal


def a_quote(bid: int = BID, ask: int = ASK, **changes: Any) -> QuoteChanged:
    return QuoteChanged(**{"bid": bid, "bid_size": 1, "ask": ask, "ask_size": 1, "at": START, **changes})


def seen(condition: Awaited | None, *events: TradePrinted | QuoteChanged) -> list[bool]:
    """What a condition says of each print."""
    assert condition is not None
    return [condition.met(event) for event in events]


# ------------------------------------------------------------------------------------------------------------- volume


def test_enough_has_traded_with_the_lot_that_was_missing() -> None:
    trade = a_print(1, quantity=3)

    assert seen(Volume(7), trade, trade, a_print(3, quantity=1)) == [False, False, True]


def test_no_other_print_counts_as_volume() -> None:
    condition = Volume(1)

    assert not any(condition.met(event) for event in (a_quote(), TradeBusted(1), PrintsMissed(START, at(1))))


@given(
    st.integers(0, 100_000),
    st.integers(0, 500),
    st.integers(0, 500),
    st.integers(1, PPM - 1),
    st.booleans(),
    st.integers(1, 900),
    st.integers(1, 900),
)
@settings(max_examples=300)
def test_the_lots_that_are_missing_are_the_fewest_that_make_the_room_that_is_wanted(
    volume: int, own: int, leaves: int, ppm: int, printed: bool, wish: int, most: int
) -> None:
    view = a_view(
        market=a_market(trailing_volume=volume),
        own_trailing=own,
        leaves=leaves,
        tape_includes_own=printed,
        limits=limits(participation_ppm=ppm, child_quantity=most),
        parent=a_parent(participation_ppm=PPM),
    )
    draft = a_draft(quantity=wish)
    wanted = min(wish, most)
    missing = lots_missing(draft, view)
    if wanted < 5:
        assert missing is None, "the child's size alone keeps it below what the exchange takes"
        return
    assert missing is not None
    assume(missing > 0)

    def room(more: int) -> int:
        return allowance(replace(view, market=a_market(trailing_volume=volume + more)), draft.limit)[0]

    assert room(missing - 1) < wanted <= room(missing)


def test_what_all_else_refuses_no_volume_brings() -> None:
    blocked = {"market": a_market(trailing_volume=0)}

    assert after(R.PARTICIPATION, a_draft(), a_view(**blocked, committed=996)) is None
    assert after(R.PARTICIPATION, a_draft(), a_view(**blocked, committed=995)) is not None, "five lots are taken"
    assert seen(after(R.PARTICIPATION, a_draft(), a_view(**blocked)), a_print(1, quantity=900)) == [True]


# --------------------------------------------------------------------------------------------------------------- news


@pytest.mark.parametrize(
    ("changes", "trade", "quote"),
    [
        ({"last_at": None}, True, False),
        ({"bid": None}, False, True),
        ({"ask": None}, False, True),
        ({"bid": ASK}, False, True),
        ({"bid": None, "ask": None, "last_at": None}, True, True),
        ({}, False, False),
    ],
)
def test_a_stale_market_waits_for_what_was_never_seen_or_is_crossed_and_else_for_anything(
    changes: dict[str, Any], trade: bool, quote: bool
) -> None:
    condition = news(a_market(**changes))

    assert (condition.trade, condition.quote) == (trade, quote)


def test_news_is_complete_with_the_last_of_what_was_missing() -> None:
    assert seen(News(trade=True, quote=True), a_quote(), a_quote(), a_print(1)) == [False, False, True]
    assert seen(News(trade=True, quote=True), a_print(1), a_quote()) == [False, True]
    assert seen(News(trade=False, quote=False), a_print(1)) == [True]
    assert seen(News(trade=False, quote=False), a_quote()) == [True]


def test_a_crossed_quote_and_a_trade_that_is_taken_back_are_no_news() -> None:
    condition = News(trade=False, quote=False)

    assert not condition.met(a_quote(bid=ASK))
    assert not condition.met(TradeBusted(1))


@pytest.mark.parametrize(
    ("needed", "quote_age", "trade_age", "trade", "quote"),
    [
        (1, 3, 3, False, False),
        (2, 0, 3, True, False),
        (2, 3, 3, True, False),
        (3, 0, 3, True, False),
        (3, 3, 0, False, True),
        (3, 3, 3, True, True),
        (3, None, None, True, True),
        (3, 2, 2, False, False),
    ],
)
def test_a_reference_waits_for_the_sources_that_are_too_old(
    needed: int, quote_age: int | None, trade_age: int | None, trade: bool, quote: bool
) -> None:
    ages = {"quote_at": quote_age, "last_at": trade_age}
    moments = {name: None if age is None else at(10 - age) for name, age in ages.items()}
    view = a_view(now=at(10), market=a_market(at(10), **moments), limits=limits(references=needed))

    condition = after(R.NO_REFERENCE, a_draft(), view)

    assert isinstance(condition, News)
    assert (condition.trade, condition.quote) == (trade, quote)


# ------------------------------------------------------------------------------------------------------------- spread


@pytest.mark.parametrize(
    ("quote", "met"),
    [
        (a_quote(9_950, 10_050), True),  # a hundred basis points of 10,000 are a hundred ticks
        (a_quote(9_949, 10_050), False),
        (a_quote(10_050, 10_050), False),
        (a_quote(bid_size=0), False),
        (a_quote(ask_size=0), False),
        (a_print(1), False),
    ],
)
def test_a_spread_that_was_too_wide_waits_for_a_quote_that_is_narrow_enough(
    quote: QuoteChanged | TradePrinted, met: bool
) -> None:
    condition = after(R.SPREAD, a_draft(), a_view())

    assert isinstance(condition, Spread)
    assert seen(condition, quote) == [met]


# ------------------------------------------------------------------------------------------------------------- prices


def referred(view: RiskView, price2: int) -> RiskView:
    """The same moment with so much for twice every source of the reference."""
    market = replace(
        view.market,
        bid=Ticks(price2 // 2 - 1),
        ask=Ticks(price2 - price2 // 2 + 1),
        last=Ticks(price2 // 2),
        minute_volume=Lots(2),
        minute_notional=Notional(price2),
    )
    return replace(view, market=market)


@given(
    st.sampled_from(Side),
    st.integers(9_000, 11_000),
    st.sampled_from([1, 50, 333, 500]),
    st.sampled_from([1, 200, 477, 500]),
    st.integers(-1, 1),
)
@settings(max_examples=300)
def test_an_order_that_lies_too_far_from_the_reference_waits_for_just_the_prices_at_which_it_does_not(
    side: Side, limit: int, through: int, rest: int, beside: int
) -> None:
    view = a_view(
        parent=a_parent(side=side),
        limits=limits(collar_bps=through, rest_bps=rest, period_collar_bps=10_000, spread_bps=10_000),
    )
    draft = a_draft(side=side, limit=limit)
    condition = after(R.COLLAR, draft, view)
    assert isinstance(condition, Prices)

    for edge in (condition._low2, condition._high2):
        # Last trade and mid are whole ticks, so that only even references are met exactly.
        price2 = (edge + beside) // 2 * 2
        inside = condition._low2 <= price2 <= condition._high2
        verdict = check(draft, referred(view, price2))
        assert isinstance(verdict, Approved) == inside
        assert inside or (isinstance(verdict, Refused) and verdict.refusal is R.COLLAR)


@pytest.mark.parametrize("moved", [-601, -600, 600, 602])
def test_a_market_that_has_moved_too_far_since_arrival_waits_for_its_return(moved: int) -> None:
    """Three hundred basis points of 10,000 ticks are 600 half ticks."""
    view = a_view(arrival2=20_000, limits=limits(spread_bps=10_000))
    condition = after(R.PERIOD_COLLAR, a_draft(), view)
    assert isinstance(condition, Prices)

    price = Ticks((20_000 + moved) // 2)
    assert seen(condition, a_print(1, price=price), a_quote(price - 1, price + 1))[1] == (abs(moved) <= 600)


def test_without_an_arrival_price_no_price_is_waited_for() -> None:
    assert after(R.PERIOD_COLLAR, a_draft(), a_view(arrival2=None)) is None


def test_two_of_mid_last_trade_and_minute_inside_bring_the_median_inside() -> None:
    outside = a_market(last=9_000, bid=8_999, ask=9_001, minute_volume=Lots(1), minute_notional=9_000)
    near, far = a_quote(9_999, 10_001), a_quote(8_999, 9_001)

    assert seen(Prices(19_900, 20_100, outside), near, a_print(1, price=10_000)) == [False, True]
    assert seen(Prices(19_900, 20_100, outside), near, far, a_print(1, price=10_000)) == [False] * 3
    assert seen(Prices(19_900, 20_100, outside), a_print(1, price=10_000), near) == [False, True]
    inside = replace(outside, minute_notional=Notional(10_000))
    assert seen(Prices(19_900, 20_100, inside), a_print(1, price=9_950)) == [True], "the bounds are included"
    assert seen(Prices(19_900, 20_100, inside), a_print(1, price=10_050)) == [True]
    assert seen(Prices(19_900, 20_100, inside), a_print(1, price=10_051)) == [False]
    for bid, ask, met in ((9_949, 9_951, True), (10_049, 10_051, True), (9_949, 9_950, False), (10_050, 10_051, False)):
        assert seen(Prices(19_900, 20_100, inside), a_quote(bid, ask)) == [met]
    for price in (9_950, 10_050):
        edge = replace(outside, minute_notional=Notional(price))
        assert seen(Prices(19_900, 20_100, edge), near) == [True], "what was seen before counts by the same bounds"
    assert not Prices(19_900, 20_100, outside).met(TradeBusted(1))


def test_a_source_that_was_never_seen_is_not_inside() -> None:
    nothing = a_market(bid=None, ask=None, last=None, minute_volume=Lots(0))

    assert seen(Prices(0, 10**9, nothing), a_print(1), a_quote()) == [False, True]


# --------------------------------------------------------------------------------------------------------- the others


@pytest.mark.parametrize(
    "refusal",
    set(R) - {R.PARTICIPATION, R.NO_REFERENCE, R.SPREAD, R.COLLAR, R.PERIOD_COLLAR},
    ids=lambda refusal: refusal.name,
)
def test_no_print_brings_what_is_not_the_markets_to_bring(refusal: Refusal) -> None:
    """Our own rate, the venue's refusals, the kill switch; and what is missing of the tape, which a look finds soon."""
    assert after(refusal, a_draft(kind=OrderKind.TAKE), a_view()) is None
