"""The base balance is held against our fills to the last digit, fees included, or not at all."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from rich.console import Console

from execd.core.commands import ListFills
from execd.core.events import OrderAccepted, OrderClosed
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.core.orders import OrderKind
from execd.runtime.balance import BalanceCheck
from execd.runtime.metrics import Metrics
from execd.runtime.reconcile import OVERLAP, Verdict
from execd.runtime.report import ModelUse, as_dict, report
from execd.runtime.show import show
from execd.venues import Balance
from execd.venues.ccxt_venue import CcxtVenue
from tests.core.build import Work, a_parent
from tests.venues.conftest import QUICK, Desk
from tests.venues.helpers import SYMBOL, a_fuse, a_submit
from tests.venues.hostile import ASK, BID, hostile_exchange

GUARD_S = 20.0


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """An adapter on a practice exchange, opened, with a wide fuse for the parent p1."""
    async with hostile_exchange(tmp_path) as line:
        fuse = a_fuse()
        venue = CcxtVenue("binance", line.credentials, line.endpoint, fuse, line.clock, limits=QUICK)
        try:
            yield Desk(venue, fuse, line, await venue.open(SYMBOL))
        finally:
            await venue.close()


@pytest.fixture
def work(desk: Desk) -> Work:
    """The parent p1 on that exchange; nothing of what happens there is told to it by itself."""
    start = Nanos(desk.line.clock() - SECOND)
    return Work(a_parent(id="p1", instrument=desk.instrument, start=start, end=Nanos(start + 600 * SECOND)))


def somebody_buys(desk: Desk, lots: int) -> None:
    """On our account, by an order that is not ours."""
    hall = desk.line.exchange.hall
    hall.engine.place(hall.catch_up(), SYMBOL, Side.BUY, "LIMIT", "IOC", Lots(lots), Ticks(ASK), client_id="somebody")


async def hear(desk: Desk, work: Work) -> None:
    """Let the parent hear of all its fills."""
    for fact in await desk.venue.fills(ListFills(SYMBOL, work.parent.start)):
        work.execution.handle(desk.line.clock(), fact)


async def measured(check: BalanceCheck) -> Decimal | None:
    await check.measure()
    return check.drift


async def test_our_own_fills_are_no_drift_whether_we_heard_of_them_or_not(desk: Desk, work: Work) -> None:
    """Taken and made, with fees in the base currency; the journal may be behind the exchange."""
    check = BalanceCheck(desk.venue, work.execution)
    assert await measured(check) is None, "once is no change"

    await desk.venue.submit(desk.taking(1, 1_000))
    assert await measured(check) == 0

    await desk.venue.submit(desk.best_bid(2, 777))
    desk.line.trade(Side.SELL, 333)
    await hear(desk, work)
    assert sum(fill.quantity for fill in work.execution.blotter.fills) == 1_333
    assert all(fill.fee_currency == "BTC" for fill in work.execution.blotter.fills)
    assert await measured(check) == 0


async def test_fills_of_long_ago_count_without_being_read_again(desk: Desk, work: Work) -> None:
    """Only the last minutes are read; what the journal has from before them is taken from there."""
    check = BalanceCheck(desk.venue, work.execution)
    await check.measure()
    await desk.venue.submit(desk.taking(1, 1_000))
    await hear(desk, work)
    desk.line.clock.ahead += 2 * OVERLAP
    await desk.venue.submit(desk.taking(2, 500))
    await hear(desk, work)
    desk.line.requests.clear()

    assert await measured(check) == 0

    since = [int(str(dict(parse_qsl(text))["startTime"])) for text in desk.line.sent("GET /api/v3/myTrades")[:1]]
    assert since[0] * 1_000_000 > work.execution.blotter.fills[0].at


async def test_a_sell_is_held_against_what_it_gave_and_what_it_locks(desk: Desk) -> None:
    """Its fees are in the other currency, and what rests in the book is locked, not gone."""
    desk.venue.arm(a_fuse(Side.SELL))
    start = Nanos(desk.line.clock() - SECOND)
    parent = a_parent(id="p1", instrument=desk.instrument, side=Side.SELL, start=start, end=Nanos(start + 600 * SECOND))
    check = BalanceCheck(desk.venue, Work(parent).execution)
    await check.measure()
    resting = a_submit(1, 700, ASK + 10, side=Side.SELL, at=desk.line.clock())
    taking = a_submit(2, 300, BID, side=Side.SELL, kind=OrderKind.TAKE, at=desk.line.clock())

    assert isinstance(await desk.venue.submit(resting), OrderAccepted)
    assert await desk.venue.submit(taking) == OrderClosed("p1n2", Lots(300), "filled")

    assert await measured(check) == 0


async def test_what_somebody_else_trades_is_the_drift_to_the_last_digit(desk: Desk, work: Work) -> None:
    """0.00777 bought, 0.1 % of it paid in the currency bought."""
    check = BalanceCheck(desk.venue, work.execution)
    await check.measure()
    await desk.venue.submit(desk.taking(1, 1_000))
    somebody_buys(desk, 777)

    assert await measured(check) == Decimal("0.00777") - Decimal("0.00000777")


async def test_a_life_counts_from_its_own_beginning(desk: Desk, work: Work) -> None:
    """What an earlier life filled, and what was on the account, is where the next begins."""
    await desk.venue.submit(desk.taking(1, 1_000))
    somebody_buys(desk, 777)
    check = BalanceCheck(desk.venue, work.execution)
    await check.measure()
    await desk.venue.submit(desk.taking(2, 500))

    assert await measured(check) == 0


async def test_nothing_is_measured_while_something_fills(
    desk: Desk, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fill between the questions may be in one answer and not in the other: no drift is better than a false one."""
    check, ask = BalanceCheck(desk.venue, work.execution), desk.venue.balances
    await check.measure()

    async def balances() -> Sequence[Balance]:
        found = await ask()
        await desk.venue.submit(desk.taking(1, 1_000))
        return found

    monkeypatch.setattr(desk.venue, "balances", balances)
    assert await measured(check) is None

    monkeypatch.undo()
    assert await measured(check) == 0


@pytest.mark.parametrize("question", ["GET /api/v3/myTrades", "GET /api/v3/account"])
async def test_an_exchange_that_does_not_answer_leaves_the_last_word(desk: Desk, work: Work, question: str) -> None:
    """What was known stays known, and nothing is raised."""
    check = BalanceCheck(desk.venue, work.execution)
    await check.measure()
    assert await measured(check) == 0
    somebody_buys(desk, 777)
    desk.line.fault(question, *["503 json"] * 9)

    assert await measured(check) == 0


async def test_the_drift_is_told_each_time_that_it_was_measured(desk: Desk, work: Work) -> None:
    """Not the first time, when nothing can be compared; then again and again, and the gauge has it."""
    check, metrics, told = BalanceCheck(desk.venue, work.execution), Metrics(), asyncio.Queue[Decimal]()

    def tell(drift: Decimal) -> None:
        metrics.drifted(drift)
        told.put_nowait(drift)

    task = asyncio.create_task(check.watch(Nanos(1_000_000), tell))
    async with asyncio.timeout(GUARD_S):
        assert await told.get() == 0
        somebody_buys(desk, 10)
        while await told.get() == 0:
            pass
    task.cancel()

    assert b"execd_position_drift_base{" in metrics.exposition()
    assert b"} 9.99e-05" in metrics.exposition(), "0.0001 less 0.1 %"


@pytest.mark.parametrize(
    ("drift", "number", "warns"),
    [(None, None, False), ("0", 0.0, False), ("0.0009", 0.0009, False), ("-0.0010", -0.001, True), ("2", 2.0, True)],
)
def test_the_report_warns_of_a_drift_of_a_lot_or_more(drift: str | None, number: float | None, warns: bool) -> None:
    """Machines get the number, or null where it is not known; a person is told from a lot of 0.001 on."""
    found = report(
        Work().execution,
        Verdict(0, 0),
        ModelUse("curve", "", None),
        mode="practice",
        journal="j",
        balance_drift=None if drift is None else Decimal(drift),
    )
    console = Console(file=io.StringIO(), width=200)
    show(found, console)

    assert as_dict(found)["balance_drift"] == number
    assert isinstance(console.file, io.StringIO)
    assert ("beyond this order's fills" in console.file.getvalue()) == warns
