"""Exchanges' own ways to write trades and quotes: the other side of the feeds, for a server that speaks to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Nanos, Side
from execd.venues.streams.feed import NANOS_PER_MS
from tests.venues.feeds.samples import frame, price, size


@dataclass(frozen=True)
class Dialect:
    """How one exchange writes trades, each frame with as many as it would have, and a best quote; `market` names it."""

    market: str
    encode: Callable[[Sequence[TradePrinted]], list[bytes]]
    encode_quote: Callable[[QuoteChanged], bytes]


def _ms(at: Nanos) -> int:
    return at // NANOS_PER_MS


def binance_futures_trades(trades: Sequence[TradePrinted]) -> list[bytes]:
    """Binance USD-M: one trade a frame."""
    return [
        frame(
            {
                "stream": "btcusdt@trade",
                "data": {
                    "e": "trade",
                    "E": _ms(trade.at) + 1,
                    "T": _ms(trade.at),
                    "s": "BTCUSDT",
                    "t": trade.id,
                    "p": price(trade.price),
                    "q": size(trade.quantity),
                    "X": "MARKET",
                    "m": trade.taker is Side.SELL,
                    "st": 1,
                },
            }
        )
        for trade in trades
    ]


def binance_futures_quote(quote: QuoteChanged) -> bytes:
    """Binance USD-M: bookTicker."""
    data = {
        "e": "bookTicker",
        "u": quote.update,
        "s": "BTCUSDT",
        "b": price(quote.bid),
        "B": size(quote.bid_size),
        "a": price(quote.ask),
        "A": size(quote.ask_size),
        "T": _ms(quote.at),
        "E": _ms(quote.at) + 1,
        "st": 1,
    }
    return frame({"stream": "btcusdt@bookTicker", "data": data})


def okx_trades(trades: Sequence[TradePrinted]) -> list[bytes]:
    """OKX: one message for what one taker took at one price."""
    return [
        frame(
            {
                "arg": {"channel": "trades", "instId": "BTC-USDT"},
                "data": [
                    {
                        "instId": "BTC-USDT",
                        "tradeId": str(trade.id),
                        "px": price(trade.price),
                        "sz": size(trade.quantity),
                        "side": "buy" if trade.taker is Side.BUY else "sell",
                        "ts": str(_ms(trade.at)),
                        "count": str(trade.count),
                        "source": "0",
                        "seqId": number,
                    }
                ],
            }
        )
        for number, trade in enumerate(trades)
    ]


def okx_quote(quote: QuoteChanged) -> bytes:
    """OKX: bbo-tbt."""
    book = {
        "asks": [[price(quote.ask), size(quote.ask_size), "0", "13"]],
        "bids": [[price(quote.bid), size(quote.bid_size), "0", "12"]],
        "ts": str(_ms(quote.at)),
        "seqId": quote.update,
    }
    return frame({"arg": {"channel": "bbo-tbt", "instId": "BTC-USDT"}, "data": [book]})


def bybit_trades(trades: Sequence[TradePrinted]) -> list[bytes]:
    """Bybit spot: all that was matched at once in one message."""
    rows = [
        {
            "i": str(trade.id),
            "T": _ms(trade.at),
            "p": price(trade.price),
            "v": size(trade.quantity),
            "S": "Buy" if trade.taker is Side.BUY else "Sell",
            "seq": number,
            "s": "BTCUSDT",
            "BT": False,
            "RPI": False,
        }
        for number, trade in enumerate(trades)
    ]
    return [frame({"topic": "publicTrade.BTCUSDT", "ts": 1_790_000_000_000, "type": "snapshot", "data": rows})]


def bybit_quote(quote: QuoteChanged) -> bytes:
    """Bybit: level 1 of the book, a snapshot each time."""
    data = {
        "s": "BTCUSDT",
        "b": [[price(quote.bid), size(quote.bid_size)]],
        "a": [[price(quote.ask), size(quote.ask_size)]],
        "u": 1,
        "seq": quote.update,
    }
    ms = _ms(quote.at)
    return frame({"topic": "orderbook.1.BTCUSDT", "ts": ms, "type": "snapshot", "data": data, "cts": ms})


def hyperliquid_trades(trades: Sequence[TradePrinted]) -> list[bytes]:
    """Hyperliquid: all of a block in one message."""
    rows = [
        {
            "coin": "BTC",
            "side": "B" if trade.taker is Side.BUY else "A",
            "px": price(trade.price),
            "sz": size(trade.quantity),
            "time": _ms(trade.at),
            "hash": "0x" + "0" * 64,
            "tid": trade.id,
            "users": ["0x" + "1" * 40, "0x" + "2" * 40],
        }
        for trade in trades
    ]
    return [frame({"channel": "trades", "data": rows})]


def hyperliquid_quote(quote: QuoteChanged) -> bytes:
    """Hyperliquid: bbo, numbered by the block's time."""
    bid = {"px": price(quote.bid), "sz": size(quote.bid_size), "n": 3}
    ask = {"px": price(quote.ask), "sz": size(quote.ask_size), "n": 1}
    return frame({"channel": "bbo", "data": {"coin": "BTC", "time": _ms(quote.at), "bbo": [bid, ask]}})


DIALECTS = {
    "binanceusdm": Dialect("BTCUSDT", binance_futures_trades, binance_futures_quote),
    "bybit": Dialect("BTCUSDT", bybit_trades, bybit_quote),
    "hyperliquid": Dialect("BTC", hyperliquid_trades, hyperliquid_quote),
    "okx": Dialect("BTC-USDT", okx_trades, okx_quote),
}
"""By ccxt's names of the exchanges."""
