"""ParentOrder, ChildOrder, Fill, and the TRANSITIONS table.

Promise: state and quantity are separate.  A fill is not a move and is never refused; quantity comes back only
when the venue has said that an order can trade no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from execd.core.grid import Instrument, Lots, Nanos, Notional, Side, Ticks


class Finish(Enum):
    """What happens to a rest that the schedule has not placed when the end comes near."""

    CROSS = "cross"  # In the last slice, cross the spread inside the collar.
    LEAVE = "leave"  # Stay passive to the end and report the rest.


class Urgency(Enum):
    """How long a slice rests before it crosses the spread."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class ParentOrder:
    """The client's instruction.  Never sent to a venue.

    `participation_ppm` caps our share of the market's volume, in parts per million.  `budget` is the most that a buy
    given in quote currency may spend, in ticks times lots; None where the order was given as a quantity.
    """

    id: str
    instrument: Instrument
    side: Side
    quantity: Lots
    start: Nanos
    end: Nanos
    slices: int
    limit: Ticks | None = None
    participation_ppm: int = 100_000
    budget: Notional | None = None
    urgency: Urgency = Urgency.MEDIUM
    finish: Finish = Finish.CROSS

    def __post_init__(self) -> None:
        if self.quantity <= 0 or self.end <= self.start or self.slices < 1:
            raise ValueError(f"parent {self.id}: quantity, duration and slices must be positive")

    def boundary(self, number: int) -> Nanos:
        """The moment at which slice `number` (from 0) begins; `boundary(slices)` is the end."""
        return Nanos(self.start + (self.end - self.start) * number // self.slices)

    def slice_at(self, now: Nanos) -> int:
        """The number of the slice that holds a moment, clamped to the order's window."""
        number = (now - self.start) * self.slices // (self.end - self.start)
        while self.boundary(number + 1) <= now:
            number += 1
        return max(0, min(self.slices - 1, number))

    def client_id(self, number: int) -> str:
        """The client id of child `number`: derived, never random, so that a number can never be sent twice."""
        return f"{self.id}n{number}"


class Liquidity(Enum):
    """Whether a fill took liquidity or made it."""

    MAKER = "maker"
    TAKER = "taker"


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution of our order.  `id` is the venue's trade id, unique per venue, account and symbol.

    `fee` is an exact amount of `fee_currency`: no grid of ours covers fees.  `at` is the venue's time.
    """

    id: str
    order: str
    price: Ticks
    quantity: Lots
    at: Nanos
    liquidity: Liquidity
    fee: Decimal
    fee_currency: str


class OrderState(Enum):
    """Where the life of a child order stands."""

    SENT = "sent"  # Given to the wire; nothing heard yet.
    WORKING = "working"  # The venue has it.
    CANCELING = "canceling"  # We asked for its end; until the venue says so it may still trade.
    IN_DOUBT = "in_doubt"  # The venue may or may not have it.  Ask; never resend.
    CLOSED = "closed"  # The venue said that it can trade no more.


# Every legal move, and nothing else.  A fill is not a move.
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.SENT: frozenset(
        {OrderState.WORKING, OrderState.CANCELING, OrderState.IN_DOUBT, OrderState.CLOSED},
    ),
    OrderState.WORKING: frozenset({OrderState.CANCELING, OrderState.IN_DOUBT, OrderState.CLOSED}),
    # A cancel whose answer was lost leaves the order in doubt; one that was refused leaves it to a query.
    OrderState.CANCELING: frozenset({OrderState.IN_DOUBT, OrderState.CLOSED}),
    # A doubtful order that the venue knows and has open is canceled, never worked on: we lost track of it once.
    OrderState.IN_DOUBT: frozenset({OrderState.CANCELING, OrderState.CLOSED}),
    OrderState.CLOSED: frozenset(),
}


class OrderKind(Enum):
    """How a child order meets the book.  There are no market orders."""

    REST = "rest"  # Limit, post-only: rests or is refused.
    TAKE = "take"  # Limit, immediate or cancel: takes what is there inside its limit.


@dataclass(slots=True)
class ChildOrder:
    """An order that we sent, or may have sent.

    `reported` is the venue's own cumulative count; `fills` are the itemised ones by id.  The two travel on different
    channels in any order, so neither alone is the truth: `filled` is the larger.
    """

    client_id: str
    side: Side
    quantity: Lots
    limit: Ticks
    kind: OrderKind
    slice: int
    sent_at: Nanos
    state: OrderState = OrderState.SENT
    venue_id: str | None = None
    reported: Lots = Lots(0)
    fills: dict[str, Fill] = field(default_factory=dict)
    # Doubt: since when, when we last asked, how many "not found" answers we have, and the moment of the last.
    doubted_at: Nanos | None = None
    asked_at: Nanos | None = None
    missing: int = 0
    missing_at: Nanos | None = None
    canceled_at: Nanos | None = None

    @property
    def itemised(self) -> Lots:
        """Lots of the fills that we hold one by one."""
        return Lots(sum(fill.quantity for fill in self.fills.values()))

    @property
    def filled(self) -> Lots:
        """CumQty(14): the larger of our itemised sum and the venue's own count."""
        return Lots(max(self.itemised, self.reported))

    @property
    def leaves(self) -> Lots:
        """LeavesQty(151): lots that may still trade.  An order in doubt still leaves all of its rest."""
        if self.state is OrderState.CLOSED:
            return Lots(0)
        return Lots(max(0, self.quantity - self.filled))

    @property
    def alive(self) -> bool:
        """Whether the order may still trade, as far as we know."""
        return self.state is not OrderState.CLOSED

    def record(self, fill: Fill) -> bool:
        """Take a fill into account once, whatever state we believed the order in; False for a repeat."""
        if fill.id in self.fills:
            return False
        self.fills[fill.id] = fill
        return True

    def report(self, filled: Lots) -> None:
        """Take the venue's cumulative count into account.  Counts only grow: a smaller one is a late message."""
        self.reported = Lots(max(self.reported, filled))

    def move(self, state: OrderState) -> bool:
        """Make a move if TRANSITIONS allows it; False (and nothing happens) where it does not.

        A late acknowledgment must not undo a cancel, a doubt or a close, so an illegal move is no error.
        """
        if state not in TRANSITIONS[self.state]:
            return False
        self.state = state
        return True
