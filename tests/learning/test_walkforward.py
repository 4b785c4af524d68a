"""Walking forward: no method sees what is to come, every one is asked the same, and the figures are what they say."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from execd.cli import app
from execd.learning import judging, tables
from execd.learning.baselines import recurrent, transformer
from execd.learning.baselines.allocator import SEEDS, Lesson
from execd.learning.baselines.market import Market
from execd.learning.comparison import Question, compare, layout
from execd.learning.judging import Outcome
from execd.learning.recipe import nanos
from execd.learning.series import DataRefused, Series, coarse
from execd.learning.walkforward import (
    EMBARGO,
    EVERY,
    METHODS,
    NETWORKS,
    Decided,
    Span,
    Wanted,
    folds,
    named,
    pool,
    walk,
)
from execd.policies.features import NAMES, TARGET
from execd.policies.floats import Floats
from execd.policies.manifest import ModelRefused
from execd.policies.profile import DAY, HOUR
from execd.policies.state import HISTORY
from tests.learning import made_up

FIRST = made_up.FIRST_MS * 1_000_000
SPAN = Span(nanos("2024-02-15"), nanos("2024-03-20"), 1)
FEW = 2
MODEL = next(path.parent for path in sorted((Path(__file__).parents[2] / "models").glob("*/manifest.json")))


def answer(rows: Floats) -> Floats:
    """A model that looks at all that it is told."""
    return np.clip(rows[:, TARGET] + 0.01 * np.tanh(rows @ np.cos(np.arange(len(NAMES)))), 0.0, 1.0)


@pytest.fixture(scope="module", autouse=True)
def _short_lessons() -> Iterator[None]:
    """Sequence networks are fewer and smaller and learn less, but in a second."""
    short = Lesson(passes=4, patience=4, batch=1, rate=0.03, decay=0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformer, "_WIDTH", 12)
        patch.setattr(transformer, "_BLOCKS", 1)
        for module in (recurrent, transformer):
            patch.setattr(module, "_LESSON", short)
            patch.setattr(module, "SEEDS", FEW)
        yield
    torch.set_num_threads(threads)


def bars(count: int = 4000) -> Series:
    frame = made_up.bars(11, count)
    volume, close = frame["volume"].to_numpy(), frame["close"].to_numpy()
    known = np.ones(count, dtype=np.bool_)
    return coarse(Series("AAA", FIRST, HOUR // 2, volume, volume * close, close, known), HOUR)


def walked(series: Series) -> Decided:
    market = Market.of(series, 12, SPAN.until)
    found = walk(market, SPAN, {"model": answer}, Wanted(EVERY, 1, pool([market], SPAN, 12, 1)))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def decided(_short_lessons: None) -> Decided:
    return walked(bars())


@pytest.mark.parametrize("at", ["2024-02-20T07:00", "2024-02-29T12:00", "2024-03-04T00:00"])
def test_no_decision_at_or_before_a_moment_moves_with_what_comes_after(decided: Decided, at: str) -> None:
    """Change every bar from t on, for every method: inputs, refits and all.  After t, what listens must move."""
    series, edge = bars(), nanos(at)
    t = (edge - series.start) // HOUR
    volume, notional, close = series.volume.copy(), series.notional.copy(), series.close.copy()
    volume[t:] = volume[t:] ** 1.5 + 3.0
    close[t:] = close[t:] * (1.0 + 0.3 * np.sin(np.arange(len(close) - t)))
    notional[t:] = volume[t:] * close[t:]
    changed = walked(replace(series, volume=volume, notional=notional, close=close))

    moments = decided.windows.start[:, None] + HOUR * np.arange(12)[None, :]
    before = moments <= edge
    assert np.array_equal(decided.windows.start, changed.windows.start)
    assert set(decided.schedules) == {*EVERY, "model"}
    for name, schedule in decided.schedules.items():
        # Sums of the same numbers differ in their last digits with where the arrays lie in memory; a leak would not.
        moved = np.abs(schedule - changed.schedules[name])
        assert moved[before].max() < 1e-6, name
        if name == "twap" or (name == "tod_curve" and edge > nanos("2024-02-29")):
            # Nothing to listen to: the last refit was over.
            assert moved.max() < 1e-6, name
        else:
            assert moved[~before].max() > 1e-2, name


def test_every_refit_ends_a_day_before_what_it_decides() -> None:
    market = Market.of(bars(), 12, SPAN.until)
    plan = list(folds(market, SPAN))
    ends = market.windows.start + 12 * HOUR

    firsts = [datetime.fromtimestamp(market.windows.start[fold.rows[0]] / 1e9, UTC) for fold in plan]
    assert [f"{first:%m-%d %H}" for first in firsts] == ["02-15 00", "03-01 00"]
    for fold in plan:
        at = market.windows.start[fold.rows[0]]
        assert ends[fold.past].max() == at - EMBARGO
        assert market.bars.start + fold.known * HOUR == at - EMBARGO
    assert sum(len(fold.rows) for fold in plan) == (SPAN.until - SPAN.first) // HOUR - 11


def test_too_little_past_is_left_out() -> None:
    market = Market.of(bars(), 12, SPAN.until)

    span = Span(nanos("2024-01-20"), nanos("2024-01-31"), 1)

    assert walk(market, span, {}, Wanted(METHODS, 1)) is None
    assert pool([market], span, 12, 1).at == ()


def test_sequence_networks_are_taught_anew_at_the_first_refit_of_each_half_year() -> None:
    """The pooled ones at the same moments: no refit has to do without them, or with those of another half-year."""
    span = Span(nanos("2024-01-10"), nanos("2024-07-20"), 1)
    market = Market.of(bars(9800), 12, span.until)
    plan = list(folds(market, span))

    anew = [fold.at for fold in plan if fold.anew]
    assert anew == [nanos("2024-03-01"), nanos("2024-07-01")]  # by February 709 windows are over, fewer than LEAST
    assert len(plan) == 5
    assert pool([market], span, 12, 1).at == tuple(anew)


def test_the_pooled_networks_do_not_see_a_bar_of_any_asset_that_was_not_over() -> None:
    """Change the other asset from a moment on: what is decided in this one before the next half-year stays."""
    market, other = Market.of(bars(), 12, SPAN.until), bars(3000)
    edge = (SPAN.first - EMBARGO - other.start) // HOUR
    found = []
    for at in (len(other.volume), edge, edge - 1):
        volume, notional = other.volume.copy(), other.notional.copy()
        volume[at:], notional[at:] = 7.0, 9.0
        changed = Market.of(replace(other, volume=volume, notional=notional), 12, SPAN.until)
        found.append(pool([market, changed], SPAN, 12, 1).schedules(market, np.arange(1200, 1210), SPAN.first))

    assert np.abs(found[0] - found[1]).max() < 1e-6
    assert np.abs(found[0] - found[2]).max() > 1e-6


def test_pooled_networks_travel_to_another_process_and_are_those_of_the_last_time_that_is_over() -> None:
    market = Market.of(bars(2200), 12, SPAN.until)
    pooled = pool([market], SPAN, 12, 1)
    there = pickle.loads(pickle.dumps(pooled))

    found = there.schedules(market, np.arange(3), SPAN.until)
    assert found.shape == (FEW, 3, 12)
    assert np.array_equal(found, pooled.schedules(market, np.arange(3), SPAN.first))
    with pytest.raises(LookupError, match="no pooled networks were taught by"):
        pooled.schedules(market, np.arange(3), SPAN.first - 1)


def test_pooled_networks_must_be_handed_in() -> None:
    market = Market.of(bars(2400), 12, SPAN.until)

    with pytest.raises(ValueError, match="without the networks that `pool` returns"):
        walk(market, SPAN, {}, Wanted(("transformer_pooled",), 1))


def test_a_method_of_several_networks_decides_their_mean(decided: Decided) -> None:
    assert set(decided.apart) == set(NETWORKS)
    for name, apart in decided.apart.items():
        assert apart.shape == (FEW, *decided.schedules[name].shape)
        assert decided.schedules[name] == pytest.approx(apart.mean(axis=0), abs=1e-12)
        assert (np.abs(apart - apart[:1]).max(axis=(1, 2))[1:] > 1e-3).all(), name


def test_schedules_rise_to_one(decided: Decided) -> None:
    for name, schedule in decided.schedules.items():
        assert (np.diff(schedule, axis=1) >= 0.0).all(), name
        assert ((schedule >= 0.0) & (schedule <= 1.0)).all(), name
        assert (schedule[:, -1] == 1.0).all(), name


def test_holes_and_silent_bars_leave_every_schedule_whole() -> None:
    series = bars()
    known, volume = series.known.copy(), series.volume.copy()
    known[200:230] = known[1300:1302] = known[1400] = False
    volume[900:905] = volume[1500] = 0.0
    found = walked(replace(series, known=known, volume=volume * known, notional=series.notional * known * (volume > 0)))

    starts = (found.windows.start - series.start) // HOUR
    assert not np.isin(starts, np.arange(1289, 1302)).any()
    assert np.isin(1500, starts)
    for name, schedule in found.schedules.items():
        assert np.isfinite(schedule).all(), name
        assert (np.diff(schedule, axis=1) >= 0.0).all(), name


def test_twap_pays_the_plain_mean_of_the_slices_prices(decided: Decided) -> None:
    windows = decided.windows
    price = windows.price()
    vwap = windows.notional[:, HISTORY:].sum(axis=1) / windows.volume[:, HISTORY:].sum(axis=1)

    assert judging.outcome(decided).slip["twap"] == pytest.approx(1e4 * (price.mean(axis=1) / vwap - 1.0), abs=1e-8)


def test_slippage_is_what_was_paid_over_the_market_average(decided: Decided) -> None:
    """Abel's summation against the sum of fills times prices."""
    windows, found = decided.windows, judging.outcome(decided)
    for name, schedule in decided.schedules.items():
        paid = (np.diff(schedule, axis=1, prepend=0.0) * windows.price()).sum(axis=1)

        assert found.slip[name] == pytest.approx(1e4 * (paid / windows.vwap() - 1.0), abs=1e-8)


def test_a_volume_with_memory_is_tracked_better_than_by_equal_slices(decided: Decided) -> None:
    found = judging.figures(judging.outcome(decided), 1)

    for name in ("har_replan", "har_catchup", "kalman", "convex_dynamic"):
        assert found[name]["gain_vs_twap"] > 0.05
    assert found["convex_dynamic"]["mae_bps"] < found["har_catchup"]["mae_bps"]
    assert found["har_replan"]["r2_volume_curve"] > found["twap"]["r2_volume_curve"] == 0.0


def hand_made() -> Outcome:
    """Nine weeks of a window a day; the model halves TWAP's slippage but pays its own half on every other day."""
    slip = np.where(np.arange(63) % 2 == 0, 4.0, -2.0)
    return Outcome(
        start=FIRST + DAY * np.arange(63, dtype=np.int64) + 5 * HOUR,
        volatility=np.arange(63.0),
        spread=np.ones(63),
        slip={"twap": slip, "convex_dynamic": 0.75 * slip, "m": 0.5 * slip},
        missed={"twap": np.ones(63), "convex_dynamic": np.full(63, 0.5), "m": np.full(63, 2.0)},
        bent={"twap": np.zeros(63), "convex_dynamic": np.full(63, 0.1), "m": np.full(63, 0.2)},
    )


def test_figures_are_those_that_a_hand_computes() -> None:
    found = judging.figures(hand_made(), 1)["m"]

    size = np.abs(hand_made().slip["m"])
    assert found["windows"] == 63
    assert found["mae_bps"] == pytest.approx(size.mean(), abs=1e-6)
    assert found["rmse_bps"] == pytest.approx(np.sqrt((size**2).mean()), abs=1e-6)
    assert found["p99_bps"] == 2.0
    assert found["gain_vs_twap"] == pytest.approx(0.5)
    assert found["r2_volume_curve"] == -1.0
    assert found["turnover"] == pytest.approx(0.2)
    against = found["minus_convex_dynamic"]
    assert against["mean"] == pytest.approx(-size.mean() / 2, abs=1e-6)
    assert against["low"] < against["mean"] < against["high"] < 0.0


def test_hours_and_terciles_part_the_windows() -> None:
    one = hand_made()

    assert list(judging.by_hour(one, 1)) == ["05"]
    by = judging.by_volatility([one, one], 1)
    assert [by[name]["m"]["windows"] for name in judging.TERCILES] == [42, 42, 42]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two assets and a short one, long after anything that a shipped model learned from."""
    where = tmp_path_factory.mktemp("later")
    shift = nanos("2040-01-01") // 1_000_000 - made_up.FIRST_MS
    for seed, (name, count) in enumerate((("AAA", 2900), ("BBB", 2900), ("NEW", 300))):
        made_up.bars(seed, count).with_columns(pl.col("ts") + shift).write_parquet(where / f"{name}.parquet")
    return where


def question(where: Path, **changes: Any) -> Question:
    asked = Question((MODEL,), where, (layout("12x1h"),), first="2040-02-15", until="2040-02-27")
    return replace(asked, **changes)


def silent(what: str, done: float) -> None:
    assert what
    assert 0.0 <= done <= 1.0


def test_any_folder_is_judged_with_each_model_by_its_folders_name(folder: Path) -> None:
    found = compare(question(folder, shapes=(layout("12x1h"), layout("8x30m"))), silent)

    names = [*METHODS, MODEL.name]
    assert list(found["pool"]) == names
    assert list(found["assets"]) == ["AAA", "BBB"]
    assert found["shapes"]["12x1h"]["left_out"] == ["NEW"]
    assert found["shapes"]["12x1h"]["pool"] == found["pool"]
    assert set(found["by"]["start_hour"]) == {f"{hour:02d}" for hour in range(24)}
    wanted = {"mae_bps", "rmse_bps", "p99_bps", "signed_bps", "gain_vs_twap", "minus_convex_dynamic"}
    for each in (found["pool"], *found["assets"].values()):
        assert all(wanted <= set(each[name]) for name in names)
    for name in names:
        both = [found["assets"][asset][name]["mae_bps"] for asset in ("AAA", "BBB")]
        assert found["pool"][name]["mae_bps"] == pytest.approx(np.mean(both), abs=1e-5)
    assert found["protocol"]["models"][MODEL.name]["never_trained_on"] == ["AAA", "BBB", "NEW"]


def test_two_processes_find_what_one_finds(folder: Path) -> None:
    alone = compare(question(folder, models=()), silent)

    assert compare(question(folder, models=(), jobs=2), silent) == alone


def test_what_a_model_was_not_trained_for_is_left_out_and_said(folder: Path) -> None:
    found = compare(question(folder, shapes=(layout("2x1h"),)), silent)

    assert MODEL.name not in found["pool"]
    assert f"model {MODEL.name} was not trained for" in found["shapes"]["2x1h"]["not_covered"][MODEL.name]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"first": "2024-01-01"}, "the models were fitted and chosen on data until .*; allowed is .* or later"),
        ({"first": "soon"}, "--from soon: is no date"),
        ({"first": None, "models": ()}, "--from: absent; without a model it must say where to begin"),
        ({"until": "2040-02-01"}, "nothing from 2040-02-15 to 2040-02-01"),
        ({"assets": ("AAA", "ZZZ")}, "ZZZ.parquet: absent; there are AAA, BBB, NEW"),
        ({"folder": Path("/nonexistent")}, "holds no SYM.parquet"),
        ({"months": 5}, "--refit-months 5: allowed are 1, 2, 3, 4, 6, 12"),
        ({"shapes": (layout("12x20m"),)}, "AAA: slices of 1200 s do not fit its 1800 s; allowed are multiples"),
        ({"first": "2040-01-05", "until": "2040-01-20"}, "no window from 2040-01-05 to .* has 720 windows before it"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_sentence(folder: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataRefused, match=words):
        compare(question(folder, **changes), silent)


def test_two_models_of_one_name_are_refused(folder: Path) -> None:
    with pytest.raises(ModelRefused, match=r"is called .* already"):
        compare(question(folder, models=(MODEL, MODEL)), silent)


@pytest.mark.parametrize("text", ["12", "1x1h", "12x7h", "12x0m", "12 x 1h", "12x1d"])
def test_a_shape_is_slices_by_length(text: str) -> None:
    with pytest.raises(DataRefused, match=r"allowed is slices x length"):
        layout(text)


def test_baselines_are_named_alone_or_together_and_what_figures_are_told_against_comes_along() -> None:
    assert named("default") == METHODS
    assert named("all") == EVERY == (*METHODS, *NETWORKS)
    assert named("rnn_dynamic, pov") == ("twap", "pov", "convex_dynamic", "rnn_dynamic")
    assert named("default,rnn_dynamic") == (*METHODS, "rnn_dynamic")
    with pytest.raises(DataRefused, match="--methods 'lstm': is no baseline; allowed are default, all, twap, pov"):
        named("pov,lstm")


def test_each_network_is_told_beside_the_mean_of_all(folder: Path) -> None:
    asked = question(folder, models=(), methods=named("transformer_pooled"), assets=("AAA",))
    found = compare(asked, silent)

    figures = found["pool"]["transformer_pooled"]
    apart = [network["mae_bps"] for network in figures["networks"]]
    assert len(set(apart)) == FEW
    assert figures["mae_bps"] <= np.mean(apart)  # a mean's size is at most the mean of the sizes
    assert "networks" not in found["pool"]["twap"]
    told = found["protocol"]["networks"]
    assert told["methods"] == ["transformer_pooled"]
    assert told["refit_months"] == 6
    assert told["seeds"] == [asked.seed + i for i in range(SEEDS)]
    assert f"transformer_pooled: the mean of {SEEDS} networks, taught anew every 6 months." in tables.notes(found)


def test_the_command_ends_with_one_object_and_writes_one_page(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "found.html"
    flags = ["--data", str(folder), "--from", "2040-02-15", "--until", "2040-02-20", "--assets", "AAA", "--jobs", "1"]
    run = CliRunner().invoke(app, ["evaluate", str(MODEL), *flags, "--html", str(page), "--json"])

    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout.strip().splitlines()[-1])
    assert set(found["pool"]) == {*METHODS, MODEL.name}
    text = page.read_text()
    assert text.count("<svg") == 2
    assert "mean |slippage| by asset" in text
    assert "src=" not in text
    assert "http" not in text


def test_the_command_prints_a_table_a_question(folder: Path) -> None:
    flags = ["--data", str(folder), "--from", "2040-02-15", "--until", "2040-02-20", "--assets", "AAA", "--jobs", "1"]
    run = CliRunner().invoke(app, ["evaluate", *flags])

    assert run.exit_code == 0, run.output
    for title in ("how far from VWAP", "by asset, bps", "by start hour", "by volatility before"):
        assert title in run.stdout
    refused = CliRunner().invoke(app, ["evaluate", "--data", str(folder)])
    assert refused.exit_code == 78
    assert "--from: absent" in refused.output
