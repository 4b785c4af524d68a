"""Exchanges for tests of the wire: one whose market stands still, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from execd.exchange.options import ExchangeOptions
from execd.exchange.server import PracticeExchange
from tests.exchange.client import Client

# Three prints now, and one in an hour: the book stands at 49,999.99 / 50,000.00 and nothing moves.
STILL_TAPE = """ts,price,amount,side
1700000000000000,50000.00,0.50000,buy
1700000000000001,49999.99,0.50000,sell
1700000000000002,50000.00,0.25000,buy
1700003600000000,50000.00,0.10000,buy
"""
BID, ASK = "49999.99", "50000.00"


@pytest.fixture
def still_tape(tmp_path: Path) -> Path:
    """A tape after whose first moment nothing happens for an hour."""
    path = tmp_path / "still_spot_BTCUSDT.csv"
    path.write_text(STILL_TAPE)
    return path


@pytest.fixture
async def still(still_tape: Path) -> AsyncIterator[PracticeExchange]:
    """An exchange whose market stands still, once its three prints are made."""
    async with PracticeExchange(ExchangeOptions(tape=still_tape, head_start_s=0.001)) as running:
        while len(running.hall.engine.trades("BTC/USDT")) < 3:
            running.hall.catch_up()
        yield running


@pytest.fixture
async def client(still: PracticeExchange) -> AsyncIterator[Client]:
    """A client by hand of the exchange that stands still."""
    async with Client(still) as connected:
        yield connected
