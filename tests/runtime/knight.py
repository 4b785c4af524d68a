"""execd run amok: `python -m tests.runtime.knight run ...`, with what has gone wrong in $KNIGHT.

    everything   the policy wants all of it at once, for ever, and the router drafts ten times the parent at any price
    reference    the same, and the price that the gate holds drafts against is half as high again as the market
    duplicates   every order is sent twice
    switched     the gate lets everything pass

What is left in place is what would be left: of the first the gate, of the others the fuse.
"""

from __future__ import annotations

import os
from itertools import cycle
from typing import Any
from unittest.mock import patch

from execd import cli
from execd.core import execution, risk, router
from execd.core.grid import Lots, Ticks
from execd.core.orders import OrderKind
from execd.runtime.hands import Hands

PRICES = cycle((100, 150, 101, 50, 200))
"""Of the market's price, in hundredths."""


def runaway(_now: Any, parent: Any, slice_: Any, market: Any, *_others: Any, **_more: Any) -> risk.Draft:
    """Draft ten times the parent, whatever is open already, at the next of the prices."""
    price = Ticks(max(1, (market.ask or market.last or 1) * next(PRICES) // 100))
    return risk.Draft(parent.side, Lots(10 * parent.quantity), price, OrderKind.TAKE, slice_.number)


async def twice(hands: Hands, command: Any, seq: int) -> None:
    """Send an order, and send it again."""
    await _submit(hands, command, seq)
    await _submit(hands, command, seq)


# What is broken, as it was.
_submit, _reference2 = Hands._submit, risk.reference2


def half_as_high_again(view: risk.RiskView) -> int | None:
    """The price of another market."""
    price = _reference2(view)
    return None if price is None else price * 3 // 2


EVERYTHING = (
    (router, "plan", runaway),
    (router, "RETRY", 50_000_000),
    (execution, "sane", lambda _share: True),
)
BREAKS: dict[str, tuple[tuple[Any, str, Any], ...]] = {
    "everything": EVERYTHING,
    "reference": (
        *EVERYTHING,
        (risk, "reference2", half_as_high_again),
        (risk, "CONTROLS", tuple(each for each in risk.CONTROLS if each[0] is not risk.Refusal.PERIOD_COLLAR)),
    ),
    "duplicates": ((Hands, "_submit", twice),),
    "switched": (
        *EVERYTHING,
        (risk, "check", lambda draft, view: risk.Approved(draft, view.now)),
        (risk, "allowance", lambda _view, _limit, **_but: (Lots(10**15), risk.Refusal.ROOM)),
        (execution.Execution, "_assert_room", lambda _execution: None),
    ),
}

if __name__ == "__main__":
    for broken in BREAKS[os.environ["KNIGHT"]]:
        patch.object(*broken).start()
    cli.main()
