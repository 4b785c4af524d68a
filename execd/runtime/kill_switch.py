"""The kill switch as one life of the process has it: who may trip it here, and how the desk hears of any trip.

Promise: from the moment of a trip no order leaves; the record is durable before the desk hears of it, and so before the
first cancel is sent, but a disk that hangs holds the cancels up for a second at most; a trip that cannot be recorded
ends the process.  Nothing here can reset: that is a human's, from another process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from execd.core.commands import Command, RaiseAlarm
from execd.core.desk import Desk
from execd.core.events import Event, KillReset, KillTripped
from execd.core.execution import Execution
from execd.core.grid import Nanos
from execd.runtime.latch import Kind, LatchError, Scope, Switch
from execd.venues.fuse import Fuse

DEMAND_A_KILL = frozenset({"overfill", "stray_fill"})
"""Alarms after which nothing of the parent may go on: the exchange's account of it and ours cannot both be right."""

DURABLE_WITHIN_S = 1.0
"""How long the first cancel waits for the record.  After that an open order is the greater danger."""

UNRECORDED = 5
"""Exit code of a process whose kill switch was tripped and could not be written: systemd does not start it again."""


class Counts(Protocol):
    """Who counts trips and how long the cancels took; the metrics do."""

    def tripped(self, scope: Scope, kind: Kind) -> None:
        """A latch got a new cause."""
        ...

    def all_ended(self, seconds: float) -> None:
        """So long after the desk heard of a trip nothing was alive any more."""
        ...


class KillSwitch:
    """Watches the latches over one parent and trips them.  All of it belongs to one event loop."""

    def __init__(
        self,
        switch: Switch,
        desk: Desk,
        post: Callable[[Event], None],
        counts: Counts,
        stop: Callable[[LatchError], None] | None = None,
    ) -> None:
        """Begin where the desk stands.

        Args:
            switch: the latches.
            desk: what it knows of a kill from an earlier life is not told again.
            post: takes facts into the sequencer's inbox.
            counts: who counts.
            stop: what to do with a trip that cannot be recorded; by default the process ends at once.
        """
        self.switch = switch
        self._post, self._counts, self._stop = post, counts, stop or _leave
        self._told = desk.killed is not None
        self._known = self._causes() if self._told else frozenset()
        self._since: Nanos | None = None
        self._alarmed: set[str] = set()
        self._bell = asyncio.Event()
        # Threads of its own: a pool that others have filled with waits for a disk must not keep a trip waiting.
        self._writers = ThreadPoolExecutor(2, "kill")
        self._trips: set[asyncio.Task[None]] = set()

    async def watch(self, every: Nanos) -> None:
        """Tell the desk when a latch is set or the last one is released, for ever."""
        while True:
            if not self._told and self.switch.tripped:
                await self._durable(self.switch.secure)
            self.look()
            self._bell.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every / 1e9):
                    await self._bell.wait()

    def nudge(self) -> None:
        """Look at the latches now: somebody says that one has changed."""
        self._bell.set()

    def look(self) -> None:
        """Tell the desk what is new of the latches.  What could not be posted is told at the next look."""
        if not self.switch.tripped:
            if self._told:
                self._post(KillReset("operator", "see the log beside the latch"))
                self._told, self._known = False, frozenset()
            return
        causes = self._causes()
        new = causes - self._known
        if new or not self._told:
            self._post(KillTripped("; ".join(sorted(words for _, _, words in new)) or "unknown"))
        self._told, self._known = True, causes
        for scope, kind, _ in new:
            self._counts.tripped(scope, kind)

    async def trip(self, scope: Scope, cause: str, by: str) -> None:
        """Set a latch; returns once it is durable, or after a second, and the desk has been told."""
        await self._durable(self.switch.begin(scope, cause, by))
        self.look()

    def trip_soon(self, scope: Scope, cause: str, by: str) -> None:
        """The same for who cannot wait: no order leaves from now on."""
        record = self.switch.begin(scope, cause, by)

        async def finish() -> None:
            await self._durable(record)
            self.look()

        task = asyncio.get_running_loop().create_task(finish())
        self._trips.add(task)
        task.add_done_callback(self._trips.discard)

    def witness(
        self, now: Nanos, event: Event, commands: Sequence[Command], execution: Execution, fuse: Fuse | None
    ) -> None:
        """See what the sequencer handled: trip for the controls that demand it, and time the end of the cancels."""
        if fuse is not None and fuse.blown is not None:
            # What came to the wire must never have come so far.
            self._alarm(f"fuse: {fuse.blown}")
        for command in commands:
            if isinstance(command, RaiseAlarm) and command.code in DEMAND_A_KILL:
                self._alarm(f"{command.code}: {command.text}")
        if isinstance(event, KillTripped) and self._since is None:
            self._since = now
        elif isinstance(event, KillReset):
            self._since = None
        if self._since is not None and not execution.blotter.alive:
            self._counts.all_ended((now - self._since) / 1e9)
            self._since = None

    def close(self) -> None:
        """Stop writing; what is being written is finished."""
        self._writers.shutdown(wait=False)

    def _alarm(self, cause: str) -> None:
        # Once in a life: after a human's reset the same alarm must not latch again by itself.
        if cause not in self._alarmed:
            self._alarmed.add(cause)
            self.trip_soon(Scope.PARENT, cause, Kind.CONTROL.value)

    async def _durable(self, write: Callable[[], None]) -> None:
        written = asyncio.get_running_loop().run_in_executor(self._writers, write)
        written.add_done_callback(self._written)
        await asyncio.wait({written}, timeout=DURABLE_WITHIN_S)

    def _written(self, written: asyncio.Future[None]) -> None:
        error = None if written.cancelled() else written.exception()
        if isinstance(error, LatchError):
            self._stop(error)
        elif error is not None:
            raise error

    def _causes(self) -> frozenset[tuple[Scope, Kind, str]]:
        found = self.switch.causes()
        return frozenset((scope, each.kind, f"{scope.value}: {each.cause} (by {each.by})") for scope, each in found)


def _leave(failure: LatchError) -> None:
    """End at once: what this process does could not be stopped for good."""
    sys.stderr.write(f"execd: {failure}; stopping at once. What is open at the exchange stays open: cancel it there\n")
    sys.stderr.flush()
    os._exit(UNRECORDED)
