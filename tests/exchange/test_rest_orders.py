"""Orders and the account by REST: what is demanded, what is answered, and what has changed afterwards."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from execd.exchange.limits import RateLimits
from execd.exchange.options import ExchangeOptions
from execd.exchange.server import PracticeExchange
from tests.exchange.client import Client, hmac_sign, now_ms
from tests.exchange.conftest import ASK, BID

REST = {"quantity": "0.01", "price": "49000"}  # rests below the book


async def balances(client: Client) -> dict[str, tuple[Decimal, Decimal]]:
    rows = (await client.signed("GET", "account")).body["balances"]
    return {row["asset"]: (Decimal(row["free"]), Decimal(row["locked"])) for row in rows}


# ---- who may ask


async def test_an_unsigned_or_wrongly_signed_request_is_refused_and_places_nothing(client: Client) -> None:
    key = {"X-MBX-APIKEY": client.endpoints.key.api_key}
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=49000"
    stamped = f"{order}&timestamp={now_ms()}"
    for body, headers, code, status in (
        (stamped, {}, -2014, 401),
        (stamped, {"X-MBX-APIKEY": "x" * 64}, -2015, 401),
        (f"{order}&signature={'0' * 64}", key, -1102, 400),
        (stamped, key, -1102, 400),
        (f"{stamped}&signature={'0' * 64}", key, -1022, 400),
    ):
        reply = await client.raw("POST", "/api/v3/order", body=body, headers=headers)
        assert (reply.code, reply.status) == (code, status), body
    assert (await client.signed("GET", "openOrders")).body == []


async def test_a_request_from_the_past_or_the_future_is_refused(client: Client) -> None:
    late = await client.signed("GET", "account", timestamp=now_ms() - 20_000)
    early = await client.signed("GET", "account", timestamp=now_ms() + 20_000)
    assert (late.code, early.code) == (-1021, -1021)
    assert "outside of the recvWindow" in late.body["msg"]
    assert "ahead of the server's time" in early.body["msg"]
    assert (await client.signed("GET", "account", timestamp=now_ms() - 20_000, recvWindow=60_000)).status == 200
    assert (await client.signed("GET", "account", recvWindow=60_001)).code == -1131
    assert (await client.signed("GET", "account", recvWindow="soon")).code == -1100
    assert (await client.signed("GET", "account", timestamp="now")).code == -1100


async def test_parameters_may_stand_in_the_query_in_the_body_or_in_both(client: Client) -> None:
    key = {"X-MBX-APIKEY": client.endpoints.key.api_key}
    query, body = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC",
        f"quantity=0.01&price=49000&timestamp={now_ms()}",
    )
    signature = hmac_sign(client.endpoints.key.secret, query + body)
    reply = await client.raw("POST", "/api/v3/order", query, f"{body}&signature={signature}", key)
    assert reply.body["status"] == "NEW"


# ---- placing


async def test_the_answer_has_as_much_as_was_asked_for(client: Client) -> None:
    ack = (await client.order(**REST, newOrderRespType="ACK")).body
    result = (await client.order(**REST, newOrderRespType="RESULT")).body
    full = (await client.order(**REST)).body
    assert ack.keys() == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    assert result.keys() - ack.keys() == {
        "price",
        "origQty",
        "executedQty",
        "origQuoteOrderQty",
        "cummulativeQuoteQty",
        "status",
        "timeInForce",
        "type",
        "side",
        "workingTime",
        "selfTradePreventionMode",
    }
    assert full.keys() - result.keys() == {"fills"}
    assert (full["status"], full["price"], full["origQty"], full["executedQty"]) == (
        "NEW",
        "49000.00000000",
        "0.01000000",
        "0.00000000",
    )
    maker = (await client.order(type="LIMIT_MAKER", **REST)).body
    assert maker.keys() == ack.keys(), "an order that is neither LIMIT nor MARKET is only acknowledged"


async def test_a_market_order_takes_the_book_and_pays_the_fee(client: Client) -> None:
    before = await balances(client)
    order = (await client.order(type="MARKET", quantity="0.5")).body
    (fill,) = order["fills"]
    assert (order["status"], order["executedQty"], order["cummulativeQuoteQty"]) == (
        "FILLED",
        "0.50000000",
        "25000.00000000",
    )
    assert (fill["price"], fill["qty"], fill["commission"], fill["commissionAsset"]) == (
        f"{ASK}000000",
        "0.50000000",
        "0.00050000",
        "BTC",
    )
    after = await balances(client)
    assert after["BTC"][0] - before["BTC"][0] == Decimal("0.4995")
    assert before["USDT"][0] - after["USDT"][0] == Decimal(25_000)
    trades = (await client.get("trades", symbol="BTCUSDT", limit=1)).body
    assert trades[0]["id"] == fill["tradeId"], "our fill is a public trade"


async def test_a_market_order_can_be_given_in_quote_currency(client: Client) -> None:
    order = (await client.order(type="MARKET", quoteOrderQty="1000")).body
    assert (order["status"], order["executedQty"], order["origQuoteOrderQty"]) == (
        "FILLED",
        "0.02000000",
        "1000.00000000",
    )


async def test_a_resting_order_locks_money_until_it_is_canceled(client: Client) -> None:
    before = await balances(client)
    order = (await client.order(**REST)).body
    assert (await balances(client))["USDT"] == (before["USDT"][0] - 490, Decimal(490))
    await client.signed("DELETE", "order", symbol="BTCUSDT", orderId=order["orderId"])
    assert await balances(client) == before


@pytest.mark.parametrize(
    ("parameters", "code", "words"),
    [
        ({"price": "49000"}, -1102, "'quantity'"),
        ({"quantity": "0.01"}, -1102, "'price'"),
        ({**REST, "timeInForce": ""}, -1105, "'timeInForce' was empty"),
        ({**REST, "timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
        ({**REST, "side": "LONG"}, -1117, "Invalid side."),
        ({**REST, "type": "TRAILING"}, -1116, "Invalid orderType."),
        ({**REST, "type": "STOP_LOSS", "stopPrice": "1"}, -1013, "Stop loss orders are not supported"),
        ({**REST, "quantity": "-1"}, -1100, "'quantity'"),
        ({**REST, "quantity": "1e-3"}, -1100, "'quantity'"),
        ({**REST, "quantity": "0.0000000001"}, -1111, "Parameter 'quantity' has too much precision."),
        ({**REST, "price": "49000.0000000001"}, -1111, "Parameter 'price' has too much precision."),
        ({**REST, "price": "49000.005"}, -1013, "Filter failure: PRICE_FILTER"),
        ({**REST, "quantity": "0.000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({**REST, "quantity": "9001"}, -1013, "Filter failure: LOT_SIZE"),
        ({**REST, "quantity": "0.00001"}, -1013, "Filter failure: NOTIONAL"),
        ({**REST, "price": "1000"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({**REST, "type": "MARKET", "timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"quantity": "1", "type": "MARKET", "quoteOrderQty": "1"}, -1106, "'quoteOrderQty'"),
        ({"type": "MARKET"}, -1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"),
        ({**REST, "type": "LIMIT_MAKER", "price": "50001"}, -2010, "Order would immediately match and take."),
        ({**REST, "icebergQty": "0.001"}, -1013, "Iceberg orders are not supported"),
        ({**REST, "stopPrice": "1"}, -1106, "'stopPrice'"),
        ({**REST, "newClientOrderId": "with space"}, -1100, "'newClientOrderId'"),
        ({**REST, "newClientOrderId": "a" * 37}, -1100, "'newClientOrderId'"),
        ({**REST, "newOrderRespType": "SOME"}, -1130, "'newOrderRespType'"),
        ({**REST, "selfTradePreventionMode": "MAYBE"}, -1130, "'selfTradePreventionMode'"),
        ({**REST, "clientOrderId": "x"}, -1104, "read '8' parameter(s) but was sent '9'"),
    ],
)
async def test_an_order_that_cannot_be_is_refused_with_the_right_code(
    client: Client, parameters: dict[str, Any], code: int, words: str
) -> None:
    reply = await client.order(**parameters)
    assert (reply.status, reply.code) == (400, code), reply.body
    assert words in reply.body["msg"]


async def test_an_order_beyond_the_balance_is_refused(client: Client) -> None:
    most = {"quantity": "150", "price": "49000"}  # 7.35 of the 10 million
    assert (await client.order(**most)).status == 200
    reply = await client.order(**most)
    assert reply.body == {"code": -2010, "msg": "Account has insufficient balance for requested action."}


async def test_a_client_id_cannot_be_used_twice_while_its_order_is_open(client: Client) -> None:
    assert (await client.order(**REST, newClientOrderId="twice")).status == 200
    again = await client.order(**REST, newClientOrderId="twice")
    assert (again.code, again.body["msg"]) == (-2010, "Duplicate order sent.")
    assert len((await client.signed("GET", "openOrders", symbol="BTCUSDT")).body) == 1


async def test_a_test_order_is_checked_and_not_placed(client: Client) -> None:
    good = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", **REST}
    assert (await client.signed("POST", "order/test", **good)).body == {}
    assert (await client.signed("POST", "order/test", **{**good, "price": "49000.005"})).code == -1013
    assert (await client.signed("POST", "order/test", **{**good, "quantity": "0.00001"})).code == -1013
    rates = (await client.signed("POST", "order/test", **good, computeCommissionRates="true")).body
    assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    assert (await client.signed("GET", "openOrders")).body == []


@pytest.mark.parametrize(("tif", "status", "filled"), [("IOC", "EXPIRED", False), ("FOK", "EXPIRED", False)])
async def test_an_order_that_may_not_rest_expires(client: Client, tif: str, status: str, filled: bool) -> None:
    order = (await client.order(**REST, timeInForce=tif)).body
    assert order["status"] == status
    assert (Decimal(order["executedQty"]) > 0) is filled


# ---- canceling and replacing


async def test_a_cancel_tells_both_client_ids(client: Client) -> None:
    order = (await client.order(**REST, newClientOrderId="first")).body
    gone = (
        await client.signed("DELETE", "order", symbol="BTCUSDT", origClientOrderId="first", newClientOrderId="undo")
    ).body
    assert (gone["origClientOrderId"], gone["clientOrderId"], gone["orderId"]) == ("first", "undo", order["orderId"])
    assert gone["status"] == "CANCELED"
    again = await client.signed("DELETE", "order", symbol="BTCUSDT", orderId=order["orderId"])
    assert (again.status, again.code, again.body["msg"]) == (400, -2011, "Unknown order sent.")


async def test_a_cancel_needs_to_say_which_order(client: Client) -> None:
    reply = await client.signed("DELETE", "order", symbol="BTCUSDT")
    assert reply.body == {
        "code": -1102,
        "msg": "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
    }


async def test_a_restricted_cancel_leaves_an_order_in_another_state_alone(client: Client) -> None:
    await client.order(**REST, newClientOrderId="new")
    where = {"symbol": "BTCUSDT", "origClientOrderId": "new"}
    refused = await client.signed("DELETE", "order", **where, cancelRestrictions="ONLY_PARTIALLY_FILLED")
    assert (refused.code, refused.body["msg"]) == (-2011, "Order was not canceled due to cancel restrictions.")
    assert (await client.signed("DELETE", "order", **where, cancelRestrictions="ONLY_NEW")).status == 200


async def test_all_open_orders_of_a_symbol_can_be_canceled_at_once(client: Client) -> None:
    names = {f"order-{number}" for number in range(3)}
    for name in names:
        await client.order(**REST, newClientOrderId=name)
    gone = (await client.signed("DELETE", "openOrders", symbol="BTCUSDT")).body
    assert {each["origClientOrderId"] for each in gone} == names
    assert {each["status"] for each in gone} == {"CANCELED"}
    assert (await client.signed("GET", "openOrders")).body == []
    assert (await client.signed("DELETE", "openOrders", symbol="BTCUSDT")).code == -2011


NEW = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.02", "price": "48000"}


async def test_cancel_replace_does_both(client: Client) -> None:
    old = (await client.order(**REST)).body
    done = await client.signed(
        "POST", "order/cancelReplace", **NEW, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=old["orderId"]
    )
    assert done.status == 200
    assert (done.body["cancelResult"], done.body["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert done.body["cancelResponse"]["orderId"] == old["orderId"]
    assert done.body["newOrderResponse"]["price"] == "48000.00000000"
    (left,) = (await client.signed("GET", "openOrders")).body
    assert left["orderId"] == done.body["newOrderResponse"]["orderId"]


async def test_cancel_replace_stops_where_the_cancel_fails(client: Client) -> None:
    reply = await client.signed(
        "POST", "order/cancelReplace", **NEW, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=1
    )
    assert (reply.status, reply.code, reply.body["msg"]) == (400, -2022, "Order cancel-replace failed.")
    assert reply.body["data"] == {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": None,
    }
    assert (await client.signed("GET", "openOrders")).body == []


async def test_cancel_replace_goes_on_where_failure_is_allowed(client: Client) -> None:
    reply = await client.signed(
        "POST", "order/cancelReplace", **NEW, cancelReplaceMode="ALLOW_FAILURE", cancelOrderId=1
    )
    assert (reply.status, reply.code) == (409, -2021)
    assert (reply.body["data"]["cancelResult"], reply.body["data"]["newOrderResult"]) == ("FAILURE", "SUCCESS")
    assert len((await client.signed("GET", "openOrders")).body) == 1


async def test_cancel_replace_tells_that_only_the_cancel_went_through(client: Client) -> None:
    old = (await client.order(**REST)).body
    reply = await client.signed(
        "POST",
        "order/cancelReplace",
        **{**NEW, "type": "LIMIT_MAKER", "price": "50001"} | {"cancelReplaceMode": "STOP_ON_FAILURE"},
        cancelOrderId=old["orderId"],
    )
    assert reply.code == -1106, "a maker order has no timeInForce: refused before anything is done"
    maker = {name: value for name, value in NEW.items() if name != "timeInForce"}
    reply = await client.signed(
        "POST",
        "order/cancelReplace",
        **{**maker, "type": "LIMIT_MAKER", "price": "50001"},
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=old["orderId"],
    )
    assert (reply.status, reply.code) == (409, -2021)
    assert (reply.body["data"]["cancelResult"], reply.body["data"]["newOrderResult"]) == ("SUCCESS", "FAILURE")
    assert reply.body["data"]["newOrderResponse"]["code"] == -2010
    assert (await client.signed("GET", "openOrders")).body == []


async def test_cancel_replace_checks_the_new_order_before_it_touches_the_old(client: Client) -> None:
    old = (await client.order(**REST)).body
    reply = await client.signed(
        "POST",
        "order/cancelReplace",
        **{**NEW, "price": "48000.005"},
        cancelReplaceMode="ALLOW_FAILURE",
        cancelOrderId=old["orderId"],
    )
    assert reply.body == {"code": -1013, "msg": "Filter failure: PRICE_FILTER"}
    assert len((await client.signed("GET", "openOrders")).body) == 1


# ---- looking up


async def test_an_order_is_found_by_either_id_and_in_the_lists(client: Client) -> None:
    order = (await client.order(**REST, newClientOrderId="mine")).body
    by_id = (await client.signed("GET", "order", symbol="BTCUSDT", orderId=order["orderId"])).body
    by_name = (await client.signed("GET", "order", symbol="BTCUSDT", origClientOrderId="mine")).body
    assert by_id == by_name
    assert (by_id["status"], by_id["clientOrderId"], by_id["isWorking"]) == ("NEW", "mine", True)
    assert (await client.signed("GET", "openOrders", symbol="BTCUSDT")).body == [by_id]
    assert (await client.signed("GET", "allOrders", symbol="BTCUSDT")).body == [by_id]
    nothing = await client.signed("GET", "order", symbol="BTCUSDT", orderId=1)
    assert (nothing.status, nothing.code, nothing.body["msg"]) == (400, -2013, "Order does not exist.")


async def test_own_trades_are_told_with_fee_and_side(client: Client) -> None:
    bought = (await client.order(type="MARKET", quantity="0.1")).body
    sold = (await client.order(side="SELL", type="MARKET", quantity="0.2")).body
    trades = (await client.signed("GET", "myTrades", symbol="BTCUSDT")).body
    assert [(each["orderId"], each["isBuyer"], each["isMaker"], each["price"]) for each in trades] == [
        (bought["orderId"], True, False, f"{ASK}000000"),
        (sold["orderId"], False, False, f"{BID}000000"),
    ]
    assert [(each["commission"], each["commissionAsset"]) for each in trades] == [
        ("0.00010000", "BTC"),
        ("9.99999800", "USDT"),
    ]
    assert (await client.signed("GET", "myTrades", symbol="BTCUSDT", orderId=sold["orderId"])).body == trades[1:]
    assert (await client.signed("GET", "myTrades", symbol="BTCUSDT", fromId=trades[1]["id"])).body == trades[1:]
    assert (await client.signed("GET", "myTrades", symbol="BTCUSDT", limit=1)).body == trades[1:]
    assert (await client.signed("GET", "myTrades", symbol="BTCUSDT", fromId=1, startTime=1)).code == -1128
    wide = {"startTime": now_ms() - 90_000_000, "endTime": now_ms()}
    assert (await client.signed("GET", "myTrades", symbol="BTCUSDT", **wide)).code == -1127


async def test_the_account_can_trade_and_nothing_else(client: Client) -> None:
    account = (await client.signed("GET", "account")).body
    assert (account["canTrade"], account["canWithdraw"], account["accountType"]) == (True, False, "SPOT")
    assert account["uid"] == client.endpoints.account
    rights = (await client.signed("GET", "/sapi/v1/account/apiRestrictions")).body
    assert (rights["enableWithdrawals"], rights["ipRestrict"], rights["enableSpotAndMarginTrading"]) == (
        False,
        True,
        True,
    )
    rates = (await client.signed("GET", "account/commission", symbol="BTCUSDT")).body
    assert rates["standardCommission"] == {"maker": "0.00100000", "taker": "0.00100000"}
    fees = (await client.signed("GET", "/sapi/v1/asset/tradeFee", symbol="BTCUSDT")).body
    assert fees == [{"symbol": "BTCUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}]


# ---- limits


async def test_orders_are_counted_in_headers_and_told_on_request(client: Client) -> None:
    counts = [int((await client.order(**REST)).headers["x-mbx-order-count-10s"]) for _ in range(2)]
    assert counts in ([1, 2], [1, 1])  # the second, where ten seconds were over in between
    told = (await client.signed("GET", "rateLimit/order")).body
    assert [(each["interval"], each["intervalNum"], each["limit"]) for each in told] == [
        ("SECOND", 10, 100),
        ("DAY", 1, 200_000),
    ]


async def test_too_many_orders_are_refused_and_not_placed(still_tape: Any) -> None:
    options, limits = ExchangeOptions(tape=still_tape, head_start_s=0.001), RateLimits(orders_day=2)
    async with PracticeExchange(options, limits=limits) as exchange, Client(exchange) as client:
        replies = [await client.order(**REST) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].body == {
            "code": -1015,
            "msg": "Too many new orders; current limit is 2 orders per 1 DAY.",
        }
        assert len((await client.signed("GET", "openOrders")).body) == 2
        cancel = await client.signed("DELETE", "openOrders", symbol="BTCUSDT")
        assert cancel.status == 200, "a cancel is no order"


async def test_too_much_weight_is_refused_with_the_time_to_wait(still_tape: Any) -> None:
    options = ExchangeOptions(tape=still_tape, head_start_s=0.001, weight=30)
    async with PracticeExchange(options) as exchange, Client(exchange) as client:
        replies = [await client.get("exchangeInfo") for _ in range(4)]
    refused = [reply for reply in replies if reply.status == 429]
    assert refused, [reply.status for reply in replies]
    assert refused[0].code == -1003
    assert "current limit is 30 request weight per 1 MINUTE" in refused[0].body["msg"]
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
