"""What a listener is told and what it tells: how many trades came, when, and what that cost.

Promise: nothing but what every Python has, so that every environment can import it.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from array import array
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.cores import keep_to

SAMPLE_EVERY_S = 1.0
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Task:
    """What a listener is to do.

    Attributes:
        port: Where the sender is.
        count: Trades that will be sent, on each stream.
        first: The first one's id.
        loop: `asyncio` or `uvloop`.
        arrivals: Where the moments are written at which each trade was dealt with, as int64; "" for nowhere.
        core: The processor to keep to; -1 for any.
        ring: Trades that ccxt.pro keeps of a market; 0 for its own choice.
        streams: How many markets at once.
        parents: How many parents each trade is shown to.
        sample: Whether memory is looked at again and again.
    """

    port: int
    count: int
    first: int
    loop: str = "uvloop"
    arrivals: str = ""
    core: int = -1
    ring: int = 0
    streams: int = 1
    parents: int = 1
    sample: bool = False

    @property
    def last(self) -> int:
        """The last trade's id."""
        return self.first + self.count - 1

    def argument(self) -> str:
        """As an argument of the process."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class Told:
    """What a listener found.

    Attributes:
        seen: Trades that came, each counted once, over all streams.
        ended_ns: When the last one had been dealt with.
        cpu_s: Processor time from before the connection to then.
        peak_mb: The most memory that the process ever had, imports included.
        memory_mb: Its memory again and again, where that was asked for.
        error: Why it did not get to the end, "" where it did.
    """

    seen: int = 0
    ended_ns: int = 0
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    memory_mb: list[float] | None = None
    error: str = ""


def task(arguments: list[str]) -> Task:
    """The task of this process; it keeps to its processor from here on."""
    given = Task(**json.loads(arguments[1]))
    keep_to(given.core)
    return given


def stamps(given: Task) -> array[int] | None:
    """Room for the moment of each trade, where they are asked for."""
    return array("q", bytes(8 * given.count)) if given.arrivals else None


Work = Callable[[Callable[[int], None]], Coroutine[Any, Any, None]]
"""Listens, and at the last trade calls what it is given with how many it has seen."""


def run(given: Task, work: Work, arrivals: array[int] | None = None) -> None:
    """Run a listener to its end on the loop asked for, and print what it found."""
    told = Told(memory_mb=[] if given.sample else None)
    began = 0.0

    def finish(seen: int) -> None:
        # Here, and not when all is closed: a goodbye may take a second.
        told.ended_ns, told.cpu_s, told.seen = time.perf_counter_ns(), time.process_time() - began, seen

    async def whole() -> None:
        nonlocal began
        sampler = asyncio.create_task(_sample(told)) if given.sample else None
        began = time.process_time()
        await work(finish)
        if sampler is not None:
            sampler.cancel()

    with asyncio.Runner(loop_factory=factory(given.loop)) as runner:
        runner.run(whole())
    tell(given, told, arrivals)


def tell(given: Task, told: Told, arrivals: array[int] | None = None) -> None:
    """Print what was found."""
    told.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if arrivals is not None:
        with open(given.arrivals, "wb") as file:  # noqa: PTH123 (array writes to a file object)
            arrivals.tofile(file)
    sys.stdout.write(json.dumps(asdict(told)) + "\n")
    sys.stdout.flush()


def factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes an event loop."""
    if loop == "asyncio":
        return None
    import uvloop  # the environment of a peer may lack it

    return uvloop.new_event_loop


def resident_mb() -> float:
    """The memory of this process now."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 (read many times)
        return int(file.read().split()[1]) * PAGE / 2**20


async def _sample(told: Told) -> None:
    assert told.memory_mb is not None
    while True:
        told.memory_mb.append(round(resident_mb(), 1))
        await asyncio.sleep(SAMPLE_EVERY_S)
