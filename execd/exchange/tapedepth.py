"""Recorded depth beside a tape: a snapshot and its changes, read once, then played moment by moment.

Promise: after each moment the book holds exactly what the file says of it, at the tape's grid; the order is that of
the exchange's own update ids, so a snapshot replaces all that came before it, however late its clock says it came.  A
broken file gets one `MarketFileError`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from execd.core.grid import Side, Ticks
from execd.exchange.tapefile import Ints, MarketFileError, Tape, grained, read_table, whole_numbers

COLUMNS = ("kind", "side", "price", "qty", "last_id")
WORDS = {"kind": ("snapshot", "diff"), "side": ("bid", "ask")}
# Ticks or lots, more than any market has; a float still counts them one by one.
MOST = 2**53
# Depth that ended more than this before the tape, in microseconds, tells nothing of it.
STALE = 60_000_000

Touch = tuple[Ticks, int, Ticks, int]
"""Bid, its size, ask and its size, in ticks and lots."""


@dataclass(frozen=True, slots=True)
class Depth:
    """What the book became at each moment: rows `starts[n]` to `starts[n + 1]` are moment n's.

    `times` are microseconds UTC, `prices` ticks, `sizes` lots (absolute, 0 removes); where `fresh`, a moment's rows are
    all that there is.
    """

    times: Ints
    starts: Ints
    fresh: npt.NDArray[np.bool_]
    bids: npt.NDArray[np.bool_]
    prices: Ints
    sizes: Ints


def read_depth(path: Path, tape: Tape, apart: int = 1) -> Depth:
    """Read depth that was recorded beside a tape: kind, side, price, qty, last_id, and ts or ts_recv (microseconds).

    Kind is snapshot or diff, side bid or ask, qty absolute (0 removes).  What was known before the tape's first print
    is one moment; what came after its last is left out.  Prices and sizes only shape the book, so they are rounded to
    the tape's grid, prices away from the touch.

    Args:
        path: The file.
        tape: Whose time and grid are kept.
        apart: Changes within so many microseconds become one moment.

    Raises:
        MarketFileError: The file is missing or broken, or is of another time.
    """
    frame = read_table(path, COLUMNS)
    clock = next((name for name in ("ts", "ts_recv") if name in frame.columns), None)
    if clock is None:
        raise MarketFileError(f"{path}: column 'ts' (or 'ts_recv') is missing; it has {', '.join(frame.columns)}")
    if frame.is_empty():
        raise MarketFileError(f"{path}: no depth in it")
    _check_words(path, frame)
    shift = tape.lag if clock == "ts_recv" else 0
    tick, lot = float(tape.rules.tick), float(tape.rules.lot)
    frame = frame.select(
        whole_numbers(path, frame, clock).alias("at") + shift,
        whole_numbers(path, frame, "last_id", "a whole number").alias("id"),
        (pl.col("kind") == "snapshot").alias("snapshot"),
        (pl.col("side") == "bid").alias("bid"),
        _number(path, frame, "price", tick),
        _number(path, frame, "qty", lot),
    )
    prices = _outwards(frame["price"], tick, frame["bid"])
    # A bid below the first tick is none.
    sizes = grained(frame["qty"], lot) * (prices > 0)
    frame = frame.with_columns(pl.Series("price", prices), pl.Series("size", sizes))
    return _moments(_during(path, _in_order(frame), tape), tape.times[0], apart)


class DepthPlayer:
    """The recorded book as it was at the moment that was played last; the first is played at once."""

    def __init__(self, depth: Depth) -> None:
        self._depth = depth
        self._halves = {Side.BUY: _Half(1), Side.SELL: _Half(-1)}
        self._next = 0
        self.play()

    @property
    def due(self) -> int | None:
        """When the next moment is, microseconds UTC; None where there is none."""
        return int(self._depth.times[self._next]) if self._next < len(self._depth.times) else None

    def play(self) -> None:
        """Take in the next moment."""
        depth, number = self._depth, self._next
        self._next += 1
        if depth.fresh[number]:
            self._halves = {Side.BUY: _Half(1), Side.SELL: _Half(-1)}
        bids, asks = self._halves[Side.BUY], self._halves[Side.SELL]
        rows = slice(int(depth.starts[number]), int(depth.starts[number + 1]))
        changes = zip(depth.bids[rows].tolist(), depth.prices[rows].tolist(), depth.sizes[rows].tolist(), strict=True)
        for bid, price, size in changes:
            (bids if bid else asks).put(price, size)

    def touch(self) -> Touch | None:
        """The best of both sides; None where a side is empty or they cross."""
        bids, asks = self._halves[Side.BUY].best(1), self._halves[Side.SELL].best(1)
        if not bids or not asks or bids[0][0] >= asks[0][0]:
            return None
        return (*bids[0], *asks[0])

    def behind(self, side: Side, touch: Ticks, limit: int) -> list[tuple[Ticks, int]]:
        """A side's levels strictly worse than a touch, best first: price and size."""
        return self._halves[side].best(limit, touch)


class _Half:
    """One side: sizes by price times sign, and those keys in order, the best last."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []
        self._sizes: dict[int, int] = {}

    def put(self, price: int, size: int) -> None:
        key = price * self._sign
        if size:
            if key not in self._sizes:
                insort(self._keys, key)
            self._sizes[key] = size
        elif self._sizes.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    def best(self, limit: int, touch: Ticks | None = None) -> list[tuple[Ticks, int]]:
        end = len(self._keys) if touch is None else bisect_left(self._keys, touch * self._sign)
        keys = self._keys[max(0, end - limit) : end]
        return [(Ticks(key * self._sign), self._sizes[key]) for key in reversed(keys)]


def _check_words(path: Path, frame: pl.DataFrame) -> None:
    for name, allowed in WORDS.items():
        column = frame[name].cast(pl.String)
        wrong = ~column.is_in(allowed).fill_null(value=False)
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            raise MarketFileError(f"{path}: row {row + 1}: {name} '{column[row]}' is neither {' nor '.join(allowed)}")


def _number(path: Path, frame: pl.DataFrame, name: str, unit: float) -> pl.Series:
    column = frame[name].cast(pl.Float64, strict=False)
    # NaN is greater than all numbers here.
    good = ((column > 0) if name == "price" else (column >= 0)) & (column < unit * MOST)
    wrong = ~good.fill_null(value=False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        least = "above 0" if name == "price" else "of at least 0"
        raise MarketFileError(
            f"{path}: row {row + 1}: {name} {frame[name][row]} is not a number {least} and below {unit * MOST:g}"
        )
    return column


def _outwards(prices: pl.Series, tick: float, bids: pl.Series) -> Ints:
    """Prices in ticks; what lies between two (by more than a float's error) goes down for a bid, up for an ask."""
    exact = prices.to_numpy() / tick
    nearest = np.rint(exact)
    away = np.where(bids.to_numpy(), np.floor(exact), np.ceil(exact))
    ticks: Ints = np.where(np.isclose(exact, nearest, rtol=0.0, atol=1e-3), nearest, away).astype(np.int64)
    return ticks


def _in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """By update id; `epoch` counts the snapshots so far, and what the first of them replaces is left out.

    A snapshot may have come by another way and bear another clock than the changes: its time is kept between theirs.
    """
    # A change that ends where the snapshot does is in the snapshot.
    frame = frame.sort("id", "snapshot", maintain_order=True)
    next_change = pl.when(~pl.col("snapshot")).then(pl.col("at")).backward_fill()
    begins = pl.col("snapshot") & ((pl.col("id") != pl.col("id").shift()) | ~pl.col("snapshot").shift()).fill_null(
        value=True
    )
    frame = frame.with_columns(at=pl.min_horizontal("at", next_change).cum_max(), epoch=begins.cum_sum())
    return frame.filter(pl.col("epoch") > 0) if frame["snapshot"].any() else frame


def _during(path: Path, frame: pl.DataFrame, tape: Tape) -> pl.DataFrame:
    first, last = tape.times[0], tape.times[-1]
    begins, ends = frame["at"][0], frame["at"][-1]
    if ends < first - STALE or begins > last:
        raise MarketFileError(
            f"{path}: its depth ({begins} to {ends}) is of another time than the tape ({first} to {last})"
        )
    return frame.filter(pl.col("at") <= last).with_columns(pl.col("at").clip(first))


def _moments(frame: pl.DataFrame, first: int, apart: int) -> Depth:
    moment = -((first - pl.col("at")) // apart)
    frame = frame.with_columns(moment=moment)
    frame = frame.filter(pl.col("epoch") == pl.col("epoch").max().over("moment"))
    frame = frame.unique(["moment", "bid", "price"], keep="last", maintain_order=True)
    bounds = np.flatnonzero(np.diff(frame["moment"].to_numpy())) + 1
    starts = np.concatenate(([0], bounds, [frame.height])).astype(np.int64)
    epochs = frame["epoch"].to_numpy()[starts[:-1]]
    return Depth(
        frame["at"].to_numpy()[starts[1:] - 1],
        starts,
        np.diff(epochs, prepend=epochs[:1]) != 0,
        frame["bid"].to_numpy(),
        frame["price"].to_numpy(),
        frame["size"].to_numpy(),
    )
