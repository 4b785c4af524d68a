"""What the benchmark of the papers' packages shows them: the bars that it says, and none that is not closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.papers import feed, report, scoring
from benchmarks.papers.feed import LOOKBACK, MEAN_OF
from benchmarks.papers.fits import Effort, Fit, plan, tape
from benchmarks.papers.scoring import ground, judge, tradable
from execd.learning.baselines.market import Market
from execd.learning.series import coarse, read_bars
from tests.learning import made_up

N = 12
HOUR = 3_600_000_000_000
BARS = MEAN_OF + 2 * LOOKBACK + 4 * N


def _bars(seed: int = 3) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    volume = random.lognormal(3.0, 0.7, BARS)
    price = 100.0 * np.exp(np.cumsum(random.normal(0, 0.01, BARS)))
    return volume, price, 1_704_067_200_000_000_000 + HOUR * np.arange(BARS)


def _reads(place: Callable[[int], int]) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """A stand-in for a recurrent model: slice t's allocation is what all places up to place(t) sum to."""

    def allocate(inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        heard = np.cumsum(inputs.astype(np.float64).sum(axis=2), axis=1)
        own = np.stack([heard[:, place(t)] for t in range(N - 1)], axis=1)
        return np.concatenate([own, 1.0 - own.sum(axis=1, keepdims=True)], axis=1)

    return allocate


def test_a_bar_has_the_features_of_the_paper() -> None:
    volume, price, at = _bars()
    found = feed.bar_features(volume, price, at, N)
    t = MEAN_OF + LOOKBACK + N + 30
    end = t - LOOKBACK - N + 1
    expected = [volume[t] / volume[end - MEAN_OF : end].mean(), t % 24, (t // 24) % 7, price[t] / price[t - 1] - 1.0]
    assert np.allclose(found[t], expected, rtol=1e-12)  # 2024-01-01 was a Monday
    assert np.isnan(found[: MEAN_OF + LOOKBACK + N - 1, 0]).all()
    assert np.isfinite(found[MEAN_OF + LOOKBACK + N - 1 :]).all()


def test_no_feature_looks_ahead() -> None:
    volume, price, at = _bars()
    before = feed.bar_features(volume, price, at, N)
    t = BARS - 40
    volume[t:] *= 3.0
    price[t:] *= 1.1
    after = feed.bar_features(volume, price, at, N)
    assert np.array_equal(before[:t], after[:t], equal_nan=True)
    assert (before[t:, 0] != after[t:, 0]).all()


def test_windows_without_all_their_features_are_not_usable() -> None:
    features = feed.bar_features(*_bars(), N)
    first = MEAN_OF + LOOKBACK + N - 1 + LOOKBACK + 1
    rows = np.array([0, first - 1, first, BARS - N + 1, BARS - N + 2])
    assert feed.usable(features, rows, N).tolist() == [False, False, True, True, False]


def test_the_feeds_hold_the_bars_that_they_promise() -> None:
    numbered = np.repeat(np.arange(BARS, dtype=np.float64)[:, None], 4, axis=1)
    row = 300
    seen = {
        name: feed.view(numbered, np.array([row]), N)[0, part, 0].astype(int).tolist()
        for name, part in feed.FEEDS.items()
    }
    assert seen["static"] == list(range(row - LOOKBACK, row))
    assert seen["published"] == list(range(row - LOOKBACK, row + N - 1))
    assert seen["mended"] == list(range(row - LOOKBACK - 1, row + N - 2))


def test_targets_are_the_windows_own_volumes_and_prices_to_scale() -> None:
    volume, price, _ = _bars()
    row = 300
    found = feed.targets(volume, price, np.array([row]), N)[0]
    assert np.allclose(found[:, 0], volume[row : row + N] / volume[row - LOOKBACK : row].sum(), rtol=1e-5)
    assert np.allclose(found[:, 1], price[row : row + N] / price[row - LOOKBACK], rtol=1e-5)


def test_the_probe_finds_the_published_look_ahead_and_that_the_mended_feed_has_none() -> None:
    features = np.nan_to_num(feed.bar_features(*_bars(), N))
    views = feed.view(features, np.arange(BARS - 60, BARS - 40), N)
    published = _reads(lambda t: LOOKBACK + t)
    leaky, mended = feed.moved(published, views, "published", N), feed.moved(published, views, "mended", N)
    assert (np.diagonal(leaky) > 0).all()
    assert not tradable(leaky.tolist())
    assert tradable(mended.tolist())
    assert (np.diagonal(mended, 1)[:-1] > 0).all(), "the next slice must see the bar, or nothing was fed"


def test_a_model_that_read_one_bar_further_would_not_pass_for_mended() -> None:
    views = feed.view(np.nan_to_num(feed.bar_features(*_bars(), N)), np.arange(BARS - 60, BARS - 40), N)
    further = feed.moved(_reads(lambda t: min(LOOKBACK + t + 1, LOOKBACK + N - 2)), views, "mended", N)
    assert not tradable(further.tolist())


def test_each_fit_of_a_plan_is_one_of_its_own() -> None:
    effort = Effort(seeds=2, static_epochs=3, dynamic_seeds=1, dynamic_epochs=2, stride=5, hidden=8)
    fits = plan(["AAA", "BBB"], effort)
    assert len(set(fits)) == len(fits) == 2 + 4 * 2 * 2
    assert {fit.feed for fit in fits if len(fit.assets) == 2} == {"published", "mended"}


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> scoring.Ground:
    path = tmp_path_factory.mktemp("bars") / "AAA.parquet"
    made_up.bars(7, 2900).write_parquet(path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the matrices are small: on a busy machine more threads wait for each other
    try:
        return ground(path, "2024-02-20", "2024-02-28", [])
    finally:
        torch.set_num_threads(threads)


def test_the_packages_learn_from_windows_that_were_over_a_day_before_and_are_asked_about_the_same(
    walked: scoring.Ground,
) -> None:
    opened = walked.tape["at"]
    first = np.datetime64("2024-02-20", "ns").astype(np.int64)
    assert opened[walked.tape["train"]].max() + N * HOUR <= first - 24 * HOUR
    assert np.array_equal(opened[walked.tape["test"]], walked.decided.windows.start)


def test_a_schedule_handed_in_is_judged_as_execds_own_is(walked: scoring.Ground) -> None:
    twap, convex = (walked.decided.schedules[name] for name in ("twap", "convex_dynamic"))
    lost = [1.0, 0.5, 0.499995]
    how = {"epochs": 3, "val_loss": lost, "learning_rate": [1e-3], "cpu_s": 1.0, "windows": 9, "parameters": 4}
    fits = [Fit(scoring.LEAKY, "published", "absolute", 1.0, seed, ("AAA",), 1, 1, 8) for seed in (1, 2)]
    mended = replace(fits[0], method=scoring.MENDED, feed="mended")
    moved = {"moved": np.triu(np.ones((N - 1, N)), 1).tolist()}
    told = [(fits[0], {"AAA": twap}, how), (fits[1], {"AAA": convex}, how), (mended, {"AAA": convex}, how | moved)]
    found = judge({"AAA": walked}, told)
    assert found["pool"][scoring.MENDED] == found["pool"]["convex_dynamic"]
    alone = {(row["method"], row["seed"]): row["figures"]["mae_bps"] for row in found["papers"]["seeds"]}
    assert alone[scoring.LEAKY, 1] == found["pool"]["twap"]["mae_bps"]
    assert alone[scoring.LEAKY, 2] == found["pool"]["convex_dynamic"]["mae_bps"]
    assert found["papers"]["seeds"][0]["kept_epoch"] == [2, 2], "a gain of less than 1e-5 is none"
    page = report.markdown(found | {"date": "2026-01-01", "notes": ["a note"]})
    assert f"`{scoring.MENDED}`" in page
    assert "of slices up to t none moves" in page


def test_windows_to_be_judged_that_lack_features_are_refused_and_past_ones_left_out(tmp_path: Path) -> None:
    path = tmp_path / "AAA.parquet"
    made_up.bars(7, 2900).write_parquet(path)
    market = Market.of(coarse(read_bars(path), HOUR), N, 2**62)
    early, late = np.arange(5), np.arange(1000, 1005)
    assert len(tape(market, early, late)["train"]) == 0
    with pytest.raises(ValueError, match="needed are 25 days"):
        tape(market, late, early)
