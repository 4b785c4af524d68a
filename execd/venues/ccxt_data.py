"""What one asks an exchange about its market over REST: the best quote, bars, public trades.

Promise: public trades come in the exchange's own words where we read its streams ourselves, and Binance's quotes and
klines too, exactly; all else through ccxt's unified calls.  What is not answered, or makes no sense, is a `VenueError`
of one clear sentence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from execd.core.events import Bar, QuoteChanged, TradePrinted
from execd.core.grid import Instrument, Nanos, Side
from execd.venues import VenueError, binance_rest
from execd.venues.ccxt_client import demand_environment
from execd.venues.ccxt_wire import Market, Wire, rows
from execd.venues.credentials import Credentials
from execd.venues.digits import exact
from execd.venues.streams import ccxt_unified
from execd.venues.streams.feed import BROKEN, LARGEST_ID, NANOS_PER_MS, Feed, Paging, Request, nanos
from execd.venues.streams.feeds import FEEDS

BOOK_DEPTH = 20
"""Levels of the book that are asked for where only the best ones are wanted; KuCoin gives no fewer."""


class MarketData:
    """The public questions of one connection."""

    def __init__(self, wire: Wire, credentials: Credentials | None, *, sandbox: bool) -> None:
        self._wire, self._credentials, self._sandbox = wire, credentials, sandbox
        self._name = wire.known.exchange
        self._feeds: dict[str, Feed] = {}

    @property
    def contiguous(self) -> bool:
        """Whether the ids of a market's trades rise by one."""
        return self._name in FEEDS and FEEDS[self._name].contiguous

    @property
    def paging(self) -> Paging:
        """How the exchange gives old trades to whoever has our key, or none."""
        keyless = self._wire.known.keyed_history and self._credentials is None
        return FEEDS[self._name].paging if self._name in FEEDS and not keyless else Paging.RECENT

    @property
    def sparse(self) -> bool:
        """Whether old trades leave out ids that no trade of the market has used up."""
        return self._name in FEEDS and FEEDS[self._name].sparse

    def feed(self, symbol: str) -> Feed | None:
        """How a market's streams and public trades are read; None where that is left to ccxt.

        Raises VenueError where the market was not opened, VenueMismatch where the streams lie elsewhere.
        """
        if self._name not in FEEDS:
            return None
        feed = self._feeds.get(symbol)
        if feed is None:
            market = self._wire.market(symbol)
            known = FEEDS[self._name]
            name = symbol if known.by_symbol else market.id
            feed = known(name, market.grid, sandbox=self._sandbox, linear=market.linear)
            demand_environment(self._wire.known, (feed.url,), sandbox=self._sandbox)
            self._feeds[symbol] = feed
        return feed

    async def quote(self, symbol: str) -> QuoteChanged:
        """The best bid and ask now.  Raises VenueError."""
        market = self._wire.market(symbol)
        answer = await self._wire.ask("best quote", self._quoted(symbol, market))
        try:
            return self._read_quote(answer, market)
        except ValueError as error:
            raise VenueError(f"{self._name}, best quote: {error}") from None

    async def trades(
        self, symbol: str, first: int | None, last: int | None, since: Nanos | None
    ) -> Sequence[TradePrinted]:
        """Public trades in their order: one page from `first` (None: the newest), not beyond `last`.

        Raises VenueError.
        """
        recent = self.paging is Paging.RECENT
        page = await self._page(symbol, None if recent else first, last, since)
        if not self.contiguous:
            return sorted(page, key=lambda trade: (trade.at, trade.id))
        page = sorted(page, key=lambda trade: trade.id)
        if recent and self.sparse and first is not None and page and page[0].id > first:
            return []  # What the newest ones do not list before their first may be trades as well.
        # Of a sparse list the first one beyond is wanted too: it says that there is none between.
        highest = LARGEST_ID if last is None or self.sparse else last
        return [trade for trade in page if (first or 0) <= trade.id <= highest]

    async def _page(
        self, symbol: str, first: int | None, last: int | None, since: Nanos | None
    ) -> Sequence[TradePrinted]:
        market, feed = self._wire.market(symbol), self.feed(symbol)
        try:
            if feed is None:
                answer = await self._wire.ask("public trades", self._wire.data.fetch_trades(symbol))
                return [_trade(row, market) for row in rows(answer, f"{self._name}, public trades")]
            request = feed.request(first, last, since)
            return feed.page(await self._wire.ask("public trades", self._get(request)))
        except BROKEN as error:
            raise VenueError(f"{self._name}, public trades: {error}") from None

    async def bars(self, symbol: str, interval: Nanos, count: int, before: Nanos) -> Sequence[Bar]:
        """Up to `count` bars of `interval` that closed by `before`, oldest first; fewer or none where unknown.

        The last bar ends at `before`, rounded down to the longest kline that divides the interval.  Raises VenueError.
        """
        kline = binance_rest.kline_for(interval, self._timeframes())
        if kline is None or count < 1:
            return []
        _, length = kline
        count = min(count, max(1, self._wire.known.kline_reach * length // interval))
        end = Nanos(min(before, self._wire.venue_now()) // length * length)
        klines = await self._klines(symbol, kline, Nanos(end - interval * count), end)
        return binance_rest.merge(klines, length, interval, end, count)

    async def _klines(self, symbol: str, kline: tuple[str, Nanos], start: Nanos, end: Nanos) -> list[Bar]:
        market, (name, length) = self._wire.market(symbol), kline
        found: list[Bar] = []
        while start < end:
            answer = await self._wire.ask("klines", self._klined(symbol, market, name, start, end))
            try:
                page = [self._read_kline(row, market.instrument) for row in rows(answer, f"{self._name}, klines")]
            except (ValueError, ArithmeticError) as error:
                raise VenueError(f"{self._name}, klines: {error}") from None
            page = [bar for bar in page if start <= bar.start < end]
            if any(bar.start % length for bar in page):
                raise VenueError(f"{self._name}, klines: those of {name} do not begin with the day in UTC")
            found += page
            # An empty page tells of its own span only: later ones may not be empty.
            passed = page[-1].start + length if page else start + length * self._wire.known.kline_page
            start = Nanos(passed)
        return found

    async def _get(self, request: Request) -> Any:
        # ccxt insists on a key for public endpoints that want none, so that its own methods cannot serve paper trading.
        data = self._wire.data
        headers = {} if request.header is None else dict([request.header])
        if request.key_header is not None and self._credentials is not None:
            headers[request.key_header] = self._credentials.api_key
        await data.throttle(request.weight)
        if request.body is None:
            return await data.fetch(request.url, "GET", headers, None)
        headers["Content-Type"] = "application/json"
        return await data.fetch(request.url, "POST", headers, json.dumps(dict(request.body)))

    # ---------------------------------------------------------------------------------------- ccxt's unified calls

    def _timeframes(self) -> frozenset[str]:
        # Binance's futures have no klines of a second, though ccxt says so.
        return frozenset(self._wire.data.timeframes or ()) - {"1s"}

    def _quoted(self, symbol: str, _market: Market) -> Any:
        return self._wire.data.fetch_order_book(symbol, BOOK_DEPTH)

    def _read_quote(self, answer: Any, market: Market) -> QuoteChanged:
        quote = ccxt_unified.book_quote(answer, market.grid, self._wire.clock())
        if quote is None:
            raise ValueError("a side of the book is empty, or the book is crossed")
        return quote

    def _klined(self, symbol: str, _market: Market, name: str, start: Nanos, _end: Nanos) -> Any:
        return self._wire.data.fetch_ohlcv(symbol, name, start // NANOS_PER_MS, self._wire.known.kline_page)

    def _read_kline(self, row: Any, instrument: Instrument) -> Bar:
        """A unified candle has no value: the mean of its high, low and close stands for its price."""
        if not isinstance(row, Sequence) or isinstance(row, str) or len(row) < 6:
            raise ValueError("not a candle")
        high, low, close, volume = (exact(value) for value in row[2:6])
        return Bar(
            start=nanos(int(row[0])),
            volume=instrument.lots_down(volume),
            notional=instrument.notional_down((high + low + close) / 3 * volume),
            close=instrument.ticks_not_worse(close, Side.BUY),
            trades=0,
        )


class BinanceData(MarketData):
    """Binance Spot in its own words: ccxt's unified form loses exactness there."""

    def _timeframes(self) -> frozenset[str]:
        return frozenset(binance_rest.KLINES)

    def _quoted(self, _symbol: str, market: Market) -> Any:
        return self._wire.data.public_get_ticker_bookticker({"symbol": market.id})

    def _read_quote(self, answer: Any, market: Market) -> QuoteChanged:
        return binance_rest.quote(answer, market.grid, self._wire.clock())

    def _klined(self, _symbol: str, market: Market, name: str, start: Nanos, end: Nanos) -> Any:
        asked = {
            "symbol": market.id,
            "interval": name,
            "startTime": start // NANOS_PER_MS,
            "endTime": end // NANOS_PER_MS - 1,
            "limit": binance_rest.PAGE,
        }
        return self._wire.data.public_get_klines(asked)

    def _read_kline(self, row: Any, instrument: Instrument) -> Bar:
        return binance_rest.kline_bar(row, instrument)


def _trade(row: Any, market: Market) -> TradePrinted:
    """A trade in ccxt's unified form, with numbers as strings.  Raises ValueError."""
    trade = ccxt_unified.trade(row, market.grid)
    if not row.get("id"):
        raise ValueError("they come without the ids of the stream's trades, so that some would count twice")
    return trade
