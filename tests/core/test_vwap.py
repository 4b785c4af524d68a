"""Each print counts once, whatever the order of arrival; what is missing is known by its ids."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core import vwap
from execd.core.events import Bar, MarketView, QuoteChanged, TradePrinted
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.core.orders import ParentOrder
from execd.core.vwap import Gaps, Rolling, VwapTracker, last_price2, minute_price2
from tests.core.build import ASK, BID, START, a_market, a_parent, a_print, at

TRAILING = Nanos(300 * SECOND)


def a_tracker(*, contiguous: bool = True) -> VwapTracker:
    return VwapTracker(a_parent(), TRAILING, contiguous=contiguous)


def watched(prints: list[TradePrinted], tracker: VwapTracker | None = None) -> VwapTracker:
    """A tracker that has seen prints, each at its own time."""
    tracker = tracker or a_tracker()
    for trade in prints:
        tracker.observe(trade.at, trade)
    return tracker


@st.composite
def tapes(draw: st.DrawFn) -> list[TradePrinted]:
    """Trades with ids that rise by one and times that do not fall, from before the window until after it."""
    waits = draw(st.lists(st.integers(0, 60), min_size=1, max_size=30))
    seconds, tape = -30, []
    for number, wait in enumerate(waits, start=draw(st.integers(0, 10**9))):
        seconds += wait
        tape.append(a_print(number, seconds, draw(st.integers(1, 10**7)), draw(st.integers(1, 10**6))))
    return tape


@st.composite
def deliveries(draw: st.DrawFn) -> list[TradePrinted]:
    """A tape as the wire brings it: in any order, repeated or not at all."""
    return draw(st.lists(st.sampled_from(draw(tapes())), min_size=1, max_size=60))


def naive_sums(delivered: list[TradePrinted], parent: ParentOrder) -> dict[str, Any]:
    """The same from the definition: the set of the window's prints."""
    seen = {trade.id: trade for trade in delivered}
    inside = [trade for trade in seen.values() if parent.start <= trade.at < parent.end]
    return {
        "volume": sum(trade.quantity for trade in inside),
        "notional": sum(trade.price * trade.quantity for trade in inside),
        "trades": len(inside),
        "first_id": min((trade.id for trade in inside), default=None),
        "last_id": max(seen),
        "unseen": set(range(min(seen), max(seen))) - set(seen),
    }


def sums(view: MarketView) -> dict[str, Any]:
    return {
        "volume": view.volume,
        "notional": view.notional,
        "trades": view.trades,
        "first_id": view.first_id,
        "last_id": view.last_id,
        "unseen": {number for first, last in view.gaps for number in range(first, last + 1)},
    }


def naive_bars(delivered: list[TradePrinted], parent: ParentOrder) -> dict[int, tuple[int, int, int]]:
    bars: dict[int, tuple[int, int, int]] = {}
    for trade in {trade.id: trade for trade in delivered}.values():
        if parent.start <= trade.at < parent.end:
            volume, notional, trades = bars.get(parent.slice_at(trade.at), (0, 0, 0))
            bars[parent.slice_at(trade.at)] = (
                volume + trade.quantity,
                notional + trade.price * trade.quantity,
                trades + 1,
            )
    return bars


def bars_of(view: MarketView) -> dict[int, tuple[int, int, int]]:
    return {a_parent().slice_at(bar.start): (bar.volume, bar.notional, bar.trades) for bar in view.bars}


# ----------------------------------------------------------------------------------------------------------- the sums


@given(deliveries())
def test_the_sums_are_those_of_the_set_of_prints_in_whatever_order_they_came(delivered: list[TradePrinted]) -> None:
    view = watched(delivered).view(at(700))

    assert sums(view) == naive_sums(delivered, a_parent())
    assert bars_of(view) == naive_bars(delivered, a_parent())


@given(deliveries())
def test_ids_that_do_not_rise_by_one_are_told_apart_too(delivered: list[TradePrinted]) -> None:
    """Then nothing can be known to be missing."""
    view = watched(delivered, a_tracker(contiguous=False)).view(at(700))

    assert sums(view) == {**naive_sums(delivered, a_parent()), "unseen": set()}


@given(tapes(), st.data())
def test_a_restored_tracker_continues_exactly(tape: list[TradePrinted], data: st.DataObject) -> None:
    """What was journalled and the prints after it give the sums, bars and gaps of a process that never stopped."""
    order = [tape[0], *data.draw(st.permutations(tape[1:]))]
    order = order[: data.draw(st.integers(1, len(order)))]  # Some never come.
    cut = data.draw(st.integers(1, len(order)))
    before = watched(order[:cut])
    journalled = before.view(at(700))
    after = a_tracker()
    after.restore(journalled, {a_parent().slice_at(bar.start): bar for bar in journalled.bars})

    watched(order[cut:], before)
    watched(order[cut:], after)

    assert sums(after.view(at(700))) == sums(before.view(at(700)))
    for trade in order:  # A repeat of what came before the restart counts no more than one after it.
        after.observe(at(700), trade)
    assert after.view(at(700)).volume == before.volume
    assert bars_of(watched(order[cut:], restored(journalled)).view(at(700))) == {
        number: bar for number, bar in naive_bars(order, a_parent()).items() if number in touched(order[cut:])
    }


def restored(view: MarketView) -> VwapTracker:
    tracker = a_tracker()
    tracker.restore(view, {a_parent().slice_at(bar.start): bar for bar in view.bars})
    return tracker


def touched(prints: list[TradePrinted]) -> set[int]:
    parent = a_parent()
    return {parent.slice_at(trade.at) for trade in prints if parent.start <= trade.at < parent.end}


def test_rolling_sums_and_quotes_start_empty_after_a_restart() -> None:
    """They are about now, and what is not known now is not known."""
    before = watched([a_print(1, 10)])
    before.observe(at(10), a_quote())

    view = restored(before.view(at(10))).view(at(10))

    assert (view.volume, view.last_id) == (1, 1)
    assert view.minute_volume == view.trailing_volume == 0
    assert [view.bid, view.quote_at, view.last, view.last_at] == [None] * 4


def test_the_window_is_closed_at_its_start_and_open_at_its_end() -> None:
    """By the venue's time: one nanosecond decides."""
    edges = [(1, -1e-9), (2, 0), (3, 599.999_999_999), (4, 600)]
    view = watched([a_print(number, seconds) for number, seconds in edges]).view(at(601))

    assert (view.trades, view.first_id, view.last_id) == (2, 2, 4)


def test_a_print_older_than_the_first_one_seen_counts_too() -> None:
    """The stream is up before the back-fill of the window's beginning has come."""
    tracker = watched([a_print(5), a_print(4), a_print(1), a_print(4)])

    assert (tracker.trades, list(tracker.missing)) == (3, [(2, 3)])


def test_once_it_is_known_where_the_window_begins_nothing_older_counts() -> None:
    assert not watched([a_print(5)]).anchored
    tracker = watched([a_print(5), a_print(3)])
    tracker.anchor()
    watched([a_print(2), a_print(4)], tracker)

    assert tracker.anchored
    assert (tracker.trades, list(tracker.missing)) == (3, [])


def test_a_restored_tracker_knows_where_the_window_begins_unless_it_had_seen_nothing() -> None:
    assert restored(watched([a_print(5)]).view(at(1))).anchored
    assert not restored(a_tracker().view(at(1))).anchored


# --------------------------------------------------------------------------------------------------------------- bars


def test_a_bar_holds_the_prints_of_its_slice_and_their_last_price() -> None:
    tracker = watched([a_print(1, 0, 100, 2), a_print(2, 59.9, 110, 3), a_print(3, 60, 120, 1)])

    assert tracker.view(at(61)).bars == (
        Bar(at(0), Lots(5), 2 * 100 + 3 * 110, Ticks(110), 2),  # type: ignore[arg-type]  # the sum shows its parts
        Bar(at(60), Lots(1), 120, Ticks(120), 1),  # type: ignore[arg-type]  # likewise
    )


def test_only_the_bars_that_changed_come_with_a_view() -> None:
    tracker = watched([a_print(1, 0), a_print(2, 70)])
    assert [bar.start for bar in tracker.view(at(71)).bars] == [at(0), at(60)]

    tracker.observe(at(72), a_print(3, 72))
    assert [(bar.start, bar.trades) for bar in tracker.view(at(73)).bars] == [(at(60), 2)]
    assert tracker.view(at(74)).bars == ()


def test_a_late_print_does_not_change_the_close_of_its_bar() -> None:
    tracker = watched([a_print(1, 0, 100), a_print(3, 20, 120), a_print(2, 10, 110)])

    assert [bar.close for bar in tracker.view(at(30)).bars] == [120]


# ---------------------------------------------------------------------------------------------------- last and quotes


def a_quote(**changes: Any) -> QuoteChanged:
    return QuoteChanged(**{"bid": 99, "bid_size": 5, "ask": 101, "ask_size": 6, "at": START, **changes})


def test_the_view_shows_the_latest_quote_with_the_time_at_which_we_had_it() -> None:
    tracker = a_tracker()
    tracker.observe(at(1), a_quote())
    tracker.observe(at(2), a_quote(bid=98))
    view = tracker.view(at(3))

    assert (view.bid, view.bid_size, view.ask, view.ask_size, view.quote_at) == (98, 5, 101, 6, at(2))


def test_the_last_price_is_that_of_the_latest_trade_by_the_venues_time() -> None:
    assert a_tracker().last_venue_at is None
    tracker = a_tracker()
    tracker.observe(at(1), a_print(1, 0, 100))
    tracker.observe(at(5), a_print(3, 4, 120))
    tracker.observe(at(6), a_print(2, 2, 110))
    view = tracker.view(at(7))

    assert (view.last, view.last_venue_at, view.last_at) == (120, at(4), at(5))
    assert (tracker.last_id, tracker.last_venue_at) == (3, at(4))


def test_of_two_trades_at_one_moment_the_one_with_the_higher_id_is_the_last() -> None:
    """A venue's time has milliseconds at best: a sweep prints many trades with one time."""
    assert watched([a_print(1), a_print(3, 0, 120), a_print(2, 0, 110)]).view(at(1)).last == 120


def test_the_references_are_doubled_and_absent_where_nothing_traded() -> None:
    assert last_price2(a_market(last=10_001)) == 20_002
    assert last_price2(a_market(last=None)) is None
    assert minute_price2(a_market(minute_volume=3, minute_notional=100)) == 66
    assert minute_price2(a_market(minute_volume=0, minute_notional=0)) is None


# --------------------------------------------------------------------------------------------------------------- gaps


def test_a_jump_in_the_ids_is_a_gap_until_the_missing_ones_have_come() -> None:
    tracker = watched([a_print(1), a_print(5)])
    assert list(tracker.missing) == [(2, 4)]

    watched([a_print(3)], tracker)
    assert list(tracker.missing) == [(2, 2), (4, 4)]

    watched([a_print(4), a_print(2)], tracker)
    assert list(tracker.missing) == []
    assert tracker.view(at(1)).trades == 5


def test_too_many_gaps_are_given_up_oldest_first_and_counted_as_lost() -> None:
    gaps = Gaps(contiguous=True)
    for number in range(vwap.GAPS_MAX + 2):
        assert gaps.take(10 * number)

    assert gaps.lost == 9
    assert len(gaps.missing) == vwap.GAPS_MAX
    assert gaps.missing[0] == (11, 19)
    assert not gaps.take(5), "what was given up must not count after all: it is in `lost`"


def test_only_so_many_loose_ids_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vwap, "RECENT_IDS_MAX", 3)
    gaps = Gaps(contiguous=False)

    assert [gaps.take(number) for number in (40, 10, 30, 10)] == [True, True, True, False]
    assert gaps.take(20), "the fourth pushes out the first"
    assert gaps.take(40)
    assert (gaps.last, gaps.missing) == (40, [])


# ------------------------------------------------------------------------------------------------------------ rolling


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 100), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 10),
)
@settings(max_examples=200)
def test_a_rolling_sum_is_that_of_the_seconds_in_its_span(steps: list[tuple[int, int, bool]], span: int) -> None:
    """Prints come early and late; `now` only moves forward.  A second that has left the span has left for good."""
    rolling = Rolling(Nanos(span * SECOND))
    prints: list[tuple[int, int]] = []
    now = 0
    for second, volume, looks in steps:
        if looks:
            now = max(now, second)
            rolling.forget(Nanos(now * SECOND))
        else:
            rolling.add(Nanos(second * SECOND + 7), volume, 3 * volume, 3)
            prints.append((second, volume))
    latest = max([now, *(second for second, _ in prints)])
    rolling.forget(Nanos(latest * SECOND))

    assert rolling.volume == sum(volume for second, volume in prints if second > latest - span)
    assert rolling.notional == 3 * rolling.volume


def test_a_print_a_whole_span_later_pushes_out_what_came_before_it() -> None:
    """By itself, so that the memory is bounded even if nobody looks."""
    rolling = Rolling(Nanos(10 * SECOND))
    rolling.add(at(0), 5, 500, 100)
    rolling.add(at(9), 6, 600, 100)
    rolling.add(at(10), 7, 700, 100)

    assert (rolling.volume, rolling.notional) == (13, 1_300)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 1_000)), max_size=60), st.integers(1, 12))
def test_the_lowest_and_the_highest_trade_are_those_of_the_last_seconds(
    prints: list[tuple[int, int]], span: int
) -> None:
    """Whatever the order of arrival."""
    rolling = Rolling(Nanos(60 * SECOND))
    for second, price in prints:
        rolling.add(Nanos(second * SECOND + 7), 1, price, price)

    within = [price for second, price in prints if second > 40 - span]

    assert rolling.extremes(Nanos(40 * SECOND), span) == ((min(within), max(within)) if within else None)


def test_the_minute_and_the_trailing_volume_forget_each_at_its_own_span() -> None:
    tracker = watched([a_print(1, 0, 100, 5), a_print(2, 30, 200, 7)])

    def seen(seconds: float) -> tuple[int, int, int]:
        view = tracker.view(at(seconds))
        return view.minute_volume, view.minute_notional, view.trailing_volume

    assert seen(59) == (12, 1_900, 12)
    assert seen(60) == (7, 1_400, 12)
    assert seen(90) == (0, 0, 12)
    assert seen(300) == (0, 0, 7)
    assert seen(330) == (0, 0, 0)


def test_what_our_own_side_of_the_tape_is_does_not_matter() -> None:
    """Own prints are in the market's volume: they are taken out by the score, which knows them."""
    sold = TradePrinted(1, Ticks(100), Lots(2), at(0), Side.SELL)

    assert watched([sold]).view(at(1)).volume == 2


def test_trades_and_quotes_are_each_heard_by_our_time() -> None:
    """Whatever the venue's clock says; what is a repeat, or older than the latest print, is no news of the tape."""
    tracker = a_tracker()

    def heard() -> tuple[Nanos | None, Nanos | None]:
        return tracker.heard_at

    assert heard() == (None, None)

    tracker.observe(at(11), a_print(5, 9))
    assert heard() == (at(11), None)

    tracker.observe(at(12), QuoteChanged(Ticks(BID), Lots(1), Ticks(ASK), Lots(1), at(10)))
    assert heard() == (at(11), at(12))

    tracker.observe(at(13), a_print(5, 9))
    tracker.observe(at(14), a_print(4, 8))
    assert heard() == (at(11), at(12))
    assert (tracker.view(at(15)).last_at, tracker.view(at(15)).quote_at) == heard()
