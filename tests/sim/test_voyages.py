"""The main test of execd: whole executions of the real core under every fault, and the oracles of tests/sim/oracles.

A wreck names its seed: `python -m tests.sim.voyage SEED` tells that voyage a line an event.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim import fleet
from tests.sim.sea import CHANCES, FRONTS, NUMBERS, Sea
from tests.sim.voyage import sail

CONVOYS = 50
EACH = 40

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("convoy", range(CONVOYS))
def test_no_voyage_is_wrecked(convoy: int) -> None:
    """Never too much at risk, no fill lost, nothing alive at the end, nothing stuck, each decision repeats."""
    log = fleet.Log()
    for seed in range(convoy * EACH, (convoy + 1) * EACH):
        log.enter(sail(seed))

    assert [] == log.wrecks
    assert log.crashes > 0
    assert log.orders > 0


@pytest.mark.parametrize("front", FRONTS)
def test_no_voyage_is_wrecked_in_a_front(front: str) -> None:
    """Faults that are dangerous together are met together."""
    assert [] == [outcome for seed in range(20) if (outcome := sail(seed, front=front)).wreck]


def test_in_fair_weather_a_parent_is_filled_to_its_last_lot_without_a_fault_or_an_alarm() -> None:
    """Liveness: safety alone could be had by never trading."""
    fair = [outcome for seed in range(120) if (outcome := sail(seed)).fair]

    assert len(fair) >= 10
    assert [] == [
        outcome for outcome in fair if outcome.wreck or outcome.faults or set(outcome.ends.values()) != {"filled"}
    ]


def test_every_fault_strikes_in_a_small_fleet() -> None:
    """A fault that never strikes tests nothing.  Treachery is rarer, and the mutants prove that it comes."""
    log = fleet.Log()
    for outcome in fleet.voyages(1_000, 150, processes=1):
        log.enter(outcome)

    assert [] == [fault for fault in (*CHANCES, *NUMBERS) if not log.faults[fault]]


def test_two_sails_of_a_seed_are_the_same_line_by_line() -> None:
    """A wreck that could not be sailed again could not be mended; hash seeds must not matter."""
    told = [
        subprocess.run(
            [sys.executable, "-m", "tests.sim.voyage", "5"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2")
    ]

    assert told[0] == told[1]
    assert "wreck: none" == told[0].splitlines()[-1]
    assert len(told[0].splitlines()) > 100


def test_a_fleet_ends_with_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m tests.sim.fleet` is for people and for CI: the last line is what counts."""
    status = fleet.main(["3", "7"])

    told = capsys.readouterr().out.splitlines()
    assert 0 == status
    assert "wrecks: 0" == told[-1]
    assert any(line.startswith("seeds  3 ") for line in told)


@pytest.mark.parametrize("arguments", [[], ["many"], ["1", "2", "3"]])
def test_a_fleet_that_is_asked_for_nonsense_says_what_it_wants(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, no traceback."""
    assert 2 == fleet.main(arguments)
    assert "SEEDS [FIRST]" in capsys.readouterr().out


def test_the_sea_lets_things_happen_in_the_order_of_time_and_then_of_their_asking() -> None:
    """Order is a number that we assigned, never an accident of the heap."""
    sea, happened = Sea(0), list[str]()
    sea.after(2, happened.append, "second")
    sea.after(1, happened.append, "first")
    sea.after(2, happened.append, "third")

    sea.sail(lambda: False, sea.now + 10)

    assert ["first", "second", "third"] == happened


def test_the_sea_is_calm_once_calm_is_due() -> None:
    """Nothing may be stuck: what must end is given weather to end in."""
    sea = Sea(0)
    sea.rates = {"report lost": 0.9}
    struck = [sea.strikes("report lost") for _ in range(50)]
    sea.calm_from = sea.now

    assert any(struck)
    assert not any(sea.strikes("report lost") for _ in range(50))
