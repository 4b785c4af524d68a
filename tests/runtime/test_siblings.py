"""What the account's other parents are worth today, and that none is traded against: told by their journals alone."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from execd.core.events import Event, OrderFilled, ParentSubmitted
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.runtime.journal import Journal, JournalError
from execd.runtime.siblings import DAY, OppositeError, day_spent, demand_one_way, of_account
from tests.core.build import a_fill, a_parent, a_submission
from tests.runtime.journal_writer import HEADER
from tests.runtime.process import Exchange, Process, execd, write_order

NOON = Nanos(20_000 * DAY + DAY // 2)
ACCOUNT = HEADER.account


def kept(path: Path, *facts: Event, account: str = ACCOUNT) -> Path:
    """A journal with a parent and what came after it."""
    path.parent.mkdir(exist_ok=True)
    journal = Journal.open(path, header=replace(HEADER, account=account), create=True)
    journal.start(NOON, Nanos(0), HEADER)
    for fact in (a_submission(), *facts):
        journal.append(NOON, fact, [])
    journal.close()
    os.utime(path, ns=(NOON, NOON))
    return path


def bought(number: int, lots: int, price: int, at: Nanos) -> OrderFilled:
    return OrderFilled(a_fill(lots, id=f"t{number}", price=Ticks(price), at=at))


def test_what_is_over_counts_as_it_traded_today_and_the_rest_at_its_full_size(tmp_path: Path) -> None:
    """The parent is of 1,000 lots; the mid is 10,001."""
    yesterday = bought(1, 100, 9_000, Nanos(NOON - DAY))
    today = bought(2, 10, 10_000, NOON)
    kept(tmp_path / "done" / "a.journal", yesterday, today)
    kept(tmp_path / "abandoned" / "b.journal", today)
    kept(tmp_path / "active" / "c.journal", yesterday, today)
    kept(tmp_path / "done" / "another.journal", today, account="another")
    mine = kept(tmp_path / "active" / "mine.journal", today)

    found = of_account(tmp_path, ACCOUNT, but=mine, now=NOON)

    assert {each.journal.stem: each.over for each in found} == {"a": True, "b": True, "c": False}
    assert day_spent(found, "BTC/USDT", 20_002) == 100_000 + 100_000 + 1_000 * 10_001
    assert day_spent(found, "ETH/USDT", 20_002) == 0


def test_a_journal_that_ended_before_this_day_is_not_even_opened(tmp_path: Path) -> None:
    """It may be of an older version, or damaged: nothing of this day is in it."""
    old = kept(tmp_path / "done" / "old.journal")
    old.write_bytes(b"of another age")
    os.utime(old, ns=(NOON - DAY, NOON - DAY))

    assert of_account(tmp_path, ACCOUNT, but=tmp_path / "mine", now=NOON) == []


@pytest.mark.parametrize("folder", ["active", "done", "abandoned"])
def test_what_cannot_be_read_ends_the_start(tmp_path: Path, folder: str) -> None:
    """What it holds is not known, and unknown is no."""
    path = kept(tmp_path / folder / "torn.journal")
    path.write_bytes(b"torn" * 100)
    os.utime(path, ns=(NOON, NOON))

    with pytest.raises(JournalError, match=r"torn\.journal: not a journal"):
        of_account(tmp_path, ACCOUNT, but=tmp_path / "mine", now=NOON)


def test_no_parent_trades_against_an_unfinished_one(tmp_path: Path) -> None:
    kept(tmp_path / "active" / "a.journal")
    found = of_account(tmp_path, ACCOUNT, but=tmp_path / "mine", now=NOON)

    demand_one_way(found, "BTC/USDT", Side.BUY)
    demand_one_way(found, "ETH/USDT", Side.SELL)
    with pytest.raises(OppositeError, match="is an unfinished buy of BTC/USDT on this account"):
        demand_one_way(found, "BTC/USDT", Side.SELL)
    over = [replace(each, over=True) for each in found]
    demand_one_way(over, "BTC/USDT", Side.SELL)
    assert a_parent().quantity == Lots(1_000), "what the first test reckons with"
    assert NOON % SECOND == 0


def test_the_command_refuses_to_trade_against_a_parent_of_the_account(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Exit code 5, one sentence, and the day's value of the first counts in the second, which goes the same way."""
    state, exchange = tmp_path_factory.mktemp("s"), Exchange(tmp_path, "--seed", "5")
    try:
        first = write_order(tmp_path, name="first", duration="10m", slices=100)
        life = Process("run", "-o", first, "--exchange", exchange.ready, state=state)
        life.until("parent submitted")
        sell = write_order(tmp_path, name="sell", side="sell", duration="10m", slices=100)
        code, _, said = execd("run", "-o", sell, "--exchange", exchange.ready, state=state)
        assert (code, "would trade against it" in said) == (5, True), said
        second = write_order(tmp_path, name="second", duration="10m", slices=100)
        other = Process("run", "-o", second, "--exchange", exchange.ready, state=state)
        other.until("parent submitted")
        other.kill()
        life.kill()
    finally:
        exchange.stop()
    (journal,) = (state / "active").glob("practice-second.journal")
    (submitted,) = [row.fact for row in Journal.read(journal)[1] if isinstance(row.fact, ParentSubmitted)]
    assert submitted.day_spent > 0
