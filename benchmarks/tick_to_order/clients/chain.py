"""execd's way from a print to an order as the daemon wires it: stream, sequencer, desk, gate, journal, hands, fuse.

The account's stream is left out: what it tells comes after the order.  Two things are not as shipped.  The pause after
an order is shorter (router.RETRY): half a second between two triggers would take all day.  And of the limits none but
the participation cap binds: that is what each order waits for, and the trigger is the print that meets it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from benchmarks import parents
from benchmarks.cores import keep_to, let_go
from benchmarks.streams.clients.plane import LocalFeed, market_stream
from benchmarks.streams.clients.tally import factory
from benchmarks.tick_to_order.clients.hand import Hand
from benchmarks.tick_to_order.clients.job import API_KEY, SECRET, Job, job
from benchmarks.wire import CHILD, PRICE, SYMBOL
from execd.core import router
from execd.core.commands import Command, SubmitOrder
from execd.core.desk import Desk
from execd.core.events import Channel, Event, OrderAccepted, OrderClosed, OrderLost, StreamRestored
from execd.core.grid import SECOND, Lots, Nanos
from execd.runtime.advisor import Advisor, engage
from execd.runtime.arming import arrive, fuse_of
from execd.runtime.clock import Clock
from execd.runtime.hands import Hands
from execd.runtime.journal import Header, Journal
from execd.runtime.loop import end_quick_start
from execd.runtime.metrics import Metrics
from execd.runtime.sequencer import Sequencer
from execd.runtime.telemetry import FactLog, configure
from execd.venues.binance_rest import order_report
from execd.venues.ccxt_venue import CcxtVenue
from execd.venues.credentials import Credentials
from execd.venues.fuse import Fuse
from execd.venues.loopback import Endpoint
from execd.venues.streams.market import MarketStream

PAUSE = Nanos(20_000_000)
"""After an order, in place of router.RETRY: shorter than the shortest pause between two triggers."""

LENGTH, SLICES = Nanos(180 * SECOND), 30
PROGRESS_S = 1.0


class Plain(Endpoint):
    """Production URLs, and with them production's error tables, on loopback without TLS."""

    def session(self, hosts: Sequence[str]) -> aiohttp.ClientSession | None:  # noqa: ARG002 (all lead to one place)
        """A session whose every host is the exchange of the benchmark."""
        return aiohttp.ClientSession(connector=_Loopback(LocalFeed.port))


class _Loopback(aiohttp.TCPConnector):
    """Connects to one port, and in plain where TLS was asked for: no client here has TLS in its way."""

    def __init__(self, port: int) -> None:
        super().__init__(use_dns_cache=False)
        self._to = port

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:  # noqa: ARG002 (aiohttp's own)
        return [{"hostname": host, "host": "127.0.0.1", "port": self._to, "family": 2, "proto": 0, "flags": 0}]

    def _get_ssl_context(self, req: Any) -> None:  # noqa: ARG002 (likewise)
        return None


class ByHand:
    """An order path in place of ccxt's: the fuse, a request by hand, the answer read as the adapter reads it."""

    def __init__(self, venue: CcxtVenue, hand: Hand, fuse: Fuse, clock: Clock) -> None:
        self._wire = venue._wire  # noqa: SLF001 (what the adapter knows of the market)
        self._hand, self._fuse, self._clock = hand, fuse, clock

    async def submit(self, command: SubmitOrder) -> OrderAccepted | OrderClosed | OrderLost:
        """Send an order, once."""
        now = self._clock()
        if (refusal := self._fuse.refusal(command, now)) is not None:
            return refusal
        market = self._wire.market(command.symbol)
        order = {
            "symbol": market.id,
            "side": command.side.value.upper(),
            "type": "LIMIT",
            "timeInForce": "IOC",
            "newOrderRespType": "FULL",
            "newClientOrderId": command.order,
            "quantity": format(market.instrument.quantity(command.quantity), "f"),
            "price": format(market.instrument.price(command.limit), "f"),
            "recvWindow": "2000",
            "selfTradePreventionMode": "EXPIRE_MAKER",
        }
        answer = msgspec.json.decode(await self._hand.write(order))
        fact = order_report(answer, self._wire.form(), market.grid).fact
        self._fuse.note(fact, self._clock())
        return fact


class Chain:
    """The parts of a daemon on one parent."""

    def __init__(self, given: Job, clock: Clock) -> None:
        self._clock, self._core = clock, given.core
        start = Nanos(clock() // SECOND * SECOND)
        whole = parents.submitted(os.getpid(), start, length=LENGTH, slices=SLICES, quantity=10**10)
        # Our own fills are on no tape here.
        limits = replace(whole.limits, child_quantity=Lots(CHILD))
        self.submitted = replace(whole, limits=limits, own_prints=False)
        self.parent = whole.parent
        advice = engage(given.model, Path("models"), LENGTH, SLICES)
        if advice.fallback is not None:
            raise SystemExit(f"{given.model} is not engaged: {advice.fallback}")
        self._metrics = Metrics("binance", SYMBOL, advice.policy.name, started=clock())
        self._advisor = Advisor(advice.policy, self._metrics.inferred, advice.ranges, self._metrics.looked)
        self._log, self._desk = FactLog(), Desk()
        self._log.know(self.parent)
        header = Header(self.parent.id, "bench", "practice", "0" * 64, clock(), "0", "", "", "")
        self.journal = Journal.open(Path(given.journal) / f"{self.parent.id}.journal", header=header, create=True)
        self.journal.on_durable = self._metrics.appended
        validity = self.submitted.validity
        self.fuse = fuse_of(self.parent, limits, 2 * PRICE, killed=lambda: False, processing=validity)
        self.sequencer = Sequencer(self._desk, self.journal, clock, self._witness)

    def _witness(self, now: Nanos, event: Event, commands: Sequence[Command]) -> None:
        arrive(self.fuse, self.submitted.limits, event)
        # As in the daemon: once what was decided is on its way.
        asyncio.get_running_loop().call_soon(self._tell, now, event, commands)

    def _tell(self, now: Nanos, event: Event, commands: Sequence[Command]) -> None:
        self._log(now, event, commands)
        self._metrics(now, event, commands)

    async def run(self, stream: MarketStream, venue: Any) -> None:
        """Trade until the exchange closes."""
        async with asyncio.TaskGroup() as group:
            hands = Hands(venue, self._advisor, self.sequencer.post, self.journal.sync, group, lambda _: None)
            self.sequencer.obey = hands.obey
            # The journal's writer begins with the first row: it is not held to the loop's processor, as in a daemon.
            let_go()
            self.sequencer.turn(self.submitted)
            keep_to(self._core)
            execution = self._desk.executions[self.parent.id]
            # What was printed before this market's first trade is known here: nothing.
            execution.tracker.anchor()
            self.sequencer.post(StreamRestored(Channel.ACCOUNT))
            group.create_task(stream.run(self.sequencer.post))
            group.create_task(self.sequencer.run())
            while True:
                self._metrics.parent(execution, self._clock(), latched=())
                await asyncio.sleep(PROGRESS_S)


async def trade(given: Job) -> None:
    """Open the exchange and trade until it closes."""
    clock = Clock()
    LocalFeed.port = given.port
    venue = CcxtVenue("binance", Credentials(API_KEY, SECRET), Plain(), None, clock)
    await venue.open(SYMBOL)
    await venue.clock_offset()
    chain = Chain(given, clock)
    venue.arm(chain.fuse)
    end_quick_start()
    hand = ByHand(venue, await Hand.connected(given.port), chain.fuse, clock) if given.hand else venue
    try:
        await chain.run(market_stream(clock), hand)
    finally:
        chain.journal.close()
        await venue.close()


def main() -> None:
    """Listen until the exchange closes."""
    given = job()
    router.RETRY = PAUSE
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 (a stream, as standard error is one)
        configure(json=True, stream=nowhere)
        with asyncio.Runner(loop_factory=factory(given.loop)) as runner:
            runner.run(trade(given))


if __name__ == "__main__":
    main()
