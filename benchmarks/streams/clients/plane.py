"""execd's data plane as the daemon wires it: connection, feed, each trade once, sequencer, desk, tracker, metrics.

The parents are paused, so that nothing is decided beyond what each half second brings.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import parents
from benchmarks.streams.clients.tally import Task, run, stamps, task
from benchmarks.wire import MARKET, SYMBOL
from execd.core.commands import Command
from execd.core.desk import Desk
from execd.core.events import Event, ParentPaused, Print, TradePrinted
from execd.core.grid import SECOND, Nanos
from execd.runtime.clock import Clock
from execd.runtime.metrics import Metrics
from execd.runtime.sequencer import Sequencer
from execd.venues.digits import Grid
from execd.venues.streams import StreamLimits
from execd.venues.streams.feeds.binance import BinanceFeed
from execd.venues.streams.market import MarketStream

PROGRESS_S = 1.0
"""Between two looks of the metrics at a parent, as shipped."""

LOOK_S = 0.005
"""Between two looks at whether all has come."""


class LocalFeed(BinanceFeed):
    """Binance's own feed, its host on loopback and without TLS."""

    port = 0

    @property
    def url(self) -> str:
        """The combined stream of the flood."""
        return f"ws://127.0.0.1:{self.port}/stream?streams=btcusdt@trade/btcusdt@bookTicker"


class Numbered:
    """A journal that keeps nothing: between two prints there is nothing to keep."""

    def __init__(self) -> None:
        self._last = 0

    def append(self, _at: Nanos, _fact: Event, _commands: Sequence[Command]) -> int:
        """The number of the row."""
        self._last += 1
        return self._last


class Plane:
    """One market's data plane, and the parents that watch it."""

    def __init__(self, port: int, count: int, clock: Clock) -> None:
        LocalFeed.port = port
        self._clock, self._desk = clock, Desk()
        self._metrics = Metrics("binance", SYMBOL, started=clock())
        self.sequencer = Sequencer(self._desk, Numbered(), clock, self._metrics)
        self.sequencer.obey = lambda _command, _seq: None
        start = Nanos(clock() // SECOND * SECOND - SECOND)
        for number in range(1, count + 1):
            submitted = parents.submitted(number, start)
            self.sequencer.turn(submitted)
            self.sequencer.turn(ParentPaused(submitted.parent.id, "the benchmark"))
        self._stream = market_stream(clock)

    @property
    def seen(self) -> int:
        """Trades that every parent has counted."""
        return min(execution.tracker.trades for execution in self._desk.executions.values())

    @property
    def last(self) -> int:
        """The newest trade that every parent has seen."""
        return min(execution.tracker.last_id or 0 for execution in self._desk.executions.values())

    async def work(self, sink: Callable[[Event | Print], None] | None = None) -> None:
        """Take the stream in, and do all that the daemon does beside it, until canceled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stream.run(sink or self.sequencer.post))
            group.create_task(self.sequencer.run())
            group.create_task(self._progress())

    async def _progress(self) -> None:
        while True:
            for execution in self._desk.executions.values():
                self._metrics.parent(execution, self._clock(), latched=())
            await asyncio.sleep(PROGRESS_S)


def market_stream(clock: Clock) -> MarketStream:
    """The stream as the daemon has it, with nobody to ask for old trades."""

    async def history(_first: int | None, _last: int | None, _since: Nanos | None) -> Sequence[TradePrinted]:
        return ()

    feed = LocalFeed(MARKET, Grid(parents.instrument()))
    return MarketStream(feed, lambda _url: {}, StreamLimits(), history=history, clock=clock)


def main() -> None:
    """Listen once."""
    given = task(sys.argv)
    arrivals = stamps(given)

    async def listen(finish: Callable[[int], None]) -> None:
        clock = Clock()
        planes = [Plane(given.port, given.parents, clock) for _ in range(given.streams)]
        sinks = [_timed(plane, given, arrivals) if arrivals is not None else None for plane in planes]
        tasks = [asyncio.create_task(plane.work(sink)) for plane, sink in zip(planes, sinks, strict=True)]
        while min(plane.last for plane in planes) < given.last:
            await asyncio.sleep(LOOK_S)
            for each in tasks:
                if each.done():
                    each.result()
        finish(sum(plane.seen for plane in planes))
        for each in tasks:
            each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)

    run(given, listen, arrivals)


def _timed(plane: Plane, given: Task, arrivals: Sequence[int]) -> Callable[[Event | Print], None]:
    """The sink, and when each trade was through it."""
    post, first, now = plane.sequencer.post, given.first, time.perf_counter_ns
    moments: list[int] = arrivals  # type: ignore[assignment]  # an array takes items as a list does

    def sink(fact: Event | Print) -> None:
        post(fact)
        if type(fact) is TradePrinted:
            moments[fact.id - first] = now()

    return sink


if __name__ == "__main__":
    main()
