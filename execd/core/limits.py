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
    """

    child_quantity: Lots
    child_notional: Notional
    window: Nanos
    window_quantity: Lots
    parent_notional: Notional
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
    children_per_slice: int
    ack_timeout: Nanos
