"""Training and judging: the same twice, resumable, honest about time, and better than nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from execd.learning import convex, recipe
from execd.learning.card import difference
from execd.learning.dataset import DataSet, Part
from execd.learning.evaluation import BASELINES, evaluate, paired, render
from execd.learning.examples import eager, examples, roll_out
from execd.learning.progress import bars
from execd.learning.ranges import measure
from execd.learning.recipe import RecipeRefused
from execd.learning.series import DataRefused
from execd.learning.training import CHECKPOINT, add_ranges, train
from execd.policies.features import NAMES, TARGET
from execd.policies.learned import load
from execd.policies.manifest import ModelRefused, read, sha256
from execd.policies.network import TargetNet
from tests.learning import made_up


@pytest.fixture(scope="module")
def trained(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    train(market / "tiny.yaml", market, folder)
    return folder


def test_the_same_recipe_gives_the_same_bytes(market: Path, trained: Path, tmp_path: Path) -> None:
    train(market / "tiny.yaml", market, tmp_path / "again")

    for name in ("weights.safetensors", "card.md"):
        assert sha256((tmp_path / "again" / name).read_bytes()) == sha256((trained / name).read_bytes())
    facts = [json.loads((folder / "manifest.json").read_text()) for folder in (tmp_path / "again", trained)]
    for each in facts:
        each.pop("commit")  # someone may commit between the two
    assert facts[0] == facts[1]


def test_a_manifest_holds_where_its_training_rows_lay(trained: Path) -> None:
    """Every feature has rising quantiles and shares that sum to 1; the clock's and the flags' are known by heart."""
    ranges = read(trained).ranges

    assert ranges.rows > 1000
    assert all(list(row) == sorted(row) for row in ranges.quantiles)
    assert [sum(row) for row in ranges.shares] == pytest.approx([1.0] * len(NAMES))
    has_history = NAMES.index("has_history")
    assert set(ranges.quantiles[has_history]) == {0.0, 1.0}
    assert ranges.quantiles[NAMES.index("day_sin")][-1] == pytest.approx(1.0, abs=0.01)


def test_a_manifest_of_schema_1_is_completed_and_nothing_else_changes(
    market: Path, trained: Path, tmp_path: Path
) -> None:
    """The ranges are those that training writes; weights and all other fields stay as they are."""
    folder = tmp_path / "tiny"
    shutil.copytree(trained, folder)
    facts = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(
        json.dumps({**{name: value for name, value in facts.items() if name != "ranges"}, "schema": 1})
    )
    with pytest.raises(ModelRefused, match="schema is 1; allowed is 2"):
        load(folder)

    add_ranges(folder, market)

    assert json.loads((folder / "manifest.json").read_text()) == facts
    assert (folder / "weights.safetensors").read_bytes() == (trained / "weights.safetensors").read_bytes()


def test_a_bin_counts_the_rows_at_its_lower_edge() -> None:
    """Values at a quantile belong to the bin above it, in training as in the guard."""
    rows = torch.tensor([[float(i)] for i in range(10)])

    found = measure(rows)

    assert (found.rows, found.quantiles[0]) == (10, (0.0, 2.0, 4.0, 5.0, 7.0, 9.0))
    assert found.shares[0] == (0.2, 0.2, 0.1, 0.2, 0.3)


class Interrupted(Exception):
    pass


def test_an_interrupted_training_goes_on_and_ends_the_same(market: Path, trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    heard: list[str] = []

    def stop(what: str, done: float) -> None:
        heard.append(what)
        if what.startswith("learning") and done == 0.5:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(market / "tiny.yaml", market, folder, stop)
    assert (folder / CHECKPOINT).is_file()
    epochs: list[float] = []
    train(market / "tiny.yaml", market, folder, lambda w, d: epochs.append(d) if w.startswith("learning") else None)

    assert epochs == [0.75, 1.0]
    assert not (folder / CHECKPOINT).exists()
    assert (folder / "weights.safetensors").read_bytes() == (trained / "weights.safetensors").read_bytes()


def test_a_checkpoint_of_another_recipe_is_not_taken_up(market: Path, trained: Path, tmp_path: Path) -> None:
    folder, other = tmp_path / "tiny", tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({**made_up.RECIPE, "seed": 6}))

    def stop(what: str, done: float) -> None:
        if what.startswith("learning"):
            raise Interrupted

    with pytest.raises(Interrupted):
        train(other, market, folder, stop)
    train(market / "tiny.yaml", market, folder)

    assert (folder / "weights.safetensors").read_bytes() == (trained / "weights.safetensors").read_bytes()


def test_a_trained_folder_loads_and_tells_what_it_was_trained_for(trained: Path) -> None:
    policy = load(trained)

    assert policy.name == "tiny"
    assert policy.manifest.data_until <= "2024-02-20"
    assert policy.covers(90_000_000_000, 12) is None
    assert policy.covers(6 * 3600_000_000_000, 6) is None
    assert "horizon 600 s outside" in str(policy.covers(600_000_000_000, 12))
    card = (trained / "card.md").read_text()
    assert "bars: 6 x 1 h" in card
    assert "unseen" in card


def test_every_method_is_judged_on_every_held_out_cell(trained: Path, market: Path) -> None:
    results = evaluate([trained], market)

    scores = json.loads((trained / "manifest.json").read_text())["scores"]
    assert results["cells"] == scores["cells"]
    assert scores["learning"]["validation_best"] <= scores["learning"]["validation_convex"]
    parts = {(cell["part"], cell["cell"]) for cell in results["cells"]}
    assert ("test", "bars: 6 x 1 h") in parts
    assert ("unseen", "bars: 4 x 30 min") in parts
    assert ("test, no history", "ticks: 12 x 7.5 s") in parts
    for cell in results["cells"]:
        assert set(cell["methods"]) == {*BASELINES, "tiny"}
        assert cell["methods"]["twap"]["gain_vs_twap"] == 0.0


def test_models_are_judged_beside_each_other_only_where_that_is_fair(
    market: Path, trained: Path, tmp_path: Path
) -> None:
    """A model that learned from what another holds out has seen the answers."""
    twin, later = tmp_path / "twin", tmp_path / "later"
    for folder, change in ((twin, {}), (later, {"name": "later", "data_until": "2024-03-20"})):
        shutil.copytree(trained, folder)
        facts = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**facts, **change}))

    with pytest.raises(ModelRefused, match="its name 'tiny' is another one's too"):
        evaluate([trained, twin], market)
    with pytest.raises(ModelRefused, match="model later was trained on data until 2024-03-20; allowed is what tiny"):
        evaluate([trained, later], market)


def test_figures_render_as_a_table_a_part(trained: Path) -> None:
    text = render(json.loads((trained / "manifest.json").read_text())["scores"])

    assert text.startswith("## tiny\n\n### test\n\n| windows")
    assert "| bars: 6 x 1 h | 200 |" in text
    assert render({"cells": []}) == ""


def test_what_remembers_its_volume_is_tracked_better_than_by_twap(trained: Path) -> None:
    """The made-up volume has memory, and moves grow with it: every adaptive method must gain."""
    scores = json.loads((trained / "manifest.json").read_text())["scores"]
    methods = next(cell["methods"] for cell in scores["cells"] if cell["cell"] == "bars: 6 x 1 h")

    for name in ("har_catchup", "convex_dynamic", "tiny"):
        assert methods[name]["gain_vs_twap"] > 0.05
        assert methods[name]["minus"]["twap"]["mean"] < 0.0


def test_parts_follow_each_other_in_time_and_never_overlap(market: Path) -> None:
    data = DataSet(made_up.tiny(), market)
    for source in data.recipe.sources:
        for shape in source.shapes:
            spans = []
            parts: tuple[Part, ...] = ("train", "validate", "test")
            for part in parts:
                w = data.windows(source, shape, part)
                assert w is not None
                spans.append((int(w.start.min()), int(w.start.max()) + shape.horizon))
            for (_, end), (start, _) in pairwise(spans):
                assert start - end >= 0
                embargo = 60e9 if source.kind == "ticks" else 12 * 3600e9
                assert start - end >= embargo * 0.99


def test_unseen_assets_are_in_no_other_part(market: Path) -> None:
    data = DataSet(made_up.tiny(), market)
    source = data.recipe.sources[0]
    parts: tuple[Part, ...] = ("train", "validate", "test", "unseen")
    for part in parts:
        w = data.windows(source, source.shapes[0], part)
        assert w is not None
        assert {data.assets[i] for i in w.asset} == ({"bars/CCC"} if part == "unseen" else {"bars/AAA", "bars/BBB"})


def test_holes_of_the_recipe_are_cut_out(market: Path) -> None:
    raw = json.loads(json.dumps(made_up.RECIPE))
    raw["sources"][0]["holes"] = {"*": [["2024-01-10", "2024-01-20"]], "AAA": [["2024-02-01", "2024-02-02T12:00"]]}
    data = DataSet(recipe.parse(raw), market)
    w = data.windows(data.recipe.sources[0], data.recipe.sources[0].shapes[0], "train")
    assert w is not None
    end = w.start + 6 * 3600_000_000_000

    for first, last, mine in (("2024-01-10", "2024-01-20", (0, 1)), ("2024-02-01", "2024-02-02T12:00", (0,))):
        inside = (end > recipe.nanos(first)) & (w.start < recipe.nanos(last)) & np.isin(w.asset, mine)
        assert not inside.any()


def test_a_source_without_its_file_is_refused_by_name(market: Path) -> None:
    raw = json.loads(json.dumps(made_up.RECIPE))
    raw["sources"][0]["assets"].append("ZZZ")

    with pytest.raises(DataRefused, match=r"bars/ZZZ.parquet: absent; source 'bars' of the recipe names it"):
        DataSet(recipe.parse(raw), market)


BAD: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("unknown key", lambda r: r.update(colour="red"), "unknown field `colour`"),
    ("missing key", lambda r: r.pop("seed"), "missing required field `seed`"),
    ("deep", lambda r: r["training"].update(epochs="many"), r"Expected `int`.*\$.training.epochs"),
    ("kind", lambda r: r["sources"][0].update(kind="candles"), r"Invalid enum value 'candles'.*sources\[0\].kind"),
]


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_recipe_is_refused_with_its_key(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    raw = json.loads(json.dumps(made_up.RECIPE))
    change(raw)
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(raw))

    with pytest.raises(RecipeRefused, match=rf"r.yaml: .*{message}"):
        recipe.load(tmp_path / "r.yaml")


def test_a_recipe_that_is_absent_or_no_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeRefused, match="cannot be read"):
        recipe.load(tmp_path / "none.yaml")
    (tmp_path / "r.yaml").write_text("a: [b")
    with pytest.raises(RecipeRefused, match="is no YAML"):
        recipe.load(tmp_path / "r.yaml")


def test_the_convex_fit_is_the_least_absolute_one() -> None:
    """No small step in any direction makes the mean absolute residual smaller; outliers do not pull it."""
    random = torch.Generator().manual_seed(1)
    z = torch.randn(4000, 6, generator=random, dtype=torch.float64)
    truth = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0, -0.1], dtype=torch.float64)
    noise = 0.1 * torch.randn(4000, generator=random, dtype=torch.float64)
    noise[::50] += 100.0
    c = z @ truth + noise

    w = convex.fit(c, z, rounds=60, ridge=1e-9)

    assert w.tolist() == pytest.approx(truth.tolist(), abs=0.02)
    best = float((c - z @ w).abs().mean())
    for step in torch.cat([torch.eye(6, dtype=torch.float64), -torch.eye(6, dtype=torch.float64)]):
        assert float((c - z @ (w + 0.02 * step)).abs().mean()) > best


def test_the_ridge_is_chosen_by_later_windows() -> None:
    random = torch.Generator().manual_seed(2)
    z = torch.randn(60, 40, generator=random, dtype=torch.float64)
    c = torch.randn(60, generator=random, dtype=torch.float64)
    late = convex.latest(np.arange(60))

    w = convex.fit_best(c, z, late, rounds=10, ridges=(1e-6, 1e6))

    assert int(late.sum()) == 12
    assert float(w.abs().max()) < 1e-3


def test_the_networks_slippage_is_the_designs(market: Path) -> None:
    """What the convex fit minimizes is what the network with its weights does, where nothing is clipped."""
    data = DataSet(made_up.tiny(), market)
    w = data.windows(data.recipe.sources[0], data.recipe.sources[0].shapes[0], "train")
    assert w is not None
    taught = examples(w.take(np.arange(50)), np.random.default_rng(1))
    network = TargetNet(())
    network.normalize(taught.features.flatten(0, 1))
    c, z = convex.design(network, taught)
    weights = 0.01 * torch.randn(z.shape[1], generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    convex.start_from(network, weights)
    with torch.no_grad():
        targets = network(taught.features.flatten(0, 1)).reshape(50, -1)
    rising = (targets.diff(dim=1) > 0).all(dim=1) & (targets > 0).all(dim=1) & (targets < 1).all(dim=1)

    assert int(rising.sum()) > 20
    expected = (c - z @ weights)[rising]
    assert taught.slip(targets, slice(None))[rising].tolist() == pytest.approx(expected.tolist(), abs=1e-3)


def test_a_schedule_kept_by_a_network_never_falls_and_ends_at_one(market: Path) -> None:
    data = DataSet(made_up.tiny(), market)
    w = data.windows(data.recipe.sources[1], data.recipe.sources[1].shapes[0], "test")
    assert w is not None

    schedule = roll_out(lambda rows: np.asarray(rows[:, TARGET] - 0.3), w)

    assert (np.diff(schedule, axis=1) >= 0).all()
    assert (schedule[:, -1] == 1.0).all()
    assert (roll_out(eager(TargetNet((4,)).eval()), w)[:, -1] == 1.0).all()


def test_an_interval_counts_blocks_of_time_and_not_windows() -> None:
    """A thousand copies of one observation a week are still one observation a week."""
    random = np.random.default_rng(4)
    weekly = random.normal(0.1, 1.0, 30)

    few = paired(weekly, np.arange(30), seed=1)
    many = paired(np.repeat(weekly, 1000), np.repeat(np.arange(30), 1000), seed=1)

    assert many == pytest.approx(few)
    low, high = few["low"], few["high"]
    assert low is not None
    assert high is not None
    assert low < weekly.mean() < high


def test_too_few_blocks_give_no_interval() -> None:
    got = paired(np.ones(100), np.repeat(np.arange(5), 20), seed=1)

    assert got == {"mean": 1.0, "low": None, "high": None}
    assert "too few blocks" in difference(got)


def test_the_progress_bar_takes_what_training_says() -> None:
    with bars() as say:
        say("features to train", 0.5)
        say("learning, validation 0.8 of TWAP", 1.0)
