"""What a market tracker must say, from the definition: everything is kept, and added up anew each time.

Slow and plain on purpose.  Nothing of this is shared with the tracker.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from execd.core.events import (
    Bar,
    MarketView,
    Print,
    PrintsMissed,
    TradeBusted,
    TradeCorrected,
    TradePrinted,
)
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.core.orders import ParentOrder
from tests.core.build import a_parent, at


class Truth:
    """The set of the prints that count, and the set of the ids that are known."""

    def __init__(self, parent: ParentOrder, trailing_s: int, *, contiguous: bool) -> None:
        self.parent, self.trailing_s, self.contiguous = parent, trailing_s, contiguous
        self.anchored = False
        self.seen: set[int] = set()
        self.known: tuple[int, int] | None = None  # the lowest and the highest id that anything told of
        self.counted: dict[int, TradePrinted] = {}
        self.ever: list[TradePrinted] = []
        self.busted: set[int] = set()
        self.lost = 0
        self.spans: list[tuple[int, int]] = []
        self.first_at: Nanos | None = None

    def tell(self, event: Print) -> None:
        """Let an event of the tape happen."""
        match event:
            case TradePrinted():
                if self._new(self._ids(event), event.at):
                    self._count(event)
            case TradeBusted(id=number):
                self._bust(number)
            case TradeCorrected(trade=trade):
                self._correct(trade)
            case PrintsMissed(since=since, until=until) if since <= until:
                self.spans.append((since, until))

    def _ids(self, trade: TradePrinted) -> range:
        return range(trade.id - trade.count + 1 if self.contiguous else trade.id, trade.id + 1)

    def _new(self, ids: range, moment: Nanos | None = None) -> bool:
        """Take ids note of, all of which must be new; `first_at` is the time of the lowest, or without order of all."""
        low, high = self.known or (ids[0], ids[0])
        new = not self.seen & set(ids) and not (self.anchored and self.contiguous and ids[0] < low)
        if moment is not None and not self.anchored and (new or self.contiguous):
            earlier = self.first_at is None or (ids[0] < low if self.contiguous else moment < self.first_at)
            self.first_at = moment if earlier else self.first_at
        self.known = (low if self.anchored else min(low, ids[0]), max(high, ids[-1]))
        if new:
            self.seen |= set(ids)
        return new

    def _count(self, trade: TradePrinted) -> None:
        self.counted[trade.id] = trade
        self.ever.append(trade)

    def _bust(self, number: int) -> None:
        if self.contiguous:
            if self.known is None or (self.anchored and number < self.known[0]):
                return
            if number not in self.seen:
                self._new(range(number, number + 1))
                self.busted.add(number)
                return
        self._change(number, None)

    def _correct(self, trade: TradePrinted) -> None:
        if self.contiguous and self._new(self._ids(trade), trade.at):
            self._count(trade)
        else:
            self._change(trade.id, trade)

    def _change(self, number: int, now: TradePrinted | None) -> None:
        if number in self.counted:
            del self.counted[number]
            if now is None:
                self.busted.add(number)
            else:
                self._count(now)
        elif number not in self.busted and (number in self.seen or not self.contiguous):
            first = self.first_id
            self.lost += first is not None and (not self.contiguous or number >= first)
            if not self.contiguous:
                self.seen.add(number)
                self.busted.add(number)

    # -------------------------------------------------------------------------------------------------- what is true

    def inside(self, trades: Iterable[TradePrinted]) -> list[TradePrinted]:
        """Those of the window."""
        return [trade for trade in trades if self.parent.start <= trade.at < self.parent.end]

    @property
    def first_id(self) -> int | None:
        """The lowest id that ever counted in the window."""
        return min((trade.id - trade.count + 1 for trade in self.inside(self.ever)), default=None)

    @property
    def missing(self) -> set[int]:
        """The ids that must have been printed and were not seen."""
        if not self.contiguous or self.known is None:
            return set()
        return set(range(self.known[0], self.known[1] + 1)) - self.seen

    def bars(self) -> dict[int, tuple[int, int, int, int]]:
        """Volume, notional, close and trades of each slice in which anything traded."""
        found: dict[int, list[TradePrinted]] = {}
        for trade in sorted(self.inside(self.counted.values()), key=lambda trade: (trade.at, trade.id)):
            found.setdefault(self.parent.slice_at(trade.at), []).append(trade)
        return {number: (*_sums(trades), trades[-1].price, _trades(trades)) for number, trades in found.items()}

    def view(self, now: Nanos) -> dict[str, Any]:
        """What a view at a moment must show; `missing` and `unseen_ns` are what its coverage is made of."""
        inside, ever = self.inside(self.counted.values()), self.inside(self.ever)
        volume, notional = _sums(inside)
        last = max(self.counted.values(), key=lambda trade: (trade.at, trade.id), default=None)
        newest = max((now, *(trade.at for trade in self.ever))) // SECOND
        minute = [trade for trade in self.counted.values() if trade.at // SECOND > newest - 60]
        trailing = [trade for trade in self.counted.values() if trade.at // SECOND > newest - self.trailing_s]
        swing = [trade.price for trade in self.ever if trade.at // SECOND > max(newest - 60, now // SECOND - 10)]
        return {
            "volume": volume,
            "notional": notional,
            "trades": _trades(inside),
            "first_id": self.first_id,
            "last": last.price if last else None,
            "last_venue_at": last.at if last else None,
            "minute_volume": _sums(minute)[0],
            "minute_notional": _sums(minute)[1],
            "trailing_volume": _sums(trailing)[0],
            "low": min(swing, default=None),
            "high": max(swing, default=None),
            "largest": max((trade.quantity for trade in ever), default=0),
            "window_low": min((trade.price for trade in ever), default=None),
            "window_high": max((trade.price for trade in ever), default=None),
            "lost": self.lost,
        }

    def unseen(self) -> list[tuple[int, int]]:
        """The spans of the window, joined where they touch, of which nobody knows what they hold."""
        start, end = self.parent.start, self.parent.end - 1
        spans = list(self.spans)
        if not self.anchored and self.first_at is not None:
            spans.append((start, self.first_at))
        joined: list[tuple[int, int]] = []
        for since, until in sorted(span for span in spans if span[0] <= span[1]):
            if joined and since <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], until))
            else:
                joined.append((since, until))
        cut = [(max(since, start), min(until, end)) for since, until in joined]
        return [span for span in cut if span[0] <= span[1]]


def shown(view: MarketView, names: Iterable[str]) -> dict[str, Any]:
    """Some figures of a view."""
    return {name: getattr(view, name) for name in names}


def bars_of(bars: Iterable[Bar], parent: ParentOrder) -> dict[int, tuple[int, int, int, int]]:
    """Bars by the number of their slice, those that were emptied again left out."""
    return {parent.slice_at(bar.start): (bar.volume, bar.notional, bar.close, bar.trades) for bar in bars if bar.trades}


def _sums(trades: Iterable[TradePrinted]) -> tuple[int, int]:
    prints = list(trades)
    return sum(trade.quantity for trade in prints), sum(trade.price * trade.quantity for trade in prints)


def _trades(trades: Iterable[TradePrinted]) -> int:
    return sum(trade.count for trade in trades)


# ---------------------------------------------------------------------------------------------- what the wire can bring

WAITS_MS = st.one_of(st.integers(0, 5), st.integers(0, 2_000), st.integers(0, 90_000))
PRICES, QUANTITIES = st.integers(1, 10**7), st.integers(1, 10**6)


@st.composite
def tapes(draw: st.DrawFn) -> list[TradePrinted]:
    """Prints in the order of the venue, from before the window until after it; some stand for several trades."""
    number, moment, tape = draw(st.integers(0, 10**9)), -30_000, []
    for wait in draw(st.lists(WAITS_MS, min_size=1, max_size=30)):
        moment += wait
        count = draw(st.sampled_from([1, 1, 1, 1, 2, 3]))
        number += count
        price, quantity = draw(PRICES), draw(QUANTITIES)
        tape.append(TradePrinted(number, Ticks(price), Lots(quantity), at(moment / 1_000), Side.BUY, count))
    return tape


@st.composite
def wires(draw: st.DrawFn) -> list[Print]:
    """What comes of a tape: any order, repeats, losses; prints cut otherwise, changed, taken back; holes."""
    tape = draw(tapes())
    trades = st.sampled_from(tape)
    moments = st.integers(-60_000, 700_000).map(lambda ms: at(ms / 1_000))
    steps = st.one_of(
        trades,
        trades,
        trades,
        st.builds(_recut, trades, st.integers(1, 4), st.integers(-2, 2)),
        st.builds(lambda trade, off: TradeBusted(max(0, trade.id + off)), trades, st.sampled_from([0, 0, 0, -1, 1, 5])),
        st.builds(_changed, trades, PRICES, QUANTITIES, WAITS_MS),
        st.builds(PrintsMissed, moments, moments),
    )
    straight = draw(st.booleans())
    return [*(tape if straight else ()), *draw(st.lists(steps, min_size=1, max_size=60))]


def _recut(trade: TradePrinted, count: int, off: int) -> TradePrinted:
    number = max(0, trade.id + off)
    return TradePrinted(number, trade.price, trade.quantity, trade.at, trade.taker, min(count, number + 1))


def _changed(trade: TradePrinted, price: int, quantity: int, later_ms: int) -> TradeCorrected:
    moment = Nanos(trade.at + later_ms * 1_000_000)
    return TradeCorrected(TradePrinted(trade.id, Ticks(price), Lots(quantity), moment, trade.taker, trade.count))


PARENT = a_parent()
