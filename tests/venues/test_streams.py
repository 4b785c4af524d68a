"""The native streams over a line that breaks: nothing is missed, nothing comes twice, and no loss goes unsaid."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from execd.core.commands import ListFills
from execd.core.events import (
    Channel,
    Event,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderMissing,
    Print,
    QuoteChanged,
    StreamLost,
    StreamRestored,
    TradePrinted,
)
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.exchange.options import read_public_key
from execd.venues.ccxt_venue import CcxtVenue
from execd.venues.credentials import Credentials
from execd.venues.streams import StreamLimits
from execd.venues.streams.feeds.binance import BinanceFeed
from tests.venues.conftest import QUICK, Desk
from tests.venues.helpers import SYMBOL, Recorder, a_fuse
from tests.venues.hostile import ASK, BID, Hostile

ORDER = "/api/v3/order"
DAY = Nanos(86_400_000_000_000)


def ids(heard: Recorder) -> list[int]:
    return [trade.id for trade in heard.of(TradePrinted)]


def lost(heard: Recorder, channel: Channel) -> list[StreamLost]:
    return [fact for fact in heard.of(StreamLost) if fact.channel is channel]


async def again(heard: Recorder, channel: Channel, times: int = 2) -> None:
    """Wait until a channel was restored so many times."""
    await heard.until(lambda: heard.facts.count(StreamRestored(channel)) >= times)


def place(heard: Recorder, fact: Event | Print) -> int:
    """Where a fact stands, counted from the end: the last of its kind."""
    return len(heard.facts) - 1 - heard.facts[::-1].index(fact)


async def test_prints_and_quotes_arrive_exactly_as_the_exchange_made_them(desk: Desk) -> None:
    async with desk.streaming() as heard:
        desk.line.trade(Side.BUY, 1_234)
        trade = await heard.first(TradePrinted)
        quote = await heard.first(QuoteChanged)

    public = desk.line.exchange.hall.engine.trades(SYMBOL)[-1]
    assert (public.id, public.price, public.quantity) == (trade.id, trade.price, trade.quantity)
    assert Side.BUY is trade.taker
    assert public.at // 1_000_000 == trade.at // 1_000_000
    assert (Ticks(BID), Lots(500_000)) == (quote.bid, quote.bid_size)
    assert Ticks(ASK) == quote.ask


async def test_our_order_is_reported_from_its_birth_to_its_last_fill(desk: Desk) -> None:
    async with desk.streaming() as heard:
        await desk.venue.submit(desk.best_bid(1, 1_000))
        desk.line.trade(Side.SELL, 400)
        desk.line.trade(Side.SELL, 900)
        await heard.first(OrderClosed)

    accepted, first, second, closed = [
        fact for fact in heard.facts if isinstance(fact, OrderAccepted | OrderFilled | OrderClosed)
    ]
    assert isinstance(accepted, OrderAccepted)
    assert isinstance(first, OrderFilled)
    assert isinstance(second, OrderFilled)
    assert [first.fill.quantity, second.fill.quantity] == [400, 600]
    assert OrderClosed("p1n1", Lots(1_000), "filled") == closed
    assert desk.fuse.committed == 1_000


async def test_fill_ids_are_the_same_on_the_stream_in_the_list_and_after_a_reconnection(desk: Desk) -> None:
    async with desk.streaming() as heard:
        await desk.venue.submit(desk.best_bid(1, 1_000))
        desk.line.trade(Side.SELL, 400)
        streamed = await heard.first(OrderFilled)
        before = await desk.venue.fills(ListFills(SYMBOL, Nanos(desk.line.clock() - DAY)))
        desk.line.cut("ws-api")
        await again(heard, Channel.ACCOUNT)
        after = await desk.venue.fills(ListFills(SYMBOL, Nanos(desk.line.clock() - DAY)))

    assert streamed == before[0] == after[0]
    assert {streamed.fill.id} == {fact.fill.id for fact in heard.of(OrderFilled)}


async def test_a_loss_is_said_with_its_reason_and_missed_trades_come_before_the_restoration(desk: Desk) -> None:
    async with desk.streaming() as heard:
        desk.line.trade(Side.BUY, 1)
        await heard.first(TradePrinted)
        desk.line.refusing = True
        desk.line.cut("stream")
        loss = await heard.first(StreamLost)
        for _ in range(7):
            desk.line.trade(Side.BUY, 1)
        desk.line.refusing = False
        await again(heard, Channel.MARKET)
        at = place(heard, StreamRestored(Channel.MARKET))
        seen = [fact.id for fact in heard.facts[:at] if isinstance(fact, TradePrinted)]

    assert loss.channel is Channel.MARKET
    assert loss.why
    assert list(range(seen[0], seen[0] + 8)) == sorted(seen)
    assert len(set(seen)) == len(seen)


async def test_a_long_outage_is_filled_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BinanceFeed, "page_most", 4)
    async with desk.streaming() as heard:
        desk.line.trade(Side.BUY, 1)
        await heard.first(TradePrinted)
        desk.line.refusing = True
        desk.line.cut("stream")
        await heard.first(StreamLost)
        for _ in range(30):
            desk.line.trade(Side.BUY, 1)
        desk.line.refusing = False
        await again(heard, Channel.MARKET)

    assert list(range(min(ids(heard)), min(ids(heard)) + 31)) == sorted(ids(heard))


async def test_a_jump_in_the_ids_of_a_living_connection_is_filled_too(desk: Desk) -> None:
    async with desk.streaming() as heard:
        desk.line.trade(Side.BUY, 1)
        await heard.first(TradePrinted)
        desk.line.drop_frames = lambda frame: b"@trade" in frame
        for _ in range(3):
            desk.line.trade(Side.BUY, 1)
        await desk.line.until(lambda: desk.line.dropped == 3)
        desk.line.drop_frames = lambda _: False
        desk.line.trade(Side.BUY, 1)
        await heard.until(lambda: len(ids(heard)) == 5)

    assert list(range(min(ids(heard)), max(ids(heard)) + 1)) == sorted(ids(heard))
    assert heard.of(StreamLost) == []


async def test_a_gap_that_the_exchange_will_not_fill_is_left_standing_and_filled_at_the_next_chance(desk: Desk) -> None:
    history = "GET /api/v3/historicalTrades"
    async with desk.streaming() as heard:
        desk.line.trade(Side.BUY, 1)
        await heard.first(TradePrinted)
        desk.line.refusing = True
        desk.line.cut("stream")
        await heard.first(StreamLost)
        for _ in range(3):
            desk.line.trade(Side.BUY, 1)
        recent = "GET /api/v3/trades"
        desk.line.fault(recent, *["503 html"] * 3)
        desk.line.fault(history, *["503 html"] * 3)
        desk.line.refusing = False
        await again(heard, Channel.MARKET)
        assert len(ids(heard)) == 1, "restored with the gap standing"

        desk.line.trade(Side.BUY, 1)
        await desk.line.until(lambda: len(desk.line.sent(history)) >= 3)
        desk.line.cut("stream")
        await again(heard, Channel.MARKET, times=3)

    assert list(range(min(ids(heard)), max(ids(heard)) + 1)) == sorted(ids(heard))
    assert len(ids(heard)) == 5


async def test_what_happened_to_our_orders_while_the_stream_was_down_comes_before_its_restoration(desk: Desk) -> None:
    async with desk.streaming() as heard:
        await desk.venue.submit(desk.best_bid(1, 1_000))
        await desk.venue.submit(desk.far_bid(2))
        await heard.until(lambda: len(heard.of(OrderAccepted)) == 2)
        desk.line.refusing = True
        desk.line.cut("ws-api")
        await heard.first(StreamLost)
        desk.line.trade(Side.SELL, 1_500)
        hall = desk.line.exchange.hall
        hall.engine.cancel(hall.catch_up(), SYMBOL, client_id="p1n2")
        desk.line.refusing = False
        await again(heard, Channel.ACCOUNT)
        missed = heard.facts[: place(heard, StreamRestored(Channel.ACCOUNT))]

    assert [fact.fill.quantity for fact in missed if isinstance(fact, OrderFilled)] == [1_000]
    closes = [fact for fact in missed if isinstance(fact, OrderClosed)]
    assert OrderClosed("p1n1", Lots(1_000), "filled") in closes
    assert OrderClosed("p1n2", Lots(0), "canceled") in closes
    assert heard.of(OrderMissing) == [], "not found is only ever the answer to a question"


async def test_an_order_that_never_arrived_is_not_called_missing_by_a_reconnection(desk: Desk) -> None:
    """Only the core knows whether its request may still be on the way; it asks when that counts."""
    async with desk.streaming() as heard:
        desk.line.fault(f"POST {ORDER}", "code 400 -1000 Unknown error")
        await desk.venue.submit(desk.far_bid(1))
        desk.line.cut("ws-api")
        await again(heard, Channel.ACCOUNT)

    assert 1 == len(desk.line.sent(f"GET {ORDER}")), "it was asked about"
    assert [] == heard.of(OrderMissing)


@pytest.mark.parametrize("refused", ["GET /api/v3/myTrades", f"GET {ORDER}"])
async def test_the_account_is_not_restored_before_it_could_be_caught_up(desk: Desk, refused: str) -> None:
    async with desk.streaming() as heard:
        await desk.venue.submit(desk.far_bid(1))
        desk.line.fault(refused, "503 html", "503 html")
        asked = len(desk.line.sent(refused))
        desk.line.cut("ws-api")
        await again(heard, Channel.ACCOUNT)

        assert len(desk.line.sent(refused)) >= asked + 3
        assert len(lost(heard, Channel.ACCOUNT)) == 1, "one loss, however many attempts"


BAD = [
    "",
    "{",
    "[]",
    "null",
    "[" * 50_000,
    '{"stream":"btcusdt@trade","data":{"t":1}}',
    '{"event":{"e":"executionReport"}}',
]


async def test_bad_frames_are_counted_and_survived(desk: Desk) -> None:
    async with desk.streaming() as heard:
        for frame in BAD:
            await desk.line.inject("stream", frame)
            await desk.line.inject("ws-api", frame)
        await desk.venue.submit(desk.best_bid())
        desk.line.trade(Side.SELL, 100)
        await heard.first(OrderFilled)
        await heard.first(TradePrinted)

    assert desk.venue.bad_frames >= len(BAD)
    assert heard.of(StreamLost) == []


@pytest.mark.parametrize(
    ("where", "channel", "frame"),
    [
        ("ws-api", Channel.ACCOUNT, {"event": {"e": "eventStreamTerminated", "E": 1}}),
        ("ws-api", Channel.ACCOUNT, {"event": {"e": "serverShutdown", "E": 1}}),
        ("stream", Channel.MARKET, {"e": "serverShutdown", "E": 1}),
    ],
)
async def test_when_the_exchange_says_goodbye_the_stream_is_dialed_anew(
    desk: Desk, where: str, channel: Channel, frame: dict[str, object]
) -> None:
    async with desk.streaming() as heard:
        await desk.line.inject(where, json.dumps(frame))
        await again(heard, channel)

    assert ["eventStreamTerminated" if "Terminated" in json.dumps(frame) else "serverShutdown"] == [
        fact.why for fact in lost(heard, channel)
    ]


async def silence(line: Hostile, limits: StreamLimits) -> tuple[Recorder, CcxtVenue]:
    venue = CcxtVenue("binance", None, line.endpoint, None, line.clock, limits=limits)
    await venue.open(SYMBOL)
    heard = Recorder()
    task = asyncio.create_task(venue.stream(SYMBOL, heard))
    try:
        await heard.until(lambda: heard.facts.count(StreamRestored(Channel.MARKET)) >= 2)
    finally:
        task.cancel()
        await asyncio.wait([task])
        await venue.close()
    return heard, venue


async def test_a_market_that_falls_silent_is_lost_and_dialed_anew(line: Hostile) -> None:
    heard, _ = await silence(line, StreamLimits(stale_s=0.2, first_delay_s=0.01))

    assert heard.of(StreamLost)[0].why.startswith("no print and no quote")


async def test_a_wrong_key_loses_the_account_once_and_leaves_the_market_up(desk: Desk) -> None:
    wrong = Credentials(desk.line.credentials.api_key, "x" * 64)
    venue = CcxtVenue("binance", wrong, desk.line.endpoint, a_fuse(), desk.line.clock, limits=QUICK)
    await venue.open(SYMBOL)
    heard = Recorder()
    task = asyncio.create_task(venue.stream(SYMBOL, heard))
    try:
        await heard.first(StreamRestored)
        await heard.until(lambda: len(lost(heard, Channel.ACCOUNT)) == 1)
        await desk.line.until(lambda: len(desk.line.connected) >= 4)
    finally:
        task.cancel()
        await asyncio.wait([task])
        await venue.close()

    (loss,) = heard.of(StreamLost)
    assert "-1022" in loss.why
    assert [StreamRestored(Channel.MARKET)] == heard.of(StreamRestored)


async def test_an_ed25519_key_signs_requests_and_the_subscription(line: Hostile, tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    public = tmp_path / "public.pem"
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    registered = read_public_key(public)
    line.exchange.hall.keyring.add(registered)
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    venue = CcxtVenue(
        "binance", Credentials(registered.api_key, secret), line.endpoint, a_fuse(), line.clock, limits=QUICK
    )
    desk = Desk(venue, a_fuse(), line, await venue.open(SYMBOL))

    async with desk.streaming() as heard:
        assert isinstance(await venue.submit(desk.best_bid()), OrderAccepted)
        await heard.first(OrderAccepted)
    await venue.close()


async def test_orders_of_somebody_else_on_the_account_are_ignored_and_counted(desk: Desk) -> None:
    async with desk.streaming() as heard:
        hall = desk.line.exchange.hall
        hall.engine.place(hall.catch_up(), SYMBOL, Side.BUY, "LIMIT", "GTC", Lots(50), Ticks(ASK), client_id="somebody")
        hall.catch_up()
        await desk.venue.submit(desk.best_bid())
        await heard.first(OrderAccepted)
        listed = await desk.venue.fills(ListFills(SYMBOL, Nanos(desk.line.clock() - DAY)))

    assert heard.of(OrderFilled) == []
    assert len(listed) == 1, "only the end of the list"
    assert desk.venue.foreign >= 3
