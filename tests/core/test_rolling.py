"""A rolling sum holds the seconds of its span, whatever the order in which their prints come or are taken back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.grid import SECOND, Nanos
from execd.core.rolling import Rolling
from tests.core.build import at


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 100), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 10),
)
@settings(max_examples=200)
def test_a_rolling_sum_is_that_of_the_seconds_in_its_span(steps: list[tuple[int, int, bool]], span: int) -> None:
    """Prints come early and late; `now` only moves forward.  A second that has left the span has left for good."""
    rolling = Rolling(Nanos(span * SECOND))
    prints: list[tuple[int, int]] = []
    now = 0
    for second, volume, looks in steps:
        if looks:
            now = max(now, second)
            rolling.forget(Nanos(now * SECOND))
        else:
            rolling.add(Nanos(second * SECOND + 7), volume, 3 * volume, 3, 3)
            prints.append((second, volume))
    latest = max([now, *(second for second, _ in prints)])
    rolling.forget(Nanos(latest * SECOND))

    assert rolling.volume == sum(volume for second, volume in prints if second > latest - span)
    assert rolling.notional == 3 * rolling.volume


def test_a_print_a_whole_span_later_pushes_out_what_came_before_it() -> None:
    """By itself, so that the memory is bounded even if nobody looks."""
    rolling = Rolling(Nanos(10 * SECOND))
    rolling.add(at(0), 5, 500, 100, 100)
    rolling.add(at(9), 6, 600, 100, 100)
    rolling.add(at(10), 7, 700, 100, 100)

    assert (rolling.volume, rolling.notional) == (13, 1_300)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 1_000)), max_size=60), st.integers(1, 12))
def test_the_lowest_and_the_highest_trade_are_those_of_the_last_seconds(
    prints: list[tuple[int, int]], span: int
) -> None:
    """Whatever the order of arrival."""
    rolling = Rolling(Nanos(60 * SECOND))
    for second, price in prints:
        rolling.add(Nanos(second * SECOND + 7), 1, price, price, price)

    within = [price for second, price in prints if second > 40 - span]

    assert rolling.extremes(Nanos(40 * SECOND), span) == ((min(within), max(within)) if within else None)


def test_what_is_taken_back_leaves_the_sums_of_its_second_and_not_its_extremes() -> None:
    """They only ever show too much of a swing, never too little of it."""
    rolling = Rolling(Nanos(10 * SECOND))
    assert rolling.add(at(0), 5, 500, 90, 100) == 5
    assert rolling.add(at(0.5), 6, 600, 100, 110) == 11

    rolling.take_back(at(0), 5, 500)

    assert (rolling.volume, rolling.notional) == (6, 600)
    assert rolling.extremes(at(1), 10) == (90, 110)


def test_what_has_left_the_span_can_neither_come_nor_be_taken_back() -> None:
    rolling = Rolling(Nanos(10 * SECOND))
    rolling.add(at(0), 5, 500, 100, 100)
    rolling.forget(at(10))

    assert rolling.add(at(0), 7, 700, 100, 100) == 7, "all that is known of that second"
    rolling.take_back(at(0), 5, 500)

    assert (rolling.volume, rolling.notional) == (0, 0)
