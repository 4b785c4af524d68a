"""ccxt.pro exchanges made fit for a daemon.  Importing this imports ccxt: the command line must not.

Promise: a frame that makes no sense is counted and survived; each trade that ccxt parses is handed over at once, so
that no ring can overflow; numbers are exact (those that come as JSON numbers, up to 15 digits); the end of a connection
is always told, whoever waits for what at that moment; closing takes seconds at most and leaves nothing behind.  No key
is ever given to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import aiohttp
from ccxt.async_support.base.ws.cache import ArrayCache
from ccxt.base import errors

from execd.venues import VenueError
from execd.venues.capabilities import Capabilities
from execd.venues.ccxt_client import addresses, demand_environment
from execd.venues.digits import exact
from execd.venues.streams import CLOSE_S, PING_S, reason

KEPT = 64
"""Trades that a cache keeps: ccxt looks at the newest only."""


class Relay(ArrayCache):  # type: ignore[misc]  # ccxt is not typed
    """The cache of one market's trades: what ccxt puts into it goes on at once."""

    def __init__(self, take: Callable[[Any], None]) -> None:
        super().__init__(KEPT)
        self._take = take

    def append(self, item: Any) -> None:
        """Keep a trade and hand it over."""
        super().append(item)
        self._take(item)


class _Caches(dict[str, Any]):
    """ccxt's caches by symbol, of which the first one stays: some handlers put a new one there with every frame."""

    def __setitem__(self, symbol: str, cache: Any) -> None:
        self.setdefault(symbol, cache)


def hardened(
    known: Capabilities,
    symbol: str,
    *,
    session: aiohttp.ClientSession | None,
    markets: Any,
    take: Callable[[Any], None],
    bad: Callable[[], None],
    sandbox: bool,
    timeout_s: float,
) -> Any:
    """Make a ccxt.pro exchange for one connection's life.

    Args:
        known: the exchange.
        symbol: the market whose trades are handed over.
        session: connects; None lets ccxt open its own, to the exchange itself.
        markets: a ccxt exchange whose markets are loaded.
        take: gets each trade, in ccxt's unified form; never raises.
        bad: called for each frame that made no sense.
        sandbox: whether to talk to the venue's testnet.
        timeout_s: how long one request may take.

    Raises:
        VenueError: ccxt.pro does not know the exchange.
        VenueMismatch: it would talk to other addresses than those of the environment.
    """
    # Not above: all of ccxt.pro comes with it, for those alone who have no native stream.
    base = getattr(importlib.import_module("ccxt.pro"), known.exchange, None)
    if base is None:
        raise VenueError(f"ccxt.pro does not know the exchange {known.exchange!r}, so it has no stream")
    settings: dict[str, Any] = {
        "timeout": int(timeout_s * 1000),
        "streaming": {"keepAlive": int(PING_S * 1000), "maxPingPongMisses": 2},
        "options": {"ws": {"compress": 0}, "maxRetriesOnFailure": 0},
    }
    exchange = _surviving(base)(settings)
    exchange.number = str
    exchange.bad = bad
    if sandbox:
        exchange.set_sandbox_mode(True)
    demand_environment(known, addresses(exchange), sandbox=sandbox)
    if session is not None:
        exchange.session, exchange.own_session = session, False
        exchange.timeout_on_exit = 0  # a pause that only a session of ccxt's own needs when it closes
    exchange.set_markets_from_exchange(markets)
    exchange.trades = _Caches({symbol: Relay(take)})
    exchange.open()  # some use the loop before anything has told them of it
    return exchange


def _surviving(base: Any) -> Any:
    class Surviving(base):  # type: ignore[misc]  # the base is chosen at run time
        """One connection's life: `lost` becomes the reason for its end."""

        def __init__(self, settings: Any) -> None:
            super().__init__(settings)
            self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            self.bad: Callable[[], None] = lambda: None
            self._ours: list[Any] = []
            self._closing: set[asyncio.Task[Any]] = set()

        def client(self, url: str) -> Any:
            """The WebSocket to an address; none any more once one was lost, for ccxt would dial again unasked."""
            if self.lost.done():
                raise errors.NetworkError(self.lost.result())
            client = super().client(url)
            if client not in self._ours:
                self._harden(client)
            return client

        def order_book(self, snapshot: Any = None, depth: Any = None) -> Any:
            """An empty book, or one of what is known of it."""
            return _ordered(super().order_book, snapshot, depth)

        def counted_order_book(self, snapshot: Any = None, depth: Any = None) -> Any:
            """Likewise."""
            return _ordered(super().counted_order_book, snapshot, depth)

        def indexed_order_book(self, snapshot: Any = None, depth: Any = None) -> Any:
            """Likewise."""
            return _ordered(super().indexed_order_book, snapshot, depth)

        def on_error(self, client: Any, error: Any) -> None:
            """Tell that a connection is of no more use."""
            self._lose(reason(error) if isinstance(error, BaseException) else str(error)[:120])
            super().on_error(client, error)

        def on_close(self, client: Any, code: Any) -> None:
            """Tell that the exchange closed a connection."""
            self._lose(f"closed by the exchange with code {str(code)[:20]}")
            super().on_close(client, code)

        async def shut(self) -> None:
            """Close everything."""
            self._lose("closed")
            for client in self._ours:
                client.reject(errors.NetworkError("closed"))
                await client.aiohttp_close()
            if self._closing:
                await asyncio.wait(self._closing)
            self.clients.clear()
            await self.close()

        def _lose(self, why: str) -> None:
            if not self.lost.done():
                self.lost.set_result(why)

        def _harden(self, client: Any) -> None:
            self._ours.append(client)
            handle = client.handle_message

            def survive(message: Any) -> None:
                try:
                    handle(message)
                except errors.BaseError as error:  # what the exchange itself said
                    client.on_error(error)
                except Exception:  # ccxt's parsers raise anything for nonsense
                    self.bad()

            async def close() -> None:
                task = asyncio.current_task()
                assert task is not None
                self._closing.add(task)
                try:
                    await _close(client)
                finally:
                    self._closing.discard(task)

            client.handle_message, client.aiohttp_close = survive, close

    return Surviving


def _ordered(make: Callable[[Any, Any], Any], snapshot: Any, depth: Any) -> Any:
    """A book whose levels are in order by the value of their prices, which come as text."""
    known = dict(snapshot or {})
    levels = {name: known.pop(name, ()) for name in ("bids", "asks")}
    book = make(known, depth)
    for name, rows in levels.items():
        book[name].storeArray = partial(_stored, book[name].storeArray)
        for row in rows:
            book[name].storeArray(row)
    return book


def _stored(store: Callable[[list[Any]], None], level: Sequence[Any]) -> None:
    price, size, *rest = level
    store([None if price is None else exact(price), exact(size), *rest])


async def _close(client: Any) -> None:
    """End a WebSocket, without waiting long for the goodbye of a peer that may be dead."""
    if client.ping_looper is not None:
        client.ping_looper.cancel()
    if client.connection is not None and not client.connection.closed:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await client.connection.close()
