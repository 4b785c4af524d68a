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


class Fills(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the router achieves of a schedule (`execd.learning.fills`); as it stands here, all of it, at once.

    Attributes:
        mean: Of what is wanted in a slice, the mean part that fills: drawn for each window between the two.
        firmness: How closely the slices' parts lie around that mean: the sum of a Beta distribution's parameters.
        lots: The order in lots; 0: it can be divided at will.
        late: The mean share of what fills that does so a slice later; a slice's own is uniform between 0 and twice it.
        last: The largest share of the order that may be left to the last slice.
    """

    mean: tuple[float, float] = (1.0, 1.0)
    firmness: float = 5.0
    lots: int = 0
    late: float = 0.0
    last: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no such thing.  Raises ValueError."""
        low, high = self.mean
        allowed = (
            ("mean", 0.0 < low <= high <= 1.0, "two rising numbers above 0, at most 1"),
            ("firmness", self.firmness > 0.0, "a number above 0"),
            ("lots", self.lots >= 0, "a whole number, 0 for none"),
            ("late", 0.0 <= self.late <= 0.5, "0 to 0.5"),
            ("last", 0.0 < self.last <= 1.0, "a number above 0, at most 1"),
        )
        for key, well, words in allowed:
            if not well:
                raise ValueError(f"{key} is {getattr(self, key)}; allowed is {words}")

    @property
    def perfect(self) -> bool:
        """Whether every slice fills exactly as planned."""
        return self.mean == (1.0, 1.0) and not self.lots and not self.late and self.last == 1.0


class Costs(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is paid beside the slices' own prices (`execd.learning.costs`); each term has a weight, 0 for not at all.

    Attributes:
        spread: Weight of the spread that urgency crosses.
        half_spread_bps: Half the spread.
        impact: Weight of the impact of our own participation.
        participation: The order as a fraction of its window's realized volume.
        impact_bps: Impact if we were all of a slice's volume.
        power: How impact grows with participation: 0.5 the square root, 1 in proportion.
        end: Weight of what the last slice is left beyond `last`.
        last: The share of the order that the last slice may be left without penalty.
    """

    spread: float = 0.0
    half_spread_bps: float = 1.0
    impact: float = 0.0
    participation: float = 0.01
    impact_bps: float = 50.0
    power: float = 0.5
    end: float = 0.0
    last: float = 0.15

    def __post_init__(self) -> None:
        """Refuse what is below 0, and a participation or a share beyond all.  Raises ValueError."""
        for key in self.__struct_fields__:
            highest = 1.0 if key in {"participation", "last"} else float("inf")
            if not 0.0 <= getattr(self, key) <= highest:
                raise ValueError(f"{key} is {getattr(self, key)}; allowed is 0 to {highest:g}")

    @property
    def none(self) -> bool:
        """Whether nothing is paid."""
        return self.spread == self.impact == self.end == 0.0


class Training(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """How the network learns.  Losses are in units of TWAP's mean |slippage| of the same shape.

    `dropout` is of the residual's inputs and of its hidden units.
    `tail_weight` times the mean of the worst `tail_fraction` of |slippage| is added to the mean.  A share `no_history`
    of the windows forgets its history, a share `short_history` all but a random part of it.  The convex start is
    fitted in `convex_rounds` rounds with each of `convex_ridges`; the last fifth of its windows chooses.  `fills` and
    `costs` are what the residual learns to live with; without them its loss is that of the published models.
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
    fills: Fills = Fills()
    costs: Costs = Costs()


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
    except msgspec.ValidationError as error:
        raise RecipeRefused(f"{path}: {_short(error)}; models/README.md describes every key") from error
    # PyYAML itself raises ValueError for a date that does not exist or a number without end.
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        raise RecipeRefused(f"{path}: is no YAML ({_short(error)})") from error


def parse(raw: Any) -> Recipe:
    """Return a recipe from plain data.  Raises msgspec.ValidationError."""
    return msgspec.convert(raw, type=Recipe, strict=False)


def _short(error: Exception) -> str:
    """An error's text in one line."""
    return " ".join(str(error).split())[:300]


def nanos(iso: str) -> int:
    """Return an ISO date or time, UTC, as nanoseconds since the epoch."""
    return int(datetime.fromisoformat(iso).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def span(seconds: float) -> str:
    """Return a span for people: 7.5 s, 5 min, 1 h."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
