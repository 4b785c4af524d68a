"""Every rounding goes the way its name says, and what is exact stays exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.grid import OffGrid, Side, Ticks
from tests.core.build import an_instrument

AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=9)
COUNTS = st.integers(-(10**15), 10**15)


def test_a_buy_adds_and_a_sell_subtracts() -> None:
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert (Side.BUY.opposite, Side.SELL.opposite) == (Side.SELL, Side.BUY)


@given(COUNTS)
def test_ticks_and_lots_survive_the_way_to_decimal_and_back(count: int) -> None:
    instrument = an_instrument()

    assert instrument.ticks(instrument.price(count)) == count
    assert instrument.lots(instrument.quantity(count)) == count
    assert instrument.ticks(str(instrument.price(count))) == count


def test_the_venues_strings_are_read_exactly() -> None:
    instrument = an_instrument(tick=Decimal("0.01000000"), lot=Decimal("0.00100000"))

    assert instrument.ticks("64926.64000000") == 6_492_664
    assert instrument.lots("0.12300000") == 123


@pytest.mark.parametrize(("read", "value"), [("ticks", "100.001"), ("lots", "0.0015"), ("lots", "1e-9")])
def test_a_value_between_two_grid_points_is_refused_by_name(read: str, value: str) -> None:
    instrument = an_instrument()

    with pytest.raises(OffGrid, match=r"BTC/USDT (price|quantity) .* is not a multiple of 0\.0"):
        getattr(instrument, read)(value)


def test_a_value_is_refused_however_little_it_lies_beside_the_grid() -> None:
    """Thirty digits: the quotient is rounded to 28 before it is asked whether it is whole."""
    with pytest.raises(OffGrid):
        an_instrument().lots("1.00000000000000000000000000001")


@given(AMOUNTS)
def test_a_limit_price_is_never_rounded_to_the_clients_cost(price: Decimal) -> None:
    instrument = an_instrument()
    buy, sell = instrument.ticks_not_worse(price, Side.BUY), instrument.ticks_not_worse(price, Side.SELL)

    assert instrument.price(buy) <= price < instrument.price(buy + 1)
    assert instrument.price(sell - 1) < price <= instrument.price(sell)


@given(AMOUNTS)
def test_a_quantity_is_rounded_down(quantity: Decimal) -> None:
    instrument = an_instrument()
    lots = instrument.lots_down(quantity)

    assert instrument.quantity(lots) <= quantity < instrument.quantity(lots + 1)


@given(AMOUNTS)
def test_a_most_of_money_is_rounded_down_and_a_least_up(money: Decimal) -> None:
    instrument = an_instrument()
    most, least = instrument.notional_down(money), instrument.notional_up(money)

    assert instrument.money(most) <= money < instrument.money(most + 1)
    assert instrument.money(least - 1) < money <= instrument.money(least)


def test_an_average_is_a_price_and_nothing_without_volume() -> None:
    instrument = an_instrument()

    assert instrument.average(2 * 10_000 + 10_003, 3) == Decimal("100.01")
    assert instrument.average(0, 0) is None


@pytest.mark.parametrize(
    ("lots", "ticks", "accepted"),
    [
        (5, 10_000, True),
        (5, 9_999, False),  # 49,995 of a least notional of 50,000
        (4, 12_500, True),
        (4, 12_499, False),
        (3, 50_000, False),  # below the least quantity
        (80, 10_000, True),
        (81, 10_000, False),  # above the greatest quantity
        (80, 12_500, True),
        (80, 12_501, False),  # above the greatest notional
    ],
)
def test_what_the_exchange_accepts_ends_at_each_of_its_filters(lots: int, ticks: int, accepted: bool) -> None:
    instrument = an_instrument(min_quantity=4, max_quantity=80, max_notional=1_000_000)

    assert instrument.tradable(lots, ticks) is accepted


@given(st.integers(1, 10**7), st.integers(1, 10**6), st.integers(0, 10**9))
def test_the_least_quantity_is_accepted_and_one_lot_less_is_not(ticks: int, minimum: int, notional: int) -> None:
    instrument = an_instrument(
        min_quantity=minimum, max_quantity=10**18, min_notional=notional, max_notional=10**24, lot=Decimal(1)
    )
    least = instrument.least(Ticks(ticks))

    assert instrument.tradable(least, ticks)
    assert not instrument.tradable(least - 1, ticks)


@pytest.mark.parametrize("price", [0, -5])
def test_the_least_quantity_at_no_price_at_all_is_still_a_number(price: int) -> None:
    assert an_instrument().least(Ticks(price)) == 50_000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tick": Decimal(0)}, "tick 0 and lot 0.001 must be positive"),
        ({"lot": Decimal("-0.1")}, "tick 0.01 and lot -0.1 must be positive"),
        ({"min_quantity": 0}, "quantity limits 0..100000 lots are empty"),
        ({"min_quantity": 7, "max_quantity": 6}, "quantity limits 7..6 lots are empty"),
    ],
)
def test_an_instrument_without_a_grid_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"BTC/USDT: {words}"):
        an_instrument(**changes)
