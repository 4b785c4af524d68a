"""A practice exchange behind a line that can misbehave, and an adapter connected to it as to the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from execd.core.commands import QueryOrder, SubmitOrder
from execd.core.grid import Instrument
from execd.core.orders import OrderKind
from execd.venues.ccxt_venue import CcxtVenue
from execd.venues.fuse import Fuse
from execd.venues.streams import StreamLimits
from tests.venues.helpers import SYMBOL, Recorder, a_fuse, a_submit, streaming
from tests.venues.hostile import ASK, BID, Hostile, hostile_exchange

QUICK = StreamLimits(stale_s=60.0, first_delay_s=0.01, longest_delay_s=0.05)


@dataclass
class Desk:
    """An opened adapter, its fuse, and the line to the exchange."""

    venue: CcxtVenue
    fuse: Fuse
    line: Hostile
    instrument: Instrument

    def far_bid(self, number: int = 1, quantity: int = 1_000) -> SubmitOrder:
        """A resting buy far below the market."""
        return a_submit(number, quantity, BID - 200_000, at=self.line.clock())

    def best_bid(self, number: int = 1, quantity: int = 1_000) -> SubmitOrder:
        """A resting buy that is the best, so that the next seller fills it."""
        return a_submit(number, quantity, BID + 1, at=self.line.clock())

    def taking(self, number: int = 1, quantity: int = 1_000) -> SubmitOrder:
        """A buy that takes at once."""
        return a_submit(number, quantity, ASK, kind=OrderKind.TAKE, at=self.line.clock())

    async def asked(self, number: int) -> object:
        """What the exchange says of an order now."""
        return await self.venue.query(QueryOrder(f"p1n{number}", SYMBOL))

    def impatient(self) -> None:
        """Give up a request after a moment, for answers that never come."""
        self.venue._wire.timeout_s = 0.3

    def streaming(self) -> AbstractAsyncContextManager[Recorder]:
        """The adapter's streams, once both are up."""
        return streaming(self.venue)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Hostile]:
    """A practice exchange behind a hostile line."""
    async with hostile_exchange(tmp_path) as hostile:
        yield hostile


@pytest.fixture
async def desk(line: Hostile) -> AsyncIterator[Desk]:
    """An adapter on that line, opened, with a wide fuse."""
    fuse = a_fuse()
    venue = CcxtVenue("binance", line.credentials, line.endpoint, fuse, line.clock, limits=QUICK)
    try:
        yield Desk(venue, fuse, line, await venue.open(SYMBOL))
    finally:
        await venue.close()
