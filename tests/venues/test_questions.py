"""What one asks an exchange that is no order: markets, account, clock, history; and what it says when it cannot."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from execd.core.commands import ListFills
from execd.core.events import FillsListed, OrderAccepted, OrderFilled
from execd.core.grid import SECOND, Lots, Nanos, Notional, Side, Ticks
from execd.venues import VenueError
from execd.venues.capabilities import CAPABILITIES
from execd.venues.ccxt_venue import CcxtVenue
from execd.venues.credentials import Credentials
from execd.venues.digits import Grid
from execd.venues.loopback import PRODUCTION
from execd.venues.streams.feeds.binance import BinanceFeed
from tests.venues.conftest import Desk
from tests.venues.helpers import SYMBOL, a_fuse, an_instrument, now
from tests.venues.hostile import ASK, BID, Hostile

KEYS = Credentials("k" * 64, "s" * 64)
DAY = 86_400 * SECOND


@pytest.fixture
async def public(line: Hostile) -> AsyncIterator[CcxtVenue]:
    """An adapter without a key, as paper trading has it."""
    venue = CcxtVenue("binance", None, line.endpoint, None, line.clock)
    await venue.open(SYMBOL)
    yield venue
    await venue.close()


async def test_the_grid_is_the_venues_own(desk: Desk) -> None:
    found = desk.instrument

    assert ("binance", "BTC/USDT", "BTC", "USDT") == (found.venue, found.symbol, found.base, found.quote)
    assert (Decimal("0.01"), Decimal("0.00001")) == (found.tick, found.lot)
    assert (Lots(1), Lots(900_000_000)) == (found.min_quantity, found.max_quantity)
    assert Notional(50_000_000) == found.min_notional
    assert Notional(9_000_000 * 10**7) == found.max_notional


async def test_an_unknown_symbol_names_near_ones(desk: Desk) -> None:
    with pytest.raises(VenueError, match=r"no market 'BTC/USD'; did you mean BTC/USDT\?"):
        await desk.venue.open("BTC/USD")


async def test_loading_a_market_takes_one_request(desk: Desk) -> None:
    await desk.venue.open(SYMBOL)

    assert [("GET", "/api/v3/exchangeInfo")] == [request[:2] for request in desk.line.requests]


async def test_the_account_has_the_exchanges_own_id_and_funds_in_its_own_words(desk: Desk) -> None:
    assert str(desk.line.exchange.hall.engine.account_id) == await desk.venue.account()

    await desk.venue.submit(desk.far_bid(1, 1_000))
    (usdt,) = [balance for balance in await desk.venue.balances() if balance.currency == "USDT"]
    blocked = desk.instrument.money(1_000 * desk.far_bid().limit)
    assert Decimal(usdt.total) - Decimal(usdt.free) == blocked


async def test_the_taker_fee_is_the_accounts_own(desk: Desk) -> None:
    assert Decimal("0.001") == await desk.venue.taker_fee()


@pytest.mark.parametrize("number", ["", "lots", "NaN", "1e999", "9" * 50])
async def test_an_account_that_makes_no_sense_is_no_answer(
    desk: Desk, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Funds and fees are numbers that can be used, or the question was not answered."""

    async def account() -> dict[str, object]:
        return {"commissionRates": {"taker": number}, "balances": [{"asset": "BTC", "free": "1", "locked": number}]}

    monkeypatch.setattr(desk.venue, "_account", account)

    with pytest.raises(VenueError):
        await desk.venue.taker_fee()
    with pytest.raises(VenueError):
        await desk.venue.balances()


async def test_open_orders_are_listed_with_foreign_ones(desk: Desk) -> None:
    hall = desk.line.exchange.hall
    hall.engine.place(
        hall.catch_up(), SYMBOL, Side.BUY, "LIMIT", "GTC", Lots(500), Ticks(BID - 9), client_id="somebody"
    )
    await desk.venue.submit(desk.far_bid(1))

    assert ["p1n1", "somebody"] == sorted(order.client_id for order in await desk.venue.open_orders(SYMBOL))


async def test_the_clocks_difference_is_measured_and_used_for_signed_requests(line: Hostile) -> None:
    """Our clock is an hour behind the exchange's: unmeasured, every signed request would be out of its window."""
    venue = CcxtVenue(
        "binance", line.credentials, line.endpoint, a_fuse(), lambda: Nanos(line.clock() - 3_600 * SECOND)
    )
    await venue.open(SYMBOL)
    with pytest.raises(VenueError, match="clock"):
        await venue.account()

    offset = await venue.clock_offset()

    assert abs(offset - 3_600 * SECOND) < SECOND
    assert await venue.account()
    await venue.close()


async def test_bars_are_the_tapes_own_sums_exactly(public: CcxtVenue, line: Hostile) -> None:
    start = line.clock()
    for quantity in (1_000, 2_345, 7):
        line.trade(Side.BUY, quantity)
        line.trade(Side.SELL, quantity)
    line.clock.ahead += 10 * SECOND
    line.exchange.hall.catch_up()
    end = line.clock()

    bars = await public.bars(SYMBOL, Nanos(5 * SECOND), 6, end)
    prints = [trade for trade in line.exchange.hall.engine.trades(SYMBOL) if trade.at >= bars[0].start]

    assert all(bar.start % SECOND == 0 for bar in bars)
    assert all(after.start - before.start == 5 * SECOND for before, after in itertools.pairwise(bars))
    assert bars[-1].start + 5 * SECOND <= end
    assert start - 5 * SECOND < bars[-1].start
    assert sum(trade.quantity for trade in prints) == sum(bar.volume for bar in bars)
    assert sum(trade.quantity * trade.price for trade in prints) == sum(bar.notional for bar in bars)
    assert len(prints) == sum(bar.trades for bar in bars)
    assert prints[-1].price == bars[-1].close


@pytest.mark.parametrize(("interval", "count"), [(SECOND // 2, 3), (0, 3), (SECOND, 0)])
async def test_bars_that_no_kline_can_make_are_none(public: CcxtVenue, interval: int, count: int) -> None:
    assert [] == await public.bars(SYMBOL, Nanos(interval), count, now())


async def test_public_trades_come_by_id_without_a_key(public: CcxtVenue, line: Hostile) -> None:
    for _ in range(5):
        line.trade(Side.BUY, 1)
    recent = await public.trades(SYMBOL, None, None)
    first = recent[-4].id

    page = await public.trades(SYMBOL, first, first + 2)

    assert [first, first + 1, first + 2] == [trade.id for trade in page]
    assert list(recent[-4:-1]) == list(page)


async def test_the_best_quote_is_asked_for(public: CcxtVenue) -> None:
    quote = await public.quote(SYMBOL)

    assert (BID, 500_000, ASK, 499_000) == (quote.bid, quote.bid_size, quote.ask, quote.ask_size)


async def test_our_fills_are_all_listed_however_many_pages_and_days_there_are(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("execd.venues.binance_rest.PAGE", 3)
    began = desk.line.clock()
    for number in range(1, 12):
        fact = await desk.venue.submit(desk.taking(number, 100))
        assert fact.order == f"p1n{number}"
    desk.line.clock.ahead += 3 * DAY
    late = await desk.venue.submit(desk.taking(12, 100))
    assert late.order == "p1n12"

    facts = await desk.venue.fills(ListFills(SYMBOL, Nanos(began - 2 * DAY)))

    assert [f"p1n{number}" for number in range(1, 13)] == [
        fact.fill.order for fact in facts if isinstance(fact, OrderFilled)
    ]
    assert isinstance(facts[-1], FillsListed)
    assert facts[-1].through >= began + 3 * DAY


async def test_a_page_that_leaves_out_the_oldest_fills_loses_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which rows an over-full span keeps is not documented: here it keeps the last ones, in nanosecond times."""
    monkeypatch.setattr("execd.venues.binance_rest.PAGE", 3)
    began = desk.line.clock()
    for number in range(1, 10):
        await desk.venue.submit(desk.taking(number, 100))
        desk.line.clock.ahead += SECOND * number
    mine = desk.line.exchange.hall.engine.my_trades(SYMBOL, limit=1_000)
    honest = desk.venue._wire.trading.private_get_mytrades

    async def newest_first(request: dict[str, int]) -> list[object]:
        if "fromId" in request:
            return list(await honest(request))
        first, last = request["startTime"] * 1_000_000, request["endTime"] * 1_000_000
        kept = [trade.trade_id for trade in mine if first <= trade.at <= last][-3:]
        found: list[object] = []
        for identity in kept:
            found += (await honest({"symbol": "BTCUSDT", "fromId": identity, "limit": 1}))[:1]
        return found

    monkeypatch.setattr(desk.venue._wire.trading, "private_get_mytrades", newest_first)
    facts = await desk.venue.fills(ListFills(SYMBOL, Nanos(began - DAY)))

    assert [f"p1n{number}" for number in range(1, 10)] == [
        fact.fill.order for fact in facts if isinstance(fact, OrderFilled)
    ]


async def test_fills_of_an_earlier_life_are_ours_by_asking_for_their_orders_once(desk: Desk) -> None:
    began = desk.line.clock()
    await desk.venue.submit(desk.taking(1, 100))
    await desk.venue.submit(desk.taking(2, 100))
    later = CcxtVenue("binance", desk.line.credentials, desk.line.endpoint, a_fuse(), desk.line.clock)
    await later.open(SYMBOL)

    for _ in range(2):
        facts = await later.fills(ListFills(SYMBOL, began))
    await later.close()

    assert ["p1n1", "p1n2"] == [fact.fill.order for fact in facts if isinstance(fact, OrderFilled)]
    assert 2 == len([text for text in desk.line.sent("GET /api/v3/order") if "orderId" in text])


@pytest.mark.parametrize("fault", ["503 html", "200 html", "200 empty", "200 cut", "code 400 -1021 Timestamp"])
async def test_a_list_of_fills_that_failed_is_empty_and_says_no_end(desk: Desk, fault: str) -> None:
    began = desk.line.clock()
    await desk.venue.submit(desk.taking(1, 100))
    desk.line.fault("GET /api/v3/myTrades", fault, fault)

    assert () == tuple(await desk.venue.fills(ListFills(SYMBOL, began)))
    assert () == tuple(await desk.venue.fills(ListFills(SYMBOL, Nanos(began - 40 * DAY)))), "too long ago to be listed"


QUESTIONS = {
    "GET /api/v3/account": lambda venue: venue.account(),
    "GET /api/v3/openOrders": lambda venue: venue.open_orders(SYMBOL),
    "GET /api/v3/time": lambda venue: venue.clock_offset(),
    "GET /api/v3/klines": lambda venue: venue.bars(SYMBOL, SECOND, 3, now()),
    "GET /api/v3/trades": lambda venue: venue.trades(SYMBOL, None, None),
    "GET /api/v3/historicalTrades": lambda venue: venue.trades(SYMBOL, 1, None),
    "GET /api/v3/ticker/bookTicker": lambda venue: venue.quote(SYMBOL),
}


@pytest.mark.parametrize("fault", ["503 html", "200 html", "200 empty", "200 cut", "code 429 -1003 Too much"])
@pytest.mark.parametrize("request_line", QUESTIONS)
async def test_a_question_without_a_usable_answer_raises_one_sentence(
    desk: Desk, request_line: str, fault: str
) -> None:
    desk.line.fault(request_line, fault, fault)

    with pytest.raises(VenueError) as refused:
        await QUESTIONS[request_line](desk.venue)

    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_without_a_key_there_is_no_account_and_no_order(public: CcxtVenue, line: Hostile) -> None:
    with pytest.raises(VenueError, match="key"):
        await public.account()
    public.arm(a_fuse())

    fact = await public.submit(Desk(public, a_fuse(), line, await public.open(SYMBOL)).far_bid())

    assert not isinstance(fact, OrderAccepted)
    assert [] == line.sent("POST /api/v3/order")


async def test_before_it_is_armed_no_order_leaves(line: Hostile) -> None:
    venue = CcxtVenue("binance", line.credentials, line.endpoint, None, line.clock)
    desk = Desk(venue, a_fuse(), line, await venue.open(SYMBOL))

    refused = await venue.submit(desk.far_bid(1))
    venue.arm(desk.fuse)
    accepted = await venue.submit(desk.far_bid(1))
    await venue.close()

    assert not isinstance(refused, OrderAccepted)
    assert isinstance(accepted, OrderAccepted)
    assert 1 == len(line.sent("POST /api/v3/order"))


@pytest.mark.parametrize("exchange", [name for name, caps in CAPABILITIES.items() if not caps.proven])
async def test_an_exchange_whose_orders_are_not_proven_is_refused_with_a_key(exchange: str) -> None:
    venue = CcxtVenue(exchange, KEYS, PRODUCTION, a_fuse(), now)

    with pytest.raises(VenueError, match="not proven"):
        await venue.open(SYMBOL)


def test_an_unknown_exchange_names_the_known_ones() -> None:
    with pytest.raises(VenueError, match=r"known are .*binance"):
        CcxtVenue("binanse", KEYS, PRODUCTION, a_fuse(), now)


async def test_a_symbol_that_was_not_opened_is_refused_in_words(desk: Desk) -> None:
    with pytest.raises(VenueError, match="was not opened"):
        await desk.venue.quote("ETH/USDT")


async def test_the_testnet_is_the_testnet_everywhere() -> None:
    venue = CcxtVenue("binance", KEYS, PRODUCTION, a_fuse(), now, sandbox=True)
    venue._wire._connect()

    for client in (venue._wire.trading, venue._wire.data):
        assert "https://testnet.binance.vision/api/v3" == client.urls["api"]["private"]
        assert "https://testnet.binance.vision/api/v3" == client.urls["api"]["public"]
    assert "testnet" in BinanceFeed("BTCUSDT", Grid(an_instrument()), sandbox=True).url
    assert venue._account_url is not None
    assert "testnet" in venue._account_url
    await venue.close()


async def test_an_exchange_without_a_testnet_says_so() -> None:
    venue = CcxtVenue("kraken", None, PRODUCTION, None, now, sandbox=True)

    with pytest.raises(VenueError, match="no testnet"):
        await venue.open(SYMBOL)


async def test_ccxt_never_repeats_a_request_and_never_makes_an_order_wait(desk: Desk) -> None:
    trading, data = desk.venue._wire.trading, desk.venue._wire.data

    assert trading.number is str
    assert 0 == trading.options["maxRetriesOnFailure"]
    assert trading.enableRateLimit is False
    assert data.enableRateLimit is True
    assert not data.secret
