"""The public trades and best quotes of one market through ccxt.pro, for exchanges that no feed of ours reads.

Promise: as `market.MarketStream`, as far as ccxt allows: a trade is passed on once; each loss is said once; after one,
`StreamRestored` is said only when data flow again and what was missed is merged, or said to be missing: ccxt's ids tell
of no gap.  Importing this imports ccxt: the command line must not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from execd.core.events import Channel, PrintsMissed, QuoteChanged, StreamLost, StreamRestored, TradePrinted
from execd.core.grid import Nanos
from execd.venues import Sink
from execd.venues.capabilities import Capabilities
from execd.venues.digits import Grid
from execd.venues.loopback import Endpoint
from execd.venues.streams import StreamLimits, ccxt_unified, nowhere, reason
from execd.venues.streams.ccxt_hard import hardened
from execd.venues.streams.feed import StreamBroken
from execd.venues.streams.sequence import Repeats

REACH = 2_000
"""Newest ids by which a page of trades is seen to reach back to before a loss."""

Read = Callable[[Any, Grid, Nanos], QuoteChanged | None]

BROKEN = (ValueError, ArithmeticError, LookupError, TypeError)
"""What reading nonsense in ccxt's unified form raises."""


@dataclass
class _Life:
    """One connection's: when it was last heard, by the loop's clock, and what it has told."""

    exchange: Any
    heard_s: float
    traded_s: float
    taken: int = 0
    first_at: Nanos | None = None  # the venue's time of its first trade
    flows: asyncio.Event = field(default_factory=asyncio.Event)


class CcxtProStream:
    """One market's trades and quotes through ccxt.pro.

    Args:
        known: the exchange.
        symbol: ccxt's name of the market.
        grid: the market's own.
        endpoint: where the exchange's host names lead.
        limits: how patient it is; there is one connection, which the exchange itself may end.
        markets: a ccxt exchange whose markets are loaded.
        clock: our own time.
        sandbox: talk to the exchange's testnet.
        timeout_s: how long one request may take.
    """

    channel = Channel.MARKET

    def __init__(
        self,
        known: Capabilities,
        symbol: str,
        grid: Grid,
        endpoint: Endpoint,
        limits: StreamLimits,
        *,
        markets: Any,
        clock: Callable[[], Nanos],
        sandbox: bool = False,
        timeout_s: float = 10.0,
    ) -> None:
        self.ids = Repeats()
        self.bad_frames = 0
        self.connections = 0
        self._known, self._symbol, self._grid, self._endpoint, self._limits = known, symbol, grid, endpoint, limits
        self._markets, self._clock, self._sandbox, self._timeout_s = markets, clock, sandbox, timeout_s
        self._sink: Sink = nowhere
        self._up: bool | None = None
        self._began: Nanos | None = None  # our time when it was up first
        self._at: Nanos | None = None  # the venue's time of the newest trade
        self._lost_at: Nanos | None = None  # since when trades may be missing; None while none are
        self._recent: deque[int] = deque(maxlen=REACH)
        self._before: frozenset[int] = frozenset()  # the newest ids before that loss

    async def run(self, sink: Sink) -> None:
        """Stream into the sink until canceled, reconnecting for ever.

        Raises:
            VenueError: ccxt.pro does not know the exchange.
            VenueMismatch: it would talk to other addresses than those of the environment.
        """
        self._sink = sink
        delay_s = self._limits.first_delay_s
        while True:
            why = await self._connection()
            if self._up:
                delay_s = self._limits.first_delay_s
                self._lost_at = self._began if self._at is None else self._at
                self._before = frozenset(self._recent)
            if self._up is not False:
                self._up = False
                sink(StreamLost(self.channel, why))
            await asyncio.sleep(delay_s)
            delay_s = min(self._limits.longest_delay_s, delay_s * 2)

    # --------------------------------------------------------------------------------------------------- connection

    async def _connection(self) -> str:
        """Use one connection until it breaks; why it did.  Raises VenueError."""
        session = self._endpoint.session(self._known.hosts)
        try:
            exchange = hardened(
                self._known,
                self._symbol,
                session=session,
                markets=self._markets,
                take=lambda row: self._take(row, life),
                bad=self._bad,
                sandbox=self._sandbox,
                timeout_s=self._timeout_s,
            )
            now = asyncio.get_running_loop().time()
            life = _Life(exchange, now, now)
            self.connections += 1
            try:
                return await self._watched(life)
            finally:
                await exchange.shut()
        finally:
            if session is not None:
                await session.close()

    async def _watched(self, life: _Life) -> str:
        works = (self._trades(life), self._quotes(life), self._guard(life), self._restore(life))
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait([*tasks, life.exchange.lost], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if life.exchange.lost in done:
            return str(life.exchange.lost.result())
        # ccxt's watchers raise anything; what they were canceled by is their connection's end.
        return next((reason(error) for task in done if (error := _error(task)) is not None), "ended")

    async def _trades(self, life: _Life) -> None:
        """Keep the trades subscribed.  They come through the relay; what went past it is in the answer."""
        while True:
            taken = life.taken
            rows = await life.exchange.watch_trades(self._symbol)
            if life.taken == taken:
                for row in rows:
                    self._take(row, life)

    async def _quotes(self, life: _Life) -> None:
        """Keep the best quotes subscribed, in the first way that the exchange has and that tells both sides."""
        exchange, symbol = life.exchange, self._symbol
        if exchange.has.get("watchBidsAsks"):
            while _complete(tickers := await exchange.watch_bids_asks([symbol]), symbol):
                self._quote(ccxt_unified.ticker_quote, tickers[symbol], life)
        if exchange.has.get("watchTicker"):
            while ccxt_unified.complete(ticker := await exchange.watch_ticker(symbol)):
                self._quote(ccxt_unified.ticker_quote, ticker, life)
        while exchange.has.get("watchOrderBook"):
            self._quote(ccxt_unified.book_quote, await exchange.watch_order_book(symbol), life)
        await asyncio.Event().wait()  # There are trades only.

    async def _guard(self, life: _Life) -> None:
        """Notice a connection that tells nothing, or no trades though some are made.  Raises StreamBroken."""
        loop, patience = asyncio.get_running_loop(), self._limits.stale_s
        doubt: tuple[int, int] | None = None
        while True:
            now = loop.time()
            if now - life.heard_s >= patience:
                raise StreamBroken(f"no print and no quote for {patience:g} s")
            if now - life.traded_s >= patience:
                doubt = await self._doubted(life, doubt)
                life.traded_s = loop.time()
            await asyncio.sleep(max(0.0, min(life.heard_s, life.traded_s) + patience - loop.time()))

    async def _doubted(self, life: _Life, before: tuple[int, int] | None) -> tuple[int, int] | None:
        """Ask for the newest trade: if it changes between two doubts while the stream tells none, that is dead.

        Raises StreamBroken.
        """
        newest = await self._newest(life.exchange)
        if not newest:
            return before
        told = (life.taken, newest[-1].id)
        if before is not None and before[0] == told[0] and before[1] != told[1] and told[1] not in self.ids:
            raise StreamBroken("trades are made that the stream does not tell")
        return told

    # -------------------------------------------------------------------------------------------------------- facts

    def _take(self, row: Any, life: _Life) -> None:
        """Pass a trade on, if it is new."""
        life.taken += 1
        try:
            trade = ccxt_unified.trade(row, self._grid)
        except BROKEN:
            self._bad()
            return
        self._heard(life)
        life.traded_s = life.heard_s
        if life.first_at is None:
            life.first_at = trade.at
        self._offer(trade)

    def _offer(self, trade: TradePrinted) -> None:
        if self.ids.take(trade.id):
            self._recent.append(trade.id)
            self._at = trade.at if self._at is None else max(self._at, trade.at)
            self._sink(trade)

    def _quote(self, read: Read, told: Any, life: _Life) -> None:
        try:
            quote = read(told, self._grid, self._clock())
        except BROKEN:
            self._bad()
            return
        self._heard(life)
        if quote is not None:
            self._sink(quote)

    def _heard(self, life: _Life) -> None:
        life.heard_s = asyncio.get_running_loop().time()
        life.flows.set()

    def _bad(self) -> None:
        self.bad_frames += 1

    # --------------------------------------------------------------------------------------------------------- mend

    async def _restore(self, life: _Life) -> None:
        """Say that the stream is up once it flows, and what was missed is merged or said to be missing."""
        await life.flows.wait()
        if self._lost_at is not None:
            await self._mend(life, self._lost_at)
        self._began = self._clock() if self._began is None else self._began
        self._up, self._lost_at = True, None
        self._sink(StreamRestored(self.channel))
        await asyncio.Event().wait()

    async def _mend(self, life: _Life, lost_at: Nanos) -> None:
        newest = await self._newest(life.exchange)
        known = next((index for index, trade in enumerate(newest) if trade.id in self._before), None)
        if known is None:
            until = self._clock() if life.first_at is None else life.first_at
            self._sink(PrintsMissed(lost_at, max(lost_at, until)))
            return
        for trade in newest[known:]:
            self._offer(trade)

    async def _newest(self, exchange: Any) -> Sequence[TradePrinted]:
        """The newest trades in their order; none where the exchange does not answer."""
        try:
            async with asyncio.timeout(self._timeout_s):
                rows = await exchange.fetch_trades(self._symbol)
            trades = [ccxt_unified.trade(row, self._grid) for row in rows]
        except Exception:  # ccxt raises anything for nonsense; without an answer there is nothing to merge
            return ()
        return sorted(trades, key=lambda trade: trade.at)


def _complete(tickers: Any, symbol: str) -> bool:
    """Whether tickers by symbol tell one market's best quote."""
    return isinstance(tickers, Mapping) and ccxt_unified.complete(tickers.get(symbol))


def _error(task: asyncio.Future[Any]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
