"""The operator's read-only door: /metrics, /livez, /readyz and /status on one port.  Nothing can be changed here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


class PortTakenError(Exception):
    """The port of the metrics is in use."""


BEHIND_MAX_S = 5.0
"""A sequencer that is this far behind counts as dead."""


LOGGER = logging.getLogger("execd.http")
"""What the operator's two servers log with: their own mistakes, and nothing of what a visitor sends."""


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a record is about more than a request that was no HTTP: such a one has been answered with 400."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


LOGGER.addFilter(_is_ours)


class Door:
    """Serves what its callables give; each is asked on the loop at every request.

    `behind` is by how many seconds the sequencer is late.
    """

    def __init__(
        self,
        metrics: Callable[[], bytes],
        behind: Callable[[], float],
        ready: Callable[[], dict[str, bool]],
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._metrics, self._behind, self._ready, self._status = metrics, behind, ready, status
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Listen.  Port 0 takes a free one.  Raises PortTakenError."""
        app = web.Application()
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/livez", self._serve_live)
        app.router.add_get("/readyz", self._serve_ready)
        app.router.add_get("/status", self._serve_status)
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
