"""Exchanges with a dead-man switch, as far as that goes: real ccxt in front, a recorder behind their host names."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

from execd.core.grid import SECOND, Nanos
from execd.exchange import certificates
from execd.venues.backoff import Backoff
from execd.venues.capabilities import CAPABILITIES
from execd.venues.ccxt_client import make_client
from execd.venues.ccxt_venue import CcxtVenue
from execd.venues.credentials import Credentials
from execd.venues.loopback import Endpoint
from tests.venues.helpers import WAIT_S

NOW_MS = 1_790_000_000_000
KEY = Credentials("key-of-a-test", "c2VjcmV0LW9mLWEtdGVzdA==")  # Kraken's secrets are base64
WALLET, WALLET_KEY = "0x" + "11" * 20, "0x" + "22" * 32
KRAKEN_ARMED = {"error": [], "result": {"currentTime": "2026-09-21T13:20:00Z", "triggerTime": "2026-09-21T13:21:00Z"}}
KRAKEN_OFF = {"error": [], "result": {"currentTime": "2026-09-21T13:20:00Z", "triggerTime": "0"}}
QUICK = replace(CAPABILITIES["kraken"].dead_man, window=Nanos(3 * SECOND), renew=Nanos(SECOND // 2))
"""Kraken's timer for a test that will not wait a minute."""


@dataclass
class Recorder:
    """An exchange that keeps what it is sent, and answers as it is told."""

    endpoint: Endpoint
    answer: Any = None
    status: int = 200
    silent: bool = False
    came: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Keep the request and its parameters, wherever they stood."""
        body = (await request.text()) or request.query_string
        sent = json.loads(body) if body.startswith("{") else dict(parse_qsl(body))
        async with self.moved:
            self.came.append((request.path, sent))
            self.moved.notify_all()
        if self.silent:
            await asyncio.Event().wait()
        answer = self.told(request.path, sent)
        return web.Response(status=self.status, text=json.dumps(answer), content_type="application/json")

    def told(self, _path: str, sent: dict[str, Any]) -> Any:
        """What a request is answered with."""
        return self.answer(sent) if callable(self.answer) else self.answer

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until what came meets a condition.  Raises TimeoutError."""
        async with asyncio.timeout(3 * WAIT_S), self.moved:
            await self.moved.wait_for(met)


R = TypeVar("R", bound=Recorder)


def recording(folder: Path) -> contextlib.AbstractAsyncContextManager[Recorder]:
    """Serve every exchange's own host names over TLS, and keep what comes."""
    return serving(folder, Recorder)


@contextlib.asynccontextmanager
async def serving(folder: Path, make: Callable[[Endpoint], R]) -> AsyncIterator[R]:
    """Serve every exchange's own host names over TLS, in the way of a recorder that is made for the endpoint."""
    names = [name for caps in CAPABILITIES.values() for host in caps.hosts for name in (host, f"*.{host}")]
    with patch.object(certificates, "HOST_NAMES", tuple(names)):
        identity = certificates.make_identity(folder)
    application = web.Application()
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    found = make(Endpoint(1, identity.authority))
    application.router.add_route("*", "/{path:.*}", found.serve)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=identity.context)
    await site.start()
    found.endpoint = Endpoint(runner.addresses[0][1], identity.authority)
    try:
        yield found
    finally:
        await runner.cleanup()


def signing(exchange: str, session: aiohttp.ClientSession | None) -> Any:
    """The real ccxt of an exchange, as execd makes it, with every kind of secret that any of them signs with."""
    client = make_client(
        CAPABILITIES[exchange],
        KEY,
        session=session,
        venue_ms=lambda: NOW_MS,
        backoff=Backoff(lambda: NOW_MS),
        doubt_clock=lambda: None,
        recv_window_ms=3000,
        timeout_s=10,
        sandbox=False,
        limited=False,
    )
    client.password, client.walletAddress, client.privateKey = "phrase", WALLET, WALLET_KEY
    return client


@contextlib.asynccontextmanager
async def a_client(exchange: str, endpoint: Endpoint) -> AsyncIterator[Any]:
    """A client that reaches the recorder."""
    async with endpoint.session(CAPABILITIES[exchange].hosts) or contextlib.nullcontext() as session:
        client = signing(exchange, session)
        yield client
        await client.close()


class Timed(CcxtVenue):
    """Binance, but for its dead-man switch: that is Kraken's, a quick one.  `timer` is the ccxt that holds it."""

    timer: Any

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.caps = replace(self.caps, dead_man=QUICK)

    def _timed(self) -> Any:
        return self.timer
