"""The journal keeps every row that it acknowledged, refuses what is not its own, and fails loudly and once."""

from __future__ import annotations

import asyncio
import dataclasses
import multiprocessing
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from execd.core.commands import CancelOrder, FinishParent
from execd.core.events import KillTripped, ParentPaused, Woken
from execd.core.grid import Nanos
from execd.runtime.codec import SCHEMA
from execd.runtime.journal import Header, Journal, JournalError, JournalFailed, Row, _Pending
from tests.runtime.journal_writer import HEADER

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "p1.journal"


def made(path: Path, header: Header = HEADER, rows: int = 0) -> Journal:
    """An open journal that holds `rows` durable rows."""
    journal = Journal.open(path, header=header, create=True)
    for number in range(1, rows + 1):
        journal.append(
            Nanos(number), ParentPaused("p1", f"operator {number}"), [CancelOrder(f"p1n{number}", "BTC/USDT")]
        )
    return journal


def written(path: Path, rows: int = 0) -> None:
    made(path, rows=rows).close()


async def test_rows_come_back_in_order_with_their_commands(path: Path) -> None:
    journal = Journal.open(path, header=HEADER, create=True)
    first = journal.append(Nanos(5), Woken(), [])
    second = journal.append(
        Nanos(7), ParentPaused("p1", "me"), [CancelOrder("p1n1", "BTC/USDT"), FinishParent("p1", "x")]
    )
    await asyncio.wait_for(journal.sync(second), PATIENCE)

    assert (first, second) == (1, 2)
    assert list(journal.rows()) == [
        Row(1, Nanos(5), Woken(), ()),
        Row(2, Nanos(7), ParentPaused("p1", "me"), (CancelOrder("p1n1", "BTC/USDT"), FinishParent("p1", "x"))),
    ]
    journal.close()


def test_a_journal_goes_on_where_it_stopped(path: Path) -> None:
    written(path, rows=3)
    journal = Journal.open(path, header=dataclasses.replace(HEADER, code="newer", created=Nanos(99)), create=False)

    assert journal.last == 3
    assert journal.header == HEADER, "what was stored when the file was made"
    assert journal.append(Nanos(9), Woken(), []) == 4
    journal.close()
    assert [row.seq for row in Journal.read(path)[1]] == [1, 2, 3, 4]


def test_every_start_of_a_process_is_on_record(path: Path) -> None:
    journal = Journal.open(path, header=HEADER, create=True)
    journal.start(Nanos(1), Nanos(-3), HEADER)
    journal.append(Nanos(2), Woken(), [])
    journal.close()
    journal = Journal.open(path, header=HEADER, create=False)
    journal.start(Nanos(8), Nanos(4), dataclasses.replace(HEADER, code="v2", risk_sha256="9" * 64))
    journal.close()

    contents, _ = Journal.read(path)
    assert [(s.at, s.after, s.code, s.risk_sha256, s.clock_offset) for s in contents.starts] == [
        (1, 0, "test", HEADER.risk_sha256, -3),
        (8, 1, "v2", "9" * 64, 4),
    ]


async def test_rows_can_be_read_while_another_connection_writes(path: Path) -> None:
    journal = made(path, rows=5)
    await asyncio.wait_for(journal.sync(5), PATIENCE)

    contents, rows = Journal.read(path)
    journal.append(Nanos(6), Woken(), [])
    await asyncio.wait_for(journal.sync(6), PATIENCE)

    assert contents.last == 5
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5], "the rows that were checked, and no later one"
    assert Journal.peek(path) == HEADER
    journal.close()


async def test_sync_waits_for_its_row_and_durable_rows_are_reported(path: Path) -> None:
    journal = Journal.open(path, header=HEADER, create=True)
    seen: list[tuple[str, float]] = []
    before = time.monotonic()
    journal.on_durable = lambda kind, seconds: seen.append((kind, seconds))
    waits = [asyncio.create_task(journal.sync(journal.append(Nanos(n), Woken(), []))) for n in range(20)]
    await asyncio.wait_for(asyncio.gather(*waits), PATIENCE)
    assert [row.seq for row in journal.rows()] == list(range(1, 21))

    journal.close()
    assert [kind for kind, _ in seen] == ["Woken"] * 20
    assert all(0 <= seconds <= time.monotonic() - before for _, seconds in seen)


async def test_appends_that_gather_while_the_disk_is_busy_share_one_transaction(path: Path) -> None:
    journal = Journal.open(path, header=HEADER, create=True)
    commits = 0
    gate = threading.Event()

    def on_commit() -> bool:
        nonlocal commits
        commits += 1
        gate.wait(PATIENCE)
        return False

    journal._connection.set_commit_hook(on_commit)
    for number in range(50):
        journal.append(Nanos(number), Woken(), [])
    gate.set()
    await asyncio.wait_for(journal.sync(50), PATIENCE)

    assert commits <= 2, "the first row alone, or a few, then all that had gathered"
    journal.close()


def test_the_lock_lies_beside_the_journal_and_is_for_its_owner_alone(path: Path) -> None:
    """Who looks for what holds a journal finds it by its name; no other user can take the lock and keep us out."""
    usual = os.umask(0)
    try:
        made(path).close()
    finally:
        os.umask(usual)
    lock = path.with_name("p1.journal.lock")
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_the_same_journal_is_not_opened_twice(path: Path) -> None:
    journal = made(path)
    with pytest.raises(JournalError, match=r"p1\.journal: another execd is working on this journal"):
        Journal.open(path, header=HEADER, create=True)
    journal.close()
    Journal.open(path, header=HEADER, create=False).close()


@pytest.mark.parametrize(
    ("field", "words"),
    [("account", "another account"), ("parent", "another parent order"), ("mode", "another mode"),
     ("order_sha256", "another order file")],
)  # fmt: skip
def test_a_journal_of_something_else_is_refused(path: Path, field: str, words: str) -> None:
    written(path)
    other = dataclasses.replace(HEADER, **{field: "else"})  # type: ignore[arg-type]  # the fields named are texts
    with pytest.raises(JournalError) as refusal:
        Journal.open(path, header=other, create=True)

    assert str(path) in str(refusal.value)
    assert words in str(refusal.value)
    assert "else" in str(refusal.value)


def test_a_journal_of_another_schema_is_refused(path: Path) -> None:
    written(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA + 1}")
    with pytest.raises(JournalError, match=rf"schema {SCHEMA + 1}; this execd reads schema {SCHEMA}"):
        Journal.open(path, header=HEADER, create=True)


def a_directory(path: Path) -> None:
    path.mkdir()


def another_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")


def a_text(path: Path) -> None:
    path.write_text("not a database, but long enough to have a header " * 30)


def an_empty_file(path: Path) -> None:
    path.touch()


def a_torn_file(path: Path) -> None:
    written(path, rows=40)
    os.truncate(path, path.stat().st_size // 2)


def nothing(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "words"),
    [(a_directory, "not a regular file"), (another_database, "not a journal of execd"), (a_text, "not a journal"),
     (an_empty_file, "no journal yet"), (a_torn_file, "corrupt"), (nothing, "there is no journal")],
)  # fmt: skip
def test_what_is_no_sound_journal_is_refused_in_one_sentence(
    path: Path, make: Callable[[Path], None], words: str
) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for use in (
        lambda: Journal.open(path, header=HEADER, create=False),
        lambda: Journal.read(path),
    ):
        with pytest.raises(JournalError) as refusal:
            use()
        assert words in str(refusal.value)
        assert str(refusal.value).startswith(str(path))
        assert "\n" not in str(refusal.value)
    assert (path.read_bytes() if path.is_file() else None) == before, "and it is left as it was"


def test_a_crash_between_making_the_file_and_its_first_row_does_no_harm(path: Path) -> None:
    path.touch()
    journal = Journal.open(path, header=HEADER, create=True)
    assert journal.header == HEADER
    journal.close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            "UPDATE facts SET body = CAST(replace(body, 'operator 3', 'operator 4') AS BLOB) WHERE seq = 3",
            "row 3 is not",
        ),
        ("UPDATE facts SET at = at + 1 WHERE seq = 5", "row 5 is not"),
        ("UPDATE facts SET commands = CAST('[]' AS BLOB) WHERE seq = 2", "row 2 is not"),
        ("DELETE FROM facts WHERE seq = 4", "row 4 is missing"),
        ("DELETE FROM facts WHERE seq = 1", "row 1 is missing"),
        ("UPDATE header SET body = CAST(replace(body, 'account-7', 'account-8') AS BLOB)", "row 1 is not"),
        ("UPDATE header SET body = CAST('{}' AS BLOB)", "the header is damaged"),
        ("DELETE FROM header", "the header is damaged"),
        ("UPDATE starts SET body = CAST(replace(body, 'test', 'tast') AS BLOB)", "start 1 is not"),
        ("DELETE FROM starts WHERE number = 1", "start 2 is not"),
        ("DROP TABLE facts", "no such table"),
    ],
)
def test_a_changed_row_is_found_and_named(path: Path, damage: str, words: str) -> None:
    journal = Journal.open(path, header=HEADER, create=True)
    journal.start(Nanos(0), Nanos(0), HEADER)
    journal.start(Nanos(0), Nanos(0), HEADER)
    journal.close()
    written(path, rows=6)
    with sqlite3.connect(path) as connection:
        connection.execute(damage)

    for use in (lambda: Journal.read(path), lambda: Journal.open(path, header=HEADER, create=True)):
        with pytest.raises(JournalError) as refusal:
            use()
        assert str(refusal.value).startswith(f"{path}: ")
        assert words in str(refusal.value)


def test_no_flipped_byte_changes_a_row_unseen(path: Path) -> None:
    """A byte of the file changes: either it is said, or nothing that the journal says has changed."""
    written(path, rows=30)
    truth = (Journal.peek(path), list(Journal.read(path)[1]))
    clean = path.read_bytes()
    chance = random.Random(7)
    found = 0
    for _ in range(300):
        broken = bytearray(clean)
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        try:
            contents, rows = Journal.read(path)
            assert (contents.header, list(rows)) == truth
        except JournalError:
            found += 1
    assert found > 30


def writer(path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.runtime.journal_writer", str(path), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def lines(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.split(maxsplit=1)


def test_no_acknowledged_row_is_lost_to_kill_9(path: Path) -> None:
    """A process is killed 30 times at any moment; each row that it called durable is there, and the chain holds."""
    chance = random.Random(11)
    durable = 0
    for _ in range(30):
        process = writer(path)
        after = chance.randrange(0, 12)
        for word, number in lines(process):
            assert word in ("open", "durable"), number
            assert int(number) >= durable
            durable = int(number)
            after -= 1
            if after < 0:
                process.kill()
                break
        for _, number in lines(process):
            durable = int(number)
        process.wait(PATIENCE)

        contents, rows = Journal.read(path)
        assert contents.last >= durable
        assert [row.fact.by.removeprefix("x" * 200) for row in rows] == [str(n) for n in range(1, contents.last + 1)]
        durable = contents.last
    assert len(contents.starts) == 30


def test_a_disk_that_takes_no_more_ends_the_process_at_once(path: Path) -> None:
    """The file may not grow beyond a limit of the system: the write fails, and no row beyond it was called durable."""
    written(path, rows=1)
    process = writer(path, "200000")
    said = list(lines(process))

    assert process.wait(PATIENCE) == 70
    assert said[-1][0] == "failed"
    assert "a write to the journal failed" in said[-1][1]
    contents, _ = Journal.read(path)
    assert contents.last >= int(said[-2][1]) > 1


class BadDisk(apsw.VFS):
    """A disk whose fsync fails once it is told to, or that gives out no file any more."""

    def __init__(self) -> None:
        self.name = "bad-disk"
        self.bad = False
        self.shut = False
        super().__init__(self.name, "", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # apsw's name
        if self.shut:
            raise apsw.CantOpenError("no file for you")
        return BadFile(self, name, flags)


class BadFile(apsw.VFSFile):
    def __init__(self, disk: BadDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self.disk = disk
        super().__init__("unix", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802  # apsw's name
        if self.disk.bad:
            raise apsw.IOError("fsync failed")
        super().xSync(flags)


@pytest.fixture
def disk() -> Iterator[BadDisk]:
    default = apsw.vfs_names()[0]
    bad = BadDisk()
    yield bad
    bad.unregister()
    assert apsw.vfs_names()[0] == default


async def test_a_failed_fsync_fails_the_journal_for_good(path: Path, disk: BadDisk) -> None:
    journal = Journal.open(path, header=HEADER, create=True)
    told: list[JournalFailed] = []
    journal.on_failure = told.append
    await asyncio.wait_for(journal.sync(journal.append(Nanos(1), Woken(), [])), PATIENCE)

    disk.bad = True
    lost = journal.append(Nanos(2), KillTripped("test"), [])
    with pytest.raises(JournalFailed, match=r"p1\.journal: a write to the journal failed"):
        await asyncio.wait_for(journal.sync(lost), PATIENCE)
    disk.bad = False

    with pytest.raises(JournalFailed):
        journal.append(Nanos(3), Woken(), [])
    with pytest.raises(JournalFailed):
        await journal.sync(lost)
    assert len(told) == 1
    assert journal.failed is told[0]
    journal.close()


async def test_a_start_that_does_not_become_durable_is_a_failure(path: Path, disk: BadDisk) -> None:
    journal = Journal.open(path, header=HEADER, create=True)
    disk.bad = True
    with pytest.raises(JournalFailed, match=r"p1\.journal: a write to the journal failed: .*(fsync|I/O)"):
        journal.start(Nanos(1), Nanos(0), HEADER)
    disk.bad = False
    journal.close()


def test_a_close_that_cannot_tidy_up_says_so_and_loses_no_row(path: Path, disk: BadDisk) -> None:
    """The last fsync is the checkpoint's; the rows are durable already, and the file is free for the next process."""
    journal = Journal.open(path, header=HEADER, create=True, threaded=False)
    told: list[JournalFailed] = []
    journal.on_failure = told.append
    journal.append(Nanos(1), Woken(), [])
    journal.write()

    disk.bad = True
    journal.close()
    disk.bad = False

    assert [str(failed) for failed in told] == [f"{path}: a write to the journal failed: fsync failed"]
    again = Journal.open(path, header=HEADER, create=False)
    assert [row.fact for row in again.rows()] == [Woken()]
    again.close()


def test_rows_that_cannot_be_read_back_are_told_with_the_files_name(path: Path, disk: BadDisk) -> None:
    journal = made(path, rows=1)
    disk.shut = True
    with pytest.raises(JournalError) as refusal:
        journal.rows()
    disk.shut = False
    assert str(refusal.value).startswith(f"{path}: the journal cannot be used: ")
    journal.close()


def test_a_file_system_without_a_write_ahead_log_is_refused(path: Path) -> None:
    """Durability rests on it.  Where files cannot be locked, as on some network mounts, SQLite has none."""
    default = apsw.vfs_names()[0]
    apsw.set_default_vfs("unix-none")
    try:
        with pytest.raises(JournalError) as refusal:
            made(path)
    finally:
        apsw.set_default_vfs(default)
    assert str(refusal.value) == f"{path}: the file system does not support SQLite's write-ahead log"


async def test_a_listener_that_breaks_does_not_leave_a_dead_writer_unnoticed(path: Path) -> None:
    journal = Journal.open(path, header=HEADER, create=True)
    failed = threading.Event()
    journal.on_failure = lambda _: failed.set()

    def broken(_kind: str, _seconds: float) -> None:
        raise ValueError("a metric that does not exist")

    journal.on_durable = broken
    journal.append(Nanos(1), Woken(), [])
    assert await asyncio.to_thread(failed.wait, PATIENCE)
    with pytest.raises(JournalFailed, match="a metric that does not exist"):
        journal.append(Nanos(2), Woken(), [])
    journal.close()


def test_a_row_of_an_unknown_kind_is_named(path: Path) -> None:
    """A journal that a later execd wrote: the hashes are right, the words are not ours."""
    journal = made(path, rows=1)
    forged = _Pending(seq=2, at=Nanos(2), kind="ParentTeleported", body=b"{}", commands=b"[]", since=0.0)
    journal._inbox.put(forged)
    journal.close()

    _, rows = Journal.read(path)
    for each in (rows, made(path).rows()):
        with pytest.raises(JournalError) as refusal:
            list(each)
        assert str(refusal.value).startswith(f"{path}: row 2: unknown kind of message 'ParentTeleported'")


@pytest.mark.parametrize("use", [Journal.peek, Journal.holds_nothing, Journal.read])
def test_looking_at_a_journal_makes_and_changes_none(path: Path, use: Callable[[Path], object]) -> None:
    """An absent file stays absent, a text stays the text that it was, and the refusal names the file."""
    with pytest.raises(JournalError, match="there is no journal"):
        use(path)
    assert not path.exists()
    a_text(path)
    before = path.read_bytes()
    with pytest.raises(JournalError) as refusal:
        use(path)
    assert str(refusal.value).startswith(f"{path}: not a journal")
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["PRAGMA application_id=7", "PRAGMA user_version=99", "DELETE FROM header"])
def test_a_header_that_is_not_ours_is_refused_by_name(path: Path, damage: str) -> None:
    written(path, rows=1)
    with sqlite3.connect(path) as connection:
        connection.execute(damage)
    for use in (Journal.peek, Journal.holds_nothing):
        with pytest.raises(JournalError) as refusal:
            use(path)
        assert str(refusal.value).startswith(f"{path}: ")


def test_a_journal_without_a_fact_is_known_for_one(path: Path) -> None:
    """Neither a file without a table nor starts alone are facts; one row is."""
    path.touch()
    assert Journal.holds_nothing(path)
    journal = Journal.open(path, header=HEADER, create=True)
    journal.start(Nanos(1), Nanos(0), HEADER)
    journal.close()
    assert Journal.holds_nothing(path)
    written(path, rows=1)
    assert not Journal.holds_nothing(path)


def test_the_rows_of_a_journal_that_was_taken_away_are_not_made_anew(path: Path) -> None:
    journal = made(path, rows=1)
    path.unlink()
    with pytest.raises(JournalError, match="there is no journal"):
        list(journal.rows())
    assert not path.exists()
    journal.close()


async def test_what_is_durable_already_is_not_waited_for(path: Path) -> None:
    journal = made(path, rows=2)
    await asyncio.wait_for(journal.sync(2), PATIENCE)
    assert journal.durable == 2
    for seq in (2, 1, 2):
        await asyncio.wait_for(journal.sync(seq), PATIENCE)
    journal.close()


async def test_rows_that_were_found_are_durable_once_the_start_is(path: Path) -> None:
    """They were read, perhaps from a cache: who died before us may have written them and not synced."""
    written(path, rows=2)
    journal = Journal.open(path, header=HEADER, create=False)
    assert (journal.last, journal.durable) == (2, 0)
    waiting = asyncio.create_task(journal.sync(2))
    await asyncio.sleep(0)
    assert not waiting.done()

    journal.start(Nanos(9), Nanos(0), HEADER)

    await asyncio.wait_for(waiting, PATIENCE)
    assert journal.durable == 2
    journal.close()


def test_a_complaint_of_sqlites_is_told_in_one_line(path: Path) -> None:
    """It quotes the statement that it stumbled over, with its line ends."""
    written(path, rows=1)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA writable_schema=1")
        connection.execute("UPDATE sqlite_schema SET sql = 'CREATE TABLE facts (x\n[y\n)' WHERE name = 'facts'")
    connection.close()
    with pytest.raises(
        JournalError, match=r"p1\.journal: the journal is corrupt \(malformed database schema"
    ) as refusal:
        Journal.peek(path)
    assert len(str(refusal.value).splitlines()) == 1


async def test_one_who_waits_hears_of_the_failure(path: Path) -> None:
    """The row was appended, and waited for, before the disk refused it."""
    journal = Journal.open(path, header=HEADER, create=True)
    gate = threading.Event()

    def refusing() -> bool:
        gate.wait(PATIENCE)
        return True

    journal._connection.set_commit_hook(refusing)
    waiting = asyncio.create_task(journal.sync(journal.append(Nanos(1), Woken(), [])))
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(JournalFailed, match=r"p1\.journal: a write to the journal failed"):
        await asyncio.wait_for(waiting, PATIENCE)
    journal.close()


async def test_a_failure_without_words_is_told_by_its_kind(path: Path) -> None:
    journal = Journal.open(path, header=HEADER, create=True)
    failed = threading.Event()
    journal.on_failure = lambda _: failed.set()

    def broken(_kind: str, _seconds: float) -> None:
        raise ValueError

    journal.on_durable = broken
    journal.append(Nanos(1), Woken(), [])
    assert await asyncio.to_thread(failed.wait, PATIENCE)
    assert str(journal.failed) == f"{path}: a write to the journal failed: ValueError"
    journal.close()


def test_the_writer_does_not_keep_a_process_alive(path: Path) -> None:
    """A process that leaves does not wait for its disk; the thread's name stands in a dump of all threads."""
    journal = made(path, rows=1)
    assert journal._thread is not None
    assert (journal._thread.daemon, journal._thread.name) == (True, "journal")
    journal.close()


def test_out_of_turn_a_journal_says_what_is_wrong(path: Path) -> None:
    journal = made(path, rows=1)
    with pytest.raises(AssertionError, match=r"^starts are recorded before rows are appended"):
        journal.start(Nanos(2), Nanos(0), HEADER)
    journal.close()
    with pytest.raises(AssertionError, match=r"^the journal is closed"):
        journal.append(Nanos(2), Woken(), [])
    journal.close()


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    """Asked by a process without privileges, since root may write anywhere."""
    folder = Path(tempfile.mkdtemp(prefix="execd-ro-"))
    try:
        folder.chmod(0o555)
        child = multiprocessing.get_context("fork").Process(target=_unprivileged, args=(folder / "p1.journal",))
        child.start()
        child.join(PATIENCE)
        assert child.exitcode == 0
        assert not list(folder.iterdir())
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def _unprivileged(path: Path) -> None:
    if os.geteuid() == 0:
        os.setuid(65534)
    with pytest.raises(JournalError) as refusal:
        Journal.open(path, header=HEADER, create=True)
    assert str(refusal.value).startswith(f"{path}: the journal cannot be used: ")
    assert "Permission denied" in str(refusal.value)


def test_a_copy_in_another_place_reads_the_same(path: Path, tmp_path: Path) -> None:
    written(path, rows=3)
    shutil.copy(path, tmp_path / "copy")
    assert list(Journal.read(path)[1]) == list(Journal.read(tmp_path / "copy")[1])


def test_the_file_is_kept_with_full_durability(path: Path) -> None:
    """The settings that the promise rests on."""
    journal = made(path, rows=1)
    journal.close()
    journal = Journal.open(path, header=HEADER, create=False)
    pragmas = {name: journal._connection.execute(f"PRAGMA {name}").get for name in ("journal_mode", "synchronous")}
    mapped = journal._connection.execute("PRAGMA mmap_size").get
    journal.close()

    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    assert mapped in (0, None)
    assert apsw.sqlite_lib_version() >= "3.51.3", "older ones can corrupt a write-ahead log"
