"""ccxt's unified forms become exact facts, or are refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues.digits import Grid
from execd.venues.streams import ccxt_unified
from tests.venues.helpers import UNHURRIED, an_instrument

GRID, NOW = Grid(an_instrument()), Nanos(7)
TRADE: dict[str, Any] = {
    "id": "12345",
    "timestamp": 1_672_515_782_136,
    "side": "sell",
    "price": "64926.64",
    "amount": "0.00100",
}
TICKER = {
    "bid": "64926.63",
    "bidVolume": "31.21",
    "ask": "64926.64",
    "askVolume": "4E-5",
    "timestamp": 1_672_515_782_136,
}
AT = Nanos(1_672_515_782_136_000_000)


def test_a_trade_is_exact_and_says_who_took() -> None:
    assert TradePrinted(12_345, Ticks(6_492_664), Lots(100), AT, Side.SELL) == ccxt_unified.trade(TRADE, GRID)
    assert Side.BUY is ccxt_unified.trade({**TRADE, "side": "buy"}, GRID).taker


def test_trades_without_ids_are_known_by_all_that_is_told_of_them() -> None:
    nameless = {**TRADE, "id": None}
    same = ccxt_unified.trade(nameless, GRID).id

    assert same == ccxt_unified.trade(dict(nameless), GRID).id
    others: list[dict[str, Any]] = [{"timestamp": 1}, {"side": "buy"}, {"price": "1"}, {"amount": "1"}]
    assert same not in {ccxt_unified.trade({**nameless, **other}, GRID).id for other in others}


@pytest.mark.parametrize(
    "broken",
    [
        {"price": None},
        {"price": "abc"},
        {"price": "64926.641"},
        {"price": "0"},
        {"price": "-1"},
        {"amount": "0.000001"},
        {"amount": "nan"},
        {"amount": "0"},
        {"timestamp": None},
        {"timestamp": -1},
        {"timestamp": 10**20},
        {"id": "x" * 101},
    ],
)
def test_a_trade_that_makes_no_sense_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        ccxt_unified.trade({**TRADE, **broken}, GRID)


def test_a_quote_of_a_ticker_or_a_book_is_exact_and_takes_our_time_where_it_has_none() -> None:
    quote = QuoteChanged(Ticks(6_492_663), Lots(3_121_000), Ticks(6_492_664), Lots(4), AT)
    book = {
        "bids": [["64926.63", "31.21"], ["1", "1"]],
        "asks": [["64926.64", "0.00004"]],
        "timestamp": TICKER["timestamp"],
    }

    assert quote == ccxt_unified.ticker_quote(TICKER, GRID, NOW)
    assert quote == ccxt_unified.book_quote(book, GRID, NOW)
    for found in (
        ccxt_unified.ticker_quote({**TICKER, "timestamp": None}, GRID, NOW),
        ccxt_unified.book_quote({**book, "timestamp": None}, GRID, NOW),
    ):
        assert found is not None
        assert NOW == found.at


@pytest.mark.parametrize(
    "changes", [{"bid": None}, {"askVolume": None}, {"bid": "0"}, {"bid": "64926.64"}, {"ask": "1"}]
)
def test_a_market_without_both_sides_or_with_crossed_ones_has_no_quote(changes: dict[str, object]) -> None:
    assert ccxt_unified.ticker_quote({**TICKER, **changes}, GRID, NOW) is None


def test_a_book_with_an_empty_side_has_no_quote() -> None:
    assert ccxt_unified.book_quote({"bids": [], "asks": [["1", "1"]]}, GRID, NOW) is None


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["1", "0.01", "1e9"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*TRADE, *TICKER, "bids", "asks"]), inner, max_size=6)
    ),
    max_leaves=10,
)


@UNHURRIED
@given(ANY, st.fixed_dictionaries({}, optional=dict.fromkeys([*TRADE, *TICKER, "bids", "asks"], ANY)))
def test_anything_gives_a_fact_or_nothing_or_is_refused(thing: object, changes: dict[str, object]) -> None:
    for told in (
        thing,
        {**TRADE, **changes},
        {**TICKER, **changes},
        {"bids": [["1", "1"]], "asks": [["2", "1"]], **changes},
    ):
        with suppress(ValueError):
            assert isinstance(ccxt_unified.trade(told, GRID), TradePrinted)
        for read in (ccxt_unified.ticker_quote, ccxt_unified.book_quote):
            with suppress(ValueError):
                quote = read(told, GRID, NOW)
                assert quote is None or 0 < quote.bid < quote.ask
