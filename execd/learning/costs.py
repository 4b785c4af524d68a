"""What an order pays beside the slices' own prices: the spread that urgency crosses, its impact, and a lump at the end.

With x the order's and u the market's share of the window in each slice, and r the order as a fraction of the window's
realized volume, in bps of the price, for a buy and a sell alike:

    spread  half_spread sum x . x / (x + u)                  at the market's own pace half of it crosses, in haste all
    impact  impact_bps  sum x min(1, (r x / u)^power)        r x / u is our participation in the slice
    end     100         (x_{n-1} - last)+                    a bp for each percent beyond

The square-root law of impact is Toth et al. (2011), Almgren et al. (2005) have a power of 0.6; the constants are round
figures that stand for no venue.

Promise: no term is below 0, each is 0 where its weight is, and gradients are finite wherever x is in [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from execd.learning.recipe import Costs

_END_BPS = 100.0
_SILENT = 1e-9
"""A slice's share of the market is at least this: where nothing traded, all of us would be impact."""


def costs_bps(filled: Tensor, market: Tensor, costs: Costs) -> Tensor:
    """Return [W] the weighted sum of the terms, in bps.

    Args:
        filled: [W, n] the shares of the order filled by the end of each slice, the last 1.
        market: [W, n] the market's.
        costs: The terms' weights and constants.
    """
    own, other = parts(filled), parts(market).clamp(min=_SILENT)
    paid = torch.zeros_like(own[:, 0])
    if costs.spread:
        paid = paid + costs.spread * costs.half_spread_bps * crossed(own, other)
    if costs.impact:
        paid = paid + costs.impact * costs.impact_bps * pressed(own, other, costs.participation, costs.power)
    if costs.end:
        paid = paid + costs.end * _END_BPS * torch.relu(own[:, -1] - costs.last)
    return paid


def parts(cumulative: Tensor) -> Tensor:
    """Return [W, n] what each slice takes of cumulative shares [W, n]."""
    return torch.diff(cumulative, dim=1, prepend=torch.zeros_like(cumulative[:, :1])).clamp(min=0.0)


def crossed(own: Tensor, other: Tensor) -> Tensor:
    """Return [W] the part of the order that crosses the spread, for shares [W, n] of the slices."""
    return (own * own / (own + other)).sum(dim=1)


def pressed(own: Tensor, other: Tensor, participation: float, power: float) -> Tensor:
    """Return [W] the impact that the order pays, as a fraction of what it would be if we were all of the volume."""
    # One power of the share, not a product with one: the gradient of a square root is infinite at 0.
    each = own ** (1.0 + power) * (participation / other) ** power
    return torch.where(each <= own, each, own).sum(dim=1)
