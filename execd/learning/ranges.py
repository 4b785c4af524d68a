"""Where the features lay in training: what the guard of a served model holds its inputs against.

Promise: the ranges depend on the recipe and its data alone, and are those of the rows that the network was
normalized on.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from execd.policies.manifest import LEVELS, Ranges


def measure(rows: Tensor) -> Ranges:
    """Return the quantiles of [R, F] feature rows, and how many rows lie in each bin between them."""
    values = rows.numpy().astype(np.float64)
    # Values that occur: a quantile between two of them would cut a feature of few values where it has none.
    quantiles = np.quantile(values, LEVELS, axis=0, method="nearest").T
    bins = len(LEVELS) - 1
    inner = quantiles[:, 1:-1]
    shares = []
    for column, edges in zip(values.T, inner, strict=True):
        counted = np.bincount(np.searchsorted(edges, column, side="right"), minlength=bins)
        shares.append(tuple((counted / len(column)).tolist()))
    return Ranges(len(values), tuple(map(tuple, quantiles.tolist())), tuple(shares))
