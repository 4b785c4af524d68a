"""Listing our own trades is complete, whatever an over-full page leaves out and however fine the venue's times are."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.grid import Nanos
from execd.venues import binance_rest
from execd.venues.capabilities import CAPABILITIES
from execd.venues.ccxt_orders import LISTING_OVERLAP_MS, OrderPath
from execd.venues.ccxt_wire import Market, Wire
from execd.venues.digits import Grid
from execd.venues.loopback import PRODUCTION
from tests.venues.helpers import UNHURRIED, an_instrument

BEGAN_MS = 1_790_000_000_000
PAGE = binance_rest.PAGE


class Venue:
    """Rows of myTrades with times in microseconds; an over-full span gives its oldest or its newest rows."""

    def __init__(self, times_us: list[int], *, newest: bool) -> None:
        began = BEGAN_MS * 1_000
        self._rows = [(number, began + at) for number, at in enumerate(sorted(times_us), 1)]
        self._newest = newest

    async def private_get_mytrades(self, request: dict[str, int]) -> list[dict[str, Any]]:
        """Binance's rule: by id from one on, or by a span of milliseconds."""
        if "fromId" in request:
            found = [row for row in self._rows if row[0] >= request["fromId"]][: request["limit"]]
        else:
            first, last = request["startTime"] * 1_000, request["endTime"] * 1_000
            found = [row for row in self._rows if first <= row[1] <= last]
            found = found[-request["limit"] :] if self._newest else found[: request["limit"]]
        return [{"id": number} for number, _ in found]


def listed(times_us: list[int], *, newest: bool) -> list[int]:
    """The ids that the adapter lists, a second and a half after the first moment."""
    wire = Wire(
        CAPABILITIES["binance"],
        None,
        PRODUCTION,
        lambda: Nanos((BEGAN_MS + 1_500) * 1_000_000),
        sandbox=False,
        recv_window_ms=3_000,
        timeout_s=10.0,
    )
    wire.trading = Venue(times_us, newest=newest)
    instrument = an_instrument()
    market = Market(instrument, Grid(instrument), "BTCUSDT")
    since = Nanos((BEGAN_MS + LISTING_OVERLAP_MS) * 1_000_000)
    rows = asyncio.run(OrderPath(wire, None)._own_trades(market, since))
    return [row["id"] for row in rows]


@settings(UNHURRIED, max_examples=300)
@given(st.lists(st.integers(0, 24).map(lambda half_ms: half_ms * 500), max_size=8, unique=True), st.booleans())
def test_every_trade_is_listed_once(times_us: list[int], newest: bool) -> None:
    """No more than a page of them in the same two milliseconds, that is; ours hold a thousand."""
    binance_rest.PAGE = 5
    try:
        found = listed(times_us, newest=newest)
    finally:
        binance_rest.PAGE = PAGE

    assert list(range(1, len(times_us) + 1)) == found
