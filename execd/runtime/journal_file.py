"""What a journal file looks like: header, rows, starts, and the chain of hashes that binds them.

Promise: a file that `read` accepts holds exactly the rows that were written, from the first on and without a hole: a
changed byte, a missing row, another program's file are each refused with a sentence that names the file and the row.
What no chain can show is a lost tail; that is why a start always reconciles with the exchange.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw

from execd.core.grid import Nanos
from execd.runtime.codec import SCHEMA, JournalError, decode, decode_all

APPLICATION = 0x65786563
"""SQLite's application_id of a journal: "exec"."""

TABLES = """
CREATE TABLE header (only INTEGER PRIMARY KEY CHECK (only = 1), body BLOB NOT NULL) STRICT;
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL,
    commands BLOB NOT NULL, chain BLOB NOT NULL
) STRICT;
CREATE TABLE starts (number INTEGER PRIMARY KEY, body BLOB NOT NULL, chain BLOB NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Header:
    """Whose journal this is.  Written once, when the file is made; the hashes are sha256 in hex.

    `mode` is practice, paper, testnet or live; `account` the exchange's own id of the account.
    """

    parent: str
    account: str
    mode: str
    order_sha256: str
    created: Nanos
    code: str
    config_sha256: str
    risk_sha256: str
    model_sha256: str
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class Start:
    """A process began to work on this journal, after row `after`.  `clock_offset` is venue time minus ours."""

    at: Nanos
    after: int
    code: str
    config_sha256: str
    risk_sha256: str
    model_sha256: str
    clock_offset: Nanos


@dataclass(frozen=True, slots=True)
class Row:
    """A numbered fact, when it was taken in, and the commands that it caused."""

    seq: int
    at: Nanos
    fact: Any
    commands: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a check of the whole file found: its header, its last row's number and hash, its starts."""

    header: Header
    last: int
    chain: bytes
    starts: tuple[Start, ...]
    starts_chain: bytes


def pack(record: Header | Start) -> bytes:
    """Return a header or a start as JSON."""
    return json.dumps(asdict(record), separators=(",", ":")).encode("ascii")


def link(previous: bytes, *parts: bytes | int | str) -> bytes:
    """Return the hash of a row: sha256 over the previous hash and the row's parts, each with its length."""
    digest = sha256(previous)
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode("utf-8")
        digest.update(b"%d:" % len(raw) + raw)
    return digest.digest()


@contextmanager
def saying(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's complaints about a file into one JournalError that names it."""
    try:
        yield
    except apsw.NotADBError as error:
        raise JournalError(f"{path}: not a journal (no SQLite database)") from error
    except (apsw.CorruptError, UnicodeDecodeError) as error:
        raise JournalError(f"{path}: the journal is corrupt ({in_a_line(error)}); restore it from a copy") from error
    except (apsw.Error, OSError) as error:
        raise JournalError(f"{path}: the journal cannot be used: {in_a_line(error)}") from error


def in_a_line(error: Exception) -> str:
    """What went wrong as one line: SQLite quotes what it stumbled over, line ends and all."""
    return " ".join(str(error).split()) or type(error).__name__


def connect(path: Path, *, write: bool) -> apsw.Connection:
    """Open the database; a journal is at hand only if it is a file already, or `write` may make one."""
    if path.exists() and not path.is_file():
        raise JournalError(f"{path}: not a journal (not a regular file)")
    if not write and not path.exists():
        raise JournalError(f"{path}: there is no journal")
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE if write else apsw.SQLITE_OPEN_READONLY
    connection = apsw.Connection(str(path), flags=flags)
    if write and connection.readonly("main"):
        connection.close()
        raise JournalError(f"{path}: the journal cannot be written: its permissions allow reading only")
    connection.set_busy_timeout(5_000)
    connection.execute("PRAGMA mmap_size=0")
    return connection


def is_empty(connection: apsw.Connection) -> bool:
    """Whether nothing was ever written: a crash between making the file and its first transaction leaves this."""
    tables: int = connection.execute("SELECT count(*) FROM sqlite_schema").get
    return tables == 0


def read(connection: apsw.Connection, path: Path) -> Contents:
    """Check the whole file.  Raises JournalError naming what is wrong, with the row's number."""
    header = read_header(connection, path)
    first = link(b"", pack(header))
    last, chain = 0, first
    for seq, at, kind, body, commands, written in connection.execute(
        "SELECT seq, at, CAST(kind AS BLOB), body, commands, chain FROM facts ORDER BY seq"
    ):
        if seq != last + 1:
            raise JournalError(f"{path}: row {last + 1} is missing; restore the journal from a copy")
        last, chain = seq, link(chain, seq, at, kind, body, commands)
        if chain != written:
            raise JournalError(f"{path}: row {seq} is not what was written (hash chain); restore it from a copy")
    starts, starts_chain = _read_starts(connection, path, first)
    return Contents(header, last, chain, starts, starts_chain)


def read_header(connection: apsw.Connection, path: Path) -> Header:
    """Return the header.  Raises JournalError where the file is no journal, or one of another schema."""
    application = connection.execute("PRAGMA application_id").get
    if application != APPLICATION:
        empty = is_empty(connection)
        raise JournalError(f"{path}: {'the file holds no journal yet' if empty else 'not a journal of execd'}")
    schema = connection.execute("PRAGMA user_version").get
    if schema != SCHEMA:
        raise JournalError(
            f"{path}: the journal has schema {schema}; this execd reads schema {SCHEMA}: use the version that wrote it"
        )
    body = connection.execute("SELECT body FROM header").get
    return Header(**_fields(body, Header, f"{path}: the header"))


def rows(connection: apsw.Connection, path: Path) -> Iterator[Row]:
    """Decode the rows in order.  Raises JournalError naming the row that does not read."""
    with saying(path):
        for seq, at, kind, body, commands in connection.execute(
            "SELECT seq, at, kind, body, commands FROM facts ORDER BY seq"
        ):
            try:
                yield Row(seq, Nanos(at), decode(kind, body), decode_all(commands))
            except JournalError as error:
                raise JournalError(f"{path}: row {seq}: {error}") from error


def _read_starts(connection: apsw.Connection, path: Path, chain: bytes) -> tuple[tuple[Start, ...], bytes]:
    starts: list[Start] = []
    for number, body, written in connection.execute("SELECT number, body, chain FROM starts ORDER BY number"):
        chain = link(chain, number, body)
        if number != len(starts) + 1 or chain != written:
            raise JournalError(f"{path}: start {number} is not what was written (hash chain); restore it from a copy")
        starts.append(Start(**_fields(body, Start, f"{path}: start {number}")))
    return tuple(starts), chain


def _fields(body: object, kind: type[Header | Start], what: str) -> dict[str, Any]:
    """Return the fields of a packed record, of just the right names and types."""
    try:
        found = json.loads(body if isinstance(body, bytes) else b"")
    except (ValueError, RecursionError) as error:
        raise JournalError(f"{what} is damaged") from error
    expected = {f.name: str if f.type == "str" else int for f in fields(kind)}
    if not isinstance(found, dict) or {name: type(value) for name, value in found.items()} != expected:
        raise JournalError(f"{what} is damaged")
    return found
