"""Kraken's public streams: facts of documented frames, and nothing else whatever comes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues.streams.feed import BadFrame, Paging, StreamBroken
from execd.venues.streams.feeds.kraken import KrakenFeed
from tests.venues.feeds.dialects_more import kraken_quote, kraken_trades
from tests.venues.feeds.samples import GRID, NOW, damaged, prints, quotes, read_all, survives, told
from tests.venues.helpers import UNHURRIED

FEED = KrakenFeed("BTC/USDT", GRID)

ROW = (
    '{"symbol":"BTC/USDT","side":"buy","price":105944.20,"qty":0.00027000,'
    '"ord_type":"limit","trade_id":10218208,"timestamp":"2023-10-06T17:35:55.440295Z"}'
)
NEXT = ROW.replace("10218208", "10218209").replace('"buy"', '"sell"')
TICKER = (
    '{"symbol":"BTC/USDT","bid":105944.20,"bid_qty":2.5,"ask":105944.30,"ask_qty":3.2,"last":105899.40,'
    '"volume":163.28908096,"timestamp":"2022-12-25T09:30:59.123456Z"}'
)
PRINT = TradePrinted(10_218_208, Ticks(10_594_420), Lots(27), Nanos(1_696_613_755_440_295_000), Side.BUY)
QUOTE = QuoteChanged(
    Ticks(10_594_420), Lots(250_000), Ticks(10_594_430), Lots(320_000), Nanos(1_671_960_659_123_456_000)
)


def trades(*rows: str, kind: str = "update") -> bytes:
    return f'{{"channel":"trade","type":"{kind}","data":[{",".join(rows)}]}}'.encode()


def ticker(row: str = TICKER) -> bytes:
    return f'{{"channel":"ticker","type":"update","data":[{row}]}}'.encode()


def test_a_trade_is_exact_and_says_who_took() -> None:
    first, second = FEED.decode(trades(ROW, NEXT), NOW)

    assert PRINT == first
    assert isinstance(second, TradePrinted)
    assert Side.SELL is second.taker


def test_a_snapshot_repeats_trades_under_their_ids() -> None:
    assert [PRINT] == list(FEED.decode(trades(ROW, kind="snapshot"), NOW))


@pytest.mark.parametrize(
    ("written", "lots"), [("1e-05", 1), ("2.7E-4", 27), ("1e2", 10_000_000), ("0.1", 10_000), ("7", 700_000)]
)
def test_a_number_is_read_from_its_digits_however_it_is_written(written: str, lots: int) -> None:
    (found,) = FEED.decode(trades(ROW.replace("0.00027000", written)), NOW)

    assert isinstance(found, TradePrinted)
    assert Lots(lots) == found.quantity


def test_a_price_that_no_float_can_hold_is_exact() -> None:
    (found,) = FEED.decode(trades(ROW.replace("105944.20", "90071992547409.93")), NOW)

    assert isinstance(found, TradePrinted)
    assert Ticks(9_007_199_254_740_993) == found.price


def test_a_quote_is_exact_and_takes_our_time_where_it_has_none() -> None:
    assert [QUOTE] == list(FEED.decode(ticker(), NOW))
    (bare,) = FEED.decode(ticker(TICKER.replace(',"timestamp":"2022-12-25T09:30:59.123456Z"', "")), NOW)
    assert isinstance(bare, QuoteChanged)
    assert NOW == bare.at


@pytest.mark.parametrize(("old", "new"), [("105944.20", "0"), ("105944.30", "0.0"), ("105944.20", "105944.30")])
def test_a_book_with_an_empty_side_or_crossed_is_no_quote(old: str, new: str) -> None:
    assert not FEED.decode(ticker(TICKER.replace(old, new)), NOW)


@pytest.mark.parametrize(
    "message",
    [
        {"channel": "heartbeat"},
        {"channel": "status", "type": "update", "data": [{"system": "online", "version": "2.0.0"}]},
        {"method": "pong", "time_in": "t", "time_out": "t"},
        {"method": "subscribe", "result": {"channel": "trade", "symbol": "BTC/USDT"}, "success": True},
        {"channel": "book", "data": [{}]},
    ],
)
def test_other_messages_are_nothing_to_us(message: object) -> None:
    assert not told(FEED, message)


def test_a_frame_is_read_the_same_however_it_is_laid_out() -> None:
    for data in (trades(ROW, NEXT), ticker()):
        turned = data.replace(b'{"channel"', b'{ "channel"').replace(b",", b", ")
        assert list(FEED.decode(data, NOW)) == list(FEED.decode(turned, NOW))


def test_another_market_is_none_of_this_feeds_business() -> None:
    other = KrakenFeed("ETH/USDT", GRID)

    assert not other.decode(trades(ROW), NOW)
    assert not other.decode(ticker(), NOW)


def test_a_refusal_ends_the_connection_and_says_why() -> None:
    with pytest.raises(StreamBroken, match="Currency pair not supported FOO/USD"):
        told(FEED, {"error": "Currency pair not supported FOO/USD", "method": "subscribe", "success": False})
    with pytest.raises(StreamBroken):
        told(FEED, {"method": "subscribe", "success": False})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("105944.20", '"105944.20"'),
        ("105944.20", "105944.201"),
        ("105944.20", "-1"),
        ("105944.20", "0"),
        ("105944.20", "1e99999999"),
        ("105944.20", "null"),
        ("0.00027000", "0.0"),
        ("0.00027000", "1e-9"),
        ('"buy"', '"b"'),
        ("10218208", "-5"),
        ("10218208", '"12"'),
        ("2023-10-06T17:35:55.440295Z", "2023-10-06"),
        ("2023-10-06T17:35:55.440295Z", "\u0662023-10-06T17:35:55Z"),
        ('"symbol":"BTC/USDT",', ""),
    ],
)
def test_a_trade_that_makes_no_sense_is_a_bad_frame(old: str, new: str) -> None:
    with pytest.raises(BadFrame):
        FEED.decode(trades(ROW.replace(old, new)), NOW)


@pytest.mark.parametrize(
    "data", [b"[]", b"7", b'{"channel":"trade"}', b'{"channel":"ticker","data":[{}]}', b"[" * 9999]
)
def test_what_is_no_frame_of_kraken_is_a_bad_frame(data: bytes) -> None:
    with pytest.raises(BadFrame):
        FEED.decode(data, NOW)


def test_it_subscribes_to_trades_and_to_each_change_of_the_best_prices() -> None:
    assert [
        {"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USDT"], "snapshot": False}},
        {"method": "subscribe", "params": {"channel": "ticker", "symbol": ["BTC/USDT"], "event_trigger": "bbo"}},
    ] == [json.loads(message) for message in FEED.hello]
    assert "wss://ws.kraken.com/v2" == FEED.url
    assert FEED.beat is not None
    assert {"method": "ping"} == json.loads(FEED.beat.message)


@pytest.mark.parametrize(
    ("symbol", "pair"), [("BTC/USD", "XBTUSD"), ("DOGE/BTC", "XDGXBT"), ("ETH/EUR", "ETHEUR"), ("SOL/USDT", "SOLUSDT")]
)
def test_rest_is_asked_under_its_own_names(symbol: str, pair: str) -> None:
    url = urlsplit(KrakenFeed(symbol, GRID).request(None, None, None).url)

    assert "api.kraken.com/0/public/Trades" == url.netloc + url.path
    assert {"pair": [pair], "count": ["1000"]} == parse_qs(url.query)


def test_old_trades_are_asked_for_from_just_before_a_moment() -> None:
    asked = parse_qs(urlsplit(FEED.request(5, 9, Nanos(1_696_613_755_440_295_000)).url).query)

    assert ["1696613755440293999"] == asked["since"]
    assert Paging.BY_TIME is FEED.paging
    assert "since" not in FEED.request(None, None, Nanos(5)).url


@pytest.mark.parametrize("quoted", [False, True], ids=["numbers", "numbers in quotes"])
def test_a_page_is_exact_whatever_the_pair_is_called(quoted: bool) -> None:
    row: list[Any] = ["105433.60000", "0.00027000", 1762795433.9717445, "b", "l", "", 10218208]
    if quoted:
        row = [str(value) for value in row]
    answer = {"error": [], "result": {"XBTUSDT": [row, [*row[:3], "s", *row[4:6], 10218209]], "last": "1762795457"}}
    at = Nanos(1_762_795_433_971_744_500)

    assert [
        TradePrinted(10_218_208, Ticks(10_543_360), Lots(27), at, Side.BUY),
        TradePrinted(10_218_209, Ticks(10_543_360), Lots(27), at, Side.SELL),
    ] == FEED.page(answer)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {"error": ["EQuery:Unknown asset pair"]},
        {"error": [], "result": {"X": [["1", "1"]]}},
        {"error": [], "result": {"X": [["1", "1", -5, "b", "l", "", 1]]}},
        {"error": [], "result": {"X": [["1", "1", "nan", "b", "l", "", 1]]}},
        {"error": [], "result": {"X": [["0", "1", 5, "b", "l", "", 1]]}},
    ],
)
def test_an_answer_that_makes_no_sense_or_refuses_is_a_value_error(answer: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        FEED.page(answer)


@UNHURRIED
@given(st.lists(prints(), max_size=6))
def test_any_trades_survive_the_way_through_krakens_words(some: list[TradePrinted]) -> None:
    assert some == read_all(FEED, kraken_trades(some))


@UNHURRIED
@given(quotes())
def test_any_quote_survives_the_way_through_krakens_words(quote: QuoteChanged) -> None:
    (found,) = FEED.decode(kraken_quote(quote), NOW)

    assert QuoteChanged(quote.bid, quote.bid_size, quote.ask, quote.ask_size, quote.at) == found


@UNHURRIED
@given(damaged([trades(ROW, NEXT), ticker()]))
def test_any_bytes_give_facts_or_a_refusal(data: bytes) -> None:
    survives(FEED, data)
