"""The sign of life of a daemon: a small file that its trading loop has written about once a second.

    state/active/<mode>-<name>.beat      {"pid", "beat", "at", "parent", "symbol", "account"}

Promise: a beat is asked for by the loop that trades, when it comes round, and only while that loop is healthy; no task
and no timer beats by itself.  A thread writes it: a disk that hangs stops the beats, never the loop.  The first one is
on the disk before the first order can leave, and the file goes only when nothing of ours is open: whoever dies in
between leaves it behind, and it goes stale.  A life that takes the parent up again beats on in the same file.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

from execd.runtime.complaints import Complaints
from execd.runtime.durable import sync_folder

FOLDER, SUFFIX = "active", ".beat"

EVERY_S = 0.5
"""How often a healthy loop beats, at most: it comes round as often, so that no second passes without a beat."""

RECORD = 512
"""Bytes of a beat, the rest being blanks: it is written over the one before, in one piece."""


class HeartbeatError(Exception):
    """The first beat could not be written: nobody could tell whether this daemon lives.  One clear sentence."""


class Heart:
    """Writes the heartbeat of one daemon.  All of it belongs to one event loop."""

    def __init__(self, path: Path, who: Mapping[str, str], healthy: Callable[[], bool]) -> None:
        """Prepare to beat.

        Args:
            path: the file.
            who: what a beat tells besides: parent, symbol, account.
            healthy: asked on the loop before each beat; no beat where it says no.
        """
        self.path = path
        self._who, self._healthy = dict(who), healthy
        self._count = 0
        self._latest_s = 0.0
        # One thread, so that a beat is never written after the file was removed.
        self._writer = ThreadPoolExecutor(1, "heartbeat")
        self._writing: Future[None] | None = None
        self._complaints = Complaints(structlog.get_logger("execd"))

    async def begin(self) -> None:
        """Write a beat that outlasts a power failure.  Raises HeartbeatError."""
        try:
            await asyncio.wrap_future(self._writer.submit(_write, self.path, self._record(), durable=True))
        except OSError as error:
            raise HeartbeatError(f"{self.path}: the heartbeat cannot be written: {error.strerror}") from error

    def beat(self) -> None:
        """Ask for a beat: the loop calls this each time it comes round.  Not before the last one was written."""
        now_s = time.monotonic()
        if now_s < self._latest_s + EVERY_S or not self._healthy():
            return
        if self._writing is not None:
            if not self._writing.done():
                return
            self._note(self._writing.exception())
        self._latest_s = now_s
        self._writing = self._writer.submit(_write, self.path, self._record())

    async def end(self) -> None:
        """Remove the heartbeat: nothing of ours is open.  What cannot be removed goes stale instead."""
        try:
            await asyncio.wrap_future(self._writer.submit(self.path.unlink, missing_ok=True))
        except OSError as error:
            self._note(error)

    def close(self) -> None:
        """Stop writing, wherever the file stands."""
        self._writer.shutdown(wait=False)

    def _record(self) -> bytes:
        self._count += 1
        told = {"pid": os.getpid(), "beat": self._count, "at": time.time_ns(), **self._who}
        return json.dumps(told).encode("ascii").ljust(RECORD - 1) + b"\n"

    def _note(self, error: BaseException | None) -> None:
        """Say once that beats do not reach the disk."""
        self._complaints.say("the heartbeat is not written", None if error is None else str(error))


def beats(folder: Path, mode: str) -> dict[str, bytes]:
    """The heartbeats of a mode's daemons as they lie in a folder, by name.  Raises OSError where one cannot be read."""
    found: dict[str, bytes] = {}
    for path in folder.iterdir():  # Not glob, which finds nothing in a folder that is gone.
        if path.name.startswith(f"{mode}-") and path.suffix == SUFFIX:
            try:
                with path.open("rb") as file:
                    found[path.stem] = file.read(RECORD)
            except FileNotFoundError:
                continue  # It ended while we looked.
    return found


def told(beat: bytes) -> dict[str, Any]:
    """What a beat tells; empty where it makes no sense."""
    try:
        found = json.loads(beat)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, record: bytes, *, durable: bool = False) -> None:
    # Written over, not renamed: that needs no new block, so that a disk that has just filled up does not stop a loop
    # that still works; the journal decides about that.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(handle, record, 0)
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)
    if durable:
        sync_folder(path.parent)
