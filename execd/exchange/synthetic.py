"""The synthetic market: seeded strangers who quote and trade, calibrated to real data.

Promise: the same seed, symbols and opening time make the same market, to the last print, as long as nobody else
trades; users' orders change it, as they would.  Facts and sources are in `profiles`, how each is kept alive in `flow`.

The price is pulled by a hidden fair price that moves by news and by the surprise in the flow of takers.  Quotes follow
it in jumps, refill the touch order by order, and keep a sparse ladder behind it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from decimal import Decimal
from random import Random

from execd.core.grid import SECOND, Nanos, Side, Ticks
from execd.exchange.flow import Arrivals, Mood, Signs, Sizes
from execd.exchange.market import RULES, Floor, SymbolRules
from execd.exchange.past import Scale, make_past
from execd.exchange.profiles import (
    BTC_MINUTE_BPS,
    CHUNK_IN_TAKERS,
    CHUNK_LOG_SD,
    DEEP_BPS,
    DEEP_IN_TAKERS,
    FAR_BPS,
    FAR_IN_TAKERS,
    FAR_LOG_SD,
    FAR_SHARE,
    IMPACT_BPS,
    IMPACT_POWER,
    LEVELS,
    MOVE_BPS,
    NEAR_BPS,
    NEAR_SHARE,
    NEWS_BPS,
    PROFILES,
    TOUCH_IN_TAKERS,
    Profile,
)

DAY_SECONDS = 86_400.0
# Live trading before the opening, so that it opens on a lived-in book and a tape of about a thousand prints.
WARM_UP = Nanos(30 * SECOND)
# More than this is not made up after a pause: the exchange stood still.
CATCH_UP = Nanos(120 * SECOND)
# A taker does not chase the price further than this.
CHASE_BPS = 15.0
# The share of its size that a new touch starts with; the rest comes order by order.
FIRST_SHARE = 0.5


class SyntheticMarket:
    """Strangers in any of the symbols of `profiles.PROFILES`."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._strangers: list[Strangers] = []
        # (when, which symbol, whether a taker comes): the next moments of all.
        self._due: list[tuple[Nanos, int, bool]] = []

    def rules(self, symbol: str) -> SymbolRules:
        """Binance's grid of a symbol.  Raises ValueError for one that the synthetic market does not know."""
        if symbol not in PROFILES:
            raise ValueError(f"symbol {symbol}: the synthetic market trades {', '.join(PROFILES)}")
        return RULES[symbol]

    def open(self, now: Nanos, symbols: Sequence[str], floor: Floor) -> None:
        """Make a past and a first book, and trade for a while up to now."""
        start = Nanos(now - WARM_UP)
        for number, symbol in enumerate(symbols):
            random = Random(f"{self.seed}:{symbol}")  # noqa: S311 - a market, not a secret
            strangers = Strangers(PROFILES[symbol], self.rules(symbol), start, floor, random)
            self._strangers.append(strangers)
            heapq.heappush(self._due, (strangers.next_quote(), number, False))
            heapq.heappush(self._due, (strangers.next_taker(), number, True))
        while self._due[0][0] < now:
            self.act()

    def next_at(self) -> Nanos | None:
        """When somebody acts next."""
        return self._due[0][0] if self._due else None

    def act(self) -> None:
        """Let whoever is due quote or take."""
        at, number, taking = self._due[0]
        strangers = self._strangers[number]
        if taking:
            strangers.take(at)
        else:
            strangers.quote(at)
        due = strangers.next_taker() if taking else strangers.next_quote()
        heapq.heapreplace(self._due, (due, number, taking))

    def catch_up(self, now: Nanos) -> None:
        """After a long pause, go on as if the market had stood still for all but the last two minutes."""
        due = self.next_at()
        if due is None or now - due <= CATCH_UP:
            return
        for strangers in self._strangers:
            strangers.restart(Nanos(now - CATCH_UP))
        self._due = [
            (one.next_taker() if taking else one.next_quote(), number, taking)
            for number, one in enumerate(self._strangers)
            for taking in (False, True)
        ]
        heapq.heapify(self._due)

    def taken(self, at: Nanos, symbol: str, side: Side, price: Ticks, quantity: int) -> None:  # noqa: ARG002
        """A user took strangers' size: it moves the fair price as a stranger's order would."""
        for strangers in self._strangers:
            if strangers.symbol == symbol:
                strangers.impact(side.sign, quantity)


class Strangers:
    """Everybody else in one symbol."""

    def __init__(self, profile: Profile, rules: SymbolRules, now: Nanos, floor: Floor, random: Random) -> None:
        self.symbol = rules.symbol
        self._floor = floor
        self._random = random
        seconds = now / SECOND
        price = rules.ticks(Decimal(profile.price))
        self._bps = price / 10_000  # Ticks in a basis point of the first price.
        lots = profile.daily_volume / DAY_SECONDS / float(rules.money(price))
        self._mean = lots / profile.takers
        wildness = profile.minute_bps / BTC_MINUTE_BPS
        self._news = NEWS_BPS * wildness * self._bps
        self._impact = IMPACT_BPS * wildness * self._bps
        self._move = max(0.6, MOVE_BPS * wildness * self._bps)
        # Where a tick is many basis points, queues are longer: they are all the depth there is.
        self._queue = TOUCH_IN_TAKERS * (1.0 + 2.0 / self._bps) * self._mean
        self._quotes = profile.quotes
        self._mood = Mood(seconds, random)
        self._arrivals = Arrivals(profile.takers, seconds, random)
        self._signs = Signs(random)
        self._sizes = Sizes(self._mean, random)
        self._chunks = Sizes(max(1.0, CHUNK_IN_TAKERS * self._queue / TOUCH_IN_TAKERS), random, CHUNK_LOG_SD)
        self._deep = Sizes(max(1.0, DEEP_IN_TAKERS * self._mean), random, CHUNK_LOG_SD)
        self._far = Sizes(max(1.0, FAR_IN_TAKERS * self._mean), random, FAR_LOG_SD)
        self._fair = price + 0.5
        self._at = self._quoted_at = seconds
        self._threshold = self._move
        self._targets = {Side.BUY: self._queue, Side.SELL: self._queue}
        scale = Scale(profile.minute_bps * self._bps / math.sqrt(60.0), lots, 4.0 * profile.takers)
        floor.remember(self.symbol, *make_past(now, price, scale, random))
        self._move_to(now, price)
        for side in Side:
            for _ in range(LEVELS):
                self._add_deep(side)

    def next_taker(self) -> Nanos:
        """Draw when the next taker comes."""
        return Nanos(round(self._arrivals.next(self._mood.activity) * SECOND))

    def next_quote(self) -> Nanos:
        """Draw when the next quote changes: busier markets quote more, less than in proportion."""
        self._quoted_at += self._random.expovariate(self._quotes * math.sqrt(self._mood.activity))
        return Nanos(round(self._quoted_at * SECOND))

    def restart(self, now: Nanos) -> None:
        """Go on from a later moment."""
        seconds = now / SECOND
        self._arrivals.restart(seconds)
        self._quoted_at = max(self._quoted_at, seconds)
        self._at = max(self._at, seconds)

    def take(self, at: Nanos) -> None:
        """A stranger takes, and the fair price moves by what was not expected of it."""
        expected = self._signs.expected
        side = Side.BUY if self._signs.next() > 0 else Side.SELL
        quantity = self._sizes.next()
        chase = max(1, round(CHASE_BPS * self._bps))
        limit = Ticks(max(1, round(self._fair) + side.sign * chase))
        self._floor.take(at, self.symbol, side, quantity, limit)
        self.impact(side.sign - expected, quantity)

    def impact(self, surprise: float, quantity: int) -> None:
        """Move the fair price by flow: concave in size."""
        self._fair = max(2.5, self._fair + self._impact * surprise * (quantity / self._mean) ** IMPACT_POWER)

    def quote(self, at: Nanos) -> None:
        """One change of the book: follow the fair price, close the spread, or just come and go."""
        seconds = at / SECOND
        self._mood.step(seconds)
        span = max(0.0, seconds - self._at)
        self._at = seconds
        move = self._news * self._mood.volatility * math.sqrt(span) * self._random.gauss(0.0, 1.0)
        self._fair = max(2.5, self._fair + move)
        bid, ask = self._floor.touch(self.symbol, Side.BUY), self._floor.touch(self.symbol, Side.SELL)
        if bid is None or ask is None or ask - bid > 1 or abs(self._fair - 0.5 * (bid + ask)) > self._threshold:
            self._move_to(at, Ticks(math.floor(self._fair)))
        else:
            self._churn(Side.BUY if self._random.random() < 0.5 else Side.SELL)

    def _move_to(self, at: Nanos, bid: Ticks) -> None:
        """Quote one tick apart at a new place; users' orders in the way are traded with."""
        self._threshold = 0.6 + self._random.expovariate(1.0 / self._move)
        for side, price in ((Side.BUY, bid), (Side.SELL, Ticks(bid + 1))):
            self._floor.clear_better(self.symbol, side, price)
        for side, price in ((Side.BUY, bid), (Side.SELL, Ticks(bid + 1))):
            self._targets[side] = self._random.expovariate(1.0 / self._queue)
            if not self._make_room(at, side, price):
                continue
            self._settle_in(side, price)

    def _settle_in(self, side: Side, price: Ticks) -> None:
        """Quote a first part of what the touch will hold, in several orders."""
        wanted = FIRST_SHARE * self._targets[side] - self._floor.market_size(self.symbol, side, price)
        while wanted > 0:
            chunk = self._chunks.next()
            self._add(side, price, chunk)
            wanted -= chunk
        self._add_deep(side)

    def _make_room(self, at: Nanos, side: Side, price: Ticks) -> bool:
        """A quote that meets users' orders takes them; False where there were more than it wanted."""
        opposite = self._floor.touch(self.symbol, side.opposite)
        if opposite is None or opposite * side.sign > price * side.sign:
            return True
        wanted = max(1, round(self._targets[side]))
        if self._floor.take(at, self.symbol, side, wanted, price) < wanted:
            return True
        # A wall of ours holds the price for a while.
        self._fair = opposite + 0.5
        return False

    def _churn(self, side: Side) -> None:
        """Somebody joins or leaves: at the touch, or on the ladder behind it."""
        levels = self._floor.levels(self.symbol, side, LEVELS + 10)
        if not levels or self._random.random() < 0.4:
            self._change_ladder(side, levels)
            return
        price, size = levels[0]
        chunk = self._chunks.next()
        if size < self._targets[side]:
            self._add(side, price, chunk)
        else:
            self._floor.set_size(self.symbol, side, price, max(1, size - chunk))

    def _change_ladder(self, side: Side, levels: list[tuple[Ticks, int]]) -> None:
        if len(levels) < LEVELS or (len(levels) < LEVELS + 10 and self._random.random() < 0.5):
            self._add_deep(side)
            return
        price, _ = levels[1 + int(self._random.random() * (len(levels) - 1))]
        self._floor.set_size(self.symbol, side, price, 0)

    def _add_deep(self, side: Side) -> None:
        """Rest an order behind the touch: mostly small ones, near; few and large ones far out."""
        touch = self._floor.touch(self.symbol, side)
        if touch is None:
            return
        reach = max(float(LEVELS), DEEP_BPS * self._bps)
        kind, sizes = self._random.random(), self._deep
        if kind < FAR_SHARE:
            away = reach + self._random.expovariate(DEEP_BPS / FAR_BPS / reach)
            sizes = self._far
        elif kind < FAR_SHARE + NEAR_SHARE:
            away = self._random.expovariate(DEEP_BPS / NEAR_BPS / reach)
        else:
            away = self._random.random() * reach
        price = Ticks(touch - side.sign * (1 + int(away)))
        if price > 0:
            self._add(side, price, sizes.next())

    def _add(self, side: Side, price: Ticks, lots: int) -> None:
        self._floor.set_size(self.symbol, side, price, self._floor.market_size(self.symbol, side, price) + lots)
