"""Proposes.  Untrusted: a policy may be late, absurd, NaN or absent, and execd must still be right.

The port: `Policy.propose(observation) -> Proposal`.  A proposal is a share of what is left of the parent, to be traded
in the coming slice; sane ones lie in [0, 1].  What a policy promises: it reads nothing but the observation, keeps no
state between calls that the observation does not determine, and does no I/O.  What it need not promise: to be right.
The core clamps every answer to the schedule's band; a missing or mad one is replaced by the curve's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from execd.core.commands import Observation


@dataclass(frozen=True, slots=True)
class Inputs:
    """How what a model was shown lies against what it was trained on.

    `drift` is the share of features out of the training range, `words` say which is the worst where that is too many,
    else "".  `bins` are the features' bins between training's quantiles.
    """

    drift: float
    words: str
    bins: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A policy's raw answer: `share` of what is left of the parent for this slice, and who gave it.

    `inputs` is for whoever watches; None from a policy that was not trained.
    """

    share: float
    model: str
    inputs: Inputs | None = None


class Policy(Protocol):
    """What answers observations."""

    name: str

    def propose(self, observation: Observation) -> Proposal:
        """Answer within a few milliseconds.  May raise: the caller treats it as no answer."""
        ...
