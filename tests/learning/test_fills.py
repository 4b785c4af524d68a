"""What is filled of a schedule: rising to all of it, by rules that a hand can follow, and differentiable on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from execd.learning import recipe
from execd.learning.dataset import Cell, DataSet
from execd.learning.examples import LAG, Examples, eager, examples
from execd.learning.fills import Draws, Router, achieve, draw, least, whole
from execd.learning.recipe import Costs, Fills, RecipeRefused
from execd.learning.robustness import rolled
from execd.learning.training import CHECKPOINT, Lesson, _lesson, train
from execd.learning.windows import Windows
from execd.policies.features import features
from execd.policies.network import TargetNet, target
from tests.learning import made_up

MODELS = Path(__file__).parents[2] / "models"
WORLDS = [
    Fills(),
    Fills(mean=(0.8, 0.8)),
    Fills(mean=(0.2, 1.0), firmness=0.5),
    Fills(lots=50),
    Fills(late=0.2),
    Fills(last=0.1),
    Fills(mean=(0.5, 0.9), lots=20, late=0.5, last=0.15),
]


def plans(orders: int = 40, slices: int = 12, seed: int = 1) -> Tensor:
    """[orders, slices] cumulative targets that end at 1 and now and then fall, as a model's may."""
    random = np.random.default_rng(seed)
    rising = np.cumsum(random.random((orders, slices)), axis=1)
    targets = np.clip(rising / rising[:, -1:] + 0.05 * random.normal(size=rising.shape), 0.0, 1.0)
    targets[:, -1] = 1.0
    return torch.from_numpy(targets)


def luck(fills: Fills, orders: int = 40, slices: int = 12, seed: int = 7) -> Draws:
    return draw(fills, orders, slices, np.random.default_rng(seed))


def same(part: list[float], late: list[float] | None = None) -> Draws:
    """One order's luck."""
    return Draws(torch.tensor([part]).double(), torch.tensor([late or [0.0] * len(part)]).double())


def test_full_fills_achieve_the_plan() -> None:
    targets = plans()

    got = achieve(targets, Fills(), luck(Fills()))

    assert Fills().perfect
    assert float((got - torch.cummax(targets, dim=1).values).abs().max()) < 1e-12


@pytest.mark.parametrize("catch_up", [True, False])
@pytest.mark.parametrize("fills", WORLDS)
def test_fills_rise_from_nothing_to_all_and_never_beyond(fills: Fills, catch_up: bool) -> None:
    for slices in (2, 3, 12, 60):
        got = achieve(plans(slices=slices), fills, luck(fills, slices=slices), catch_up=catch_up)

        assert bool((got >= 0.0).all())
        assert bool((got <= 1.0).all())
        assert bool((torch.diff(got, dim=1) >= -1e-12).all())
        assert bool((got[:, -1] == 1.0).all())


@pytest.mark.parametrize("catch_up", [True, False])
@pytest.mark.parametrize("fills", WORLDS)
def test_what_is_filled_by_a_slice_depends_on_nothing_later(fills: Fills, catch_up: bool) -> None:
    targets, drawn = plans(), luck(fills)
    before = achieve(targets, fills, drawn, catch_up=catch_up)
    for k in range(1, 11):
        later = targets.clone()
        later[:, k:-1] = 0.5 * later[:, k:-1] + 0.5
        other = Draws(drawn.part.clone(), drawn.late.clone())
        other.part[:, k:] *= 0.5
        other.late[:, k:] *= 0.5

        after = achieve(later, fills, other, catch_up=catch_up)

        assert torch.equal(before[:, :k], after[:, :k])
        assert not torch.equal(before[:, k:], after[:, k:])


def test_what_did_not_fill_is_wanted_again() -> None:
    """Half of 1/4; half of what is missing to 1/2; half of what is missing to 3/4; the rest."""
    got = achieve(torch.tensor([[0.25, 0.5, 0.75, 1.0]]).double(), Fills(mean=(0.5, 0.5)), same([0.5, 0.5, 0.5]))

    assert got.tolist() == [pytest.approx([0.125, 0.3125, 0.53125, 1.0])]


def test_a_list_of_slices_leaves_what_did_not_fill_to_the_end() -> None:
    targets = torch.tensor([[0.25, 0.5, 0.75, 1.0]]).double()

    got = achieve(targets, Fills(mean=(0.5, 0.5)), same([0.5, 0.5, 0.5]), catch_up=False)

    assert got.tolist() == [pytest.approx([0.125, 0.25, 0.375, 1.0])]


def test_what_is_late_fills_a_slice_later_and_is_not_wanted_twice() -> None:
    targets = torch.tensor([[0.4, 0.4, 0.8, 1.0]]).double()

    got = achieve(targets, Fills(late=0.25), same([1.0, 1.0, 1.0], [0.25, 0.25, 0.5]))

    assert got.tolist() == [pytest.approx([0.3, 0.4, 0.6, 1.0])]


@pytest.mark.parametrize("fills", [world for world in WORLDS if world.lots])
def test_fills_are_whole_lots(fills: Fills) -> None:
    got = achieve(plans(), fills, luck(fills)) * fills.lots

    assert float((got - torch.round(got)).abs().max()) < 1e-9


def test_in_lots_the_cumulative_target_is_rounded_and_never_drifts() -> None:
    rising = torch.cummax(plans(), dim=1).values

    got = achieve(rising, Fills(lots=50), luck(Fills()))

    assert float((got - rising).abs().max()) <= 0.5 / 50 + 1e-12


def test_lots_rounded_slice_by_slice_pile_up_at_the_end() -> None:
    """Twelve slices of 4 and seven twelfths of 55 lots: 4 each, and 11 for the last; rounded as a whole, 5 for it."""
    even = (torch.arange(1, 13).double() / 12).unsqueeze(0)

    apart = achieve(even, Fills(lots=55), luck(Fills(), orders=1), catch_up=False)
    together = achieve(even, Fills(lots=55), luck(Fills(), orders=1))

    assert 55 * (1 - apart[0, -2].item()) == pytest.approx(11)
    assert 55 * (1 - together[0, -2].item()) == pytest.approx(5)


@pytest.mark.parametrize(("slices", "last", "lots"), [(12, 0.15, 0), (12, 0.15, 50), (3, 0.5, 7), (60, 0.025, 0)])
def test_the_last_slice_is_left_no_more_than_it_may_take(slices: int, last: float, lots: int) -> None:
    fills = Fills(last=last, lots=lots)
    late = plans(slices=slices) ** 6

    got = achieve(late, fills, luck(fills, slices=slices))

    assert float((1.0 - late[:, -2]).max()) > last
    assert float((1.0 - got[:, -2]).max()) <= last + 1e-12


def test_what_the_last_slice_may_not_take_is_spread_before_it() -> None:
    """No lump moves to the last but one: with nothing planned before the end, the last slices take 30 % each."""
    nothing = torch.tensor([[0.0, 0.0, 0.0, 0.0, 1.0]]).double()

    got = achieve(nothing, Fills(last=0.3), luck(Fills(), orders=1, slices=5))

    assert got.tolist() == [pytest.approx([0.0, 0.1, 0.4, 0.7, 1.0])]
    assert least(Fills(last=0.3, lots=4), 3) == [0.5, 0.75, 1.0]


def test_a_plan_that_keeps_the_cap_is_left_as_it_is() -> None:
    even = (torch.arange(1, 13).double() / 12).unsqueeze(0)

    assert torch.allclose(achieve(even, Fills(last=0.15), luck(Fills(), orders=1)), even, atol=1e-12)


def test_the_same_seed_is_the_same_luck_and_another_is_not() -> None:
    fills = WORLDS[-1]
    one, again, other = luck(fills), luck(fills), luck(fills, seed=8)

    assert torch.equal(one.part, again.part)
    assert torch.equal(one.late, again.late)
    assert not torch.equal(one.part, other.part)
    assert torch.equal(one.take(slice(3, 5)).part, one.part[3:5])


def test_luck_has_the_means_that_were_asked_for() -> None:
    drawn = luck(Fills(mean=(0.8, 0.8), late=0.1), orders=5000)
    spread = luck(Fills(mean=(0.5, 1.0), firmness=1e4), orders=5000).part

    assert float(drawn.part.mean()) == pytest.approx(0.8, abs=0.005)
    assert float(drawn.part.var()) == pytest.approx(0.8 * 0.2 / 6.0, rel=0.05)
    assert float(drawn.late.mean()) == pytest.approx(0.1, abs=0.002)
    assert float(drawn.late.max()) <= 0.2
    assert float(spread.mean(dim=1).min()) < 0.52 < 0.98 < float(spread.mean(dim=1).max())


def test_rounding_passes_gradients_straight_through() -> None:
    share = torch.tensor([0.013, 0.5, 0.999], dtype=torch.float64, requires_grad=True)

    rounded = whole(share, 50)
    (rounded * torch.tensor([1.0, 2.0, 3.0])).sum().backward()  # type: ignore[no-untyped-call]

    assert rounded.tolist() == pytest.approx([0.02, 0.5, 1.0])
    assert share.grad is not None
    assert share.grad.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("fills", [world for world in WORLDS if not world.lots])
def test_gradients_of_fills_are_those_of_finite_differences(fills: Fills) -> None:
    targets = (0.1 + 0.8 * plans(4, 6, seed=3)).requires_grad_()  # not at 0 or 1, where there is a kink
    drawn = luck(fills, 4, 6)

    assert torch.autograd.gradcheck(lambda x: achieve(x, fills, drawn), targets)


def test_lots_leave_the_way_for_gradients_open() -> None:
    """Rounded, every target that wants more than is filled still feels what comes of it."""
    even = (torch.arange(1, 12).double() / 12).expand(3, -1).clone().requires_grad_()
    fills = Fills(mean=(0.8, 0.8), lots=50)

    achieve(even, fills, luck(fills, 3)).sum().backward()  # type: ignore[no-untyped-call]

    assert even.grad is not None
    assert bool((even.grad > 0.0).all())


def learned_from(market: Path, source: int = 0) -> tuple[Windows, Examples, TargetNet, Lesson]:
    """Windows of the made-up market, and a network with something to say about all features, `lag` too."""
    data = DataSet(made_up.tiny(), market)
    one = data.recipe.sources[source]
    windows = data.windows(one, one.shapes[0], "train")
    assert windows is not None
    windows = windows.take(slice(0, 60))
    taught = examples(windows, np.random.default_rng(1))
    torch.manual_seed(3)
    network = TargetNet((8,)).eval()
    network.normalize(taught.features.flatten(0, 1))
    with torch.no_grad():
        network.linear.normal_(0.0, 0.02)
        for parameter in network.residual.parameters():
            parameter.normal_(0.0, 0.3)
    return windows, taught, network, _lesson(network, Cell(one, one.shapes[0], windows), taught)


def with_(**changes: Any) -> recipe.Training:
    return msgspec.structs.replace(made_up.tiny().training, **changes)


def test_without_fills_and_costs_the_loss_is_the_papers_to_the_bit(market: Path) -> None:
    _, e, network, lesson = learned_from(market)
    training, rows = with_(), slice(5, 45)

    got = lesson.losses(network, rows, training, lesson.luck(training, rows, np.random.default_rng(1)))

    residual = network.residual(lesson.unit[rows].flatten(0, 1)).reshape(lesson.unit[rows].shape[:2])
    held = torch.cummax(target(lesson.start[rows], lesson.linear[rows] + residual), dim=1).values
    plain = (e.moves[rows] * (e.market[rows] - held)).sum(dim=1) * (1e4 / e.scale)
    assert torch.equal(got, plain.abs())


@pytest.mark.parametrize("fills", [world for world in WORLDS if not world.perfect])
@pytest.mark.parametrize("source", [0, 1])
def test_training_fills_what_judging_fills(market: Path, fills: Fills, source: int) -> None:
    """The lesson's shortcut, which moves one feature, against asking the network with each slice's own features."""
    windows, e, network, lesson = learned_from(market, source)
    training, rows = with_(fills=fills, costs=Costs(spread=1.0, impact=1.0)), slice(0, 60)
    drawn = lesson.luck(training, rows, np.random.default_rng(1))

    got = lesson.losses(network, rows, training, drawn)

    wide = Draws(drawn.part.double(), drawn.late.double())
    filled = rolled(eager(network), windows, fills, wide)
    size = np.abs(windows.slip_bps(filled.numpy())) / e.scale
    paid = e.paid(filled[:, :-1].float(), rows, training.costs)
    # Single precision may round a half lot the other way, once in a while.
    near = torch.isclose(got, torch.from_numpy(size).float() + paid, atol=2e-3, rtol=2e-3)
    assert float(near.float().mean()) > (0.9 if fills.lots else 0.999)


def test_own_fills_move_one_feature_and_by_as_much(market: Path) -> None:
    """What `Examples.lagging` relies on."""
    windows, e, _, _ = learned_from(market)
    for k in range(5):
        low, high = (features(windows.state(k, np.full(60, filled))) for filled in (0.1, 0.4))

        moved = high - low
        assert moved[:, LAG] == pytest.approx(0.3)
        assert not np.delete(moved, LAG, axis=1).any()
        assert e.lagging(torch.full((60,), 0.4), slice(None), k).numpy() == pytest.approx(high, abs=1e-6)


def test_the_loss_through_fills_and_costs_has_the_gradients_of_finite_differences(market: Path) -> None:
    _, _, network, lesson = learned_from(market)
    training = with_(fills=Fills(mean=(0.6, 0.9), late=0.2), costs=Costs(spread=1.0, impact=1.0, end=1.0))
    rows = slice(0, 60)
    drawn = lesson.luck(training, rows, np.random.default_rng(1))
    last = network.residual[-1]
    assert isinstance(last, torch.nn.Linear)

    def loss() -> Tensor:
        return lesson.losses(network, rows, training, drawn).double().mean()

    loss().backward()  # type: ignore[no-untyped-call]
    assert last.bias.grad is not None
    slopes = []
    for step in (3e-3, -3e-3):
        with torch.no_grad():
            last.bias.add_(step)
            slopes.append(loss().item())
            last.bias.add_(-step)
    assert last.bias.grad.item() == pytest.approx((slopes[0] - slopes[1]) / 6e-3, rel=0.05)


def test_the_shipped_recipe_means_what_it_meant() -> None:
    """New keys with defaults: neither its parse nor what a manifest records of it may show them."""
    plan = recipe.load(MODELS / "recipes" / "vwap-2.yaml")

    assert plan.training.fills.perfect
    assert plan.training.costs.none
    recorded = json.loads((MODELS / "vwap-2" / "manifest.json").read_text())["recipe"]
    assert json.loads(msgspec.json.encode(msgspec.to_builtins(plan))) == recorded


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"mean": [0.9, 0.8]}, "mean is .*; allowed is two rising numbers above 0, at most 1"),
        ({"mean": [0.0, 0.8]}, "mean is"),
        ({"firmness": 0}, "firmness is"),
        ({"lots": -1}, "lots is"),
        ({"late": 0.6}, "late is"),
        ({"last": 0.0}, "last is"),
        ({"luck": 1}, "unknown field"),
    ],
)
def test_fills_that_cannot_be_are_refused(wrong: dict[str, Any], words: str, tmp_path: Path) -> None:
    raw = {**made_up.RECIPE, "training": {**made_up.RECIPE["training"], "fills": wrong}}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(raw))

    with pytest.raises(RecipeRefused, match=words):
        recipe.load(tmp_path / "r.yaml")


class Interrupted(Exception):
    pass


def test_training_with_fills_and_costs_goes_on_and_ends_the_same(market: Path, tmp_path: Path) -> None:
    """Luck is an epoch's own: neither a restart nor a second run changes a bit of the weights."""
    tiny = {
        **made_up.RECIPE,
        "sources": [
            {**made_up.RECIPE["sources"][0], "shapes": [{"interval_s": 3600, "slices": 4, "train": 200, "test": 100}]}
        ],
        "training": {
            **made_up.RECIPE["training"],
            "fills": {"mean": [0.6, 0.9], "lots": 50, "late": 0.2, "last": 0.4},
            "costs": {"spread": 1.0, "impact": 1.0},
        },
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny))

    def stop(what: str, done: float) -> None:
        if what.startswith("learning") and done == 0.5:
            raise Interrupted

    train(path, market, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(path, market, tmp_path / "parts", stop)
    assert (tmp_path / "parts" / CHECKPOINT).is_file()
    train(path, market, tmp_path / "parts")

    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]
    recorded = json.loads((tmp_path / "whole" / "manifest.json").read_text())["recipe"]["training"]["fills"]
    assert recorded["mean"] == [0.6, 0.9]


def test_a_list_of_slices_is_worse_than_the_cumulative_target_at_80_percent(market: Path) -> None:
    """learning.md 7.5: of who knows the volume, and so slips by what does not fill alone."""
    windows, _, _, _ = learned_from(market)
    fills = Fills(mean=(0.8, 0.8))
    known = torch.from_numpy(windows.market())
    drawn = luck(fills, len(windows), windows.slices)

    both = [achieve(known, fills, drawn, catch_up=catch_up).numpy() for catch_up in (True, False)]

    caught_up, listed = (np.abs(windows.slip_bps(filled)).mean() for filled in both)
    assert 0.0 < caught_up < 0.7 * listed


def test_a_router_is_told_slice_by_slice() -> None:
    fills, targets = WORLDS[-1], plans()
    drawn = luck(fills)
    router = Router(fills, drawn)

    filled = torch.stack([router.work(targets[:, k]) for k in range(11)], dim=1)

    assert torch.equal(filled, achieve(targets, fills, drawn)[:, :-1])
