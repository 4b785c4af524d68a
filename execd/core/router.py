"""An approved slice becomes child orders: rest, re-price, cross; what is left over is simply not yet done.

    plan  ->  Cancel | Draft | Wait

Promise: never more than one order at work for a slice, no replacement before the venue has said that the old order can
trade no more, nothing rounded up, no crossing where it is told to be passive.  The router sends nothing: it says what
it would do now and when to ask again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from execd.core.events import MarketView
from execd.core.grid import BPS, PPM, Lots, Nanos, Side, Ticks
from execd.core.orders import ChildOrder, Finish, OrderKind, OrderState, ParentOrder, Urgency
from execd.core.risk import Approved, Draft

# From which part of a slice on an order crosses the spread, in ppm of the slice's length.
CROSS_FROM_PPM = {Urgency.LOW: 1_000_000, Urgency.MEDIUM: 650_000, Urgency.HIGH: 300_000}
LAST_SLICE_CROSS_FROM_PPM = 500_000
"""In the last slice of a parent that finishes by crossing, whatever its urgency: several tries need time."""

TAKE_THROUGH_BPS = 3
"""How far through the opposite touch an aggressive order's limit reaches; the gate's collar still binds."""

REPRICE_PPM = 100_000
REPRICE_MIN = Nanos(500_000_000)
REPRICE_MAX = Nanos(15_000_000_000)
"""A resting order stays at least a tenth of its slice, within these bounds, before it follows the touch."""

RETRY = Nanos(500_000_000)
"""Between two aggressive orders of one slice, and after a refusal: never a spin."""


@final
@dataclass(frozen=True, slots=True)
class Slice:
    """What we mean to trade in one interval: bring `committed` up to `target` between `start` and `end`."""

    number: int
    target: Lots
    start: Nanos
    end: Nanos


@dataclass(frozen=True, slots=True)
class Cancel:
    """End this order: it is in the way."""

    order: ChildOrder
    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`.  `why` is one of a few words, for the ledger."""

    until: Nanos
    why: str


def reprice_every(slice_: Slice) -> Nanos:
    """How long a resting order stays before it may follow the touch."""
    return Nanos(min(REPRICE_MAX, max(REPRICE_MIN, (slice_.end - slice_.start) * REPRICE_PPM // PPM)))


def cross_at(parent: ParentOrder, slice_: Slice) -> Nanos:
    """The moment from which a slice crosses the spread; its end where it never does."""
    last = slice_.number == parent.slices - 1
    if last and parent.finish is Finish.LEAVE:
        return slice_.end
    part = CROSS_FROM_PPM[parent.urgency]
    if last:
        part = min(part, LAST_SLICE_CROSS_FROM_PPM)
    return Nanos(slice_.start + (slice_.end - slice_.start) * part // PPM)


def plan(
    now: Nanos,
    parent: ParentOrder,
    slice_: Slice,
    market: MarketView,
    alive: list[ChildOrder],
    committed: Lots,
    *,
    passive: bool,
) -> Cancel | Draft | Wait:
    """Say what to do now for a slice, given the orders that are alive; `passive`: never cross.  Needs a quote."""
    kind = OrderKind.TAKE if now >= cross_at(parent, slice_) and not passive else OrderKind.REST
    for order in alive:
        if order.state is OrderState.WORKING and (why := _in_the_way(now, parent, slice_, market, order, kind)):
            return Cancel(order, why)
    if alive:
        return Wait(_next_look(now, parent, slice_, alive), "order at work")
    wanted = slice_.target - committed
    if wanted <= 0:
        return Wait(slice_.end, "on schedule")
    limit = _take_price(parent, market) if kind is OrderKind.TAKE else _rest_price(parent, market)
    if wanted < parent.instrument.least(limit):
        return Wait(slice_.end, "below the exchange's minimum, carried")
    return Draft(parent.side, Lots(wanted), limit, kind, slice_.number)


def child(approved: Approved, parent: ParentOrder, number: int) -> ChildOrder:
    """Make the child order that an approval allows; its id is derived from the number."""
    draft = approved.draft
    return ChildOrder(
        client_id=parent.client_id(number),
        side=draft.side,
        quantity=draft.quantity,
        limit=draft.limit,
        kind=draft.kind,
        slice=draft.slice,
        sent_at=approved.at,
    )


def _in_the_way(
    now: Nanos, parent: ParentOrder, slice_: Slice, market: MarketView, order: ChildOrder, kind: OrderKind
) -> str | None:
    if order.kind is not kind:
        return f"time to {kind.value}"
    if now < order.sent_at + reprice_every(slice_):
        return None
    return "the touch has moved" if order.limit != _rest_price(parent, market) else None


def _next_look(now: Nanos, parent: ParentOrder, slice_: Slice, alive: list[ChildOrder]) -> Nanos:
    """When an order at work may next be in the way: at crossing time, or when it may follow the touch."""
    step = reprice_every(slice_)
    looks = [slice_.end]
    for order in alive:
        if order.state is OrderState.WORKING:
            due = Nanos(order.sent_at + step)
            looks.append(due if due > now else Nanos(now + step))
            if order.kind is OrderKind.REST and (cross := cross_at(parent, slice_)) > now:
                looks.append(cross)
    return min(looks)


def _rest_price(parent: ParentOrder, market: MarketView) -> Ticks:
    """Join our side's touch, never beyond the order's limit."""
    assert market.bid is not None, "the gate demands a quote before the router is asked"
    assert market.ask is not None, "the gate demands a quote before the router is asked"
    return _inside(parent, market.bid if parent.side is Side.BUY else market.ask)


def _take_price(parent: ParentOrder, market: MarketView) -> Ticks:
    """Reach a little through the opposite touch, never beyond the order's limit."""
    assert market.bid is not None, "the gate demands a quote before the router is asked"
    assert market.ask is not None, "the gate demands a quote before the router is asked"
    touch = market.ask if parent.side is Side.BUY else market.bid
    return _inside(parent, Ticks(touch + parent.side.sign * (touch * TAKE_THROUGH_BPS // BPS)))


def _inside(parent: ParentOrder, price: Ticks) -> Ticks:
    if parent.limit is None:
        return price
    worst = min if parent.side is Side.BUY else max
    return worst(price, parent.limit)
