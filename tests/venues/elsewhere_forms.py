"""Some exchanges' own ways to write their public data over REST, as they document it; see `elsewhere`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tests.venues.elsewhere import START_MS, Form, Levels, Row, candles

Sent = Mapping[str, Any]


class BinanceUsdm(Form):
    """Binance USD-M futures."""

    exchange, symbol = "binanceusdm", "BTC/USDT:USDT"
    lot, least, worth, small = "0.001", "0.001", "100", "0.002"
    paths: ClassVar[Mapping[str, str]] = {
        "/fapi/v1/exchangeInfo": "markets",
        "/fapi/v1/time": "time",
        "/fapi/v1/depth": "book",
        "/fapi/v1/klines": "candles",
        "/fapi/v1/trades": "trades",
        "/fapi/v1/historicalTrades": "trades",
    }

    def markets(self, _sent: Sent) -> Any:
        """The exchangeInfo."""
        filters = [
            {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ]
        market = {
            "symbol": "BTCUSDT",
            "pair": "BTCUSDT",
            "contractType": "PERPETUAL",
            "deliveryDate": 4133404800000,
            "onboardDate": 1569398400000,
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "marginAsset": "USDT",
            "pricePrecision": 2,
            "quantityPrecision": 3,
            "underlyingType": "COIN",
            "filters": filters,
        }
        return {"timezone": "UTC", "rateLimits": [], "exchangeFilters": [], "assets": [], "symbols": [market]}

    def time(self, ms: int) -> Any:
        """The serverTime."""
        return {"serverTime": ms}

    def book(self, bids: Levels, asks: Levels) -> Any:
        """The depth."""
        return {"lastUpdateId": 1027024, "E": START_MS, "T": START_MS, "bids": bids, "asks": asks}

    def candles(self, sent: Sent) -> Any:
        """From a moment on, ascending."""
        found = candles(int(sent["startTime"]), 2**60)[: int(sent["limit"])]
        return [[one.ms, *one.prices, one.volume, one.ms + 59_999, "1", 3, "1", "1", "0"] for one in found]

    def trades(self, rows: Sequence[Row], sent: Sent) -> Any:
        """Ascending, from an id on where one is named."""
        return [
            {
                "id": row.id,
                "price": row.price,
                "qty": row.size,
                "quoteQty": "1",
                "time": row.at_ms,
                "isBuyerMaker": row.side == "sell",
            }
            for row in rows
            if row.id >= int(sent.get("fromId", 0))
        ]


class Okx(Form):
    """OKX."""

    exchange, worth = "okx", None
    paths: ClassVar[Mapping[str, str]] = {
        "/api/v5/public/instruments": "markets",
        "/api/v5/public/time": "time",
        "/api/v5/market/books": "book",
        "/api/v5/market/history-candles": "candles",
        "/api/v5/market/trades": "trades",
        "/api/v5/market/history-trades": "trades",
    }

    def markets(self, _sent: Sent) -> Any:
        """The instruments."""
        market = {
            "instType": "SPOT",
            "instId": "BTC-USDT",
            "baseCcy": "BTC",
            "quoteCcy": "USDT",
            "settleCcy": "",
            "ctVal": "",
            "lever": "10",
            "listTime": "1548133413000",
            "lotSz": "0.00000001",
            "minSz": "0.00001",
            "maxLmtSz": "9999999999",
            "maxMktSz": "1000000",
            "state": "live",
            "tickSz": "0.1",
            "uly": "",
        }
        return _okx([market])

    def time(self, ms: int) -> Any:
        """The ts."""
        return _okx([{"ts": str(ms)}])

    def book(self, bids: Levels, asks: Levels) -> Any:
        """The books."""
        sides = {name: [[*level, "0", "4"] for level in side] for name, side in (("bids", bids), ("asks", asks))}
        return _okx([{**sides, "ts": str(START_MS), "seqId": 3}])

    def candles(self, sent: Sent) -> Any:
        """The newest between two moments, the newest first."""
        found = candles(int(sent["before"]) + 1, int(sent["after"]) - 1)[-int(sent["limit"]) :]
        return _okx([[str(one.ms), *one.prices, one.volume, "1", "1", "1"] for one in found[::-1]])

    def trades(self, rows: Sequence[Row], sent: Sent) -> Any:
        """The newest below an id, the newest first."""
        below = [row for row in rows if row.id < int(sent.get("after", 2**60))][-int(sent["limit"]) :]
        return _okx(
            [
                {
                    "instId": "BTC-USDT",
                    "side": row.side,
                    "sz": row.size,
                    "px": row.price,
                    "tradeId": str(row.id),
                    "ts": str(row.at_ms),
                }
                for row in below[::-1]
            ]
        )


def _okx(data: list[Any]) -> Any:
    return {"code": "0", "msg": "", "data": data}


class Bybit(Form):
    """Bybit."""

    exchange, lot, least = "bybit", "0.000001", "0.00005"
    paths: ClassVar[Mapping[str, str]] = {
        "/v5/market/instruments-info": "markets",
        "/v5/market/time": "time",
        "/v5/market/orderbook": "book",
        "/v5/market/kline": "candles",
        "/v5/market/recent-trade": "trades",
    }

    def markets(self, sent: Sent) -> Any:
        """The instruments of a category."""
        steps = {"basePrecision": "0.000001", "quotePrecision": "0.0000001"}
        market = {
            "symbol": "BTCUSDT",
            "baseCoin": "BTC",
            "quoteCoin": "USDT",
            "status": "Trading",
            "marginTrading": "utaOnly",
            "lotSizeFilter": {**steps, "minOrderQty": "0.00005", "maxOrderQty": "71.7", "minOrderAmt": "5"},
            "priceFilter": {"tickSize": "0.1"},
        }
        spot = sent["category"] == "spot"
        return _bybit({"category": sent["category"], "list": [market] if spot else []})

    def time(self, ms: int) -> Any:
        """Seconds, nanoseconds, and milliseconds around them."""
        return {**_bybit({"timeSecond": str(ms // 1000), "timeNano": f"{ms}000000"}), "time": ms}

    def book(self, bids: Levels, asks: Levels) -> Any:
        """The orderbook."""
        return _bybit({"s": "BTCUSDT", "b": bids, "a": asks, "ts": START_MS, "u": 230704, "seq": 1432604333})

    def candles(self, sent: Sent) -> Any:
        """From a moment on, the newest first."""
        found = candles(int(sent["start"]), 2**60)[: int(sent["limit"])]
        rows = [[str(one.ms), *one.prices, one.volume, "1"] for one in found[::-1]]
        return _bybit({"symbol": "BTCUSDT", "category": "spot", "list": rows})

    def trades(self, rows: Sequence[Row], _sent: Sent) -> Any:
        """The newest, the newest first."""
        told = [
            {
                "execId": str(row.id),
                "symbol": "BTCUSDT",
                "price": row.price,
                "size": row.size,
                "side": row.side.capitalize(),
                "time": str(row.at_ms),
                "isBlockTrade": False,
                "seq": "1",
            }
            for row in rows[::-1]
        ]
        return _bybit({"category": "spot", "list": told})


def _bybit(result: Any) -> Any:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": START_MS}
