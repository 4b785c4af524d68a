"""Sequence networks: what they read, how they allocate, how they are taught; and the cheap baselines beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from execd.learning.baselines import recurrent, tracking, transformer
from execd.learning.baselines.allocator import SEEDS, Allocator, Lesson, decided, loss, teach
from execd.learning.baselines.market import Market
from execd.learning.baselines.recurrent import Recurrent
from execd.learning.baselines.sequence import LOOKBACK, STRETCH, Course, read, stretches
from execd.learning.baselines.tln import TemporalLinear
from execd.learning.series import Series, coarse
from execd.policies.profile import DAY, HOUR
from tests.learning import made_up

FIRST = made_up.FIRST_MS * 1_000_000
SHORT = Lesson(passes=3, patience=3, batch=2, rate=0.02, decay=0.0)
KINDS = ("recurrent", "transformer")


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """A transformer that learns in a second, on one thread: several would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformer, "_WIDTH", 24)
        yield
    torch.set_num_threads(threads)


def market(slices: int = 12) -> Market:
    frame = made_up.bars(3, 2400)
    volume, close = frame["volume"].to_numpy(), frame["close"].to_numpy()
    known = np.ones(2400, dtype=np.bool_)
    half = Series("AAA", FIRST, HOUR // 2, volume, volume * close, close, known)
    return Market.of(coarse(half, HOUR), slices, FIRST + 10_000 * DAY)


def every(one: Market) -> Course:
    return Course.of(one, np.arange(len(one.cells)))


def fresh(kind: str, slices: int = 12) -> Allocator:
    return Recurrent(slices, 1)._new() if kind == "recurrent" else transformer._new(slices)


def opinionated(kind: str) -> Allocator:
    """A network whose last layer is not zero, as if it had learned."""
    torch.manual_seed(4)
    network = fresh(kind).eval()
    torch.nn.init.normal_(network.last, std=0.5)
    torch.nn.init.normal_(network.own, std=0.5)
    return network


@pytest.mark.parametrize("shift", [0, 1, STRETCH - 1])
def test_stretches_hold_every_window_once_and_in_order(shift: int) -> None:
    one = market()
    kept = np.setdiff1d(np.arange(len(one.cells)), np.arange(300, 700))  # a hole longer than a stretch
    course = Course.of(one, kept)

    made = stretches([course, course], shift)

    for which in (0, 1):
        mine = [each for each in made if each.course == which]
        assert np.array_equal(
            np.concatenate([np.arange(e.rows.start, e.rows.stop) for e in mine]), np.arange(len(kept))
        )
        for each in mine:
            assert ((each.places >= 0) & (each.places < STRETCH)).all()
            assert np.array_equal(course.cells[each.rows], each.first + each.places)


def test_before_each_slice_the_last_bar_read_is_the_one_before() -> None:
    course = every(market())
    numbered = replace(course, told=torch.arange(len(course.told), dtype=torch.float32).unsqueeze(1))
    batch = stretches([numbered])[2:5]

    told, lines, places = read([numbered], batch)

    cells = np.concatenate([course.cells[each.rows] for each in batch])
    seen = told[lines.unsqueeze(0), places].squeeze(2).numpy()
    assert np.array_equal(seen, cells[None, :] + np.arange(11)[:, None] - 1)
    assert (places.numpy() >= LOOKBACK - 1).all()


def test_losses_are_in_units_of_twaps_on_windows_that_are_over() -> None:
    course, at = every(market()), FIRST + 30 * DAY + HOUR
    past = course.until(at)

    assert past.ends.max() == at
    assert len(past.cells) == (course.ends <= at).sum()
    slip = (past.moves * (past.share - torch.arange(1, 12) / 12)).sum(dim=1)
    assert float(slip.abs().mean()) == pytest.approx(1.0, rel=1e-5)
    assert len(course.until(FIRST).cells) == 0


def test_what_says_when_to_stop_shares_no_bar_with_what_is_learned() -> None:
    early, late = every(market()).parted()

    assert len(early.cells) > 3 * len(late.cells) > 0
    assert late.cells[0] == early.cells[-1] + 12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slices", [2, 12])
def test_a_network_that_has_not_learned_is_twap(kind: str, slices: int) -> None:
    one = market(slices)

    found = decided([fresh(kind, slices).eval()], one, np.arange(50))[0]

    assert found == pytest.approx(np.broadcast_to(np.arange(1, slices + 1) / slices, found.shape), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_no_slice_takes_more_than_twice_the_base_curve_or_than_what_is_left(kind: str) -> None:
    network = opinionated(kind)
    torch.nn.init.uniform_(network.base, -0.2, 1.0)
    network.project()
    base = network.base.detach().numpy()

    found = decided([network], market(), np.arange(400))[0]
    own = np.diff(found, axis=1, prepend=0.0)

    assert base.sum() == pytest.approx(1.0, abs=1e-6)
    assert (base >= 0.0).all()
    assert (own >= 0.0).all()
    assert (own[:, :-1] <= 2.0 * base[:-1] + 1e-6).all()
    assert (found[:, -1] == 1.0).all()
    assert own[:, :-1].std(axis=0).max() > 1e-3
    with torch.no_grad():
        assert float(network.allocate(torch.randn(11, 40, network.seen.shape[1])).max()) <= 1.0 + 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [0, 1, 5, 10])
def test_a_slice_is_decided_before_its_own_bar_and_after_the_one_before(kind: str, k: int) -> None:
    """The published index reads the bar of the slice itself; here that bar first moves the slice after."""
    one, row, network = market(), 500, opinionated(kind)
    cell = one.cells[row] + k
    volume, notional = one.bars.volume.copy(), one.bars.notional.copy()
    volume[cell:], notional[cell:] = volume[cell:] * 5.0, notional[cell:] * 5.5
    changed = Market.of(replace(one.bars, volume=volume, notional=notional), 12, FIRST + 100 * DAY)

    before, after = (decided([network], each, np.array([row]))[0, 0] for each in (one, changed))

    assert np.abs(before - after)[: k + 1].max() < 1e-7
    if k < 10:
        assert np.abs(before - after)[k + 1 : 11].max() > 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_learns_the_same_and_disturbs_no_one(kind: str) -> None:
    course = every(market()).until(FIRST + 15 * DAY)
    before = torch.get_rng_state()

    first, again, other = (teach(lambda: fresh(kind), [course], SHORT, seed) for seed in (1, 1, 2))

    assert torch.equal(torch.get_rng_state(), before)
    for mine, same in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, same)
    assert not torch.equal(first.seen, other.seen)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_learned_beats_equal_slices_on_what_said_when_to_stop(kind: str) -> None:
    """TWAP's loss is the unit, and the score to stay with is the best seen."""
    course = every(market()).until(FIRST + 10_000 * DAY)
    late = course.parted()[1]
    network = teach(lambda: fresh(kind), [course], replace(SHORT, passes=8), 1)

    with torch.no_grad():
        mine = float(loss(network, [late], stretches([late])).mean())
        twap = float(loss(fresh(kind).eval(), [late], stretches([late])).mean())

    assert mine < 0.95 * twap


def test_progress_is_told_to_the_end_and_patience_ends_it_early() -> None:
    said: list[float] = []
    course = every(market()).until(FIRST + 40 * DAY)
    still = Lesson(passes=9, patience=1, batch=4, rate=0.0, decay=0.0)

    teach(lambda: fresh("recurrent"), [course], still, 1, said.append)

    assert said == pytest.approx([1 / 9, 2 / 9, 3 / 9, 1.0])


def test_several_assets_are_learned_from_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformer, "_LESSON", SHORT)
    course = every(market()).until(FIRST + 15 * DAY)
    quiet = replace(course, moves=course.moves * 0.0)
    said: list[float] = []

    alone, both = (transformer.taught(each, 12, 1, said.append) for each in ([course], [course, quiet]))

    assert len(alone) == len(both) == SEEDS
    assert not np.array_equal(alone[0]["seen"], both[0]["seen"])
    assert said[: len(said) // 2] == sorted(said[: len(said) // 2])
    assert said[-1] == pytest.approx(1.0)


def test_a_recurrent_method_is_several_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "_LESSON", SHORT)
    one, method = market(), Recurrent(12, 1)
    method.refit(one, np.arange(800))

    found = method.schedules(one, np.arange(900, 950))

    assert found.shape == (SEEDS, 50, 12)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_participation_follows_the_bar_before_at_a_rate_that_would_finish_and_cleans_up_at_the_end() -> None:
    one = market(slices=4)
    coming = np.full((len(one.bars.volume), 4), 25.0)
    volume = one.windows.volume
    volume[50, -5:] = (10.0, 15.0, 5.0, 999.0, 999.0)
    volume[51, -5:] = (80.0, 90.0, 30.0, 5.0, 999.0)

    found = tracking.participated(one, np.array([50, 51]), coming)

    # 10 of 100; then 15 of 75 of the 0.9 left; then 5 of 50 of the 0.72 left
    assert found[0] == pytest.approx([0.1, 0.28, 0.352, 1.0])
    assert found[1] == pytest.approx([0.8, 1.0, 1.0, 1.0])


def test_the_quadratic_loss_flees_the_tails_that_the_absolute_one_bears() -> None:
    """On its own past each is better than the other by its own measure, and both better than equal slices."""
    one = market()
    past = np.arange(len(one.cells))
    windows = one.windows.take(past)
    absolute, quadratic = TemporalLinear(12, 1), TemporalLinear(12, 1, power=2)
    for network in (absolute, quadratic):
        network.refit(one, past)

    slips = [windows.slip_bps(network.schedule(one, past)) for network in (absolute, quadratic)]
    twap = windows.slip_bps(np.broadcast_to(np.arange(1, 13) / 12, (len(past), 12)))

    assert np.abs(slips[0]).mean() < np.abs(twap).mean()
    assert (slips[1] ** 2).mean() < (twap**2).mean()
    assert (slips[1] ** 2).mean() < (slips[0] ** 2).mean()
