"""A line below TLS that breaks: reset after so many bytes either way, frozen half open, or slow.  It reads nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

PIECE = 65_536
NO_LINGER = struct.pack("ii", 1, 0)


class TcpLine:
    """Carries bytes between a port of its own and an exchange's.

    Attributes:
        up: how many bytes more reach the exchange before both sides are reset; None for no end.
        down: the same towards the client.
        open: cleared, nothing is carried and nobody is told: half open.
        drip: bytes at a time towards the client, with a pause after each; None for as they come.
        reset: how many connections were reset.
    """

    def __init__(self, exchange_port: int) -> None:
        self.up: int | None = None
        self.down: int | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.drip: int | None = None
        self.reset = 0
        self.port = 0
        self._exchange_port = exchange_port
        self._carrying: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[TcpLine]:
        """Listen on loopback."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._carrying:
                task.cancel()
            await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._exchange_port)
        ends = (writer, far_writer)
        for way in (self._carry(reader, far_writer, "up", ends), self._carry(far_reader, writer, "down", ends)):
            task = asyncio.create_task(way)
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: str,
        ends: tuple[asyncio.StreamWriter, ...],
    ) -> None:
        try:
            # The other way's end may have been reset meanwhile.
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(self.drip if way == "down" and self.drip else PIECE):
                    await self.open.wait()
                    allowed = self._allowed(way, len(data))
                    writer.write(data[:allowed])
                    if allowed < len(data):
                        await writer.drain()
                        self._reset(ends)
                        return
                    await writer.drain()
                    if way == "down" and self.drip:
                        await asyncio.sleep(0.001)
        finally:
            writer.close()

    def _allowed(self, way: str, size: int) -> int:
        left = self.up if way == "up" else self.down
        if left is None:
            return size
        allowed = min(left, size)
        setattr(self, way, left - allowed)
        return allowed

    def _reset(self, ends: tuple[asyncio.StreamWriter, ...]) -> None:
        self.reset += 1
        self.up = self.down = None  # one connection only; the next may live
        for end in ends:
            with contextlib.suppress(OSError):
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            end.transport.abort()
