"""The kill switch's durable half: a file that is there, or is not.

Promise: once `trip` has returned, the latch is set for every process and every start to come, until a human resets it.
It is one-way and idempotent: a second trip adds its cause.  Unknown is no: a latch that cannot be looked at is set,
and so is one that anybody made by hand (`touch KILL`) or that holds nonsense.  A reset first writes all that is known
to a log beside it, then lets go: nothing is deleted without a trace, and a crash between leaves the latch set.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from execd.core.grid import Nanos

NAME = "KILL"

LARGEST = 1 << 20
"""Bytes of a record that are read: a hand may have put anything there."""

LATEST = 2**63
"""No moment in nanoseconds is so late."""


class LatchError(Exception):
    """The latch could not be written, or there is nothing to reset.  One clear sentence."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why, by whom and when the latch was set.  `at` is 0 where the record does not say."""

    cause: str
    by: str
    at: Nanos


class Latch:
    """One latch, of one scope.  Any process may trip it; all that share the folder see it."""

    def __init__(self, path: Path, clock: Callable[[], int] = time.time_ns) -> None:
        """Watch a path, making its folder.  Raises LatchError."""
        self.path = path
        self.log = path.with_name(path.name + ".log")
        self._clock = clock
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LatchError(f"{path}: the folder of the kill switch cannot be made: {error.strerror}") from error

    @classmethod
    def of_all(cls, folder: Path) -> Latch:
        """The latch of everything that runs on a state folder: the file KILL in it."""
        return cls(folder / NAME)

    @classmethod
    def of_parent(cls, folder: Path, parent: str) -> Latch:
        """The latch of one parent order: the file KILL.<id>."""
        return cls(folder / f"{NAME}.{parent}")

    @property
    def tripped(self) -> bool:
        """Whether the latch is set.  One look at the file system; True wherever that look fails."""
        try:
            os.lstat(self.path)
        except FileNotFoundError:
            # The folder was there once: if it is gone, so is what it may have said.
            return not self.path.parent.is_dir()
        except OSError:
            return True
        return True

    def trip(self, cause: str, by: str) -> None:
        """Set the latch, durably before returning; the same cause by the same party is recorded once.

        Raises:
            LatchError: the record is not known to be durable.  The caller must stop at once.
        """
        try:
            with self._alone():
                known = any((cause, by) == (old.cause, old.by) for old in self.causes())
                record = json.dumps(asdict(Cause(cause, by, Nanos(self._clock())))).encode("ascii")
                # The leading line break ends what a torn write, or a hand, may have left.  What is known already is
                # synced once more: whoever wrote it may have died before.
                _write(self.path, b"" if known else b"\n" + record + b"\n")
                _sync_folder(self.path.parent)
        except OSError as error:
            raise LatchError(f"{self.path}: the kill switch cannot be written: {error.strerror}") from error

    def causes(self) -> tuple[Cause, ...]:
        """All that the record says; empty if the latch is not set.  What cannot be read is a cause too."""
        if not self.tripped:
            return ()
        try:
            with self.path.open("rb") as record:
                lines = [line for line in record.read(LARGEST).split(b"\n") if line.strip()]
        except OSError as error:
            return (Cause(f"the record cannot be read: {error.strerror}", "unknown", Nanos(0)),)
        return tuple(map(_cause, lines)) or (Cause("the file was made by hand", "unknown", Nanos(0)),)

    def reset(self, by: str, reason: str) -> tuple[Cause, ...]:
        """Release the latch on a human's word; returns the causes, which the log keeps together with it.

        Raises:
            LatchError: the latch is not set, no name or reason is given, or the log cannot be written; it stays set.
        """
        if not (by.strip() and reason.strip()):
            raise LatchError(f"{self.path}: a reset needs the name of who resets and a reason")
        try:
            with self._alone():
                causes = self.causes()
                if not causes:
                    raise LatchError(f"{self.path}: the kill switch is not set: there is nothing to reset")
                known = [asdict(cause) for cause in causes]
                record = {"reset_by": by, "reason": reason, "at": self._clock(), "causes": known}
                _write(self.log, json.dumps(record).encode("ascii") + b"\n")
                self.path.unlink()
                _sync_folder(self.path.parent)
                return causes
        except OSError as error:
            raise LatchError(f"{self.path}: the kill switch cannot be reset: {error.strerror}") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep a trip and a reset of two processes apart, so that no cause is lost between reading and letting go."""
        handle = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _cause(line: bytes) -> Cause:
    try:
        found = json.loads(line)
        cause = Cause(str(found["cause"]), str(found["by"]), Nanos(int(found["at"])))
        if 0 <= cause.at < LATEST:
            return cause
    # A hand may have written anything; all of it sets the latch.
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        pass
    return Cause(f"an unreadable record: {line[:80]!r}", "unknown", Nanos(0))


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        while content:
            content = content[os.write(handle, content) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
