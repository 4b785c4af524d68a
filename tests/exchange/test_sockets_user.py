"""The WebSocket API: requests, sessions, the user data stream, and the order in which events come."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from execd.exchange.limits import RateLimits
from execd.exchange.options import ExchangeOptions
from execd.exchange.server import PracticeExchange
from tests.exchange.client import Client, FrameSocket, now_ms
from tests.exchange.conftest import ASK

REST: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01000",
    "price": "49000.00",
}
TAKE: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.5"}


@pytest.fixture
async def api(client: Client) -> AsyncIterator[FrameSocket]:
    """A connection to the WebSocket API."""
    async with client.socket("/ws-api/v3") as socket:
        yield socket


@pytest.fixture
async def user(client: Client, api: FrameSocket) -> FrameSocket:
    """The same connection, subscribed to the user data stream."""
    reply = await api.ask_signed(client.endpoints, "userDataStream.subscribe.signature")
    assert (reply["status"], reply["result"]) == (200, {"subscriptionId": 0})
    return api


# ---- requests


@pytest.mark.parametrize(
    ("method", "parameters", "path"),
    [
        ("exchangeInfo", {"symbol": "BTCUSDT"}, "exchangeInfo"),
        ("exchangeInfo", {"symbols": ["BTCUSDT"]}, None),
        ("depth", {"symbol": "BTCUSDT", "limit": 5}, "depth"),
        ("trades.recent", {"symbol": "BTCUSDT", "limit": 2}, "trades"),
        ("trades.historical", {"symbol": "BTCUSDT", "limit": 2}, "historicalTrades"),
        ("trades.aggregate", {"symbol": "BTCUSDT"}, "aggTrades"),
        ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1}, "klines"),
        ("ticker.book", {"symbol": "BTCUSDT"}, "ticker/bookTicker"),
        ("ticker.price", {"symbol": "BTCUSDT"}, "ticker/price"),
        ("ping", {}, "ping"),
    ],
)
async def test_a_public_request_is_answered_as_by_rest(
    client: Client, api: FrameSocket, method: str, parameters: dict[str, Any], path: str | None
) -> None:
    reply = await api.ask(method, **parameters)
    assert reply["status"] == 200
    assert reply["rateLimits"][-1]["rateLimitType"] == "REQUEST_WEIGHT"
    if path is not None:
        by_rest = (await client.get(path, **parameters)).body
        if method == "exchangeInfo":
            assert reply["result"]["symbols"] == by_rest["symbols"]
        else:
            assert reply["result"] == by_rest


async def test_rate_limits_can_be_left_out_of_a_response_and_of_all(client: Client, api: FrameSocket) -> None:
    assert "rateLimits" not in await api.ask("ping", returnRateLimits=False)
    async with client.socket("/ws-api/v3?returnRateLimits=false") as quiet:
        assert "rateLimits" not in await quiet.ask("ping")
        assert "rateLimits" in await quiet.ask("ping", returnRateLimits=True)


async def test_times_are_in_microseconds_where_the_url_asks(client: Client) -> None:
    async with client.socket("/ws-api/v3?timeUnit=MICROSECOND") as socket:
        assert len(str((await socket.ask("time"))["result"]["serverTime"])) == 16


@pytest.mark.parametrize("number", [7, "text", None])
async def test_a_response_carries_the_id_of_its_request(api: FrameSocket, number: object) -> None:
    await api.ws.send_json({"id": number, "method": "v3/ping"})
    assert (await api.frame())["id"] == number


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("{", 400, -1135),
        ("[]", 400, -1135),
        ('{"id": 1}', 400, -1135),
        ('{"id": 1, "method": "ping", "params": [1]}', 400, -1135),
        ('{"id": 1, "method": "order.guess"}', 404, -1020),
        ('{"id": 1, "method": "depth"}', 400, -1102),
        ('{"id": 1, "method": "depth", "params": {"symbol": "NOPE"}}', 400, -1121),
        ('{"id": 1, "method": "depth", "params": {"symbol": "BTCUSDT", "more": 1}}', 400, -1104),
        ('{"id": 1, "method": "order.place", "params": {}}', 401, -2014),
    ],
)
async def test_a_request_that_cannot_be_is_refused_and_the_connection_goes_on(
    api: FrameSocket, text: str, status: int, code: int
) -> None:
    await api.ws.send_str(text)
    reply = await api.frame()
    assert (reply["status"], reply["error"]["code"]) == (status, code)
    assert (await api.ask("ping"))["status"] == 200


async def test_a_signed_request_must_be_signed_fresh_and_complete(client: Client, api: FrameSocket) -> None:
    wrong = await api.ask("account.status", apiKey=client.endpoints.key.api_key, timestamp=now_ms(), signature="0" * 64)
    assert (wrong["status"], wrong["error"]["code"]) == (400, -1022)
    late = await api.ask_signed(client.endpoints, "account.status", timestamp=now_ms() - 20_000)
    assert late["error"]["code"] == -1021
    unread = await api.ask_signed(client.endpoints, "order.place", **REST, clientOrderId="x")
    assert unread["error"]["code"] == -1104
    assert (await client.signed("GET", "openOrders")).body == []


async def test_an_order_can_be_tested_placed_asked_for_listed_and_canceled(client: Client, api: FrameSocket) -> None:
    ends = client.endpoints
    assert (await api.ask_signed(ends, "order.test", **REST))["result"] == {}
    placed = (await api.ask_signed(ends, "order.place", **REST, newClientOrderId="by-socket"))["result"]
    where = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    asked = (await api.ask_signed(ends, "order.status", **where))["result"]
    assert asked == (await client.signed("GET", "order", **where)).body
    assert (await api.ask_signed(ends, "openOrders.status"))["result"] == [asked]
    gone = (await api.ask_signed(ends, "order.cancel", symbol="BTCUSDT", origClientOrderId="by-socket"))["result"]
    assert (gone["status"], gone["origClientOrderId"]) == ("CANCELED", "by-socket")
    (listed,) = (await api.ask_signed(ends, "allOrders", symbol="BTCUSDT"))["result"]
    assert listed["status"] == "CANCELED"
    nothing = await api.ask_signed(ends, "openOrders.cancelAll", symbol="BTCUSDT")
    assert (nothing["status"], nothing["error"]["code"]) == (400, -2011)


async def test_cancel_replace_tells_what_became_of_either_half(client: Client, api: FrameSocket) -> None:
    how = {"cancelReplaceMode": "ALLOW_FAILURE", "cancelOrderId": 1}
    reply = await api.ask_signed(client.endpoints, "order.cancelReplace", **REST, **how)
    assert (reply["status"], reply["error"]["code"]) == (409, -2021)
    assert reply["error"]["data"]["newOrderResult"] == "SUCCESS"
    number = reply["error"]["data"]["newOrderResponse"]["orderId"]
    again = await api.ask_signed(client.endpoints, "order.cancelReplace", **REST, **{**how, "cancelOrderId": number})
    assert (again["status"], again["result"]["cancelResult"]) == (200, "SUCCESS")


async def test_the_account_trades_and_counts_can_be_asked_for(client: Client, api: FrameSocket) -> None:
    ends = client.endpoints
    await api.ask_signed(ends, "order.place", **TAKE)
    (trade,) = (await api.ask_signed(ends, "myTrades", symbol="BTCUSDT"))["result"]
    assert (trade["price"], trade["qty"], trade["isBuyer"]) == (f"{ASK}000000", "0.50000000", True)
    account = (await api.ask_signed(ends, "account.status"))["result"]
    assert account["uid"] == ends.account
    counts = (await api.ask_signed(ends, "account.rateLimits.orders"))["result"]
    assert counts[1]["count"] == 1


async def test_a_used_up_limit_tells_when_to_come_back(still_tape: Path) -> None:
    options, limits = ExchangeOptions(tape=still_tape, head_start_s=0.001), RateLimits(orders_day=1)
    async with (
        PracticeExchange(options, limits=limits) as exchange,
        Client(exchange) as client,
        client.socket("/ws-api/v3") as api,
    ):
        await api.ask_signed(client.endpoints, "order.place", **REST)
        reply = await api.ask_signed(client.endpoints, "order.place", **REST)
    assert (reply["status"], reply["error"]["code"]) == (429, -1015)
    assert reply["error"]["data"]["retryAfter"] > reply["error"]["data"]["serverTime"]


# ---- user events


async def test_the_life_of_an_order_is_told_event_by_event(client: Client, user: FrameSocket) -> None:
    placed = (await client.order(**{**REST, "newClientOrderId": "mine"})).body
    new = await user.event("executionReport")
    held = await user.event("outboundAccountPosition")
    await client.signed("DELETE", "order", symbol="BTCUSDT", orderId=placed["orderId"], newClientOrderId="undo")
    gone = await user.event("executionReport")
    freed = await user.event("outboundAccountPosition")
    assert [(each["x"], each["X"], each["c"], each["C"], each["i"]) for each in (new, gone)] == [
        ("NEW", "NEW", "mine", "", placed["orderId"]),
        ("CANCELED", "CANCELED", "undo", "mine", placed["orderId"]),
    ]
    assert (new["w"], gone["w"]) == (True, False)
    usdt = [{each["a"]: each for each in event["B"]}["USDT"] for event in (held, freed)]
    assert [each["l"] for each in usdt] == ["490.00000000", "0.00000000"]


async def test_a_report_has_every_field_that_binance_sends(client: Client, user: FrameSocket) -> None:
    order = (await client.order(**TAKE)).body
    new, trade = [await user.event("executionReport") for _ in range(2)]
    fields = set("eEscSofqpPFgCxXrilzLnNTtIwmMOZYQWV")
    assert new.keys() == trade.keys() == fields
    assert (new["x"], trade["x"], trade["X"]) == ("NEW", "TRADE", "FILLED")
    assert (new["t"], new["n"], new["N"]) == (-1, "0", None)
    assert (trade["l"], trade["L"], trade["z"], trade["Z"], trade["Y"]) == (
        "0.50000000",
        f"{ASK}000000",
        "0.50000000",
        "25000.00000000",
        "25000.00000000",
    )
    assert (trade["n"], trade["N"], trade["t"], trade["m"]) == (
        "0.00050000",
        "BTC",
        order["fills"][0]["tradeId"],
        False,
    )
    assert trade["I"] > new["I"]
    position = await user.event("outboundAccountPosition")
    assert {each["a"] for each in position["B"]} == {"BTC", "USDT"}


async def test_an_order_that_walks_the_book_is_told_fill_by_fill(client: Client, user: FrameSocket) -> None:
    book = (await client.get("depth", symbol="BTCUSDT", limit=5)).body
    wanted = sum(Decimal(size) for _, size in book["asks"][:2]) + Decimal("0.00001")
    price = book["asks"][2][0]
    await client.order(quantity=str(wanted), price=str(Decimal(price)), timeInForce="IOC")
    reports = [await user.event("executionReport")]
    while reports[-1]["X"] != "FILLED":
        reports.append(await user.event("executionReport"))
    first, *fills = reports
    assert (first["x"], {each["x"] for each in fills}) == ("NEW", {"TRADE"})
    taken: dict[str, Decimal] = {}
    for each in fills:
        taken[each["L"]] = taken.get(each["L"], Decimal(0)) + Decimal(each["l"])
        assert Decimal(each["z"]) == sum(taken.values()), "each report carries the sum so far"
    sizes = [Decimal(size) for _, size in book["asks"][:2]]
    assert list(taken.items()) == [
        (level[0], size) for level, size in zip(book["asks"], [*sizes, Decimal("0.00001")], strict=False)
    ]
    assert [each["t"] for each in fills] == sorted({each["t"] for each in fills})


async def test_an_order_that_expires_is_told_so(client: Client, user: FrameSocket) -> None:
    await client.order(quantity="0.01", price="49000", timeInForce="IOC")
    reports = [await user.event("executionReport") for _ in range(2)]
    assert [(each["x"], each["X"]) for each in reports] == [("NEW", "NEW"), ("EXPIRED", "EXPIRED")]


async def test_every_subscribed_connection_hears_and_the_others_do_not(client: Client, user: FrameSocket) -> None:
    async with client.socket("/ws-api/v3") as second, client.socket("/ws-api/v3") as third:
        await second.ask_signed(client.endpoints, "userDataStream.subscribe.signature")
        await client.order(**REST)
        assert (await user.event("executionReport"))["x"] == "NEW"
        assert (await second.event("executionReport"))["x"] == "NEW"
        await third.ask("ping")
        assert all("event" not in frame for frame in third.seen)


async def test_a_subscription_is_taken_once_and_can_be_given_back(client: Client, user: FrameSocket) -> None:
    again = await user.ask_signed(client.endpoints, "userDataStream.subscribe.signature")
    assert again["status"] == 400
    assert (await user.ask("session.subscriptions"))["result"] == [{"subscriptionId": 0}]
    assert (await user.ask("userDataStream.unsubscribe", subscriptionId=0))["result"] == {}
    assert user.seen[-2]["event"]["e"] == "eventStreamTerminated"
    await client.order(**REST)
    await user.ask("ping")
    assert user.seen[-1]["result"] == {}, "nothing was told in between"
    assert "event" not in user.seen[-2]
    assert (await user.ask("userDataStream.unsubscribe"))["status"] == 400


async def test_a_badly_signed_subscription_hears_nothing(client: Client, api: FrameSocket) -> None:
    key = client.endpoints.key.api_key
    reply = await api.ask("userDataStream.subscribe.signature", apiKey=key, timestamp=now_ms(), signature="0" * 64)
    assert reply["error"]["code"] == -1022
    assert (await api.ask("userDataStream.subscribe"))["error"]["code"] == -2014
    await client.order(**REST)
    await api.ask("ping")
    assert all("event" not in frame for frame in api.seen)


async def test_a_resting_order_is_filled_by_the_market_and_told(tmp_path: Path) -> None:
    tape = tmp_path / "falling_spot_BTCUSDT.csv"
    # Half a minute of tape in half a second: the market falls through an order at 49,995.
    rows = ["ts,price,amount,side", "1700000000000000,50000.00,0.5,buy", "1700000030000000,49990.00,5,sell"]
    tape.write_text("\n".join(rows))
    options = ExchangeOptions(tape=tape, speed=60, head_start_s=0.001)
    async with PracticeExchange(options) as exchange, Client(exchange) as client, client.socket("/ws-api/v3") as user:
        await user.ask_signed(client.endpoints, "userDataStream.subscribe.signature")
        order = (await client.order(quantity="0.25", price="49995")).body
        assert order["status"] == "NEW"
        await user.event("executionReport")
        report = await user.event("executionReport")
        (own,) = (await client.signed("GET", "myTrades", symbol="BTCUSDT")).body
    assert (report["x"], report["X"], report["i"]) == ("TRADE", "FILLED", order["orderId"])
    assert (report["L"], report["l"], report["m"]) == ("49995.00000000", "0.25000000", True)
    assert (own["id"], own["isMaker"], own["time"]) == (report["t"], True, report["T"])


# ---- Ed25519


class Signer:
    """An Ed25519 key and what it signs."""

    def __init__(self, folder: Path) -> None:
        self.private = Ed25519PrivateKey.generate()
        self.public_file = folder / "key.pem"
        self.public_file.write_bytes(
            self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )

    def sign(self, api_key: str, **parameters: object) -> dict[str, object]:
        full = {"apiKey": api_key, "timestamp": now_ms(), **parameters}
        payload = "&".join(f"{name}={full[name]}" for name in sorted(full))
        return {**full, "signature": base64.b64encode(self.private.sign(payload.encode())).decode()}


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path)


@pytest.fixture
async def ed25519(still_tape: Path, signer: Signer) -> AsyncIterator[PracticeExchange]:
    """An exchange that knows an Ed25519 key."""
    options = ExchangeOptions(tape=still_tape, head_start_s=0.001, ed25519=signer.public_file)
    async with PracticeExchange(options) as running:
        yield running


async def test_a_session_logged_on_with_ed25519_needs_no_more_signatures(
    ed25519: PracticeExchange, signer: Signer
) -> None:
    key = ed25519.endpoints.ed25519
    assert key is not None
    async with Client(ed25519) as client, client.socket("/ws-api/v3") as api:
        before = await api.ask("order.place", **REST, timestamp=now_ms())
        assert before["status"] == 401
        session = (await api.ask("session.logon", **signer.sign(key.api_key)))["result"]
        assert session["apiKey"] == key.api_key
        assert session["authorizedSince"] >= session["connectedSince"]
        assert (await api.ask("userDataStream.subscribe"))["result"] == {"subscriptionId": 0}
        assert (await api.ask("order.place", **REST, timestamp=now_ms()))["status"] == 200
        assert any(frame.get("event", {}).get("x") == "NEW" for frame in api.seen)
        assert (await api.ask("order.place", **REST))["error"]["code"] == -1102, "a timestamp is still needed"
        late = await api.ask("order.place", **REST, timestamp=now_ms() - 20_000)
        assert late["error"]["code"] == -1021
        assert (await api.ask("session.status"))["result"]["userDataStream"] is True
        assert (await api.ask("session.logout"))["result"]["apiKey"] is None
        assert (await api.ask("order.place", **REST, timestamp=now_ms()))["status"] == 401


async def test_a_session_cannot_be_logged_on_with_hmac(client: Client, api: FrameSocket) -> None:
    reply = await api.ask_signed(client.endpoints, "session.logon")
    assert reply["status"] == 400
    assert "not supported" in reply["error"]["msg"]


async def test_rest_takes_an_ed25519_signature_too(ed25519: PracticeExchange, signer: Signer) -> None:
    key = ed25519.endpoints.ed25519
    assert key is not None
    query = f"symbol=BTCUSDT&timestamp={now_ms()}"
    signature = quote(base64.b64encode(signer.private.sign(query.encode())).decode(), safe="")
    headers = {"X-MBX-APIKEY": key.api_key}
    async with Client(ed25519) as client:
        good = await client.raw("GET", "/api/v3/openOrders", f"{query}&signature={signature}", headers=headers)
        assert (good.status, good.body) == (200, [])
        other = await client.raw("GET", "/api/v3/openOrders", f"{query}1&signature={signature}", headers=headers)
        assert other.code == -1022
