"""What comes straight from the socket is what the library would have given, however the bytes were cut on their way."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha1

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from execd.venues.streams.direct import LARGEST, DirectConnection
from tests.venues.helpers import UNHURRIED, WAIT_S

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, FIRST, NEXT, LAST, BINARY, PING, CLOSE = 0x81, 0x01, 0x00, 0x80, 0x82, 0x89, 0x88


def frame(kind: int, body: bytes) -> bytes:
    """One frame as a server sends it."""
    if len(body) < 126:
        return bytes([kind, len(body)]) + body
    if len(body) < 2**16:
        return bytes([kind, 126]) + struct.pack(">H", len(body)) + body
    return bytes([kind, 127]) + struct.pack(">Q", len(body)) + body


END = frame(CLOSE, struct.pack(">H", 1000))


@dataclass
class Heard:
    """What a client got: straight from the socket, and by `recv`; and how it ended."""

    direct: list[bytes] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    code: int | None = None

    @property
    def all(self) -> list[bytes]:
        """Every message, those of `recv` last."""
        return [*self.direct, *self.received]


@contextlib.asynccontextmanager
async def served(chunks: list[bytes], *, behind_the_handshake: bytes = b"") -> AsyncIterator[str]:
    """A server that shakes hands, waits for a word, writes these bytes in these pieces, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        key = next(
            line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
        )
        accept = b64encode(sha1(key + GUID).digest())  # the protocol's own
        answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(answer + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + behind_the_handshake)
        await reader.read(1)
        for chunk in chunks:
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(chunk)
        with contextlib.suppress(OSError):
            writer.write_eof()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def dial(url: str) -> connect:
    """A connection as the market streams make theirs."""
    return connect(url, compression=None, proxy=None, close_timeout=0.2, create_connection=DirectConnection)


async def hear(chunks: list[bytes], *, behind_the_handshake: bytes = b"", direct: bool = True) -> Heard:
    """All that a client hears of these bytes until the connection is over."""
    heard = Heard()
    server = served(chunks, behind_the_handshake=behind_the_handshake)
    async with asyncio.timeout(WAIT_S), server as url, dial(url) as socket:
        assert isinstance(socket, DirectConnection)
        if direct:
            socket.hear = heard.direct.append
        await socket.send("go")
        try:
            while True:
                heard.received.append(await socket.recv(decode=False))
        except ConnectionClosed as closed:
            heard.code = closed.rcvd.code if closed.rcvd else closed.sent.code if closed.sent else None
    return heard


def pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    """The bytes, cut at these places."""
    places = sorted({cut % (len(whole) + 1) for cut in cuts})
    return [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True) if a != b]


SIZES = st.sampled_from([0, 1, 5, 125, 126, 127, 300, 65_535, 65_536])
MESSAGES = st.lists(st.tuples(SIZES, st.sampled_from([TEXT, BINARY, PING, FIRST])), max_size=8)


@UNHURRIED
@given(MESSAGES, st.lists(st.integers(0, 10**6), max_size=12), st.booleans())
def test_every_message_comes_once_and_whole_however_the_bytes_were_cut(
    messages: list[tuple[int, int]], cuts: list[int], direct: bool
) -> None:
    expected, plain, sent = [], [], b""
    for number, (size, kind) in enumerate(messages):
        body = (b"%d" % number).ljust(size, b".")[: max(size, 1)] if size else b""
        if kind == PING:
            sent += frame(PING, body[:125])
            continue
        expected.append(body)
        plain += [body] if kind == TEXT and direct else []
        if kind == FIRST:
            half = len(body) // 2
            sent += frame(FIRST, body[:half]) + frame(PING, b"?") + frame(LAST, body[half:])
        else:
            sent += frame(kind, body)

    heard = asyncio.run(hear(pieces(sent + END, cuts), direct=direct))

    assert sorted(expected) == sorted(heard.all)
    assert plain == heard.direct
    assert heard.code == 1000


async def test_what_comes_in_one_piece_with_the_handshake_is_not_lost() -> None:
    early = frame(TEXT, b"early") + frame(TEXT, b"half")[:3]

    heard = await hear([frame(TEXT, b"half")[3:] + frame(TEXT, b"late") + END], behind_the_handshake=early)

    assert sorted([b"early", b"half", b"late"]) == sorted(heard.all)


@pytest.mark.parametrize(
    ("nonsense", "code"),
    [
        (bytes([TEXT, 0x80 | 1]) + b"maskx", 1002),
        (bytes([TEXT, 127]) + struct.pack(">Q", 2**62), 1009),
        (bytes([TEXT, 127]) + struct.pack(">Q", LARGEST + 1) + b"x", 1009),
        (bytes([0xF1, 1]) + b"x", 1002),
        (bytes([0x83, 1]) + b"x", 1002),
    ],
    ids=["masked", "absurdly long", "too long", "reserved bits", "unknown kind"],
)
async def test_what_breaks_the_protocol_is_refused_by_the_library_as_ever(nonsense: bytes, code: int) -> None:
    heard = await hear([frame(TEXT, b"good") + nonsense])

    assert heard.all == [b"good"]
    assert heard.code == code


async def test_an_answer_that_is_no_handshake_is_a_failed_dial() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nsorry")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        with pytest.raises(Exception, match="503"):
            await connect(url, proxy=None, create_connection=DirectConnection)
