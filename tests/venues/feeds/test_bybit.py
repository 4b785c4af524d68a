"""Bybit: exact facts from its frames; block trades are not of the market."""

from __future__ import annotations

import json
from typing import Any

import pytest

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues.streams.feed import BadFrame, Paging, StreamBroken, number
from execd.venues.streams.feeds.bybit import BybitFeed
from tests.venues.feeds.samples import GRID, told

FEED = BybitFeed("BTCUSDT", GRID)
LINEAR = BybitFeed("BTCUSDT", GRID, linear=True)
AT = Nanos(1_790_371_723_021_000_000)
UUID = "20f43950-d8dd-5b31-9112-a178eb6023af"

TRADE: dict[str, Any] = {
    "i": "2290000000036455162",
    "T": 1790371723021,
    "p": "64926.64",
    "v": "0.00012",
    "S": "Buy",
    "seq": 7961638724,
    "s": "BTCUSDT",
    "BT": False,
    "RPI": False,
}
BOOK: dict[str, Any] = {
    "s": "BTCUSDT",
    "b": [["64926.63", "1.5"]],
    "a": [["64926.64", "0.029"]],
    "u": 18521288,
    "seq": 7961638724,
}
ROW: dict[str, Any] = {
    "execId": "2100000000007764263",
    "symbol": "BTCUSDT",
    "price": "64926.64",
    "size": "0.00012",
    "side": "Sell",
    "time": "1790371723021",
    "isBlockTrade": False,
    "isRPITrade": False,
    "seq": "123456",
}


def trades(*rows: object) -> list[object]:
    message = {"topic": "publicTrade.BTCUSDT", "ts": 1790371723025, "type": "snapshot", "data": list(rows)}
    return told(FEED, message)


def trade(**changes: object) -> list[object]:
    return trades({**TRADE, **changes})


def book(data: object = BOOK, **changes: object) -> list[object]:
    message = {"topic": "orderbook.1.BTCUSDT", "ts": 1790371723025, "type": "snapshot", "data": data}
    return told(FEED, {**message, "cts": 1790371723021, **changes})


def page(*rows: object, code: int = 0) -> object:
    return {"retCode": code, "retMsg": "OK", "result": {"category": "spot", "list": list(rows)}, "time": 1}


def test_a_trade_is_exact_and_says_who_took() -> None:
    """`S` is the taker's side."""
    expected = TradePrinted(2290000000036455162, Ticks(6_492_664), Lots(12), AT, Side.BUY)

    assert [expected] == trade()
    assert [TradePrinted(expected.id, expected.price, expected.quantity, AT, Side.SELL)] == trade(S="Sell")


def test_an_id_that_is_no_number_is_the_same_number_each_time() -> None:
    """Linear markets have UUIDs: the stream and REST must agree."""
    (streamed,) = trade(i=UUID)
    (listed,) = FEED.page(page({**ROW, "execId": UUID}))

    assert isinstance(streamed, TradePrinted)
    assert number(UUID) == streamed.id == listed.id


def test_a_block_trade_is_not_of_the_market_and_one_for_takers_by_hand_is() -> None:
    """A block trade was made apart from the book, at a price agreed on."""
    assert [] == trade(BT=True)
    assert trade() == trade(RPI=True)
    assert trade() == trades({**TRADE, "BT": True}, TRADE)
    assert [] == FEED.page(page({**ROW, "isBlockTrade": True}))


def test_a_quote_has_the_time_of_the_matching_engine_and_the_number_that_never_begins_anew() -> None:
    """`u` becomes 1 when their service restarts; `seq` goes on."""
    expected = QuoteChanged(Ticks(6_492_663), Lots(150_000), Ticks(6_492_664), Lots(2_900), AT, 7961638724)

    assert [expected] == book()
    assert [expected] == book({**BOOK, "u": 1})


def test_a_quote_without_that_time_has_the_time_of_its_sending() -> None:
    """In quotes or not: the documents have both."""
    (quote,) = book(cts=None)
    (quoted,) = book(cts=None, ts="1790371723025")

    assert isinstance(quote, QuoteChanged)
    assert quote == quoted
    assert Nanos(1_790_371_723_025_000_000) == quote.at


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_book_with_an_empty_side_is_no_quote(side: str) -> None:
    assert [] == book({**BOOK, side: []})


def test_a_change_of_the_book_is_not_taken_for_all_of_it() -> None:
    """Level 1 is promised to come whole; should that end, the quote grows old, and is not wrong."""
    with pytest.raises(BadFrame):
        book(type="delta")


def test_the_order_of_keys_is_of_no_meaning() -> None:
    """The short way for the usual order must not be the only way."""
    assert trade() == told(FEED, {"type": "snapshot", "data": [TRADE], "topic": "publicTrade.BTCUSDT"})
    assert book(cts=None) == told(
        FEED, {"type": "snapshot", "ts": 1790371723025, "data": BOOK, "topic": "orderbook.1.BTCUSDT"}
    )


@pytest.mark.parametrize(
    "message",
    [
        {"success": True, "ret_msg": "pong", "conn_id": "465772b1", "op": "ping"},
        {"success": True, "ret_msg": "", "conn_id": "2324d924", "req_id": "", "op": "subscribe"},
        {"req_id": "2", "op": "pong", "args": ["1675418560633"], "conn_id": "cfcb4ocsvfriu23r3er0-1b"},
        {"topic": "publicTrade.ETHUSDT", "ts": 1, "type": "snapshot", "data": [TRADE]},
    ],
)
def test_pongs_acknowledgments_and_other_markets_are_nothing_to_us(message: object) -> None:
    assert [] == told(FEED, message)


def test_a_refusal_ends_the_connection() -> None:
    """With what Bybit says of it."""
    why = "error:handler not found,topic:publicTrade.BTCUSD"

    with pytest.raises(StreamBroken, match="handler not found"):
        told(FEED, {"success": False, "ret_msg": why, "conn_id": "2324d924", "req_id": "", "op": "subscribe"})


@pytest.mark.parametrize(
    "broken",
    [
        {"p": "abc"},
        {"p": "64926.641"},
        {"p": "-1"},
        {"p": 64926.64},
        {"p": "0"},
        {"v": "0"},
        {"v": "0.000001"},
        {"v": None},
        {"i": ""},
        {"i": 7},
        {"i": "x" * 101},
        {"T": -1},
        {"T": "1790371723021"},
        {"T": 10**15},
        {"S": "buy"},
        {"S": None},
        {"BT": "no"},
    ],
)
def test_a_trade_that_makes_no_sense_is_a_bad_frame(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        trade(**broken)


@pytest.mark.parametrize(
    "broken", [{"b": None}, {"b": [["64926.6"]]}, {"a": [["x", "1"]]}, {"seq": -1}, {"seq": None}, {"b": [[1, 2]]}]
)
def test_a_quote_that_makes_no_sense_is_a_bad_frame(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        book({**BOOK, **broken})


def test_it_subscribes_to_both_topics_of_its_category_and_beats() -> None:
    """Spot and linear markets bear the same names."""
    (hello,) = FEED.hello

    assert {"op": "subscribe", "args": ["publicTrade.BTCUSDT", "orderbook.1.BTCUSDT"]} == json.loads(hello)
    assert FEED.beat is not None
    assert (20.0, {"op": "ping"}) == (FEED.beat.every_s, json.loads(FEED.beat.message))
    assert "wss://stream.bybit.com/v5/public/spot" == FEED.url
    assert "wss://stream.bybit.com/v5/public/linear" == LINEAR.url
    assert "wss://stream-testnet.bybit.com/v5/public/spot" == BybitFeed("BTCUSDT", GRID, sandbox=True).url


def test_there_are_only_newest_trades_to_ask_for() -> None:
    """60 on spot, 1000 on linear, whichever are wanted."""
    recent = "market/recent-trade?category"

    assert f"https://api.bybit.com/v5/{recent}=spot&symbol=BTCUSDT&limit=60" == FEED.request(None, None, None).url
    assert f"https://api.bybit.com/v5/{recent}=linear&symbol=BTCUSDT&limit=1000" == LINEAR.request(5, 9, AT).url
    test = BybitFeed("BTCUSDT", GRID, sandbox=True).request(None, None, None)
    assert test.url.startswith("https://api-testnet.bybit.com/v5/market/recent-trade?")
    assert Paging.RECENT is FEED.paging
    assert not FEED.contiguous


def test_a_page_is_read_exactly() -> None:
    """Its times are numbers in quotes."""
    expected = TradePrinted(2100000000007764263, Ticks(6_492_664), Lots(12), AT, Side.SELL)

    assert [expected] == FEED.page(page(ROW))
    assert [] == FEED.page(page())


@pytest.mark.parametrize(
    "answer",
    [
        page(code=10001),
        page(ROW, code=10006),
        page({**ROW, "price": "0"}),
        page({**ROW, "size": "x"}),
        page({**ROW, "execId": ""}),
        page({**ROW, "side": "buy"}),
        page({**ROW, "time": "-1"}),
        {"retCode": 0, "retMsg": "OK"},
    ],
)
def test_a_page_that_makes_no_sense_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        FEED.page(answer)


def test_a_refused_page_says_why() -> None:
    """Bybit's refusals bear an empty result."""
    with pytest.raises(ValueError, match="10001: params error"):
        FEED.page({"retCode": 10001, "retMsg": "params error", "result": {}, "time": 1})
