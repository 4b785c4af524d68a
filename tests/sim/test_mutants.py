"""The simulation must find bugs: each planted one is found within its number of seeds, or the simulation is blind."""

from __future__ import annotations

import pytest

from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.voyage import sail


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found_within_its_number_of_seeds(mutant: Mutant) -> None:
    """Printed with -rP: the first failing seed and the promise that it broke."""
    with mutant.planted():
        found = next(
            (outcome for seed in range(mutant.within) if (outcome := sail(seed, front=mutant.front)).wreck), None
        )

    assert found is not None, f"{mutant.within} voyages did not notice: {mutant.name}"
    print(f"seed {found.seed}: {found.wreck}")  # noqa: T201  # what the run is for


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.front], ids=lambda mutant: mutant.name)
def test_the_clean_core_survives_the_weather_that_a_mutant_is_looked_for_in(mutant: Mutant) -> None:
    """Otherwise the weather would be found, not the bug."""
    wrecks = [outcome for seed in range(40) if (outcome := sail(seed, front=mutant.front)).wreck]

    assert [] == wrecks


def test_a_mutant_leaves_nothing_behind() -> None:
    """A patch that stayed would poison every test after it."""
    before = sail(3)
    for mutant in MUTANTS:
        with mutant.planted():
            pass

    assert before == sail(3)
