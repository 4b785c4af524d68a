"""What is admitted can be scheduled inside every limit; what cannot is refused with what to change."""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.core.orders import Finish, Urgency
from execd.core.schedule import Schedule
from execd.runtime.admission import LATE, Admission, AdmissionRefused, admit, parent_id, window
from execd.runtime.settings import OrderFile, RiskFile, load
from tests.runtime.markets import ASK, BID, NOW, RISK_FILE, ROOT, market


def order(**changes: Any) -> OrderFile:
    given: dict[str, Any] = {"symbol": "BTC/USDT", "side": "buy", "quantity": "1", "duration": "90s"} | changes
    return OrderFile(**{key: value for key, value in given.items() if value is not None})


def admitted(risk: RiskFile = RISK_FILE, **changes: Any) -> Admission:
    return admit(order(**changes), market(), Ticks(BID), Ticks(ASK), risk, now=NOW)


def refused(risk: RiskFile = RISK_FILE, **changes: Any) -> str:
    with pytest.raises(AdmissionRefused) as refusal:
        admitted(risk, **changes)
    return str(refusal.value)


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "orders").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_admitted_on_the_practice_exchange(path: Path) -> None:
    example = load(path, OrderFile)
    admission = admit(example, market(example.symbol), Ticks(BID), Ticks(ASK), RISK_FILE, now=NOW)

    assert admission.warnings == ()
    assert admission.parent.slices >= 12


def test_the_parent_is_what_the_file_says() -> None:
    admission = admitted(
        side="sell",
        quantity="0.5",
        limit_price="64000.5",
        slices="9",
        participation="5%",
        urgency="low",
        finish="leave",
    )
    parent = admission.parent

    assert (parent.side, parent.quantity, parent.limit) == (Side.SELL, Lots(50_000), Ticks(64_000_50))
    assert (parent.start, parent.end, parent.slices) == (NOW, NOW + 90 * SECOND, 9)
    assert (parent.participation_ppm, parent.budget) == (50_000, None)
    assert (parent.urgency, parent.finish) == (Urgency.LOW, Finish.LEAVE)


def test_the_limits_are_those_of_risk_yaml_on_the_grid() -> None:
    limits, own, common = admitted().limits, RISK_FILE.instruments["BTC/USDT"], RISK_FILE.limits

    assert limits.child_quantity == own.child_quantity * 100_000
    assert limits.child_notional == own.child_notional * 10_000_000
    assert limits.window_quantity == own.window_quantity * 100_000
    assert limits.parent_notional == own.parent_notional * 10_000_000
    assert limits.day_notional == own.day_notional * 10_000_000
    for name in set(type(common).model_fields) - {"participation", "ahead"}:
        assert getattr(limits, name) == getattr(common, name)
    assert (limits.participation_ppm, limits.ahead_ppm) == (common.participation, common.ahead)
    assert all(isinstance(value, int) for value in dataclasses.astuple(limits))


def test_an_order_tightens_participation_and_never_loosens_it() -> None:
    tight = admitted(participation="2%")
    assert tight.parent.participation_ppm == 20_000
    assert tight.limits.participation_ppm == RISK_FILE.limits.participation, "the gate takes the smaller of the two"
    assert admitted().parent.participation_ppm == RISK_FILE.limits.participation
    assert "participation: value is 20%; allowed: at most 10%" in refused(participation="20%")


def test_money_becomes_a_quantity_at_the_mid_rounded_down_with_a_budget() -> None:
    buy, sell = admitted(quantity=None, notional="25000"), admitted(quantity=None, notional="25000", side="sell")

    assert buy.parent.quantity == 38_461  # 25,000 / 65,000 = 0.384615...
    assert buy.parent.quantity * 65_000_00 <= 25_000 * 10_000_000 < (buy.parent.quantity + 1) * 65_000_00
    assert buy.parent.budget == 25_000 * 10_000_000
    assert (sell.parent.quantity, sell.parent.budget) == (38_461, None)


def test_an_id_is_derived_from_file_and_moment_and_short_enough_for_every_exchange() -> None:
    one, later, other = parent_id("a" * 64, NOW), parent_id("a" * 64, Nanos(NOW + 1)), parent_id("b" * 64, NOW)
    assert one == parent_id("a" * 64, NOW)
    assert len({one, later, other}) == 3
    assert re.fullmatch("[a-z][a-z0-9]{1,17}", one)
    assert len(dataclasses.replace(admitted().parent, id=one).client_id(999_999_999)) <= 28
    # Client ids are taken apart at the number: nothing before it may look like one.
    assert re.fullmatch("p[a-z2-7]{15}", one)


def test_the_plan_adds_up_and_is_the_cores_own() -> None:
    curve = (0.1, 0.15, 0.6, 1.0)
    admission = admit(order(slices="4"), market(), Ticks(BID), Ticks(ASK), RISK_FILE, now=NOW, curve=curve)
    schedule = Schedule(admission.parent, admission.curve, admission.limits.ahead_ppm)

    assert [row.lots for row in admission.plan] == [10_000, 5_000, 45_000, 40_000]
    assert [row.planned for row in admission.plan] == [schedule.planned(number) for number in range(4)]
    assert [row.start for row in admission.plan] == [admission.parent.boundary(number) for number in range(4)]
    assert admission.plan[-1].end == admission.parent.end


# ------------------------------------------------------------------------------------------------------- the window


@pytest.mark.parametrize(
    ("changes", "slices"),
    [
        ({"duration": "90s"}, 12),
        ({"duration": "10s"}, 2),
        ({"duration": "10m"}, 12),
        ({"duration": "4h"}, 240),
        ({"duration": "7d"}, 5000),
        ({"duration": "90s", "slice": "4s"}, 22),
        ({"duration": "10s", "slice": "1h"}, 1),
        ({"duration": "90s", "slices": "15"}, 15),
    ],
)
def test_slices_are_as_asked_or_of_a_sensible_length(changes: dict[str, str], slices: int) -> None:
    assert window(order(**changes), NOW).slices == slices


def test_a_window_in_the_future_stays_and_one_just_begun_begins_now() -> None:
    ahead = window(order(start=Nanos(NOW + 3600 * SECOND)), NOW)
    late = window(order(start=Nanos(NOW - LATE)), NOW)

    assert (ahead.start - NOW, ahead.end - NOW) == (3600 * SECOND, 3690 * SECOND)
    assert (late.start - NOW, late.end - NOW) == (0, 90 * SECOND)
    assert "start: value is" in refused(start=Nanos(NOW - LATE - 1000))


def test_an_end_counts_from_no_start_but_its_own() -> None:
    assert window(order(duration=None, end=Nanos(NOW + 60 * SECOND)), NOW).end == NOW + 60 * SECOND
    assert "end: value is 5s after the start; allowed: from 10s to 7d" in refused(
        duration=None, end=Nanos(NOW + 5 * SECOND)
    )
    assert "to 7d after the start" in refused(duration=None, end=Nanos(NOW + 8 * 86_400 * SECOND))
    assert "end: value is" in refused(duration=None, end=NOW)


# --------------------------------------------------------------------------------------- what cannot be scheduled


def test_small_slices_are_carried_and_said() -> None:
    """0.0005 BTC in 12 slices are 2.70 USDT each; the exchange's least order is 5 USDT."""
    warnings = admitted(quantity="0.0005", slices="12").warnings

    assert len(warnings) == 1
    assert "12 of 12 slices are smaller than the exchange's least order of 0.00008 BTC" in warnings[0]
    assert "slices: 6 or fewer" in warnings[0]
    assert admitted(quantity="0.0005", slices="6").warnings == ()


def test_the_number_of_slices_that_is_offered_works() -> None:
    for quantity in ("0.0001", "0.00031", "0.002"):
        told = re.search(r"slices: (\d+) or fewer", admitted(quantity=quantity, slices="60").warnings[0])
        assert told is not None
        assert admitted(quantity=quantity, slices=told[1]).warnings == ()


def test_a_price_far_from_the_market_is_a_slip_or_said() -> None:
    assert "limit_price: value is 78000; allowed: at most 71501.10" in refused(limit_price="78000")
    assert "limit_price: value is 50000; allowed: at least 58499.10" in refused(limit_price="50000", side="sell")
    assert admitted(limit_price="71501.10").parent.limit == 71_501_10
    assert "likely nothing will trade" in admitted(limit_price="50000").warnings[0]
    assert "likely nothing will trade" in admitted(limit_price="80000", side="sell").warnings[0]


def test_a_price_that_is_offered_works() -> None:
    for side in ("buy", "sell"):
        text = refused(limit_price="65000.017", side=side)
        for offered in re.findall(r"65000\.0[12]", text.partition("nearest are")[2]):
            assert admitted(limit_price=offered, side=side).parent.limit is not None
        assert "65000.01 or 65000.02" in text


def test_a_quantity_that_is_offered_works() -> None:
    told = re.search(r"that is ([\d.]+) BTC", refused(quantity="40", duration="4h"))
    assert told is not None
    assert admitted(quantity=told[1], duration="4h").parent.quantity > 0
    least = re.search(r"at least ([\d.]+) BTC", refused(quantity="0.00001"))
    assert least is not None
    assert admitted(quantity=least[1], slices="1").warnings == ()


def test_a_duration_that_is_offered_works() -> None:
    told = re.search(r"window_quantity\); (\w+) would do", refused(quantity="25"))
    assert told is not None
    assert admitted(quantity="25", duration=told[1]).parent.quantity == 2_500_000


def test_all_problems_are_told_at_once() -> None:
    text = refused(quantity="0.123456", limit_price="65000.001", participation="20%")
    assert [line.split(": ")[1] for line in text.splitlines()] == ["limit_price", "quantity", "participation"]


def test_a_market_without_a_usable_quote_is_refused() -> None:
    for bid, ask in ((0, ASK), (ASK, BID), (BID, BID)):
        with pytest.raises(AdmissionRefused, match="no usable quote"):
            admit(order(), market(), Ticks(bid), Ticks(ask), RISK_FILE, now=NOW)


def test_a_limit_that_leaves_nothing_is_refused_with_its_key() -> None:
    own = RISK_FILE.instruments["BTC/USDT"].model_copy(update={"child_quantity": Decimal("0.000001")})
    text = refused(RISK_FILE.model_copy(update={"instruments": {"BTC/USDT": own}}))
    assert "instruments.BTC/USDT.child_quantity: value is 0.000001; allowed: at least 0.00001" in text


def test_without_risk_yaml_nothing_is_admitted() -> None:
    assert "symbol: value is BTC/USDT; allowed: none yet" in refused(RiskFile())


@hypothesis_settings(deadline=None, max_examples=200)
@given(
    st.decimals("0.00001", "40", places=5),
    st.integers(1, 5000),
    st.integers(10, 7 * 86_400),
    st.sampled_from(["buy", "sell"]),
    st.one_of(st.none(), st.decimals("40000", "90000", places=2)),
)
def test_what_is_admitted_keeps_every_promise(
    quantity: Decimal, slices: int, seconds: int, side: str, limit: Decimal | None
) -> None:
    try:
        admission = admitted(
            quantity=quantity, slices=str(slices), duration=f"{seconds}s", side=side, limit_price=limit
        )
    except AdmissionRefused as refusal:
        told = refusal.problems
    else:
        told = ()
        keeps_its_promises(admission, quantity)
    assert all(": value is " in line and "; allowed: " in line for line in told)


def keeps_its_promises(admission: Admission, quantity: Decimal) -> None:
    grid = market()
    parent, limits = admission.parent, admission.limits
    assert grid.quantity(parent.quantity) == quantity
    assert grid.least(Ticks(BID)) <= parent.quantity
    assert parent.quantity * ASK <= limits.parent_notional
    assert parent.end - parent.start >= parent.slices * SECOND
    assert sum(row.lots for row in admission.plan) == parent.quantity
    assert all(row.lots >= 0 for row in admission.plan)
