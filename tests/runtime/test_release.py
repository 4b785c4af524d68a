"""A reset is refused while anything is open, in doubt or not known, and is typed by a human in the end."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from execd.cli import app
from execd.core.events import Event
from execd.runtime import operate, release
from execd.runtime.control import Control
from execd.runtime.journal import Journal, hold
from execd.runtime.latch import Latch, LatchError, Scope
from execd.runtime.release import Findings
from execd.runtime.scopes import Target
from tests.runtime.journal_writer import HEADER
from tests.runtime.process import ROOT

PARENT, OTHER = "paaaaaaaaaaaaaaa", "pbbbbbbbbbbbbbbb"
ALL = Target(Scope.ALL, "all")
CLEAN = {
    "parent": PARENT,
    "venue": "binance",
    "open_orders": 0,
    "in_doubt": 0,
    "reconciled": True,
    "reconciliation": "fills by the journal = fills by the exchange: 3 = 3",
    "kill": {"latched": ["all"], "clear": True},
}


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a short path: a socket lies in it.  One parent is unfinished."""
    found = tmp_path_factory.mktemp("s")
    (found / "active").mkdir()
    _unfinished(found, "practice-demo", PARENT)
    return found


def _unfinished(folder: Path, name: str, parent: str) -> Path:
    path = folder / "active" / f"{name}.journal"
    Journal.open(path, header=replace(HEADER, parent=parent), create=True).close()
    return path


async def _nothing(_fact: Event) -> int:
    raise AssertionError("a reset tells the daemon nothing")


async def _never(_row: int) -> None:
    raise AssertionError("a reset waits for no row")


@contextlib.asynccontextmanager
async def daemon(folder: Path, status: dict[str, Any]) -> AsyncIterator[None]:
    """A daemon that works on the demo and stands as it is told to."""
    control = Control(folder / "active" / "practice-demo.sock", PARENT, _nothing, _never, lambda: status)
    await control.open()
    try:
        yield
    finally:
        await control.close()


async def looked(folder: Path, target: Target = ALL) -> Findings:
    return await asyncio.to_thread(release.look, folder, target)


async def test_a_daemon_that_is_clean_forbids_nothing(folder: Path) -> None:
    async with daemon(folder, CLEAN):
        assert await looked(folder) == Findings()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"open_orders": 2}, "practice-demo: 2 orders are open"),
        ({"in_doubt": 1}, "practice-demo: 1 orders are in doubt"),
        ({"open_orders": None}, "practice-demo: nobody knows how many orders are open"),
        ({"kill": {"clear": False}}, "practice-demo: the exchange has not yet said twice"),
        ({"kill": None}, "practice-demo: the exchange has not yet said twice"),
        ({"reconciled": False, "reconciliation": "1 fills differ"}, "not reconciled since the kill: 1 fills differ"),
    ],
)
async def test_each_thing_that_is_not_clean_forbids_it_by_itself(
    folder: Path, changes: dict[str, Any], words: str
) -> None:
    """What a daemon does not say, an older one perhaps, is not clean either."""
    async with daemon(folder, CLEAN | changes):
        (sentence,) = (await looked(folder)).forbids

        assert words in sentence


async def test_only_the_parents_under_the_scope_are_asked_for(folder: Path) -> None:
    """A parent's reset does not wait for another parent, an exchange's not for another exchange."""
    _unfinished(folder, "paper-other", OTHER)
    async with daemon(folder, CLEAN | {"open_orders": 1}):
        assert (await looked(folder, Target(Scope.PARENT, PARENT))).unknown == []
        assert (await looked(folder, Target(Scope.PARENT, OTHER))).forbids == []
        assert (await looked(folder, Target(Scope.EXCHANGE, "kraken"))).forbids == []
        assert len((await looked(folder, Target(Scope.EXCHANGE, "binance"))).forbids) == 1
        found = await looked(folder)
        assert (len(found.forbids), len(found.unknown)) == (1, 1)


def test_what_no_daemon_works_on_is_not_known_and_what_one_hangs_on_forbids(folder: Path) -> None:
    """A process that holds the journal may wake up with an order on its way."""
    found = release.look(folder, ALL)
    assert found.forbids == []
    assert "practice-demo: no daemon works on it" in found.unknown[0]

    with contextlib.ExitStack() as stack:
        stack.callback(os.close, hold(folder / "active" / "practice-demo.journal"))
        found = release.look(folder, ALL)
    assert found.unknown == []
    assert "a process works on it but does not answer" in found.forbids[0]


@pytest.fixture
def latch(folder: Path) -> Latch:
    found = Latch.of_all(folder)
    found.trip("drill", "alice (uid 1000)")
    return found


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no daemon works on it, so what it has open at the exchange is not known"),
        (["--confirm", "all"], "Or look at the exchange yourself: --unreconciled"),
        (["--unreconciled"], "there is no terminal to ask at; give --confirm all"),
        (["--unreconciled", "--confirm", "yes"], "'yes' was typed, not 'all'"),
        (["--unreconciled", "--confirm", ""], "'' was typed, not 'all'"),
    ],
)
def test_a_reset_that_is_not_whole_leaves_it_set(latch: Latch, folder: Path, arguments: list[str], words: str) -> None:
    """Exit code 5, the sentence that helps, and the causes all the same."""
    command = ["reset", "--reason", "over", *arguments]
    result = CliRunner().invoke(app, command, env={"EXECD_STATE_DIR": str(folder)})

    assert (result.exit_code, latch.tripped) == (5, True), result.output
    assert words in result.stderr
    assert "was: drill (by alice (uid 1000))" in result.stdout


def test_a_reset_that_is_whole_is_on_record_with_what_was_not_known(latch: Latch, folder: Path) -> None:
    command = ["reset", "--reason", "looked myself", "--unreconciled", "--confirm", "all"]
    result = CliRunner().invoke(app, command, env={"EXECD_STATE_DIR": str(folder)})

    assert (result.exit_code, latch.tripped) == (0, False), result.output
    record = json.loads(latch.log.read_text())
    assert record["reason"] == "looked myself"
    assert "practice-demo: no daemon works on it" in record["unproven"][0]
    assert f"uid {os.getuid()}" in record["reset_by"]


async def test_open_orders_cannot_be_answered_for_by_anybody(latch: Latch, folder: Path) -> None:
    """--unreconciled is for what is not known, not for what is."""
    async with daemon(folder, CLEAN | {"open_orders": 1}):
        with pytest.raises(LatchError, match="stays set: practice-demo: 1 orders are open"):
            await asyncio.to_thread(lambda: operate.reset(folder, "now", "all", None, "all", unreconciled=True))
    assert latch.tripped


def test_at_a_terminal_the_name_is_asked_for(latch: Latch, folder: Path) -> None:
    ours, its = pty.openpty()
    environment = {**os.environ, "EXECD_STATE_DIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "execd", "reset", "--reason", "over", "--unreconciled"],
        cwd=ROOT, env=environment, stdin=its, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.write(ours, b"all\n")
    output, _ = process.communicate(timeout=60)
    os.close(ours)
    os.close(its)

    assert (process.returncode, latch.tripped) == (0, False), output
    assert "Type all to release" in output


def test_who_it_was_is_taken_from_the_system_and_not_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = operate.who()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "mallory")
    assert getpass.getuser() == "mallory"
    assert operate.who() == before
    monkeypatch.setenv("SUDO_USER", "alice")
    assert "sudo by alice" in operate.who()


@pytest.mark.parametrize(
    ("arguments", "code", "path"),
    [
        (["--scope", "parent", "demo"], 0, f"KILL.{PARENT}"),
        (["--scope", "exchange", "kraken"], 0, "KILL.kraken"),
        ([], 0, "KILL"),
        (["--scope", "parent", "nobody"], 2, None),
        (["--scope", "exchange", "nowhere"], 2, None),
        (["--scope", "everything"], 2, None),
        (["demo"], 2, None),
    ],
)
def test_a_kill_sets_the_latch_of_its_scope_or_says_that_it_set_none(
    folder: Path, arguments: list[str], code: int, path: str | None
) -> None:
    command = ["kill", "--reason", "wrong side", *arguments]
    result = CliRunner().invoke(app, command, env={"EXECD_STATE_DIR": str(folder)})

    assert result.exit_code == code, result.output
    latched = [found.name for found in folder.glob("KILL*") if not found.name.endswith(".lock")]
    assert latched == ([] if path is None else [path])
    assert "Traceback" not in result.output


async def test_a_kill_has_the_running_daemons_look_at_once(folder: Path) -> None:
    looks: list[bool] = []
    control = Control(folder / "active" / "practice-demo.sock", PARENT, _nothing, _never, dict)
    control.look = lambda: looks.append(Latch.of_all(folder).tripped)
    await control.open()
    try:
        await asyncio.to_thread(operate.kill, folder, "wrong side", "all", None)
    finally:
        await control.close()

    assert looks == [True]


def test_a_kill_needs_nobody_to_answer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A socket of a dead process lies there: the latch is set, and the operator hears both."""
    (folder / "active" / "practice-demo.sock").touch()

    operate.kill(folder, "wrong side", "all", None)

    assert Latch.of_all(folder).tripped
    assert "practice-demo does not answer" in capsys.readouterr().err
