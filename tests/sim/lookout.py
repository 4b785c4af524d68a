"""The watches beside the trading: the real ones of `execd.runtime.watch`, on virtual time.

Promise: what the running reconciliation finds missing it finds once, and the sweep of a kill leaves alone what is not
ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from execd.core.events import Event
from execd.core.execution import Execution
from execd.core.grid import SECOND, Nanos
from execd.runtime import watch
from execd.runtime.latch import Latch
from execd.runtime.reconcile import Verdict
from execd.venues import Venue
from tests.sim.crew import Crew, Promise
from tests.sim.sea import Sea, Wreck
from tests.sim.wire import Wire

if TYPE_CHECKING:
    from tests.sim.process import Process

RECONCILED_EVERY = Nanos(15 * SECOND)


class Naps:
    """Takes the place of the module `asyncio` in `watch`: all that it uses of it is `sleep`."""

    def __init__(self, sea: Sea) -> None:
        self._sea = sea

    def sleep(self, seconds: float) -> Promise:
        """Sleep in virtual time."""
        waking = Promise()
        self._sea.after(int(seconds * SECOND), waking.settle, None)
        return waking


class _Switch:
    """The kill switch's file, as the sweep looks at it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def tripped(self) -> bool:
        return self._process.latch is not None


class Lookout:
    """The watches of one life.  Half of the voyages have none: what only they would find must be found without."""

    def __init__(self, process: Process, wire: Wire, crew: Crew, post: Callable[[Event], None]) -> None:
        self._process, self._crew, self._post = process, crew, post
        self._venue = cast("Venue", wire)
        self._missing: dict[str, set[str]] = {}

    def watch(self, execution: Execution) -> None:
        """Begin to watch over a parent."""
        latch = cast("Latch", _Switch(self._process))
        self._crew.create_task(watch.sweep(self._venue, latch, execution, self._post))
        parent = execution.parent.id
        self._crew.create_task(
            watch.watch_account(
                self._venue, execution, self._post, RECONCILED_EVERY, lambda verdict: self._told(parent, verdict)
            )
        )

    def _told(self, parent: str, verdict: Verdict) -> None:
        if verdict.unanswered is not None:
            return
        missing = {fill.id for fill in verdict.missing_here}
        again = missing & self._missing.get(parent, set())
        if again:
            raise Wreck(f"the second reconciliation misses {sorted(again)} again")
        if verdict.different:
            raise Wreck(f"fills differ: {verdict.different}")
        self._missing[parent] = missing
