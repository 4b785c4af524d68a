"""The watchdog's own way to the exchange: read what is open on the account, cancel what is execd's.

Promise: nothing but questions and cancels leaves here.  What is execd's is told by the shape of its client id alone, so
that neither a journal nor a market's rules are needed; an order of anybody else's is named and never touched.  Nothing
of the way on which orders are sent is used: not its clients, not its book of orders, not its clock.  Importing this
imports ccxt.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ccxt.base import errors

from execd.venues import KeyPermissions, VenueError, VenueUnanswered, binance_rest
from execd.venues.backoff import Backoff
from execd.venues.capabilities import CAPABILITIES, OrderReply
from execd.venues.ccxt_client import make_client
from execd.venues.credentials import Credentials
from execd.venues.loopback import Endpoint
from execd.venues.outcomes import answered, explain

OURS = re.compile(r"p[a-z2-7]{15}n[0-9]+")
"""A client id that execd derives: a parent's id, `n`, a number."""

AT_ONCE = 10
"""Cancels that are under way at the same time."""

NANOS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Swept:
    """What one round found.

    `open` are the client ids of execd's orders that were open, `canceled` those of them whose end the exchange has
    confirmed since, `foreign` the orders of somebody else, `problems` what could not be understood or canceled.
    """

    open: tuple[str, ...]
    canceled: tuple[str, ...]
    foreign: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether the exchange was read whole and had no order of execd's."""
        return not (self.open or self.problems)


class Sweeper:
    """One account, through a key and a connection of its own.

    Args:
        exchange: ccxt's name, as "binance".
        credentials: the key.
        endpoint: where the exchange's host names lead.
        sandbox: talk to the exchange's testnet.
        recv_window_ms: how long after its timestamp the venue may accept a request.
        timeout_s: how long one request may take.

    Raises:
        VenueError: the exchange is unknown, or execd cannot have orders there.
    """

    def __init__(
        self,
        exchange: str,
        credentials: Credentials,
        endpoint: Endpoint,
        *,
        sandbox: bool = False,
        recv_window_ms: int = 3000,
        timeout_s: float = 5.0,
    ) -> None:
        known = CAPABILITIES.get(exchange)
        if known is None:
            raise VenueError(f"unknown exchange {exchange!r}; known are {', '.join(sorted(CAPABILITIES))}")
        if known.reply is None:
            raise VenueError(f"orders on {exchange} are not proven yet and are refused: there is nothing to watch")
        self._name, self._credentials, self._timeout_s = exchange, credentials, timeout_s
        self._form: OrderReply = known.reply
        self._ahead_ms: int | None = None
        self._session = endpoint.session(known.hosts)
        self._client: Any = make_client(
            known,
            credentials,
            session=self._session,
            venue_ms=lambda: _now_ms() + (self._ahead_ms or 0),
            backoff=Backoff(lambda: time.monotonic_ns() // NANOS_PER_MS),
            doubt_clock=self._doubt_clock,
            recv_window_ms=recv_window_ms,
            timeout_s=timeout_s,
            sandbox=sandbox,
            limited=False,
        )

    async def sweep(self) -> Swept:
        """Read the open orders of the whole account and ask for the end of each that is execd's.

        Raises VenueError where they could not be read; a cancel that fails is a problem of the round, for the next one.
        """
        answer = await self._signed("open orders", self._client.private_get_openorders)
        if not isinstance(answer, list):
            raise VenueUnanswered(f"{self._name}, open orders: the answer is no list")
        found: dict[str, Any] = {}
        problems: list[str] = []
        for row in answer:
            try:
                found[binance_rest.text(binance_rest.mapping(row), self._form.client_id)] = row
            except ValueError as error:
                # One row that makes no sense must not keep the others open.
                problems.append(f"{self._name}, open orders: {error}")
        ours = [client_id for client_id in found if OURS.fullmatch(client_id)]
        gate = asyncio.Semaphore(AT_ONCE)
        why = await asyncio.gather(*(self._cancel(gate, client_id, found[client_id]) for client_id in ours))
        return Swept(
            open=tuple(ours),
            canceled=tuple(client_id for client_id, problem in zip(ours, why, strict=True) if problem is None),
            foreign=tuple(client_id for client_id in found if client_id not in ours),
            problems=(*problems, *(problem for problem in why if problem is not None)),
        )

    async def account(self) -> str:
        """The exchange's own id of the account.  Raises VenueError."""
        found = await self._signed("the account", self._client.private_get_account)
        try:
            return binance_rest.text(binance_rest.mapping(found), "uid")
        except ValueError as error:
            raise VenueUnanswered(f"{self._name}, the account: {error}") from None

    async def key_permissions(self) -> KeyPermissions:
        """What the key may do.  Raises VenueError."""
        found = await self._signed("the key", self._client.sapi_get_account_apirestrictions)
        return binance_rest.key_permissions(found)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()
        if self._session is not None:
            await self._session.close()

    async def _cancel(self, gate: asyncio.Semaphore, client_id: str, row: Any) -> str | None:
        """Ask for one order's end; None if it has ended, else why that is not known."""
        try:
            # By the exchange's own words for it, so that no market has to be known.
            order = {"symbol": binance_rest.text(row, "symbol"), "orderId": binance_rest.text(row, self._form.venue_id)}
            async with gate:
                await self._signed(f"cancel of {client_id}", lambda: self._client.private_delete_order(order))
        except (VenueError, ValueError) as error:
            return str(error)
        return None

    async def _signed(self, what: str, request: Callable[[], Awaitable[Any]]) -> Any:
        """The answer to a signed request; None where it was about an order that has ended.  Raises VenueError."""
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._ahead_ms is None:
                    await self._set_clock()
                return await request()
        except errors.OrderNotFound:
            return None
        except Exception as error:  # ccxt's parsers raise anything for nonsense
            # Without its cause: ccxt's texts and tracebacks hold signed URLs.
            kind = VenueError if answered(error) else VenueUnanswered
            raise kind(f"{self._name}, {what}: {explain(error, self._credentials)}") from None

    async def _set_clock(self) -> None:
        asked = _now_ms()
        reply = await self._client.public_get_time()
        # Rather behind than ahead of the exchange: it refuses what comes from the future sooner.
        self._ahead_ms = int(reply["serverTime"]) - (asked + _now_ms()) // 2

    def _doubt_clock(self) -> None:
        self._ahead_ms = None


def _now_ms() -> int:
    return time.time_ns() // NANOS_PER_MS
