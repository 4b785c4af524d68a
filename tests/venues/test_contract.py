"""The adapter's contract, clause by clause, for each adapter: the real one, and the imagined one on a real market.

Clauses 4 (reconnection) and 5 (faults) have files of their own for the adapter that has a wire: test_streams.py and
test_faults.py.  An imagined account has none to lose.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from execd.core.commands import CancelOrder, ListFills, QueryOrder, SubmitOrder
from execd.core.events import (
    CancelRefused,
    Channel,
    FillsListed,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    QuoteChanged,
    StreamRestored,
)
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.venues import Venue
from execd.venues.ccxt_venue import CcxtVenue
from execd.venues.fuse import Fuse
from execd.venues.paper import PaperVenue
from tests.venues.conftest import QUICK, Desk
from tests.venues.helpers import SYMBOL, Recorder, a_fuse
from tests.venues.hostile import Hostile


class Account:
    """An adapter of either kind, with its streams running."""

    def __init__(self, venue: Venue, fuse: Fuse, line: Hostile, heard: Recorder, orders: Desk) -> None:
        self.venue, self.fuse, self.line, self.heard, self.orders = venue, fuse, line, heard, orders

    async def fills(self) -> list[OrderFilled | FillsListed]:
        """The list of our fills of the last minute."""
        return list(await self.venue.fills(ListFills(SYMBOL, Nanos(self.line.clock() - 60 * SECOND))))


def _paper(line: Hostile) -> PaperVenue:
    data = CcxtVenue("binance", None, line.endpoint, None, line.clock, limits=QUICK)
    return PaperVenue(data, line.clock, latency=Nanos(0), maker_fee=Decimal("0.001"), taker_fee=Decimal("0.001"))


@pytest.fixture(params=["ccxt", "paper"])
async def account(request: pytest.FixtureRequest, line: Hostile) -> AsyncIterator[Account]:
    """Both adapters, opened, armed and streaming, each having seen a quote."""
    real = CcxtVenue("binance", line.credentials, line.endpoint, None, line.clock, limits=QUICK)
    venue: CcxtVenue | PaperVenue = real if request.param == "ccxt" else _paper(line)
    fuse, heard = a_fuse(), Recorder()
    instrument = await venue.open(SYMBOL)
    venue.arm(fuse)
    task = asyncio.create_task(venue.stream(SYMBOL, heard))
    try:
        await heard.until(lambda: {fact.channel for fact in heard.of(StreamRestored)} == set(Channel))
        line.trade(Side.BUY, 1)
        await heard.first(QuoteChanged)
        yield Account(venue, fuse, line, heard, Desk(real, fuse, line, instrument))
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await venue.close()
        await real.close()


async def test_clause_1_a_close_carries_the_final_count(account: Account) -> None:
    took = await account.venue.submit(account.orders.taking(1, 1_000))
    resting = await account.venue.submit(account.orders.best_bid(2, 1_000))
    account.line.trade(Side.SELL, 300)
    await account.heard.first(OrderFilled, lambda fact: fact.fill.order == "p1n2")
    canceled = await account.venue.cancel(CancelOrder("p1n2", SYMBOL))

    assert OrderClosed("p1n1", Lots(1_000), "filled") == took
    assert isinstance(resting, OrderAccepted)
    assert OrderClosed("p1n2", Lots(300), "canceled") == canceled
    assert canceled == await account.venue.query(QueryOrder("p1n2", SYMBOL))
    itemised = {"p1n1": 0, "p1n2": 0}
    for fact in await account.fills():
        if isinstance(fact, OrderFilled):
            itemised[fact.fill.order] += fact.fill.quantity
    assert {"p1n1": 1_000, "p1n2": 300} == itemised


async def test_clause_1_an_order_that_may_only_rest_closes_empty_if_it_would_take(account: Account) -> None:
    order = replace(account.orders.best_bid(1), limit=account.orders.taking().limit)

    fact = await account.venue.submit(order)

    assert isinstance(fact, OrderClosed)
    assert Lots(0) == fact.filled
    assert fact.reason.startswith("crosses")


async def test_clause_1_taking_gets_what_is_there_within_its_limit_and_the_rest_expires(account: Account) -> None:
    displayed = (await account.venue.quote(SYMBOL)).ask_size

    fact = await account.venue.submit(account.orders.taking(1, displayed + 7))

    assert OrderClosed("p1n1", displayed, "expired") == fact


async def test_clause_2_not_found_is_only_the_answer_to_a_query_for_that_order(account: Account) -> None:
    assert OrderMissing("p1n7") == await account.venue.query(QueryOrder("p1n7", SYMBOL))
    assert isinstance(await account.venue.cancel(CancelOrder("p1n7", SYMBOL)), CancelRefused)
    assert [FillsListed] == [type(fact) for fact in await account.fills()]
    assert [] == account.heard.of(OrderMissing)


async def test_clause_3_a_fill_has_one_id_wherever_it_is_told(account: Account) -> None:
    await account.venue.submit(account.orders.taking(1, 400))
    await account.venue.submit(account.orders.best_bid(2, 1_000))
    account.line.trade(Side.SELL, 300)
    await account.heard.until(lambda: len(account.heard.of(OrderFilled)) == 2)

    listed = [fact for fact in await account.fills() if isinstance(fact, OrderFilled)]

    assert account.heard.of(OrderFilled) == listed
    assert listed == [fact for fact in await account.fills() if isinstance(fact, OrderFilled)]
    assert 2 == len({fact.fill.id for fact in listed})


async def test_clause_3_a_list_of_fills_ends_with_how_far_it_reaches(account: Account) -> None:
    before = account.line.clock()

    assert [True] == [fact.through >= before for fact in await account.fills() if isinstance(fact, FillsListed)]


async def test_clause_6_nothing_is_sent_that_the_fuse_has_not_passed(account: Account) -> None:
    wrong = replace(account.orders.far_bid(1), side=Side.SELL, limit=Ticks(6_000_000))
    first = await account.venue.submit(wrong)
    second = await account.venue.submit(account.orders.far_bid(2))

    assert [True, True] == [
        isinstance(fact, OrderClosed) and fact.reason.startswith("fuse") for fact in (first, second)
    ]
    assert [] == account.line.sent("POST /api/v3/order")
    assert [] == list(await account.venue.open_orders(SYMBOL))


async def test_clause_6_before_it_is_armed_an_adapter_sends_nothing(account: Account, line: Hostile) -> None:
    fresh: Venue = _paper(line)
    await fresh.open(SYMBOL)

    fact = await fresh.submit(account.orders.far_bid(1))
    await fresh.close()

    assert isinstance(fact, OrderClosed)
    assert fact.reason.startswith("refused")


async def test_an_id_is_sent_once(account: Account) -> None:
    order: SubmitOrder = account.orders.far_bid(1)
    assert isinstance(await account.venue.submit(order), OrderAccepted)

    assert isinstance(await account.venue.submit(order), OrderLost)
    assert isinstance(await account.venue.query(QueryOrder("p1n1", SYMBOL)), OrderAccepted)


async def test_the_fuse_learns_all_that_the_adapter_hears(account: Account) -> None:
    await account.venue.submit(account.orders.best_bid(1, 1_000))
    assert 1_000 == account.fuse.committed
    account.line.trade(Side.SELL, 300)
    await account.heard.first(OrderFilled)
    await account.venue.cancel(CancelOrder("p1n1", SYMBOL))

    assert 300 == account.fuse.committed


async def test_open_orders_are_those_that_may_still_trade(account: Account) -> None:
    await account.venue.submit(account.orders.far_bid(1))
    await account.venue.submit(account.orders.far_bid(2))
    await account.venue.cancel(CancelOrder("p1n1", SYMBOL))

    assert ["p1n2"] == [order.client_id for order in await account.venue.open_orders(SYMBOL)]


async def test_capabilities_are_told(account: Account) -> None:
    assert account.venue.caps.contiguous_trade_ids
    assert account.venue.caps.own_prints is isinstance(account.venue, CcxtVenue)
    assert account.venue.caps.request_validity > 0
    assert await account.venue.account() == await account.venue.account()
