"""Real ccxt and execd's own adapter against an exchange that misbehaves on the wire, over TLS, by its own rules.

For each fault that touches an order: what the adapter says of it is the safe thing, and the exchange has had the order
at most once, and was asked for it once.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

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
    StreamLost,
    StreamRestored,
    TradePrinted,
)
from execd.core.grid import MINUTE, SECOND, Lots, Nanos
from execd.core.orders import OrderKind
from execd.exchange.server import PracticeExchange
from execd.venues import VenueError, VenueUnanswered, streams
from execd.venues.ccxt_venue import CcxtVenue
from execd.venues.credentials import Credentials
from execd.venues.fuse import Fuse
from execd.venues.loopback import Endpoint
from execd.venues.streams import StreamLimits
from tests.exchange.conftest import STILL_TAPE
from tests.exchange.storms import MovedClock, done, placed, stormy, until
from tests.venues.helpers import SYMBOL, Recorder, a_fuse, a_submit, streaming

QUICK = StreamLimits(stale_s=60.0, first_delay_s=0.01, longest_delay_s=0.05)
FAR, ASK = 4_900_000, 5_000_000
POST, DELETE, GET = "on: POST /api/v3/order", "on: DELETE /api/v3/order", "on: GET /api/v3/order"


@dataclass
class Desk:
    """An opened adapter, its fuse, and the exchange that it is connected to."""

    venue: CcxtVenue
    fuse: Fuse
    exchange: PracticeExchange
    clock: MovedClock

    def resting(self, number: int = 1) -> SubmitOrder:
        """A buy far below the market."""
        return a_submit(number, 1_000, FAR, at=self.clock())

    def taking(self, number: int = 1) -> SubmitOrder:
        """A buy that takes at once."""
        return a_submit(number, 1_000, ASK, kind=OrderKind.TAKE, at=self.clock())

    async def submitted(self, number: int = 1) -> None:
        """Rest an order that nothing happens to."""
        assert isinstance(await self.venue.submit(self.resting(number)), OrderAccepted)

    async def asked(self, number: int = 1) -> object:
        """What the exchange says of an order now."""
        return await self.venue.query(QueryOrder(f"p1n{number}", SYMBOL))

    async def fills(self) -> list[str]:
        """The ids of our fills by the exchange's list."""
        listed = await self.venue.fills(ListFills(SYMBOL, Nanos(self.clock() - MINUTE)))
        assert any(isinstance(fact, FillsListed) for fact in listed)
        return [fact.fill.id for fact in listed if isinstance(fact, OrderFilled)]

    def streaming(self) -> AbstractAsyncContextManager[Recorder]:
        """The adapter's streams, once both are up."""
        return streaming(self.venue)


@contextlib.asynccontextmanager
async def desk_in(folder: Path, *rules: str, timeout_s: float = 10.0) -> AsyncIterator[Desk]:
    """An adapter on an exchange that misbehaves by these rules."""
    tape = folder / "still_spot_BTCUSDT.csv"
    tape.write_text(STILL_TAPE)
    clock = MovedClock()
    async with stormy(tape, *rules, clock=clock, tls=True) as exchange:
        at = exchange.endpoints
        fuse = a_fuse()
        venue = CcxtVenue(
            "binance",
            Credentials(at.key.api_key, at.key.secret),
            Endpoint(at.port, at.ca),
            fuse,
            clock,
            limits=QUICK,
            timeout_s=timeout_s,
        )
        try:
            await venue.open(SYMBOL)
            yield Desk(venue, fuse, exchange, clock)
        finally:
            await venue.close()


# ---- submits

UNKNOWN = [
    "answer, code: -1000",
    "answer, code: -1001",
    "answer, code: -1006",
    "answer, code: -1006, status: 400",
    "answer, code: -1007",
    "answer, code: -1007, status: 400",
    "answer, code: -1008",
    "page, status: 502",
    "page, status: 503",
    "page, status: 504",
    "page, status: 403",
    "page, status: 200",
    "drop",
    "hang, for_s: 60",
]


@pytest.mark.parametrize("taken", [True, False], ids=["after acceptance", "before"])
@pytest.mark.parametrize("fault", UNKNOWN)
async def test_what_nobody_can_know_of_a_submit_is_lost_and_sent_once(fault: str, taken: bool, tmp_path: Path) -> None:
    rule = f"fault: {fault}, taken: {str(taken).lower()}, {POST}"
    async with desk_in(tmp_path, rule, timeout_s=1.0 if "hang" in fault else 10.0) as desk:
        fact = await desk.venue.submit(desk.resting())

        assert isinstance(fact, OrderLost)
        assert desk.fuse.committed == 1_000, "what may live keeps its quantity"
        assert (placed(desk.exchange, "p1n1"), sum(done(desk.exchange).values())) == (taken, 1)
        answer = await desk.asked()
        assert isinstance(answer, OrderAccepted if taken else OrderMissing)


async def test_a_submit_whose_answer_is_cut_is_lost_and_lives(tmp_path: Path) -> None:
    async with desk_in(tmp_path, f"fault: cut, {POST}") as desk:
        assert isinstance(await desk.venue.submit(desk.resting()), OrderLost)
        assert (placed(desk.exchange, "p1n1"), done(desk.exchange)) == (1, {"cut": 1})


@pytest.mark.parametrize("fault", ["delay, for_s: 0.1, taken: true", "delay, for_s: 0.1", "drip, every_s: 0.001"])
async def test_a_slow_answer_is_an_answer(fault: str, tmp_path: Path) -> None:
    async with desk_in(tmp_path, f"fault: {fault}, {POST}") as desk:
        assert isinstance(await desk.venue.submit(desk.resting()), OrderAccepted)
        assert placed(desk.exchange, "p1n1") == 1


async def test_a_submit_that_arrives_after_its_validity_is_refused_by_the_venue(tmp_path: Path) -> None:
    """The window that leaves with an order is what ends it: late on the way, it does not become an order."""
    async with desk_in(tmp_path, f"fault: delay, for_s: 0.3, {POST}") as desk:
        late = a_submit(1, 1_000, FAR, at=desk.clock(), valid_until=Nanos(desk.clock() + 100_000_000))
        fact = await desk.venue.submit(late)
        assert isinstance(fact, OrderClosed)
        assert (fact.reason.split(":")[0], placed(desk.exchange, "p1n1")) == ("clock", 0)


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("answer, code: -1003", "throttled"),
        ("answer, code: -1003, status: 418", "throttled"),
        ("answer, code: -1015", "throttled"),
        ("answer, code: -1021", "clock"),
        ("answer, code: -1022", "auth"),
        ("answer, code: -2010", "funds"),
        ("answer, code: -2015", "auth"),
        ("ban, for_s: 60", "throttled"),
        ("filter, filter: LOT_SIZE", "invalid"),
        ("filter, filter: PRICE_FILTER", "invalid"),
        ("filter, filter: NOTIONAL", "request"),
        ("filter, filter: PERCENT_PRICE_BY_SIDE", "invalid"),
        ("filter, filter: MAX_NUM_ORDERS", "request"),
        ("filter, filter: MAX_POSITION", "request"),
    ],
)
async def test_a_clear_no_closes_the_order_with_nothing_filled(fault: str, word: str, tmp_path: Path) -> None:
    async with desk_in(tmp_path, f"fault: {fault}, {POST}") as desk:
        fact = await desk.venue.submit(desk.resting())

        assert isinstance(fact, OrderClosed)
        assert (fact.filled, fact.reason.split(":")[0]) == (Lots(0), word)
        assert (placed(desk.exchange, "p1n1"), desk.fuse.committed, sum(done(desk.exchange).values())) == (0, 0, 1)


async def test_maintenance_leaves_a_submit_lost_and_a_question_unanswered(tmp_path: Path) -> None:
    async with desk_in(tmp_path, "fault: maintenance, at_s: 60, for_s: 60") as desk:
        desk.clock.ahead_s = 60.5
        await until(lambda: bool(done(desk.exchange)))
        assert isinstance(await desk.venue.submit(desk.resting()), OrderLost)
        with pytest.raises(VenueUnanswered):
            await desk.venue.open_orders(SYMBOL)
        desk.clock.ahead_s = 125.0
        assert list(await desk.venue.open_orders(SYMBOL)) == []
        assert placed(desk.exchange, "p1n1") == 0


# ---- a ban


async def test_nothing_is_asked_during_a_ban(tmp_path: Path) -> None:
    """The first 418 with Retry-After is the last that the exchange hears of us until it is over, cancels too."""
    rules = (f"fault: answer, code: -1003, status: 418, retry_after_s: 60, {GET}",)
    async with desk_in(tmp_path, *rules) as desk:
        await desk.submitted()
        assert await desk.asked() is None
        weight = desk.exchange.hall.limits.weight.count
        assert await desk.asked() is None
        refused = await desk.venue.cancel(CancelOrder("p1n1", SYMBOL))
        submitted = await desk.venue.submit(desk.resting(2))
        with pytest.raises(VenueUnanswered, match="banned by the exchange"):
            await desk.venue.balances()
        assert isinstance(refused, CancelRefused)
        assert isinstance(submitted, OrderClosed)
        assert submitted.reason.startswith("throttled")
        assert (desk.exchange.hall.limits.weight.count, done(desk.exchange)) == (weight, {"answer": 1})

        desk.clock.ahead_s = 61.0
        assert isinstance(await desk.venue.cancel(CancelOrder("p1n1", SYMBOL)), OrderClosed)


async def test_with_the_rate_limit_used_up_only_cancels_go(tmp_path: Path) -> None:
    async with desk_in(tmp_path, f"fault: answer, code: -1003, retry_after_s: 60, {GET}") as desk:
        await desk.submitted()
        assert await desk.asked() is None
        submitted = await desk.venue.submit(desk.resting(2))
        assert isinstance(submitted, OrderClosed)
        assert placed(desk.exchange, "p1n2") == 0
        assert isinstance(await desk.venue.cancel(CancelOrder("p1n1", SYMBOL)), OrderClosed)
        assert done(desk.exchange) == {"answer": 1}


# ---- cancels and queries


@pytest.mark.parametrize("taken", [True, False], ids=["after acceptance", "before"])
@pytest.mark.parametrize("fault", ["answer, code: -1006", "answer, code: -1007", "page", "drop", "hang, for_s: 60"])
async def test_what_nobody_can_know_of_a_cancel_is_lost_and_the_query_tells(
    fault: str, taken: bool, tmp_path: Path
) -> None:
    rule = f"fault: {fault}, taken: {str(taken).lower()}, {DELETE}"
    async with desk_in(tmp_path, rule, timeout_s=1.0 if "hang" in fault else 10.0) as desk:
        await desk.submitted()
        fact = await desk.venue.cancel(CancelOrder("p1n1", SYMBOL))
        assert isinstance(fact, OrderLost)
        assert isinstance(await desk.asked(), OrderClosed if taken else OrderAccepted)


async def test_a_cancel_that_is_repeated_below_us_is_never_taken_for_a_close(tmp_path: Path) -> None:
    """The HTTP library may repeat a DELETE on a broken connection: the second is told -2011, and that ends nothing."""
    async with desk_in(tmp_path, f"fault: drop, taken: true, times: 1, {DELETE}") as desk:
        await desk.submitted()
        fact = await desk.venue.cancel(CancelOrder("p1n1", SYMBOL))
        assert isinstance(fact, OrderLost | CancelRefused)
        assert OrderClosed("p1n1", Lots(0), "canceled") == await desk.asked()


@pytest.mark.parametrize(
    "fault", ["answer, code: -2011", "answer, code: -1021", "answer, code: -1003", "ban, for_s: 9"]
)
async def test_a_refused_cancel_ends_nothing(fault: str, tmp_path: Path) -> None:
    async with desk_in(tmp_path, f"fault: {fault}, {DELETE}") as desk:
        await desk.submitted()
        assert isinstance(await desk.venue.cancel(CancelOrder("p1n1", SYMBOL)), CancelRefused)
        assert len(desk.exchange.hall.engine.open_orders()) == 1


async def test_an_order_that_is_not_found_while_it_is_young_is_only_said_to_be_missing(tmp_path: Path) -> None:
    """The adapter repeats the venue's word and gives nothing back; that it means nothing yet, the core knows."""
    async with desk_in(tmp_path, 'fault: not-found, for_s: 60, on: "* /api/v3/order"') as desk:
        await desk.submitted()
        assert isinstance(await desk.venue.cancel(CancelOrder("p1n1", SYMBOL)), CancelRefused)
        assert await desk.asked() == OrderMissing("p1n1")
        assert desk.fuse.committed == 1_000
        desk.clock.ahead_s = 61.0
        assert isinstance(await desk.asked(), OrderAccepted)


@pytest.mark.parametrize("fault", [*UNKNOWN, "answer, code: -1003", "answer, code: -1021", "answer, code: -2015"])
async def test_a_query_without_a_usable_answer_says_nothing(fault: str, tmp_path: Path) -> None:
    async with desk_in(tmp_path, f"fault: {fault}, {GET}", timeout_s=1.0 if "hang" in fault else 10.0) as desk:
        await desk.submitted()
        assert await desk.asked() is None


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("answer, code: -1000", VenueUnanswered),
        ("answer, code: -1007", VenueUnanswered),
        ("answer, code: -1003", VenueUnanswered),
        ("answer, code: -1021", VenueUnanswered),
        ("ban, for_s: 9", VenueUnanswered),
        ("page", VenueUnanswered),
        ("drop", VenueUnanswered),
        ("hang, for_s: 60", VenueUnanswered),
        ("answer, code: -2015", VenueError),
    ],
)
async def test_a_question_that_may_be_asked_again_is_told_from_one_that_may_not(
    fault: str, kind: type[VenueError], tmp_path: Path
) -> None:
    rule = f"fault: {fault}, on: GET /api/v3/account"
    async with desk_in(tmp_path, rule, timeout_s=1.0 if "hang" in fault else 10.0) as desk:
        with pytest.raises(VenueError) as refused:
            await desk.venue.balances()
        assert refused.type is kind


async def test_a_timestamp_that_the_venue_refuses_makes_us_measure_its_clock_at_once(tmp_path: Path) -> None:
    """serverTime ran five seconds ahead when we asked: the order is refused, not lost, and the next one is in time."""
    async with desk_in(tmp_path, "fault: skew, ms: 5000, times: 5, on: GET /api/v3/time") as desk:
        assert await desk.venue.clock_offset() > 4 * SECOND
        fact = await desk.venue.submit(desk.resting())
        assert isinstance(fact, OrderClosed)
        assert (fact.reason.split(":")[0], placed(desk.exchange, "p1n1")) == ("clock", 0)
        await until(lambda: abs(desk.venue._wire.offset) < SECOND)
        await desk.submitted(2)


async def test_a_clock_that_cannot_be_measured_is_left_as_it_was(tmp_path: Path) -> None:
    """A refused timestamp and no answer about the time: the adapter lives, and the next refusal asks again."""
    rules = (f"fault: answer, code: -1021, {POST}", "fault: page, on: GET /api/v3/time")
    async with desk_in(tmp_path, *rules) as desk:
        assert isinstance(await desk.venue.submit(desk.resting(1)), OrderClosed)
        await until(lambda: done(desk.exchange).get("page") == 1)
        assert isinstance(await desk.venue.submit(desk.resting(2)), OrderClosed)
        await until(lambda: done(desk.exchange).get("page") == 2)


async def test_a_time_that_is_no_number_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our clock is left as it was, and whoever asked is told in the one way in which questions fail."""

    async def nonsense() -> dict[str, str]:
        return {"serverTime": "soon"}

    async with desk_in(tmp_path) as desk:
        monkeypatch.setattr(desk.venue._wire.trading, "public_get_time", nonsense)
        with pytest.raises(VenueUnanswered, match="'soon'"):
            await desk.venue.clock_offset()
        assert desk.venue._wire.offset == 0


# ---- reports


async def test_a_fill_that_no_report_told_is_fetched_when_the_stream_is_back(tmp_path: Path) -> None:
    rules = ("fault: lose, on: executionReport TRADE", "fault: reset, at_s: 60, stream: user")
    async with desk_in(tmp_path, *rules) as desk, desk.streaming() as heard:
        await desk.venue.submit(desk.taking())
        assert heard.of(OrderFilled) == []
        desk.clock.ahead_s = 60.0
        filled = await heard.first(OrderFilled)
        await heard.first(StreamRestored, after=heard.facts.index(filled))
        assert [filled.fill.id] == await desk.fills()


async def test_a_list_that_lacks_a_young_fill_is_made_up_for_by_its_report(tmp_path: Path) -> None:
    """A fill on one channel only is a fill, whichever channel it was."""
    async with desk_in(tmp_path, "fault: lag, for_s: 30") as desk, desk.streaming() as heard:
        await desk.venue.submit(desk.taking())
        filled = await heard.first(OrderFilled)
        assert await desk.fills() == []
        desk.clock.ahead_s = 31.0
        assert [filled.fill.id] == await desk.fills()


@pytest.mark.parametrize(
    "rule",
    [
        "fault: repeat, on: executionReport *, copies: 3",
        "fault: swap, on: executionReport NEW, by: 1",
        "fault: late, on: executionReport NEW, for_s: 0.1",
        "fault: trickle, on: executionReport *, bytes: 40, every_s: 0.001",
    ],
)
async def test_reports_that_come_twice_late_or_out_of_order_name_the_same_fill(rule: str, tmp_path: Path) -> None:
    async with desk_in(tmp_path, rule) as desk, desk.streaming() as heard:
        await desk.venue.submit(desk.taking(1))
        await heard.first(OrderFilled)
        await desk.venue.submit(desk.resting(2))
        await heard.first(OrderAccepted, lambda fact: fact.order == "p1n2")
        assert {fact.fill.id for fact in heard.of(OrderFilled)} == set(await desk.fills())
        assert {fact.fill.quantity for fact in heard.of(OrderFilled)} == {1_000}
        assert done(desk.exchange)


async def test_events_that_are_told_again_at_a_reconnect_name_fills_that_are_known(tmp_path: Path) -> None:
    rules = ("fault: replay, events: 20", "fault: reset, at_s: 60, stream: user")
    async with desk_in(tmp_path, *rules) as desk, desk.streaming() as heard:
        await desk.venue.submit(desk.taking())
        first = await heard.first(OrderFilled)
        desk.clock.ahead_s = 60.0
        again = await heard.first(OrderFilled, after=1 + heard.facts.index(first))
        await heard.until(lambda: len(heard.of(StreamRestored)) == 3)
        assert again.fill.id == first.fill.id
        assert len(await desk.fills()) == 1


async def test_prints_that_were_lost_are_fetched_by_their_ids(tmp_path: Path) -> None:
    rule = "fault: lose, on: btcusdt@trade, skip: 1, times: 3"
    async with desk_in(tmp_path, rule) as desk, desk.streaming() as heard:
        for number in range(1, 6):
            await desk.venue.submit(desk.taking(number))
        await heard.until(lambda: len(heard.of(TradePrinted)) == 5)
        ids = sorted(fact.id for fact in heard.of(TradePrinted))
        assert ids == list(range(ids[0], ids[0] + 5))


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("fault: tear, on: executionReport *, times: 1", "ConnectionClosed"),
        ("fault: reset, at_s: 60, stream: user", "ConnectionClosed"),
        ("fault: close, at_s: 60, stream: user", "24 hours"),
        ("fault: terminate, at_s: 60", "eventStreamTerminated"),
        ("fault: terminate, at_s: 60, event: listenKeyExpired", "listenKeyExpired"),
        ("fault: terminate, at_s: 60, event: serverShutdown", "serverShutdown"),
        ("fault: maintenance, at_s: 60, for_s: 1", "serverShutdown"),
        ("fault: silence, at_s: 60, for_s: 600, stream: user", "keepalive ping timeout"),
        ("fault: lose, on: reply userDataStream.*, times: 1", ""),
    ],
)
async def test_every_way_to_lose_the_reports_is_noticed_and_no_fill_is_lost(
    rule: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it ends rudely, politely, by an event or not at all: it is said once, and then all is caught up."""
    if "silence" in rule:
        monkeypatch.setattr(streams, "PING_S", 0.5)
    if "reply" in rule:
        monkeypatch.setattr("execd.venues.streams.binance_account.REPLY_S", 0.5)
    async with desk_in(tmp_path, rule) as desk, desk.streaming() as heard:
        desk.clock.ahead_s = 60.0
        await desk.venue.submit(desk.taking())
        filled = await heard.first(OrderFilled)
        if why:
            lost = await heard.first(StreamLost, lambda fact: fact.channel is Channel.ACCOUNT and why in fact.why)
            after = heard.facts.index(lost)
            await heard.first(StreamRestored, lambda fact: fact.channel is Channel.ACCOUNT, after=after)
        assert [filled.fill.id] == await desk.fills()
        assert done(desk.exchange)
