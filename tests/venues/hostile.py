"""A practice exchange behind a line that misbehaves on demand: the faults that lose money, one at a time.

Every request passes a TLS proxy of ours that can do the request and lose, cut, garble or delay the answer; every
WebSocket frame passes it too, so that connections can be cut, frozen, or fed nonsense.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import aiohttp
from aiohttp import WSMsgType, web

from execd.core.grid import Nanos, Side, Ticks
from execd.exchange import server
from execd.exchange.certificates import make_identity
from execd.exchange.market import Floor
from execd.exchange.options import ExchangeOptions, Opening
from execd.exchange.server import PracticeExchange
from execd.venues.credentials import Credentials
from execd.venues.loopback import Endpoint
from tests.exchange.quiet import QuietMarket
from tests.venues.helpers import SYMBOL, WAIT_S

Answer = tuple[int, str, bytes]

BID, ASK = 4_999_999, 5_000_001
JSON = "application/json"
HOP_BY_HOP = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}


class Hostile:
    """The line.  `faults` are used up one a request, by `METHOD path`; `requests` are all that came."""

    def __init__(self, exchange: PracticeExchange, market: Strangers, clock: TestClock) -> None:
        self.exchange, self.market, self.clock = exchange, market, clock
        self.faults: dict[str, deque[str]] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.held, self.spoiled = asyncio.Event(), asyncio.Event()
        self.refusing = False
        self.drop_frames: Callable[[bytes], bool] = lambda _: False
        self.dropped = 0
        self._moved = asyncio.Condition()
        self.connected: list[tuple[str, web.WebSocketResponse, web.Request]] = []
        self.endpoint: Endpoint
        self._http: aiohttp.ClientSession
        self._runner: web.AppRunner

    @property
    def credentials(self) -> Credentials:
        """The account's key."""
        key = self.exchange.endpoints.key
        return Credentials(key.api_key, key.secret)

    def fault(self, request: str, *kinds: str) -> None:
        """Let the next requests of a kind, as `POST /api/v3/order`, end in these faults, one each."""
        self.faults[request] = deque(kinds)

    def sent(self, request: str) -> list[str]:
        """The bodies or query strings of all requests of a kind that came."""
        method, path = request.split()
        return [text for made, where, text in self.requests if (made, where) == (method, path)]

    def trade(self, side: Side, quantity: int, limit: int | None = None) -> None:
        """Let a stranger take some lots, and everybody hear of it."""
        edge = limit if limit is not None else 10**7 if side is Side.BUY else 1
        self.market.wishes.append((side, quantity, Ticks(edge)))
        self.exchange.hall.catch_up()

    def cut(self, where: str) -> None:
        """Reset every WebSocket of a kind (`stream` or `ws-api`)."""
        for path, _, request in self.connected:
            if where in path and request.transport is not None:
                request.transport.abort()

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until what passed the line meets a condition.  Raises TimeoutError."""
        async with asyncio.timeout(WAIT_S), self._moved:
            await self._moved.wait_for(met)

    async def _move(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def inject(self, where: str, text: str) -> None:
        """Send a frame of our own to every client of a kind."""
        for path, client, _ in self.connected:
            if where in path and not client.closed:
                await client.send_str(text)

    @contextlib.asynccontextmanager
    async def open(self, folder: Path) -> AsyncIterator[Hostile]:
        """Listen on loopback with an authority of our own."""
        identity = make_identity(folder)
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=identity.context)
        await site.start()
        self.endpoint = Endpoint(runner.addresses[0][1], identity.authority)
        self._http = aiohttp.ClientSession()
        self._runner = runner
        try:
            yield self
        finally:
            await self.close()

    async def close(self) -> None:
        """Let go of everything: from now on connections are refused."""
        self.held.set()
        for _, _, request in self.connected:
            if request.transport is not None:
                request.transport.abort()
        await self._http.close()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._relay(request)
        body = await request.read()
        self.requests.append((request.method, request.path, body.decode() or request.query_string))
        await self._move()
        waiting = self.faults.get(f"{request.method} {request.path}")
        kind = waiting.popleft() if waiting else ""
        if kind.startswith("code "):
            _, status, code, text = kind.split(" ", 3)
            return web.Response(
                status=int(status), body=f'{{"code":{code},"msg":"{text}"}}'.encode(), content_type=JSON
            )
        return await self._spoil(kind, request, await self._forward(request, body))

    async def _forward(self, request: web.Request, body: bytes) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        url = f"{self.exchange.endpoints.rest}{request.rel_url}"
        async with self._http.request(request.method, url, data=body or None, headers=headers) as answer:
            return answer.status, answer.content_type, await answer.read()

    async def _spoil(self, kind: str, request: web.Request, answer: Answer) -> web.StreamResponse:
        status, content_type, body = answer
        if kind:
            self.spoiled.set()
        match kind:
            case "hang":
                await self.held.wait()
            case "drop":
                assert request.transport is not None
                request.transport.abort()
            case "truncate":
                cut = web.StreamResponse(headers={"Content-Length": str(len(body) + 500), "Content-Type": JSON})
                await cut.prepare(request)
                await cut.write(body[:20])
                assert request.transport is not None
                request.transport.close()
                return cut
            case "503 json":
                text = b'{"code":-1000,"msg":"Unknown error, please check your request or try again later."}'
                return web.Response(status=503, body=text, content_type=JSON)
            case "503 polite":
                return web.Response(status=503, body=b'{"code":-2010,"msg":"Filter failure"}', content_type=JSON)
            case "502 html" | "503 html" | "504 html":
                return web.Response(status=int(kind[:3]), text="<html>sorry</html>", content_type="text/html")
            case "200 html":
                return web.Response(text="<html>captive portal</html>", content_type="text/html")
            case "200 empty":
                return web.Response(text="", content_type=JSON)
            case "200 cut":
                return web.Response(body=body[: len(body) // 2], content_type=JSON)
            case "200 other":
                return web.Response(body=body.replace(b"p1n", b"p9n"), content_type=JSON)
        return web.Response(status=status, body=body, content_type=content_type)

    async def _relay(self, request: web.Request) -> web.StreamResponse:
        if self.refusing:
            return web.Response(status=503)
        url = f"{self.exchange.endpoints.ws}{request.rel_url}"
        async with self._http.ws_connect(url) as upstream:
            client = web.WebSocketResponse()
            await client.prepare(request)
            self.connected.append((request.path, client, request))
            await self._move()
            back = asyncio.create_task(self._back(upstream, client))
            try:
                async for message in client:
                    if message.type is WSMsgType.TEXT:
                        await upstream.send_str(message.data)
            finally:
                back.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await back
        return client

    async def _back(self, upstream: aiohttp.ClientWebSocketResponse, client: web.WebSocketResponse) -> None:
        async for message in upstream:
            if message.type is not WSMsgType.TEXT:
                continue
            if self.drop_frames(message.data.encode()):
                self.dropped += 1
                await self._move()
            else:
                await client.send_str(message.data)


class Strangers(QuietMarket):
    """A market that only moves when a test moves it: 49,999.99 to 50,000.01, five bitcoin on each side."""

    def __init__(self) -> None:
        super().__init__()
        self.wishes: deque[tuple[Side, int, Ticks]] = deque()
        self._now = Nanos(0)

    def next_at(self) -> Nanos | None:
        """At once, if somebody wants to trade."""
        return self._now if self.wishes else None

    def catch_up(self, now: Nanos) -> None:
        """Know the time."""
        self._now = now

    def act(self) -> None:
        """Let the next stranger take."""
        side, quantity, limit = self.wishes.popleft()
        self.floor.take(self._now, SYMBOL, side, quantity, limit)

    def open(self, now: Nanos, symbols: Sequence[str], floor: Floor) -> None:
        """Set up the first book and one print."""
        super().open(now, symbols, floor)
        self.rest(Side.SELL, ASK, 500_000)
        self.rest(Side.BUY, BID, 500_000)
        floor.take(now, SYMBOL, Side.BUY, 1_000, Ticks(ASK))


class TestClock:
    """The machine's time, moved on at will; the exchange and the adapter share it."""

    __test__ = False

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> Nanos:
        """The time now."""
        return Nanos(time.time_ns() + self.ahead)


@contextlib.asynccontextmanager
async def hostile_exchange(folder: Path) -> AsyncIterator[Hostile]:
    """A practice exchange with a market of ours, behind a hostile line."""
    market, clock = Strangers(), TestClock()
    opening = Opening(market, [SYMBOL], None)
    with patch.object(server, "open_market", lambda *_: opening):
        exchange = PracticeExchange(ExchangeOptions(symbols=(SYMBOL,)), clock=clock)
        await exchange.__aenter__()
    try:
        async with Hostile(exchange, market, clock).open(folder) as line:
            yield line
    finally:
        await exchange.__aexit__(None, None, None)
