"""One symbol's book: price levels with a queue each, of users' orders and of strangers' size.

Promise: price-time priority, whole numbers only, and never crossed.  Levels lie in a plain sorted list whose end is the
best price, so that best is O(1), a new price a binary search, and nothing but the standard library is needed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from execd.core.grid import Lots, Side, Ticks
from execd.exchange.records import Order


@dataclass(slots=True, eq=False)
class Entry:
    """Something that waits in a queue: a user's order, or a stranger's (`order` is None).  `left` is in lots."""

    id: int
    left: int
    order: Order | None = None


@dataclass(slots=True, eq=False)
class Level:
    """All that waits at one price.  `total` counts everything, `market` only the strangers."""

    price: Ticks
    queue: deque[Entry] = field(default_factory=deque)
    total: int = 0
    market: int = 0


class HalfBook:
    """One side of the book."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._sign = side.sign
        self._keys: list[int] = []  # Price times sign, ascending: the best is last.
        self._levels: dict[int, Level] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Level]:
        """Levels, best first."""
        for key in reversed(self._keys):
            yield self._levels[key]

    def best(self) -> Level | None:
        """The level with the best price."""
        return self._levels[self._keys[-1]] if self._keys else None

    def get(self, price: Ticks) -> Level | None:
        """The level at a price."""
        return self._levels.get(price * self._sign)

    def level(self, price: Ticks) -> Level:
        """The level at a price, made if it is not there."""
        key = price * self._sign
        found = self._levels.get(key)
        if found is None:
            found = self._levels[key] = Level(price)
            self._keys.insert(bisect_left(self._keys, key), key)
        return found

    def drop_if_empty(self, level: Level) -> None:
        """Forget a level in which nothing waits any more."""
        if not level.queue:
            key = level.price * self._sign
            del self._levels[key]
            del self._keys[bisect_left(self._keys, key)]

    def better(self, price: Ticks, other: Ticks) -> bool:
        """Whether a price of this side is strictly better (nearer to trading) than another."""
        return price * self._sign > other * self._sign


class Book:
    """Both sides.  `changed` collects the prices whose total changed since it was last cleared."""

    def __init__(self) -> None:
        self.sides = {Side.BUY: HalfBook(Side.BUY), Side.SELL: HalfBook(Side.SELL)}
        self.changed: dict[Side, set[Ticks]] = {Side.BUY: set(), Side.SELL: set()}

    def touch(self, side: Side) -> Ticks | None:
        """The best price of a side."""
        level = self.sides[side].best()
        return None if level is None else level.price

    def crosses(self, side: Side, price: Ticks) -> bool:
        """Whether an order of this side at this price would trade at once."""
        level = self.sides[side.opposite].best()
        return level is not None and level.price * side.sign <= price * side.sign

    def front(self, side: Side) -> tuple[Level, Entry] | None:
        """The next to trade on a side: the oldest entry of the best level."""
        level = self.sides[side].best()
        return None if level is None else (level, level.queue[0])

    def join(self, side: Side, price: Ticks, entry: Entry) -> None:
        """Put an entry at the end of the queue at its price."""
        assert entry.left > 0, f"nothing to rest at {price}"
        assert not self.crosses(side, price), f"{side} at {price} would cross the book"
        level = self.sides[side].level(price)
        level.queue.append(entry)
        self._count(side, level, entry, entry.left)

    def reduce(self, side: Side, level: Level, entry: Entry, lots: int) -> None:
        """Take lots from an entry, which leaves its queue when nothing is left."""
        assert 0 < lots <= entry.left, f"{lots} of {entry.left} at {level.price}"
        entry.left -= lots
        self._count(side, level, entry, -lots)
        if entry.left == 0:
            if level.queue[0] is entry:
                level.queue.popleft()
            else:
                level.queue.remove(entry)
            self.sides[side].drop_if_empty(level)

    def withdraw(self, side: Side, price: Ticks, entry: Entry) -> None:
        """Take an entry out, wherever it stands in its queue."""
        level = self.sides[side].get(price)
        assert level is not None, f"no level at {price}"
        self.reduce(side, level, entry, entry.left)

    def market_size(self, side: Side, price: Ticks) -> int:
        """The strangers' size at a price."""
        level = self.sides[side].get(price)
        return 0 if level is None else level.market

    def shrink(self, side: Side, price: Ticks, lots: int) -> None:
        """Withdraw strangers' size from the queue's end: nobody who waits behind gains more than was in front."""
        level = self.sides[side].get(price)
        assert level is not None, f"no level at {price}"
        assert lots <= level.market, f"cannot take {lots} away at {price}"
        for entry in [entry for entry in reversed(level.queue) if entry.order is None]:
            if lots == 0:
                return
            part = min(lots, entry.left)
            lots -= part
            self.reduce(side, level, entry, part)

    def clear_better(self, side: Side, price: Ticks) -> None:
        """Withdraw strangers' size at every price that is strictly better."""
        half = self.sides[side]
        stale: list[Level] = []
        for level in half:
            if not half.better(level.price, price):
                break
            stale.append(level)
        for level in stale:
            if level.market:
                self.shrink(side, level.price, level.market)

    def plan(
        self, side: Side, *, limit: Ticks | None, lots: int | None, budget: int | None = None, own: str = "count"
    ) -> tuple[Lots, int]:
        """What a taker of this side could get now: lots, and ticks times lots.

        Args:
            side: The taker's side.
            limit: The worst price, None for any.
            lots: The most lots, None for as many as the budget allows.
            budget: The most ticks times lots, None for any.
            own: What users' orders in the way mean: "count" them, "skip" them, or "stop" there.
        """
        got = money = 0
        for level in self.sides[side.opposite]:
            if limit is not None and level.price * side.sign > limit * side.sign:
                break
            for entry in level.queue:
                if entry.order is not None and own == "stop":
                    return Lots(got), money
                if entry.order is not None and own == "skip":
                    continue
                part = entry.left if lots is None else min(entry.left, lots - got)
                if budget is not None:
                    part = min(part, (budget - money) // level.price)
                got += part
                money += part * level.price
                if part < entry.left:
                    return Lots(got), money
        return Lots(got), money

    def depth(self, side: Side, limit: int) -> list[tuple[Ticks, Lots]]:
        """The best levels with everything that waits there."""
        found: list[tuple[Ticks, Lots]] = []
        for level in self.sides[side]:
            if len(found) == limit:
                break
            found.append((level.price, Lots(level.total)))
        return found

    def _count(self, side: Side, level: Level, entry: Entry, lots: int) -> None:
        level.total += lots
        if entry.order is None:
            level.market += lots
        self.changed[side].add(level.price)
