"""A network that allocates slice by slice: what the recurrent and the attention baseline share, and how it is taught.

After 2502.18177, written from its formulas, with the index mended.  An encoder turns bars into hidden states.  With h_t
the one after the last bar that is *over* before slice t, b a learned base curve and an MLP for each slice,

    a_t = clip(b_t (1 + tanh MLP_t(h_t, a_0 .. a_(t-1))), 0, 1 - a_0 - .. - a_(t-1)),     the last slice takes the rest

b is put back on the simplex after every step.  As published, h_t had read the bar of slice t itself.  The loss is mean
|slippage|, in units of TWAP's.  The network starts as TWAP: the last layer of every MLP is zero, b is flat.

Promise: a decision before slice t reads the bars before it; the weights are learned from the windows handed as past,
the last fifth of which, apart from the others, says when to stop; the same past and seed give the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from execd.learning.baselines.market import Cells, Market
from execd.learning.baselines.sequence import STRETCH, Course, Stretch, read, stretches
from execd.policies.floats import Floats

SEEDS = 3
"""Networks that are taught apart, from seeds one after the other; the mean of what they decide is the method's."""
_KEPT = 0.98
"""Of the averaged weights in every step: what is judged and kept is this average."""
_STEEP = 1.0
_CHUNK = 16


class Allocator(nn.Module):
    """An encoder [B, T, COLUMNS] to [B, T, width], which looks back alone, and the sequential head of n slices."""

    def __init__(self, encoder: nn.Module, width: int, slices: int, units: int) -> None:
        super().__init__()
        steps = slices - 1
        self.encoder = encoder
        self.base = nn.Parameter(torch.full((slices,), 1.0 / slices))
        self.seen = nn.Parameter(torch.randn(steps, width, units) / width**0.5)
        self.own = nn.Parameter(torch.zeros(steps, steps, units))
        self.second = nn.Parameter(torch.randn(steps, units, units) * (2.0 / units) ** 0.5)
        self.last = nn.Parameter(torch.zeros(steps, units, 1))
        self.biases = nn.ParameterList(torch.zeros(steps, 1, size) for size in (units, units, 1))

    def forward(self, courses: Sequence[Course], batch: Sequence[Stretch]) -> Tensor:
        """Return the cumulative shares [K, n - 1] of a batch's windows, one stretch after the other."""
        told, lines, places = read(courses, batch)
        hidden: Tensor = self.encoder(told)
        return self.allocate(hidden[lines.unsqueeze(0), places])

    def allocate(self, hidden: Tensor) -> Tensor:
        """Return the cumulative shares [K, n - 1] for the hidden states [n - 1, K, width] before each slice."""
        first, second, last = self.biases
        begun = torch.baddbmm(first, hidden, self.seen)
        steps, left = len(hidden), torch.ones(hidden.shape[1])
        own: list[Tensor] = []
        for t in range(steps):
            x = begun[t] + torch.stack(own, dim=1) @ self.own[t, :t] if own else begun[t]
            x = torch.relu(torch.relu(x) @ self.second[t] + second[t])
            pace = 1.0 + torch.tanh(x @ self.last[t] + last[t]).squeeze(1)
            share = torch.minimum(self.base[t] * pace, left)
            left = left - share
            own.append(share * (steps + 1))  # near 1, whatever n
        return torch.stack(own, dim=1).cumsum(dim=1) / (steps + 1)

    def project(self) -> None:
        """Put the base curve back on the simplex."""
        with torch.no_grad():
            self.base.clamp_(min=0.0)
            self.base.div_(self.base.sum())


@dataclass(frozen=True, slots=True)
class Lesson:
    """How a network is taught.

    Attributes:
        passes: Over the past, at most; the rate rises in the first and falls to zero along a cosine.
        patience: How many passes without a better score end it.
        batch: Stretches a step.
        rate: AdamW's, at its highest.
        decay: AdamW's weight decay.
    """

    passes: int
    patience: int
    batch: int
    rate: float
    decay: float


def teach(
    make: Callable[[], Allocator],
    courses: Sequence[Course],
    lesson: Lesson,
    seed: int,
    say: Callable[[float], None] | None = None,
) -> Allocator:
    """Return a network that has learned from the windows of all courses.

    Args:
        make: Makes one; what it draws comes from `seed`.
        courses: As `Course.until` returns them.
        lesson: How.
        seed: Of weights, dropout and order.
        say: Called with the fraction done.
    """
    early, late = zip(*(course.parted() for course in courses), strict=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order, network = np.random.default_rng(seed), make()
        calm = deepcopy(network).eval()
        optimizer = torch.optim.AdamW(network.parameters(), lr=lesson.rate, weight_decay=lesson.decay)
        best, kept, since = float("inf"), deepcopy(calm.state_dict()), 0
        for i in range(lesson.passes):
            _pass(network, calm, optimizer, early, (i, lesson, order))
            score, since = _score(calm, late), since + 1
            if score < best:
                best, kept, since = score, deepcopy(calm.state_dict()), 0
            if say:
                say((i + 1) / lesson.passes)
            if since > lesson.patience:
                break
    if say:
        say(1.0)
    calm.load_state_dict(kept)
    return calm


def _pass(
    network: Allocator,
    calm: Allocator,
    optimizer: torch.optim.Optimizer,
    courses: Sequence[Course],
    plan: tuple[int, Lesson, np.random.Generator],
) -> None:
    """Descend once over all windows; `calm` follows."""
    done, lesson, order = plan
    every = stretches(courses, int(order.integers(STRETCH)))
    mixed = [every[i] for i in order.permutation(len(every))]
    for i in range(0, len(mixed), lesson.batch):
        at = done + i / len(mixed)
        for group in optimizer.param_groups:
            group["lr"] = lesson.rate * min(1.0, at + 1e-2) * (1.0 + np.cos(np.pi * at / lesson.passes)) / 2.0
        optimizer.zero_grad()
        loss(network, courses, mixed[i : i + lesson.batch]).mean().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), _STEEP)
        optimizer.step()
        network.project()
        with torch.no_grad():
            for mean, now in zip(calm.parameters(), network.parameters(), strict=True):
                mean.lerp_(now, 1.0 - _KEPT)


def _score(network: Allocator, courses: Sequence[Course]) -> float:
    every = stretches(courses)
    with torch.no_grad():
        losses = [loss(network, courses, every[i : i + _CHUNK]) for i in range(0, len(every), _CHUNK)]
    return float(torch.cat(losses).mean()) if losses else float("inf")


def loss(network: Allocator, courses: Sequence[Course], batch: Sequence[Stretch]) -> Tensor:
    """Return [K] the |slippage| of a batch's windows, in the unit of the courses' moves."""
    moves = torch.cat([courses[one.course].moves[one.rows] for one in batch])
    market = torch.cat([courses[one.course].share[one.rows] for one in batch])
    size: Tensor = (moves * (market - network(courses, batch))).sum(dim=1).abs()
    return size


def decided(networks: Sequence[Allocator], market: Market, rows: Cells) -> Floats:
    """Return [S, R, n] what each network decides in the windows `rows`, ascending in time."""
    courses = [Course.of(market, rows)]
    every = stretches(courses)
    out = np.ones((len(networks), len(rows), market.slices))
    with torch.no_grad():
        for own, network in zip(out, networks, strict=True):
            parts = [network(courses, every[i : i + _CHUNK]) for i in range(0, len(every), _CHUNK)]
            own[:, :-1] = np.clip(torch.cat(parts).numpy(), 0.0, 1.0)
    return out
