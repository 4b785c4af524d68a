"""An operator's word for a scope finds its latch, or is refused with what there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from execd.runtime.journal import Journal
from execd.runtime.latch import Latch, Scope
from execd.runtime.scopes import ScopeError, Target, choose
from tests.runtime.journal_writer import HEADER

DEMO, OTHER = "paaaaaaaaaaaaaaa", "pbbbbbbbbbbbbbbb"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder with two unfinished parents."""
    active = tmp_path / "active"
    active.mkdir()
    for name, parent in (("practice-demo", DEMO), ("paper-other", OTHER)):
        Journal.open(active / f"{name}.journal", header=replace(HEADER, parent=parent), create=True).close()
    return tmp_path


def test_all_is_the_file_that_a_hand_would_make(folder: Path) -> None:
    target = choose(folder, "all", None)

    assert (target, target.latch(folder).path) == (Target(Scope.ALL, "all"), folder / "KILL")


def test_an_exchange_is_meant_by_its_name(folder: Path) -> None:
    assert choose(folder, "exchange", "kraken").latch(folder).path == folder / "KILL.kraken"


@pytest.mark.parametrize("word", ["practice-demo", "demo", DEMO])
def test_a_parent_is_meant_by_its_files_name_its_orders_name_or_its_id(folder: Path, word: str) -> None:
    assert choose(folder, "parent", word).latch(folder).path == folder / f"KILL.{DEMO}"


def test_a_latch_that_a_finished_parent_left_can_be_meant(folder: Path) -> None:
    left = "pccccccccccccccc"
    Latch.of_parent(folder, left).trip("drill", "alice")

    assert choose(folder, "parent", left) == Target(Scope.PARENT, left)


@pytest.mark.parametrize(
    ("word", "name", "words"),
    [
        ("world", None, "--scope: value is 'world'; allowed: all, exchange, parent"),
        ("all", "binance", "--scope all takes no name, but 'binance' is given"),
        ("exchange", None, "--scope exchange needs a name; allowed: .*binance"),
        ("exchange", "binanze", "--scope exchange: value is 'binanze'; allowed: .*binance"),
        ("parent", None, rf"--scope parent: needs a name; unfinished in .*: paper-other \({OTHER}\), practice-demo"),
        ("parent", "demos", "--scope parent: value is 'demos'; unfinished in .*practice-demo"),
        ("parent", "log", "--scope parent: value is 'log'"),
    ],
)
def test_what_names_nothing_is_refused_with_what_there_is(
    folder: Path, word: str, name: str | None, words: str
) -> None:
    """Files beside the latches are no parents: the log of a reset is there."""
    Latch.of_all(folder).trip("drill", "alice")
    Latch.of_all(folder).reset("bob", "over")

    with pytest.raises(ScopeError, match=words):
        choose(folder, word, name)


def test_a_name_that_two_parents_have_is_refused(folder: Path) -> None:
    """The demo of practice and the demo of paper: a kill of the wrong one would look like one of the right one."""
    Journal.open(folder / "active" / "paper-demo.journal", header=replace(HEADER, parent=OTHER), create=True).close()

    with pytest.raises(ScopeError, match="'demo', which several have"):
        choose(folder, "parent", "demo")


def test_a_journal_that_cannot_be_read_hides_no_other(folder: Path) -> None:
    (folder / "active" / "live-broken.journal").write_text("nonsense")

    assert choose(folder, "parent", "demo").name == DEMO
    with pytest.raises(ScopeError, match=r"live-broken \(.*live-broken"):
        choose(folder, "parent", "broken")
