"""The features: finite, unit-free, and blind to the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.events import Bar
from execd.core.grid import Lots, Notional, Ticks
from execd.policies.features import NAMES, TARGET, features, golden_observations, observe, observe_many, schema
from execd.policies.season import gathered
from execd.policies.state import HISTORY, of
from tests.policies.given import bars, observation, scaled

INTERVALS = (5_000_000_000, 7_500_000_000, 60_000_000_000, 3_600_000_000_000)


@given(
    slices=st.integers(2, 150),
    at=st.floats(0, 1),
    interval=st.sampled_from(INTERVALS),
    history=st.integers(0, 120),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_features_are_finite_and_bounded_for_any_window(
    slices: int, at: float, interval: int, history: int, seed: int
) -> None:
    k = min(slices - 1, int(at * slices))

    row = observe(observation(k, slices, interval, history, seed=seed))

    assert row.shape == (len(NAMES),)
    assert np.isfinite(row).all()
    assert np.abs(row).max() <= 5.0
    assert 0.0 <= row[TARGET] <= 1.0


@pytest.mark.parametrize("history", [0, 3, HISTORY, HISTORY + 50])
def test_scaling_all_prices_or_all_volumes_moves_no_feature(history: int) -> None:
    for at in (0, 1, 7, 11):
        seen = observation(at, history=history)

        assert observe(scaled(seen, price=13, volume=1)) == pytest.approx(observe(seen), abs=1e-9)
        assert observe(scaled(seen, price=1, volume=977)) == pytest.approx(observe(seen), abs=1e-9)


def test_bars_at_or_after_now_move_no_feature() -> None:
    """Even if a caller handed over bars that it must not: they are not looked at."""
    for at in range(12):
        seen = observation(at)
        future = bars(99, at, 14, int(seen.interval))
        leaking = replace(seen, bars=(*seen.bars, *future), history=(*seen.history, *future))

        assert np.array_equal(observe(leaking), observe(seen))


def test_each_closed_bar_is_looked_at() -> None:
    """The other half of the leak test: a feature function that ignores everything would pass that one."""
    seen = observation(at=6)
    for i in range(6):
        changed = replace(seen.bars[i], volume=Lots(seen.bars[i].volume * 3 + 50_000))
        other = replace(seen, bars=(*seen.bars[:i], changed, *seen.bars[i + 1 :]))

        assert not np.allclose(observe(other), observe(seen))


def test_a_missing_bar_leaves_a_hole_and_shifts_nothing() -> None:
    whole = observation(at=8)
    holed = replace(whole, bars=(*whole.bars[:3], *whole.bars[4:]), history=whole.history[5:])

    state = of(holed)

    assert not state.present[0, HISTORY + 3]
    assert state.volume[0, HISTORY + 4] == whole.bars[4].volume
    assert state.volume[0, HISTORY - 1] == whole.history[-1].volume


def test_history_older_than_is_looked_at_changes_nothing() -> None:
    assert np.array_equal(observe(observation(4, history=HISTORY)), observe(observation(4, history=HISTORY + 30)))


def test_the_close_of_an_empty_bar_is_not_read() -> None:
    seen = observation(at=9)
    emptied = tuple(replace(b, volume=Lots(0), notional=Notional(0), trades=0) for b in seen.bars[4:6])
    one = replace(seen, bars=(*seen.bars[:4], *emptied, *seen.bars[6:]))
    two = replace(one, bars=tuple(b if b.volume else replace(b, close=Ticks(0)) for b in one.bars))

    assert np.array_equal(observe(one), observe(two))


def test_a_market_without_a_single_trade_is_no_error() -> None:
    seen = observation(at=6)

    def silent(b: Bar) -> Bar:
        return replace(b, volume=Lots(0), notional=Notional(0))

    row = observe(replace(seen, bars=tuple(map(silent, seen.bars)), history=tuple(map(silent, seen.history))))

    assert np.isfinite(row).all()
    assert row[TARGET] == pytest.approx(seen.curve[6])


def test_the_filled_fraction_reaches_the_model_as_a_lag() -> None:
    behind, ahead = observe(observation(6, filled=2_500)), observe(observation(6, filled=20_000))

    moved = [name for name, a, b in zip(NAMES, behind, ahead, strict=True) if a != b]

    assert moved == ["lag"]


def test_one_row_at_a_time_gives_what_a_batch_gives() -> None:
    seen = [observation(5, seed=seed) for seed in range(6)]
    states = [of(each) for each in seen]
    batch = replace(
        states[0],
        start=np.concatenate([s.start for s in states]),
        volume=np.concatenate([s.volume for s in states]),
        notional=np.concatenate([s.notional for s in states]),
        close=np.concatenate([s.close for s in states]),
        present=np.concatenate([s.present for s in states]),
        curve=np.concatenate([s.curve for s in states]),
        filled=np.concatenate([s.filled for s in states]),
        season=gathered([s.season for s in states]),
    )

    assert features(batch) == pytest.approx(np.array([observe(each) for each in seen]), abs=1e-12)


def test_many_observations_of_all_shapes_give_what_each_gives_alone() -> None:
    seen = [observation(at, slices=n, history=h) for n in (6, 12) for at in (5, 0, 3) for h in (0, 40)]

    assert observe_many(seen) == pytest.approx(np.array([observe(each) for each in seen]), abs=1e-12)


def test_the_schema_names_the_same_features_in_every_process_and_the_golden_observations_differ() -> None:
    rows = np.array([observe(each) for each in golden_observations()])

    assert schema() == schema()
    assert len(schema()) == 64
    assert len(np.unique(rows.round(6), axis=0)) == len(rows)
