"""Binance USD-M futures: `<symbol>@trade` and `<symbol>@bookTicker` on the /public tier; trade ids rise by one.

The trade stream tells more than the market's trades: ids that were used up without a trade (`X` is NA, price and
quantity 0), and positions that the exchange closed itself (INSURANCE_FUND, ADL).  These are told as `TradeBusted`, so
that they are no gap and no volume.  REST leaves the same ids out (`sparse`).  An `X` that is not known here is a bad
frame, so that REST decides whether it was a trade.

Formats: developers.binance.com, derivatives, usds-margined-futures: "Individual Symbol Book Ticker Streams", "Recent
Trades List" and "Old Trades Lookup"; the trade stream has no page there, its `X` is known from recorded frames.
"""

from __future__ import annotations

from execd.core.events import TradeBusted
from execd.core.grid import Nanos
from execd.venues.streams.feed import BadFrame, Facts
from execd.venues.streams.feeds.binance import BinanceFeed, Ticker, Trade

OF_THE_MARKET = frozenset({"MARKET", "RPI"})
"""Values of `X` for a trade in the order book; RPI: with an order that only takers by hand can meet."""

BESIDE_IT = frozenset({"NA", "INSURANCE_FUND", "ADL"})
"""Values of `X` for what is no trade of the market."""


class BinanceFuturesFeed(BinanceFeed):
    """One market of Binance USD-M futures: as spot, but for where it is, what it costs, and what is no trade."""

    page_most = 500
    sparse = True
    streams_at = ("wss://fstream.binance.com/public", "wss://fstream.binancefuture.com/public")
    rest_at = ("https://fapi.binance.com/fapi/v1", "https://demo-fapi.binance.com/fapi/v1")
    old_weight = 20
    key_header = "X-MBX-APIKEY"

    def _print(self, trade: Trade) -> Facts:
        if trade.kind in BESIDE_IT:
            return (TradeBusted(trade.id),)
        if trade.kind not in OF_THE_MARKET:
            raise BadFrame(f"a trade of the unknown kind {trade.kind[:40]!r}")
        return super()._print(trade)

    def _best(self, ticker: Ticker, now: Nanos) -> Facts:
        if ticker.at_ms is None:
            raise BadFrame("a quote without its time")
        return super()._best(ticker, now)
