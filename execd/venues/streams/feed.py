"""What a small file an exchange gives: where to dial, what to say, how to read, how to ask for what was missed.

Promise: a feed is data and pure functions.  Any bytes whatever give facts, nothing, `BadFrame` or `StreamBroken`;
prices and quantities are exact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, ClassVar

import msgspec

from execd.core.events import QuoteChanged, TradeBusted, TradePrinted
from execd.core.grid import SECOND, Lots, Nanos, Ticks
from execd.venues import Paging as Paging
from execd.venues.digits import Grid

Facts = Sequence[TradePrinted | QuoteChanged | TradeBusted]
"""What a frame tells; `TradeBusted` also for an id that is used up, but by no trade of the market."""

NANOS_PER_MS = 1_000_000

LATEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999: what is later is no time that anything here can show."""

LARGEST_ID = 2**63 - 1

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]

BROKEN = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What decoding nonsense raises."""


class BadFrame(ValueError):
    """A frame that cannot be understood."""


class StreamBroken(Exception):
    """This connection is no longer of use.  Its text says why."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What must be said every so many seconds, so that the exchange keeps the connection."""

    every_s: float
    message: str


@dataclass(frozen=True, slots=True)
class Request:
    """A GET for public trades: the whole URL, the exchange's weight, and whether it wants a key in `key_header`.

    With a `body` it is a POST of that as JSON; `header` is one more header that it wants, name and value.
    """

    url: str
    weight: float = 1.0
    key_header: str | None = None
    body: Mapping[str, str] | None = None
    header: tuple[str, str] | None = None


class Feed(ABC):
    """The public trades and best quotes of one market on one exchange.

    `contiguous`: the ids of a market's trades rise by one, or each print says how many it stands for, so that a jump is
    a gap.  `page_most`: most trades that one answer gives.  `sparse`: an answer leaves out ids that were used up by no
    trade of the market, so that what it passes over is none that was missed.  `by_symbol`: the exchange's streams know
    a market by its symbol, as "BTC/USD", so that this is its `market_id`.
    """

    contiguous: ClassVar[bool]
    paging: ClassVar[Paging]
    page_most: ClassVar[int]
    sparse: ClassVar[bool] = False
    by_symbol: ClassVar[bool] = False
    beat: ClassVar[Beat | None] = None

    def __init__(self, market_id: str, grid: Grid, *, sandbox: bool = False, linear: bool = False) -> None:
        """Read one market: the exchange's own name of it, and its grid.

        `sandbox`: on the test network; `linear`: a linear derivative, where an exchange names it as it does a spot
        market.
        """
        self._id, self._grid, self._sandbox, self._linear = market_id, grid, sandbox, linear

    @property
    @abstractmethod
    def url(self) -> str:
        """Where to dial."""

    @property
    def hello(self) -> Sequence[str]:
        """What to say first, to subscribe."""
        return ()

    @abstractmethod
    def decode(self, frame: bytes, now: Nanos) -> Facts:
        """What a frame tells, in its order; a quote without a time of its own takes `now`.

        Raises:
            BadFrame: it cannot be understood.
            StreamBroken: the exchange refuses the subscription or says goodbye.
        """

    @abstractmethod
    def request(self, first: int | None, last: int | None, since: Nanos | None) -> Request:
        """Ask for public trades.

        Args:
            first: the lowest id that is wanted; None: the newest trades.
            last: the highest that is.
            since: a venue time not after the first one wanted, for an exchange that pages by time.
        """

    @abstractmethod
    def page(self, answer: object) -> list[TradePrinted]:
        """The trades of the answer (parsed JSON) to a request, in any order.  Raises ValueError."""

    def _quote(self, bid: str, bid_size: str, ask: str, ask_size: str, at: Nanos, update: int = 0) -> Facts:
        """A quote, or nothing: an empty side or a crossed book is no market to trade by.  Raises ValueError."""
        low, high = self._grid.ticks(bid), self._grid.ticks(ask)
        if not 0 < low < high:
            return ()
        return (QuoteChanged(low, self._grid.lots(bid_size), high, self._grid.lots(ask_size), at, update),)

    def _sized(self, price: str, quantity: str) -> tuple[Ticks, Lots]:
        """The price and the quantity of a trade.  Raises ValueError."""
        ticks, lots = self._grid.ticks(price), self._grid.lots(quantity)
        if not (ticks and lots):
            raise BadFrame("a trade of nothing")
        return ticks, lots


def nanos(milliseconds: int) -> Nanos:
    """A time as most exchanges write it.  Raises ValueError for one that nothing here could show."""
    if not 0 <= milliseconds <= LATEST_MS:
        raise ValueError(f"{milliseconds} is no time in milliseconds")
    return Nanos(milliseconds * NANOS_PER_MS)


def moment(text: str) -> Nanos:
    """A time in UTC as RFC 3339 writes it, to the nanosecond.  Raises ValueError."""
    whole, point, fraction = text.removesuffix("Z").partition(".")
    if not (text.endswith("Z") and text.isascii() and (fraction.isdigit() or not point) and len(fraction) <= 9):
        raise ValueError(f"{text[:40]!r} is no time in UTC")
    return Nanos(_second(whole) * SECOND + int(fraction.ljust(9, "0")))


@lru_cache(maxsize=64)
def _second(text: str) -> int:
    """Most trades of a busy market share their second."""
    when = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    if when < EPOCH:
        raise ValueError(f"{text} is before 1970")
    return (when - EPOCH) // timedelta(seconds=1)


def number(text: str) -> int:
    """A trade id as a number: itself where it is one that fits, else 63 bits of its hash, the same every time.

    Raises ValueError for nothing, or for more than an id can be.
    """
    if not 0 < len(text) <= 100:
        raise ValueError("a trade id must have 1 to 100 characters")
    if text.isdecimal() and text.isascii() and int(text) <= LARGEST_ID:
        return int(text)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 1
