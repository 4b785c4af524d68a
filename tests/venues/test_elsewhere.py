"""Every exchange but Binance Spot: what real ccxt and our feeds make of its public answers, over TLS on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from ccxt.async_support.base.throttler import Throttler

from execd.core.events import (
    Channel,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    QuoteChanged,
    StreamRestored,
    TradePrinted,
)
from execd.core.grid import HOUR, MINUTE, SECOND, Lots, Nanos, Side, Ticks
from execd.core.orders import OrderKind
from execd.venues import Paging, VenueError
from execd.venues.capabilities import CAPABILITIES
from execd.venues.ccxt_venue import CcxtVenue
from execd.venues.ccxt_wire import offset_of
from execd.venues.paper import PaperVenue
from tests.venues.elsewhere import EMPTY_MINUTE, END, MINUTES, NOW, ROWS, Candle, Elsewhere, Place, going_to
from tests.venues.elsewhere_more import FORMS
from tests.venues.feeds.dialects import DIALECTS
from tests.venues.feeds.dialects_more import DIALECTS_MORE
from tests.venues.helpers import Recorder, a_fuse, a_submit
from tests.venues.timers import KEY, serving

BY_NAME = {form.exchange: form for form in FORMS}


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the patience that ccxt has with an exchange."""

    async def at_once(_self: Throttler, _cost: float | None = None) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Throttler, "__call__", at_once)


@pytest.fixture(params=FORMS, ids=lambda form: form.exchange)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Each exchange in turn."""
    async with going_to(request.param, tmp_path) as found:
        yield found


async def test_a_market_has_the_grid_and_the_limits_that_its_exchange_tells(place: Place) -> None:
    form, grid = place.form, place.grid
    assert (Decimal(form.tick), Decimal(form.lot)) == (grid.tick, grid.lot)
    assert Decimal(form.least) == grid.quantity(grid.min_quantity)
    assert Decimal(form.worth or 0) == grid.money(grid.min_notional)
    assert form.symbol.split(":")[0] == f"{grid.base}/{grid.quote}"


async def test_no_more_is_asked_for_than_a_market_needs(place: Place) -> None:
    """What ccxt would load besides, as all currencies, all options or all tickers, takes seconds, and can fail."""
    assert len(place.server.came) <= 4


async def test_the_best_quote_is_exact(place: Place) -> None:
    grid = place.grid
    quote = await place.venue.quote(place.symbol)
    assert (grid.ticks("49999.9"), grid.lots("1.5")) == (quote.bid, quote.bid_size)
    assert (grid.ticks("50000.1"), grid.lots(place.form.small)) == (quote.ask, quote.ask_size)


async def test_the_newest_trades_come_exactly_and_in_their_order(place: Place) -> None:
    if place.form.exchange == "kucoin":
        with pytest.raises(VenueError, match="without the ids"):
            await place.venue.trades(place.symbol, None, None)
        return
    assert [place.print(row) for row in ROWS] == list(await place.venue.trades(place.symbol, None, None))


async def test_a_range_of_trades_has_those_of_the_range(place: Place) -> None:
    if not place.venue.caps.contiguous_trade_ids:
        return  # There is none to ask for: ids tell of no order.
    since = Nanos(ROWS[1].at_ms * 1_000_000)
    wanted = [place.print(row) for row in ROWS[1:4]]
    got = list(await place.venue.trades(place.symbol, 1002, 1004, since))
    # What Binance's futures list beyond says that there is none between.
    assert wanted == (got[:-1] if place.venue.caps.sparse else got)


async def test_bars_hold_all_volume_over_as_many_pages_as_it_takes(place: Place) -> None:
    """A candle's value is its volume at the mean of high, low and close; these have it at the close."""
    bars = await place.venue.bars(place.symbol, Nanos(7 * MINUTE), 70, END)

    ends = END // MINUTE
    assert 70 == len(bars)
    for index, bar in enumerate(bars):
        first = MINUTES - 7 * (70 - index)
        parts = [Candle(minute) for minute in range(first, first + 7) if minute != EMPTY_MINUTE]
        assert (ends - MINUTES + first) * MINUTE == bar.start
        assert place.grid.lots(Decimal(sum(part.thousandths for part in parts)) / 1000) == bar.volume
        value = sum((Decimal(part.prices[3]) * part.thousandths for part in parts), Decimal(0)) / 1000
        assert place.grid.notional_down(value) == bar.notional
        assert place.grid.ticks(parts[-1].prices[3]) == bar.close
    most = CAPABILITIES[place.form.exchange].kline_page
    assert -(-490 // most) == place.server.requests("candles")


async def test_bars_begin_where_the_exchange_knows_its_market_first(place: Place) -> None:
    """Pages of nothing come before; a minute without a candle is one without a trade."""
    bars = await place.venue.bars(place.symbol, Nanos(7 * MINUTE), 200, END)

    assert MINUTES // 7 == len(bars), "the bar in which it begins is unknown"
    volume = sum(bar.volume for bar in bars)
    minutes = [minute for minute in range(MINUTES % 7, MINUTES) if minute != EMPTY_MINUTE]
    assert place.grid.lots(Decimal(sum(Candle(minute).thousandths for minute in minutes)) / 1000) == volume


async def test_the_clocks_are_compared_as_finely_as_the_exchange_tells_its_own(place: Place) -> None:
    """A clock that cannot be said to be wrong by an exchange of whole seconds is not."""
    exact = CAPABILITIES[place.form.exchange].clock_step < SECOND
    wanted = {0: (500_000, 0), 4_000: (4_000_500_000, 3_600_000_000), -4_000: (-3_999_500_000, -3_400_000_000)}
    for ahead_ms, offsets in wanted.items():
        place.server.ahead_ms = ahead_ms
        assert offsets[0 if exact else 1] == await place.venue.clock_offset()


def test_an_exchange_of_whole_seconds_is_believed_as_far_as_all_its_answers_go() -> None:
    step = Nanos(SECOND)
    assert 0 == offset_of([(-600, 400)], step)
    assert 100 == offset_of([(-600, 400), (100, 1_100)], step)
    assert -50 == offset_of([(-600, 400), (-1_050, -50)], step)
    assert 5 == offset_of([(0, 100), (4, 6)], Nanos(1)), "else the narrowest one counts"


async def test_an_empty_side_of_the_book_is_no_quote(place: Place) -> None:
    place.server.empty = True
    assert "empty" in await said(partial(place.venue.quote, place.symbol), place)


async def test_a_crossed_book_is_no_quote(place: Place) -> None:
    place.server.ask = "49000"
    assert "crossed" in await said(partial(place.venue.quote, place.symbol), place)


async def said(call: Callable[[], Awaitable[object]], place: Place) -> str:
    """The one sentence in which a question is not answered."""
    with pytest.raises(VenueError) as told:
        await call()
    text = str(told.value)
    assert "\n" not in text
    assert len(text) < 400
    assert text.startswith(place.form.exchange)
    return text


def questions(place: Place) -> dict[str, Callable[[], Awaitable[object]]]:
    """All that can be asked about the market."""
    venue, symbol = place.venue, place.symbol
    return {
        "quote": partial(venue.quote, symbol),
        "trades": partial(venue.trades, symbol, None, None),
        "bars": partial(venue.bars, symbol, MINUTE, 3, END),
        "clock": venue.clock_offset,
    }


async def test_an_exchange_out_of_order_is_one_sentence(place: Place) -> None:
    place.server.status = 500
    for call in questions(place).values():
        assert "500" in await said(call, place)
    fresh = CcxtVenue(place.form.exchange, None, place.server.endpoint, None, lambda: NOW)
    assert "500" in await said(partial(fresh.open, place.symbol), place)
    await fresh.close()


async def test_nonsense_is_no_fact_and_one_sentence(place: Place) -> None:
    place.server.nonsense = True
    fresh = CcxtVenue(place.form.exchange, None, place.server.endpoint, None, lambda: NOW)
    asked = questions(place)
    nonsense: tuple[object, ...] = ({}, [], "fine", None, [[[]]], {"data": [[None]], "result": [1]})
    for instead in nonsense:
        place.server.instead = instead
        for call in (asked["quote"], asked["clock"], partial(fresh.open, place.symbol)):
            await said(call, place)
        for call in (asked["trades"], asked["bars"]):
            with contextlib.suppress(VenueError):
                assert [] == await call(), "an empty list is an answer too"
    await fresh.close()


async def test_an_unknown_market_is_told_with_its_neighbors(place: Place) -> None:
    assert f"did you mean {place.symbol}" in await said(partial(place.venue.open, "BTC/EUR"), place)


async def test_an_exchange_that_named_no_market_is_asked_anew(tmp_path: Path) -> None:
    async with serving(tmp_path, partial(Elsewhere, form=BY_NAME["okx"]())) as server:
        venue = CcxtVenue("okx", None, server.endpoint, None, lambda: NOW)
        server.nonsense, server.instead = True, {"code": "0", "msg": "", "data": []}
        with pytest.raises(VenueError, match="names none"):
            await venue.open("BTC/USDT")
        server.nonsense = False
        assert "BTC" == (await venue.open("BTC/USDT")).base
        await venue.close()


@pytest.mark.parametrize(("symbol", "tick"), [("PURR/USDC:USDC", "0.000001"), ("HYPE/USDC", "0.000001")])
async def test_hyperliquids_tick_is_not_that_of_the_price_of_the_moment(tmp_path: Path, symbol: str, tick: str) -> None:
    """Its prices have five digits, so that a lower one has more decimals than ccxt counts by the last one."""
    async with going_to(BY_NAME["hyperliquid"], tmp_path) as place:
        assert "1" == place.venue._wire.data.markets["BTC/USDC:USDC"]["precision"]["price"]
        assert Decimal("0.1") == place.grid.tick
        assert Decimal(tick) == (await place.venue.open(symbol)).tick


async def test_of_the_newest_trades_nothing_is_inferred_before_their_first(tmp_path: Path) -> None:
    """Without a key Binance's futures give no others; the ids that these do not list may be trades as well."""
    async with going_to(BY_NAME["binanceusdm"], tmp_path) as place:
        place.server.rows = ROWS[2:]
        assert [] == await place.venue.trades(place.symbol, 1002, 1004)
        assert "/fapi/v1/trades" == place.server.came[-1][0]
        assert Paging.RECENT is place.venue.caps.paging
        assert Paging.BY_ID is CcxtVenue("binanceusdm", KEY, place.server.endpoint, None, lambda: NOW).caps.paging


async def test_binances_futures_are_asked_for_no_klines_of_a_second(tmp_path: Path) -> None:
    async with going_to(BY_NAME["binanceusdm"], tmp_path) as place:
        assert [] == await place.venue.bars(place.symbol, Nanos(30 * SECOND), 3, END)
        assert 0 == place.server.requests("candles")


async def test_gate_is_asked_for_no_candle_older_than_it_gives(tmp_path: Path) -> None:
    async with going_to(BY_NAME["gate"], tmp_path) as place:
        await place.venue.bars(place.symbol, Nanos(97 * MINUTE), 500, END)
        first = next(int(sent["from"]) for path, sent in place.server.came if "candlesticks" in path)
        assert END // SECOND - 10_000 * 60 < first


async def test_candles_that_begin_with_another_day_than_ours_are_refused(tmp_path: Path) -> None:
    """Those of Hong Kong's day, for one, would be counted into the wrong bars."""
    async with going_to(BY_NAME["kraken"], tmp_path) as place:
        with pytest.raises(VenueError, match="do not begin with the day in UTC"):
            await place.venue.bars(place.symbol, Nanos(4 * HOUR), 1, END)


@pytest.mark.parametrize("exchange", ["okx", "kraken"])
async def test_paper_trading_works_on_its_market(exchange: str, tmp_path: Path) -> None:
    """An imagined order takes what the stream's quote shows; one that rests is filled by the stream's prints."""
    dialect = {**DIALECTS, **DIALECTS_MORE}[exchange]
    async with going_to(BY_NAME[exchange], tmp_path) as place:
        symbol = place.symbol
        paper = PaperVenue(place.venue, lambda: NOW, latency=Nanos(0), maker_fee=Decimal(0), taker_fee=Decimal(0))
        grid, heard = await paper.open(symbol), Recorder()
        paper.arm(a_fuse(quantity=10**12))
        streaming = asyncio.create_task(paper.stream(symbol, heard))
        # The dialects write hundredths, and hundred thousandths of a bitcoin.
        at = Nanos(NOW // 1_000_000 * 1_000_000)
        quote = QuoteChanged(Ticks(4_999_990), Lots(150_000), Ticks(5_000_010), Lots(50_000), at, update=7)
        await place.server.say(dialect.encode_quote(quote).replace(b"BTC/USDT", symbol.encode()))
        await heard.until(lambda: {fact.channel for fact in heard.of(StreamRestored)} == set(Channel))
        await heard.first(QuoteChanged)

        order = a_submit(1, grid.lots("0.2"), grid.ticks("50000.1"), kind=OrderKind.TAKE, at=NOW)
        took = await paper.submit(replace(order, symbol=symbol))
        order = a_submit(2, grid.lots("0.3"), grid.ticks("49999.9"), at=NOW)
        rests = await paper.submit(replace(order, symbol=symbol))
        trade = TradePrinted(2001, Ticks(4_999_980), Lots(40_000), at, Side.SELL)
        await place.server.say(*(f.replace(b"BTC/USDT", symbol.encode()) for f in dialect.encode([trade])))
        filled = await heard.first(OrderFilled, lambda fact: fact.fill.order == "p1n2")

        assert OrderClosed("p1n1", grid.lots("0.2"), "filled") == took
        assert isinstance(rests, OrderAccepted)
        assert (grid.lots("0.3"), grid.ticks("49999.9")) == (filled.fill.quantity, filled.fill.price)
        assert 0 == place.venue.bad_frames
        streaming.cancel()
        await asyncio.wait([streaming])
