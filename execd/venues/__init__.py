"""Talks.  One exchange each; no opinions.

The adapter's contract (each clause has a test, run against every adapter):

1. `OrderClosed.filled` is the venue's final count.  Its reason begins with a word, and a colon if more follows: filled,
   canceled, expired, prevented (self-trade), crosses (it was to rest and would have taken); any other is a refusal.
2. "Not found" (`OrderMissing`) is said only as the answer to a query for that single order.
3. Fill ids are stable across reconnects.
4. After a reconnect, fills since the last one seen are fetched, and missed public trades are back-filled or the gap
   is left standing in the tracker; only then is `StreamRestored` said.
5. Every exception becomes one of three facts: it happened, it did not, we do not know (`OrderLost`).
6. Nothing is sent that the fuse has not passed.
7. The dead-man switch is called held, or released, only where the venue's answer says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from execd.core.commands import CancelOrder, ListFills, QueryOrder, SubmitOrder
from execd.core.events import (
    Bar,
    CancelRefused,
    Event,
    FillsListed,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    Print,
    QuoteChanged,
    TradePrinted,
)
from execd.core.grid import Instrument, Nanos
from execd.venues.deadman import NO_DEAD_MAN, DeadMan

if TYPE_CHECKING:
    from execd.venues.fuse import Fuse


PASSED_OVER_MAX = 100_000
"""A page of trades that spans more ids than this is not believed to list all between."""


class VenueError(Exception):
    """A question that is no order (markets, bars, trades, account) could not be answered.  One clear sentence."""


class VenueUnanswered(VenueError):
    """The venue could not be reached, or its answer made no sense: the same question may be answered later."""


class VenueMismatch(VenueError):
    """The addresses of a connection are not those of the environment that was asked for.  Nothing was sent."""


class Paging(Enum):
    """How an exchange gives old public trades to whoever has missed some."""

    BY_ID = "by id"  # From a trade id on.
    BY_TIME = "by time"  # From a moment on, ascending.
    RECENT = "recent"  # Only the newest few.


@dataclass(frozen=True, slots=True)
class VenueCaps:
    """What the exchange offers, as data.

    `contiguous_trade_ids`: public trade ids of a symbol rise by one, so that a jump is a gap.  `paging`: how it gives
    old public trades; `sparse`: they leave out ids that no trade of the market has used up.  `own_prints`: our fills
    appear on the public tape.  `request_validity`: how long after sending a request the venue may still act on it, its
    own processing time included.  `dead_man`: its timer that cancels our orders when we fall silent.
    """

    contiguous_trade_ids: bool
    own_prints: bool
    request_validity: Nanos
    dead_man: DeadMan = NO_DEAD_MAN
    paging: Paging = Paging.BY_ID
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that the venue has open on the account: ours by its client id, or foreign."""

    client_id: str
    venue_id: str
    symbol: str


@dataclass(frozen=True, slots=True)
class Balance:
    """Free and total funds in one currency, as the venue's own decimal strings."""

    currency: str
    free: str
    total: str


@dataclass(frozen=True, slots=True)
class KeyPermissions:
    """What an API key may do.  What the venue does not say counts as the worse.

    `excess` are the rights to move funds that it has, as the venue names them.
    """

    may_trade: bool
    ip_listed: bool
    excess: tuple[str, ...]


def passed_over(first: int, last: int | None, page: Sequence[TradePrinted]) -> list[int]:
    """The ids from `first` to `last` that a page of a sparse venue does not list: no trade of the market has them."""
    if not page or page[-1].id - first > PASSED_OVER_MAX:
        return []
    listed = {trade.id for trade in page}
    end = page[-1].id if last is None else min(last, page[-1].id)
    return [number for number in range(first, end + 1) if number not in listed]


Sink = Callable[[Event | Print], None]
"""Takes facts from an adapter into the sequencer's inbox.  Never blocks."""


class Venue(Protocol):
    """One exchange account.  All methods may be called concurrently on one event loop."""

    name: str
    caps: VenueCaps

    @property
    def bad_frames(self) -> int:
        """Frames of its streams that made no sense and were survived."""
        ...

    async def open(self, symbol: str) -> Instrument:
        """Connect over REST, load the market, return its grid.  Raises VenueError (unknown symbol: names near ones)."""
        ...

    def arm(self, fuse: Fuse) -> None:
        """Give the account its fuse.  Before this no order can be sent."""
        ...

    async def quote(self, symbol: str) -> QuoteChanged:
        """The best bid and ask now.  Raises VenueError."""
        ...

    async def account(self) -> str:
        """The exchange's own id of the account, stable across sessions.  Raises VenueError."""
        ...

    async def clock_offset(self) -> Nanos:
        """Venue time minus ours, from the fastest of a few queries.  Raises VenueError."""
        ...

    async def balances(self) -> Sequence[Balance]:
        """Funds on the account.  Raises VenueError."""
        ...

    async def taker_fee(self) -> Decimal:
        """What taking costs on this account, of the notional.  Raises VenueError."""
        ...

    async def open_orders(self, symbol: str) -> Sequence[OpenOrder]:
        """All open orders on the symbol, foreign ones too.  Raises VenueError."""
        ...

    async def bars(self, symbol: str, interval: Nanos, count: int, before: Nanos) -> Sequence[Bar]:
        """Up to `count` bars of `interval` that closed by `before`, oldest first; fewer or none where unknown."""
        ...

    async def trades(
        self, symbol: str, first: int | None, last: int | None, since: Nanos | None = None
    ) -> Sequence[TradePrinted]:
        """Public trades in their order: one page from `first` (None: the newest), not beyond `last`.

        `since`: a venue time not after the first of them, for a venue that pages by time.  Raises VenueError.
        """
        ...

    async def submit(self, command: SubmitOrder) -> OrderAccepted | OrderClosed | OrderLost:
        """Send an order, once.  Never raises but CancelledError; never retries."""
        ...

    async def cancel(self, command: CancelOrder) -> OrderClosed | CancelRefused | OrderLost:
        """Ask for an order's end.  `OrderClosed` only with the venue's final count."""
        ...

    async def query(self, command: QueryOrder) -> OrderAccepted | OrderClosed | OrderMissing | None:
        """Ask for one order by our id.  None: no usable answer, ask again later."""
        ...

    async def fills(self, command: ListFills) -> Sequence[OrderFilled | FillsListed]:
        """Our fills since a moment, of every order on the symbol that is ours, ended by FillsListed; empty: failed."""
        ...

    async def hold_dead_man(self, symbol: str) -> None:
        """Start the venue's timer anew: `caps.dead_man.window` from now it cancels.  Raises VenueError: not held."""
        ...

    async def release_dead_man(self, symbol: str) -> None:
        """Stop the venue's timer.  Raises VenueError: it may still fire."""
        ...

    async def stream(self, symbol: str, sink: Sink) -> None:
        """Stream prints, quotes and our own reports into the sink until canceled, reconnecting for ever.

        Says `StreamRestored` for each channel once it is up the first time, too.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
