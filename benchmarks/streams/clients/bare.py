"""The floor: websockets and msgspec, floats for numbers, two sums; nothing is checked, kept or recovered."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import msgspec
from websockets.asyncio.client import connect

from benchmarks.streams.clients.tally import run, stamps, task


class Trade(msgspec.Struct, gc=False):
    """What a sum needs of a trade."""

    t: int
    p: float
    q: float


class Frame(msgspec.Struct, gc=False):
    """One frame of the combined stream."""

    data: Trade


def main() -> None:
    """Listen once."""
    given = task(sys.argv)
    arrivals, first, last = stamps(given), given.first, given.last

    async def listen(finish: Callable[[int], None]) -> None:
        decode = msgspec.json.Decoder(Frame, strict=False).decode
        seen, volume, notional, now = 0, 0.0, 0.0, time.perf_counter_ns
        url = f"ws://127.0.0.1:{given.port}/stream?streams=btcusdt@trade"
        async with connect(url, compression=None, proxy=None, close_timeout=0.1) as socket:
            receive = socket.recv
            while True:
                trade = decode(await receive(decode=False)).data
                volume += trade.q
                notional += trade.p * trade.q
                seen += 1
                if arrivals is not None:
                    arrivals[trade.t - first] = now()
                if trade.t == last:
                    return finish(seen)

    run(given, listen, arrivals)


if __name__ == "__main__":
    main()
