"""An order in doubt may be alive: it is asked about, never sent again, and keeps its rest until the venue has spoken.

The way out, in order: cancel; query every two seconds; once neither the submit nor an answer about its time can be in
flight, two "not found" answers apart; then the list of our own fills.  Only a venue's word ends a doubt, never a timer.
"""

from __future__ import annotations

from execd.core.commands import CancelOrder, ListFills, QueryOrder
from execd.core.grid import MINUTE, SECOND, Nanos
from execd.core.orders import ChildOrder, OrderState

ASK_EVERY = Nanos(2 * SECOND)
"""Between two questions about one order; "not found" answers count only when they lie this far apart."""

MISSING_NEEDED = 2
"""How many "not found" answers it takes, all of them asked for after the submit's validity."""

ANSWER_WITHIN = Nanos(10 * SECOND)
"""No answer is older than this: an adapter gives a question up sooner.  An answer does not say what it answers."""

SEND_WITHIN = Nanos(2 * SECOND)
"""A submit that has not left us this long after its approval is not sent at all."""


def begin(order: ChildOrder, now: Nanos) -> bool:
    """Put an order in doubt; False if it is closed or in doubt already."""
    if not order.move(OrderState.IN_DOUBT):
        return False
    order.doubted_at = now
    order.canceled_at = order.asked_at = order.missing_at = None
    order.missing = 0
    return True


def expires(order: ChildOrder, validity: Nanos) -> Nanos:
    """The moment after which the submit can no longer arrive, the venue's own processing included."""
    return Nanos(order.sent_at + SEND_WITHIN + validity)


def question(order: ChildOrder, now: Nanos, symbol: str) -> CancelOrder | QueryOrder | ListFills | None:
    """What to ask next about an order in doubt, if it is time."""
    if order.canceled_at is None:
        order.canceled_at = now
        return CancelOrder(order.client_id, symbol)
    if order.asked_at is not None and now < order.asked_at + ASK_EVERY:
        return None
    order.asked_at = now
    if order.missing >= MISSING_NEEDED:
        return ListFills(symbol, Nanos(order.sent_at - MINUTE))
    return QueryOrder(order.client_id, symbol)


def next_question_at(order: ChildOrder, now: Nanos) -> Nanos:
    """When `question` will have something to ask."""
    return now if order.asked_at is None else Nanos(order.asked_at + ASK_EVERY)


def missed(order: ChildOrder, now: Nanos, validity: Nanos) -> None:
    """Count a "not found" answer, if it means anything yet: if it was asked for after the submit's end."""
    if now < expires(order, validity) + ANSWER_WITHIN:
        return
    if order.missing_at is None or now >= order.missing_at + ASK_EVERY:
        order.missing += 1
        order.missing_at = now


def settled_by_fills(order: ChildOrder, through: Nanos) -> bool:
    """Whether a list of our fills, read through a moment, ends the doubt about a missing order."""
    return (
        order.state is OrderState.IN_DOUBT
        and order.missing >= MISSING_NEEDED
        and order.missing_at is not None
        and through >= order.missing_at
    )
