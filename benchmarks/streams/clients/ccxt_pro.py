"""ccxt.pro's watch_trades, as its documentation has it: a loop that awaits and takes what is new."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import ccxt.pro

from benchmarks import rest, wire
from benchmarks.streams.clients.tally import run, stamps, task

PATIENCE_S = 120.0


def client(port: int) -> Any:
    """The exchange, its stream and its orders led to loopback; the one market is given, not asked for."""
    exchange = ccxt.pro.binance(
        {"options": {"defaultType": "spot", "crossMarginPairsData": [], "isolatedMarginPairsData": []}}
    )
    # ccxt tells spot from futures by "/stream" in the URL.
    exchange.urls["api"]["ws"]["spot"] = f"ws://127.0.0.1:{port}/stream"
    exchange.set_markets([exchange.parse_market(rest.MARKETS)])
    return exchange


def main() -> None:
    """Listen once."""
    given = task(sys.argv)
    arrivals, first, last = stamps(given), given.first, given.last

    async def listen(finish: Callable[[int], None]) -> None:
        exchange = client(given.port)
        if given.ring:
            exchange.options["tradesLimit"] = given.ring
        seen, volume, notional, now = 0, 0.0, 0.0, time.perf_counter_ns
        try:
            while True:
                async with asyncio.timeout(PATIENCE_S):
                    trades = await exchange.watch_trades(wire.SYMBOL)
                for trade in trades:
                    volume += trade["amount"]
                    notional += trade["cost"]
                    if arrivals is not None:
                        arrivals[int(trade["id"]) - first] = now()
                seen += len(trades)
                if int(trades[-1]["id"]) == last:
                    return finish(seen)
        finally:
            await exchange.close()

    run(given, listen, arrivals)


if __name__ == "__main__":
    main()
