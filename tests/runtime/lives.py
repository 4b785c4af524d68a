"""Lives of execd that are cheap enough to be killed by the hundred: children of tests/runtime/nursery.py."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO

from tests.runtime.process import GUARD_S, ROOT

ANSWER_MAX = 64


class Nursery:
    """A process that forks lives; one lives at a time."""

    def __init__(self, state: Path) -> None:
        self.state = state
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.runtime.nursery", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command, cwd=ROOT, pass_fds=(theirs.fileno(),), env={**os.environ, "NO_COLOR": "1"}
        )
        theirs.close()
        self._ours = ours

    def __enter__(self) -> Nursery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ours.close()
        self._process.wait(GUARD_S)

    def born(self, *arguments: str | Path) -> Life:
        """Start `execd ...`."""
        output = tempfile.TemporaryFile("w+")  # noqa: SIM115  # the life closes it at its end
        reading, writing = os.pipe()
        asked = {"arguments": [*map(str, arguments)], "environment": {"EXECD_STATE_DIR": str(self.state)}}
        socket.send_fds(self._ours, [json.dumps(asked).encode()], [output.fileno(), writing])
        os.close(writing)
        return Life(int(self._ours.recv(ANSWER_MAX)), os.fdopen(reading), output, self)

    def buried(self) -> int:
        """Wait for the child's end; its exit code, negative for a signal."""
        self._ours.send(b"{}")
        return os.waitstatus_to_exitcode(int(self._ours.recv(ANSWER_MAX)))


class Life:
    """A running `execd ...`; `said` are the lines of its standard error so far."""

    def __init__(self, pid: int, errors: IO[str], output: IO[str], nursery: Nursery) -> None:
        self.said: list[str] = []
        self._pid, self._errors, self._output, self._nursery = pid, errors, output, nursery
        self._guard = threading.Timer(GUARD_S, os.kill, (pid, signal.SIGKILL))
        self._guard.daemon = True
        self._guard.start()

    def lines(self, count: int) -> bool:
        """Read so many lines; False if it ended before."""
        for _ in range(count):
            line = self._errors.readline()
            if not line:
                return False
            self.said.append(line)
        return True

    def kill(self) -> None:
        """kill -9, and wait until it is dead."""
        os.kill(self._pid, signal.SIGKILL)
        self._bury()

    def end(self) -> tuple[int, str]:
        """Wait for the end; exit code and standard output."""
        self.said += self._errors.readlines()
        code = self._bury()
        self._output.seek(0)
        with self._output:
            return code, self._output.read()

    def _bury(self) -> int:
        code = self._nursery.buried()
        self._guard.cancel()
        self._errors.close()
        return code
