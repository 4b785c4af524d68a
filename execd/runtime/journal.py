"""The journal: every fact and the commands it caused, durable and in order, before anything is done about them.

Promise: once `sync(seq)` has returned, row `seq` and all before it survive the death of the process and of the
machine.  A row holds one fact together with its commands, or is not there at all.  A write that fails is never tried
again (after a failed fsync nobody knows what the disk holds): the journal is then `failed` for good, `on_failure` is
told at once from the writer's thread, and the process must stop.

SQLite in WAL mode with synchronous=FULL, from apsw's own library.  One thread writes, and commits in one transaction
all that has gathered meanwhile; the event loop never waits for the disk.  Who has neither threads nor a loop, as the
simulation, opens it with `threaded=False`, calls `write` at moments of its own and hears by `when_durable`.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from execd.core.commands import Command
from execd.core.events import Event
from execd.core.grid import Nanos
from execd.runtime import journal_file
from execd.runtime.codec import SCHEMA, JournalError, encode, encode_all
from execd.runtime.durable import sync_folder
from execd.runtime.journal_file import Header, Row, Start, link

__all__ = ["Header", "Journal", "JournalError", "JournalFailed", "Row", "Start"]

Observer = Callable[[str, float], None]
"""Told the kind of each durable row and the seconds from `append` to durability.  Called by the writer's thread."""


class JournalFailed(JournalError):
    """A write did not become durable: nothing may be decided or sent any more by this process."""


Settled = Callable[[JournalFailed | None], None]
"""Told once what became of a row: None where it is durable, else why it never will be.  Called by whoever writes."""


@dataclass(frozen=True, slots=True)
class _Pending:
    seq: int
    at: Nanos
    kind: str
    body: bytes
    commands: bytes
    since: float


class Journal:
    """An open journal.  `append` and `sync` belong to one event loop (or one thread); the writer has its own."""

    def __init__(
        self, path: Path, connection: apsw.Connection, lock: int, found: journal_file.Contents, *, threaded: bool
    ) -> None:
        self.path = path
        self.header = found.header
        self.starts = found.starts
        self.on_failure: Callable[[JournalFailed], None] = lambda _: None
        self.on_durable: Observer = lambda _kind, _seconds: None
        self.failed: JournalFailed | None = None
        self._connection = connection
        self._lock = lock
        self._appended = found.last
        # What was found was read, not synced: another process may have died between its write and its sync, and the
        # power may fail next.  Our own first commit, which is the start's, syncs the file with all that is in it.
        self._durable = 0
        self._chain = found.chain
        self._starts_chain = found.starts_chain
        self._inbox: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._waiters: list[tuple[int, Settled]] = []
        self._threaded = threaded
        self._thread: threading.Thread | None = None
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, header: Header, create: bool, threaded: bool = True) -> Journal:
        """Open the journal of one parent, checking every row; make it where it is absent and `create` allows.

        Args:
            path: the database; a lock file `<path>.lock` lies beside it.
            header: what the journal must be of.  Parent, account, mode and order file must be as stored; the rest is
                written only when the file is made, and `journal.header` is what is stored.
            create: whether an absent journal may be made.
            threaded: whether a thread of the journal's own writes what is appended; else it waits for `write`.

        Raises:
            JournalError: one sentence naming the file: absent, in use, not a journal, another schema, another
                account, mode, parent or order file, corrupt (with the row), unreadable.
        """
        with journal_file.saying(path):
            if not create and not path.exists():
                raise JournalError(f"{path}: there is no journal")
            lock = hold(path)
            try:
                connection = journal_file.connect(path, write=True)
                try:
                    found = _prepare(connection, path, header, create=create)
                    return cls(path, connection, lock, found, threaded=threaded)
                except BaseException:
                    connection.close()
                    raise
            except BaseException:
                os.close(lock)
                raise

    @classmethod
    def peek(cls, path: Path) -> Header:
        """Return the header of a journal without opening it for work.  Raises JournalError."""
        with journal_file.saying(path):
            connection = journal_file.connect(path, write=False)
            try:
                return journal_file.read_header(connection, path)
            finally:
                connection.close()

    @classmethod
    def holds_nothing(cls, path: Path) -> bool:
        """Whether no fact was ever recorded: its process died before the first, so nothing was sent.

        Raises:
            JournalError: it is no journal, or cannot be read.
        """
        with journal_file.saying(path):
            connection = journal_file.connect(path, write=False)
            try:
                if journal_file.is_empty(connection):
                    return True
                journal_file.read_header(connection, path)
                facts: int = connection.execute("SELECT count(*) FROM facts").get
                return facts == 0
            finally:
                connection.close()

    @classmethod
    def read(cls, path: Path) -> tuple[journal_file.Contents, Iterator[Row]]:
        """Check a journal and return what it holds, with its rows; also while another process writes it.

        Raises:
            JournalError: as `open`, but for who else uses it; the iterator too, for a row that does not decode.
        """
        with journal_file.saying(path):
            connection = journal_file.connect(path, write=False)
            try:
                # One transaction, so that the rows checked are the rows returned.
                connection.execute("BEGIN")
                return journal_file.read(connection, path), _closing(connection, path)
            except BaseException:
                connection.close()
                raise

    @property
    def last(self) -> int:
        """The number of the last row that was appended; 0 where there is none."""
        return self._appended

    @property
    def durable(self) -> int:
        """The number of the last row that this process knows to be durable; 0 where there is none."""
        return self._durable

    def start(self, at: Nanos, clock_offset: Nanos, header: Header) -> None:
        """Record, durably before returning, that a process begins to work: the builds and hashes in `header`.

        Call before the first `append`; blocks for one fsync, after which the rows that were found are durable too.
        Raises JournalFailed.
        """
        assert self._thread is None, "starts are recorded before rows are appended"
        start = Start(
            at=at,
            after=self._appended,
            code=header.code,
            config_sha256=header.config_sha256,
            risk_sha256=header.risk_sha256,
            model_sha256=header.model_sha256,
            clock_offset=clock_offset,
        )
        body, number = journal_file.pack(start), len(self.starts) + 1
        chain = link(self._starts_chain, number, body)
        try:
            self._connection.execute("INSERT INTO starts VALUES (?, ?, ?)", (number, body, chain))
        except apsw.Error as error:
            raise self._fail(error) from error
        self.starts, self._starts_chain = (*self.starts, start), chain
        self._durable = self._appended
        self._settle()

    def append(self, at: Nanos, fact: Event, commands: Sequence[Command]) -> int:
        """Hand a fact and its commands to the writer, without waiting; returns the row's number.

        Raises:
            JournalFailed: an earlier write failed.
        """
        if self.failed is not None:
            raise self.failed
        assert not self._closed, "the journal is closed"
        since = time.monotonic()
        kind, body = encode(fact)
        self._appended += 1
        self._inbox.put(_Pending(self._appended, at, kind, body, encode_all(commands), since))
        if self._thread is None and self._threaded:
            self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
            self._thread.start()
        return self._appended

    async def sync(self, seq: int) -> None:
        """Wait until row `seq` and all before it are durable.  Raises JournalFailed."""
        waiter = asyncio.get_running_loop().create_future()
        if not self.when_durable(seq, lambda failed: _call(waiter, failed)):
            await waiter

    def when_durable(self, seq: int, then: Settled) -> bool:
        """Return True where row `seq` and all before it are durable; else have whoever writes call `then`, once.

        Raises:
            JournalFailed: an earlier write failed.
        """
        with self._guard:
            if self.failed is not None:
                raise self.failed
            if seq <= self._durable:
                return True
            assert seq <= self._appended, f"row {seq} was never appended"
            self._waiters.append((seq, then))
            return False

    def write(self) -> None:
        """Write all that has gathered, here and now: for a journal that was opened without a thread.

        A write that fails is told to `on_failure` and to those who wait, as it is by the thread.
        """
        assert not self._threaded, "the thread writes"
        batch: list[_Pending] = []
        while not self._inbox.empty():
            item = self._inbox.get_nowait()
            assert item is not None, "only a thread is told to end"
            batch.append(item)
        self._write(batch)

    def rows(self) -> Iterator[Row]:
        """Read back, in order, all rows that are durable at this moment.  Raises JournalError for one that cannot."""
        with journal_file.saying(self.path):
            connection = journal_file.connect(self.path, write=False)
        return _closing(connection, self.path)

    def close(self) -> None:
        """Write what is left, close the file, release the lock.  Blocks for the last fsync; harmless if repeated."""
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._inbox.put(None)
            self._thread.join()
        elif not self._threaded and self.failed is None:
            self.write()
        try:
            self._connection.close()
        except apsw.Error as error:
            # All rows are durable already; only the checkpoint that a last close makes did not happen.
            self._fail(error)
        finally:
            os.close(self._lock)

    # ------------------------------------------------------------------------------------------ the writer's thread

    def _write_all(self) -> None:
        going = True
        while going and self.failed is None:
            batch, going = self._gather()
            self._write(batch)

    def _write(self, batch: list[_Pending]) -> None:
        try:
            self._commit(batch)
            self._settle()
            now = time.monotonic()
            for pending in batch:
                self.on_durable(pending.kind, now - pending.since)
        # Whatever it was, the next rows will not be durable, and a dead writer must not go unnoticed.
        except Exception as error:
            self._fail(error)

    def _gather(self) -> tuple[list[_Pending], bool]:
        """Wait for one row, then take all that are there; False with it when it is time to end."""
        batch: list[_Pending] = []
        item = self._inbox.get()
        while item is not None:
            batch.append(item)
            try:
                item = self._inbox.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _commit(self, batch: list[_Pending]) -> None:
        if not batch:
            return
        chain, lines = self._chain, []
        for row in batch:
            chain = link(chain, row.seq, row.at, row.kind, row.body, row.commands)
            lines.append((row.seq, row.at, row.kind, row.body, row.commands, chain))
        with self._connection:
            self._connection.executemany("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?)", lines)
        with self._guard:
            self._chain, self._durable = chain, batch[-1].seq

    def _settle(self) -> None:
        with self._guard:
            done = [then for seq, then in self._waiters if seq <= self._durable]
            self._waiters = [(seq, then) for seq, then in self._waiters if seq > self._durable]
        for then in done:
            then(None)

    def _fail(self, error: Exception) -> JournalFailed:
        failed = JournalFailed(f"{self.path}: a write to the journal failed: {journal_file.in_a_line(error)}")
        with self._guard:
            self.failed = failed
            waiters, self._waiters = self._waiters, []
        self.on_failure(failed)
        for _, then in waiters:
            then(failed)
        return failed


def hold(path: Path) -> int:
    """Take the lock that makes this process the journal's only writer; returns the handle that holds it.

    Raises:
        JournalError: another process has it.
    """
    lock = path.with_name(path.name + ".lock")
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise JournalError(f"{path}: another execd is working on this journal (it holds {lock.name})") from error
    return handle


def _prepare(connection: apsw.Connection, path: Path, header: Header, *, create: bool) -> journal_file.Contents:
    empty = journal_file.is_empty(connection)
    if not (empty and create):
        # Before anything is written: another program's database is left as it is.
        journal_file.read_header(connection, path)
    if connection.execute("PRAGMA journal_mode=WAL").get != "wal":
        raise JournalError(f"{path}: the file system does not support SQLite's write-ahead log")
    connection.execute("PRAGMA synchronous=FULL")
    if empty:
        with connection:
            connection.execute(journal_file.TABLES)
            connection.execute("INSERT INTO header VALUES (1, ?)", (journal_file.pack(header),))
            connection.execute(f"PRAGMA user_version={SCHEMA}")
            connection.execute(f"PRAGMA application_id={journal_file.APPLICATION}")
        sync_folder(path.parent)
    found = journal_file.read(connection, path)
    _same(path, found.header, header)
    return found


def _same(path: Path, stored: Header, wanted: Header) -> None:
    """Refuse a journal that is not of this order, on this account."""
    told = {"parent": "parent order", "account": "account", "mode": "mode", "order_sha256": "order file (sha256)"}
    for name, words in told.items():
        have, want = getattr(stored, name), getattr(wanted, name)
        if have != want:
            raise JournalError(f"{path}: the journal is of another {words}: it holds {have}, this start has {want}")


def _closing(connection: apsw.Connection, path: Path) -> Iterator[Row]:
    try:
        yield from journal_file.rows(connection, path)
    finally:
        connection.close()


def _call(waiter: asyncio.Future[None], failed: JournalFailed | None) -> None:
    """Wake a waiter on its own loop."""

    def wake() -> None:
        if not waiter.done():
            waiter.set_exception(failed) if failed else waiter.set_result(None)

    loop = waiter.get_loop()
    try:
        loop.call_soon_threadsafe(wake)
    except RuntimeError:
        # The loop has been closed; nobody waits any more.
        assert loop.is_closed()
