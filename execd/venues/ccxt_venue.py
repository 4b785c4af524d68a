"""An exchange account through ccxt, with native streams beside it.

Promise: the contract of `execd.venues`, each clause of it tested against a real exchange's wire protocol.  Importing
this imports ccxt: the command line must not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from execd.core.commands import CancelOrder, ListFills, QueryOrder, SubmitOrder
from execd.core.events import (
    Bar,
    CancelRefused,
    FillsListed,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    QuoteChanged,
    TradePrinted,
)
from execd.core.grid import Instrument, Nanos
from execd.venues import Balance, KeyPermissions, OpenOrder, Sink, VenueCaps, VenueError, binance_rest, ccxt_deadman
from execd.venues.capabilities import CAPABILITIES
from execd.venues.ccxt_client import demand_environment
from execd.venues.ccxt_data import BinanceData, MarketData
from execd.venues.ccxt_orders import OrderPath
from execd.venues.ccxt_wire import Wire, field, rows
from execd.venues.credentials import Credentials
from execd.venues.digits import exact
from execd.venues.fuse import Fuse
from execd.venues.loopback import Endpoint
from execd.venues.streams import StreamLimits
from execd.venues.streams.binance_account import AccountStream
from execd.venues.streams.binance_frames import AccountFrames
from execd.venues.streams.feed import NANOS_PER_MS
from execd.venues.streams.market import MarketStream

if TYPE_CHECKING:
    from execd.venues.streams.ccxt_pro import CcxtProStream


class CcxtVenue:
    """One exchange account.

    Args:
        exchange: ccxt's name, as "binance".
        credentials: the API key; None for public data only.
        endpoint: where the exchange's host names lead.
        fuse: the last check of each order; None where no order may be sent.
        clock: our own time, as the rest of execd has it.
        sandbox: talk to the exchange's testnet.
        recv_window_ms: how long after its timestamp the venue may accept a request.
        stale_s: a market stream that is silent for this long is broken.
        connections: how many carry the public data.
        timeout_s: how long one request may take.
        limits: the streams' whole patience; by default the usual one with `stale_s` and `connections`.

    Raises:
        VenueError: the exchange is unknown.
        VenueMismatch: its streams are not where `sandbox` says.
    """

    def __init__(
        self,
        exchange: str,
        credentials: Credentials | None,
        endpoint: Endpoint,
        fuse: Fuse | None,
        clock: Callable[[], Nanos],
        *,
        sandbox: bool = False,
        recv_window_ms: int = 3000,
        stale_s: float = 10.0,
        connections: int = 1,
        timeout_s: float = 10.0,
        limits: StreamLimits | None = None,
    ) -> None:
        known = CAPABILITIES.get(exchange)
        if known is None:
            raise VenueError(f"unknown exchange {exchange!r}; known are {', '.join(sorted(CAPABILITIES))}")
        self.name = exchange
        self._endpoint, self._sandbox = endpoint, sandbox
        self._wire = Wire(
            known,
            credentials,
            endpoint,
            clock,
            sandbox=sandbox,
            recv_window_ms=recv_window_ms,
            timeout_s=timeout_s,
        )
        make = BinanceData if exchange == "binance" else MarketData
        self._data = make(self._wire, credentials, sandbox=sandbox)
        self.caps = VenueCaps(
            contiguous_trade_ids=self._data.contiguous,
            paging=self._data.paging,
            sparse=self._data.sparse,
            own_prints=True,
            request_validity=Nanos(recv_window_ms * NANOS_PER_MS + known.processing),
            dead_man=known.dead_man,
        )
        self._orders = OrderPath(self._wire, fuse)
        self._account_url = known.sandbox_account_stream if sandbox else known.account_stream
        if self._account_url is not None:
            demand_environment(known, (self._account_url,), sandbox=sandbox)
        self._limits = limits or StreamLimits(stale_s=stale_s, connections=connections)
        self._streams: list[MarketStream | CcxtProStream | AccountStream] = []

    @property
    def bad_frames(self) -> int:
        """Frames of the streams that made no sense and were survived."""
        return sum(stream.bad_frames for stream in self._streams)

    @property
    def foreign(self) -> int:
        """Fills and reports that were about orders of somebody else on the account, and were ignored."""
        return self._orders.foreign

    # ------------------------------------------------------------------------------------------------- questions

    async def open(self, symbol: str) -> Instrument:
        """Connect over REST, load the market, return its grid.  Raises VenueError (unknown symbol: names near ones)."""
        if self._wire.credentials is not None and not self._wire.known.proven:
            raise VenueError(f"orders on {self.name} are not proven yet and are refused; without a key it gives data")
        return await self._wire.open(symbol)

    def arm(self, fuse: Fuse) -> None:
        """Give the account its fuse.  Before this no order can be sent."""
        self._orders.arm(fuse)

    async def quote(self, symbol: str) -> QuoteChanged:
        """The best bid and ask now.  Raises VenueError."""
        return await self._data.quote(symbol)

    async def account(self) -> str:
        """The exchange's own id of the account, stable across sessions.  Raises VenueError."""
        return field(await self._account(), "uid")

    async def key_permissions(self) -> KeyPermissions:
        """What our key may do.  Raises VenueError where the exchange cannot be asked."""
        if self.name != "binance":
            raise VenueError(f"{self.name} cannot be asked what a key may do, so it may not trade live")
        answer = await self._wire.ask("the key", self._wire.trading.sapi_get_account_apirestrictions())
        try:
            return binance_rest.key_permissions(answer)
        except ValueError as error:
            raise VenueError(f"{self.name}, the key: {error}") from None

    async def clock_offset(self) -> Nanos:
        """Venue time minus ours, from the fastest of a few queries; used for requests from now on.

        Raises VenueError.
        """
        return await self._wire.measure_clock()

    async def balances(self) -> Sequence[Balance]:
        """Funds on the account.  Raises VenueError."""
        account = await self._account()
        try:
            return [binance_rest.balance(row) for row in rows(account.get("balances"), "balances")]
        except ValueError as error:
            raise VenueError(f"{self.name}, balances: {error}") from None

    async def taker_fee(self) -> Decimal:
        """What taking costs on this account, of the notional.  Raises VenueError."""
        account = await self._account()
        try:
            return exact(field(account.get("commissionRates"), "taker"))
        except ValueError as error:
            raise VenueError(f"{self.name}, the taker fee: {error}") from None

    async def open_orders(self, symbol: str) -> Sequence[OpenOrder]:
        """All open orders on the symbol, foreign ones too.  Raises VenueError."""
        return await self._orders.open_orders(symbol)

    async def bars(self, symbol: str, interval: Nanos, count: int, before: Nanos) -> Sequence[Bar]:
        """Up to `count` bars of `interval` that closed by `before`, oldest first; fewer or none where unknown.

        The last bar ends at `before`, rounded down to the longest kline that divides the interval.  Raises VenueError.
        """
        return await self._data.bars(symbol, interval, count, before)

    async def trades(
        self, symbol: str, first: int | None, last: int | None, since: Nanos | None = None
    ) -> Sequence[TradePrinted]:
        """Public trades, ascending by id: one page from `first` (None: the newest), not beyond `last`.

        `since`: a venue time not after the first of them, for an exchange that pages by time.  Raises VenueError.
        """
        return await self._data.trades(symbol, first, last, since)

    # -------------------------------------------------------------------------------------------------- commands

    async def submit(self, command: SubmitOrder) -> OrderAccepted | OrderClosed | OrderLost:
        """Send an order, once.  Never raises but CancelledError; never retries."""
        return await self._orders.submit(command)

    async def cancel(self, command: CancelOrder) -> OrderClosed | CancelRefused | OrderLost:
        """Ask for an order's end.  `OrderClosed` only with the venue's final count."""
        return await self._orders.cancel(command)

    async def query(self, command: QueryOrder) -> OrderAccepted | OrderClosed | OrderMissing | None:
        """Ask for one order by our id.  None: no usable answer, ask again later."""
        return await self._orders.query(command)

    async def fills(self, command: ListFills) -> Sequence[OrderFilled | FillsListed]:
        """Our fills since a moment, of every order on the symbol that is ours, ended by FillsListed; empty: failed."""
        return await self._orders.fills(command)

    async def hold_dead_man(self, symbol: str) -> None:
        """Start the venue's timer anew.  Raises VenueError: there is none, or it was not held this time."""
        await self._wire.ask(
            "holding the dead-man switch",
            ccxt_deadman.hold(self._timed(), self._wire.market(symbol).id, self.caps.dead_man.window),
        )

    async def release_dead_man(self, symbol: str) -> None:
        """Stop the venue's timer.  Raises VenueError: there is none, or it may still fire."""
        await self._wire.ask(
            "releasing the dead-man switch", ccxt_deadman.release(self._timed(), self._wire.market(symbol).id)
        )

    # --------------------------------------------------------------------------------------------------- streams

    async def stream(self, symbol: str, sink: Sink) -> None:
        """Stream prints, quotes and our own reports into the sink until canceled, reconnecting for ever.

        Says `StreamRestored` for each channel once it is up the first time, too; without credentials there is only the
        market's.  Raises VenueError at once for an exchange that ccxt.pro does not know either.
        """
        self._streams = [self._market_stream(symbol)]
        if self._wire.credentials is not None:
            self._streams.append(self._account_stream(symbol, self._wire.credentials))
        async with asyncio.TaskGroup() as group:
            for each in self._streams:
                group.create_task(each.run(sink))

    async def close(self) -> None:
        """Close every connection."""
        await self._wire.close()

    # --------------------------------------------------------------------------------------------------- details

    def _market_stream(self, symbol: str) -> MarketStream | CcxtProStream:
        feed, wire = self._data.feed(symbol), self._wire
        if feed is None:
            from execd.venues.streams.ccxt_pro import CcxtProStream  # imports every exchange of ccxt.pro

            return CcxtProStream(
                wire.known,
                symbol,
                wire.market(symbol).grid,
                self._endpoint,
                self._limits,
                markets=wire.data,
                clock=wire.clock,
                sandbox=self._sandbox,
                timeout_s=wire.timeout_s,
            )
        return MarketStream(
            feed,
            wire.dial,
            self._limits,
            history=lambda first, last, since: self.trades(symbol, first, last, since),
            clock=wire.clock,
        )

    def _account_stream(self, symbol: str, credentials: Credentials) -> AccountStream:
        assert self._account_url is not None  # who has a key here, has proven orders
        market = self._wire.market(symbol)
        return AccountStream(
            self._account_url,
            self._wire.dial,
            self._limits,
            credentials=credentials,
            frames=AccountFrames(market.id, market.grid, self._wire.form()),
            catch_up=lambda since: self._orders.catch_up(symbol, since),
            heard=lambda report: self._orders.heard(report, symbol),
            clock=self._wire.clock,
            venue_ms=self._wire.venue_ms,
        )

    def _timed(self) -> Any:
        if not self.caps.dead_man.held:
            raise VenueError(f"{self.name} has no timer that a request holds")
        return self._wire.trading

    async def _account(self) -> dict[str, Any]:
        if self._wire.credentials is None:
            raise VenueError(f"{self.name}: the account can only be asked for with a key")
        answer = await self._wire.ask("the account", self._wire.trading.private_get_account())
        if not isinstance(answer, dict):
            raise VenueError(f"{self.name}, the account: the answer is no JSON object")
        return answer
