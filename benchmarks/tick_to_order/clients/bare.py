"""The floor: websockets and msgspec, one comparison, one signed request written by hand."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
from websockets.asyncio.client import connect

from benchmarks.streams.clients.tally import factory
from benchmarks.tick_to_order.clients.hand import Hand
from benchmarks.tick_to_order.clients.job import CHILD, LIMIT, TRIGGER, job


class Trade(msgspec.Struct, gc=False):
    """What a sum needs of a trade."""

    p: float
    q: float


class Frame(msgspec.Struct, gc=False):
    """One frame of the combined stream; a quote has no `p` and is none."""

    stream: str
    data: msgspec.Raw


def main() -> None:
    """Listen until the exchange closes."""
    given = job()

    async def listen() -> None:
        envelope, decode = msgspec.json.Decoder(Frame).decode, msgspec.json.Decoder(Trade, strict=False).decode
        hand, volume, notional, numbers = await Hand.connected(given.port), 0.0, 0.0, itertools.count(1)
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "IOC", "newOrderRespType": "FULL"}
        order |= {"quantity": CHILD, "price": LIMIT}
        url = f"ws://127.0.0.1:{given.port}/stream?streams=btcusdt@trade/btcusdt@bookTicker"
        async with connect(url, compression=None, proxy=None, close_timeout=0.1) as socket:
            while True:
                frame = envelope(await socket.recv(decode=False))
                if frame.stream != "btcusdt@trade":
                    continue
                trade = decode(frame.data)
                volume += trade.q
                notional += trade.p * trade.q
                if trade.q >= TRIGGER:
                    hand.write({**order, "newClientOrderId": f"bare{next(numbers)}"})

    with asyncio.Runner(loop_factory=factory(given.loop)) as runner:
        runner.run(listen())


if __name__ == "__main__":
    main()
