"""Windows of the past: what a parent order would have met, and how any schedule would have done in it.

Slippage follows learning.md 5.3 exactly: with U_s the market's and X_s our cumulative share after slice s, p_s the
slice's VWAP and D_s = (p_{s+1} - p_s) / VWAP,

    slip = sum over s of D_s (U_s - X_s)

which is (our average price - VWAP) / VWAP for a buy that fills each slice at the slice's VWAP.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from execd.learning.series import Series, coarse
from execd.policies.curve import expected_curves
from execd.policies.floats import Flags, Floats
from execd.policies.profile import HOUR
from execd.policies.season import HOURS, Season, gathered, nothing, season
from execd.policies.state import HISTORY, State

_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Windows:
    """W windows of `slices` slices of `interval` ns: HISTORY columns before the start, then the window's own.

    Attributes:
        interval: A slice's length in nanoseconds.
        slices: n.
        asset: [W] index of the asset in the data set's list.
        start: [W] nanoseconds since the epoch.
        volume: [W, HISTORY + n].
        notional: [W, HISTORY + n].
        close: [W, HISTORY + n].
        present: [W, HISTORY + n]; the window's own columns are all true.
        season: What the hours before the starts say.
    """

    interval: int
    slices: int
    asset: NDArray[np.int64]
    start: NDArray[np.int64]
    volume: Floats
    notional: Floats
    close: Floats
    present: Flags
    season: Season

    def __len__(self) -> int:
        return len(self.start)

    def state(self, k: int, filled: Floats) -> State:
        """Return what was known just before slice k by an order that had filled [W] of itself."""
        seen = HISTORY + k
        return State(
            slice=k,
            slices=self.slices,
            interval=self.interval,
            start=self.start,
            volume=self.volume[:, :seen],
            notional=self.notional[:, :seen],
            close=self.close[:, :seen],
            present=self.present[:, :seen],
            curve=self.curve(),
            filled=filled,
            season=self.season,
        )

    def curve(self) -> Floats:
        """Return [W, n] the static expected curves."""
        return expected_curves(self.start, self.interval * np.arange(self.slices + 1, dtype=np.int64))

    def market(self) -> Floats:
        """Return [W, n] the market's realized cumulative shares U, the last 1."""
        total = np.cumsum(self.volume[:, HISTORY:], axis=1)
        return total / total[:, -1:]

    def price(self) -> Floats:
        """Return [W, n] each slice's VWAP; where nothing traded, the last price before."""
        volume, notional = self.volume[:, HISTORY:], self.notional[:, HISTORY:]
        traded = volume > 0
        return np.where(traded, notional / np.where(traded, volume, 1.0), self.close[:, HISTORY:])

    def vwap(self) -> Floats:
        """Return [W] the windows' market VWAPs."""
        average: Floats = self.notional[:, HISTORY:].sum(axis=1) / self.volume[:, HISTORY:].sum(axis=1)
        return average

    def moves(self) -> Floats:
        """Return [W, n - 1] D."""
        return np.diff(self.price(), axis=1) / self.vwap()[:, None]

    def slip_bps(self, schedule: Floats) -> Floats:
        """Return [W] the slippage of a buy, in bps of VWAP, for cumulative shares [W, n] whose last is 1."""
        gap = (self.market() - schedule)[:, :-1]
        slip: Floats = 1e4 * (self.moves() * gap).sum(axis=1)
        return slip

    def take(self, rows: NDArray[np.int64] | Flags | slice) -> Windows:
        """Return some of the windows."""
        return Windows(
            self.interval,
            self.slices,
            asset=self.asset[rows],
            start=self.start[rows],
            volume=self.volume[rows],
            notional=self.notional[rows],
            close=self.close[rows],
            present=self.present[rows],
            season=self.season.take(rows),
        )

    def forgetting(self, keep: NDArray[np.int64]) -> Windows:
        """Return the windows with only the last keep[w] bars of each history known.

        Where that is not all of them, the hours before are not known either.
        """
        age = np.arange(HISTORY, 0, -1)
        present = self.present.copy()
        present[:, :HISTORY] &= age[None, :] <= keep[:, None]
        hidden = ~present
        known = keep >= HISTORY
        return replace(
            self,
            season=self.season.where(known),
            present=present,
            volume=np.where(hidden, 0.0, self.volume),
            notional=np.where(hidden, 0.0, self.notional),
            close=np.where(hidden, 0.0, self.close),
        )


def starts(series: Series, interval: int, slices: int, first: int, last: int) -> NDArray[np.int64]:
    """Return the cells at which a fully known, traded window within [first, last) ns can start."""
    per = _cells(series, interval)
    span = per * slices
    cells = np.arange(max(0, len(series.volume) - span + 1))
    at = series.start + series.interval * cells
    unknown = np.concatenate([[0], np.cumsum(~series.known)])
    traded = np.concatenate([[0], np.cumsum(series.volume > 0)])
    whole = (unknown[cells + span] == unknown[cells]) & (traded[cells + span] - traded[cells] >= 2)
    possible: NDArray[np.int64] = cells[whole & (at >= first) & (at + series.interval * span <= last)]
    return possible


def cut(series: Series, asset: int, interval: int, slices: int, cells: NDArray[np.int64]) -> Windows:
    """Return the windows that start at `cells`, slices aggregated from the series' cells."""
    parts = [_cut(series, interval, slices, cells[i : i + _CHUNK]) for i in range(0, len(cells), _CHUNK)]
    volume, notional, close = (np.concatenate([p[j] for p in parts]) for j in range(3))
    present = np.concatenate([p[3] for p in parts])
    start = series.start + series.interval * cells.astype(np.int64)
    owner = np.full(len(cells), asset, dtype=np.int64)
    return Windows(interval, slices, owner, start, volume, notional, close, present, _seasons(series, start))


def _seasons(series: Series, start: NDArray[np.int64]) -> Season:
    """The seasons of the windows at `start`, of the series' full hours; of none where its cells do not make hours."""
    if HOUR % series.interval or not len(start):
        return nothing(len(start))
    hours = coarse(series, HOUR)
    volume = np.where(hours.known, hours.volume, 0.0)
    # Unknown hours around, so that every window finds its HOURS.
    pad = np.zeros(HOURS)
    volume, close = np.concatenate([pad, volume]), np.concatenate([pad, hours.close])
    parts = []
    for i in range(0, len(start), _CHUNK):
        at = start[i : i + _CHUNK]
        # A window may start before the record's first full hour: nothing is known then, not the record's end.
        first = np.maximum((at - hours.start) // HOUR, 0)
        index = np.minimum(first[:, None] + np.arange(HOURS)[None, :], len(volume) - 1)
        parts.append(season(at, volume[index], close[index]))
    return gathered(parts)


def _cut(series: Series, interval: int, slices: int, cells: NDArray[np.int64]) -> tuple[Floats, Floats, Floats, Flags]:
    per = _cells(series, interval)
    offsets = per * np.arange(-HISTORY, slices)[:, None] + np.arange(per)[None, :]
    index = cells[:, None, None] + offsets[None, :, :]
    inside = index >= 0
    index = np.maximum(index, 0)
    present: Flags = np.all(series.known[index] & inside, axis=2)
    volume = np.where(present, series.volume[index].sum(axis=2), 0.0)
    notional = np.where(present, series.notional[index].sum(axis=2), 0.0)
    close = np.where(present, series.close[index[:, :, -1]], 0.0)
    return volume, notional, close, present


def _cells(series: Series, interval: int) -> int:
    per, rest = divmod(interval, series.interval)
    if rest or per < 1:
        raise ValueError(
            f"{series.asset}: slices of {interval / 1e9:g} s do not fit cells of {series.interval / 1e9:g} s"
        )
    return per


def joined(parts: list[Windows]) -> Windows:
    """Return several sets of windows of one shape as one."""
    one = parts[0]
    return Windows(
        one.interval,
        one.slices,
        asset=np.concatenate([part.asset for part in parts]),
        start=np.concatenate([part.start for part in parts]),
        volume=np.concatenate([part.volume for part in parts]),
        notional=np.concatenate([part.notional for part in parts]),
        close=np.concatenate([part.close for part in parts]),
        present=np.concatenate([part.present for part in parts]),
        season=gathered([part.season for part in parts]),
    )
