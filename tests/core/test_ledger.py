"""The ledger's rows say what was decided, and count why."""

from __future__ import annotations

from execd.core.grid import Lots
from execd.core.ledger import SliceRecord
from tests.core.build import at


def a_record() -> SliceRecord:
    return SliceRecord(0, at(0), at(60), Lots(100), Lots(120), 0.12, "vwap-2", "proposed", Lots(0))


def test_a_row_begins_with_nothing_sent_and_nothing_filled() -> None:
    record = a_record()

    assert (record.children, record.filled, record.notional, dict(record.notes)) == (0, 0, 0, {})


def test_a_reason_that_comes_twice_is_counted_twice() -> None:
    record, other = a_record(), a_record()
    for words in ("clipped by room", "on schedule", "clipped by room"):
        record.note(words)

    assert record.notes == {"clipped by room": 2, "on schedule": 1}
    assert not other.notes, "each row counts for itself"
