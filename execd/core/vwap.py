"""VwapTracker: the market's volume and notional over a parent's window, exact, with what it may have missed.

Promise: each print counts once, whatever the order of arrival; sums are integers; a print belongs to the window by the
venue's time.  Where the venue's trade ids rise by one, a jump is a gap that stands until the missing ids have come; a
trade that the venue changes or takes back is taken out of every sum it is in, or counted as lost.

Prints in order are added up in a cell, a part of one second in one slice; what is outside of it, and every view, closes
the cell and books it where it belongs.  Memory: the latest prints, and a few sums a second and a slice.
"""

from __future__ import annotations

from execd.core.events import Bar, Gap, MarketView, Print, PrintsMissed, QuoteChanged, TradeBusted, TradePrinted
from execd.core.grid import MINUTE, SECOND, Lots, Nanos, Notional, Ticks
from execd.core.orders import ParentOrder
from execd.core.rolling import Rolling
from execd.core.tape_ids import Holes, LooseIds, RunningIds, nothing
from execd.core.window import Cell, Window, moment

SWING_S = 10
"""Seconds over which a view tells the lowest and the highest trade."""

CLOSED = Nanos(0)
NEVER = Nanos(-1)
NO_TRADE = nothing(-1, NEVER)


class VwapTracker:
    """The tape and the quotes as one parent sees them.  `observe` is O(1) and decides nothing."""

    def __init__(self, parent: ParentOrder, trailing: Nanos, *, contiguous: bool) -> None:
        self._parent = parent
        self._contiguous = contiguous
        self._ids: RunningIds | LooseIds = (RunningIds if contiguous else LooseIds)(parent.start, parent.end)
        self._holes = Holes()
        self._minute = Rolling(MINUTE)
        self._trailing = Rolling(trailing)
        self._cell = Cell(NO_TRADE, None, CLOSED)
        self._window = Window(parent)
        self._quote: QuoteChanged | None = None
        self._quote_at: Nanos | None = None
        self._resumed_at = NEVER  # the venue's time of the last print of an earlier life

    @property
    def trades(self) -> int:
        """For how many trades the prints of the window stand."""
        self._close_cell()
        return self._window.trades

    @property
    def volume(self) -> int:
        """The lots that the window's prints have traded."""
        self._close_cell()
        return self._window.volume

    @property
    def missing(self) -> tuple[Gap, ...]:
        """Ranges of trade ids that were skipped and may still be back-filled, inside the window or not."""
        return tuple(sorted(self._ids.gaps, key=lambda gap: gap.first))

    @property
    def holes(self) -> tuple[tuple[Nanos, Nanos], ...]:
        """Spans [since, until] of venue time in which trades may have been missed; `mend` ends one."""
        return tuple(self._holes.spans)

    @property
    def last_id(self) -> int | None:
        """The highest trade id seen."""
        return self._ids.last

    @property
    def heard_at(self) -> tuple[Nanos | None, Nanos | None]:
        """When, by our time, the last trade and the last quote came."""
        return self._cell.heard, self._quote_at

    @property
    def last_venue_at(self) -> Nanos | None:
        """The venue's time of the latest print."""
        latest = max(self._cell.last.at, self._resumed_at)
        return None if latest == NEVER else latest

    @property
    def anchored(self) -> bool:
        """Whether what was printed before the first id that we know is known to be none of the window's."""
        return self._ids.anchored

    def anchor(self) -> None:
        """Take no id below the first one any more: what lies before it has been looked at."""
        self._ids.anchored = True

    def mend(self, since: Nanos, until: Nanos) -> None:
        """Know every trade of a span of venue time: a hole in it is none any more.

        Of the very moment at which an earlier life ended, loose ids cannot tell what was already counted: it stays.
        """
        self._holes.mend(since, until)
        if not self._contiguous and since <= self._resumed_at <= until:
            self._holes.add(self._resumed_at, self._resumed_at)

    def observe(self, now: Nanos, event: Print) -> None:
        """Take what the tape or the book tells into account, once."""
        if type(event) is TradePrinted:
            cell, ids, number, at = self._cell, self._ids, event.id, event.at
            if not cell.at <= at < cell.until:
                self._count(now, event)
                return
            if number - event.count == ids.run:
                ids.run = number
                ids.ring[number & ids.mask] = event
            elif at == cell.at and number < cell.last.id:
                self._count(now, event)
                return
            elif not ids.take(event):
                return
            elif number - event.count + 1 < cell.first:
                cell.first = number - event.count + 1
            price, quantity = event.price, event.quantity
            cell.last, cell.at, cell.heard = event, at, now
            cell.trades += event.count
            cell.volume += quantity
            cell.notional += price * quantity
            if price < cell.low:
                cell.low = price
            elif price > cell.high:
                cell.high = price
            if quantity > cell.largest:
                cell.largest = quantity
        elif type(event) is QuoteChanged:
            self._quote = event
            self._quote_at = now
        elif type(event) is TradeBusted:
            self._bust(event.id)
        elif type(event) is PrintsMissed:
            self._holes.add(event.since, event.until)
        else:
            self._correct(now, event.trade)

    def view(self, now: Nanos) -> MarketView:
        """The market as of now.  Bars that changed since the last view come with it, once."""
        self._close_cell()
        self._minute.forget(now)
        self._trailing.forget(now)
        parent, window, ids, quote, last = self._parent, self._window, self._ids, self._quote, self._cell.last
        extremes = self._minute.extremes(now, SWING_S)
        holes = self._unknown()
        reached = max([last.at, self._resumed_at, *(until for _, until in holes)])
        return MarketView(
            bid=quote.bid if quote else None,
            bid_size=quote.bid_size if quote else Lots(0),
            ask=quote.ask if quote else None,
            ask_size=quote.ask_size if quote else Lots(0),
            quote_at=self._quote_at,
            last=last.price if last.count else None,
            last_at=self._cell.heard,
            last_id=ids.last,
            last_venue_at=self.last_venue_at,
            minute_volume=Lots(self._minute.volume),
            minute_notional=Notional(self._minute.notional),
            trailing_volume=Lots(self._trailing.volume),
            low=extremes[0] if extremes else None,
            high=extremes[1] if extremes else None,
            volume=Lots(window.volume),
            notional=Notional(window.notional),
            trades=window.trades,
            first_id=window.first_id,
            elapsed=Nanos(max(0, min(parent.end, reached + 1) - parent.start)),
            gaps=tuple(gap for gap in self.missing if ids.concerns(gap)),
            lost=ids.lost,
            holes=holes,
            blind_until=None if ids.anchored else ids.first_at,
            largest=Lots(window.largest),
            window_low=None if window.low is None else Ticks(window.low),
            window_high=None if window.high is None else Ticks(window.high),
            peak=Lots(window.peak),
            bars=window.changed(),
        )

    def restore(self, view: MarketView, bars: dict[int, Bar]) -> None:
        """Continue from what was journalled last, so that only what came after it needs to be fetched.

        Rolling sums and quotes start empty: they are about now, and what is not known now is not known.
        """
        ids, at = self._ids, self._parent.start if view.last_venue_at is None else view.last_venue_at
        self._window.restore(view, bars, view.last_venue_at)
        ids.lost = view.lost
        for since, until in view.holes:
            self._holes.add(since, until)
        if view.last_id is None:
            return
        self._resumed_at = at
        ids.anchored = view.blind_until is None
        if view.blind_until is not None:
            self._holes.mend(self._parent.start, view.blind_until)
        if isinstance(ids, RunningIds):
            first = view.last_id if view.first_id is None else view.first_id
            ids.restore(view.last_id, at, min([first, *(gap.first for gap in view.gaps)]), list(view.gaps))
        else:
            ids.floor, ids.last = at, view.last_id
            self._holes.add(at, at)
        ids.first_at = view.blind_until or at

    # -------------------------------------------------------------------------------------------------- the slow path

    def _count(self, now: Nanos, trade: TradePrinted) -> None:
        """Count a print that does not follow the one before it in its cell, if it is new."""
        if self._ids.take(trade):
            self._book_in_time(now, trade)

    def _book_in_time(self, now: Nanos, trade: TradePrinted) -> None:
        last = self._cell.last
        if moment(trade) <= moment(last) or trade.at < self._resumed_at:
            self._book(Cell(trade, None, CLOSED))
            return
        if self._cell.heard is None and not self._contiguous and self._resumed_at != NEVER:
            self._holes.add(self._resumed_at, Nanos(trade.at - 1))
        self._close_cell()
        self._cell = Cell(trade, now, self._until(trade.at))

    def _until(self, at: Nanos) -> Nanos:
        """Where the cell of a moment ends: with its second, with its slice, or where the window begins."""
        parent, second = self._parent, at - at % SECOND + SECOND
        if at < parent.start:
            return Nanos(min(second, parent.start))
        return Nanos(min(second, parent.boundary(parent.slice_at(at) + 1))) if at < parent.end else Nanos(second)

    def _close_cell(self) -> None:
        if self._cell.until:
            self._cell.until = CLOSED
            self._book(self._cell)

    def _book(self, cell: Cell) -> None:
        """Add the sums of a cell to every window that it belongs to."""
        at = cell.last.at
        self._minute.add(at, cell.volume, cell.notional, cell.low, cell.high)
        second = self._trailing.add(at, cell.volume, cell.notional, cell.low, cell.high)
        self._window.book(cell, second)

    # ------------------------------------------------------------------------------------- what the venue takes back

    def _bust(self, number: int) -> None:
        ids = self._ids
        if isinstance(ids, RunningIds) and ids.void(number):
            return
        trade = ids.find(number)
        if trade is None:
            self._lose(number)
        elif trade.count:
            self._take_back(trade)

    def _correct(self, now: Nanos, trade: TradePrinted) -> None:
        ids = self._ids
        if isinstance(ids, RunningIds):
            if ids.take(trade):
                self._book_in_time(now, trade)
                return
            if ids.awaits(trade.id):
                return  # Others of the trades for which it stands were seen: what is left of it must come by itself.
        before = ids.find(trade.id)
        if before is None:
            self._lose(trade.id)
        elif before.count:
            self._take_back(before)
            ids.put(trade)
            self._book_in_time(now, trade)

    def _lose(self, number: int) -> None:
        """A trade that is no longer known has changed: if it is one of the window's, by how much nobody can tell."""
        if not self._contiguous:
            self._ids.put(nothing(number, CLOSED))
        self._close_cell()
        first = self._window.first_id
        if first is not None and (not self._contiguous or number >= first):
            self._ids.lost += 1

    def _take_back(self, trade: TradePrinted) -> None:
        """Take a print out of every window that it is in."""
        self._close_cell()
        self._ids.put(nothing(trade.id, trade.at))
        known = self._ids.latest()
        if trade is self._cell.last:
            self._cell = Cell(max(known, key=moment, default=NO_TRADE), self._cell.heard, CLOSED)
        notional = trade.price * trade.quantity
        self._minute.take_back(trade.at, trade.quantity, notional)
        self._trailing.take_back(trade.at, trade.quantity, notional)
        self._window.take_back(trade, known)

    def _unknown(self) -> tuple[tuple[Nanos, Nanos], ...]:
        """The holes of the window, among them its beginning while nobody has looked back."""
        parent, first_at = self._parent, self._ids.first_at
        if self._ids.anchored or first_at is None or first_at < parent.start:
            return self._holes.within(parent.start, parent.end)
        holes = Holes()
        holes.add(parent.start, first_at)
        for since, until in self._holes.spans:
            holes.add(since, until)
        return holes.within(parent.start, parent.end)


def minute_price2(view: MarketView) -> int | None:
    """Twice the VWAP of the last minute in ticks, rounded down; None where nothing traded."""
    return 2 * view.minute_notional // view.minute_volume if view.minute_volume else None


def last_price2(view: MarketView) -> int | None:
    """Twice the last traded price in ticks (all references are doubled, so that a mid is whole)."""
    return None if view.last is None else 2 * Ticks(view.last)
