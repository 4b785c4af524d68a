"""An asset's own habits, read off the hours before the start: its day, how much it trades lately, how wild it is.

Promise: reads the hours before the start and nothing else; any unit of volume and price; one that is not known changes
nothing but how much is known.  With no hours at all every correction is 0 and every sum empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from execd.core.grid import MINUTE
from execd.policies.floats import Flags, Floats
from execd.policies.profile import DAY, HOUR, profile_mass

HOURS = 960
"""How many hours before the start are looked at, at most: 40 days, one page of any venue's candles."""

HALF_LIVES_H = (4.0, 16.0, 64.0, 256.0)
"""Of the averages of volume, in hours."""
SPANS_H = (24.0, 168.0)
"""Half-lives of the averages of squared moves, in hours."""
DAYS_HALF_LIFE = 20.0
OTHER_DAYS = 0.35
"""What a day of the other kind, weekday or weekend, counts in an hour's habit."""
SETTLE_DAYS = 6.0
"""So many days' worth of the static profile stand against an hour's own habit."""
_QUIET = 0.05


@dataclass(frozen=True, slots=True)
class Season:
    """What the hours say, for B rows.

    Attributes:
        habit: [B, 2, 24] log of each hour's usual volume (UTC; weekdays, weekend) over the static profile's.
        volume: [B, 4] exponentially weighted volume of the hours, by HALF_LIVES_H, as of the start.
        mass: [B, 4] the same of what they were expected to have: profile and habit.
        swing: [B, 2] exponentially weighted rms log move of an hour, by SPANS_H; 0 where unknown.
        known: [B] how many hours are known.
    """

    habit: Floats
    volume: Floats
    mass: Floats
    swing: Floats
    known: Floats

    def take(self, rows: NDArray[np.int64] | Flags | slice) -> Season:
        """Return some of the rows."""
        return Season(*(getattr(self, each.name)[rows] for each in fields(self)))

    def where(self, known: Flags) -> Season:
        """Return the season with nothing known in the rows for which `known` [B] is false."""
        columns = (getattr(self, each.name) for each in fields(self))
        return Season(*(np.where(known.reshape(-1, *(1,) * (c.ndim - 1)), c, 0.0) for c in columns))


def hours_wanted(interval: int) -> int:
    """Return how many hours a policy is shown, by a slice's length in nanoseconds: none for less than a minute.

    Models learn such slices from recordings of hours, which say nothing about the weeks before.
    """
    return HOURS if interval >= MINUTE else 0


def season(start: NDArray[np.int64], volume: Floats, close: Floats) -> Season:
    """Return what [B, HOURS] hours say, of which the last ends at the last full hour by the start; 0 is unknown."""
    ends = start // HOUR * HOUR
    known = (volume > 0) & (close > 0)
    expected = profile_mass(ends, np.arange(-HOURS, 1, dtype=np.int64) * HOUR)
    middles = ends[:, None] + (np.arange(-HOURS, 0, dtype=np.int64) * HOUR + HOUR // 2)[None, :]
    habit = _habit(middles, volume, expected, known)
    mass = expected * np.exp(habit_at(habit, middles)) * known
    age = np.arange(HOURS - 1, -1, -1, dtype=np.float64)
    fade = 0.5 ** (age[:, None] / np.array(HALF_LIVES_H))
    # What is left of the hour that has begun is not known; the averages age by it all the same.
    gone = 0.5 ** (((start - ends) / HOUR)[:, None] / np.array(HALF_LIVES_H))
    return Season(
        habit=habit,
        volume=(volume * known) @ fade * gone,
        mass=mass @ fade * gone,
        swing=_swing(close, known, age),
        known=known.sum(axis=1).astype(np.float64),
    )


def gathered(parts: Sequence[Season]) -> Season:
    """Return several seasons' rows as one."""
    if len(parts) == 1:
        return parts[0]
    return Season(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Season)))


def nothing(rows: int) -> Season:
    """Return the season of rows of which no hour is known."""
    return Season(*(np.zeros((rows, *shape)) for shape in ((2, 24), (4,), (4,), (2,), ())))


def habit_at(habit: Floats, at: NDArray[np.int64]) -> Floats:
    """Return the [B, m] habits at moments [B, m], between the middles of the hours by a straight line."""
    place = (at % DAY) / HOUR - 0.5
    low = np.floor(place).astype(np.int64)
    part, kind = place - low, weekend(at)
    row = np.arange(len(habit))[:, None]
    between: Floats = habit[row, kind, low % 24] * (1.0 - part) + habit[row, kind, (low + 1) % 24] * part
    return between


def weekend(at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 1 where a moment (ns) lies on a Saturday or Sunday, UTC, else 0."""
    return (((at // DAY) + 3) % 7 >= 5).astype(np.int64)


def _habit(middles: NDArray[np.int64], volume: Floats, expected: Floats, known: Flags) -> Floats:
    """Each hour of the day against its own day's level: the mean of the logs, recent days first, pulled towards 0."""
    days = (len(volume), HOURS // 24, 24)
    v, e, k = (each.reshape(days) for each in (volume * known, expected, known))
    whole = (e * k).sum(axis=2, keepdims=True)
    level = v.sum(axis=2, keepdims=True) / np.where(whole > 0, whole, 1.0)
    usual = np.where(k, e * level, 1.0)
    log = np.where(k, np.log((v / usual + _QUIET) / (1.0 + _QUIET)), 0.0)
    count = np.maximum(k.sum(axis=2, keepdims=True), 1)
    log = np.where(k, log - log.sum(axis=2, keepdims=True) / count, 0.0)
    recent = 0.5 ** (np.arange(days[1] - 1, -1, -1, dtype=np.float64) / DAYS_HALF_LIFE)[None, :, None] * k
    kind = weekend(middles).reshape(days)
    habit = np.empty((len(volume), 2, 24))
    for which in (0, 1):
        weight = recent * np.where(kind == which, 1.0, OTHER_DAYS)
        habit[:, which] = (weight * log).sum(axis=1) / (weight.sum(axis=1) + SETTLE_DAYS)
    # The columns are hours since the first one's: put them where the day's clock has them.
    place = (np.arange(24)[None, :] - (middles[:, :1] // HOUR) % 24) % 24
    return np.take_along_axis(habit, np.repeat(place[:, None, :], 2, axis=1), axis=2)


def _swing(close: Floats, known: Flags, age: Floats) -> Floats:
    both = known[:, 1:] & known[:, :-1]
    log = np.log(np.where(known, close, 1.0))
    squares = np.where(both, log[:, 1:] - log[:, :-1], 0.0) ** 2
    fade = 0.5 ** (age[1:, None] / np.array(SPANS_H))
    rms: Floats = np.sqrt(squares @ fade / np.maximum(both @ fade, 1e-9))
    return rms
