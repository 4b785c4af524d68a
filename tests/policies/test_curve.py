"""The volume curve and the two policies that need no model."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.events import Bar
from execd.core.grid import Lots, Nanos, Notional
from execd.policies.curve import CurvePolicy, TwapPolicy, expected_curve
from execd.policies.floats import Floats
from execd.policies.profile import profile_mass
from tests.policies.given import START, observation, scaled

HOUR = 3_600_000_000_000


@given(
    start=st.integers(0, 2_000_000_000_000_000_000),
    span=st.integers(1_000_000_000, 14 * 86_400_000_000_000),
    slices=st.integers(1, 200),
)
@settings(max_examples=200, deadline=None)
def test_a_curve_never_falls_and_ends_at_exactly_one(start: int, span: int, slices: int) -> None:
    curve = expected_curve(Nanos(start), Nanos(start + span), slices)

    assert len(curve) == slices
    assert curve[-1] == 1.0
    assert curve[0] > 0.0
    assert all(a <= b for a, b in pairwise(curve))


def test_a_window_inside_one_hour_is_flat() -> None:
    start = 1_714_564_020_000_000_000

    curve = expected_curve(Nanos(start), Nanos(start + 90_000_000_000), 12)

    assert curve == pytest.approx([(i + 1) / 12 for i in range(12)], abs=1e-10)


def test_a_day_follows_the_hours_more_at_14_utc_than_at_5() -> None:
    midnight = 1_714_521_600_000_000_000  # Wednesday 2024-05-01

    share = np.diff(expected_curve(Nanos(midnight), Nanos(midnight + 24 * HOUR), 24), prepend=0.0)

    assert share[14] > 2 * share[4]


def test_a_weekend_hour_weighs_less_than_the_same_hour_of_a_weekday() -> None:
    saturday = np.array([1_714_824_000_000_000_000])  # 2024-05-04 12:00
    wednesday = saturday - 3 * 24 * HOUR

    both = [profile_mass(day, np.array([0, HOUR]))[0, 0] for day in (saturday, wednesday)]

    assert both[0] < 0.8 * both[1]


def test_stocks_open_in_new_york_an_hour_earlier_by_utc_in_summer() -> None:
    """The half hour from half past nine, New York time, is a busy one: 13:30 UTC in July, 14:30 in January."""
    july, january = 1_720_051_200_000_000_000, 1_704_326_400_000_000_000  # Thursdays, midnight UTC

    def half_hours(day: int) -> Floats:
        mass: Floats = profile_mass(np.array([day]), np.arange(49) * (HOUR // 2))[0]
        return mass

    assert half_hours(july)[27] > half_hours(july)[26]
    assert half_hours(july)[29] < half_hours(july)[28]
    assert half_hours(january)[29] > 1.1 * half_hours(january)[28]


def test_an_empty_window_has_no_curve() -> None:
    with pytest.raises(ValueError, match="needs a window"):
        expected_curve(Nanos(5), Nanos(5), 3)


def test_twap_brings_equal_parts_and_catches_up_with_what_did_not_fill() -> None:
    assert TwapPolicy().propose(observation(at=0)).share == pytest.approx(1 / 12)
    late = observation(at=6, filled=5_000)

    share = TwapPolicy().propose(late).share

    assert late.filled + share * (late.quantity - late.filled) == pytest.approx(25_000 * 7 / 12)


def test_without_a_bar_known_the_curve_policy_follows_the_static_curve() -> None:
    seen = observation(at=5, history=0, filled=4_000)
    bare = replace(seen, bars=(), curve=tuple((i + 1) ** 2 / 144 for i in range(12)))

    share = CurvePolicy().propose(bare).share

    assert 4_000 + share * 21_000 == pytest.approx(25_000 * 36 / 144)


def test_a_burst_of_volume_brings_the_target_forward() -> None:
    """Catch-up: what the market has done is part of the share that we follow."""
    calm = observation(at=6)
    burst = replace(calm, bars=(*calm.bars[:-1], replace(calm.bars[-1], volume=Lots(200_000))))

    assert CurvePolicy().propose(burst).share > 1.3 * CurvePolicy().propose(calm).share


def test_a_steady_market_is_followed_in_equal_parts() -> None:
    steady = observation(at=0)
    bars = tuple(
        Bar(Nanos(START + i * 7_500_000_000), Lots(1000), Notional(6_000_000_000), steady.history[0].close, 9)
        for i in range(-40, 7)
    )
    seen = replace(observation(at=7, filled=14_583), history=bars[:40], bars=bars[40:])

    share = CurvePolicy().propose(seen).share

    assert 14_583 + share * (25_000 - 14_583) == pytest.approx(25_000 * 8 / 12, rel=0.01)  # the week is not quite flat


@pytest.mark.parametrize("policy", [CurvePolicy(), TwapPolicy()])
def test_shares_are_sane_and_the_last_slice_takes_all(policy: CurvePolicy | TwapPolicy) -> None:
    for at in range(12):
        for filled in (0, 12_000, 24_999, 25_000):
            assert 0.0 <= policy.propose(observation(at=at, filled=filled)).share <= 1.0
    assert policy.propose(observation(at=11, filled=3)).share == 1.0


def test_units_do_not_matter_to_the_curve_policy() -> None:
    seen = observation(at=7, filled=9_000)

    assert CurvePolicy().propose(scaled(seen, 7, 1000)).share == pytest.approx(
        CurvePolicy().propose(seen).share, abs=1e-12
    )


def test_the_curve_needs_no_torch() -> None:
    code = "import sys, execd.policies.curve, execd.policies.learned; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
