"""A journal without a thread writes when it is told to, and keeps the same promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from execd.core.events import Event, ParentPaused, Woken
from execd.core.grid import Nanos
from execd.runtime.journal import Journal, JournalError, JournalFailed, Settled
from tests.runtime.journal_writer import HEADER


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "p1.journal"


@pytest.fixture
def journal(path: Path) -> Journal:
    return Journal.open(path, header=HEADER, create=True, threaded=False)


def refuse(journal: Journal, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Let the next commits fail, after something has happened."""

    def refusing() -> bool:
        meanwhile()
        return True

    journal._connection.set_commit_hook(refusing)


def noted(told: list[tuple[int, JournalFailed | None]], seq: int) -> Settled:
    """One who waits for a row, and writes down what it hears."""
    return lambda failed: told.append((seq, failed))


def rows(path: Path) -> list[tuple[int, Event]]:
    return [(row.seq, row.fact) for row in Journal.read(path)[1]]


def test_nothing_is_written_before_it_is_told_to_and_then_all_of_it_is(journal: Journal, path: Path) -> None:
    """In the order in which it was appended; each row is told as durable, by its kind, with the time that it took."""
    seen: list[tuple[str, float]] = []
    journal.on_durable = lambda kind, seconds: seen.append((kind, seconds))
    facts: list[Event] = [Woken(), ParentPaused("p1", "me"), Woken()]
    assert [journal.append(Nanos(9), fact, []) for fact in facts] == [1, 2, 3]
    assert (journal.last, journal.durable, seen, rows(path)) == (3, 0, [], [])

    journal.write()

    assert (journal.last, journal.durable) == (3, 3)
    assert rows(path) == list(enumerate(facts, start=1))
    assert [kind for kind, _ in seen] == ["Woken", "ParentPaused", "Woken"]
    assert all(seconds >= 0 for _, seconds in seen)
    journal.close()


def test_who_waits_for_a_row_is_told_once_and_not_before_it_is_durable(journal: Journal) -> None:
    """A row that comes while another is being written is of the next write."""
    told: list[tuple[int, JournalFailed | None]] = []

    def another() -> bool:
        if journal.last == 1:
            journal.append(Nanos(2), Woken(), [])
            assert not journal.when_durable(2, noted(told, 2))
        return False

    journal._connection.set_commit_hook(another)
    journal.append(Nanos(1), Woken(), [])
    assert not journal.when_durable(1, noted(told, 1))

    journal.write()
    assert (journal.durable, told) == (1, [(1, None)])
    assert journal.when_durable(1, noted(told, 1)), "durable already: nobody is called"

    journal.write()
    journal.write()
    assert (journal.durable, told) == (2, [(1, None), (2, None)])
    journal.close()


def test_a_write_that_fails_is_told_to_all_and_never_tried_again(journal: Journal, path: Path) -> None:
    told: list[tuple[int, JournalFailed | None]] = []
    alarms: list[JournalFailed] = []
    attempts: list[int] = []
    journal.on_failure = alarms.append
    journal.append(Nanos(1), Woken(), [])
    journal.append(Nanos(2), Woken(), [])
    assert not journal.when_durable(1, noted(told, 1))
    assert not journal.when_durable(2, noted(told, 2))
    refuse(journal, lambda: attempts.append(1))

    journal.write()

    (failed,) = alarms
    assert journal.failed is failed
    assert str(failed).startswith(f"{path}: a write to the journal failed: ")
    assert told == [(1, failed), (2, failed)]
    assert journal.durable == 0
    with pytest.raises(JournalFailed) as refusal:
        journal.append(Nanos(3), Woken(), [])
    assert refusal.value is failed
    with pytest.raises(JournalFailed) as refusal:
        journal.when_durable(1, noted(told, 1))
    assert refusal.value is failed
    journal.close()
    assert len(attempts) == 1, "closing does not try it again"
    assert rows(path) == []


def test_a_close_writes_what_is_left(journal: Journal, path: Path) -> None:
    told: list[tuple[int, JournalFailed | None]] = []
    journal.append(Nanos(1), Woken(), [])
    assert not journal.when_durable(1, noted(told, 1))

    journal.close()

    assert told == [(1, None)]
    assert rows(path) == [(1, Woken())]
    Journal.open(path, header=HEADER, create=False).close()


def test_writing_nothing_is_harmless(journal: Journal) -> None:
    refuse(journal)
    journal.write()
    assert (journal.durable, journal.failed) == (0, None), "no transaction was begun, so none was refused"
    journal.close()


def test_a_row_that_was_never_appended_is_not_waited_for(journal: Journal) -> None:
    journal.append(Nanos(1), Woken(), [])
    with pytest.raises(AssertionError, match=r"^row 2 was never appended$"):
        journal.when_durable(2, lambda _: None)
    journal.close()


def test_a_journal_with_a_thread_is_not_written_by_hand(path: Path) -> None:
    journal = Journal.open(path, header=HEADER, create=True)
    with pytest.raises(AssertionError, match=r"^the thread writes$"):
        journal.write()
    journal.close()


def test_only_a_thread_is_told_to_end(journal: Journal) -> None:
    """A row after the end would be lost without a word."""
    journal._inbox.put(None)
    with pytest.raises(AssertionError, match=r"^only a thread is told to end$"):
        journal.write()
    journal.close()


def test_a_journal_that_could_not_be_opened_can_be_opened_later(path: Path) -> None:
    """Neither the lock nor the file is kept by an attempt that was refused."""
    path.write_text("a text " * 100)
    with pytest.raises(JournalError, match="not a journal"):
        Journal.open(path, header=HEADER, create=True, threaded=False)
    path.unlink()
    Journal.open(path, header=HEADER, create=True, threaded=False).close()
