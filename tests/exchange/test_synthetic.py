"""The synthetic market is repeatable, looks like the data that it is calibrated to, and reacts to what users do."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from itertools import pairwise
from random import Random
from statistics import median

import numpy as np
import numpy.typing as npt
import pytest

from execd.core.grid import MINUTE, SECOND, Lots, Nanos, Side, Ticks
from execd.exchange.engine import Engine, ExchangeRefusal, PublicTrade, TradeMade
from execd.exchange.flow import Mood, hourly
from execd.exchange.profiles import HOUR_VOLUME, PROFILES
from execd.exchange.synthetic import SyntheticMarket

BTC = "BTC/USDT"
NOON = Nanos(1_790_000_000 // 86_400 * 86_400 * SECOND + 12 * 60 * MINUTE)
SPAN = 900
SEEDS = (1, 2, 3)

Floats = npt.NDArray[np.float64]


def open_engine(seed: int = 1, symbols: tuple[str, ...] = (BTC,), now: Nanos = NOON) -> Engine:
    return Engine(
        symbols,
        market=SyntheticMarket(seed),
        now=now,
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
        balances={"USDT": Decimal(10_000_000), "BTC": Decimal(100)},
    )


@cache
def watched(seed: int) -> tuple[Floats, Floats]:
    """A quarter of an hour of BTC: rows of (seconds, ticks, lots, taker's sign and id), and the quote each 20 ms."""
    engine = open_engine(seed)
    trades: list[PublicTrade] = []
    quotes = []
    for step in range(SPAN * 50):
        engine.advance(Nanos(NOON + step * 20_000_000))
        trades += [told.trade for told in engine.happenings() if isinstance(told, TradeMade)]
        best = engine.best(BTC)
        quotes.append((best.bid, best.ask, best.bid_size, best.ask_size))
    rows = [
        (
            (made.at - NOON) / SECOND,
            made.price,
            made.quantity,
            -1 if made.buyer_is_maker else 1,
            (made.seller_order if made.buyer_is_maker else made.buyer_order) % 10**9,
        )
        for made in trades
    ]
    return np.array(rows, dtype=np.float64), np.array(quotes, dtype=np.float64)


def takers(seed: int) -> tuple[Floats, Floats, Floats]:
    """Times, sizes (BTC) and signs of taker orders."""
    rows, _ = watched(seed)
    _, first, number = np.unique(rows[:, 4], return_index=True, return_inverse=True)
    order = np.argsort(first)
    sizes: Floats = (np.bincount(number, rows[:, 2]) * 1e-5).astype(np.float64)
    return rows[first[order], 0], sizes[order], rows[first[order], 3]


def correlation(series: Floats, lag: int) -> float:
    """Autocorrelation."""
    centred = series - series.mean()
    return float((centred[lag:] * centred[:-lag]).mean() / (centred**2).mean())


def mean_over_seeds(values: list[float], low: float, high: float) -> None:
    """The mean over the seeds must lie in a band."""
    assert low <= sum(values) / len(values) <= high, values


def per_span(span: float, seed: int) -> tuple[Floats, Floats, Floats]:
    """Per span: return in basis points, volume and net taker volume in BTC."""
    rows, _ = watched(seed)
    at = np.searchsorted(rows[:, 0], np.arange(span, SPAN, span)) - 1
    moves = np.diff(np.log(rows[at, 1])) * 10_000
    volume = np.diff(np.cumsum(rows[:, 2])[at]) * 1e-5
    return moves, volume, np.diff(np.cumsum(rows[:, 2] * rows[:, 3])[at]) * 1e-5


def test_the_same_seed_makes_the_same_market_and_another_another() -> None:
    def told(seed: int) -> list[object]:
        engine = open_engine(seed, (BTC, "PEPE/USDT"))
        engine.advance(Nanos(NOON + 20 * SECOND))
        return [*engine.happenings(), engine.klines(BTC, MINUTE), engine.trades(BTC, limit=1000)]

    assert told(7) == told(7)
    assert told(7) != told(8)


def test_how_often_it_is_brought_up_to_date_changes_nothing() -> None:
    often, once = open_engine(), open_engine()
    for step in range(100):
        often.advance(Nanos(NOON + step * SECOND // 10))
    once.advance(Nanos(NOON + 99 * SECOND // 10))
    assert often.happenings() == once.happenings()


def test_volume_is_about_one_and_a_half_btc_a_second() -> None:
    """Perpetual BTCUSDT of 2026-02-16: 1.36 BTC a second in 7.8 taker orders and 40 prints."""
    mean_over_seeds([float(watched(seed)[0][:, 2].sum()) * 1e-5 / SPAN for seed in SEEDS], 0.8, 3.0)
    mean_over_seeds([len(takers(seed)[0]) / SPAN for seed in SEEDS], 5, 15)
    mean_over_seeds([len(watched(seed)[0]) / SPAN for seed in SEEDS], 20, 70)


def test_sizes_have_a_heavy_tail() -> None:
    """Log standard deviation 1.8 to 2.5 and tail exponent 1.3 to 1.6 in the data."""
    mean_over_seeds([float(np.log(takers(seed)[1]).std()) for seed in SEEDS], 1.6, 2.6)
    for seed in SEEDS:
        largest = np.sort(takers(seed)[1])[::-1]
        count = len(largest) // 50
        assert 1.0 < 1 / np.log(largest[:count] / largest[count]).mean() < 2.0


def test_arrivals_cluster() -> None:
    """Variance over mean of counts: 4 at 0.1 s, 7 to 12 at 1 s; successive seconds correlate 0.25 to 0.45."""
    for span, low, high in ((0.1, 2.0, 7.0), (1.0, 5.0, 20.0)):
        counts = [np.bincount((takers(seed)[0] / span).astype(int)).astype(float) for seed in SEEDS]
        mean_over_seeds([float(count.var() / count.mean()) for count in counts], low, high)
        if span == 1.0:
            mean_over_seeds([correlation(count, 1) for count in counts], 0.2, 0.65)


def test_signs_remember() -> None:
    """0.2 to 0.4 at lag 1, 0.09 to 0.16 at lag 10, little at 100."""
    for lag, low, high in ((1, 0.15, 0.45), (10, 0.04, 0.2), (100, -0.05, 0.08)):
        mean_over_seeds([correlation(takers(seed)[2], lag) for seed in SEEDS], low, high)


def test_returns_are_as_large_as_the_markets_and_fat_tailed() -> None:
    """0.5 (2026) to 1.2 bps (a volatile evening) in a second, kurtosis 8 to 19; close to a random walk."""
    moves = [per_span(1.0, seed)[0] for seed in SEEDS]
    mean_over_seeds([float(move.std()) for move in moves], 0.4, 1.2)
    mean_over_seeds([float((move**4).mean() / (move**2).mean() ** 2) for move in moves], 4.0, 30.0)
    mean_over_seeds([correlation(move, 1) for move in moves], -0.15, 0.25)
    mean_over_seeds([correlation(abs(move), 1) for move in moves], 0.05, 0.4)


def test_volume_goes_with_volatility_and_flow_with_price() -> None:
    """|return| and volume of a second correlate 0.39 to 0.69, return and net flow 0.41 to 0.56."""
    spans = [per_span(1.0, seed) for seed in SEEDS]
    mean_over_seeds([float(np.corrcoef(abs(move), volume)[0, 1]) for move, volume, _ in spans], 0.25, 0.75)
    mean_over_seeds([float(np.corrcoef(move, flow)[0, 1]) for move, _, flow in spans], 0.3, 0.7)


def test_the_spread_is_a_tick_and_the_touch_refills() -> None:
    """One tick 99 % of the time; the touch holds a median of about 2 BTC; the bid moves 0.5 to 5.6 times a second."""
    for seed in SEEDS:
        _, quotes = watched(seed)
        spread = quotes[:, 1] - quotes[:, 0]
        assert spread.min() >= 1
        assert (spread == 1).mean() > 0.97
        assert 0.8 < median(quotes[:, 2]) * 1e-5 < 4.5
        assert 0.5 < (np.diff(quotes[:, 0]) != 0).sum() / SPAN < 8


def test_there_is_a_ladder_behind_the_touch() -> None:
    """30 levels within a basis point and 140 within five, 66 BTC within ten (spot, 2023-04-04)."""
    engine = open_engine()
    near, far, size = [], [], []
    for step in range(1, 31):
        engine.advance(Nanos(NOON + 2 * step * SECOND))
        _, bids, asks = engine.depth(BTC, 5000)
        for levels in (bids, asks):
            touch = levels[0][0]
            away = [abs(price - touch) * 10_000 / touch for price, _ in levels]
            near.append(sum(bps <= 1 for bps in away))
            far.append(sum(bps <= 5 for bps in away))
            size.append(sum(lots for (_, lots), bps in zip(levels, away, strict=True) if bps <= 10) * 1e-5)
    assert 15 < median(near) < 60
    assert 60 < median(far) < 180
    assert 15 < median(size) < 100


def test_volume_follows_the_hour_of_day_and_activity_clusters() -> None:
    """Volume by hour peaks at the New York open; a minute's activity correlates 0.7 with the next minute's."""
    hours = [hourly(HOUR_VOLUME, 3600.0 * (hour + 0.5)) for hour in range(24)]
    assert hours == pytest.approx(HOUR_VOLUME)
    assert max(range(24), key=lambda hour: hours[hour]) == 14
    rows = open_engine().klines(BTC, MINUTE, limit=3000)
    logs = np.log([row[5] / hourly(HOUR_VOLUME, row[0] / SECOND) for row in rows if row[5]])
    assert 0.6 < logs.std() < 1.5
    assert 0.4 < correlation(logs, 1) < 0.95
    assert correlation(logs, 60) < correlation(logs, 1)


def test_there_is_a_past_to_fetch() -> None:
    engine = open_engine()
    minutes = engine.klines(BTC, MINUTE, limit=5000)
    seconds = engine.klines(BTC, SECOND, limit=10_000)
    assert len(minutes) >= 2 * 24 * 60
    assert len(seconds) >= 2 * 3600
    assert len(engine.trades(BTC, limit=1000)) > 300
    for row in (*minutes, *seconds):
        assert row[3] <= min(row[1], row[4]) <= max(row[1], row[4]) <= row[2]
        assert row[3] * row[5] <= row[7] <= row[2] * row[5]
        assert row[9] <= row[5]
    late = minutes[-30]
    inside = [row for row in seconds if late[0] <= row[0] < late[0] + MINUTE]
    assert [sum(row[5] for row in inside), sum(row[7] for row in inside)] == [late[5], late[7]]
    jumps = [abs(later[1] / row[4] - 1) for row, later in pairwise(minutes)]
    assert max(jumps) < 0.002


def test_own_buying_moves_the_price_up_and_the_book_refills() -> None:
    def mid_after(lots: int) -> float:
        mids = []
        for seed in SEEDS:
            engine = open_engine(seed)
            if lots:
                engine.place(NOON, BTC, Side.BUY, "MARKET", "GTC", Lots(lots), Ticks(0), "buy")
                assert engine.best(BTC).ask - engine.best(BTC).bid > 1
            engine.advance(Nanos(NOON + SECOND // 2))
            best = engine.best(BTC)
            assert best.ask - best.bid < 50
            mids.append((best.bid + best.ask) / 2)
        return sum(mids)

    assert mid_after(1_500_000) > mid_after(0)


def test_a_resting_order_at_the_touch_is_filled_by_the_flow() -> None:
    engine = open_engine()
    now, filled, number = NOON, 0, 0
    while filled < 20_000 and now < NOON + 60 * SECOND:
        order = engine.place(
            now, BTC, Side.BUY, "LIMIT_MAKER", "GTC", Lots(20_000 - filled), engine.best(BTC).bid, f"o{number}"
        )
        number += 1
        now = Nanos(now + 5 * SECOND)
        engine.advance(now)
        if order.open:
            engine.cancel(now, BTC, order_id=order.id)
        filled += order.filled
        assert all(fill.is_maker for fill in order.fills)
    assert filled == 20_000


def test_a_wall_of_ours_is_traded_with_never_crossed() -> None:
    engine = open_engine()
    wall = engine.best(BTC).bid
    engine.place(NOON, BTC, Side.BUY, "LIMIT", "GTC", Lots(5_000_000), wall, "wall")
    for step in range(600):
        engine.advance(Nanos(NOON + step * SECOND // 10))
        best = engine.best(BTC)
        assert best.bid < best.ask
        assert best.bid >= wall or not engine.open_orders()


def test_a_long_pause_is_not_made_up_for() -> None:
    engine = open_engine()
    engine.advance(Nanos(NOON + 24 * 60 * MINUTE))
    told = [one.trade.at for one in engine.happenings() if isinstance(one, TradeMade)]
    assert told[0] > NOON + 24 * 60 * MINUTE - 125 * SECOND
    assert 500 < len(told) < 50_000
    ids = [made.id for made in engine.trades(BTC, limit=10**6)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


@pytest.mark.parametrize("symbol", list(PROFILES))
def test_every_symbol_trades_on_its_grid_with_a_book_on_both_sides(symbol: str) -> None:
    engine = open_engine(3, (symbol,))
    for step in range(1, 31):
        engine.advance(Nanos(NOON + step * SECOND))
        best = engine.best(symbol)
        assert 0 < best.bid < best.ask
    rules = engine.rules[symbol]
    assert engine.trades(symbol)
    price = rules.price(engine.best(symbol).bid)
    assert abs(price / Decimal(PROFILES[symbol].price) - 1) < Decimal("0.05")


def test_an_unknown_symbol_is_named() -> None:
    with pytest.raises(ValueError, match="symbol XYZ/USDT: the synthetic market trades BTC/USDT"):
        open_engine(1, ("XYZ/USDT",))


def test_a_mood_stays_near_its_hour() -> None:
    mood = Mood(0.0, Random(5))
    seen = []
    for second in range(0, 10 * 86_400, 60):
        mood.step(float(second))
        seen.append(mood.activity / hourly(HOUR_VOLUME, second))
    assert 0.7 < sum(seen) / len(seen) < 1.4


def test_orders_off_the_market_are_refused_not_lost() -> None:
    engine = open_engine()
    with pytest.raises(ExchangeRefusal, match="PERCENT_PRICE_BY_SIDE"):
        engine.place(NOON, BTC, Side.BUY, "LIMIT", "GTC", Lots(100_000), Ticks(100_000), "far")
