"""Real ccxt against a hostile line: what each fault of a submit, a cancel and a query becomes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from execd.core.commands import CancelOrder, QueryOrder
from execd.core.events import CancelRefused, OrderAccepted, OrderClosed, OrderLost, OrderMissing
from execd.core.grid import Lots, Nanos, Ticks
from execd.venues import VenueError, ccxt_orders
from execd.venues.ccxt_venue import CcxtVenue
from tests.venues.conftest import Desk
from tests.venues.helpers import SYMBOL, a_fuse, a_submit

ORDER = "/api/v3/order"

# The exchange took the order, and its answer did not reach us whole.
LIVING = [
    "hang",
    "drop",
    "truncate",
    "503 json",
    "503 polite",
    "502 html",
    "503 html",
    "504 html",
    "200 html",
    "200 empty",
    "200 cut",
    "200 other",
]

# The exchange may have taken it and says that it does not know.
DOUBTFUL = [
    "code 400 -1000 Unknown error",
    "code 400 -1001 Internal error",
    "code 400 -1006 Unexpected response, execution status unknown.",
    "code 400 -1007 Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    "code 500 -9999 whatever",
    "code 503 -1008 Server is currently overloaded",
    "code 400 -2010 Duplicate order sent.",
]

REFUSALS = [
    ("code 429 -1003 Too many requests", "throttled"),
    ("code 418 -1003 Banned", "throttled"),
    ("code 429 -1015 Too many new orders", "throttled"),
    ("code 400 -1021 Timestamp for this request is outside of the recvWindow.", "clock"),
    ("code 400 -2010 Account has insufficient balance for requested action.", "funds"),
    ("code 400 -2010 Order would immediately match and take.", "crosses"),
    ("code 400 -1013 Filter failure: LOT_SIZE", "invalid"),
    ("code 400 -1102 Mandatory parameter was not sent", "request"),
    ("code 401 -2014 API-key format invalid.", "auth"),
    ("code 401 -1022 Signature for this request is not valid.", "auth"),
]


@pytest.mark.parametrize("fault", LIVING)
async def test_an_order_whose_answer_is_lost_is_lost_and_lives(desk: Desk, fault: str) -> None:
    if fault == "hang":
        desk.impatient()
    desk.line.fault(f"POST {ORDER}", fault)

    fact = await desk.venue.submit(desk.far_bid())

    assert isinstance(fact, OrderLost)
    assert isinstance(await desk.asked(1), OrderAccepted)
    assert len(desk.line.sent(f"POST {ORDER}")) == 1, "an order is sent once"
    assert desk.fuse.committed == 1_000, "what may live keeps its quantity"


@pytest.mark.parametrize("fault", DOUBTFUL)
async def test_an_error_that_is_no_clear_no_leaves_the_order_lost(desk: Desk, fault: str) -> None:
    desk.line.fault(f"POST {ORDER}", fault)

    fact = await desk.venue.submit(desk.far_bid())

    assert isinstance(fact, OrderLost)
    assert desk.fuse.committed == 1_000


@pytest.mark.parametrize(("fault", "word"), REFUSALS)
async def test_a_clear_no_closes_the_order_with_nothing_filled(desk: Desk, fault: str, word: str) -> None:
    desk.line.fault(f"POST {ORDER}", fault)

    fact = await desk.venue.submit(desk.far_bid())

    assert isinstance(fact, OrderClosed)
    assert Lots(0) == fact.filled
    assert word == fact.reason.split(":")[0]
    assert desk.fuse.committed == 0
    assert OrderMissing("p1n1") == await desk.asked(1)


async def test_a_connection_that_is_refused_sends_nothing_and_says_so(desk: Desk) -> None:
    venue = CcxtVenue("binance", desk.line.credentials, desk.line.endpoint, desk.fuse, desk.line.clock)
    await venue.open(SYMBOL)
    order = desk.far_bid()
    await desk.line.close()

    fact = await venue.submit(order)
    await venue.close()

    assert isinstance(fact, OrderClosed)
    assert fact.reason.startswith("unreachable")
    assert desk.fuse.committed == 0


async def test_a_submit_that_is_canceled_by_us_raises_and_keeps_its_quantity(desk: Desk) -> None:
    desk.line.fault(f"POST {ORDER}", "hang")
    submitting = asyncio.create_task(desk.venue.submit(desk.far_bid()))
    await asyncio.wait_for(desk.line.spoiled.wait(), 5)

    submitting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await submitting

    assert submitting.cancelled()
    assert desk.fuse.committed == 1_000


@pytest.mark.parametrize("fault", ["hang", "drop", "truncate", "503 json", "200 html", "200 cut", "200 other"])
async def test_a_cancel_whose_answer_is_lost_is_lost_and_the_query_tells(desk: Desk, fault: str) -> None:
    await desk.venue.submit(desk.far_bid())
    if fault == "hang":
        desk.impatient()
    # Twice: aiohttp repeats a DELETE by itself if a kept connection breaks, which a cancel can bear.
    desk.line.fault(f"DELETE {ORDER}", fault, fault)

    assert isinstance(await desk.venue.cancel(CancelOrder("p1n1", SYMBOL)), OrderLost)
    assert OrderClosed("p1n1", Lots(0), "canceled") == await desk.asked(1)


@pytest.mark.parametrize(
    "fault", ["code 400 -2011 Unknown order sent.", "code 429 -1003 Too many requests", "code 400 -1021 Timestamp"]
)
async def test_a_cancel_that_is_refused_says_so_and_the_order_lives(desk: Desk, fault: str) -> None:
    await desk.venue.submit(desk.far_bid())
    desk.line.fault(f"DELETE {ORDER}", fault)

    assert isinstance(await desk.venue.cancel(CancelOrder("p1n1", SYMBOL)), CancelRefused)
    assert isinstance(await desk.asked(1), OrderAccepted)


@pytest.mark.parametrize("fault", [*LIVING, *DOUBTFUL, *(fault for fault, _ in REFUSALS)])
async def test_a_query_without_a_usable_answer_says_nothing(desk: Desk, fault: str) -> None:
    await desk.venue.submit(desk.far_bid())
    if fault == "hang":
        desk.impatient()
    desk.line.fault(f"GET {ORDER}", fault, fault)

    assert await desk.venue.query(QueryOrder("p1n1", SYMBOL)) is None


async def test_only_the_venues_word_on_that_order_makes_it_missing(desk: Desk) -> None:
    assert OrderMissing("p1n9") == await desk.venue.query(QueryOrder("p1n9", SYMBOL))


@pytest.mark.parametrize("fault", ["drop", "503 json", "200 html", "200 empty", "code 400 -1021 Timestamp"])
async def test_no_secret_and_no_signature_is_in_any_text_that_leaves(desk: Desk, fault: str) -> None:
    for request in (f"POST {ORDER}", f"DELETE {ORDER}"):
        desk.line.fault(request, fault)
    texts = [repr(await desk.venue.submit(desk.far_bid()))]
    texts.append(repr(await desk.venue.cancel(CancelOrder("p1n1", SYMBOL))))
    desk.line.fault("GET /api/v3/account", fault, fault)
    with pytest.raises(VenueError) as refused:
        await desk.venue.account()
    texts += [repr(refused.value), repr(refused.value.__cause__), repr(desk.venue)]

    for text in texts:
        for secret in (desk.line.credentials.secret, desk.line.credentials.api_key, "signature="):
            assert secret not in text


async def test_an_order_that_is_late_or_does_not_fit_never_leaves(desk: Desk) -> None:
    late = a_submit(1, valid_until=desk.line.clock())
    unopened = replace(desk.far_bid(2), symbol="ETH/USDT")

    first, second = await desk.venue.submit(late), await desk.venue.submit(unopened)

    assert isinstance(first, OrderClosed)
    assert first.reason.split(":")[0] == "expired"
    assert isinstance(second, OrderClosed)
    assert second.reason.startswith("refused")
    assert desk.line.sent(f"POST {ORDER}") == []
    assert desk.fuse.committed == 0


async def test_the_venue_drops_a_request_after_its_validity(desk: Desk) -> None:
    """timestamp + recvWindow never lies after `valid_until`, and never further than the configured window."""
    await desk.venue.clock_offset()
    for number, left_ms in ((1, 500), (2, 60_000)):
        until = Nanos(desk.line.clock() + left_ms * 1_000_000)
        await desk.venue.submit(replace(desk.far_bid(number), valid_until=until))

    windows = [dict(pair.split("=") for pair in body.split("&")) for body in desk.line.sent(f"POST {ORDER}")]
    assert int(windows[0]["recvWindow"]) <= 500
    assert windows[1]["recvWindow"] == "3000"
    assert {window["selfTradePreventionMode"] for window in windows} == {"EXPIRE_MAKER"}, "asked for, never left out"
    assert int(windows[0]["recvWindow"]) * 1_000_000 >= ccxt_orders.SEND_MARGIN


@pytest.mark.parametrize("quantity", [1_000, 123_457])
async def test_quantity_price_and_id_leave_exactly_as_they_are(desk: Desk, quantity: int) -> None:
    limit = Ticks(desk.far_bid().limit - 1)
    await desk.venue.submit(replace(desk.far_bid(1, quantity), limit=limit))

    (body,) = desk.line.sent(f"POST {ORDER}")
    fields = dict(pair.split("=") for pair in body.split("&"))
    instrument = desk.instrument
    assert instrument.lots(fields["quantity"]) == quantity
    assert instrument.ticks(fields["price"]) == limit
    assert fields["newClientOrderId"] == "p1n1"
    assert fields["type"] == "LIMIT_MAKER"
    assert "clientOrderId" not in fields


async def test_a_blown_fuse_or_a_set_latch_lets_no_order_reach_the_exchange(desk: Desk) -> None:
    latch = {"set": True}
    fuse = a_fuse(killed=lambda: latch["set"])
    venue = CcxtVenue("binance", desk.line.credentials, desk.line.endpoint, fuse, desk.line.clock)
    await venue.open(SYMBOL)

    killed = await venue.submit(desk.far_bid(1))
    latch["set"] = False
    wrong = await venue.submit(replace(desk.far_bid(2), order="somebody-else"))
    blown = await venue.submit(desk.far_bid(3))
    refused = await venue.cancel(CancelOrder("p1n3", SYMBOL))
    await venue.close()

    reasons = [fact.reason for fact in (killed, wrong, blown) if isinstance(fact, OrderClosed)]
    assert [reason.split(":")[0] for reason in reasons] == ["killed", "fuse", "fuse"]
    assert desk.line.sent(f"POST {ORDER}") == []
    assert isinstance(refused, CancelRefused), "cancels pass"


async def test_an_id_is_never_sent_twice_and_the_repeat_does_not_close_the_first(desk: Desk) -> None:
    order = desk.far_bid()
    assert isinstance(await desk.venue.submit(order), OrderAccepted)

    assert isinstance(await desk.venue.submit(order), OrderLost)
    assert len(desk.line.sent(f"POST {ORDER}")) == 1
    assert isinstance(await desk.asked(1), OrderAccepted)
