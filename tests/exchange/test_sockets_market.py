"""The market streams: what is told to whom, in which form, and what happens to who breaks the rules."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from execd.exchange.options import ExchangeOptions
from execd.exchange.server import PracticeExchange
from execd.exchange.sockets import SocketRules
from tests.exchange.client import PATIENCE_S, Client, FrameSocket


@pytest.fixture
async def live(exchange: PracticeExchange) -> AsyncIterator[Client]:
    """A client of the exchange whose market moves."""
    async with Client(exchange) as connected:
        yield connected


async def several(socket: FrameSocket, count: int) -> list[Any]:
    return [await socket.frame() for _ in range(count)]


# ---- forms


async def test_a_raw_stream_says_what_happens_and_nothing_else(live: Client) -> None:
    async with live.socket("/ws/btcusdt@trade") as socket:
        first, *_, last = frames = await several(socket, 5)
    assert {frame["e"] for frame in frames} == {"trade"}
    assert first.keys() == {"e", "E", "s", "t", "p", "q", "T", "m", "M"}
    assert [frame["t"] for frame in frames] == list(range(first["t"], last["t"] + 1))
    by_rest = (await live.get("historicalTrades", symbol="BTCUSDT", fromId=first["t"], limit=5)).body
    assert [(each["id"], each["price"], each["qty"], each["time"]) for each in by_rest] == [
        (frame["t"], frame["p"], frame["q"], frame["T"]) for frame in frames
    ]


async def test_a_combined_stream_names_the_stream_of_each_payload(live: Client) -> None:
    async with live.socket("/stream?streams=btcusdt@trade/btcusdt@bookTicker") as socket:
        trade = await socket.until(lambda frame: frame["stream"] == "btcusdt@trade")
        best = await socket.until(lambda frame: frame["stream"] == "btcusdt@bookTicker")
    assert trade.keys() == {"stream", "data"}
    assert trade["data"]["e"] == "trade"
    assert best["data"].keys() == {"u", "s", "b", "B", "a", "A"}


async def test_streams_can_be_taken_and_left_on_an_open_connection(live: Client) -> None:
    async with live.socket("/ws") as socket:
        assert await socket.command("SUBSCRIBE", "btcusdt@trade", "btcusdt@depth") == {"result": None, "id": 1}
        assert (await socket.command("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@trade", "btcusdt@depth"]
        await socket.until(lambda frame: frame.get("e") == "trade")
        assert (await socket.command("UNSUBSCRIBE", "btcusdt@trade"))["result"] is None
        await socket.until(lambda frame: frame.get("e") == "depthUpdate")
        at = len(socket.seen)
        await socket.until(lambda frame: frame.get("e") == "depthUpdate")
        assert {frame["e"] for frame in socket.seen[at:]} == {"depthUpdate"}
        assert (await socket.command("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@depth"]


async def test_the_form_can_be_changed_while_connected(live: Client) -> None:
    async with live.socket("/ws/btcusdt@trade") as socket:
        assert (await socket.command("GET_PROPERTY", "combined"))["result"] is False
        await socket.command("SET_PROPERTY", "combined", True)
        assert (await socket.command("GET_PROPERTY", "combined"))["result"] is True
        frame = await socket.frame()
        assert frame["stream"] == "btcusdt@trade"


@pytest.mark.parametrize("path", ["/ws/0", "/stream/ws/0", "/stream/0"])
async def test_a_library_may_connect_anywhere_and_subscribe_later(live: Client, path: str) -> None:
    async with live.socket(path) as socket:
        await socket.command("SUBSCRIBE", "btcusdt@trade")
        frame = await socket.frame()
    assert ("stream" in frame) is (path == "/stream/0"), "only /stream wraps, and /stream/ws does not"


async def test_times_are_in_microseconds_where_the_url_asks(live: Client) -> None:
    async with live.socket("/ws/btcusdt@trade?timeUnit=MICROSECOND") as socket:
        frame = await socket.frame()
    assert len(str(frame["T"])) == len(str(frame["E"])) == 16


async def test_a_time_unit_that_does_not_exist_is_refused_before_the_handshake(live: Client) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await live.socket("/ws?timeUnit=DAY").__aenter__()
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("{", 3, "Invalid JSON"),
        ("[]", 2, "missing field `method`"),
        ('{"id": 1}', 2, "missing field `method`"),
        ('{"method": "JUMP", "id": 1}', 2, "unknown variant `JUMP`"),
        ('{"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 1}', 2, "params must be a list"),
        ('{"method": "SUBSCRIBE", "params": [], "id": 1}', 2, "stream names"),
        ('{"method": "SUBSCRIBE", "params": [1], "id": 1}', 2, "stream names"),
        ('{"method": "SUBSCRIBE", "params": ["x"], "id": [1]}', 2, "request ID"),
        ('{"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1}', 1, "expected Boolean"),
        ('{"method": "SET_PROPERTY", "params": ["size", 1], "id": 1}', 0, "Unknown property"),
    ],
)
async def test_a_wrong_command_is_answered_and_the_connection_goes_on(
    client: Client, text: str, code: int, words: str
) -> None:
    async with client.socket("/ws") as socket:
        await socket.ws.send_str(text)
        error = (await socket.frame())["error"]
        assert error["code"] == code
        assert words in error["msg"]
        assert (await socket.command("LIST_SUBSCRIPTIONS"))["result"] == []


# ---- contents


@pytest.mark.parametrize("speed", ["@100ms", ""])
async def test_the_depth_stream_carries_a_snapshot_on_without_a_gap(live: Client, speed: str) -> None:
    async with live.socket(f"/ws/btcusdt@depth{speed}") as socket:
        buffered = await several(socket, 2)
        book = (await live.get("depth", symbol="BTCUSDT", limit=5_000)).body
        sides = {"b": dict(book["bids"]), "a": dict(book["asks"])}
        at = book["lastUpdateId"]
        buffered += await several(socket, 2)
        events = [event for event in buffered if event["u"] > at]
        assert events[0]["U"] <= at + 1 <= events[0]["u"]
        for event in events:
            assert event["U"] <= at + 1
            at = event["u"]
            for key in ("b", "a"):
                for price, size in event[key]:
                    sides[key][price] = size
    assert [one["U"] for one in buffered[1:]] == [one["u"] + 1 for one in buffered[:-1]]
    bids = [Decimal(price) for price, size in sides["b"].items() if Decimal(size)]
    asks = [Decimal(price) for price, size in sides["a"].items() if Decimal(size)]
    assert max(bids) < min(asks), "a book that was carried on is never crossed"


async def test_a_client_that_follows_the_depth_stream_has_the_exchanges_own_book(live: Client) -> None:
    async with live.socket("/ws/btcusdt@depth@100ms") as socket:
        await socket.frame()
        book = (await live.get("depth", symbol="BTCUSDT", limit=5_000)).body
        sides = {"b": dict(book["bids"]), "a": dict(book["asks"])}
        at, matched = book["lastUpdateId"], False
        for _ in range(60):
            event = await socket.frame()
            if event["u"] <= at:
                continue
            at = event["u"]
            for key in ("b", "a"):
                sides[key].update(event[key])
            now = (await live.get("depth", symbol="BTCUSDT", limit=5_000)).body
            if now["lastUpdateId"] == at:
                matched = True
                break
    assert matched, "no moment was found at which both were equally new"
    for key, name in (("b", "bids"), ("a", "asks")):
        assert {price: size for price, size in sides[key].items() if Decimal(size)} == dict(now[name])


@pytest.mark.parametrize("levels", [5, 10, 20])
async def test_the_partial_book_has_so_many_levels(live: Client, levels: int) -> None:
    async with live.socket(f"/ws/btcusdt@depth{levels}@100ms") as socket:
        first, second = await several(socket, 2)
    assert len(first["bids"]) == len(first["asks"]) == levels
    assert second["lastUpdateId"] >= first["lastUpdateId"]


async def test_the_best_prices_are_told_only_when_they_change(live: Client) -> None:
    async with live.socket("/ws/btcusdt@bookTicker") as socket:
        frames = await several(socket, 6)
    quotes = [tuple(frame[name] for name in "bBaA") for frame in frames]
    assert all(one != other for one, other in itertools.pairwise(quotes))
    assert all(Decimal(frame["b"]) < Decimal(frame["a"]) for frame in frames)
    assert [frame["u"] for frame in frames] == sorted({frame["u"] for frame in frames})


async def test_aggregates_cover_every_trade_once(live: Client) -> None:
    async with live.socket("/stream?streams=btcusdt@aggTrade") as socket:
        frames = [frame["data"] for frame in await several(socket, 5)]
    assert [frame["a"] for frame in frames] == list(range(frames[0]["a"], frames[0]["a"] + 5))
    for one, other in itertools.pairwise(frames):
        assert other["f"] == one["l"] + 1
    by_rest = (await live.get("aggTrades", symbol="BTCUSDT", fromId=frames[0]["a"], limit=5)).body
    assert [(each["a"], each["q"], each["l"]) for each in by_rest] == [
        (each["a"], each["q"], each["l"]) for each in frames
    ]


async def test_a_candle_is_told_until_it_is_closed_and_then_the_next(live: Client) -> None:
    async with live.socket("/ws/btcusdt@kline_1s") as socket:
        closed = await socket.until(lambda frame: frame["k"]["x"])
        following = await socket.until(lambda frame: frame["k"]["t"] > closed["k"]["t"])
    assert following["k"]["t"] == closed["k"]["t"] + 1_000
    assert closed["k"]["T"] == closed["k"]["t"] + 999
    (row,) = (await live.get("klines", symbol="BTCUSDT", interval="1s", startTime=closed["k"]["t"], limit=1)).body
    assert row[1:6] == [closed["k"][name] for name in "ohlcv"]
    if closed["k"]["n"]:
        first = (await live.get("historicalTrades", symbol="BTCUSDT", fromId=closed["k"]["f"], limit=1)).body[0]
        assert closed["k"]["t"] <= first["time"] <= closed["k"]["T"]


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("btcusdt@miniTicker", "24hrMiniTicker"),
        ("btcusdt@ticker", "24hrTicker"),
        ("btcusdt@avgPrice", "avgPrice"),
        ("btcusdt@kline_1m", "kline"),
    ],
)
async def test_slower_streams_speak_up_by_themselves(client: Client, name: str, event: str) -> None:
    async with client.socket(f"/ws/{name}") as socket:
        frame = await socket.frame()
    assert (frame["e"], frame["s"]) == (event, "BTCUSDT")


async def test_the_tickers_of_all_symbols_come_in_one_list(client: Client) -> None:
    async with client.socket("/ws/!ticker@arr") as socket:
        (ticker,) = await socket.frame()
    assert (ticker["e"], ticker["s"], ticker["n"], ticker["v"]) == ("24hrTicker", "BTCUSDT", 3, "1.25000000")


async def test_our_own_trade_is_public(client: Client) -> None:
    async with client.socket("/ws/btcusdt@trade") as socket:
        order = (await client.order(type="MARKET", quantity="0.3")).body
        frame = await socket.frame()
    assert (frame["t"], frame["q"], frame["m"]) == (order["fills"][0]["tradeId"], "0.30000000", False)


# ---- keeping and breaking the rules


def still_exchange(tape: Path, rules: SocketRules) -> PracticeExchange:
    return PracticeExchange(ExchangeOptions(tape=tape, head_start_s=0.001), socket_rules=rules)


async def closing(socket: FrameSocket) -> int | None:
    """Wait until the server ends the connection; the close code."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = await socket.ws.receive()
            if message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}:
                return socket.ws.close_code


async def test_more_than_five_messages_a_second_end_the_connection(client: Client) -> None:
    async with client.socket("/ws") as socket:
        for number in range(6):
            await socket.ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        assert await closing(socket) == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_the_server_pings_and_cuts_off_who_does_not_answer(still_tape: Path) -> None:
    rules = SocketRules(ping_every_s=0.05, pong_within_s=0.2)
    async with still_exchange(still_tape, rules) as exchange, aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{exchange.endpoints.ws}/ws", autoping=False) as mute:
            kinds = set()
            async with asyncio.timeout(PATIENCE_S):
                async for message in mute:
                    kinds.add(message.type)
            assert kinds == {aiohttp.WSMsgType.PING}
            assert mute.close_code in {None, aiohttp.WSCloseCode.ABNORMAL_CLOSURE}
        async with session.ws_connect(f"{exchange.endpoints.ws}/ws/btcusdt@miniTicker") as alive:
            message = await alive.receive(PATIENCE_S)
            assert message.type is aiohttp.WSMsgType.TEXT, "who answers pings stays"


async def test_a_ping_of_the_client_is_answered_with_its_own_payload(client: Client) -> None:
    url = f"{client.endpoints.ws}/ws"
    async with aiohttp.ClientSession() as session, session.ws_connect(url, autoping=False) as socket:
        await socket.ping(b"echo")
        message = await socket.receive(PATIENCE_S)
        assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PONG, b"echo")


async def test_a_connection_ends_after_its_lifetime(still_tape: Path) -> None:
    rules = SocketRules(ping_every_s=0.05, lifetime_s=0.1)
    async with (
        still_exchange(still_tape, rules) as exchange,
        Client(exchange) as client,
        client.socket("/ws") as socket,
    ):
        assert await closing(socket) == aiohttp.WSCloseCode.GOING_AWAY


HANDSHAKE = (
    b"GET /stream?streams=btcusdt@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def test_a_client_that_does_not_read_is_cut_off_and_holds_up_nobody() -> None:
    options, rules = ExchangeOptions(symbols=("BTC/USDT",)), SocketRules(queue=500)
    async with PracticeExchange(options, socket_rules=rules) as exchange, Client(exchange) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", exchange.endpoints.port, limit=1_024)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads, too
        (stalled,) = exchange.sockets
        async with client.socket("/ws/btcusdt@trade") as other:
            filler = b"x" * 100_000
            async with asyncio.timeout(PATIENCE_S):
                while stalled in exchange.sockets:
                    stalled.send(filler)
                    await asyncio.sleep(0)
            await other.frame()
        writer.transport.abort()


async def test_a_closing_exchange_says_so(still_tape: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with still_exchange(still_tape, SocketRules()) as exchange:
            socket = await session.ws_connect(f"{exchange.endpoints.ws}/ws")
            closed = asyncio.create_task(socket.receive(PATIENCE_S))
        assert (await closed).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
