"""What every listener of tick to order is told.

Promise: nothing but what every Python has, so that every environment can import it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

from benchmarks.cores import keep_to

API_KEY, SECRET = "key" + "0" * 61, "secret" + "0" * 58
CHILD, LIMIT = "0.10000", "64019.20"
"""Of the order that those send who have no core to decide it: what execd's sends."""

TRIGGER = 0.45
"""A trade of at least this much is a trigger: wire.TRIGGER_LEAST, in base currency."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a listener is to do.

    Attributes:
        port: Where the exchange is.
        loop: `asyncio` or `uvloop`.
        core: The processor to keep to; -1 for any.
        journal: The folder of execd's journal.
        model: `curve`, or the name of a folder under models/.
        hand: Whether execd's orders go out by a hand-written request and not through ccxt.
    """

    port: int
    loop: str = "uvloop"
    core: int = -1
    journal: str = ""
    model: str = "curve"
    hand: bool = False

    def argument(self) -> str:
        """As an argument of the process."""
        return json.dumps(asdict(self))


def job() -> Job:
    """The job of this process; it keeps to its processor from here on."""
    given = Job(**json.loads(sys.argv[1]))
    keep_to(given.core)
    return given
