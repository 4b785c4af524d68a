"""A model folder's manifest.json: what the weights are, what they were trained for, and how they were judged.

Promise: `read` returns a manifest whose every field has its type, or refuses with one sentence.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from execd.policies import Inputs

SCHEMA = 2
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
LEVELS = (0.001, 0.2, 0.4, 0.6, 0.8, 0.999)
"""The quantiles that a manifest records of each feature: the range that was trained on, and five bins inside it."""


class ModelRefused(ValueError):
    """A model folder that must not trade; the message says which file, what is wrong and what is allowed."""


class OutOfRange(ValueError):
    """An observation that the model was not trained for: the curve decides.

    `inputs` are what it was shown, None where the window alone is out of range.
    """

    def __init__(self, words: str, inputs: Inputs | None = None) -> None:
        super().__init__(words)
        self.inputs = inputs


class FeatureSchema(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which features the weights expect."""

    version: int
    sha256: str
    names: tuple[str, ...]


class Weights(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The weights file, and the shape of the network that it fits."""

    file: str
    sha256: str
    hidden: tuple[int, ...]


class Regime(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One kind of window that was trained on; ranges are inclusive."""

    name: str
    horizon_s: tuple[float, float]
    interval_s: tuple[float, float]
    slices: tuple[int, int]
    windows: int

    def excludes(self, horizon_s: float, slices: int) -> str | None:
        """Return why a window of this length and number of slices lies outside, None where it lies inside."""
        within = (
            ("horizon", horizon_s, self.horizon_s, " s"),
            ("slice length", horizon_s / slices, self.interval_s, " s"),
            ("slices", slices, self.slices, ""),
        )
        for what, value, (low, high), unit in within:
            if not low <= value <= high:
                return f"{what} {value:g}{unit} outside {low:g}..{high:g}{unit}"
        return None


class Ranges(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where the features lay in training: one row a feature, in the order of the schema's names.

    Attributes:
        rows: how many moments were looked at, about as many of each shape of window.
        quantiles: each feature's values at `LEVELS`.
        shares: the share of the moments in each bin between the inner ones of them, which are the bin above's.
    """

    rows: int
    quantiles: tuple[tuple[float, ...], ...]
    shares: tuple[tuple[float, ...], ...]


class Golden(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The features and targets that the golden observations must give, to 1e-6."""

    features: tuple[tuple[float, ...], ...]
    targets: tuple[float, ...]


class Manifest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """All of manifest.json.

    `ranges` are what its inputs are held against.  `data_from` and `data_until` bound the bars that weights were fitted
    on (ISO dates, UTC), `commit` is the code's when it was trained, `recipe` the recipe in full, `scores` the held-out
    figures (docs/evaluation.md).
    """

    schema: int
    name: str
    features: FeatureSchema
    weights: Weights
    regimes: tuple[Regime, ...]
    ranges: Ranges
    data_from: str
    data_until: str
    commit: str
    golden: Golden
    recipe: dict[str, Any]
    scores: dict[str, Any]


def read(folder: Path) -> Manifest:
    """Return a model folder's manifest.

    Raises:
        ModelRefused: if it is absent, no valid JSON, of another schema, or misses or misspells a field.
    """
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
        number = msgspec.json.decode(raw, type=dict[str, Any]).get("schema")
        if number != SCHEMA:
            raise ModelRefused(f"{path}: schema is {number!r:.60}; allowed is {SCHEMA} (models/README.md)")
        return msgspec.json.decode(raw, type=Manifest)
    except OSError as error:
        raise ModelRefused(f"{path}: cannot be read ({error.strerror}); a model folder holds {MANIFEST}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        words = " ".join(str(error).split())[:300]
        raise ModelRefused(f"{path}: {words}; allowed is what models/README.md describes") from error


def sha256(raw: bytes) -> str:
    """Return bytes' sha256 in hex."""
    return hashlib.sha256(raw).hexdigest()
