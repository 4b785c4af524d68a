"""Candles add up to the trades, at every interval, and a quiet interval is flat."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from execd.core.grid import MINUTE, SECOND, Lots, Nanos, Ticks
from execd.exchange.klines import DAY, WEEK, Klines
from execd.exchange.market import Candle
from execd.exchange.records import PublicTrade

MONDAY = Nanos(1_790_553_600 * SECOND)  # 2026-09-28 00:00 UTC.


def trade(at: int, price: int, lots: int, *, sold: bool = False) -> PublicTrade:
    return PublicTrade(0, Ticks(price), Lots(lots), Nanos(MONDAY + at), sold, 0, 0)


def test_a_candle_holds_its_trades() -> None:
    klines = Klines()
    for made in (trade(1, 100, 2), trade(2, 110, 3, sold=True), trade(3, 90, 5), trade(59 * SECOND, 95, 1)):
        klines.add(made)
    [row] = klines.answer(MINUTE, Nanos(MONDAY + MINUTE - 1))
    quote = 200 + 330 + 450 + 95
    assert row == [MONDAY, 100, 110, 90, 95, 11, MONDAY + MINUTE - 1_000_000, quote, 4, 8, 200 + 450 + 95]


def test_a_quiet_interval_is_flat_at_the_close_before_it() -> None:
    klines = Klines()
    klines.add(trade(0, 100, 2))
    klines.add(trade(3 * SECOND, 105, 1))
    rows = klines.answer(SECOND, Nanos(MONDAY + 4 * SECOND))
    assert [row[1:6] for row in rows] == [
        [100, 100, 100, 100, 2],
        [100, 100, 100, 100, 0],
        [100, 100, 100, 100, 0],
        [105, 105, 105, 105, 1],
        [105, 105, 105, 105, 0],
    ]


def test_start_end_and_limit_choose_candles_as_binance_does() -> None:
    klines = Klines()
    for second in range(10):
        klines.add(trade(second * SECOND, 100 + second, 1))
    now = Nanos(MONDAY + 9 * SECOND)

    def opens(**span: int) -> list[int]:
        chosen = {name: Nanos(MONDAY + at) for name, at in span.items() if name != "limit"}
        rows = klines.answer(
            SECOND, now, start=chosen.get("start"), end=chosen.get("end"), limit=span.get("limit", 500)
        )
        return [(row[0] - MONDAY) // SECOND for row in rows]

    assert opens() == list(range(10))
    assert opens(limit=3) == [7, 8, 9]
    assert opens(start=2 * SECOND - 1, limit=3) == [2, 3, 4]
    assert opens(end=4 * SECOND + 1, limit=2) == [3, 4]
    assert opens(start=3 * SECOND, end=5 * SECOND) == [3, 4, 5]
    assert opens(start=100 * SECOND) == []


def test_weeks_begin_on_monday_and_days_at_midnight() -> None:
    klines = Klines()
    klines.add(trade(-1, 90, 1))
    klines.add(trade(0, 100, 1))
    klines.add(trade(3 * DAY + 5, 101, 1))
    now = Nanos(MONDAY + 4 * DAY)
    assert [row[0] for row in klines.answer(WEEK, now)] == [MONDAY - WEEK, MONDAY]
    assert [row[8] for row in klines.answer(DAY, now)] == [1, 1, 0, 0, 1, 0]


def test_no_trade_no_candle() -> None:
    assert Klines().answer(MINUTE, MONDAY) == []


def test_the_past_joins_the_present() -> None:
    klines = Klines()
    past = [
        Candle(Nanos(MONDAY - back * MINUTE), Ticks(9), Ticks(9), Ticks(9), Ticks(9), 4, 36, 1, 2, 18)
        for back in (3, 2, 1)
    ]
    klines.remember([], past)
    klines.add(trade(0, 10, 1))
    rows = klines.answer(Nanos(2 * MINUTE), MONDAY)
    assert [(row[0] - MONDAY) // MINUTE for row in rows] == [-4, -2, 0]
    assert [row[5] for row in rows] == [4, 8, 1]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 50), st.integers(1, 9)), min_size=1, max_size=60))
def test_every_interval_adds_up_to_all_trades(made: list[tuple[int, int, int]]) -> None:
    klines = Klines()
    made.sort(key=lambda one: one[0])
    for second, price, lots in made:
        klines.add(trade(second * SECOND, price, lots))
    for interval in (SECOND, Nanos(15 * SECOND), MINUTE, Nanos(3 * MINUTE), DAY):
        rows = klines.answer(interval, Nanos(MONDAY + 401 * SECOND), limit=1000)
        assert sum(row[5] for row in rows) == sum(lots for _, _, lots in made)
        assert sum(row[7] for row in rows) == sum(price * lots for _, price, lots in made)
        assert sum(row[8] for row in rows) == len(made)
        assert max(row[2] for row in rows) == max(price for _, price, _ in made)
        assert all(row[3] <= min(row[1], row[4]) <= max(row[1], row[4]) <= row[2] for row in rows)
        assert [later[0] - row[0] for row, later in pairwise(rows)] == [interval] * (len(rows) - 1)
