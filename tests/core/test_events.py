"""Facts are named in the past tense, cannot be changed, and there is no fact outside the union."""

from __future__ import annotations

import dataclasses
import inspect
from typing import get_args

import msgspec
import pytest

from execd.core import commands, events
from execd.core.events import UNKNOWN_HOURS, Bar, Channel, Event, Gap, Hours, MarketView, Print
from execd.core.grid import HOUR, Lots, Nanos, Notional, Ticks
from tests.core.build import a_bar, a_market

# What facts are made of, and facts are not.
PARTS = {Bar, Channel, Gap, Hours, MarketView}


def test_the_mid_is_doubled_so_that_it_stays_whole() -> None:
    assert a_market(bid=10_000, ask=10_001).mid2 == 20_001


def test_half_a_quote_has_no_mid() -> None:
    assert a_market(bid=None).mid2 is None
    assert a_market(ask=None).mid2 is None


def test_a_market_of_which_nothing_is_known_says_so() -> None:
    nothing = MarketView()

    assert [nothing.mid2, nothing.last, nothing.quote_at, nothing.last_at, nothing.first_id] == [None] * 5
    assert [nothing.volume, nothing.notional, nothing.trailing_volume, nothing.lost] == [0] * 4
    assert [nothing.gaps, nothing.bars] == [(), ()]


def an_hour(number: int, volume: int, minutes: int = 0) -> Bar:
    """The bar that starts so many minutes into an hour since the epoch, and whose price is the hour's number."""
    start = Nanos(number * HOUR + minutes * HOUR // 60)
    return Bar(start, Lots(volume), Notional(volume * number), Ticks(number), 1)


def test_the_hours_of_no_bars_are_unknown() -> None:
    assert Hours.of([]) == UNKNOWN_HOURS == Hours(Nanos(0), (), ())


def test_no_hour_is_missing_between_the_first_bar_and_the_last() -> None:
    """Those that no bar speaks of are unknown: 0 for both, never a neighbor's price."""
    made = Hours.of([an_hour(40, 5), an_hour(41, 6), an_hour(44, 7)])

    assert made.start == 40 * HOUR
    assert made.volume == (5, 6, 0, 0, 7)
    assert made.close == (40, 41, 0, 0, 44)


def test_an_hour_in_which_nothing_traded_is_an_unknown_one_whatever_price_its_bar_repeats() -> None:
    made = Hours.of([an_hour(40, 0), an_hour(41, 6), an_hour(42, 0)])

    assert (made.start, made.volume, made.close) == (40 * HOUR, (0, 6, 0), (0, 41, 0))


def test_a_bar_belongs_to_the_hour_in_which_it_starts() -> None:
    made = Hours.of([an_hour(40, 5, minutes=59), an_hour(41, 6, minutes=1)])

    assert (made.start, made.volume, made.close) == (40 * HOUR, (5, 6), (40, 41))


def test_every_fact_of_the_module_is_in_one_of_the_two_unions() -> None:
    """A fact that is in no union is one that mypy lets nobody forget to handle."""
    made_here = {
        thing for _, thing in inspect.getmembers(events, inspect.isclass) if thing.__module__ == events.__name__
    }

    assert made_here == set(get_args(Event)) | set(get_args(Print)) | PARTS


def test_every_command_of_the_module_is_in_the_union() -> None:
    made_here = {
        thing for _, thing in inspect.getmembers(commands, inspect.isclass) if thing.__module__ == commands.__name__
    }

    assert made_here == set(get_args(commands.Command)) | {commands.Observation}


@pytest.mark.parametrize("kind", [*get_args(Event), *get_args(Print), *get_args(commands.Command), Bar, MarketView])
def test_a_message_is_frozen(kind: type) -> None:
    if issubclass(kind, msgspec.Struct):  # the prints, of which thousands are made a second
        assert kind.__struct_config__.frozen
        return
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]  # dataclasses does not type it
    assert "__slots__" in vars(kind)


def test_changing_a_fact_is_an_error() -> None:
    bar = a_bar()

    with pytest.raises(dataclasses.FrozenInstanceError):
        bar.close = 1  # type: ignore[misc,assignment]  # it is the point
