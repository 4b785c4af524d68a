"""What the market has traded in a parent's window, and in each of its slices.

Promise: sums are integers, exact in whatever order prints come and when some are taken back; a print belongs to the
window and to its slice by the venue's time.
"""

from __future__ import annotations

from execd.core.events import Bar, MarketView, TradePrinted
from execd.core.grid import Lots, Nanos, Notional, Ticks
from execd.core.orders import ParentOrder


class Cell:
    """The sums of prints that follow one another in one second of one slice; `last` is the latest of them."""

    __slots__ = ("at", "first", "heard", "high", "largest", "last", "low", "notional", "trades", "until", "volume")

    def __init__(self, trade: TradePrinted, heard: Nanos | None, until: Nanos) -> None:
        self.last, self.heard, self.at, self.until = trade, heard, trade.at, until
        self.first = trade.id - trade.count + 1
        self.trades = trade.count
        self.low: int = trade.price
        self.high: int = trade.price
        self.largest: int = trade.quantity
        self.volume: int = trade.quantity
        self.notional = trade.price * trade.quantity


class Window:
    """Sums over [start, end) and a bar a slice.

    A trade that was taken back leaves what only bounds as wide as it was: the lowest and the highest price, the largest
    print, the busiest second, and the lowest id.
    """

    def __init__(self, parent: ParentOrder) -> None:
        self._parent = parent
        self._bars: dict[int, Bar] = {}
        self._closed_by: dict[int, tuple[int, int]] = {}  # time and id of each bar's last print
        self._touched: set[int] = set()
        self.volume = self.notional = self.trades = self.largest = self.peak = 0
        self.first_id: int | None = None
        self.low: int | None = None
        self.high: int | None = None

    def book(self, cell: Cell, second: int) -> None:
        """Add the sums of a cell, if it lies in the window; `second` is the volume of its second so far."""
        last = cell.last
        if not self._parent.start <= last.at < self._parent.end:
            return
        self.volume += cell.volume
        self.notional += cell.notional
        self.trades += cell.trades
        self.first_id = cell.first if self.first_id is None else min(self.first_id, cell.first)
        self.largest = max(self.largest, cell.largest)
        self.peak = max(self.peak, second)
        self.low = cell.low if self.low is None else min(self.low, cell.low)
        self.high = cell.high if self.high is None else max(self.high, cell.high)
        number, close = self._parent.slice_at(last.at), last.price
        if (last.at, last.id) >= self._closed_by.get(number, (0, 0)):
            self._closed_by[number] = (last.at, last.id)
        else:
            close = self._bars[number].close
        self._add(number, cell.volume, cell.notional, cell.trades, close)

    def take_back(self, trade: TradePrinted, known: list[TradePrinted]) -> None:
        """Undo a print that was booked; where it closed its bar, the last before it does, of those still known."""
        if not self._parent.start <= trade.at < self._parent.end:
            return
        notional = trade.price * trade.quantity
        self.volume -= trade.quantity
        self.notional -= notional
        self.trades -= trade.count
        number = self._parent.slice_at(trade.at)
        self._add(number, -trade.quantity, -notional, -trade.count, self._close_without(number, trade, known))

    def _close_without(self, number: int, trade: TradePrinted, known: list[TradePrinted]) -> Ticks:
        bar = self._bars[number]
        if bar.trades == trade.count:
            # Nothing is left of it: it has the price of the one before, as a bar in which nothing traded has.
            del self._closed_by[number]
            return self._bars[number - 1].close if number - 1 in self._bars else Ticks(0)
        if (trade.at, trade.id) != self._closed_by[number]:
            return bar.close
        begin, end = self._parent.boundary(number), self._parent.boundary(number + 1)
        before = max((other for other in known if begin <= other.at < end), key=moment, default=trade)
        self._closed_by[number] = moment(before)
        return before.price

    def changed(self) -> tuple[Bar, ...]:
        """The bars that changed since they were last asked for."""
        bars = tuple(self._bars[number] for number in sorted(self._touched))
        self._touched.clear()
        return bars

    def restore(self, view: MarketView, bars: dict[int, Bar], at: Nanos | None) -> None:
        """Continue from a view and the bars so far, where the last print had this time and the view's last id."""
        self.volume, self.notional, self.trades = view.volume, view.notional, view.trades
        self.largest, self.low, self.high, self.peak = view.largest, view.window_low, view.window_high, view.peak
        self.first_id = view.first_id
        self._bars = dict(bars)
        # To a bar that is over, what still comes is late; to the one at work, what is not after its last print.
        self._closed_by = {number: (self._parent.boundary(number + 1), 0) for number in bars}
        if at is not None and view.last_id is not None:
            self._closed_by[self._parent.slice_at(at)] = (at, view.last_id)

    def _add(self, number: int, volume: int, notional: int, trades: int, close: Ticks) -> None:
        bar = self._bars.get(number) or Bar(self._parent.boundary(number), Lots(0), Notional(0), close, 0)
        self._bars[number] = Bar(
            start=bar.start,
            volume=Lots(bar.volume + volume),
            notional=Notional(bar.notional + notional),
            close=close,
            trades=bar.trades + trades,
        )
        self._touched.add(number)


def moment(trade: TradePrinted) -> tuple[Nanos, int]:
    """What orders prints: the venue's time, and of one moment the id."""
    return trade.at, trade.id
