"""The virtual disk keeps what was synced, and nothing else surely; the real SQLite and the real journal lie on it."""

from __future__ import annotations

import random
from pathlib import Path

import apsw
import pytest

from execd.core.events import ParentPaused
from execd.core.grid import Nanos
from execd.runtime.journal import Journal, JournalFailed
from tests.sim.disk import Disk, File
from tests.sim.process import HEADER, NAME
from tests.sim.sea import Sea


def opened(disk: Disk) -> Journal:
    return Journal.open(disk.folder / NAME, header=HEADER, create=True, threaded=False)


def rows_after_power_loss(seed: int, *, written: bool) -> list[int]:
    """Three durable rows, three more that were handed over, and perhaps written by a dying process; then darkness."""
    sea = Sea(seed)
    with Disk(sea) as disk:
        journal = opened(disk)
        for number in range(6):
            journal.append(Nanos(number), ParentPaused("P1", "x" * 300), [])
            if number == 2:
                journal.write()
        if written:
            sea.rates["crash while writing"] = 0.5
            journal.write()
        disk.dead = True
        journal.close()
        disk.revive(power=True)
        sea.rates.clear()
        journal = opened(disk)
        seqs = [row.seq for row in journal.rows()]
        journal.close()
    return seqs


@pytest.mark.parametrize("written", [False, True])
def test_a_power_loss_leaves_every_durable_row_and_whole_transactions_only(written: bool) -> None:
    """Whatever of the last transaction reached the platters, SQLite's log shows it whole or not at all."""
    left = [rows_after_power_loss(seed, written=written) for seed in range(60)]

    assert ({3, 6} if written else {3}) == {len(rows) for rows in left}
    assert all(rows == list(range(1, len(rows) + 1)) for rows in left)


def test_what_was_synced_survives_and_what_was_not_is_kept_lost_or_torn() -> None:
    """All three happen, to each write on its own."""
    seen = set()
    for seed in range(100):
        file = File()
        file.write(0, b"safe")
        file.sync()
        file.write(4, b"1234")
        file.lose(random.Random(seed))
        assert file.data[:4] == b"safe"
        seen.add(bytes(file.data[4:]))

    assert {b"", b"1", b"12", b"123", b"1234"} >= seen
    assert {b"", b"1234"} < seen


def test_a_full_disk_fails_the_journal_and_an_emptied_one_takes_the_next_start() -> None:
    """No row that was not written is called durable, and nothing has to be mended by hand."""
    sea = Sea(0)
    with Disk(sea) as disk:
        journal = opened(disk)
        journal.append(Nanos(1), ParentPaused("P1", "me"), [])
        journal.write()
        disk.full_until = sea.now + 10
        journal.append(Nanos(2), ParentPaused("P1", "me"), [])
        journal.write()
        assert (1, True) == (journal.durable, isinstance(journal.failed, JournalFailed))
        journal.close()
        disk.full_until = 0
        journal = opened(disk)
        assert [1] == [row.seq for row in journal.rows()]
        journal.close()


def test_the_disk_is_gone_with_its_voyage() -> None:
    """SQLite goes back to the file system that it had, and no file is left."""
    before = apsw.vfs_names()
    with Disk(Sea(0)) as disk:
        folder: Path = disk.folder
        opened(disk).close()

    assert before == apsw.vfs_names()
    assert not folder.exists()
