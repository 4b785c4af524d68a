"""The REST front end in bad weather: what a rule makes of a request's answer.

Promise: it stands around `RestFront.answer` and changes nothing of it; where a rule says `taken`, the request has been
done, and where it does not, it has not and never will be.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from execd.core.grid import SECOND, Nanos
from execd.exchange import wire
from execd.exchange.faults import (
    KNOWN_CODES,
    Answer,
    Ban,
    Cut,
    Delay,
    Drip,
    Filter,
    Hang,
    Lag,
    NotFound,
    Page,
    RequestRule,
    Skew,
    Taking,
)
from execd.exchange.hall import Hall
from execd.exchange.records import ExchangeRefusal
from execd.exchange.storm import Seen, Storm

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
JSON = "application/json"
HTML = "<html><head><title>Bad gateway</title></head><body>cloud</body></html>"
TEAPOT, TOO_MANY, UNAVAILABLE = 418, 429, 503
MILLISECOND = 1_000_000


def guarded(storm: Storm, handler: Handler) -> Handler:
    """The same handler, which lets nobody in during a ban or maintenance."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if storm.shut:
            return _json(UNAVAILABLE, {"code": -1016, "msg": "This service is no longer available."})
        if storm.banned_s:
            return _banned(TEAPOT, storm)
        return await handler(request)

    return answer


class StormyRest:
    """Answers HTTP requests, some of them wrongly."""

    def __init__(self, storm: Storm, hall: Hall, front: Handler) -> None:
        self._storm = storm
        self._hall = hall
        self._front = front
        self._over = asyncio.Event()

    def clear(self) -> None:
        """Let everybody go who is kept waiting: the exchange closes."""
        self._over.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, by the rule that takes it if any does."""
        await request.read()  # kept by the request: whatever happens to the connection, it has arrived
        rule = self._storm.request(await self._seen(request))
        return await (self._front(request) if rule is None else self._spoiled(rule, request))

    async def _spoiled(self, rule: RequestRule, request: web.Request) -> web.StreamResponse:
        match rule:
            case Ban():
                self._storm.ban(rule)
                return _banned(TOO_MANY, self._storm)
            case Filter():
                return _json(400, {"code": -1013, "msg": f"Filter failure: {rule.filter or self._storm.a_filter()}"})
            case NotFound():
                lost = KNOWN_CODES[-2011 if request.method == "DELETE" else -2013]
                return _json(lost[0], {"code": -2011 if request.method == "DELETE" else -2013, "msg": lost[1]})
            case Delay(taken=False):
                await self._pause(rule.for_s)
                return await self._front(request)
        if isinstance(rule, Taking) and not rule.taken:
            return await self._instead(rule, request)
        done = await self._front(request)
        if isinstance(rule, Delay):
            await self._pause(rule.for_s)
            return done
        if isinstance(rule, Taking):
            return await self._instead(rule, request)
        assert isinstance(done, web.Response), "the front end answers whole"
        return await self._altered(rule, request, done)

    async def _instead(self, rule: Taking, request: web.Request) -> web.StreamResponse:
        """What comes in an answer's stead."""
        match rule:
            case Answer():
                status, message = KNOWN_CODES.get(rule.code, (0, ""))
                headers = {} if rule.retry_after_s is None else {"Retry-After": str(rule.retry_after_s)}
                body: wire.Json = {"code": rule.code, "msg": rule.message or message}
                return _json(rule.status or status, body, headers)
            case Page():
                return web.Response(status=rule.status, text=HTML, content_type="text/html")
            case Hang():
                await self._pause(rule.for_s)
        return _reset(request)  # Drop, and the end of Hang

    async def _altered(self, rule: RequestRule, request: web.Request, done: web.Response) -> web.StreamResponse:
        """An answer that is there, told late, in parts, or not quite as it is."""
        body = done.body
        assert isinstance(body, bytes)
        match rule:
            case Cut():
                return await self._in_parts(request, done, len(body) // 2 + 1, 0.0, whole=False)
            case Drip():
                return await self._in_parts(request, done, rule.bytes, rule.every_s, whole=True)
            case Lag():
                done.body = self._without_young(body, rule)
            case Skew():
                done.body = _skewed(body, rule.ms)
        return done

    async def _in_parts(
        self, request: web.Request, done: web.Response, size: int, every_s: float, *, whole: bool
    ) -> web.StreamResponse:
        body = done.body
        assert isinstance(body, bytes)
        slow = web.StreamResponse(status=done.status, headers={"Content-Length": str(len(body)), "Content-Type": JSON})
        # A client that has gone away in the meantime is what a slow answer must expect.
        with contextlib.suppress(ConnectionError):
            await slow.prepare(request)
            for start in range(0, len(body) if whole else 1, size):
                await slow.write(body[start : start + size])
                await self._pause(every_s)
        if not whole and request.transport is not None:
            request.transport.close()  # not `abort`: what was written must reach the client
        return slow

    def _without_young(self, body: bytes, rule: Lag) -> bytes:
        rows = msgspec.json.decode(body)
        since_ms = (self._hall.clock() - rule.for_s * SECOND) / MILLISECOND
        if not isinstance(rows, list):
            return body
        return msgspec.json.encode([row for row in rows if row.get("time", 0) <= since_ms])

    async def _seen(self, request: web.Request) -> Seen:
        body = (await request.read()).decode(errors="replace") if request.method in {"POST", "DELETE"} else ""
        sent = dict(parse_qsl(request.query_string)) | dict(parse_qsl(body))
        order = sent.get("newClientOrderId", "") if request.method == "POST" else sent.get("origClientOrderId", "")
        symbol = sent.get("symbol", "")
        return Seen(f"{request.method} {request.path}", order, symbol, self._age_s(order, symbol))

    def _age_s(self, order: str, symbol: str) -> float | None:
        rules = self._hall.listed(symbol)
        if not order or rules is None:
            return None
        try:
            found = self._hall.engine.order(rules.symbol, client_id=order)
        except ExchangeRefusal:
            return None
        return Nanos(self._hall.clock() - found.created) / SECOND

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the exchange's end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()


def _skewed(body: bytes, by_ms: int) -> bytes:
    told = msgspec.json.decode(body)
    if not isinstance(told, dict) or "serverTime" not in told:
        return body
    return msgspec.json.encode(told | {"serverTime": told["serverTime"] + by_ms})


def _banned(status: int, storm: Storm) -> web.Response:
    words = "Way too much request weight used; IP banned. Please use WebSocket Streams for live updates to avoid bans."
    return _json(status, {"code": -1003, "msg": words}, {"Retry-After": str(-int(-storm.banned_s // 1))})


def _json(status: int, body: wire.Json, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=wire.encode(body), content_type=JSON, headers=dict(headers or {}))


def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
