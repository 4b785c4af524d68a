"""A WebSocket whose ordinary frames come straight from the socket to whoever reads them.

Promise: what is heard is what `recv` would have given.  Text frames that are whole, unmasked and of possible size are
cut out of the bytes and given to `hear`; every other frame goes, whole, to websockets, which keeps the handshake,
pings, fragments, closing and every complaint about the protocol.  The library's own queue and its tasks are most of
what a print costs (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.protocol import State

TEXT = 0x81
"""The first byte of a text frame that is a whole message."""

MASKED = 0x80
LENGTH_16, LENGTH_64 = 126, 127

LARGEST = 2**20
"""What claims to be longer is left to the library, which refuses it."""


class DirectConnection(ClientConnection):
    """What `websockets.connect(..., create_connection=DirectConnection)` makes; until `hear` is set, `recv` has all."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.hear: Callable[[bytes], None] | None = None
        self._head: bytes | None = b""  # what came of the handshake's answer; None once it is over
        self._rest = b""  # the beginning of a frame whose end has not come
        self._direct = True

    def data_received(self, data: bytes) -> None:
        """Cut frames out of what the socket gave."""
        if self._head is not None:
            data = self._shake_hands(self._head, data)
            if self._head is not None:
                return None
        if not self._direct:
            return super().data_received(data) if data else None
        if self._rest:
            data = self._rest + data
        at, size = 0, len(data)
        while size - at >= 2:
            length, start = data[at + 1], at + 2
            if length >= LENGTH_16:
                start = at + (4 if length == LENGTH_16 else 10)
                if length >= MASKED:
                    return self._leave(data[at:])
                if start > size:
                    break
                length = int.from_bytes(data[at + 2 : start])
                if length > LARGEST:
                    return self._leave(data[at:])
            end = start + length
            if end > size:
                break
            if data[at] == TEXT and self.hear is not None:
                self.hear(data[start:end])
            else:
                super().data_received(data[at:end])
            at = end
        self._rest = data[at:]
        return None

    def _shake_hands(self, head: bytes, data: bytes) -> bytes:
        """Let the library read the answer to the handshake; what came behind it."""
        whole = head + data
        end = whole.find(b"\r\n\r\n")
        if end < 0:
            self._head = whole
            super().data_received(data)
            return b""
        here = end + 4 - len(head)
        super().data_received(data[:here])
        self._head = None
        self._direct = self.protocol.state is State.OPEN
        return data[here:]

    def _leave(self, data: bytes) -> None:
        """Leave everything from here on to the library."""
        self._direct, self._rest = False, b""
        super().data_received(data)
