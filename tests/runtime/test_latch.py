"""The latch is set once anybody says so, stays set, and is only released by a human, on record."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from execd.core.grid import Nanos
from execd.runtime import latch as latching
from execd.runtime.latch import Cause, Kind, Latch, LatchError, Scope, Switch


@pytest.fixture
def latch(tmp_path: Path) -> Latch:
    return Latch(tmp_path / "state" / "KILL", clock=lambda: 42)


def test_a_latch_that_nobody_set_is_open(latch: Latch) -> None:
    assert not latch.tripped
    assert latch.causes() == ()


def test_a_trip_is_seen_by_every_start_to_come(latch: Latch) -> None:
    latch.trip("operator", "alice")

    again = Latch(latch.path)
    assert again.tripped
    assert again.causes() == (Cause("operator", "alice", Nanos(42)),)


def test_a_second_trip_adds_its_cause_and_a_repeat_adds_nothing(latch: Latch) -> None:
    latch.trip("operator", "alice")
    latch.trip("overfill", "execd")
    latch.trip("operator", "alice")

    assert [(c.cause, c.by) for c in latch.causes()] == [("operator", "alice"), ("overfill", "execd")]


def made_by_hand(path: Path) -> None:
    path.touch()


def full_of_nonsense(path: Path) -> None:
    path.write_bytes(b'\xff\xfe{"cause": 1}\n[[[[\n{"cause":"x","by":"y","at":"never"}')


def a_folder(path: Path) -> None:
    path.mkdir()


def a_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def without_its_folder(path: Path) -> None:
    path.parent.rmdir()


def with_a_file_for_a_folder(path: Path) -> None:
    path.parent.rmdir()
    path.parent.touch()


@pytest.mark.parametrize(
    "make",
    [made_by_hand, full_of_nonsense, a_folder, a_dangling_link, without_its_folder, with_a_file_for_a_folder],
)
def test_whatever_cannot_be_understood_is_set(latch: Latch, make: Callable[[Path], None]) -> None:
    make(latch.path)

    assert latch.tripped
    assert latch.causes()


def test_a_trip_is_kept_beside_what_a_hand_or_a_torn_write_left(latch: Latch) -> None:
    latch.path.write_bytes(b'{"cause": "oper')
    latch.trip("watchdog", "execd")

    causes = latch.causes()
    assert len(causes) == 2
    assert "unreadable" in causes[0].cause
    assert causes[1] == Cause("watchdog", "execd", Nanos(42))


def test_a_reset_is_on_record_with_all_causes(latch: Latch) -> None:
    latch.trip("operator", "alice")
    latch.trip("overfill", "execd")
    causes = latch.reset("bob", "reconciled by hand")

    assert not latch.tripped
    assert [c.cause for c in causes] == ["operator", "overfill"]
    record = json.loads(latch.log.read_text())
    assert (record["reset_by"], record["reason"], record["at"]) == ("bob", "reconciled by hand", 42)
    assert [c["cause"] for c in record["causes"]] == ["operator", "overfill"]


def test_the_log_keeps_every_reset(latch: Latch) -> None:
    for name in ("bob", "carol"):
        latch.trip("drill", "alice")
        latch.reset(name, "drill over")

    assert [json.loads(line)["reset_by"] for line in latch.log.read_text().splitlines()] == ["bob", "carol"]


@pytest.mark.parametrize(("by", "reason"), [("", "x"), ("bob", ""), ("bob", "  ")])
def test_a_reset_without_a_name_or_a_reason_is_refused(latch: Latch, by: str, reason: str) -> None:
    latch.trip("operator", "alice")
    with pytest.raises(LatchError, match="reason"):
        latch.reset(by, reason)
    assert latch.tripped


def test_a_reset_of_what_is_not_set_is_refused(latch: Latch) -> None:
    with pytest.raises(LatchError, match="nothing to reset"):
        latch.reset("bob", "habit")
    assert not latch.log.exists()


def test_a_reset_whose_log_cannot_be_written_leaves_the_latch_set(latch: Latch) -> None:
    latch.trip("operator", "alice")
    latch.log.mkdir()
    with pytest.raises(LatchError, match="cannot be reset"):
        latch.reset("bob", "done")
    assert latch.tripped


def test_a_trip_that_cannot_be_made_durable_is_an_error(latch: Latch) -> None:
    latch.path.parent.rmdir()
    with pytest.raises(LatchError, match="cannot be written"):
        latch.trip("operator", "alice")


def test_a_latch_in_an_impossible_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LatchError, match="cannot be made"):
        Latch(tmp_path / "file" / "KILL")


def test_a_parents_latch_is_its_own(tmp_path: Path) -> None:
    one, other, everything = (
        Latch.of_parent(tmp_path, "p1"), Latch.of_parent(tmp_path, "p2"), Latch.of_all(tmp_path)
    )  # fmt: skip
    one.trip("operator", "alice")

    assert (one.tripped, other.tripped, everything.tripped) == (True, False, False)
    assert everything.path == tmp_path / "KILL"


def _trip_often(path: str, name: str) -> None:
    for number in range(20):
        Latch(Path(path)).trip(f"cause {number}", name)


def _reset_often(path: str) -> None:
    for _ in range(30):
        try:
            Latch(Path(path)).reset("bob", "drill")
        except LatchError:
            continue


def test_no_cause_is_lost_between_processes_that_trip_and_reset_at_once(latch: Latch) -> None:
    """Each trip is found in the log of the resets or still in the latch."""
    context = multiprocessing.get_context("spawn")
    jobs = [context.Process(target=_trip_often, args=(str(latch.path), name)) for name in ("a", "b")]
    jobs.append(context.Process(target=_reset_often, args=(str(latch.path),)))
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
        assert job.exitcode == 0

    logged = [json.loads(line)["causes"] for line in latch.log.read_text().splitlines()] if latch.log.exists() else []
    seen = {(c["cause"], c["by"]) for causes in logged for c in causes} | {(c.cause, c.by) for c in latch.causes()}
    assert seen == {(f"cause {number}", name) for number in range(20) for name in ("a", "b")}


def test_the_record_is_synced_before_trip_returns(latch: Latch, monkeypatch: pytest.MonkeyPatch) -> None:
    """File and folder: a name that is not durable is no latch."""
    synced: list[str] = []
    real = os.fsync

    def watching(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        real(handle)

    monkeypatch.setattr(os, "fsync", watching)
    latch.trip("operator", "alice")
    assert synced == ["KILL", "state"]
    latch.trip("operator", "alice")
    assert synced == ["KILL", "state"] * 2, "whoever recorded it first may have died before it was durable"


def test_a_record_that_is_full_keeps_what_it_has(latch: Latch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever trips again and again cannot fill the disk: it is set, and that is what counts."""
    monkeypatch.setattr(latching, "LARGEST", 100)
    for number in range(10):
        latch.trip(f"cause {number}", "alice")

    assert latch.tripped
    assert latch.path.stat().st_size < 200


@pytest.mark.parametrize("make", [made_by_hand, full_of_nonsense, a_folder, a_dangling_link, without_its_folder])
def test_what_a_hand_has_set_is_made_durable_where_it_can_be(latch: Latch, make: Callable[[Path], None]) -> None:
    """What cannot be synced is no reason not to be set."""
    make(latch.path)
    latch.secure()

    assert latch.tripped


def test_what_was_not_known_at_a_reset_stands_in_its_record(latch: Latch) -> None:
    latch.trip("operator", "alice")
    latch.reset("bob", "looked myself", ["nobody knows what is open"])

    assert json.loads(latch.log.read_text())["unproven"] == ["nobody knows what is open"]


@pytest.mark.parametrize(
    ("by", "kind"),
    [
        ("alice (uid 1000)", Kind.OPERATOR),
        ("unknown", Kind.FILE),
        ("signal", Kind.SIGNAL),
        ("http 127.0.0.1", Kind.HTTP),
        ("control", Kind.CONTROL),
        ("watchdog", Kind.WATCHDOG),
        ("", Kind.OPERATOR),
    ],
)
def test_a_cause_tells_what_tripped_it(by: str, kind: Kind) -> None:
    assert Cause("x", by, Nanos(0)).kind is kind


@pytest.mark.parametrize("scope", Scope)
def test_a_wider_latch_stops_what_a_narrower_one_would(tmp_path: Path, scope: Scope) -> None:
    """Each of the three stops this parent; only the wider ones stop another."""
    mine, sister, abroad = (
        Switch(tmp_path, "binance", "p1"), Switch(tmp_path, "binance", "p2"), Switch(tmp_path, "kraken", "p3")
    )  # fmt: skip
    mine.latches[scope].trip("drill", "alice")

    assert mine.tripped
    assert sister.tripped == (scope is not Scope.PARENT)
    assert abroad.tripped == (scope is Scope.ALL)
    assert mine.latched == {scope}
    assert [(where, cause.cause) for where, cause in mine.causes()] == [(scope, "drill")]


def test_a_switch_that_nobody_set_lets_pass(tmp_path: Path) -> None:
    switch = Switch(tmp_path, "binance", "p1")

    assert (switch.tripped, switch.latched, switch.causes()) == (False, frozenset(), ())


def test_a_trip_stops_from_its_beginning_and_is_a_record_at_its_end(tmp_path: Path) -> None:
    """Nothing is on the disk yet, and no order leaves any more."""
    switch = Switch(tmp_path, "binance", "p1")

    record = switch.begin(Scope.PARENT, "overfill", "control")

    assert switch.tripped
    assert switch.latched == {Scope.PARENT}
    assert [cause.cause for _, cause in switch.causes()] == ["overfill"]
    assert not switch.latches[Scope.PARENT].tripped
    record()
    assert Switch(tmp_path, "binance", "p1").latched == {Scope.PARENT}
    switch.latches[Scope.PARENT].reset("bob", "over")
    assert not switch.tripped


def test_a_trip_that_cannot_be_written_stops_all_the_same(tmp_path: Path) -> None:
    switch = Switch(tmp_path / "state", "binance", "p1")
    (tmp_path / "state" / "KILL.lock").mkdir()

    record = switch.begin(Scope.ALL, "drill", "signal")
    with pytest.raises(LatchError, match="cannot be written"):
        record()

    assert switch.tripped
