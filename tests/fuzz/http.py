"""Targets that speak HTTP: the operator's socket, the read-only door, and a daemon that answers nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from functools import cache
from pathlib import Path
from typing import Any

from execd.core.events import Event, ParentCanceled, ParentPaused, ParentResumed
from execd.runtime import control
from execd.runtime.control import Control, ControlError
from execd.runtime.door import Door
from execd.runtime.latch import Scope
from tests.fuzz.files import folder
from tests.fuzz.target import Target

PATIENCE_S = 10.0
"""A server that says nothing to a whole request for so long hangs."""

SETTLE_S = 0.02
"""How long the answer to an arbitrary request is waited for: one that is not whole gets none."""


class Served:
    """A control socket and a door, on a loop in a thread of its own; `heard` are the facts that were posted."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.socket = folder() / "c.sock"
        self._control = Control(self.socket, "p1", self._tell, self._sync, lambda: {"parent": "p1"})
        self.door = Door(
            lambda: b"execd_up 1\n", lambda: 0.0, lambda: {"streams": True}, lambda: {"parent": "p1"}, self._kill
        )
        self._do(self._control.open())
        self._do(self.door.open("127.0.0.1", 0))

    async def _kill(self, scope: Scope, reason: str, by: str) -> None:
        assert reason.isprintable()
        assert by.startswith("http ")

    async def _tell(self, fact: Event) -> int:
        self.heard.append(fact)
        return len(self.heard)

    async def _sync(self, row: int) -> None:
        assert row <= len(self.heard)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)


@cache
def served() -> Served:
    """This process's servers; they end with it."""
    return Served()


def said(to: socket.socket, data: bytes, patience: float) -> bytes:
    """Send bytes; all that is answered until the server closes or has been silent for so many seconds."""
    to.settimeout(patience)
    answer = b""
    with to, contextlib.suppress(ConnectionError, TimeoutError):
        to.sendall(data)
        while more := to.recv(65536):
            answer += more
    return answer


def _operator(data: bytes) -> None:
    """Any request is answered or the connection closed; only the three verbs become facts, of our parent."""
    here = served()
    well(said(_unix(here.socket), data, SETTLE_S))
    assert all(isinstance(fact, ParentPaused | ParentResumed | ParentCanceled) for fact in here.heard)
    assert all(fact.parent == "p1" for fact in here.heard if isinstance(fact, ParentPaused))
    alive = said(_unix(here.socket), b"GET /status HTTP/1.0\r\n\r\n", PATIENCE_S)
    assert b"200 OK" in alive, "it does not answer any more"


def _visitor(data: bytes) -> None:
    """Any request at the door is answered or the connection closed, and the next visitor is served."""
    port = served().door.port
    well(said(socket.create_connection(("127.0.0.1", port)), data, SETTLE_S))
    alive = said(socket.create_connection(("127.0.0.1", port)), b"GET /livez HTTP/1.0\r\n\r\n", PATIENCE_S)
    assert b"200 OK" in alive, "it does not answer any more"


def well(answer: bytes) -> None:
    """Assert that no answer is one of a server that broke."""
    for line in answer.split(b"\r\n"):
        if line.startswith(b"HTTP/"):
            assert line.split()[1][:1] in (b"1", b"2", b"4"), line


def _unix(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(path))
    return made


def _asked(data: bytes) -> None:
    """Whatever a socket answers to `execd status`, it is an answer or a ControlError."""
    path = folder() / "nonsense.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=_answer, args=(server, data))
        thread.start()
        try:
            assert isinstance(control.ask(path, "status"), dict)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)


def _answer(server: socket.socket, data: bytes) -> None:
    """Answer every connection with the same bytes until the server is shut: a client may ask twice."""
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            with client, contextlib.suppress(ConnectionError):
                client.recv(65536)
                client.sendall(data)


GET, POST = b"GET %s HTTP/1.1\r\nHost: execd\r\n\r\n", b"POST %s HTTP/1.1\r\nHost: execd\r\nContent-Length: 2\r\n\r\n{}"

TARGETS = (
    Target("operator", _operator, (), (POST % b"/pause", POST % b"/resume", POST % b"/nonsense", GET % b"/status")),
    Target("door", _visitor, (), tuple(GET % path for path in (b"/metrics", b"/livez", b"/readyz", b"/status"))),
    Target("answer", _asked, (ControlError,), (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"parent\":\"p1\"}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{{{",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}")),
)  # fmt: skip
