"""Retry-After is obeyed: nothing during a ban, only cancels while the rate limit is used up, all of it afterwards."""

from __future__ import annotations

import pytest

from execd.venues.backoff import BANNED, LONGEST_MS, TOO_MANY, Backoff


class Clock:
    """Milliseconds that a test sets."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def refused(backoff: Backoff) -> list[str]:
    """Which kinds of requests are held back now."""
    return [method for method in ("GET", "POST", "DELETE") if backoff.refusal(method) is not None]


@pytest.mark.parametrize(
    ("status", "held"), [(BANNED, ["GET", "POST", "DELETE"]), (TOO_MANY, ["GET", "POST"]), (200, []), (503, [])]
)
def test_what_is_held_back_and_for_how_long(status: int, held: list[str]) -> None:
    clock = Clock()
    backoff = Backoff(clock)

    backoff.heard(status, {"retry-after": "7"})

    assert refused(backoff) == held
    clock.ms += 6_999
    assert refused(backoff) == held
    clock.ms += 1
    assert refused(backoff) == []


@pytest.mark.parametrize("told", [{}, {"Retry-After": ""}, {"Retry-After": "-5"}, {"Retry-After": "Wed, 21 Oct"}])
def test_an_answer_that_names_no_time_holds_nothing_back(told: dict[str, str]) -> None:
    backoff = Backoff(Clock())
    backoff.heard(BANNED, told)
    assert refused(backoff) == []


def test_a_shorter_time_does_not_end_a_longer_one() -> None:
    clock = Clock()
    backoff = Backoff(clock)
    backoff.heard(BANNED, {"Retry-After": "60"})
    backoff.heard(BANNED, {"Retry-After": "1"})
    clock.ms += 2_000
    assert "another 58 s" in str(backoff.refusal("GET"))


def test_no_header_keeps_us_away_longer_than_the_longest_ban() -> None:
    clock = Clock()
    backoff = Backoff(clock)
    backoff.heard(BANNED, {"RETRY-AFTER": "9" * 12})
    clock.ms += LONGEST_MS
    assert refused(backoff) == []
