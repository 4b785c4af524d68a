"""What lies in a journal's file: anyone can check it with SQLite and sha256 alone, and a forged row is named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import apsw
import pytest

from execd.core.events import ParentPaused
from execd.core.grid import Nanos
from execd.runtime import journal_file
from execd.runtime.codec import SCHEMA
from execd.runtime.journal import Journal, JournalError
from execd.runtime.journal_file import Start
from tests.runtime.journal_writer import HEADER

HEADER_TEXT = (
    '{"parent":"p1","account":"account-7","mode":"practice","order_sha256":"' + "0" * 64 + '",'
    '"created":1,"code":"test","config_sha256":"' + "1" * 64 + '","risk_sha256":"' + "2" * 64 + '",'
    '"model_sha256":"' + "3" * 64 + f'","schema":{SCHEMA}}}'
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of one start and three rows."""
    path = tmp_path / "p1.journal"
    journal = Journal.open(path, header=HEADER, create=True, threaded=False)
    journal.start(Nanos(5), Nanos(-3), HEADER)
    for number in range(1, 4):
        journal.append(Nanos(10 * number), ParentPaused("p1", f"operator {number}, ünïcode"), [])
    journal.close()
    return path


def by_hand(previous: bytes, *parts: bytes | int | str) -> bytes:
    """The hash of a row from its definition: each part as its length, a colon and its bytes, after the hash before."""
    raw = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return sha256(previous + b"".join(str(len(part)).encode() + b":" + part for part in raw)).digest()


def test_the_header_is_plain_json(path: Path) -> None:
    """To the byte: the chain begins with it, and a later execd must still find it whole."""
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT only, CAST(body AS TEXT) FROM header").fetchall() == [(1, HEADER_TEXT)]
        assert file.execute("PRAGMA application_id").fetchone() == (int.from_bytes(b"exec", "big"),)
        assert file.execute("PRAGMA user_version").fetchone() == (SCHEMA,)


def test_the_chain_of_hashes_can_be_computed_by_anyone(path: Path) -> None:
    """Header, then each row with all of its columns; the starts have a chain of their own from the same first link."""
    with closing(sqlite3.connect(path)) as file:
        facts = file.execute("SELECT seq, at, kind, body, commands, chain FROM facts ORDER BY seq").fetchall()
        starts = file.execute("SELECT number, body, chain FROM starts ORDER BY number").fetchall()

    first = by_hand(b"", HEADER_TEXT.encode())
    chain = first
    for *parts, written in facts:
        chain = by_hand(chain, *parts)
        assert written == chain
    ((number, body, written),) = starts
    assert written == by_hand(first, number, body)
    assert [seq for seq, *_ in facts] == [1, 2, 3]

    contents, _ = Journal.read(path)
    assert (contents.last, contents.chain, contents.starts_chain) == (3, chain, written)
    assert contents.starts == (Start(Nanos(5), 0, "test", "1" * 64, "2" * 64, "3" * 64, Nanos(-3)),)


@pytest.mark.parametrize("body", [b"{}", b"", b"[]", b"5", b"not json", b"[" * 100_000, b'{"at":1}'])
def test_a_start_that_is_well_chained_and_no_start_is_named(path: Path, body: bytes) -> None:
    """Another program's, or a later execd's."""
    contents, _ = Journal.read(path)
    with closing(sqlite3.connect(path)) as file:
        chain = journal_file.link(contents.starts_chain, 2, body)
        file.execute("INSERT INTO starts VALUES (2, ?, ?)", (body, chain))
        file.commit()

    with pytest.raises(JournalError) as refusal:
        Journal.read(path)
    assert str(refusal.value) == f"{path}: start 2 is damaged"


def test_rows_whose_table_is_gone_are_told_with_the_files_name(path: Path) -> None:
    """It went while the journal was open."""
    journal = Journal.open(path, header=HEADER, create=False)
    with closing(sqlite3.connect(path)) as file:
        file.execute("DROP TABLE facts")
        file.commit()
    with pytest.raises(JournalError) as refusal:
        list(journal.rows())
    assert str(refusal.value) == f"{path}: the journal cannot be used: no such table: facts"
    journal.close()


class ReadingOnly(apsw.VFS):
    """A disk on which every file is there to be read and none to be written."""

    def __init__(self) -> None:
        super().__init__("reading-only", "", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # apsw's name
        flags[0] = flags[0] & ~(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) | apsw.SQLITE_OPEN_READONLY
        return apsw.VFSFile("unix", name, flags)


def test_a_journal_that_may_only_be_read_is_not_worked_on(path: Path) -> None:
    disk = ReadingOnly()
    try:
        with pytest.raises(JournalError) as refusal:
            journal_file.connect(path, write=True)
        journal_file.connect(path, write=False).close()
    finally:
        disk.unregister()
    assert str(refusal.value) == f"{path}: the journal cannot be written: its permissions allow reading only"


def test_who_only_looks_cannot_write(path: Path) -> None:
    connection = journal_file.connect(path, write=False)
    assert connection.readonly("main")
    connection.close()
    connection = journal_file.connect(path, write=True)
    assert not connection.readonly("main")
    connection.close()


def test_a_file_that_is_no_journal_yet_and_one_that_never_will_be_are_told_apart(tmp_path: Path) -> None:
    empty, other = tmp_path / "empty", tmp_path / "other"
    empty.touch()
    with closing(sqlite3.connect(other)) as file:
        file.execute("CREATE TABLE t (x)")
    for file_path, words in ((empty, "the file holds no journal yet"), (other, "not a journal of execd")):
        with pytest.raises(JournalError) as refusal:
            Journal.peek(file_path)
        assert str(refusal.value) == f"{file_path}: {words}"
