"""The limits of one parent, as the gate reads them: integers only, set once, journalled with the parent."""

from __future__ import annotations

from dataclasses import dataclass

from execd.core.grid import Lots, Nanos, Notional


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """The limits of one parent, from risk.yaml tightened by the order file.  Rates in ppm, prices in bps.

    `window_quantity`: the most that may fill, or still may, in any rolling `window`.
    `references`: how many fresh price sources (mid, last trade, minute VWAP) a reference needs, none older than
    `reference_age`.  `rest_bps`: how far from the reference a resting order may lie.  `ahead_ppm`: how far committed
    quantity may run ahead of the schedule, of the parent.  `ack_timeout`: after this a sent order is in doubt.
    `day_notional`: the most value of all parents of a UTC day.  `messages_per_fill` counts over ten minutes,
    `same_orders` and `rejects_per_minute` over one.  `swing_bps`: between the lowest and the highest trade of ten
    seconds.  `slippage_bps`: what the fills may have cost beyond the market's VWAP, of the whole parent's value.
    `clock_skew`: how far our clock may be from the venue's.
    """

    child_quantity: Lots
    child_notional: Notional
    window: Nanos
    window_quantity: Lots
    parent_notional: Notional
    day_notional: Notional
    collar_bps: int
    rest_bps: int
    period_collar_bps: int
    references: int
    reference_age: Nanos
    stale_age: Nanos
    participation_ppm: int
    participation_window: Nanos
    ahead_ppm: int
    open_orders: int
    messages_per_second: int
    message_burst: int
    rejects_in_a_row: int
    rejects_per_minute: int
    same_orders: int
    messages_per_fill: int
    children_per_slice: int
    spread_bps: int
    swing_bps: int
    slippage_bps: int
    clock_skew: Nanos
    ack_timeout: Nanos


OVERRIDABLE = frozenset(
    {
        "child_quantity",
        "child_notional",
        "window_quantity",
        "day_notional",
        "participation_ppm",
        "open_orders",
        "rejects_per_minute",
        "same_orders",
        "messages_per_fill",
        "children_per_slice",
        "spread_bps",
        "swing_bps",
        "slippage_bps",
    }
)
"""The limits that a second person may loosen for a while.  Collars and rates are not among them: the fuse holds the
same ones at the wire, and knows no exception.  The room, the kill switch and the interlocks have no limit to loosen."""
