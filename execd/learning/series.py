"""The past of one asset on a regular grid: read from bars or from recorded trades.

Promise: a cell is either known in full or marked unknown; nothing is invented for a hole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from execd.policies.floats import Flags, Floats

TICK_GRID = 2_500_000_000
"""Cells of recorded trades, in nanoseconds: the common divisor of the slice lengths that are trained on."""

_BAR_COLUMNS = ("ts", "open", "high", "low", "close", "volume")
_TRADE_COLUMNS = ("ts", "price", "amount")


class DataRefused(ValueError):
    """A data file that cannot be used; the message names it and says what is allowed."""


@dataclass(frozen=True, slots=True)
class Series:
    """One asset's cells of `interval` ns from `start` on, without a step missing.

    Attributes:
        asset: Its name, the file's stem.
        start: The first cell's first moment, nanoseconds since the epoch.
        interval: A cell's length, nanoseconds.
        volume: [N] traded quantity, in any unit.
        notional: [N] quantity times price.
        close: [N] the last price in or before the cell.
        known: [N] whether the cell was recorded.
    """

    asset: str
    start: int
    interval: int
    volume: Floats
    notional: Floats
    close: Floats
    known: Flags

    def without(self, holes: tuple[tuple[int, int], ...]) -> Series:
        """Return this series with the cells that touch a span [from, until) in nanoseconds marked unknown."""
        at = self.start + self.interval * np.arange(len(self.volume))
        known = self.known.copy()
        for first, last in holes:
            known &= (at + self.interval <= first) | (at >= last)
        return replace(self, known=known)


def coarse(series: Series, interval: int) -> Series:
    """Return the series in cells of `interval` ns that begin at multiples of it; a cell is known if all its parts are.

    Raises:
        ValueError: if interval is not a multiple of the series' own.
    """
    per, rest = divmod(interval, series.interval)
    if rest or per < 1:
        raise ValueError(f"{series.asset}: slices of {interval / 1e9:g} s do not fit its {series.interval / 1e9:g} s")
    skip = int(-series.start % interval) // series.interval
    count = max(0, len(series.volume) - skip) // per
    parts = slice(skip, skip + count * per)
    volume, notional, close = (a[parts].reshape(count, per) for a in (series.volume, series.notional, series.close))
    known: Flags = np.all(series.known[parts].reshape(count, per), axis=1)
    start = series.start + skip * series.interval
    return Series(series.asset, start, interval, volume.sum(axis=1), notional.sum(axis=1), close[:, -1], known)


def read_bars(path: Path) -> Series:
    """Read open-time-stamped bars (`ts` in ms UTC, open, high, low, close, volume).

    A bar's VWAP is `quote_volume` / volume where that column is given, else (open + high + low + close) / 4.

    Raises:
        DataRefused: if the file is unreadable, empty or lacks a column.
    """
    frame = _read(path, _BAR_COLUMNS).unique("ts", keep="last").sort("ts")
    at = frame["ts"].cast(pl.Int64).to_numpy() * 1_000_000
    if len(at) < 2:
        raise DataRefused(f"{path}: has {len(at)} bars; at least 2 are needed")
    interval = int(np.median(np.diff(at)))
    column = {name: frame[name].cast(pl.Float64).to_numpy() for name in frame.columns if name != "ts"}
    notional = column.get("quote_volume")
    if notional is None:
        notional = column["volume"] * (column["open"] + column["high"] + column["low"] + column["close"]) / 4.0
    whole = (at - at[0]) % interval == 0
    cells = (at[whole] - at[0]) // interval
    return _on_grid(
        path.stem, int(at[0]), interval, cells, column["volume"][whole], notional[whole], column["close"][whole]
    )


def _on_grid(
    asset: str,
    start: int,
    interval: int,
    cells: NDArray[np.int64],
    volume: Floats,
    notional: Floats,
    close: Floats,
) -> Series:
    size = int(cells[-1]) + 1
    known = np.zeros(size, dtype=np.bool_)
    known[cells] = np.isfinite(volume) & np.isfinite(close) & (close > 0)
    out = np.zeros((3, size))
    out[:, cells] = np.where(known[cells], np.stack([volume, notional, close]), 0.0)
    last = np.maximum.accumulate(np.where(out[2] > 0, np.arange(size), 0))
    return Series(asset, start, interval, out[0], out[1], out[2][last], known)


def read_trades(path: Path, grid: int = TICK_GRID) -> Series:
    """Read recorded trades (`ts` in us UTC, price, amount) into cells of `grid` ns, all known between first and last.

    Raises:
        DataRefused: if the file is unreadable, empty or lacks a column.
    """
    frame = _read(path, _TRADE_COLUMNS).sort("ts")
    if frame.height == 0:
        raise DataRefused(f"{path}: holds no trades")
    at = frame["ts"].cast(pl.Int64).to_numpy() * 1_000
    price, amount = (frame[name].cast(pl.Float64).to_numpy() for name in ("price", "amount"))
    # The first and the last cell were recorded in part.
    first = -(-int(at[0]) // grid)
    size = max(0, int(at[-1]) // grid - first)
    cells = at // grid - first
    inside = (cells >= 0) & (cells < size)
    cells, price, amount = cells[inside], price[inside], amount[inside]
    volume = np.bincount(cells, amount, size).astype(np.float64)
    notional = np.bincount(cells, amount * price, size).astype(np.float64)
    close = np.zeros(size)
    close[cells] = price  # the last write of a cell is its last trade
    last = np.maximum.accumulate(np.where(close > 0, np.arange(size), 0))
    return Series(path.stem, first * grid, grid, volume, notional, close[last], close[last] > 0)


def _read(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataRefused(f"{path}: cannot be read as parquet ({error})") from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataRefused(f"{path}: lacks column {', '.join(missing)}; needed are {', '.join(columns)}")
    return frame
