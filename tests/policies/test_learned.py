"""A model folder: loaded only when it is what its manifest says, and silent where it has not learned."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from execd.core.commands import Observation
from execd.core.grid import Lots
from execd.learning.folder import golden
from execd.policies import Proposal, features
from execd.policies.learned import LearnedPolicy, ModelRefused, OutOfRange, load
from execd.policies.network import TargetNet
from tests.policies.given import observation

SHIPPED = Path(__file__).resolve().parents[2] / "models"


def wide() -> dict[str, Any]:
    """Ranges that hold whatever a feature can be, each bin as usual as the others."""
    quantiles = [[-5.0, -3.0, -1.0, 1.0, 3.0, 5.0]] * len(features.NAMES)
    return {"rows": 100, "quantiles": quantiles, "shares": [[0.2] * 5] * len(features.NAMES)}


def target(policy: LearnedPolicy, seen: Observation) -> float:
    """The cumulative target that a proposal means."""
    share = policy.propose(seen).share
    return (seen.filled + share * (seen.quantity - seen.filled)) / seen.quantity


def write(folder: Path, network: TargetNet) -> Path:
    """A folder with this network, trained for 60 s to 900 s in 10 to 30 slices."""
    folder.mkdir(exist_ok=True)
    ranges = wide()
    save_file(network.state_dict(), folder / "weights.safetensors")
    recorded = golden(network)
    facts = {
        "schema": 2,
        "name": "toy",
        "features": {"version": features.VERSION, "sha256": features.schema(), "names": features.NAMES},
        "weights": {"file": "weights.safetensors", "sha256": digest(folder), "hidden": [8]},
        "regimes": [
            {"name": "short", "horizon_s": [60, 900], "interval_s": [5, 60], "slices": [10, 30], "windows": 1},
            {"name": "long", "horizon_s": [1800, 43200], "interval_s": [300, 3600], "slices": [6, 48], "windows": 1},
        ],
        "ranges": ranges,
        "data_from": "2023-01-01",
        "data_until": "2024-01-01",
        "commit": "none",
        "golden": {"features": recorded.features, "targets": recorded.targets},
        "recipe": {},
        "scores": {},
    }
    (folder / "manifest.json").write_text(json.dumps(facts))
    return folder


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()


def network(seed: int = 3) -> TargetNet:
    torch.manual_seed(seed)
    net = TargetNet((8,))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return net.eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "toy", network())


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    facts = json.loads((folder / "manifest.json").read_text())
    change(facts)
    (folder / "manifest.json").write_text(json.dumps(facts))


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the weights and make the manifest's hash right again."""
    tensors = {name: tensor.clone() for name, tensor in load_file(folder / "weights.safetensors").items()}
    change(tensors)
    save_file(tensors, folder / "weights.safetensors")
    edit(folder, lambda facts: facts["weights"].update(sha256=digest(folder)))


def test_a_good_folder_loads_and_answers_as_its_network_does(folder: Path) -> None:
    policy, seen = load(folder), observation(at=5, filled=4_000)

    row = torch.from_numpy(features.observe(seen)[None, :].astype(np.float32))
    answer = float(network()(row)[0].detach())
    proposal = policy.propose(seen)

    assert proposal.model == policy.name == "toy"
    assert target(policy, seen) == pytest.approx(answer, abs=1e-6)
    assert 4_000 + proposal.share * 21_000 == pytest.approx(max(4_000, answer * 25_000), abs=0.1)


def test_a_network_of_zeros_is_the_curve_policy(tmp_path: Path) -> None:
    """Day 0 of training equals the baseline."""
    policy = load(write(tmp_path / "zero", TargetNet((8,)).eval()))
    for at in range(11):
        seen = observation(at)

        assert target(policy, seen) == pytest.approx(features.observe(seen)[features.TARGET], abs=1e-6)


def test_a_target_below_what_is_filled_asks_for_nothing_and_the_last_slice_for_all(folder: Path) -> None:
    policy = load(folder)

    assert policy.propose(observation(at=2, filled=24_000)).share == 0.0
    assert policy.propose(observation(at=11, filled=7)).share == 1.0


def test_one_thread_is_set(folder: Path) -> None:
    load(folder)

    assert torch.get_num_threads() == 1


def test_loading_is_what_imports_torch(folder: Path) -> None:
    """And no algebra system with it, which torch's own check of a trace would: that takes half as long again."""
    code = (
        "import sys; from pathlib import Path; from execd.policies.learned import load;"
        "assert 'torch' not in sys.modules;"
        f"load(Path({str(folder)!r})); assert 'torch' in sys.modules and 'sympy' not in sys.modules"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def set_nan(tensors: dict[str, torch.Tensor]) -> None:
    tensors["linear"][7] = math.nan


DAMAGE: list[tuple[str, Callable[[Path], object], str]] = [
    ("no folder", shutil.rmtree, r"manifest.json: cannot be read \(No such file or directory\)"),
    ("no weights", lambda f: (f / "weights.safetensors").unlink(), r"weights.safetensors: absent"),
    ("no JSON", lambda f: (f / "manifest.json").write_text("{"), r"manifest.json: .*allowed is what models/README.md"),
    ("a list", lambda f: (f / "manifest.json").write_text("[]"), r"manifest.json: Expected `object`, got `array`"),
    ("other manifest", lambda f: edit(f, lambda m: m.update(schema=1)), r"schema is 1; allowed is 2"),
    ("no schema", lambda f: edit(f, lambda m: m.pop("schema")), r"schema is None; allowed is 2"),
    ("no ranges", lambda f: edit(f, lambda m: m.pop("ranges")), r"missing required field `ranges`"),
    ("few ranges", lambda f: edit(f, lambda m: m["ranges"]["shares"].pop()), r"ranges.shares has not 45 rows of 5"),
    ("short range", lambda f: edit(f, lambda m: m["ranges"]["quantiles"][3].pop()), r"quantiles has not 45 rows of 6"),
    ("falling range", lambda f: edit(f, lambda m: m["ranges"]["quantiles"][3].reverse()), r"quantiles fall somewhere"),
    ("unknown key", lambda f: edit(f, lambda m: m.update(extra=1)), r"unknown field `extra`"),
    ("missing key", lambda f: edit(f, lambda m: m.pop("golden")), r"missing required field `golden`"),
    ("wrong type", lambda f: edit(f, lambda m: m.update(name=3)), r"Expected `str`, got `int` - at `\$.name`"),
    (
        "other features",
        lambda f: edit(f, lambda m: m["features"].update(sha256="0" * 64)),
        r"feature schema is version 2 000000000000; allowed is version 2 [0-9a-f]{12}: train the model again",
    ),
    (
        "other feature version",
        lambda f: edit(f, lambda m: m["features"].update(version=99)),
        r"feature schema is version 99",
    ),
    (
        "weights elsewhere",
        lambda f: edit(f, lambda m: m["weights"].update(file="../other.safetensors")),
        r"weights.file is '../other.safetensors'; allowed is 'weights.safetensors'",
    ),
    (
        "one bit off",
        lambda f: (f / "weights.safetensors").write_bytes((f / "weights.safetensors").read_bytes()[:-1] + b"\x01"),
        r"weights.safetensors: sha256 is [0-9a-f]{12}...; allowed is [0-9a-f]{12}...",
    ),
    ("NaN", lambda f: rewrite(f, set_nan), r"tensor linear holds NaN or infinity; allowed are finite numbers"),
    (
        "other shape",
        lambda f: edit(f, lambda m: m["weights"].update(hidden=[9])),
        r"weights.safetensors: does not fit hidden layers \(9,\)",
    ),
    ("a tensor missing", lambda f: rewrite(f, lambda t: t.pop("linear")), r"does not fit hidden layers .*linear"),
    (
        "other weights",
        lambda f: rewrite(f, lambda t: t["linear"].add_(0.1)),
        r"golden target \d is 0\.\d+, the network",
    ),
    (
        "other golden features",
        lambda f: edit(f, lambda m: m["golden"]["features"][1].__setitem__(5, 0.123)),
        r"golden features differ from what this code computes",
    ),
    (
        "no golden answers",
        lambda f: edit(f, lambda m: m["golden"].update(features=[], targets=[])),
        r"golden features differ",
    ),
    (
        "NaN golden",
        lambda f: (f / "manifest.json").write_text(
            (f / "manifest.json").read_text().replace('"targets": [', '"targets": [null, ')
        ),
        r"Expected `float`, got `null`",
    ),
]


@pytest.mark.parametrize(("damage", "message"), [case[1:] for case in DAMAGE], ids=[case[0] for case in DAMAGE])
def test_a_folder_that_is_not_as_its_manifest_says_is_refused_in_one_line(
    folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder)

    with pytest.raises(ModelRefused, match=message) as refused:
        load(folder)

    assert "\n" not in str(refused.value)
    assert str(folder) in str(refused.value)


def test_a_file_that_is_no_safetensors_is_refused_even_with_the_right_hash(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"not weights at all")
    edit(folder, lambda facts: facts["weights"].update(sha256=digest(folder)))

    with pytest.raises(ModelRefused, match="is no safetensors file"):
        load(folder)


@pytest.mark.parametrize(
    ("seconds", "slices", "word"),
    [
        (90, 12, None),
        (60, 10, None),
        (43_200, 12, None),
        (30, 12, "horizon 30 s outside 60..900 s"),
        (900, 60, "slices 60 outside 10..30"),
        (90, 60, "slice length 1.5 s outside 5..60 s"),
        (1200, 20, "horizon 1200 s outside 60..900 s; long: horizon 1200 s outside 1800..43200 s"),
    ],
)
def test_covers_says_at_admission_why_a_window_was_not_trained_for(
    folder: Path, seconds: int, slices: int, word: str | None
) -> None:
    why = load(folder).covers(seconds * 1_000_000_000, slices)

    assert (why is None) if word is None else (why is not None and word in why)


def test_outside_the_trained_range_it_raises_instead_of_answering(folder: Path) -> None:
    with pytest.raises(OutOfRange, match="was not trained for 3600 s in 36 slices"):
        load(folder).propose(observation(at=3, slices=36, interval=100_000_000_000))


def test_an_answer_that_is_not_finite_raises(folder: Path) -> None:
    policy = load(folder)
    broken = LearnedPolicy(policy.manifest, lambda rows: rows[:, 0] * math.nan)

    with pytest.raises(ValueError, match="answered nan"):
        broken.propose(observation(at=1))


def test_no_bar_at_or_after_now_moves_an_answer(folder: Path) -> None:
    policy = load(folder)
    for at in range(11):
        seen, later = observation(at), observation(min(11, at + 3))

        assert target(policy, replace(seen, bars=later.bars)) == target(policy, seen)


def test_a_parent_of_one_lot_is_no_error(folder: Path) -> None:
    assert 0.0 <= load(folder).propose(replace(observation(at=4), quantity=Lots(1))).share <= 1.0


@pytest.mark.parametrize("path", sorted(p.parent for p in SHIPPED.glob("*/manifest.json")), ids=lambda p: p.name)
def test_every_shipped_model_loads_covers_the_demo_and_answers_sanely(path: Path) -> None:
    policy = load(path)

    assert policy.name == path.name
    assert (path / "weights.safetensors").stat().st_size < 2_000_000
    assert policy.covers(90_000_000_000, 12) is None
    targets = [target(policy, observation(at, history=60)) for at in range(12)]
    assert all(0.0 <= target <= 1.0 for target in targets)
    assert targets[-1] == 1.0
    uniform = [(at + 1) / 12 for at in range(12)]
    assert np.abs(np.array(targets) - uniform).max() < 0.35


def test_a_model_is_shipped() -> None:
    assert list(SHIPPED.glob("*/manifest.json"))


# ------------------------------------------------------------------------------------------------- many parents at once


def test_many_parents_get_what_each_would_have_got_alone(folder: Path) -> None:
    """Windows of several shapes and slices, one out of range, one in its last slice: each its own answer, in order."""
    policy = load(folder)
    asked = [
        observation(at, seed=seed, filled=100 * at, slices=n) for seed in range(3) for at in (0, 3, 7) for n in (12, 20)
    ]
    asked += [observation(at=3, slices=36, interval=100_000_000_000), observation(at=11)]

    answers = policy.propose_many(asked)

    for seen, answer in zip(asked[:-2], answers[:-2], strict=True):
        alone = policy.propose(seen)
        assert isinstance(answer, Proposal)
        assert answer.share == pytest.approx(alone.share, abs=1e-6)
        assert (answer.model, answer.inputs) == (alone.model, alone.inputs)
    assert isinstance(answers[-2], OutOfRange)
    assert answers[-1] == Proposal(1.0, "toy")
    assert policy.propose_many([]) == []


def test_inputs_unlike_those_of_training_raise_and_name_the_worst(folder: Path) -> None:
    """Two features trained on a narrow range: the model does not answer, and says what it saw."""

    def narrow(facts: dict[str, Any]) -> None:
        for name, at in (("burst", 0.01), ("volatility", -0.5)):
            facts["ranges"]["quantiles"][features.NAMES.index(name)] = [at + 0.001 * i for i in range(6)]

    edit(folder, narrow)
    policy = load(folder)

    with pytest.raises(
        OutOfRange, match=r"2 of 45 inputs are out of the training range, the worst (burst|volatility)"
    ) as out:
        policy.propose(observation(at=5))
    assert out.value.inputs is not None
    assert out.value.inputs.drift == pytest.approx(2 / 45)
    assert policy.propose(observation(at=11)).share == 1.0, "the rest is the rest, whatever the market does"
