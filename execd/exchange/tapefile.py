"""Reading a market file: real prints, and best quotes beside them, as integers on a grid that holds each print exactly.

Promise: a price or amount of the file is never rounded; the grid is chosen so that none needs to be.  A broken file
gets one `MarketFileError` that names the file, what is wrong, and where.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from execd.core.grid import Side
from execd.exchange.market import RULES, SymbolRules

COLUMNS = ("ts", "price", "amount", "side")
QUOTE_COLUMNS = ("bid", "bid_qty", "ask", "ask_qty")
QUOTES = ("USDT", "USDC", "FDUSD", "USD", "EUR", "BTC", "ETH")
MOMENT = "a whole number of microseconds since 1970"
SIDES = {"buy": Side.BUY, "sell": Side.SELL}
# Endings of a tape's name that its book's name does not have.
TAPE_ENDINGS = ("_hft", "_agg", "_tardis", "_trades")
QUOTE_ENDINGS = ("_bbo", "_bbo1s")
DEPTH_ENDING = "_l2"
# From so many prints on, a known symbol's tick is what the file shows; fewer may show too coarse a one by chance.
ENOUGH_PRINTS = 1000

Ints = npt.NDArray[np.int64]


class MarketFileError(ValueError):
    """A market file that cannot be used: the message names the file and the problem."""


@dataclass(frozen=True, slots=True)
class Tape:
    """A file's prints in the order of their times: microseconds UTC, ticks, lots, and the taker's side.

    `lag` is how far the recorder's clock ran behind the exchange's, in microseconds (0 where the file does not say).
    """

    rules: SymbolRules
    times: list[int]
    prices: list[int]
    amounts: list[int]
    sides: list[Side]
    lag: int


@dataclass(frozen=True, slots=True)
class Quotes:
    """Best quotes in the order of their times (microseconds UTC): ticks and lots."""

    times: Ints
    bids: Ints
    bid_sizes: Ints
    asks: Ints
    ask_sizes: Ints


def read_tape(path: Path, symbol: str | None = None) -> Tape:
    """Read prints from parquet or csv: columns ts, price, amount, side; ts_recv helps to align a book.

    Args:
        path: The file.
        symbol: As BTC/USDT; None takes it from the file's name.

    Raises:
        MarketFileError: The file is missing or broken, or its name gives no symbol.
    """
    symbol = symbol or symbol_of(path)
    frame = read_table(path, COLUMNS)
    if frame.is_empty():
        raise MarketFileError(f"{path}: no prints in it")
    frame = frame.with_columns(ts=whole_numbers(path, frame, "ts")).sort("ts", maintain_order=True)
    prices = _amounts(path, frame, "price")
    amounts = _amounts(path, frame, "amount")
    sides = _sides(path, frame["side"].cast(pl.String).to_list())
    rules = _grid(symbol, prices, amounts)
    return Tape(
        rules,
        frame["ts"].to_list(),
        [int(price / rules.tick) for price in prices],
        [int(amount / rules.lot) for amount in amounts],
        sides,
        _lag(frame),
    )


def read_quotes(path: Path, tape: Tape) -> Quotes:
    """Read best quotes: columns bid, bid_qty, ask, ask_qty, and ts or ts_recv (microseconds).

    Quotes only shape the book, so they are rounded to the tape's grid; crossed ones are left out.

    Raises:
        MarketFileError: The file is missing or broken.
    """
    frame = read_table(path, QUOTE_COLUMNS)
    clock = next((name for name in ("ts", "ts_recv") if name in frame.columns), None)
    if clock is None:
        raise MarketFileError(f"{path}: column 'ts' (or 'ts_recv') is missing; it has {', '.join(frame.columns)}")
    try:
        frame = frame.select(
            whole_numbers(path, frame, clock).alias("at"), *(pl.col(name).cast(pl.Float64) for name in QUOTE_COLUMNS)
        )
    except pl.exceptions.PolarsError as error:
        raise MarketFileError(f"{path}: bid, bid_qty, ask and ask_qty must be numbers") from error
    frame = frame.drop_nulls().drop_nans().sort("at", maintain_order=True)
    shift = tape.lag if clock == "ts_recv" else 0
    tick, lot = float(tape.rules.tick), float(tape.rules.lot)
    bids, asks = grained(frame["bid"], tick), grained(frame["ask"], tick)
    bid_sizes, ask_sizes = grained(frame["bid_qty"], lot), grained(frame["ask_qty"], lot)
    good = (bids > 0) & (asks > bids) & (bid_sizes > 0) & (ask_sizes > 0)
    if not good.any():
        raise MarketFileError(f"{path}: no usable quote in it")
    times = frame["at"].to_numpy() + shift
    return Quotes(times[good], bids[good], bid_sizes[good], asks[good], ask_sizes[good])


def find_books(path: Path) -> tuple[Path | None, Path | None]:
    """The files that belong to a tape, beside it or in the folder `book` beside its own: best quotes, and depth.

    Quotes a second apart are older than the depth is, so they are not for where there is depth.
    """
    stem = path.stem
    for ending in TAPE_ENDINGS:
        stem = stem.removesuffix(ending)

    def find(endings: Sequence[str]) -> Path | None:
        folders = (path.parent, path.parent.parent / "book")
        places = [folder / f"{stem}{ending}.parquet" for folder in folders for ending in endings]
        return next((place for place in places if place.is_file()), None)

    depth = find((DEPTH_ENDING,))
    return find(QUOTE_ENDINGS if depth is None else QUOTE_ENDINGS[:1]), depth


def holds_depth(path: Path) -> bool:
    """Whether a book file is one of depth (its name ends in _l2), not of best quotes."""
    return path.stem.endswith(DEPTH_ENDING)


def symbol_of(path: Path) -> str:
    """The symbol that a file's name gives, as binance_spot_BTCUSDT_2024-08-08.parquet.  Raises MarketFileError."""
    for word in path.stem.split("_"):
        if (found := re.fullmatch(rf"([A-Z0-9]{{2,10}}?)({'|'.join(QUOTES)})", word)) is not None:
            return f"{found[1]}/{found[2]}"
    raise MarketFileError(f"{path}: its name gives no symbol such as BTCUSDT; say which symbol it is")


def read_table(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """A parquet or csv file (a csv's cells as text), which must have these columns.  Raises MarketFileError."""
    if path.suffix not in (".parquet", ".csv"):
        raise MarketFileError(f"{path}: a market file ends in .parquet or .csv, not '{path.suffix}'")
    if not path.is_file():
        raise MarketFileError(f"{path}: no such file")
    try:
        # As text a csv's numbers stay exact.
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    except pl.exceptions.NoDataError as error:
        raise MarketFileError(f"{path}: the file is empty") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise MarketFileError(f"{path}: cannot be read as {path.suffix[1:]}") from error
    if missing := [name for name in columns if name not in frame.columns]:
        raise MarketFileError(f"{path}: column '{missing[0]}' is missing; it has {', '.join(frame.columns)}")
    return frame


def whole_numbers(path: Path, frame: pl.DataFrame, name: str, what: str = MOMENT) -> pl.Series:
    """A column of whole numbers; where it is none, the MarketFileError says what it should be."""
    column = frame[name]
    whole = column if column.dtype.is_integer() else column.cast(pl.String).cast(pl.Int64, strict=False)
    if whole.null_count():
        raise MarketFileError(f"{path}: row {_first_null(whole) + 1}: '{name}' is not {what}")
    return whole.cast(pl.Int64).alias(name)


def _first_null(column: pl.Series) -> int:
    return int(column.is_null().arg_max() or 0)


def _amounts(path: Path, frame: pl.DataFrame, name: str) -> list[Decimal]:
    """A column as exact decimals: a float is taken for the shortest decimal that it prints as."""
    exact: list[Decimal] = []
    for row, text in enumerate(frame[name].cast(pl.String).to_list()):
        try:
            value = Decimal(text) if text is not None else Decimal("NaN")
        except InvalidOperation:
            value = Decimal("NaN")
        if not (value.is_finite() and value > 0):
            moment = frame["ts"][row]
            raise MarketFileError(f"{path}: print at ts {moment}: {name} {text} is not a number above 0")
        exact.append(value)
    return exact


def _sides(path: Path, words: list[str | None]) -> list[Side]:
    sides: list[Side] = []
    for word in words:
        side = SIDES.get((word or "").lower())
        if side is None:
            raise MarketFileError(f"{path}: side '{word}' is neither buy nor sell")
        sides.append(side)
    return sides


def _grid(symbol: str, prices: list[Decimal], amounts: list[Decimal]) -> SymbolRules:
    """The symbol's rules on a grid of powers of ten on which every price and amount lies."""
    tick, lot = _finest(prices), _finest(amounts)
    known = RULES.get(symbol)
    if known is None:
        base, quote = symbol.split("/")
        reach = Decimal(10**9)
        return SymbolRules(symbol, base, quote, tick, lot, tick, tick * reach, lot, lot * reach * 10, Decimal(5))
    lot = min(lot, known.lot)
    tick = tick if len(prices) >= ENOUGH_PRINTS else min(tick, known.tick)
    return replace(known, tick=tick, lot=lot, min_price=tick, min_quantity=lot)


def _finest(values: list[Decimal]) -> Decimal:
    return Decimal(1).scaleb(min(int(value.normalize().as_tuple().exponent) for value in values))


def _lag(frame: pl.DataFrame) -> int:
    if "ts_recv" not in frame.columns:
        return 0
    lag = (frame["ts"] - frame["ts_recv"].cast(pl.Int64, strict=False)).median()
    return int(lag) if isinstance(lag, int | float) else 0


def grained(column: pl.Series, unit: float) -> Ints:
    """A column in the nearest whole numbers of a unit."""
    grains: Ints = np.rint(column.to_numpy() / unit).astype(np.int64)
    return grains
