"""How much of each limit is used right now: what an operator sees of the gate, in the gate's own terms.

Promise: it is told from the very view that the gate is asked with; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from execd.core.grid import BPS
from execd.core.risk import RiskView, participation_room, reference2


@dataclass(frozen=True, slots=True)
class Use:
    """What one control sees: `used` of `most`, both in words; "" where there is no such figure."""

    id: str
    used: str
    most: str


def uses(view: RiskView) -> tuple[Use, ...]:
    """Return the use of every control of the gate that has a figure."""
    return (*_state(view), *_prices(view), *_quantities(view), *_counts(view))


def _state(view: RiskView) -> Iterator[Use]:
    yield Use("P1", "latched" if view.killed else "clear", "")
    yield Use("P2", view.held or "trading", "")
    yield Use("P28", view.unwell or "well", "")
    yield Use("P23", f"{abs(view.clock_offset) / 1e6:.0f} ms", f"{view.limits.clock_skew / 1e6:g} ms")
    heard = [moment for moment in (view.market.quote_at, view.market.last_at) if moment is not None]
    age = f"{(view.now - max(heard)) / 1e9:.1f} s" if heard else "never"
    yield Use("P22", age, f"{view.limits.stale_age / 1e9:g} s")
    yield Use("P22c", view.suspect or "complete", "")


def _prices(view: RiskView) -> Iterator[Use]:
    market, reference, limits = view.market, reference2(view), view.limits
    if market.bid is not None and market.ask is not None:
        spread = f"{2 * (market.ask - market.bid) * BPS / (market.bid + market.ask):.1f} bp"
        yield Use("P22b", spread, f"{limits.spread_bps} bp")
    if market.low is not None and market.high is not None:
        yield Use("I6", f"{(market.high - market.low) * BPS / market.low:.1f} bp", f"{limits.swing_bps} bp")
    if reference is not None and view.arrival2 is not None:
        moved = f"{abs(reference - view.arrival2) * BPS / view.arrival2:.1f} bp"
        yield Use("P10", moved, f"{limits.period_collar_bps} bp")


def _quantities(view: RiskView) -> Iterator[Use]:
    limits, parent = view.limits, view.parent
    own = view.own_trailing + view.leaves
    pairs = (
        ("P12", view.committed, parent.quantity),
        ("P14", view.committed, view.ceiling),
        ("P21b", view.window_used, limits.window_quantity),
        ("P13", own, own + participation_room(view)),
    )
    for key, used, most in pairs:
        yield Use(key, f"{parent.instrument.quantity(used):f}", f"{parent.instrument.quantity(most):f}")
    values = (
        ("P12b", view.spent, min(limits.parent_notional, parent.budget or limits.parent_notional)),
        ("P21", view.day_spent + view.spent, limits.day_notional),
    )
    for key, worth, most_worth in values:
        yield Use(key, f"{parent.instrument.money(worth):.2f}", f"{parent.instrument.money(most_worth):.2f}")


def _counts(view: RiskView) -> Iterator[Use]:
    limits, lately = view.limits, view.lately
    fills = lately.fills(view.now)
    yield Use("P15", str(view.open_orders), str(limits.open_orders))
    yield Use("P16", str(limits.message_burst - view.message_tokens), str(limits.message_burst))
    yield Use("P17", str(lately.messages(view.now)), str(limits.messages_per_fill * max(1, fills)))
    yield Use("P18", str(max(view.rejects, lately.rejects(view.now))), str(limits.rejects_in_a_row))
    yield Use("P18b", str(view.children), str(limits.children_per_slice))
