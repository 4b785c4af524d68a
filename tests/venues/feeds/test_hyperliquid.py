"""Hyperliquid: exact facts from its frames."""

from __future__ import annotations

import json
from typing import Any

import pytest

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues.streams.feed import BadFrame, Paging, StreamBroken
from execd.venues.streams.feeds.hyperliquid import HyperliquidFeed
from tests.venues.feeds.samples import GRID, NOW, told

FEED = HyperliquidFeed("BTC", GRID)
AT = Nanos(1_790_371_723_021_000_000)

TRADE: dict[str, Any] = {
    "coin": "BTC",
    "side": "A",
    "px": "64926.0",
    "sz": "0.005",
    "time": 1790371723021,
    "hash": "0xc872699f116e012186620407fc08a802015e0097c5cce74710697f7272e6e959",
    "tid": 981894269203506,
    "users": ["0x0000000000000000000000000000000000000001", "0x0000000000000000000000000000000000000002"],
}
BID: dict[str, Any] = {"px": "64926.0", "sz": "7.97", "n": 3}
ASK: dict[str, Any] = {"px": "64927.0", "sz": "0.1", "n": 1}


def trades(*rows: object) -> list[object]:
    return told(FEED, {"channel": "trades", "data": list(rows)})


def trade(**changes: object) -> list[object]:
    return trades({**TRADE, **changes})


def best(bid: object = BID, ask: object = ASK, **changes: object) -> list[object]:
    data = {"coin": "BTC", "time": 1790371723021, "bbo": [bid, ask], **changes}
    return told(FEED, {"channel": "bbo", "data": data})


def test_a_trade_is_exact_and_says_who_took() -> None:
    """`A` is the side of the asks: the aggressor sold."""
    expected = TradePrinted(981894269203506, Ticks(6_492_600), Lots(500), AT, Side.SELL)

    assert [expected] == trade()
    assert [TradePrinted(expected.id, expected.price, expected.quantity, AT, Side.BUY)] == trade(side="B")


def test_a_message_brings_a_blocks_trades_in_their_order() -> None:
    """Those of our coin."""
    facts = trades(TRADE, {**TRADE, "coin": "ETH", "tid": 8}, {**TRADE, "tid": 9})

    assert [981894269203506, 9] == [fact.id for fact in facts if isinstance(fact, TradePrinted)]


def test_a_quote_has_the_blocks_time_and_is_numbered_by_it() -> None:
    """There is one a block at most."""
    expected = QuoteChanged(
        Ticks(6_492_600), Lots(797_000), Ticks(6_492_700), Lots(10_000), AT, update=1_790_371_723_021
    )

    assert [expected] == best()


def test_a_book_with_an_empty_side_is_no_quote() -> None:
    """It is null."""
    assert [] == best(bid=None)
    assert [] == best(ask=None)
    assert [] == best(coin="ETH")


def test_the_order_of_keys_is_of_no_meaning() -> None:
    """The short way for the usual order must not be the only way."""
    assert trade() == told(FEED, {"data": [TRADE], "channel": "trades"})
    data = {"bbo": [BID, ASK], "time": 1790371723021, "coin": "BTC"}
    assert best() == told(FEED, {"data": data, "channel": "bbo"})


def test_the_greeting_pongs_and_acknowledgments_are_nothing_to_us() -> None:
    """The greeting is no JSON."""
    assert not FEED.decode(b"Websocket connection established.", NOW)
    assert [] == told(FEED, {"channel": "pong"})
    wanted = {"type": "trades", "coin": "BTC"}
    assert [] == told(
        FEED, {"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": wanted}}
    )


def test_a_refusal_ends_the_connection() -> None:
    """With what Hyperliquid says of it."""
    with pytest.raises(StreamBroken, match="Invalid subscription"):
        told(FEED, {"channel": "error", "data": 'Invalid subscription {"type":"trades","coin":"NOPE"}'})


def test_an_error_of_being_subscribed_already_is_none() -> None:
    """The subscription stands."""
    assert [] == told(FEED, {"channel": "error", "data": 'Already subscribed: {"type":"trades","coin":"BTC"}'})


@pytest.mark.parametrize(
    "broken",
    [
        {"px": "abc"},
        {"px": "64926.641"},
        {"px": "-1"},
        {"px": 64926.0},
        {"px": "0.0"},
        {"sz": "0.0"},
        {"sz": "0.000001"},
        {"sz": None},
        {"tid": -5},
        {"tid": "12"},
        {"tid": 2**63},
        {"time": -1},
        {"time": "1790371723021"},
        {"time": 10**15},
        {"side": "S"},
        {"coin": None},
    ],
)
def test_a_trade_that_makes_no_sense_is_a_bad_frame(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        trade(**broken)


@pytest.mark.parametrize("side", [{}, [], {**ASK, "px": "x"}, {**ASK, "sz": None}, {**ASK, "px": 1}])
def test_a_quote_that_makes_no_sense_is_a_bad_frame(side: object) -> None:
    with pytest.raises(BadFrame):
        best(ask=side)


@pytest.mark.parametrize(
    "message",
    [
        {"channel": "bbo", "data": {"coin": "BTC", "time": 1790371723021, "bbo": [BID]}},
        {"channel": "bbo", "data": {"coin": "BTC", "time": None, "bbo": [BID, ASK]}},
        {"channel": "error", "data": 7},
        {"channel": None},
        {},
    ],
)
def test_a_message_of_another_form_is_a_bad_frame(message: object) -> None:
    with pytest.raises(BadFrame):
        told(FEED, message)


def test_it_subscribes_to_both_channels_and_beats_before_it_is_cut_off() -> None:
    """Hyperliquid closes a connection on which it has said nothing for 60 s."""
    assert [
        {"method": "subscribe", "subscription": {"type": channel, "coin": "BTC"}} for channel in ("trades", "bbo")
    ] == [json.loads(message) for message in FEED.hello]
    assert FEED.beat is not None
    assert ({"method": "ping"}, True) == (json.loads(FEED.beat.message), FEED.beat.every_s < 60)
    assert "wss://api.hyperliquid.xyz/ws" == FEED.url
    assert "wss://api.hyperliquid-testnet.xyz/ws" == HyperliquidFeed("BTC", GRID, sandbox=True).url


@pytest.mark.parametrize(("first", "last"), [(None, None), (5, 9)])
def test_there_are_only_newest_trades_to_ask_for(first: int | None, last: int | None) -> None:
    """By a POST."""
    asked = FEED.request(first, last, AT)

    assert "https://api.hyperliquid.xyz/info" == asked.url
    assert {"type": "recentTrades", "coin": "BTC"} == asked.body
    test = HyperliquidFeed("BTC", GRID, sandbox=True).request(first, last, None)
    assert "https://api.hyperliquid-testnet.xyz/info" == test.url
    assert Paging.RECENT is FEED.paging
    assert not FEED.contiguous


def test_a_page_is_read_exactly() -> None:
    """Its rows are the stream's."""
    expected = TradePrinted(981894269203506, Ticks(6_492_600), Lots(500), AT, Side.SELL)

    assert [expected] == FEED.page([TRADE])
    assert [] == FEED.page([])


@pytest.mark.parametrize(
    "answer",
    [
        [{**TRADE, "px": "0"}],
        [{**TRADE, "sz": "x"}],
        [{**TRADE, "tid": -1}],
        [{**TRADE, "side": "buy"}],
        [{key: value for key, value in TRADE.items() if key != "time"}],
        {"error": "no such coin"},
    ],
)
def test_a_page_that_makes_no_sense_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        FEED.page(answer)
