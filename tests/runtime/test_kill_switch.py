"""From a trip on no order leaves; it is durable before the desk hears of it; it ends the process if it cannot be."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from execd.core.commands import Command, RaiseAlarm
from execd.core.desk import Desk
from execd.core.events import Event, KillReset, KillTripped, Woken
from execd.core.grid import SECOND, Nanos
from execd.runtime import kill_switch
from execd.runtime.kill_switch import KillSwitch
from execd.runtime.latch import Kind, Latch, LatchError, Scope, Switch
from execd.runtime.sequencer import InboxFullError
from tests.core.build import Work
from tests.venues.helpers import a_fuse, a_submit

GUARD_S = 20.0
EVERY = Nanos(SECOND // 1000)


@dataclass
class Life:
    """A kill switch with everything around it that a daemon has."""

    folder: Path
    desk: Desk = field(default_factory=Desk)
    facts: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    trips: list[tuple[Scope, Kind]] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    stopped: list[LatchError] = field(default_factory=list)
    on_fact: Callable[[Event], None] = lambda _: None

    def __post_init__(self) -> None:
        self.switch = Switch(self.folder, "binance", "p1")
        self.kill = KillSwitch(self.switch, self.desk, self._post, self, self.stopped.append)

    def _post(self, fact: Event) -> None:
        self.on_fact(fact)
        self.facts.put_nowait(fact)

    def tripped(self, scope: Scope, kind: Kind) -> None:
        self.trips.append((scope, kind))

    def all_ended(self, seconds: float) -> None:
        self.ended.append(seconds)

    async def next(self) -> Event:
        """The next fact that the desk would hear."""
        async with asyncio.timeout(GUARD_S):
            return await self.facts.get()

    @contextlib.asynccontextmanager
    async def watching(self, every: Nanos = EVERY) -> AsyncIterator[None]:
        task = asyncio.create_task(self.kill.watch(every))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    found = Life(tmp_path)
    yield found
    found.kill.close()


async def test_a_trip_is_on_the_disk_before_the_desk_hears_of_it(life: Life) -> None:
    """So it is before the first cancel: only the desk cancels."""
    there: list[bool] = []
    life.on_fact = lambda _: there.append(Latch.of_all(life.folder).tripped)

    await life.kill.trip(Scope.ALL, "SIGUSR1", "signal")

    assert await life.next() == KillTripped("all: SIGUSR1 (by signal)")
    assert there == [True]
    assert life.trips == [(Scope.ALL, Kind.SIGNAL)]


async def test_what_a_hand_has_set_is_synced_before_the_desk_hears_of_it(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `touch` syncs nothing: after a power failure the latch would be gone, the cancels not."""
    order: list[str] = []
    real = os.fsync

    def watching(handle: int) -> None:
        order.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        real(handle)

    monkeypatch.setattr(os, "fsync", watching)
    life.on_fact = lambda fact: order.append(type(fact).__name__)
    async with life.watching():
        (life.folder / "KILL.binance").touch()
        fact = await life.next()

    assert order == ["KILL.binance", life.folder.name, "KillTripped"]
    assert fact == KillTripped("exchange: the file was made by hand (by unknown)")
    assert life.trips == [(Scope.EXCHANGE, Kind.FILE)]


async def test_a_disk_that_hangs_stops_orders_at_once_and_cancels_only_for_a_while(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open order is in the end the greater danger than a latch that a power failure could undo."""
    monkeypatch.setattr(kill_switch, "DURABLE_WITHIN_S", 0.01)
    disk = threading.Event()
    monkeypatch.setattr(Latch, "trip", lambda *_: disk.wait(GUARD_S))

    life.kill.trip_soon(Scope.PARENT, "overfill", "control")

    assert life.switch.tripped, "before anything else has happened"
    assert await life.next() == KillTripped("parent: overfill (by control)")
    disk.set()


async def test_a_trip_that_cannot_be_recorded_ends_the_process(life: Life) -> None:
    """And nothing leaves until it has ended."""
    (life.folder / "KILL.lock").mkdir()

    await life.kill.trip(Scope.ALL, "drill", "http 127.0.0.1")

    (failure,) = life.stopped
    assert "cannot be written" in str(failure)
    assert life.switch.tripped


async def test_a_second_cause_is_told_and_counted_and_a_repeat_is_not(life: Life) -> None:
    for _ in range(2):
        await life.kill.trip(Scope.ALL, "drill", "http 127.0.0.1")
    await life.kill.trip(Scope.PARENT, "fuse: blown", "control")

    told = [life.facts.get_nowait() for _ in range(life.facts.qsize())]
    assert told == [KillTripped("all: drill (by http 127.0.0.1)"), KillTripped("parent: fuse: blown (by control)")]
    assert life.trips == [(Scope.ALL, Kind.HTTP), (Scope.PARENT, Kind.CONTROL)]


async def test_only_the_release_of_the_last_latch_is_a_release(life: Life) -> None:
    await life.kill.trip(Scope.ALL, "drill", "signal")
    await life.kill.trip(Scope.PARENT, "overfill", "control")
    life.facts = asyncio.Queue()

    life.switch.latches[Scope.ALL].reset("bob", "over")
    life.kill.look()
    assert life.facts.empty()
    life.switch.latches[Scope.PARENT].reset("bob", "over")
    life.kill.look()
    assert isinstance(await life.next(), KillReset)

    await life.kill.trip(Scope.ALL, "drill", "signal")
    assert isinstance(await life.next(), KillTripped), "the same cause trips again after a reset"


async def test_what_a_full_inbox_did_not_take_is_told_at_the_next_look(life: Life) -> None:
    """Whoever posts to the door gets an error; the desk hears of the kill all the same."""

    def full(_fact: Event) -> None:
        raise InboxFullError("10000 facts are waiting")

    life.on_fact = full
    with pytest.raises(InboxFullError):
        await life.kill.trip(Scope.ALL, "drill", "http 127.0.0.1")
    assert Latch.of_all(life.folder).tripped
    life.on_fact = lambda _: None

    life.kill.look()

    assert await life.next() == KillTripped("all: drill (by http 127.0.0.1)")
    assert life.trips == [(Scope.ALL, Kind.HTTP)]


async def test_who_says_that_a_latch_has_changed_need_not_wait_for_the_poll(life: Life) -> None:
    """The poll comes in an hour; the word of `execd kill` at once."""
    async with life.watching(Nanos(3600 * SECOND)):
        await asyncio.sleep(0)
        Latch.of_all(life.folder).trip("wrong side", "alice (uid 1000)")
        life.kill.nudge()

        assert await life.next() == KillTripped("all: wrong side (by alice (uid 1000))")


async def test_a_desk_that_knows_of_the_kill_is_not_told_again_at_a_start(life: Life) -> None:
    """A latch that was set while nobody lived is told; one that the journal already has is not; a new cause is."""
    await life.kill.trip(Scope.ALL, "drill", "signal")
    ignorant, knowing = Life(life.folder), Life(life.folder, desk=Desk())
    knowing.desk.handle(Nanos(0), KillTripped("all: drill (by signal)"))
    informed = Life(life.folder, desk=knowing.desk)

    ignorant.kill.look()
    informed.kill.look()

    assert (ignorant.facts.qsize(), informed.facts.qsize()) == (1, 0)
    Latch.of_all(life.folder).trip("wrong side", "alice")
    informed.kill.look()
    assert await informed.next() == KillTripped("all: wrong side (by alice)")
    Latch.of_all(life.folder).reset("bob", "over")
    informed.kill.look()
    assert isinstance(await informed.next(), KillReset)


async def test_an_alarm_that_demands_it_kills_the_parent_and_no_other_does(life: Life) -> None:
    """Once in a life: after a human's reset the alarm of before does not latch again."""
    work = Work()

    def see(*commands: Command) -> None:
        life.kill.witness(work.now, Woken(), commands, work.execution, None)

    see(RaiseAlarm("p1", "unitemised", "the venue lists late"))
    assert not life.switch.tripped
    see(RaiseAlarm("p1", "overfill", "12 of 10 lots were filled"))
    assert await life.next() == KillTripped("parent: overfill: 12 of 10 lots were filled (by control)")
    assert life.switch.latched == {Scope.PARENT}
    life.switch.latches[Scope.PARENT].reset("bob", "booked by hand")
    see(RaiseAlarm("p1", "overfill", "12 of 10 lots were filled"))
    assert not life.switch.tripped


async def test_an_overfill_by_the_venue_kills_the_parent(life: Life) -> None:
    """From the fill to the latch: what the core says about it is what is listened for."""
    work = Work()
    order = work.working()
    commands = work.fill(order, order.quantity + 5)

    life.kill.witness(work.now, Woken(), commands, work.execution, None)

    fact = await life.next()
    assert isinstance(fact, KillTripped)
    assert fact.cause.startswith("parent: overfill: ")


async def test_a_blown_fuse_kills_the_parent(life: Life) -> None:
    work, fuse = Work(), a_fuse()
    life.kill.witness(work.now, Woken(), (), work.execution, fuse)
    assert not life.switch.tripped

    fuse.check(a_submit(order="somebody else's", at=work.now), work.now)
    life.kill.witness(work.now, Woken(), (), work.execution, fuse)

    fact = await life.next()
    assert isinstance(fact, KillTripped)
    assert fact.cause.startswith("parent: fuse: somebody else's is no child")


async def test_the_time_to_the_last_confirmation_is_measured_once_a_kill(life: Life) -> None:
    work = Work()
    order = work.working()

    def see(fact: Event, seconds: float) -> None:
        commands = work.tell(fact, seconds)
        life.kill.witness(work.now, fact, commands, work.execution, None)

    see(KillTripped("drill"), 10)
    see(Woken(), 11)
    assert life.ended == []
    work.close(order, 0, 12.5, "canceled")
    see(Woken(), 12.5)
    see(Woken(), 13)
    assert life.ended == [2.5]
    see(KillTripped("a second cause"), 14)
    assert life.ended == [2.5, 0], "nothing was open at the second"
