"""Scenarios: all methods meet the same, models see their own fills, and without friction nothing changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from execd.cli import app
from execd.learning import robustness, tables
from execd.learning.evaluation import catch_up, paired
from execd.learning.examples import LAG, roll_out
from execd.learning.fills import achieve, draw
from execd.learning.judging import WEEK, Tally, week_of
from execd.learning.recipe import Fills, nanos
from execd.learning.robustness import figures, paid, rolled, scenarios, tally
from execd.learning.series import Series
from execd.learning.walkforward import METHODS, Decided
from execd.learning.windows import Windows, cut, starts
from execd.policies.features import NAMES, TARGET
from execd.policies.floats import Floats
from execd.policies.profile import HOUR
from execd.policies.state import HISTORY
from tests.learning import made_up

MODEL = next(path.parent for path in sorted((Path(__file__).parents[2] / "models").glob("*/manifest.json")))
PARTLY = Fills(mean=(0.8, 0.8))


def answer(rows: Floats) -> Floats:
    """A model that looks at all that it is told, and hurries where it lags."""
    seen = np.tanh(rows @ np.cos(np.arange(len(NAMES))))
    return np.clip(rows[:, TARGET] + 0.05 * seen - 0.5 * rows[:, LAG], 0.0, 1.0)


def windows(count: int = 600) -> Windows:
    frame = made_up.bars(3, 3000)
    volume, close = frame["volume"].to_numpy(), frame["close"].to_numpy()
    first = made_up.FIRST_MS * 1_000_000
    one = Series("AAA", first, HOUR // 2, volume, volume * close, close, np.ones(3000, dtype=np.bool_))
    return cut(one, 0, HOUR, 12, starts(one, HOUR, 12, 0, 2**62)[200 : 200 + 2 * count : 2])


@pytest.fixture(scope="module")
def decided() -> Decided:
    w = windows()
    twap = np.broadcast_to(np.arange(1, 13) / 12, (len(w), 12))
    schedules = {"twap": twap, "again": twap.copy(), "convex_dynamic": catch_up(w), "model": roll_out(answer, w)}
    return Decided(w, schedules)


@pytest.fixture(scope="module")
def found(decided: Decided) -> Tally:
    return tally(decided, {"model": answer}, "AAA", 5)


def test_as_planned_is_the_plain_slippage(decided: Decided, found: Tally) -> None:
    w = decided.windows
    plain = scenarios(12)["as planned"]
    luck = draw(plain.fills, len(w), 12, np.random.default_rng(1))
    for name, schedule in decided.schedules.items():
        full = achieve(torch.from_numpy(schedule.copy()), plain.fills, luck)

        assert np.abs(w.slip_bps(full.numpy()) - w.slip_bps(schedule)).max() < 1e-12 * 1e4
        slip, cost = found.sums["as planned"][name]
        assert slip.sum() == pytest.approx(np.abs(w.slip_bps(schedule)).sum(), rel=1e-12)
        assert not cost.any()


def test_methods_of_one_plan_have_one_luck(found: Tally) -> None:
    """To the last digits, which are the processor's: another's luck is worth whole basis points."""
    for scenario, sums in found.sums.items():
        assert np.array(sums["twap"]) == pytest.approx(np.array(sums["again"]), rel=1e-12), scenario


def test_luck_is_an_assets_own_and_the_seeds(decided: Decided, found: Tally) -> None:
    again = tally(decided, {"model": answer}, "AAA", 5)
    others = [tally(decided, {}, "BBB", 5), tally(decided, {}, "AAA", 6)]

    for scenario, sums in found.sums.items():
        assert all(np.array_equal(sums[name], again.sums[scenario][name]) for name in sums)
    for other in others:
        assert not np.array_equal(found.sums["fills 80 %"]["twap"], other.sums["fills 80 %"]["twap"])
        assert np.array_equal(found.sums["lots 1/50"]["twap"], other.sums["lots 1/50"]["twap"])


def test_every_scenario_differs_from_the_plan_and_only_costs_are_costs(found: Tally) -> None:
    for name, scenario in scenarios(12).items():
        slip, cost = found.sums[name]["model"]
        assert (cost > 0).all() != scenario.costs.none, name
        assert np.array_equal(slip, found.sums["as planned"]["model"][0]) == scenario.fills.perfect, name


def test_a_model_that_fills_all_is_rolled_out_as_ever(decided: Decided) -> None:
    w = decided.windows
    luck = draw(Fills(), len(w), 12, np.random.default_rng(1))

    got = rolled(answer, w, Fills(), luck).numpy()

    assert np.abs(got - roll_out(answer, w)).max() < 1e-12


def test_a_model_sees_before_each_slice_what_it_really_filled() -> None:
    """`lag` is the filled share less the estimated share of the volume that is behind us, which is nobody's choice."""
    w = windows(50)
    luck = draw(PARTLY, 50, 12, np.random.default_rng(1))
    seen: list[Floats] = []

    def listening(rows: Floats) -> Floats:
        seen.append(rows)
        return answer(rows)

    filled = rolled(listening, w, PARTLY, luck).numpy()

    planned, seen = seen, []
    plan = roll_out(listening, w)
    for k in range(1, 11):
        assert planned[k][:, LAG] - seen[k][:, LAG] == pytest.approx(filled[:, k - 1] - plan[:, k - 1])
    assert (filled[:, 0] < plan[:, 0]).all()


def test_a_models_figures_are_those_of_its_own_fills(decided: Decided, found: Tally) -> None:
    """Not those of its plan put through the same fills: it would not have kept to that plan."""
    w = decided.windows
    luck = draw(PARTLY, len(w), 12, np.random.default_rng([5, crc32(b"AAA")]))

    asked = rolled(answer, w, PARTLY, luck).numpy()
    planned = achieve(torch.from_numpy(decided.schedules["model"].copy()), PARTLY, luck).numpy()

    got = found.sums["fills 80 %"]["model"][0].sum()
    assert got == pytest.approx(np.abs(w.slip_bps(asked)).sum(), rel=1e-9)
    assert got != pytest.approx(np.abs(w.slip_bps(planned)).sum(), rel=1e-6)


def test_no_fill_of_a_model_moves_with_what_comes_after() -> None:
    w = windows(50)
    luck = draw(PARTLY, 50, 12, np.random.default_rng(1))
    volume = w.volume.copy()
    volume[:, HISTORY + 6 :] *= 3.0

    before, after = (rolled(answer, each, PARTLY, luck).numpy() for each in (w, replace(w, volume=volume)))

    assert np.array_equal(before[:, :7], after[:, :7])
    assert not np.array_equal(before[:, 7:], after[:, 7:])


def test_a_list_of_slices_is_worse_than_the_cumulative_target_for_who_tracks(found: Tally) -> None:
    """learning.md 7.5, on a made-up market with a volume that can be forecast."""
    slices, cumulative = (found.sums[name]["convex_dynamic"][0].sum() for name in ("fills 80 %, slices", "fills 80 %"))

    assert slices > 1.02 * cumulative


def test_what_is_paid_is_what_was_filled_at_the_slices_prices(decided: Decided) -> None:
    w = decided.windows
    luck = draw(PARTLY, len(w), 12, np.random.default_rng(1))
    filled = achieve(torch.from_numpy(decided.schedules["twap"].copy()), PARTLY, luck)

    slip, cost = paid(w, filled, scenarios(12)["spread"].costs)

    own = np.diff(filled.numpy(), axis=1, prepend=0.0)
    other = np.diff(w.market(), axis=1, prepend=0.0)
    assert slip == pytest.approx(1e4 * ((own * w.price()).sum(axis=1) / w.vwap() - 1.0), abs=1e-8)
    assert cost == pytest.approx((own**2 / (own + other)).sum(axis=1))


def test_figures_of_several_assets_are_those_of_their_windows_together() -> None:
    """Sums by week give the mean, the gain and the interval of the windows themselves."""
    random = np.random.default_rng(2)
    start = nanos("2024-01-01") + np.sort(random.integers(0, 10 * WEEK, (2, 400)), axis=1)
    slips = random.gamma(2.0, 3.0, (2, 2, 400))
    costs = random.random((2, 2, 400))
    tallies = []
    for i in range(2):
        week, index, count = np.unique(week_of(start[i]), return_inverse=True, return_counts=True)
        rows = [[np.bincount(index, value) for value in (slips[i, m], costs[i, m])] for m in range(2)]
        tallies.append(Tally(week, count, {"s": {"twap": np.array(rows[0]), "convex_dynamic": np.array(rows[1])}}))

    got = figures(tallies, 3)["s"]

    size = (slips + costs).transpose(1, 0, 2).reshape(2, -1)
    assert got["twap"]["mae_bps"] == pytest.approx(size[0].mean(), abs=1e-6)
    assert got["convex_dynamic"]["cost_bps"] == pytest.approx(costs[:, 1].mean(), abs=1e-6)
    assert got["convex_dynamic"]["gain_vs_twap"] == pytest.approx(1 - size[1].mean() / size[0].mean(), abs=1e-6)
    expected = paired(size[0] - size[1], week_of(start.ravel()), 3)
    assert got["twap"]["minus_convex_dynamic"] == pytest.approx(expected, abs=2e-6)


def test_the_command_tells_every_method_in_every_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shift = nanos("2040-01-01") // 1_000_000 - made_up.FIRST_MS
    made_up.bars(0, 2900).with_columns(pl.col("ts") + shift).write_parquet(tmp_path / "AAA.parquet")
    page = tmp_path / "found.html"
    flags = ["--data", str(tmp_path), "--from", "2040-02-15", "--until", "2040-02-18", "--jobs", "1"]

    ran = CliRunner().invoke(app, ["evaluate", str(MODEL), *flags, "--html", str(page), "--json"])

    assert ran.exit_code == 0, ran.output
    found: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    assert list(found["robustness"]) == list(scenarios(12)) == list(found["protocol"]["scenarios"])
    assert found["shapes"]["12x1h"]["robustness"] == found["robustness"]
    for name, by in found["robustness"].items():
        assert set(by) == {*METHODS, MODEL.name}, name
        assert by["twap"]["gain_vs_twap"] == 0.0
        assert by["convex_dynamic"]["minus_convex_dynamic"]["mean"] == 0.0
    for name in by:
        assert found["robustness"]["as planned"][name]["mae_bps"] == found["pool"][name]["mae_bps"]
    tables.show(found)
    for text in (capsys.readouterr().out, page.read_text()):
        assert "by what is achieved" in text
        assert "fills 80 %, slices" in text
        assert "…" not in text


def test_scenarios_are_told_in_words() -> None:
    assert all(each.about for each in robustness.scenarios(12).values())
    assert scenarios(60)["last 1.5/n"].fills.last == pytest.approx(0.025)
