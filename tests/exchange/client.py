"""A client by hand: signs and sends exactly what it is told, so that tests see the wire itself."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from execd.exchange.server import Endpoints, PracticeExchange

PATIENCE_S = 10.0


@dataclass(frozen=True)
class Answer:
    """A reply: status, decoded body, headers."""

    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> int:
        """The error code of a refusal."""
        assert self.status >= 400, self.body
        code: int = self.body["code"]
        return code


def now_ms() -> int:
    """The wall clock in milliseconds."""
    return time.time_ns() // 1_000_000


def hmac_sign(secret: str, payload: str) -> str:
    """HMAC-SHA256 in hexadecimal."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


class Client:
    """REST and WebSocket access to one exchange."""

    def __init__(self, exchange: PracticeExchange) -> None:
        self.endpoints: Endpoints = exchange.endpoints
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def raw(
        self, method: str, path: str, query: str = "", body: str = "", headers: dict[str, str] | None = None
    ) -> Answer:
        """Send these very bytes."""
        url = URL(f"{self.endpoints.rest}{path}" + (f"?{query}" if query else ""), encoded=True)
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        async with self._session.request(method, url, data=body or None, headers={**kind, **(headers or {})}) as reply:
            return Answer(reply.status, await reply.json(), reply.headers)

    async def get(self, path: str, headers: dict[str, str] | None = None, **parameters: object) -> Answer:
        """A public request."""
        return await self.raw("GET", f"/api/v3/{path}", urlencode(parameters), headers=headers)

    async def signed(self, method: str, path: str, **parameters: object) -> Answer:
        """A signed request, timestamp now unless given; POST in the body, the rest in the query."""
        full = {**parameters, "timestamp": parameters.get("timestamp", now_ms())}
        payload = urlencode(full)
        text = f"{payload}&signature={hmac_sign(self.endpoints.key.secret, payload)}"
        where = path if path.startswith("/") else f"/api/v3/{path}"
        headers = {"X-MBX-APIKEY": self.endpoints.key.api_key}
        if method == "POST":
            return await self.raw(method, where, body=text, headers=headers)
        return await self.raw(method, where, text, headers=headers)

    async def order(self, side: str = "BUY", type: str = "LIMIT", **parameters: Any) -> Answer:  # noqa: A002
        """POST /order in BTCUSDT."""
        more: dict[str, Any] = {"timeInForce": "GTC"} if type == "LIMIT" else {}
        return await self.signed(
            "POST", "order", **{"symbol": "BTCUSDT", "side": side, "type": type, **more, **parameters}
        )

    def socket(self, path: str) -> FrameSocket:
        """A WebSocket at a path."""
        base = self.endpoints.ws
        return FrameSocket(self._session, f"{base}{path}")


class FrameSocket:
    """A WebSocket that gives decoded frames and waits for the one that is wanted."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._ids = itertools.count(1)
        self.ws: aiohttp.ClientWebSocketResponse
        self.seen: list[Any] = []

    async def __aenter__(self) -> FrameSocket:
        self.ws = await self._session.ws_connect(self._url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.ws.close()

    async def frame(self) -> Any:
        """The next frame."""
        async with asyncio.timeout(PATIENCE_S):
            message = await self.ws.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        decoded = json.loads(message.data)
        self.seen.append(decoded)
        return decoded

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The next frame that is wanted; those before it are kept in `seen`."""
        async with asyncio.timeout(PATIENCE_S):
            while not wanted(found := await self.frame()):
                pass
        return found

    async def command(self, method: str, *names: object) -> Any:
        """A market stream command and its reply."""
        number = next(self._ids)
        await self.ws.send_json({"method": method, "params": list(names), "id": number})
        return await self.until(lambda frame: isinstance(frame, dict) and frame.get("id") == number)

    async def ask(self, method: str, **parameters: object) -> Any:
        """A WebSocket API request and its response."""
        number = next(self._ids)
        await self.ws.send_json({"id": number, "method": method, "params": parameters})
        return await self.until(lambda frame: isinstance(frame, dict) and frame.get("id") == number)

    async def ask_signed(self, endpoints: Endpoints, method: str, **parameters: object) -> Any:
        """A WebSocket API request with key, timestamp and HMAC signature."""
        full = {"apiKey": endpoints.key.api_key, "timestamp": now_ms(), **parameters}
        payload = "&".join(f"{name}={_text(full[name])}" for name in sorted(full))
        return await self.ask(method, **full, signature=hmac_sign(endpoints.key.secret, payload))

    async def event(self, kind: str) -> Any:
        """The next user event of a kind."""
        found = await self.until(lambda frame: isinstance(frame, dict) and frame.get("event", {}).get("e") == kind)
        return found["event"]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
