"""VwapTracker: the market's volume and notional over a parent's window, exact, with what it may have missed.

Promise: each print counts once, whatever the order of arrival; sums are integers; a print belongs to the window by the
venue's time.  Where the venue's trade ids rise by one, a jump is a gap that stands until the missing ids have come.
"""

from __future__ import annotations

from collections import deque

from execd.core.events import Bar, MarketView, QuoteChanged, TradePrinted
from execd.core.grid import MINUTE, SECOND, Lots, Nanos, Notional, Ticks
from execd.core.orders import ParentOrder

GAPS_MAX = 64
"""Most ranges of missing ids that are kept fillable; older ones become `lost`."""

SWING_S = 10
"""Seconds over which a view tells the lowest and the highest trade."""

RECENT_IDS_MAX = 20_000
"""Ids remembered to tell repeats apart where ids do not rise by one."""


class Rolling:
    """Volume, notional, low and high of the last `span`, in buckets of one second of venue time.

    O(1) a print, amortised.
    """

    __slots__ = ("_buckets", "_span", "notional", "volume")

    def __init__(self, span: Nanos) -> None:
        self._span = span // SECOND
        self._buckets: deque[list[int]] = deque()  # [second, volume, notional, low, high], ascending
        self.volume = 0
        self.notional = 0

    def add(self, at: Nanos, volume: int, notional: int, price: int) -> None:
        """Count a print in the bucket of its second, late ones too."""
        second = at // SECOND
        buckets = self._buckets
        if buckets and second <= buckets[-1][0] - self._span:
            return
        self.volume += volume
        self.notional += notional
        position = len(buckets)
        while position and buckets[position - 1][0] > second:
            position -= 1
        if position and buckets[position - 1][0] == second:
            bucket = buckets[position - 1]
            bucket[1] += volume
            bucket[2] += notional
            if price < bucket[3]:
                bucket[3] = price
            elif price > bucket[4]:
                bucket[4] = price
        else:
            buckets.insert(position, [second, volume, notional, price, price])
            self.forget(Nanos(buckets[-1][0] * SECOND))

    def forget(self, now: Nanos) -> None:
        """Drop the buckets that lie a whole span or more before now."""
        oldest = now // SECOND - self._span
        while self._buckets and self._buckets[0][0] <= oldest:
            bucket = self._buckets.popleft()
            self.volume -= bucket[1]
            self.notional -= bucket[2]

    def extremes(self, now: Nanos, seconds: int) -> tuple[Ticks, Ticks] | None:
        """The lowest and the highest price of the last so many seconds; None where nothing traded."""
        oldest = now // SECOND - seconds
        low = high = None
        for second, _, _, lowest, highest in reversed(self._buckets):
            if second <= oldest:
                break
            low = lowest if low is None or lowest < low else low
            high = highest if high is None or highest > high else high
        return None if low is None or high is None else (Ticks(low), Ticks(high))


class Gaps:
    """Which trade ids have been seen.  `missing` are the ranges that may still come.

    Until `anchored`, ids below the first one seen are new too: a list of recent trades may come after the stream.
    """

    __slots__ = ("_contiguous", "_first", "_order", "_recent", "anchored", "last", "lost", "missing")

    def __init__(self, *, contiguous: bool) -> None:
        self._contiguous = contiguous
        self._recent: set[int] = set()
        self._order: deque[int] = deque()
        self._first = 0
        self.anchored = False
        self.last: int | None = None
        self.missing: list[tuple[int, int]] = []
        self.lost = 0

    def take(self, trade: int) -> bool:
        """Note an id; False if it was seen before."""
        if not self._contiguous:
            return self._take_loose(trade)
        last = self.last
        if last is None:
            self._first = self.last = trade
        elif trade == last + 1:
            self.last = trade
        elif trade > last:
            self._miss(last + 1, trade - 1)
            self.last = trade
        elif trade < self._first and not self.anchored:
            self._miss(trade + 1, self._first - 1)
            self._first = trade
        else:
            return self._fill(trade)
        return True

    def _miss(self, first: int, last: int) -> None:
        if first > last:
            return
        self.missing.append((first, last))
        if len(self.missing) > GAPS_MAX:
            low, high = self.missing.pop(0)
            self.lost += high - low + 1

    def _fill(self, trade: int) -> bool:
        for index, (low, high) in enumerate(self.missing):
            if low <= trade <= high:
                rest = [(low, trade - 1), (trade + 1, high)]
                self.missing[index : index + 1] = [part for part in rest if part[0] <= part[1]]
                return True
        return False

    def _take_loose(self, trade: int) -> bool:
        if trade in self._recent:
            return False
        self._recent.add(trade)
        self._order.append(trade)
        if len(self._order) > RECENT_IDS_MAX:
            self._recent.discard(self._order.popleft())
        self.last = trade if self.last is None else max(self.last, trade)
        return True


class VwapTracker:
    """The tape and the quotes as one parent sees them.  `observe` is O(1) and decides nothing."""

    def __init__(self, parent: ParentOrder, trailing: Nanos, *, contiguous: bool) -> None:
        self._parent = parent
        self._ids = Gaps(contiguous=contiguous)
        self._minute = Rolling(MINUTE)
        self._trailing = Rolling(trailing)
        self._bars: dict[int, Bar] = {}
        self._closed_by: dict[int, tuple[int, int]] = {}  # time and id of each bar's last print
        self._touched: set[int] = set()
        self._quote: QuoteChanged | None = None
        self._quote_at: Nanos | None = None
        self._last: TradePrinted | None = None
        self._last_at: Nanos | None = None
        self._first_id: int | None = None
        self.volume = 0
        self.notional = 0
        self.trades = 0

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """Ranges of trade ids [first, last] that were skipped and may still be back-filled."""
        return tuple(self._ids.missing)

    @property
    def last_id(self) -> int | None:
        """The highest trade id seen."""
        return self._ids.last

    @property
    def heard_at(self) -> tuple[Nanos | None, Nanos | None]:
        """When, by our time, the last trade and the last quote came."""
        return self._last_at, self._quote_at

    @property
    def last_venue_at(self) -> Nanos | None:
        """The venue's time of the latest print."""
        return self._last.at if self._last else None

    @property
    def anchored(self) -> bool:
        """Whether what was printed before the first id that we know is known to be none of the window's."""
        return self._ids.anchored

    def anchor(self) -> None:
        """Take no id below the first one any more: what lies before it has been looked at."""
        self._ids.anchored = True

    def observe(self, now: Nanos, event: TradePrinted | QuoteChanged) -> None:
        """Take a print or a quote into account, once."""
        if isinstance(event, QuoteChanged):
            self._quote = event
            self._quote_at = now
        elif self._ids.take(event.id):
            self._count(now, event)

    def _count(self, now: Nanos, trade: TradePrinted) -> None:
        notional = trade.price * trade.quantity
        self._minute.add(trade.at, trade.quantity, notional, trade.price)
        self._trailing.add(trade.at, trade.quantity, notional, trade.price)
        if self._last is None or (trade.at, trade.id) > (self._last.at, self._last.id):
            self._last = trade
            self._last_at = now
        if self._parent.start <= trade.at < self._parent.end:
            self.volume += trade.quantity
            self.notional += notional
            self.trades += 1
            if self._first_id is None or trade.id < self._first_id:
                self._first_id = trade.id
            self._extend_bar(trade, notional)

    def _extend_bar(self, trade: TradePrinted, notional: int) -> None:
        number = self._parent.slice_at(trade.at)
        bar = self._bars.get(number)
        volume, money, trades = (bar.volume, bar.notional, bar.trades) if bar else (0, 0, 0)
        close = trade.price
        if bar and (trade.at, trade.id) < self._closed_by.get(number, (0, 0)):
            close = bar.close  # A print that came late.
        else:
            self._closed_by[number] = (trade.at, trade.id)
        self._bars[number] = Bar(
            start=self._parent.boundary(number),
            volume=Lots(volume + trade.quantity),
            notional=Notional(money + notional),
            close=close,
            trades=trades + 1,
        )
        self._touched.add(number)

    def view(self, now: Nanos) -> MarketView:
        """The market as of now.  Bars that changed since the last view come with it, once."""
        self._minute.forget(now)
        self._trailing.forget(now)
        quote, last = self._quote, self._last
        extremes = self._minute.extremes(now, SWING_S)
        bars = tuple(self._bars[number] for number in sorted(self._touched))
        self._touched.clear()
        return MarketView(
            bid=quote.bid if quote else None,
            bid_size=quote.bid_size if quote else Lots(0),
            ask=quote.ask if quote else None,
            ask_size=quote.ask_size if quote else Lots(0),
            quote_at=self._quote_at,
            last=last.price if last else None,
            last_at=self._last_at,
            last_id=self._ids.last,
            last_venue_at=last.at if last else None,
            minute_volume=Lots(self._minute.volume),
            minute_notional=Notional(self._minute.notional),
            trailing_volume=Lots(self._trailing.volume),
            low=extremes[0] if extremes else None,
            high=extremes[1] if extremes else None,
            volume=Lots(self.volume),
            notional=Notional(self.notional),
            trades=self.trades,
            first_id=self._first_id,
            gaps=self.missing,
            lost=self._ids.lost,
            bars=bars,
        )

    def restore(self, view: MarketView, bars: dict[int, Bar]) -> None:
        """Continue from what was journalled last, so that only the ids after it need to be fetched.

        Rolling sums and quotes start empty: they are about now, and what is not known now is not known.
        """
        self.volume, self.notional, self.trades = view.volume, view.notional, view.trades
        self._ids.last = view.last_id
        self._ids.anchored = view.last_id is not None
        self._ids.missing = list(view.gaps)
        self._ids.lost = view.lost
        self._first_id = view.first_id
        self._bars = dict(bars)


def minute_price2(view: MarketView) -> int | None:
    """Twice the VWAP of the last minute in ticks, rounded down; None where nothing traded."""
    return 2 * view.minute_notional // view.minute_volume if view.minute_volume else None


def last_price2(view: MarketView) -> int | None:
    """Twice the last traded price in ticks (all references are doubled, so that a mid is whole)."""
    return None if view.last is None else 2 * Ticks(view.last)
