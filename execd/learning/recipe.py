"""A recipe: everything that makes a model, in one YAML file under models/recipes.

Promise: a recipe that loads is complete; one that does not is refused with the key that is wrong.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml


class RecipeRefused(ValueError):
    """A recipe that cannot be used; the message names the file and the key."""


class Shape(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Windows of `slices` slices of `interval_s` seconds; `train` and `test` bound how many are used."""

    interval_s: float
    slices: int
    train: int
    test: int = 4000

    @property
    def interval(self) -> int:
        """A slice's length in nanoseconds."""
        return round(self.interval_s * 1e9)

    @property
    def horizon(self) -> int:
        """A window's length in nanoseconds."""
        return self.interval * self.slices

    @property
    def name(self) -> str:
        """For people: slices x length."""
        return f"{self.slices} x {span(self.interval_s)}"


class Source(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One folder of data, relative to the data directory.

    `assets` are file stems; `unseen` are never trained on and form a test of their own.  `holes` are [from, until]
    pairs of ISO times that are marked unknown, by asset or for `*`.
    """

    name: str
    folder: str
    kind: Literal["bars", "ticks"]
    assets: tuple[str, ...]
    shapes: tuple[Shape, ...]
    unseen: tuple[str, ...] = ()
    holes: dict[str, tuple[tuple[str, str], ...]] = {}


class Splits(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where training, validation and testing end, in time.

    Bars: ISO dates, UTC; a window belongs to a part only if it lies wholly in it, and parts begin `embargo_h` hours
    after the last one ended.  Ticks: fractions of each file's span, with `embargo_s` seconds between.
    """

    train_until: str
    validate_until: str
    test_until: str
    embargo_h: float
    tick_train: float
    tick_validate: float
    embargo_s: float


class Training(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How the network learns.  Losses are in units of TWAP's mean |slippage| of the same shape.

    `dropout` is of the residual's inputs and of its hidden units.
    `tail_weight` times the mean of the worst `tail_fraction` of |slippage| is added to the mean.  A share `no_history`
    of the windows forgets its history, a share `short_history` all but a random part of it.  The convex start is
    fitted in `convex_rounds` rounds with each of `convex_ridges`; the last fifth of its windows chooses.
    """

    hidden: tuple[int, ...]
    dropout: tuple[float, float]
    epochs: int
    patience: int
    batch: int
    learning_rate: float
    weight_decay: float
    tail_weight: float
    tail_fraction: float
    no_history: float
    short_history: float
    convex_rounds: int
    convex_ridges: tuple[float, ...]


class Recipe(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """All of a recipe."""

    name: str
    about: str
    seed: int
    splits: Splits
    sources: tuple[Source, ...]
    training: Training


def load(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        RecipeRefused: if it is absent, no YAML, or has a missing, unknown or wrong key.
    """
    try:
        return parse(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RecipeRefused(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise RecipeRefused(f"{path}: is no YAML ({' '.join(str(error).split())})") from error
    except msgspec.ValidationError as error:
        raise RecipeRefused(f"{path}: {error}; models/README.md describes every key") from error


def parse(raw: Any) -> Recipe:
    """Return a recipe from plain data.  Raises msgspec.ValidationError."""
    return msgspec.convert(raw, type=Recipe, strict=False)


def nanos(iso: str) -> int:
    """Return an ISO date or time, UTC, as nanoseconds since the epoch."""
    return int(datetime.fromisoformat(iso).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def span(seconds: float) -> str:
    """Return a span for people: 7.5 s, 5 min, 1 h."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
