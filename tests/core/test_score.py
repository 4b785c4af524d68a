"""Exact sums in, basis points out; a positive number is a cost to the client."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.events import Gap, MarketObserved, OrderAccepted, OrderFilled
from execd.core.execution import Execution
from execd.core.grid import Lots, Notional, Side, Ticks
from execd.core.ledger import SliceRecord
from execd.core.orders import Fill, Liquidity
from execd.core.score import Benchmark, Score, allocated, score
from tests.core.build import START, a_bar, a_child, a_fill, a_market, a_parent, a_submission, at

PRICES = st.integers(1, 10**7)
QUANTITIES = st.integers(1, 10**6)
TRADES = st.lists(st.tuples(PRICES, QUANTITIES), max_size=20)


def a_score(**changes: Any) -> Score:
    """Bought 60 of 100 lots at 10,010 in a market of 10,000 that began at 9,990 and ended at 10,020."""
    result = Score(
        quantity=100,
        filled=60,
        own=Benchmark(60, 60 * 10_010),
        market=Benchmark(1_000, 1_000 * 10_000),
        market_ex_own=Benchmark(940, 1_000 * 10_000 - 60 * 10_010),
        arrival=Fraction(9_990),
        last_mid=Fraction(10_020),
        missing=0,
        maker=0,
        fees={},
        sign=1,
    )
    return replace(result, **changes)


def total(trades: list[tuple[int, int]]) -> Benchmark:
    return Benchmark(sum(quantity for _, quantity in trades), sum(price * quantity for price, quantity in trades))


def a_record(number: int = 0, share: float | None = None, before: int = 0) -> SliceRecord:
    """A slice that was decided so, when so many lots had filled."""
    return SliceRecord(number, at(0), at(60), Lots(100 * (number + 1)), Lots(0), share, "m", "", Lots(before))


def worked(fills: list[Fill], market: Benchmark, *, own_prints: bool = True, **changes: Any) -> Execution:
    """An execution that holds these fills of one order and has seen such a market."""
    parent = a_parent(quantity=10**9, **changes.pop("parent", {}))
    execution = Execution(a_submission(parent, own_prints=own_prints))
    execution.ledger[0] = a_record()
    execution.blotter.add(a_child(quantity=10**9))
    view = a_market(volume=market.volume, notional=market.notional, **changes)
    execution.handle(START, MarketObserved("P1", view))
    for fill in fills:
        execution.handle(START, OrderFilled(fill))
    return execution


# ---------------------------------------------------------------------------------------------------------- own prints


@given(TRADES, TRADES)
def test_own_prints_are_taken_out_of_the_benchmark_exactly(
    others: list[tuple[int, int]], own: list[tuple[int, int]]
) -> None:
    fills = [a_fill(q, id=f"t{number}", price=price, at=at(number)) for number, (price, q) in enumerate(own)]

    result = score(worked(fills, total(others + own)))

    assert result.market == total(others + own)
    assert result.market_ex_own == total(others)
    assert result.own == total(own)


@given(TRADES, TRADES)
def test_where_our_fills_are_not_on_the_tape_there_is_nothing_to_take_out(
    others: list[tuple[int, int]], own: list[tuple[int, int]]
) -> None:
    fills = [a_fill(q, id=f"t{number}", price=price) for number, (price, q) in enumerate(own)]

    result = score(worked(fills, total(others), own_prints=False))

    assert result.market == result.market_ex_own == total(others)


@pytest.mark.parametrize(("seconds", "inside"), [(-1e-9, False), (0, True), (599.999_999_999, True), (600, False)])
def test_a_fill_belongs_to_the_benchmark_by_the_venues_time(seconds: float, inside: bool) -> None:
    """The order's last fill may come a moment after the window: it is ours, and no part of the window's volume."""
    result = score(worked([a_fill(10, price=100, at=at(seconds))], Benchmark(50, 5_000)))

    assert result.market_ex_own == (Benchmark(40, 4_000) if inside else Benchmark(50, 5_000))
    assert result.own == Benchmark(10, 1_000)


@given(TRADES.filter(bool), TRADES.filter(bool))
def test_participation_counts_our_own_volume_once_on_the_tape_or_off(
    others: list[tuple[int, int]], own: list[tuple[int, int]]
) -> None:
    fills = [a_fill(q, id=f"t{number}", price=price) for number, (price, q) in enumerate(own)]
    ours, theirs = total(own).volume, total(others).volume

    on_tape = score(worked(fills, total(others + own)))
    off_tape = score(worked(fills, total(others), own_prints=False))

    assert on_tape.participation == off_tape.participation == ours / (ours + theirs)


# ----------------------------------------------------------------------------------------------------------- the signs


def test_the_measures_in_a_case_that_can_be_done_by_hand() -> None:
    result = a_score()

    assert result.slippage_bps == 10.0  # 10,010 against 10,000
    assert result.arrival_bps == pytest.approx(1e4 * 20 / 9_990)
    assert result.slippage_ex_own_bps == pytest.approx(10 + 10 * 60 / 940, rel=1e-4)
    assert result.shortfall_bps == pytest.approx(1e4 * (60 * 20 + 40 * 30) / (100 * 9_990))
    assert result.participation == 0.06


@given(TRADES.filter(bool), TRADES.filter(bool), PRICES, PRICES, st.integers(0, 10**6))
def test_what_costs_a_buyer_saves_a_seller(
    own: list[tuple[int, int]], market: list[tuple[int, int]], arrival: int, last: int, unfilled: int
) -> None:
    filled = total(own).volume
    buy = a_score(
        own=total(own),
        market=total(market),
        market_ex_own=total(market),
        filled=filled,
        quantity=filled + unfilled,
        arrival=Fraction(arrival),
        last_mid=Fraction(last),
    )
    sell = replace(buy, sign=-1)

    for name in ("slippage_bps", "slippage_ex_own_bps", "arrival_bps", "shortfall_bps"):
        assert getattr(sell, name) == -getattr(buy, name)


@pytest.mark.parametrize(("side", "cost"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_buying_above_the_market_is_a_cost_and_selling_above_it_is_none(side: Side, cost: int) -> None:
    result = score(worked([a_fill(10, price=101)], Benchmark(110, 100 * 100 + 10 * 101), parent={"side": side}))

    assert result.slippage_ex_own_bps == 100.0 * cost
    assert result.slippage_bps is not None
    assert 0 < result.slippage_bps * cost < 100


def test_whoever_trades_at_the_markets_average_has_no_slippage() -> None:
    assert a_score(own=Benchmark(7, 70_000)).slippage_bps == 0.0


@given(TRADES.filter(bool), PRICES, PRICES, st.integers(0, 10**6), st.sampled_from([1, -1]))
def test_the_shortfall_is_perolds(
    own: list[tuple[int, int]], arrival2: int, last2: int, unfilled: int, sign: int
) -> None:
    """s * [sum q_i (p_i - p_0) + (N - Q)(p_end - p_0)] in bps of N * p_0, fill by fill."""
    p0, p_end, filled = Fraction(arrival2, 2), Fraction(last2, 2), total(own).volume
    paid = sum((quantity * (price - p0) for price, quantity in own), Fraction(0))
    expected = 10_000 * sign * (paid + unfilled * (p_end - p0)) / ((filled + unfilled) * p0)

    result = a_score(own=total(own), filled=filled, quantity=filled + unfilled, arrival=p0, last_mid=p_end, sign=sign)

    assert result.shortfall_bps == float(expected)


def test_a_parent_of_which_nothing_was_filled_lost_what_the_market_ran_away() -> None:
    nothing = a_score(filled=0, own=Benchmark(0, 0), last_mid=Fraction(9_990) * 101 / 100)

    assert nothing.shortfall_bps == 100.0


# ------------------------------------------------------------------------------------------------------ what is unknown


def test_what_cannot_be_known_is_none_and_not_nothing() -> None:
    unknown = a_score(
        filled=0,
        own=Benchmark(0, 0),
        market=Benchmark(0, 0),
        market_ex_own=Benchmark(0, 0),
        arrival=None,
        last_mid=None,
    )

    assert unknown.own.vwap is None
    assert [unknown.slippage_bps, unknown.slippage_ex_own_bps, unknown.arrival_bps] == [None] * 3
    assert [unknown.shortfall_bps, unknown.participation] == [None] * 2


def test_without_a_market_our_price_is_compared_with_nothing() -> None:
    alone = a_score(market=Benchmark(0, 0), last_mid=None)

    assert (alone.slippage_bps, alone.shortfall_bps) == (None, None)
    assert alone.arrival_bps is not None


def test_a_parent_that_has_seen_nothing_scores_nothing() -> None:
    result = score(Execution(a_submission()))

    assert (result.filled, result.own, result.market, result.arrival, result.last_mid) == (
        0,
        Benchmark(0, 0),
        Benchmark(0, 0),
        None,
        None,
    )


# ------------------------------------------------------------------------------------------------------- the other sums


def test_prices_are_halves_of_what_the_core_doubles() -> None:
    execution = worked([], Benchmark(0, 0), bid=10_000, ask=10_001)
    execution.handle(START, MarketObserved("P1", a_market(bid=10_002, ask=10_005)))

    result = score(execution)

    assert (result.arrival, result.last_mid) == (Fraction(20_001, 2), Fraction(20_007, 2))


def test_trades_that_we_know_we_did_not_see_are_counted() -> None:
    assert (
        score(worked([], Benchmark(9, 9), gaps=(Gap(3, 5, START, START), Gap(9, 9, START, START)), lost=10)).missing
        == 14
    )


def test_a_complete_benchmark_is_exact() -> None:
    result = score(worked([a_fill(4)], Benchmark(9, 90_000)))

    assert (result.coverage, result.complete, result.error_bps, result.missed) == (Fraction(1), True, 0.0, ())
    assert (result.slippage_error_bps, result.slippage_ex_own_error_bps) == (0.0, 0.0)


def incomplete(fills: list[Fill], market: Benchmark, **changes: Any) -> Score:
    """The score of a market of 90 trades, from 9,990 to 10,020 and none above 20 lots, of which five are missing."""
    seen = {"trades": 90, "largest": Lots(20), "window_low": Ticks(9_990), "window_high": Ticks(10_020)}
    return score(worked(fills, market, gaps=(Gap(1, 5, START, START),), **{**seen, **changes}))


def test_what_is_compared_with_an_incomplete_benchmark_is_off_by_at_most_so_much() -> None:
    """100 lots may be missing, at worst all at 10,020; without our ten lots what was seen weighs less."""
    result = incomplete([a_fill(10, price=10_010)], Benchmark(900, 9_000_000))

    assert (result.coverage, result.complete, result.missing) == (Fraction(90, 95), False, 5)
    assert [part.trades for part in result.missed] == [5]
    assert result.error_bps == pytest.approx(2)
    assert result.slippage_error_bps == pytest.approx(1e4 * Fraction(10_010, 10_000) * Fraction(2, 9_998))
    assert (result.slippage_ex_own_error_bps or 0) > (result.slippage_error_bps or 0) > 0


@given(TRADES.filter(bool), st.lists(st.tuples(PRICES, QUANTITIES), min_size=5, max_size=5), PRICES)
def test_the_true_slippage_lies_within_its_bound(
    seen: list[tuple[int, int]], unseen: list[tuple[int, int]], paid: int
) -> None:
    """Whatever was missed, if it was no larger and inside the prices of what was seen."""
    prices, largest = [price for price, _ in seen], max(quantity for _, quantity in seen)
    unseen = [(min(max(price, min(prices)), max(prices)), min(quantity, largest)) for price, quantity in unseen]
    window = {"largest": Lots(largest), "window_low": Ticks(min(prices)), "window_high": Ticks(max(prices))}
    result = incomplete([a_fill(10, price=paid)], total(seen), **window, own_prints=False)

    true = replace(result, market=total(seen + unseen)).slippage_bps
    if result.slippage_error_bps is not None:
        assert result.slippage_bps is not None
        assert true == pytest.approx(result.slippage_bps, abs=result.slippage_error_bps * (1 + 1e-12) + 1e-9)


def test_where_nothing_bounds_the_benchmark_nothing_bounds_what_is_compared_with_it() -> None:
    nothing = incomplete([a_fill(10)], Benchmark(0, 0), trades=0)
    doubtful = a_score(vwap_error=Fraction(1), vwap_error_ex_own=None)

    assert (nothing.coverage, nothing.error_bps, nothing.slippage_error_bps) == (Fraction(0), None, None)
    assert (doubtful.error_bps, doubtful.slippage_error_bps, doubtful.slippage_ex_own_error_bps) == (1e4, None, None)
    assert a_score(own=Benchmark(0, 0)).slippage_error_bps is None


def test_a_bound_is_rounded_up() -> None:
    """To the nearest float it could be a little less than what it bounds."""
    for third in (Fraction(1, 30_000), Fraction(2, 30_000)):
        bound = a_score(vwap_error=third).error_bps
        assert bound is not None
        assert Fraction(bound) >= 10_000 * third
        assert bound == pytest.approx(10_000 * third)


def test_fees_are_summed_by_currency_exactly_and_makers_apart_from_takers() -> None:
    fills = [
        a_fill(4, id="a", fee=Decimal("0.1")),
        a_fill(5, id="b", fee=Decimal("0.2")),
        a_fill(6, id="c", fee=Decimal("0.3"), fee_currency="USDT", liquidity=Liquidity.TAKER),
    ]
    result = score(worked(fills, Benchmark(100, 1_000_000)))

    assert result.fees == {"BNB": Decimal("0.3"), "USDT": Decimal("0.3")}
    assert (result.maker, result.own.volume) == (9, 15)


def test_what_was_counted_and_not_itemised_is_filled_but_has_no_price_yet() -> None:
    execution = worked([a_fill(4)], Benchmark(100, 1_000_000))
    execution.handle(START, OrderAccepted("P1n1", "v1", Lots(9)))
    result = score(execution)

    assert (result.filled, result.own.volume) == (9, 4)


# --------------------------------------------------------------------------------------------- the allocation alone


def decided(*slices: tuple[int, float | None, int], ended: str | None = "filled", **parent: Any) -> Execution:
    """A parent of 1,000 lots in ten slices whose slices were decided so: number, share, lots filled before."""
    execution = Execution(a_submission(a_parent(**parent)))
    for number, share, before in slices:
        execution.ledger[number] = a_record(number, share, before)
    execution.ended_why = ended
    return execution


def traded(execution: Execution, *bars: tuple[int, int]) -> Execution:
    """The market of the first slices: volume and average price of each."""
    for number, (volume, price) in enumerate(bars):
        bar = a_bar(60 * number, volume=Lots(volume), notional=Notional(volume * price))
        if volume:
            execution.bars[number] = bar
    return execution


def test_an_allocation_is_priced_at_each_slices_own_average() -> None:
    """30 % at 100, half of the rest, 35 %, at 110 and the last 35 % at 120, against (100 + 110 + 120) / 3."""
    execution = traded(decided((0, 0.1, 0), (1, 0.1, 0), (2, 0.1, 0)), (10, 100), (10, 110), (10, 120))

    bps = allocated(execution, {0: 0.3, 1: 0.65, 2: 0.0})

    assert bps == pytest.approx(1e4 * (0.3 * 100 + 0.35 * 110 + 0.35 * 120 - 110) / 110)
    sell = traded(decided((0, None, 0), (1, None, 0), (2, None, 0), side=Side.SELL), (10, 100), (10, 110), (10, 120))
    assert allocated(sell, {0: 0.3, 1: 0.65, 2: 0.0}) == pytest.approx(-1e4 * (0.5 / 110))


def test_a_share_is_of_what_was_left_when_its_slice_was_decided() -> None:
    """A fifth of the 500 that were left after 500 is a target of 600."""
    execution = traded(decided((0, None, 0), (1, None, 500), (2, None, 500)), (10, 100), (10, 100), (10, 200))

    bps = allocated(execution, {0: 0.5, 1: 0.2})

    assert bps == pytest.approx(1e4 * (0.6 * 100 + 0.4 * 200 - Fraction(400, 3)) / Fraction(400, 3))


def test_what_is_allocated_stays_allocated() -> None:
    """A target under an earlier one is to wait, not to sell."""
    execution = traded(decided((0, None, 0), (1, None, 0), (2, None, 0)), (10, 100), (10, 150), (10, 200))

    assert allocated(execution, {0: 0.8, 1: 0.1}) == pytest.approx(1e4 * (0.8 * 100 + 0.2 * 200 - 150) / 150)


@pytest.mark.parametrize("share", [{}, {0: float("nan")}, {0: -0.1}, {0: 7.0}])
def test_where_no_share_is_sane_the_plan_stands(share: dict[int, float]) -> None:
    execution = traded(decided((0, None, 0), (1, None, 0)), (10, 100), (10, 200))

    assert allocated(execution, share) == pytest.approx(1e4 * (0.1 * 100 + 0.9 * 200 - 150) / 150)


def test_a_slice_that_was_never_decided_waits_and_one_without_trades_has_the_price_before() -> None:
    execution = traded(decided((0, None, 0), (3, None, 0)), (10, 100), (0, 0), (10, 400), (0, 0))

    assert allocated(execution, {0: 0.5}) == pytest.approx(1e4 * (0.5 * 100 + 0.5 * 400 - 250) / 250)


def test_before_the_first_trade_a_slice_costs_what_the_market_paid() -> None:
    execution = traded(decided((0, None, 0), (1, None, 0)), (0, 0), (10, 400))

    assert allocated(execution, {0: 0.5}) == 0.0


def test_an_allocation_is_scored_only_when_it_can_be() -> None:
    whole = ((0, None, 0), (1, None, 0))
    canceled = traded(decided(*whole, ended="canceled by ann"), (10, 100), (10, 200))
    canceled.canceled_by = "ann"

    assert allocated(traded(decided(*whole, ended=None), (10, 100), (10, 200)), {}) is None, "it is not over"
    assert allocated(canceled, {}) is None, "nobody knows what it would have done with the rest"
    assert allocated(traded(decided(), (10, 100)), {}) is None, "nothing was decided"
    assert allocated(decided(*whole), {}) is None, "nothing traded"
