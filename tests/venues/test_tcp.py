"""Real ccxt and execd's streams over a TCP connection that breaks below TLS, where no answer can say what happened."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from execd.core.commands import CancelOrder, QueryOrder, SubmitOrder
from execd.core.events import (
    Channel,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    StreamLost,
    StreamRestored,
)
from execd.core.grid import Lots, Nanos
from execd.core.orders import OrderKind
from execd.exchange.options import ExchangeOptions
from execd.exchange.server import PracticeExchange
from execd.venues import VenueUnanswered, streams
from execd.venues.ccxt_venue import CcxtVenue
from execd.venues.credentials import Credentials
from execd.venues.loopback import Endpoint
from execd.venues.streams import StreamLimits
from tests.exchange.conftest import STILL_TAPE
from tests.exchange.storms import MovedClock, placed, until
from tests.venues.helpers import SYMBOL, a_fuse, a_submit, streaming
from tests.venues.tcp_line import TcpLine

QUICK = StreamLimits(stale_s=60.0, first_delay_s=0.01, longest_delay_s=0.05)
FAR, ASK = 4_900_000, 5_000_000
WINDOW_MS = 30_000
"""Long enough that a busy machine does not end an order's validity."""


def a_patient(kind: OrderKind = OrderKind.REST, limit: int = FAR) -> SubmitOrder:
    """A buy that the exchange may accept for half a minute."""
    until_ns = Nanos(time.time_ns() + 2 * WINDOW_MS * 1_000_000)
    return a_submit(1, 1_000, limit, kind=kind, valid_until=until_ns)


@dataclass
class Far:
    """An adapter, the exchange, and the line between them."""

    venue: CcxtVenue
    exchange: PracticeExchange
    line: TcpLine
    clock: MovedClock

    async def asked(self) -> object:
        """What the exchange says of the first order, on a line that is whole again."""
        return await self.venue.query(QueryOrder("p1n1", SYMBOL))


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[Far]:
    """An adapter that has opened its market over a line that is whole."""
    tape = tmp_path / "still_spot_BTCUSDT.csv"
    tape.write_text(STILL_TAPE)
    clock = MovedClock()
    options = ExchangeOptions(tape=tape, head_start_s=0.001, tls=True)
    async with PracticeExchange(options, clock=clock) as exchange:
        at = exchange.endpoints
        async with TcpLine(at.port).listening() as line:
            credentials = Credentials(at.key.api_key, at.key.secret)
            endpoint = Endpoint(line.port, at.ca)
            venue = CcxtVenue(
                "binance", credentials, endpoint, a_fuse(), clock, limits=QUICK, timeout_s=1.0, recv_window_ms=WINDOW_MS
            )
            try:
                await venue.open(SYMBOL)
                yield Far(venue, exchange, line, clock)
            finally:
                await venue.close()


@pytest.mark.parametrize("up", [0, 1, 100], ids=lambda up: f"after {up} bytes")
async def test_a_reset_before_the_order_arrived_leaves_it_lost_and_unsent(far: Far, up: int) -> None:
    """Half a TLS record is no order; that it never arrived is nothing that we could know."""
    far.line.up = up

    assert isinstance(await far.venue.submit(a_submit(1, 1_000, FAR)), OrderLost)
    assert (far.line.reset, placed(far.exchange, "p1n1")) == (1, 0)
    assert await far.asked() == OrderMissing("p1n1")


@pytest.mark.parametrize("down", [0, 1, 100], ids=lambda down: f"after {down} bytes")
async def test_a_reset_before_the_answer_arrived_leaves_the_order_lost_and_alive(far: Far, down: int) -> None:
    far.line.down = down

    assert isinstance(await far.venue.submit(a_submit(1, 1_000, FAR)), OrderLost)
    assert (far.line.reset, placed(far.exchange, "p1n1")) == (1, 1)
    assert isinstance(await far.asked(), OrderAccepted)


async def test_an_order_that_we_gave_up_can_still_arrive(far: Far) -> None:
    """A frozen line tells nobody: only our own patience ends the wait, and then the order arrives and lives."""
    far.line.open.clear()
    assert isinstance(await far.venue.submit(a_patient()), OrderLost)
    assert placed(far.exchange, "p1n1") == 0

    far.line.open.set()

    await until(lambda: placed(far.exchange, "p1n1") == 1)
    assert isinstance(await far.asked(), OrderAccepted)


async def test_an_order_that_arrives_after_its_validity_never_lives(far: Far) -> None:
    """The window that was sent with it is what lets a doubt end."""
    far.line.open.clear()
    assert isinstance(await far.venue.submit(a_patient()), OrderLost)
    weight = far.exchange.hall.limits.weight.count

    far.clock.ahead_s = 61.0
    far.line.open.set()

    await until(lambda: far.exchange.hall.limits.weight.count != weight)
    assert placed(far.exchange, "p1n1") == 0
    assert await far.asked() == OrderMissing("p1n1")


async def test_a_question_on_a_frozen_line_can_be_asked_again(far: Far) -> None:
    far.line.open.clear()
    with pytest.raises(VenueUnanswered):
        await far.venue.balances()
    far.line.open.set()
    assert await far.venue.balances()


async def test_a_slow_line_is_a_line(far: Far) -> None:
    far.line.drip = 50

    assert isinstance(await far.venue.submit(a_submit(1, 1_000, FAR)), OrderAccepted)
    assert OrderClosed("p1n1", Lots(0), "canceled") == await far.venue.cancel(CancelOrder("p1n1", SYMBOL))


@pytest.mark.parametrize("down", [0, 30])
async def test_a_cancel_whose_connection_is_reset_never_says_more_than_is_known(far: Far, down: int) -> None:
    await far.venue.submit(a_submit(1, 1_000, FAR))
    far.line.down = down

    assert not isinstance(await far.venue.cancel(CancelOrder("p1n1", SYMBOL)), OrderClosed)
    assert OrderClosed("p1n1", Lots(0), "canceled") == await far.asked()


async def test_streams_on_a_frozen_line_are_noticed_and_what_was_missed_is_fetched(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order was given up, arrived when the line thawed, and took: its fill is heard of whichever way is open."""
    monkeypatch.setattr(streams, "PING_S", 0.5)
    async with streaming(far.venue) as heard:
        far.line.open.clear()
        assert isinstance(await far.venue.submit(a_patient(OrderKind.TAKE, ASK)), OrderLost)
        await heard.until(lambda: {fact.channel for fact in heard.of(StreamLost)} == set(Channel))
        before = len(heard.facts)
        far.line.open.set()
        filled = await heard.first(OrderFilled)
        await heard.until(
            lambda: {fact.channel for fact in heard.facts[before:] if isinstance(fact, StreamRestored)} == set(Channel)
        )
        (fill,) = far.exchange.hall.engine.my_trades("BTC/USDT")
        assert filled.fill.id == str(fill.trade_id)
