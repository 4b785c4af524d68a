"""OKX: exact facts from its frames; a print stands for as many trades as it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues.streams.feed import BadFrame, Paging, StreamBroken
from execd.venues.streams.feeds.okx import OkxFeed
from tests.venues.feeds.samples import GRID, NOW, told
from tests.venues.helpers import UNHURRIED

FEED = OkxFeed("BTC-USDT", GRID)
AT = Nanos(1_790_371_723_021_000_000)

TRADE: dict[str, Any] = {
    "instId": "BTC-USDT",
    "tradeId": "130639474",
    "px": "64926.6",
    "sz": "0.12061",
    "side": "buy",
    "ts": "1790371723021",
    "count": "3",
    "source": "0",
    "seqId": 1234,
}
BOOK: dict[str, Any] = {
    "asks": [["64926.7", "4.15", "0", "13"]],
    "bids": [["64926.6", "2.56", "0", "12"]],
    "ts": "1790371723021",
    "seqId": 123456,
}
ROW: dict[str, Any] = {
    "instId": "BTC-USDT",
    "side": "sell",
    "sz": "0.00001",
    "source": "0",
    "px": "64926.64",
    "tradeId": "242720720",
    "ts": "1790371723021",
}


def channel(name: str, data: object, market: str = "BTC-USDT") -> list[object]:
    return told(FEED, {"arg": {"channel": name, "instId": market}, "data": data})


def trade(**changes: object) -> list[object]:
    return channel("trades", [{**TRADE, **changes}])


def book(**changes: object) -> list[object]:
    return channel("bbo-tbt", [{**BOOK, **changes}])


def page(*rows: object, code: str = "0") -> object:
    return {"code": code, "msg": "", "data": list(rows)}


def test_a_print_is_exact_and_stands_for_the_ids_up_to_its_own() -> None:
    """`tradeId` 130639474 and `count` 3: the ids 130639472 to 130639474."""
    expected = TradePrinted(130639474, Ticks(6_492_660), Lots(12_061), AT, Side.BUY, 3)

    assert [expected] == trade()
    assert [TradePrinted(130639474, Ticks(6_492_660), Lots(12_061), AT, Side.SELL, 1)] == trade(side="sell", count="1")


def test_a_message_may_bring_several_prints() -> None:
    """In their order."""
    facts = channel("trades", [TRADE, {**TRADE, "tradeId": "130639475", "count": "1"}])

    assert [130639474, 130639475] == [fact.id for fact in facts if isinstance(fact, TradePrinted)]


def test_the_order_of_keys_is_of_no_meaning() -> None:
    """The short way for the usual order must not be the only way."""
    assert trade() == told(FEED, {"data": [TRADE], "arg": {"instId": "BTC-USDT", "channel": "trades"}})
    assert book() == told(FEED, {"data": [BOOK], "arg": {"instId": "BTC-USDT", "channel": "bbo-tbt"}})


def test_a_trade_with_an_order_of_the_liquidity_program_counts() -> None:
    """Its id is one of the market's."""
    assert trade() == trade(source="1")


def test_a_quote_has_the_exchanges_own_time_and_number() -> None:
    """The number tells a late one of two connections."""
    assert [QuoteChanged(Ticks(6_492_660), Lots(256_000), Ticks(6_492_670), Lots(415_000), AT, 123456)] == book()


@pytest.mark.parametrize("side", ["asks", "bids"])
def test_a_book_with_an_empty_side_is_no_quote(side: str) -> None:
    assert [] == book(**{side: []})


def test_pongs_acknowledgments_and_other_markets_are_nothing_to_us() -> None:
    """A pong is no JSON."""
    assert not FEED.decode(b"pong", NOW)
    assert [] == told(FEED, {"event": "subscribe", "arg": {"channel": "trades", "instId": "BTC-USDT"}, "connId": "a4"})
    assert [] == told(FEED, {"event": "channel-conn-count", "channel": "orders", "connCount": "2", "connId": "a4"})
    assert [] == channel("trades", [TRADE], "ETH-USDT")
    assert [] == channel("tickers", [{}])


@pytest.mark.parametrize(
    ("event", "code", "says"),
    [
        ("error", "60018", "Wrong URL or channel:trades,instId:BTC-USDT doesn't exist."),
        ("notice", "64008", "The connection will soon be closed for a service upgrade. Please reconnect."),
        ("channel-conn-count-error", "", ""),
    ],
)
def test_a_refusal_or_a_notice_of_the_end_ends_the_connection(event: str, code: str, says: str) -> None:
    """With what OKX says of it."""
    with pytest.raises(StreamBroken, match=f"{event} {code}: {says[:20]}"):
        told(FEED, {"event": event, "code": code, "msg": says, "connId": "a4d3ae55"})


@pytest.mark.parametrize(
    "broken",
    [
        {"px": "abc"},
        {"px": "64926.641"},
        {"px": "-1"},
        {"px": 64926.6},
        {"px": "0"},
        {"sz": "0"},
        {"sz": "0.000001"},
        {"sz": None},
        {"tradeId": "-5"},
        {"tradeId": "x"},
        {"tradeId": str(2**63)},
        {"tradeId": "1", "count": "3"},
        {"count": "0"},
        {"count": "-1"},
        {"count": "1.5"},
        {"ts": "-1"},
        {"ts": str(10**15)},
        {"side": "Buy"},
        {"side": None},
    ],
)
def test_a_print_that_makes_no_sense_is_a_bad_frame(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        trade(**broken)


def test_a_print_that_does_not_say_for_how_many_it_stands_is_a_bad_frame() -> None:
    """Taken for one, it would leave a gap that is none."""
    with pytest.raises(BadFrame):
        channel("trades", [{key: value for key, value in TRADE.items() if key != "count"}])


@pytest.mark.parametrize(
    "broken", [{"asks": None}, {"bids": [["64926.6"]]}, {"bids": [["x", "1"]]}, {"seqId": -1}, {"ts": ""}]
)
def test_a_quote_that_makes_no_sense_is_a_bad_frame(broken: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        book(**broken)


def test_it_subscribes_to_both_channels_and_beats_before_it_is_cut_off() -> None:
    """OKX closes a connection that was silent for 30 s."""
    (hello,) = FEED.hello

    assert {
        "op": "subscribe",
        "args": [{"channel": "trades", "instId": "BTC-USDT"}, {"channel": "bbo-tbt", "instId": "BTC-USDT"}],
    } == json.loads(hello)
    assert FEED.beat is not None
    assert ("ping", True) == (FEED.beat.message, FEED.beat.every_s < 30)
    assert "wss://ws.okx.com:8443/ws/v5/public" == FEED.url
    assert "wss://wspap.okx.com:8443/ws/v5/public" == OkxFeed("BTC-USDT", GRID, sandbox=True).url


def test_the_newest_trades_are_asked_for_as_such() -> None:
    """On the demo network with the header without which they would be the live market's."""
    url = "https://www.okx.com/api/v5/market/trades?instId=BTC-USDT&limit=100"

    assert url == FEED.request(None, None, None).url
    assert FEED.request(None, None, None).header is None
    for first in (None, 5):
        assert ("x-simulated-trading", "1") == OkxFeed("BTC-USDT", GRID, sandbox=True).request(first, None, None).header


@pytest.mark.parametrize(("last", "after"), [(None, 600), (2_000, 600), (599, 600), (510, 511), (500, 501)])
def test_a_range_is_asked_for_from_its_beginning(last: int | None, after: int) -> None:
    """OKX gives the 100 ids below `after`."""
    url = "https://www.okx.com/api/v5/market/history-trades?instId=BTC-USDT&limit=100&type=1"

    assert f"{url}&after={after}" == FEED.request(500, last, None).url


@UNHURRIED
@given(first=st.integers(1, 10_000), length=st.integers(1, 350))
def test_pages_cover_a_range_without_a_hole(first: int, length: int) -> None:
    """Each page begins where the one before ended."""
    last, seen = first + length - 1, first - 1
    while seen < last:
        after = int(FEED.request(seen + 1, last, None).url.rsplit("=")[-1])
        page_ids = range(max(0, after - FEED.page_most), after)

        assert seen + 1 in page_ids
        assert page_ids[-1] <= last
        seen = page_ids[-1]


def test_it_pages_by_id() -> None:
    """A jump is a gap."""
    assert Paging.BY_ID is FEED.paging
    assert FEED.contiguous
    assert not FEED.sparse


def test_a_row_of_a_page_is_one_trade() -> None:
    """REST does not merge."""
    expected = TradePrinted(242720720, Ticks(6_492_664), Lots(1), AT, Side.SELL)

    assert [expected] == FEED.page(page(ROW))
    assert [] == FEED.page(page())


@pytest.mark.parametrize(
    "answer",
    [
        page(code="51001"),
        page(ROW, code="50011"),
        page({**ROW, "px": "0"}),
        page({**ROW, "sz": "x"}),
        page({**ROW, "tradeId": "-1"}),
        page({**ROW, "side": "BUY"}),
        page({key: value for key, value in ROW.items() if key != "ts"}),
        {"data": [ROW]},
    ],
)
def test_a_page_that_makes_no_sense_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        FEED.page(answer)
