"""Binance Spot: exact facts from its frames and pages, `BadFrame` and nothing else from bad ones."""

from __future__ import annotations

from typing import Any

import pytest

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues.streams.feed import BadFrame, Paging, StreamBroken
from execd.venues.streams.feeds.binance import BinanceFeed
from tests.venues.feeds.samples import GRID, NOW, told

FEED = BinanceFeed("BTCUSDT", GRID)
AT = Nanos(1_672_515_782_135_000_000)

TRADE: dict[str, Any] = {
    "e": "trade",
    "E": 1672515782136,
    "s": "BTCUSDT",
    "t": 12345,
    "p": "64926.64000000",
    "q": "0.00100000",
    "T": 1672515782135,
    "m": True,
    "M": True,
}
TICKER: dict[str, Any] = {
    "u": 400900217,
    "s": "BTCUSDT",
    "b": "64926.63000000",
    "B": "31.21000000",
    "a": "64926.64000000",
    "A": "40.66000000",
}
ROW: dict[str, Any] = {"id": 5, "price": "1.00000000", "qty": "0.00001000", "time": 7, "isBuyerMaker": True}


def market(stream: str, data: object) -> list[object]:
    return told(FEED, {"stream": stream, "data": data})


def test_a_trade_is_exact_and_says_who_took() -> None:
    expected = TradePrinted(12345, Ticks(6_492_664), Lots(100), AT, Side.SELL)

    assert [expected] == market("btcusdt@trade", TRADE)
    (taken,) = market("btcusdt@trade", {**TRADE, "m": False})
    assert isinstance(taken, TradePrinted)
    assert Side.BUY is taken.taker


def test_the_order_of_keys_is_of_no_meaning() -> None:
    """The short way for the usual order must not be the only way."""
    assert market("btcusdt@trade", TRADE) == told(FEED, {"data": TRADE, "stream": "btcusdt@trade"})


def test_a_quote_is_exact_takes_our_time_and_has_the_exchanges_number() -> None:
    expected = QuoteChanged(Ticks(6_492_663), Lots(3_121_000), Ticks(6_492_664), Lots(4_066_000), NOW, 400900217)

    assert [expected] == market("btcusdt@bookTicker", TICKER)


@pytest.mark.parametrize("side", ["b", "a"])
def test_a_book_with_an_empty_side_is_no_quote(side: str) -> None:
    assert [] == market("btcusdt@bookTicker", {**TICKER, side: "0.00000000"})


def test_other_streams_and_acknowledgments_are_nothing_to_us() -> None:
    assert [] == market("ethusdt@trade", TRADE)
    assert not FEED.decode(b'{"result":null,"id":1}', NOW)


@pytest.mark.parametrize("why", ["serverShutdown", "eventStreamTerminated"])
def test_a_goodbye_ends_the_connection_in_every_wrapping(why: str) -> None:
    for message in ({"e": why, "E": 1}, {"stream": "", "data": {"e": why, "E": 1}}):
        with pytest.raises(StreamBroken, match=why):
            told(FEED, message)


@pytest.mark.parametrize(
    "broken",
    [
        {"p": "abc"},
        {"p": "64926.641"},
        {"p": "-1"},
        {"p": 64926.64},
        {"p": "0.00000000"},
        {"q": "0.00000000"},
        {"q": None},
        {"t": -5},
        {"t": "12"},
        {"T": -1},
        {"m": "true"},
    ],
)
def test_a_trade_that_makes_no_sense_is_a_bad_frame(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        market("btcusdt@trade", {**TRADE, **broken})


def test_a_frame_nested_beyond_all_reason_is_a_bad_frame() -> None:
    for frame in (b"[" * 100_000, b'{"data":' + b"[" * 100_000):
        with pytest.raises(BadFrame):
            FEED.decode(frame, NOW)


def test_a_page_says_who_took() -> None:
    assert [TradePrinted(5, Ticks(100), Lots(1), Nanos(7_000_000), Side.SELL)] == FEED.page([ROW])


@pytest.mark.parametrize("answer", [None, {}, [5], [{**ROW, "price": "0"}], [{**ROW, "id": -1}], [{**ROW, "qty": 1.5}]])
def test_an_answer_that_is_no_page_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        FEED.page(answer)


def test_the_newest_trades_and_old_ones_by_id_are_asked_without_a_key() -> None:
    assert (FEED.contiguous, FEED.paging) == (True, Paging.BY_ID)
    newest, old = FEED.request(None, None, None), FEED.request(77, 80, None)

    assert newest.url == "https://api.binance.com/api/v3/trades?symbol=BTCUSDT&limit=1000"
    assert old.url == "https://api.binance.com/api/v3/historicalTrades?symbol=BTCUSDT&limit=1000&fromId=77"
    assert newest.key_header is old.key_header is None
