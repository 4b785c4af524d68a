"""The exchange, in a process of its own: prints in the background, triggers, and an order answered at once.

    python -m benchmarks.tick_to_order.exchange JSON

One thread and one loop without a pause, so that the moment at which an order's bytes arrive is theirs and not that of
the thread that would read them.  Speaks as much of Binance Spot's wire protocol as its listeners ask for, without TLS,
and believes every signature.  Prints its port, then what it has measured.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import parse_qs, urlsplit

from benchmarks import rest, wire
from benchmarks.cores import keep_to

BURST_FROM = 20_000
"""At so many prints a second ten come in a burst."""

SUBSCRIBE_S = 40.0
"""How long a listener may take to start."""

SETTLE_S, TRY_EVERY_S, TRIES = 1.0, 0.5, 30
"""After the subscription; between the first triggers, until one is answered; and how many of these."""

WARM = 20
"""Triggers that are answered before any is measured."""

GAP_S = (0.030, 0.050)
"""Between an order and the next trigger."""

LATE_S, LATE_MOST = 1.0, 5
"""A trigger that is not answered for so long counts as none, and after so many the rest is not waited for."""

QUOTE_EVERY_S = 0.25
BACKLOG = 1 << 20
"""Bytes that wait for a listener who does not read: then no print is made for it until they are gone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent.

    Attributes:
        per_second: Prints in the background.
        triggers: How many are measured.
        combined: Whether frames bear their stream's name.
        core: The processor to keep to; -1 for any.
        seed: Of the pauses.
    """

    per_second: int
    triggers: int
    combined: bool
    core: int = -1
    seed: int = 1

    def argument(self) -> str:
        """As an argument of the process."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class Measured:
    """What came of it.

    Attributes:
        nanos: From the trigger's bytes to the order's, of each trigger that was answered.
        late: Triggers that were not answered in time.
        strays: Orders that no trigger had asked for.
        prints: Sent in the background.
        stalled: How often a print was held back because the listener did not read.
        error: Why it ended before its end, "" where it did not.
    """

    nanos: list[int] = field(default_factory=list)
    late: int = 0
    strays: int = 0
    prints: int = 0
    stalled: int = 0
    error: str = ""


class Peer:
    """One connection: HTTP until it is upgraded."""

    __slots__ = ("backlog", "data", "socket", "upgraded")

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.data, self.upgraded, self.backlog = connection, bytearray(), False, bytearray()

    def send(self, data: bytes) -> None:
        """Write at once what can be, the rest later."""
        if self.backlog:
            self.backlog += data
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self.backlog += data[sent:]

    def flush(self) -> None:
        """Write what waits, as far as it goes."""
        try:
            del self.backlog[: self.socket.send(self.backlog)]
        except BlockingIOError:
            return


class Exchange:
    """The loop."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._random = plan, random.Random(plan.seed)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._door.setblocking(False)
        self.port = self._door.getsockname()[1]
        self._poll = select.epoll()
        self._poll.register(self._door.fileno(), select.EPOLLIN)
        self._peers: dict[int, Peer] = {}
        self._audience: Peer | None = None
        self._user: Peer | None = None
        self._form = wire.line(combined=plan.combined)
        self._quote = wire.frame(wire.quote(combined=plan.combined))
        self._id, self._orders = wire.FIRST_ID, 0
        self._volume = self._own = 0  # lots: of all prints, and of the orders
        self._asked: int | None = None
        self._arrived: deque[int] = deque()
        self.measured = Measured()

    # ---------------------------------------------------------------------------------------------------- the plan

    def run(self) -> None:
        """Serve until the plan is done."""
        patience = time.monotonic() + SUBSCRIBE_S
        while self._audience is None:
            if time.monotonic() > patience:
                self.measured.error = "nobody has subscribed"
                return
            self._serve(0.1)
        self._play(SETTLE_S)
        for _ in range(TRIES):
            if self._trigger(TRY_EVERY_S) is not None:
                break
        else:
            self.measured.error = "no trigger was answered"
            return
        self._ask(WARM)
        self.measured.nanos.clear()
        self.measured.strays = self.measured.prints = self.measured.stalled = 0
        self._ask(self._plan.triggers)

    def _ask(self, count: int) -> None:
        """Send triggers until so many were answered, or too many were not."""
        while len(self.measured.nanos) < count and self.measured.late < LATE_MOST:
            self._play(self._random.uniform(*GAP_S))
            took = self._trigger(LATE_S)
            if took is None:
                self.measured.late += 1
            else:
                self.measured.nanos.append(took)

    def _trigger(self, patience_s: float) -> int | None:
        """Send the print that an order waits for; how long that took, in ns, or None."""
        assert self._audience is not None
        lots = wire.OTHERS * (self._own + wire.CHILD) - self._volume
        self._arrived.clear()
        self._asked = time.perf_counter_ns()
        self._audience.send(self._print(max(lots, wire.TRIGGER_LEAST)))
        begun = self._asked
        self._play(patience_s, until_answered=True)
        self._asked = None
        return self._arrived.popleft() - begun if self._arrived else None

    def _play(self, seconds: float, *, until_answered: bool = False) -> None:
        """Let the background go on for a while."""
        now = time.perf_counter_ns
        burst = 10 if self._plan.per_second >= BURST_FROM else 1
        gap = burst * 1_000_000_000 // self._plan.per_second
        due, quote_due, end = now() + gap, now(), now() + int(seconds * 1e9)
        while (at := now()) < end:
            if at >= due:
                self._background(burst)
                due = max(due + gap, at - 10 * gap)
            if at >= quote_due:
                self._say(self._quote)
                quote_due = at + int(QUOTE_EVERY_S * 1e9)
            # It never sleeps while an order may come: waking up would be measured with it.
            self._serve(0.0)
            if until_answered and self._arrived:
                return

    def _background(self, count: int) -> None:
        assert self._audience is not None
        if len(self._audience.backlog) > BACKLOG:
            self.measured.stalled += 1
            return
        self._say(b"".join([self._print(1) for _ in range(count)]))
        self.measured.prints += count

    def _say(self, data: bytes) -> None:
        assert self._audience is not None
        self._audience.send(data)

    def _print(self, lots: int) -> bytes:
        """The next trade's frame."""
        self._id += 1
        self._volume += lots
        return wire.frame(self._form(self._id, int(time.time() * 1000), lots))

    # --------------------------------------------------------------------------------------------------- the wire

    def _serve(self, patience_s: float) -> None:
        """Read and answer what has come."""
        for number, _ in self._poll.poll(patience_s):
            if number == self._door.fileno():
                connection, _ = self._door.accept()
                self._peers[connection.fileno()] = Peer(connection)
                self._poll.register(connection.fileno(), select.EPOLLIN)
                continue
            peer = self._peers[number]
            try:
                data = peer.socket.recv(65536)
            except ConnectionError:
                data = b""
            at = time.perf_counter_ns()
            if not data:
                self._part(peer)
                continue
            peer.data += data
            if peer.upgraded:
                self._heard(peer)
            else:
                self._asked_for(peer, at)
        for peer in self._peers.values():
            if peer.backlog:
                peer.flush()

    def _part(self, peer: Peer) -> None:
        self._poll.unregister(peer.socket.fileno())
        del self._peers[peer.socket.fileno()]
        peer.socket.close()
        if peer is self._audience:
            raise ConnectionError("the listener has left")

    def _heard(self, peer: Peer) -> None:
        for opcode, payload in wire.frames_in(peer.data):
            if told := wire.answer(opcode, payload):
                peer.send(told)
            if opcode == wire.TEXT and b"@trade" in payload:
                self._audience = peer

    def _asked_for(self, peer: Peer, at: int) -> None:
        """Answer each whole request in what has come, which arrived at a moment."""
        while (end := peer.data.find(b"\r\n\r\n")) >= 0:
            head = bytes(peer.data[: end + 4])
            size = rest.length(head)
            if len(peer.data) < end + 4 + size:
                return
            body = bytes(peer.data[end + 4 : end + 4 + size])
            del peer.data[: end + 4 + size]
            method, target, _ = head.split(b" ", 2)
            url = urlsplit(target.decode())
            if b"websocket" in head.lower() and method == b"GET":
                self._upgrade(peer, head, url.path + "?" + url.query)
                return
            asked = {**parse_qs(url.query), **parse_qs(body.decode())}
            fields = {key: values[0] for key, values in asked.items()}
            if method == b"POST" and url.path.endswith("/order"):
                self._order(peer, fields, at)
            else:
                peer.send(rest.reply(method.decode(), url.path, fields))

    def _upgrade(self, peer: Peer, head: bytes, path: str) -> None:
        peer.upgraded = True
        peer.send(wire.upgrade(head))
        if "@trade" in path:
            self._audience = peer
        elif rest.LISTEN_KEY in path:
            self._user = peer

    def _order(self, peer: Peer, fields: dict[str, str], at: int) -> None:
        """Answer an order that arrived at a moment: filled."""
        self._orders += 1
        self._own += round(float(fields["quantity"]) * wire.LOT)
        if self._asked is None or self._arrived:
            self.measured.strays += 1
        else:
            self._arrived.append(at)
        peer.send(rest.filled(fields, self._orders))
        if self._user is not None:
            for report in rest.reports(fields, self._orders):
                self._user.send(wire.frame(report))


def main(arguments: Sequence[str]) -> None:
    """Serve one listener."""
    plan = Plan(**json.loads(arguments[0]))
    keep_to(plan.core)
    exchange = Exchange(plan)
    print(exchange.port, flush=True)
    try:
        exchange.run()
    except ConnectionError as error:
        exchange.measured.error = str(error)
    print(json.dumps(asdict(exchange.measured)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
