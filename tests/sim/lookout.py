"""The watches beside the trading: the real ones of `execd.runtime.watch`, on virtual time.

Promise: what the running reconciliation finds missing it finds once; the sweep of a kill leaves alone what is not ours,
and is content only when nothing of ours rests at the venue.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from execd.core.events import Event
from execd.core.execution import Execution
from execd.core.grid import SECOND, Nanos
from execd.runtime import watch
from execd.runtime.reconcile import Verdict, is_ours
from execd.venues import Venue
from tests.sim.crew import Crew, Promise
from tests.sim.sea import Sea, Wreck
from tests.sim.wire import Wire

if TYPE_CHECKING:
    from tests.sim.process import Process

DOUBTED_FOR = 60
"""For so many seconds after the sweep of a kill is content, nothing of ours may come to rest at the venue."""

RECONCILED_EVERY = Nanos(15 * SECOND)


class Naps:
    """Takes the place of the module `asyncio` in `watch`: all that it uses of it is `sleep` and `gather`."""

    def __init__(self, sea: Sea) -> None:
        self._sea = sea

    def sleep(self, seconds: float) -> Promise:
        """Sleep in virtual time."""
        waking = Promise()
        self._sea.after(int(seconds * SECOND), waking.settle, None)
        return waking

    async def gather(self, *works: Coroutine[Any, Any, Any]) -> list[Any]:
        """One after the other: what happens at once has a test of its own."""
        try:
            return [await work for work in works]
        finally:
            for work in works:
                work.close()


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
        self._wire, self._venue = wire, cast("Venue", wire)
        self._missing: dict[str, set[str]] = {}

    def watch(self, execution: Execution) -> None:
        """Begin to watch over a parent."""
        parent = execution.parent.id

        def told(verdict: Verdict) -> None:
            self._told(parent, verdict)

        async def certain() -> None:
            self._hold_to_it(parent, self._process.life, DOUBTED_FOR)
            await watch.look_at_account(self._venue, execution, self._post, told)

        sweep = watch.Sweep(self._venue, _Switch(self._process), execution, self._post, certain)
        self._crew.create_task(sweep.run())
        self._crew.create_task(watch.watch_account(self._venue, execution, self._post, RECONCILED_EVERY, told))

    def _hold_to_it(self, parent: str, life: int, seconds: int) -> None:
        """Nothing of ours rests, nor does anything come to rest, from the moment in which the sweep is content."""
        if self._process.life != life or self._process.latch is None:
            return
        at_the_venue = (order.command.order for order in self._wire.venue.resting.values())
        if still := [order for order in at_the_venue if is_ours(order, parent)]:
            raise Wreck(f"the sweep of a kill was content, and {still} rest at the venue")
        if seconds:
            self._wire.sea.after(SECOND, self._hold_to_it, parent, life, seconds - 1)

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
