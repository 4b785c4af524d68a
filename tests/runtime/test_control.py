"""The operator hears "taken" only once the word is on the disk, and a clear error where it may not be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from execd.core.desk import Desk
from execd.core.events import ParentPaused, Woken
from execd.core.grid import Nanos
from execd.runtime import control, sequencer
from execd.runtime.control import Control, ControlError
from execd.runtime.journal import Journal
from execd.runtime.sequencer import Sequencer
from tests.runtime.journal_writer import HEADER
from tests.runtime.process import Exchange, Process, execd, write_order

GUARD_S = 20.0


class Daemon:
    """A control socket before a real sequencer and a real journal, whose disk writes only when it is told to."""

    def __init__(self, folder: Path, patience_s: float) -> None:
        self.journal = Journal.open(folder / "p1.journal", header=HEADER, create=True, threaded=False)
        self.sequencer = Sequencer(Desk(), self.journal, lambda: Nanos(1), lambda *_: None)
        self.socket = folder / "p1.sock"
        self.handled = asyncio.Event()
        self.control = Control(
            self.socket, "p1", self.sequencer.tell, self._sync, lambda: {"parent": "p1"}, patience_s=patience_s
        )

    async def _sync(self, row: int) -> None:
        self.handled.set()
        await self.journal.sync(row)

    async def ask(self, verb: str) -> dict[str, Any]:
        """What an operator's process is answered."""
        return await asyncio.to_thread(control.ask, self.socket, verb)

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Handle facts."""
        loop = asyncio.create_task(self.sequencer.run())
        yield
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop


@contextlib.asynccontextmanager
async def serving(folder: Path, patience_s: float = GUARD_S) -> AsyncIterator[Daemon]:
    daemon = Daemon(folder, patience_s)
    await daemon.control.open()
    try:
        async with asyncio.timeout(GUARD_S):
            yield daemon
    finally:
        await daemon.control.close()
        daemon.journal.close()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short path: a socket lies in it."""
    return tmp_path_factory.mktemp("s")


async def test_a_word_is_taken_only_once_its_row_is_durable(folder: Path) -> None:
    """The disk is held: other questions are answered, this one is not; released, it is, and the row is there."""
    async with serving(folder) as daemon, daemon.at_work():
        asked = asyncio.create_task(daemon.ask("pause"))
        await daemon.handled.wait()
        assert await daemon.ask("status") == {"parent": "p1"}
        assert not asked.done()
        assert daemon.journal.durable == 0

        daemon.journal.write()

        assert await asked == {"parent": "p1", "taken": "pause"}
        (row,) = daemon.journal.rows()
        assert isinstance(row.fact, ParentPaused)
        assert "uid" in row.fact.by


async def test_a_disk_that_does_not_come_back_in_time_is_an_error(folder: Path) -> None:
    """Who asked is told that the word may yet be recorded or not, not that it was taken."""
    async with serving(folder, patience_s=0.05) as daemon, daemon.at_work():
        with pytest.raises(ControlError, match=r"p1\.sock: pause is not recorded after 0\.05 s.*execd status"):
            await daemon.ask("pause")


async def test_a_daemon_that_handles_nothing_takes_nothing(folder: Path) -> None:
    """A word that waits in the inbox was not taken; it stays there, and is handled if its turn ever comes."""
    async with serving(folder, patience_s=0.05) as daemon:
        with pytest.raises(ControlError, match="pause is not recorded"):
            await daemon.ask("pause")
        daemon.sequencer.drain()

        assert daemon.journal.last == 1


async def test_a_full_inbox_refuses_the_word_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "INBOX_MAX", 1)
    async with serving(folder) as daemon:
        daemon.sequencer.post(Woken())

        with pytest.raises(ControlError, match="cancel was not recorded: 1 facts are waiting"):
            await daemon.ask("cancel")


async def test_a_journal_that_fails_is_told(folder: Path) -> None:
    """The write behind the word fails: the operator reads why."""
    async with serving(folder) as daemon, daemon.at_work():
        asked = asyncio.create_task(daemon.ask("pause"))
        await daemon.handled.wait()
        with contextlib.closing(apsw.Connection(str(daemon.journal.path))) as other:
            other.execute("DROP TABLE facts")

        daemon.journal.write()

        with pytest.raises(ControlError, match=r"pause was not recorded: .*p1\.journal: a write to the journal failed"):
            await asked


async def test_a_verb_that_there_is_none_of_is_an_error(folder: Path) -> None:
    async with serving(folder) as daemon:
        with pytest.raises(ControlError, match="unknown verb; known are pause, resume"):
            await daemon.ask("dance")


async def test_a_daemon_that_is_gone_leaves_a_word_unknown(folder: Path) -> None:
    """Nobody listens any more: a question has no answer, a word may or may not have been taken."""
    async with serving(folder) as daemon:
        pass

    with pytest.raises(ControlError, match=r"nobody answers .* whether resume was taken is not known"):
        await daemon.ask("resume")
    with pytest.raises(ControlError, match=r"the daemon is gone or hangs$"):
        await daemon.ask("status")


async def test_each_waits_for_a_row_of_its_own(folder: Path) -> None:
    """Two that wait at once are told two rows, in the order in which they came, whatever else is handled between."""
    async with serving(folder) as daemon:
        first, second = ParentPaused("p1", "one"), ParentPaused("p1", "two")
        waiting = [asyncio.create_task(daemon.sequencer.tell(fact)) for fact in (first, second)]
        await asyncio.sleep(0)
        daemon.sequencer.turn(Woken())
        daemon.sequencer.drain()

        assert await asyncio.gather(*waiting) == [2, 3]


def test_what_was_taken_survives_a_kill_at_that_very_moment(folder: Path, tmp_path: Path) -> None:
    """`execd pause` ends, the daemon is killed with -9 at once: the journal holds the pause and who spoke it."""
    exchange = Exchange(tmp_path, "--seed", "11")
    order = write_order(tmp_path, duration="60s", slices=10)
    running = Process("run", "-o", order, "--exchange", exchange.ready, state=folder)
    running.until("submit order")

    code, output, said = execd("pause", state=folder)
    running.kill()
    exchange.stop()

    assert (code, output.endswith(": pause was taken\n")) == (0, True), said
    _, rows = Journal.read(folder / "active" / "practice-test.journal")
    (pause,) = [row.fact for row in rows if isinstance(row.fact, ParentPaused)]
    assert "uid" in pause.by
