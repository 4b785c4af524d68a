"""execd as its users have it: processes, files, exit codes.  Waits on what a process says, never on the clock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
GUARD_S = 180.0
"""A process that says nothing of what is waited for by then is killed, and the test fails."""

BLOCK = 512
"""Bytes, in which a shell counts the size of files."""

ORDER = """\
name: {name}
symbol: BTC/USDT
side: {side}
quantity: {quantity}
start: now
duration: {duration}
slices: {slices}
participation: 10%
urgency: {urgency}
model: curve
"""


class Process:
    """A running `execd ...`; its standard error is read line by line.

    `module` is what runs in place of execd, `largest` the bytes that a file may have: a disk that is full.
    """

    def __init__(self, *arguments: str | Path, state: Path, module: str = "execd", largest: int | None = None) -> None:
        environment = {**os.environ, "EXECD_STATE_DIR": str(state), "NO_COLOR": "1"}
        self._popen = subprocess.Popen(
            [*_limited(largest), sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._guard = threading.Timer(GUARD_S, self._popen.kill)
        self._guard.daemon = True
        self._guard.start()

    def until(self, *words: str) -> str:
        """Read on until a line holds all the words; the line."""
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            self.said.append(line)
            if all(word in line for word in words):
                return line
        raise AssertionError(f"the process ended before it said {words}: {''.join(self.said[-20:])}")

    def lines(self, count: int) -> bool:
        """Read so many lines; False if it ended before."""
        assert self._popen.stderr is not None
        for _ in range(count):
            line = self._popen.stderr.readline()
            if not line:
                return False
            self.said.append(line)
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is dead."""
        self._popen.kill()
        self._popen.communicate()
        self._guard.cancel()

    def end(self) -> tuple[int, str]:
        """Wait for the end; exit code and standard output.  What it said is in `said`."""
        output, rest = self._popen.communicate()
        self.said += rest.splitlines(keepends=True)
        self._guard.cancel()
        return self._popen.returncode, output


def _limited(largest: int | None) -> list[str]:
    """A command that runs the one that follows it on a disk that is nearly full."""
    return [] if largest is None else ["sh", "-c", f'ulimit -f {largest // BLOCK}; exec "$@"', "sh"]


def execd(*arguments: str | Path, state: Path) -> tuple[int, str, str]:
    """Run execd to its end; exit code, standard output, standard error."""
    process = Process(*arguments, state=state)
    code, output = process.end()
    return code, output, "".join(process.said)


class Exchange:
    """A practice exchange as a process of its own; `ready` is the file with its ready line."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        self.ready = folder / "exchange.json"
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "execd", "exchange", "--port", "0", "--tls", *map(str, arguments)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        assert line, "the exchange did not start"
        self.described: dict[str, Any] = json.loads(line)
        self.ready.write_text(line)

    def stop(self) -> None:
        """End it and wait."""
        self._popen.terminate()
        self._popen.communicate()


def write_order(folder: Path, **changes: object) -> Path:
    """Write an order file: a short buy unless told otherwise."""
    values: dict[str, object] = {
        "name": "test",
        "side": "buy",
        "quantity": "0.2",
        "duration": "12s",
        "slices": 4,
        "urgency": "medium",
    }
    path = folder / "order.yaml"
    path.write_text(ORDER.format(**{**values, **changes}))
    return path


def report_of(output: str) -> dict[str, Any]:
    """The JSON object in the last line of an output."""
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found
