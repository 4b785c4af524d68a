"""The fuse of a parent: made from its terms, and told by the journal's own rows what earlier lives have sent.

Promise: the fuse counts for itself.  Neither the core's blotter nor its sums are asked: what a row says was sent may
have left, and only what a row says the venue said has come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from execd.core.events import Event, MarketObserved
from execd.core.grid import BPS, Nanos, Ticks
from execd.core.limits import RiskLimits
from execd.core.orders import ParentOrder
from execd.runtime.journal import Row
from execd.venues.fuse import Fuse


def fuse_of(
    parent: ParentOrder, limits: RiskLimits, reference2: int, *, killed: Callable[[], bool], processing: Nanos
) -> Fuse:
    """The last check at the wire for a parent; until it arrives, orders pass around a reference in half ticks."""
    lowest, highest = band(limits, reference2)
    return Fuse(
        parent.id,
        parent.side,
        parent.quantity,
        lowest=lowest,
        highest=highest,
        per_second=limits.messages_per_second + limits.message_burst,
        per_minute=60 * limits.messages_per_second + limits.message_burst,
        killed=killed,
        processing=processing,
    )


def recall(fuse: Fuse, limits: RiskLimits, rows: Iterable[Row]) -> None:
    """Tell a fuse a parent's past, row by row."""
    for row in rows:
        fuse.recall(row.at, row.fact, row.commands)
        arrive(fuse, limits, row.fact)


def arrive(fuse: Fuse, limits: RiskLimits, fact: Event) -> None:
    """Tell a fuse the arrival price when a fact is the first to show one: the period's collar lies around it."""
    if isinstance(fact, MarketObserved) and fuse.owns(f"{fact.parent}n0") and fact.view.mid2 is not None:
        fuse.arrive(*band(limits, fact.view.mid2))


def band(limits: RiskLimits, reference2: int) -> tuple[Ticks, Ticks]:
    """The lowest and the highest price in ticks that the gate could ever let pass, around an arrival in half ticks."""
    away = max(limits.collar_bps, limits.rest_bps)
    lowest = reference2 * max(0, BPS - limits.period_collar_bps) * max(0, BPS - away) // (2 * BPS * BPS)
    return Ticks(max(1, lowest)), highest(limits, reference2, away)


def highest(limits: RiskLimits, reference2: int, away_bps: int) -> Ticks:
    """The highest price in ticks of an order that may lie so far above the market, around an arrival in half ticks.

    The market may be as far from its arrival as the period's collar allows: the two multiply.
    """
    return Ticks(-(-reference2 * (BPS + limits.period_collar_bps) * (BPS + away_bps) // (2 * BPS * BPS)))
