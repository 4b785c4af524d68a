"""A hostile venue: the truth about our orders, and many ways of not telling it.

What it may do is written here once.  An order takes effect within its validity or never; `OrderClosed.filled` is final
(but for treachery); fill ids are stable; client ids are unique for ever, or among open orders only; "not found" is a
lie about an order that it has at most once for each order; a fill can be listed at the latest `LIST_LAG_MAX` after it
happened, and a closed order is not forgotten sooner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from execd.core.commands import SubmitOrder
from execd.core.events import CancelRefused, Event, OrderAccepted, OrderClosed, OrderFilled, OrderMissing
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.core.orders import Fill, Liquidity, OrderKind
from execd.venues import OpenOrder
from tests.sim.sea import Sea, Wreck

LIST_LAG_MAX = 6
"""Seconds until a fill is listed, at most."""

FOREIGN = "web_5fa8"
"""The client id of an order on the account that is not ours."""

FORGOTTEN_AFTER = 7
"""Seconds after its close from which on an order may be "not found"."""


@dataclass(slots=True)
class Held:
    """An order as the venue has it."""

    command: SubmitOrder
    venue_id: str
    filled: int = 0
    open: bool = True
    reason: str = ""
    closed_at: int = 0
    forgotten: bool = False
    denied: bool = False

    @property
    def rest(self) -> int:
        """Lots that may still fill."""
        return self.command.quantity - self.filled if self.open else 0


@dataclass(slots=True)
class Stake:
    """What a parent has at risk, as only the venue can know: lots filled, resting, and on their way here."""

    filled: int = 0
    resting: int = 0
    flying: int = 0

    @property
    def whole(self) -> int:
        """All that has filled or still may."""
        return self.filled + self.resting + self.flying


class Venue:
    """Orders, fills and the book's touch.

    `publish` takes what goes out on the account stream, `heard` says whether anybody is there to hear it.
    """

    def __init__(self, sea: Sea, *, skew: int, unique_ever: bool) -> None:
        self.sea = sea
        self.skew = skew
        self.unique_ever = unique_ever
        self.tick, self.lot = 1, 1
        self.shut_until = 0
        self.held: dict[str, Held] = {}
        self.resting: dict[str, Held] = {}
        self.fills: list[tuple[Fill, int]] = []  # with the moment from which on it is listed
        self.stakes: dict[str, Stake] = {}
        self.treacherous: set[str] = set()
        self.betrayed: set[str] = set()
        self.bid, self.ask = 9_999, 10_001
        self.depth = 50
        self.publish: Callable[[Event], None] = lambda _: None
        self.publish_surely: Callable[[Event], None] = lambda _: None
        self.heard: Callable[[], bool] = lambda: True
        self.traded: Callable[[Fill], None] = lambda _: None

    def stake(self, order: str) -> Stake:
        """The stake of the parent that an order belongs to."""
        parent = order.rpartition("n")[0]
        if parent not in self.stakes:
            self.stakes[parent] = Stake()
        return self.stakes[parent]

    # -------------------------------------------------------------------------------------------------- requests

    def place(self, command: SubmitOrder, *, repeated: bool) -> Event:
        """Take an order in.  What is returned is the truth of this moment.

        Where ids are not unique for ever, one is refused only while its order is open: one that was sent again later
        would trade again.  A repeat by the network is the exception, because nobody could defend against a venue that
        executed it.
        """
        known = self.held.get(command.order)
        if known is not None and (known.open or repeated or self.unique_ever):
            return self.state(known)
        if reason := self._refusal(command):
            return self._refuse(command, reason)
        order = Held(command, f"V{len(self.held) + 1}")
        self.held[command.order] = self.resting[command.order] = order
        self.stake(command.order).resting += command.quantity
        self._tell(f"took {command.order}: {command.side.value} {command.quantity} at {command.limit}")
        self.publish(OrderAccepted(command.order, order.venue_id, Lots(0)))
        if command.kind is OrderKind.TAKE:
            self._take(order)
            self._close(order, "canceled: immediate or cancel")
        return self.state(order)

    def _refusal(self, command: SubmitOrder) -> str:
        crosses = (command.limit - self._opposite(command.side)) * command.side.sign >= 0
        if command.kind is OrderKind.REST and crosses:
            return "crosses: a post-only order would take"
        if command.limit % self.tick or command.quantity % self.lot:
            return "invalid: the price or the quantity is off the grid"
        return "rejected: insufficient balance" if self.sea.strikes("order refused") else ""

    def _refuse(self, command: SubmitOrder, reason: str) -> Event:
        order = Held(command, f"V{len(self.held) + 1}", open=False, reason=reason, closed_at=self.sea.now)
        self.held[command.order] = order
        self._tell(f"refused {command.order}: {reason}")
        return self.state(order)

    def cancel(self, order_id: str) -> Event:
        """End an order, or say that it cannot be ended."""
        order = self.resting.get(order_id)
        if order is None:
            return CancelRefused(order_id, "unknown order")
        if self.sea.strikes("cancel refused"):
            return CancelRefused(order_id, "busy")
        if self.sea.strikes("cancel lags"):
            self.sea.after(self.sea.seconds(0, 5), self._close, order, "canceled: by request, late")
            return CancelRefused(order_id, "pending")
        self._close(order, "canceled: by request")
        return self.state(order)

    def query(self, order_id: str) -> Event:
        """Say what an order is, unless it is not known here, or has been forgotten, or is denied this once."""
        order = self.held.get(order_id)
        if order is None or order.forgotten:
            return OrderMissing(order_id)
        if not order.denied and self.sea.strikes("order denied once"):
            order.denied = True
            return OrderMissing(order_id)
        return self.state(order)

    def state(self, order: Held) -> Event:
        """The truth about an order."""
        if order.open:
            return OrderAccepted(order.command.order, order.venue_id, Lots(order.filled))
        return OrderClosed(order.command.order, Lots(order.filled), order.reason)

    def listed(self, since: int) -> list[Fill]:
        """The fills that a list shows now, by the venue's time."""
        return [fill for fill, shown in self.fills if shown <= self.sea.now and fill.at >= since]

    def listed_open(self, symbol: str) -> list[OpenOrder]:
        """What is open on the account: ours, and an order of somebody else's who shares it."""
        ours = [OpenOrder(order.command.order, order.venue_id, symbol) for order in self.resting.values()]
        return [OpenOrder(FOREIGN, "V0", symbol), *ours]

    # ---------------------------------------------------------------------------------------------------- trading

    def _opposite(self, side: Side) -> int:
        return self.ask if side is Side.BUY else self.bid

    def _take(self, order: Held) -> None:
        command, depth = order.command, self.depth
        price = self._opposite(command.side)
        while depth and order.rest and (command.limit - price) * command.side.sign >= 0:
            lots = min(order.rest, self.sea.rng.randint(1, depth))
            self._fill(order, lots, price, Liquidity.TAKER)
            depth -= lots
            price += command.side.sign

    def match(self, eagerness: float) -> None:
        """Let the market meet what rests: all of it where the price went through, some where it stands at it."""
        if self.sea.now < self.shut_until:
            return
        for order in list(self.resting.values()):
            command = order.command
            through = (command.limit - self._opposite(command.side)) * command.side.sign
            if through >= 0 and eagerness:
                self._fill(order, order.rest, command.limit, Liquidity.MAKER)
            elif through >= -3 and self.sea.rng.random() < eagerness:
                self._fill(order, self.sea.rng.randint(1, order.rest), command.limit, Liquidity.MAKER)
            if order.open and not order.rest:
                self._close(order, "filled")

    def _fill(self, order: Held, lots: int, price: int, liquidity: Liquidity) -> None:
        command = order.command
        order.filled += lots
        stake = self.stake(command.order)
        stake.filled += lots
        stake.resting -= lots
        fill = self._book(command.order, lots, price, liquidity)
        if not self.sea.strikes("fill unsaid"):
            self.publish(OrderFilled(fill))
        if order.rest and self.sea.rng.random() < 0.3:
            self.publish(OrderAccepted(command.order, order.venue_id, Lots(order.filled)))
        self.traded(fill)

    def _book(self, order_id: str, lots: int, price: int, liquidity: Liquidity, lag: int | None = None) -> Fill:
        number = len(self.fills) + 1
        fill = Fill(
            id=f"T{number}",
            order=order_id,
            price=Ticks(price),
            quantity=Lots(lots),
            at=Nanos(self.sea.now + self.skew),
            liquidity=liquidity,
            fee=Decimal(lots * price) / 10_000,
            fee_currency="USDT",
        )
        if lag is None:
            lag = self.sea.seconds(0, LIST_LAG_MAX) if self.sea.strikes("list lags") else 0
        self.fills.append((fill, self.sea.now + lag))
        self._tell(f"filled {order_id}: {lots} at {price} ({fill.id})")
        return fill

    def _close(self, order: Held, reason: str) -> None:
        if not order.open:
            return
        self.stake(order.command.order).resting -= order.rest
        order.open, order.reason, order.closed_at = False, reason, self.sea.now
        del self.resting[order.command.order]
        if order.filled == order.command.quantity:
            order.reason = "filled"
        self._tell(f"closed {order.command.order}: {order.filled} of {order.command.quantity}, {order.reason}")
        self.publish(self.state(order))
        if self.sea.strikes("order forgotten"):
            self.sea.after(FORGOTTEN_AFTER * SECOND, self._forget, order)

    def _forget(self, order: Held) -> None:
        order.forgotten = True

    # -------------------------------------------------------------------------------------------------- treachery

    def betray(self, fault: str) -> bool:
        """Do what no venue should, if there is occasion; it is always reported: a client cannot learn of it else."""
        if not self.held or not self.heard():
            return False
        victims = [order for order in self.held.values() if order.open == (fault == "venue overfills")]
        if not victims:
            return False
        victim = self.sea.rng.choice(victims)
        order_id = victim.command.order
        if fault == "stray fill":
            order_id = f"{order_id.rpartition('n')[0]}n{90_000 + len(self.fills)}"
        parent = order_id.rpartition("n")[0]
        self.sea.count(fault)
        self.treacherous.add(parent)
        if fault != "stray fill":
            self.betrayed.add(order_id)
        lots = victim.command.quantity + 1 if fault == "venue overfills" else self.sea.rng.randint(1, 5)
        self.stake(order_id).filled += lots
        fill = self._book(order_id, lots, victim.command.limit, Liquidity.TAKER, lag=0)
        self.publish_surely(OrderFilled(fill))
        if victim.open:
            self._close(victim, "canceled: the venue erred")
        return True

    # ------------------------------------------------------------------------------------------------------ truth

    def fly(self, command: SubmitOrder) -> None:
        """An order has left us and may take effect."""
        self.stake(command.order).flying += command.quantity

    def land(self, command: SubmitOrder) -> None:
        """An order is on its way no more."""
        stake = self.stake(command.order)
        stake.flying -= command.quantity
        if stake.flying < 0:
            raise Wreck(f"{command.order} landed twice")

    def _tell(self, what: str) -> None:
        if self.sea.told:
            self.sea.say("venue", what)
