"""Each public trade is passed on once, and each jump is a range to fetch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from execd.venues.streams.sequence import MISSING_MAX, Sequence
from tests.venues.helpers import UNHURRIED


def test_a_jump_leaves_a_range_that_back_fill_closes() -> None:
    ids = Sequence()
    assert ids.take(10)
    assert ids.take(15)
    assert ids.missing == [(11, 14)]
    assert ids.jumps == 1

    assert ids.take(12)
    assert ids.missing == [(11, 11), (13, 14)]
    assert all(ids.take(trade) for trade in (11, 13, 14))
    assert ids.missing == []


def test_what_came_before_the_first_is_not_ours_and_a_repeat_is_dropped() -> None:
    ids = Sequence()
    ids.take(10)

    assert not ids.take(10)
    assert not ids.take(9)
    assert ids.repeats == 2


def test_the_number_of_ranges_is_bounded() -> None:
    ids = Sequence()
    for trade in range(0, 4 * MISSING_MAX, 2):
        ids.take(trade)

    assert len(ids.missing) == MISSING_MAX


@UNHURRIED
@given(st.lists(st.integers(0, 40), max_size=80))
def test_no_id_is_passed_on_twice_and_missing_is_the_rest(trades: list[int]) -> None:
    ids = Sequence()
    taken = [trade for trade in trades if ids.take(trade)]

    assert len(set(taken)) == len(taken)
    if trades:
        missing = {trade for first, last in ids.missing for trade in range(first, last + 1)}
        assert set(range(trades[0], max(trades) + 1)) - set(taken) == missing
