"""The baselines one by one: volume forecasts, tracking, and the policies that are fitted on slippage itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from execd.learning.baselines import linear, tracking
from execd.learning.baselines.kalman import Parameters, _backward, _forward, estimate, kalman_coming
from execd.learning.baselines.market import Market, last, last_known, rolling
from execd.learning.baselines.tln import TemporalLinear
from execd.learning.baselines.volume import har_coming, season, static_coming
from execd.learning.series import Series, coarse
from execd.policies.floats import Floats
from execd.policies.profile import DAY, HOUR
from tests.learning import made_up

FIRST = made_up.FIRST_MS * 1_000_000
UNTIL = 1200


def hourly(seed: int = 3, count: int = 4000) -> Series:
    frame = made_up.bars(seed, count)
    volume, close = frame["volume"].to_numpy(), frame["close"].to_numpy()
    known = np.ones(count, dtype=np.bool_)
    return coarse(Series("AAA", FIRST, HOUR // 2, volume, volume * close, close, known), HOUR)


def market(series: Series | None = None, slices: int = 12) -> Market:
    return Market.of(series or hourly(), slices, FIRST + 10_000 * DAY)


def oracle(one: Market) -> Floats:
    """The volume that really comes, [N, n], nothing after the end."""
    volume = np.concatenate([one.bars.volume, np.ones(one.slices)])
    return np.stack([volume[h : h + len(one.bars.volume)] for h in range(one.slices)], axis=1)


def test_bars_add_up_to_slices_that_begin_at_full_hours() -> None:
    volume = np.arange(1.0, 8.0)
    known = np.array([True, True, True, True, False, True, True])
    half = Series("AAA", FIRST + HOUR // 2, HOUR // 2, volume, volume * 10, volume + 90, known)

    one = coarse(half, HOUR)

    assert one.start == FIRST + HOUR
    assert list(one.volume) == [5.0, 9.0, 13.0]
    assert list(one.notional) == [50.0, 90.0, 130.0]
    assert list(one.close) == [93.0, 95.0, 97.0]
    assert list(one.known) == [True, False, True]
    with pytest.raises(ValueError, match="AAA: slices of 2700 s do not fit its 1800 s"):
        coarse(half, HOUR * 3 // 4)


def test_means_before_a_bar_do_not_hold_the_bar() -> None:
    values = np.array([1.0, 3.0, 5.0, 100.0])

    assert list(rolling(values, 2)) == [0.0, 1.0, 2.0, 4.0]
    assert list(last(values)) == [1.0, 1.0, 3.0, 5.0]
    assert list(last_known(values, np.array([True, False, True, False]))) == [1.0, 1.0, 5.0, 5.0]


def test_whoever_knows_the_volume_that_comes_has_no_slippage() -> None:
    one = market()
    rows, coming = np.arange(len(one.cells)), oracle(one)

    for track in (tracking.planned, tracking.replanned, tracking.caught_up):
        assert np.abs(one.windows.slip_bps(track(one, rows, coming))).max() < 1e-8


def test_catching_up_makes_good_what_replanning_leaves() -> None:
    """A forecast of equal volumes: after a first slice of 80, nothing can be known but that we are behind."""
    one = market(slices=4)
    rows, coming = np.array([50]), np.ones((len(one.bars.volume), 4))
    volume = one.windows.volume
    volume[50, -4:] = (7.0, 1.0, 1.0, 1.0)

    assert tracking.replanned(one, rows, coming)[0] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert tracking.caught_up(one, rows, coming)[0] == pytest.approx([0.25, 0.8, 0.9, 1.0])


def test_the_season_finds_the_hours_and_the_weekend() -> None:
    one = hourly()
    t = np.arange(len(one.volume))
    loud = np.where((t % 24 == 14), 3.0, 1.0) * np.where(((one.start + t * HOUR) // DAY + 3) % 7 >= 5, 0.5, 1.0)
    seen = season(market(replace(one, volume=loud, notional=loud * one.close)), UNTIL)

    assert seen.share[14] / seen.share[15] == pytest.approx(3.0, rel=0.05)
    assert seen.log[24 + 3] - seen.log[3] == pytest.approx(np.log(0.5), abs=0.05)


def test_forecasts_of_a_volume_with_memory_beat_its_season() -> None:
    one = market()
    seen = season(one, UNTIL)
    t = np.arange(UNTIL, len(one.bars.volume) - one.slices)
    error = {}
    for name, coming in (
        ("season", static_coming(one, seen) * rolling(one.bars.volume, 168)[:, None]),
        ("har", har_coming(one, seen, UNTIL)),
        ("kalman", kalman_coming(one, seen, UNTIL, slice(UNTIL, len(one.bars.volume)))),
    ):
        error[name] = float(np.std(one.log_volume[t] - np.log(coming[t, 0])))

    assert error["har"] < 0.9 * error["season"]
    assert error["kalman"] < 0.9 * error["season"]


BY = Parameters(a=0.9, q=0.3, b=0.6, p=0.2, r=0.1)


def gaussian(fresh: list[bool]) -> tuple[Floats, Floats]:
    """The covariance of the states (eta, mu a bar) and how the bars observe them, by brute force."""
    size = len(fresh)
    covariance = np.zeros((2 * size, 2 * size))
    covariance[:2, :2] = np.diag([1.0, BY.p / (1 - BY.b**2)])
    for i in range(1, size):
        step = np.diag([BY.a if fresh[i] else 1.0, BY.b])
        now, before = slice(2 * i, 2 * i + 2), slice(2 * i - 2, 2 * i)
        covariance[now, : 2 * i] = step @ covariance[before, : 2 * i]
        covariance[: 2 * i, now] = covariance[now, : 2 * i].T
        covariance[now, now] = step @ covariance[before, before] @ step.T + np.diag([BY.q if fresh[i] else 0.0, BY.p])
    look: Floats = np.kron(np.eye(size), np.ones((1, 2))).astype(np.float64)
    return covariance, look


def test_the_smoother_gives_what_conditioning_one_large_gaussian_gives() -> None:
    fresh, known = [True, False, True, False, False, True], np.array([True, True, False, True, True, True])
    y = np.array([0.5, -0.2, 9.0, 1.0, 0.3, -1.0])
    covariance, look = gaussian(fresh)
    seen = look[known]
    gain = covariance @ seen.T @ np.linalg.inv(seen @ covariance @ seen.T + BY.r * np.eye(known.sum()))
    mean, left = gain @ y[known], covariance - gain @ seen @ covariance

    smooth = _backward(_forward(y, known, np.array(fresh), BY), np.array(fresh), BY)

    assert smooth[:, 0] == pytest.approx(mean[0::2])
    assert smooth[:, 1] == pytest.approx(mean[1::2])
    for i in range(6):
        block = left[2 * i : 2 * i + 2, 2 * i : 2 * i + 2]
        assert smooth[i, 2:5] == pytest.approx([block[0, 0], block[0, 1], block[1, 1]])
    for i in range(1, 6):
        assert smooth[i, 5:] == pytest.approx([left[2 * i, 2 * i - 2], left[2 * i + 1, 2 * i - 1]])


def test_expectation_maximization_finds_what_made_the_volume() -> None:
    random = np.random.default_rng(1)
    fresh = np.arange(12_000) % 24 == 0
    eta, mu = np.zeros(12_000), np.zeros(12_000)
    for i in range(1, 12_000):
        eta[i] = 0.9 * eta[i - 1] + random.normal(0, 0.3**0.5) if fresh[i] else eta[i - 1]
        mu[i] = 0.6 * mu[i - 1] + random.normal(0, 0.2**0.5)
    y = eta + mu + random.normal(0, 0.1**0.5, 12_000)

    found = estimate(y, np.ones(12_000, dtype=np.bool_), fresh, rounds=25)

    assert found.a == pytest.approx(0.9, abs=0.06)
    assert found.b == pytest.approx(0.6, abs=0.06)
    assert found.q == pytest.approx(0.3, rel=0.3)
    assert found.p + found.r == pytest.approx(0.3, rel=0.1)


def test_an_unknown_bar_says_nothing_to_the_filter() -> None:
    y, fresh = np.array([0.1, 0.2, 0.3, 0.4]), np.zeros(4, dtype=np.bool_)
    known = np.array([True, False, True, True])
    odd = np.array([0.1, 77.0, 0.3, 0.4])

    assert np.array_equal(_forward(y, known, fresh, BY), _forward(odd, known, fresh, BY))
    assert not np.array_equal(_forward(y, known | True, fresh, BY), _forward(odd, known | True, fresh, BY))


def test_what_is_fitted_does_not_see_a_bar_that_was_not_over() -> None:
    """Change every bar from the moment of the refit on, beyond recognition: all that was fitted stays."""
    one = market()
    volume, notional, close = one.bars.volume.copy(), one.bars.notional.copy(), one.bars.close.copy()
    volume[UNTIL:] = 17.0 + np.arange(len(volume) - UNTIL) % 7
    notional[UNTIL:], close[UNTIL:] = volume[UNTIL:] * 5.0, 5.0
    other = market(replace(one.bars, volume=volume, notional=notional, close=close))
    past = np.flatnonzero(one.cells + one.slices <= UNTIL)
    nets = [TemporalLinear(12, 1), TemporalLinear(12, 1)]
    found = []
    for each, net in zip((one, other), nets, strict=True):
        seen = season(each, UNTIL)
        net.refit(each, past)
        found.append((seen, har_coming(each, seen, UNTIL)[: UNTIL + 1], net))

    (seen, har, net), (seen_other, har_other, net_other) = found
    assert np.array_equal(seen.log, seen_other.log)
    assert np.array_equal(seen.share, seen_other.share)
    assert np.array_equal(har, har_other)
    assert torch.allclose(net._weights, net_other._weights, atol=1e-5)
    assert torch.equal(net._scale, net_other._scale)


def test_a_convex_policy_is_at_least_as_good_on_its_own_past_as_what_it_starts_from() -> None:
    one = market()
    seen = season(one, UNTIL)
    har = har_coming(one, seen, UNTIL)
    past = np.flatnonzero(one.cells + one.slices <= UNTIL)
    for clues, start in ((linear.static_clues, tracking.planned), (linear.dynamic_clues, tracking.caught_up)):
        made = clues(one, past, har, seen)
        schedule = linear.convex_schedule(one, past, past, (made, made))
        windows = one.windows.take(past)
        mine, theirs = (np.abs(windows.slip_bps(x)).mean() for x in (schedule, start(one, past, har)))

        assert mine < 0.97 * theirs
    with pytest.raises(ValueError, match="needs past windows"):
        linear.convex_schedule(one, past[:0], past, (made, made))


def test_the_temporal_linear_network_learns_and_keeps_its_best() -> None:
    """On its own past it must beat equal slices, which is what it starts from."""
    one = market()
    past = np.flatnonzero(one.cells + one.slices <= UNTIL)
    net = TemporalLinear(12, 1)
    net.refit(one, past)
    windows = one.windows.take(past)
    twap = np.broadcast_to(np.arange(1, 13) / 12, (len(past), 12))

    assert np.abs(windows.slip_bps(net.schedule(one, past))).mean() < np.abs(windows.slip_bps(twap)).mean()
