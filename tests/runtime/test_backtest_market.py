"""The past that a backtest shows: what was recorded as it was, and what is made from bars as documented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import MINUTE, SECOND, Nanos
from execd.runtime.backtest_market import PRINT_EVERY, BacktestRefused, history, open_market, prints, touch_at
from tests.runtime.past import BEGIN_US, bars, quotes, start_of, tape

ROSE = (0, 100.0, 104.0, 98.0, 102.0, 3.00007)
FELL = (1, 102.0, 103.0, 99.0, 100.0, 5.0)
MORE = [(number, 100.0, 101.0, 99.0, 100.0, 2.0) for number in range(2, 8)]


def test_the_prints_of_a_bar_have_its_volume_and_its_prices(tmp_path: Path) -> None:
    """Exact to the lot; open first, close last, and the high and the low are traded."""
    made = open_market(bars(tmp_path, [ROSE, FELL, *MORE]), 1.0).trades(start_of(0), start_of(60))

    assert made.lots.sum() == 300_007
    assert (made.price[0], made.price[-1]) == (100_00, 102_00)
    assert (made.price.max(), made.price.min()) == (104_00, 98_00)
    assert np.diff(made.at).max() == PRINT_EVERY
    assert made.at[0] >= start_of(0)
    assert made.at[-1] < start_of(60)


def test_a_bar_that_rose_comes_by_its_low_first_and_one_that_fell_by_its_high(tmp_path: Path) -> None:
    market = open_market(bars(tmp_path, [ROSE, FELL, *MORE]), 1.0)
    rose, fell = market.trades(start_of(0), start_of(60)), market.trades(start_of(60), start_of(120))

    assert rose.price.argmin() < rose.price.argmax()
    assert fell.price.argmax() < fell.price.argmin()


def test_a_print_that_is_made_lies_on_its_touch_which_is_as_wide_as_was_said(tmp_path: Path) -> None:
    """A buyer takes the ask and a seller the bid; what is shown is one print's size."""
    market = open_market(bars(tmp_path, [ROSE, FELL, *MORE]), 100.0)
    touch: QuoteChanged | None = None
    seen = 0
    for event in prints(market, start_of(0), start_of(120)):
        if isinstance(event, QuoteChanged):
            touch = event
            continue
        assert touch is not None
        assert event.price == (touch.ask if event.taker.sign > 0 else touch.bid)
        assert touch.ask - touch.bid == pytest.approx(event.price * 0.01, abs=1)
        assert touch.ask_size == touch.bid_size == event.quantity
        seen += 1
    assert seen == 40


def test_a_window_shows_the_same_prints_wherever_it_is_cut(tmp_path: Path) -> None:
    """Parents that overlap must see one market."""
    market = open_market(bars(tmp_path, [ROSE, FELL, *MORE]), 1.0)
    whole = list(prints(market, start_of(61), start_of(200)))
    pieces = [
        *prints(market, start_of(61), start_of(130)),
        *list(prints(market, start_of(130), start_of(200)))[1:],
    ]

    assert whole == pieces


def test_no_window_lies_over_a_hole(tmp_path: Path) -> None:
    """Neither over bars that are absent nor over one in which too little traded; a bar of warm-up comes before."""
    rows = [(number, 100.0, 101.0, 99.0, 100.0, 2.0) for number in (0, 1, 2, 3, 10, 11, 12, 13, 14)]
    rows[7] = (13, 100.0, 101.0, 99.0, 100.0, 0.0)
    market = open_market(bars(tmp_path, rows), 1.0)

    assert [(at - start_of(0)) // MINUTE for at in market.starts(Nanos(2 * MINUTE))] == [1, 2, 11]
    assert market.known_since(start_of(12 * 60)) == start_of(10 * 60)


def test_history_is_what_traded_before_the_start_and_nothing_later(tmp_path: Path) -> None:
    """Whole intervals, oldest first, no further back than the recording."""
    market = open_market(tape(tmp_path, amount=lambda second: 0.5 if second < 100 else 2.0), 0.0)

    found = history(market, start_of(100), Nanos(30 * SECOND), 48)

    assert [bar.start for bar in found] == [start_of(10), start_of(40), start_of(70)]
    assert {bar.volume for bar in found} == {30 * 4 * 50_000}
    assert {bar.trades for bar in found} == {120}
    assert found[-1].notional == 30 * 4 * 50_000 * 5_000_001


def test_recorded_quotes_are_shown_as_recorded_and_after_the_prints_of_their_moment(tmp_path: Path) -> None:
    path = tape(tmp_path)
    quotes(tmp_path, 5.0)
    market = open_market(path, 100.0)
    shown = list(prints(market, start_of(100), start_of(102)))

    assert market.quotes == "recorded"
    assert [type(event) for event in shown[:3]] == [TradePrinted, QuoteChanged, TradePrinted]
    touch = touch_at(market, start_of(100))
    assert touch is not None
    assert (touch.bid, touch.ask, touch.bid_size) == (49_995_01, 50_005_01, 50 * 100_000)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("BTCUSDT.csv", "", "empty"),
        ("BTCUSDT.csv", "ts,open,high,low,close\n1,1,1,1,1\n", "volume"),
        ("BTCUSDT.csv", "ts,open,high,low,close,volume\n1,x,1,1,1,1\n", "numbers"),
        ("BTCUSDT.csv", "ts,open,high,low,close,volume\nnow,1,1,1,1,1\n", "milliseconds"),
        ("BTCUSDT.csv", "ts,open,high,low,close,volume\n1,1,1,1,1,1\n", "at least 2"),
        ("QQQUSDT.csv", "ts,open,high,low,close,volume\n1,1,1,1,1,1\n", "grid of QQQ/USDT"),
        ("BTCUSDT.csv", "ts,price,amount\n1,1,1\n", "side"),
        ("prices.csv", "ts,open,high,low,close,volume\n1,1,1,1,1,1\n", "no symbol"),
        ("BTCUSDT.txt", "", "parquet or .csv"),
    ],
)
def test_a_broken_file_gets_one_message_that_names_it(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(BacktestRefused) as refusal:
        open_market(path, 1.0)

    assert str(refusal.value).startswith(str(path))
    assert words in str(refusal.value)


def test_a_tape_starts_where_a_minute_of_it_is_known(tmp_path: Path) -> None:
    starts = open_market(tape(tmp_path), 0.0).starts(Nanos(90 * SECOND))

    assert starts[0] == BEGIN_US * 1_000 + MINUTE
    assert starts[-1] + 90 * SECOND <= start_of(400)
