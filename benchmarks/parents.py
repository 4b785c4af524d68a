"""Parents for the benchmarks: limits so wide that only what is measured binds."""

from __future__ import annotations

from decimal import Decimal

from benchmarks.wire import LEAST_NOTIONAL, SYMBOL
from execd.core.events import ParentSubmitted
from execd.core.grid import HOUR, MINUTE, PPM, SECOND, Instrument, Lots, Nanos, Notional, Side
from execd.core.limits import RiskLimits
from execd.core.orders import ParentOrder, Urgency
from execd.policies.curve import expected_curve

MOST = 10**15
"""More than any benchmark comes to, of whatever it is the limit."""


def instrument() -> Instrument:
    """Binance's BTC/USDT, as its filters have it."""
    return Instrument(
        "binance",
        SYMBOL,
        "BTC",
        "USDT",
        Decimal("0.01"),
        Decimal("0.00001"),
        Lots(1),
        Lots(900_000_000),
        Notional(LEAST_NOTIONAL * 10**7),
        Notional(9 * 10**13),
    )


def limits(participation_ppm: int = 100_000) -> RiskLimits:
    """Every control is asked; none but the participation cap, which the gate and the tape share, is to refuse."""
    return RiskLimits(
        child_quantity=Lots(MOST),
        child_notional=Notional(10**13),
        window=MINUTE,
        window_quantity=Lots(MOST),
        parent_notional=Notional(MOST * 10**9),
        day_notional=Notional(MOST * 10**9),
        collar_bps=500,
        rest_bps=500,
        period_collar_bps=1000,
        references=2,
        reference_age=Nanos(30 * SECOND),
        stale_age=Nanos(30 * SECOND),
        participation_ppm=participation_ppm,
        participation_window=Nanos(15 * MINUTE),
        ahead_ppm=PPM,
        open_orders=5,
        messages_per_second=10_000,
        message_burst=10_000,
        rejects_in_a_row=MOST,
        rejects_per_minute=MOST,
        same_orders=MOST,
        messages_per_fill=MOST,
        children_per_slice=MOST,
        spread_bps=100,
        swing_bps=1000,
        slippage_bps=10_000,
        clock_skew=Nanos(10 * SECOND),
        ack_timeout=Nanos(5 * SECOND),
    )


def submitted(
    number: int,
    start: Nanos,
    *,
    length: Nanos = HOUR,
    slices: int = 4,
    participation_ppm: int = 100_000,
    quantity: int = 10**9,
) -> ParentSubmitted:
    """A parent that buys; `number` tells several apart."""
    end = Nanos(start + length)
    parent = ParentOrder(
        id=f"p{number:015d}",
        instrument=instrument(),
        side=Side.BUY,
        quantity=Lots(quantity),
        start=start,
        end=end,
        slices=slices,
        participation_ppm=participation_ppm,
        urgency=Urgency.HIGH,
    )
    return ParentSubmitted(
        parent=parent,
        limits=limits(participation_ppm),
        validity=Nanos(3 * SECOND),
        own_prints=True,
        contiguous=True,
        curve=expected_curve(start, end, slices),
        history=(),
    )
