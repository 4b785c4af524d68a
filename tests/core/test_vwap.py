"""Each print counts once, whatever the order of arrival; what is missing is known by its ids."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from execd.core import tape_ids
from execd.core.events import (
    Bar,
    Gap,
    MarketView,
    PrintsMissed,
    QuoteChanged,
    TradeBusted,
    TradeCorrected,
    TradePrinted,
)
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.core.vwap import VwapTracker, last_price2, minute_price2
from tests.core.build import ASK, BID, START, a_market, a_parent, a_print, at

TRAILING = Nanos(300 * SECOND)


def a_tracker(*, contiguous: bool = True) -> VwapTracker:
    return VwapTracker(a_parent(), TRAILING, contiguous=contiguous)


def ranges(tracker: VwapTracker) -> list[tuple[int, int]]:
    """The ids that are missing."""
    return [(gap.first, gap.last) for gap in tracker.missing]


def watched(prints: list[TradePrinted], tracker: VwapTracker | None = None) -> VwapTracker:
    """A tracker that has seen prints, each at its own time."""
    tracker = tracker or a_tracker()
    for trade in prints:
        tracker.observe(trade.at, trade)
    return tracker


# ------------------------------------------------------------------------------------------- restarts, and the window


def merged(number: int, count: int, seconds: float = 0) -> TradePrinted:
    """A print that stands for several trades, the last of which has this id."""
    return TradePrinted(number, Ticks(BID), Lots(1), at(seconds), Side.BUY, count)


def restored(view: MarketView, *, contiguous: bool = True) -> VwapTracker:
    tracker = a_tracker(contiguous=contiguous)
    tracker.restore(view, {a_parent().slice_at(bar.start): bar for bar in view.bars})
    return tracker


def test_rolling_sums_and_quotes_start_empty_after_a_restart() -> None:
    """They are about now, and what is not known now is not known; but it is known how far the tape was seen."""
    before = watched([a_print(1, 10)])
    before.observe(at(10), a_quote())

    view = restored(before.view(at(10))).view(at(10))

    assert (view.volume, view.last_id, view.last_venue_at) == (1, 1, at(10))
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

    assert (tracker.trades, ranges(tracker)) == (3, [(2, 3)])


def test_once_it_is_known_where_the_window_begins_nothing_older_counts() -> None:
    assert not watched([a_print(5)]).anchored
    tracker = watched([a_print(5), a_print(3)])
    tracker.anchor()
    watched([a_print(2), a_print(4)], tracker)

    assert tracker.anchored
    assert (tracker.trades, ranges(tracker)) == (3, [])


def test_a_restored_tracker_knows_where_the_window_begins_if_it_knew_before() -> None:
    assert not restored(a_tracker().view(at(1))).anchored
    before = watched([a_print(5, 3)])
    assert not restored(before.view(at(4))).anchored

    before.anchor()
    assert restored(before.view(at(4))).anchored


def test_until_somebody_has_looked_back_the_beginning_of_the_window_is_a_hole_over_restarts_too() -> None:
    tracker = watched([a_print(5, 3)])
    view = tracker.view(at(4))
    again = restored(view)
    assert view.holes == again.view(at(4)).holes == ((at(0), at(3)),)
    assert again.holes == (), "there is nothing to mend but by looking back"

    watched([a_print(4, 1)], again)
    assert again.view(at(4)).holes == ((at(0), at(1)),)

    again.anchor()
    assert again.view(at(4)).complete


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


# ------------------------------------------------------------------------------------------------------- about now


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


# ------------------------------------------------------------------------------------ what the venue changes or merges


def test_a_print_that_stands_for_several_trades_leaves_no_gap_and_counts_for_all() -> None:
    tracker = watched([a_print(10), merged(13, 3), a_print(14)])

    assert (ranges(tracker), tracker.trades, tracker.last_id) == ([], 5, 14)
    assert tracker.view(at(1)).first_id == 10


def test_a_merged_print_that_is_partly_known_counts_for_nothing_and_its_rest_is_a_gap() -> None:
    """What the rest of it traded is not known apart: counting it all would count some twice."""
    tracker = watched([a_print(10), a_print(11), merged(13, 3)])
    assert (ranges(tracker), tracker.trades, tracker.last_id) == ([(12, 13)], 2, 13)

    watched([a_print(13), a_print(12), a_print(13)], tracker)
    assert (ranges(tracker), tracker.trades) == ([], 4)


def test_a_gap_bears_the_times_of_the_trades_beside_it() -> None:
    tracker = watched([a_print(1, 1), a_print(9, 5)])
    assert list(tracker.missing) == [Gap(2, 8, at(1), at(5))]

    watched([a_print(4, 3)], tracker)
    assert list(tracker.missing) == [Gap(2, 3, at(1), at(3)), Gap(5, 8, at(3), at(5))]

    watched([a_print(7, 2)], tracker)
    assert list(tracker.missing[1:]) == [Gap(5, 6, at(2), at(3)), Gap(8, 8, at(2), at(5))], "times may fall back"


@pytest.mark.parametrize("contiguous", [True, False])
def test_a_trade_that_is_taken_back_is_in_no_sum_any_more_and_does_not_return(contiguous: bool) -> None:
    tracker = watched(
        [a_print(1, 0, 100, 2), a_print(2, 1, 300, 5), a_print(3, 2, 200, 7)], a_tracker(contiguous=contiguous)
    )
    tracker.view(at(2))

    for number in (3, 2, 3):
        tracker.observe(at(3), TradeBusted(number))
    watched([a_print(2, 1, 300, 5), a_print(3, 2, 200, 7)], tracker)
    view = tracker.view(at(3))

    assert (view.volume, view.notional, view.trades) == (2, 200, 1)
    assert (view.minute_volume, view.minute_notional, view.trailing_volume) == (2, 200, 2)
    assert (view.last, view.last_venue_at, view.lost, view.missing) == (100, at(0), 0, 0)
    assert [(bar.volume, bar.notional, bar.close, bar.trades) for bar in view.bars] == [(2, 200, 100, 1)]
    assert (view.low, view.high, view.largest) == (100, 300, 7), "what bounds stays wide"


def test_a_bar_of_which_nothing_is_left_is_shown_as_one_in_which_nothing_traded() -> None:
    tracker = watched([a_print(1, 0, 100), a_print(2, 60, 200), a_print(3, 120, 300)])
    tracker.view(at(120))
    for number in (2, 1):
        tracker.observe(at(121), TradeBusted(number))

    bars = tracker.view(at(121)).bars
    assert [(bar.start, bar.volume, bar.notional, bar.close, bar.trades) for bar in bars] == [
        (at(0), 0, 0, 0, 0),
        (at(60), 0, 0, 100, 0),
    ]


def test_when_every_trade_was_taken_back_nothing_was_traded_last() -> None:
    tracker = watched([a_print(1, 5)])
    tracker.observe(at(6), TradeBusted(1))
    view = tracker.view(at(6))

    assert (view.last, view.last_venue_at, view.last_at, view.last_id) == (None, None, at(5), 1)
    assert restored(view).last_id == 1


def test_a_trade_that_was_taken_back_before_it_came_does_not_count_when_it_comes() -> None:
    """Nothing is lost by that: it is known what it is worth."""
    tracker = watched([a_print(1, 0), a_print(4, 1)])
    for number in (2, 6):
        tracker.observe(at(2), TradeBusted(number))
    assert ranges(tracker) == [(3, 3), (5, 5)]

    watched([a_print(number, 1) for number in (2, 3, 5, 6)], tracker)
    view = tracker.view(at(2))
    assert (view.trades, view.lost, ranges(tracker)) == (4, 0, [])


def test_what_was_taken_back_before_the_first_print_that_is_known_is_no_news() -> None:
    tracker = a_tracker()
    tracker.observe(at(0), TradeBusted(4))
    watched([a_print(5), a_print(6)], tracker)
    tracker.observe(at(0), TradeBusted(3))
    assert ranges(tracker) == [(4, 4)], "nobody has looked back yet"

    tracker.anchor()
    tracker.observe(at(0), TradeBusted(2))
    assert (ranges(tracker), tracker.view(at(0)).lost) == ([(4, 4)], 0)


def test_a_correction_replaces_what_was_counted_wherever_it_was() -> None:
    tracker = watched([a_print(1, 0, 100, 2), a_print(2, 59, 300, 5)])
    tracker.observe(at(61), TradeCorrected(a_print(2, 61, 310, 4)))
    view = tracker.view(at(61))

    assert (view.volume, view.notional, view.trades, view.last) == (6, 200 + 1_240, 2, 310)
    assert [(bar.volume, bar.close) for bar in view.bars] == [(2, 100), (4, 310)]


def test_a_correction_of_what_was_not_seen_is_the_trade_itself_and_of_what_was_taken_back_nothing() -> None:
    tracker = watched([a_print(1, 0, 100)])
    tracker.observe(at(1), TradeCorrected(a_print(2, 1, 200)))
    watched([a_print(2, 1, 999)], tracker)
    tracker.observe(at(1), TradeBusted(1))
    tracker.observe(at(1), TradeCorrected(a_print(1, 1, 999)))

    assert tracker.view(at(1)).notional == 200


@pytest.mark.parametrize("contiguous", [True, False])
def test_what_is_no_longer_remembered_and_changes_is_lost(monkeypatch: pytest.MonkeyPatch, contiguous: bool) -> None:
    """So that the coverage says that something is wrong."""
    monkeypatch.setattr(tape_ids, "LATEST", 4)
    tracker = watched([a_print(number, number) for number in range(1, 12)], a_tracker(contiguous=contiguous))
    tracker.observe(at(12), TradeBusted(9))
    tracker.observe(at(12), TradeCorrected(a_print(10, 10, 200, 3)))
    assert (tracker.volume, tracker.view(at(12)).lost) == (12, 0)

    tracker.observe(at(12), TradeBusted(2))
    tracker.observe(at(12), TradeCorrected(a_print(1, 1, 200, 3)))
    view = tracker.view(at(12))
    assert (tracker.volume, view.lost, view.missing, view.complete) == (12, 2, 2, False)
    assert restored(view).view(at(12)).lost == 2


@pytest.mark.parametrize("contiguous", [True, False])
def test_before_anything_traded_in_the_window_nothing_of_it_can_be_lost(contiguous: bool) -> None:
    tracker = watched([merged(5, 2, -5)], a_tracker(contiguous=contiguous))
    tracker.observe(at(0), TradeBusted(4))

    assert tracker.view(at(0)).lost == 0


# ---------------------------------------------------------------------------------------------------- gaps and holes


def test_a_jump_in_the_ids_is_a_gap_until_the_missing_ones_have_come() -> None:
    tracker = watched([a_print(1), a_print(5)])
    assert ranges(tracker) == [(2, 4)]

    watched([a_print(3)], tracker)
    assert ranges(tracker) == [(2, 2), (4, 4)]

    watched([a_print(4), a_print(2)], tracker)
    assert (ranges(tracker), tracker.view(at(1)).trades) == ([], 5)


def test_a_gap_before_or_after_the_window_can_be_filled_and_does_not_concern_it() -> None:
    tracker = watched(
        [a_print(1, -9), a_print(3, -8), a_print(4, 1), a_print(6, 599), a_print(8, 600), a_print(10, 601)]
    )
    tracker.anchor()
    view = tracker.view(at(602))

    assert ranges(tracker) == [(2, 2), (5, 5), (7, 7), (9, 9)]
    assert [(gap.first, gap.last) for gap in view.gaps] == [(5, 5), (7, 7)]
    assert (view.missing, view.coverage) == (2, Fraction(2, 4))


def test_holes_are_cut_to_the_window_and_count_by_their_time() -> None:
    tracker = watched([a_print(1, 0), a_print(2, 100)])
    tracker.anchor()
    for since, until in ((-10, -5), (-5, 9), (5, 19), (700, 800), (3, 2)):
        tracker.observe(at(100), PrintsMissed(at(since), at(until)))
    view = tracker.view(at(101))

    assert tracker.holes == ((at(-10), at(19)), (at(700), at(800)))
    assert view.holes == ((at(0), at(19)),)
    assert view.elapsed == at(100) - at(0) + 1
    assert view.coverage == 1 - Fraction(at(19) - at(0) + 1, view.elapsed)
    assert not view.complete

    tracker.mend(at(-10), at(19))
    assert tracker.view(at(101)).complete


def test_a_hole_at_the_end_of_what_was_seen_is_part_of_what_has_passed() -> None:
    tracker = watched([a_print(1, 9)])
    tracker.anchor()
    tracker.observe(at(20), PrintsMissed(at(10), at(19)))
    view = tracker.view(at(20))

    assert view.elapsed == at(19) - at(0) + 1
    assert 0 < view.coverage < 1


def test_the_busiest_second_is_that_of_the_window() -> None:
    tracker = watched([a_print(1, 0, 100, 5), a_print(2, 0.9, 100, 6), a_print(3, 1, 100, 10)])
    tracker.view(at(1))
    watched([a_print(4, 1.5, 100, 2)], tracker)

    assert tracker.view(at(2)).peak == 12
    assert watched([a_print(1, -1, 100, 50)]).view(at(0)).peak == 0


def test_where_ids_tell_nothing_a_restart_leaves_a_hole_and_counts_nothing_twice() -> None:
    """What bears no later time than the last print before cannot be told from what was counted."""
    before = watched([a_print(70, 5), a_print(30, 10)], a_tracker(contiguous=False))
    before.anchor()
    after = restored(before.view(at(11)), contiguous=False)
    watched([a_print(30, 10), a_print(70, 5), a_print(40, 10), a_print(90, 20), a_print(20, 15)], after)
    view = after.view(at(21))

    assert (view.trades, view.volume) == (4, 4)
    assert view.holes == ((at(10), at(20) - 1),)
    after.mend(at(10), at(20))
    assert after.holes == ((at(10), at(10)),), "the very moment of the last print stays in doubt"
    after.mend(at(11), at(20))
    assert after.holes == ((at(10), at(10)),)


def test_a_print_of_before_a_restart_is_not_the_latest_one() -> None:
    """A back-filled price must not pass for the market's present one."""
    before = watched([a_print(1, 5), a_print(4, 10)])
    after = restored(before.view(at(11)))
    watched([a_print(2, 6, 50)], after)
    assert (after.view(at(12)).last, after.last_venue_at, after.heard_at[0]) == (None, at(10), None)

    watched([a_print(5, 12, 70)], after)
    assert (after.view(at(12)).last, after.last_venue_at, after.heard_at[0]) == (70, at(12), at(12))


def test_a_late_print_after_a_restart_does_not_change_a_close() -> None:
    before = watched([a_print(1, 5, 100), a_print(4, 65, 200), a_print(6, 70, 300)])
    after = restored(before.view(at(71)))
    watched([a_print(2, 6, 50), a_print(5, 66, 60)], after)
    assert [bar.close for bar in after.view(at(72)).bars] == [100, 300]

    watched([a_print(7, 71, 400)], after)
    assert [bar.close for bar in after.view(at(72)).bars] == [400]


@pytest.mark.parametrize("contiguous", [True, False])
def test_memory_is_bounded_whatever_comes(monkeypatch: pytest.MonkeyPatch, contiguous: bool) -> None:
    """Each print a jump, each jump a hole; busts and corrections of all and nothing."""
    monkeypatch.setattr(tape_ids, "LATEST", 64)
    tracker = a_tracker(contiguous=contiguous)
    for number in range(3_000):
        seconds = number % 700
        tracker.observe(at(0), a_print(10 * number, seconds))
        tracker.observe(at(0), PrintsMissed(at(seconds), at(seconds + 0.25)))
        tracker.observe(at(0), TradeBusted(7 * number))
        tracker.observe(at(0), TradeCorrected(a_print(3 * number, seconds)))

    view = tracker.view(at(700))
    assert len(tracker.missing) <= tape_ids.GAPS_MAX
    assert len(tracker.holes) <= tape_ids.HOLES_MAX
    assert len(view.bars) == a_parent().slices
    assert view.lost > 0


def test_where_ids_have_no_order_the_lowest_of_a_second_is_found_wherever_it_comes() -> None:
    prints = [a_print(50, 1, 100), a_print(40, 1.2, 101), a_print(60, 1.2, 102), a_print(30, 1.2, 103)]
    view = watched([*prints, *prints], a_tracker(contiguous=False)).view(at(2))

    assert (view.first_id, view.last_id, view.trades, view.volume) == (30, 60, 4, 4)
    assert (view.last, view.low, view.high) == (102, 100, 103), "of one moment the one with the highest id is the last"


def test_prices_of_one_second_are_told_apart_from_its_first_one() -> None:
    view = watched([a_print(1, 0, 100), a_print(2, 0.1, 90), a_print(3, 0.2, 110), a_print(4, 0.3, 95, 7)]).view(at(1))

    assert (view.low, view.high, view.window_low, view.window_high, view.largest) == (90, 110, 90, 110, 7)


def test_a_correction_of_a_merged_print_that_is_partly_known_waits_for_its_rest() -> None:
    tracker = watched([a_print(10), a_print(11)])
    tracker.observe(at(1), TradeCorrected(merged(13, 3)))

    assert (ranges(tracker), tracker.trades, tracker.view(at(1)).lost) == ([(12, 13)], 2, 0)


def test_a_trade_outside_the_window_that_is_taken_back_leaves_the_window_as_it_was() -> None:
    tracker = watched([a_print(1, -5, 100, 7), a_print(2, 1, 100, 3)])
    tracker.observe(at(2), TradeBusted(1))
    view = tracker.view(at(2))

    assert (view.volume, view.trades, view.trailing_volume) == (3, 1, 3)


def test_a_repeat_is_dropped_whatever_time_it_bears() -> None:
    came = [(1, 0.0), (2, 0.1), (2, 0.1), (1, 0.2), (2, 0.3), (3, 0.4)]
    tracker = watched([a_print(number, seconds) for number, seconds in came])

    assert (tracker.trades, ranges(tracker), tracker.last_id) == (3, [], 3)
