"""How fast the kill switch is: twenty open orders on the practice exchange, over TLS, tripped in four ways.

    python -m benchmarks.kill [--rounds 50] [--rtt-ms 100]

Each round opens twenty orders through the real adapter, then trips: by a signal, by POST /kill, by `execd kill`, by the
file of a hand (`touch`), the last three from another process.  Measured from the moment before the trip: until the
fuse refuses (in rounds without orders, for who looks without a pause makes all else slower), until the first cancel
is written to its connection, until no order is alive any more by what the exchange answered.  The desk, the sequencer,
the journal, the latch, the hands and the adapter are execd's own; its streams and its policy are left out, and it
stands still between the opening and the trip.  Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import numpy as np
import uvloop

from benchmarks.decision import machine
from execd.core.commands import SubmitOrder
from execd.core.desk import Desk
from execd.core.events import OrderAccepted, ParentSubmitted
from execd.core.grid import SECOND, Instrument, Lots, Nanos, Side, Ticks
from execd.core.ledger import SliceRecord
from execd.core.orders import ChildOrder, OrderKind, OrderState, ParentOrder
from execd.policies.curve import CurvePolicy
from execd.runtime import operate, practice
from execd.runtime.admission import admit
from execd.runtime.advisor import Advisor
from execd.runtime.clock import Clock
from execd.runtime.control import Control
from execd.runtime.door import Door
from execd.runtime.hands import Hands
from execd.runtime.journal import Header, Journal
from execd.runtime.kill_switch import KillSwitch
from execd.runtime.latch import Kind, Latch, Scope, Switch
from execd.runtime.sequencer import Sequencer
from execd.runtime.settings import OrderFile, RiskFile, load
from execd.venues.ccxt_venue import CcxtVenue
from execd.venues.credentials import Credentials
from execd.venues.fuse import Fuse
from execd.venues.loopback import Endpoint

SYMBOL = "BTC/USDT"
ORDERS = 20
SIZE, AWAY = Decimal("0.01"), Decimal("0.9")
"""Of each order, in base currency; and its price, of the bid's."""

POLL = Nanos(SECOND // 4)
"""`timing.latch_poll`, as it is shipped."""

PACE_S = 2.2
"""A round takes at least so long: Binance takes a hundred orders in ten seconds."""

HELPER = "--helper"
WAYS = ("signal", "http", "execd kill", "touch")
HEAD = "| ms | last possible order: p50 | p99 | max | first cancel: p50 | p99 | max | all confirmed: p50 | p99 | max |"


@dataclass
class Round:
    """What happened when, in ns of the monotonic clock that all processes share."""

    tripped: int = 0
    first_cancel: int = 0
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    confirmed_at: int = 0

    def tripped_by(self, _scope: Scope, _kind: Kind) -> None:
        """Nothing: the moment of the trip is told by who trips."""

    def all_ended(self, _seconds: float) -> None:
        """Nothing is alive any more."""
        self.confirmed_at = time.monotonic_ns()
        self.confirmed.set()


class Tapped(Endpoint):
    """A practice exchange whose connections tell when a cancel was written."""

    written: Callable[[], None]

    def session(self, hosts: Sequence[str]) -> aiohttp.ClientSession | None:
        """Open the usual session, and listen at it."""
        session = super().session(hosts)
        assert session is not None, "a practice exchange has its own host names"
        trace = aiohttp.TraceConfig()

        async def sent(_session: object, _context: object, told: aiohttp.TraceRequestHeadersSentParams) -> None:
            if told.method == "DELETE":
                Tapped.written()

        trace.on_request_headers_sent.append(sent)
        trace.freeze()
        session.trace_configs.append(trace)
        return session


class Still(Desk):
    """A desk that does nothing by itself: what is measured begins with the trip."""

    def deadline(self) -> Nanos | None:
        """Nothing is due."""
        return None


class Bench:
    """A daemon's parts around one account, and a helper process that trips from outside."""

    def __init__(self, folder: Path, venue: CcxtVenue, instrument: Instrument, clock: Clock) -> None:
        self.folder, self.venue, self.instrument, self.clock = folder, venue, instrument, clock
        self.risk = load(Path("config/risk.yaml"), RiskFile)
        self.helper = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.kill", HELPER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._count = 0

    async def submission(self) -> ParentSubmitted:
        """A parent that twenty orders make up; no two rounds share an order's id."""
        self._count += 1
        quote = await self.venue.quote(SYMBOL)
        now = self.clock()
        order = OrderFile(symbol=SYMBOL, side=Side.BUY, quantity=SIZE * ORDERS, duration=Nanos(3600 * SECOND), slices=4)
        curve = (0.25, 0.5, 0.75, 1.0)
        found = admit(order, self.instrument, quote.bid, quote.ask, self.risk, now=now, curve=curve)
        return ParentSubmitted(
            parent=found.parent,
            limits=found.limits,
            validity=self.venue.caps.request_validity,
            own_prints=True,
            contiguous=True,
            curve=curve,
            history=(),
        )

    async def open_orders(self, parent: ParentOrder) -> list[ChildOrder]:
        """Twenty resting orders, each accepted by the exchange."""
        limit = Ticks(int((await self.venue.quote(SYMBOL)).bid * AWAY))
        size = Lots(int(SIZE / self.instrument.lot))
        now = self.clock()
        orders = [
            ChildOrder(parent.client_id(number + 1), Side.BUY, size, limit, OrderKind.REST, 0, now)
            for number in range(ORDERS)
        ]
        commands = [
            SubmitOrder(each.client_id, SYMBOL, Side.BUY, size, limit, OrderKind.REST, 0, Nanos(now + 2 * SECOND))
            for each in orders
        ]
        answers = await asyncio.gather(*map(self.venue.submit, commands))
        for order, answer in zip(orders, answers, strict=True):
            assert isinstance(answer, OrderAccepted), answer
            order.move(OrderState.WORKING)
        return orders

    async def round(self, way: str) -> Round:
        """Open, trip, wait until nothing is alive."""
        seen, submitted = Round(), await self.submission()
        parent = submitted.parent
        switch = Switch(self.folder, "binance", parent.id)
        self.venue.arm(
            Fuse(
                parent.id, Side.BUY, parent.quantity, lowest=Ticks(1), highest=Ticks(10**12),
                per_second=10**6, per_minute=10**6, killed=lambda: switch.tripped,
            )
        )  # fmt: skip
        async with self._parts(switch, submitted, seen) as (kill, sequencer, door):
            execution = sequencer.desk.executions[parent.id]
            whole = parent.quantity
            execution.ledger[0] = SliceRecord(0, parent.start, parent.end, whole, whole, None, "all", "", Lots(0))
            for order in await self.open_orders(parent):
                execution.blotter.add(order)

            def written() -> None:
                seen.first_cancel = seen.first_cancel or time.monotonic_ns()

            Tapped.written = written
            tasks = [asyncio.create_task(each) for each in (sequencer.run(), kill.watch(POLL))]
            await asyncio.sleep(float(np.random.default_rng(self._count).uniform(0, POLL / 1e9)))
            seen.tripped = await self.trip(way, kill, door)
            await asyncio.wait([*tasks, asyncio.create_task(seen.confirmed.wait())], return_when="FIRST_COMPLETED")
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks)
            assert seen.confirmed.is_set(), "a task ended before the orders"
        Latch.of_all(self.folder).reset("the benchmark", "next round")
        return seen

    @contextlib.asynccontextmanager
    async def _parts(
        self, switch: Switch, submitted: ParentSubmitted, seen: Round
    ) -> AsyncIterator[tuple[KillSwitch, Sequencer, Door]]:
        parent = submitted.parent.id
        header = Header(parent, "bench", "practice", "0" * 64, self.clock(), "0", "", "", "")
        path = self.folder / "active" / f"practice-{parent}.journal"
        journal = Journal.open(path, header=header, create=True)
        desk, counts = Still(), SimpleNamespace(tripped=seen.tripped_by, all_ended=seen.all_ended)
        async with asyncio.TaskGroup() as group, contextlib.AsyncExitStack() as stack:
            stack.callback(journal.close)
            sequencer = Sequencer(
                desk,
                journal,
                self.clock,
                lambda now, event, commands: kill.witness(now, event, commands, desk.executions[parent], None),
            )
            kill = KillSwitch(switch, desk, sequencer.post, counts)
            stack.callback(kill.close)
            advisor = Advisor(CurvePolicy(), lambda *_: None)
            sequencer.obey = Hands(self.venue, advisor, sequencer.post, journal.sync, group, lambda _: None).obey
            control = Control(path.with_suffix(".sock"), parent, sequencer.tell, journal.sync, dict)
            control.look = kill.nudge
            stack.push_async_callback(control.close)
            await control.open()
            door = Door(lambda: b"", sequencer.behind, dict, dict, kill.trip)
            stack.push_async_callback(door.close)
            await door.open("127.0.0.1", 0)
            sequencer.turn(submitted)
            yield kill, sequencer, door

    async def trip(self, way: str, kill: KillSwitch, door: Door) -> int:
        """Trip; returns the moment before."""
        if way == "signal":
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGUSR1, lambda: kill.trip_soon(Scope.ALL, "SIGUSR1", Kind.SIGNAL.value))
            at = time.monotonic_ns()
            os.kill(os.getpid(), signal.SIGUSR1)
            return at
        return int(await asyncio.to_thread(self.ask, f"{way} {door.port}"))

    def ask(self, words: str) -> str:
        """What the helper answers."""
        assert self.helper.stdin is not None
        assert self.helper.stdout is not None
        self.helper.stdin.write(f"{words}\n")
        self.helper.stdin.flush()
        return self.helper.stdout.readline()

    async def last_order(self, way: str) -> int:
        """How long after the trip a look at the switch, such as the fuse takes before each order, says no; ns."""
        switch = Switch(self.folder, "binance", "p" + "a" * 15)
        counts = SimpleNamespace(tripped=lambda *_: None, all_ended=lambda _: None)
        kill = KillSwitch(switch, Desk(), lambda _: None, counts)
        door = Door(lambda: b"", lambda: 0.0, dict, dict, kill.trip)
        await door.open("127.0.0.1", 0)
        refused: list[int] = []

        def look() -> None:
            while not switch.tripped:
                pass
            refused.append(time.monotonic_ns())

        looker = threading.Thread(target=look)
        looker.start()
        at = await self.trip(way, kill, door)
        await asyncio.to_thread(looker.join)
        await asyncio.to_thread(until_written, Latch.of_all(self.folder))
        await door.close()
        kill.close()
        Latch.of_all(self.folder).reset("the benchmark", "next round")
        return max(0, refused[0] - at)

    def close(self) -> None:
        """End the helper."""
        self.helper.terminate()
        self.helper.wait()


def help_from_outside(folder: Path) -> None:
    """Trip as another process would, and say when that began."""
    for line in sys.stdin:
        way, port = line.rsplit(" ", 1)
        request = urllib.request.Request(f"http://127.0.0.1:{port.strip()}/kill?reason=bench", method="POST")
        at = time.monotonic_ns()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            if way == "http":
                urllib.request.urlopen(request, timeout=30).close()
            elif way == "execd kill":
                operate.kill(folder, "bench", "all", None)
            else:
                (folder / "KILL").touch()
        sys.stdout.write(f"{at}\n")
        sys.stdout.flush()


def until_written(latch: Latch) -> None:
    """Wait: a trip in this process stops orders before it is on the disk."""
    while not latch.tripped:
        time.sleep(0.001)


def figures(nanos: Sequence[int]) -> str:
    """p50, p99 and the largest, in ms."""
    ms = np.array(nanos) / 1e6
    return " | ".join(f"{each:.1f}" for each in (*np.quantile(ms, (0.5, 0.99)), ms.max()))


async def paced(measure: Callable[[], Awaitable[Round]]) -> Round:
    """A round, and then the rest of its time."""
    found, _ = await asyncio.gather(measure(), asyncio.sleep(PACE_S))
    return found


async def measure(rounds: int, folder: Path, arguments: list[str]) -> list[str]:
    """The table's lines."""
    clock = Clock()
    exchange = await practice.start(folder / "practice", arguments)
    assert exchange.ca is not None
    endpoint = Tapped(exchange.port, exchange.ca)
    venue = CcxtVenue("binance", Credentials(exchange.api_key, exchange.secret), endpoint, None, clock)
    (folder / "active").mkdir()
    bench = Bench(folder, venue, await venue.open(SYMBOL), clock)
    Tapped.written = lambda: None
    lines = []
    try:
        for way in WAYS:
            # The first round opens connections that the others find open.
            seen = [await paced(partial(bench.round, way)) for _ in range(rounds + 1)][1:]
            last = [await bench.last_order(way) for _ in range(rounds)]
            cancel = [each.first_cancel - each.tripped for each in seen]
            ended = [each.confirmed_at - each.tripped for each in seen]
            lines.append(f"| {way} | {figures(last)} | {figures(cancel)} | {figures(ended)} |")
    finally:
        bench.close()
        await venue.close()
        practice.stop(exchange)
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50, help="of each way")
    parser.add_argument("--rtt-ms", type=int, default=0, help="a delay of each request, as a distant exchange has it")
    given = parser.parse_args()
    arguments = ["--symbols", SYMBOL, "--weight", "1000000"]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        if given.rtt_ms:
            rules = folder / "delay.yaml"
            delay = {"fault": "delay", "on": "* /api/v3/order", "for_s": given.rtt_ms / 1000}
            rules.write_text(f"rules: [{{{', '.join(f'{k}: {v!r}' for k, v in delay.items())}}}]\n")
            arguments += ["--faults", str(rules)]
        sys.stdout.write(f"{machine()}\n\n{given.rounds} rounds of {ORDERS} orders a way.\n\n{HEAD}\n|{'---|' * 10}\n")
        # The daemon's own loop.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            for line in runner.run(measure(given.rounds, folder, arguments)):
                sys.stdout.write(f"{line}\n")
        sys.stdout.write(f"\n{machine()}\n")


if __name__ == "__main__":
    if sys.argv[1:2] == [HELPER]:
        help_from_outside(Path(sys.argv[2]))
    else:
        main()
