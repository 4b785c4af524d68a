"""A trained model that proposes slices: checked before it may trade, and silent where it has not learned.

Promise: `load` returns a policy only if the weights are the ones that the manifest names, the features are computed the
way they were in training, and the network gives the recorded answers; else it refuses with one sentence.  A loaded
policy raises rather than answer outside what it was trained for.  torch is imported by `load`, not by this module.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from execd.core.commands import Observation
from execd.policies import Inputs, Proposal, features
from execd.policies.curve import share_for
from execd.policies.drift import Guard, refusal
from execd.policies.floats import Floats
from execd.policies.manifest import MANIFEST, WEIGHTS, Manifest, ModelRefused, OutOfRange, read, sha256

if TYPE_CHECKING:
    from torch import Tensor

    from execd.policies.network import TargetNet

__all__ = ["LearnedPolicy", "ModelRefused", "OutOfRange", "load"]

_TOLERANCE = 1e-6
_WARM_UPS = 8
_OPEN = Proposal(math.nan, "")
"""Stands for the answer that only the network can give."""


class LearnedPolicy:
    """A model folder, loaded.  `name` is the manifest's."""

    def __init__(self, manifest: Manifest, network: Callable[[Tensor], Tensor]) -> None:
        self.manifest = manifest
        self.name = manifest.name
        self._network = network
        self._guard = Guard(manifest.ranges)

    def covers(self, duration_ns: int, slices: int) -> str | None:
        """Return why a window was not trained for, None where it was.  One regime must contain all of it."""
        reasons = [regime.excludes(duration_ns / 1e9, slices) for regime in self.manifest.regimes]
        if None in reasons:
            return None
        each = "; ".join(f"{r.name}: {reason}" for r, reason in zip(self.manifest.regimes, reasons, strict=True))
        return f"model {self.name} was not trained for {duration_ns / 1e9:g} s in {slices} slices ({each})"

    def propose(self, observation: Observation) -> Proposal:
        """Return the share of what is left that brings us to the network's cumulative target.

        Raises:
            OutOfRange: for a window that it was not trained for, or inputs that are too unlike those of training.
            ValueError: if the network's answer is not finite.
        """
        answer = self.propose_many((observation,))[0]
        if isinstance(answer, ValueError):
            raise answer
        return answer

    def propose_many(self, observations: Sequence[Observation]) -> list[Proposal | ValueError]:
        """Answer for many parents with one call of the network; what `propose` would raise is the answer there."""
        answers: list[Proposal | ValueError] = [self._plain(each) for each in observations]
        open_ = [i for i, answer in enumerate(answers) if answer is _OPEN]
        if not open_:
            return answers
        rows = features.observe_many([observations[i] for i in open_])
        for i, row, target in zip(open_, rows, self.targets(rows), strict=True):
            answers[i] = self._judged(observations[i], self._guard.read(row), target)
        return answers

    def _plain(self, observation: Observation) -> Proposal | ValueError:
        """The answer that needs no network, else _OPEN."""
        if why := self.covers(int(observation.end) - int(observation.start), observation.slices):
            return OutOfRange(why)
        return Proposal(1.0, self.name) if observation.slice >= observation.slices - 1 else _OPEN

    def _judged(self, observation: Observation, inputs: Inputs, target: float) -> Proposal | ValueError:
        if inputs.words:
            return OutOfRange(inputs.words, inputs)
        if not math.isfinite(target):
            return ValueError(f"model {self.name} answered {target}")
        return Proposal(share_for(target, observation), self.name, inputs)

    def targets(self, rows: Floats) -> list[float]:
        """Return the network's raw targets for [B, len(NAMES)] features."""
        import torch

        with torch.inference_mode():
            answers: list[float] = self._network(torch.from_numpy(rows.astype(np.float32))).tolist()
        return answers


def load(folder: Path) -> LearnedPolicy:
    """Load, check, trace and warm up a model folder.  Sets torch to one thread.

    Raises:
        ModelRefused: if anything about it is not as the manifest says.
    """
    manifest = read(folder)
    _check_features(folder, manifest)
    if why := refusal(manifest.ranges):
        raise ModelRefused(f"{folder / MANIFEST}: {why}")
    rows = _check_golden_features(folder, manifest)
    network = _network(folder, manifest)

    import torch  # seconds to import, and only a model needs it

    torch.set_num_threads(1)  # two are slower for one row, and take the core that the feed needs
    example = torch.from_numpy(rows[:1].astype(np.float32))
    with torch.inference_mode(), warnings.catch_warnings():
        # Half the time of eager and a quarter of torch.export's for one row, and torch is pinned.
        warnings.simplefilter("ignore", DeprecationWarning)
        # The golden targets check more than torch's own check would, which imports half a second of sympy.
        plain = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]  # torch's own
        traced = torch.jit.freeze(plain)
        for _ in range(_WARM_UPS):
            traced(example)
    policy = LearnedPolicy(manifest, traced)
    _check_golden_targets(folder, policy, rows)
    return policy


def _check_features(folder: Path, manifest: Manifest) -> None:
    told, ours = manifest.features, features.schema()
    if (told.version, told.sha256) != (features.VERSION, ours):
        raise ModelRefused(
            f"{folder / MANIFEST}: feature schema is version {told.version} {told.sha256[:12]}; "
            f"allowed is version {features.VERSION} {ours[:12]}: train the model again with this code"
        )


def _network(folder: Path, manifest: Manifest) -> TargetNet:
    path = folder / manifest.weights.file
    if manifest.weights.file != WEIGHTS:
        raise ModelRefused(f"{folder / MANIFEST}: weights.file is {manifest.weights.file!r}; allowed is {WEIGHTS!r}")
    if not path.is_file():
        raise ModelRefused(f"{path}: absent; a model folder holds {WEIGHTS}")
    raw = path.read_bytes()
    found = sha256(raw)
    if found != manifest.weights.sha256:
        raise ModelRefused(f"{path}: sha256 is {found[:12]}...; allowed is {manifest.weights.sha256[:12]}...")

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load as load_tensors

    from execd.policies.network import TargetNet

    try:
        tensors: dict[str, Tensor] = load_tensors(raw)
    except SafetensorError as error:
        raise ModelRefused(f"{path}: is no safetensors file ({error})") from error
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelRefused(f"{path}: tensor {name} holds NaN or infinity; allowed are finite numbers")
    network = TargetNet(manifest.weights.hidden)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        shape = " ".join(str(error).split())
        raise ModelRefused(f"{path}: does not fit hidden layers {manifest.weights.hidden} ({shape})") from error
    return network.eval()


def _check_golden_features(folder: Path, manifest: Manifest) -> Floats:
    """Return the golden observations' features by this code, if they are the recorded ones."""
    rows = np.array([features.observe(observation) for observation in features.golden_observations()])
    recorded = manifest.golden.features
    whole = [len(row) for row in recorded] == [rows.shape[1]] * len(rows) and len(manifest.golden.targets) == len(rows)
    if not whole or not bool(np.abs(np.array(recorded) - rows).max() <= _TOLERANCE):
        raise ModelRefused(
            f"{folder / MANIFEST}: golden features differ from what this code computes; allowed is {_TOLERANCE:g} apart"
        )
    return rows


def _check_golden_targets(folder: Path, policy: LearnedPolicy, rows: Floats) -> None:
    targets = policy.manifest.golden.targets
    for i, (answer, wanted) in enumerate(zip(policy.targets(rows), targets, strict=True)):
        if not abs(answer - wanted) <= _TOLERANCE:
            raise ModelRefused(
                f"{folder / MANIFEST}: golden target {i} is {wanted:.7f}, the network answers {answer:.7f}; "
                f"allowed is {_TOLERANCE:g} apart"
            )
