"""The real exchange's host names, on loopback: what lets an unmodified library use its production URLs.

Promise: only the exchange's own hosts resolve, and only to the given port here, with certificates checked
against the practice exchange's authority; every other name raises.
"""

from __future__ import annotations

import socket
import ssl

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from execd.exchange.server import Endpoints

BINANCE_HOSTS = frozenset(
    f"{name}.binance.com" for name in ("api", "fapi", "dapi", "stream", "ws-api", "fstream", "dstream")
)


class LoopbackResolver(AbstractResolver):
    """Resolves the exchange's hosts to one port on loopback, whatever port was asked for."""

    def __init__(self, port: int, hosts: frozenset[str] = BINANCE_HOSTS) -> None:
        self._port = port
        self._hosts = hosts
        self.resolved: set[str] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Where a host is.  Raises OSError for one that is not the exchange's."""
        if host not in self._hosts:
            raise OSError(f"{host}: not a host of the practice exchange")
        self.resolved.add(host)
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=family, proto=0, flags=flags)]

    async def close(self) -> None:
        """Nothing to close."""


def loopback_session(endpoints: Endpoints) -> aiohttp.ClientSession:
    """A session in which the production URLs lead to a practice exchange with TLS."""
    assert endpoints.ca is not None, "the exchange must speak TLS"
    trust = ssl.create_default_context(cafile=str(endpoints.ca))
    connector = aiohttp.TCPConnector(resolver=LoopbackResolver(endpoints.port), ssl=trust, use_dns_cache=False)
    return aiohttp.ClientSession(connector=connector)
