"""Binance's REST answers: read whole and exactly, or refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.events import Bar, OrderAccepted, OrderClosed, QuoteChanged
from execd.core.grid import MINUTE, SECOND, Lots, Nanos, Notional, Ticks
from execd.core.orders import Liquidity
from execd.runtime.launch import InterlockError, demand_trade_only
from execd.venues import KeyPermissions, binance_rest
from execd.venues.capabilities import CAPABILITIES, OrderReply
from execd.venues.digits import Grid
from tests.venues.helpers import UNHURRIED, an_instrument

FORM = cast("OrderReply", CAPABILITIES["binance"].reply)
GRID = Grid(an_instrument())
REPLY = {"orderId": "28", "clientOrderId": "p1n1", "status": "NEW", "executedQty": "0.00000000"}


@pytest.mark.parametrize("status", ["NEW", "PARTIALLY_FILLED", "PENDING_NEW", "PENDING_CANCEL"])
def test_a_living_order_is_accepted_with_its_count(status: str) -> None:
    report = binance_rest.order_report({**REPLY, "status": status, "executedQty": "0.10000000"}, FORM, GRID)

    assert OrderAccepted("p1n1", "28", Lots(10_000)) == report.fact


@pytest.mark.parametrize("status", ["FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED"])
def test_an_ended_order_is_closed_with_its_final_count(status: str) -> None:
    report = binance_rest.order_report({**REPLY, "status": status, "executedQty": "0.10000000"}, FORM, GRID)

    assert OrderClosed("p1n1", Lots(10_000), FORM.closed[status]) == report.fact


def test_a_cancels_reply_is_about_the_order_that_it_canceled() -> None:
    reply = {**REPLY, "status": "CANCELED", "clientOrderId": "cancel-1", "origClientOrderId": "p1n1"}

    assert "p1n1" == binance_rest.order_report(reply, FORM, GRID, canceled=True).order


@pytest.mark.parametrize("missing", REPLY)
def test_a_reply_without_any_of_its_fields_is_refused(missing: str) -> None:
    wrong: list[object] = [None, "", True, {}, []]
    for value in wrong:
        with pytest.raises(ValueError, match=r"."):
            binance_rest.order_report({**REPLY, missing: value}, FORM, GRID)


@pytest.mark.parametrize("reply", [None, "", "<html>", [], 5])
def test_what_is_no_object_is_refused(reply: object) -> None:
    with pytest.raises(ValueError, match="JSON object"):
        binance_rest.order_report(reply, FORM, GRID)


@UNHURRIED
@given(st.dictionaries(st.sampled_from(list(REPLY)), st.none() | st.text(max_size=9) | st.integers() | st.floats()))
def test_a_reply_of_any_form_gives_a_report_or_a_value_error(changes: dict[str, Any]) -> None:
    try:
        report = binance_rest.order_report({**REPLY, **changes}, FORM, GRID)
    except ValueError:
        return
    assert report.order
    assert report.venue_id
    assert report.filled >= 0


def test_a_row_of_our_trades_is_a_fill() -> None:
    row = {
        "id": "28457",
        "orderId": "100234",
        "price": "49999.99000000",
        "qty": "0.00012000",
        "commission": "0.00000012",
        "commissionAsset": "BTC",
        "time": "1499865549590",
        "isBuyer": True,
        "isMaker": True,
    }

    fill = binance_rest.fill(row, "p1n1", GRID)

    assert ("28457", "p1n1", Ticks(4_999_999), Lots(12)) == (fill.id, fill.order, fill.price, fill.quantity)
    assert Liquidity.MAKER is fill.liquidity
    assert (Decimal("0.00000012"), "BTC") == (fill.fee, fill.fee_currency)
    assert Nanos(1499865549590_000_000) == fill.at
    with pytest.raises(ValueError, match="isMaker"):
        binance_rest.fill({**row, "isMaker": "yes"}, "p1n1", GRID)


def test_a_quote_needs_both_sides() -> None:
    row = {"bidPrice": "1.00000000", "bidQty": "0.00002000", "askPrice": "1.01000000", "askQty": "0.00003000"}

    expected = QuoteChanged(Ticks(100), Lots(2), Ticks(101), Lots(3), Nanos(9))
    assert expected == binance_rest.quote(row, GRID, Nanos(9))
    with pytest.raises(ValueError, match="empty"):
        binance_rest.quote({**row, "bidPrice": "0.00000000"}, GRID, Nanos(9))


@pytest.mark.parametrize(
    ("interval", "name"),
    [(SECOND, "1s"), (7 * SECOND, "1s"), (MINUTE, "1m"), (7 * MINUTE, "1m"), (10 * MINUTE, "5m"), (45 * MINUTE, "15m")],
)
def test_the_longest_kline_that_divides_an_interval_is_used(interval: int, name: str) -> None:
    found = binance_rest.kline_for(Nanos(interval))

    assert found is not None
    assert name == found[0]


def test_a_kline_is_a_bar_with_an_exact_notional() -> None:
    row = [1499040000000, "1.00", "3.00", "1.00", "2.00", "0.00003000", 1499040059999, "0.00005000", 3, "0", "0", "0"]

    bar = binance_rest.kline_bar(row, an_instrument())

    assert Bar(Nanos(1499040000000_000_000), Lots(3), Notional(500), Ticks(200), 3) == bar


def test_an_old_kline_off_todays_grid_is_rounded_down() -> None:
    row = [0, "1", "1", "1", "2.009", "0.000039", 1, "0.000050099", 3]

    bar = binance_rest.kline_bar(row, an_instrument())

    assert (Lots(3), Notional(500), Ticks(200)) == (bar.volume, bar.notional, bar.close)


@pytest.mark.parametrize("row", [[], "123456789", None, {}, [1, 2, 3]])
def test_what_is_no_kline_is_refused(row: object) -> None:
    with pytest.raises(ValueError, match="kline"):
        binance_rest.kline_bar(row, an_instrument())


def kline(second: int, volume: int = 1, close: int = 10) -> Bar:
    return Bar(Nanos(second * SECOND), Lots(volume), Notional(volume * close), Ticks(close), 1 if volume else 0)


def test_a_second_without_a_kline_had_no_trades_and_keeps_the_last_price() -> None:
    bars = binance_rest.merge(
        [kline(10, 5, 20), kline(13, 7, 30)], Nanos(SECOND), Nanos(2 * SECOND), Nanos(16 * SECOND), 3
    )

    assert [10, 12, 14] == [bar.start // SECOND for bar in bars]
    assert [5, 7, 0] == [bar.volume for bar in bars]
    assert [20, 30, 30] == [bar.close for bar in bars]
    assert [1, 1, 0] == [bar.trades for bar in bars]


def test_what_lies_before_the_first_kline_is_unknown_and_left_out() -> None:
    bars = binance_rest.merge([kline(13)], Nanos(SECOND), Nanos(2 * SECOND), Nanos(16 * SECOND), 5)

    assert [14] == [bar.start // SECOND for bar in bars]
    assert [] == binance_rest.merge([], Nanos(SECOND), Nanos(SECOND), Nanos(16 * SECOND), 5)


@UNHURRIED
@given(st.lists(st.integers(0, 59), unique=True, min_size=1).map(sorted), st.integers(1, 12))
def test_merging_loses_no_volume_of_whole_bars(seconds: list[int], length: int) -> None:
    klines = [kline(second, second + 1, second + 1) for second in seconds]

    bars = binance_rest.merge(klines, Nanos(SECOND), Nanos(length * SECOND), Nanos(60 * SECOND), 60)

    covered = [one for one in klines if bars and one.start >= bars[0].start]
    assert sum(one.volume for one in covered) == sum(bar.volume for bar in bars)
    assert sum(one.notional for one in covered) == sum(bar.notional for bar in bars)


RIGHTS = {
    "enableSpotAndMarginTrading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "permitsUniversalTransfer": False,
    "ipRestrict": True,
}


def test_a_key_that_may_only_trade_from_one_address_is_seen_as_such() -> None:
    assert binance_rest.key_permissions(RIGHTS) == KeyPermissions(may_trade=True, ip_listed=True, excess=())


@pytest.mark.parametrize("absent", sorted(RIGHTS))
def test_a_right_that_the_venue_does_not_tell_counts_as_the_worse(absent: str) -> None:
    told = {name: value for name, value in RIGHTS.items() if name != absent}

    assert binance_rest.key_permissions(told) != binance_rest.key_permissions(RIGHTS)
    with pytest.raises(InterlockError, match="key"):
        demand_trade_only(binance_rest.key_permissions(told))


def test_a_key_that_may_only_trade_passes_the_interlock() -> None:
    demand_trade_only(binance_rest.key_permissions(RIGHTS))
