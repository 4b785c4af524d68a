"""What is paid beside the prices: nothing where it is off, what a hand computes, and smooth where it is learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from execd.learning.costs import costs_bps, parts
from execd.learning.recipe import Costs, RecipeRefused, load
from tests.learning import made_up

ALL = Costs(spread=1.0, impact=1.0, end=1.0)


def cumulative(*shares: float) -> Tensor:
    return torch.tensor([shares], dtype=torch.float64).cumsum(dim=1)


def some(orders: int = 50, slices: int = 12, seed: int = 1) -> Tensor:
    """[orders, slices] rising shares that end at 1."""
    draws = torch.rand(orders, slices, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draws.cumsum(dim=1) / draws.sum(dim=1, keepdim=True)


def test_nothing_is_paid_where_every_weight_is_zero() -> None:
    assert Costs().none
    assert bool((costs_bps(some(), some(seed=2), Costs()) == 0.0).all())


@pytest.mark.parametrize("costs", [Costs(spread=1.0), Costs(impact=1.0), Costs(end=1.0, last=0.01)])
def test_each_term_is_paid_alone_and_never_earned(costs: Costs) -> None:
    paid = costs_bps(some(), some(seed=2), costs)

    assert not costs.none
    assert bool((paid >= 0.0).all())
    assert bool((paid > 0.0).any())


def test_terms_add_up_by_their_weights() -> None:
    own, market = some(), some(seed=2)
    weights = {"spread": 0.5, "impact": 2.0, "end": 3.0}

    whole = costs_bps(own, market, Costs(**weights))

    alone = [weight * costs_bps(own, market, Costs(**{name: 1.0})) for name, weight in weights.items()]
    assert whole.tolist() == pytest.approx(sum(alone).tolist())  # type: ignore[union-attr]


def test_at_the_markets_pace_half_of_the_order_crosses() -> None:
    market = cumulative(0.1, 0.6, 0.3)

    assert costs_bps(market, market, Costs(spread=1.0, half_spread_bps=4.0)).tolist() == pytest.approx([2.0])


def test_what_hurries_into_a_quiet_slice_crosses_more() -> None:
    market = cumulative(0.1, 0.6, 0.3)
    hasty = costs_bps(cumulative(0.9, 0.05, 0.05), market, Costs(spread=1.0))

    assert hasty.item() == pytest.approx(0.81 / 1.0 + 0.0025 / 0.65 + 0.0025 / 0.35)


@pytest.mark.parametrize(("power", "bps"), [(0.5, 50.0), (1.0, 500.0)])
def test_one_percent_of_the_volume_costs_five_bps_by_the_root_and_by_the_line(power: float, bps: float) -> None:
    market = cumulative(0.1, 0.6, 0.3)

    paid = costs_bps(market, market, Costs(impact=1.0, participation=0.01, impact_bps=bps, power=power))

    assert paid.tolist() == pytest.approx([5.0])


def test_impact_follows_the_participation_of_each_slice() -> None:
    paid = costs_bps(cumulative(0.4, 0.6), cumulative(0.1, 0.9), Costs(impact=1.0, participation=0.02))

    assert paid.item() == pytest.approx(50.0 * (0.4 * 0.08**0.5 + 0.6 * (0.02 * 0.6 / 0.9) ** 0.5))


def test_alone_in_a_slice_the_order_pays_all_of_the_impact_and_no_more() -> None:
    paid = costs_bps(
        cumulative(0.5, 0.5), cumulative(0.0, 1.0), Costs(impact=1.0, impact_bps=80.0, participation=0.0001)
    )

    assert paid.item() == pytest.approx(0.5 * 80.0 + 0.5 * 80.0 * (0.0001 * 0.5) ** 0.5)


def test_only_what_the_last_slice_is_left_beyond_its_share_is_penalized() -> None:
    costs = Costs(end=1.0, last=0.15)
    market = cumulative(0.5, 0.5)

    assert costs_bps(cumulative(0.75, 0.25), market, costs).tolist() == pytest.approx([10.0])
    assert costs_bps(cumulative(0.85, 0.15), market, costs).tolist() == pytest.approx([0.0])


def test_gradients_are_those_of_finite_differences() -> None:
    own = some(5, 6).requires_grad_()
    market = some(5, 6, seed=2)

    for costs in (ALL, Costs(impact=1.0, impact_bps=500.0, power=1.0)):
        assert torch.autograd.gradcheck(lambda x, costs=costs: costs_bps(x, market, costs), own)


def test_waiting_costs_nothing_and_has_a_gradient_of_nothing() -> None:
    """The square root's is infinite at 0; a loss that waits must not become NaN, nor be pushed by it."""
    own = cumulative(0.5, 0.0, 0.5).requires_grad_()
    market = cumulative(0.5, 0.0, 0.5)

    costs_bps(own, market, Costs(impact=1.0, spread=1.0)).sum().backward()  # type: ignore[no-untyped-call]

    assert own.grad is not None
    assert bool(torch.isfinite(own.grad).all())
    # Slice 2 takes nothing: to move a little from slice 1 into it changes only what slice 1 pays.
    assert own.grad[0, 0].item() == pytest.approx(1.5 * 5.0 + 0.75, rel=1e-6)


def test_a_share_is_what_the_slice_adds() -> None:
    assert parts(torch.tensor([[0.25, 0.25, 1.0]])).tolist() == [[0.25, 0.0, 0.75]]


@pytest.mark.parametrize("wrong", [{"spread": -1.0}, {"participation": 2.0}, {"last": 1.5}, {"power": -0.5}])
def test_weights_and_constants_below_zero_are_refused(wrong: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*; allowed is 0 to"):
        Costs(**wrong)
    path = tmp_path / "r.yaml"
    raw = made_up.RECIPE
    path.write_text(str({**raw, "training": {**raw["training"], "costs": wrong}}).replace("'", '"'))
    with pytest.raises(RecipeRefused, match=r"training\.costs"):
        load(path)
