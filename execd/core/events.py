"""What can happen.  Past tense; a fact is never refused.

Two planes.  Prints (`TradePrinted`, `QuoteChanged`) are observed, are not journalled one by one, and decide nothing.
Every other event is journalled before it is applied.  What a decision knew of the market is journalled as
`MarketObserved`, so that a replay repeats every decision without the tape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import final

import msgspec

from execd.core.grid import HOUR, SECOND, Lots, Nanos, Notional, Side, Ticks
from execd.core.limits import RiskLimits
from execd.core.orders import Fill, ParentOrder

# ------------------------------------------------------------------------------------------------------ data plane


@final
class TradePrinted(msgspec.Struct, frozen=True, gc=False):
    """A public execution on the tape.  `at` is the venue's time; `taker` the side of the aggressor.

    `count`: for how many trades it stands where the venue merges them; their ids end with `id`.
    """

    id: int
    price: Ticks
    quantity: Lots
    at: Nanos
    taker: Side
    count: int = 1


@final
class QuoteChanged(msgspec.Struct, frozen=True, gc=False):
    """Best bid and ask with their sizes.  `at` is the venue's time where it gives one, else ours.

    `update`: the venue's rising number of the change, to tell a late one of two connections; 0 where it gives none.
    """

    bid: Ticks
    bid_size: Lots
    ask: Ticks
    ask_size: Lots
    at: Nanos
    update: int = 0


@final
class TradeBusted(msgspec.Struct, frozen=True, gc=False):
    """The venue has taken a trade back: it did not happen."""

    id: int


@final
class TradeCorrected(msgspec.Struct, frozen=True, gc=False):
    """The venue has changed a trade: what it is now, under its old id."""

    trade: TradePrinted


@final
class PrintsMissed(msgspec.Struct, frozen=True, gc=False):
    """Between these venue times trades may have been missed; how many, the venue's ids do not tell."""

    since: Nanos
    until: Nanos


Print = TradePrinted | QuoteChanged | TradeBusted | TradeCorrected | PrintsMissed

# ----------------------------------------------------------------------------------------------- what a decision sees


@dataclass(frozen=True, slots=True)
class Bar:
    """The market in one interval of the parent's slice grid: `start` is its first moment, by venue time.

    `close` is the last price in it.  Own prints are included.
    """

    start: Nanos
    volume: Lots
    notional: Notional
    close: Ticks
    trades: int


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours before a parent's start, without a step missing: `start` is the first one's first moment, UTC.

    One `volume` and one `close` an hour; an hour that is not known, or in which nothing traded, has 0 for both.
    """

    start: Nanos
    volume: tuple[Lots, ...]
    close: tuple[Ticks, ...]

    @classmethod
    def of(cls, bars: Sequence[Bar]) -> Hours:
        """Return bars of an hour, oldest first, with what is missing between them filled with unknown ones."""
        if not bars:
            return UNKNOWN_HOURS
        first = bars[0].start // HOUR
        size = bars[-1].start // HOUR - first + 1
        volume, close = [Lots(0)] * size, [Ticks(0)] * size
        for bar in bars:
            if bar.volume > 0:
                volume[bar.start // HOUR - first], close[bar.start // HOUR - first] = bar.volume, bar.close
        return cls(Nanos(first * HOUR), tuple(volume), tuple(close))


UNKNOWN_HOURS = Hours(Nanos(0), (), ())


@dataclass(frozen=True, slots=True)
class Gap:
    """Trade ids [first, last] that were not seen, and the venue's times of the trades beside them."""

    first: int
    last: int
    since: Nanos
    until: Nanos


@dataclass(frozen=True, slots=True)
class MarketView:
    """The market as a decision sees it: all that the core ever uses of the prints.

    `*_at` are our own receive times.  `volume` and `notional` count the prints of the parent's window so far, by venue
    time and own prints included, `trades` for how many trades they stand; `elapsed` is how much of the window has
    passed by the venue's time.  `minute_*` cover the last 60 s, `trailing_volume` the participation window, `low` and
    `high` the trades of the last 10 s.  `bars` holds only those that changed since the last view.

    What is not known of the window: `gaps` are the ranges of trade ids that may concern it, were not seen and are not
    yet back-filled; `lost` counts trades that never will be, or were taken back too late to be found; `holes` are spans
    [since, until] of venue time, inside the window, in which trades may have been missed that no id tells of.  Until
    `blind_until`, which is one of the holes, nobody has looked back yet; None: all of that has been looked at.
    `largest`, `window_low`, `window_high` and `peak`, the largest print of the window, its lowest and highest price and
    the volume of its busiest second, bound what that can change (`core/coverage.py`).
    """

    bid: Ticks | None = None
    bid_size: Lots = Lots(0)
    ask: Ticks | None = None
    ask_size: Lots = Lots(0)
    quote_at: Nanos | None = None
    last: Ticks | None = None
    last_at: Nanos | None = None
    last_id: int | None = None
    last_venue_at: Nanos | None = None
    minute_volume: Lots = Lots(0)
    minute_notional: Notional = Notional(0)
    trailing_volume: Lots = Lots(0)
    low: Ticks | None = None
    high: Ticks | None = None
    volume: Lots = Lots(0)
    notional: Notional = Notional(0)
    trades: int = 0
    first_id: int | None = None
    elapsed: Nanos = Nanos(0)
    gaps: tuple[Gap, ...] = ()
    lost: int = 0
    holes: tuple[tuple[Nanos, Nanos], ...] = ()
    blind_until: Nanos | None = None
    largest: Lots = Lots(0)
    window_low: Ticks | None = None
    window_high: Ticks | None = None
    peak: Lots = Lots(0)
    bars: tuple[Bar, ...] = ()

    @property
    def missing(self) -> int:
        """How many trades of the window are known not to be in its sums; those in holes nobody can count."""
        return self.lost + sum(gap.last - gap.first + 1 for gap in self.gaps)

    @property
    def complete(self) -> bool:
        """Whether every trade of the window so far is in its sums, as far as ids and streams tell."""
        return not (self.missing or self.holes)

    @property
    def coverage(self) -> Fraction:
        """How much of the window so far is known, from 0 to 1, and 1 only if it is complete.

        The share of the ids that were seen, times the share of the time that lies in no hole.
        """
        trades = Fraction(self.trades, self.trades + self.missing) if self.missing else Fraction(1)
        unseen = sum(until - since + 1 for since, until in self.holes)
        return trades * (1 - Fraction(unseen, self.elapsed)) if unseen else trades

    @property
    def mid2(self) -> int | None:
        """Twice the mid price in ticks (so that it stays whole), None without a quote."""
        return None if self.bid is None or self.ask is None else self.bid + self.ask


# --------------------------------------------------------------------------------------------------- control plane


@dataclass(frozen=True, slots=True)
class MarketObserved:
    """The market over a parent's window, as the decisions that follow see it."""

    parent: str
    view: MarketView


@dataclass(frozen=True, slots=True)
class ParentSubmitted:
    """The operator handed us a parent order.

    `curve` is the expected cumulative fraction of the window's volume at the end of each slice (the last is 1.0), from
    the fallback policy; `history` are bars of the slice's length before the start, oldest first, and `hours` the weeks
    before it.  `proposal_within` is how long a policy may think, at most a quarter of a slice; `validity` how long
    after sending the venue may still act on a request.  `own_prints`: our fills appear on the public tape;
    `contiguous`: its trade ids rise by one.  `day_spent` is the value of the account's other parents of this UTC day,
    those that are still worked on at their full size.  All that decisions rest on is here, so that a replay needs no
    more.
    """

    parent: ParentOrder
    limits: RiskLimits
    validity: Nanos
    own_prints: bool
    contiguous: bool
    curve: tuple[float, ...]
    history: tuple[Bar, ...]
    proposal_within: Nanos = SECOND
    hours: Hours = UNKNOWN_HOURS
    day_spent: Notional = Notional(0)


@dataclass(frozen=True, slots=True)
class Recovered:
    """The process started again on this journal.  All that was in flight is in doubt."""


@dataclass(frozen=True, slots=True)
class Woken:
    """The moment that `deadline` asked for has come."""


@dataclass(frozen=True, slots=True)
class SliceProposed:
    """A policy answered.  `share` of what is left is raw: it may be NaN, negative or absurd."""

    parent: str
    slice: int
    share: float
    model: str


@dataclass(frozen=True, slots=True)
class ProposalFailed:
    """A policy did not answer: late, broken, absent.  `why` is one of a few words, for the report."""

    parent: str
    slice: int
    why: str


@dataclass(frozen=True, slots=True)
class ShadowProposed:
    """A model that only watches answered beside the one that trades: for the report, never for a decision.

    `share` is raw, NaN where it gave none; `why` says why it gave none, else "".
    """

    parent: str
    slice: int
    share: float
    model: str
    why: str


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """The venue has the order open.  `filled` is its cumulative count."""

    order: str
    venue_id: str
    filled: Lots


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """Our order traded."""

    fill: Fill


@dataclass(frozen=True, slots=True)
class OrderClosed:
    """The venue says that the order can trade no more.  `filled` is its final count."""

    order: str
    filled: Lots
    reason: str


@dataclass(frozen=True, slots=True)
class OrderLost:
    """We do not know whether a request arrived: a time-out, a broken connection, nonsense for an answer."""

    order: str
    why: str


@dataclass(frozen=True, slots=True)
class OrderMissing:
    """Asked for this one order, the venue said that it does not know it."""

    order: str


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The venue would not cancel: filled, gone, or not there yet.  Only a query can tell which."""

    order: str
    why: str


@dataclass(frozen=True, slots=True)
class FillsListed:
    """The venue's list of our fills was read through, up to `through`; each came as an OrderFilled before this."""

    through: Nanos


class Channel(Enum):
    """A stream that we depend on."""

    MARKET = "market"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class StreamLost:
    """A stream broke or fell silent: what it would have told us is unknown."""

    channel: Channel
    why: str


@dataclass(frozen=True, slots=True)
class StreamRestored:
    """The stream is back, and what was missed meanwhile has been fetched."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class ParentPaused:
    """An operator asked for no new orders."""

    parent: str
    by: str


@dataclass(frozen=True, slots=True)
class ParentResumed:
    """An operator lifted the pause."""

    parent: str
    by: str


@dataclass(frozen=True, slots=True)
class ParentCanceled:
    """An operator ended the parent: cancel, resolve, report."""

    parent: str
    by: str


@dataclass(frozen=True, slots=True)
class DrainBegun:
    """The process is asked to leave: cancel and resolve, but the parent stays resumable."""

    why: str


@dataclass(frozen=True, slots=True)
class KillTripped:
    """The kill switch latched.  Durable on disk before this event exists."""

    cause: str


@dataclass(frozen=True, slots=True)
class KillReset:
    """A human released the latch, giving a reason."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class ClockChecked:
    """Our clock was held against the venue's: by how much it is off, either way."""

    offset: Nanos


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """This process can, or can no longer, be trusted to trade; `problem` says why not, None where all is well."""

    problem: str | None


@dataclass(frozen=True, slots=True)
class LimitOverridden:
    """A second person loosened one limit of a parent until a moment.  `key` is a field of RiskLimits."""

    parent: str
    key: str
    value: int
    until: Nanos
    by: str
    reason: str


Event = (
    MarketObserved
    | ParentSubmitted
    | Recovered
    | Woken
    | SliceProposed
    | ProposalFailed
    | ShadowProposed
    | OrderAccepted
    | OrderFilled
    | OrderClosed
    | OrderLost
    | OrderMissing
    | CancelRefused
    | FillsListed
    | StreamLost
    | StreamRestored
    | ParentPaused
    | ParentResumed
    | ParentCanceled
    | DrainBegun
    | KillTripped
    | KillReset
    | ClockChecked
    | HealthChanged
    | LimitOverridden
)
