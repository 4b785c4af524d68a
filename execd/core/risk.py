"""The gate: every child order passes here, or is refused by name.

    Draft  ->  Approved | Refused

Promise: only this file makes an `Approved`.  Controls run in a fixed order, the first refusal wins, a control that
fails refuses, and unknown is no.  Integers throughout: ticks, lots, ppm, bps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import final

from execd.core.events import MarketView
from execd.core.grid import BPS, PPM, Instrument, Lots, Nanos, Side, Ticks
from execd.core.limits import RiskLimits as RiskLimits
from execd.core.orders import OrderKind, ParentOrder
from execd.core.throttle import Throttle
from execd.core.vwap import last_price2, minute_price2


class Refusal(Enum):
    """Why the gate said no.  The value is the control's id, used as its metric label."""

    KILLED = "P1"
    NOT_TRADING = "P2"
    CHILD_QUANTITY = "P6"
    CHILD_NOTIONAL = "P7"
    FILTER = "P8"
    NO_REFERENCE = "P9a"
    COLLAR = "P9"
    PERIOD_COLLAR = "P10"
    LIMIT_PRICE = "P11"
    ROOM = "P12"
    BUDGET = "P12b"
    PARTICIPATION = "P13"
    AHEAD = "P14"
    OPEN_ORDERS = "P15"
    MESSAGES = "P16"
    MESSAGES_PER_FILL = "P17"
    REPEATED = "P18"
    CHILDREN = "P18b"
    DAY = "P21"
    WINDOW = "P21b"
    STALE = "P22"
    SPREAD = "P22b"
    INCOMPLETE = "P22c"
    CLOCK = "P23"
    UNWELL = "P28"
    BROKEN = "P0"


@dataclass(frozen=True, slots=True)
class Draft:
    """A child order that the router would like to send."""

    side: Side
    quantity: Lots
    limit: Ticks
    kind: OrderKind
    slice: int


@final
@dataclass(frozen=True, slots=True)
class Approved:
    """A draft that the gate let pass.  Made here alone; a lease on the moment it was given, not to be kept."""

    draft: Draft
    at: Nanos


@dataclass(frozen=True, slots=True)
class Refused:
    """The gate's no: which control, what it saw, and which limit (with the key that sets it)."""

    draft: Draft
    refusal: Refusal
    words: str


@dataclass(frozen=True, slots=True)
class RiskView:
    """All that the gate looks at: one moment of one parent.

    `held` names why the parent may not trade (paused, draining, a stream down), None when it may.  `window_used` are
    lots that filled in the rolling window or still may; `own_trailing` our fills in the participation window;
    `tape_includes_own` says whether they are in the market's volume too.  `spent` is notional filled plus the worst
    case of what may still fill, `day_spent` the same of the account's other parents of the day.  `suspect` says why the
    market's data are too incomplete to cross on, None where they are not.  `clock_offset` is by how much our clock is
    off the venue's, `unwell` why this process cannot be trusted, None where it can.
    """

    now: Nanos
    parent: ParentOrder
    limits: RiskLimits
    market: MarketView
    arrival2: int | None
    killed: bool
    held: str | None
    committed: Lots
    leaves: Lots
    spent: int
    day_spent: int
    ceiling: Lots
    window_used: Lots
    own_trailing: Lots
    tape_includes_own: bool
    open_orders: int
    message_tokens: int
    rejects: int
    children: int
    lately: Throttle
    suspect: str | None
    clock_offset: Nanos
    unwell: str | None


MESSAGES_LEAST = 50
"""So many messages are sent before they are held against the fills that they led to."""

Words = str | None
Control = Callable[[Draft, RiskView], Words]


def reference2(view: RiskView) -> int | None:
    """Twice the reference price in ticks: the median of the fresh ones of mid, last trade and minute VWAP.

    None if fewer than the limits demand are fresh.
    """
    market, oldest = view.market, view.now - view.limits.reference_age
    prices = []
    if market.mid2 is not None and market.quote_at is not None and market.quote_at >= oldest:
        prices.append(market.mid2)
    if market.last_at is not None and market.last_at >= oldest:
        prices += [price for price in (last_price2(market), minute_price2(market)) if price is not None]
    if len(prices) < view.limits.references:
        return None
    prices.sort()
    middle = len(prices) // 2
    return prices[middle] if len(prices) % 2 else (prices[middle - 1] + prices[middle]) // 2


def participation_room(view: RiskView) -> Lots:
    """Lots that may still be committed under the participation cap, by the trailing volume without our own."""
    own_printed = view.own_trailing if view.tape_includes_own else 0
    others = max(0, view.market.trailing_volume - own_printed)
    ppm = min(view.limits.participation_ppm, view.parent.participation_ppm)
    # own / (own + others) <= cap  <=>  own <= others * cap / (1 - cap)
    most = others * ppm // (PPM - ppm) if ppm < PPM else view.parent.quantity
    return Lots(max(0, most - view.own_trailing - view.leaves))


def allowance(view: RiskView, limit: Ticks, *, but: Refusal | None = None) -> tuple[Lots, Refusal]:
    """The largest quantity at a price that the quantity controls would let pass, and the control that binds.

    The router's wish is clipped to it, so that a slice is made smaller rather than refused whole.  `but` leaves one
    control out, to see what the others would let pass.
    """
    limits, parent = view.limits, view.parent
    price = max(1, limit)
    rooms: list[tuple[int, Refusal]] = [
        (parent.quantity - view.committed, Refusal.ROOM),
        (view.ceiling - view.committed, Refusal.AHEAD),
        (limits.child_quantity, Refusal.CHILD_QUANTITY),
        (limits.child_notional // price, Refusal.CHILD_NOTIONAL),
        (limits.window_quantity - view.window_used, Refusal.WINDOW),
        (participation_room(view), Refusal.PARTICIPATION),
        (parent.instrument.max_quantity, Refusal.FILTER),
        (parent.instrument.max_notional // price, Refusal.FILTER),
        ((limits.parent_notional - view.spent) // price, Refusal.BUDGET),
        ((limits.day_notional - view.day_spent - view.spent) // price, Refusal.DAY),
    ]
    if parent.budget is not None:
        rooms.append(((parent.budget - view.spent) // price, Refusal.BUDGET))
    least, refusal = min((room for room in rooms if room[1] is not but), key=lambda room: room[0])
    return Lots(max(0, least)), refusal


# --------------------------------------------------------------------------------------------------- the controls


def _quantity(view: RiskView, lots: int) -> str:
    return f"{view.parent.instrument.quantity(lots):f} {view.parent.instrument.base}"


def _price(view: RiskView, ticks: int) -> str:
    return f"{view.parent.instrument.price(ticks):f}"


def _money(view: RiskView, notional: int) -> str:
    return f"{view.parent.instrument.money(notional):f} {view.parent.instrument.quote}"


def _killed(_draft: Draft, view: RiskView) -> Words:
    return "the kill switch is latched; a human releases it with `execd reset`" if view.killed else None


def _not_trading(draft: Draft, view: RiskView) -> Words:
    if view.held is not None:
        return view.held
    if not view.parent.start <= view.now < view.parent.end:
        return "outside the parent's window"
    if draft.side is not view.parent.side:
        return f"a {draft.side.value} for a parent that is a {view.parent.side.value}"
    return None


def stale(now: Nanos, market: MarketView, limits: RiskLimits) -> Words:
    """Say why the market cannot be traded on as it is seen now; None if it can."""
    if market.quote_at is None or market.last_at is None or market.bid is None or market.ask is None:
        return "no quote or no trade has been seen"
    if market.bid >= market.ask:
        return "the book is crossed: the best bid is not below the best ask"
    # Either channel shows that the feed lives; a quote stands until the next one comes.
    age = now - max(market.quote_at, market.last_at)
    if age > limits.stale_age:
        most = limits.stale_age / 1e9
        return f"nothing was seen of the market for {age / 1e9:.1f} s; at most {most:g} s (risk.yaml: stale_age)"
    return None


def _stale(_draft: Draft, view: RiskView) -> Words:
    return stale(view.now, view.market, view.limits)


def _filter(draft: Draft, view: RiskView) -> Words:
    instrument: Instrument = view.parent.instrument
    if draft.limit <= 0 or not instrument.tradable(draft.quantity, draft.limit):
        return (
            f"{_quantity(view, draft.quantity)} at {_price(view, draft.limit)} is outside the exchange's limits "
            f"(least {_quantity(view, instrument.least(max(1, draft.limit)))}, "
            f"most {_quantity(view, instrument.max_quantity)})"
        )
    return None


def _limit_price(draft: Draft, view: RiskView) -> Words:
    limit = view.parent.limit
    if limit is not None and (draft.limit - limit) * draft.side.sign > 0:
        return f"{_price(view, draft.limit)} is beyond the limit of {_price(view, limit)} (order file: limit_price)"
    return None


def _no_reference(_draft: Draft, view: RiskView) -> Words:
    if reference2(view) is None:
        return f"fewer than {view.limits.references} fresh price sources (risk.yaml: references, reference_age)"
    return None


def _collar(draft: Draft, view: RiskView) -> Words:
    reference = reference2(view)
    assert reference is not None, "the control before this one refuses without a reference"
    away = (2 * draft.limit - reference) * draft.side.sign * BPS
    if away > view.limits.collar_bps * reference:
        return (
            f"{away / reference:.1f} bp through the reference; at most {view.limits.collar_bps} (risk.yaml: collar_bps)"
        )
    if -away > view.limits.rest_bps * reference:
        return f"rests {-away / reference:.1f} bp away; at most {view.limits.rest_bps} (risk.yaml: rest_bps)"
    return None


def _period_collar(_draft: Draft, view: RiskView) -> Words:
    reference = reference2(view)
    if reference is None or view.arrival2 is None:
        return "no arrival price is known"
    moved = abs(reference - view.arrival2) * BPS
    if moved > view.limits.period_collar_bps * view.arrival2:
        return (
            f"the market has moved {moved / view.arrival2:.0f} bp since arrival; "
            f"at most {view.limits.period_collar_bps} (risk.yaml: period_collar_bps)"
        )
    return None


def _room(draft: Draft, view: RiskView) -> Words:
    room = view.parent.quantity - view.committed
    if draft.quantity > room:
        return f"{_quantity(view, draft.quantity)} for a room of {_quantity(view, room)}"
    return None


def _budget(draft: Draft, view: RiskView) -> Words:
    after = view.spent + draft.quantity * draft.limit
    if after > view.limits.parent_notional:
        most = _money(view, view.limits.parent_notional)
        return f"{_money(view, after)} for a parent; at most {most} (risk.yaml: parent_notional)"
    if view.parent.budget is not None and after > view.parent.budget:
        return f"{_money(view, after)} spent; at most {_money(view, view.parent.budget)} (order file: notional)"
    return None


def _child_quantity(draft: Draft, view: RiskView) -> Words:
    most = view.limits.child_quantity
    if draft.quantity > most:
        return f"{_quantity(view, draft.quantity)}; at most {_quantity(view, most)} (risk.yaml: child_quantity)"
    return None


def _child_notional(draft: Draft, view: RiskView) -> Words:
    most = view.limits.child_notional
    worth = draft.quantity * draft.limit
    if worth > most:
        return f"worth {_money(view, worth)}; at most {_money(view, most)} (risk.yaml: child_notional)"
    return None


def _window(draft: Draft, view: RiskView) -> Words:
    most = view.limits.window_quantity
    if view.window_used + draft.quantity > most:
        return (
            f"{_quantity(view, view.window_used + draft.quantity)} in {view.limits.window / 1e9:g} s; "
            f"at most {_quantity(view, most)} (risk.yaml: window_quantity)"
        )
    return None


def _participation(draft: Draft, view: RiskView) -> Words:
    room = participation_room(view)
    if draft.quantity > room:
        tighter = view.parent.participation_ppm < view.limits.participation_ppm
        key = "order file: participation" if tighter else "risk.yaml: participation"
        left = _quantity(view, room)
        return f"{_quantity(view, draft.quantity)}; {left} are left of our share of the market's volume ({key})"
    return None


def _ahead(draft: Draft, view: RiskView) -> Words:
    if view.committed + draft.quantity > view.ceiling:
        after = _quantity(view, view.committed + draft.quantity)
        return f"{after} would be ahead of the schedule's {_quantity(view, view.ceiling)} (risk.yaml: ahead)"
    return None


def _open_orders(_draft: Draft, view: RiskView) -> Words:
    most = view.limits.open_orders
    return f"{view.open_orders} alive; at most {most} (risk.yaml: open_orders)" if view.open_orders >= most else None


def _messages(_draft: Draft, view: RiskView) -> Words:
    return None if view.message_tokens > 0 else "no message token is left (risk.yaml: messages_per_second)"


def _messages_per_fill(_draft: Draft, view: RiskView) -> Words:
    messages, fills = view.lately.messages(view.now), view.lately.fills(view.now)
    most = view.limits.messages_per_fill
    if messages >= MESSAGES_LEAST and messages > most * max(1, fills):
        return (
            f"{messages} messages for {fills} fills in ten minutes; at most {most} each (risk.yaml: messages_per_fill)"
        )
    return None


def _repeated(draft: Draft, view: RiskView) -> Words:
    """The repeated-execution throttle: what trips it stays tripped until a person looks."""
    limits = view.limits
    if view.rejects >= limits.rejects_in_a_row:
        return f"{view.rejects} rejections in a row; at most {limits.rejects_in_a_row} (risk.yaml: rejects_in_a_row)"
    if (rejects := view.lately.rejects(view.now)) >= limits.rejects_per_minute:
        return f"{rejects} rejections in a minute; at most {limits.rejects_per_minute} (risk.yaml: rejects_per_minute)"
    if (alike := view.lately.alike(view.now, draft.quantity, draft.limit)) >= limits.same_orders:
        return (
            f"{alike} orders of {_quantity(view, draft.quantity)} at {_price(view, draft.limit)} in a minute; "
            f"at most {limits.same_orders} (risk.yaml: same_orders)"
        )
    return None


def _children(_draft: Draft, view: RiskView) -> Words:
    most = view.limits.children_per_slice
    if view.children >= most:
        return f"{view.children} children in this slice; at most {most} (risk.yaml: children_per_slice)"
    return None


def _day(draft: Draft, view: RiskView) -> Words:
    after, most = view.day_spent + view.spent + draft.quantity * draft.limit, view.limits.day_notional
    if after > most:
        return f"{_money(view, after)} on this day; at most {_money(view, most)} (risk.yaml: day_notional)"
    return None


def _spread(_draft: Draft, view: RiskView) -> Words:
    market = view.market
    assert market.bid is not None, "a market without a quote is stale, which is asked before"
    assert market.ask is not None, "a market without a quote is stale, which is asked before"
    if min(market.bid_size, market.ask_size) < 1:
        return "one side of the book is empty"
    wide = 2 * (market.ask - market.bid) * BPS
    if wide > view.limits.spread_bps * (market.bid + market.ask):
        return (
            f"the spread is {wide / (market.bid + market.ask):.1f} bp wide; "
            f"at most {view.limits.spread_bps} (risk.yaml: spread_bps)"
        )
    return None


def _incomplete(draft: Draft, view: RiskView) -> Words:
    """The router rests by itself while the data are suspect; who crosses all the same is stopped here."""
    return view.suspect if draft.kind is OrderKind.TAKE else None


def _clock(_draft: Draft, view: RiskView) -> Words:
    most = view.limits.clock_skew
    if abs(view.clock_offset) > most:
        return (
            f"our clock is {abs(view.clock_offset) / 1e6:.0f} ms off the exchange's; "
            f"at most {most / 1e6:g} ms (risk.yaml: clock_skew)"
        )
    return None


def _unwell(_draft: Draft, view: RiskView) -> Words:
    return view.unwell


def swung(market: MarketView, limits: RiskLimits) -> Words:
    """Say by how much the market has jumped within ten seconds, where that is more than the limit; else None."""
    low, high = market.low, market.high
    if low is None or high is None or (high - low) * BPS <= limits.swing_bps * low:
        return None
    return (
        f"trades lay {(high - low) * BPS / low:.0f} bp apart within 10 s; "
        f"at most {limits.swing_bps} (risk.yaml: swing_bps)"
    )


CONTROLS: tuple[tuple[Refusal, Control], ...] = (
    (Refusal.KILLED, _killed),
    (Refusal.NOT_TRADING, _not_trading),
    (Refusal.UNWELL, _unwell),
    (Refusal.CLOCK, _clock),
    (Refusal.STALE, _stale),
    (Refusal.SPREAD, _spread),
    (Refusal.INCOMPLETE, _incomplete),
    (Refusal.REPEATED, _repeated),
    (Refusal.CHILDREN, _children),
    (Refusal.ROOM, _room),
    (Refusal.BUDGET, _budget),
    (Refusal.DAY, _day),
    (Refusal.LIMIT_PRICE, _limit_price),
    (Refusal.NO_REFERENCE, _no_reference),
    (Refusal.COLLAR, _collar),
    (Refusal.PERIOD_COLLAR, _period_collar),
    (Refusal.CHILD_QUANTITY, _child_quantity),
    (Refusal.CHILD_NOTIONAL, _child_notional),
    (Refusal.WINDOW, _window),
    (Refusal.PARTICIPATION, _participation),
    (Refusal.AHEAD, _ahead),
    (Refusal.FILTER, _filter),
    (Refusal.OPEN_ORDERS, _open_orders),
    (Refusal.MESSAGES, _messages),
    (Refusal.MESSAGES_PER_FILL, _messages_per_fill),
)
"""Every control, in the order in which they are asked."""


def check(draft: Draft, view: RiskView) -> Approved | Refused:
    """Let a draft pass, or say which control refuses it."""
    for refusal, control in CONTROLS:
        try:
            words = control(draft, view)
        except Exception as broken:  # Fail closed: one that cannot answer has not said yes.
            return Refused(draft, Refusal.BROKEN, f"control {refusal.value} failed: {type(broken).__name__}")
        if words is not None:
            return Refused(draft, refusal, words)
    return Approved(draft, view.now)
