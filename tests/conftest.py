"""What every test has: a guard that lets nothing leave this machine, and practice exchanges to talk to."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from execd.exchange.options import ExchangeOptions
from execd.exchange.server import PracticeExchange
from tests.guard import sitecustomize as guard

GUARD_FOLDER = str(Path(guard.__file__).parent)


def pytest_configure() -> None:
    """Guard the processes that tests start, too."""
    known = os.environ.get("PYTHONPATH")
    if known is None or GUARD_FOLDER not in known.split(os.pathsep):
        os.environ["PYTHONPATH"] = GUARD_FOLDER if not known else os.pathsep.join((GUARD_FOLDER, known))


@pytest.fixture(autouse=True)
def _nothing_reached_out() -> Iterator[None]:
    """Fail the test in which something reached out, even where the refusal was swallowed."""
    guard.REFUSED.clear()
    yield
    assert not guard.REFUSED, f"reached out: {guard.REFUSED}"


@pytest.fixture
async def exchange() -> AsyncIterator[PracticeExchange]:
    """A practice exchange with a living market in BTC/USDT, without TLS."""
    async with PracticeExchange(ExchangeOptions(symbols=("BTC/USDT",))) as running:
        yield running


@pytest.fixture
async def tls_exchange() -> AsyncIterator[PracticeExchange]:
    """A practice exchange with a living market in BTC/USDT and ETH/USDT, with TLS."""
    async with PracticeExchange(ExchangeOptions(tls=True)) as running:
        yield running
