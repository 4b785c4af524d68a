"""Imagined orders in a real market: what would have filled, as far as public prints and quotes can tell.

Promise: pure, and pessimistic where it cannot know.  A resting order joins behind all that is displayed at its price;
only prints move it forward, and each print fills at most its own size; nothing of ours appears on the tape.

Fills: a print at the order's price eats the queue before it first, then the order; a print through its price fills it
up to the print's size; taking gets what is displayed at the touch and is not taken yet, at the touch's price.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from execd.core.commands import SubmitOrder
from execd.core.events import (
    CancelRefused,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderMissing,
    QuoteChanged,
    TradePrinted,
)
from execd.core.grid import Instrument, Lots, Nanos, Side, Ticks
from execd.core.orders import Fill, Liquidity, OrderKind


@dataclass(slots=True)
class _Imagined:
    """One order.  `ahead` are the lots before it in its price's queue, None while nobody knows."""

    order: str
    venue_id: str
    side: Side
    quantity: int
    limit: Ticks
    ahead: int | None = None
    closed: str | None = None
    fills: list[OrderFilled] = field(default_factory=list)

    @property
    def filled(self) -> Lots:
        """Lots that traded."""
        return Lots(sum(fact.fill.quantity for fact in self.fills))

    @property
    def left(self) -> int:
        """Lots that did not."""
        return self.quantity - self.filled

    @property
    def state(self) -> OrderAccepted | OrderClosed:
        """The order as a venue would report it."""
        if self.closed is not None:
            return OrderClosed(self.order, self.filled, self.closed)
        return OrderAccepted(self.order, self.venue_id, self.filled)

    def beats(self, price: int) -> bool:
        """Whether the order's limit is better for the other side than a price."""
        return (self.limit - price) * self.side.sign > 0


class PaperBook:
    """The imagined orders of one symbol.  `maker_fee` and `taker_fee` are fractions of the notional."""

    def __init__(self, instrument: Instrument, *, maker_fee: Decimal, taker_fee: Decimal) -> None:
        self._instrument = instrument
        self._fees = {Liquidity.MAKER: maker_fee, Liquidity.TAKER: taker_fee}
        self._orders: dict[str, _Imagined] = {}
        self._quote: QuoteChanged | None = None
        self._taken = 0  # of the touch's displayed size, since the last quote
        self._fills: list[OrderFilled] = []

    def submit(self, command: SubmitOrder, now: Nanos) -> tuple[OrderAccepted | OrderClosed, tuple[OrderFilled, ...]]:
        """Take an order; the venue's answer and the fills that came with it."""
        if command.order in self._orders:
            return OrderClosed(command.order, Lots(0), "rejected: this id is in use"), ()
        order = _Imagined(
            command.order,
            f"paper-{len(self._orders) + 1}",
            command.side,
            command.quantity,
            command.limit,
        )
        touch = self._touch(command.side.opposite)
        crosses = touch is not None and not (order.limit - touch[0]) * order.side.sign < 0
        if command.kind is OrderKind.REST and crosses:
            return OrderClosed(command.order, Lots(0), "crosses: a post-only order would take"), ()
        self._orders[command.order] = order
        if command.kind is OrderKind.REST:
            self._queue(order)
            return order.state, ()
        if touch is not None and crosses:
            quantity = min(order.left, touch[1] - self._taken)
            self._taken += max(0, quantity)
            self._fill(order, touch[0], quantity, now, Liquidity.TAKER)
        order.closed = "expired" if order.left else "filled"
        return order.state, tuple(order.fills)

    def cancel(self, order: str) -> OrderClosed | CancelRefused:
        """End an order."""
        found = self._orders.get(order)
        if found is None or found.closed is not None:
            return CancelRefused(order, "invalid: unknown order")
        found.closed = "canceled"
        return OrderClosed(order, found.filled, found.closed)

    def query(self, order: str) -> OrderAccepted | OrderClosed | OrderMissing:
        """One order's state."""
        found = self._orders.get(order)
        return OrderMissing(order) if found is None else found.state

    def living(self) -> tuple[OrderAccepted, ...]:
        """The orders that are open."""
        return tuple(state for order in self._orders.values() if isinstance(state := order.state, OrderAccepted))

    def remember(self, fills: Sequence[Fill]) -> None:
        """Take up the fills of an earlier life, so that they can be listed."""
        self._fills += [OrderFilled(fill) for fill in fills]

    def fills(self, since: Nanos) -> tuple[OrderFilled, ...]:
        """All fills since a moment, as they came."""
        return tuple(fact for fact in self._fills if fact.fill.at >= since)

    def quoted(self, quote: QuoteChanged) -> None:
        """See a new touch: queues that are now shorter than we thought were canceled before us."""
        self._quote, self._taken = quote, 0
        for order in self._open():
            self._queue(order)

    def printed(self, trade: TradePrinted) -> tuple[OrderFilled | OrderClosed, ...]:
        """See a public trade: the fills that it would have given us, best price first, then first come."""
        facts: list[OrderFilled | OrderClosed] = []
        left: int = trade.quantity
        for order in sorted(self._open(), key=lambda order: -order.limit * order.side.sign):
            quantity, left = self._share(order, trade, left)
            fact = self._fill(order, order.limit, quantity, trade.at, Liquidity.MAKER)
            if fact is not None:
                facts.append(fact)
            if not order.left:
                order.closed = "filled"
                facts.append(OrderClosed(order.order, order.filled, order.closed))
        return tuple(facts)

    def _share(self, order: _Imagined, trade: TradePrinted, left: int) -> tuple[int, int]:
        """How much of a print's rest an order gets, and what is left of the print behind it."""
        if order.beats(trade.price):
            order.ahead = 0
        elif order.limit != trade.price or trade.taker is order.side or order.ahead is None:
            return 0, left
        else:
            eaten = min(order.ahead, left)
            order.ahead -= eaten
            left -= eaten
        quantity = min(order.left, left)
        return quantity, left - quantity

    def _queue(self, order: _Imagined) -> None:
        touch = self._touch(order.side)
        if touch is None:
            return
        price, size = touch
        if order.beats(price):
            order.ahead = 0
        elif order.limit == price:
            order.ahead = size if order.ahead is None else min(order.ahead, size)

    def _touch(self, side: Side) -> tuple[Ticks, Lots] | None:
        quote = self._quote
        if quote is None:
            return None
        return (quote.bid, quote.bid_size) if side is Side.BUY else (quote.ask, quote.ask_size)

    def _open(self) -> Iterable[_Imagined]:
        return [order for order in self._orders.values() if order.closed is None]

    def _fill(
        self, order: _Imagined, price: Ticks, quantity: int, at: Nanos, liquidity: Liquidity
    ) -> OrderFilled | None:
        if quantity <= 0:
            return None
        fee = self._instrument.money(price * quantity) * self._fees[liquidity]
        fact = OrderFilled(
            Fill(
                # With the order's id, which no later life of the process can use again.
                id=f"paper-{order.order}-{len(order.fills) + 1}",
                order=order.order,
                price=price,
                quantity=Lots(quantity),
                at=at,
                liquidity=liquidity,
                fee=fee,
                fee_currency=self._instrument.quote,
            )
        )
        order.fills.append(fact)
        self._fills.append(fact)
        return fact
