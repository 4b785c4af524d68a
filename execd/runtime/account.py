"""What the exchange account must hold before an order is worked on it, and who else has orders there.

Promise: an order that the account's free funds could not pay for at its worst price is refused before anything is
sent; orders of somebody else are found by their client ids and never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from execd.core.grid import Side, Ticks
from execd.core.limits import RiskLimits
from execd.core.orders import ParentOrder
from execd.runtime.admission import Admission, AdmissionRefused
from execd.runtime.arming import highest
from execd.runtime.reconcile import is_ours
from execd.runtime.settings import OrderFile
from execd.venues import Balance, Venue

RESERVE = Decimal("0.001")
"""Of a buy's value, kept free beside its fees."""

FINEST = Decimal("0.00000001")
"""Amounts of money are shown to this step, which is the finest that exchanges account in."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The account before a parent begins: its funds, what taking costs of the notional, who else has orders open."""

    balances: Sequence[Balance]
    taker_fee: Decimal
    strangers: Sequence[str] = ()


async def look(venue: Venue, symbol: str) -> Standing:
    """Ask how the account stands.  Raises VenueError."""
    return Standing(await venue.balances(), await venue.taker_fee(), await strangers(venue, symbol, None))


async def strangers(venue: Venue, symbol: str, parent: str | None) -> list[str]:
    """The client ids of the open orders in a market that are not of a parent; all, where there is none yet.

    Raises VenueError.
    """
    orders = await venue.open_orders(symbol)
    return [order.client_id for order in orders if parent is None or not is_ours(order.client_id, parent)]


def worst_price(parent: ParentOrder, limits: RiskLimits, mid2: int) -> Ticks:
    """The highest price in ticks at which a parent could buy, the market being at a mid in half ticks.

    That is its own limit, or what the gate's two collars let pass: the market may move as far from its arrival as the
    period's allows, and an order may lie as far from the market as its own.
    """
    most = highest(limits, mid2, limits.collar_bps)
    return most if parent.limit is None else min(parent.limit, most)


def demand_funds(order: OrderFile, admission: Admission, mid2: int, standing: Standing) -> None:
    """Refuse an order that the free funds may not pay for.

    Args:
        order: the order file, for the message.
        admission: what it was admitted as.
        mid2: bid plus ask, in ticks.
        standing: the account's funds and fees.

    Raises:
        AdmissionRefused: one sentence with what is needed and what is free.
    """
    key = "quantity" if order.quantity is not None else "notional"
    short = _short_of_base if admission.parent.side is Side.SELL else _short_of_quote
    problem = short(admission, mid2, standing)
    if problem is not None:
        raise AdmissionRefused([f"{order.path}: {key}: value is {problem} on the account"])


def _short_of_base(admission: Admission, _mid2: int, standing: Standing) -> str | None:
    """What a sell lacks, if it does: it needs its quantity, and pays its fees from what it gets."""
    parent, grid = admission.parent, admission.parent.instrument
    wanted, free = grid.quantity(parent.quantity), _free(standing, grid.base)
    if wanted <= free:
        return None
    most = grid.quantity(grid.lots_down(free))
    return f"{wanted:f} {grid.base}; allowed: at most {most:f}, for {_down(free)} {grid.base} are free"


def _short_of_quote(admission: Admission, mid2: int, standing: Standing) -> str | None:
    """What a buy lacks, if it does: it needs its worst value, its fees and a reserve."""
    parent, grid = admission.parent, admission.parent.instrument
    price = worst_price(parent, admission.limits, mid2)
    free, costs = _free(standing, grid.quote), 1 + standing.taker_fee + RESERVE
    value = parent.quantity * price
    needed = grid.money(value if parent.budget is None else min(parent.budget, value)) * costs
    if needed <= free:
        return None
    wanted = f"{grid.quantity(parent.quantity):f} {grid.base}, which may need {_up(needed)} {grid.quote} with fees"
    if parent.budget is None:
        most = f"{grid.quantity(grid.lots_down(free / costs / grid.price(price))):f} {grid.base}"
    else:
        most = f"{_down(free / costs)} {grid.quote}"
    return f"{wanted}; allowed: at most {most}, for {_down(free)} {grid.quote} are free"


def _free(standing: Standing, currency: str) -> Decimal:
    return sum((Decimal(held.free) for held in standing.balances if held.currency == currency), Decimal(0))


def _up(amount: Decimal) -> str:
    return f"{amount.quantize(FINEST, ROUND_CEILING).normalize():f}"


def _down(amount: Decimal) -> str:
    return f"{amount.quantize(FINEST, ROUND_FLOOR).normalize():f}"
