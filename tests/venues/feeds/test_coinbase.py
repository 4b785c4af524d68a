"""Coinbase's public streams: facts of documented frames, and nothing else whatever comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues.streams.feed import BadFrame, Paging, StreamBroken
from execd.venues.streams.feeds.coinbase import CoinbaseFeed
from tests.venues.feeds.dialects_more import coinbase_quote, coinbase_trades
from tests.venues.feeds.samples import GRID, NOW, damaged, frame, prints, quotes, read_all, survives, told
from tests.venues.helpers import UNHURRIED

FEED = CoinbaseFeed("BTC-USD", GRID)

TRADE = {
    "trade_id": "995098700",
    "product_id": "BTC-USD",
    "price": "68900.50",
    "size": "0.00150000",
    "side": "BUY",
    "time": "2026-04-07T14:30:02.789012Z",
}
LATER = {**TRADE, "trade_id": "995098701", "price": "68900.00", "side": "SELL", "time": "2026-04-07T14:30:02.8Z"}
TICKER = {
    "type": "ticker",
    "product_id": "BTC-USD",
    "price": "68900.50",
    "volume_24_h": "15328.12345678",
    "best_bid": "68900.00",
    "best_bid_quantity": "1.50000000",
    "best_ask": "68901.00",
    "best_ask_quantity": "0.50000000",
}
PRINT = TradePrinted(995_098_700, Ticks(6_890_050), Lots(150), Nanos(1_775_572_202_789_012_000), Side.SELL)


def trades(*rows: object, kind: str = "update") -> dict[str, Any]:
    return {
        "channel": "market_trades",
        "client_id": "",
        "timestamp": "2026-04-07T14:30:02.789012Z",
        "sequence_num": 5,
        "events": [{"type": kind, "trades": list(rows)}],
    }


def ticker(**changes: object) -> dict[str, Any]:
    return {
        "channel": "ticker",
        "client_id": "",
        "timestamp": "2026-04-07T14:30:03.123456789Z",
        "sequence_num": 12,
        "events": [{"type": "snapshot", "tickers": [{**TICKER, **changes}]}],
    }


def test_a_trade_is_exact_and_its_taker_is_not_the_side_that_rested() -> None:
    assert [PRINT] == told(FEED, trades(TRADE))
    (bought,) = told(FEED, trades({**TRADE, "side": "SELL"}))
    assert isinstance(bought, TradePrinted)
    assert Side.BUY is bought.taker


def test_trades_come_in_their_order_though_the_newest_stands_first() -> None:
    found = told(FEED, trades(LATER, TRADE, kind="snapshot"))

    assert [995_098_700, 995_098_701] == [fact.id for fact in found if isinstance(fact, TradePrinted)]


def test_a_quote_is_exact_and_has_the_time_of_its_frame() -> None:
    at = Nanos(1_775_572_203_123_456_789)
    expected = QuoteChanged(Ticks(6_890_000), Lots(150_000), Ticks(6_890_100), Lots(50_000), at)

    assert [expected] == told(FEED, ticker())


@pytest.mark.parametrize("changes", [{"best_bid": ""}, {"best_ask": ""}, {"best_bid": "0"}, {"best_bid": "68901.00"}])
def test_a_market_without_both_sides_or_with_crossed_ones_has_no_quote(changes: dict[str, object]) -> None:
    assert not told(FEED, ticker(**changes))


def test_a_frame_is_read_the_same_however_it_is_laid_out() -> None:
    for message in (trades(TRADE), ticker()):
        turned = json.dumps(dict(reversed(message.items())), indent=1).encode()
        assert told(FEED, message) == list(FEED.decode(turned, NOW))


def test_a_market_in_usdc_is_told_under_the_name_of_the_one_in_usd() -> None:
    assert [PRINT] == told(CoinbaseFeed("BTC-USDC", GRID), trades(TRADE))
    assert [PRINT] == told(CoinbaseFeed("BTC-USDC", GRID), trades({**TRADE, "product_id": "BTC-USDC"}))
    assert not told(CoinbaseFeed("BTC-USDT", GRID), trades(TRADE))


@pytest.mark.parametrize(
    "message",
    [
        {"channel": "heartbeats", "timestamp": "t", "events": [{"current_time": "x", "heartbeat_counter": 3049}]},
        {"channel": "subscriptions", "events": [{"subscriptions": {"ticker": ["BTC-USD"]}}]},
        {"channel": "status", "events": []},
        {},
    ],
)
def test_other_channels_are_nothing_to_us(message: object) -> None:
    assert not told(FEED, message)


def test_a_refusal_ends_the_connection_and_says_why() -> None:
    with pytest.raises(StreamBroken, match="authentication failure"):
        told(FEED, {"type": "error", "message": "authentication failure"})


@pytest.mark.parametrize(
    "broken",
    [
        {"price": "abc"},
        {"price": "68900.501"},
        {"price": "-1"},
        {"price": 68900.5},
        {"price": "0"},
        {"size": "0.00"},
        {"size": None},
        {"trade_id": ""},
        {"trade_id": 5},
        {"side": "UNKNOWN_ORDER_SIDE"},
        {"time": "2026-04-07 14:30:02"},
        {"time": "2026-04-07T14:30:02"},
        {"time": "2026-13-07T14:30:02Z"},
        {"time": "1969-12-31T23:59:59Z"},
        {"time": "2026-04-07T14:30:02.1234567890Z"},
        {"time": 1_775_572_202},
    ],
)
def test_a_trade_that_makes_no_sense_is_a_bad_frame(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        told(FEED, trades({**TRADE, **broken}))


@pytest.mark.parametrize(
    "message",
    [[], 7, "x", {"channel": "market_trades"}, {"channel": "ticker", "events": {}, "timestamp": "t"}, trades(3)],
)
def test_what_is_no_frame_of_coinbase_is_a_bad_frame(message: object) -> None:
    with pytest.raises(BadFrame):
        told(FEED, message)


def test_it_subscribes_channel_by_channel_without_a_key() -> None:
    assert [
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": channel}
        for channel in ("heartbeats", "market_trades", "ticker")
    ] == [json.loads(message) for message in FEED.hello]
    assert "wss://advanced-trade-ws.coinbase.com" == FEED.url


def test_the_newest_trades_are_asked_for_and_read() -> None:
    request = FEED.request(5, 9, Nanos(7))

    assert "https://api.coinbase.com/api/v3/brokerage/market/products/BTC-USD/ticker?limit=1000" == request.url
    assert request.key_header is None
    assert Paging.RECENT is FEED.paging
    answer = {"trades": [{**LATER, "bid": "", "ask": "", "exchange": "coinbase"}, TRADE], "best_bid": "1"}
    assert [995_098_700, 995_098_701] == [trade.id for trade in FEED.page(answer)]


@pytest.mark.parametrize("answer", [None, [], {"trades": 5}, {"message": "no"}, {"trades": [{**TRADE, "size": "x"}]}])
def test_an_answer_that_makes_no_sense_is_a_value_error(answer: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        FEED.page(answer)


@UNHURRIED
@given(st.lists(prints(), unique_by=lambda trade: trade.id, max_size=6))
def test_any_trades_survive_the_way_through_coinbases_words(some: list[TradePrinted]) -> None:
    some.sort(key=lambda trade: trade.id)

    assert some == read_all(FEED, coinbase_trades(some))


@UNHURRIED
@given(quotes())
def test_any_quote_survives_the_way_through_coinbases_words(quote: QuoteChanged) -> None:
    (found,) = FEED.decode(coinbase_quote(quote), NOW)

    assert QuoteChanged(quote.bid, quote.bid_size, quote.ask, quote.ask_size, quote.at) == found


@UNHURRIED
@given(damaged([frame(trades(TRADE, LATER)), frame(ticker())]))
def test_any_bytes_give_facts_or_a_refusal(data: bytes) -> None:
    survives(FEED, data)
