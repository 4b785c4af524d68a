"""ccxt's unified trades, tickers and order books as facts, exactly.

Promise: any value whatever gives a fact, None for a market without both sides, or `ValueError`; prices and quantities
are exact, as far as ccxt hands on what the exchange wrote.
"""

from __future__ import annotations

from collections.abc import Mapping

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Nanos, Side
from execd.venues.digits import Grid, exact
from execd.venues.streams.feed import nanos, number


def trade(row: object, grid: Grid) -> TradePrinted:
    """A public trade; one without an id is known by all that is told of it.  Raises ValueError."""
    if not isinstance(row, Mapping):
        raise ValueError("a trade is no JSON object")
    price, quantity, at, side = (row.get(name) for name in ("price", "amount", "timestamp", "side"))
    ticks, lots = grid.ticks(plain(price)), grid.lots(plain(quantity))
    if not (ticks and lots):
        raise ValueError("a trade of nothing")
    # Two equal trades of a millisecond without ids count as one: less is safer than twice.
    known_by = str(row.get("id") or f"{at} {side} {price} {quantity}")
    taker = Side.SELL if side == "sell" else Side.BUY
    return TradePrinted(number(known_by), ticks, lots, _moment(at), taker)


def complete(ticker: object) -> bool:
    """Whether a ticker tells both best prices and their sizes."""
    names = ("bid", "bidVolume", "ask", "askVolume")
    return isinstance(ticker, Mapping) and all(ticker.get(name) is not None for name in names)


def ticker_quote(ticker: object, grid: Grid, now: Nanos) -> QuoteChanged | None:
    """The best quote of a ticker; `now` where it has no time of its own.  Raises ValueError."""
    if not (isinstance(ticker, Mapping) and complete(ticker)):
        return None
    bid, bid_size, ask, ask_size = (plain(ticker[name]) for name in ("bid", "bidVolume", "ask", "askVolume"))
    return _quote(bid, bid_size, ask, ask_size, _time_of(ticker, now), grid)


def book_quote(book: object, grid: Grid, now: Nanos) -> QuoteChanged | None:
    """The best quote of an order book; `now` where it has no time of its own.  Raises ValueError."""
    if not isinstance(book, Mapping):
        raise ValueError("an order book is no JSON object")
    bids, asks = book.get("bids"), book.get("asks")
    if not (bids and asks):
        return None
    (bid, bid_size), (ask, ask_size) = _best(bids), _best(asks)
    return _quote(bid, bid_size, ask, ask_size, _time_of(book, now), grid)


def _best(side: object) -> tuple[str, str]:
    """The price and size of the first level."""
    level = side[0] if isinstance(side, list) and side else None
    if not isinstance(level, list) or len(level) < 2:
        raise ValueError("a side of an order book is no list of levels")
    return plain(level[0]), plain(level[1])


def plain(value: object) -> str:
    """A number without an exponent.  Raises ValueError."""
    text = str(value)
    return format(exact(text), "f") if "e" in text or "E" in text else text


def _quote(bid: str, bid_size: str, ask: str, ask_size: str, at: Nanos, grid: Grid) -> QuoteChanged | None:
    low, high = grid.ticks(bid), grid.ticks(ask)
    if not 0 < low < high:
        return None
    return QuoteChanged(low, grid.lots(bid_size), high, grid.lots(ask_size), at)


def _time_of(row: Mapping[str, object], now: Nanos) -> Nanos:
    at = row.get("timestamp")
    return now if at is None else _moment(at)


def _moment(at: object) -> Nanos:
    return nanos(int(exact(at)))
