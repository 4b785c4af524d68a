"""Fast conversion agrees with the exact one, or says no."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.grid import OffGrid
from execd.venues.digits import Grid, Unit
from tests.venues.helpers import UNHURRIED, an_instrument

UNITS = ["0.01", "0.00001", "1", "10", "0.5", "0.25", "0.00000001", "0.1000", "1E+2", "5E-3"]


@UNHURRIED
@given(st.sampled_from(UNITS), st.integers(0, 10**15), st.integers(0, 4))
def test_every_multiple_of_a_step_is_counted_exactly(step: str, count: int, zeros: int) -> None:
    text = format(Decimal(step) * count, "f")
    text = text + "0" * zeros if "." in text else text

    assert count == Unit(Decimal(step)).count(text)


@UNHURRIED
@given(st.sampled_from(UNITS), st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=9))
def test_what_lies_off_the_grid_is_refused(step: str, value: Decimal) -> None:
    exact = value / Decimal(step)
    text = format(value, "f")
    if exact == int(exact):
        assert int(exact) == Unit(Decimal(step)).count(text)
    else:
        with pytest.raises(OffGrid):
            Unit(Decimal(step)).count(text)


@UNHURRIED
@given(st.text(max_size=30))
def test_any_text_gives_a_count_or_a_value_error(text: str) -> None:
    try:
        counted = Unit(Decimal("0.01")).count(text)
    except ValueError:
        return
    assert counted == Fraction(text) * 100


@pytest.mark.parametrize(
    "text", ["", ".", ".5", "-1", "+1", "1e3", "1_0", " 1", "1 ", "NaN", "Infinity", "\uff11", "1.2.3"]
)
def test_what_python_would_take_for_a_number_but_no_venue_writes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="decimal"):
        Unit(Decimal("0.01")).count(text)


def test_the_grid_agrees_with_the_instrument() -> None:
    instrument = an_instrument()
    grid = Grid(instrument)

    assert instrument.ticks("64926.64000000") == grid.ticks("64926.64000000")
    assert instrument.lots("0.00123000") == grid.lots("0.00123000")


def test_a_step_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Unit(Decimal("-0.01"))
