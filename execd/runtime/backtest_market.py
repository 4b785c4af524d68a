"""The past as a backtest shows it: prints and touches of any window, from recorded trades or made from bars.

Promise: deterministic, and nothing is invented that helps us.  A recorded tape is played as it was, with its recorded
best quotes where there are some.  Elsewhere the touch lies around the last print, a stated spread wide, and shows one
print's size on each side.

A bar becomes a print every `PRINT_EVERY` that walks open, low, high, close where it rose, and open, high, low, close
where it fell, its volume spread evenly; a step up is a buyer's print, a step down a seller's, at the price of the path.
Each leg is monotone: a resting order fills only when the price has come to it and on it goes, and one that the price
leaves behind has to cross later at a worse price.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from execd.core.events import Bar, QuoteChanged, TradePrinted
from execd.core.grid import BPS, MINUTE, SECOND, Instrument, Lots, Nanos, Notional, Side, Ticks
from execd.exchange.market import RULES, SymbolRules
from execd.exchange.tapefile import (
    MarketFileError,
    find_books,
    read_quotes,
    read_table,
    read_tape,
    symbol_of,
    whole_numbers,
)

PRINT_EVERY = Nanos(3 * SECOND)
"""Between two prints that are made from a bar: well inside risk.yaml's reference_age, so that prices stay fresh."""

WARM_UP = MINUTE
"""No parent starts earlier than this after a recording's begin: the gate's minute VWAP needs it."""

BAR_COLUMNS = ("ts", "open", "high", "low", "close", "volume")
MICROSECOND, MILLISECOND = 1_000, 1_000_000

Ints = NDArray[np.int64]


class BacktestRefused(Exception):
    """The backtest cannot be run as asked.  One message that names file, option or key, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Trades:
    """Prints as columns, in order: ids that rise by one, nanoseconds, ticks, lots, and +1 for a buyer's, -1 else."""

    ids: Ints
    at: Ints
    price: Ints
    lots: Ints
    taker: Ints


@dataclass(frozen=True, slots=True)
class Touches:
    """Best quotes as columns, in order: nanoseconds, ticks and lots."""

    at: Ints
    bid: Ints
    bid_size: Ints
    ask: Ints
    ask_size: Ints


class Market(Protocol):
    """One market's past."""

    name: str
    instrument: Instrument
    quotes: str
    """Where its touches come from, in words."""

    block: Nanos
    """Windows that begin in one such span are not taken for independent of each other."""

    quotes_first: bool
    """Whether a touch of a print's own moment comes before the print: then the print happened at it."""

    def starts(self, length: Nanos) -> Ints:
        """Moments (one a second, or one a bar) at which a window of a length may begin."""
        ...

    def known_since(self, at: Nanos) -> Nanos:
        """How far back from a moment the past is known without a hole."""
        ...

    def trades(self, begin: Nanos, end: Nanos) -> Trades:
        """The prints at or after `begin` and before `end`."""
        ...

    def touches(self, begin: Nanos, end: Nanos) -> Touches:
        """The touches at or after `begin` and before `end`, and the one that stood at `begin`."""
        ...


def open_market(path: Path, spread_bps: float) -> Market:
    """Read a file of bars or of trades.

    Args:
        path: parquet or csv; its name gives the symbol.  Best quotes of a tape are looked for beside it and in `book`.
        spread_bps: how wide the touch is where no quotes were recorded.

    Raises:
        BacktestRefused: the file cannot be used, in one sentence.
    """
    try:
        names = read_table(path, ("ts",)).columns
        if "open" in names:
            return BarMarket(path, spread_bps)
        return TapeMarket(path, spread_bps)
    except MarketFileError as error:
        raise BacktestRefused(str(error)) from error


def prints(market: Market, begin: Nanos, end: Nanos) -> Iterator[TradePrinted | QuoteChanged]:
    """Yield the prints and touches of a window in the order in which they happened."""
    trades, touches = market.trades(begin, end), market.touches(begin, end)
    at = np.concatenate([trades.at, touches.at])
    # A recorded quote of a print's moment tells what the print left.
    second = np.concatenate([np.zeros(len(trades.at)), np.ones(len(touches.at))])
    order = np.lexsort((-second if market.quotes_first else second, at))
    trade_rows = list(zip(*(column.tolist() for column in _columns(trades)), strict=True))
    touch_rows = list(zip(*(column.tolist() for column in _columns(touches)), strict=True))
    for row in order.tolist():
        if row < len(trade_rows):
            number, moment, price, lots, taker = trade_rows[row]
            side = Side.BUY if taker > 0 else Side.SELL
            yield TradePrinted(number, Ticks(price), Lots(lots), Nanos(moment), side)
        else:
            moment, bid, bid_size, ask, ask_size = touch_rows[row - len(trade_rows)]
            yield QuoteChanged(Ticks(bid), Lots(bid_size), Ticks(ask), Lots(ask_size), Nanos(moment))


def touch_at(market: Market, at: Nanos) -> QuoteChanged | None:
    """The touch that stands at a moment."""
    standing = market.touches(at, Nanos(at + 1))
    if not len(standing.at):
        return None
    _, bid, bid_size, ask, ask_size = (int(column[0]) for column in _columns(standing))
    return QuoteChanged(Ticks(bid), Lots(bid_size), Ticks(ask), Lots(ask_size), at)


def history(market: Market, start: Nanos, interval: Nanos, count: int) -> tuple[Bar, ...]:
    """The whole intervals before a start, oldest first, at most `count` and no further back than is known."""
    known = (start - market.known_since(start)) // interval
    whole = int(max(0, min(count, known)))
    begin = Nanos(start - whole * interval)
    trades = market.trades(begin, start)
    edges = np.searchsorted(trades.at, begin + interval * np.arange(whole + 1)).tolist()
    found = []
    for number in range(whole):
        cut = slice(edges[number], edges[number + 1])
        if edges[number] == edges[number + 1]:
            continue
        lots, price = trades.lots[cut], trades.price[cut]
        bar = Bar(
            start=Nanos(begin + number * interval),
            volume=Lots(int(lots.sum())),
            notional=Notional(int((lots * price).sum())),
            close=Ticks(int(price[-1])),
            trades=len(lots),
        )
        found.append(bar)
    return tuple(found)


class TapeMarket:
    """Recorded trades, with recorded best quotes where they lie beside it."""

    block = Nanos(15 * MINUTE)

    def __init__(self, path: Path, spread_bps: float) -> None:
        tape = read_tape(path)
        self.name = path.stem
        self.instrument = _instrument(tape.rules)
        self._trades = Trades(
            ids=np.arange(len(tape.times), dtype=np.int64),
            at=np.array(tape.times, dtype=np.int64) * MICROSECOND,
            price=np.array(tape.prices, dtype=np.int64),
            lots=np.array(tape.amounts, dtype=np.int64),
            taker=np.array([side.sign for side in tape.sides], dtype=np.int64),
        )
        book, _ = find_books(path)
        self.quotes_first = book is None
        if book is None:
            size = np.full(len(tape.times), max(1, round(sum(tape.amounts) / len(tape.amounts))), dtype=np.int64)
            self._touches = _around(self._trades, spread_bps, size)
            self.quotes = _words(spread_bps)
        else:
            quotes = read_quotes(book, tape)
            sizes = quotes.bid_sizes, quotes.ask_sizes
            self._touches = Touches(quotes.times * MICROSECOND, quotes.bids, sizes[0], quotes.asks, sizes[1])
            self.quotes = "recorded"

    def starts(self, length: Nanos) -> Ints:
        """One a second, wherever prints and touches were recorded."""
        first = max(int(self._trades.at[0]) + WARM_UP, int(self._touches.at[0]))
        last = int(min(self._trades.at[-1], self._touches.at[-1])) - length
        first = -(-first // SECOND) * SECOND
        return np.arange(first, last + 1, SECOND, dtype=np.int64)

    def known_since(self, at: Nanos) -> Nanos:  # noqa: ARG002
        """The first print's moment."""
        return Nanos(int(self._trades.at[0]))

    def trades(self, begin: Nanos, end: Nanos) -> Trades:
        """The prints of a window."""
        low, high = np.searchsorted(self._trades.at, (begin, end)).tolist()
        return _rows(self._trades, low, high)

    def touches(self, begin: Nanos, end: Nanos) -> Touches:
        """The touches of a window, from the one that stood at its begin on."""
        low = int(np.searchsorted(self._touches.at, begin, side="right")) - 1
        return _rows(self._touches, max(0, low), int(np.searchsorted(self._touches.at, end)))


class BarMarket:
    """Prints made from bars, as the module says."""

    block = Nanos(7 * 24 * 60 * MINUTE)

    def __init__(self, path: Path, spread_bps: float) -> None:
        symbol = symbol_of(path)
        rules = RULES.get(symbol)
        if rules is None:
            raise MarketFileError(f"{path}: the grid of {symbol} is not known; allowed: {', '.join(sorted(RULES))}")
        self.name, self.instrument, self._spread_bps = path.stem, _instrument(rules), spread_bps
        self.quotes, self.quotes_first = _words(spread_bps), True
        frame = _bars(path)
        self._at = frame["ts"].to_numpy() * MILLISECOND
        if len(self._at) < 2:
            raise MarketFileError(f"{path}: has {len(self._at)} bars; at least 2 are needed")
        self._length = int(np.median(np.diff(self._at)))
        self._each = max(4, self._length // PRINT_EVERY)
        tick, lot = float(rules.tick), float(rules.lot)
        self._ohlc = np.rint(frame.select(BAR_COLUMNS[1:5]).to_numpy() / tick).astype(np.int64)
        self._lots = np.rint(frame["volume"].to_numpy() / lot).astype(np.int64)
        # A bar that has no lot for each print, or no price, is a hole.
        good = (self._lots >= self._each) & (self._ohlc.min(axis=1) > 0)
        broken = np.append(True, (np.diff(self._at) != self._length) | ~good[:-1]) | ~good
        rows = np.arange(len(self._at))
        self._run = np.maximum.accumulate(np.where(broken, rows, 0))
        self._run[~good] = rows[~good] + 1

    def starts(self, length: Nanos) -> Ints:
        """Each bar's open from which all bars of the window and of the warm-up are there."""
        needed, warm = -(-length // self._length), -(-WARM_UP // self._length)
        rows = np.arange(warm, len(self._at) - needed + 1)
        return self._at[rows[self._run[rows + needed - 1] <= rows - warm]]

    def known_since(self, at: Nanos) -> Nanos:
        """The open of the first bar of the unbroken run before a moment."""
        row = int(np.searchsorted(self._at, at)) - 1
        return at if row < 0 else Nanos(int(self._at[min(int(self._run[row]), row)]))

    def trades(self, begin: Nanos, end: Nanos) -> Trades:
        """The prints of a window."""
        low = max(0, int(np.searchsorted(self._at, begin, side="right")) - 1)
        made = self._made(low, int(np.searchsorted(self._at, end)))
        first, last = np.searchsorted(made.at, (begin, end)).tolist()
        return _rows(made, first, last)

    def touches(self, begin: Nanos, end: Nanos) -> Touches:
        """The touch after each print of a window, from the one that stood at its begin on."""
        low = max(0, int(np.searchsorted(self._at, begin, side="right")) - 2)
        made = self._made(low, int(np.searchsorted(self._at, end)))
        shown = _around(made, self._spread_bps, made.lots)
        first = int(np.searchsorted(shown.at, begin, side="right")) - 1
        return _rows(shown, max(0, first), int(np.searchsorted(shown.at, end)))

    def _made(self, low: int, high: int) -> Trades:
        """The prints of the bars from row `low` to before row `high`."""
        each, rows = self._each, np.arange(low, high)
        step = np.arange(each)
        start, top, bottom, close = (self._ohlc[low:high, column] for column in range(4))
        rose = close >= start
        corners = np.stack([start, np.where(rose, bottom, top), np.where(rose, top, bottom), close], axis=1)
        # The high and the low are traded, whatever the number of prints.
        along = np.interp(step, [0, (each - 1) // 3, 2 * (each - 1) // 3, each - 1], [0, 1, 2, 3])
        leg = np.minimum(along.astype(np.int64), 2)
        path = corners[:, leg] + (corners[:, leg + 1] - corners[:, leg]) * (along - leg)
        price = np.rint(path).astype(np.int64)
        before = self._ohlc[np.maximum(rows - 1, 0), 3]
        cumulative = self._lots[low:high, None] * np.arange(1, each + 1)[None, :] // each
        # A path that stands still is bought and sold in turn.
        moved = np.sign(np.diff(price, axis=1, prepend=before[:, None]))
        return Trades(
            ids=(rows[:, None] * each + step[None, :]).ravel(),
            at=(self._at[low:high, None] + (2 * step[None, :] + 1) * self._length // (2 * each)).ravel(),
            price=price.ravel(),
            lots=np.diff(cumulative, axis=1, prepend=0).ravel(),
            taker=np.where(moved == 0, 1 - 2 * (step % 2), moved).astype(np.int64).ravel(),
        )


def _bars(path: Path) -> pl.DataFrame:
    """The file's bars in the order of their times, as floats beside `ts`.  Raises MarketFileError."""
    frame = read_table(path, BAR_COLUMNS)
    times = whole_numbers(path, frame, "ts", "a whole number of milliseconds since 1970")
    try:
        frame = frame.select(times, *(pl.col(name).cast(pl.Float64) for name in BAR_COLUMNS[1:]))
    except pl.exceptions.PolarsError as error:
        raise MarketFileError(f"{path}: {', '.join(BAR_COLUMNS[1:])} must be numbers") from error
    return frame.drop_nulls().drop_nans().unique("ts", keep="last").sort("ts")


def _instrument(rules: SymbolRules) -> Instrument:
    """The grid that the core trades on."""
    unit = rules.tick * rules.lot
    return Instrument(
        venue="backtest",
        symbol=rules.symbol,
        base=rules.base,
        quote=rules.quote,
        tick=rules.tick,
        lot=rules.lot,
        min_quantity=Lots(max(1, int(-(-rules.min_quantity // rules.lot)))),
        max_quantity=Lots(int(rules.max_quantity // rules.lot)),
        min_notional=Notional(int(-(-rules.min_notional // unit))),
        max_notional=Notional(int(rules.max_notional // unit)),
    )


def _around(trades: Trades, spread_bps: float, size: Ints) -> Touches:
    """The touch after each print: a buyer's price is the ask, a seller's the bid, the other side a spread away."""
    spread = np.maximum(1, np.rint(trades.price * spread_bps / BPS)).astype(np.int64)
    bought = trades.taker > 0
    bid = np.maximum(1, np.where(bought, trades.price - spread, trades.price))
    ask = np.maximum(bid + 1, np.where(bought, trades.price, trades.price + spread))
    return Touches(trades.at, bid, size, ask, size)


def _words(spread_bps: float) -> str:
    return f"made: {spread_bps:g} bps wide"


Columns = TypeVar("Columns", Trades, Touches)


def _columns(table: Trades | Touches) -> list[Ints]:
    return [getattr(table, field.name) for field in fields(table)]


def _rows(table: Columns, low: int, high: int) -> Columns:
    return type(table)(*(column[low:high] for column in _columns(table)))
