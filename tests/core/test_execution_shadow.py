"""A model that only watches is recorded beside the one that trades, and moves nothing."""

from __future__ import annotations

from execd.core.events import ParentCanceled, ShadowProposed
from execd.core.execution import Phase
from tests.core.build import Work, at


def test_a_shadow_is_recorded_and_changes_nothing() -> None:
    """Whatever it says and whenever it says it: no command, no deadline, no target, no word in the ledger."""
    watched, alone = Work(), Work()
    for seconds, share in ((0, 0.5), (1, float("nan")), (30, 7.0)):
        before = (watched.wakes_at, repr(watched.execution.ledger), watched.execution.phase)
        assert watched.tell(ShadowProposed("P1", 0, share, "vwap-2", ""), seconds) == []
        assert (watched.wakes_at, repr(watched.execution.ledger), watched.execution.phase) == before
    watched.now = at(0)

    assert watched.propose(0.2, seconds=0.1) == alone.propose(0.2, seconds=0.1)
    assert watched.execution.ledger == alone.execution.ledger
    assert watched.execution.shadow[0] == ShadowProposed("P1", 0, 7.0, "vwap-2", "")
    assert alone.execution.shadow == {}


def test_a_shadow_speaks_after_the_end_too() -> None:
    work = Work()
    work.tell(ParentCanceled("P1", "ann"))
    assert work.execution.phase is Phase.DONE

    assert work.tell(ShadowProposed("P1", 3, 0.1, "vwap-2", "")) == []


def test_the_ledger_says_how_much_had_filled_when_a_slice_was_decided() -> None:
    work = Work()
    order = work.working()
    work.fill(order, order.quantity, 5)
    work.wake(60)
    work.fall_back(1)

    assert [record.before for record in work.execution.ledger.values()] == [0, order.quantity]
