"""The embedded practice exchange: a process of its own, so that it outlives a killed `execd run` and can be resumed.

Promise: a parent is resumed only on the very exchange that holds its orders.  The exchange leaves by itself when nobody
has asked it anything for a while; nothing has to be cleaned up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

READY_WITHIN_S = 30.0
LOOK_EVERY_S = 0.01
LARGEST = 1 << 20
"""Characters of a file that are searched for a ready line."""

LINGER_S = 120
"""How long the exchange waits for its killed client before it leaves."""


_SPEED = re.compile(r"[0-9]{1,9}([./][0-9]{1,9})?")


class PracticeError(Exception):
    """The practice exchange did not start, or is not what it should be.  One clear sentence."""


@dataclass(frozen=True, slots=True)
class Practice:
    """Where a practice exchange serves: what its ready line says."""

    rest: str
    ws: str
    ws_api: str
    ca: Path | None
    api_key: str
    secret: str
    account: str
    pid: int | None
    tape: Mapping[str, Any] | None

    @property
    def port(self) -> int:
        """The one port that serves everything."""
        return int(self.rest.rsplit(":", 1)[1].split("/", 1)[0])

    def tape_moment(self, at: int) -> int | None:
        """The tape's own time (microseconds UTC) of an exchange moment (nanoseconds), rounded up; None without a tape.

        A print of the tape lies before `at` on the exchange exactly if its own time lies before this.
        """
        if self.tape is None:
            return None
        speed = Fraction(str(self.tape["speed"]))
        moved = (at - int(self.tape["start_exchange_ns"])) * speed / 1000
        return int(self.tape["start_tape_us"]) + -(-moved.numerator // moved.denominator)


def read_ready(path: Path) -> Practice:
    """Read the line that `execd exchange` printed when it was ready.

    Raises:
        PracticeError: the file cannot be read or holds no such line.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise PracticeError(
            f"{path}: cannot be read ({error}); give the file with the exchange's ready line"
        ) from error
    for line in text.splitlines():
        if line.startswith("{"):
            return _parse(line, path)
    raise PracticeError(f"{path}: holds no ready line of `execd exchange` (one JSON object with rest, ws, key, ...)")


def _parse(line: str, path: Path) -> Practice:
    try:
        found = json.loads(line)
        ca = found.get("ca")
        practice = Practice(
            rest=str(found["rest"]),
            ws=str(found["ws"]),
            ws_api=str(found["ws_api"]),
            ca=Path(ca) if ca else None,
            api_key=str(found["key"]["apiKey"]),
            secret=str(found["key"]["secret"]),
            account=str(found["account"]),
            pid=found.get("pid"),
            tape=found.get("tape"),
        )
        _check(practice)
        return practice
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
        raise PracticeError(f"{path}: the ready line of the exchange is broken ({_short(error)})") from error


def _check(found: Practice) -> None:
    """Refuse what could not be used later, or only with harm.  Raises ValueError, LookupError, TypeError."""
    if not 0 < found.port < 1 << 16:
        raise ValueError("no port")
    # 0, 1 and what is below them reach more than one process: nothing may ever signal those.
    if found.pid is not None and (type(found.pid) is not int or not 1 < found.pid < 1 << 31):
        raise ValueError("pid is no process's")
    if found.ca is not None and b"\0" in os.fsencode(found.ca):
        raise ValueError("ca is no path")
    if found.tape is not None:
        if not _SPEED.fullmatch(str(found.tape["speed"])):
            raise ValueError("tape.speed is no number")
        found.tape_moment(0)


async def start(folder: Path, arguments: list[str]) -> Practice:
    """Start an exchange as a process of its own session, its ready line and its log in `folder`.

    Args:
        folder: where `practice.json` and `practice.log` are written.
        arguments: options of `execd exchange` beyond the port, TLS and linger.

    Raises:
        PracticeError: it ended, or was not ready in time; the last line of its log says why.
    """
    command = [sys.executable, "-m", "execd", "exchange", "--port", "0", "--tls", "--linger", str(LINGER_S), *arguments]
    try:
        ready, log = _files(folder)
        with ready.open("wb") as out, log.open("wb") as err:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
    except OSError as error:
        raise PracticeError(f"{folder}: the practice exchange cannot be started: {error.strerror}") from error
    ended = asyncio.create_task(process.wait())
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            while not ready.read_bytes().endswith(b"\n"):
                if ended.done():
                    raise PracticeError(f"the practice exchange did not start: {_last_line(log)}")
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError as error:
        raise PracticeError(f"the practice exchange was not ready in {READY_WITHIN_S:g} s; see {log}") from error
    finally:
        if not ended.done():
            ended.cancel()
    return read_ready(ready)


def _files(folder: Path) -> tuple[Path, Path]:
    """The ready line and the log; whatever an earlier exchange left is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    ready = folder / "practice.json"
    ready.unlink(missing_ok=True)
    return ready, folder / "practice.log"


def stop(practice: Practice) -> None:
    """Ask an exchange that we started to leave."""
    if practice.pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(practice.pid, signal.SIGTERM)


def left_behind(folder: Path) -> Practice | None:
    """The exchange that an earlier life started in `folder`, if its process is still there."""
    try:
        practice = read_ready(folder / "practice.json")
    except PracticeError:
        return None
    if practice.pid is None:
        return None
    try:
        os.kill(practice.pid, 0)
    except (ProcessLookupError, PermissionError):
        return None
    return practice


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100]


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
