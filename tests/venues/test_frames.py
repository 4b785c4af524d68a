"""Binance's frames about our own orders: exact facts from good ones, `BadFrame` and nothing else from bad ones."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.events import OrderAccepted, OrderClosed, OrderFilled
from execd.core.grid import Lots, Nanos, Ticks
from execd.core.orders import Fill, Liquidity
from execd.venues.capabilities import CAPABILITIES
from execd.venues.digits import Grid
from execd.venues.streams.binance_frames import AccountFrames, Goodbye, Reply, Report
from execd.venues.streams.feed import BadFrame
from tests.venues.helpers import UNHURRIED, an_instrument

REPLY = CAPABILITIES["binance"].reply
assert REPLY is not None
ACCOUNT = AccountFrames("BTCUSDT", Grid(an_instrument()), REPLY)

REPORT: dict[str, Any] = {
    "e": "executionReport",
    "E": 1499405658658,
    "s": "BTCUSDT",
    "c": "p1n1",
    "S": "BUY",
    "o": "LIMIT",
    "f": "GTC",
    "q": "1.00000000",
    "p": "64926.64000000",
    "P": "0.00000000",
    "F": "0.00000000",
    "g": -1,
    "C": "",
    "x": "NEW",
    "X": "NEW",
    "r": "NONE",
    "i": 4293153,
    "l": "0.00000000",
    "z": "0.00000000",
    "L": "0.00000000",
    "n": "0",
    "N": None,
    "T": 1499405658657,
    "t": -1,
    "I": 8641984,
    "w": True,
    "m": False,
    "M": False,
    "O": 1499405658657,
    "Z": "0.00000000",
    "Y": "0.00000000",
    "Q": "0.00000000",
    "W": 1499405658657,
    "V": "NONE",
}


def account(**changes: object) -> Any:
    return ACCOUNT.decode(json.dumps({"subscriptionId": 0, "event": {**REPORT, **changes}}).encode())


@pytest.mark.parametrize("why", ["serverShutdown", "eventStreamTerminated"])
def test_a_goodbye_is_understood_in_every_wrapping(why: str) -> None:
    bare = json.dumps({"e": why, "E": 1}).encode()

    assert Goodbye(why) == ACCOUNT.decode(bare)
    assert Goodbye(why) == ACCOUNT.decode(json.dumps({"event": {"e": why, "E": 1}}).encode())


def test_a_new_order_is_accepted() -> None:
    report = account()

    assert (
        Report("p1n1", "4293153", Nanos(1499405658658_000_000), (OrderAccepted("p1n1", "4293153", Lots(0)),)) == report
    )


def test_a_partial_execution_is_a_fill_and_no_close() -> None:
    report = account(
        x="TRADE",
        X="PARTIALLY_FILLED",
        t=77,
        l="0.40000000",
        z="0.40000000",
        L="64926.60000000",
        n="0.0004",
        N="BTC",
        m=True,
    )

    fill = Fill(
        "77",
        "p1n1",
        Ticks(6_492_660),
        Lots(40_000),
        Nanos(1499405658657_000_000),
        Liquidity.MAKER,
        Decimal("0.0004"),
        "BTC",
    )
    assert (OrderFilled(fill),) == report.facts


def test_the_last_execution_is_a_fill_and_then_the_close_with_the_final_count() -> None:
    report = account(x="TRADE", X="FILLED", t=78, l="0.60000000", z="1.00000000", L="64926.64000000", n="0", N="BTC")

    filled, closed = report.facts
    assert isinstance(filled, OrderFilled)
    assert Lots(60_000) == filled.fill.quantity
    assert OrderClosed("p1n1", Lots(100_000), "filled") == closed


def test_a_cancel_is_about_the_order_whose_id_stands_in_capital_c() -> None:
    report = account(x="CANCELED", X="CANCELED", c="web_1", C="p1n1", z="0.25000000")

    assert (OrderClosed("p1n1", Lots(25_000), "canceled"),) == report.facts


@pytest.mark.parametrize("original", ["", None])
def test_a_cancel_without_capital_c_keeps_the_small_one(original: str | None) -> None:
    assert (OrderClosed("p1n1", Lots(0), "canceled"),) == account(x="CANCELED", X="CANCELED", C=original).facts


@pytest.mark.parametrize(
    ("execution", "status", "refusal", "reason"),
    [
        ("EXPIRED", "EXPIRED", "NONE", "expired"),
        ("REJECTED", "REJECTED", "INSUFFICIENT_BALANCES", "rejected: INSUFFICIENT_BALANCES"),
        ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", "NONE", "prevented"),
    ],
)
def test_each_way_to_end_closes_with_the_final_count(execution: str, status: str, refusal: str, reason: str) -> None:
    report = account(x=execution, X=status, r=refusal, z="0.10000000")

    assert (OrderClosed("p1n1", Lots(10_000), reason),) == report.facts


def test_a_report_on_another_symbol_is_none_of_this_streams_business() -> None:
    assert account(s="ETHUSDT") is None


def test_an_unknown_status_or_an_execution_without_an_id_is_a_bad_frame() -> None:
    with pytest.raises(BadFrame):
        account(X="SOMETHING_NEW")
    with pytest.raises(BadFrame):
        account(x="TRADE", X="PARTIALLY_FILLED", t=-1)
    with pytest.raises(BadFrame):
        account(x="TRADE", X="PARTIALLY_FILLED", t=1, n="NaN")


def test_a_reply_carries_its_request_and_its_refusal() -> None:
    good = ACCOUNT.decode(b'{"id":"7","status":200,"result":{"subscriptionId":0}}')
    bad = ACCOUNT.decode(b'{"id":"7","status":400,"error":{"code":-1022,"msg":"Signature"}}')

    assert Reply("7", True, "") == good
    assert isinstance(bad, Reply)
    assert not bad.ok
    assert "-1022" in bad.text


@UNHURRIED
@given(st.binary(max_size=200))
def test_any_bytes_give_a_fact_or_a_bad_frame(data: bytes) -> None:
    with contextlib.suppress(BadFrame):
        ACCOUNT.decode(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("epqtTmcCxXizlLnNEs"), inner, max_size=9)
    ),
    max_leaves=12,
)


@UNHURRIED
@given(JSON)
def test_any_json_in_any_envelope_gives_a_fact_or_a_bad_frame(data: object) -> None:
    for frame in ({"event": data}, {"id": data}, data):
        with contextlib.suppress(BadFrame):
            ACCOUNT.decode(json.dumps(frame).encode())


@UNHURRIED
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(REPORT, JSON)))
def test_a_report_with_any_field_wrong_gives_facts_or_a_bad_frame(changes: dict[str, object]) -> None:
    with contextlib.suppress(BadFrame):
        account(**{"e": "executionReport", **changes})


def test_a_frame_nested_beyond_all_reason_is_a_bad_frame() -> None:
    for frame in (b"[" * 100_000, b'{"event":' + b"[" * 100_000 + b"}"):
        with pytest.raises(BadFrame):
            ACCOUNT.decode(frame)
