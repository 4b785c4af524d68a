"""The fuse: whatever asks, no more than the parent can leave, and a breach ends it for good."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.events import (
    MarketObserved,
    MarketView,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    Woken,
)
from execd.core.grid import BPS, SECOND, Lots, Nanos, Side, Ticks
from execd.runtime.arming import band, recall
from execd.runtime.journal import Row
from execd.venues.fuse import Fuse
from tests.core.build import limits as wide
from tests.venues.helpers import UNHURRIED, a_fill, a_fuse, a_submit

NOON = Nanos(1_000 * SECOND)


def closed(order: str, filled: int) -> OrderClosed:
    return OrderClosed(order, Lots(filled), "canceled")


def test_an_order_within_all_limits_passes_and_is_counted() -> None:
    fuse = a_fuse(quantity=100)

    assert fuse.check(a_submit(1, 60, at=NOON), NOON) is None
    assert fuse.committed == 60
    assert fuse.blown is None


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (a_submit(2, 41, at=NOON), "exceed"),
        (a_submit(2, 0, at=NOON), "exceed"),
        (a_submit(1, 1, at=NOON), "sent before"),
        (a_submit(2, 1, at=NOON, side=Side.SELL), "wrong side"),
        (a_submit(2, 1, 89, at=NOON), "outside"),
        (a_submit(2, 1, 111, at=NOON), "outside"),
        (a_submit(2, 1, at=NOON, order="p2n2"), "no child"),
        (a_submit(2, 1, at=NOON, order="p1nx"), "no child"),
    ],
)
def test_a_breach_blows_the_fuse_and_then_nothing_passes(bad: object, word: str) -> None:
    fuse = a_fuse(quantity=100, lowest=90, highest=110)
    assert fuse.check(a_submit(1, 60, 100, at=NOON), NOON) is None

    reason = fuse.check(bad, NOON)  # type: ignore[arg-type]  # the table mixes orders only

    assert reason is not None
    assert word in reason
    assert word in str(fuse.blown)
    assert fuse.check(a_submit(9, 1, 100, at=NOON), NOON) == reason
    assert fuse.committed == 60


def test_both_ends_of_the_price_band_pass() -> None:
    fuse = a_fuse(lowest=90, highest=110)

    assert fuse.check(a_submit(1, 1, 90), NOON) is None
    assert fuse.check(a_submit(2, 1, 110), NOON) is None


def test_prices_pass_around_the_arrival_price_once_it_is_known() -> None:
    """Not around that of the hour in which the order was handed in; and nobody moves the band a second time."""
    fuse = a_fuse(lowest=90, highest=110)
    fuse.arrive(Ticks(190), Ticks(210))
    fuse.arrive(Ticks(1), Ticks(10**9))

    assert fuse.check(a_submit(1, 1, 190), NOON) is None
    assert fuse.check(a_submit(2, 1, 210), NOON) is None
    assert "outside of 190..210" in str(fuse.check(a_submit(3, 1, 211), NOON))


@pytest.mark.parametrize("arrival2", [1, 2, 3, 19_993, 19_994, 10**9 + 1])
@pytest.mark.parametrize("side", Side)
def test_the_fuse_never_blows_at_a_price_that_the_gate_lets_pass(arrival2: int, side: Side) -> None:
    """At the very edge of the period's collar, and from there at the edge of the order's own or of its rest."""
    for period, collar, rest in [(20, 5, 5), (2_000, 1, 200), (2_000, 300, 1), (1, 1, 1), (9_999, 9_999, 9_999)]:
        limits = wide(period_collar_bps=period, collar_bps=collar, rest_bps=rest)
        lowest, highest = band(limits, arrival2)
        for market2 in (arrival2 * (BPS - period) // BPS, -(-arrival2 * (BPS + period) // BPS)):
            if market2 < 1 or abs(market2 - arrival2) * BPS > period * arrival2:
                continue
            for price in (
                market2 * (BPS - max(collar, rest)) // (2 * BPS),
                market2 * (BPS + max(collar, rest)) // (2 * BPS),
            ):
                away = (2 * price - market2) * side.sign * BPS
                if price > 0 and -rest * market2 <= away <= collar * market2:
                    assert lowest <= price <= highest


def test_a_close_returns_what_did_not_fill_and_nothing_more() -> None:
    fuse = a_fuse(quantity=100)
    assert fuse.check(a_submit(1, 100), NOON) is None

    fuse.note(closed("p1n1", 30), NOON)

    assert fuse.committed == 30
    assert fuse.check(a_submit(2, 70), NOON) is None
    assert fuse.check(a_submit(3, 1), NOON) is not None


def test_an_acknowledgment_and_a_lost_order_return_nothing() -> None:
    fuse = a_fuse(quantity=100)
    assert fuse.check(a_submit(1, 100), NOON) is None

    fuse.note(OrderAccepted("p1n1", "7", Lots(0)), NOON)
    fuse.note(OrderLost("p1n1", "timed out"), NOON)

    assert fuse.committed == 100


def test_a_missing_order_returns_its_quantity_only_after_its_request_can_no_longer_arrive() -> None:
    fuse = a_fuse(quantity=100)
    order = a_submit(1, 100, at=NOON)
    assert fuse.check(order, NOON) is None
    dead = Nanos(order.valid_until + 10 * SECOND)

    for _ in range(5):
        fuse.note(OrderMissing("p1n1"), Nanos(dead - 1))
    assert fuse.committed == 100

    fuse.note(OrderMissing("p1n1"), dead)
    assert fuse.committed == 100, "one answer is none"
    fuse.note(OrderMissing("p1n1"), dead)
    assert fuse.committed == 0


def test_a_fill_after_the_close_counts_and_a_repeat_does_not() -> None:
    fuse = a_fuse(quantity=100)
    assert fuse.check(a_submit(1, 100), NOON) is None
    fuse.note(closed("p1n1", 0), NOON)

    fuse.note(a_fill("1", quantity=10), NOON)
    fuse.note(a_fill("1", quantity=10), NOON)

    assert fuse.committed == 10


def test_an_overfill_by_the_venue_blows_the_fuse() -> None:
    fuse = a_fuse(quantity=100)
    assert fuse.check(a_submit(1, 100), NOON) is None

    fuse.note(a_fill("1", quantity=101), NOON)

    assert fuse.blown is not None
    assert "101 of 100" in fuse.blown


def test_the_rates_blow_the_fuse_one_order_above_them() -> None:
    fuse = a_fuse(per_second=2, per_minute=3)
    assert fuse.check(a_submit(1, 1), NOON) is None
    assert fuse.check(a_submit(2, 1), Nanos(NOON + 1)) is None
    assert fuse.check(a_submit(3, 1), Nanos(NOON + SECOND)) is None, "the first is a whole second old"

    assert "a minute" in str(fuse.check(a_submit(4, 1), Nanos(NOON + 59 * SECOND)))


def test_orders_older_than_the_window_no_longer_count() -> None:
    fuse = a_fuse(per_second=1, per_minute=2)
    for number, at in enumerate((0, 1, 60, 61, 121), 1):
        assert fuse.check(a_submit(number, 1), Nanos(NOON + at * SECOND)) is None

    assert "a second" in str(fuse.check(a_submit(9, 1), Nanos(NOON + 121 * SECOND + 1)))


def test_the_kill_latch_stops_orders_but_does_not_blow_the_fuse() -> None:
    latch = {"set": True}
    fuse = a_fuse(killed=lambda: latch["set"])

    assert "killed" in str(fuse.check(a_submit(1), NOON))
    assert fuse.committed == 0
    latch["set"] = False
    assert fuse.check(a_submit(1), NOON) is None


def test_an_order_of_an_earlier_life_counts_and_its_id_never_passes_again() -> None:
    """By the journal's own rows: what was decided in one may have been sent; what the venue said there counts."""
    fuse, first, second = a_fuse(quantity=100), a_submit(1, 60, at=NOON), a_submit(2, 30, at=NOON)
    view = MarketView(bid=Ticks(first.limit - 1), ask=Ticks(first.limit + 1))
    rows = [
        Row(1, NOON, MarketObserved("p1", view), ()),
        Row(2, NOON, Woken(), (first,)),
        Row(3, NOON, a_fill("1", quantity=20), (second,)),
        Row(4, NOON, OrderFilled(replace(a_fill("2").fill, order="p1n2", quantity=Lots(10))), ()),
        Row(5, NOON, closed("p1n2", 10), ()),
    ]

    recall(fuse, wide(), rows)

    assert fuse.committed == 70
    assert "was sent before" in str(fuse.check(a_submit(1, 1), NOON))


def test_the_arrival_price_of_an_earlier_life_is_kept_and_another_parents_is_not_ours() -> None:
    fuse = a_fuse()
    recall(fuse, wide(), [Row(1, NOON, MarketObserved("p2", MarketView(bid=Ticks(1), ask=Ticks(3))), ())])
    assert fuse.check(a_submit(1, 1, 10_000), NOON) is None

    recall(fuse, wide(), [Row(2, NOON, MarketObserved("p1", MarketView(bid=Ticks(99), ask=Ticks(101))), ())])
    assert "outside of" in str(fuse.check(a_submit(2, 1, 10_000), NOON))


def test_a_refused_repeat_is_reported_as_lost_because_the_first_may_live() -> None:
    fuse = a_fuse()
    assert fuse.refusal(a_submit(1), NOON) is None

    assert isinstance(fuse.refusal(a_submit(1), NOON), OrderLost)
    assert isinstance(fuse.refusal(a_submit(2), NOON), OrderClosed)


def test_an_empty_band_or_a_zero_limit_is_no_fuse() -> None:
    with pytest.raises(ValueError, match="band"):
        a_fuse(lowest=2, highest=1)
    with pytest.raises(ValueError, match="positive"):
        a_fuse(quantity=0)


@UNHURRIED
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["send", "close", "fill", "missing"]),
            st.integers(1, 6),
            st.integers(0, 120),
            st.integers(80, 120),
        ),
        max_size=40,
    )
)
def test_what_left_and_did_not_come_back_never_exceeds_the_parent(steps: list[tuple[str, int, int, int]]) -> None:
    """Against a model that keeps the whole history: an order counts in full until its close is known."""
    fuse: Fuse = Fuse(
        "p1",
        Side.BUY,
        Lots(100),
        lowest=Ticks(90),
        highest=Ticks(110),
        per_second=1_000,
        per_minute=1_000,
        killed=lambda: False,
    )
    sent: dict[str, int] = {}
    final: dict[str, int] = {}
    for kind, number, quantity, price in steps:
        order = f"p1n{number}"
        if kind == "send" and fuse.check(a_submit(number, quantity, price, at=NOON), NOON) is None:
            assert order not in sent
            assert 90 <= price <= 110
            sent[order] = quantity
        elif kind == "close" and order in sent and order not in final:
            final[order] = min(quantity, sent[order])
            fuse.note(closed(order, final[order]), NOON)
        elif kind == "missing":
            fuse.note(OrderMissing(order), NOON)

        assert sum(final.get(order, size) for order, size in sent.items()) <= 100


def test_what_the_fuse_says_is_exact() -> None:
    """An order that it refuses is closed with nothing filled; a repeat is lost; the reason stands in both."""
    fuse = a_fuse(quantity=100)
    assert fuse.refusal(a_submit(1, 60, at=NOON), NOON) is None
    repeated = "fuse: p1n1 was sent before"
    assert fuse.refusal(a_submit(1, 60, at=NOON), NOON) == OrderLost("p1n1", repeated)
    assert fuse.refusal(a_submit(2, 1, at=NOON), NOON) == OrderClosed("p1n2", Lots(0), repeated)
    latched = a_fuse(killed=lambda: True)
    assert latched.refusal(a_submit(1), NOON) == OrderClosed("p1n1", Lots(0), "killed: the kill latch is set")
    assert latched.blown is None, "a latch is no breach"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lowest": 0}, "the fuse's price band 0..1000000000 is empty"),
        ({"lowest": 6, "highest": 5}, "the fuse's price band 6..5 is empty"),
        ({"quantity": 0}, "the fuse's quantity and rates must be positive"),
        ({"per_second": 0}, "the fuse's quantity and rates must be positive"),
        ({"per_minute": 0}, "the fuse's quantity and rates must be positive"),
    ],
)
def test_a_fuse_that_lets_nothing_pass_is_none(changes: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}$"):
        a_fuse(**changes)  # type: ignore[arg-type]  # the table mixes limits only
    assert a_fuse(lowest=5, highest=5, quantity=1, per_second=1, per_minute=1).committed == 0


def test_what_fills_to_the_last_lot_blows_nothing() -> None:
    fuse = a_fuse(quantity=100)
    assert fuse.check(a_submit(1, 100), NOON) is None
    fuse.note(a_fill("1", quantity=100), NOON)
    assert str(fuse.blown) == "None"
    fuse.note(a_fill("2", quantity=1), NOON)
    assert fuse.blown == "the venue filled 101 of 100 lots"
    fuse.note(a_fill("3", quantity=1), NOON)
    assert fuse.blown == "the venue filled 101 of 100 lots", "it blows once"


def test_a_missing_order_of_an_earlier_life_comes_back_by_the_moments_of_its_rows() -> None:
    """Not found twice, after its validity and the venue's processing: of the row's time, and of its own order."""
    order = a_submit(1, 100, at=NOON)
    dead = Nanos(order.valid_until + 10 * SECOND)
    early = [Row(2, Nanos(dead - 1), OrderMissing("p1n1"), ()), Row(3, dead, OrderMissing("p1n1"), ())]
    fuse = a_fuse(quantity=100)
    recall(fuse, wide(), [Row(1, NOON, Woken(), (order, a_submit(2, 5, at=NOON, order="p2n1"))), *early])
    assert fuse.committed == 100, "one answer is none, and another parent's order is not ours"

    recall(fuse, wide(), [Row(4, dead, OrderMissing("p1n1"), ())])
    assert fuse.committed == 0
