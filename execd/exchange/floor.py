"""The trading floor: every symbol's book, tape and candles, and where strangers and users meet.

Promise: each public trade gets the next id, is kept, counted into the candles and told; each change of a book has an
update id and is told after what caused it.  `settle` is called once for every fill of a user's order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.exchange.book import Book, Entry, Level
from execd.exchange.history import History
from execd.exchange.klines import Klines
from execd.exchange.market import Candle, SymbolRules
from execd.exchange.records import BookChanged, Happening, Order, PublicTrade, TradeMade

Settle = Callable[[Order, PublicTrade, bool], None]
"""Settle a fill of a user's order: the order, the trade, whether the order made the liquidity."""

Taken = Callable[[Nanos, str, Side, Ticks, int], None]
"""A user took strangers' size: when, symbol, the user's side, price, lots."""


class Pit:
    """Where one symbol trades."""

    def __init__(self, rules: SymbolRules, first_id: int) -> None:
        self.rules = rules
        self.book = Book()
        self.history = History(first_id)
        self.klines = Klines()
        self.update_id = first_id


class TradingFloor:
    """All pits.  Market models work through this (see `market.Floor`); so does the engine."""

    def __init__(self, rules: Sequence[SymbolRules], first_id: int, settle: Settle, taken: Taken) -> None:
        self.pits = {rule.symbol: Pit(rule, first_id) for rule in rules}
        self.happenings: list[Happening] = []
        self._settle = settle
        self._taken = taken
        self._next_order = first_id
        self._tape_taker: tuple[str, Nanos, Side] | None = None
        self._tape_order = 0

    def new_order_id(self) -> int:
        """The next order id, of users and strangers alike."""
        self._next_order += 1
        return self._next_order

    # ------------------------------------------------------------------------------------------ what models may ask

    def market_size(self, symbol: str, side: Side, price: Ticks) -> int:
        """The market's own size at a price."""
        return self.pits[symbol].book.market_size(side, price)

    def touch(self, symbol: str, side: Side) -> Ticks | None:
        """The best price of a side, users' orders included."""
        return self.pits[symbol].book.touch(side)

    def levels(self, symbol: str, side: Side, limit: int) -> list[tuple[Ticks, int]]:
        """The market's own levels, best first."""
        found: list[tuple[Ticks, int]] = []
        for level in self.pits[symbol].book.sides[side]:
            if len(found) == limit:
                break
            if level.market:
                found.append((level.price, level.market))
        return found

    # ------------------------------------------------------------------------------------------- what models may do

    def set_size(self, symbol: str, side: Side, price: Ticks, size: int) -> None:
        """Make the market's own size at a price this; nothing where it would cross."""
        book = self.pits[symbol].book
        have = book.market_size(side, price)
        if size > have:
            if not book.crosses(side, price):
                book.join(side, price, Entry(self.new_order_id(), size - have))
        elif size < have:
            book.shrink(side, price, have - size)

    def clear_better(self, symbol: str, side: Side, price: Ticks) -> None:
        """Withdraw the market's own sizes at prices strictly better than this."""
        self.pits[symbol].book.clear_better(side, price)

    def take(self, at: Nanos, symbol: str, side: Side, quantity: int, limit: Ticks) -> int:
        """A stranger takes up to a quantity inside a limit, by the queue; returns what it got."""
        pit = self.pits[symbol]
        taker = self.new_order_id()
        left = quantity
        while left and (front := pit.book.front(side.opposite)) is not None:
            level, entry = front
            if level.price * side.sign > limit * side.sign:
                break
            part = min(left, entry.left)
            self.trade(at, pit, side, level, entry, part, taker)
            left -= part
        return quantity - left

    def print_whole(self, at: Nanos, symbol: str, side: Side, price: Ticks, quantity: Lots) -> None:
        """Print a tape's trade whole, and let it fill users' orders by the queue rule.

        What was better than the price is gone: strangers silently, users filled.  At the price the queue is eaten from
        its front.  Users' fills are trades of their own, at their own price, and together never more than the print.
        """
        pit = self.pits[symbol]
        taker = self._tape_taker_id(at, symbol, side)
        maker = self.new_order_id()
        self._print(at, pit, side, price, quantity, taker=taker, maker=maker)
        left = self._eat(at, pit, side, price, quantity, taker)
        # The other side of the queue: a trade through a user's price fills it whoever was the taker.
        pit.book.clear_better(side, Ticks(price - side.sign))
        half = pit.book.sides[side]
        while left and (level := half.best()) is not None and half.better(level.price, price):
            entry = level.queue[0]
            part = min(left, entry.left)
            self.trade(at, pit, side.opposite, level, entry, part, maker)
            left -= part

    def remember(self, symbol: str, seconds: Sequence[Candle], minutes: Sequence[Candle]) -> None:
        """Take in the candles of the time before the exchange opened."""
        self.pits[symbol].klines.remember(seconds, minutes)

    # ----------------------------------------------------------------------------------------- what the engine does

    def trade(
        self,
        at: Nanos,
        pit: Pit,
        side: Side,
        level: Level,
        entry: Entry,
        lots: int,
        taker: int,
        own: Order | None = None,
    ) -> None:
        """A taker (`own` if it is a user's) trades lots with an entry of the other side, at the entry's price."""
        maker = entry.order
        pit.book.reduce(side.opposite, level, entry, lots)
        trade = self._print(at, pit, side, level.price, Lots(lots), taker=taker, maker=entry.id)
        if own is not None:
            self._settle(own, trade, False)
        if maker is not None:
            self._settle(maker, trade, True)
        elif own is not None:
            self._taken(at, pit.rules.symbol, side, trade.price, lots)

    def flush(self, at: Nanos) -> None:
        """Tell how the books have changed since the last time."""
        for symbol, pit in self.pits.items():
            changed = pit.book.changed
            if not changed[Side.BUY] and not changed[Side.SELL]:
                continue
            first = pit.update_id + 1
            pit.update_id += len(changed[Side.BUY]) + len(changed[Side.SELL])
            bids, asks = _sizes(pit.book, Side.BUY), _sizes(pit.book, Side.SELL)
            self.happenings.append(BookChanged(symbol, first, pit.update_id, bids, asks, at))

    def _eat(self, at: Nanos, pit: Pit, side: Side, price: Ticks, quantity: int, taker: int) -> int:
        pit.book.clear_better(side.opposite, price)
        left = quantity
        while left and (front := pit.book.front(side.opposite)) is not None:
            level, entry = front
            if level.price * side.sign > price * side.sign:
                break
            part = min(left, entry.left)
            if entry.order is None:
                pit.book.reduce(side.opposite, level, entry, part)
            else:
                self.trade(at, pit, side, level, entry, part, taker)
            left -= part
        return left

    def _print(
        self, at: Nanos, pit: Pit, side: Side, price: Ticks, lots: Lots, *, taker: int, maker: int
    ) -> PublicTrade:
        buying = side is Side.BUY
        buyer, seller = (taker, maker) if buying else (maker, taker)
        trade = PublicTrade(pit.history.next_id, price, lots, at, not buying, buyer, seller)
        pit.history.add(trade)
        pit.klines.add(trade)
        self.happenings.append(TradeMade(pit.rules.symbol, trade))
        return trade

    def _tape_taker_id(self, at: Nanos, symbol: str, side: Side) -> int:
        """Prints of one moment and side are taken for one taker's."""
        if self._tape_taker != (symbol, at, side):
            self._tape_taker = (symbol, at, side)
            self._tape_order = self.new_order_id()
        return self._tape_order


def _sizes(book: Book, side: Side) -> tuple[tuple[Ticks, Lots], ...]:
    """The new sizes of what changed on a side, best first; the list of changes is emptied."""
    half = book.sides[side]
    prices = sorted(book.changed[side], reverse=side is Side.BUY)
    book.changed[side].clear()
    return tuple((price, Lots(0 if (level := half.get(price)) is None else level.total)) for price in prices)
