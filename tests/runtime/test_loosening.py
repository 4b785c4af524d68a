"""A second user loosens a limit for a while: by the daemon's own look, up to the ceiling, and none of the fuse's."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from execd.core.events import Event, LimitOverridden
from execd.core.grid import MINUTE
from execd.runtime.journal import Journal
from execd.runtime.loosening import FOLDER, KEYS, OverrideError, ask, take
from tests.core.build import Work, at
from tests.runtime.process import Process, execd, write_order

SOMEBODY_ELSE = os.getuid() + 1


def asked(folder: Path, **changes: Any) -> Path:
    """A request as `execd override` leaves it."""
    found = {"key": "child_notional", "value": "80000", "for": "15m", "reason": "thick book", **changes}
    path = folder / FOLDER / f"practice-demo.{found['key']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found))
    return path


def taken(path: Path, uid: int = SOMEBODY_ELSE) -> tuple[list[Event], str]:
    """What the daemon makes of a request: the facts, and its answer."""
    posted: list[Event] = []

    async def record(fact: Event) -> None:
        posted.append(fact)

    asyncio.run(take(path, Work().execution, at(0), record, uid))
    assert not path.exists()
    (answer,) = [each for each in path.parent.iterdir() if each.suffix in (".taken", ".refused")]
    assert (answer.suffix == ".taken") == bool(posted)
    return posted, answer.read_text()


def test_a_limit_is_loosened_with_who_why_and_until_when(tmp_path: Path) -> None:
    (fact,), answer = taken(asked(tmp_path))

    assert isinstance(fact, LimitOverridden)
    assert (fact.parent, fact.key, fact.reason) == ("P1", "child_notional", "thick book")
    assert fact.value == 80_000 * 10**5, "in ticks times lots of this instrument"
    assert fact.until == at(0) + 15 * MINUTE
    assert str(os.getuid()) in fact.by
    assert "child_notional" in answer


def test_whoever_runs_the_parent_cannot_loosen_its_limits(tmp_path: Path) -> None:
    posted, answer = taken(asked(tmp_path), uid=os.getuid())
    assert (posted, "another user must" in answer) == ([], True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"value": "200000"}, "100000 (hard ceiling"),
        ({"value": "much"}, "child_notional: value is 'much'; allowed: "),
        ({"for": "2d"}, "--for: value is '2d'; allowed: a duration from 1s to 1d"),
        ({"reason": " "}, "needs a reason"),
        ({"key": "collar_bps", "value": "60"}, "knows no exception"),
        ({"key": "kill", "value": "1"}, "knows no exception"),
    ],
)
def test_what_is_not_allowed_is_refused_with_a_sentence(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    posted, answer = taken(asked(tmp_path, **changes))
    assert (posted, words in answer) == ([], True), answer


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"key": 1}', b"[" * 100_000])
def test_nonsense_loosens_nothing(tmp_path: Path, content: bytes) -> None:
    path = asked(tmp_path)
    path.write_bytes(content)
    posted, answer = taken(path)
    assert (posted, "not an override" in answer) == ([], True)


def test_every_key_takes_a_value_of_its_own_kind(tmp_path: Path) -> None:
    values = {"participation": "5%", "child_quantity": "0.5", "window_quantity": "5", "child_notional": "1000"}
    for key in KEYS:
        (fact,), _ = taken(asked(tmp_path, key=key, value=values.get(key, "20")))
        assert isinstance(fact, LimitOverridden)
        assert fact.key == KEYS[key]
        for answer in (tmp_path / FOLDER).iterdir():
            answer.unlink()


def test_what_no_daemon_takes_is_withdrawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody shall find it lying there on another day."""
    monkeypatch.setattr("execd.runtime.loosening.ANSWER_S", 0.0)
    with pytest.raises(OverrideError, match="no daemon took the override"):
        ask(tmp_path, "practice-demo", "child_notional=80000", "15m", "thick book")
    assert list((tmp_path / FOLDER).iterdir()) == []


@pytest.mark.parametrize("setting", ["child_notional", "collar_bps=60", "=", "room=1"])
def test_what_cannot_be_loosened_is_not_even_asked_for(tmp_path: Path, setting: str) -> None:
    with pytest.raises(OverrideError, match="allowed: KEY=VALUE, KEY one of child_notional, child_quantity"):
        ask(tmp_path, "practice-demo", setting, "15m", "because")
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can speak as another user")
def test_a_running_parent_is_loosened_by_another_user_and_by_nobody_else(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Through the real command and the real daemon; what was loosened stands in the journal."""
    state, folder = tmp_path_factory.mktemp("s"), tmp_path_factory.mktemp("o")
    order = write_order(folder, name="loose", duration="10m", slices=100)
    life = Process("run", "-o", order, "--mode", "practice", state=state)
    life.until("parent submitted")
    words = ("override", "child_notional=80000", "--for", "1m", "--reason", "thick book")

    own, _, told = execd(*words, state=state)
    assert (own, "runs this parent: another user must" in told) == (5, True)

    path = state / FOLDER / "practice-loose.child_notional.json"
    made = path.with_suffix(".new")
    made.write_text(json.dumps({"key": "child_notional", "value": "80000", "for": "1m", "reason": "thick book"}))
    os.chown(made, 65_534, 65_534)
    made.rename(path)
    while not path.with_suffix(".taken").exists():
        assert life.lines(1), life.said[-5:]
    life.kill()

    (journal,) = (state / "active").glob("*.journal")
    (fact,) = [row.fact for row in Journal.read(journal)[1] if isinstance(row.fact, LimitOverridden)]
    assert (fact.key, fact.reason, "65534" in fact.by) == ("child_notional", "thick book", True)
