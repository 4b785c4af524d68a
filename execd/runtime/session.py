"""How a life of the process begins: a new parent admitted, or an unfinished one brought back from its journal.

Promise: both ends in the same thing, a desk, a journal and the fact that begins this life; a journal that no longer
means what it meant is refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from execd.core import doubt
from execd.core.desk import Desk
from execd.core.events import Hours, ParentSubmitted, QuoteChanged, Recovered
from execd.core.execution import Execution
from execd.core.grid import BPS, HOUR, Instrument, Nanos, Ticks
from execd.core.limits import RiskLimits
from execd.core.orders import ParentOrder
from execd.policies.season import hours_wanted
from execd.policies.state import HISTORY
from execd.runtime import files
from execd.runtime.admission import Admission, admit, window
from execd.runtime.advisor import Advice, engage
from execd.runtime.clock import Clock
from execd.runtime.journal import Journal
from execd.runtime.latch import Latch
from execd.runtime.launch import Job, Opened
from execd.runtime.replay import replay, restore_trackers
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
    latch: Latch
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
        AdmissionRefused, VenueError: one clear sentence.
    """
    # Loading a model takes seconds: they must not be the first of an order that begins now.
    early = window(job.order, clock())
    advice, shadow = _engage(job, Nanos(early.end - early.start), early.slices)
    # A whole millisecond: real venues stamp their prints with no more, and a window's edge must not fall between.
    now = Nanos(-(-clock() // MILLISECOND) * MILLISECOND)
    curve = files.curve(window(job.order, now))
    quote = await venue.quote(job.order.symbol)
    admission = admit(job.order, instrument, quote.bid, quote.ask, job.risk, now=now, curve=curve)
    return Admitted(admission, advice, shadow, quote, now)


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
        AdmissionRefused, JournalError, VenueError: one clear sentence; nothing was sent.
    """
    venue = opened.venue
    found = await admitted(job, venue, instrument, clock)
    admission, now = found.admission, found.at
    for warning in admission.warnings:
        say(warning)
    parent = admission.parent
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
    )
    header = files.header(job, parent.id, account, now, found.advice.sha256)
    journal = Journal.open(place.journal, header=header, create=True)
    journal.start(now, Nanos(0), header)
    latch = Latch.of_all(job.settings.state_dir)
    return Session(journal, Desk(), found.advice, found.shadow, latch, submitted, _mid2(found.quote))


async def resume(
    job: Job, place: files.Place, opened: Opened, account: str, clock: Clock, say: Callable[[str], None]
) -> Session:
    """Bring a parent back from its journal, and prove that the journal still means the same.

    Raises:
        UnsafeError: it does not.
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
        reference2 = _mid2(await opened.venue.quote(job.order.symbol)) if arrival2 is None else arrival2
        advice, shadow = _engage(job, Nanos(parent.end - parent.start), parent.slices)
        journal.start(clock(), Nanos(0), files.header(job, stored.parent, account, clock(), advice.sha256))
    except BaseException:
        journal.close()
        raise
    if opened.paper is not None:
        opened.paper.remember(job.order.symbol, execution.blotter.fills)
    say(f"resuming {parent.id} from {place.journal.name} ({result.rows} rows)")
    return Session(journal, result.desk, advice, shadow, Latch.of_all(job.settings.state_dir), Recovered(), reference2)


def _engage(job: Job, duration: Nanos, slices: int) -> tuple[Advice, Advice | None]:
    """The policy that decides, and the one that watches, if any."""
    folder = job.settings.models_dir
    return (
        engage(job.order.model or job.settings.model, folder, duration, slices),
        engage_shadow(job.order.shadow or job.settings.shadow, folder, duration, slices),
    )


def arm(session: Session, venue: Venue) -> Fuse:
    """Give the venue its fuse, with what earlier lives have sent."""
    execution: Execution = next(iter(session.desk.executions.values()))
    fuse = fuse_after(
        execution,
        session.reference2,
        killed=lambda: session.latch.tripped,
        processing=venue.caps.request_validity,
    )
    venue.arm(fuse)
    return fuse


def fuse_after(execution: Execution, reference2: int, *, killed: Callable[[], bool], processing: Nanos) -> Fuse:
    """The fuse of a parent that has a past: what it sent and what became of that is counted."""
    fuse = fuse_of(execution.parent, execution.limits, reference2, killed=killed, processing=processing)
    for order in execution.blotter.orders.values():
        fuse.adopt(
            order.client_id,
            order.quantity,
            order.filled,
            valid_until=Nanos(order.sent_at + doubt.SEND_WITHIN),
            closed=not order.alive,
            missing=order.missing,
        )
    arrive(fuse, execution)
    return fuse


def fuse_of(
    parent: ParentOrder, limits: RiskLimits, reference2: int, *, killed: Callable[[], bool], processing: Nanos
) -> Fuse:
    """The last check at the wire for a parent; its orders pass around a reference price (in half ticks)."""
    lowest, highest = band(limits, reference2)
    return Fuse(
        parent.id,
        parent.side,
        parent.quantity,
        lowest=lowest,
        highest=highest,
        per_second=limits.messages_per_second + limits.message_burst,
        per_minute=60 * limits.messages_per_second + limits.message_burst,
        killed=killed,
        processing=processing,
    )


def arrive(fuse: Fuse, execution: Execution) -> None:
    """Tell a fuse the arrival price as soon as there is one: the price that the period's collar lies around."""
    if execution.arrival2 is not None:
        fuse.arrive(*band(execution.limits, execution.arrival2))


def band(limits: RiskLimits, reference2: int) -> tuple[Ticks, Ticks]:
    """The lowest and the highest price in ticks that the gate could ever let pass, around an arrival in half ticks.

    The market may be as far from its arrival as the period's collar allows, and an order as far from the market as its
    own collar or its resting distance allows: the two multiply.
    """
    away, whole = max(limits.collar_bps, limits.rest_bps), 2 * BPS * BPS
    lowest = reference2 * max(0, BPS - limits.period_collar_bps) * max(0, BPS - away) // whole
    highest = -(-reference2 * (BPS + limits.period_collar_bps) * (BPS + away) // whole)
    return Ticks(max(1, lowest)), Ticks(highest)


def _mid2(quote: QuoteChanged) -> int:
    return quote.bid + quote.ask
