"""More exchanges' own ways to write trades and quotes: see `dialects`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Nanos, Side
from execd.venues.streams.feed import EPOCH, NANOS_PER_MS
from tests.venues.feeds.dialects import Dialect
from tests.venues.feeds.samples import frame, price, size


def when(at: Nanos) -> str:
    """A time as RFC 3339 has it, to the nanosecond."""
    whole = EPOCH + timedelta(seconds=at // 10**9)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at % 10**9:09}Z".rjust(30, "0")


def coinbase_trades(trades: Sequence[TradePrinted]) -> list[bytes]:
    """Coinbase: what traded in a quarter of a second, the newest first, with the maker's side."""
    rows = [
        {
            "trade_id": str(trade.id),
            "product_id": "BTC-USD",
            "price": price(trade.price),
            "size": size(trade.quantity),
            "side": "SELL" if trade.taker is Side.BUY else "BUY",
            "time": when(trade.at),
        }
        for trade in reversed(trades)
    ]
    return [frame(_coinbase("market_trades", when(Nanos(0)), {"type": "update", "trades": rows}))]


def coinbase_quote(quote: QuoteChanged) -> bytes:
    """Coinbase: the ticker."""
    row = {
        "type": "ticker",
        "product_id": "BTC-USD",
        "price": price(quote.ask),
        "best_bid": price(quote.bid),
        "best_bid_quantity": size(quote.bid_size),
        "best_ask": price(quote.ask),
        "best_ask_quantity": size(quote.ask_size),
    }
    return frame(_coinbase("ticker", when(quote.at), {"type": "update", "tickers": [row]}))


def _coinbase(channel: str, at: str, event: object) -> object:
    return {"channel": channel, "client_id": "", "timestamp": at, "sequence_num": 1, "events": [event]}


def kraken_trades(trades: Sequence[TradePrinted]) -> list[bytes]:
    """Kraken: a batch, with numbers for numbers."""
    rows = [
        {
            "symbol": "BTC/USDT",
            "side": trade.taker.value,
            "price": msgspec.Raw(price(trade.price).encode()),
            "qty": msgspec.Raw(size(trade.quantity).encode()),
            "ord_type": "limit",
            "trade_id": trade.id,
            "timestamp": when(trade.at),
        }
        for trade in trades
    ]
    return [msgspec.json.encode({"channel": "trade", "type": "update", "data": rows})]


def kraken_quote(quote: QuoteChanged) -> bytes:
    """Kraken: the ticker."""
    row = {
        "symbol": "BTC/USDT",
        "bid": msgspec.Raw(price(quote.bid).encode()),
        "bid_qty": msgspec.Raw(size(quote.bid_size).encode()),
        "ask": msgspec.Raw(price(quote.ask).encode()),
        "ask_qty": msgspec.Raw(size(quote.ask_size).encode()),
        "last": 1.5,
        "timestamp": when(quote.at),
    }
    return msgspec.json.encode({"channel": "ticker", "type": "update", "data": [row]})


def gate_trades(trades: Sequence[TradePrinted]) -> list[bytes]:
    """Gate: one print a frame, and the ids it stands for."""
    return [
        frame(
            {
                "time": 1_606_292_218,
                "time_ms": 1_606_292_218_231,
                "channel": "spot.trades",
                "event": "update",
                "result": {
                    "id": 309_143_071,
                    "id_market": trade.id,
                    "create_time": trade.at // 10**9,
                    "create_time_ms": f"{trade.at // NANOS_PER_MS}.{trade.at % NANOS_PER_MS:06}",
                    "side": trade.taker.value,
                    "currency_pair": "BTC_USDT",
                    "amount": size(trade.quantity),
                    "price": price(trade.price),
                    "range": f"{trade.id - trade.count + 1}-{trade.id}",
                },
            }
        )
        for trade in trades
    ]


def gate_quote(quote: QuoteChanged) -> bytes:
    """Gate: book_ticker."""
    result = {
        "t": quote.at // NANOS_PER_MS,
        "u": quote.update,
        "s": "BTC_USDT",
        "b": price(quote.bid),
        "B": size(quote.bid_size),
        "a": price(quote.ask),
        "A": size(quote.ask_size),
    }
    return frame({"time": 1, "time_ms": 1, "channel": "spot.book_ticker", "event": "update", "result": result})


DIALECTS_MORE = {
    "coinbase": Dialect("BTC-USD", coinbase_trades, coinbase_quote),
    "gate": Dialect("BTC_USDT", gate_trades, gate_quote),
    "kraken": Dialect("BTC/USDT", kraken_trades, kraken_quote),
}
"""By ccxt's names of the exchanges."""
