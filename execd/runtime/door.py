"""The operator's door: /metrics, /livez, /readyz and /status on one port, and POST /kill.

Promise: nothing can be changed here but one thing, in one direction: the kill switch can be tripped, never reset.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from execd.runtime.latch import Kind, Scope


class PortTakenError(Exception):
    """The port of the metrics is in use."""


BEHIND_MAX_S = 5.0
"""A sequencer that is this far behind counts as dead."""


KILL_MAX = 1 << 20
"""Bytes of a POST /kill that are read: an Alertmanager may tell of many alerts at once.  More trip all the same."""

REASON_MAX = 200
"""Characters of a reason that are kept."""

LOGGER = logging.getLogger("execd.http")
"""What the operator's two servers log with: their own mistakes, and nothing of what a visitor sends."""


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a record is about more than a request that was no HTTP: such a one has been answered with 400."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


LOGGER.addFilter(_is_ours)


class Door:
    """Serves what its callables give; each is asked on the loop at every request.

    `behind` is by how many seconds the sequencer is late; `kill` trips a scope for a reason, by somebody;
    where there is none, there is no /kill.
    """

    def __init__(
        self,
        metrics: Callable[[], bytes],
        behind: Callable[[], float],
        ready: Callable[[], dict[str, bool]],
        status: Callable[[], dict[str, Any]],
        kill: Callable[[Scope, str, str], Awaitable[None]] | None = None,
    ) -> None:
        self._metrics, self._behind, self._ready, self._status = metrics, behind, ready, status
        self._kill = kill
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Listen.  Port 0 takes a free one.  Raises PortTakenError."""
        app = web.Application(client_max_size=KILL_MAX)
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/livez", self._serve_live)
        app.router.add_get("/readyz", self._serve_ready)
        app.router.add_get("/status", self._serve_status)
        if self._kill is not None:
            app.router.add_post("/kill", self._take_kill)
        self._runner = web.AppRunner(app, access_log=None, logger=LOGGER)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, shutdown_timeout=1)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            self._runner = None
            raise PortTakenError(f"metrics port {host}:{port} cannot be used: {error.strerror}") from error
        server = self._runner.addresses
        self.port = int(server[0][1])

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        # Rendering takes tens of milliseconds with many series: not on the loop that trades.
        body = await asyncio.to_thread(self._metrics)
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _serve_live(self, _request: web.Request) -> web.Response:
        behind = self._behind()
        alive = behind < BEHIND_MAX_S
        return web.json_response({"alive": alive, "behind_seconds": behind}, status=200 if alive else 503)

    async def _serve_ready(self, _request: web.Request) -> web.Response:
        checks = self._ready()
        return web.json_response(checks, status=200 if all(checks.values()) else 503)

    async def _serve_status(self, _request: web.Request) -> web.Response:
        return web.json_response(self._status())

    async def _take_kill(self, request: web.Request) -> web.Response:
        assert self._kill is not None, "there is a route only where there is somebody to take it"
        if request.headers.keys() & {"Origin", "Sec-Fetch-Site"}:
            # Any page that an operator looks at can have a browser post here.
            return web.json_response({"error": "not from a browser: use `execd kill`, or curl"}, status=403)
        word = request.query.get("scope", Scope.ALL.value)
        if word not in {scope.value for scope in Scope}:
            known = ", ".join(scope.value for scope in Scope)
            return web.json_response({"error": f"scope: value is {word[:40]!r}; allowed: {known}"}, status=400)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            body = b""
        reason = request.query.get("reason") or reason_in(body)
        if reason is None:
            return web.json_response({"tripped": False, "why": "the alert is resolved"})
        await self._kill(Scope(word), _plain(reason), f"{Kind.HTTP.value} {request.remote or 'unknown'}")
        return web.json_response({"tripped": True, "scope": word, "reason": _plain(reason)})


def reason_in(body: bytes) -> str | None:
    """Why to kill, by the body of a request: `reason` of a JSON object, an Alertmanager's message, or plain text.

    None only where an Alertmanager says that all of its alerts are over: whatever else is sent, it kills.
    """
    try:
        told = json.loads(body)
        if not isinstance(told, dict):
            return str(told)
        if "alerts" not in told:
            return str(told.get("reason", ""))
        shared = told.get("commonLabels")
        name = shared.get("alertname", "of several names") if isinstance(shared, dict) else "without labels"
        return None if told.get("status") == "resolved" else f"alert {name}"
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def _plain(reason: str) -> str:
    """One printable line of it."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in reason).split())
    return words[:REASON_MAX] or "no reason was given"
