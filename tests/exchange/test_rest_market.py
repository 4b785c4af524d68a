"""The public REST pages, by a client that sends exactly what it is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from execd.exchange.rest import ROUTES
from execd.exchange.server import PracticeExchange
from tests.exchange.client import Client, now_ms
from tests.exchange.conftest import ASK, BID


async def test_ping_and_time_answer_and_carry_the_weight_used(client: Client) -> None:
    before = int((await client.get("ping")).headers["x-mbx-used-weight-1m"])
    reply = await client.get("time")
    assert reply.body.keys() == {"serverTime"}
    assert abs(reply.body["serverTime"] - now_ms()) < 60_000
    assert int(reply.headers["x-mbx-used-weight-1m"]) in {before + 1, 1}  # 1 where a minute began in between
    assert (await client.get("ping")).body == {}


async def test_times_are_in_microseconds_where_the_header_asks(client: Client) -> None:
    reply = await client.get("time", headers={"X-MBX-TIME-UNIT": "MICROSECOND"})
    assert len(str(reply.body["serverTime"])) == 16
    trades = await client.get("trades", symbol="BTCUSDT", headers={"X-MBX-TIME-UNIT": "microsecond"})
    assert len(str(trades.body[0]["time"])) == 16
    assert (await client.get("time", headers={"X-MBX-TIME-UNIT": "DAY"})).code == -1194


async def test_exchange_info_tells_symbol_filters_and_limits(client: Client) -> None:
    info = (await client.get("exchangeInfo", symbol="BTCUSDT")).body
    (symbol,) = info["symbols"]
    filters = {each["filterType"]: each for each in symbol["filters"]}
    assert (symbol["symbol"], symbol["status"], symbol["baseAsset"], symbol["quoteAsset"]) == (
        "BTCUSDT",
        "TRADING",
        "BTC",
        "USDT",
    )
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"] == {
        "filterType": "LOT_SIZE",
        "minQty": "0.00001000",
        "maxQty": "9000.00000000",
        "stepSize": "0.00001000",
    }
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    limits = {
        (each["rateLimitType"], each["interval"], each["intervalNum"]): each["limit"] for each in info["rateLimits"]
    }
    assert limits["REQUEST_WEIGHT", "MINUTE", 1] == 6_000
    assert limits["ORDERS", "SECOND", 10] == 100


async def test_exchange_info_takes_one_symbol_a_list_or_none(client: Client) -> None:
    every = (await client.get("exchangeInfo")).body["symbols"]
    listed = (await client.get("exchangeInfo", symbols='["BTCUSDT"]')).body["symbols"]
    assert every == listed
    assert (await client.get("exchangeInfo", symbols='["BTCUSDT","NOPE"]')).code == -1121
    assert (await client.get("exchangeInfo", symbols="BTCUSDT")).code == -1100
    assert (await client.get("exchangeInfo", symbol="BTCUSDT", symbols='["BTCUSDT"]')).code == -1128


async def test_depth_is_sorted_limited_and_in_decimal_strings(client: Client) -> None:
    book = (await client.get("depth", symbol="BTCUSDT", limit=5)).body
    assert book["bids"][0][0] == f"{Decimal(BID):.8f}"
    assert book["asks"][0][0] == f"{Decimal(ASK):.8f}"
    for side, falling in (("bids", True), ("asks", False)):
        prices = [Decimal(price) for price, _ in book[side]]
        assert len(prices) == 5
        assert prices == sorted(prices, reverse=falling)
        assert all(len(size.partition(".")[2]) == 8 and Decimal(size) > 0 for _, size in book[side])


async def test_trades_are_oldest_first_and_can_be_had_from_an_id(client: Client) -> None:
    trades = (await client.get("trades", symbol="BTCUSDT")).body
    assert [trade["qty"] for trade in trades] == ["0.50000000", "0.50000000", "0.25000000"]
    assert [trade["isBuyerMaker"] for trade in trades] == [False, True, False]
    assert trades[0]["quoteQty"] == "25000.00000000"
    first = trades[0]["id"]
    later = (await client.get("historicalTrades", symbol="BTCUSDT", fromId=first + 1, limit=1)).body
    assert later == [trades[1]]
    assert (await client.get("trades", symbol="BTCUSDT", limit=1)).body == trades[-1:]


async def test_aggregate_trades_cover_every_trade_once(client: Client) -> None:
    rows = (await client.get("aggTrades", symbol="BTCUSDT")).body
    trades = (await client.get("trades", symbol="BTCUSDT")).body
    covered = [number for row in rows for number in range(row["f"], row["l"] + 1)]
    assert covered == [trade["id"] for trade in trades]
    assert sum(Decimal(row["q"]) for row in rows) == sum(Decimal(trade["qty"]) for trade in trades)
    again = (await client.get("aggTrades", symbol="BTCUSDT", fromId=rows[1]["a"])).body
    assert again == rows[1:]
    assert (await client.get("aggTrades", symbol="BTCUSDT", startTime=now_ms() + 3_600_000)).body == []
    assert (await client.get("aggTrades", symbol="BTCUSDT", fromId=1, startTime=1)).code == -1128


@pytest.mark.parametrize("interval", ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "1d"])
async def test_a_candle_of_every_interval_holds_the_trades(client: Client, interval: str) -> None:
    rows = (await client.get("klines", symbol="BTCUSDT", interval=interval)).body
    (row,) = [row for row in rows if row[8]]
    assert row[1:6] == ["50000.00000000", "50000.00000000", "49999.99000000", "50000.00000000", "1.25000000"]
    assert row[8:] == [3, "0.75000000", "37500.00000000", "0"]
    assert Decimal(row[7]) == Decimal("62499.995")
    assert row[0] <= row[6]
    assert (await client.get("uiKlines", symbol="BTCUSDT", interval=interval)).body[0][0] == rows[0][0]


async def test_an_unknown_interval_is_refused(client: Client) -> None:
    assert (await client.get("klines", symbol="BTCUSDT", interval="7m")).code == -1120
    assert (await client.get("klines", symbol="BTCUSDT")).code == -1102


async def test_tickers_tell_last_best_day_and_average(client: Client) -> None:
    assert (await client.get("ticker/price", symbol="BTCUSDT")).body == {"symbol": "BTCUSDT", "price": "50000.00000000"}
    best = (await client.get("ticker/bookTicker")).body
    assert [(each["bidPrice"], each["askPrice"]) for each in best] == [(f"{BID}000000", f"{ASK}000000")]
    day = (await client.get("ticker/24hr", symbol="BTCUSDT")).body
    assert (day["volume"], day["quoteVolume"], day["count"]) == ("1.25000000", "62499.99500000", 3)
    assert day["weightedAvgPrice"] == "49999.99600000"
    assert day["lastId"] - day["firstId"] == 2
    assert "bidPrice" not in (await client.get("ticker/24hr", symbol="BTCUSDT", type="MINI")).body
    average = (await client.get("avgPrice", symbol="BTCUSDT")).body
    assert (average["mins"], average["price"]) == (5, "49999.99600000")


@pytest.mark.parametrize(
    ("path", "parameters", "code", "message"),
    [
        ("depth", {}, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ("depth", {"symbol": ""}, -1105, "Parameter 'symbol' was empty."),
        ("depth", {"symbol": "NOPE"}, -1121, "Invalid symbol."),
        (
            "depth",
            {"symbol": "btc usdt"},
            -1100,
            "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
        ),
        ("depth", {"symbol": "BTCUSDT", "limit": "ten"}, -1100, None),
        ("depth", {"symbol": "BTCUSDT", "limit": "-1"}, -1100, None),
        ("trades", {"symbol": "BTCUSDT", "limit": "0"}, -1130, "Data sent for parameter 'limit' is not valid."),
        (
            "depth",
            {"symbol": "BTCUSDT", "depth": "1"},
            -1104,
            "Not all sent parameters were read; read '1' parameter(s) but was sent '2'.",
        ),
        ("ticker/24hr", {"symbol": "BTCUSDT", "type": "BIG"}, -1130, None),
    ],
)
async def test_a_wrong_parameter_has_its_own_code_and_words(
    client: Client, path: str, parameters: dict[str, Any], code: int, message: str | None
) -> None:
    reply = await client.get(path, **parameters)
    assert (reply.status, reply.code) == (400, code)
    assert message in (None, reply.body["msg"])


async def test_a_page_that_does_not_exist_is_404(client: Client) -> None:
    assert (await client.get("nothing")).status == 404
    assert (await client.raw("PUT", "/api/v3/order")).status == 404


async def test_other_products_answer_with_valid_emptiness(client: Client) -> None:
    for path in ("/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo"):
        assert (await client.raw("GET", path)).body["symbols"] == []
    for path in ("/sapi/v1/capital/config/getall", "/sapi/v1/margin/allPairs", "/sapi/v1/margin/isolated/allPairs"):
        assert (await client.signed("GET", path)).body == []
    assert (await client.raw("GET", "/sapi/v1/system/status")).body == {"status": 0, "msg": "normal"}


async def test_the_living_market_prints_contiguous_ids(exchange: PracticeExchange) -> None:
    async with Client(exchange) as client:
        trades = (await client.get("trades", symbol="BTCUSDT", limit=1_000)).body
    ids = [trade["id"] for trade in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert len(ids) > 10


def test_every_page_that_the_brief_names_is_served() -> None:
    served = {path.removeprefix("/api/v3/") for _, path in ROUTES}
    wanted = (
        "ping time exchangeInfo depth trades historicalTrades aggTrades klines uiKlines ticker/price ticker/bookTicker "
        "ticker/24hr avgPrice order order/test openOrders allOrders order/cancelReplace account account/commission "
        "myTrades rateLimit/order"
    )
    assert set(wanted.split()) <= served
