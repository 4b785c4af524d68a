"""ccxt exchanges made careful.  Importing this imports ccxt: 0.5 s and 80 MB, so the command line must not.

Promise: numbers are strings; no request is ever repeated by the library; a status of 500 or more is an unknown outcome
whatever its body says; timestamps come from our clock as the venue's; nothing waits in a queue before an order; nothing
is asked while the venue has told us to keep away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import ccxt.async_support as ccxt_async
from ccxt.base import errors

from execd.venues import VenueError, VenueMismatch
from execd.venues.backoff import Backoff
from execd.venues.capabilities import Capabilities, Sandbox
from execd.venues.credentials import Credentials

SERVER_ERROR = 500


def make_client(
    caps: Capabilities,
    credentials: Credentials | None,
    *,
    session: aiohttp.ClientSession | None,
    venue_ms: Callable[[], int],
    backoff: Backoff,
    doubt_clock: Callable[[], None],
    recv_window_ms: int,
    timeout_s: float,
    sandbox: bool,
    limited: bool,
) -> Any:
    """Make a ccxt exchange.

    Args:
        caps: the exchange.
        credentials: signs; None for public data only.
        session: sends; None lets ccxt open its own, to the exchange itself.
        venue_ms: the venue's time in milliseconds, for signed requests.
        backoff: what the venue has told us about keeping away; all clients of an address share one.
        doubt_clock: called where the venue refused a timestamp.
        recv_window_ms: how long after its timestamp the venue may accept a request.
        timeout_s: how long one request may take.
        sandbox: whether to talk to the venue's testnet.
        limited: whether requests wait for ccxt's rate limiter: for data, never for orders.

    Raises:
        VenueError: ccxt does not know the exchange, or it has no testnet.
        VenueMismatch: ccxt would talk to other addresses than those of the environment.
    """
    known = getattr(ccxt_async, caps.exchange, None)
    if known is None:
        raise VenueError(f"ccxt {ccxt_async.__version__} does not know the exchange {caps.exchange!r}")
    if sandbox and caps.sandbox is not Sandbox.TESTNET:
        raise VenueError(f"{caps.exchange} has no testnet that ccxt can reach; use mode paper")
    settings: dict[str, Any] = {
        "timeout": int(timeout_s * 1000),
        "enableRateLimit": limited,
        "rateLimiterAlgorithm": "rollingWindow",
        "options": {
            "recvWindow": recv_window_ms,
            "fetchCurrencies": False,
            "fetchMargins": False,
            "maxRetriesOnFailure": 0,
        },
    }
    if caps.market_types:
        settings["options"]["fetchMarkets"] = {"types": list(caps.market_types), "fetchTickersFees": False}
    if credentials is not None:
        settings |= {"apiKey": credentials.api_key, "secret": credentials.secret}
    if session is not None:
        settings["session"] = session
    client = _careful(known, venue_ms, backoff, doubt_clock)(settings)
    client.number = str
    for helper in client.options.get("marketHelperProps", ()):
        client.options.setdefault(helper, None)  # shared among clients, and a KeyError where nothing has filled it
    client.has["fetchCurrencies"] = caps.currencies  # else up to three requests more before the markets
    if session is not None:
        client.timeout_on_exit = 0  # a pause that only a session of ccxt's own needs when it closes
    if sandbox:
        client.set_sandbox_mode(True)
    demand_environment(caps, addresses(client), sandbox=sandbox)
    return client


def demand_environment(caps: Capabilities, urls: Iterable[str], *, sandbox: bool) -> None:
    """Refuse addresses that are not all of the environment: the test network's, or the exchange's own.

    Raises:
        VenueMismatch: one is not.
    """
    for url in urls:
        host = urlsplit(url).hostname or ""
        test = _of(host, caps.test_hosts)
        if test is not sandbox or not (test or _of(host, caps.hosts)):
            asked = "its test network" if sandbox else "real money"
            raise VenueMismatch(f"{caps.exchange}: {host or url} is no address of {asked}; nothing was sent")


def addresses(client: Any) -> list[str]:
    """Every address that a ccxt exchange would talk to."""
    return [client.implode_hostname(url) for url in _urls(client.urls["api"])]


def _of(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _urls(found: Any) -> Iterator[str]:
    """Every URL of ccxt's table, which may be a table of tables."""
    if isinstance(found, Mapping):
        for inner in found.values():
            yield from _urls(inner)
    else:
        yield str(found)


def _careful(known: Any, venue_ms: Callable[[], int], backoff: Backoff, doubt_clock: Callable[[], None]) -> Any:
    class Careful(known):  # type: ignore[misc]  # the base is chosen at run time
        """The exchange with our clock, with patience, and without ccxt's trust in the body of a server error."""

        def nonce(self) -> int:
            """The timestamp of a signed request."""
            return venue_ms()

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            """Send a request, unless the venue has told us to keep away."""
            if (why := backoff.refusal(method)) is not None:
                raise errors.DDoSProtection(f"{self.id}: {why}")
            return await super().fetch(url, method, headers, body)

        def handle_errors(self, code: int, reason: str, url: str, method: str, headers: Any, *rest: Any) -> Any:
            """Raise what a reply means; ccxt would map some server errors to refusals by their JSON code."""
            backoff.heard(code, headers)
            if code >= SERVER_ERROR:
                raise errors.ExchangeNotAvailable(f"{self.id} answered {code} {reason}")
            try:
                return super().handle_errors(code, reason, url, method, headers, *rest)
            except errors.InvalidNonce:
                doubt_clock()
                raise

    return Careful
