"""What a journal is not worked on with, through the real command: one message, the documented exit code, nothing sent.

An unfinished parent is left behind by a kill; each test spoils a copy of its state and gives the same command again.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from execd.runtime.codec import SCHEMA
from tests.runtime.account import bought, ordered
from tests.runtime.process import ROOT, Exchange, Process, execd, report_of, write_order

HUMAN, JOURNAL_FAILED = 5, 70


@dataclass(frozen=True)
class Left:
    """What a killed life left behind: its state, its order file, its exchange."""

    state: Path
    order: Path
    market: Exchange

    def copied(self, to: Path) -> Path:
        """A copy of the state, its journal alone; the path of the journal."""
        shutil.copytree(self.state / "active", to / "active", ignore=shutil.ignore_patterns("*.sock"))
        (journal,) = (to / "active").glob("*.journal")
        with sqlite3.connect(journal) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return journal

    def again(self, state: Path, market: Exchange | None = None) -> tuple[int, str, str]:
        """The same command on another state folder."""
        return execd("run", "-o", self.order, "--exchange", (market or self.market).ready, "--json", state=state)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path_factory.mktemp("exchange"), "--seed", "5")
    yield exchange
    exchange.stop()


@pytest.fixture(scope="module")
def left(market: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """A parent of ten minutes that was killed when its first order had been filled."""
    order = write_order(tmp_path_factory.mktemp("order"), name="left", duration="10m", slices=200, urgency="high")
    state = tmp_path_factory.mktemp("s")
    life = Process("run", "-o", order, "--exchange", market.ready, state=state)
    life.until("order filled")
    life.kill()
    return Left(state, order, market)


def torn(journal: Path) -> None:
    os.truncate(journal, journal.stat().st_size // 2)


def without_its_first_page(journal: Path) -> None:
    with journal.open("r+b") as file:
        file.write(bytes(4096))


def empty_of_bytes(journal: Path) -> None:
    os.truncate(journal, 100)


def of_another_schema(journal: Path) -> None:
    changed(journal, f"PRAGMA user_version={SCHEMA + 1}")


def broken_in_the_middle(journal: Path) -> None:
    changed(journal, "UPDATE facts SET at = at + 1 WHERE seq = 4")


def with_a_row_missing(journal: Path) -> None:
    changed(journal, "DELETE FROM facts WHERE seq = 3")


def of_another_parent(journal: Path) -> None:
    changed(journal, 'UPDATE header SET body = CAST(replace(body, \'"parent":"\', \'"parent":"x\') AS BLOB)')


def of_another_program(journal: Path) -> None:
    changed(journal, "PRAGMA application_id=7")


def a_folder(journal: Path) -> None:
    journal.unlink()
    journal.mkdir()


def changed(journal: Path, statement: str) -> None:
    with sqlite3.connect(journal) as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(torn, "corrupt"), (without_its_first_page, "not a journal"), (empty_of_bytes, "corrupt"),
     (of_another_schema, f"schema {SCHEMA + 1}; this execd reads schema {SCHEMA}"),
     (broken_in_the_middle, "row 4 is not what was written"), (with_a_row_missing, "row 3 is missing"),
     (of_another_parent, "row 1 is not what was written"), (of_another_program, "not a journal of execd"),
     (a_folder, "not a regular file")],
)  # fmt: skip
def test_a_spoiled_journal_is_refused_before_anything_is_sent(
    left: Left, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    """Exit code 5, one line that names the file and what is wrong; no order reaches the exchange, the file stays.

    What the killed life had left open there may fill meanwhile.
    """
    journal = left.copied(tmp_path)
    spoil(journal)
    before = journal.read_bytes() if journal.is_file() else None
    sent = ordered(left.market)

    code, output, said = left.again(tmp_path)

    assert (code, output) == (HUMAN, ""), said
    (line,) = said.splitlines()
    assert line.startswith(f"execd: {journal}: ")
    assert words in line
    assert ordered(left.market) == sent
    assert (journal.read_bytes() if journal.is_file() else None) == before


def test_a_journal_of_another_account_is_refused(left: Left, tmp_path: Path) -> None:
    """An exchange whose account is another one's: its orders are not ours."""
    left.copied(tmp_path)
    (tmp_path / "e").mkdir()
    other = Exchange(tmp_path / "e", "--seed", "5")
    try:
        code, _, said = left.again(tmp_path, other)
        nothing = bought(other)
    finally:
        other.stop()
    assert code == HUMAN
    assert f"is of another account: it holds {left.market.described['account']}" in said
    assert nothing == 0


def test_a_journal_is_not_worked_on_twice(market: Exchange, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The second process is refused, and the first goes on."""
    state, folder = tmp_path_factory.mktemp("s"), tmp_path_factory.mktemp("o")
    order = write_order(folder, name="twice", duration="10m")
    first = Process("run", "-o", order, "--exchange", market.ready, state=state)
    first.until("parent submitted")
    code, _, said = execd("run", "-o", order, "--exchange", market.ready, state=state)
    status, _, _ = execd("status", state=state)
    first.kill()
    assert code == HUMAN
    assert "another execd is working on this journal" in said
    assert status == 0


def test_a_full_disk_stops_the_process_at_once_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """Exit code 70 while the order works; with room again the same command ends the parent, reconciled."""
    exchange, state = Exchange(tmp_path, "--seed", "5"), tmp_path_factory.mktemp("s")
    try:
        order = write_order(tmp_path, name="full", duration="12s", slices=12, urgency="high")
        command = [sys.executable, "-m", "execd", "run", "-o", str(order), "--exchange", str(exchange.ready), "--json"]
        environment = {**os.environ, "EXECD_STATE_DIR": str(state), "NO_COLOR": "1"}
        # In units of 512 bytes: the journal's write-ahead log grows through it within seconds.
        limited = ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", *command]
        full = subprocess.run(limited, cwd=ROOT, env=environment, capture_output=True, text=True)
        code, output, said = execd(*command[3:], state=state)
        filled = bought(exchange)
    finally:
        exchange.stop()
    assert full.returncode == JOURNAL_FAILED, full.stderr
    assert "a write to the journal failed" in full.stderr.splitlines()[-1]
    assert "Traceback" not in full.stderr
    assert code in (0, 3), said
    report = report_of(output)
    assert report["reconciled"], report["reconciliation"]
    assert Decimal(str(report["filled"])) == filled


@pytest.mark.parametrize("name", ["a file", "a file/below"])
def test_a_state_folder_that_cannot_be_made_is_refused(left: Left, tmp_path: Path, name: str) -> None:
    """One line that names the folder, no traceback."""
    (tmp_path / "a file").touch()
    code, _, said = left.again(tmp_path / name)
    assert code == HUMAN, said
    (line,) = said.splitlines()
    assert line.startswith(f"execd: {tmp_path / name}: the state folder cannot be used")
