"""The connections to one exchange: two ccxt clients, the opened markets, the venue's clock.

Promise: whatever a question ends in, the caller gets the answer or a `VenueError` of one clear sentence without any
secret.  Importing this imports ccxt.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from execd.core.grid import Instrument, Nanos
from execd.venues import VenueError, VenueUnanswered, binance_rest
from execd.venues.backoff import Backoff
from execd.venues.capabilities import Capabilities, OrderReply
from execd.venues.ccxt_client import make_client
from execd.venues.credentials import Credentials
from execd.venues.digits import Grid
from execd.venues.loopback import Endpoint
from execd.venues.markets import instrument_of, near
from execd.venues.outcomes import answered, explain
from execd.venues.streams.feed import NANOS_PER_MS, nanos

T = TypeVar("T")

CLOCK_QUERIES = 5
"""How many times the venue is asked for its time; the fastest answer counts."""


@dataclass(frozen=True, slots=True)
class Market:
    """A market that was opened: our grid, the venue's own name of it, and whether it is a linear contract."""

    instrument: Instrument
    grid: Grid
    id: str
    linear: bool = False


class Wire:
    """One exchange account's connections.  `trading` and `data` are ccxt clients, None until connected."""

    def __init__(
        self,
        known: Capabilities,
        credentials: Credentials | None,
        endpoint: Endpoint,
        clock: Callable[[], Nanos],
        *,
        sandbox: bool,
        recv_window_ms: int,
        timeout_s: float,
    ) -> None:
        self.known, self.credentials, self.clock = known, credentials, clock
        self.recv_window_ms, self.timeout_s = recv_window_ms, timeout_s
        self.offset = Nanos(0)
        self.trading: Any = None
        self.data: Any = None
        self._endpoint, self._sandbox = endpoint, sandbox
        self._measuring: asyncio.Task[None] | None = None
        self._backoff = Backoff(lambda: clock() // NANOS_PER_MS)
        self._session: aiohttp.ClientSession | None = None
        self._markets: dict[str, Market] = {}

    async def open(self, symbol: str) -> Instrument:
        """Connect, load the market, return its grid.  Raises VenueError."""
        if self.data is None:
            self._connect()
        if not self.data.markets:
            # Reload: what was once told, even that there are none, ccxt believes for ever.
            if not await self.ask("loading the markets", self.data.load_markets(True)):
                raise VenueUnanswered(f"{self.known.exchange}, loading the markets: the answer names none")
            self.trading.set_markets_from_exchange(self.data)
        market = self.data.markets.get(symbol)
        if market is None:
            raise VenueError(f"{self.known.exchange} has no market {symbol!r}{near(symbol, list(self.data.symbols))}")
        if market.get("active") is False:
            raise VenueError(f"{self.known.exchange} does not trade {symbol} at present")
        decimals = self.known.price_decimals.get(str(market.get("type")))
        instrument = instrument_of(self.known.exchange, market, decimals)
        linear = market.get("linear") is True
        # Of Hyperliquid's perpetuals ccxt has the number as id: all but orders go by the coin.
        numbered = self.known.exchange == "hyperliquid" and linear
        name = str(market["baseName" if numbered else "id"])
        self._markets[symbol] = Market(instrument, Grid(instrument), name, linear)
        return instrument

    async def close(self) -> None:
        """Close every connection."""
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.gather(self._measuring, return_exceptions=True)
        clients = [client for client in (self.trading, self.data) if client is not None]
        await asyncio.gather(*(client.close() for client in clients))
        if self._session is not None:
            await self._session.close()
        self._session = self.trading = self.data = None

    def opened(self, symbol: str) -> bool:
        """Whether a market can be used."""
        return symbol in self._markets and self.trading is not None

    def market(self, symbol: str) -> Market:
        """A market that was opened.  Raises VenueError."""
        if not self.opened(symbol):
            raise VenueError(f"{symbol} was not opened on {self.known.exchange}")
        return self._markets[symbol]

    def form(self) -> OrderReply:
        """How order replies are read.  Raises VenueError where the order path is not proven."""
        if self.known.reply is None:
            raise VenueError(f"orders on {self.known.exchange} are not proven yet and are refused")
        return self.known.reply

    def dial(self, url: str) -> dict[str, Any]:
        """Arguments for a WebSocket to the exchange.  Raises OSError for any other host on loopback."""
        return self._endpoint.websocket(url, self.known.hosts)

    def venue_now(self) -> Nanos:
        """The venue's time, as far as we know it."""
        return Nanos(self.clock() + self.offset)

    def venue_ms(self) -> int:
        """The venue's time in milliseconds."""
        return self.venue_now() // NANOS_PER_MS

    def why(self, error: BaseException) -> str:
        """A short word and what an error says, without secrets."""
        return explain(error, self.credentials)

    async def ask(self, what: str, answer: Awaitable[T]) -> T:
        """Await an answer that is about no order of ours.  Raises VenueError."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return await answer
        except Exception as error:  # ccxt's parsers raise anything for nonsense
            # Without its cause: ccxt's texts and tracebacks hold signed URLs.
            kind = VenueError if answered(error) else VenueUnanswered
            raise kind(f"{self.known.exchange}, {what}: {self.why(error)}") from None

    async def measure_clock(self) -> Nanos:
        """Venue time minus ours, from the fastest of a few queries; all signed requests use it.  Raises VenueError."""
        step, bounds = self.known.clock_step, []
        for _ in range(CLOCK_QUERIES):
            asked = self.clock()
            told = await self._time()
            answered = self.clock()
            # The venue cuts off what is below its step, and looked at its clock some time between the two moments.
            bounds.append((told - answered, told + step - asked))
        self.offset = offset_of(bounds, step)
        return self.offset

    async def _time(self) -> Nanos:
        """The venue's time.  Not through the rate limiter, whose queue would look like a network."""
        what, name = "the venue's time", self.known.exchange
        told: object
        if name == "binance":
            told = field(await self.ask(what, self.trading.public_get_time()), "serverTime", f"{name}, {what}")
        elif name == "coinbase":  # ccxt reads its seconds only
            reply = await self.ask(what, self.trading.v3_public_get_brokerage_time())
            told = field(reply, "epochMillis", f"{name}, {what}")
        else:
            told = await self.ask(what, self.trading.fetch_time())
        try:
            return nanos(int(str(told)))
        except ValueError:
            raise VenueUnanswered(f"{name}, {what}: {str(told)[:40]!r} is none") from None

    def _doubt_clock(self) -> None:
        """Measure the venue's clock anew, beside the request whose timestamp it refused; one measurement at a time."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.create_task(self._remeasured())

    async def _remeasured(self) -> None:
        # No answer says nothing about the clocks; the next refusal asks again.
        with contextlib.suppress(VenueError):
            await self.measure_clock()

    def _connect(self) -> None:
        self._session = self._endpoint.session(self.known.hosts)
        # Two clients, so that a cancel never waits behind data in the rate limiter's queue.
        self.trading = self._client(self.credentials, limited=False)
        self.data = self._client(None, limited=True)

    def _client(self, credentials: Credentials | None, *, limited: bool) -> Any:
        return make_client(
            self.known,
            credentials,
            session=self._session,
            venue_ms=self.venue_ms,
            backoff=self._backoff,
            doubt_clock=self._doubt_clock,
            recv_window_ms=self.recv_window_ms,
            timeout_s=self.timeout_s,
            sandbox=self._sandbox,
            limited=limited,
        )


def offset_of(bounds: Sequence[tuple[int, int]], step: Nanos) -> Nanos:
    """Venue time minus ours, by what each answer says that it is at least and at most.

    The middle of the narrowest; but of a venue that tells whole seconds, as little as all of them allow: a clock that
    may be right is left alone.
    """
    if step <= NANOS_PER_MS:
        low, high = min(bounds, key=lambda bound: bound[1] - bound[0])
        return Nanos((low + high) // 2)
    low, high = max(low for low, _ in bounds), min(high for _, high in bounds)
    return Nanos(min(max(0, low), high))


def rows(answer: object, what: str) -> list[Any]:
    """An answer that must be a list.  Raises VenueError."""
    if not isinstance(answer, list):
        raise VenueError(f"{what}: the answer is no list")
    return answer


def field(row: object, name: str, what: str = "") -> str:
    """A field of an answer, as the venue wrote it.  Raises VenueError, which begins with `what` it was about."""
    try:
        return binance_rest.text(binance_rest.mapping(row), name)
    except ValueError as error:
        raise VenueError(f"{what}: {error}" if what else str(error)) from None
