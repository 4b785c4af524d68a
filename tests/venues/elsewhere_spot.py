"""Spot exchanges' own ways to write their public data over REST; see `elsewhere`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tests.venues.elsewhere import START_MS, START_S, Form, Levels, Row, candles

Sent = Mapping[str, Any]


class Coinbase(Form):
    """Coinbase."""

    exchange, symbol, worth = "coinbase", "BTC/USD", "1"
    tick, least = "0.01", "0.00000001"
    paths: ClassVar[Mapping[str, str]] = {
        "/api/v3/brokerage/market/products": "markets",
        "/api/v3/brokerage/time": "time",
        "/api/v3/brokerage/market/product_book": "book",
        "/api/v3/brokerage/market/products/BTC-USD/candles": "candles",
        "/api/v3/brokerage/market/products/BTC-USD/ticker": "trades",
    }

    def markets(self, sent: Sent) -> Any:
        """The products of a type."""
        market = {
            "product_id": "BTC-USD",
            "price": "50000",
            "base_increment": "0.00000001",
            "quote_increment": "0.01",
            "quote_min_size": "1",
            "quote_max_size": "150000000",
            "base_min_size": "0.00000001",
            "base_max_size": "3400",
            "status": "online",
            "trading_disabled": False,
            "product_type": "SPOT",
            "quote_currency_id": "USD",
            "base_currency_id": "BTC",
            "alias": "",
            "alias_to": ["BTC-USDC"],
            "price_increment": "0.01",
        }
        found = [] if sent.get("product_type") == "FUTURE" else [market]
        return {"products": found, "num_products": len(found)}

    def time(self, ms: int) -> Any:
        """In three ways."""
        return {"iso": "2024-01-01T00:00:00Z", "epochSeconds": str(ms // 1000), "epochMillis": str(ms)}

    def book(self, bids: Levels, asks: Levels) -> Any:
        """The pricebook."""
        sides = {"bids": bids, "asks": asks}
        told = {name: [{"price": price, "size": size} for price, size in side] for name, side in sides.items()}
        return {"pricebook": {"product_id": "BTC-USD", **told, "time": "2024-01-01T00:00:00Z"}}

    def candles(self, sent: Sent) -> Any:
        """Between two moments, the newest first."""
        found = candles(int(sent["start"]) * 1000, int(sent["end"]) * 1000)[:350]
        names = ("open", "high", "low", "close")
        rows = [
            {"start": str(one.ms // 1000), **dict(zip(names, one.prices, strict=True)), "volume": one.volume}
            for one in found[::-1]
        ]
        return {"candles": rows}

    def trades(self, rows: Sequence[Row], _sent: Sent) -> Any:
        """The newest, the newest first, with the maker's side."""
        told = [
            {
                "trade_id": str(row.id),
                "product_id": "BTC-USD",
                "price": row.price,
                "size": row.size,
                "time": f"2024-01-01T00:{row.ms // 60_000:02}:{row.ms // 1000 % 60:02}.{row.ms % 1000:03}Z",
                "side": "SELL" if row.side == "buy" else "BUY",
            }
            for row in rows[::-1]
        ]
        return {"trades": told, "best_bid": "49999.9", "best_ask": "50000.1"}


class Kraken(Form):
    """Kraken."""

    exchange, symbol, worth = "kraken", "BTC/USD", "0.5"
    least = "0.00005"
    paths: ClassVar[Mapping[str, str]] = {
        "/0/public/Assets": "currencies",
        "/0/public/AssetPairs": "markets",
        "/0/public/Time": "time",
        "/0/public/Depth": "book",
        "/0/public/OHLC": "candles",
        "/0/public/Trades": "trades",
    }

    def currencies(self, _sent: Sent) -> Any:
        """The Assets."""
        return _kraken({"XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "display_decimals": 5}})

    def markets(self, _sent: Sent) -> Any:
        """The AssetPairs."""
        market = {
            "altname": "XBTUSD",
            "wsname": "XBT/USD",
            "aclass_base": "currency",
            "base": "XXBT",
            "aclass_quote": "currency",
            "quote": "ZUSD",
            "pair_decimals": 1,
            "lot_decimals": 8,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, 0.4]],
            "fees_maker": [[0, 0.25]],
            "ordermin": "0.00005",
            "costmin": "0.5",
            "tick_size": "0.1",
            "status": "online",
        }
        return _kraken({"XXBTZUSD": market})

    def time(self, ms: int) -> Any:
        """Whole seconds."""
        return _kraken({"unixtime": ms // 1000, "rfc1123": "Mon,  1 Jan 24 00:00:00 +0000"})

    def book(self, bids: Levels, asks: Levels) -> Any:
        """The Depth."""
        sides = {"bids": bids, "asks": asks}
        return _kraken({"XXBTZUSD": {name: [[*level, START_S] for level in side] for name, side in sides.items()}})

    def candles(self, sent: Sent) -> Any:
        """The newest 720 after a moment."""
        found = candles(int(sent["since"]) * 1000 + 1, 2**60)[-720:]
        rows = [[one.ms // 1000, *one.prices, one.prices[3], one.volume, 3] for one in found]
        return _kraken({"XXBTZUSD": rows, "last": START_S})

    def trades(self, rows: Sequence[Row], sent: Sent) -> Any:
        """Ascending, after a moment where one is named."""
        since = int(sent.get("since", -1))
        told = [
            [row.price, row.size, row.at_ms / 1000, row.side[0], "l", "", row.id]
            for row in rows
            if row.at_ms * 1_000_000 > since
        ]
        return _kraken({"XXBTZUSD": told, "last": str(START_MS)})


def _kraken(result: Any) -> Any:
    return {"error": [], "result": result}


class Gate(Form):
    """Gate."""

    exchange, lot, least, worth = "gate", "0.000001", "0.000001", "3"
    paths: ClassVar[Mapping[str, str]] = {
        "/api/v4/spot/currency_pairs": "markets",
        "/api/v4/margin/currency_pairs": "nothing",
        "/api/v4/spot/time": "time",
        "/api/v4/spot/order_book": "book",
        "/api/v4/spot/candlesticks": "candles",
        "/api/v4/spot/trades": "trades",
    }

    def markets(self, _sent: Sent) -> Any:
        """The currency pairs."""
        market = {
            "id": "BTC_USDT",
            "base": "BTC",
            "quote": "USDT",
            "fee": "0.2",
            "min_base_amount": "0.000001",
            "min_quote_amount": "3",
            "max_quote_amount": "5000000",
            "amount_precision": 6,
            "precision": 1,
            "trade_status": "tradable",
            "sell_start": 1516378650,
            "buy_start": 1516378650,
            "type": "normal",
        }
        return [market]

    def time(self, ms: int) -> Any:
        """The server_time."""
        return {"server_time": ms}

    def book(self, bids: Levels, asks: Levels) -> Any:
        """The order book."""
        return {"id": 6358770031, "current": START_MS, "update": START_MS, "asks": asks, "bids": bids}

    def candles(self, sent: Sent) -> Any:
        """Between two moments: ascending."""
        found = candles(int(sent["from"]) * 1000, int(sent["to"]) * 1000)[:1000]
        rows = []
        for one in found:
            opened, high, low, close = one.prices
            rows.append([str(one.ms // 1000), "1", close, high, low, opened, one.volume, "true"])
        return rows

    def trades(self, rows: Sequence[Row], _sent: Sent) -> Any:
        """The newest, the newest first; `id` counts those of all markets."""
        return [
            {
                "id": str(900_000_000 + row.id * 7),
                "create_time": str(row.at_ms // 1000),
                "create_time_ms": f"{row.at_ms}.000000",
                "currency_pair": "BTC_USDT",
                "side": row.side,
                "role": "taker",
                "amount": row.size,
                "price": row.price,
                "sequence_id": str(row.id),
            }
            for row in rows[::-1]
        ]
