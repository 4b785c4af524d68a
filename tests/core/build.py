"""The things that the tests of the core talk about, each ready to use and each with one word to change.

Times are seconds after START, prices are ticks, quantities are lots.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from execd.core.commands import Command, ProposeSlice, SubmitOrder
from execd.core.events import (
    Bar,
    Channel,
    Event,
    MarketObserved,
    MarketView,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    ParentSubmitted,
    ProposalFailed,
    SliceProposed,
    StreamRestored,
    TradePrinted,
    Woken,
)
from execd.core.execution import Execution
from execd.core.grid import SECOND, Instrument, Lots, Nanos, Notional, Side, Ticks
from execd.core.limits import RiskLimits
from execd.core.orders import ChildOrder, Fill, Liquidity, OrderKind, OrderState, ParentOrder
from execd.core.risk import Draft, RiskView
from execd.core.throttle import Throttle

START = Nanos(1_800_000_000 * SECOND)
BID, ASK = 10_000, 10_002
VALIDITY = Nanos(5 * SECOND)
NEWS_FROM = 17
"""From when on a "not found" is news: two seconds to leave us, five for the venue to act, ten for answers under way."""

AnyCommand = TypeVar("AnyCommand", bound=Command)


def at(seconds: float) -> Nanos:
    """A moment, in seconds after the parent's start."""
    return Nanos(START + round(seconds * SECOND))


def an_instrument(**changes: Any) -> Instrument:
    """BTC/USDT with a tick of 0.01, a lot of 0.001 and a least notional of five lots at 10,000 ticks."""
    instrument = Instrument(
        venue="practice",
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.001"),
        min_quantity=Lots(1),
        max_quantity=Lots(100_000),
        min_notional=Notional(50_000),
        max_notional=Notional(10**12),
    )
    return replace(instrument, **changes)


def a_parent(**changes: Any) -> ParentOrder:
    """Buy 1,000 lots in ten slices of a minute each."""
    parent = ParentOrder(
        id="P1",
        instrument=an_instrument(),
        side=Side.BUY,
        quantity=Lots(1_000),
        start=START,
        end=at(600),
        slices=10,
    )
    return replace(parent, **changes)


def limits(**changes: Any) -> RiskLimits:
    """Limits so wide that a sensible draft for `a_parent` passes them all."""
    wide = RiskLimits(
        child_quantity=Lots(10_000),
        child_notional=Notional(10**10),
        window=Nanos(60 * SECOND),
        window_quantity=Lots(10_000),
        parent_notional=Notional(10**11),
        day_notional=Notional(10**12),
        collar_bps=50,
        rest_bps=200,
        period_collar_bps=300,
        references=2,
        reference_age=Nanos(2 * SECOND),
        stale_age=Nanos(10 * SECOND),
        participation_ppm=250_000,
        participation_window=Nanos(300 * SECOND),
        ahead_ppm=50_000,
        open_orders=5,
        messages_per_second=2,
        message_burst=5,
        rejects_in_a_row=5,
        rejects_per_minute=10,
        same_orders=20,
        messages_per_fill=100,
        children_per_slice=50,
        spread_bps=100,
        swing_bps=200,
        slippage_bps=25,
        clock_skew=Nanos(750_000_000),
        ack_timeout=Nanos(5 * SECOND),
    )
    return replace(wide, **changes)


def a_market(now: int = START, **changes: Any) -> MarketView:
    """A market of 10,000 : 10,002 whose last trade and last minute were at 10,001, all of it seen just now."""
    view = MarketView(
        bid=Ticks(BID),
        bid_size=Lots(500),
        ask=Ticks(ASK),
        ask_size=Lots(500),
        quote_at=Nanos(now),
        last=Ticks(10_001),
        last_at=Nanos(now),
        last_id=7,
        last_venue_at=Nanos(now),
        minute_volume=Lots(1_000),
        minute_notional=Notional(10_001_000),
        trailing_volume=Lots(1_000_000),
    )
    return replace(view, **changes)


def a_view(**changes: Any) -> RiskView:
    """A moment at which the gate has nothing against a sensible draft."""
    view = RiskView(
        now=START,
        parent=a_parent(),
        limits=limits(),
        market=a_market(),
        arrival2=20_002,
        killed=False,
        held=None,
        committed=Lots(0),
        leaves=Lots(0),
        spent=0,
        day_spent=0,
        ceiling=Lots(1_000),
        window_used=Lots(0),
        own_trailing=Lots(0),
        tape_includes_own=True,
        open_orders=0,
        message_tokens=1,
        rejects=0,
        children=0,
        lately=Throttle(),
        suspect=None,
        clock_offset=Nanos(0),
        unwell=None,
    )
    return replace(view, **changes)


def a_draft(**changes: Any) -> Draft:
    """Rest 100 lots at the bid."""
    draft = Draft(side=Side.BUY, quantity=Lots(100), limit=Ticks(BID), kind=OrderKind.REST, slice=0)
    return replace(draft, **changes)


def a_child(*, reported: int = 0, **changes: Any) -> ChildOrder:
    """Child 1 of `a_parent`: ten lots at the bid, sent at the start."""
    order = ChildOrder(
        client_id="P1n1",
        side=Side.BUY,
        quantity=Lots(10),
        limit=Ticks(BID),
        kind=OrderKind.REST,
        slice=0,
        sent_at=START,
        reported=Lots(reported),
    )
    for name, value in changes.items():
        setattr(order, name, value)
    return order


def a_fill(quantity: int = 10, **changes: Any) -> Fill:
    """A fill of child 1 at the bid."""
    fill = Fill(
        id="t1",
        order="P1n1",
        price=Ticks(BID),
        quantity=Lots(quantity),
        at=START,
        liquidity=Liquidity.MAKER,
        fee=Decimal("0.001"),
        fee_currency="BNB",
    )
    return replace(fill, **changes)


def a_print(number: int, seconds: float = 0, price: int = BID, quantity: int = 1) -> TradePrinted:
    """A public trade, by venue time."""
    return TradePrinted(number, Ticks(price), Lots(quantity), at(seconds), Side.BUY)


def a_bar(seconds: float = 0, **changes: Any) -> Bar:
    """A bar that starts so many seconds after START."""
    return replace(Bar(at(seconds), Lots(10), Notional(100_000), Ticks(BID), 3), **changes)


def a_submission(parent: ParentOrder | None = None, **changes: Any) -> ParentSubmitted:
    """`a_parent` handed to us, due evenly over its slices."""
    parent = parent or a_parent()
    submitted = ParentSubmitted(
        parent=parent,
        limits=limits(),
        validity=VALIDITY,
        own_prints=True,
        contiguous=True,
        curve=tuple((number + 1) / parent.slices for number in range(parent.slices)),
        history=(),
    )
    return replace(submitted, **changes)


class Work:
    """An execution at work, its clock and its market in the hands of the test.

    Before each fact the market is shown as of that moment, as the sequencer does.  `sent` are all orders so far.
    """

    def __init__(self, parent: ParentOrder | None = None, *, up: bool = True, **changes: Any) -> None:
        self.submitted = a_submission(parent, **changes)
        self.parent = self.submitted.parent
        self.execution = Execution(self.submitted)
        self.now = START
        self.market: dict[str, Any] = {}
        self.sent: list[SubmitOrder] = []
        self.first = self.tell(self.submitted)
        if up:
            self.tell(StreamRestored(Channel.ACCOUNT))
            self.first = self.tell(StreamRestored(Channel.MARKET))

    def tell(self, event: Event, seconds: float | None = None) -> list[Command]:
        """Let a fact happen, so many seconds after the start; without a time, at the moment of the one before."""
        if seconds is not None:
            assert at(seconds) >= self.now, "time does not run backwards"
            self.now = at(seconds)
        self.execution.handle(self.now, MarketObserved(self.parent.id, a_market(self.now, **self.market)))
        commands = self.execution.handle(self.now, event)
        self.execution.blotter.assert_sums()
        self.sent += every(SubmitOrder, commands)
        return commands

    def wake(self, seconds: float) -> list[Command]:
        """Nothing but time has passed."""
        return self.tell(Woken(), seconds)

    def propose(self, share: float, number: int = 0, seconds: float | None = None) -> list[Command]:
        """The policy answers."""
        return self.tell(SliceProposed(self.parent.id, number, share, "vwap-2"), seconds)

    def fall_back(self, number: int = 0, seconds: float | None = None) -> list[Command]:
        """The policy does not answer, so that the curve decides."""
        return self.tell(ProposalFailed(self.parent.id, number, "absent"), seconds)

    def accept(self, order: SubmitOrder, seconds: float | None = None, filled: int = 0) -> list[Command]:
        """The venue has an order open."""
        return self.tell(OrderAccepted(order.order, f"v{order.order}", Lots(filled)), seconds)

    def fill(self, order: SubmitOrder, quantity: int, seconds: float | None = None, **changes: Any) -> list[Command]:
        """An order trades at its limit."""
        moment = self.now if seconds is None else at(seconds)
        number = len(self.execution.blotter.fills) + 1
        fill = a_fill(quantity, id=f"t{number}", order=order.order, price=order.limit, at=moment)
        return self.tell(OrderFilled(replace(fill, **changes)), seconds)

    def close(
        self, order: SubmitOrder, filled: int, seconds: float | None = None, reason: str = "filled"
    ) -> list[Command]:
        """The venue gives an order's final count."""
        return self.tell(OrderClosed(order.order, Lots(filled), reason), seconds)

    def started(self) -> SubmitOrder:
        """Let the curve decide the first slice, and give the order that it leads to, still unanswered."""
        return only(SubmitOrder, self.fall_back())

    def working(self) -> SubmitOrder:
        """The same, accepted by the venue."""
        order = self.started()
        self.accept(order)
        return order

    def child(self, order: SubmitOrder) -> ChildOrder:
        """What we know of an order."""
        return self.execution.blotter.orders[order.order]

    def state(self, order: SubmitOrder) -> OrderState:
        """Where an order's life stands."""
        return self.child(order).state

    @property
    def wakes_at(self) -> float | None:
        """The deadline, in seconds after the start."""
        moment = self.execution.deadline()
        return None if moment is None else (moment - START) / SECOND


def every(kind: type[AnyCommand], commands: list[Command]) -> list[AnyCommand]:
    """The commands of one kind."""
    return [command for command in commands if isinstance(command, kind)]


def only(kind: type[AnyCommand], commands: list[Command]) -> AnyCommand:
    """The one command there is, of this kind."""
    found = every(kind, commands)
    assert len(found) == len(commands) == 1, commands
    return found[0]


def the_ask(commands: list[Command]) -> ProposeSlice:
    """The one question to the policy among the commands."""
    (ask,) = every(ProposeSlice, commands)
    return ask
