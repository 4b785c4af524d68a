"""ccxt.pro alone: watch_trades, and create_order where a trade is a trigger."""

from __future__ import annotations

import asyncio
import itertools

from benchmarks import wire
from benchmarks.streams.clients.ccxt_pro import client
from benchmarks.streams.clients.tally import factory
from benchmarks.tick_to_order.clients.job import API_KEY, CHILD, LIMIT, SECRET, TRIGGER, job


def main() -> None:
    """Listen until the exchange closes."""
    given = job()

    async def listen() -> None:
        exchange, numbers = client(given.port), itertools.count(1)
        exchange.apiKey, exchange.secret = API_KEY, SECRET
        # Its queue of 50 ms an order would be all that is measured.
        exchange.enableRateLimit = False
        for name in ("public", "private", "v1", "sapi"):
            exchange.urls["api"][name] = f"http://127.0.0.1:{given.port}/api/v3"
        while True:
            for trade in await exchange.watch_trades(wire.SYMBOL):
                if trade["amount"] >= TRIGGER:
                    params = {"newClientOrderId": f"ccxt{next(numbers)}", "timeInForce": "IOC"}
                    await exchange.create_order(wire.SYMBOL, "limit", "buy", float(CHILD), float(LIMIT), params)

    with asyncio.Runner(loop_factory=factory(given.loop)) as runner:
        runner.run(listen())


if __name__ == "__main__":
    main()
