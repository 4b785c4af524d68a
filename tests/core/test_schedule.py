"""The schedule is 0 at the start, the quantity at the end, never decreases; proposals move it inside its band."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.grid import PPM, Lots, Nanos
from execd.core.schedule import Schedule, sane
from tests.core.build import START, a_parent, at

TWAP = tuple((number + 1) / 10 for number in range(10))


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Any quantity over any window by any curve, with any band."""
    steps = draw(st.lists(st.floats(0, 1), min_size=1, max_size=40))
    total = sum(steps)
    curve = [min(1.0, due / total) for due in accumulate(steps)] if total > 1e-6 else [0.0] * len(steps)
    parent = a_parent(
        quantity=draw(st.integers(1, 10**12)),
        end=Nanos(START + draw(st.integers(len(steps), 10**14))),
        slices=len(steps),
    )
    return Schedule(parent, (*curve[:-1], 1.0), draw(st.integers(0, PPM)))


@given(schedules())
def test_the_plan_rises_from_nothing_to_the_whole_quantity(schedule: Schedule) -> None:
    due = [schedule.planned(number) for number in range(-1, schedule.parent.slices)]

    assert (due[0], due[-1]) == (0, schedule.parent.quantity)
    assert all(before <= after for before, after in pairwise(due))


@given(schedules())
def test_the_rounding_of_one_slice_is_made_good_in_the_next(schedule: Schedule) -> None:
    """The slices add up to the quantity, and no slice is a lot or more away from the curve."""
    parent, last = schedule.parent, schedule.parent.slices - 1
    parts = [schedule.planned(number) - schedule.planned(number - 1) for number in range(parent.slices)]

    assert sum(parts) == parent.quantity
    for number in range(last):
        assert 0 <= schedule.curve[number] * parent.quantity - schedule.planned(number) < 1


@given(schedules(), st.data())
def test_the_target_never_decreases_and_meets_the_plan_at_each_boundary(
    schedule: Schedule, data: st.DataObject
) -> None:
    parent = schedule.parent
    moments = sorted(data.draw(st.lists(st.integers(parent.start - 10, parent.end + 10), min_size=2, max_size=20)))
    targets = [schedule.target(Nanos(moment)) for moment in moments]

    assert all(before <= after for before, after in pairwise(targets))
    for number in range(parent.slices):
        assert schedule.target(parent.boundary(number)) == schedule.planned(number - 1)
    assert schedule.target(parent.end) == parent.quantity


def test_the_target_is_linear_inside_a_slice_and_flat_outside_the_window() -> None:
    schedule = Schedule(a_parent(), TWAP, 0)

    assert [schedule.target(at(s)) for s in (-1, 0, 15, 30, 60, 90, 599.9, 600, 601)] == [
        0,
        0,
        25,
        50,
        100,
        150,
        999,
        1000,
        1000,
    ]


@given(schedules(), st.data())
def test_a_target_is_brought_inside_the_band_and_stays_if_it_lies_there(
    schedule: Schedule, data: st.DataObject
) -> None:
    parent = schedule.parent
    number = data.draw(st.integers(0, parent.slices - 1))
    wanted = data.draw(st.integers(-10, 2 * parent.quantity))
    clamped = schedule.clamp(number, Lots(wanted))

    assert 0 <= clamped <= schedule.ceiling(number) <= parent.quantity
    if number < parent.slices - 1:
        assert abs(clamped - schedule.planned(number)) <= schedule.band
        inside = max(0, schedule.planned(number) - schedule.band) <= wanted <= schedule.ceiling(number)
        assert (clamped == wanted) is inside


def test_the_band_is_a_part_of_the_quantity_on_each_side() -> None:
    schedule = Schedule(a_parent(), TWAP, 50_000)

    assert schedule.band == 50
    assert [schedule.clamp(4, Lots(wanted)) for wanted in (0, 449, 450, 550, 551, 1_000)] == [
        450,
        450,
        450,
        550,
        550,
        550,
    ]
    assert [schedule.ceiling(number) for number in (0, 8, 9)] == [150, 950, 1_000]


def test_in_the_last_slice_the_target_is_the_whole_quantity_whatever_was_wanted() -> None:
    schedule = Schedule(a_parent(), TWAP, 50_000)

    assert [schedule.clamp(9, Lots(wanted)) for wanted in (0, 970, 5_000)] == [1_000] * 3


@pytest.mark.parametrize(
    ("filled", "share", "target"), [(0, 0.1, 100), (400, 0.5, 700), (400, 0.0, 400), (999, 0.99, 999)]
)
def test_a_share_is_of_what_is_left_rounded_down(filled: int, share: float, target: int) -> None:
    assert Schedule(a_parent(), TWAP, 0).wanted(Lots(filled), share) == target


@given(schedules(), st.data())
def test_no_share_wants_more_than_the_quantity(schedule: Schedule, data: st.DataObject) -> None:
    filled = data.draw(st.integers(0, schedule.parent.quantity))
    wanted = schedule.wanted(Lots(filled), data.draw(st.floats(0, 1)))

    assert filled <= wanted <= schedule.parent.quantity


def test_after_an_overfill_there_is_nothing_left_to_share() -> None:
    assert Schedule(a_parent(), TWAP, 0).wanted(Lots(1_007), 1.0) == 1_007


@pytest.mark.parametrize(
    "curve",
    [
        (0.6, 0.5, 1.0),
        (-0.1, 0.5, 1.0),
        (0.2, 0.5, 0.999),
        (0.2, 1.1, 1.0),
        (0.2, math.nan, 1.0),
        (math.nan, 0.5, 1.0),
        (0.2, 0.5, math.nan),
    ],
)
def test_a_curve_that_is_none_is_refused(curve: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="curve must rise from 0 to exactly 1"):
        Schedule(a_parent(slices=3), curve, 0)


def test_a_curve_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="curve has 2 points for 10 slices"):
        Schedule(a_parent(), (0.5, 1.0), 0)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (0.0, True),
        (1.0, True),
        (0.37, True),
        (-1e-12, False),
        (1.0000001, False),
        (math.nan, False),
        (math.inf, False),
        (-math.inf, False),
    ],
)
def test_a_sane_share_is_a_number_between_nothing_and_all(share: float, verdict: bool) -> None:
    assert sane(share) is verdict
