"""A market as ccxt describes it becomes our grid, with limits on the strict side."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from execd.venues import VenueError
from execd.venues.markets import instrument_of, near

MARKET: dict[str, Any] = {
    "symbol": "BTC/USDT",
    "base": "BTC",
    "quote": "USDT",
    "precision": {"price": "0.01000000", "amount": "0.00100000"},
    "limits": {
        "amount": {"min": "0.00250000", "max": "10.0005"},
        "cost": {"min": "5.00000500", "max": "1000.000009"},
    },
}


def test_limits_are_rounded_to_the_strict_side() -> None:
    found = instrument_of("x", MARKET)

    assert (3, 10_000) == (found.min_quantity, found.max_quantity)
    assert (500_001, 100_000_000) == (found.min_notional, found.max_notional)
    assert "0.01" == str(found.tick)


def test_a_limit_that_the_venue_does_not_name_does_not_bind() -> None:
    found = instrument_of("x", {**MARKET, "limits": {"amount": {"min": None}}})

    assert 1 == found.min_quantity
    assert 0 == found.min_notional
    assert found.tradable(10**15, 10**9)


def test_a_coarse_step_keeps_its_plain_form() -> None:
    found = instrument_of("x", {**MARKET, "precision": {"price": "10", "amount": "1000"}, "limits": {}})

    assert (Decimal(10), "1000") == (found.tick, str(found.lot))


@pytest.mark.parametrize("step", [None, "0", "-1", "NaN", "abc"])
def test_a_market_without_a_step_is_refused(step: str | None) -> None:
    with pytest.raises(VenueError, match="no price or quantity step"):
        instrument_of("x", {**MARKET, "precision": {"price": step, "amount": "1"}})


CONTRACT = {**MARKET, "contract": True, "linear": True, "contractSize": "1"}


def test_a_linear_contract_of_one_is_a_market_like_any_other() -> None:
    assert instrument_of("x", CONTRACT) == instrument_of("x", MARKET)


@pytest.mark.parametrize("other", [{"contractSize": "0.01"}, {"contractSize": None}, {"linear": False}], ids=str)
def test_a_market_whose_quantities_are_not_in_its_base_currency_is_refused(other: dict[str, object]) -> None:
    """An order of 25 BTC must not become one of 25 contracts."""
    with pytest.raises(VenueError, match="execd trades in the base currency only"):
        instrument_of("x", {**CONTRACT, **other})


@pytest.mark.parametrize(("lot", "tick"), [("0.00001", "0.1"), ("0.01", "0.0001"), ("1", "0.000001"), ("1e-6", "1")])
def test_a_tick_may_be_what_a_price_and_a_quantity_have_of_decimals_together(lot: str, tick: str) -> None:
    found = instrument_of("x", {**MARKET, "precision": {"price": "5", "amount": lot}, "limits": {}}, 6)

    assert Decimal(tick) == found.tick


def test_limits_that_leave_nothing_are_refused() -> None:
    limits = {"amount": {"min": "5", "max": "1"}}
    with pytest.raises(VenueError, match="no grid"):
        instrument_of("x", {**MARKET, "limits": limits})


@pytest.mark.parametrize(
    ("asked", "said"),
    [("BTC/USD", "BTC/USDT"), ("btc/usdt", "BTC/USDT"), ("ETH/BTC", "ETH/USDT"), ("ZZZ/QQQ", "")],
)
def test_near_symbols_are_named(asked: str, said: str) -> None:
    assert said in near(asked, ["BTC/USDT", "ETH/USDT", "BNB/USDT"])
    assert "" != near(asked, ["BTC/USDT", "ETH/USDT"]) or said == ""
