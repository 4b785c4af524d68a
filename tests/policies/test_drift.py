"""The guard: inputs that look like training's pass, others do not, and the index says how far a parent drifts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from execd.core.events import Bar
from execd.core.grid import Lots, Notional, Ticks
from execd.policies import Inputs
from execd.policies.drift import LIMIT, MARGIN, PLANNED, Guard, Stability
from execd.policies.features import NAMES, golden_observations, observe
from execd.policies.learned import OutOfRange, load
from execd.policies.manifest import Ranges
from tests.policies.given import observation

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "vwap-2"


def ranges(low: float = 0.0, high: float = 1.0) -> Ranges:
    """Every feature lay evenly between two values."""
    levels = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    row = tuple(low + (high - low) * level for level in levels)
    return Ranges(1000, (row,) * len(NAMES), ((0.2,) * 5,) * len(NAMES))


def row(**values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """All features in the middle of their range but these."""
    made = np.full(len(NAMES), 0.5)
    for name, value in values.items():
        made[NAMES.index(name)] = value
    return made


def test_a_row_in_the_middle_of_training_has_no_drift() -> None:
    assert Guard(ranges()).read(row()) == Inputs(0.0, "", (2,) * len(NAMES))


@pytest.mark.parametrize(("value", "out"), [(1.0, 0), (1.0 + MARGIN - 1e-3, 0), (1.0 + MARGIN + 1e-3, 1), (-0.26, 1)])
def test_a_feature_is_out_beyond_its_range_and_the_margin(value: float, out: int) -> None:
    assert Guard(ranges()).read(row(burst=value)).drift == pytest.approx(out / len(NAMES))


def test_one_wild_feature_is_no_reason_and_more_are_one_that_names_the_worst() -> None:
    guard = Guard(ranges())

    assert guard.read(row(burst=5.0)).words == ""
    both = guard.read(row(burst=3.0, drift=-5.0))
    assert both.drift > LIMIT
    assert both.words == "2 of 45 inputs are out of the training range, the worst drift: -5, trained on 0..1"


def test_a_feature_that_never_moved_in_training_may_not_move_far() -> None:
    assert Guard(ranges(0.5, 0.5)).read(row()).drift == 0.0
    assert Guard(ranges(0.5, 0.5)).read(row(burst=0.51)).drift > 0.0


def test_the_index_is_zero_where_all_bins_are_as_in_training() -> None:
    stability = Stability(ranges())

    for number in range(5):
        psi = stability.add(Inputs(0.0, "", (number,) * len(NAMES)))

    assert psi == pytest.approx(0.0, abs=1e-12)


def test_the_index_rises_while_the_market_stays_in_one_bin_and_not_for_the_clock() -> None:
    stability, clock = Stability(ranges()), Stability(ranges())
    still = Inputs(0.0, "", (4,) * len(NAMES))
    planned = tuple(4 if name in PLANNED else number % 5 for number, name in enumerate(NAMES))
    rising = [stability.add(still) for _ in range(12)]

    assert rising == sorted(rising)
    assert rising[0] < 0.1, "one slice says little"
    assert rising[-1] > 0.5
    expected = Stability(ranges()).add(Inputs(0.0, "", tuple(number % 5 for number in range(len(NAMES)))))
    assert clock.add(Inputs(0.0, "", planned)) == expected


def test_a_bin_that_training_never_saw_adds_nothing() -> None:
    """A feature of few values has bins in which nothing can lie."""
    usual = ranges()
    odd = Ranges(usual.rows, usual.quantiles, ((0.5, 0.0, 0.0, 0.0, 0.5),) * len(NAMES))

    assert np.isfinite(Stability(odd).add(Inputs(0.0, "", (0,) * len(NAMES))))


def test_the_shipped_model_knows_the_markets_that_it_was_made_for() -> None:
    guard = Guard(load(SHIPPED).manifest.ranges)
    for seen in golden_observations():
        assert guard.read(observe(seen)).words == ""


def broken(bar: Bar, number: int) -> Bar:
    """Ten times the price in every other bar, and volume that comes in bursts of a million."""
    factor = 10 if number % 2 else 1
    volume = bar.volume * (1_000_000 if number % 7 == 0 else 1)
    return replace(
        bar,
        volume=Lots(volume),
        close=Ticks(bar.close * factor),
        notional=Notional(volume * bar.close * factor),
    )


def test_the_shipped_model_does_not_answer_in_a_market_that_cannot_be() -> None:
    """A feed that mixes two instruments: the prices jump by ten times from bar to bar."""
    policy, seen = load(SHIPPED), observation(at=6, interval=60_000_000_000)
    mixed = replace(seen, bars=tuple(broken(bar, number) for number, bar in enumerate(seen.bars)))

    assert policy.propose(seen).model == "vwap-2"
    with pytest.raises(OutOfRange, match="out of the training range"):
        policy.propose(mixed)
