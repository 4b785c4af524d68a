"""Depth files: what is wrong with a broken one is said, and a real one is shown level for level."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from execd.exchange.tape import MarketFileError, TapeMarket
from tests.exchange.depth import (
    NAME,
    QUIET,
    SECONDS,
    SNAPSHOT,
    START,
    T0,
    best,
    depth_frame,
    levels,
    open_engine,
    shown,
    write_tape,
)

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


# ------------------------------------------------------------------------------------------------------ broken files


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": None}, "column 'kind' is missing"),
        ({"qty": None}, "column 'qty' is missing"),
        ({"ts": None, "ts_recv": None}, r"column 'ts' \(or 'ts_recv'\) is missing"),
        ({"kind": ["snapshot", "update"]}, "row 2: kind 'update' is neither snapshot nor diff"),
        ({"kind": ["snapshot", None]}, "row 2: kind 'None' is neither snapshot nor diff"),
        ({"side": ["buy", "ask"]}, "row 1: side 'buy' is neither bid nor ask"),
        ({"price": [99.0, 0.0]}, "row 2: price 0.0 is not a number above 0"),
        ({"price": [99.0, None]}, "row 2: price None is not a number above 0"),
        ({"price": [float("inf"), 100.0]}, "row 1: price inf is not a number above 0 and below"),
        ({"price": ["99,5", "100"]}, "row 1: price 99,5 is not a number above 0"),
        ({"qty": [-1.0, 1.0]}, "row 1: qty -1.0 is not a number of at least 0"),
        ({"qty": [1.0, float("nan")]}, "row 2: qty (NaN|nan) is not a number of at least 0"),
        ({"qty": [1.0, 1e300]}, r"row 2: qty 1e\+300 is not a number of at least 0 and below 9.0072e\+10"),
        ({"ts": [T0, None]}, "row 2: 'ts' is not a whole number of microseconds since 1970"),
        ({"last_id": [None, 1]}, "row 1: 'last_id' is not a whole number"),
        ({"ts": [T0 + 61 * SECONDS] * 2}, f"{T0 + 61 * SECONDS}.* is of another time than the tape"),
        ({"ts": [T0 - 61 * SECONDS] * 2}, "is of another time than the tape"),
        ({"price": [101.0, 100.0]}, "at no moment of the tape does it have both sides, uncrossed"),
        ({"side": ["ask", "ask"]}, "at no moment of the tape does it have both sides, uncrossed"),
    ],
)
def test_a_broken_depth_file_is_named_with_its_problem(tmp_path: Path, change: dict[str, object], says: str) -> None:
    good = {
        "ts_recv": [T0, T0],
        "ts": [T0, T0],
        "kind": ["snapshot", "snapshot"],
        "side": ["bid", "ask"],
        "price": [99.0, 100.0],
        "qty": [1.0, 1.0],
        "last_id": [1, 1],
    }
    tape, path = write_tape(tmp_path, QUIET), tmp_path / f"{NAME}_l2.parquet"
    pl.DataFrame({name: values for name, values in (good | change).items() if values is not None}).write_parquet(path)
    with pytest.raises(MarketFileError, match=says) as refused:
        TapeMarket(tape, 1, START)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    pl.DataFrame(good).write_parquet(path)
    assert shown(open_engine(TapeMarket(tape, 1, START))) == levels([("99", "1")], [("100", "1")])


def test_depth_that_is_empty_or_no_parquet_is_named(tmp_path: Path) -> None:
    tape, path = write_tape(tmp_path, QUIET), tmp_path / f"{NAME}_l2.parquet"
    depth_frame(SNAPSHOT).clear().write_parquet(path)
    with pytest.raises(MarketFileError, match="no depth in it"):
        TapeMarket(tape, 1, START)
    path.write_bytes(b"no parquet")
    with pytest.raises(MarketFileError, match="cannot be read as parquet"):
        TapeMarket(tape, 1, START)


# ----------------------------------------------------------------------------------------------------- a real record

REAL = "binance_spot_BTCUSDT_2024-08-08"
FullBook = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]


def real(part: str) -> Path:
    path = DATA / ("ticks" if part == "hft" else "book") / f"{REAL}_{part}.parquet"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    return path


def recorded_books(path: Path) -> Iterator[tuple[int, FullBook]]:
    """Binance's own procedure, in plain steps: the snapshot, then each change that ends after it, at its time."""
    frame = pl.read_parquet(path)
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    snapshot = frame.filter(pl.col("kind") == "snapshot")
    for side, price, size in snapshot.select("side", "price", "qty").iter_rows():
        (bids if side == "bid" else asks)[Decimal(str(price))] = Decimal(str(size))
    later = frame.filter((pl.col("kind") == "diff") & (pl.col("last_id") > snapshot["last_id"][0]))
    moment = None
    for ts, side, price, size in later.select("ts", "side", "price", "qty").iter_rows():
        if moment not in (None, ts):
            yield moment, (bids, asks)
        moment = ts
        (bids if side == "bid" else asks)[Decimal(str(price))] = Decimal(str(size))


def test_the_real_depth_is_shown_at_its_moments() -> None:
    """Depth alone, at speed 4, over the whole tape: the ten best levels are those of the file."""
    tape, record = real("hft"), real("l2")
    market = TapeMarket(tape, 4, START, book_path=record)
    engine = open_engine(market)
    checked = 0
    for number, (ts, (bids, asks)) in enumerate(recorded_books(record)):
        if number % 450 == 7 and ts <= market.last_ts:
            engine.advance(market.exchange_time(ts))
            assert shown(engine, 10) == (best(bids, highest=True), best(asks, highest=False))
            checked += 1
    assert checked > 10


def test_behind_the_real_touch_lies_the_real_depth() -> None:
    """Quotes and depth, so slow that no quote is left out: their touch, and the file's levels behind it."""
    tape, record, quotes = real("hft"), real("l2"), pl.read_parquet(real("bbo"))
    market = TapeMarket(tape, Fraction(1, 5000), START)
    engine = open_engine(market)
    prints = pl.read_parquet(tape)
    # The quotes have the recorder's clock only; the prints have both.
    quotes = quotes.with_columns(at=pl.col("ts_recv") + int((prints["ts"] - prints["ts_recv"]).median()))  # type: ignore[arg-type]
    checked = 0
    for number, (ts, (bids, asks)) in enumerate(recorded_books(record)):
        if number > 600:
            break
        if number % 50 != 7:
            continue
        told = quotes.filter(pl.col("at") <= ts).row(-1, named=True)
        printed = prints.filter(pl.col("ts") <= ts)["ts"].max()
        engine.advance(market.exchange_time(ts))
        if printed is not None and told["at"] < printed:
            continue
        bid, ask = Decimal(str(told["bid"])), Decimal(str(told["ask"]))
        behind_bid = {price: size for price, size in bids.items() if price < bid}
        behind_ask = {price: size for price, size in asks.items() if price > ask}
        assert shown(engine, 10) == (
            [(bid, Decimal(str(told["bid_qty"]))), *best(behind_bid, highest=True, limit=9)],
            [(ask, Decimal(str(told["ask_qty"]))), *best(behind_ask, highest=False, limit=9)],
        )
        checked += 1
    assert checked > 5
