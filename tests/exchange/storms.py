"""What tests of a misbehaving exchange share: rules to a file, and an exchange whose time a test moves."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from execd.core.grid import SECOND, Nanos
from execd.exchange.options import ExchangeOptions
from execd.exchange.server import PracticeExchange
from tests.exchange.client import PATIENCE_S


class MovedClock:
    """The machine's time, moved on at will."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> Nanos:
        return Nanos(time.time_ns() + round(self.ahead_s * SECOND))

    @property
    def ms(self) -> int:
        """The exchange's time in milliseconds."""
        return self() // 1_000_000


def write_rules(folder: Path, *rules: str, seed: int = 7) -> Path:
    """A faults file of these rules, each the inside of a YAML mapping."""
    path = folder / "faults.yaml"
    path.write_text(f"seed: {seed}\nrules: [{', '.join(f'{{{rule}}}' for rule in rules)}]\n")
    return path


@contextlib.asynccontextmanager
async def stormy(
    still_tape: Path, *rules: str, clock: MovedClock | None = None, tls: bool = False
) -> AsyncIterator[PracticeExchange]:
    """An exchange whose market stands still, and which misbehaves by these rules."""
    faults = write_rules(still_tape.parent, *rules)
    options = ExchangeOptions(tape=still_tape, head_start_s=0.001, tls=tls, faults=faults)
    async with PracticeExchange(options, clock=clock) as running:
        while len(running.hall.engine.trades("BTC/USDT")) < 3:
            running.hall.catch_up()
        yield running


def placed(exchange: PracticeExchange, name: str = "one") -> int:
    """How many orders of this client id the exchange has ever had."""
    return [order.client_id for order in exchange.hall.engine.all_orders("BTC/USDT")].count(name)


def done(exchange: PracticeExchange) -> dict[str, int]:
    """What the exchange has done wrong so far, by the name of the fault."""
    assert exchange.weather is not None
    return dict(exchange.weather.storm.done)


async def until(met: Callable[[], bool]) -> None:
    """Let the exchange go on until something is so.  Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_S):
        while not met():  # noqa: ASYNC110 - what the exchange does by itself sets no event of ours
            await asyncio.sleep(0.001)
