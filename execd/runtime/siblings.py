"""The other parents of an account, by their journals: what they are worth on this day, and which way they trade.

Promise: every journal of the state folder that is of the same account counts; one that cannot be read ends the start
with a sentence, since what it holds is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from execd.core.events import OrderFilled, ParentSubmitted
from execd.core.grid import HOUR, Nanos, Notional, Side
from execd.runtime import journal_file
from execd.runtime.codec import decode
from execd.runtime.journal import Journal, JournalError

DAY = Nanos(24 * HOUR)


class OppositeError(Exception):
    """Another parent of the account trades the other way.  One clear sentence."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """A parent of the same account: whether it is over, its terms, and what it has traded on this UTC day."""

    journal: Path
    over: bool
    submitted: ParentSubmitted
    traded: Notional


def of_account(state_dir: Path, account: str, *, but: Path, now: Nanos) -> list[Sibling]:
    """Return the other parents of an account that a state folder knows.

    Args:
        state_dir: the folder; its `active` and `done` are read, what was abandoned too.
        account: the exchange's own id.
        but: the journal that is not asked about.
        now: this moment; the day is its UTC day.

    Raises:
        JournalError: a journal cannot be read.
    """
    found, midnight = [], Nanos(now - now % DAY)
    for folder in ("active", "done", "abandoned"):
        over = folder != "active"
        for path in sorted((state_dir / folder).glob("*.journal")):
            if path == but or (over and _written(path) < midnight) or Journal.holds_nothing(path):
                continue
            if Journal.peek(path).account == account:
                found.append(_sibling(path, over=over, midnight=midnight))
    return found


def day_spent(siblings: list[Sibling], symbol: str, mid2: int) -> Notional:
    """The day's value of the siblings in one symbol: what is over counts as it traded, the rest at its full size.

    `mid2` is the market's mid in half ticks, at which the rest is valued.
    """
    total = 0
    for sibling in siblings:
        parent = sibling.submitted.parent
        if parent.instrument.symbol != symbol:
            continue
        total += sibling.traded if sibling.over else max(sibling.traded, -(-parent.quantity * mid2 // 2))
    return Notional(total)


def demand_one_way(siblings: list[Sibling], symbol: str, side: Side) -> None:
    """Refuse to trade against an unfinished parent of the same account.  Raises OppositeError."""
    for sibling in siblings:
        parent = sibling.submitted.parent
        if not sibling.over and parent.instrument.symbol == symbol and parent.side is not side:
            raise OppositeError(
                f"{sibling.journal}: {parent.id} is an unfinished {parent.side.value} of {symbol} on this account; a "
                f"{side.value} would trade against it: let it end, or cancel it (execd cancel), then run this one"
            )


def _written(path: Path) -> int:
    """When a journal was last written, by its own log too: what is older than the day is not opened."""
    log = path.with_name(path.name + "-wal")
    return max(each.stat().st_mtime_ns for each in (path, log) if each.exists())


def _sibling(path: Path, *, over: bool, midnight: Nanos) -> Sibling:
    submitted, traded = None, 0
    for kind, body in _facts(path):
        fact = decode(kind, body)
        if isinstance(fact, ParentSubmitted):
            submitted = fact
        elif isinstance(fact, OrderFilled) and fact.fill.at >= midnight:
            traded += fact.fill.price * fact.fill.quantity
    if submitted is None:
        raise JournalError(f"{path}: holds no parent; move it away if it is not needed any more")
    return Sibling(path, over, submitted, Notional(traded))


def _facts(path: Path) -> Iterator[tuple[str, bytes]]:
    """The rows that matter here: to decode every question to a policy of every parent of the day would take minutes."""
    kinds = (ParentSubmitted.__name__, OrderFilled.__name__)
    with journal_file.saying(path):
        connection = journal_file.connect(path, write=False)
        try:
            yield from connection.execute("SELECT kind, body FROM facts WHERE kind IN (?, ?) ORDER BY seq", kinds)
        finally:
            connection.close()
