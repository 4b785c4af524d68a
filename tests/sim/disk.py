"""A virtual disk below the real SQLite: files in memory, of which a crash keeps only what was synced.

Promise: what a file held at its last sync is there after every crash.  Each write since then is, when the power fails,
kept, lost or cut off, on its own and in any combination; when only the process dies, all of them are kept.  SQLite's
locks and its shared memory are the operating system's, on empty stand-ins in a scratch folder.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

import apsw

from tests.sim.sea import Sea

MEMORY = Path("/dev/shm")  # a folder of ours is made in it
"""Where the stand-ins lie, if the system has it: syncing a folder costs nothing there."""

DYING = "the process is dying"


class File:
    """One file: what a reader sees, what is synced, and the writes and truncations between the two."""

    __slots__ = ("data", "pending", "synced")

    def __init__(self) -> None:
        self.data, self.synced = bytearray(), bytearray()
        self.pending: list[tuple[int, bytes | None]] = []

    def write(self, offset: int, data: bytes) -> None:
        """Write, not yet durably."""
        self.pending.append((offset, data))
        _apply(self.data, offset, data)

    def truncate(self, size: int) -> None:
        """Cut, not yet durably."""
        self.pending.append((size, None))
        _apply(self.data, size, None)

    def sync(self) -> None:
        """Make all of it durable."""
        for offset, data in self.pending:
            _apply(self.synced, offset, data)
        self.pending.clear()

    def lose(self, rng: random.Random) -> bool:
        """The power fails: return whether anything was lost or torn."""
        whole = True
        for offset, data in self.pending:
            fate = rng.random()
            if data is not None and fate < 0.3:
                data = data[: rng.randint(0, len(data))]
            whole = whole and fate >= 0.6
            if fate < 0.3 or fate >= 0.6:
                _apply(self.synced, offset, data)
        self.pending.clear()
        self.data = bytearray(self.synced)
        return not whole


class Disk(apsw.VFS):
    """SQLite's default file system for as long as a voyage lasts; use it in a `with`."""

    def __init__(self, sea: Sea) -> None:
        self.sea = sea
        self.folder = Path(tempfile.mkdtemp(prefix="voyage-", dir=MEMORY if MEMORY.is_dir() else None))
        self.files: dict[str, File] = {}
        self.full_until = 0
        self.dead = False
        """The process is dying: nothing that it still does reaches a file."""
        self.struck = False
        """Whether an operation failed since somebody last asked."""
        super().__init__("voyage", "unix", makedefault=True)

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.unregister()
        # SQLite's objects are beyond the garbage collector: a cycle through one would never be freed.
        self.files.clear()
        self.sea.forget()
        shutil.rmtree(self.folder)

    # ------------------------------------------------------------------------------------------------- what befalls

    def revive(self, *, power: bool) -> None:
        """The process is gone: let another use the disk; `power`: the machine went down with it."""
        self.dead = self.struck = False
        if power:
            torn = [file.lose(self.sea.rng) for file in self.files.values()]
            if any(torn):
                self.sea.count("writes lost or torn")

    def trouble(self, *, writing: bool) -> bool:
        """Return whether the process dies in the operation that is under way.

        Raises:
            apsw.Error: the operation fails, as the weather says.
        """
        sea = self.sea
        if self.dead:
            raise apsw.IOError(DYING)
        if writing and sea.now < min(self.full_until, sea.calm_from):
            sea.count("write to a full disk")
            self.struck = True
            raise apsw.FullError("database or disk is full")
        if sea.strikes("crash while writing"):
            self.dead = self.struck = True
            return True
        if not writing and sea.strikes("sync failed"):
            self.struck = True
            raise apsw.IOError("fsync failed")
        return False

    # --------------------------------------------------------------------------------------------- what SQLite calls

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # apsw's name
        """Open a file."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        return Handle(self, self.files.setdefault(path, File()), name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802  # apsw's name
        """Remove a file, durably."""
        if self.dead:
            raise apsw.IOError(DYING)
        del self.files[filename]
        super().xDelete(filename, False)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802  # apsw's name
        """Whether a file is there."""
        return pathname in self.files


class Handle(apsw.VFSFile):
    """An open file."""

    def __init__(self, disk: Disk, file: File, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self.disk, self.file = disk, file
        super().__init__("unix", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802  # apsw's name
        """What the system would show, synced or not."""
        return bytes(self.file.data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # apsw's name
        """Write; a crash meanwhile cuts it off."""
        if self.disk.trouble(writing=True):
            self.file.write(offset, bytes(data)[: self.disk.sea.rng.randint(0, len(data))])
            raise apsw.IOError(DYING)
        self.file.write(offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  # apsw's name
        """Cut."""
        if self.disk.trouble(writing=True):
            raise apsw.IOError(DYING)
        self.file.truncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802  # apsw's name
        """Make durable, or fail: then nobody knows what of it is."""
        try:
            dying = self.disk.trouble(writing=False)
        except apsw.IOError:
            if not self.disk.dead:
                self.file.lose(self.disk.sea.rng)
            raise
        if dying:
            raise apsw.IOError(DYING)
        self.file.sync()

    def xFileSize(self) -> int:  # noqa: N802  # apsw's name
        """The size that the system would show."""
        return len(self.file.data)

    def excepthook(
        self, etype: type[BaseException] | None, evalue: BaseException | None, etraceback: TracebackType | None
    ) -> bool:
        """What SQLite has no use for is no failure of the voyage: it is told by what the next call finds."""
        return True


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data
