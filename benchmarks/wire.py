"""A Binance Spot stream on loopback as bytes made ahead: frames by the hundred thousand, handshake, control frames.

Promise: nothing of execd is in here, so that the packages it is measured against can be run beside it in an environment
of their own.  A block of frames costs the sender one system call, not one call a frame: the receiver is measured.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

SYMBOL, MARKET = "BTC/USDT", "BTCUSDT"
FIRST_ID = 3_000_000_000
"""Of the first trade: ten digits, as Binance's have today."""

PRICE, SWING, DRIFT = 6_400_000, 200, 6_000
"""In cents: about where trades are, how far around that from one to the next, how far that moves in the long run."""

ALIKE = 6
"""Trades in a row that have one price: an order that takes meets several that rest."""

BLOCK = 20_000
"""Frames that are made and sent together in a flood."""

TRADE = (
    '{{"e":"trade","E":{time},"s":"BTCUSDT","t":{id},"p":"{price}000000","q":"{quantity}000",'
    '"T":{time},"m":{maker},"M":true}}'
)
AGGREGATE = (
    '{{"e":"aggTrade","E":{time},"s":"BTCUSDT","a":{id},"p":"{price}000000","q":"{quantity}000","f":{id},"l":{id},'
    '"T":{time},"m":{maker},"M":true}}'
)
FORMS = {
    "combined": '{{"stream":"btcusdt@trade","data":' + TRADE + "}}",
    "raw": TRADE,
    "aggregate": '{{"stream":"btcusdt@aggTrade","data":' + AGGREGATE + "}}",
}
"""How a trade is written for whoever listens: to a combined stream, to one alone, to aggregated trades."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_WIDTHS = {"time": 13, "id": 10, "price": 8, "quantity": 7, "maker": 5}
_MARKS = {"time": "T", "id": "I", "price": "P", "quantity": "Q", "maker": "B"}
CLOSE, PING, PONG, TEXT = 0x8, 0x9, 0xA, 0x1


@dataclass(frozen=True, slots=True)
class Form:
    """A frame with places for what changes: its bytes, header included, and where each field stands."""

    template: Bytes
    places: dict[str, tuple[int, ...]]

    @property
    def width(self) -> int:
        """Bytes of one frame."""
        return len(self.template)


def form(name: str) -> Form:
    """The frame of one of FORMS."""
    marks = {key: "\0" + mark * (_WIDTHS[key] - 1) for key, mark in _MARKS.items()}
    text = FORMS[name].format(**marks)
    data = frame(text.encode())
    places = {}
    for key, mark in marks.items():
        found, at = [], data.find(mark.encode())
        while at >= 0:
            found.append(at)
            at = data.find(mark.encode(), at + 1)
        places[key] = tuple(found)
    return Form(np.frombuffer(data, dtype=np.uint8).copy(), places)


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One unmasked frame, as a server sends it."""
    head = 0x80 | opcode
    if len(payload) < 126:
        return struct.pack("!BB", head, len(payload)) + payload
    return struct.pack("!BBH", head, 126, len(payload)) + payload


def digits(numbers: NDArray[np.int64], width: int) -> Bytes:
    """Each number in so many decimal digits, a row each."""
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return ((numbers[:, None] // powers) % 10 + ord("0")).astype(np.uint8)


def _pointed(numbers: NDArray[np.int64], width: int, after: int) -> Bytes:
    """The same with a decimal point before the last `after` digits."""
    plain = digits(numbers, width)
    point = np.full((len(numbers), 1), ord("."), dtype=np.uint8)
    return np.hstack([plain[:, :-after], point, plain[:, -after:]])


def block(of: Form, first: int, start_ms: int, per_second: int, count: int) -> Bytes:
    """So many frames, a row each; ids rise by one from `first`, times as `per_second` trades a second have them.

    Price, quantity and side are a function of the id.
    """
    ids = np.arange(first, first + count, dtype=np.int64)
    since = ids - FIRST_ID
    made_up, walked = _scattered(ids), ids // ALIKE
    price = PRICE + _scattered(walked) % (2 * SWING) - SWING + abs(walked // 50 % (2 * DRIFT) - DRIFT)
    fields = {
        "time": digits(start_ms + since * 1000 // per_second, 13),
        "id": digits(ids, 10),
        "price": _pointed(price, 7, 2),
        "quantity": _pointed(1 + made_up // 7 % 99_999, 6, 5),
        "maker": np.where((made_up // 3 % 2 == 0)[:, None], *(np.frombuffer(each, np.uint8) for each in _FLAGS)),
    }
    rows = np.tile(of.template, (count, 1))
    for key, values in fields.items():
        for at in of.places[key]:
            rows[:, at : at + _WIDTHS[key]] = values
    return rows


_FLAGS = (b"true ", b"false")


def _scattered(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers that look like chance, the same every time."""
    return (numbers * 2_654_435_761) % (1 << 32)


def blocks(of: Form, count: int, start_ms: int, per_second: int, size: int = BLOCK) -> Iterator[Bytes]:
    """All frames of a flood, some at a time."""
    for done in range(0, count, size):
        yield block(of, FIRST_ID + done, start_ms, per_second, min(size, count - done))


def accept(connection: socket.socket) -> str:
    """Answer a WebSocket's opening request; returns its path.  Raises ConnectionError."""
    request = b""
    while b"\r\n\r\n" not in request:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("gone before the handshake")
        request += more
    connection.sendall(upgrade(request))
    return request.split(b" ", 2)[1].decode()


def upgrade(request: bytes) -> bytes:
    """The answer to an opening request: no extension, so that nothing is compressed."""
    lines = request.split(b"\r\n")
    key = next(line.split(b":", 1)[1].strip() for line in lines if line.lower().startswith(b"sec-websocket-key:"))
    told = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + told + b"\r\n\r\n"
    )


def frames_in(data: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take each whole masked frame out of what a client has sent: its opcode and payload."""
    while len(data) >= 6:
        size, at = data[1] & 0x7F, 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            if len(data) < at + wide:
                return
            size, at = int.from_bytes(data[at : at + wide]), at + wide
        end = at + 4 + size
        if len(data) < end:
            return
        mask, body = bytes(data[at : at + 4]), bytes(data[at + 4 : end])
        opcode = data[0] & 0x0F
        del data[:end]
        yield opcode, bytes(value ^ mask[index % 4] for index, value in enumerate(body))


def answer(opcode: int, payload: bytes) -> bytes:
    """What a server says to a client's frame: a pong, a goodbye, or that it is subscribed; b"" to all else."""
    if opcode == PING:
        return frame(payload, PONG)
    if opcode == CLOSE:
        return frame(payload, CLOSE)
    if opcode == TEXT and b"SUBSCRIBE" in payload:
        return frame(json.dumps({"result": None, "id": json.loads(payload)["id"]}).encode())
    return b""


CHILD = 10_000
"""Lots of the order that each trigger releases."""

OTHERS = 9
"""Lots that others must trade for each of ours: we are to be a tenth of the market."""

LEAST_NOTIONAL = 5_000
"""In quote currency, the least that an order is worth: what trades in the background makes no order by itself."""

TRIGGER_LEAST = OTHERS * CHILD // 2
"""A trade of so many lots is a trigger, whoever sees it: all others are of one lot."""

LOT = 100_000
"""Lots in one unit of the base currency."""


def line(*, combined: bool) -> Callable[[int, int, int], bytes]:
    """What writes one trade's payload: its id, its time in ms, its lots."""
    text = FORMS["combined" if combined else "raw"]
    template = text.format(time="%(ms)d", id="%(id)d", price="64000.00", quantity="%(lots).5f", maker="false").encode()

    def written(number: int, ms: int, lots: int) -> bytes:
        return template % {b"ms": ms, b"id": number, b"lots": lots / LOT}

    return written


def quote(*, combined: bool) -> bytes:
    """A best bid and ask around the price of all these trades."""
    sides = {"b": "63999.99000000", "B": "500.00000000", "a": "64000.01000000", "A": "500.00000000"}
    data = {"u": 400_900_217, "s": MARKET, **sides}
    told = {"stream": f"{MARKET.lower()}@bookTicker", "data": data} if combined else data
    return json.dumps(told, separators=(",", ":")).encode()
