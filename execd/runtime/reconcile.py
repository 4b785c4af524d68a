"""Holds our account of a parent against the exchange's.

Promise: two accounts agree only if every fill agrees in id, order, price and quantity, and nothing of ours is open.
What could not be asked is not agreement.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from execd.core.commands import ListFills
from execd.core.events import FillsListed, OrderFilled
from execd.core.execution import Execution
from execd.core.grid import MINUTE, Nanos
from execd.core.orders import Fill
from execd.venues import Venue, VenueError

OVERLAP = Nanos(10 * MINUTE)
"""How far back before the last fill the running reconciliation reads."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison found.  `unanswered`: why the exchange could not be asked, None if it could."""

    ours: int
    theirs: int
    missing_here: list[Fill] = field(default_factory=list)
    missing_there: list[Fill] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    unanswered: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether the accounts are the same."""
        return self.unanswered is None and not (self.missing_here or self.missing_there or self.different or self.open)

    def words(self) -> str:
        """One line for a person."""
        if self.unanswered is not None:
            return f"not reconciled: {self.unanswered}"
        if self.agrees:
            return f"fills by the journal = fills by the exchange: {self.ours} = {self.theirs}"
        parts = [
            f"{len(self.missing_here)} fills are not in the journal" if self.missing_here else "",
            f"{len(self.missing_there)} fills are not at the exchange" if self.missing_there else "",
            f"{len(self.different)} fills differ" if self.different else "",
            f"{len(self.open)} of our orders are still open" if self.open else "",
        ]
        return f"journal {self.ours}, exchange {self.theirs}: " + ", ".join(part for part in parts if part)


async def compare(venue: Venue, execution: Execution, since: Nanos | None = None) -> Verdict:
    """Fetch the exchange's account of a parent's orders and compare.  Never raises VenueError."""
    parent = execution.parent
    ours = {fill.id: fill for fill in execution.blotter.fills}
    try:
        listed = await venue.fills(ListFills(parent.instrument.symbol, since or Nanos(parent.start - MINUTE)))
        orders = await venue.open_orders(parent.instrument.symbol)
    except VenueError as error:
        return Verdict(len(ours), 0, unanswered=str(error))
    if not any(isinstance(fact, FillsListed) for fact in listed):
        return Verdict(len(ours), 0, unanswered="the list of fills did not come")
    facts = [fact.fill for fact in listed if isinstance(fact, OrderFilled)]
    theirs = {fill.id: fill for fill in facts if is_ours(fill.order, parent.id)}
    if since is not None:
        ours = {key: fill for key, fill in ours.items() if fill.at >= since or key in theirs}
    return Verdict(
        ours=len(ours),
        theirs=len(theirs),
        missing_here=[fill for key, fill in theirs.items() if key not in ours],
        missing_there=[fill for key, fill in ours.items() if key not in theirs],
        different=[key for key, fill in ours.items() if key in theirs and not _same(fill, theirs[key])],
        open=[order.client_id for order in orders if is_ours(order.client_id, parent.id)],
        foreign=[order.client_id for order in orders if not is_ours(order.client_id, parent.id)],
    )


def since_overlap(execution: Execution) -> Nanos:
    """From when on fills are read that the journal may not have yet: all, where it has none."""
    fills, earliest = execution.blotter.fills, execution.parent.start - MINUTE
    return Nanos(max(earliest, fills[-1].at - OVERLAP) if fills else earliest)


def is_ours(client_id: str, parent: str) -> bool:
    """Whether a client id is one that this parent derives."""
    head, _, number = client_id.rpartition("n")
    return head == parent and number.isdigit()


def _same(ours: Fill, theirs: Fill) -> bool:
    return (ours.order, ours.price, ours.quantity) == (theirs.order, theirs.price, theirs.quantity)
