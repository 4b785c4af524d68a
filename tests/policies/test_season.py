"""The weeks before the start: what they tell, and that they tell nothing else."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from execd.core.events import UNKNOWN_HOURS, Bar, Hours
from execd.core.grid import HOUR, MINUTE, Lots, Nanos, Notional, Ticks
from execd.policies.features import NAMES, observe
from execd.policies.floats import Floats
from execd.policies.profile import profile_mass
from execd.policies.season import HOURS, Season, gathered, habit_at, hours_wanted, nothing, season
from execd.policies.state import of
from tests.policies.given import START, hours, observation

FIRST = np.array([START // HOUR * HOUR])


def same(a: Season, b: Season) -> bool:
    return all(np.allclose(getattr(a, each.name), getattr(b, each.name)) for each in fields(Season))


def market(shape: Floats) -> Floats:
    """[1, HOURS] volumes: the static week times 24 factors by the hour of the day, UTC."""
    at = FIRST[0] // HOUR + np.arange(-HOURS, 0)
    week = profile_mass(FIRST, np.arange(-HOURS, 1) * int(HOUR))
    volume: Floats = 1000.0 * week * shape[at % 24]
    return volume


def test_an_asset_that_trades_at_other_hours_is_known_by_its_habit() -> None:
    """Three times the usual volume at 6 UTC: the habit says so there, and less than the usual elsewhere."""
    shape = np.ones(24)
    shape[6] = 3.0

    found = season(FIRST, market(shape), np.full((1, HOURS), 100.0))

    for kind in (0, 1):
        assert found.habit[0, kind].argmax() == 6
        assert found.habit[0, kind, 6] > 0.6
        assert np.delete(found.habit[0, kind], 6).max() < 0.0


def test_a_market_that_keeps_the_static_week_has_no_habit_of_its_own() -> None:
    found = season(FIRST, market(np.ones(24)), np.full((1, HOURS), 100.0))

    assert np.abs(found.habit).max() < 1e-9
    assert found.volume / found.mass == pytest.approx(np.full((1, 4), 1000.0))
    assert found.known[0] == HOURS


def test_recent_averages_rise_first_when_volume_does() -> None:
    volume = market(np.ones(24))
    volume[:, -6:] *= 4.0

    ratio = season(FIRST, volume, np.full((1, HOURS), 100.0))

    lately = (ratio.volume / ratio.mass)[0]
    assert list(lately) == sorted(lately, reverse=True)
    assert lately[0] > 2.0 * lately[-1]


def test_unknown_hours_change_nothing_but_how_much_is_known() -> None:
    """Half of the hours of a market that keeps the week are missing: what is left says the same."""
    volume = market(np.ones(24))
    holes = volume.copy()
    holes[:, ::2] = 0.0

    found = season(FIRST, holes, np.full((1, HOURS), 100.0))

    assert np.abs(found.habit).max() < 1e-9
    assert found.volume / found.mass == pytest.approx(np.full((1, 4), 1000.0))
    assert found.known[0] == HOURS // 2


def test_no_hours_are_nothing() -> None:
    zeros = np.zeros((1, HOURS))

    assert same(season(FIRST, zeros, zeros), nothing(1))


def test_the_habit_runs_in_a_straight_line_from_the_middle_of_an_hour_to_the_next() -> None:
    habit = np.zeros((1, 2, 24))
    habit[0, :, 7] = 1.0
    day = 1_714_521_600_000_000_000
    at = np.array([[day + 7 * HOUR + HOUR // 2, day + 8 * HOUR, day + 8 * HOUR + HOUR // 2]])

    assert habit_at(habit, at)[0] == pytest.approx([1.0, 0.5, 0.0])


def test_seasons_are_taken_and_gathered_row_by_row() -> None:
    random = np.random.default_rng(3)
    start = FIRST + np.arange(5) * int(HOUR)
    volume, close = random.lognormal(5, 1, (5, HOURS)), random.lognormal(3, 0.01, (5, HOURS))
    whole = season(start, volume, close)

    assert same(gathered([whole.take(slice(0, 2)), whole.take(slice(2, 5))]), whole)
    assert same(whole.where(np.zeros(5, dtype=bool)), nothing(5))
    assert same(season(start[3:4], volume[3:4], close[3:4]), whole.take(slice(3, 4)))


def test_hours_are_shown_for_slices_of_a_minute_and_more() -> None:
    assert hours_wanted(MINUTE - 1) == 0
    assert hours_wanted(MINUTE) == HOURS


def test_bars_of_an_hour_make_hours_with_the_missing_ones_marked() -> None:
    def bar(hour: int, volume: int) -> Bar:
        return Bar(Nanos(hour * HOUR), Lots(volume), Notional(volume * 7), Ticks(7), 1)

    assert Hours.of([]) == UNKNOWN_HOURS
    made = Hours.of([bar(3, 5), bar(4, 0), bar(6, 9)])
    assert made == Hours(
        Nanos(3 * HOUR), (Lots(5), Lots(0), Lots(0), Lots(9)), (Ticks(7), Ticks(0), Ticks(0), Ticks(7))
    )


def test_a_parents_hours_are_read_once_and_another_parents_are_not_taken_for_them() -> None:
    """Equal numbers or not: the hours of one parent are one object, before every slice."""
    asked = observation(3, interval=HOUR, seed=8)
    first = of(asked).season
    assert of(replace(asked, filled=Lots(7))).season is first

    other = replace(asked, hours=hours(9))

    assert not same(of(other).season, first)


def test_hours_at_and_after_the_start_are_not_read() -> None:
    """A venue's page of candles that reaches too far must not tell the future."""
    asked = observation(3, interval=HOUR, seed=8)
    weeks = asked.hours
    longer = replace(
        weeks, volume=(*weeks.volume, Lots(10**9), Lots(10**9)), close=(*weeks.close, Ticks(1), Ticks(10**7))
    )

    assert observe(replace(asked, hours=longer)) == pytest.approx(observe(asked), abs=0)


def test_the_weeks_before_reach_the_features() -> None:
    asked = observation(3, interval=HOUR, seed=8)

    with_, without = observe(asked), observe(replace(asked, hours=UNKNOWN_HOURS))

    moved = {name for name, a, b in zip(NAMES, with_, without, strict=True) if a != b}
    assert {"slow_4h", "slow_256h", "swing_week", "habit_gap", "habit_next", "hours_known", "target"} <= moved
