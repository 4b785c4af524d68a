"""Hunt the planted bugs: `python -m tests.sim.hunt` prints each one's first failing seed, and ends with `unseen: N`."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.mutants_rooms import ROOMS
from tests.sim.voyage import Outcome, sail

ALL: tuple[Mutant, ...] = (*MUTANTS, *ROOMS)
"""Every planted bug."""


def first_wreck(mutant: Mutant) -> Outcome | None:
    """Sail under a planted bug until it wrecks a voyage; None if its number of seeds does not suffice."""
    with mutant.planted():
        for seed in range(mutant.within):
            outcome = sail(seed, front=mutant.front)
            if outcome.wreck is not None:
                return outcome
    return None


def _told(number: int) -> tuple[bool, str]:
    mutant = ALL[number]
    found = first_wreck(mutant)
    where = f" ({mutant.front})" if mutant.front else ""
    if found is None:
        return False, f"UNSEEN in {mutant.within:>3}: {mutant.name}{where}"
    return True, f"seed {found.seed:>3} of {mutant.within:>3}: {mutant.name}{where}\n{'':>17}{found.wreck}"


def main() -> int:
    """Hunt them all; 1 if any stays unseen."""
    unseen = 0
    # A mutant is known by its number: what it is made of does not travel to another process.
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for seen, line in pool.map(_told, range(len(ALL))):
            unseen += not seen
            sys.stdout.write(line[:240] + "\n")
    sys.stdout.write(f"planted bugs: {len(ALL)}\nunseen: {unseen}\n")
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main())
