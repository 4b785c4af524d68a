"""Before a human may release the kill switch: what is known of the orders under it, and what is not.

Promise: nothing is released while an order of ours is open or in doubt, or while the accounts do not agree, as far as
a daemon can tell.  Where no daemon can tell, a human must say that they have looked at the exchange themselves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from execd.runtime import control
from execd.runtime.journal import JournalError, hold
from execd.runtime.latch import Scope
from execd.runtime.scopes import Target, Unfinished, unfinished


@dataclass(slots=True)
class Findings:
    """Sentences: what forbids a release, whatever is typed; and what nobody here can tell."""

    forbids: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def look(folder: Path, target: Target) -> Findings:
    """Ask the daemons under a scope, and find the parents that no daemon works."""
    found = Findings()
    for parent in unfinished(folder):
        if target.scope is Scope.PARENT and parent.parent not in (target.name, None):
            continue
        try:
            status = control.ask(parent.journal.with_suffix(control.SUFFIX), "status")
        except control.ControlError as error:
            _unanswered(parent, error, found)
            continue
        if target.scope is not Scope.EXCHANGE or status.get("venue") == target.name:
            found.forbids += [f"{parent.name}: {words}" for words in _obstacles(status)]
    return found


def _unanswered(parent: Unfinished, error: control.ControlError, found: Findings) -> None:
    try:
        os.close(hold(parent.journal))
    except JournalError:
        # It may wake up with an order on its way: only the latch holds that back.
        found.forbids.append(f"{parent.name}: a process works on it but does not answer ({error}); end it first")
        return
    except OSError:
        pass
    found.unknown.append(
        f"{parent.name}: no daemon works on it, so what it has open at the exchange is not known. Start it with its "
        "order file: latched it sends nothing, cancels and reconciles"
    )


def _obstacles(status: dict[str, Any]) -> Iterator[str]:
    """What of a daemon's status forbids a release; what it does not say does."""
    for key, words in (("open_orders", "open"), ("in_doubt", "in doubt")):
        if (count := status.get(key)) != 0:
            yield f"{count if isinstance(count, int) else 'nobody knows how many'} orders are {words}"
    kill = status.get("kill")
    if not (isinstance(kill, dict) and kill.get("clear") is True):
        yield (
            "the exchange has not yet said twice, a request's validity apart, that nothing of ours is open; "
            "it is asked again and again"
        )
    if status.get("reconciled") is not True:
        yield f"not reconciled since the kill: {status.get('reconciliation', 'unknown')}"
