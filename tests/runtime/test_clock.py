"""The clock follows the venue from a start on, goes on from an earlier life, and never back."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from execd.core.grid import HOUR, SECOND, Nanos
from execd.runtime import clock
from execd.runtime.clock import Clock


class Machine:
    """The two clocks of a machine, as the module `time` shows them."""

    def __init__(self) -> None:
        self.wall, self.since_boot = 100 * HOUR, 7 * HOUR

    def time_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.since_boot

    def pass_by(self, span: int) -> None:
        self.wall += span
        self.since_boot += span


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
def test_a_machine_whose_clock_is_wrong_goes_by_the_venues_time_at_once(ahead: int) -> None:
    """One that is ahead must not stand still until the venue has caught up: no slice would ever begin."""
    machine = Machine()
    with patch.object(clock, "time", machine):
        ours = Clock()
        venue_time = ours() - ahead
        ours.shift(Nanos(-ahead))
        assert venue_time == ours()
        machine.pass_by(SECOND)
        assert venue_time + SECOND == ours()


def test_the_wall_clock_may_jump_while_we_run() -> None:
    machine = Machine()
    with patch.object(clock, "time", machine):
        ours = Clock()
        begun = ours()
        machine.wall -= HOUR
        machine.pass_by(SECOND)
        assert begun + SECOND == ours()


def test_a_life_does_not_begin_before_the_last_one_ended() -> None:
    machine = Machine()
    with patch.object(clock, "time", machine):
        ours = Clock()
        last = Nanos(ours() + SECOND)
        ours.not_before(last)
        assert last == ours()
        machine.pass_by(3 * SECOND)
        assert last + 2 * SECOND == ours()
