"""When a rule takes what passes: its patterns, counts, windows and chances, and that all of it can be repeated."""

from __future__ import annotations

import pytest

from execd.core.grid import SECOND, Nanos
from execd.exchange.faults import Drop, Faults, Lose, Matched, NotFound, Page, RequestRule, Reset
from execd.exchange.storm import Seen, Storm

POST = "POST /api/v3/order"


class Hands:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> Nanos:
        return Nanos(round(self.now_s * SECOND))


def storm(*rules: RequestRule | Lose | Reset, seed: int = 1, clock: Hands | None = None) -> Storm:
    return Storm(Faults(list(rules), seed), clock or Hands())


def taken(weather: Storm, count: int, seen: Seen | None = None) -> list[bool]:
    """Which of so many equal requests a rule takes."""
    return [weather.request(seen or Seen(POST)) is not None for _ in range(count)]


def test_a_rule_lets_the_first_pass_and_takes_no_more_than_it_may() -> None:
    assert taken(storm(Drop(skip=2, times=2)), 6) == [False, False, True, True, False, False]


def test_the_first_rule_that_fits_takes_it_and_the_next_does_not_count_it() -> None:
    first, second = Page(times=1), Drop(skip=1)
    weather = storm(first, second)

    assert [weather.request(Seen(POST)) for _ in range(3)] == [first, None, second]
    assert weather.done == {"page": 1, "drop": 1}


@pytest.mark.parametrize(
    ("rule", "seen"),
    [
        (Drop(on="GET *"), Seen(POST)),
        (Drop(order="*n3"), Seen(POST, "p1n4", "BTCUSDT")),
        (Drop(symbol="ETH*"), Seen(POST, "p1n3", "BTCUSDT")),
        (NotFound(for_s=2), Seen(POST, "p1n3", "BTCUSDT", 2.0)),
        (NotFound(for_s=2), Seen(POST, "p1n3", "BTCUSDT", None)),
    ],
    ids=["path", "order", "symbol", "old order", "unknown order"],
)
def test_what_does_not_fit_passes(rule: RequestRule, seen: Seen) -> None:
    assert not any(taken(storm(rule), 3, seen))
    assert any(taken(storm(Drop()), 1, seen))


def test_what_fits_every_pattern_is_taken() -> None:
    seen = Seen(POST, "p1n3", "BTCUSDT", 1.0)

    assert all(taken(storm(Drop(on="POST *", order="*n3", symbol="BTC*")), 3, seen))
    assert all(taken(storm(NotFound(for_s=2)), 3, seen))


def test_a_window_opens_and_closes() -> None:
    clock = Hands()
    weather = storm(Drop(from_s=10, until_s=20), clock=clock)

    found = []
    for clock.now_s in (0.0, 9.9, 10.0, 19.9, 20.0):
        found += taken(weather, 1)

    assert found == [False, False, True, True, False]


def test_the_same_seed_takes_the_same_and_another_does_not() -> None:
    def chances(seed: int) -> list[bool]:
        return taken(storm(Drop(chance=0.5), seed=seed), 64)

    assert chances(1) == chances(1) != chances(2)
    assert 16 < sum(chances(1)) < 48


def test_the_chance_of_one_rule_does_not_depend_on_another() -> None:
    """A rule that is added for other traffic leaves all that was found with the file as it was."""
    alone = taken(storm(Drop(chance=0.5), Lose(chance=0.5)), 64)
    weather = storm(Drop(chance=0.5), Lose(chance=0.5))
    among = []
    for _ in range(64):
        among.append(weather.request(Seen(POST)) is not None)
        weather.frame(Seen("btcusdt@trade"))

    assert alone == among


def test_an_alarm_rings_at_its_moments_and_no_more_than_it_may() -> None:
    clock = Hands()
    rule = Reset(at_s=10, every_s=5, times=3)
    weather = storm(rule, clock=clock)

    rung = []
    for clock.now_s in (9.9, 10.0, 10.1, 15.0, 40.0, 99.0):
        rung.append(len(weather.due()))

    assert rung == [0, 1, 0, 1, 1, 0]


def test_an_alarm_without_a_pace_rings_once() -> None:
    clock = Hands()
    weather = storm(Reset(at_s=1), clock=clock)
    clock.now_s = 50.0

    assert [len(weather.due()) for _ in range(2)] == [1, 0]


def test_requests_and_frames_do_not_take_each_others_rules() -> None:
    lose: Matched = Lose()
    weather = storm(Lose(), Drop())

    assert weather.request(Seen(POST)) == Drop()
    assert weather.frame(Seen("reply")) == lose
