"""Tapes with recorded depth beside them, written for a test, and what an exchange then shows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import polars as pl

from execd.core.grid import Nanos
from execd.exchange.engine import Engine
from execd.exchange.tape import TapeMarket

START = Nanos(1_790_000_000_123_456_789)
T0 = 1_700_000_000_000_000
SECONDS = 1_000_000  # In microseconds.
NAME = "a_BTCUSDT_1"

# (microseconds after T0, kind, side, price, qty, last_id)
Row = tuple[int, str, str, str, str, int]
# (microseconds after T0, price, amount, taker's side)
Print = tuple[int, str, str, str]
Levels = list[tuple[Decimal, Decimal]]

SNAPSHOT: list[Row] = [
    (-5, "snapshot", "bid", "99.99", "1", 10),
    (-5, "snapshot", "bid", "99.97", "3", 10),
    (-5, "snapshot", "ask", "100.02", "4", 10),
    (-5, "snapshot", "ask", "100.01", "2", 10),
]
SHOWN_FIRST = ([("99.99", "1"), ("99.97", "3")], [("100.01", "2"), ("100.02", "4")])
QUIET: list[Print] = [(0, "100.01", "0.1", "buy"), (60 * SECONDS, "100.01", "0.1", "buy")]


def write_tape(folder: Path, prints: list[Print]) -> Path:
    path = folder / f"{NAME}_hft.csv"
    lines = [f"{T0 + at},{price},{amount},{side}" for at, price, amount, side in prints]
    path.write_text("\n".join(["ts,price,amount,side", *lines, ""]))
    return path


def depth_frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ts_recv": [T0 + at for at, *_ in rows],
            "ts": [T0 + at for at, *_ in rows],
            "kind": [row[1] for row in rows],
            "side": [row[2] for row in rows],
            "price": [float(row[3]) for row in rows],
            "qty": [float(row[4]) for row in rows],
            "first_id": [row[5] for row in rows],
            "last_id": [row[5] for row in rows],
            "prev_id": [-1 for _ in rows],
        }
    )


def write_quotes(path: Path, quotes: list[tuple[int, float, float, float, float]]) -> None:
    pl.DataFrame(
        [(T0 + at, *numbers) for at, *numbers in quotes],
        schema=["ts", "bid", "bid_qty", "ask", "ask_qty"],
        orient="row",
    ).write_parquet(path)


def open_engine(market: TapeMarket) -> Engine:
    rules = market.rules(market.symbol)
    return Engine(
        [market.symbol],
        market=market,
        now=START,
        maker_fee=Decimal(0),
        taker_fee=Decimal(0),
        balances={rules.quote: Decimal(10**9), rules.base: Decimal(10**6)},
    )


def replay(folder: Path, rows: list[Row], prints: list[Print] = QUIET) -> Engine:
    """An exchange with a tape, and its depth beside it."""
    path = write_tape(folder, prints)
    depth_frame(rows).write_parquet(folder / f"{NAME}_l2.parquet")
    return open_engine(TapeMarket(path, 1, START))


def after(engine: Engine, microseconds: int) -> tuple[Levels, Levels]:
    """What is shown so long after the tape's first print: bids and asks, best first."""
    engine.advance(Nanos(START + 1000 * microseconds))
    return shown(engine)


def shown(engine: Engine, limit: int = 5000) -> tuple[Levels, Levels]:
    [(symbol, rules)] = engine.rules.items()
    _, bids, asks = engine.depth(symbol, limit)
    decimals = [[(rules.price(price), rules.quantity(lots)) for price, lots in side] for side in (bids, asks)]
    return decimals[0], decimals[1]


def levels(*sides: list[tuple[str, str]]) -> tuple[Levels, ...]:
    return tuple([(Decimal(price), Decimal(size)) for price, size in side] for side in sides)


def best(book: dict[Decimal, Decimal], *, highest: bool, limit: int = 10) -> Levels:
    return sorted(((price, size) for price, size in book.items() if size), reverse=highest)[:limit]
