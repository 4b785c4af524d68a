"""Nonsense of every kind is answered or refused: it never breaks a connection, and never the exchange."""

from __future__ import annotations

import json

import pytest

from tests.exchange.client import Client

SURROGATE = '"\\ud800"'
HUGE = "9" * 60
FRAMES = [
    "",
    "null",
    "1",
    '"text"',
    "[[]]",
    "{}",
    '{"method": 1}',
    '{"method": null, "id": null}',
    '{"method": "SUBSCRIBE", "params": {"a": 1}, "id": 1}',
    '{"method": "SUBSCRIBE", "params": ["@"], "id": 1}',
    '{"method": "SUBSCRIBE", "params": ["btcusdt@depth7"], "id": 1}',
    '{"method": "SUBSCRIBE", "params": ["btcusdt@kline_1y"], "id": 1}',
    '{"method": "SUBSCRIBE", "params": ["BTCUSDT@trade"], "id": 1}',
    f'{{"method": "SUBSCRIBE", "params": ["x"], "id": {HUGE}}}',
    f'{{"method": "SUBSCRIBE", "params": ["x"], "id": {SURROGATE}}}',
    f'{{"method": "SUBSCRIBE", "params": [{SURROGATE}], "id": 1}}',
    '{"method": "SUBSCRIBE", "params": ["x"], "id": 1.5}',
    '{"method": "UNSUBSCRIBE", "params": ["never@had"], "id": 1}',
    '{"method": "ping", "id": true}',
    '{"method": "ping", "params": null, "id": 1}',
    f'{{"method": "depth", "params": {{"symbol": "BTCUSDT", "limit": {HUGE}}}, "id": 1}}',
    f'{{"method": "exchangeInfo", "params": {{"symbols": [{HUGE}]}}, "id": 1}}',
    '{"method": "exchangeInfo", "params": {"symbols": "[[[[[["}, "id": 1}',
    f'{{"method": "klines", "params": {{"symbol": "BTCUSDT", "interval": "1s", "startTime": {"9" * 19}}}, "id": 1}}',
    f'{{"method": "account.status", "params": {{"timestamp": {"9" * 19}, "apiKey": "{"k" * 64}"}}, "id": 1}}',
    "[" * 5_000,
]


@pytest.mark.parametrize("path", ["/ws", "/ws-api/v3"])
async def test_no_frame_breaks_a_connection(client: Client, path: str) -> None:
    for frame in FRAMES:
        async with client.socket(path) as socket:
            await socket.ws.send_str(frame)
            answer = await socket.frame()
            assert {"result", "error", "code"} & answer.keys(), frame
            method = "LIST_SUBSCRIPTIONS" if path == "/ws" else "ping"
            await socket.ws.send_json({"method": method, "id": 77})
            assert (await socket.until(lambda found: found.get("id") == 77)).get("error") is None


@pytest.mark.parametrize(
    "query",
    [
        "symbol=%FF%FE",
        "%ff=%ff",
        "symbol=BTCUSDT&limit=" + "9" * 400,
        "symbol=BTCUSDT&limit=%D9%A3",
        "symbol=BTCUSDT&limit=1%00",
        "symbol=BTCUSDT%0A",
        "symbols=%5B%22%5Cud800%22%5D",
        "symbols=[[[[",
        "symbols=" + "[" * 3_000,
        "=&=&&&=",
        "&".join(f"p{number}=1" for number in range(300)),
    ],
)
async def test_no_query_breaks_rest(client: Client, query: str) -> None:
    for page in ("depth", "exchangeInfo", "order", "nothing%FF"):
        for method in ("GET", "POST"):
            reply = await client.raw(method, f"/api/v3/{page}", query)
            assert 400 <= reply.status < 500, (page, query)
            assert json.loads(json.dumps(reply.body))["code"] < 0


async def test_no_body_breaks_rest(client: Client) -> None:
    key = {"X-MBX-APIKEY": client.endpoints.key.api_key}
    for body in (b"\xff\xfe", b"{}", b"timestamp=1&signature=\xff", b"timestamp=&signature=", b"a=1;b=2", b"%"):
        reply = await client.raw("POST", "/api/v3/order", body=body.decode("latin-1"), headers=key)
        assert (reply.status, reply.code) in {(400, -1102), (400, -1105), (400, -1022)}, body


async def test_numbers_at_the_edge_are_refused_and_not_rounded(client: Client) -> None:
    for quantity in (
        "0",
        "0.0",
        "0.000000001",
        "9" * 20,
        "00000000000000000001.00001",
        ".5",
        "5.",
        "0x1",
        "1,5",
        "NaN",
    ):
        reply = await client.order(quantity=quantity, price="49000")
        if quantity.startswith("000"):
            assert reply.body["origQty"] == "1.00001000"
        else:
            assert reply.status == 400, quantity
