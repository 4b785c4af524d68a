"""An order by hand: signed, written onto a connection that is kept open, its answer awaited; nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from typing import cast
from urllib.parse import urlencode

from benchmarks.tick_to_order.clients.job import API_KEY, SECRET


class Hand(asyncio.Protocol):
    """One kept-alive connection; one request at a time."""

    def __init__(self, port: int) -> None:
        self._data = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._head = (
            f"POST /api/v3/order HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-MBX-APIKEY: {API_KEY}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
        )
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connected(cls, port: int) -> Hand:
        """Connect."""
        _, hand = await asyncio.get_running_loop().create_connection(lambda: cls(port), "127.0.0.1", port)
        return hand

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Take an answer in."""
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._data.lower().find(b"content-length:") + 15
        size = int(self._data[at : self._data.find(b"\r\n", at)])
        if len(self._data) < end + 4 + size:
            return
        body = bytes(self._data[end + 4 : end + 4 + size])
        del self._data[: end + 4 + size]
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(body)

    def write(self, order: dict[str, str]) -> asyncio.Future[bytes]:
        """Sign an order and write it; the future is its answer."""
        assert self._transport is not None
        text = urlencode({**order, "timestamp": int(time.time() * 1000)})
        signed = f"{text}&signature={hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()}"
        self._transport.write(f"{self._head}{len(signed)}\r\n\r\n{signed}".encode())
        self._answer = asyncio.get_running_loop().create_future()
        return self._answer
