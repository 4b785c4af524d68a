"""What each fault does on the wire, and that nothing else suffers: what was taken is done once, what was not never."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from execd.exchange.faults import FILTERS, KNOWN_CODES
from tests.exchange.client import PATIENCE_S, Answer, Client, FrameSocket
from tests.exchange.storms import MovedClock, done, placed, stormy, until

ORDER = "on: POST /api/v3/order"
REST: dict[str, Any] = {"quantity": "0.01000", "price": "49000.00"}
LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


async def subscribed(client: Client, socket: FrameSocket) -> None:
    reply = await socket.ask_signed(client.endpoints, "userDataStream.subscribe.signature")
    assert reply["status"] == 200


async def labels(socket: FrameSocket, count: int) -> list[str]:
    """The next reports: what happened and to which order."""
    found: list[str] = []
    while len(found) < count:
        event = await socket.event("executionReport")
        found.append(f"{event['x']} {event['C'] or event['c']}")
    return found


# ---- requests


@pytest.mark.parametrize("taken", [True, False], ids=["after acceptance", "before"])
@pytest.mark.parametrize(
    "fault",
    ["answer, code: -1007", "answer, code: -1006", "answer, code: -1000", "page", "drop", "hang, for_s: 0.01"],
)
async def test_an_order_is_taken_exactly_if_the_rule_says_so(fault: str, taken: bool, still_tape: Path) -> None:
    rule = f"fault: {fault}, taken: {str(taken).lower()}, times: 1, {ORDER}"
    async with stormy(still_tape, rule) as exchange, Client(exchange) as client:
        try:
            answer = await client.order(newClientOrderId="one", **REST)
        except (*LOST, aiohttp.ContentTypeError):
            answer = None  # a reset, or a page that is no JSON
        assert answer is None or answer.code < 0
        assert placed(exchange) == taken
        assert (await client.order(newClientOrderId="two", **REST)).status == 200


@pytest.mark.parametrize("taken", [True, False])
async def test_a_late_answer_is_whole(taken: bool, still_tape: Path) -> None:
    rule = f"fault: delay, for_s: 0.02, taken: {str(taken).lower()}, {ORDER}"
    async with stormy(still_tape, rule) as exchange, Client(exchange) as client:
        assert (await client.order(newClientOrderId="one", **REST)).status == 200
        assert (placed(exchange), done(exchange)) == (1, {"delay": 1})


async def test_a_request_that_arrives_after_its_window_is_refused_by_the_exchange_itself(still_tape: Path) -> None:
    async with stormy(still_tape, f"fault: delay, for_s: 0.05, {ORDER}") as exchange, Client(exchange) as client:
        assert (await client.order(newClientOrderId="one", recvWindow=1, **REST)).code == -1021
        assert placed(exchange) == 0


@pytest.mark.parametrize("code", KNOWN_CODES)
async def test_each_known_code_comes_with_binances_status_and_words(code: int, still_tape: Path) -> None:
    async with stormy(still_tape, f"fault: answer, code: {code}") as exchange, Client(exchange) as client:
        answer = await client.order(**REST)
        assert (answer.status, answer.code, answer.body["msg"]) == (KNOWN_CODES[code][0], code, KNOWN_CODES[code][1])


async def test_a_code_can_have_a_status_words_and_a_retry_after_of_its_own(still_tape: Path) -> None:
    rule = "fault: answer, code: -9, status: 418, message: no more, retry_after_s: 7"
    async with stormy(still_tape, rule) as exchange, Client(exchange) as client:
        answer = await client.get("ping")
        assert (answer.status, answer.body) == (418, {"code": -9, "msg": "no more"})
        assert answer.headers["Retry-After"] == "7"


@pytest.mark.parametrize("name", FILTERS)
async def test_every_filter_can_refuse(name: str, still_tape: Path) -> None:
    async with stormy(still_tape, f"fault: filter, filter: {name}, {ORDER}") as exchange, Client(exchange) as client:
        answer = await client.order(newClientOrderId="one", **REST)
        assert (answer.status, answer.body) == (400, {"code": -1013, "msg": f"Filter failure: {name}"})
        assert placed(exchange) == 0


async def test_an_answer_that_is_cut_was_still_done(still_tape: Path) -> None:
    async with stormy(still_tape, f"fault: cut, {ORDER}") as exchange, Client(exchange) as client:
        with pytest.raises(LOST):
            await client.order(newClientOrderId="one", **REST)
        assert placed(exchange) == 1


async def test_an_answer_in_drops_arrives_whole(still_tape: Path) -> None:
    rule = f"fault: drip, bytes: 100, every_s: 0.001, {ORDER}"
    async with stormy(still_tape, rule) as exchange, Client(exchange) as client:
        assert (await client.order(newClientOrderId="one", **REST)).body["clientOrderId"] == "one"
        assert done(exchange) == {"drip": 1}


async def test_an_order_is_not_found_while_it_is_young(still_tape: Path) -> None:
    clock = MovedClock()

    async def told(client: Client, method: str) -> Answer:
        return await client.signed(method, "order", symbol="BTCUSDT", origClientOrderId="one", timestamp=clock.ms)

    rule = 'fault: not-found, for_s: 60, on: "* /api/v3/order"'
    async with stormy(still_tape, rule, clock=clock) as exchange, Client(exchange) as client:
        assert (await client.order(newClientOrderId="one", **REST)).status == 200
        assert ((await told(client, "GET")).code, (await told(client, "DELETE")).code) == (-2013, -2011)
        assert len(exchange.hall.engine.open_orders()) == 1
        clock.ahead_s = 61.0
        assert ((await told(client, "GET")).status, (await told(client, "DELETE")).status) == (200, 200)


async def test_lists_leave_out_what_is_young(still_tape: Path) -> None:
    clock = MovedClock()

    async def told(client: Client, path: str) -> int:
        return len((await client.signed("GET", path, symbol="BTCUSDT", timestamp=clock.ms)).body)

    async with stormy(still_tape, "fault: lag, for_s: 60", clock=clock) as exchange, Client(exchange) as client:
        await client.order(**REST)
        await client.order(type="MARKET", quantity="0.01")
        assert [await told(client, path) for path in ("openOrders", "allOrders", "myTrades")] == [0, 0, 0]
        clock.ahead_s = 61.0
        assert [await told(client, path) for path in ("openOrders", "allOrders", "myTrades")] == [1, 2, 1]


async def test_the_server_time_is_told_wrong(still_tape: Path) -> None:
    clock = MovedClock()
    async with stormy(still_tape, "fault: skew, ms: -5000", clock=clock) as exchange, Client(exchange) as client:
        told = (await client.get("time")).body["serverTime"]
        assert clock.ms - 5_000 - 2_000 < told <= clock.ms - 5_000


async def test_a_ban_shuts_out_everybody_until_it_ends(still_tape: Path) -> None:
    """The first is told 429 and when to come again; then all are told 418, whatever they want."""
    clock = MovedClock()
    rule = "fault: ban, for_s: 60, on: GET /api/v3/ping, times: 1"
    async with stormy(still_tape, rule, clock=clock) as exchange, Client(exchange) as client:
        first, second = await client.get("ping"), await client.order(newClientOrderId="one", **REST)
        assert [(answer.status, answer.code) for answer in (first, second)] == [(429, -1003), (418, -1003)]
        assert [0 < int(answer.headers["Retry-After"]) <= 60 for answer in (first, second)] == [True, True]
        for path in ("/ws/btcusdt@trade", "/ws-api/v3"):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="418"):
                await client.socket(path).__aenter__()
        assert placed(exchange) == 0
        clock.ahead_s = 61.0
        assert (await client.get("ping")).status == 200


# ---- frames


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("fault: lose, on: executionReport NEW, order: a", ["CANCELED a", "NEW b"]),
        ("fault: repeat, on: executionReport NEW, copies: 2", ["NEW a", "NEW a", "NEW a", "CANCELED a"]),
        ("fault: swap, on: executionReport NEW, order: a, by: 4", ["CANCELED a", "NEW b", "NEW a"]),
        ("fault: late, on: executionReport NEW, order: a, for_s: 0.3", ["CANCELED a", "NEW b", "NEW a"]),
        ("fault: trickle, on: executionReport *, bytes: 200, every_s: 0.001", ["NEW a", "CANCELED a", "NEW b"]),
        ("fault: lose, on: executionReport TRADE", ["NEW a", "CANCELED a", "NEW b"]),
    ],
    ids=["lost", "doubled", "reordered", "late", "slow", "another one lost"],
)
async def test_reports_suffer_what_the_rule_says_and_no_more(rule: str, told: list[str], still_tape: Path) -> None:
    """`swap` lets four frames pass: each report has the balances after it."""
    async with (
        stormy(still_tape, rule) as exchange,
        Client(exchange) as client,
        client.socket("/ws-api/v3") as user,
    ):
        await subscribed(client, user)
        await client.order(newClientOrderId="a", **REST)
        await client.signed("DELETE", "order", symbol="BTCUSDT", origClientOrderId="a")
        await client.order(newClientOrderId="b", **REST)
        assert await labels(user, len(told)) == told


async def test_a_lost_print_is_a_jump_of_the_trade_ids(still_tape: Path) -> None:
    rule = "fault: lose, on: btcusdt@trade, skip: 1, times: 2"
    async with (
        stormy(still_tape, rule) as exchange,
        Client(exchange) as client,
        client.socket("/ws/btcusdt@trade") as market,
    ):
        for _ in range(4):
            await client.order(type="MARKET", quantity="0.001")
        ids = [(await market.frame())["t"] for _ in range(2)]
        assert ids[1] - ids[0] == 3


async def test_a_torn_frame_is_never_a_frame(still_tape: Path) -> None:
    """The client sees the connection end in the middle of it; another connection goes on."""
    rule = "fault: tear, on: executionReport *, times: 1"
    async with (
        stormy(still_tape, rule) as exchange,
        Client(exchange) as client,
        client.socket("/ws-api/v3") as user,
        client.socket("/ws/btcusdt@trade") as market,
    ):
        await subscribed(client, user)
        await client.order(newClientOrderId="a", type="MARKET", quantity="0.001")
        assert (await user.ws.receive()).type is not WSMsgType.TEXT
        assert (await market.frame())["e"] == "trade"
        assert done(exchange) == {"tear": 1}


async def test_a_new_subscription_hears_the_last_events_again(still_tape: Path) -> None:
    rule = "fault: replay, events: 2, skip: 1"
    async with stormy(still_tape, rule) as exchange, Client(exchange) as client:
        async with client.socket("/ws-api/v3") as user:
            await subscribed(client, user)
            await client.order(newClientOrderId="a", **REST)
            assert await labels(user, 1) == ["NEW a"]
        async with client.socket("/ws-api/v3") as user:
            await subscribed(client, user)
            assert await labels(user, 1) == ["NEW a"]


# ---- connections


async def test_a_silent_connection_is_half_open_and_then_speaks_again(still_tape: Path) -> None:
    """Neither a frame nor a pong comes, and what was to be said in that time is lost; other kinds hear on."""
    clock = MovedClock()
    async with (
        stormy(still_tape, "fault: silence, at_s: 60, for_s: 0.5, stream: user", clock=clock) as exchange,
        Client(exchange) as client,
        client.socket("/ws-api/v3") as user,
        client.socket("/ws/btcusdt@trade") as market,
    ):
        await subscribed(client, user)
        clock.ahead_s = 60.0
        await until(lambda: done(exchange) == {"silence": 1})
        await client.order(type="MARKET", quantity="0.001", newClientOrderId="a", timestamp=clock.ms)
        assert (await market.frame())["e"] == "trade"
        (quiet,) = [socket for socket in exchange.sockets if socket.kind == "user"]
        await until(lambda: not quiet._muted)
        await client.order(newClientOrderId="b", timestamp=clock.ms, **REST)
        assert await labels(user, 1) == ["NEW b"]


@pytest.mark.parametrize(
    ("rule", "code"),
    [("fault: reset", 1006), ("fault: close", 1001), ("fault: close, code: 1012, reason: restart", 1012)],
)
async def test_connections_end_at_their_moment_rudely_or_politely(rule: str, code: int, still_tape: Path) -> None:
    clock = MovedClock()
    async with (
        stormy(still_tape, f"{rule}, at_s: 60, stream: market", clock=clock) as exchange,
        Client(exchange) as client,
        client.socket("/ws-api/v3") as user,
        client.socket("/ws/btcusdt@trade") as market,
    ):
        clock.ahead_s = 60.0
        await market.ws.receive()
        assert market.ws.close_code == code
        assert (await user.ask("ping"))["status"] == 200, "the other kind lives"


@pytest.mark.parametrize("event", ["eventStreamTerminated", "listenKeyExpired", "serverShutdown"])
async def test_a_user_stream_is_ended_by_an_event_and_can_be_had_again(event: str, still_tape: Path) -> None:
    clock = MovedClock()
    async with (
        stormy(still_tape, f"fault: terminate, at_s: 60, event: {event}", clock=clock) as exchange,
        Client(exchange) as client,
        client.socket("/ws-api/v3") as user,
    ):
        await subscribed(client, user)
        clock.ahead_s = 60.0
        assert (await user.event(event))["e"] == event
        await client.order(newClientOrderId="a", timestamp=clock.ms, **REST)
        reply = await user.ask_signed(client.endpoints, "userDataStream.subscribe.signature", timestamp=clock.ms)
        assert reply["status"] == 200
        await client.order(newClientOrderId="b", timestamp=clock.ms, **REST)
        assert await labels(user, 1) == ["NEW b"]


async def test_maintenance_says_goodbye_closes_and_ends(still_tape: Path) -> None:
    clock = MovedClock()
    async with (
        stormy(still_tape, "fault: maintenance, at_s: 60, for_s: 60", clock=clock) as exchange,
        Client(exchange) as client,
        client.socket("/ws-api/v3") as user,
        client.socket("/ws/btcusdt@trade") as market,
    ):
        await subscribed(client, user)
        clock.ahead_s = 60.0
        assert (await user.event("serverShutdown"))["e"] == "serverShutdown"
        assert (await market.frame())["e"] == "serverShutdown"
        for socket in (user, market):
            assert (await socket.ws.receive()).type is WSMsgType.CLOSE
            assert socket.ws.close_code == 1001
        assert (await client.get("ping")).status == 503
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await client.socket("/ws/btcusdt@trade").__aenter__()
        clock.ahead_s = 121.0
        assert (await client.get("ping")).status == 200


async def test_an_exchange_that_keeps_somebody_waiting_can_still_be_closed(still_tape: Path) -> None:
    """A request that hangs for an hour does not hold up the end of the exchange."""
    hang = "fault: hang, for_s: 3600, on: GET /api/v3/ping"
    patience = aiohttp.ClientTimeout(sock_read=0.05)
    async with asyncio.timeout(PATIENCE_S):
        async with stormy(still_tape, hang) as exchange, aiohttp.ClientSession(timeout=patience) as session:
            with pytest.raises(TimeoutError):
                await session.get(f"{exchange.endpoints.rest}/api/v3/ping")
