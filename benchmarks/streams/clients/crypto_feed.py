"""cryptofeed's own Binance feed and handler on its own connection; its trades are Binance's aggregated ones.

Runs in the environment of the peers.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import cryptofeed.connection
from cryptofeed import FeedHandler
from cryptofeed.connection import WebsocketEndpoint
from cryptofeed.defines import TRADES
from cryptofeed.exchanges import Binance
from cryptofeed.symbols import Symbols

from benchmarks.streams.clients.tally import Told, stamps, task, tell

PAIR = "BTC-USDT"


def main() -> None:
    """Listen once."""
    given = task(sys.argv)
    arrivals, first, last = stamps(given), given.first, given.last
    told, sums = Told(), [0.0, 0.0]
    connect = cryptofeed.connection.connect
    # Its connections insist on a wss:// address; the flood comes without TLS, to everybody.
    cryptofeed.connection.connect = lambda address, **kwargs: connect(address.replace("wss:", "ws:", 1), **kwargs)
    Binance.websocket_endpoints = [WebsocketEndpoint(f"wss://127.0.0.1:{given.port}")]
    Symbols.set(Binance.id, {PAIR: "BTCUSDT"}, {"tick_size": {PAIR: "0.01"}, "instrument_type": {PAIR: "spot"}})

    async def on_trade(trade: Any, _received: float) -> None:
        sums[0] += float(trade.amount)
        sums[1] += float(trade.amount * trade.price)
        told.seen += 1
        number = int(trade.id)
        if arrivals is not None:
            arrivals[number - first] = time.perf_counter_ns()
        if number == last:
            told.ended_ns, told.cpu_s = time.perf_counter_ns(), time.process_time() - began
            tell(given, told, arrivals)
            os._exit(0)  # Its own way out takes ten seconds.

    asyncio.set_event_loop(asyncio.new_event_loop())
    handler = FeedHandler(config={"uvloop": given.loop == "uvloop", "log": {"disabled": True}})
    if given.loop == "uvloop":
        asyncio.set_event_loop(asyncio.new_event_loop())
    handler.add_feed(Binance(symbols=[PAIR], channels=[TRADES], callbacks={TRADES: on_trade}))
    began = time.process_time()
    handler.run(install_signal_handlers=False)


if __name__ == "__main__":
    main()
