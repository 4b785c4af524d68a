"""What a journal tells without its exchange: every decision again, or the report as far as it goes."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path

from execd.core.execution import Execution
from execd.runtime import replay as replaying
from execd.runtime.journal import Journal, JournalError
from execd.runtime.reconcile import Verdict
from execd.runtime.report import ModelUse, as_json
from execd.runtime.report import report as make_report
from execd.runtime.show import console_for_people, show

DIFFERENCES_SHOWN = 10


def replay(path: Path, *, json: bool) -> bool:
    """Replay a journal and say what did not repeat; True if all did.  Raises JournalError."""
    contents, rows = Journal.read(path)
    result = replaying.replay(rows)
    identical = not result.differences
    if json:
        found = {
            "journal": str(path),
            "parent": contents.header.parent,
            "rows": result.rows,
            "decisions": result.decisions,
            "different": [difference.row.seq for difference in result.differences],
            "identical": identical,
        }
        sys.stdout.write(json_module.dumps(found) + "\n")
        return identical
    for difference in result.differences[:DIFFERENCES_SHOWN]:
        sys.stdout.write(
            f"row {difference.row.seq} {type(difference.row.fact).__name__}: "
            f"then {_words(difference.row.commands)}; now {_words(difference.now_gives)}\n"
        )
    verdict = "identical" if identical else f"{len(result.differences)} differ"
    sys.stdout.write(f"{path.name}: {result.rows} rows, {result.decisions} decisions: {verdict}\n")
    return identical


def report(path: Path, *, json: bool) -> None:
    """Print the report of a journal.  Raises JournalError."""
    contents, rows = Journal.read(path)
    result = replaying.replay(rows)
    if not result.desk.executions:
        raise JournalError(f"{path}: holds no parent")
    execution: Execution = next(iter(result.desk.executions.values()))
    model = ModelUse("as journalled", contents.header.model_sha256, None)
    unasked = Verdict(len(execution.blotter.fills), 0, unanswered="the exchange was not asked, only the journal")
    found = make_report(execution, unasked, model, mode=contents.header.mode, journal=str(path))
    if json:
        sys.stdout.write(as_json(found) + "\n")
    else:
        show(found, console_for_people())


def _words(commands: tuple[object, ...]) -> str:
    return ", ".join(type(command).__name__ for command in commands) or "nothing"
