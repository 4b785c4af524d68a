"""What a tape's strangers show on the floor: the touch that they are told, and what lies behind it.

Promise: the two sides never cross, and what a user took is missing at its price and comes back evenly over `REFILL`.
Behind the touch lie either the levels of a recorded book or, where there is none, a modelled ladder.
"""

from __future__ import annotations

import math
from random import Random

from execd.core.grid import SECOND, Nanos, Side, Ticks
from execd.exchange.market import Floor
from execd.exchange.tapedepth import DepthPlayer, Touch
from execd.exchange.tapefile import Tape

# What users took comes back over this time.
REFILL = Nanos(5 * SECOND)
# Recorded levels that are shown on a side, behind the touch.
SHOWN = 50
# Behind the touch: about one level each 0.06 bps within the first two basis points (perpetual BTCUSDT, 2026-02-16), a
# level's mean some 4 times the mean print, heavy-tailed.
LADDER = 30
LADDER_BPS = 0.06
LADDER_IN_PRINTS = 4.0
LADDER_LOG_SD = 1.5
# Levels that are remembered on a side, former touches among them.
REMEMBERED = 80
TABLE = 1021


class TapeBook:
    """The touch, former touches as they were left, and what users took of all that."""

    def __init__(self, tape: Tape, floor: Floor) -> None:
        self._floor = floor
        self._symbol = tape.rules.symbol
        self._sizes: dict[Side, dict[Ticks, int]] = {Side.BUY: {}, Side.SELL: {}}
        self._missing: dict[tuple[Side, Ticks], tuple[Nanos, int]] = {}

    def show(self, at: Nanos, touch: Touch) -> None:
        """Quote this touch: whatever of the market's own is better is withdrawn."""
        bid, bid_size, ask, ask_size = touch
        assert bid < ask, f"bid {bid} and ask {ask} cross"
        for side, price in ((Side.BUY, bid), (Side.SELL, ask)):
            self._floor.clear_better(self._symbol, side, price)
        for side, price, size in ((Side.BUY, bid, bid_size), (Side.SELL, ask, ask_size)):
            self._remember(side, price, size)
            self._set(at, side, price)
        for key in list(self._missing):
            self._refill(at, *key)

    def redraw(self, at: Nanos, touch: Touch) -> None:
        """Show this touch, and anew what lies behind it."""
        self.show(at, touch)

    def miss(self, at: Nanos, side: Side, price: Ticks, lots: int) -> None:
        """A user took size from a side."""
        self._missing[side, price] = (at, self._gone(at, side, price) + lots)

    def _refill(self, at: Nanos, side: Side, price: Ticks) -> None:
        if price in self._sizes[side]:
            self._set(at, side, price)
        else:
            # Nothing is shown there to be missing from; once it is over, it is forgotten.
            self._gone(at, side, price)

    def _gone(self, at: Nanos, side: Side, price: Ticks) -> int:
        """What is still missing of what users took at a price; it comes back evenly."""
        since, lots = self._missing.get((side, price), (at, 0))
        left = lots * max(0, REFILL - (at - since)) // REFILL
        if not left:
            self._missing.pop((side, price), None)
        return left

    def _set(self, at: Nanos, side: Side, price: Ticks) -> None:
        size = max(0, self._sizes[side][price] - self._gone(at, side, price))
        # Beside a print at the first tick there is no bid.
        if price > 0:
            self._floor.set_size(self._symbol, side, price, size)

    def _remember(self, side: Side, touch: Ticks, size: int) -> None:
        sizes = self._sizes[side]
        for price in [price for price in sizes if (price - touch) * side.sign > 0]:
            del sizes[price]
        sizes[touch] = size
        while len(sizes) > REMEMBERED:
            farthest = min(sizes) if side is Side.BUY else max(sizes)
            del sizes[farthest]
            self._floor.set_size(self._symbol, side, farthest, 0)


class RecordedBook(TapeBook):
    """A touch with recorded levels behind it."""

    def __init__(self, tape: Tape, floor: Floor, record: DepthPlayer) -> None:
        super().__init__(tape, floor)
        self._record = record

    def redraw(self, at: Nanos, touch: Touch) -> None:
        """Show this touch, and behind it what the record now says, no more and no less."""
        super().redraw(at, touch)
        for side, price in ((Side.BUY, touch[0]), (Side.SELL, touch[2])):
            levels = dict(self._record.behind(side, price, SHOWN))
            levels[price] = self._sizes[side][price]
            self._sizes[side] = levels
            # Few levels differ: to ask for all at once is much cheaper than to set each.
            shown = dict(self._floor.levels(self._symbol, side, 2 * REMEMBERED))
            for stale in shown.keys() - levels.keys():
                self._floor.set_size(self._symbol, side, stale, 0)
            for level, size in levels.items():
                if shown.get(level) != size:
                    self._set(at, side, level)


class LadderBook(TapeBook):
    """A touch with a modelled ladder behind it."""

    def __init__(self, tape: Tape, floor: Floor) -> None:
        super().__init__(tape, floor)
        self._gap = max(1, round(tape.prices[0] * LADDER_BPS / 10_000))
        mean = LADDER_IN_PRINTS * sum(tape.amounts) / len(tape.amounts)
        self._table = size_table(mean, LADDER_LOG_SD, tape.times[0] + 1)

    def show(self, at: Nanos, touch: Touch) -> None:
        """Quote this touch, and fill in what is not yet known behind it."""
        super().show(at, touch)
        for side, price in ((Side.BUY, touch[0]), (Side.SELL, touch[2])):
            self._extend(at, side, price)

    def _extend(self, at: Nanos, side: Side, touch: Ticks) -> None:
        sizes = self._sizes[side]
        nearest = touch // self._gap if side is Side.BUY else -(-touch // self._gap)
        for step in range(LADDER):
            price = Ticks((nearest - side.sign * step) * self._gap)
            if price > 0 and price not in sizes:
                sizes[price] = self._table[price % TABLE]
                self._set(at, side, price)


def size_table(mean: float, deviation: float, seed: int) -> list[int]:
    """Log-normal sizes to look up by price, so that a price has the same size whenever it is shown."""
    random = Random(seed)  # noqa: S311 - a market, not a secret
    mu = math.log(mean) - 0.5 * deviation * deviation
    return [max(1, round(random.lognormvariate(mu, deviation))) for _ in range(TABLE)]
