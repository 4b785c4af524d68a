"""Training: a recipe and data in, a model folder out.

Promise: the same recipe, data and code give the same weights, to the bit, on one CPU thread, whether or not training
was interrupted: after every epoch a checkpoint is written, and the same call goes on from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from execd.learning import convex, recipe
from execd.learning.dataset import Cell, DataSet
from execd.learning.evaluation import Results, judge
from execd.learning.examples import LAG, Examples, examples, forgetful, sample
from execd.learning.fills import Draws, Router, draw
from execd.learning.folder import save, write
from execd.learning.ranges import measure
from execd.learning.recipe import Recipe, Training
from execd.policies.features import TARGET, schema
from execd.policies.learned import load
from execd.policies.manifest import MANIFEST, SCHEMA, Manifest
from execd.policies.network import TargetNet, target

CHECKPOINT = "checkpoint.pt"

Say = Callable[[str, float], None]
"""Progress: what is being done, and which fraction of it is done."""


def silent(what: str, done: float) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One shape's examples with what does not change while the residual learns computed once.

    Attributes:
        unit: [W, n - 1, F] standardized features.
        start: [W, n - 1] u.
        linear: [W, n - 1] the convex part of z.
        pull: [n - 1] how much that part moves with a unit of the standardized feature `lag`.
    """

    source: str
    examples: Examples
    unit: Tensor
    start: Tensor
    linear: Tensor
    pull: Tensor

    def losses(self, network: TargetNet, rows: Tensor | slice, training: Training, luck: Draws) -> Tensor:
        """Return [rows] |slippage| and weighted costs in units of TWAP's mean |slippage|; `luck` is of these rows."""
        filled = self._planned(network, rows) if training.fills.perfect else self._worked(network, rows, training, luck)
        size = self.examples.slip(filled, rows).abs()
        return size if training.costs.none else size + self.examples.paid(filled, rows, training.costs)

    def _planned(self, network: TargetNet, rows: Tensor | slice) -> Tensor:
        """[rows, n - 1] what is filled if every slice fills: all decisions at once.

        A target below an earlier one means to wait, as the router would: what is filled stays filled.
        """
        unit = self.unit[rows]
        residual = network.residual(unit.flatten(0, 1)).reshape(unit.shape[:2])
        return torch.cummax(target(self.start[rows], self.linear[rows] + residual), dim=1).values

    def _worked(self, network: TargetNet, rows: Tensor | slice, training: Training, luck: Draws) -> Tensor:
        """[rows, n - 1] what is filled with this luck, each decision told of the fills before it."""
        router, path = Router(training.fills, luck), []
        filled = torch.zeros_like(luck.part[:, 0])
        for k in range(luck.part.shape[1]):
            unit = network.unit(self.examples.lagging(filled, rows, k))
            moved = self.pull[k] * (unit[:, LAG] - self.unit[rows, k, LAG])
            z = self.linear[rows, k] + moved + network.residual(unit).squeeze(1)
            filled = router.work(target(self.start[rows, k], z))
            path.append(filled)
        return torch.stack(path, dim=1)

    def luck(self, training: Training, rows: Tensor | slice, random: np.random.Generator) -> Draws:
        """Draw the luck of some of the windows."""
        unit = self.unit[rows]
        return draw(training.fills, len(unit), unit.shape[1] + 1, random, torch.float32)


def train(recipe_path: Path, data_dir: Path, out_dir: Path, say: Say = silent) -> Results:
    """Train a model, judge it on held-out later data and write its folder.

    Args:
        recipe_path: The recipe's YAML file.
        data_dir: The directory that its sources' folders are relative to.
        out_dir: The model folder; created.
        say: Called with progress.

    Returns:
        The held-out figures, as written into the manifest and the card.

    Raises:
        RecipeRefused: for a bad recipe.
        DataRefused: for missing or bad data.
    """
    plan = recipe.load(recipe_path)
    torch.set_num_threads(1)
    out_dir.mkdir(parents=True, exist_ok=True)
    data = DataSet(plan, data_dir)
    taught = _examples(plan, data, "train", say)
    network = _start(plan, taught, say)
    lessons = [_lesson(network, cell, e) for cell, e in taught]
    checks = [_lesson(network, cell, e) for cell, e in _examples(plan, data, "validate", say)]
    learned = _learn(plan, network, lessons, checks or lessons, out_dir / CHECKPOINT, say)
    cells = [cell for cell, _ in taught]
    ranges = measure(sample([e for _, e in taught]))
    save(out_dir, network, plan, cells, ranges, {})
    results = judge(data, {plan.name: load(out_dir)}, say) | {"learning": learned}
    save(out_dir, network, plan, cells, ranges, results)
    (out_dir / CHECKPOINT).unlink(missing_ok=True)
    return results


def add_ranges(folder: Path, data_dir: Path, say: Say = silent) -> None:
    """Complete a manifest of schema 1 with the ranges of its training rows; weights and all else stay as they are.

    Raises:
        ModelRefused: the manifest cannot be read, or the weights are not the ones that it names.
        DataRefused: for missing or bad data.
    """
    path = folder / MANIFEST
    facts = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    plan = recipe.parse(facts["recipe"])
    torch.set_num_threads(1)
    taught = _examples(plan, DataSet(plan, data_dir), "train", say)
    ranges = measure(sample([e for _, e in taught]))
    write(folder, msgspec.convert({**facts, "schema": SCHEMA, "ranges": msgspec.to_builtins(ranges)}, type=Manifest))
    load(folder)


def _examples(plan: Recipe, data: DataSet, part: Any, say: Say) -> list[tuple[Cell, Examples]]:
    random = np.random.default_rng([plan.seed, len(part)])
    training, made = plan.training, []
    shapes = sum(len(source.shapes) for source in plan.sources)
    for i, cell in enumerate(data.cells(part)):
        windows = forgetful(cell.windows, random, training.no_history, training.short_history)
        made.append((cell, examples(windows, random)))
        say(f"features to {part}", (i + 1) / shapes)
    return made


def _start(plan: Recipe, taught: list[tuple[Cell, Examples]], say: Say) -> TargetNet:
    """A network that is the convex dynamic policy, with a residual that is zero but not dead."""
    torch.manual_seed(plan.seed)
    network = TargetNet(plan.training.hidden, plan.training.dropout).eval()
    network.normalize(sample([e for _, e in taught]))
    parts = []
    for i, (_, e) in enumerate(taught):
        parts.append(convex.design(network, e))
        say("convex start", (i + 1) / (len(taught) + 1))
    c, z = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    late = torch.cat([convex.latest(cell.windows.start) for cell, _ in taught])
    w = convex.fit_best(c, z, late, plan.training.convex_rounds, plan.training.convex_ridges)
    convex.start_from(network, w)
    say("convex start", 1.0)
    return network


def _lesson(network: TargetNet, cell: Cell, e: Examples) -> Lesson:
    flat = e.features.flatten(0, 1)
    with torch.no_grad():
        linear = torch.cat([network.basis(part) @ network.linear for part in torch.split(flat, 65_536)])
        unit = network.unit(flat).reshape(e.features.shape)
        # But for where in the window it is, the linear part weighs `lag` alike in all rows: one of each step tells.
        still = e.features[0].clone()
        still[:, LAG] = network.get_buffer("mean")[LAG]
        moved = still.clone()
        moved[:, LAG] += network.get_buffer("scale")[LAG]
        pull = (network.basis(moved) - network.basis(still)) @ network.linear
    return Lesson(cell.source.name, e, unit, e.features[:, :, TARGET], linear.reshape(unit.shape[:2]), pull)


def _learn(
    plan: Recipe, network: TargetNet, lessons: list[Lesson], checks: list[Lesson], checkpoint: Path, say: Say
) -> dict[str, float]:
    """Train the residual until it stops helping on the validation windows; leave the best in the network.

    Returns:
        The validation objective of the convex start and of the best, and the best's epoch: -1 where no epoch did better
        than a residual of zero.
    """
    training, residual = plan.training, network.residual
    optimizer = torch.optim.AdamW(residual.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.epochs)
    key = hashlib.sha256(msgspec.json.encode(plan) + schema().encode()).hexdigest()
    start = _validate(plan, network, checks)
    first, best, best_at, kept = 0, start, -1, _copy(residual)
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        if saved["key"] == key:
            first, best, best_at, kept = (saved[name] for name in ("next", "best", "best_at", "kept"))
            residual.load_state_dict(saved["residual"])
            optimizer.load_state_dict(saved["optimizer"])
            schedule.load_state_dict(saved["schedule"])
    for epoch in range(first, training.epochs):
        if epoch - best_at > training.patience:
            break
        _epoch(plan, network, optimizer, lessons, epoch)
        schedule.step()
        score = _validate(plan, network, checks)
        if score < best:
            best, best_at, kept = score, epoch, _copy(residual)
        done = {"key": key, "next": epoch + 1, "best": best, "best_at": best_at, "kept": kept}
        states = {
            "residual": residual.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
        }
        torch.save({**done, **states}, checkpoint)
        say(f"learning, validation {score:.4f}, best {best:.4f}", (epoch + 1) / training.epochs)
    residual.load_state_dict(kept)
    return {"validation_convex": start, "validation_best": best, "best_epoch": best_at}


def _epoch(
    plan: Recipe, network: TargetNet, optimizer: torch.optim.Optimizer, lessons: list[Lesson], epoch: int
) -> None:
    random = np.random.default_rng([plan.seed, epoch])
    torch.manual_seed(plan.seed + epoch)  # of the dropout: an epoch is the same whether or not it follows a restart
    network.train()
    batches: list[tuple[int, Tensor]] = []
    for i, lesson in enumerate(lessons):
        order = torch.from_numpy(random.permutation(len(lesson.unit)))
        batches += [(i, rows) for rows in torch.split(order, plan.training.batch)]
    for at in random.permutation(len(batches)):
        i, rows = batches[int(at)]
        optimizer.zero_grad()
        luck = lessons[i].luck(plan.training, rows, random)
        _objective(lessons[i].losses(network, rows, plan.training, luck), plan.training).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.residual.parameters(), 1.0)
        optimizer.step()
    network.eval()


def _objective(size: Tensor, training: Training) -> Tensor:
    """The mean, plus the mean of the worst part (CVaR): robust in the middle, and the tails still count."""
    worst = size.topk(max(1, int(len(size) * training.tail_fraction))).values
    return size.mean() + training.tail_weight * worst.mean()


def _validate(plan: Recipe, network: TargetNet, checks: list[Lesson]) -> float:
    """The objective on the validation windows, always with the same luck: the mean of the sources' means of shapes."""
    training, by_source = plan.training, dict[str, list[float]]()
    with torch.inference_mode():
        for i, lesson in enumerate(checks):
            luck = lesson.luck(training, slice(None), np.random.default_rng([plan.seed, i]))
            parts = [
                lesson.losses(network, chunk, training, luck.take(chunk))
                for chunk in (slice(at, at + 1024) for at in range(0, len(lesson.unit), 1024))
            ]
            by_source.setdefault(lesson.source, []).append(float(_objective(torch.cat(parts), training)))
    return float(np.mean([np.mean(scores) for scores in by_source.values()]))


def _copy(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
