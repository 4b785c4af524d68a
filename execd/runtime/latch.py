"""The kill switch's durable half: files that are there, or are not.

    KILL                 of everything that runs on the state folder
    KILL.<exchange>      of what works on one exchange
    KILL.<parent id>     of one parent order

Promise: once `trip` has returned, the latch is set for every process and every start to come, until a human resets it.
It is one-way and idempotent: a second trip adds its cause.  Unknown is no: a latch that cannot be looked at is set,
and so is one that anybody made by hand (`touch KILL`) or that holds nonsense.  A reset first writes all that is known
to a log beside it, then lets go: nothing is deleted without a trace, and a crash between leaves the latch set.  A wider
latch implies the narrower: whoever asks the switch over a parent hears of all three.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from execd.core.grid import Nanos
from execd.runtime.durable import sync_folder

NAME = "KILL"

LARGEST = 1 << 20
"""Bytes of a record that are read: a hand may have put anything there.  A trip adds nothing beyond them."""

LATEST = 2**63
"""No moment in nanoseconds is so late."""


class LatchError(Exception):
    """The latch could not be written, or must not or cannot be reset.  One clear sentence."""


class Scope(Enum):
    """What a latch stops, the widest first."""

    ALL = "all"
    EXCHANGE = "exchange"
    PARENT = "parent"


class Kind(Enum):
    """What tripped a latch."""

    OPERATOR = "operator"
    FILE = "file"  # Made by hand, or unreadable.
    SIGNAL = "signal"
    HTTP = "http"
    CONTROL = "control"  # One of our own controls.
    WATCHDOG = "watchdog"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why, by whom and when the latch was set.  `at` is 0 where the record does not say."""

    cause: str
    by: str
    at: Nanos

    @property
    def kind(self) -> Kind:
        """What tripped it: `by` begins with the word, or is an operator's name."""
        first = self.by.partition(" ")[0]
        return Kind.FILE if self.by == UNKNOWN else Kind(first) if first in _MACHINES else Kind.OPERATOR


UNKNOWN = "unknown"
"""Who made a record that does not say so."""

_MACHINES = frozenset(kind.value for kind in (Kind.SIGNAL, Kind.HTTP, Kind.CONTROL, Kind.WATCHDOG))


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
    def of_exchange(cls, folder: Path, exchange: str) -> Latch:
        """The latch of what works on one exchange: the file KILL.<name>."""
        return cls(folder / f"{NAME}.{exchange}")

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
                known = self._full() or any((cause, by) == (old.cause, old.by) for old in self.causes())
                record = json.dumps(asdict(Cause(cause, by, Nanos(self._clock())))).encode("ascii")
                # The leading line break ends what a torn write, or a hand, may have left.  What is known already is
                # synced once more: whoever wrote it may have died before.
                _write(self.path, b"" if known else b"\n" + record + b"\n")
                sync_folder(self.path.parent)
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
            return (Cause(f"the record cannot be read: {error.strerror}", UNKNOWN, Nanos(0)),)
        return tuple(map(_cause, lines)) or (Cause("the file was made by hand", UNKNOWN, Nanos(0)),)

    def secure(self) -> None:
        """Make durable what somebody else, a hand perhaps, has set.  What cannot be synced is set all the same."""
        with suppress(OSError):
            # A pipe that nobody reads would hold up an open that waits.
            handle = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            sync_folder(self.path.parent)

    def reset(self, by: str, reason: str, unproven: Sequence[str] = ()) -> tuple[Cause, ...]:
        """Release the latch on a human's word; returns the causes, which the log keeps together with it.

        Args:
            by: who releases it.
            reason: why it may trade again.
            unproven: what was not known of the exchange when it was released; kept in the log.

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
                record |= {"unproven": list(unproven)} if unproven else {}
                _write(self.log, json.dumps(record).encode("ascii") + b"\n")
                self.path.unlink()
                sync_folder(self.path.parent)
                return causes
        except OSError as error:
            raise LatchError(f"{self.path}: the kill switch cannot be reset: {error.strerror}") from error

    def _full(self) -> bool:
        try:
            return self.path.stat().st_size >= LARGEST
        except OSError:
            return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep a trip and a reset of two processes apart, so that no cause is lost between reading and letting go."""
        handle = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class Switch:
    """The latches that stand over one parent: of all, of its exchange, and its own.

    Any thread may look and trip.  From the moment at which a trip begins in this process the switch counts as tripped,
    also where the disk takes its time, and for good where the record cannot be written.
    """

    def __init__(self, folder: Path, exchange: str, parent: str) -> None:
        """Watch a state folder, making it.  Raises LatchError."""
        self.latches = {
            Scope.ALL: Latch.of_all(folder),
            Scope.EXCHANGE: Latch.of_exchange(folder, exchange),
            Scope.PARENT: Latch.of_parent(folder, parent),
        }
        self._begun: list[tuple[Scope, Cause]] = []

    @property
    def tripped(self) -> bool:
        """Whether anything forbids the parent to send.  Three looks at the file system."""
        return bool(self._begun) or any(latch.tripped for latch in self.latches.values())

    @property
    def latched(self) -> frozenset[Scope]:
        """The scopes whose own latch is set, or about to be."""
        begun = {scope for scope, _ in self._begun}
        return frozenset(scope for scope, latch in self.latches.items() if scope in begun or latch.tripped)

    def begin(self, scope: Scope, cause: str, by: str) -> Callable[[], None]:
        """Count as tripped from now on; the function that is returned makes it durable.  It raises LatchError."""
        begun = (scope, Cause(cause, by, Nanos(0)))
        self._begun.append(begun)

        def record() -> None:
            self.latches[scope].trip(cause, by)
            self._begun.remove(begun)

        return record

    def secure(self) -> None:
        """Make durable whatever is set."""
        for latch in self.latches.values():
            latch.secure()

    def causes(self) -> tuple[tuple[Scope, Cause], ...]:
        """All causes with the scope of each, the widest scope first."""
        found = [(scope, cause) for scope, latch in self.latches.items() for cause in latch.causes()]
        return (*found, *self._begun)


def _cause(line: bytes) -> Cause:
    try:
        found = json.loads(line)
        cause = Cause(str(found["cause"]), str(found["by"]), Nanos(int(found["at"])))
        if 0 <= cause.at < LATEST:
            return cause
    # A hand may have written anything; all of it sets the latch.
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        pass
    return Cause(f"an unreadable record: {line[:80]!r}", UNKNOWN, Nanos(0))


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        while content:
            content = content[os.write(handle, content) :]
        os.fsync(handle)
    finally:
        os.close(handle)
