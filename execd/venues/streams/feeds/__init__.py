"""The exchanges whose public streams we read ourselves, by ccxt's names; all others come through ccxt.pro."""

from __future__ import annotations

from collections.abc import Mapping

from execd.venues.streams.feed import Feed
from execd.venues.streams.feeds.binance import BinanceFeed
from execd.venues.streams.feeds.binance_futures import BinanceFuturesFeed
from execd.venues.streams.feeds.bybit import BybitFeed
from execd.venues.streams.feeds.coinbase import CoinbaseFeed
from execd.venues.streams.feeds.gate import GateFeed
from execd.venues.streams.feeds.hyperliquid import HyperliquidFeed
from execd.venues.streams.feeds.kraken import KrakenFeed
from execd.venues.streams.feeds.okx import OkxFeed

FEEDS: Mapping[str, type[Feed]] = {
    "binance": BinanceFeed,
    "binanceusdm": BinanceFuturesFeed,
    "bybit": BybitFeed,
    "coinbase": CoinbaseFeed,
    "gate": GateFeed,
    "hyperliquid": HyperliquidFeed,
    "kraken": KrakenFeed,
    "okx": OkxFeed,
}
