"""A process that cannot be trusted says so to the desk once, and says when it is over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from execd.core.events import Event, HealthChanged
from execd.core.grid import Nanos
from execd.runtime import health as rooms
from execd.runtime.health import LOOKS, MIB, Health, watch_health
from execd.runtime.settings import HealthSettings

SETTINGS = HealthSettings(disk_free=100, journal_lag=Nanos(2 * 10**9), loop_lag=Nanos(5 * 10**8))


@dataclass
class Rows:
    """How far a journal is."""

    last: int = 0
    durable: int = 0


class Patient:
    """A process whose disk, journal and clock are in the hands of the test."""

    def __init__(self) -> None:
        self.now, self.free, self.rows = 0.0, 100 * MIB, Rows()
        self.health = Health(SETTINGS, Path("state"), self.rows, lambda: self.now, self._look)

    def _look(self, _folder: Path) -> int:
        if self.free < 0:
            raise OSError(5, "Input/output error")
        return self.free


def test_a_disk_with_too_little_room_is_a_problem() -> None:
    patient = Patient()
    assert patient.health.problem() is None

    patient.free -= 1

    assert patient.health.problem() == (
        "less than 100 MiB are free on the disk of state (execd.yaml: health.disk_free)"
    )


def test_a_disk_that_cannot_be_looked_at_is_a_problem() -> None:
    patient = Patient()
    patient.free = -1

    assert patient.health.problem() == "the disk of state cannot be looked at: Input/output error"


def test_a_row_that_is_not_durable_for_too_long_is_a_problem_until_it_is() -> None:
    patient = Patient()
    patient.rows.last = 1
    assert patient.health.problem() is None
    patient.now = 2.0
    assert patient.health.problem() is None, "two seconds are the limit"

    patient.now = 2.1
    assert "health.journal_lag" in str(patient.health.problem())
    patient.rows.durable, patient.rows.last = 1, 2
    assert patient.health.problem() is None, "another row, which has just begun to wait"
    patient.rows.durable = 2
    assert patient.health.problem() is None


def test_a_loop_that_is_late_for_long_is_a_problem() -> None:
    patient = Patient()
    for _ in range(LOOKS - 2):
        patient.health.lagged(0.0)
    patient.health.lagged(9.0)
    assert patient.health.problem() is None, "ten seconds have not passed yet"

    patient.health.lagged(9.0)
    assert "health.loop_lag" in str(patient.health.problem())
    for _ in range(LOOKS):
        patient.health.lagged(0.4)
    assert patient.health.problem() is None


@pytest.mark.parametrize("believed", [None, "an earlier life's problem"])
async def test_the_desk_hears_of_a_change_once(believed: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also that what an earlier life found wrong is so no more."""
    monkeypatch.setattr(rooms, "LOOK_S", 0.0)
    patient, posted, looks = Patient(), list[Event](), 0
    heard: list[str | None] = [believed]

    def look(_lag: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 30:
            patient.free = 0
        if looks == 60:
            heard[0] = "less than 100 MiB are free on the disk of state (execd.yaml: health.disk_free)"
        if looks == 90:
            patient.free = 100 * MIB
        if looks == 150:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await watch_health(patient.health, lambda: heard[0], posted.append, look)

    first = [] if believed is None else [HealthChanged(None)]
    problem = "less than 100 MiB are free on the disk of state (execd.yaml: health.disk_free)"
    assert posted == [*first, HealthChanged(problem), HealthChanged(None)]
