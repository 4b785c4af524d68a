"""A second process that stops, and cancels, for a daemon that cannot.

    a heartbeat stops  ->  the latch, durably  ->  cancel at the exchange until two clean reads  ->  go on looking

Promise: nothing here depends on the daemon that is watched, nor on how it decides: not on its loop, its socket, its
journal or its key.  While the kill switch is set, whoever has set it, what is execd's is canceled, again and again,
however often the exchange fails to answer.  A latch that cannot be written, or that hangs, does not keep the cancels.
Nothing is ever sent but questions and cancels, and only a person releases the latch.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from execd.runtime.aside import Aside
from execd.runtime.complaints import Complaints
from execd.runtime.heartbeat import SUFFIX, beats, told
from execd.runtime.latch import Kind, Latch, LatchError, Scope
from execd.runtime.vigil import KEEP_LOOKING_S, Calm, Vigil
from execd.runtime.watchdog_metrics import WatchdogMetrics
from execd.venues import VenueError

if TYPE_CHECKING:
    from execd.venues.sweeper import Swept

BY = Kind.WATCHDOG.value
"""Who stands in the latch's record."""

LOOK_S = 0.25
"""How often heartbeats and latch are looked at."""

DISK_WITHIN_S = 2.0
"""How long a look, or the writing of the latch, may take before we go on without."""

PROVE_EVERY_S = 60.0
"""How often the way to the exchange is tried while there is nothing to cancel."""


@dataclass(frozen=True, slots=True)
class Way:
    """The watchdog's own way to the exchange.  Both raise VenueError where it gives no answer."""

    account: Callable[[], Awaitable[str]]
    sweep: Callable[[], Awaitable[Swept]]


@dataclass(slots=True)
class Findings:
    """What a watchdog did: the causes for which it tripped, the orders it canceled, those of others that it saw."""

    tripped: dict[str, None] = field(default_factory=dict)
    canceled: dict[str, None] = field(default_factory=dict)
    foreign: dict[str, None] = field(default_factory=dict)
    latched: bool = False
    settled: bool = False

    def as_dict(self) -> dict[str, object]:
        """For machines."""
        return {
            "latched": self.latched,
            "tripped": list(self.tripped),
            "canceled": list(self.canceled),
            "foreign": list(self.foreign),
            "clean": self.settled,
        }


class Watchdog:
    """Watches the heartbeats of one state folder and one mode.

    Args:
        folder: where the heartbeats lie.
        mode: whose heartbeats are meant.
        latch: the kill switch of all that runs on the state folder.
        patience_s: how long a heartbeat may be silent.
        way: to the exchange.
        apart_s: the least time between the clean reads.
        metrics: what is counted.
    """

    def __init__(
        self,
        folder: Path,
        mode: str,
        latch: Latch,
        patience_s: float,
        way: Way,
        apart_s: float,
        metrics: WatchdogMetrics,
    ) -> None:
        self._folder, self._mode, self._latch, self._way = folder, mode, latch, way
        self._vigil, self._apart_s, self._metrics = Vigil(patience_s), apart_s, metrics
        self.found = Findings()
        self.looked_s = time.monotonic()
        self._calm = Calm(apart_s)
        self._eye, self._pen = Aside(), Aside()  # apart: a latch that hangs must not blind us
        self._unwritten: list[tuple[str, str]] = []  # cause and by whom
        self._writing = asyncio.Lock()
        self._unwritable = self._set = False
        self._alarm = asyncio.Event()
        self._account: str | None = None
        self._reached = False
        self._known: dict[str, dict[str, object]] = {}
        self._log = structlog.get_logger("execd.watchdog")
        self._complaints = Complaints(self._log)

    @property
    def latched(self) -> bool:
        """Whether nothing of execd's may be open: the latch is set, or should be and could not be written."""
        return self._set or self._unwritable

    def ready(self) -> dict[str, bool]:
        """Whether what would be done could be done: for a probe."""
        return {"exchange": self._reached, "account": not self._strangers(), "not_latched": not self.latched}

    async def watch(self) -> None:
        """Look at the heartbeats and the latch, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def sweep(self) -> None:
        """While latched, cancel what is execd's at the exchange, for ever."""
        while True:
            self._alarm.clear()
            pause_s = await self.round() if self.latched else KEEP_LOOKING_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._alarm.wait()

    async def prove(self) -> None:
        """Ask the exchange for our account again and again: a way that was never tried is none."""
        while True:
            if not self.latched:
                await self._try_way()
            await asyncio.sleep(PROVE_EVERY_S)

    async def look(self) -> None:
        """Look once: trip for each heartbeat that has stopped, and write what could not be written before."""
        found: dict[str, bytes] | None = None
        before = self._set
        try:
            tripped, found = await self._eye.do(self._read, DISK_WITHIN_S)
        except TimeoutError:
            tripped = self._set  # A disk that hangs says nothing; the silence of the heartbeats goes on.
        now_s = self.looked_s = time.monotonic()
        for name, beat in self._vigil.look(now_s, found).items():
            self._condemn(name, beat)
        if self._unwritten:
            await self._write_latch()
        elif self._set == before:  # Else somebody has tripped while we looked.
            self._notice(tripped=tripped)
        self._meet(found)
        self.found.latched = self.latched
        self._metrics.looked(self._vigil.ages_s(now_s), latched=self.latched)

    async def trip(self, _scope: Scope, reason: str, by: str) -> None:
        """Trip on somebody's word, for everything: whoever asks a watchdog has no daemon that would answer."""
        self.found.tripped[reason] = None
        self._unwritten.append((reason, by))
        await self._write_latch()

    async def round(self) -> float:
        """Cancel what is execd's at the exchange, once; return the seconds until the next round."""
        try:
            swept = await self._way.sweep()
        except VenueError as error:
            self._metrics.swept("failed")
            self._reach(at_s=None)
            self._complaints.say("the exchange does not tell what is open; asking on and on", str(error))
            return self._calm.saw(time.monotonic(), clean=False)
        self._complaints.say("the exchange does not tell what is open; asking on and on", None)
        self._metrics.swept("clean" if swept.clean else "open", len(swept.canceled))
        self._reach(at_s=time.time())
        self.found.canceled |= dict.fromkeys(swept.canceled)
        self.found.foreign |= dict.fromkeys(swept.foreign)
        if swept.open:
            self._log.warning("swept", open=swept.open, canceled=swept.canceled, left_alone=swept.foreign)
        self._complaints.say("not all could be canceled; going on", "; ".join(swept.problems) or None)
        was = self._calm.settled
        pause_s = self._calm.saw(time.monotonic(), clean=swept.clean)
        self.found.settled = self._calm.settled
        if self._calm.settled and not was:
            self._log.warning("nothing of execd's is open at the exchange", left_alone=swept.foreign)
            await self._bury()
        return pause_s

    async def _try_way(self) -> None:
        unreached = "the exchange cannot be reached: nothing could be canceled now; asking on and on"
        try:
            self._account = await self._way.account()
        except VenueError as error:
            self._reach(at_s=None)
            self._complaints.say(unreached, str(error))
            return
        self._reach(at_s=time.time())
        self._complaints.say(unreached, None)
        self._compare()

    def _read(self) -> tuple[bool, dict[str, bytes] | None]:
        tripped = self._latch.tripped
        try:
            return tripped, beats(self._folder, self._mode)
        except OSError:
            return tripped, None

    def _condemn(self, name: str, beat: bytes) -> None:
        pid, parent = told(beat).get("pid", "unknown"), told(beat).get("parent", "unknown")
        cause = f"the heartbeat of {name} (process {pid}, parent {parent}) has stopped"
        self._log.critical("heartbeat stopped", daemon=name, pid=pid, parent=parent)
        self._metrics.tripped()
        self.found.tripped[cause] = None
        self._unwritten.append((cause, BY))

    async def _write_latch(self) -> None:
        """Write the causes that are not in the latch yet; where that cannot be done, they stand in our memory."""
        words = "the latch cannot be written; canceling all the same"
        async with self._writing:
            while self._unwritten:
                cause, by = self._unwritten[0]
                try:
                    await self._pen.do(partial(self._latch.trip, cause, by), DISK_WITHIN_S)
                except (LatchError, TimeoutError) as error:
                    self._complaints.say(words, str(error) or "the disk hangs")
                    if not self._unwritable:
                        self._unwritable = True
                        self._hurry()
                    return
                del self._unwritten[0]
                self._log.critical("kill switch tripped", cause=cause, by=by, latch=str(self._latch.path))
            self._complaints.say(words, None)
            self._unwritable = False
            self._notice(tripped=True)
            self._hurry()

    def _hurry(self) -> None:
        """Begin a round at once: what was clean before says nothing any more."""
        self._calm, self.found.settled = Calm(self._apart_s), False
        self._alarm.set()

    def _notice(self, *, tripped: bool) -> None:
        """Tell when the latch is set or released, by whomever."""
        if tripped and not self._set:
            self._log.warning("the kill switch is set: canceling what is execd's", latch=str(self._latch.path))
            self._hurry()
        elif self._set and not tripped:
            self._log.warning("the kill switch was released")
        self._set = tripped

    def _meet(self, found: dict[str, bytes] | None) -> None:
        """Tell which daemons came and went."""
        if found is None:
            return
        for name in found.keys() - self._known.keys():
            self._known[name] = told(found[name])
            self._log.info("watching a daemon", daemon=name, **self._known[name])
            self._compare()
        for name in self._known.keys() - found.keys():
            del self._known[name]
            self._log.info("a daemon has ended, with nothing open", daemon=name)

    def _reach(self, *, at_s: float | None) -> None:
        self._reached = at_s is not None
        self._metrics.reached(at_s)

    def _strangers(self) -> set[str]:
        """The accounts of daemons that our key is not of."""
        theirs = {str(known["account"]) for known in self._known.values() if "account" in known}
        return theirs - {self._account} if self._account is not None else set()

    def _compare(self) -> None:
        """Say where our key is of another account than a daemon's: then we cannot cancel for it."""
        strangers = self._strangers()
        self._metrics.strangers(len(strangers))
        if strangers:
            self._log.critical("our key is of another account: we cannot cancel", ours=self._account, theirs=strangers)

    async def _bury(self) -> None:
        """Remove the heartbeats that have been dealt with: a later watchdog must not trip for them again."""
        if self._unwritten or self._strangers():
            return
        for name, beat in self._vigil.stopped().items():
            try:
                await self._pen.do(partial(_remove, self._folder / f"{name}{SUFFIX}", beat), DISK_WITHIN_S)
            except (OSError, TimeoutError) as error:
                self._log.warning("a heartbeat that stopped stays", daemon=name, error=str(error))
            else:
                self._known.pop(name, None)


def _remove(path: Path, beat: bytes) -> None:
    """Remove a heartbeat that is still the one that stopped; a daemon that lives again writes the next anew."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == beat:
            path.unlink()
