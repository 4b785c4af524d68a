"""More exchanges' own ways to write their public data over REST; see `elsewhere`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tests.venues.elsewhere import START_MS, Form, Levels, Row, candles
from tests.venues.elsewhere_forms import BinanceUsdm, Bybit, Okx
from tests.venues.elsewhere_spot import Coinbase, Gate, Kraken

Sent = Mapping[str, Any]


class Hyperliquid(Form):
    """Hyperliquid: one path, and a type in the body.  By the price of the moment, ccxt takes a dollar for its tick."""

    exchange, symbol = "hyperliquid", "BTC/USDC:USDC"
    lot, least, worth = "0.00001", "0.00001", "10"
    paths: ClassVar[Mapping[str, str]] = {
        "metaAndAssetCtxs": "markets",
        "spotMetaAndAssetCtxs": "spot",
        "exchangeStatus": "time",
        "l2Book": "book",
        "candleSnapshot": "candles",
        "recentTrades": "trades",
    }

    def asked(self, path: str, sent: Sent) -> str:
        """By the type."""
        assert path == "/info"
        return self.paths[sent["type"]]

    def markets(self, _sent: Sent) -> Any:
        """The perpetuals, and what is told of each."""
        universe = [{"name": "BTC", "szDecimals": 5, "maxLeverage": 40}, {"name": "PURR", "szDecimals": 0}]
        return [{"universe": universe}, [{"markPx": "50000.0", "midPx": "50000.5"}, {"markPx": "0.14"}]]

    def spot(self, _sent: Sent) -> Any:
        """The tokens, their markets, and what is told of each."""
        tokens = [
            {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0},
            {"name": "HYPE", "szDecimals": 2, "weiDecimals": 8, "index": 1},
        ]
        universe = [{"name": "@107", "tokens": [1, 0], "index": 0, "isCanonical": False}]
        return [{"tokens": tokens, "universe": universe}, [{"markPx": "38.5", "midPx": "38.512"}]]

    def time(self, ms: int) -> Any:
        """The exchangeStatus."""
        return {"specialStatuses": None, "time": ms}

    def book(self, bids: Levels, asks: Levels) -> Any:
        """The l2Book."""
        sides = [[{"px": price, "sz": size, "n": 2} for price, size in side] for side in (bids, asks)]
        return {"coin": "BTC", "time": START_MS, "levels": sides}

    def candles(self, sent: Sent) -> Any:
        """Between two moments, ascending."""
        request = sent["req"]
        assert request["coin"] == "BTC"
        rows = []
        for one in candles(request["startTime"], request["endTime"]):
            opened, high, low, close = one.prices
            told = {"o": opened, "c": close, "h": high, "l": low, "v": one.volume, "n": 3}
            rows.append({"t": one.ms, "T": one.ms + 59_999, "s": "BTC", "i": request["interval"], **told})
        return rows

    def trades(self, rows: Sequence[Row], sent: Sent) -> Any:
        """The newest, the newest first."""
        assert sent["coin"] == "BTC"
        return [
            {
                "coin": "BTC",
                "side": "B" if row.side == "buy" else "A",
                "px": row.price,
                "sz": row.size,
                "time": row.at_ms,
                "hash": "0x" + "0" * 64,
                "tid": row.id,
            }
            for row in rows[::-1]
        ]


class Kucoin(Form):
    """KuCoin, whose list of trades has no ids that its stream has."""

    exchange, worth = "kucoin", "0.1"
    paths: ClassVar[Mapping[str, str]] = {
        "/api/v2/symbols": "markets",
        "/api/v1/timestamp": "time",
        "/api/v1/market/orderbook/level2_20": "book",
        "/api/v1/market/candles": "candles",
        "/api/v1/market/histories": "trades",
    }

    def markets(self, _sent: Sent) -> Any:
        """The symbols."""
        market = {
            "symbol": "BTC-USDT",
            "name": "BTC-USDT",
            "baseCurrency": "BTC",
            "quoteCurrency": "USDT",
            "feeCurrency": "USDT",
            "market": "USDS",
            "baseMinSize": "0.00001",
            "quoteMinSize": "0.1",
            "baseMaxSize": "10000000000",
            "quoteMaxSize": "99999999",
            "baseIncrement": "0.00000001",
            "quoteIncrement": "0.000001",
            "priceIncrement": "0.1",
            "minFunds": "0.1",
            "enableTrading": True,
        }
        return _kucoin([market])

    def time(self, ms: int) -> Any:
        """The timestamp."""
        return _kucoin(ms)

    def book(self, bids: Levels, asks: Levels) -> Any:
        """Twenty levels."""
        return _kucoin({"time": START_MS, "sequence": "14610502970", "bids": bids, "asks": asks})

    def candles(self, sent: Sent) -> Any:
        """Between two moments, the newest first."""
        found = candles(int(sent["startAt"]) * 1000, int(sent["endAt"]) * 1000 - 1)[:1500]
        rows = []
        for one in found[::-1]:
            opened, high, low, close = one.prices
            rows.append([str(one.ms // 1000), opened, close, high, low, one.volume, "1"])
        return _kucoin(rows)

    def trades(self, rows: Sequence[Row], _sent: Sent) -> Any:
        """The newest, ascending."""
        return _kucoin(
            [
                {
                    "sequence": str(row.id),
                    "price": row.price,
                    "size": row.size,
                    "side": row.side,
                    "time": row.at_ms * 1_000_000,
                }
                for row in rows
            ]
        )


def _kucoin(data: Any) -> Any:
    return {"code": "200000", "data": data}


class Bitget(Form):
    """Bitget."""

    exchange, lot, least, worth = "bitget", "0.000001", "0.000001", "1"
    paths: ClassVar[Mapping[str, str]] = {
        "/api/v2/spot/public/symbols": "markets",
        "/api/v2/margin/currencies": "margins",
        "/api/v2/public/time": "time",
        "/api/v2/spot/market/orderbook": "book",
        "/api/v2/spot/market/history-candles": "candles",
        "/api/v2/spot/market/fills-history": "trades",
    }

    def markets(self, _sent: Sent) -> Any:
        """The symbols."""
        market = {
            "symbol": "BTCUSDT",
            "baseCoin": "BTC",
            "quoteCoin": "USDT",
            "minTradeAmount": "0",
            "maxTradeAmount": "900000000000000000000",
            "takerFeeRate": "0.002",
            "makerFeeRate": "0.002",
            "pricePrecision": "1",
            "quantityPrecision": "6",
            "quotePrecision": "8",
            "minTradeUSDT": "1",
            "status": "online",
        }
        return _bitget([market])

    def margins(self, _sent: Sent) -> Any:
        """The margin currencies."""
        return _bitget([])

    def time(self, ms: int) -> Any:
        """The serverTime."""
        return _bitget({"serverTime": str(ms)})

    def book(self, bids: Levels, asks: Levels) -> Any:
        """The orderbook."""
        return _bitget({"asks": asks, "bids": bids, "ts": str(START_MS)})

    def candles(self, sent: Sent) -> Any:
        """The newest before a moment, ascending; it heeds no beginning."""
        found = candles(0, int(sent["endTime"]) - 1)[-min(200, int(sent["limit"])) :]
        return _bitget([[str(one.ms), *one.prices, one.volume, "1", "1"] for one in found])

    def trades(self, rows: Sequence[Row], _sent: Sent) -> Any:
        """The newest, the newest first."""
        told = [
            {
                "symbol": "BTCUSDT",
                "tradeId": str(row.id),
                "side": row.side,
                "price": row.price,
                "size": row.size,
                "ts": str(row.at_ms),
            }
            for row in rows[::-1]
        ]
        return _bitget(told)


def _bitget(data: Any) -> Any:
    return {"code": "00000", "msg": "success", "requestTime": START_MS, "data": data}


FORMS: tuple[type[Form], ...] = (BinanceUsdm, Okx, Bybit, Coinbase, Kraken, Gate, Hyperliquid, Kucoin, Bitget)
"""All of them."""
