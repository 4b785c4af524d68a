"""Binance USD-M futures: exact facts from its frames, and no volume from what was no trade of the market."""

from __future__ import annotations

from typing import Any

import pytest

from execd.core.events import QuoteChanged, TradeBusted, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues.streams.feed import BadFrame, Paging, StreamBroken
from execd.venues.streams.feeds.binance_futures import BinanceFuturesFeed
from tests.venues.feeds.samples import GRID, told

FEED = BinanceFuturesFeed("BTCUSDT", GRID)

TRADE: dict[str, Any] = {
    "e": "trade",
    "E": 1790371723022,
    "T": 1790371723021,
    "s": "BTCUSDT",
    "t": 2804511605,
    "p": "64926.64",
    "q": "0.001",
    "X": "MARKET",
    "m": True,
    "st": 1,
}
TICKER: dict[str, Any] = {
    "e": "bookTicker",
    "u": 400900217,
    "s": "BTCUSDT",
    "b": "64926.60",
    "B": "31.210",
    "a": "64926.70",
    "A": "40.660",
    "T": 1790371723021,
    "E": 1790371723022,
    "st": 1,
}
ROW: dict[str, Any] = {
    "id": 28457,
    "price": "64926.64",
    "qty": "0.012",
    "quoteQty": "779.11968",
    "time": 1790371723021,
    "isBuyerMaker": False,
    "isRPITrade": True,
}


def trade(**changes: object) -> list[object]:
    return told(FEED, {"stream": "btcusdt@trade", "data": {**TRADE, **changes}})


def ticker(**changes: object) -> list[object]:
    return told(FEED, {"stream": "btcusdt@bookTicker", "data": {**TICKER, **changes}})


def test_a_trade_is_exact_and_says_who_took() -> None:
    """`m`: the buyer was the maker."""
    at = Nanos(1_790_371_723_021_000_000)

    assert [TradePrinted(2804511605, Ticks(6_492_664), Lots(100), at, Side.SELL)] == trade()
    assert [TradePrinted(2804511605, Ticks(6_492_664), Lots(100), at, Side.BUY)] == trade(m=False)


def test_the_order_of_keys_is_of_no_meaning() -> None:
    """The short way for the usual order must not be the only way."""
    assert trade() == told(FEED, {"data": TRADE, "stream": "btcusdt@trade"})
    assert ticker() == told(FEED, {"data": TICKER, "stream": "btcusdt@bookTicker"})


def test_a_trade_with_an_order_for_takers_by_hand_counts() -> None:
    """It was made in the book, and REST lists it."""
    assert trade() == trade(X="RPI")


def test_a_trade_that_does_not_say_its_kind_counts() -> None:
    """Older recordings have no `X`."""
    without = {key: value for key, value in TRADE.items() if key != "X"}

    assert trade() == told(FEED, {"stream": "btcusdt@trade", "data": without})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"p": "0", "q": "0", "X": "NA"}, id="an id used up without a trade"),
        pytest.param({"X": "INSURANCE_FUND"}, id="the insurance fund"),
        pytest.param({"X": "ADL"}, id="auto-deleveraging"),
    ],
)
def test_what_is_no_trade_of_the_market_uses_up_its_id_and_nothing_else(changes: dict[str, object]) -> None:
    """It must be neither a gap nor volume."""
    assert [TradeBusted(2804511605)] == trade(**changes)


def test_an_unknown_kind_of_trade_is_left_to_rest() -> None:
    """REST lists what is of the market: a bad frame leaves a gap, which it fills or passes over."""
    with pytest.raises(BadFrame, match="SOMETHING_NEW"):
        trade(X="SOMETHING_NEW")


def test_a_quote_has_the_exchanges_own_time_and_number() -> None:
    """The number tells a late one of two connections."""
    at = Nanos(1_790_371_723_021_000_000)

    assert [
        QuoteChanged(Ticks(6_492_660), Lots(3_121_000), Ticks(6_492_670), Lots(4_066_000), at, 400900217)
    ] == ticker()


def test_other_streams_and_replies_are_nothing_to_us() -> None:
    """As are acknowledgments."""
    assert [] == told(FEED, {"stream": "ethusdt@trade", "data": TRADE})
    assert [] == told(FEED, {"result": None, "id": 1})


@pytest.mark.parametrize("why", ["serverShutdown", "eventStreamTerminated"])
def test_a_goodbye_ends_the_connection(why: str) -> None:
    """In either wrapping."""
    with pytest.raises(StreamBroken, match=why):
        told(FEED, {"e": why, "E": 1})
    with pytest.raises(StreamBroken, match=why):
        told(FEED, {"stream": "", "data": {"e": why, "E": 1}})


@pytest.mark.parametrize(
    "broken",
    [
        {"p": "abc"},
        {"p": "64926.641"},
        {"p": "-1"},
        {"p": 64926.64},
        {"p": "0"},
        {"q": "0"},
        {"q": "0.000001"},
        {"q": None},
        {"t": -5},
        {"t": "12"},
        {"t": 2**63},
        {"T": -1},
        {"T": 10**15},
        {"m": "true"},
        {"X": 7},
    ],
)
def test_a_trade_that_makes_no_sense_is_a_bad_frame(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        trade(**broken)


@pytest.mark.parametrize("broken", [{"b": None}, {"B": "-1"}, {"a": "1e3"}, {"u": "7"}, {"T": None}, {"A": "\u0661"}])
def test_a_quote_that_makes_no_sense_is_a_bad_frame(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        ticker(**broken)


def test_it_dials_the_tier_that_carries_trades() -> None:
    """The paths without a tier are gone."""
    streams = "stream?streams=btcusdt@trade/btcusdt@bookTicker"

    assert f"wss://fstream.binance.com/public/{streams}" == FEED.url
    assert f"wss://fstream.binancefuture.com/public/{streams}" == BinanceFuturesFeed("BTCUSDT", GRID, sandbox=True).url
    assert () == FEED.hello


def test_old_trades_want_a_key_and_new_ones_none() -> None:
    """500 a page, from an id on."""
    newest, old = FEED.request(None, None, None), FEED.request(7, 9, None)

    assert "https://fapi.binance.com/fapi/v1/trades?symbol=BTCUSDT&limit=500" == newest.url
    assert newest.key_header is None
    assert "https://fapi.binance.com/fapi/v1/historicalTrades?symbol=BTCUSDT&limit=500&fromId=7" == old.url
    assert "X-MBX-APIKEY" == old.key_header
    test = BinanceFuturesFeed("BTCUSDT", GRID, sandbox=True).request(None, None, None)
    assert test.url.startswith("https://demo-fapi.binance.com/fapi/v1/trades?")


def test_its_pages_pass_over_what_was_no_trade_of_the_market() -> None:
    """So that whoever fills a gap knows what an absent id means."""
    assert FEED.sparse
    assert FEED.contiguous
    assert Paging.BY_ID is FEED.paging


def test_a_page_is_read_exactly() -> None:
    """Rows of either question."""
    at = Nanos(1_790_371_723_021_000_000)

    assert [TradePrinted(28457, Ticks(6_492_664), Lots(1200), at, Side.BUY)] == FEED.page([ROW])
    assert [TradePrinted(28458, Ticks(6_492_664), Lots(1200), at, Side.SELL)] == FEED.page(
        [{**ROW, "id": 28458, "isBuyerMaker": True}]
    )
    assert [] == FEED.page([])


@pytest.mark.parametrize(
    "answer",
    [
        {"code": -2014, "msg": "API-key format invalid."},
        [{**ROW, "price": "0"}],
        [{**ROW, "qty": "x"}],
        [{**ROW, "id": -1}],
        [{**ROW, "time": None}],
        [{key: value for key, value in ROW.items() if key != "isBuyerMaker"}],
    ],
)
def test_a_page_that_makes_no_sense_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        FEED.page(answer)
