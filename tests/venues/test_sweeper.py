"""The watchdog's way to the exchange: execd's orders end, nobody else's do, and a fault is never taken for an end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from execd.core.events import OrderAccepted
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.runtime.admission import parent_id
from execd.venues import VenueError, VenueUnanswered
from execd.venues.credentials import Credentials
from execd.venues.fuse import Fuse
from execd.venues.loopback import PRODUCTION
from execd.venues.sweeper import AT_ONCE, OURS, Sweeper
from tests.core.build import a_parent
from tests.venues.conftest import Desk
from tests.venues.helpers import SYMBOL
from tests.venues.hostile import Hostile

PARENT, STRANGER = "pabcdefghij23456", "byhand"
OPEN, CANCEL = "GET /api/v3/openOrders", "DELETE /api/v3/order"


@pytest.fixture
async def sweeper(line: Hostile) -> AsyncIterator[Sweeper]:
    found = Sweeper("binance", line.credentials, line.endpoint)
    yield found
    await found.close()


async def rest(desk: Desk, parent: str, count: int = 1) -> list[str]:
    """Leave orders of a parent open, far from the market; their client ids."""
    desk.venue.arm(
        Fuse(parent, Side.BUY, Lots(10**6), lowest=Ticks(1), highest=Ticks(10**9), per_second=100, per_minute=1000,
             killed=lambda: False)
    )  # fmt: skip
    orders = [f"{parent}n{number}" for number in range(count)]
    for order in orders:
        assert isinstance(await desk.venue.submit(replace(desk.far_bid(), order=order)), OrderAccepted)
    return orders


async def still_open(desk: Desk) -> list[str]:
    return [order.client_id for order in await desk.venue.open_orders(SYMBOL)]


async def test_all_that_is_execds_ends_and_nobody_elses_does(desk: Desk, sweeper: Sweeper) -> None:
    """More than are canceled at once; the second round finds nothing; nothing but questions and cancels was sent."""
    ours = await rest(desk, PARENT, AT_ONCE + 2)
    (foreign,) = await rest(desk, STRANGER)
    desk.line.requests.clear()

    first, second = await sweeper.sweep(), await sweeper.sweep()

    assert (first.open, first.foreign, first.problems) == (tuple(ours), (foreign,), ())
    assert first.canceled == first.open
    assert not first.clean
    assert (second.open, second.foreign, second.clean) == ((), (foreign,), True)
    sent = {f"{method} {path}" for method, path, _ in desk.line.requests}
    assert sent == {"GET /api/v3/time", OPEN, CANCEL}
    assert await still_open(desk) == [foreign]


def test_the_ids_that_a_parent_derives_are_the_ids_that_are_swept() -> None:
    """The sweeper has its own words for the shape: this holds them against the core's."""
    for created in range(100):
        parent = replace(a_parent(), id=parent_id(f"{created:064x}", Nanos(created)))
        for number in (0, 7, 123_456):
            assert OURS.fullmatch(parent.client_id(number))


@pytest.mark.parametrize("client_id", ["", "web_1", PARENT, f"{PARENT}n", f"x{PARENT}n1", f"{PARENT}n1x", "p1n1",
                                       f"{PARENT.upper()}n1", f"{PARENT}N1"])  # fmt: skip
def test_what_merely_looks_like_one_is_somebody_elses(client_id: str) -> None:
    assert not OURS.fullmatch(client_id)


@pytest.mark.parametrize(
    "fault",
    ["hang", "truncate", "503 json", "503 polite", "502 html", "200 html", "200 empty", "200 cut",
     "code 429 -1003 Too many requests", "code 418 -1003 Banned", "code 400 -1021 Timestamp"],
)  # fmt: skip
async def test_a_list_that_did_not_come_is_no_empty_list(
    desk: Desk, line: Hostile, sweeper: Sweeper, fault: str
) -> None:
    """Whatever goes wrong, the round has no answer and tells no secret; the next one does its work."""
    (order,) = await rest(desk, PARENT)
    sweeper._timeout_s = 1.0
    line.fault(OPEN, fault)

    with pytest.raises(VenueUnanswered) as caught:
        await sweeper.sweep()

    assert "signature" not in str(caught.value)
    assert line.credentials.api_key not in str(caught.value)
    sweeper._timeout_s = 20.0
    assert (await sweeper.sweep()).canceled == (order,)


async def test_a_cancel_that_fails_is_a_problem_of_the_round_and_keeps_no_other(
    desk: Desk, line: Hostile, sweeper: Sweeper
) -> None:
    """It is not taken as ended; the next round ends it."""
    orders = await rest(desk, PARENT, 3)
    line.fault(CANCEL, "code 503 -1 sorry")

    first, second = await sweeper.sweep(), await sweeper.sweep()

    assert (len(first.canceled), len(first.problems), first.clean) == (2, 1, False)
    assert set(first.canceled) | set(second.canceled) == set(orders)
    assert await still_open(desk) == []


async def test_an_order_that_ended_by_itself_meanwhile_has_ended(desk: Desk, line: Hostile, sweeper: Sweeper) -> None:
    await rest(desk, PARENT)
    line.fault(CANCEL, "code 400 -2011 Unknown order sent.")
    found = await sweeper.sweep()
    assert (found.canceled, found.problems) == (found.open, ())


async def test_a_row_that_makes_no_sense_keeps_no_other_open_and_is_not_clean(
    desk: Desk, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    (order,) = await rest(desk, PARENT)
    rows = await sweeper._client.private_get_openorders()

    async def strange() -> list[Any]:
        return [{"symbol": "BTCUSDT"}, 7, *rows]

    monkeypatch.setattr(sweeper._client, "private_get_openorders", strange)
    found = await sweeper.sweep()
    assert (found.canceled, len(found.problems)) == ((order,), 2)
    rows = []
    assert not (await sweeper.sweep()).clean


async def test_a_clock_that_has_moved_is_measured_anew(desk: Desk, line: Hostile, sweeper: Sweeper) -> None:
    """An exchange an hour ahead of us is no obstacle, nor one whose clock jumps between two rounds."""
    line.clock.ahead = 3600 * SECOND
    assert (await sweeper.sweep()).clean
    line.clock.ahead = 0
    with pytest.raises(VenueUnanswered, match="clock"):
        await sweeper.sweep()
    assert (await sweeper.sweep()).clean
    assert await sweeper.account() == await desk.venue.account()


async def test_a_key_that_the_exchange_does_not_know_is_told_from_an_exchange_that_does_not_answer(
    line: Hostile,
) -> None:
    """The first is refused at the start, the second is waited for."""
    stranger = Sweeper("binance", Credentials("k" * 64, "s" * 64), line.endpoint)
    with pytest.raises(VenueError, match="auth") as caught:
        await stranger.account()
    assert not isinstance(caught.value, VenueUnanswered)
    await stranger.close()
    await line.close()
    away = Sweeper("binance", line.credentials, line.endpoint)
    with pytest.raises(VenueUnanswered, match="unreachable"):
        await away.sweep()
    await away.close()


@pytest.mark.parametrize(("exchange", "words"), [("kraken", "not proven"), ("nowhere", "unknown exchange 'nowhere'")])
def test_an_exchange_where_execd_cannot_have_orders_is_refused(exchange: str, words: str) -> None:
    with pytest.raises(VenueError, match=re.escape(words)):
        Sweeper(exchange, Credentials("k", "s"), PRODUCTION)
