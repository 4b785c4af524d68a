"""Planted bugs of the rooms around the core: sequencer, hands, journal, replay, clock, fuse."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw

from execd.core import doubt
from execd.core.commands import Command, SubmitOrder
from execd.core.events import Event, MarketObserved, OrderLost
from execd.core.execution import Execution
from execd.core.grid import Nanos
from execd.core.orders import OrderState
from execd.runtime import codec, journal, journal_file, replay, watch
from execd.runtime.clock import Clock
from execd.runtime.hands import Hands
from execd.runtime.journal import Header, Journal, JournalFailed
from execd.runtime.journal_file import Contents, Row
from execd.runtime.sequencer import Sequencer
from execd.venues.fuse import Fuse
from tests.sim.mutants import Mutant

# What is patched, as it was.
_prepare = journal._prepare
_replay = replay.replay
_recover = Execution._recover
_submit = Hands._submit
_finite = codec._finite


async def _send_at_once(hands: Hands, command: SubmitOrder, _seq: int) -> None:
    hands._post(await hands._venue.submit(command))


async def _send_again(hands: Hands, command: SubmitOrder, seq: int) -> None:
    await hands._durable(seq)
    answer = await hands._venue.submit(command)
    hands._post(await hands._venue.submit(command) if isinstance(answer, OrderLost) else answer)


def _obey_first(sequencer: Sequencer, event: Event) -> None:
    now = sequencer._clock()
    sequencer._show_market(now)
    commands = sequencer._decide(now, event)
    for command in commands:
        sequencer.obey(command, 0)
    sequencer._journal.append(now, event, commands)
    sequencer._witness(now, event, commands)


def _show_unseen(sequencer: Sequencer, now: Nanos) -> None:
    for parent, execution in sequencer.desk.executions.items():
        sequencer.desk.handle(now, MarketObserved(parent, execution.tracker.view(now)))


def _one_of_many(sequencer: Sequencer) -> None:
    if sequencer._inbox:
        event = sequencer._inbox.popleft()
        sequencer._inbox.clear()
        sequencer.turn(event)


def _careless(pragma: str) -> Callable[..., Contents]:
    """A journal that is opened well, and then told not to take it so seriously."""

    def prepare(connection: apsw.Connection, path: Path, header: Header, *, create: bool) -> Contents:
        found = _prepare(connection, path, header, create=create)
        connection.execute(pragma)
        return found

    return prepare


def _two_steps(kept: Journal, batch: list[Any]) -> None:
    """A row first, the commands that it caused later."""
    chain = kept._chain
    for row in batch:
        chain = journal_file.link(chain, row.seq, row.at, row.kind, row.body, row.commands)
        with kept._connection:
            values = (row.seq, row.at, row.kind, row.body, b"[]", chain)
            kept._connection.execute("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?)", values)
        with kept._connection:
            kept._connection.execute("UPDATE facts SET commands = ? WHERE seq = ?", (row.commands, row.seq))
        kept._chain, kept._durable = chain, row.seq


def _unchecked(connection: apsw.Connection, path: Path) -> Contents:
    """Believes the rows, whatever their chain says."""
    header = journal_file.read_header(connection, path)
    last, chain = 0, journal_file.link(b"", journal_file.pack(header))
    for last, chain in connection.execute("SELECT seq, chain FROM facts ORDER BY seq"):  # noqa: B007  # the last one
        pass
    starts, starts_chain = journal_file._read_starts(
        connection, path, journal_file.link(b"", journal_file.pack(header))
    )
    return Contents(header, last, chain, starts, starts_chain)


def _shrug(kept: Journal, error: Exception) -> JournalFailed:
    return JournalFailed(str(error))


def _all_but_last(rows: Iterable[Row]) -> replay.Replay:
    return _replay(list(rows)[:-1])


def _all_but_first(rows: Iterable[Row]) -> replay.Replay:
    return _replay(list(rows)[1:])


def _resend(execution: Execution, now: Nanos) -> list[Command]:
    sent = [order for order in execution.blotter.alive.values() if order.state is OrderState.SENT]
    again: Sequence[Command] = [
        SubmitOrder(
            order=order.client_id,
            symbol=execution.parent.instrument.symbol,
            side=order.side,
            quantity=order.quantity,
            limit=order.limit,
            kind=order.kind,
            slice=order.slice,
            valid_until=Nanos(now + doubt.SEND_WITHIN),
        )
        for order in sent
    ]
    return [*_recover(execution, now), *again]


def _begin_at_wall(ours: Clock) -> None:
    ours._base = ours._latest = 0


def _wall(ours: Clock) -> Nanos:
    module: Any = sys.modules[Clock.__module__]
    return Nanos(ours._base + module.time.time_ns())


def _stand_still(ours: Clock, offset: Nanos) -> None:
    ours._base += offset


def _nothing(*_: object, **__: object) -> None:
    pass


_journal_init = Journal.__init__


def _trusting(journal: Journal, *given: Any, **named: Any) -> None:
    _journal_init(journal, *given, **named)
    journal._durable = journal.last


def _blind(fuse: Fuse, command: SubmitOrder, now: Nanos) -> str | None:
    fuse._killed = lambda: False
    return _check(fuse, command, now)


_check = Fuse.check


def _tame(plain: Any) -> Any:
    return 0.0 if isinstance(plain, float) and not math.isfinite(plain) else _finite(plain)


ROOMS = (
    # Sequencer and hands.
    Mutant("an order is sent before its row is durable", 30, ((Hands, "_submit", _send_at_once),)),
    Mutant("a lost submit is sent again", 30, ((Hands, "_submit", _send_again),)),
    Mutant("a fact is obeyed before it is in the journal", 200, ((Sequencer, "turn", _obey_first),)),
    Mutant("what a decision saw of the market is not in the journal", 30, ((Sequencer, "_show_market", _show_unseen),)),
    Mutant("of facts that come together one is handled", 60, ((Sequencer, "drain", _one_of_many),)),
    # Journal.
    Mutant("a row is called durable before it is written", 30, ((Journal, "when_durable", lambda *_: True),)),
    Mutant("nothing is synced", 200, ((journal, "_prepare", _careless("PRAGMA synchronous=OFF")),)),
    Mutant("a transaction can be half there", 200, ((journal, "_prepare", _careless("PRAGMA journal_mode=OFF")),)),
    Mutant("a row and its commands are two transactions", 200, ((Journal, "_commit", _two_steps),)),
    Mutant(
        "a row and its commands are two transactions, and a torn tail is believed",
        200,
        ((Journal, "_commit", _two_steps), (journal_file, "read", _unchecked)),
    ),
    Mutant("a write that failed is passed over", 200, ((Journal, "_fail", _shrug),)),
    Mutant("a number that JSON has not is written as zero", 200, ((codec, "_finite", _tame),)),
    # Replay and resumption.
    Mutant("the last row is not replayed", 30, ((replay, "replay", _all_but_last),)),
    Mutant("the first row is not replayed", 30, ((replay, "replay", _all_but_first),)),
    Mutant("a start sends again what was in flight", 60, ((Execution, "_recover", _resend),)),
    Mutant(
        "a start sends again what was in flight (the fuse's memory off)",
        60,
        ((Execution, "_recover", _resend), (Fuse, "recall", _nothing)),
    ),
    Mutant("the benchmark starts anew with the process", 60, ((replay, "restore_trackers", _nothing),)),
    Mutant("rows that were only read are called durable", 400, ((Journal, "__init__", _trusting),), front="dying disk"),
    Mutant(
        "the sweep of a kill takes every order for ours", 30, ((watch, "is_ours", lambda *_: True),), front="slow disk"
    ),
    # Clock and fuse.
    Mutant("time is the wall clock's", 60, ((Clock, "__init__", _begin_at_wall), (Clock, "__call__", _wall))),
    Mutant("time is not the venue's", 30, ((Clock, "shift", _nothing),)),
    Mutant("a clock that was ahead stands still", 30, ((Clock, "shift", _stand_still),)),
    Mutant(
        "a new life may begin before the last one ended", 200, ((Clock, "not_before", _nothing),), front="many starts"
    ),
    Mutant("the fuse does not look at the kill switch", 30, ((Fuse, "check", _blind),), front="slow disk"),
)
"""Planted bugs of the rooms, with the number of seeds within which each must be found."""
