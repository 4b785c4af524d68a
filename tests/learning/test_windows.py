"""Windows: slippage is what it says, and a State of the past knows nothing of the future."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from execd.core.commands import Observation
from execd.core.events import Bar, Hours
from execd.core.grid import Instrument, Lots, Nanos, Notional, Side, Ticks
from execd.learning.evaluation import catch_up
from execd.learning.series import DataRefused, Series, read_bars, read_trades
from execd.learning.windows import Windows, cut, joined, starts
from execd.policies.curve import CurvePolicy, TwapPolicy, expected_curve
from execd.policies.features import features, observe
from execd.policies.floats import Floats
from execd.policies.state import HISTORY
from tests.learning import made_up

HOUR = 3_600_000_000_000


def series(seed: int = 1, count: int = 800) -> Series:
    """Thirty-minute bars whose volumes and notionals are whole numbers, as a venue's are in lots and ticks."""
    frame = made_up.bars(seed, count)
    volume = np.floor(frame["volume"].to_numpy()) + 1.0
    close = np.round(frame["close"].to_numpy() * 1000)
    average = np.round((frame["open"] + frame["high"] + frame["low"] + frame["close"]).to_numpy() * 250)
    start = made_up.FIRST_MS * 1_000_000
    return Series("AAA", start, HOUR // 2, volume, volume * average, close, np.ones(count, dtype=np.bool_))


def windows(count: int = 40, slices: int = 12) -> Windows:
    one = series()
    cells = starts(one, HOUR, slices, 0, 2**62)
    return cut(one, 0, HOUR, slices, cells[:: max(1, len(cells) // count)])


def direct(w: Windows, schedule: Floats) -> Floats:
    """Slippage the long way: our average price over the market's, in bps."""
    parts = np.diff(schedule, axis=1, prepend=0.0)
    ours = (parts * w.price()).sum(axis=1)
    slip: Floats = (ours / w.vwap() - 1.0) * 1e4
    return slip


def test_slippage_is_our_average_price_against_the_markets() -> None:
    """The identity of learning.md 5.3: sum of D (U - X) is the direct formula."""
    w = windows()
    random = np.sort(np.random.default_rng(1).random((len(w), 12)), axis=1)
    random[:, -1] = 1.0

    assert w.slip_bps(random) == pytest.approx(direct(w, random), abs=1e-9)


def test_a_uniform_schedule_is_twap_to_the_last_digit() -> None:
    w = windows()
    uniform = np.tile(np.arange(1, 13) / 12, (len(w), 1))

    plain = (w.price().mean(axis=1) / w.vwap() - 1.0) * 1e4

    assert w.slip_bps(uniform) == pytest.approx(plain, abs=1e-9)
    assert np.abs(w.slip_bps(uniform) - plain).max() / 1e4 < 1e-12


def test_who_knows_the_volume_has_no_slippage() -> None:
    w = windows()

    assert np.abs(w.slip_bps(w.market())).max() < 1e-9


def test_prices_and_volumes_in_other_units_slip_the_same() -> None:
    w, uniform = windows(), np.tile(np.arange(1, 13) / 12, (len(windows()), 1))
    one = series()
    other = Series("AAA", one.start, one.interval, one.volume * 3, one.notional * 3 * 7, one.close * 7, one.known)
    cells = starts(one, HOUR, 12, 0, 2**62)
    again = cut(other, 0, HOUR, 12, cells[:: max(1, len(cells) // 40)])

    assert again.slip_bps(uniform) == pytest.approx(w.slip_bps(uniform), abs=1e-9)


def observation(one: Series, cell: int, at: int, slices: int, filled: int) -> Observation:
    """The same moment as the core would describe it: hourly bars in lots and ticks."""
    start = one.start + cell * one.interval

    def bar_at(first: int) -> Bar:
        both = slice(first, first + 2)
        volume, notional = int(one.volume[both].sum()), int(one.notional[both].sum())
        opened = Nanos(one.start + first * one.interval)
        return Bar(opened, Lots(volume), Notional(notional), Ticks(int(one.close[first + 1])), 5)

    def bar(i: int) -> Bar:
        return bar_at(cell + 2 * i)

    tick = Decimal("0.001")
    return Observation(
        instrument=Instrument("t", "A/B", "A", "B", tick, tick, Lots(1), Lots(10**9), Notional(1), Notional(10**18)),
        side=Side.SELL,
        now=Nanos(start + at * HOUR),
        start=Nanos(start),
        end=Nanos(start + slices * HOUR),
        slice=at,
        slices=slices,
        interval=Nanos(HOUR),
        quantity=Lots(10**9),
        filled=Lots(filled),
        own_notional=0,
        bars=tuple(bar(i) for i in range(at)),
        history=tuple(bar(i) for i in range(max(-HISTORY, -(cell // 2)), 0)),
        curve=expected_curve(Nanos(start), Nanos(start + slices * HOUR), slices),
        arrival=None,
        mid2=None,
        hours=Hours.of([bar_at(first) for first in range(0, cell - cell % 2, 2)]),  # the record begins with an hour
    )


@pytest.mark.parametrize("cell", [0, 7, 100, 333])
def test_training_and_serving_compute_the_same_features(cell: int) -> None:
    """The parity of the data set's rows with live observations of the same windows, to 1e-6."""
    one = series()
    w = cut(one, 0, HOUR, 12, np.array([cell]))
    for at in range(12):
        trained = features(w.state(at, np.array([0.25])))[0]

        assert observe(observation(one, cell, at, 12, 250_000_000)) == pytest.approx(trained, abs=1e-6)


@pytest.mark.parametrize("policy", [CurvePolicy(), TwapPolicy()])
def test_a_policy_stepped_live_keeps_the_schedule_that_evaluation_gives_it(policy: CurvePolicy | TwapPolicy) -> None:
    one = series()
    w = cut(one, 0, HOUR, 12, np.array([200]))
    wanted = catch_up(w)[0] if isinstance(policy, CurvePolicy) else np.arange(1, 13) / 12
    filled = 0
    for at in range(12):
        share = policy.propose(observation(one, 200, at, 12, filled)).share
        filled += round(share * (10**9 - filled))

        assert filled / 1e9 == pytest.approx(wanted[at], abs=1e-8)


def test_nothing_at_or_after_a_slice_moves_its_features() -> None:
    """Change every cell from slice k on, beyond recognition: the rows up to k stay, bit for bit."""
    one, cell = series(), 300
    w = cut(one, 0, HOUR, 12, np.array([cell]))
    for k in range(12):
        edge = cell + 2 * k
        volume, notional, close = (x.copy() for x in (one.volume, one.notional, one.close))
        volume[edge:] = 17.0
        notional[edge:] = 17.0 * 123_456
        close[edge:] = 234_567.0
        future = Series("AAA", one.start, one.interval, volume, notional, close, one.known)
        changed = cut(future, 0, HOUR, 12, np.array([cell]))
        for at in range(12):
            filled = np.array([0.1])
            same = np.array_equal(features(changed.state(at, filled)), features(w.state(at, filled)))

            assert same == (at <= k)


def test_slices_add_up_the_cells_that_they_span() -> None:
    one = series()
    w = cut(one, 3, HOUR, 4, np.array([101]))

    assert w.volume[0, HISTORY] == one.volume[101] + one.volume[102]
    assert w.volume[0, HISTORY - 1] == one.volume[99] + one.volume[100]
    assert w.close[0, HISTORY + 3] == one.close[108]
    assert w.start[0] == one.start + 101 * one.interval
    assert list(w.asset) == [3]


def test_history_that_was_never_recorded_is_marked_unknown() -> None:
    w = cut(series(), 0, HOUR, 4, np.array([20]))

    assert w.present[0, :HISTORY].sum() == 10
    assert w.present[0, HISTORY:].all()


def test_no_window_spans_a_hole_or_leaves_its_bounds() -> None:
    one = series()
    hole = one.without(((one.start + 100 * one.interval, one.start + 101 * one.interval),))
    first, last = one.start + 50 * one.interval, one.start + 200 * one.interval

    cells = starts(hole, HOUR, 4, first, last)

    assert cells.min() == 50
    assert cells.max() == 192
    assert not set(cells) & set(range(93, 101))
    assert {92, 101} <= set(cells)


def test_forgetting_hides_all_but_the_last_bars_of_the_history() -> None:
    one = series()
    w = cut(one, 0, HOUR, 12, np.array([20, 300, 301, 302, 303]))
    keep = np.array([4, 0, 1, 95, 96])

    blind = w.forgetting(keep)

    assert list(blind.present[:, :HISTORY].sum(axis=1)) == list(keep)
    assert blind.present[0, HISTORY - 4 : HISTORY].all()
    assert np.array_equal(blind.volume[:, HISTORY:], w.volume[:, HISTORY:])
    assert blind.volume[1, :HISTORY].sum() == 0


def test_windows_join_and_split_again() -> None:
    w = windows(10)
    halves = [w.take(np.arange(len(w)) < 4), w.take(np.arange(4, len(w)))]

    assert np.array_equal(joined(halves).volume, w.volume)
    assert len(halves[0]) == 4


def test_slices_that_do_not_fit_the_cells_are_an_error() -> None:
    with pytest.raises(ValueError, match="slices of 2700 s do not fit cells of 1800 s"):
        starts(series(), 2_700_000_000_000, 4, 0, 2**62)


def test_bars_without_quote_volume_are_valued_at_the_mean_of_their_prices(tmp_path: Path) -> None:
    frame = made_up.bars(3, 50)
    frame.write_parquet(tmp_path / "AAA.parquet")

    read = read_bars(tmp_path / "AAA.parquet")

    row = frame.row(7, named=True)
    assert read.interval == HOUR // 2
    assert read.notional[7] / read.volume[7] == pytest.approx(sum(row[c] for c in ("open", "high", "low", "close")) / 4)


def test_a_quote_volume_is_believed_and_a_missing_bar_is_unknown(tmp_path: Path) -> None:
    frame = made_up.bars(3, 50).with_columns(quote_volume=pl.col("volume") * 55.5)
    frame.filter(pl.col("ts") != made_up.FIRST_MS + 10 * 1_800_000).write_parquet(tmp_path / "AAA.parquet")

    read = read_bars(tmp_path / "AAA.parquet")

    assert read.notional[7] / read.volume[7] == pytest.approx(55.5)
    assert len(read.known) == 50
    assert [int(i) for i in np.flatnonzero(~read.known)] == [10]


def test_trades_fall_into_cells_and_the_partly_recorded_ends_are_left_out(tmp_path: Path) -> None:
    frame = made_up.trades(4, 3000, 600.0)
    frame.write_parquet(tmp_path / "day.parquet")
    at, price, amount = (frame[name].to_numpy() for name in ("ts", "price", "amount"))

    read = read_trades(tmp_path / "day.parquet", grid=5_000_000_000)

    cell = 40
    first = (read.start + cell * read.interval) // 1000
    inside = (at >= first) & (at < first + 5_000_000)
    assert read.start % 5_000_000_000 == 0
    assert read.start >= at[0] * 1000
    assert read.volume[cell] == pytest.approx(amount[inside].sum())
    assert read.notional[cell] == pytest.approx((amount * price)[inside].sum())
    assert read.close[cell] == price[inside][-1]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"ts": [1], "open": [1.0]}), "lacks column high, low, close, volume"),
        (made_up.bars(1, 1), "has 1 bars; at least 2 are needed"),
    ],
)
def test_bad_bars_are_refused_by_name(tmp_path: Path, frame: pl.DataFrame, message: str) -> None:
    frame.write_parquet(tmp_path / "AAA.parquet")

    with pytest.raises(DataRefused, match=rf"AAA.parquet: {message}"):
        read_bars(tmp_path / "AAA.parquet")


def test_files_that_are_no_data_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "AAA.parquet").write_text("no parquet")

    with pytest.raises(DataRefused, match=r"AAA.parquet: cannot be read as parquet"):
        read_bars(tmp_path / "AAA.parquet")
    made_up.trades(1, 0, 1.0).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(DataRefused, match=r"none.parquet: holds no trades"):
        read_trades(tmp_path / "none.parquet")


def test_a_window_before_the_records_first_full_hour_knows_no_hour() -> None:
    """Not the record's last one, which lies in its future."""
    one = series()
    late = Series(
        "AAA", one.start + HOUR // 2, one.interval, one.volume[1:], one.notional[1:], one.close[1:], one.known[1:]
    )

    assert cut(late, 0, HOUR, 4, np.array([0])).season.known[0] == 0
    assert cut(late, 0, HOUR, 4, np.array([3])).season.known[0] == 1
