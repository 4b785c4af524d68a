"""What we may ask for.  Imperative; whoever obeys may fail, and says so with an event."""

from __future__ import annotations

from dataclasses import dataclass

from execd.core.events import UNKNOWN_HOURS, Bar, Hours
from execd.core.grid import Instrument, Lots, Nanos, Side, Ticks
from execd.core.orders import OrderKind


@dataclass(frozen=True, slots=True)
class Observation:
    """What a policy is told before slice `slice` (from 0) of `slices`: nothing of it lies at or after `now`.

    `bars` are the closed intervals of the window so far (`slice` of them), `history` those before the start, all of
    `interval` length, own prints included; `hours` are the weeks before the start.  `curve` is the fallback's expected
    cumulative volume fraction at the end of each slice.  `arrival` is the mid when the parent began, in ticks; `mid2`
    is twice the mid now.
    """

    instrument: Instrument
    side: Side
    now: Nanos
    start: Nanos
    end: Nanos
    slice: int
    slices: int
    interval: Nanos
    quantity: Lots
    filled: Lots
    own_notional: int
    bars: tuple[Bar, ...]
    history: tuple[Bar, ...]
    curve: tuple[float, ...]
    arrival: float | None
    mid2: int | None
    hours: Hours = UNKNOWN_HOURS


@dataclass(frozen=True, slots=True)
class ProposeSlice:
    """Ask the policy for the next slice; after `due` the fallback decides."""

    parent: str
    slice: int
    observation: Observation
    due: Nanos


@dataclass(frozen=True, slots=True)
class SubmitOrder:
    """Send this order, once.  `valid_until`: the venue must not act on the request after this moment."""

    order: str
    symbol: str
    side: Side
    quantity: Lots
    limit: Ticks
    kind: OrderKind
    slice: int
    valid_until: Nanos


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Ask the venue to end an order.  Cancelling twice is harmless."""

    order: str
    symbol: str


@dataclass(frozen=True, slots=True)
class QueryOrder:
    """Ask the venue for this one order by our id."""

    order: str
    symbol: str


@dataclass(frozen=True, slots=True)
class ListFills:
    """Fetch our own fills since a moment; ends with FillsListed."""

    symbol: str
    since: Nanos


@dataclass(frozen=True, slots=True)
class RaiseAlarm:
    """A human should know.  `code` is one of a few words; `text` explains."""

    parent: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class RecordRefusal:
    """The gate refused a child order: tell those who count.  `control` is its id, `words` the value and the limit."""

    parent: str
    slice: int
    control: str
    words: str


@dataclass(frozen=True, slots=True)
class FinishParent:
    """The parent is over: nothing is alive, nothing in doubt.  `why` it ended."""

    parent: str
    why: str


Command = ProposeSlice | SubmitOrder | CancelOrder | QueryOrder | ListFills | RaiseAlarm | RecordRefusal | FinishParent
