"""What a practice exchange itself says of its account, and what somebody else does on it: with other code than execd's,
by signed requests.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import time
import urllib.request
from decimal import Decimal
from typing import Any

from tests.runtime.process import Exchange

PAGE = 1000


def open_orders(exchange: Exchange) -> list[dict[str, Any]]:
    """All orders that are alive on BTC/USDT."""
    found: list[dict[str, Any]] = _ask(exchange, "openOrders", symbol="BTCUSDT")
    return found


def ordered(exchange: Exchange) -> list[str]:
    """The client ids of all orders that ever reached BTC/USDT, by age."""
    return [row["clientOrderId"] for row in _ask(exchange, "allOrders", symbol="BTCUSDT", limit=PAGE)]


def bought(exchange: Exchange) -> Decimal:
    """How much was bought on BTC/USDT in all, less what was sold."""
    return sum((Decimal(row["qty"]) * (1 if row["isBuyer"] else -1) for row in trades(exchange)), Decimal(0))


def trades(exchange: Exchange) -> list[dict[str, Any]]:
    """All our trades on BTC/USDT, by age."""
    found: list[dict[str, Any]] = []
    page: list[dict[str, Any]] = [{}] * PAGE
    while len(page) == PAGE:
        page = _ask(exchange, "myTrades", symbol="BTCUSDT", limit=PAGE, fromId=1 + int(found[-1]["id"]) if found else 0)
        found += page
    return found


def place(exchange: Exchange, client_id: str, price: str | None = None, *, quantity: str = "0.001") -> None:
    """Buy BTC/USDT with an order of this client id: at a price and to rest, or at once at the market's."""
    how = {"type": "MARKET"} if price is None else {"type": "LIMIT_MAKER", "price": price}
    _ask(
        exchange,
        "order",
        "POST",
        symbol="BTCUSDT",
        side="BUY",
        quantity=quantity,
        newClientOrderId=client_id,
        **how,
    )


def cancel(exchange: Exchange, client_id: str) -> None:
    """End an order."""
    _ask(exchange, "order", "DELETE", symbol="BTCUSDT", origClientOrderId=client_id)


def cancel_all(exchange: Exchange) -> None:
    """End every order that is alive on BTC/USDT."""
    for row in open_orders(exchange):
        cancel(exchange, row["clientOrderId"])


def _ask(exchange: Exchange, what: str, method: str = "GET", **parameters: object) -> Any:
    told, key = exchange.described, exchange.described["key"]
    query = "&".join(f"{name}={value}" for name, value in {**parameters, "timestamp": time.time_ns() // 10**6}.items())
    signature = hmac.new(key["secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
    url = f"{told['rest']}/api/v3/{what}?{query}&signature={signature}"
    request = urllib.request.Request(url, headers={"X-MBX-APIKEY": key["apiKey"]}, method=method)
    trust = ssl.create_default_context(cafile=told["ca"])
    with urllib.request.urlopen(request, context=trust, timeout=30) as answer:
        return json.load(answer)
