"""The last limiter at the wire.  It trusts nobody: it counts what it saw itself.

Promise: whatever the core, the journal or a model believes, no more than the parent's quantity can ever be sent and not
have come back, no price outside of the band leaves, no client id leaves twice, and no order leaves faster than the
rates.  A breach blows the fuse for good: from then on nothing but cancels and queries passes.  Pure and synchronous,
so that an adapter can check and send with nothing in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from execd.core.commands import SubmitOrder
from execd.core.events import Event, OrderClosed, OrderFilled, OrderLost, OrderMissing
from execd.core.grid import MINUTE, SECOND, Lots, Nanos, Side, Ticks

MISSING_NEEDED = 2
"""How many "not found" answers return an order's quantity, all of them after the request can no longer arrive."""


@dataclass(slots=True)
class _Sent:
    """What the fuse knows of one order."""

    quantity: int
    valid_until: Nanos
    reported: int = 0
    closed: bool = False
    missing: int = 0
    fills: dict[str, int] = field(default_factory=dict)

    @property
    def committed(self) -> int:
        """Lots that have traded or still may."""
        filled = max(self.reported, sum(self.fills.values()))
        return filled if self.closed else max(self.quantity, filled)


class Fuse:
    """The fuse of one parent order.

    Args:
        parent: the parent's id; only its own children (`<parent>n<number>`) pass.
        side: the one side that passes.
        quantity: the parent's quantity.
        lowest: the lowest price in ticks that passes until the arrival price is known.
        highest: the highest one.
        per_second: most orders in any second.
        per_minute: most orders in any minute.
        killed: whether the kill latch is set, asked right before each order.
        processing: how long past its `valid_until` the venue may still act on an order.
    """

    def __init__(
        self,
        parent: str,
        side: Side,
        quantity: Lots,
        *,
        lowest: Ticks,
        highest: Ticks,
        per_second: int,
        per_minute: int,
        killed: Callable[[], bool],
        processing: Nanos = Nanos(10 * SECOND),
    ) -> None:
        if not 0 < lowest <= highest:
            raise ValueError(f"the fuse's price band {lowest}..{highest} is empty")
        if min(quantity, per_second, per_minute) < 1:
            raise ValueError("the fuse's quantity and rates must be positive")
        self.blown: str | None = None
        self._arrived = False
        self._prefix = f"{parent}n"
        self._side, self._quantity = side, quantity
        self._lowest, self._highest = lowest, highest
        self._per_second, self._per_minute = per_second, per_minute
        self._killed, self._processing = killed, processing
        self._orders: dict[str, _Sent] = {}
        self._times: deque[Nanos] = deque()

    @property
    def committed(self) -> Lots:
        """Lots sent that have traded or still may."""
        return Lots(sum(order.committed for order in self._orders.values()))

    def owns(self, order: str) -> bool:
        """Whether a client id is one of the parent's children."""
        return order.startswith(self._prefix) and order[len(self._prefix) :].isdigit()

    def arrive(self, lowest: Ticks, highest: Ticks) -> None:
        """Let prices pass around the arrival price instead; once, whoever calls again.

        A parent may be handed in hours before its window: where the market was then says nothing about its orders.
        """
        if not self._arrived:
            self._arrived, self._lowest, self._highest = True, lowest, highest

    def recall(self, at: Nanos, fact: Event, commands: Sequence[object]) -> None:
        """Count a row of the journal: what was decided in it may have been sent, and what the venue said counts."""
        self.note(fact, at)
        for command in commands:
            if isinstance(command, SubmitOrder) and self.owns(command.order):
                self._orders[command.order] = _Sent(command.quantity, command.valid_until)

    def check(self, command: SubmitOrder, now: Nanos) -> str | None:
        """Let an order pass (None, and it is counted as sent) or say why not.

        Whoever gets None sends it at once, without waiting for anything.
        """
        if self._killed():
            return "killed: the kill latch is set"
        if self.blown is None:
            self.blown = self._breach(command, now)
        if self.blown is not None:
            return f"fuse: {self.blown}"
        self._orders[command.order] = _Sent(command.quantity, command.valid_until)
        self._times.append(now)
        return None

    def refusal(self, command: SubmitOrder, now: Nanos) -> OrderClosed | OrderLost | None:
        """`check` as a fact: None lets the order pass, and it is sent at once."""
        repeated = command.order in self._orders
        why = self.check(command, now)
        if why is None:
            return None
        # The first order of this id may be alive: to say that it is closed would be a lie about it.
        return OrderLost(command.order, why) if repeated else OrderClosed(command.order, Lots(0), why)

    def note(self, fact: Event, now: Nanos) -> None:
        """Learn from a fact.

        Quantity comes back by a close with the venue's final count, or when the venue repeatedly does not know an
        order whose request can no longer arrive; never because somebody asked for a cancel.
        """
        match fact:
            case OrderClosed(order, filled) if (sent := self._orders.get(order)) is not None:
                sent.closed = True
                sent.reported = max(sent.reported, filled)
            case OrderFilled(fill) if (sent := self._orders.get(fill.order)) is not None:
                sent.fills[fill.id] = fill.quantity
            case OrderMissing(order) if (sent := self._orders.get(order)) is not None:
                if now >= sent.valid_until + self._processing:
                    sent.missing += 1
                    sent.closed = sent.closed or sent.missing >= MISSING_NEEDED
            case _:
                return
        if self.blown is None and self.committed > self._quantity:
            self.blown = f"the venue filled {self.committed} of {self._quantity} lots"

    def _breach(self, command: SubmitOrder, now: Nanos) -> str | None:
        if not self.owns(command.order):
            return f"{command.order} is no child of this parent"
        if command.order in self._orders:
            return f"{command.order} was sent before"
        if command.side is not self._side:
            return f"{command.order} is on the wrong side"
        if command.quantity < 1 or self.committed + command.quantity > self._quantity:
            return f"{command.order}: {command.quantity} lots on top of {self.committed} exceed {self._quantity}"
        if not self._lowest <= command.limit <= self._highest:
            return f"{command.order}: price {command.limit} is outside of {self._lowest}..{self._highest} ticks"
        return self._too_fast(now)

    def _too_fast(self, now: Nanos) -> str | None:
        while self._times and self._times[0] <= now - MINUTE:
            self._times.popleft()
        if len(self._times) >= self._per_minute:
            return f"more than {self._per_minute} orders a minute"
        if sum(1 for at in self._times if at > now - SECOND) >= self._per_second:
            return f"more than {self._per_second} orders a second"
        return None
