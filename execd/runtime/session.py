"""How a life of the process begins: a new parent admitted, or an unfinished one brought back from its journal.

Promise: both ends in the same thing, a desk, a journal and the fact that begins this life; a journal that no longer
means what it meant is refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from execd.core.desk import Desk
from execd.core.events import Hours, ParentSubmitted, QuoteChanged, Recovered
from execd.core.execution import Execution
from execd.core.grid import HOUR, Instrument, Nanos, Notional
from execd.core.limits import RiskLimits
from execd.core.orders import ParentOrder
from execd.policies.season import hours_wanted
from execd.policies.state import HISTORY
from execd.runtime import account as accounts
from execd.runtime import approval, files, siblings
from execd.runtime.admission import Admission, admit, window
from execd.runtime.advisor import Advice, engage
from execd.runtime.arming import fuse_of, recall
from execd.runtime.clock import Clock
from execd.runtime.journal import Journal
from execd.runtime.latch import Switch
from execd.runtime.launch import Job, Opened
from execd.runtime.replay import replay, restore_trackers
from execd.runtime.settings import ForeignOrders, Mode
from execd.runtime.shadow import engage_shadow
from execd.venues import Venue
from execd.venues.fuse import Fuse

MILLISECOND = 1_000_000


class UnsafeError(Exception):
    """The state that was found cannot be traded on; a human is needed.  One clear sentence.  Exit code 5."""


@dataclass(slots=True)
class Session:
    """What a start, fresh or not, hands to the worker.

    `first` is the fact that begins this life, `reference2` the price in half ticks around which the fuse lets orders
    pass until the arrival price is known; `shadow` is None where none is asked for.
    """

    journal: Journal
    desk: Desk
    advice: Advice
    shadow: Advice | None
    latch: Switch
    first: ParentSubmitted | Recovered
    reference2: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """An order that may run: its admission, who decides and who watches, the quote it was judged by, and when."""

    admission: Admission
    advice: Advice
    shadow: Advice | None
    quote: QuoteChanged
    at: Nanos


async def admitted(job: Job, venue: Venue, instrument: Instrument, clock: Clock) -> Admitted:
    """Judge an order by the market as it is now: what `execd run` does before it begins, and `execd check` alone.

    Raises:
        AdmissionRefused, UnsafeError, VenueError: one clear sentence.
    """
    standing = await accounts.look(venue, job.order.symbol)
    # Loading a model takes a second: it must not be the first of an order that begins now.
    early = window(job.order, clock())
    advice, shadow = _engage(job, Nanos(early.end - early.start), early.slices)
    # A whole millisecond: real venues stamp their prints with no more, and a window's edge must not fall between.
    now = Nanos(-(-clock() // MILLISECOND) * MILLISECOND)
    curve = files.curve(window(job.order, now))
    quote = await venue.quote(job.order.symbol)
    admission = admit(job.order, instrument, quote.bid, quote.ask, job.risk, now=now, curve=curve)
    if job.mode is not Mode.PAPER or job.settings.paper.balances:
        accounts.demand_funds(job.order, admission, _mid2(quote), standing)
    warnings = (*admission.warnings, *_told(job, standing.strangers))
    return Admitted(replace(admission, warnings=warnings), advice, shadow, quote, now)


def _told(job: Job, found: Sequence[str]) -> list[str]:
    """What an operator must know of open orders that are not the parent's, by their client ids.

    Raises:
        UnsafeError: there are some, and the settings say that then nothing starts.
    """
    if not found:
        return []
    told = f"{job.order.symbol} has open orders that are not of this order: {len(found)}, the first is {found[0]}"
    if job.settings.account.foreign_orders is ForeignOrders.REFUSE:
        raise UnsafeError(
            f"{told}; nothing was sent: cancel them, or set account.foreign_orders to report (execd.yaml)"
        )
    return [f"{told}; they are left alone (execd.yaml: account.foreign_orders)"]


async def begin(
    job: Job,
    place: files.Place,
    opened: Opened,
    instrument: Instrument,
    account: str,
    clock: Clock,
    say: Callable[[str], None],
) -> Session:
    """Admit a new parent and make its journal.

    Raises:
        AdmissionRefused, OppositeError, UnsafeError, JournalError, VenueError: one clear sentence; nothing was sent.
    """
    venue = opened.venue
    found = await admitted(job, venue, instrument, clock)
    admission, now = found.admission, found.at
    for warning in admission.warnings:
        say(warning)
    parent = admission.parent
    others = siblings.of_account(job.settings.state_dir, account, but=place.journal, now=now)
    siblings.demand_one_way(others, job.order.symbol, parent.side)
    _demand_approval(job, parent, admission.limits, _mid2(found.quote), now, say)
    interval = Nanos((parent.end - parent.start) // parent.slices)
    history = await venue.bars(job.order.symbol, interval, HISTORY, parent.start)
    hours = await venue.bars(job.order.symbol, HOUR, hours_wanted(interval), parent.start)
    submitted = ParentSubmitted(
        parent=parent,
        limits=admission.limits,
        validity=venue.caps.request_validity,
        own_prints=venue.caps.own_prints,
        contiguous=venue.caps.contiguous_trade_ids,
        curve=admission.curve,
        history=tuple(history),
        proposal_within=job.settings.timing.proposal_deadline,
        hours=Hours.of(hours),
        day_spent=siblings.day_spent(others, job.order.symbol, _mid2(found.quote)),
    )
    header = files.header(job, parent.id, account, now, found.advice.sha256)
    journal = Journal.open(place.journal, header=header, create=True)
    journal.start(now, Nanos(0), header)
    latch = Switch(job.settings.state_dir, parent.instrument.venue, parent.id)
    return Session(journal, Desk(), found.advice, found.shadow, latch, submitted, _mid2(found.quote))


def _demand_approval(
    job: Job, parent: ParentOrder, limits: RiskLimits, mid2: int, now: Nanos, say: Callable[[str], None]
) -> None:
    """A large order needs a second user.  Raises ApprovalError."""
    worth = Notional(parent.quantity * accounts.worst_price(parent, limits, mid2))
    most = job.risk.instruments[job.order.symbol].approval_notional
    if warning := approval.demand(job.settings.state_dir, job.order, job.mode, parent.instrument, worth, most, now):
        say(warning)


async def resume(
    job: Job, place: files.Place, opened: Opened, account: str, clock: Clock, say: Callable[[str], None]
) -> Session:
    """Bring a parent back from its journal, and prove that the journal still means the same.

    Raises:
        UnsafeError: it does not, or orders of somebody else forbid the start.
        JournalError, VenueError: one clear sentence.
    """
    stored = Journal.peek(place.journal)
    header = files.header(job, stored.parent, account, stored.created, stored.model_sha256)
    journal = Journal.open(place.journal, header=header, create=False)
    try:
        result = replay(journal.rows())
        if result.differences:
            first = result.differences[0].row
            raise UnsafeError(
                f"{place.journal}: {len(result.differences)} decisions do not repeat, the first in row {first.seq}: "
                f"the journal was written by another version ({stored.code}); finish it with that one"
            )
        clock.not_before(result.last)
        restore_trackers(result.desk)
        if not result.desk.executions:
            raise UnsafeError(f"{place.journal}: holds no parent; nothing was sent. Start over with --fresh")
        execution = next(iter(result.desk.executions.values()))
        parent, arrival2 = execution.parent, execution.arrival2
        for warning in _told(job, await accounts.strangers(opened.venue, job.order.symbol, parent.id)):
            say(warning)
        reference2 = _mid2(await opened.venue.quote(job.order.symbol)) if arrival2 is None else arrival2
        advice, shadow = _engage(job, Nanos(parent.end - parent.start), parent.slices)
        journal.start(clock(), Nanos(0), files.header(job, stored.parent, account, clock(), advice.sha256))
    except BaseException:
        journal.close()
        raise
    if opened.paper is not None:
        opened.paper.remember(job.order.symbol, execution.blotter.fills)
    say(f"resuming {parent.id} from {place.journal.name} ({result.rows} rows)")
    latch = Switch(job.settings.state_dir, parent.instrument.venue, parent.id)
    return Session(journal, result.desk, advice, shadow, latch, Recovered(), reference2)


def _engage(job: Job, duration: Nanos, slices: int) -> tuple[Advice, Advice | None]:
    """The policy that decides, and the one that watches, if any."""
    folder = job.settings.models_dir
    return (
        engage(job.model, folder, duration, slices),
        engage_shadow(job.shadow, folder, duration, slices),
    )


def arm(session: Session, venue: Venue) -> Fuse:
    """Give the venue its fuse, with what earlier lives have sent, by the journal's own rows."""
    execution: Execution = next(iter(session.desk.executions.values()))
    parent, limits = execution.parent, execution.limits
    fuse = fuse_of(
        parent,
        limits,
        session.reference2,
        killed=lambda: session.latch.tripped,
        processing=venue.caps.request_validity,
    )
    recall(fuse, limits, session.journal.rows())
    venue.arm(fuse)
    return fuse


def _mid2(quote: QuoteChanged) -> int:
    return quote.bid + quote.ask
