"""What can be said of a VWAP of which trades are missing: how much of it is known, and how far off it can be."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from execd.core.coverage import Missed, error, missed
from execd.core.events import Gap, MarketView
from execd.core.grid import SECOND, Lots, Nanos, Notional, Ticks
from tests.core.build import a_market, at

TEN_MINUTES = Nanos(600 * SECOND)
SEEN: dict[str, Any] = {
    "volume": Lots(900),
    "notional": Notional(900 * 10_000),
    "trades": 90,
    "elapsed": TEN_MINUTES,
    "largest": Lots(20),
    "window_low": Ticks(9_990),
    "window_high": Ticks(10_020),
    "peak": Lots(30),
}


def a_window(**changes: Any) -> MarketView:
    """90 trades of 900 lots at 10,000 ticks, from 9,990 to 10,020; none larger than 20, no second of more than 30."""
    return a_market(**{**SEEN, **changes})


def bound(view: MarketView) -> Fraction | None:
    return error(view, missed(view), view.volume, view.notional)


def test_of_a_window_of_which_nothing_is_missing_all_is_known() -> None:
    for view in (a_window(), MarketView()):
        assert view.coverage == 1
        assert view.complete
        assert (view.missing, missed(view), bound(view)) == (0, (), Fraction(0))


def test_the_coverage_is_the_share_of_the_ids_times_the_share_of_the_time() -> None:
    gap, hole = Gap(1, 6, at(5), at(9)), (at(100), Nanos(at(160) - 1))
    assert a_window(gaps=(gap,), lost=4).coverage == Fraction(9, 10)
    assert a_window(holes=(hole,)).coverage == Fraction(9, 10)
    assert a_window(gaps=(gap,), lost=4, holes=(hole,)).coverage == Fraction(81, 100)
    assert a_window(gaps=(gap,), trades=0).coverage == 0
    assert a_window(holes=((at(0), Nanos(at(600) - 1)),)).coverage == 0


def test_what_is_missing_is_told_part_by_part_with_its_time() -> None:
    late, early = Gap(50, 54, at(200), at(201)), Gap(1, 2, at(5), at(9))
    view = a_window(gaps=(late, early), lost=4, holes=((at(100.5), at(101.5)),))

    assert missed(view) == (
        Missed(at(5), at(9), 2, 2 * 20),
        Missed(at(100.5), at(101.5), None, 2 * 30),  # it touches two seconds of the clock
        Missed(at(200), at(201), 5, 5 * 20),
        Missed(None, None, 4, 4 * 20),
    )


def test_the_bound_in_a_case_that_can_be_done_by_hand() -> None:
    """100 lots may be missing, at worst all of them at 10,020: (9,000,000 + 100 * 10,020) / 1,000 is 10,002."""
    view = a_window(gaps=(Gap(1, 5, at(5), at(9)),))

    assert bound(view) == Fraction(2, 10_000)


def test_where_nothing_was_seen_or_most_of_it_may_be_wrong_there_is_no_bound() -> None:
    assert bound(MarketView(lost=1)) is None
    assert bound(a_window(lost=22)) is not None
    assert bound(a_window(lost=23)) is None, "920 of 900 lots may have to be taken away: twice that is more than all"
    assert bound(a_window(lost=1, window_low=None)) is None
    assert bound(a_window(lost=1, window_high=None)) is None
    assert bound(a_window(lost=1, notional=Notional(0))) is None


PRINTS = st.lists(st.tuples(st.integers(9_990, 10_020), st.integers(1, 20)), max_size=12)


@given(PRINTS, PRINTS.filter(bool), PRINTS, st.lists(st.booleans(), min_size=12, max_size=12))
def test_no_trades_that_keep_the_assumptions_take_the_vwap_further_than_the_bound(
    common: list[tuple[int, int]], wrong: list[tuple[int, int]], unseen: list[tuple[int, int]], which: list[bool]
) -> None:
    """Some of what was counted should not have been, and some that should have been was not."""
    lost = [trade for trade, chosen in zip(wrong, which, strict=False) if chosen]
    seen, true = common + wrong, [*common, *(trade for trade in wrong if trade not in lost), *unseen]
    for trade in lost:
        if trade in wrong and trade not in true and common.count(trade):
            return  # Equal trades: which one was taken back cannot be told apart here.
    volume, notional = sums(seen)
    view = a_window(
        volume=Lots(volume),
        notional=Notional(notional),
        gaps=(Gap(1, len(unseen), at(1), at(2)),) if unseen else (),
        lost=sum(trade in lost for trade in wrong),
    )
    allowed = bound(view)
    true_volume, true_notional = sums(true)
    if allowed is None or not true_volume:
        return
    vwap = Fraction(notional, volume)
    assert abs(Fraction(true_notional, true_volume) - vwap) <= allowed * vwap


def sums(trades: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(quantity for _, quantity in trades), sum(price * quantity for price, quantity in trades)
