"""The exchange's own timer that cancels orders when we fall silent: how far it reaches, how it is held.

Promise: data only.  `held` is True only where a plain request holds the timer, so that nothing is called covered that
hangs on a connection which we do not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from execd.core.grid import SECOND, Nanos


class Reach(Enum):
    """Whose orders a timer cancels."""

    NONE = "none"
    ACCOUNT = "account"  # Every open order on the account, whoever sent it.
    SYMBOL = "symbol"  # Every open order on one symbol of the account.
    CONNECTION = "connection"  # What hangs on the WebSocket connection that set it.


@dataclass(frozen=True, slots=True)
class DeadMan:
    """One exchange's timer.

    Each request gives us `window` from its arrival on; we send one every `renew`.  `least` and `most` bound the
    windows that the exchange takes, in whole seconds.  `stays_off`: after it fired it does nothing until it is held
    again.  `trap` is what one must know besides.
    """

    reach: Reach
    window: Nanos = Nanos(0)
    renew: Nanos = Nanos(0)
    least: Nanos = Nanos(0)
    most: Nanos = Nanos(0)
    stays_off: bool = True
    trap: str = ""

    @property
    def held(self) -> bool:
        """Whether a request of ours holds it."""
        return self.reach in (Reach.ACCOUNT, Reach.SYMBOL)


NO_DEAD_MAN = DeadMan(Reach.NONE)
_DAY = 86_400


def timer(reach: Reach, window: int, renew: int, *, least: int = 1, most: int = _DAY, trap: str = "") -> DeadMan:
    """A timer that a request holds; all times in seconds."""
    return DeadMan(
        reach,
        Nanos(window * SECOND),
        Nanos(renew * SECOND),
        Nanos(least * SECOND),
        Nanos(most * SECOND),
        trap=trap,
    )
