"""Asks the policy and never lets its failures out: a broken, late or mad model is an answer like any other.

Promise: every ProposeSlice gets exactly one fact back, and no exception.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from execd.core.commands import ProposeSlice
from execd.core.events import ProposalFailed, SliceProposed
from execd.core.grid import Nanos
from execd.policies import Policy
from execd.policies.curve import CurvePolicy

if TYPE_CHECKING:
    from execd.policies.learned import LearnedPolicy

CURVE = "curve"
"""The model name by which an order file asks for no model."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Which policy decides, and why the one that was asked for does not, if it does not.

    `sha256` is that of the weights, "" for a curve.
    """

    policy: Policy
    asked: str
    sha256: str
    fallback: str | None


def engage(model: str, folder: Path, duration: Nanos, slices: int) -> Advice:
    """Load the model that an order asks for; where it is refused or not trained for the window, engage the curve.

    Args:
        model: a folder's name under `folder`, or "curve".
        folder: where the model folders lie.
        duration: the parent's length.
        slices: into how many it is cut.
    """
    if model == CURVE:
        return Advice(CurvePolicy(), model, "", None)
    from execd.policies.learned import ModelRefused, load  # torch takes seconds to import; a curve needs none

    try:
        learned: LearnedPolicy = load(folder / model)
    except ModelRefused as refusal:
        return Advice(CurvePolicy(), model, "", str(refusal))
    if why := learned.covers(duration, slices):
        return Advice(CurvePolicy(), model, learned.manifest.weights.sha256, why)
    return Advice(learned, model, learned.manifest.weights.sha256, None)


class Advisor:
    """Answers ProposeSlice from one policy, in the loop: a decision takes less than a millisecond."""

    def __init__(self, policy: Policy, observe_seconds: Callable[[str, float], None]) -> None:
        self._policy = policy
        self._observe_seconds = observe_seconds

    def answer(self, command: ProposeSlice) -> SliceProposed | ProposalFailed:
        """Ask the policy; whatever it does, return a fact."""
        began = time.perf_counter()
        try:
            proposal = self._policy.propose(command.observation)
        # The policy is untrusted: any failure of it means that the curve decides.
        except Exception as error:
            return ProposalFailed(command.parent, command.slice, f"{self._policy.name}: {_word(error)}")
        finally:
            self._observe_seconds(self._policy.name, time.perf_counter() - began)
        share = proposal.share if isinstance(proposal.share, float) else math.nan
        return SliceProposed(command.parent, command.slice, share, proposal.model)


def _word(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:200] if text else type(error).__name__
