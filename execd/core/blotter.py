"""The child orders of one parent and what they add up to.

Promise: `filled + leaves` is never less than what the venue may have done for us.  A fill counts once, whatever state
we believed its order in; a count that the venue gives counts even where the fills behind it have not come yet.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import assert_never

from execd.core import doubt
from execd.core.events import CancelRefused, OrderAccepted, OrderClosed, OrderFilled, OrderLost, OrderMissing
from execd.core.grid import Lots, Nanos, Notional
from execd.core.orders import ChildOrder, Fill, OrderState

Report = OrderAccepted | OrderFilled | OrderClosed | OrderLost | OrderMissing | CancelRefused
"""What a venue can say, or fail to say, about one of our orders."""


ORDINARY_ENDS = frozenset({"filled", "canceled", "expired", "prevented", "crosses"})
"""First words of a close's reason that are no refusal; the market moved, or time was up."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a report changed: lots and notional that are new, and whether it closed the order.

    `order` is None for a fill of an order that bears our name and that we never sent.
    """

    order: ChildOrder | None
    lots: int
    notional: int
    closed: bool = False
    rejected: bool = False


class Blotter:
    """Every child order by client id.  `alive` are those that may still trade."""

    def __init__(self, validity: Nanos) -> None:
        self.orders: dict[str, ChildOrder] = {}
        self.alive: dict[str, ChildOrder] = {}
        self.strays: dict[str, Fill] = {}
        self.flow: deque[tuple[Nanos, int]] = deque()
        """What filled when, by our time, for rolling windows; trimmed by whoever reads it."""
        # Orders of which the venue has counted more than the fills that we hold one by one.
        self._unitemised: dict[str, ChildOrder] = {}
        self._validity = validity
        # Sums over closed orders, so that a decision costs nothing per order of the past.
        self._filled_closed = 0
        self._notional_closed = 0

    @property
    def filled(self) -> Lots:
        """Lots that traded: order by order the larger of our count and the venue's, strays included."""
        strays = sum(fill.quantity for fill in self.strays.values())
        return Lots(self._filled_closed + sum(order.filled for order in self.alive.values()) + strays)

    @property
    def leaves(self) -> Lots:
        """Lots that may still trade."""
        return Lots(sum(order.leaves for order in self.alive.values()))

    @property
    def notional(self) -> Notional:
        """Price times quantity of the itemised fills."""
        strays = sum(fill.price * fill.quantity for fill in self.strays.values())
        return Notional(self._notional_closed + sum(itemised(order) for order in self.alive.values()) + strays)

    @property
    def at_risk(self) -> Notional:
        """The most that may be spent beyond `notional`: leaves, and lots counted but not itemised, at their limits."""
        leaves = sum(order.leaves * order.limit for order in self.alive.values())
        return Notional(leaves + sum((o.reported - o.itemised) * o.limit for o in self._unitemised.values()))

    @property
    def fills(self) -> list[Fill]:
        """Every fill that we hold one by one, in the venue's order of time."""
        found = [fill for order in self.orders.values() for fill in order.fills.values()] + list(self.strays.values())
        return sorted(found, key=lambda fill: (fill.at, fill.id))

    @property
    def unitemised(self) -> bool:
        """Whether the venue has counted more than the fills that we hold one by one."""
        return bool(self._unitemised)

    def add(self, order: ChildOrder) -> None:
        """Take up an order that is about to be sent."""
        assert order.client_id not in self.orders, "a client id is derived from a number that is used once"
        self.orders[order.client_id] = self.alive[order.client_id] = order

    def report(self, now: Nanos, event: Report) -> Change:
        """Apply what the venue said, or failed to say.  Late, repeated and contradictory reports are all legal."""
        client_id = event.fill.order if isinstance(event, OrderFilled) else event.order
        order = self.orders.get(client_id)
        if order is None:
            return self._stray(now, event)
        was_alive, never_heard_of = order.alive, order.state is OrderState.SENT and order.venue_id is None
        filled, notional = order.filled, itemised(order)
        self._apply(now, order, event)
        if order.filled == order.quantity:
            order.move(OrderState.CLOSED)  # Whatever the venue still has to say: there is nothing left to trade.
        if order.reported > order.itemised:
            self._unitemised[client_id] = order
        else:
            self._unitemised.pop(client_id, None)
        lots, money = order.filled - filled, itemised(order) - notional
        if lots:
            self.flow.append((now, lots))
        if not was_alive:
            self._filled_closed += lots
            self._notional_closed += money
        closed = was_alive and not order.alive
        if closed:
            self._retire(order)
        refused = isinstance(event, OrderClosed) and event.reason.partition(":")[0] not in ORDINARY_ENDS
        return Change(order, lots, money, closed, closed and never_heard_of and refused and not order.filled)

    def _apply(self, now: Nanos, order: ChildOrder, event: Report) -> None:
        match event:
            case OrderFilled(fill=fill):
                order.record(fill)
            case OrderAccepted(venue_id=venue_id, filled=filled):
                self._accept(order, venue_id, filled)
            case OrderClosed(filled=filled):
                order.report(filled)
                order.move(OrderState.CLOSED)
            case OrderMissing():
                doubt.begin(order, now)
                doubt.missed(order, now, self._validity)
            case OrderLost() | CancelRefused():
                doubt.begin(order, now)
            case _:
                assert_never(event)

    def _accept(self, order: ChildOrder, venue_id: str, filled: Lots) -> None:
        order.venue_id = venue_id
        order.report(filled)
        if order.state is OrderState.IN_DOUBT:
            # Found alive after we lost track of it: ended, not worked on.  `doubt.question` sends the cancel again.
            order.canceled_at = None
            order.missing, order.missing_at = 0, None
        else:
            order.move(OrderState.WORKING)

    def _stray(self, now: Nanos, event: Report) -> Change:
        if not isinstance(event, OrderFilled) or event.fill.id in self.strays:
            return Change(None, 0, 0)
        fill = event.fill
        self.strays[fill.id] = fill
        self.flow.append((now, fill.quantity))
        return Change(None, fill.quantity, fill.price * fill.quantity)

    def _retire(self, order: ChildOrder) -> None:
        del self.alive[order.client_id]
        self._filled_closed += order.filled
        self._notional_closed += itemised(order)

    def close_missing(self, through: Nanos) -> list[ChildOrder]:
        """End the doubt about orders that the venue does not know, our fills having been read through a moment."""
        settled = [order for order in self.alive.values() if doubt.settled_by_fills(order, through)]
        for order in settled:
            order.move(OrderState.CLOSED)
            self._retire(order)
        return settled

    def doubt_all(self, now: Nanos) -> None:
        """The process is new: whatever was in flight is in doubt."""
        for order in self.alive.values():
            doubt.begin(order, now)

    def flowed(self, since: int) -> Lots:
        """Lots that filled after a moment, by our time."""
        return Lots(sum(lots for at, lots in self.flow if at > since))

    def assert_sums(self) -> None:
        """The caches against the truth.  O(orders): for tests and the simulation."""
        closed = [order for key, order in self.orders.items() if key not in self.alive]
        assert not any(order.alive for order in closed), "an order that may still trade was retired"
        assert all(order.alive for order in self.alive.values()), "a closed order is kept as alive"
        unitemised = {key for key, order in self.orders.items() if order.reported > order.itemised}
        assert self._unitemised.keys() == unitemised, "the list of unitemised orders has drifted"
        assert self._filled_closed == sum(order.filled for order in closed), "the sum of closed fills has drifted"
        assert self._notional_closed == sum(itemised(order) for order in closed), "the closed notional has drifted"


def itemised(order: ChildOrder) -> int:
    """Price times quantity of the fills that we hold one by one."""
    return sum(fill.price * fill.quantity for fill in order.fills.values())
