"""A limit loosened for a while by a second user: a file that the system says is theirs, taken by the running daemon.

    state/overrides/<mode>-<name>.<key>.json     asked for by `execd override`
    ....taken, ....refused                       the daemon's answer, its sentence inside

Promise: whoever runs the parent cannot loosen its limits; who did is told by the file system's owner.  No value passes
the hard ceiling, nothing lasts longer than a day, and what the fuse holds at the wire knows no exception.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from execd.core.events import Event, LimitOverridden
from execd.core.execution import Execution
from execd.core.grid import HOUR, Instrument, Nanos
from execd.core.limits import OVERRIDABLE
from execd.runtime.report import moment
from execd.runtime.settings import InstrumentLimits, LimitSettings
from execd.runtime.settings_kinds import Span
from execd.runtime.settings_load import kind_of
from execd.runtime.users import named

FOLDER = "overrides"
LONGEST = Nanos(24 * HOUR)
LOOK_S = 0.25
ANSWER_S = 5.0
LARGEST = 1 << 16

NAMES = {"participation_ppm": "participation"}
"""Where risk.yaml has another name for a limit than the gate."""

KEYS = {NAMES.get(field, field): field for field in sorted(OVERRIDABLE)}
"""What can be loosened: the key of risk.yaml, and the limit's own name."""


Record = Callable[[Event], Awaitable[None]]
"""Hands a fact to the desk, and returns when its row is durable."""


class OverrideError(Exception):
    """An override was not taken.  One clear sentence.  Exit code 5."""


def ask(state_dir: Path, stem: str, setting: str, lasting: str, reason: str) -> str:
    """Ask the daemon of a parent to loosen a limit, and return its answer.

    Args:
        state_dir: the state folder.
        stem: the parent's name in `active`.
        setting: KEY=VALUE, as risk.yaml has them.
        lasting: for how long, such as 15m.
        reason: why; it is recorded.

    Raises:
        OverrideError: it is refused, or nobody answers.
    """
    key, equals, value = setting.partition("=")
    if not equals or key not in KEYS:
        raise OverrideError(f"{setting}: value is {setting!r}; allowed: KEY=VALUE, KEY one of {', '.join(KEYS)}")
    path = state_dir / FOLDER / f"{stem}.{key}.json"
    asked = json.dumps({"key": key, "value": value, "for": lasting, "reason": reason})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for answer in (path.with_suffix(".taken"), path.with_suffix(".refused")):
            answer.unlink(missing_ok=True)
        made = path.with_suffix(".new")
        made.write_text(asked, encoding="utf-8")
        made.rename(path)
    except OSError as error:
        raise OverrideError(f"{path}: the override cannot be written: {error.strerror}") from error
    return _answer(path)


def _answer(path: Path) -> str:
    end = time.monotonic() + ANSWER_S
    while time.monotonic() < end:
        if (taken := path.with_suffix(".taken")).exists():
            return taken.read_text(encoding="utf-8")
        if (refused := path.with_suffix(".refused")).exists():
            raise OverrideError(refused.read_text(encoding="utf-8"))
        time.sleep(LOOK_S / 2)
    path.unlink(missing_ok=True)
    raise OverrideError(f"{path}: no daemon took the override within {ANSWER_S:g} s; it was withdrawn")


async def watch(state_dir: Path, stem: str, execution: Execution, clock: Callable[[], Nanos], record: Record) -> None:
    """Take what is asked for, for ever."""
    while True:
        await asyncio.sleep(LOOK_S)
        for path in sorted((state_dir / FOLDER).glob(f"{stem}.*.json")):
            await take(path, execution, clock(), record, os.getuid())


async def take(path: Path, execution: Execution, now: Nanos, record: Record, uid: int) -> None:
    """Take one request, or refuse it, and say so beside it once it can no longer be lost."""
    try:
        fact, value = _read(path, execution, now, uid)
    except OverrideError as error:
        _say(path, ".refused", str(error))
        return
    await record(fact)
    text = f"{fact.key} is {value} for {execution.parent.id} until {moment(fact.until)}, by {fact.by}"
    _say(path, ".taken", text)


def _say(path: Path, suffix: str, text: str) -> None:
    path.unlink(missing_ok=True)
    made = path.with_suffix(".answer")
    made.write_text(text, encoding="utf-8")
    made.rename(path.with_suffix(suffix))


def _read(path: Path, execution: Execution, now: Nanos, uid: int) -> tuple[LimitOverridden, str]:
    """The fact that a request asks for, and its value as it was written.  Raises OverrideError."""
    try:
        with path.open("rb") as file:
            owner = os.fstat(file.fileno()).st_uid
            found = json.loads(file.read(LARGEST))
        key, value, lasting, reason = (str(found[name]) for name in ("key", "value", "for", "reason"))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise OverrideError(f"{path}: not an override ({type(error).__name__})") from error
    if owner == uid:
        raise OverrideError(f"{named(owner)} runs this parent: another user must loosen its limits")
    if not reason.strip():
        raise OverrideError("an override needs a reason")
    if key not in KEYS:
        raise OverrideError(f"{key}: knows no exception; allowed: {', '.join(KEYS)}")
    until = Nanos(now + _lasting(lasting))
    whole = _value(key, value, execution.parent.instrument)
    return LimitOverridden(execution.parent.id, KEYS[key], whole, until, named(owner), reason), value


def _lasting(text: str) -> Nanos:
    kind = Span("1s", "1d")
    try:
        return Nanos(kind.parse(text))
    except ValueError as error:
        raise OverrideError(f"--for: value is {text!r}; allowed: {kind.allowed}") from error


def _value(key: str, text: str, grid: Instrument) -> int:
    """A value as the gate has it, held to the same range and ceiling as in risk.yaml."""
    model = InstrumentLimits if key in InstrumentLimits.model_fields else LimitSettings
    kind = kind_of(model.model_fields[key])
    assert kind is not None, f"{key} is a plain value"
    try:
        value = kind.parse(text)
    except ValueError as error:
        raise OverrideError(f"{key}: value is {text!r}; allowed: {kind.allowed}") from error
    if model is LimitSettings:
        return int(value)
    return grid.lots_down(value) if key.endswith("quantity") else grid.notional_down(value)
