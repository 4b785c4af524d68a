"""From a recipe and a data directory to windows, split by time: train, validate, test.

Promise: no window of a later part overlaps or touches one of an earlier part; assets listed as unseen are in no part
but `unseen`; the same recipe and data give the same windows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from execd.learning.recipe import Recipe, Shape, Source, Splits, nanos
from execd.learning.series import DataRefused, Series, read_bars, read_trades
from execd.learning.windows import Windows, cut, joined, starts

Part = Literal["train", "validate", "test", "unseen"]

_VALIDATE_SHARE = 4
"""One validation window for so many training windows."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The windows of one shape of one source in one part of time."""

    source: Source
    shape: Shape
    windows: Windows

    @property
    def name(self) -> str:
        """For people: source, slices x length."""
        return f"{self.source.name}: {self.shape.name}"


class DataSet:
    """The series that a recipe names, read once, and windows cut from them on demand."""

    def __init__(self, recipe: Recipe, data_dir: Path) -> None:
        self.recipe = recipe
        self.assets: list[str] = []
        self._series: dict[str, list[Series]] = {}
        for source in recipe.sources:
            self._series[source.name] = [_read(data_dir, source, asset) for asset in (*source.assets, *source.unseen)]
            self.assets += [f"{source.name}/{series.asset}" for series in self._series[source.name]]

    def cells(self, part: Part) -> Iterator[Cell]:
        """Yield each source's shapes that have windows in a part."""
        for source in self.recipe.sources:
            for shape in source.shapes:
                windows = self.windows(source, shape, part)
                if windows is not None:
                    yield Cell(source, shape, windows)

    def windows(self, source: Source, shape: Shape, part: Part) -> Windows | None:
        """Return the windows of one shape, None where there are none.

        Training and validation windows are drawn at random with the recipe's seed; test windows are evenly spaced
        over every start that exists, so that no start hour is favored.
        """
        chosen = source.unseen if part == "unseen" else source.assets
        mine = [series for series in self._series[source.name] if series.asset in chosen]
        parts = []
        for series in mine:
            first, last = _bounds(self.recipe.splits, source, series, part)
            every = starts(series, shape.interval, shape.slices, first, last)
            picked = self._pick(every, shape, part, len(mine), f"{source.name}/{series.asset}/{shape.name}/{part}")
            if len(picked):
                index = self.assets.index(f"{source.name}/{series.asset}")
                parts.append(cut(series, index, shape.interval, shape.slices, picked))
        return joined(parts) if parts else None

    def _pick(
        self, every: NDArray[np.int64], shape: Shape, part: Part, shared_by: int, label: str
    ) -> NDArray[np.int64]:
        wanted = {"train": shape.train, "validate": shape.train // _VALIDATE_SHARE}.get(part, shape.test)
        count = min(len(every), max(1, wanted // max(1, shared_by)))
        if part in {"train", "validate"}:
            random = np.random.default_rng([self.recipe.seed, zlib.crc32(label.encode())])
            return np.sort(random.choice(every, count, replace=False)) if count else every
        return every[np.unique(np.linspace(0, len(every) - 1, count).astype(np.int64))] if count else every


def _read(data_dir: Path, source: Source, asset: str) -> Series:
    path = data_dir / source.folder / f"{asset}.parquet"
    if not path.is_file():
        raise DataRefused(f"{path}: absent; source {source.name!r} of the recipe names it")
    series = read_bars(path) if source.kind == "bars" else read_trades(path)
    holes = (*source.holes.get("*", ()), *source.holes.get(asset, ()))
    return series.without(tuple((nanos(first), nanos(last)) for first, last in holes))


def _bounds(splits: Splits, source: Source, series: Series, part: Part) -> tuple[int, int]:
    if source.kind == "ticks":
        span = len(series.volume) * series.interval
        embargo = int(splits.embargo_s * 1e9)
        ends = [series.start + int(span * f) for f in (splits.tick_train, splits.tick_validate, 1.0)]
    else:
        embargo = int(splits.embargo_h * 3600e9)
        ends = [nanos(at) for at in (splits.train_until, splits.validate_until, splits.test_until)]
    if part == "train":
        return series.start, ends[0]
    if part == "validate":
        return ends[0] + embargo, ends[1]
    if part == "unseen" and source.kind == "ticks":
        return series.start, ends[2]
    return ends[1] + embargo, ends[2]
