"""Who decides: the model that was asked for, or the curve, and why."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from execd.core.commands import Observation, ProposeSlice
from execd.core.events import ProposalFailed, SliceProposed
from execd.core.grid import MINUTE, SECOND, Nanos
from execd.policies import Proposal
from execd.policies.curve import CurvePolicy
from execd.policies.features import golden_observations
from execd.runtime.advisor import Advisor, engage
from tests.runtime.process import ROOT

MODELS = ROOT / "models"
SHIPPED = "vwap-1"
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
    return ProposeSlice("P1", 3, golden_observations()[0], Nanos(0))


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
