"""What lies where in the state folder.

    state/KILL, KILL.<scope>             the latches of the kill switch, each with a log and a lock beside it
    state/active/<mode>-<name>.journal   an unfinished parent, its lock, its control socket and its heartbeat beside it
    state/done/                          journals of parents that are over
    state/abandoned/                     journals that an operator gave up with --fresh
    state/practice/                      the embedded practice exchange: ready line, log

Promise: one order file and mode has at most one unfinished journal, so that the same command finds it again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import execd
from execd.core.grid import Nanos
from execd.policies.curve import expected_curve
from execd.runtime import practice
from execd.runtime.admission import Window
from execd.runtime.control import SUFFIX
from execd.runtime.heartbeat import SUFFIX as BEAT
from execd.runtime.journal import Header, Journal, JournalError, hold
from execd.runtime.launch import Job
from execd.runtime.practice import Practice
from execd.runtime.settings import Mode

JOURNAL = ".journal"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one order file's state lies."""

    journal: Path
    socket: Path
    heartbeat: Path
    done: Path
    abandoned: Path


def place(job: Job) -> Place:
    """The paths of a job; its folders exist afterwards.  Raises JournalError."""
    state = job.settings.state_dir
    active, done, abandoned = state / "active", state / "done", state / "abandoned"
    try:
        for folder in (active, done, abandoned):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(f"{state}: the state folder cannot be used: {error.strerror} (state_dir)") from error
    stem = f"{job.mode.value}-{job.order.name.replace(' ', '_')}"
    return Place(active / f"{stem}{JOURNAL}", active / f"{stem}{SUFFIX}", active / f"{stem}{BEAT}", done, abandoned)


def resumable(job: Job, where: Place, say: Callable[[str], None]) -> Practice | None:
    """Look at an unfinished journal before anything starts; return the practice exchange that must be used again.

    With --fresh the journal is put away.  So is one without a fact, and one whose embedded practice exchange is gone,
    its orders with it.

    Raises:
        JournalError: there is one, and it is of another order file, cannot be read, or is being worked on.
    """
    if not where.journal.exists():
        return None
    if job.fresh:
        _put_away(where, where.abandoned, "fresh")
        return None
    if Journal.holds_nothing(where.journal):
        _put_away(where, where.abandoned, "empty")
        return None
    stored = Journal.peek(where.journal)
    if stored.order_sha256 != job.order.sha256:
        raise JournalError(
            f"{where.journal}: holds the unfinished parent {stored.parent} of another {job.order.path}: the file was "
            "changed since. Restore the file to go on, or give the parent up with --fresh"
        )
    if job.mode is not Mode.PRACTICE or job.exchange is not None:
        return None
    found = practice.left_behind(job.settings.state_dir / "practice")
    if found is not None and found.account == stored.account:
        return found
    say(f"the practice exchange that held {stored.parent} is gone; a new order begins on a new one")
    _put_away(where, where.abandoned, stored.parent)
    return None


def archive(where: Place, parent: str) -> Path:
    """Put the journal of a finished parent away; returns where it lies now."""
    return _put_away(where, where.done, parent)


def _put_away(where: Place, folder: Path, label: str) -> Path:
    """Move a journal that nobody works on.  Raises JournalError where somebody does."""
    held = hold(where.journal)
    try:
        return _move(where, folder, label)
    finally:
        os.close(held)


def _move(where: Place, folder: Path, label: str) -> Path:
    base = f"{where.journal.stem}-{label}"
    target = folder / f"{base}{JOURNAL}"
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{base}-{number}{JOURNAL}"
    for ending in ("-wal", "-shm"):
        beside = where.journal.with_name(where.journal.name + ending)
        if beside.exists():
            shutil.move(beside, target.with_name(target.name + ending))
    shutil.move(where.journal, target)
    return target


def header(job: Job, parent: str, account: str, created: Nanos, model_sha256: str) -> Header:
    """What a journal of this job must be of."""
    return Header(
        parent=parent,
        account=account,
        mode=job.mode.value,
        order_sha256=job.order.sha256,
        created=created,
        code=execd.__version__,
        config_sha256=job.settings.sha256,
        risk_sha256=job.risk.sha256,
        model_sha256=model_sha256,
    )


def curve(when: Window) -> tuple[float, ...]:
    """The fallback's plan for a window."""
    return expected_curve(when.start, when.end, when.slices)
