"""The static week: how much volume each moment of it is expected to have, the same for every asset.

Promise: a pure function of the time.  Crypto keeps two clocks, UTC (midnight, funding hours) and New York's (stocks
open there at half past nine, in UTC an hour earlier in summer), so weekdays are the product of a profile by each.

Measured on 30-minute bars of 26 USD-margined perpetuals, 2023-01-01 to 2024-09-30, each bar against the mean of the
week around it; inside the half hours on 5-minute bars of three of them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from execd.policies.floats import Floats

# Monday to Friday by UTC, one number a half hour, and what New York's clock multiplies it by.
WEEKDAY = (
    *(1.432, 1.327, 1.333, 1.186, 1.117, 1.006, 0.989, 0.820, 0.870, 0.812, 0.832, 0.854),
    *(0.853, 0.888, 0.893, 0.922, 1.024, 0.942, 1.008, 1.015, 1.035, 1.006, 0.990, 1.112),
    *(1.304, 1.379, 1.343, 1.388, 1.593, 1.402, 1.527, 1.338, 1.636, 1.310, 1.309, 1.165),
    *(1.192, 1.008, 0.996, 0.922, 0.952, 0.840, 0.901, 0.829, 0.853, 0.832, 0.894, 0.870),
)
NEW_YORK = (
    *(0.948, 0.943, 1.005, 0.965, 1.073, 1.005, 1.068, 1.075, 1.123, 1.062, 0.999, 1.026),
    *(1.061, 0.946, 0.971, 0.847, 0.902, 1.111, 0.974, 1.261, 1.179, 1.251, 1.101, 1.125),
    *(1.046, 1.069, 1.032, 1.014, 1.100, 1.138, 1.149, 1.130, 1.117, 1.065, 1.052, 0.828),
    *(0.972, 0.859, 0.843, 0.763, 0.838, 0.851, 0.880, 0.896, 0.886, 0.910, 0.936, 0.916),
)
SATURDAY = (
    *(0.980, 1.036, 0.963, 0.986, 0.812, 0.776, 0.680, 0.691, 0.719, 0.630, 0.630, 0.577),
    *(0.594, 0.546, 0.629, 0.587, 0.716, 0.759, 0.786, 0.797, 0.901, 0.918, 0.865, 0.830),
    *(0.931, 0.849, 1.060, 0.858, 1.057, 1.009, 1.053, 0.957, 1.015, 0.889, 0.867, 0.735),
    *(0.718, 0.551, 0.629, 0.529, 0.674, 0.564, 0.519, 0.530, 0.503, 0.502, 0.599, 0.570),
)
SUNDAY = (
    *(0.965, 0.818, 0.911, 0.657, 0.706, 0.640, 0.619, 0.563, 0.660, 0.551, 0.537, 0.571),
    *(0.526, 0.581, 0.644, 0.660, 0.685, 0.644, 0.693, 0.751, 0.726, 0.770, 0.737, 0.677),
    *(0.854, 0.976, 0.970, 1.012, 1.023, 1.062, 0.976, 0.905, 1.045, 0.959, 0.987, 0.815),
    *(0.872, 0.680, 0.726, 0.636, 0.929, 0.729, 0.715, 0.621, 0.858, 0.836, 0.822, 0.700),
)
WITHIN = ((1.117, 1.018, 0.964, 1.018, 0.969, 0.916), (1.083, 1.024, 0.970, 1.026, 0.977, 0.921))
"""Each 5 minutes of the first and of the second half hour against that half hour's mean."""

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
_WEEK = 7 * DAY
_EPOCH_TO_MONDAY = 72 * HOUR  # 1970-01-01 was a Thursday
_CELL = HOUR // 12
_CELLS = _WEEK // _CELL


def profile_mass(start: NDArray[np.int64], bounds: NDArray[np.int64]) -> Floats:
    """Return the expected volume between successive bounds by the static week.

    Args:
        start: [B] moments, nanoseconds since the epoch.
        bounds: [m + 1] offsets from them in nanoseconds, ascending; negative ones lie before.

    Returns:
        [B, m], in units of an average hour's volume.  New York's clock is the one that the start has.
    """
    # Counted from the start's own week, in whole nanoseconds: differences of short slices stay exact.
    at = (start[:, None] + _EPOCH_TO_MONDAY) % _WEEK + bounds[None, :]
    weeks, within = np.divmod(at, _WEEK)
    cell, rest = np.divmod(within, _CELL)
    clock = summer(start)[:, None]
    table = _CUMULATIVE[clock, cell]
    width = _CUMULATIVE[clock, cell + 1] - table
    cumulative = weeks * _CUMULATIVE[0, -1] + table + width * (rest / _CELL)
    mass: Floats = cumulative[:, 1:] - cumulative[:, :-1]
    return mass


def summer(at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 1 where New York keeps summer time at [B] nanoseconds since the epoch, else 0 (rule of 2007)."""
    changes: NDArray[np.int64] = np.searchsorted(_CHANGES, at, side="right") % 2
    return changes


def _changes() -> NDArray[np.int64]:
    """When New York changes its clock: second Sunday of March, first of November, two o'clock local time."""
    found = []
    for year in range(2007, 2101):
        march, november = datetime(year, 3, 1, tzinfo=UTC), datetime(year, 11, 1, tzinfo=UTC)
        found += [
            march + timedelta(days=(6 - march.weekday()) % 7 + 7, hours=7),
            november + timedelta(days=(6 - november.weekday()) % 7, hours=6),
        ]
    return np.array([int(at.timestamp()) * 1_000_000_000 for at in found], dtype=np.int64)


def _cumulative(summer: int) -> Floats:
    """[_CELLS + 1] expected volume since Monday; a week of it is worth 168 average hours in winter and in summer."""
    new_york = np.roll(np.array(NEW_YORK), 10 - 2 * summer)  # its half hours, placed by UTC
    days = [np.array(WEEKDAY) * new_york] * 5 + [np.array(SATURDAY), np.array(SUNDAY)]
    cells = np.concatenate([np.repeat(day, 6) * np.tile(np.array(WITHIN).ravel(), 24) for day in days])
    return np.concatenate([[0.0], np.cumsum(cells) * (168.0 / cells.sum())])


_CHANGES = _changes()
_CUMULATIVE = np.stack([_cumulative(0), _cumulative(1)])
