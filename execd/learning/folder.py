"""Writing a model folder: weights, manifest and card.

Promise: what is written is what `execd.policies.learned.load` accepts; the same model gives the same bytes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors.torch import save as to_bytes

from execd.learning.card import card
from execd.learning.dataset import Cell
from execd.learning.evaluation import Results
from execd.learning.recipe import Recipe
from execd.policies import features, manifest
from execd.policies.manifest import FeatureSchema, Golden, Manifest, Ranges, Regime, Weights
from execd.policies.network import TargetNet

_MARGIN = 1e-6
"""Ranges are this much wider than what was trained on, relatively: 90 s in 12 slices must not fail by a nanosecond."""


def save(
    folder: Path, network: TargetNet, recipe: Recipe, taught: Sequence[Cell], ranges: Ranges, results: Results
) -> Manifest:
    """Write weights, manifest and card.

    Args:
        folder: Where to; created.
        network: The trained network.
        recipe: What it was trained by.
        taught: The windows that it was trained on.
        ranges: Where its features lay.
        results: Held-out figures, or {} while there are none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / manifest.WEIGHTS
    path.write_bytes(to_bytes({name: tensor.contiguous() for name, tensor in network.state_dict().items()}))
    # Recordings are split inside each file: where there are bars, these say until when the model knows the world.
    dated = [cell for cell in taught if cell.source.kind == "bars"] or list(taught)
    first = min(int(cell.windows.start.min()) for cell in dated)
    last = max(int(cell.windows.start.max()) + cell.shape.horizon for cell in dated)
    facts = Manifest(
        schema=manifest.SCHEMA,
        name=recipe.name,
        features=FeatureSchema(features.VERSION, features.schema(), features.NAMES),
        weights=Weights(manifest.WEIGHTS, manifest.sha256(path.read_bytes()), recipe.training.hidden),
        regimes=_regimes(taught),
        ranges=ranges,
        data_from=_date(first),
        data_until=_date(last),
        commit=_commit(),
        golden=golden(network),
        recipe=msgspec.to_builtins(recipe),
        scores=results,
    )
    write(folder, facts)
    (folder / "card.md").write_text(card(facts), encoding="utf-8")
    return facts


def write(folder: Path, facts: Manifest) -> None:
    """Write manifest.json."""
    text = msgspec.json.format(msgspec.json.encode(facts), indent=1)
    (folder / manifest.MANIFEST).write_bytes(text + b"\n")


def golden(network: TargetNet) -> Golden:
    """Return what the golden observations give with this code and this network."""
    rows = np.array([features.observe(observation) for observation in features.golden_observations()])
    with torch.inference_mode():
        targets = network(torch.from_numpy(rows.astype(np.float32))).tolist()
    return Golden(tuple(tuple(row) for row in rows.tolist()), tuple(targets))


def _regimes(taught: Sequence[Cell]) -> tuple[Regime, ...]:
    """One regime a source: the ranges of its shapes."""
    made = []
    for name in dict.fromkeys(cell.source.name for cell in taught):
        mine = [cell for cell in taught if cell.source.name == name]
        horizons = [cell.shape.horizon / 1e9 for cell in mine]
        intervals = [cell.shape.interval_s for cell in mine]
        slices = [cell.shape.slices for cell in mine]
        made.append(
            Regime(
                name=name,
                horizon_s=(min(horizons) * (1 - _MARGIN), max(horizons) * (1 + _MARGIN)),
                interval_s=(min(intervals) * (1 - _MARGIN), max(intervals) * (1 + _MARGIN)),
                slices=(min(slices), max(slices)),
                windows=sum(len(cell.windows) for cell in mine),
            )
        )
    return tuple(made)


def _date(at: int) -> str:
    return datetime.fromtimestamp(at / 1e9, UTC).date().isoformat()


def _commit() -> str:
    """The commit that the code is at, `unknown` outside a checkout."""
    where = Path(__file__).parent
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=where, capture_output=True, text=True)  # noqa: S607
    return asked.stdout.strip() if asked.returncode == 0 else "unknown"
