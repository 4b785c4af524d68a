"""The proof that it is a real protocol: unmodified ccxt.pro works against it, with production URLs and without.

Three ways in: production URLs over TLS through a session that leads to loopback (how execd itself connects, so
that ccxt's production error tables are used), and overridden URLs with raw and with combined streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import ccxt
import ccxt.pro
import pytest

from execd.exchange.options import ExchangeOptions
from execd.exchange.server import Endpoints, PracticeExchange
from tests.exchange.loopback import loopback_session

PATIENCE_S = 15.0
SYMBOL = "BTC/USDT"
PRODUCTION, RAW, COMBINED = "production URLs", "overridden, raw streams", "overridden, combined streams"


def credentials(endpoints: Endpoints) -> dict[str, Any]:
    """The key; and no waiting of ccxt's own, which would make up most of the time."""
    return {"apiKey": endpoints.key.api_key, "secret": endpoints.key.secret, "enableRateLimit": False}


def override(binance: Any, endpoints: Endpoints, streams: str) -> None:
    """Point every URL at the exchange; the stream's must contain "/stream", by which ccxt tells spot from futures."""
    api = binance.urls["api"]
    for name, url in api.items():
        if isinstance(url, str):
            api[name] = endpoints.rest + urlsplit(url).path
    api["ws"]["spot"] = endpoints.ws + streams
    api["ws"]["ws-api"]["spot"] = f"{endpoints.ws_api}/ws-api/v3"


@pytest.fixture(scope="module")
def lively_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty prints a second for two minutes, the price wandering by a cent."""
    rows = []
    for number in range(4_800):
        at, side = 1_700_000_000_000_000 + number * 25_000, ("buy", "sell")[number % 2]
        rows.append(f"{at},{50_000 + number % 7 / 100:.2f},0.01000,{side}")
    path = tmp_path_factory.mktemp("tapes") / "lively_spot_BTCUSDT.csv"
    path.write_text("\n".join(["ts,price,amount,side", *rows]))
    return path


@pytest.fixture(params=[PRODUCTION, RAW, COMBINED])
async def binance(request: pytest.FixtureRequest, lively_tape: Path) -> AsyncIterator[Any]:
    """ccxt.pro.binance, connected one of the three ways to an exchange of its own."""
    options = ExchangeOptions(tape=lively_tape, head_start_s=0.001, tls=request.param == PRODUCTION)
    async with PracticeExchange(options) as exchange:
        session = loopback_session(exchange.endpoints) if options.tls else None
        more = {} if session is None else {"session": session}
        client = ccxt.pro.binance({**credentials(exchange.endpoints), **more})
        if session is None:
            override(client, exchange.endpoints, "/stream/ws" if request.param == RAW else "/stream")
        try:
            async with asyncio.timeout(2 * PATIENCE_S):
                yield client
        finally:
            await client.close()
            if session is not None:
                await session.close()


async def soon(coroutine: Any) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        return await coroutine


async def test_it_loads_markets_and_reads_the_market(binance: Any) -> None:
    markets = await binance.load_markets()
    market = markets[SYMBOL]
    assert list(markets) == [SYMBOL]
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 1e-05)
    assert (market["limits"]["cost"]["min"], market["active"], market["spot"]) == (5.0, True, True)
    book = await binance.fetch_order_book(SYMBOL, 5)
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert book["bids"][0][0] < book["asks"][0][0]
    while len(await binance.fetch_trades(SYMBOL, None, 20)) < 20:
        pass  # the tape has just begun
    history = {"fetchTradesMethod": "publicGetHistoricalTrades"}
    trades = await binance.fetch_trades(SYMBOL, None, 20, history)
    assert [int(trade["id"]) for trade in trades] == list(range(int(trades[0]["id"]), int(trades[0]["id"]) + 20))
    later = await binance.fetch_trades(SYMBOL, None, 5, {**history, "fromId": trades[3]["id"]})
    assert [trade["id"] for trade in later] == [trade["id"] for trade in trades[3:8]]
    candles = await binance.fetch_ohlcv(SYMBOL, "1m", None, 10)
    assert candles[-1][5] > 0
    assert all(low <= min(start, end) <= max(start, end) <= high for _, start, high, low, end, _ in candles)
    ticker = await binance.fetch_ticker(SYMBOL)
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert abs(await binance.fetch_time() - binance.milliseconds()) < 10_000


async def test_it_reads_the_account(binance: Any) -> None:
    balance = await binance.fetch_balance()
    assert balance["USDT"]["free"] == balance["USDT"]["total"] == 10_000_000
    fees = await binance.fetch_trading_fee(SYMBOL)
    assert (fees["maker"], fees["taker"]) == (0.001, 0.001)
    assert await binance.fetch_open_orders(SYMBOL) == []
    status = await binance.fetch_status()
    assert status["status"] == "ok"


async def test_it_watches_trades_and_misses_none(binance: Any) -> None:
    seen: list[int] = []
    while len(seen) < 10:
        seen += [int(trade["id"]) for trade in await soon(binance.watch_trades(SYMBOL))]
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert {trade["symbol"] for trade in binance.trades[SYMBOL]} == {SYMBOL}


async def test_it_watches_the_order_book(binance: Any) -> None:
    nonces = []
    for _ in range(6):
        book = await soon(binance.watch_order_book(SYMBOL))
        nonces.append(book["nonce"])
        assert book["bids"][0][0] < book["asks"][0][0]
    assert nonces == sorted(nonces)
    assert nonces[0] < nonces[-1]


async def test_it_watches_candles_and_tickers(binance: Any) -> None:
    candles = await soon(binance.watch_ohlcv(SYMBOL, "1s"))
    assert candles[-1][4] > 0
    ticker = await soon(binance.watch_ticker(SYMBOL))
    assert ticker["symbol"] == SYMBOL
    best = await soon(binance.watch_bids_asks([SYMBOL]))
    assert best[SYMBOL]["bid"] < best[SYMBOL]["ask"]


async def test_it_lives_through_an_order_by_rest(binance: Any) -> None:
    await binance.load_markets()
    orders = asyncio.create_task(soon(binance.watch_orders(SYMBOL)))
    await subscribed(binance)
    order = await binance.create_order(SYMBOL, "limit", "buy", 0.01, 40_000, {"clientOrderId": "mine"})
    assert (order["status"], order["clientOrderId"], order["filled"]) == ("open", "mine", 0.0)
    (told,) = await orders
    assert (told["id"], told["status"], told["clientOrderId"]) == (order["id"], "open", "mine")
    found = await binance.fetch_order(None, SYMBOL, {"clientOrderId": "mine"})
    assert found["id"] == order["id"]
    assert [each["id"] for each in await binance.fetch_open_orders(SYMBOL)] == [order["id"]]
    following = asyncio.create_task(soon(binance.watch_orders(SYMBOL)))
    await asyncio.sleep(0)  # let it begin to wait
    gone = await binance.cancel_order(order["id"], SYMBOL)
    assert gone["status"] == "canceled"
    (told,) = await following
    assert (told["id"], told["status"], told["clientOrderId"]) == (order["id"], "canceled", "mine")
    assert [each["status"] for each in await binance.fetch_orders(SYMBOL)] == ["canceled"]


async def test_it_lives_through_an_order_by_websocket(binance: Any) -> None:
    await binance.load_markets()
    fills = asyncio.create_task(soon(binance.watch_my_trades(SYMBOL)))
    await subscribed(binance)
    bought = await soon(binance.create_order_ws(SYMBOL, "market", "buy", 0.01, None, {"newClientOrderId": "by-socket"}))
    assert (bought["status"], bought["filled"], bought["clientOrderId"]) == ("closed", 0.01, "by-socket")
    told = await fills
    assert sum(fill["amount"] for fill in told) == pytest.approx(0.01)
    assert {(fill["order"], fill["fee"]["currency"], fill["takerOrMaker"]) for fill in told} == {
        (bought["id"], "BTC", "taker")
    }
    own = await binance.fetch_my_trades(SYMBOL)
    assert [(fill["id"], fill["price"]) for fill in own] == [(fill["id"], fill["price"]) for fill in told]
    resting = await soon(binance.create_order_ws(SYMBOL, "limit", "sell", 0.005, 60_000))
    asked = await soon(binance.fetch_order_ws(resting["id"], SYMBOL))
    assert asked["status"] == "open"
    assert [each["id"] for each in await soon(binance.fetch_open_orders_ws(SYMBOL))] == [resting["id"]]
    moved = await soon(binance.edit_order_ws(resting["id"], SYMBOL, "limit", "sell", 0.005, 61_000))
    assert (moved["price"], moved["status"]) == (61_000, "open")
    gone = await soon(binance.cancel_order_ws(moved["id"], SYMBOL))
    assert gone["status"] == "canceled"
    balance = await soon(binance.fetch_balance_ws())
    # ccxt 4.5.90 asks without an account type and then reads no balance of the answer; the answer itself is right.
    held = {each["asset"]: each["free"] for each in balance["info"]["balances"]}
    assert held["BTC"] == "1000.00999000"


async def test_it_cancels_everything_and_replaces_by_rest(binance: Any) -> None:
    first = await binance.create_order(SYMBOL, "limit", "buy", 0.01, 40_000, {"postOnly": True})
    second = await binance.edit_order(first["id"], SYMBOL, "limit", "buy", 0.02, 40_100)
    assert (second["price"], second["amount"]) == (40_100, 0.02)
    assert [each["id"] for each in await binance.fetch_open_orders(SYMBOL)] == [second["id"]]
    await binance.cancel_all_orders(SYMBOL)
    assert await binance.fetch_open_orders(SYMBOL) == []


async def test_it_watches_the_balance(binance: Any) -> None:
    await binance.load_markets()
    watching = asyncio.create_task(soon(binance.watch_balance()))
    await subscribed(binance)
    await binance.create_order(SYMBOL, "market", "buy", 0.5)
    balance = await watching
    assert balance["BTC"]["free"] == pytest.approx(1_000.4995)


async def test_refusals_become_the_errors_that_ccxt_has_for_them(binance: Any) -> None:
    await binance.load_markets()
    rest = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    with pytest.raises(ccxt.InvalidOrder, match="PRICE_FILTER"):
        await binance.private_post_order({**rest, "quantity": "0.01", "price": "40000.005"})
    with pytest.raises(ccxt.InvalidOrder, match="LOT_SIZE"):
        await binance.private_post_order({**rest, "quantity": "0.000015", "price": "40000"})
    await binance.create_order(SYMBOL, "limit", "buy", 150, 45_000, {"clientOrderId": "big"})
    with pytest.raises(ccxt.InsufficientFunds):
        await binance.create_order(SYMBOL, "limit", "buy", 150, 45_000)
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        await binance.create_order(SYMBOL, "limit", "buy", 0.01, 40_000, {"clientOrderId": "big"})
    with pytest.raises(ccxt.OrderNotFound):
        await binance.fetch_order("1", SYMBOL)
    with pytest.raises(ccxt.OrderNotFound):
        await binance.cancel_order("1", SYMBOL)
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        await binance.create_order(SYMBOL, "limit", "buy", 0.01, 90_000, {"postOnly": True})
    with pytest.raises(ccxt.BadRequest, match="-1104"):
        await binance.private_get_openorders({"symbol": "BTCUSDT", "unheard": "of"})
    with pytest.raises(ccxt.InvalidNonce):
        await binance.private_get_account({"timestamp": binance.milliseconds() - 60_000})
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        await soon(binance.create_order_ws(SYMBOL, "limit", "buy", 0.01, 40_000, {"newClientOrderId": "big"}))


async def test_a_wrong_secret_and_a_wrong_key_are_told_apart(binance: Any) -> None:
    await binance.load_markets()
    secret = binance.secret
    binance.secret = "wrong" * 10
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        await binance.private_get_account()
    binance.secret, binance.apiKey = secret, "k" * 64
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        await binance.private_get_account()


async def subscribed(binance: Any) -> None:
    """Wait until the user data stream is on: ccxt marks it only after the exchange has said so."""
    await soon(binance.ensure_user_data_stream_ws_subscribe_signature("spot"))
    url = binance.urls["api"]["ws"]["ws-api"]["spot"]
    pending = [future for name, future in binance.client(url).futures.items() if name.isdecimal()]
    if pending:
        await soon(asyncio.wait(pending))


async def test_it_finds_the_living_market_of_the_default_exchange(tls_exchange: PracticeExchange) -> None:
    session = loopback_session(tls_exchange.endpoints)
    client = ccxt.pro.binance({**credentials(tls_exchange.endpoints), "session": session})
    try:
        assert list(await client.load_markets()) == [SYMBOL, "ETH/USDT"]
        for symbol in (SYMBOL, "ETH/USDT"):
            candles = await client.fetch_ohlcv(symbol, "1m", None, 60)
            assert len(candles) == 60, "the market has a past"
            assert len(await client.fetch_trades(symbol, None, 20)) == 20
        trades = await soon(client.watch_trades("ETH/USDT"))
        assert trades[-1]["symbol"] == "ETH/USDT"
    finally:
        await client.close()
        await session.close()


async def test_the_session_leads_nowhere_but_to_the_exchange(tls_exchange: PracticeExchange) -> None:
    async with loopback_session(tls_exchange.endpoints) as session:
        async with session.get("https://api.binance.com/api/v3/ping") as reply:
            assert reply.status == 200
        for host in ("api.kraken.com", "www.binance.com.example.com"):
            with pytest.raises(aiohttp.ClientConnectorDNSError) as refused:
                await session.get(f"https://{host}/")
            assert "not a host of the practice exchange" in str(refused.value.__cause__)


async def test_nobody_else_trusts_the_exchanges_certificate(tls_exchange: PracticeExchange) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{tls_exchange.endpoints.rest}/api/v3/ping")
