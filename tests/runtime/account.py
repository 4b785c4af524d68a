"""What a practice exchange itself says of its account: asked with other code than execd's, by a signed request."""

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
    return _ask(exchange, "openOrders", symbol="BTCUSDT")


def ordered(exchange: Exchange) -> list[str]:
    """The client ids of all orders that ever reached BTC/USDT, by age."""
    return [row["clientOrderId"] for row in _ask(exchange, "allOrders", symbol="BTCUSDT", limit=PAGE)]


def bought(exchange: Exchange) -> Decimal:
    """How much was bought on BTC/USDT in all, less what was sold."""
    total, after = Decimal(0), 0
    page: list[dict[str, Any]] = [{}] * PAGE
    while len(page) == PAGE:
        page = _ask(exchange, "myTrades", symbol="BTCUSDT", limit=PAGE, fromId=after)
        total += sum((Decimal(row["qty"]) * (1 if row["isBuyer"] else -1) for row in page), Decimal(0))
        after = 1 + max((int(row["id"]) for row in page), default=0)
    return total


def _ask(exchange: Exchange, what: str, **parameters: object) -> list[dict[str, Any]]:
    told, key = exchange.described, exchange.described["key"]
    query = "&".join(f"{name}={value}" for name, value in {**parameters, "timestamp": time.time_ns() // 10**6}.items())
    signature = hmac.new(key["secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
    url = f"{told['rest']}/api/v3/{what}?{query}&signature={signature}"
    request = urllib.request.Request(url, headers={"X-MBX-APIKEY": key["apiKey"]})
    trust = ssl.create_default_context(cafile=told["ca"])
    with urllib.request.urlopen(request, context=trust, timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found
