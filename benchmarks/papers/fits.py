"""Which models of the packages are trained, how, and the virtual environment in which they are.

Promise: the packages are installed and run apart; execd sees their allocations alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.papers.feed import MARK, Floats, Ints, bar_features, usable
from execd.learning.baselines.market import Market

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
BPS = 1e4


@dataclass(frozen=True, slots=True)
class Fit:
    """One model to train.

    Attributes:
        method: Its name in the tables; fits that differ by seed alone share it.
        feed: What it reads, one of feed.FEEDS; `static` is dvwap's StaticVWAP, the others DynamicVWAP.
        loss: `absolute` or `quadratic`, the package's own.
        scale: What the loss is multiplied by.
        seed: Of weights and order.
        assets: Whose windows it learns from, together.
        stride: It learns from windows that start at hours which this divides.
        epochs: At most.
        hidden: Units of each recurrent layer, for the dynamic model.
    """

    method: str
    feed: str
    loss: str
    scale: float
    seed: int
    assets: tuple[str, ...]
    stride: int
    epochs: int
    hidden: int


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is trained: seeds of either model, epochs at most, and what is cut of the dynamic one."""

    seeds: int
    static_epochs: int
    dynamic_seeds: int
    dynamic_epochs: int
    stride: int
    hidden: int


def plan(assets: Sequence[str], effort: Effort) -> list[Fit]:
    """Return the fits: static per asset and seed by four losses, dynamic by seed and feed on all assets together."""
    fits = [
        Fit(method, feed, "absolute", BPS, seed, tuple(assets), effort.stride, effort.dynamic_epochs, effort.hidden)
        for seed in range(1, effort.dynamic_seeds + 1)
        for method, feed in (("dynamic_vwap_leaky", "published"), ("dynamic_vwap_mended", "mended"))
    ]
    for method, loss, scale in (
        ("dvwap_absolute", "absolute", 1.0),
        ("dvwap_absolute_scaled", "absolute", BPS),
        ("dvwap_quadratic", "quadratic", 1.0),
        ("dvwap_quadratic_scaled", "quadratic", BPS**2),
    ):
        for seed in range(1, effort.seeds + 1):
            fits += [Fit(method, "static", loss, scale, seed, (asset,), 1, effort.static_epochs, 0) for asset in assets]
    return fits


def tape(market: Market, past: Ints, rows: Ints) -> dict[str, Any]:
    """Return one asset's bars and the first bars of its windows, those of `past` without enough before them left out.

    Raises:
        ValueError: if a window of `rows` lacks a feature.
    """
    at = market.bars.start + market.bars.interval * np.arange(len(market.bars.volume))
    volume = np.where(market.known, market.bars.volume, 0.0)
    features = bar_features(volume, market.price, at, market.slices)
    train, test = market.cells[past], market.cells[rows]
    if not usable(features, test, market.slices).all():
        raise ValueError(
            f"{market.bars.asset}: windows to be judged lack features; needed are 25 days before the first"
        )
    train = train[usable(features, train, market.slices)]
    return {
        "features": np.nan_to_num(features),
        "volume": volume,
        "price": market.price,
        "at": at,
        "train": train,
        "test": test,
    }


def answers(
    fits: Sequence[Fit], tapes: dict[str, dict[str, Any]], slices: int, folder: Path, say: Callable[[str, float], None]
) -> list[tuple[Fit, dict[str, Floats], dict[str, Any]]]:
    """Train what is not in the folder yet.

    Returns:
        By fit: the cumulative shares [W, n] by asset, the last exactly 1, and how the training went.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for asset, arrays in tapes.items():
        np.savez(folder / f"{asset}.npz", **arrays)
    keys = [_key(fit, tapes) for fit in fits]
    asked = [asdict(fit) | {"key": key} for fit, key in zip(fits, keys, strict=True)]
    task = {"assets": list(tapes), "slices": slices, "fits": asked}
    (folder / "task.json").write_text(json.dumps(task))
    _work(folder, fits, say)
    found = []
    for fit, key in zip(fits, keys, strict=True):
        with np.load(folder / f"{key}.npz") as kept:
            shares = {asset: _cumulative(kept[asset]) for asset in fit.assets}
        found.append((fit, shares, json.loads((folder / f"{key}.json").read_text())))
    return found


def _cumulative(allocation: Floats) -> Floats:
    share: Floats = np.cumsum(allocation.astype(np.float64), axis=1)
    share[:, -1] = 1.0
    return np.minimum(share, 1.0)


def _key(fit: Fit, tapes: dict[str, dict[str, Any]]) -> str:
    told = hashlib.sha256(json.dumps(asdict(fit), sort_keys=True).encode())
    for asset in fit.assets:
        for name in sorted(tapes[asset]):
            told.update(np.ascontiguousarray(tapes[asset][name]).tobytes())
    return f"{fit.method}-{fit.assets[0]}-{fit.seed}-{told.hexdigest()[:12]}"


def _work(folder: Path, fits: Sequence[Fit], say: Callable[[str, float], None]) -> None:
    python = environment(folder.parent / "papers-venv", say)
    variables = os.environ | {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str((folder / "compiled").resolve()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
        "OMP_NUM_THREADS": "1",
        "NPROC": "1",
    }
    command = [str(python), "-m", "benchmarks.papers.worker", str(folder.resolve())]
    with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(MARK):
                say("training the packages' models", float(line.removeprefix(MARK)) / len(fits))
    say("training the packages' models", 1.0)
    if process.returncode:
        raise RuntimeError(f"the worker in {python} ended with {process.returncode}; what it said is above")


def environment(folder: Path, say: Callable[[str, float], None]) -> Path:
    """Return the interpreter of a virtual environment with the pinned packages, made where it is not there yet."""
    python, stamp = folder / "bin" / "python", folder / ".installed"
    pins = REQUIREMENTS.read_text()
    if stamp.exists() and stamp.read_text() == pins:
        return python
    say("installing the packages", 0.0)
    venv.create(folder, clear=True, with_pip=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    # Nothing but what is pinned: the packages' own ranges must not bring another Keras backend with them.
    subprocess.run([*pip, "install", "--no-deps", "-r", str(REQUIREMENTS)], check=True, stdout=sys.stderr)
    subprocess.run([*pip, "check"], check=True, stdout=sys.stderr)
    stamp.write_text(pins)
    say("installing the packages", 1.0)
    return python
