"""kill -9 at random moments, the same command again, until the order is done: fifty kills in all.

A life is killed after a random number of lines of its debug log: while it starts, between a fact and what follows from
it, while orders are in flight, while it recovers.  At the end nothing was overfilled, no fill was lost, and the
exchange's account is ours.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.process import Exchange, Process, execd, report_of, write_order

KILLS = 50
LINES_MAX = 80
"""A life of so many lines has seen a few slices."""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """One market for all lives."""
    exchange = Exchange(tmp_path_factory.mktemp("exchange"), "--seed", "5")
    yield exchange
    exchange.stop()


@pytest.mark.slow
def test_fifty_kills_lose_nothing_and_buy_nothing_twice(
    market: Exchange, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """Whatever moment a process dies at, the same command brings the parent to its end, reconciled."""
    chance = random.Random(20261122)
    config = tmp_path / "debug.yaml"
    config.write_text("log: {level: debug}\n")
    state = tmp_path_factory.mktemp("s")
    kills = orders = 0
    while kills < KILLS:
        orders += 1
        order = write_order(tmp_path, name=f"k{orders}", quantity="0.3", duration="30s", slices=10, urgency="high")
        kills += _kill_until_late(order, config, market, state, chance, KILLS - kills)
        if not list((state / "active").glob(f"*-k{orders}.journal")):
            continue  # It ended between two kills; its exit code said that all was well.

        code, output, said = execd("run", "-o", order, "--exchange", market.ready, "--json", state=state)

        report = report_of(output)
        assert code in (0, 3), said
        assert report["reconciled"], report["reconciliation"]
        assert report["filled"] <= 0.3
        assert report["missing_trades"] == 0
    replayed = [execd("replay", path, state=state)[0] for path in (state / "done").glob("*.journal")]
    assert replayed == [0] * orders


def _kill_until_late(order: Path, config: Path, market: Exchange, state: Path, chance: random.Random, most: int) -> int:
    """Start and kill lives of one parent until it is over or the kills are used up; how many were killed."""
    for number in range(most):
        life = Process("run", "-o", order, "--config", config, "--exchange", market.ready, state=state)
        if not life.lines(chance.randint(1, LINES_MAX)):
            code, _ = life.end()
            assert code in (0, 3), life.said
            return number
        life.kill()
    return most
