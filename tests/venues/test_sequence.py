"""Each public trade is passed on once, and each jump is a range to fetch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from execd.venues.streams.sequence import MISSING_MAX, REMEMBERED, Repeats, Sequence
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


def test_a_print_for_several_trades_covers_their_ids() -> None:
    ids = Sequence()
    assert ids.take(10, 3)
    assert ids.take(15, 5)
    assert ids.missing == []
    assert ids.take(20, 2)
    assert ids.missing == [(16, 18)]

    assert ids.take(18, 3)
    assert ids.missing == []


def test_a_print_that_is_partly_known_is_not_taken_and_its_rest_is_asked_for() -> None:
    ids = Sequence()
    ids.take(10)

    assert not ids.take(12, 4)
    assert ids.missing == [(11, 12)]
    assert ids.jumps == 1
    assert ids.take(11)
    assert ids.take(12)


@UNHURRIED
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 5)), max_size=60))
def test_no_trade_is_counted_twice_however_prints_overlap(prints: list[tuple[int, int]]) -> None:
    ids = Sequence()
    counted: list[int] = []
    for last, count in prints:
        if ids.take(last, count):
            counted += range(last - count + 1, last + 1)

    assert len(set(counted)) == len(counted)
    if prints:
        first = prints[0][0] - prints[0][1] + 1
        missing = {trade for low, high in ids.missing for trade in range(low, high + 1)}
        assert missing.isdisjoint(counted)
        assert {trade for trade in range(first, ids.next or first) if trade not in missing} == set(counted)


def test_where_ids_tell_nothing_else_they_tell_repeats() -> None:
    ids = Repeats()

    assert [ids.take(trade) for trade in (7, 3, 7, 9, 3)] == [True, True, False, True, False]
    assert 9 in ids
    assert 8 not in ids
    assert (ids.repeats, ids.jumps, ids.missing) == (2, 0, [])


def test_the_memory_of_repeats_is_bounded() -> None:
    ids = Repeats()
    for trade in range(REMEMBERED + 1):
        ids.take(trade)

    assert 0 not in ids
    assert 1 in ids
