"""The REST side of the exchange: one market, an account with funds, every order filled at once.

Promise: as much of Binance Spot's answers as ccxt and nautilus_trader read; nothing is remembered.
"""

from __future__ import annotations

import json
import time
from typing import Any

from benchmarks.wire import LEAST_NOTIONAL, MARKET

LISTEN_KEY = "listenkeyofthebenchmark"

FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000", "tickSize": "0.01000000"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
    {
        "filterType": "NOTIONAL",
        "minNotional": f"{LEAST_NOTIONAL}.00000000",
        "applyMinToMarket": True,
        "maxNotional": "9000000.00000000",
        "applyMaxToMarket": False,
        "avgPriceMins": 5,
    },
]
MARKETS = {
    "symbol": MARKET,
    "status": "TRADING",
    "baseAsset": "BTC",
    "baseAssetPrecision": 8,
    "quoteAsset": "USDT",
    "quotePrecision": 8,
    "quoteAssetPrecision": 8,
    "baseCommissionPrecision": 8,
    "quoteCommissionPrecision": 8,
    "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
    "icebergAllowed": True,
    "ocoAllowed": True,
    "otoAllowed": True,
    "quoteOrderQtyMarketAllowed": True,
    "allowTrailingStop": True,
    "cancelReplaceAllowed": True,
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False,
    "filters": FILTERS,
    "permissions": ["SPOT"],
    "permissionSets": [["SPOT"]],
    "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
    "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
}
RATES = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}]


def length(head: bytes) -> int:
    """Bytes of the body that a request's head announces."""
    for row in head.split(b"\r\n"):
        if row.lower().startswith(b"content-length:"):
            return int(row.split(b":", 1)[1])
    return 0


def response(told: object, status: str = "200 OK") -> bytes:
    """An answer in JSON."""
    body = json.dumps(told, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def now_ms() -> int:
    """The exchange's time."""
    return int(time.time() * 1000)


def reply(method: str, path: str, _asked: dict[str, str]) -> bytes:
    """The answer to a question that is no order."""
    name = path.rsplit("/", 1)[-1]
    answers: dict[str, Any] = {
        "time": {"serverTime": now_ms()},
        "ping": {},
        "exchangeInfo": {
            "timezone": "UTC",
            "serverTime": now_ms(),
            "rateLimits": RATES,
            "exchangeFilters": [],
            "symbols": [MARKETS],
        },
        "account": account(),
        "userDataStream": {"listenKey": LISTEN_KEY} if method == "POST" else {},
        "tradeFee": [{"symbol": MARKET, "makerCommission": "0.001", "takerCommission": "0.001"}],
        "openOrders": [],
        "allOrders": [],
        "myTrades": [],
        "trades": [],
        "historicalTrades": [],
    }
    if name not in answers:
        return response({"code": -1, "msg": f"the benchmark's exchange has no {method} {path}"}, "404 Not Found")
    return response(answers[name])


def account() -> dict[str, Any]:
    """An account that can pay for all that is asked of it."""
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": "0.00100000",
            "taker": "0.00100000",
            "buyer": "0.00000000",
            "seller": "0.00000000",
        },
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": now_ms(),
        "accountType": "SPOT",
        "uid": 354937868,
        "permissions": ["SPOT"],
        "balances": [
            {"asset": "BTC", "free": "1000.00000000", "locked": "0.00000000"},
            {"asset": "USDT", "free": "900000000.00000000", "locked": "0.00000000"},
        ],
    }


def filled(asked: dict[str, str], number: int) -> bytes:
    """The answer to an order: filled whole, at its own price."""
    quantity, price, at = asked.get("quantity", "0"), asked.get("price", "64000.00"), now_ms()
    told = {
        "symbol": MARKET,
        "orderId": 28_000_000_000 + number,
        "orderListId": -1,
        "clientOrderId": asked.get("newClientOrderId", f"none{number}"),
        "transactTime": at,
        "price": price,
        "origQty": quantity,
        "executedQty": quantity,
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": f"{float(quantity) * float(price):.8f}",
        "status": "FILLED",
        "timeInForce": asked.get("timeInForce", "GTC"),
        "type": asked.get("type", "LIMIT"),
        "side": asked.get("side", "BUY"),
        "workingTime": at,
        "fills": [
            {
                "price": price,
                "qty": quantity,
                "commission": "0",
                "commissionAsset": "BNB",
                "tradeId": 57_000_000 + number,
            }
        ],
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }
    return response(told)


def reports(asked: dict[str, str], number: int) -> list[bytes]:
    """What a user data stream, combined, tells of the same order: taken, then filled."""
    return [_report(asked, number, *of) for of in (("NEW", "NEW", "0", "0"), ("TRADE", "FILLED", *2 * ("all",)))]


def _report(asked: dict[str, str], number: int, execution: str, status: str, last: str, total: str) -> bytes:
    quantity, price, at = asked.get("quantity", "0"), asked.get("price", "64000.00"), now_ms()
    sizes = [quantity if each == "all" else "0.00000000" for each in (last, total)]
    told = {
        "e": "executionReport",
        "E": at,
        "s": MARKET,
        "c": asked.get("newClientOrderId", ""),
        "S": asked.get("side", "BUY"),
        "o": asked.get("type", "LIMIT"),
        "f": asked.get("timeInForce", "GTC"),
        "q": quantity,
        "p": price,
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": execution,
        "X": status,
        "r": "NONE",
        "i": 28_000_000_000 + number,
        "l": sizes[0],
        "z": sizes[1],
        "L": price if last == "all" else "0.00000000",
        "n": "0",
        "N": "BNB" if last == "all" else None,
        "T": at,
        "t": 57_000_000 + number if last == "all" else -1,
        "I": 1,
        "w": status == "NEW",
        "m": False,
        "M": True,
        "O": at,
        "Z": "0.00000000",
        "Y": "0.00000000",
        "Q": "0.00000000",
        "W": at,
        "V": "EXPIRE_MAKER",
    }
    return json.dumps({"stream": LISTEN_KEY, "data": told}).encode()
