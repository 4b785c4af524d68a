"""Where the exchange's host names lead: to the exchange, or to a practice exchange on this machine.

Promise: on loopback every URL stays the production URL (ccxt picks its error tables by it) and certificates are
checked, against the practice exchange's own authority; a host name that is not the exchange's raises instead of
resolving, so that nothing can leave the machine by accident.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The exchange itself, or, with a `port` and a PEM file of its `authority`, a practice exchange on loopback."""

    port: int | None = None
    authority: Path | None = None

    def __post_init__(self) -> None:
        if (self.port is None) != (self.authority is None):
            raise ValueError("a loopback endpoint needs both a port and the authority's certificate file")

    def session(self, hosts: Sequence[str]) -> aiohttp.ClientSession | None:
        """An HTTP session that leads the exchange's hosts to loopback; None where no mapping is wanted."""
        if self.port is None:
            return None
        connector = aiohttp.TCPConnector(
            resolver=_ToLoopback(self.port, hosts), ssl=self._context(), use_dns_cache=False
        )
        return aiohttp.ClientSession(connector=connector)

    def websocket(self, url: str, hosts: Sequence[str]) -> dict[str, Any]:
        """Keyword arguments for `websockets.connect(url, ...)`.  Raises OSError for a host not the exchange's."""
        if self.port is None:
            return {}
        _demand(urlsplit(url).hostname or "", hosts)
        return {"host": LOOPBACK, "port": self.port, "ssl": self._context()}

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)


PRODUCTION = Endpoint()


class _ToLoopback(AbstractResolver):
    """Resolves the exchange's own hosts to a loopback port and refuses all others."""

    def __init__(self, port: int, hosts: Sequence[str]) -> None:
        self._port, self._hosts = port, tuple(hosts)

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 (the interface's; ours leads elsewhere)
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 (likewise)
    ) -> list[ResolveResult]:
        """Lead a host to loopback, whatever its port was."""
        _demand(host, self._hosts)
        return [
            ResolveResult(
                hostname=host,
                host=LOOPBACK,
                port=self._port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _demand(host: str, hosts: Sequence[str]) -> None:
    if not any(host == own or host.endswith(f".{own}") for own in hosts):
        # With a number: aiohttp shows only the text that goes with one.
        raise OSError(errno.EHOSTUNREACH, f"loopback: {host} is not a host of the exchange; nothing was sent")
