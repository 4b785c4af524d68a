"""The sender, in a process of its own: serves one stream on loopback, as fast as it is read or at a set rate.

    python -m benchmarks.streams.flood JSON

Prints its port, then, when all was sent, when it began; the moment of each frame goes to a file where one is named.
"""

from __future__ import annotations

import itertools
import json
import select
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks import wire
from benchmarks.cores import keep_to

SETTLE_S = 0.4
"""Between the handshake and the first frame: who subscribes does it then."""

SLICE = 50
"""Frames that one of several streams gets at a time."""

BURST_FROM, BURST = 20_000, 10
"""At so many trades a second they come in bursts of so many: an exchange does not write single ones then either."""


@dataclass(frozen=True, slots=True)
class Flood:
    """What is sent.

    Attributes:
        form: One of wire.FORMS.
        count: Trades, on each stream.
        per_second: How many of them a second; 0: as fast as they are read.
        streams: To how many connections, each its own stream with the same trades.
        tape_per_second: Trades a second by the exchange's own time, in a flood.
        stamps: Where the moments are written at which each trade was sent, as int64; "" for nowhere.
        core: The processor that the sender keeps to; -1 for any.
    """

    form: str
    count: int
    per_second: int = 0
    streams: int = 1
    tape_per_second: int = 5_000
    stamps: str = ""
    core: int = -1

    def argument(self) -> str:
        """As an argument of the process."""
        return json.dumps(asdict(self))


HEAR_FROM = 60_000
"""Nanoseconds before the next packet that are enough to hear what a listener says."""


class Sender:
    """The listeners, and what they say meanwhile."""

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._door = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._said: dict[socket.socket, bytearray] = {}
        self.port = self._door.getsockname()[1]

    def meet(self) -> None:
        """Take the listeners in, and let them subscribe."""
        for _ in range(self._flood.streams):
            each, _ = self._door.accept()
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.accept(each)
            self._sockets.append(each)
            self._said[each] = bytearray()
        until = time.monotonic() + SETTLE_S
        while (left := until - time.monotonic()) > 0:
            self.hear(left)

    def hear(self, patience_s: float = 0.0) -> None:
        """Answer pings and subscriptions.  Raises ConnectionError where a listener has left."""
        for each in select.select(self._sockets, [], [], patience_s)[0]:
            data = each.recv(65536)
            if not data:
                raise ConnectionError("a listener has left")
            self._said[each] += data
            for opcode, payload in wire.frames_in(self._said[each]):
                if told := wire.answer(opcode, payload):
                    each.sendall(told)
                if opcode == wire.CLOSE:
                    raise ConnectionError("a listener has said goodbye")

    def flood(self) -> int:
        """Send all, as fast as it is read; returns when that began."""
        made = wire.form(self._flood.form)
        # The first block is made before the watch is started.
        every = wire.blocks(made, self._flood.count, int(time.time() * 1000), self._flood.tape_per_second)
        first = next(every)
        began = time.perf_counter_ns()
        for rows in itertools.chain([first], every):
            self._pour(rows)
            self.hear()
        return began

    def _pour(self, rows: wire.Bytes) -> None:
        if len(self._sockets) == 1:
            self._sockets[0].sendall(rows.data.cast("B"))
            return
        for first in range(0, len(rows), SLICE):
            part = rows[first : first + SLICE].data.cast("B")
            for each in self._sockets:
                each.sendall(part)

    def pace(self) -> int:
        """Send at the rate that is asked for, each packet at its moment; returns when that began."""
        flood, made = self._flood, wire.form(self._flood.form)
        burst = BURST if flood.per_second >= BURST_FROM else 1
        rows = wire.block(made, wire.FIRST_ID, int(time.time() * 1000), flood.per_second, flood.count)
        packets = [rows[at : at + burst].tobytes() for at in range(0, flood.count, burst)]
        gap, stamps, send = burst * 1_000_000_000 // flood.per_second, [], self._sockets[0].sendall
        now = time.perf_counter_ns
        began = due = now() + 10_000_000
        for packet in packets:
            while (at := now()) < due:
                if due - at > HEAR_FROM:
                    self.hear()
            send(packet)
            stamps.append(at)
            due += gap
        if flood.stamps:
            np.repeat(np.array(stamps, dtype=np.int64), burst)[: flood.count].tofile(flood.stamps)
        return began

    def linger(self) -> None:
        """Stay until the listeners leave."""
        while self._sockets:
            try:
                self.hear(1.0)
            except OSError:
                return


def main(arguments: Sequence[str]) -> None:
    """Serve once."""
    flood = Flood(**json.loads(arguments[0]))
    keep_to(flood.core)
    sender = Sender(flood)
    print(sender.port, flush=True)
    sender.meet()
    began = sender.pace() if flood.per_second else sender.flood()
    print(began, flush=True)
    sender.linger()


if __name__ == "__main__":
    main(sys.argv[1:])
