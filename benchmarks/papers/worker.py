"""Trains the author's packages and asks them; runs in their own virtual environment, never in execd's.

    python -m benchmarks.papers.worker FOLDER

FOLDER holds `task.json`, a list of fits, and `SYM.npz` with each asset's bars: features, volume, price, and the
windows' first bars, train and test.  A fit leaves `KEY.npz` there, allocations [W, n] by asset, and `KEY.json`, how it
went; one that is there already is left as it is, so that a run that was stopped goes on.

Training is as published (Adam 1e-3, batches of 128, the last fifth of the past decides: stop after 10 epochs without a
gain of 1e-5, learning rate to a quarter after 5) but for what a fit says: how many epochs at most, which windows, and
`scale`, by which the loss is multiplied.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from dvwap import StaticVWAP, absolute_vwap_loss, quadratic_vwap_loss
from dynamic_vwap import DynamicVWAP

from benchmarks.papers.feed import FEEDS, GAIN, LOOKBACK, MARK, moved, targets, view

BATCH = 128
ASKED = 512
"""Windows that a model is asked about at once; every batch has a fixed size, for one more costs a compilation."""
PROBED = 64
LOSSES = {"absolute": absolute_vwap_loss, "quadratic": quadratic_vwap_loss}


def main() -> None:
    """Work through the fits."""
    folder = Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text())
    bars = {asset: dict(np.load(folder / f"{asset}.npz")) for asset in task["assets"]}
    for i, fit in enumerate(task["fits"]):
        say(i)
        if not (folder / f"{fit['key']}.json").exists():
            work(fit, bars, task["slices"], folder, partial(say, i))


def say(fits: int, part: float = 0.0) -> None:
    """Tell execd's side how many fits are done, and how much of the next."""
    print(f"{MARK}{fits + part}", flush=True)


def work(fit: dict[str, Any], bars: dict[str, Any], slices: int, folder: Path, told: Callable[[float], None]) -> None:
    """One fit: train, ask, probe, write."""
    began = time.process_time()
    keras.utils.set_random_seed(fit["seed"])
    model = build(fit, slices)
    past = learn(model, fit, bars, slices, told)

    def allocate(inputs: Any) -> Any:
        short = -len(inputs) % ASKED
        full = np.concatenate([inputs, np.repeat(inputs[-1:], short, axis=0)])
        return np.asarray(model.predict(full, batch_size=ASKED, verbose=0))[: len(inputs), :, 0]

    answers = {}
    for asset in fit["assets"]:
        views = view(bars[asset]["features"], bars[asset]["test"], slices)
        answers[asset] = allocate(views[:, FEEDS[fit["feed"]]])
    if fit["feed"] != "static":
        past["moved"] = moved(allocate, views[:PROBED], fit["feed"], slices).tolist()
    past["cpu_s"] = round(time.process_time() - began, 1)
    past["parameters"] = int(model.count_params())
    np.savez(folder / f"{fit['key']}.npz", **answers)
    (folder / f"{fit['key']}.json").write_text(json.dumps(past))


def build(fit: dict[str, Any], slices: int) -> Any:
    """The package's model, compiled."""
    if fit["feed"] == "static":
        model = StaticVWAP(lookback=LOOKBACK, n_ahead=slices)
    else:
        model = DynamicVWAP(lookback=LOOKBACK, n_ahead=slices, hidden_size=fit["hidden"], hidden_rnn_layer=2)
    published = LOSSES[fit["loss"]]

    def loss(y_true: Any, y_pred: Any) -> Any:
        return fit["scale"] * published(y_true, y_pred)

    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss)
    return model


def learn(
    model: Any, fit: dict[str, Any], bars: dict[str, Any], slices: int, told: Callable[[float], None]
) -> dict[str, Any]:
    """Train on the past windows of the fit's assets, ascending in time; return what the epochs came to."""
    owners = [np.full(len(bars[a]["train"]), i) for i, a in enumerate(fit["assets"])]
    rows = np.concatenate([bars[a]["train"] for a in fit["assets"]])
    opened = np.concatenate([bars[a]["at"][bars[a]["train"]] for a in fit["assets"]])
    chosen = opened // (3_600_000_000_000) % fit["stride"] == 0
    order = np.flatnonzero(chosen)[np.argsort(opened[chosen], kind="stable")]
    owner, rows = np.concatenate(owners)[order], rows[order]
    x = np.empty((len(rows), LOOKBACK + slices, 4), dtype=np.float32)
    y = np.empty((len(rows), slices, 2), dtype=np.float32)
    for i, asset in enumerate(fit["assets"]):
        own, b = owner == i, bars[asset]
        x[own] = view(b["features"], rows[own], slices)
        y[own] = targets(b["volume"], b["price"], rows[own], slices)
    x = x[:, FEEDS[fit["feed"]]]
    cut = int(len(x) * 0.8)
    early, late = slice(cut % BATCH, cut), slice(cut, len(x) - (len(x) - cut) % BATCH)
    shown = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: told((epoch + 1) / (fit["epochs"] + 1)))
    found = model.fit(
        x[early],
        y[early],
        validation_data=(x[late], y[late]),
        batch_size=BATCH,
        epochs=fit["epochs"],
        callbacks=[*callbacks(), shown],
        shuffle=True,
        verbose=0,
    )
    lost = [float(v) for v in found.history["val_loss"]]
    rates = [float(v) for v in found.history.get("learning_rate", [])]
    return {"windows": int(cut - cut % BATCH), "epochs": len(lost), "val_loss": lost, "learning_rate": rates}


def callbacks() -> list[Any]:
    """When to slow down and when to stop."""
    return [
        keras.callbacks.EarlyStopping("val_loss", min_delta=GAIN, patience=10, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.25, patience=5, min_delta=GAIN, min_lr=2.5e-5),
        keras.callbacks.TerminateOnNaN(),
    ]


if __name__ == "__main__":
    main()
