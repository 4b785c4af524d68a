"""Market streams over lines that break: each trade once, none missed unsaid, and a renewal that nobody notices."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from execd.core.events import (
    Channel,
    Event,
    Print,
    PrintsMissed,
    QuoteChanged,
    StreamLost,
    StreamRestored,
    TradeBusted,
    TradePrinted,
)
from execd.core.grid import Lots, Nanos, Ticks
from execd.venues import VenueError
from execd.venues.streams import StreamLimits
from execd.venues.streams.feed import Feed
from execd.venues.streams.feeds import FEEDS
from execd.venues.streams.market import MarketStream
from tests.venues.feeds.dialects import DIALECTS, Dialect
from tests.venues.feeds.dialects_more import DIALECTS_MORE
from tests.venues.feeds.samples import GRID
from tests.venues.helpers import WAIT_S, Recorder, now
from tests.venues.speaker import SECOND_0, Speaker, a_trade, local, speaking

SPOT = Dialect("BTCUSDT", DIALECTS["binanceusdm"].encode, DIALECTS["binanceusdm"].encode_quote)
EVERY = {**DIALECTS, **DIALECTS_MORE, "binance": SPOT}
LOOSE = sorted(name for name in EVERY if not FEEDS[name].contiguous)

QUICK = StreamLimits(stale_s=60.0, first_delay_s=0.01, longest_delay_s=0.05, overlap_s=0.02)
TWO = StreamLimits(stale_s=60.0, first_delay_s=0.01, longest_delay_s=0.05, overlap_s=0.02, connections=2)


def a_quote(update: int) -> QuoteChanged:
    """A quote of its own for every number."""
    at = Nanos(SECOND_0 + update * 1_000_000)
    return QuoteChanged(Ticks(4_000_000 + update), Lots(5), Ticks(4_000_100 + update), Lots(7), at, update)


@dataclass
class Past:
    """What the exchange gives of its past, and what it was asked."""

    trades: list[TradePrinted] = field(default_factory=list)
    asked: list[tuple[int | None, int | None, Nanos | None]] = field(default_factory=list)
    refusing: bool = False
    sparse: bool = False
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def questions(self, count: int) -> None:
        """Wait until so many were asked."""
        async with asyncio.timeout(WAIT_S), self._came:
            await self._came.wait_for(lambda: len(self.asked) >= count)

    async def __call__(self, first: int | None, last: int | None, since: Nanos | None) -> Sequence[TradePrinted]:
        """A page of up to ten trades."""
        self.asked.append((first, last, since))
        async with self._came:
            self._came.notify_all()
        if self.refusing:
            raise VenueError("not today")
        if first is None:
            return self.trades[-10:]
        to = None if self.sparse else last
        return [trade for trade in self.trades if trade.id >= first and (to is None or trade.id <= to)][:10]


@dataclass
class Watched:
    """A market stream that listens to a speaker, and what it has told."""

    speaker: Speaker
    dialect: Dialect
    stream: MarketStream
    heard: Recorder
    past: Past

    @property
    def ids(self) -> list[int]:
        """The trades that were passed on."""
        return [trade.id for trade in self.heard.of(TradePrinted)]

    async def trade(self, *numbers: int) -> None:
        """Let the exchange tell of trades."""
        for number in numbers:
            await self.speaker.say(self.dialect.encode([a_trade(number)]))

    async def reach(self, number: int) -> None:
        """Wait until a trade was passed on."""
        await self.heard.first(TradePrinted, lambda trade: trade.id == number)


@contextlib.asynccontextmanager
async def watching(
    name: str = "binance",
    limits: StreamLimits = QUICK,
    past: Past | None = None,
    clock: Callable[[], Nanos] = now,
    sink: Callable[[Recorder], Callable[[Event | Print], None]] = lambda heard: heard,
) -> AsyncIterator[Watched]:
    """A stream of one exchange's kind, up on all its connections."""
    dialect, past = EVERY[name], past or Past()
    async with speaking() as speaker:
        # So that what answers a subscription is there, whatever it is called.
        speaker.welcome = [dialect.encode_quote(a_quote(1))]
        feed: Feed = local(FEEDS[name], speaker.port, dialect.market, GRID)
        stream = MarketStream(feed, lambda _: {}, limits, history=past, clock=clock)
        heard = Recorder()
        task = asyncio.create_task(stream.run(sink(heard)))
        try:
            await heard.first(StreamRestored)
            await speaker.until(lambda: len(speaker.alive) == limits.connections)
            yield Watched(speaker, dialect, stream, heard, past)
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.mark.parametrize("name", sorted(EVERY))
async def test_every_exchanges_trades_come_once_and_exactly_over_two_connections(name: str) -> None:
    trades = [a_trade(number) for number in range(1, 40)]
    async with watching(name, TWO) as seen:
        frames = seen.dialect.encode(trades)
        await seen.speaker.say(frames)
        await seen.speaker.say(frames)  # As a snapshot repeats them.
        await seen.speaker.say(seen.dialect.encode([a_trade(40)]))
        await seen.reach(40)

    assert seen.heard.of(TradePrinted) == [*trades, a_trade(40)]
    quote = seen.heard.of(QuoteChanged)[0]
    assert (quote.bid, quote.ask) == (a_quote(1).bid, a_quote(1).ask)
    assert seen.stream.bad_frames == 0
    assert seen.heard.of(PrintsMissed) == []


async def test_of_two_connections_one_may_break_unnoticed() -> None:
    async with watching(limits=TWO) as seen:
        await seen.trade(1)
        seen.speaker.cut(seen.speaker.alive[0])
        await seen.speaker.until(lambda: len(seen.speaker.clients) == 3)
        await seen.trade(2, 3)
        await seen.reach(3)

    assert seen.ids == [1, 2, 3]
    assert seen.heard.of(StreamLost) == []
    assert seen.past.asked == []


async def test_a_renewal_has_the_next_connection_up_before_the_last_one_goes() -> None:
    limits = StreamLimits(stale_s=60.0, first_delay_s=0.01, renew_s=0.05, overlap_s=0.02)
    async with watching(limits=limits) as seen:
        number = 0
        while len(seen.speaker.clients) < 5:
            number += 1
            assert seen.speaker.alive, "at every moment one connection at least is there"
            await seen.trade(number)
            await seen.reach(number)

    assert seen.ids == list(range(1, number + 1))
    assert seen.heard.of(StreamLost) == []
    assert seen.past.asked == []


@pytest.mark.parametrize("failed", [False, True])
async def test_a_loss_after_a_renewal_is_said_too(*, failed: bool) -> None:
    """Whether the next connection has taken over, or was refused and the old one has stayed."""
    limits = StreamLimits(stale_s=60.0, first_delay_s=0.01, longest_delay_s=0.01, renew_s=0.05, overlap_s=0.02)
    async with watching(limits=limits) as seen:
        first = seen.speaker.alive[0]
        seen.speaker.refusing = failed
        await seen.speaker.until(lambda: seen.speaker.refused >= 2 or first.close_code is not None)
        assert seen.heard.of(StreamLost) == []
        seen.speaker.refusing = True
        for client in seen.speaker.alive:
            seen.speaker.cut(client)
        await seen.heard.first(StreamLost)


async def test_a_renewal_that_fails_keeps_the_old_connection() -> None:
    limits = StreamLimits(stale_s=60.0, first_delay_s=0.01, longest_delay_s=0.01, renew_s=0.05, overlap_s=0.02)
    async with watching(limits=limits) as seen:
        seen.speaker.refusing = True
        await seen.speaker.until(lambda: seen.speaker.refused >= 3)
        await seen.trade(1)
        await seen.reach(1)

    assert seen.heard.of(StreamLost) == []


async def test_the_loss_of_all_connections_is_said_once_and_what_was_missed_comes_before_the_restoration() -> None:
    past = Past([a_trade(number) for number in range(1, 31)])
    async with watching(limits=TWO, past=past) as seen:
        await seen.trade(1, 2)
        await seen.reach(2)
        for client in seen.speaker.alive:
            seen.speaker.cut(client)
        await seen.heard.until(lambda: seen.heard.facts.count(StreamRestored(Channel.MARKET)) == 2)
        told = [fact for fact in seen.heard.facts if not isinstance(fact, QuoteChanged)]

    assert sorted(seen.ids) == list(range(1, 31))
    assert len(seen.heard.of(StreamLost)) == 1
    assert told[-1] == StreamRestored(Channel.MARKET)


@pytest.mark.parametrize("name", LOOSE)
async def test_where_no_id_tells_newest_trades_that_reach_back_close_the_hole(name: str) -> None:
    past = Past([a_trade(number) for number in range(1, 8)])
    async with watching(name, past=past) as seen:
        await seen.trade(1, 2)
        await seen.reach(2)
        seen.speaker.cut(seen.speaker.alive[0])
        await seen.heard.until(lambda: seen.heard.facts.count(StreamRestored(Channel.MARKET)) == 2)

    assert seen.ids == list(range(1, 8))
    assert seen.heard.of(PrintsMissed) == []


@pytest.mark.parametrize("name", LOOSE)
async def test_where_no_id_tells_newest_trades_that_do_not_reach_back_leave_a_hole(name: str) -> None:
    past = Past([a_trade(number) for number in range(50, 60)])
    async with watching(name, past=past) as seen:
        await seen.trade(1, 2)
        await seen.reach(2)
        seen.speaker.cut(seen.speaker.alive[0])
        await seen.heard.until(lambda: seen.heard.facts.count(StreamRestored(Channel.MARKET)) == 2)

    assert seen.ids == [1, 2, *range(50, 60)]
    assert seen.heard.of(PrintsMissed) == [PrintsMissed(a_trade(2).at, a_trade(50).at)]


async def test_where_no_id_tells_and_no_past_is_given_the_hole_ends_now() -> None:
    past = Past(refusing=True)
    async with watching("bybit", past=past) as seen:
        await seen.trade(1)
        await seen.reach(1)
        seen.speaker.cut(seen.speaker.alive[0])
        hole = await seen.heard.first(PrintsMissed)
        await seen.heard.until(lambda: seen.heard.facts.count(StreamRestored(Channel.MARKET)) == 2)

    assert hole.since == a_trade(1).at
    assert hole.until > hole.since


async def test_where_no_id_tells_a_frame_without_sense_may_have_been_a_trade() -> None:
    async with watching("bybit") as seen:
        await seen.trade(1)
        await seen.speaker.say([b'{"topic":"publicTrade.BTCUSDT","data":[{"i":7}]}'])
        await seen.trade(3)
        await seen.reach(3)

    assert seen.stream.bad_frames == 1
    assert seen.heard.of(PrintsMissed) == [PrintsMissed(a_trade(1).at, a_trade(3).at)]


async def test_where_ids_rise_by_one_a_frame_without_sense_is_a_jump_and_is_filled() -> None:
    past = Past([a_trade(number) for number in range(1, 4)])
    async with watching(past=past) as seen:
        await seen.trade(1)
        await seen.speaker.say([b'{"stream":"btcusdt@trade","data":{"t":2}}'])
        await seen.trade(3)
        await seen.reach(2)

    assert sorted(seen.ids) == [1, 2, 3]
    assert past.asked == [(2, 2, a_trade(1).at)]


async def test_a_gap_that_is_refused_is_filled_with_the_next_one() -> None:
    past = Past([a_trade(number) for number in range(1, 8)], refusing=True)
    async with watching(past=past) as seen:
        await seen.trade(1, 3)
        await past.questions(3)
        past.refusing = False
        await seen.trade(5)
        await seen.reach(4)
        await seen.reach(2)

    assert sorted(seen.ids) == [1, 2, 3, 4, 5]


async def test_ids_that_a_sparse_exchange_passes_over_are_no_gap() -> None:
    past = Past([a_trade(1), a_trade(3), a_trade(6)], sparse=True)
    async with watching("binanceusdm", past=past) as seen:
        await seen.trade(1, 6)
        await seen.heard.first(TradeBusted, lambda busted: busted.id == 5)
        missing = list(seen.stream.ids.missing)

    assert sorted(seen.ids) == [1, 3, 6]
    assert sorted(busted.id for busted in seen.heard.of(TradeBusted)) == [2, 4, 5]
    assert missing == []


async def test_an_older_quote_of_the_slower_connection_is_dropped() -> None:
    async with watching(limits=TWO) as seen:
        await seen.speaker.say([seen.dialect.encode_quote(a_quote(5))], [seen.speaker.alive[0]])
        await seen.heard.first(QuoteChanged, lambda quote: quote.update == 5)
        for update in (4, 5, 6):
            await seen.speaker.say([seen.dialect.encode_quote(a_quote(update))], [seen.speaker.alive[1]])
        await seen.heard.first(QuoteChanged, lambda quote: quote.update == 6)

    assert [quote.update for quote in seen.heard.of(QuoteChanged)] == [1, 5, 6]


async def test_an_exchange_that_counts_its_quotes_anew_is_followed() -> None:
    async with watching() as seen:
        for update in (50, 51, 2, 3):
            await seen.speaker.say([seen.dialect.encode_quote(a_quote(update))])
        await seen.heard.first(QuoteChanged, lambda quote: quote.update == 3)

    assert [quote.update for quote in seen.heard.of(QuoteChanged)] == [1, 50, 51, 2, 3]


async def test_a_market_that_falls_silent_is_lost_with_the_reason_and_dialed_anew() -> None:
    moment = 0

    def clock() -> Nanos:
        """A clock that a test moves."""
        return Nanos(SECOND_0 + moment)

    async with watching(clock=clock, limits=StreamLimits(stale_s=60.0, first_delay_s=0.01)) as seen:
        await seen.trade(1)
        await seen.reach(1)
        moment = 61_000_000_000
        loss = await seen.heard.first(StreamLost)
        await seen.speaker.until(lambda: len(seen.speaker.clients) == 2)

    assert loss.why == "no print and no quote for 61 s"


async def test_an_exchange_that_says_goodbye_is_left_with_its_own_word() -> None:
    async with watching() as seen:
        await seen.speaker.say([b'{"stream":"","data":{"e":"serverShutdown","E":1}}'])
        loss = await seen.heard.first(StreamLost)

    assert loss.why == "serverShutdown"


async def test_what_breaks_on_our_side_ends_the_stream_instead_of_being_swallowed() -> None:
    class Ours(Exception):
        pass

    def breaking(_heard: Recorder) -> Callable[[Event | Print], None]:
        def sink(fact: Event | Print) -> None:
            if isinstance(fact, TradePrinted):
                raise Ours
            _heard(fact)

        return sink

    async with speaking() as speaker:
        feed = local(FEEDS["binance"], speaker.port, "BTCUSDT", GRID)
        stream = MarketStream(feed, lambda _: {}, QUICK, history=Past(), clock=now)
        heard = Recorder()
        task = asyncio.create_task(stream.run(breaking(heard)))
        await speaker.until(lambda: bool(speaker.alive))
        await speaker.say(SPOT.encode([a_trade(1)]))
        with pytest.raises(BaseExceptionGroup) as broken:
            await task

    assert broken.value.split(Ours)[0] is not None


async def test_the_exchange_hears_what_it_wants_to_hear_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    beat = FEEDS["okx"].beat
    assert beat is not None
    monkeypatch.setattr(FEEDS["okx"], "beat", type(beat)(0.01, beat.message))
    async with watching("okx") as seen:
        await seen.speaker.until(lambda: seen.speaker.heard.count(beat.message) >= 2)
        told = list(seen.speaker.heard)

    assert any('"subscribe"' in message for message in told)
