"""A lively stream is noticed dead soon, a quiet one is given its time, and neither is believed at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from execd.core.grid import SECOND, Nanos
from execd.venues.streams.rhythm import LATELY, LEAST, TIMES, Rhythm
from tests.venues.helpers import UNHURRIED

MOST = Nanos(10 * SECOND)


def spoken(every: int, seconds: int = 70) -> tuple[Rhythm, Nanos]:
    """A stream that spoke so often (nanoseconds), looked at each second as a connection does; and the time now."""
    rhythm, now = Rhythm(Nanos(0), MOST), Nanos(0)
    for now in map(Nanos, range(0, seconds * SECOND, every)):
        rhythm.beat(now)
        if now % SECOND < every:
            rhythm.patience(now)
    return rhythm, now


def test_a_stream_of_which_nothing_is_known_yet_has_all_the_time() -> None:
    rhythm = Rhythm(Nanos(0), MOST)

    assert rhythm.patience(Nanos(0)) == MOST
    rhythm.beat(Nanos(1))
    assert rhythm.patience(Nanos(LATELY - 1)) == MOST


def test_a_lively_stream_is_dead_after_the_least() -> None:
    rhythm, now = spoken(SECOND // 10)

    assert rhythm.patience(now) == LEAST


def test_a_stream_that_speaks_each_second_is_dead_after_some_times_that() -> None:
    rhythm, now = spoken(SECOND)

    assert rhythm.patience(now) == TIMES * SECOND


def test_a_quiet_stream_is_given_the_most() -> None:
    rhythm, now = spoken(7 * SECOND)

    assert rhythm.patience(now) == MOST


def test_a_long_silence_is_forgotten_after_a_while() -> None:
    rhythm, now = spoken(SECOND // 10)
    again = Nanos(now + 2 * SECOND)
    rhythm.beat(again)
    assert rhythm.patience(again) == MOST
    for later in map(Nanos, range(again, again + 3 * LATELY, SECOND // 10)):
        rhythm.beat(later)
        rhythm.patience(later)

    assert rhythm.patience(Nanos(again + 3 * LATELY)) == LEAST


@UNHURRIED
@given(st.lists(st.integers(0, 20 * SECOND), min_size=1, max_size=60))
def test_patience_lies_within_its_bounds_and_is_never_shorter_than_the_last_silence(gaps: list[int]) -> None:
    rhythm, now = Rhythm(Nanos(0), MOST), Nanos(0)
    for gap in gaps:
        now = Nanos(now + gap)
        rhythm.beat(now)
        patience = rhythm.patience(now)
        assert LEAST <= patience <= MOST
        assert patience >= min(MOST, TIMES * gap)
