"""Asks the policy and never lets its failures out: a broken, late or mad model is an answer like any other.

Promise: every ProposeSlice gets exactly one fact back, and no exception.  An answer that took longer than the core
would have waited counts as none, by a clock that nobody sets.
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
from execd.policies import Inputs, Policy, Proposal
from execd.policies.curve import CurvePolicy
from execd.policies.drift import Stability
from execd.policies.manifest import OutOfRange, Ranges

if TYPE_CHECKING:
    from execd.policies.learned import LearnedPolicy

CURVE = "curve"
"""The model name by which an order file asks for no model."""
NONE = "none"
"""The name of no shadow."""

Seconds = Callable[[], float]
"""A monotonic clock."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Which policy decides, and why the one that was asked for does not, if it does not.

    `sha256` is that of the weights, "" for a curve; `ranges` are those of the training inputs of the policy that
    decides, None for a curve.
    """

    policy: Policy
    asked: str
    sha256: str
    fallback: str | None
    ranges: Ranges | None = None


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
    return Advice(learned, model, learned.manifest.weights.sha256, None, learned.manifest.ranges)


class Advisor:
    """Answers ProposeSlice from one policy, in the loop: a decision takes about a millisecond.

    Args:
        policy: who decides.
        observe_seconds: told the policy's name and how long it took.
        ranges: of the policy's training inputs, if it was trained.
        observe_inputs: told its name, the share of inputs out of those ranges, and the parent's PSI so far.
        monotonic: a clock, in seconds.
    """

    def __init__(
        self,
        policy: Policy,
        observe_seconds: Callable[[str, float], None],
        ranges: Ranges | None = None,
        observe_inputs: Callable[[str, float, float], None] | None = None,
        monotonic: Seconds = time.perf_counter,
    ) -> None:
        self._policy = policy
        self._observe_seconds = observe_seconds
        self._observe_inputs = observe_inputs
        self._stability = None if ranges is None else Stability(ranges)
        self._monotonic = monotonic

    def answer(self, command: ProposeSlice) -> SliceProposed | ProposalFailed:
        """Ask the policy; whatever it does, return a fact."""
        asked = ask(self._policy, command, self._monotonic)
        self._observe_seconds(self._policy.name, asked.seconds)
        if asked.inputs and self._stability and self._observe_inputs:
            self._observe_inputs(self._policy.name, asked.inputs.drift, self._stability.add(asked.inputs))
        if asked.proposal is None:
            return ProposalFailed(command.parent, command.slice, asked.why)
        return SliceProposed(command.parent, command.slice, share_of(asked.proposal), asked.proposal.model)


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking: a proposal, or in one line why there is none; the inputs, where the policy told them."""

    proposal: Proposal | None
    why: str
    inputs: Inputs | None
    seconds: float


def ask(policy: Policy, command: ProposeSlice, monotonic: Seconds) -> Asked:
    """Ask a policy.  Raises nothing: a failure or an answer after the command's due time is no proposal."""
    began = monotonic()
    try:
        proposal = policy.propose(command.observation)
        if not isinstance(proposal, Proposal):
            raise TypeError("it answered no proposal")
    # The policy is untrusted: any failure of it means that the curve decides.
    except Exception as error:
        inputs = error.inputs if isinstance(error, OutOfRange) else None
        return Asked(None, f"{policy.name}: {_word(error)}", inputs, monotonic() - began)
    took, allowed = monotonic() - began, (command.due - command.observation.now) / 1e9
    if took >= allowed:
        return Asked(None, f"{policy.name} was late: {took:.3f} s of {allowed:g} s", proposal.inputs, took)
    return Asked(proposal, "", proposal.inputs, took)


def share_of(proposal: Proposal) -> float:
    """Return a proposal's share; NaN, with which the core can deal, where it is no float."""
    return proposal.share if isinstance(proposal.share, float) else math.nan


def _word(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:200] if text else type(error).__name__
