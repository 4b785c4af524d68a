"""The stream through ccxt.pro: real ccxt in front, exchanges of ours behind their own host names, over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ccxt.pro
import pytest
from aiohttp import web
from ccxt.async_support.base.ws.cache import ArrayCache

from execd.core.events import Channel, PrintsMissed, QuoteChanged, StreamLost, StreamRestored, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues import VenueError, VenueMismatch
from execd.venues.capabilities import CAPABILITIES
from execd.venues.digits import Grid
from execd.venues.streams.ccxt_hard import hardened
from execd.venues.streams.ccxt_pro import CcxtProStream
from tests.venues.helpers import SYMBOL, WAIT_S, an_instrument
from tests.venues.public_servers import (
    AT_MS,
    NOW,
    QUICK,
    Deribit,
    Kucoin,
    Server,
    Sink,
    bitget_quote,
    flowing,
    frame,
    markets,
    row,
    serving,
    streaming,
)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(tmp_path, Server()) as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail the test after which asyncio or ccxt complains of something that was not awaited or not closed."""
    yield
    gc.collect()
    records = [*caplog.get_records("call"), *caplog.records]
    assert not [record.getMessage() for record in records if record.levelno >= logging.WARNING]


@pytest.fixture
def sink() -> Sink:
    return Sink()


async def test_trades_and_quotes_are_exact_and_the_stream_is_up_once_they_flow(server: Server, sink: Sink) -> None:
    async with streaming(server, sink):
        await flowing(server, sink)
        await server.say(frame(row(1), row(2, side="buy", price="43854.1", size="1e-05")))
        await sink.until(lambda: len(sink.ids) == 2)

    at = Nanos(AT_MS * 1_000_000)
    assert [StreamRestored(Channel.MARKET)] == sink.of(StreamRestored)
    assert [QuoteChanged(Ticks(4_385_400), Lots(150_000), Ticks(4_385_402), Lots(2), at)] == sink.of(QuoteChanged)
    assert [
        TradePrinted(1, Ticks(4_385_401), Lots(5_350), Nanos(at + 1_000_000), Side.SELL),
        TradePrinted(2, Ticks(4_385_410), Lots(1), Nanos(at + 2_000_000), Side.BUY),
    ] == sink.of(TradePrinted)
    assert not sink.of(StreamLost)


async def test_no_frame_of_nonsense_ends_the_stream_and_each_trade_of_nonsense_is_counted(
    server: Server, sink: Sink
) -> None:
    nonsense = [row(7, price="abc"), row(8, size="0.000001"), row(9, price="-1"), row(10, ts="x"), row(11, size="0")]
    async with streaming(server, sink) as stream:
        await flowing(server, sink)
        for message in (
            "{oops",
            "[]",
            '"x"',
            "null",
            '{"data":7,"arg":5}',
            "[[[",
            '{"arg":{"channel":"trade"},"data":[7]}',
        ):
            await server.say(message)
        for each in nonsense:
            await server.say(frame(each))
        await server.say(frame(row(12)))
        await sink.until(lambda: sink.ids)

    assert [12] == sink.ids
    assert stream.bad_frames >= len(nonsense) + 2
    assert 1 == stream.connections
    assert not sink.of(StreamLost)


async def test_a_burst_of_more_trades_than_ccxt_keeps_arrives_whole_and_once(server: Server, sink: Sink) -> None:
    count = 5_000
    async with streaming(server, sink):
        await flowing(server, sink)
        for first in range(0, count, 500):
            await server.say(frame(*(row(number) for number in range(first, first + 500))))
        await sink.until(lambda: len(sink.ids) >= count)

    assert list(range(count)) == sink.ids


async def test_a_stream_that_falls_silent_is_lost_and_watched_anew(server: Server, sink: Sink) -> None:
    async with streaming(server, sink, replace(QUICK, stale_s=0.3)) as stream:
        await sink.until(lambda: len(sink.of(StreamRestored)) >= 2)

    assert "no print and no quote for 0.3 s" == sink.of(StreamLost)[0].why
    assert stream.connections >= 2


async def test_a_subscription_that_nobody_answers_is_said_again(server: Server, sink: Sink) -> None:
    server.deaf = 2
    async with streaming(server, sink, replace(QUICK, stale_s=0.3)):
        await flowing(server, sink)
        assert server.subscriptions("trade") >= 1
        await server.until(lambda: len(server.said) >= 3)

    assert StreamLost is type(sink.facts[0])


@contextlib.asynccontextmanager
async def quoting(server: Server) -> AsyncIterator[None]:
    """Tell best quotes fifty times a second."""

    async def quote() -> None:
        while True:
            with contextlib.suppress(ConnectionError):
                await server.say(bitget_quote())
            await asyncio.sleep(0.02)

    task = asyncio.create_task(quote())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


UNTOLD = "trades are made that the stream does not tell"


async def test_trades_that_the_stream_does_not_tell_are_noticed_though_quotes_flow(server: Server, sink: Sink) -> None:
    async def one_more(request: web.Request) -> web.StreamResponse:
        server.rows = [row(len(server.rows) + 1), *server.rows]
        return await Server.answer(server, request)

    with patch.object(server, "answer", one_more):
        async with streaming(server, sink, replace(QUICK, stale_s=0.2)):
            await flowing(server, sink)
            async with quoting(server):
                await sink.until(lambda: UNTOLD in [lost.why for lost in sink.of(StreamLost)])

    assert not sink.ids


@pytest.mark.parametrize("told", [False, True], ids=["nothing trades", "what trades is told"])
async def test_a_market_without_new_trades_is_no_dead_stream(server: Server, sink: Sink, told: bool) -> None:
    server.rows = [row(1)]
    asked = 0

    async def count(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        async with server.moved:
            asked += 1
            server.moved.notify_all()
        if told:
            server.rows = [row(asked)]
            await server.say(frame(row(asked)))
        return await Server.answer(server, request)

    with patch.object(server, "answer", count):
        async with streaming(server, sink, replace(QUICK, stale_s=0.2)):
            await flowing(server, sink)
            async with quoting(server):
                await server.until(lambda: asked >= 4)

    assert UNTOLD not in [lost.why for lost in sink.of(StreamLost)]


async def test_what_was_missed_is_merged_once_where_the_newest_trades_reach_back(server: Server, sink: Sink) -> None:
    async with streaming(server, sink):
        await flowing(server, sink)
        await server.say(frame(row(1), row(2), row(3)))
        await sink.until(lambda: len(sink.ids) == 3)
        server.rows = [row(number) for number in (6, 5, 4, 3, 2)]
        await server.sockets[-1].close()
        await flowing(server, sink, 2)
        await server.say(frame(row(5), row(6), row(7)))
        await sink.until(lambda: 7 in sink.ids)

    assert [1, 2, 3, 4, 5, 6, 7] == sink.ids
    assert not sink.of(PrintsMissed)
    assert [StreamRestored, StreamLost, StreamRestored] == [
        type(fact) for fact in sink.facts if isinstance(fact, StreamRestored | StreamLost)
    ]


async def test_what_was_missed_is_merged_before_the_stream_is_called_restored(server: Server, sink: Sink) -> None:
    async with streaming(server, sink):
        await flowing(server, sink)
        await server.say(frame(row(1)))
        await sink.until(lambda: sink.ids)
        server.rows = [row(2), row(1)]
        await server.sockets[-1].close()
        await flowing(server, sink, 2)

    last = sink.facts[-2:]
    assert isinstance(last[0], TradePrinted)
    assert StreamRestored(Channel.MARKET) == last[1]


@pytest.mark.parametrize(
    "rows",
    [[row(9), row(8)], [row(11), row(10)], [], [{"nonsense": 1}]],
    ids=["too few", "what the new connection told", "none", "nonsense"],
)
async def test_what_cannot_be_merged_is_said_to_be_missing_with_venue_times(
    server: Server, sink: Sink, rows: Sequence[dict[str, object]]
) -> None:
    async with streaming(server, sink):
        await flowing(server, sink)
        await server.say(frame(row(1), row(2)))
        await sink.until(lambda: len(sink.ids) == 2)
        server.rows, server.book = list(rows), False
        await server.sockets[-1].close()
        await server.until(lambda: server.subscriptions("trade") >= 2)
        await server.say(frame(row(2), row(10), row(11)))
        await sink.until(lambda: len(sink.of(StreamRestored)) >= 2)

    missed = Nanos((AT_MS + 2) * 1_000_000)
    (hole,) = sink.of(PrintsMissed)
    assert missed == hole.since
    assert hole.since <= hole.until <= Nanos((AT_MS + 10) * 1_000_000)
    assert [1, 2, 10, 11] == sink.ids


async def test_a_hole_without_any_trade_after_it_ends_now(server: Server, sink: Sink) -> None:
    async with streaming(server, sink):
        await flowing(server, sink)
        await server.say(frame(row(1)))
        await sink.until(lambda: sink.ids)
        await server.sockets[-1].close()
        await flowing(server, sink, 2)

    assert [PrintsMissed(Nanos((AT_MS + 1) * 1_000_000), NOW)] == sink.of(PrintsMissed)


async def test_an_end_that_comes_while_nobody_waits_is_told_all_the_same(server: Server, sink: Sink) -> None:
    """ccxt alone would dial again without a word."""
    async with streaming(server, sink):
        await flowing(server, sink)
        for number in range(50):
            await server.say(frame(row(number)))
        transport = server.asked[-1].transport
        assert transport is not None
        transport.abort()
        await flowing(server, sink, 2)

    assert 1 == len(sink.of(StreamLost))


async def test_dials_that_fail_are_one_loss_and_are_tried_until_one_succeeds(server: Server, sink: Sink) -> None:
    server.refused = 4
    async with streaming(server, sink) as stream:
        await flowing(server, sink)

    assert [StreamLost, StreamRestored] == [
        type(fact) for fact in sink.facts if isinstance(fact, StreamRestored | StreamLost)
    ]
    assert "503" in sink.of(StreamLost)[0].why
    assert stream.connections > 2


async def test_a_refused_subscription_is_a_loss_with_the_exchanges_words(server: Server, sink: Sink) -> None:
    async def refuse(socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        await socket.send_json(
            {"event": "error", "code": 30001, "msg": "no such instrument", "arg": message["args"][0]}
        )

    with patch.object(server, "hear", refuse):
        async with streaming(server, sink):
            await sink.until(lambda: sink.of(StreamLost))

    assert "no such instrument" in sink.of(StreamLost)[0].why


async def test_no_compression_is_offered(server: Server, sink: Sink) -> None:
    async with streaming(server, sink):
        await flowing(server, sink)

    assert server.asked
    assert all("Sec-WebSocket-Extensions" not in request.headers for request in server.asked)


async def test_a_peer_that_never_says_goodbye_does_not_hold_us_up(server: Server, sink: Sink) -> None:
    async with asyncio.timeout(WAIT_S):
        async with streaming(server, sink):
            await flowing(server, sink)
            transport = server.asked[-1].transport
            assert isinstance(transport, asyncio.Transport)
            transport.pause_reading()

    assert not [task for task in asyncio.all_tasks() if "ccxt" in repr(task.get_coro())]


async def test_an_exchange_that_ccxt_pro_does_not_know_is_one_clear_sentence(server: Server, sink: Sink) -> None:
    unknown = replace(CAPABILITIES["bitget"], exchange="nowhere")
    stream = CcxtProStream(
        unknown, SYMBOL, Grid(an_instrument()), server.endpoint, QUICK, markets=None, clock=lambda: NOW
    )

    with pytest.raises(VenueError, match="'nowhere'"):
        await stream.run(sink)


async def test_a_loss_before_the_first_trade_leaves_a_hole_from_the_beginning(server: Server, sink: Sink) -> None:
    async with streaming(server, sink):
        await flowing(server, sink)
        await server.sockets[-1].close()
        await flowing(server, sink, 2)

    assert [PrintsMissed(NOW, NOW)] == sink.of(PrintsMissed)


@pytest.mark.parametrize(
    ("exchange", "market_id", "kind"), [("deribit", "BTC_USDT", Deribit), ("kucoin", "BTC-USDT", Kucoin)]
)
async def test_other_exchanges_come_the_same_way(
    tmp_path: Path, sink: Sink, exchange: str, market_id: str, kind: type[Deribit | Kucoin]
) -> None:
    """Whatever their words are, and however ccxt keeps their trades."""
    other = kind()
    async with serving(tmp_path, other), streaming(other, sink, exchange=exchange, market_id=market_id) as stream:
        await flowing(other, sink)
        await other.say("{oops")
        await other.trade(*range(1500))
        await sink.until(lambda: len(sink.ids) == 1500)
        await other.sockets[-1].close()
        await flowing(other, sink, 2)
        await other.trade(1499, 1500)
        await sink.until(lambda: len(sink.ids) == 1501)

    at = Nanos(AT_MS * 1_000_000)
    assert QuoteChanged(Ticks(4_385_400), Lots(150_000), Ticks(4_385_402), Lots(2), at) == sink.of(QuoteChanged)[0]
    assert 1501 == len(set(sink.ids))
    assert {(Ticks(4_385_401), Lots(5_350), Side.SELL)} == {
        (trade.price, trade.quantity, trade.taker) for trade in sink.of(TradePrinted)
    }
    assert [at + number * 1_000_000 for number in range(1501)] == [trade.at for trade in sink.of(TradePrinted)]
    assert stream.bad_frames >= 1
    assert 1 == len(sink.of(PrintsMissed))


def without(*ways: str) -> Any:
    """Let ccxt's Bitget lack ways to watch."""
    describe = ccxt.pro.bitget.describe

    def less(self: Any) -> Any:
        told = describe(self)
        told["has"] |= dict.fromkeys(ways, False)
        return told

    return patch.object(ccxt.pro.bitget, "describe", less)


async def test_a_ticker_serves_where_there_are_no_best_quotes(server: Server, sink: Sink) -> None:
    with without("watchBidsAsks"):
        async with streaming(server, sink):
            await sink.until(lambda: sink.of(QuoteChanged))

    assert Ticks(4_385_400) == sink.of(QuoteChanged)[0].bid


@pytest.mark.parametrize("ways", [("watchBidsAsks",), ("watchBidsAsks", "watchTicker")])
async def test_a_book_serves_where_the_ticker_lacks_a_size_and_is_in_order_across_a_power_of_ten(
    server: Server, sink: Sink, ways: tuple[str, ...]
) -> None:
    levels = {
        "bids": [["9999.9", "5"], ["10000.00", "1.5"]],
        "asks": [["10000.01", "0.00002"], ["10000.1", "3"]],
        "ts": str(AT_MS),
    }
    book = {
        "action": "snapshot",
        "arg": {"instType": "SPOT", "channel": "books", "instId": "BTCUSDT"},
        "data": [levels],
    }

    async def hear(socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        if message["args"][0]["channel"] == "ticker":
            await server.say(bitget_quote(bidSz=None), socket)
        elif message["args"][0]["channel"] == "books":
            await server.say(book, socket)

    with without(*ways), patch.object(server, "hear", hear):
        async with streaming(server, sink):
            await sink.until(lambda: sink.of(QuoteChanged))

    at = Nanos(AT_MS * 1_000_000)
    assert QuoteChanged(Ticks(1_000_000), Lots(150_000), Ticks(1_000_001), Lots(2), at) == sink.of(QuoteChanged)[0]


async def test_trades_come_where_there_is_no_way_to_watch_quotes(server: Server, sink: Sink) -> None:
    with without("watchBidsAsks", "watchTicker", "watchOrderBook"):
        async with streaming(server, sink):
            await server.until(lambda: server.subscriptions("trade") >= 1)
            await server.say(frame(row(1)))
            await sink.until(lambda: sink.of(StreamRestored))

    assert [1] == sink.ids


async def test_trades_that_ccxt_keeps_elsewhere_are_taken_from_its_answer(server: Server, sink: Sink) -> None:
    """Some handler may not use the cache that lies ready."""

    def aside(self: Any, client: Any, message: dict[str, Any]) -> None:
        cache = ArrayCache(1000)
        for told in reversed(message["data"]):
            cache.append(self.parse_ws_trade(told, self.market(SYMBOL)))
        client.resolve(cache, f"trade:{SYMBOL}")

    with patch.object(ccxt.pro.bitget, "handle_trades", aside):
        async with streaming(server, sink):
            await flowing(server, sink)
            await server.say(frame(row(1), row(2)))
            await sink.until(lambda: len(sink.ids) == 2)

    assert [1, 2] == sink.ids


async def a_hardened(exchange: str, *, sandbox: bool = False) -> Any:
    """An exchange as the stream makes it."""
    async with markets(exchange, "BTCUSDT") as source:
        return hardened(
            CAPABILITIES[exchange],
            SYMBOL,
            session=None,
            markets=source,
            take=lambda _: None,
            bad=lambda: None,
            sandbox=sandbox,
            timeout_s=1,
        )


@pytest.mark.parametrize(
    ("make", "more"), [("order_book", ()), ("counted_order_book", (1,)), ("indexed_order_book", ("id",))]
)
async def test_levels_that_come_as_text_are_in_order_by_their_value(make: str, more: tuple[object, ...]) -> None:
    """As text, 9999.9 would be more than 10000.00."""
    exchange = await a_hardened("bitget")
    levels = [["9999.9", "5", *more], ["10000.00", "1.5", *(1 for _ in more)]]
    book = getattr(exchange, make)({"bids": levels[:1], "asks": levels[1:]})
    book["bids"].storeArray(levels[1])
    book["asks"].store(*levels[0])
    await exchange.shut()

    assert [Decimal("10000.00"), Decimal("9999.9")] == [level[0] for level in book["bids"]]
    assert [Decimal("9999.9"), Decimal("10000.00")] == [level[0] for level in book["asks"]]


async def test_addresses_of_another_environment_are_refused() -> None:
    with pytest.raises(VenueMismatch, match="bitget"):
        await a_hardened("bitget", sandbox=True)
