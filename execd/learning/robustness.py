"""How every method does when the router does not achieve its plan: what each scenario is, and what it comes to.

Promise: all methods go through the same code with the same luck in the same windows; what decides by its own fills, as
the models do, is asked again before every slice with the fills that the scenario has left it; full fills without costs
give the plain slippage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from execd.learning.costs import costs_bps
from execd.learning.evaluation import over_blocks
from execd.learning.examples import Answer, in_chunks
from execd.learning.fills import Draws, Router, achieve, draw
from execd.learning.judging import CHAMPION, Tally, short, week_of
from execd.learning.recipe import Costs, Fills
from execd.learning.walkforward import Decided
from execd.learning.windows import Windows
from execd.policies.features import features
from execd.policies.floats import Floats

_FULL, _FREE = Fills(), Costs()
_PARTLY = Fills(mean=(0.8, 0.8))
_ALL_COSTS = Costs(spread=1.0, impact=1.0)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is achieved and paid.  Without `catch_up` each slice wants its own quantity, and the last all that is left.

    `about` is for people.
    """

    about: str
    fills: Fills = _FULL
    costs: Costs = _FREE
    catch_up: bool = True


def scenarios(slices: int) -> dict[str, Scenario]:
    """Return the scenarios by name for windows of so many slices."""
    hard = Fills(mean=(0.8, 0.8), lots=50, late=0.2, last=0.15)
    return {
        "as planned": Scenario("every slice fills as planned, at its VWAP"),
        "fills 80 %": Scenario("of what is wanted in a slice 80 % fills on average (Beta 4, 1)", _PARTLY),
        "fills 50 %": Scenario("of what is wanted in a slice half fills (Beta 2.5, 2.5)", Fills(mean=(0.5, 0.5))),
        "fills 80 %, slices": Scenario(
            "the same as a list of slices: no slice makes good what the ones before it missed", _PARTLY, catch_up=False
        ),
        "lots 1/50": Scenario("the cumulative target is rounded to fiftieths of the order", Fills(lots=50)),
        "lots 1/50, slices": Scenario(
            "each slice is rounded down to fiftieths of the order", Fills(lots=50), catch_up=False
        ),
        "late 20 %": Scenario(
            "of what fills in a slice 20 % (0 to 40) does in the next, at its price", Fills(late=0.2)
        ),
        "last 15 %": Scenario("the last slice may be left 15 % of the order", Fills(last=0.15)),
        "last 1.5/n": Scenario("the last slice may be left one and a half equal slices", Fills(last=1.5 / slices)),
        "impact, root": Scenario(
            "1 % of the window's volume; 50 bps times the root of the participation in each slice",
            costs=Costs(impact=1.0),
        ),
        "impact, linear": Scenario(
            "1 % of the window's volume; 500 bps times the participation in each slice",
            costs=Costs(impact=1.0, impact_bps=500.0, power=1.0),
        ),
        "spread": Scenario("half a spread of 1 bp for the part x / (x + u) that crosses", costs=Costs(spread=1.0)),
        "all": Scenario("fills 80 %, lots 1/50, late 20 %, last 15 %, impact (root) and spread", hard, _ALL_COSTS),
    }


def tally(decided: Decided, models: Mapping[str, Answer], asset: str, seed: int) -> Tally:
    """Return what every method's plans come to in every scenario.

    Args:
        decided: The windows and every method's plan.
        models: Those that decide by their own fills, by name: features [B, F] to cumulative targets [B].
        asset: Luck is an asset's own, and the same in all scenarios.
        seed: Of the luck.
    """
    windows = decided.windows
    week, index, count = np.unique(week_of(windows.start), return_inverse=True, return_counts=True)
    sums: dict[str, dict[str, Floats]] = {}
    for name, scenario in scenarios(windows.slices).items():
        random = np.random.default_rng([seed, crc32(asset.encode())])
        luck = draw(scenario.fills, len(windows), windows.slices, random)
        sums[name] = {}
        for method, plan in decided.schedules.items():
            asked = models.get(method) if scenario.catch_up else None
            slip, cost = paid(windows, filled(windows, plan, asked, scenario, luck), scenario.costs)
            sums[name][method] = np.stack([np.bincount(index, np.abs(slip)), np.bincount(index, cost)])
    return Tally(week, count, sums)


def paid(windows: Windows, shares: Tensor, costs: Costs) -> tuple[Floats, Floats]:
    """Return [W] the slippage and [W] the costs, bps, of shares filled [W, n]."""
    cost: Floats = costs_bps(shares, torch.from_numpy(windows.market()), costs).numpy()
    return windows.slip_bps(shares.numpy()), cost


def filled(windows: Windows, plan: Floats, asked: Answer | None, scenario: Scenario, luck: Draws) -> Tensor:
    """Return [W, n] the shares filled of a plan, or of what a model wants when it sees its fills."""
    targets = torch.from_numpy(np.array(plan))
    if scenario.fills.perfect:
        return targets
    if asked is None:
        return achieve(targets, scenario.fills, luck, catch_up=scenario.catch_up)
    return rolled(asked, windows, scenario.fills, luck)


def rolled(answer: Answer, windows: Windows, fills: Fills, luck: Draws) -> Tensor:
    """Return [W, n] the shares filled when each decision sees what the ones before it have really got."""
    shares = torch.ones(len(windows), windows.slices, dtype=torch.float64)
    for chunk, part in in_chunks(windows):
        router = Router(fills, luck.take(chunk))
        own = np.zeros(len(part))
        for k in range(windows.slices - 1):
            own = router.work(torch.from_numpy(answer(features(part.state(k, own))))).numpy()
            shares[chunk, k] = torch.from_numpy(own)
    return shares


def figures(tallies: Sequence[Tally], seed: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Return each scenario's figures of each method, all assets together.

    `mae_bps` is mean |slippage| and costs together, so that no cost hides behind a slippage of the other sign;
    `cost_bps` are the costs in it; `gain_vs_twap` is a fraction of TWAP's in the same scenario.
    """
    _, index = np.unique(np.concatenate([each.week for each in tallies]), return_inverse=True)
    count = np.bincount(index, np.concatenate([each.count for each in tallies]))
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for scenario, methods in tallies[0].sums.items():
        sums = {
            name: np.array([np.bincount(index, np.concatenate(row)) for row in _rows(tallies, scenario, name)])
            for name in methods
        }
        whole = {name: slip + cost for name, (slip, cost) in sums.items()}
        out[scenario] = {
            name: {
                "mae_bps": short(whole[name].sum() / count.sum()),
                "cost_bps": short(cost.sum() / count.sum()),
                "gain_vs_twap": short(1.0 - whole[name].sum() / whole["twap"].sum()),
                f"minus_{CHAMPION}": _difference(whole[name] - whole[CHAMPION], count, seed),
            }
            for name, (_, cost) in sums.items()
        }
    return out


def _rows(tallies: Sequence[Tally], scenario: str, method: str) -> Iterator[tuple[Floats, ...]]:
    """Each of the two rows of sums, of all tallies."""
    return zip(*(each.sums[scenario][method] for each in tallies), strict=True)


def _difference(sums: Floats, count: NDArray[Any], seed: int) -> dict[str, float | None]:
    return over_blocks(sums.sum() / count.sum(), sums, count, seed)
