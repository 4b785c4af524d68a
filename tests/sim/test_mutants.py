"""The simulation must find bugs: each planted one is found within its number of seeds, or the simulation is blind."""

from __future__ import annotations

import pytest

from tests.sim.hunt import ALL, first_wreck
from tests.sim.mutants import Mutant
from tests.sim.sea import FRONTS
from tests.sim.voyage import sail


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found_within_its_number_of_seeds(mutant: Mutant) -> None:
    """Printed with -rP: the first failing seed and the promise that it broke."""
    found = first_wreck(mutant)

    assert found is not None, f"{mutant.within} voyages did not notice: {mutant.name}"
    print(f"seed {found.seed}: {found.wreck}")  # noqa: T201  # what the run is for


@pytest.mark.parametrize("front", sorted({mutant.front for mutant in ALL if mutant.front}))
def test_the_clean_rooms_survive_the_weather_that_a_mutant_is_looked_for_in(front: str) -> None:
    """Otherwise the weather would be found, not the bug."""
    assert front in FRONTS
    assert [] == [outcome for seed in range(40) if (outcome := sail(seed, front=front)).wreck]


def test_a_mutant_leaves_nothing_behind() -> None:
    """A patch that stayed would poison every test after it."""
    before = sail(3)
    for mutant in ALL:
        with mutant.planted():
            pass

    assert before == sail(3)
