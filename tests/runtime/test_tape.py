"""The tape is made whole as far as the exchange has it, in each of the ways in which exchanges give their past.

The venue here is the past alone: what an exchange would answer, page by page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from execd.core.events import Print, TradePrinted
from execd.core.execution import Execution
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.runtime.tape import ANCHOR_SLOWLY_S, Tape
from execd.venues import Paging, Venue, VenueCaps, VenueError
from tests.core.build import a_submission, at

PAGE = 4


def a_trade(number: int) -> TradePrinted:
    """One a second, the hundredth at the parent's start."""
    return TradePrinted(number, Ticks(10_000 + number % 7), Lots(1 + number % 3), at(number - 100), Side.BUY)


@dataclass
class Past:
    """An exchange that only remembers."""

    trades_there: list[TradePrinted]
    caps: VenueCaps
    down: bool = False
    asked: list[tuple[int | None, int | None, Nanos | None]] = field(default_factory=list)

    async def trades(
        self, _symbol: str, first: int | None, last: int | None, since: Nanos | None = None
    ) -> Sequence[TradePrinted]:
        """A page in this exchange's way."""
        self.asked.append((first, last, since))
        if self.down:
            raise VenueError("down")
        there = self.trades_there
        if self.caps.paging is Paging.RECENT or first is None:
            return there[-PAGE:]
        if self.caps.paging is Paging.BY_TIME:
            assert since is not None, "an exchange that pages by time must be told one"
            page = [trade for trade in there if trade.at >= since][:PAGE]
        else:
            page = [trade for trade in there if trade.id >= first][:PAGE]
        return [trade for trade in page if last is None or self.caps.sparse or trade.id <= last]


@dataclass
class Seen:
    """A tape over a past, and the execution that it serves."""

    past: Past
    execution: Execution
    tape: Tape

    def print(self, *numbers: int) -> None:
        """Let the stream bring trades."""
        for number in numbers:
            self.tape.sink(a_trade(number))

    @property
    def volume(self) -> int:
        """What the tracker has counted in the window."""
        return self.execution.tracker.view(at(50)).volume


def seen(paging: Paging, there: Sequence[int], *, contiguous: bool = True, sparse: bool = False) -> Seen:
    """A tape whose exchange has these trades."""
    caps = VenueCaps(
        contiguous_trade_ids=contiguous,
        own_prints=True,
        request_validity=Nanos(5 * SECOND),
        paging=paging,
        sparse=sparse,
    )
    past = Past([a_trade(number) for number in there], caps)
    execution = Execution(a_submission(contiguous=contiguous))
    return Seen(past, execution, Tape(cast("Venue", past), "BTC/USDT", cast("Any", lambda fact: look(execution, fact))))


def look(execution: Execution, fact: Print) -> None:
    """Show a print to an execution, at the moment of the print."""
    execution.observe(fact.at if isinstance(fact, TradePrinted) else at(50), fact)


def volume_of(numbers: Sequence[int]) -> int:
    """What these trades amount to in the window."""
    return sum(a_trade(number).quantity for number in numbers if number >= 100)


@pytest.mark.parametrize("paging", [Paging.BY_ID, Paging.BY_TIME])
async def test_what_was_printed_since_the_start_is_fetched_once_the_stream_is_up(paging: Paging) -> None:
    found = seen(paging, range(90, 121))
    found.print(120)

    await found.tape.anchor(found.execution)

    view = found.execution.tracker.view(at(50))
    assert view.volume == volume_of(range(100, 121))
    assert view.complete


async def test_an_exchange_with_only_the_newest_trades_leaves_a_hole_from_the_start_to_them() -> None:
    found = seen(Paging.RECENT, range(90, 121), contiguous=False)
    found.print(120)

    await found.tape.anchor(found.execution)

    view = found.execution.tracker.view(at(50))
    assert view.volume == volume_of(range(117, 121))
    assert view.holes == ((at(0), at(17)),)
    assert not view.complete


async def test_newest_trades_that_reach_back_to_before_the_start_leave_no_hole() -> None:
    found = seen(Paging.RECENT, range(90, 102), contiguous=False)
    found.print(101)

    await found.tape.anchor(found.execution)

    view = found.execution.tracker.view(at(50))
    assert view.volume == volume_of([100, 101])
    assert view.complete


@pytest.mark.parametrize("paging", [Paging.BY_ID, Paging.BY_TIME])
async def test_a_gap_is_mended_page_by_page(paging: Paging) -> None:
    found = seen(paging, range(90, 131))
    found.print(100)
    found.execution.tracker.anchor()
    found.print(103, 120, 121)
    assert [(gap.first, gap.last) for gap in found.execution.tracker.missing] == [(101, 102), (104, 119)]

    await found.tape.mend(found.execution.tracker)

    assert found.execution.tracker.missing == ()
    assert found.volume == volume_of(range(100, 122))


async def test_a_gap_that_is_refused_stands() -> None:
    found = seen(Paging.BY_ID, range(90, 131))
    found.print(100, 103)
    found.past.down = True

    await found.tape.mend(found.execution.tracker)

    assert [(gap.first, gap.last) for gap in found.execution.tracker.missing] == [(101, 102)]


async def test_where_there_is_no_past_to_page_through_a_gap_is_not_asked_for() -> None:
    found = seen(Paging.RECENT, range(90, 131), contiguous=False)
    found.print(100, 103)

    await found.tape.mend(found.execution.tracker)

    assert found.past.asked == []


async def test_ids_that_a_sparse_past_passes_over_are_no_gap() -> None:
    found = seen(Paging.BY_ID, [100, 102, 105, 106], sparse=True)
    found.print(100)
    found.execution.tracker.anchor()
    found.print(105)

    await found.tape.mend(found.execution.tracker)

    assert found.execution.tracker.missing == ()
    assert found.volume == volume_of([100, 102, 105, 106])


@pytest.mark.parametrize("paging", list(Paging))
async def test_after_the_end_the_last_trades_are_followed(paging: Paging) -> None:
    found = seen(paging, range(98, 104), contiguous=paging is not Paging.RECENT)
    found.print(100, 101)
    found.execution.tracker.anchor()

    whole = await found.tape.complete(found.execution, lambda: at(700))

    assert whole
    assert found.volume == volume_of(range(100, 104))


@pytest.mark.parametrize("paging", [Paging.BY_ID, Paging.BY_TIME])
async def test_a_market_that_never_pauses_does_not_hold_up_the_end(paging: Paging) -> None:
    """Each answer has a newer trade: what was printed after the end is none of ours."""
    found = seen(paging, range(98, 2_000))
    found.print(100, 101)
    found.execution.tracker.anchor()

    whole = await found.tape.complete(found.execution, lambda: at(700))

    assert whole
    assert found.volume == volume_of(range(100, 700))
    assert (found.past.asked[-1][0] or 0) <= 700


async def test_a_past_that_is_refused_is_asked_for_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(Paging.BY_ID, range(98, 104))
    found.past.down = True
    found.execution.streams_down.clear()
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 20:
            raise TimeoutError

    monkeypatch.setattr("execd.runtime.tape.asyncio.sleep", sleep)
    with pytest.raises(TimeoutError):
        await found.tape.mend_for_ever(found.execution)

    assert pauses[:3] == [0.1, 0.2, 0.4]
    assert pauses[-1] == ANCHOR_SLOWLY_S


async def test_what_the_exchange_does_not_say_at_the_end_is_a_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    """No jump of ids tells of the last trades."""
    monkeypatch.setattr("execd.runtime.tape.PATIENCE_S", 0.0)
    found = seen(Paging.BY_ID, range(98, 104))
    found.print(100, 101)
    found.execution.tracker.anchor()
    found.past.down = True

    whole = await found.tape.complete(found.execution, lambda: at(700))

    view = found.execution.tracker.view(at(700))
    assert not whole
    assert [since for since, _ in view.holes] == [at(1)]
    assert not view.complete


async def test_after_a_restart_newest_trades_that_reach_back_close_the_hole_but_for_its_first_moment() -> None:
    """Which of the trades of the very last moment an earlier life had counted, loose ids do not tell."""
    before = seen(Paging.RECENT, range(90, 106), contiguous=False)
    before.print(104, 105)
    await before.tape.anchor(before.execution)
    view = before.execution.tracker.view(at(6))

    after = seen(Paging.RECENT, range(103, 109), contiguous=False)
    after.execution.tracker.restore(view, {})
    after.print(108)
    await after.tape.anchor(after.execution)

    last = after.execution.tracker.view(at(50))
    assert last.volume == view.volume + volume_of([106, 107, 108])
    assert (at(5), at(5)) in last.holes
    assert all(until <= at(5) for _, until in last.holes)
