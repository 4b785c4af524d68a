"""One seed, one whole execution: `python -m tests.sim.voyage SEED` tells it, a line an event."""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from dataclasses import dataclass
from unittest.mock import patch

from execd.core.grid import MINUTE, SECOND, Nanos
from execd.runtime import clock, watch
from execd.runtime.journal import Journal
from execd.runtime.replay import replay
from tests.sim.disk import Disk
from tests.sim.lookout import Naps
from tests.sim.process import HEADER, NAME
from tests.sim.sea import CHANCES, EPOCH, NUMBERS, TREACHERY, Sea, Wreck
from tests.sim.world import World

LEGEND = """\
 seconds  who      what
 -------  -------  -----------------------------------------------------------------------------------
 venue    what became true at the venue, whoever knows of it
 fact     what our process was told (journalled, then handled); prints and looks at the market are left out
 command  what the core asked for because of the fact above it
 weather  a fault that struck
 process  our process starts or stops
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a voyage ended.  `wreck` is None, or the broken promise in a sentence."""

    seed: int
    wreck: str | None
    fair: bool
    seconds: float
    events: int
    rows: int
    orders: int
    crashes: int
    faults: Counter[str]
    ends: dict[str, str]


def sail(seed: int, *, aloud: bool = False, front: str | None = None) -> Outcome:
    """Sail one voyage to its end or its wreck; `front` forces the weather that bears that name."""
    sea = Sea(seed, tell if aloud else None)
    wreck: str | None = None
    with Disk(sea) as disk, patch.object(clock, "time", sea), patch.object(watch, "asyncio", Naps(sea)):
        world = World(sea, disk, front)
        try:
            _sail(world)
        except (Exception, Wreck) as broken:  # Whatever the core raises is a wreck: assertions are its own alarm.
            wreck = _sentence(broken)
            if aloud and not isinstance(broken, Wreck):
                sys.stdout.write(traceback.format_exc())
        finally:
            world.process.abandon()
    return Outcome(
        seed=seed,
        wreck=wreck,
        fair=world.climate.fair,
        seconds=(sea.now - EPOCH) / SECOND,
        events=sea.events,
        rows=len(world.process.rows),
        orders=len(world.oracles.sent),
        crashes=world.process.crashes,
        faults=sea.faults,
        ends=dict(world.oracles.finished),
    )


def _sail(world: World) -> None:
    sea, process = world.sea, world.process
    parents = {submitted.parent.id for submitted in world.parents}
    if not sea.sail(lambda: parents <= process.finished, world.latest_haven):
        stuck = sorted(parents - process.finished)
        raise Wreck(f"{stuck} had not ended {(sea.now - world.end) / SECOND:.0f} s after the end")
    # Late reports, late answers, one more crash perhaps: the end must stay the end.
    sea.sail(lambda: False, sea.now + MINUTE)
    if process.desk is None:
        # The end finds a process that is away: it comes back once more, and hears what it has missed.
        sea.sail(lambda: process.desk is not None, sea.now + 2 * MINUTE)
        sea.sail(lambda: False, sea.now + MINUTE)
    if process.desk is not None:
        world.oracles.haven(process.desk, len(process.rows))
    process.abandon()
    journal = Journal.open(world.disk.folder / NAME, header=HEADER, create=False, threaded=False)
    rows = list(journal.rows())
    journal.close()
    found = replay(rows)
    world.oracles.recovered(process.rows, rows, found)
    world.oracles.haven(found.desk, len(rows))


def _sentence(broken: Exception | Wreck) -> str:
    if isinstance(broken, Wreck):
        return str(broken)
    frame = traceback.extract_tb(broken.__traceback__)[-1]
    return f"{type(broken).__name__} in {frame.name}: {broken}"


def tell(now: Nanos, who: str, what: str) -> None:
    """Print a line of a voyage."""
    sys.stdout.write(f"{(now - EPOCH) / SECOND:8.3f}  {who:<7}  {what}\n")


def main(arguments: list[str]) -> int:
    """Sail one seed aloud; 1 if it is wrecked."""
    if len(arguments) != 1 or not arguments[0].isdigit():
        sys.stdout.write("usage: python -m tests.sim.voyage SEED   (a whole number)\n")
        return 2
    sys.stdout.write(LEGEND + "\n")
    outcome = sail(int(arguments[0]), aloud=True)
    struck = ", ".join(f"{name} {count}" for name, count in outcome.faults.most_common())
    known = len(CHANCES) + len(NUMBERS) + len(TREACHERY)
    sys.stdout.write(f"\nfaults ({len(outcome.faults)} kinds of {known}): {struck or 'none, fair weather'}\n")
    sys.stdout.write(
        f"{outcome.orders} orders, {outcome.crashes} crashes, {outcome.seconds:.0f} s; ends: {outcome.ends}\n"
    )
    sys.stdout.write(f"wreck: {outcome.wreck or 'none'}\n")
    return 1 if outcome.wreck else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
