"""Holds the account's base currency against our fills: what else has moved it?

Promise: the drift is exact, fees in the base currency included, and is measured only where nothing of ours filled
while the exchange was asked.  It cannot tell deposits, withdrawals and trades of somebody else from each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

from execd.core.commands import ListFills
from execd.core.events import FillsListed, OrderFilled
from execd.core.execution import Execution
from execd.core.grid import Nanos
from execd.core.orders import Fill
from execd.runtime.reconcile import is_ours, since_overlap
from execd.venues import Venue, VenueError


class BalanceCheck:
    """The base balance less what our fills brought stays the same as long as nobody else moves it.

    `drift` is by how much it has changed in this life of the process, in base currency; None until it was measured
    twice.
    """

    def __init__(self, venue: Venue, execution: Execution) -> None:
        self.drift: Decimal | None = None
        self._venue, self._execution = venue, execution
        self._first: Decimal | None = None

    async def measure(self) -> None:
        """Measure, where the exchange answers and nothing fills meanwhile."""
        rest = await self._unexplained()
        if rest is None:
            return
        if self._first is None:
            self._first = rest
        else:
            self.drift = rest - self._first

    async def watch(self, every: Nanos, told: Callable[[Decimal], None]) -> None:
        """Measure again and again, the first time at once, and tell the drift, for ever."""
        while True:
            await self.measure()
            if self.drift is not None:
                told(self.drift)
            await asyncio.sleep(every / 1e9)

    async def _unexplained(self) -> Decimal | None:
        """The base balance less what our fills brought; None where it cannot be known now."""
        parent = self._execution.parent
        # Taken before anything is asked: what fills later may or may not be in the balance.
        fills = {fill.id: fill for fill in self._execution.blotter.fills}
        since = since_overlap(self._execution)
        try:
            before = await self._listed(since)
            balances = await self._venue.balances()
            after = await self._listed(since)
        except VenueError:
            return None
        if before.keys() != after.keys():
            return None
        fills |= before
        base = parent.instrument.base
        held = sum((Decimal(balance.total) for balance in balances if balance.currency == base), Decimal(0))
        return held - sum((self._brought(fill) for fill in fills.values()), Decimal(0))

    async def _listed(self, since: Nanos) -> dict[str, Fill]:
        """Our fills since a moment, as the exchange has them.  Raises VenueError."""
        parent = self._execution.parent
        facts = await self._venue.fills(ListFills(parent.instrument.symbol, since))
        if not any(isinstance(fact, FillsListed) for fact in facts):
            raise VenueError("the list of fills did not come")
        found = [fact.fill for fact in facts if isinstance(fact, OrderFilled)]
        return {fill.id: fill for fill in found if is_ours(fill.order, parent.id)}

    def _brought(self, fill: Fill) -> Decimal:
        """What a fill changed the base balance by."""
        parent = self._execution.parent
        moved = parent.side.sign * parent.instrument.quantity(fill.quantity)
        return moved - fill.fee if fill.fee_currency == parent.instrument.base else moved
