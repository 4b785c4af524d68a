"""Who decides: the model that was asked for, or the curve, and why."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from execd.core.commands import Observation, ProposeSlice
from execd.core.events import ProposalFailed, SliceProposed
from execd.core.grid import MINUTE, SECOND, Nanos
from execd.policies import Proposal
from execd.policies.curve import CurvePolicy
from execd.policies.features import golden_observations
from execd.runtime.advisor import Advisor, engage
from tests.runtime.process import ROOT

MODELS = ROOT / "models"
SHIPPED = "vwap-2"
DEMO = Nanos(90 * SECOND)


class Broken:
    """A policy that does whatever it was told to do wrong."""

    name = "broken"

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def propose(self, observation: Observation) -> Proposal:
        """Raise, or answer nonsense."""
        if isinstance(self._answer, Exception):
            raise self._answer
        return Proposal(self._answer, self.name)  # type: ignore[arg-type]  # that is the point


def a_question() -> ProposeSlice:
    """One of the observations that every model has a golden answer to."""
    seen = golden_observations()[0]
    return ProposeSlice("P1", 3, seen, Nanos(seen.now + SECOND))


def weights(folder: Path, value: float) -> None:
    """Put a number into the weights, and make the manifest's hash right again."""
    path = folder / "weights.safetensors"
    tensors = load_file(path)
    tensors["linear"] = tensors["linear"].clone()
    tensors["linear"][7] = value
    save_file(tensors, path)
    edit(folder, lambda manifest: manifest["weights"].update(sha256=sha256(path.read_bytes()).hexdigest()))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a model folder's manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_shipped_model_covers_the_demo_and_decides() -> None:
    """The model that execd.yaml names is loaded, checked and used for the demo's own window."""
    advice = engage(SHIPPED, MODELS, DEMO, 15)

    assert advice.fallback is None
    assert advice.policy.name == SHIPPED
    answer = Advisor(advice.policy, lambda _model, _seconds: None).answer(a_question())
    assert isinstance(answer, SliceProposed)
    assert answer.model == SHIPPED
    assert 0.0 <= answer.share <= 1.0


def test_outside_of_what_it_was_trained_for_the_curve_decides_and_says_so() -> None:
    """Three days in slices of an hour: nobody has shown that the model is any good there."""
    advice = engage(SHIPPED, MODELS, Nanos(3 * 24 * 60 * MINUTE), 72)

    assert isinstance(advice.policy, CurvePolicy)
    assert "not trained" in str(advice.fallback)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "weights.safetensors").write_bytes(b"x" * 100), "sha256"),
        (lambda folder: (folder / "weights.safetensors").unlink(), "absent"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json"),
        (shutil.rmtree, "manifest.json"),
        (lambda folder: weights(folder, math.nan), "holds NaN or infinity"),
        (lambda folder: weights(folder, math.inf), "holds NaN or infinity"),
        (lambda folder: weights(folder, 1e9), "golden target"),
        (lambda folder: edit(folder, lambda manifest: manifest.update(schema=1)), "schema is 1; allowed is 2"),
        (lambda folder: edit(folder, lambda manifest: manifest.pop("ranges")), "missing required field `ranges`"),
    ],
)
def test_a_model_that_is_not_what_its_manifest_says_does_not_decide(damage: object, words: str, tmp_path: Path) -> None:
    """Wrong hash, no weights, no manifest: the curve takes over, and the report gets the reason."""
    shutil.copytree(MODELS / SHIPPED, tmp_path / SHIPPED)
    assert callable(damage)
    damage(tmp_path / SHIPPED)

    advice = engage(SHIPPED, tmp_path, DEMO, 15)

    assert isinstance(advice.policy, CurvePolicy)
    assert words in str(advice.fallback)


def test_a_model_of_other_features_does_not_decide(tmp_path: Path) -> None:
    """A manifest that was written for another feature schema is refused by name."""
    shutil.copytree(MODELS / SHIPPED, tmp_path / SHIPPED)
    manifest = json.loads((tmp_path / SHIPPED / "manifest.json").read_text())
    manifest["features"]["sha256"] = "0" * 64
    (tmp_path / SHIPPED / "manifest.json").write_text(json.dumps(manifest))

    assert "feature schema" in str(engage(SHIPPED, tmp_path, DEMO, 15).fallback)


def test_who_asks_for_the_curve_gets_it_without_a_reason() -> None:
    """It is a choice, not a fallback."""
    advice = engage("curve", MODELS, DEMO, 15)

    assert (advice.policy.name, advice.fallback, advice.sha256) == ("curve", None, "")


@pytest.mark.parametrize("error", [ValueError("no\nreason"), ZeroDivisionError(), MemoryError()])
def test_a_policy_that_raises_is_an_answer_like_any_other(error: Exception) -> None:
    """One fact of one line, whatever it raised."""
    answer = Advisor(Broken(error), lambda _model, _seconds: None).answer(a_question())

    assert isinstance(answer, ProposalFailed)
    assert type(error).__name__ in answer.why
    assert "\n" not in answer.why


@pytest.mark.parametrize("share", ["a half", None, 1])
def test_a_share_that_is_no_float_becomes_nan(share: object) -> None:
    """The core knows what to do with NaN; it must not have to know about strings."""
    answer = Advisor(Broken(share), lambda _model, _seconds: None).answer(a_question())

    assert isinstance(answer, SliceProposed)
    assert math.isnan(answer.share)


def test_each_answer_is_timed() -> None:
    """The metric of inference sees every question."""
    seen: list[tuple[str, float]] = []

    Advisor(CurvePolicy(), lambda model, seconds: seen.append((model, seconds))).answer(a_question())

    assert [model for model, _ in seen] == ["curve"]
    assert seen[0][1] >= 0


# ------------------------------------------------------------------------------------------------------------ the guard


def within(seconds: float) -> Callable[[], float]:
    """A clock by which a question takes so long."""
    moments = iter((100.0, 100.0 + seconds))
    return lambda: next(moments)


@pytest.mark.parametrize(("seconds", "late"), [(0.0, False), (0.999, False), (1.0, True), (3.0, True)])
def test_an_answer_after_the_deadline_is_none(seconds: float, late: bool) -> None:
    """By the clock of this process that nobody sets, whatever the answer would have been."""
    answer = Advisor(CurvePolicy(), lambda _model, _seconds: None, monotonic=within(seconds)).answer(a_question())

    assert isinstance(answer, ProposalFailed if late else SliceProposed)
    if isinstance(answer, ProposalFailed):
        assert answer.why == f"curve was late: {seconds:.3f} s of 1 s"


def test_a_late_failure_is_told_by_its_own_reason() -> None:
    """What it raised says more than that it took long."""
    answer = Advisor(Broken(ValueError("odd")), lambda _model, _seconds: None, monotonic=within(9)).answer(a_question())

    assert isinstance(answer, ProposalFailed)
    assert answer.why == "broken: ValueError: odd"


def test_inputs_unlike_training_make_the_curve_decide_with_the_worst_named(tmp_path: Path) -> None:
    """The folder is sound, the market is not what it learned: a reason for the ledger, and gauges for the alert."""

    def narrow(manifest: dict[str, Any]) -> None:
        names = manifest["features"]["names"]
        for name in ("day_sin", "day_cos"):
            manifest["ranges"]["quantiles"][names.index(name)] = [2.0, 2.0, 2.0, 2.0, 2.0, 2.0]

    shutil.copytree(MODELS / SHIPPED, tmp_path / SHIPPED)
    edit(tmp_path / SHIPPED, narrow)
    advice = engage(SHIPPED, tmp_path, DEMO, 15)
    looked: list[tuple[str, float, float]] = []

    advisor = Advisor(
        advice.policy, lambda _model, _seconds: None, advice.ranges, lambda *seen: looked.append(seen), within(0.0)
    )
    answer = advisor.answer(a_question())

    assert isinstance(answer, ProposalFailed)
    assert "2 of 45 inputs are out of the training range, the worst day_cos: -0.793, trained on 2..2" in answer.why
    ((model, drift, _),) = looked
    assert (model, drift) == (SHIPPED, 2 / 45)


def test_a_models_inputs_are_watched_and_a_curve_has_none() -> None:
    """Drift and stability index of each question, growing with the parent."""
    advice = engage(SHIPPED, MODELS, DEMO, 15)
    looked: list[tuple[str, float, float]] = []
    advisor = Advisor(advice.policy, lambda *_: None, advice.ranges, lambda *seen: looked.append(seen), lambda: 0.0)

    for _ in range(3):
        advisor.answer(a_question())
    Advisor(CurvePolicy(), lambda *_: None, None, lambda *seen: looked.append(seen), lambda: 0.0).answer(a_question())

    assert [drift for _, drift, _ in looked] == [0.0, 0.0, 0.0]
    assert 0.0 < looked[0][2] < looked[1][2] < looked[2][2]
