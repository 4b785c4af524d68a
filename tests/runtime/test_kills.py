"""kill -9 at random moments, the same command again, until the order is done: three hundred and two in all.

A life is killed after a random number of lines of its debug log: while it starts, between a fact and what follows from
it, while orders are in flight, while it recovers.  At the end of each parent nothing is alive, nothing was overfilled,
no fill was lost, and the exchange's account, asked by other code, is the journals' sum.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from execd.runtime.journal import Journal
from execd.runtime.replay import replay
from tests.runtime.account import bought, open_orders
from tests.runtime.lives import Life, Nursery
from tests.runtime.process import Exchange, Process, report_of, write_order

QUANTITY = Decimal("0.2")
EARLY, LATE = 8, 30
"""Of two lives one dies within so few lines, as it starts and recovers; the other within so many, at work."""

Birth = Callable[..., Life | Process]


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Exchange]:
    """A market, and an account that nobody else trades on."""
    # Sixty starts a minute ask for more than Binance allows an address; that is not what is tried here.
    exchange = Exchange(tmp_path, "--seed", "5", "--weight", "1000000")
    yield exchange
    exchange.stop()


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a short path: a socket lies in it."""
    return tmp_path_factory.mktemp("s")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_fifty_eight_kills_lose_nothing_and_buy_nothing_twice(
    market: Exchange, state: Path, tmp_path: Path, seed: int
) -> None:
    """Whatever moment a process dies at, the same command brings the parent to its end, reconciled."""
    with Nursery(state) as nursery:
        _campaign(nursery.born, market, state, tmp_path, random.Random(seed), 58)


@pytest.mark.slow
def test_twelve_kills_from_the_very_start_of_the_command_do_no_harm_either(
    market: Exchange, state: Path, tmp_path: Path
) -> None:
    """The same with whole processes, as an operator starts them: they read their modules and open everything anew."""

    def born(*arguments: str | Path) -> Process:
        return Process(*arguments, state=state)

    _campaign(born, market, state, tmp_path, random.Random(6), 12)


def _campaign(born: Birth, market: Exchange, state: Path, folder: Path, chance: random.Random, kills: int) -> None:
    """Kill so many lives, on as many parents as it takes."""
    config = folder / "debug.yaml"
    config.write_text("log: {level: debug}\n")
    killed = parents = 0
    while killed < kills:
        parents += 1
        order = write_order(folder, name=f"k{parents}", quantity=QUANTITY, duration="12s", slices=12, urgency="high")
        command = ("run", "-o", order, "--config", config, "--exchange", market.ready, "--json")
        for _ in range(kills - killed):
            life = born(*command)
            if not life.lines(chance.randint(1, chance.choice((EARLY, LATE)))):
                break
            life.kill()
            killed += 1
        else:
            life = born(*command)
        _ended_well(life)
        assert not open_orders(market)
    assert not list((state / "active").glob("*.journal"))
    journals = list((state / "done").glob("*.journal"))
    assert len(journals) >= parents
    assert bought(market) == sum(map(_filled, journals)), "the exchange's trades are the journals' fills"


def _ended_well(life: Life | Process) -> None:
    """A life brings its parent to its end and says that the exchange agrees."""
    code, output = life.end()
    assert code in (0, 3), life.said[-20:]
    report = report_of(output)
    assert report["reconciled"], report["reconciliation"]
    assert report["missing_trades"] == 0
    assert report["balance_drift"] in (None, 0.0), "nobody else trades; a short life may not measure twice"


def _filled(path: Path) -> Decimal:
    """How much the parent of a journal filled; every decision in it repeats, and it is not more than was asked for."""
    _, rows = Journal.read(path)
    result = replay(rows)
    assert not result.differences
    (execution,) = result.desk.executions.values()
    assert not execution.blotter.alive
    filled = execution.parent.instrument.quantity(execution.blotter.filled)
    assert filled <= QUANTITY
    return filled
