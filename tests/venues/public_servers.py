"""Exchanges' public sides for ccxt.pro to talk to, behind their own host names, over TLS on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiohttp import WSMsgType, web

from execd.core.events import StreamRestored, TradePrinted
from execd.core.grid import Nanos
from execd.exchange import certificates
from execd.venues.backoff import Backoff
from execd.venues.capabilities import CAPABILITIES
from execd.venues.ccxt_client import make_client
from execd.venues.digits import Grid
from execd.venues.loopback import Endpoint
from execd.venues.streams import StreamLimits
from execd.venues.streams.ccxt_pro import CcxtProStream
from tests.venues.helpers import SYMBOL, WAIT_S, an_instrument

NOW = Nanos(1_790_000_000_000_000_000)
AT_MS = 1_701_910_980_000
QUICK = StreamLimits(stale_s=60.0, first_delay_s=0.01, longest_delay_s=0.05)


@dataclass
class Server:
    """An exchange's public side, as far as a test needs it: what it is told, who is connected, what REST answers."""

    endpoint: Endpoint = field(default_factory=lambda: Endpoint(None, None))
    rows: list[dict[str, Any]] = field(default_factory=list)
    book: bool = True
    deaf: int = 0  # subscriptions that are still to be ignored
    refused: int = 0  # dials that are still to be refused
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    asked: list[web.Request] = field(default_factory=list)
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket, or REST."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await self.answer(request)
        if self.refused:
            self.refused -= 1
            raise web.HTTPServiceUnavailable
        self.asked.append(request)
        socket = web.WebSocketResponse(autoping=True, compress=True)
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT and message.data != "ping":
                await self.hear(socket, json.loads(message.data))
            elif message.data == "ping":
                await socket.send_str("pong")
        return socket

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Bitget's newest trades."""
        assert "/api/v2/spot/market/fills-history" == request.path
        return web.json_response({"code": "00000", "msg": "success", "requestTime": AT_MS, "data": self.rows})

    async def hear(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        """Bitget's subscription."""
        for argument in message["args"]:
            if self.deaf:
                self.deaf -= 1
                continue
            await socket.send_json({"event": "subscribe", "arg": argument})
            if self.book and argument["channel"] != "trade":
                await self.say(bitget_quote(), socket)
        async with self.moved:
            self.said.append(message)
            self.moved.notify_all()

    async def say(self, message: object, socket: web.WebSocketResponse | None = None) -> None:
        """Send a frame over the newest connection."""
        await (socket or self.sockets[-1]).send_str(message if isinstance(message, str) else json.dumps(message))

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until what was said meets a condition."""
        async with asyncio.timeout(WAIT_S), self.moved:
            await self.moved.wait_for(met)

    def subscriptions(self, channel: str) -> int:
        """How often a channel was subscribed to."""
        return sum(argument["channel"] == channel for message in self.said for argument in message["args"])


class Deribit(Server):
    """Deribit's public side: numbers for numbers, and ccxt puts a new cache in place with every frame of trades."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """It does not like to be asked."""
        return web.json_response({"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many_requests"}})

    async def hear(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        """JSON-RPC."""
        if message.get("method") != "public/subscribe":
            return
        channels = message["params"]["channels"]
        await socket.send_json({"jsonrpc": "2.0", "id": message["id"], "result": channels})
        if channels[0].startswith("quote."):
            data = {
                "best_bid_amount": 1.5,
                "best_ask_amount": 0.00002,
                "best_bid_price": 43854,
                "best_ask_price": 43854.02,
                "instrument_name": "BTC_USDT",
                "timestamp": AT_MS,
            }
            await self.tell(channels[0], data)
        async with self.moved:
            self.said.append(message)
            self.moved.notify_all()

    async def tell(self, channel: str, data: object) -> None:
        """A notification."""
        await self.say({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}})

    async def trade(self, *numbers: int) -> None:
        """Some trades in a frame."""
        rows = [
            {
                "trade_seq": number,
                "trade_id": f"USDT-{number}",
                "timestamp": AT_MS + number,
                "price": 43854.01,
                "instrument_name": "BTC_USDT",
                "direction": "sell",
                "amount": 0.0535,
            }
            for number in numbers
        ]
        await self.tell("trades.BTC_USDT.100ms", rows)

    def subscriptions(self, channel: str) -> int:
        """How often a channel was subscribed to."""
        return sum(message["params"]["channels"][0].startswith(channel) for message in self.said)


class Kucoin(Server):
    """KuCoin's public side: the address of the stream is asked for first, and ids are no numbers."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """A token and where to go with it, or no trades."""
        if request.path != "/api/v1/bullet-public":
            return web.json_response({"code": "200000", "data": []})
        place = {
            "endpoint": "wss://ws-api-spot.kucoin.com/",
            "encrypt": True,
            "protocol": "websocket",
            "pingInterval": 18000,
            "pingTimeout": 10000,
        }
        return web.json_response({"code": "200000", "data": {"token": "t", "instanceServers": [place]}})

    async def hear(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        """A topic at a time."""
        if message.get("type") != "subscribe":
            return
        await socket.send_json({"id": message["id"], "type": "ack"})
        if "level1" in message["topic"]:
            data = {"asks": ["43854.02", "0.00002"], "bids": ["43854.00", "1.5"], "timestamp": AT_MS}
            await self.say({"topic": message["topic"], "type": "message", "subject": "level1", "data": data})
        async with self.moved:
            self.said.append(message)
            self.moved.notify_all()

    async def trade(self, *numbers: int) -> None:
        """Some trades, each in a frame."""
        for number in numbers:
            data = {
                "sequence": str(number),
                "symbol": "BTC-USDT",
                "side": "sell",
                "size": "0.0535",
                "price": "43854.01",
                # In the middle of a millisecond: ccxt takes this for a float.
                "time": str((AT_MS + number) * 1_000_000 + 500_000),
                "type": "match",
                "tradeId": f"5e356c4aeefabd62c62a{number:04x}",
            }
            topic = "/market/match:BTC-USDT"
            await self.say({"topic": topic, "type": "message", "subject": "trade.l3match", "data": data})

    def subscriptions(self, channel: str) -> int:
        """How often a channel was subscribed to."""
        return sum("match" in message["topic"] for message in self.said)


class Sink:
    """Keeps facts; a test waits for what it needs."""

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self._moved = asyncio.Event()

    def __call__(self, fact: Any) -> None:
        self.facts.append(fact)
        self._moved.set()

    async def until(self, met: Callable[[], Any]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not met():
                self._moved.clear()
                await self._moved.wait()

    def of(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    @property
    def ids(self) -> list[int]:
        return [fact.id for fact in self.facts if isinstance(fact, TradePrinted)]


def row(number: int, **changes: object) -> dict[str, object]:
    """One of Bitget's trades."""
    told = {
        "ts": str(AT_MS + number),
        "price": "43854.01",
        "size": "0.05350",
        "side": "sell",
        "tradeId": str(number),
    }
    return {**told, **changes}


def frame(*rows: dict[str, object]) -> dict[str, Any]:
    """A frame of Bitget's trades, which has the newest first."""
    return {
        "action": "update",
        "arg": {"instType": "SPOT", "channel": "trade", "instId": "BTCUSDT"},
        "data": list(rows)[::-1],
        "ts": AT_MS,
    }


def bitget_quote(**changes: object) -> dict[str, Any]:
    """A frame of Bitget's best quotes."""
    ticker = {
        "instId": "BTCUSDT",
        "lastPr": "43854.01",
        "bidPr": "43854.00",
        "askPr": "43854.02",
        "bidSz": "1.5",
        "askSz": "0.00002",
        "ts": str(AT_MS),
        **changes,
    }
    return {
        "action": "snapshot",
        "arg": {"instType": "SPOT", "channel": "ticker", "instId": "BTCUSDT"},
        "data": [ticker],
        "ts": AT_MS,
    }


@contextlib.asynccontextmanager
async def serving(folder: Path, server: Server) -> AsyncIterator[Server]:
    """Serve every exchange's own host names over TLS."""
    names = [name for caps in CAPABILITIES.values() for host in caps.hosts for name in (host, f"*.{host}")]
    with patch.object(certificates, "HOST_NAMES", tuple(names)):
        identity = certificates.make_identity(folder)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.serve)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=identity.context)
    await site.start()
    server.endpoint = Endpoint(runner.addresses[0][1], identity.authority)
    try:
        yield server
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def markets(exchange: str, market_id: str, **more: object) -> AsyncIterator[Any]:
    """A ccxt exchange that knows one market."""
    client = make_client(
        CAPABILITIES[exchange],
        None,
        session=None,
        venue_ms=lambda: AT_MS,
        backoff=Backoff(lambda: AT_MS),
        doubt_clock=lambda: None,
        recv_window_ms=3000,
        timeout_s=10,
        sandbox=False,
        limited=False,
    )
    client.timeout_on_exit = 0
    base, quote = SYMBOL.split("/")
    market = {
        "id": market_id,
        "symbol": SYMBOL,
        "base": base,
        "quote": quote,
        "baseId": base,
        "quoteId": quote,
        "type": "spot",
        "spot": True,
        "active": True,
        "precision": {"price": "0.01", "amount": "0.00001"},
        **more,
    }
    client.set_markets([client.safe_market_structure(market)])
    try:
        yield client
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def streaming(
    server: Server, sink: Sink, limits: StreamLimits = QUICK, exchange: str = "bitget", market_id: str = "BTCUSDT"
) -> AsyncIterator[CcxtProStream]:
    """A running stream."""
    async with markets(exchange, market_id) as source:
        stream = CcxtProStream(
            CAPABILITIES[exchange],
            SYMBOL,
            Grid(an_instrument()),
            server.endpoint,
            limits,
            markets=source,
            clock=lambda: NOW,
        )
        task = asyncio.create_task(stream.run(sink))
        try:
            yield stream
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()


async def flowing(server: Server, sink: Sink, times: int = 1) -> None:
    """Wait until the trades were subscribed to and the stream was called restored so many times."""
    await server.until(lambda: server.subscriptions("trade") >= times)
    await sink.until(lambda: len(sink.of(StreamRestored)) >= times)
