"""A heartbeat is written by a healthy loop and by nothing else, and is judged by its changes alone."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.commands import Command
from execd.core.desk import Desk
from execd.core.events import Event, Woken
from execd.core.grid import Nanos
from execd.runtime import heartbeat
from execd.runtime.aside import Aside
from execd.runtime.heartbeat import Heart, HeartbeatError, beats, told
from execd.runtime.sequencer import Sequencer
from execd.runtime.vigil import CLEAN_READS, KEEP_LOOKING_S, LATEST_S, Calm, Vigil

WHO = {"parent": "p1", "symbol": "BTC/USDT", "account": "7"}
WAIT_S = 30.0


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop go on until something holds."""
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 (a file changes without an event)
            await asyncio.sleep(0.01)


async def test_the_first_beat_is_there_when_begin_returns_and_the_end_takes_it_away(tmp_path: Path) -> None:
    """It tells whose it is; the file is for its owner alone."""
    heart = Heart(tmp_path / "practice-a.beat", WHO, lambda: True)
    await heart.begin()

    (beat,) = beats(tmp_path, "practice").values()
    assert told(beat) == {**told(beat), **WHO, "pid": os.getpid(), "beat": 1}
    assert heart.path.stat().st_mode & 0o777 == 0o600
    assert beats(tmp_path, "live") == {}, "another mode's watchdog does not look at it"
    await heart.end()
    assert beats(tmp_path, "practice") == {}
    heart.close()


async def test_only_a_healthy_loop_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked while it is not, nothing is written; asked when it is again, the file changes."""
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.0)
    well = False
    heart = Heart(tmp_path / "practice-a.beat", WHO, lambda: well)
    await heart.begin()
    first = heart.path.read_bytes()

    heart.beat()
    assert heart._writing is None, "nothing was handed to the writer"
    well = True
    heart.beat()

    await until(lambda: heart.path.read_bytes() != first)
    assert told(heart.path.read_bytes())["beat"] == 2
    heart.close()


async def test_a_loop_in_a_hurry_does_not_beat_more_often_than_it_should(tmp_path: Path) -> None:
    """A thousand turns in a moment make one beat."""
    heart = Heart(tmp_path / "practice-a.beat", WHO, lambda: True)
    for _ in range(1000):
        heart.beat()
    await until(heart.path.exists)
    await heart.begin()
    assert told(heart.path.read_bytes())["beat"] < 1000 / 2
    heart.close()


async def test_a_disk_that_hangs_stops_the_beats_and_not_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody reads holds up whoever opens it: here the writer's thread, while `beat` returns."""
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.0)
    path = tmp_path / "practice-a.beat"
    os.mkfifo(path)
    heart = Heart(path, WHO, lambda: True)
    heart.beat()
    heart.beat()
    hanging = heart._writing
    assert hanging is not None
    assert not hanging.done()
    heart.beat()
    assert heart._writing is hanging, "nothing more is asked of a writer that hangs"
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    await until(hanging.done)
    os.close(reader)
    heart.close()


async def test_a_first_beat_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """Nobody could tell whether this daemon lives: it must not begin."""
    heart = Heart(tmp_path / "absent" / "practice-a.beat", WHO, lambda: True)
    with pytest.raises(HeartbeatError, match=r"practice-a.beat: the heartbeat cannot be written: No such file"):
        await heart.begin()
    heart.close()


def test_a_folder_that_is_gone_is_no_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        beats(tmp_path / "absent", "practice")


@pytest.mark.parametrize("nonsense", [b"", b"\xff\xfe", b"[1]", b"{", b"[" * 100_000])
def test_a_beat_that_makes_no_sense_tells_nothing(nonsense: bytes) -> None:
    assert told(nonsense) == {}


async def test_the_loop_comes_round_where_nothing_happens_and_writes_nothing_for_it() -> None:
    """The pulse is the loop's own: a turn that is not taken leaves no row in the journal."""
    rows: list[Event] = []
    twice = asyncio.Event()
    pulses = 0

    class Log:
        def append(self, _at: Nanos, fact: Event, _commands: Sequence[Command]) -> int:
            rows.append(fact)
            return len(rows)

    def pulse() -> None:
        nonlocal pulses
        pulses += 1
        if pulses >= 2:
            twice.set()

    sequencer = Sequencer(Desk(), Log(), lambda: Nanos(0), lambda _now, _event, _commands: None)
    sequencer.pulse = pulse
    running = asyncio.create_task(sequencer.run())
    async with asyncio.timeout(WAIT_S):
        await twice.wait()
    assert rows == []
    sequencer.post(Woken())
    await until(lambda: rows == [Woken()])
    running.cancel()


Look = tuple[float, str]


@given(st.lists(st.tuples(st.floats(0.0, 4.0), st.sampled_from(["same", "changed", "unread", "gone"])), max_size=40))
def test_a_heartbeat_is_reported_exactly_when_no_change_was_seen_for_the_whole_patience(looks: list[Look]) -> None:
    """Each silence once, whatever comes between the looks; an unread folder is silence, a file that went is an end."""
    patience_s, now_s = 5.0, 0.0
    vigil = Vigil(patience_s)
    beat, since_s, reported = 0, None, False
    for pause_s, what in looks:
        now_s += pause_s
        beat += what == "changed"
        found = None if what == "unread" else {} if what == "gone" else {"a": str(beat).encode()}
        if what == "gone":
            since_s = None
        elif what == "changed" or (what == "same" and since_s is None):
            since_s, reported = now_s, False
        due = since_s is not None and not reported and now_s - since_s >= patience_s
        reported = reported or due

        assert vigil.look(now_s, found) == ({"a": str(beat).encode()} if due else {})
        assert vigil.stopped() == ({"a": str(beat).encode()} if since_s is not None and reported else {})
        assert vigil.ages_s(now_s) == ({} if since_s is None else {"a": now_s - since_s})


def test_two_clean_reads_settle_only_if_they_are_far_enough_apart() -> None:
    """Two within a moment are one; one that is not clean begins anew."""
    calm = Calm(3.0)
    assert (calm.saw(0.0, clean=True), calm.settled) == (3.0, False)
    assert (calm.saw(1.0, clean=True), calm.settled) == (3.0, False)
    assert (calm.saw(3.0, clean=True), calm.settled) == (KEEP_LOOKING_S, True)
    assert (calm.saw(13.0, clean=True), calm.settled) == (KEEP_LOOKING_S, True)
    calm.saw(23.0, clean=False)
    assert not calm.settled
    assert [calm.saw(30.0 + 3 * i, clean=True) for i in range(CLEAN_READS)][-1] == KEEP_LOOKING_S


def test_rounds_that_are_not_clean_come_ever_slower_and_never_cease() -> None:
    calm = Calm(3.0)
    pauses = [calm.saw(float(at), clean=False) for at in range(2000)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1.0
    assert pauses[-1] == LATEST_S
    calm.saw(2000.0, clean=True)
    assert calm.saw(2001.0, clean=False) == pauses[0]


async def test_what_hangs_is_given_up_and_only_one_thing_hangs() -> None:
    """Who comes after it is told at once; when it has ended, things are done again."""
    aside = Aside()
    reading, writing = os.pipe()
    with pytest.raises(TimeoutError):
        await aside.do(lambda: os.read(reading, 1), 0.01)
    with pytest.raises(TimeoutError, match="still hangs"):
        await aside.do(lambda: b"never done", WAIT_S)
    os.write(writing, b"x")
    assert aside._thread is not None
    aside._thread.join(WAIT_S)

    assert await aside.do(lambda: b"done", WAIT_S) == b"done"
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        await aside.do(lambda: os.read(-1, 1), WAIT_S)
    os.close(reading)
    os.close(writing)
