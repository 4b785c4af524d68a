"""The fuse: whatever asks, no more than the parent can leave, and a breach ends it for good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.events import OrderAccepted, OrderClosed, OrderLost, OrderMissing
from execd.core.grid import BPS, SECOND, Lots, Nanos, Side, Ticks
from execd.runtime.session import band
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
    fuse = a_fuse(quantity=100)
    fuse.adopt("p1n1", Lots(60), Lots(20), valid_until=NOON, closed=False)
    fuse.adopt("p1n2", Lots(30), Lots(10), valid_until=NOON, closed=True)

    assert fuse.committed == 70
    assert fuse.check(a_submit(3, 31), NOON) is not None


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
