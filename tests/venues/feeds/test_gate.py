"""Gate's public streams: facts of documented frames, and nothing else whatever comes."""

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
from execd.venues.streams.feeds.gate import GateFeed
from tests.venues.feeds.dialects_more import gate_quote, gate_trades
from tests.venues.feeds.samples import GRID, NOW, damaged, frame, prints, quotes, read_all, survives, told
from tests.venues.helpers import UNHURRIED

FEED = GateFeed("BTC_USDT", GRID)

TRADE = {
    "id": 309143071,
    "id_market": 2390902,
    "create_time": 1606292218,
    "create_time_ms": "1606292218213.4578",
    "side": "sell",
    "currency_pair": "BTC_USDT",
    "amount": "16.4700000000",
    "price": "19128.1500000000",
    "range": "2390902-2390902",
}
QUOTE = {
    "t": 1671363004228,
    "u": 9793320464,
    "s": "BTC_USDT",
    "b": "16716.8",
    "B": "0.0134",
    "a": "16716.9",
    "A": "0.0353",
}
PRINT = TradePrinted(2_390_902, Ticks(1_912_815), Lots(1_647_000), Nanos(1_606_292_218_213_457_800), Side.SELL)


def trades(result: object) -> dict[str, Any]:
    return {
        "time": 1606292218,
        "time_ms": 1606292218231,
        "channel": "spot.trades",
        "event": "update",
        "result": result,
    }


def quote(**changes: object) -> dict[str, Any]:
    return {**trades({**QUOTE, **changes}), "channel": "spot.book_ticker"}


def test_a_trade_is_exact_under_the_id_of_its_own_market_and_says_who_took() -> None:
    assert [PRINT] == told(FEED, trades(TRADE))
    (bought,) = told(FEED, trades({**TRADE, "side": "buy"}))
    assert isinstance(bought, TradePrinted)
    assert Side.BUY is bought.taker


def test_trades_may_come_in_a_list() -> None:
    assert [PRINT, PRINT] == told(FEED, trades([TRADE, TRADE]))


@pytest.mark.parametrize(
    ("span", "last", "count"),
    [
        ("2390900-2390904", 2_390_904, 5),
        ("2390902-2390903", 2_390_903, 2),
        ("", 2_390_902, 1),
        ("5736713-5736713", 2_390_902, 1),
        ("2390903-2390902", 2_390_902, 1),
        ("0-2390902", 2_390_902, 1),
        ("x-2390902", 2_390_902, 1),
        ("2390902", 2_390_902, 1),
    ],
)
def test_a_print_stands_for_its_range_where_that_can_be_one(span: str, last: int, count: int) -> None:
    (found,) = told(FEED, trades({**TRADE, "range": span}))

    assert isinstance(found, TradePrinted)
    assert (last, count) == (found.id, found.count)


def test_a_quote_is_exact_with_its_time_and_its_number() -> None:
    at = Nanos(1_671_363_004_228_000_000)

    assert [QuoteChanged(Ticks(1_671_680), Lots(1_340), Ticks(1_671_690), Lots(3_530), at, 9_793_320_464)] == told(
        FEED, quote()
    )


@pytest.mark.parametrize("changes", [{"b": ""}, {"a": ""}, {"b": "0"}, {"b": "16716.9"}])
def test_a_book_with_an_empty_side_or_crossed_is_no_quote(changes: dict[str, object]) -> None:
    assert not told(FEED, quote(**changes))


@pytest.mark.parametrize(
    "message",
    [
        {"time": 1, "channel": "spot.trades", "event": "subscribe", "error": None, "result": {"status": "success"}},
        {"time": 1, "channel": "spot.pong", "event": "", "error": None, "result": None},
        {"time": 1, "channel": "spot.tickers", "event": "update", "result": {}},
        trades({**TRADE, "currency_pair": "ETH_USDT"}),
        quote(s="ETH_USDT"),
    ],
)
def test_other_messages_are_nothing_to_us(message: object) -> None:
    assert not told(FEED, message)


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_every_documented_refusal_ends_the_connection_and_says_why(code: int) -> None:
    error = {"code": code, "message": "unknown currency pair: FOO_USDT"}
    refused = {"time": 1, "channel": "spot.trades", "event": "subscribe", "error": error, "result": {"status": "fail"}}

    with pytest.raises(StreamBroken, match=f"{code} unknown currency pair: FOO_USDT"):
        told(FEED, refused)


@pytest.mark.parametrize(
    "broken",
    [
        {"price": "abc"},
        {"price": "19128.151"},
        {"price": "-1"},
        {"price": 19128.15},
        {"price": "0.000"},
        {"amount": "0"},
        {"amount": None},
        {"id_market": -5},
        {"id_market": "12"},
        {"side": "SELL"},
        {"create_time_ms": "-1"},
        {"create_time_ms": "nan"},
        {"create_time_ms": "1e30"},
        {"create_time_ms": 1606292218213},
    ],
)
def test_a_trade_that_makes_no_sense_is_a_bad_frame(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        told(FEED, trades({**TRADE, **broken}))


@pytest.mark.parametrize(
    "message", [[], 7, trades(None), trades({}), {**trades(TRADE), "channel": "spot.book_ticker"}, quote(u=-1)]
)
def test_what_is_no_frame_of_gate_is_a_bad_frame(message: object) -> None:
    with pytest.raises(BadFrame):
        told(FEED, message)


def test_it_subscribes_to_both_channels_with_a_time_in_seconds() -> None:
    said = [json.loads(message) for message in FEED.hello]

    assert ["spot.trades", "spot.book_ticker"] == [message["channel"] for message in said]
    assert all(message["event"] == "subscribe" and message["payload"] == ["BTC_USDT"] for message in said)
    assert all(isinstance(message["time"], int) for message in said)


def test_the_test_network_has_addresses_of_its_own() -> None:
    practice = GateFeed("BTC_USDT", GRID, sandbox=True)

    assert "api.gateio.ws" == urlsplit(FEED.url).netloc == urlsplit(FEED.request(None, None, None).url).netloc
    assert "ws-testnet.gate.io" == urlsplit(practice.url).netloc
    assert "api-testnet.gateapi.io" == urlsplit(practice.request(None, None, None).url).netloc


def test_the_newest_trades_are_asked_for_and_read_under_the_same_ids() -> None:
    asked = parse_qs(urlsplit(FEED.request(5, 9, Nanos(7)).url).query)
    row = {
        "id": "309143071",
        "create_time": "1606292218",
        "create_time_ms": "1606292218213.457800",
        "currency_pair": "BTC_USDT",
        "side": "sell",
        "amount": "16.47",
        "price": "19128.15",
        "sequence_id": "2390902",
    }

    assert {"currency_pair": ["BTC_USDT"], "limit": ["1000"]} == asked
    assert Paging.RECENT is FEED.paging
    assert [PRINT] == FEED.page([row])


@pytest.mark.parametrize("answer", [None, {}, [{}], [5], {"label": "INVALID_CURRENCY_PAIR", "message": "x"}])
def test_an_answer_that_makes_no_sense_is_a_value_error(answer: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        FEED.page(answer)


@UNHURRIED
@given(st.lists(prints(st.integers(1, 50)), max_size=6))
def test_any_trades_survive_the_way_through_gates_words(some: list[TradePrinted]) -> None:
    assert some == read_all(FEED, gate_trades(some))


@UNHURRIED
@given(quotes())
def test_any_quote_survives_the_way_through_gates_words(some: QuoteChanged) -> None:
    assert [some] == list(FEED.decode(gate_quote(some), NOW))


@UNHURRIED
@given(damaged([frame(trades(TRADE)), frame(quote())]))
def test_any_bytes_give_facts_or_a_refusal(data: bytes) -> None:
    survives(FEED, data)
