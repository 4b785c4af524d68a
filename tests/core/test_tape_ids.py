"""No id counts twice; what is missing is known by the ids where they rise by one; memory is bounded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core import tape_ids
from execd.core.events import Gap
from execd.core.grid import Nanos
from execd.core.tape_ids import Holes, LooseIds, RunningIds
from tests.core.build import a_print, at

START, END = at(0), at(600)


def test_too_many_gaps_are_given_up_oldest_first_and_counted_as_lost() -> None:
    ids = RunningIds(START, END)
    for number in range(tape_ids.GAPS_MAX + 2):
        assert ids.take(a_print(10 * number))

    assert (ids.lost, len(ids.gaps)) == (9, tape_ids.GAPS_MAX)
    assert ids.gaps[0] == Gap(11, 19, START, START)
    assert not ids.take(a_print(5)), "what was given up must not count after all: it is in `lost`"


def test_what_is_given_up_and_lies_outside_the_window_is_not_lost_to_it() -> None:
    ids = RunningIds(START, END)
    for number in range(tape_ids.GAPS_MAX + 2):
        ids.take(a_print(10 * number, -100 + number))

    assert ids.lost == 0


def test_gaps_after_the_window_push_none_of_the_windows_out() -> None:
    """They are given up first, however young."""
    ids = RunningIds(START, END)
    for number in range(3):
        ids.take(a_print(10 * number))
    for number in range(3, 2 * tape_ids.GAPS_MAX):
        ids.take(a_print(10 * number, 700))

    assert [gap.first for gap in ids.gaps if ids.concerns(gap)] == [1, 11, 21]
    assert (ids.lost, len(ids.gaps)) == (0, tape_ids.GAPS_MAX)


def test_ids_that_are_missing_one_after_the_other_are_one_gap() -> None:
    """A print that stands for several trades may hold all of it."""
    ids = RunningIds(START, END)
    ids.take(a_print(10))
    ids.take(a_print(11))
    partly = tape_ids.nothing(13, at(1))
    assert not ids.take(type(partly)(13, partly.price, partly.quantity, at(1), partly.taker, 3))
    ids.take(a_print(20, 2))
    assert ids.gaps == [Gap(12, 19, START, at(2))]

    whole = type(partly)(17, partly.price, partly.quantity, at(1), partly.taker, 5)
    assert ids.take(whole)
    assert ids.gaps == [Gap(12, 12, START, at(1)), Gap(18, 19, at(1), at(2))]


def test_only_so_many_loose_ids_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """At least the latest so many, at most twice as many."""
    monkeypatch.setattr(tape_ids, "LATEST", 3)
    ids = LooseIds(START, END)

    assert [ids.take(a_print(number)) for number in (40, 10, 30, 10, 40, 30)] == [True] * 3 + [False] * 3
    assert [ids.take(a_print(number)) for number in (20, 21, 22)] == [True] * 3
    assert ids.take(a_print(40)), "the second three push out the first"
    assert ids.find(22) == a_print(22)
    assert ids.find(10) is None
    assert (ids.last, ids.gaps) == (40, [])


def test_a_late_print_does_not_take_the_place_of_a_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tape_ids, "LATEST", 4)
    ids = RunningIds(START, END)
    for number in (1, 9, 5):
        assert ids.take(a_print(number))

    assert (ids.find(9), ids.find(5), ids.find(1)) == (a_print(9), None, None)
    assert ids.latest() == [a_print(9)]


SPANS = st.tuples(st.integers(0, 400), st.integers(0, 30)).map(lambda span: (span[0], span[0] + span[1]))


@given(st.lists(st.tuples(st.booleans(), SPANS), max_size=30))
def test_holes_are_the_moments_of_which_nobody_knows_what_they_hold(steps: list[tuple[bool, tuple[int, int]]]) -> None:
    holes, moments = Holes(), set[int]()
    for missed, (since, until) in steps:
        span = set(range(since, until + 1))
        if missed:
            holes.add(Nanos(since), Nanos(until))
            moments |= span
        else:
            holes.mend(Nanos(since), Nanos(until))
            moments -= span

    assert {moment for since, until in holes.spans for moment in range(since, until + 1)} == moments
    assert holes.spans == sorted(holes.spans)
    assert all(before[1] < after[0] for before, after in pairwise(holes.spans))
    inside = {moment for since, until in holes.within(Nanos(100), Nanos(200)) for moment in range(since, until + 1)}
    assert inside == {moment for moment in moments if 100 <= moment < 200}


@given(st.lists(SPANS, min_size=1, max_size=12))
def test_too_many_holes_are_joined_and_none_is_forgotten(spans: list[tuple[int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tape_ids, "HOLES_MAX", 3)
        holes = Holes()
        for since, until in spans:
            holes.add(Nanos(10 * since), Nanos(10 * until))

    assert len(holes.spans) <= 3
    for since, until in spans:
        assert any(low <= 10 * since and 10 * until <= high for low, high in holes.spans)


def test_of_too_many_holes_the_two_that_are_nearest_become_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tape_ids, "HOLES_MAX", 2)
    holes = Holes()
    for since, until in ((0, 9), (50, 59), (70, 79)):
        holes.add(Nanos(since), Nanos(until))

    assert holes.spans == [(0, 9), (50, 79)]
