"""What is really filled when the router works a schedule: part of what is wanted, in lots, late, and all by the end.

With X the cumulative targets, before slice k of n,

    wanted     w_k = round((max(X_k, 1 - last (n - 1 - k)) - G_{k-1})+)
    committed  G_k = G_{k-1} + round(b_k w_k)             a part b_k of it finds the other side
    filled     F_k = G_k - round(l_k (G_k - G_{k-1}))     of which a part l_k is done in the next slice, at its price

and F_{n-1} = 1: the last slice cleans up.  `round` is to whole lots.  What is in flight is counted once, and what did
not fill is wanted again, because the target is cumulative; a static list of slices cannot (learning.md 7.5).

Promise: F rises from 0 to 1; F_k depends on nothing that is decided or drawn after slice k; one function serves judging
and training, and is differentiable: rounding passes gradients straight through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from execd.learning.recipe import Fills


@dataclass(frozen=True, slots=True)
class Draws:
    """The luck of W orders of n slices, the same for every method that is compared.

    Attributes:
        part: [W, n - 1] b, in [0, 1].
        late: [W, n - 1] l, in [0, 1].
    """

    part: Tensor
    late: Tensor

    def take(self, rows: Tensor | slice) -> Draws:
        """Return some of the orders'."""
        return Draws(self.part[rows], self.late[rows])


def draw(
    fills: Fills, orders: int, slices: int, random: np.random.Generator, dtype: torch.dtype = torch.float64
) -> Draws:
    """Draw the luck of `orders` orders of `slices` slices."""
    part, late = np.ones((orders, slices - 1)), np.zeros((orders, slices - 1))
    if fills.mean != (1.0, 1.0):
        mean = random.uniform(*fills.mean, size=(orders, 1))
        # A Beta distribution has no parameter of 0.
        part = random.beta(fills.firmness * mean, np.maximum(fills.firmness * (1.0 - mean), 1e-9), size=part.shape)
    if fills.late:
        late = random.uniform(0.0, 2.0 * fills.late, late.shape)
    return Draws(torch.from_numpy(part).to(dtype), torch.from_numpy(late).to(dtype))


class Router:
    """Works orders through the slices of their windows, one slice a call; the last one takes the rest by itself."""

    def __init__(self, fills: Fills, draws: Draws, *, catch_up: bool = True) -> None:
        """Begin.

        Args:
            fills: What is achieved.
            draws: The orders' luck.
            catch_up: Whether what did not fill is wanted again.  If not, each slice wants its own planned quantity, in
                lots rounded down, and the last slice all that is left.
        """
        self._fills = fills
        self._draws = draws
        self._catch_up = catch_up
        self._least = least(fills, draws.part.shape[1] + 1)
        self._slice = 0
        self._planned = self._committed = torch.zeros_like(draws.part[:, 0])

    def work(self, target: Tensor) -> Tensor:
        """Work the next slice.

        Args:
            target: [W] the cumulative shares wanted by its end.

        Returns:
            [W] the shares filled by its end.
        """
        k, lots = self._slice, self._fills.lots
        aim = target.clamp(min=self._least[k])
        if self._catch_up:
            wanted = whole(torch.relu(aim - self._committed), lots)
        else:
            wanted = whole(torch.relu(aim - self._planned), lots, down=True)
            self._planned = torch.maximum(self._planned, aim)
        done = whole(self._draws.part[:, k] * wanted, lots)
        late = whole(self._draws.late[:, k] * done, lots)
        filled = (self._committed + done - late).clamp(max=1.0)
        self._committed, self._slice = self._committed + done, k + 1
        return filled


def achieve(targets: Tensor, fills: Fills, draws: Draws, *, catch_up: bool = True) -> Tensor:
    """Return [W, n] the shares filled by the end of each slice, the last 1, for cumulative targets [W, n - 1] or more.

    The targets are taken as decided: what decides by what has filled is asked slice by slice, with a `Router`.
    """
    router = Router(fills, draws, catch_up=catch_up)
    filled = [router.work(targets[:, k]) for k in range(draws.part.shape[1])]
    return torch.stack([*filled, torch.ones_like(filled[0])], dim=1)


def least(fills: Fills, slices: int) -> list[float]:
    """Return the share that must be wanted by the end of each slice, so that none after it has to take over `last`.

    Each of the remaining slices may take that much: what the last may not is spread before it, and no lump moves to
    the last but one.  In lots it is rounded up.
    """
    floors: NDArray[np.float64] = np.maximum(1.0 - fills.last * np.arange(slices - 1, -1, -1), 0.0)
    if fills.lots:
        floors = np.minimum(np.ceil(np.round(floors * fills.lots, 9)) / fills.lots, 1.0)
    values: list[float] = floors.tolist()
    return values


def whole(share: Tensor, lots: int, *, down: bool = False) -> Tensor:
    """Return shares of an order of `lots` lots in whole lots, with the gradient of the shares themselves."""
    if not lots:
        return share
    scaled = share.detach() * lots
    # What is a whole lot but for its last digits is one, rounded down too.
    rounded = torch.floor(scaled + 1e-6) if down else torch.round(scaled)
    return share + (rounded / lots - share.detach())
