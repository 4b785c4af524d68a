"""A made-up market on disk, laid out like the real one, and a recipe small enough for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import yaml

from execd.learning import recipe
from execd.learning.recipe import Recipe

FIRST_MS = 1_704_067_200_000  # 2024-01-01


def bars(seed: int, count: int, minutes: int = 30) -> pl.DataFrame:
    """Bars with volume that remembers, moves that grow with it, and a price that walks."""
    random = np.random.default_rng(seed)
    log_volume = np.zeros(count)
    for i in range(1, count):
        log_volume[i] = 0.8 * log_volume[i - 1] + 0.5 * random.normal()
    moves = 0.004 * np.exp(0.5 * log_volume) * random.normal(size=count)
    close = 100.0 * np.exp(np.cumsum(moves))
    opened = np.concatenate([[100.0], close[:-1]])
    edge = np.abs(random.normal(0, 0.001, count)) * close
    return pl.DataFrame(
        {
            "ts": FIRST_MS + np.arange(count) * minutes * 60_000,
            "open": opened,
            "high": np.maximum(opened, close) + edge,
            "low": np.minimum(opened, close) - edge,
            "close": close,
            "volume": 1000.0 * np.exp(log_volume),
        }
    )


def trades(seed: int, count: int, seconds: float) -> pl.DataFrame:
    """Trades at random moments of `seconds` seconds."""
    random = np.random.default_rng(seed)
    at = np.sort(random.uniform(0, seconds, count))
    return pl.DataFrame(
        {
            "ts": (FIRST_MS * 1000 + at * 1e6).astype(np.int64),
            "price": 100.0 * np.exp(np.cumsum(0.0002 * random.normal(size=count))),
            "amount": random.lognormal(0, 1, count),
            "side": ["buy"] * count,
        }
    )


RECIPE: dict[str, Any] = {
    "name": "tiny",
    "about": "For tests.",
    "seed": 5,
    "splits": {
        "train_until": "2024-02-20",
        "validate_until": "2024-03-05",
        "test_until": "2024-04-01",
        "embargo_h": 12,
        "tick_train": 0.5,
        "tick_validate": 0.7,
        "embargo_s": 60,
    },
    "sources": [
        {
            "name": "bars",
            "folder": "bars",
            "kind": "bars",
            "assets": ["AAA", "BBB"],
            "unseen": ["CCC"],
            "shapes": [
                {"interval_s": 3600, "slices": 6, "train": 600, "test": 200},
                {"interval_s": 1800, "slices": 4, "train": 300, "test": 100},
            ],
        },
        {
            "name": "ticks",
            "folder": "ticks",
            "kind": "ticks",
            "assets": ["day"],
            "shapes": [{"interval_s": 7.5, "slices": 12, "train": 200, "test": 100}],
        },
    ],
    "training": {
        "hidden": [8],
        "dropout": [0.1, 0.2],
        "epochs": 4,
        "patience": 4,
        "batch": 64,
        "learning_rate": 0.002,
        "weight_decay": 0.01,
        "tail_weight": 0.1,
        "tail_fraction": 0.05,
        "no_history": 0.1,
        "short_history": 0.3,
        "convex_rounds": 10,
        "convex_ridges": [0.01, 0.1],
    },
}


def tiny() -> Recipe:
    """The recipe, parsed."""
    return recipe.parse(msgspec.to_builtins(RECIPE))


def write(directory: Path) -> Path:
    """Write three assets' bars, an hour and a half of trades and `tiny.yaml`; return the directory."""
    (directory / "bars").mkdir(parents=True)
    (directory / "ticks").mkdir()
    for seed, name in enumerate(("AAA", "BBB", "CCC")):
        bars(seed, 4300).write_parquet(directory / "bars" / f"{name}.parquet")
    trades(9, 9000, 5400.0).write_parquet(directory / "ticks" / "day.parquet")
    (directory / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    return directory
