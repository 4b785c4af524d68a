"""The operator's word to a running daemon: a socket in the state folder, open to its owner alone.

Promise: who spoke is taken from the kernel (SO_PEERCRED), not from what they say, and stands in the journal; that a
word was taken is said only once it can no longer be lost.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from execd.core.events import Event, ParentCanceled, ParentPaused, ParentResumed
from execd.runtime.codec import JournalError
from execd.runtime.door import LOGGER
from execd.runtime.sequencer import InboxFullError
from execd.runtime.users import named

SUFFIX = ".sock"
ASK_TIMEOUT_S = 5.0
TAKE_TIMEOUT_S = 3.0
"""How long a verb may take to be durable before the operator hears that it is not; less than who asks waits."""

PATH_MAX = 100
"""Bytes of a unix socket's path that every system allows."""

VERBS: dict[str, type[ParentPaused] | type[ParentResumed] | type[ParentCanceled]] = {
    "pause": ParentPaused,
    "resume": ParentResumed,
    "cancel": ParentCanceled,
}


class ControlError(Exception):
    """No daemon answers there, it could not do what was asked, or which one is meant is not clear.

    One clear sentence.
    """


class Control:
    """Listens on a socket; turns verbs into facts.

    Args:
        path: where the socket lies.
        parent: the parent that is served.
        tell: takes a fact, returns the number of its row.  Raises InboxFullError, JournalError.
        sync: waits until a row is durable.  Raises JournalError.
        status: how the parent stands, as JSON types.
        patience_s: how long the two are waited for.
    """

    def __init__(
        self,
        path: Path,
        parent: str,
        tell: Callable[[Event], Awaitable[int]],
        sync: Callable[[int], Awaitable[None]],
        status: Callable[[], Any],
        *,
        patience_s: float = TAKE_TIMEOUT_S,
    ) -> None:
        self.path = path
        self._parent, self._status, self._patience_s = parent, status, patience_s
        self._tell, self._sync = tell, sync
        self._runner: web.AppRunner | None = None
        self.look: Callable[[], None] = _nothing
        """Called where somebody says that a latch of the kill switch has changed: it need not wait to be looked at."""

    async def open(self) -> None:
        """Listen.  Raises ControlError where the path is too long for a socket."""
        if len(os.fsencode(self.path)) > PATH_MAX:
            raise ControlError(f"{self.path}: too long for a socket ({PATH_MAX} bytes); choose a shorter state_dir")
        app = web.Application()
        app.router.add_get("/status", self._answer_status)
        app.router.add_post("/look", self._take_look)
        app.router.add_post("/{verb}", self._take_verb)
        self._runner = web.AppRunner(app, access_log=None, logger=LOGGER)
        await self._runner.setup()
        # The journal's lock is ours by now, so that a socket which lies there is a dead process's.
        self.path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            await web.UnixSite(self._runner, str(self.path), shutdown_timeout=1).start()
        finally:
            os.umask(mask)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._runner is not None:
            await self._runner.cleanup()
        self.path.unlink(missing_ok=True)

    async def _answer_status(self, _request: web.Request) -> web.Response:
        return web.json_response(self._status())

    async def _take_look(self, _request: web.Request) -> web.Response:
        self.look()
        return web.json_response({"parent": self._parent, "taken": "look"})

    async def _take_verb(self, request: web.Request) -> web.Response:
        verb = request.match_info["verb"]
        kind = VERBS.get(verb)
        if kind is None:
            return web.json_response({"error": f"unknown verb; known are {', '.join(VERBS)}"}, status=404)
        try:
            async with asyncio.timeout(self._patience_s):
                await self._sync(await self._tell(kind(self._parent, _who(request))))
        except TimeoutError:
            late = f"{verb} is not recorded after {self._patience_s:g} s, and may yet be or not: see `execd status`"
            return web.json_response({"error": late}, status=503)
        except (InboxFullError, JournalError) as error:
            return web.json_response({"error": f"{verb} was not recorded: {error}"}, status=503)
        return web.json_response({"parent": self._parent, "taken": verb})


def _nothing() -> None:
    pass


def _who(request: web.Request) -> str:
    """The user at the other end of the socket, from the kernel."""
    assert request.transport is not None, "a request that is being answered has a connection"
    peer: socket.socket = request.transport.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return named(uid)


def running(folder: Path) -> dict[str, Path]:
    """The sockets in a folder by the name of the parent that each serves."""
    return {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def choose(folder: Path, name: str | None) -> Path:
    """The socket that an operator means.  Raises ControlError."""
    found = running(folder)
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    chosen = [path for key, path in found.items() if name is not None and name in (key, key.split("-", 1)[-1])]
    if len(chosen) == 1:
        return chosen[0]
    there = ", ".join(found) or "none"
    if name is None:
        raise ControlError(f"name the parent that is meant; running in {folder}: {there}")
    raise ControlError(f"no parent {name!r} is running in {folder}; running: {there}")


def ask(path: Path, verb: str, within_s: float = ASK_TIMEOUT_S) -> dict[str, Any]:
    """Send a verb, or `status`, and return the answer.  Raises ControlError."""
    return asyncio.run(_ask(path, verb, within_s))


async def _ask(path: Path, verb: str, within_s: float) -> dict[str, Any]:
    connector = aiohttp.UnixConnector(str(path))
    timeout = aiohttp.ClientTimeout(total=within_s)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            method = "GET" if verb == "status" else "POST"
            async with session.request(method, f"http://execd/{verb}") as response:
                answer, well = await response.json(), response.ok
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        unsure = "" if verb == "status" else f"; whether {verb} was taken is not known"
        reason = f"nobody answers ({type(error).__name__}); the daemon is gone or hangs{unsure}"
        raise ControlError(f"{path}: {reason}") from error
    except (ValueError, RecursionError) as error:
        raise ControlError(f"{path}: what answers is no daemon of execd: {type(error).__name__}") from error
    if not isinstance(answer, dict):
        raise ControlError(f"{path}: what answers is no daemon of execd: {type(answer).__name__}")
    if not well:
        raise ControlError(f"{path}: {answer.get('error', 'the daemon could not answer')}")
    return answer
