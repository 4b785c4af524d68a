"""The dead-man switch is held by a process that is well and by nobody else, and let go of only when nothing is open."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.grid import SECOND, Nanos
from execd.runtime import deadman
from execd.runtime.deadman import Grip
from execd.runtime.metrics import Metrics
from execd.venues import VenueCaps, VenueError
from execd.venues.capabilities import CAPABILITIES
from execd.venues.deadman import NO_DEAD_MAN, DeadMan
from tests.runtime.process import GUARD_S, ROOT, Exchange, write_order
from tests.venues.helpers import SYMBOL, UNHURRIED
from tests.venues.timers import KRAKEN_ARMED, KRAKEN_OFF, Recorder, recording

KRAKEN = CAPABILITIES["kraken"].dead_man
CAPS = VenueCaps(contiguous_trade_ids=True, own_prints=True, request_validity=Nanos(13 * SECOND), dead_man=KRAKEN)


class Exhausted(Exception):
    """The script of a test is over."""


@dataclass(frozen=True)
class Step:
    """What is so when a renewal is due: each of the four must be well."""

    came_round: bool = True
    written: bool = True
    unwell: str | None = None
    answered: bool = True

    @property
    def well(self) -> bool:
        """Whether the timer must be held anew."""
        return self.came_round and self.written and self.unwell is None and self.answered


class World:
    """A grip on the timer of an exchange that a test plays, in a time that a test moves."""

    def __init__(self, timer: DeadMan = KRAKEN) -> None:
        self.name = "kraken"
        self.caps = replace(CAPS, dead_man=timer)
        self.time = Nanos(1_000 * SECOND)
        self.steps: Iterator[Step] = iter(())
        self.step = Step()
        self.armed_until: Nanos | None = None
        self.asked = 0
        self.said: list[str] = []
        self.told: list[Nanos | None] = []
        self.grip = Grip(self, SYMBOL, lambda: self.time, self.said.append, self.told.append, pause=self._pause)

    async def hold_dead_man(self, symbol: str) -> None:
        """Hold, half a second later, if the step has an answer."""
        assert symbol == SYMBOL
        self.asked += 1
        if not self.step.answered:
            raise VenueError("kraken, holding the dead-man switch: kraken answered 503")
        self.time = Nanos(self.time + SECOND // 2)
        self.armed_until = Nanos(self.time + self.caps.dead_man.window)

    async def release_dead_man(self, symbol: str) -> None:
        """Release, if the step has an answer."""
        if not self.step.answered:
            raise VenueError("kraken, releasing the dead-man switch: kraken answered 503")
        self.armed_until = None

    async def _pause(self, seconds: float) -> None:
        self.time = Nanos(self.time + round(seconds * SECOND))
        try:
            self.step = next(self.steps)
        except StopIteration:
            raise Exhausted from None
        if self.step.came_round:
            self.grip.come_round()

    async def _written(self) -> None:
        if not self.step.written:
            raise TimeoutError  # as a wait that outlasts the patience ends

    async def kept(self, *steps: Step) -> None:
        """Let renewals fall due, one a step."""
        self.steps = iter(steps)
        with contextlib.suppress(Exhausted):
            await self.grip.keep(lambda: self.step.unwell, self._written)


STEPS = st.builds(
    Step,
    came_round=st.booleans(),
    written=st.booleans(),
    unwell=st.sampled_from([None, None, "the kill switch is latched", "the loop that trades is behind"]),
    answered=st.booleans(),
)


@UNHURRIED
@given(st.lists(STEPS, max_size=12))
def test_the_timer_is_held_anew_exactly_when_all_is_well(steps: list[Step]) -> None:
    """And the moment that is told is never later than the one at which the exchange would really cancel."""

    async def script() -> None:
        world = World()
        await world.grip.arm()
        for step in steps:
            before = world.armed_until
            await world.kept(step)
            assert (world.armed_until != before) is step.well
            assert world.armed_until is not None
            assert world.grip.expiry is not None
            assert world.grip.expiry <= world.armed_until
            assert world.told[-1] == world.grip.expiry
            assert (world.grip.problem() is not None) is (world.time >= world.grip.expiry)

    asyncio.run(script())


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (Step(came_round=False), "the loop that trades has not come round"),
        (Step(written=False), "the journal is not durable after 5 s"),
        (Step(unwell="the kill switch is latched"), "the kill switch is latched"),
        (Step(answered=False), "kraken answered 503"),
    ],
)
async def test_a_renewal_that_was_not_made_is_told_once_and_so_is_the_next_that_was(step: Step, why: str) -> None:
    world = World()
    await world.grip.arm()
    del world.said[:]

    await world.kept(step, step, step, Step(), Step())

    missed, well = world.said
    assert why in missed
    assert "fires at 00:17:40 UTC" in missed  # armed at 1000 s, for 60 s
    assert well == "the dead-man switch is held again"


async def test_a_loop_that_hangs_is_not_asked_whether_it_is_well() -> None:
    """Nothing is sent for a loop that has not come round, whatever else looks well."""
    world = World()
    await world.grip.arm()

    await world.kept(Step(came_round=False), Step(came_round=False))

    assert 1 == world.asked


async def test_one_round_of_the_loop_earns_one_renewal() -> None:
    world = World()
    await world.grip.arm()

    await world.kept(Step(), Step(came_round=False), Step())

    assert 3 == world.asked


async def test_a_journal_that_hangs_is_not_waited_for_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadman, "WRITTEN_WITHIN_S", 0.0)
    world = World()
    await world.grip.arm()
    world.steps = iter([Step()])

    with pytest.raises(Exhausted):
        await world.grip.keep(lambda: None, asyncio.Event().wait)  # type: ignore[arg-type]  # True for None

    assert "the journal is not durable" in world.said[-1]


async def test_a_timer_that_ran_out_is_a_problem_until_it_is_held_again() -> None:
    world = World()
    await world.grip.arm()
    assert world.grip.problem() is None
    await world.kept(*[Step(answered=False)] * 4)
    assert "kraken has run out" in (world.grip.problem() or "")
    await world.kept(Step())
    assert world.grip.problem() is None


async def test_an_outage_at_the_start_is_waited_for_a_while_and_then_refuses_to_start() -> None:
    world = World()
    world.step = Step(answered=False)
    world.steps = iter([Step(answered=False), Step()])
    await world.grip.arm()
    assert world.grip.expiry is not None

    world = World()
    world.step = Step(answered=False)
    world.steps = iter([Step(answered=False)] * 9)
    with pytest.raises(VenueError, match="503"):
        await world.grip.arm()
    assert 1 + len(deadman.ARM_PAUSES_S) == world.asked
    assert world.told == []


async def test_it_is_released_when_nothing_is_open() -> None:
    world = World()
    await world.grip.arm()
    await world.grip.release(clean=True)

    assert (world.armed_until, world.grip.expiry, world.told[-1]) == (None, None, None)


@pytest.mark.parametrize(
    ("clean", "answered", "why"), [(False, True, "not all of our orders are known to be closed"), (True, False, "503")]
)
async def test_it_stays_armed_where_that_is_not_certain_and_this_is_told(clean: bool, answered: bool, why: str) -> None:
    world = World()
    await world.grip.arm()
    world.step = Step(answered=answered)

    await world.grip.release(clean=clean)

    assert world.armed_until is not None
    assert world.grip.expiry is not None
    assert "the dead-man switch stays armed until 00:17:40 UTC: " in world.said[-1]
    assert why in world.said[-1]


@pytest.mark.parametrize("exchange", CAPABILITIES)
async def test_each_start_says_in_one_sentence_what_covers_it(exchange: str) -> None:
    """Whose orders go, and after how long; or that only the watchdog covers."""
    timer = CAPABILITIES[exchange].dead_man
    world = World(timer)
    await world.grip.arm()
    await world.kept(Step(), Step())
    await world.grip.release(clean=True)

    (said,) = world.said
    assert ("`execd watchdog`" in said) is not timer.held
    if timer.held:
        assert f"{timer.window // SECOND} s without us" in said
        assert ("EVERY open order of the account" in said) is (timer.reach.value == "account")
    else:
        assert (world.asked, world.told) == (0, [])


async def test_without_a_timer_nothing_is_asked_for() -> None:
    world = World(NO_DEAD_MAN)
    await world.grip.arm()

    assert world.said == [
        "no dead-man switch on kraken: if this process dies, only `execd watchdog` cancels what is open"
    ]
    assert world.grip.problem() is None


def test_the_metric_says_when_it_fires() -> None:
    metrics = Metrics("kraken")
    name = "execd_deadman_expiry_timestamp_seconds"
    values = []
    for expiry in (None, Nanos(1_060 * SECOND), None):
        metrics.dead_man(expiry)
        values.append(metrics.registry.get_sample_value(name, {"venue": "kraken"}))
    assert values == [0, 1060, 0]


# --------------------------------------------------------------------------------------------------- the real process


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """One synthetic market."""
    exchange = Exchange(tmp_path_factory.mktemp("exchange"), "--seed", "31")
    yield exchange
    exchange.stop()


class Kraken:
    """The exchange's timer: `fired` once nobody has held it for its window."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._timer: asyncio.TimerHandle | None = None
        self.fired = asyncio.Event()
        self.endpoint, self.until, self.came = recorder.endpoint, recorder.until, recorder.came
        recorder.answer = self._answer

    def break_down(self, status: int) -> None:
        """Answer with this status from now on."""
        self._recorder.status = status

    def _answer(self, sent: dict[str, Any]) -> Any:
        if self._recorder.status == 200:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            if (seconds := int(sent["timeout"])) > 0:
                self._timer = asyncio.get_running_loop().call_later(seconds, self.fired.set)
        return KRAKEN_ARMED if self._timer is not None else KRAKEN_OFF

    @property
    def armed(self) -> bool:
        """Whether it would fire."""
        return self._timer is not None


@pytest.fixture
async def kraken(tmp_path: Path) -> AsyncIterator[Kraken]:
    """A recorder that plays Kraken's timer."""
    async with recording(tmp_path) as found:
        yield Kraken(found)


@contextlib.asynccontextmanager
async def running(kraken: Kraken, market: Exchange, folder: Path, state: Path) -> AsyncIterator[Process]:
    """`execd run` of ten minutes' order, with a dead-man switch of three seconds."""
    order = write_order(folder, duration="10m", slices=200, urgency="high")
    ends = kraken.endpoint
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.runtime.timed", str(ends.port), str(ends.authority)],
        *["run", "-o", str(order), "--exchange", str(market.ready), "--json"],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "EXECD_STATE_DIR": str(state)},
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(GUARD_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until(process: Process, *words: str) -> list[str]:
    """Read on until a line holds all the words; the lines."""
    assert process.stderr is not None
    said: list[str] = []
    while line := (await process.stderr.readline()).decode():
        said.append(line)
        if all(word in line for word in words):
            return said
    raise AssertionError(f"the process ended before it said {words}: {''.join(said[-20:])}")


def windows(kraken: Kraken) -> list[Any]:
    """The windows that were asked for, in order; 0 releases."""
    assert {path for path, _ in kraken.came} <= {"/0/private/CancelAllOrdersAfter"}
    return [sent["timeout"] for _, sent in kraken.came]


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a short path: a socket lies in it."""
    return tmp_path_factory.mktemp("s")


async def test_a_process_arms_before_its_first_order_renews_and_releases_after_a_clean_drain(
    kraken: Kraken, market: Exchange, tmp_path: Path, state: Path
) -> None:
    """In between the timer's endpoint is out of order: told, blocking, and over when it answers again."""
    async with running(kraken, market, tmp_path, state) as process:
        said = await until(process, "order accepted")
        (armed,) = [number for number, line in enumerate(said) if "dead-man switch armed: 3 s without us" in line]
        assert armed < min(number for number, line in enumerate(said) if "submit order" in line)
        await kraken.until(lambda: len(kraken.came) >= 4)

        kraken.break_down(503)
        await until(process, "was not renewed and fires at", "503")
        await until(process, "the dead-man switch of binance has run out")
        kraken.break_down(200)
        await until(process, "the dead-man switch is held again")

        process.send_signal(signal.SIGTERM)
        await process.communicate()

        assert process.returncode == 0
        *held, released = windows(kraken)
        assert (set(held), released) == ({"3"}, "0")
        assert not kraken.armed


@pytest.mark.parametrize("end", ["killed", "stopped", "latched"])
async def test_a_process_that_dies_hangs_or_is_to_stop_lets_the_exchange_cancel(
    kraken: Kraken, market: Exchange, tmp_path: Path, state: Path, end: str
) -> None:
    """kill -9, SIGSTOP, and the kill switch: none of them releases the timer, and it fires."""
    async with running(kraken, market, tmp_path, state) as process:
        await kraken.until(lambda: len(kraken.came) >= 3)
        if end == "latched":
            (state / "KILL").touch()
            await until(process, "was not renewed and fires at", "the kill switch is latched")
        else:
            process.send_signal(signal.SIGKILL if end == "killed" else signal.SIGSTOP)

        await kraken.fired.wait()

        assert set(windows(kraken)) == {"3"}
