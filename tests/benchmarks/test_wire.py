"""What the benchmarks send is what Binance would send, and every trade of it is there once."""

from __future__ import annotations

import json
import socket
from decimal import Decimal

import pytest

from benchmarks import parents, rest, wire
from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Nanos
from execd.venues.digits import Grid
from execd.venues.streams.feeds.binance import BinanceFeed

START_MS = 1_763_800_000_000


def _payloads(form: str, count: int) -> list[bytes]:
    """The payloads of one block, each cut out by its own header."""
    found = []
    for row in wire.block(wire.form(form), wire.FIRST_ID, START_MS, 1000, count):
        data = bytes(row)
        size, at = (data[1], 2) if data[1] < 126 else (int.from_bytes(data[2:4]), 4)
        assert data[0] == 0x81
        assert len(data) == at + size
        found.append(data[at:])
    return found


@pytest.mark.parametrize("form", wire.FORMS)
def test_every_frame_is_json_with_the_next_id(form: str) -> None:
    """Whoever loses one can tell by the ids alone."""
    told = [json.loads(payload) for payload in _payloads(form, 300)]

    trades = [each.get("data", each) for each in told]

    assert [each.get("t", each.get("a")) for each in trades] == list(range(wire.FIRST_ID, wire.FIRST_ID + 300))
    assert all(each["q"] != "0.00000000" for each in trades)
    assert {each["m"] for each in trades} == {True, False}


def test_the_tape_goes_on_at_its_rate_and_its_prices_repeat() -> None:
    """A thousand trades a second are one a millisecond; several in a row have one price."""
    trades = [json.loads(payload) for payload in _payloads("raw", 600)]

    assert [each["T"] for each in trades] == list(range(START_MS, START_MS + 600))
    assert len({each["p"] for each in trades}) <= 600 / wire.ALIKE + 1


def test_execd_reads_the_combined_form_exactly() -> None:
    """The bench measures the real decoder, which must find what was written."""
    feed = BinanceFeed(wire.MARKET, Grid(parents.instrument()))
    payload = _payloads("combined", 1)[0]
    written = json.loads(payload)["data"]

    (print_,) = feed.decode(payload, Nanos(0))

    assert isinstance(print_, TradePrinted)
    assert print_.id == wire.FIRST_ID
    assert print_.price * Decimal("0.01") == Decimal(written["p"])
    assert print_.quantity * Decimal("0.00001") == Decimal(written["q"])


def test_a_single_line_and_a_quote_are_read_too() -> None:
    """Tick to order writes its prints one by one, and a quote beside them."""
    feed = BinanceFeed(wire.MARKET, Grid(parents.instrument()))

    (trade,) = feed.decode(wire.line(combined=True)(7, START_MS, wire.OTHERS * wire.CHILD), Nanos(0))
    (quote,) = feed.decode(wire.quote(combined=True), Nanos(5))

    assert isinstance(trade, TradePrinted)
    assert (trade.id, trade.quantity) == (7, wire.OTHERS * wire.CHILD)
    assert isinstance(quote, QuoteChanged)
    assert quote.bid < trade.price < quote.ask


def test_a_block_is_the_same_every_time() -> None:
    """What is measured twice must be the same."""
    of = wire.form("raw")

    assert bytes(wire.block(of, wire.FIRST_ID, 1, 5, 40)) == bytes(wire.block(of, wire.FIRST_ID, 1, 5, 40))


def test_the_blocks_of_a_flood_join_without_a_hole() -> None:
    """A count that no block divides is sent whole."""
    rows = [row for part in wire.blocks(wire.form("raw"), 25, START_MS, 5, size=10) for row in part]

    assert [json.loads(bytes(row)[4:])["t"] - wire.FIRST_ID for row in rows] == list(range(25))


def _masked(opcode: int, payload: bytes) -> bytes:
    mask = b"\x01\x02\x03\x04"
    body = bytes(value ^ mask[index % 4] for index, value in enumerate(payload))
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    return bytes([0x80 | opcode]) + size + mask + body


def test_a_clients_frames_are_taken_whole_whatever_the_pieces() -> None:
    """TCP cuts where it likes."""
    long = b"x" * 300
    data, whole = bytearray(), _masked(wire.PING, b"beat") + _masked(wire.TEXT, long)
    found = []

    for value in whole:
        data.append(value)
        found += list(wire.frames_in(data))

    assert found == [(wire.PING, b"beat"), (wire.TEXT, long)]
    assert not data


def test_pings_subscriptions_and_goodbyes_are_answered() -> None:
    """A client whose ping is not answered leaves in the middle of a flood."""
    assert wire.answer(wire.PING, b"beat") == wire.frame(b"beat", wire.PONG)
    assert json.loads(wire.answer(wire.TEXT, b'{"method":"SUBSCRIBE","params":[],"id":3}')[2:]) == {
        "result": None,
        "id": 3,
    }
    assert wire.answer(wire.TEXT, b"hello") == b""


def test_the_handshake_is_the_protocols_own_example() -> None:
    """RFC 6455, section 1.3."""
    here, there = socket.socketpair()
    with here, there:
        here.sendall(b"GET /stream?streams=a@trade HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

        assert wire.accept(there) == "/stream?streams=a@trade"
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in here.recv(4096)


def test_an_order_is_answered_as_filled_whole_under_its_own_id() -> None:
    """The chain books what the answer says."""
    asked = {"symbol": wire.MARKET, "newClientOrderId": "p1n1", "quantity": "0.1", "price": "64019.2"}

    head, body = rest.filled(asked, 1).split(b"\r\n\r\n")

    told = json.loads(body)
    assert rest.length(head) == len(body)
    assert (told["clientOrderId"], told["status"], told["executedQty"]) == ("p1n1", "FILLED", "0.1")
    assert [json.loads(report)["data"]["X"] for report in rest.reports(asked, 1)] == ["NEW", "FILLED"]


def test_what_the_exchange_does_not_have_is_said() -> None:
    """A listener that asks for more than was thought of fails with a word, not with a hang."""
    assert b"404" in rest.reply("GET", "/api/v3/unknown", {}).split(b"\r\n")[0]
