"""What each market stream says and when: one feed a stream name, however many listen.

    happenings -> `hear` -> (kept until it is time) -> `take(now)` -> payloads

Promise: a feed sends what Binance's stream of that name sends: trades at once and one by one, book changes with
contiguous update ids, snapshots, candles and tickers at their own pace.
Source: binance-spot-api-docs, web-socket-streams.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from execd.core.grid import SECOND, Lots, Nanos, Ticks
from execd.exchange import wire
from execd.exchange.hall import Hall
from execd.exchange.market import Quote, SymbolRules, decimal_string
from execd.exchange.records import AggTrade, BookChanged, Happening, PublicTrade, TradeMade
from execd.exchange.tickers import (
    AVERAGE_MINUTES,
    INTERVALS,
    Bar,
    DayStatistics,
    bars,
    day_statistics,
    kline_event,
    mini_ticker_event,
    recent_average,
    ticker_event,
)
from execd.exchange.wire import Json, TimeUnit

Payload: TypeAlias = Callable[[TimeUnit], Json]
FAST = Nanos(100_000_000)
SLOW = SECOND
MOST_AT_ONCE = 1_000


class Feed(Protocol):
    """One stream's source."""

    def hear(self, happening: Happening, /) -> None:
        """Note something of this feed's symbol."""

    def take(self, now: Nanos, /) -> list[Payload]:
        """What is to be sent now, oldest first."""


class Pace:
    """Lets something pass once in each interval of the wall clock."""

    def __init__(self, every: Nanos) -> None:
        self._every = every
        self._passed = -1

    def due(self, now: Nanos) -> bool:
        """Whether this is the first call of an interval."""
        turn = now // self._every
        first = turn != self._passed
        self._passed = turn
        return first


class TradeFeed:
    """<symbol>@trade."""

    def __init__(self, rules: SymbolRules) -> None:
        self._rules = rules
        self._made: list[PublicTrade] = []

    def hear(self, happening: Happening, /) -> None:
        """Note a trade."""
        if isinstance(happening, TradeMade):
            self._made.append(happening.trade)

    def take(self, now: Nanos, /) -> list[Payload]:
        """Every trade since the last time."""
        made, self._made = self._made, []
        return [self._payload(each, now) for each in made]

    def _payload(self, made: PublicTrade, now: Nanos) -> Payload:
        return lambda unit: wire.trade_event(self._rules, made, now, unit)


class AggregateFeed:
    """<symbol>@aggTrade.  A taker's order is matched at once, so its aggregate is complete when it is taken."""

    def __init__(self, hall: Hall, rules: SymbolRules) -> None:
        self._hall = hall
        self._rules = rules
        last = hall.engine.agg_trades(rules.symbol, limit=1)
        self._next = last[-1].id + 1 if last else 0
        self._heard = False

    def hear(self, happening: Happening, /) -> None:
        """Note that there are new trades."""
        self._heard = self._heard or isinstance(happening, TradeMade)

    def take(self, now: Nanos, /) -> list[Payload]:
        """Every aggregate since the last time."""
        if not self._heard:
            return []
        self._heard = False
        payloads: list[Payload] = []
        while made := self._hall.engine.agg_trades(self._rules.symbol, from_id=self._next, limit=MOST_AT_ONCE):
            self._next = made[-1].id + 1
            payloads += [self._payload(each, now) for each in made]
        return payloads

    def _payload(self, made: AggTrade, now: Nanos) -> Payload:
        return lambda unit: wire.agg_trade_event(self._rules, made, now, unit)


class BestFeed:
    """<symbol>@bookTicker: the best bid and ask when they have changed, and only where they stand now."""

    def __init__(self, hall: Hall, rules: SymbolRules) -> None:
        self._hall = hall
        self._rules = rules
        self._last: Quote | None = None
        self._update_id: int | None = None

    def hear(self, happening: Happening, /) -> None:
        """Note a change of the book."""
        if isinstance(happening, BookChanged):
            self._update_id = happening.last_update_id

    def take(self, _: Nanos, /) -> list[Payload]:
        """The new best, if it is new."""
        update_id, self._update_id = self._update_id, None
        if update_id is None:
            return []
        best = self._hall.engine.best(self._rules.symbol)
        if best == self._last:
            return []
        self._last = best
        return [lambda _: wire.book_ticker_event(self._rules, best, update_id)]


class DepthFeed:
    """<symbol>@depth: all changed levels of an interval, update ids contiguous from event to event."""

    def __init__(self, rules: SymbolRules, every: Nanos) -> None:
        self._rules = rules
        self._pace = Pace(every)
        self._bids: dict[Ticks, Lots] = {}
        self._asks: dict[Ticks, Lots] = {}
        self._first: int | None = None
        self._last = 0

    def hear(self, happening: Happening, /) -> None:
        """Note the changed levels; the newest size of a level counts."""
        if not isinstance(happening, BookChanged):
            return
        if self._first is None:
            self._first = happening.first_update_id
        self._last = happening.last_update_id
        self._bids.update(happening.bids)
        self._asks.update(happening.asks)

    def take(self, now: Nanos, /) -> list[Payload]:
        """One event for all that changed, when the interval is over."""
        if self._first is None or not self._pace.due(now):
            return []
        bids = tuple(sorted(self._bids.items(), reverse=True))
        asks = tuple(sorted(self._asks.items()))
        change = BookChanged(self._rules.symbol, self._first, self._last, bids, asks, now)
        self._bids, self._asks, self._first = {}, {}, None
        return [lambda unit: wire.depth_event(self._rules, change, now, unit)]


class Polled:
    """A feed that looks at the engine at its own pace and needs no happenings."""

    def __init__(self, every: Nanos, look: Callable[[Nanos], list[Payload]]) -> None:
        self._pace = Pace(every)
        self._look = look

    def hear(self, happening: Happening, /) -> None:
        """Nothing to note."""

    def take(self, now: Nanos, /) -> list[Payload]:
        """What there is to see, when it is time."""
        return self._look(now) if self._pace.due(now) else []


class KlineFeed:
    """<symbol>@kline_<interval>: the current candle, and each finished one once more, marked closed."""

    def __init__(self, hall: Hall, rules: SymbolRules, name: str) -> None:
        self._hall = hall
        self._rules = rules
        self._name = name
        self._interval = INTERVALS[name]
        now = hall.clock()
        self._from = Nanos(now - now % self._interval)

    def look(self, now: Nanos) -> list[Payload]:
        """Every candle that is not yet told closed, oldest first."""
        found = bars(self._hall, self._rules, self._interval, self._from, None, MOST_AT_ONCE)
        if found:
            self._from = found[-1].open_at
        ids = _trade_ids(self._hall, self._rules, found)
        return [self._payload(bar, first, last, now) for bar, (first, last) in zip(found, ids, strict=True)]

    def _payload(self, bar: Bar, first: int, last: int, now: Nanos) -> Payload:
        return lambda unit: kline_event(self._rules, self._name, bar, (first, last), now, unit)


def _trade_ids(hall: Hall, rules: SymbolRules, found: list[Bar]) -> list[tuple[int, int]]:
    """First and last trade id of each candle up to the present: ids are contiguous, so counts tell them."""
    last = hall.engine.trades(rules.symbol, limit=1)
    upto = last[-1].id if last else -1
    ids = []
    for bar in reversed(found):
        ids.append((upto - bar.trades + 1, upto) if bar.trades else (-1, -1))
        upto -= bar.trades
    return ids[::-1]


# ---- looks at the engine


TickerShape: TypeAlias = Callable[[SymbolRules, DayStatistics, Nanos, TimeUnit], dict[str, Json]]


def _day_look(hall: Hall, rules: SymbolRules, shape: TickerShape) -> Callable[[Nanos], list[Payload]]:
    def look(now: Nanos) -> list[Payload]:
        day = day_statistics(hall, rules, now)
        return [lambda unit: shape(rules, day, now, unit)]

    return look


def _all_days_look(hall: Hall, shape: TickerShape) -> Callable[[Nanos], list[Payload]]:
    def look(now: Nanos) -> list[Payload]:
        days = [(rules, day_statistics(hall, rules, now)) for rules in hall.symbols]
        return [lambda unit: [shape(rules, day, now, unit) for rules, day in days]]

    return look


def _average_look(hall: Hall, rules: SymbolRules) -> Callable[[Nanos], list[Payload]]:
    def look(now: Nanos) -> list[Payload]:
        average, last_at = recent_average(hall, rules, now)
        return [
            lambda unit: {
                "e": "avgPrice",
                "E": unit.of(now),
                "s": rules.code,
                "i": f"{AVERAGE_MINUTES}m",
                "w": decimal_string(average),
                "T": unit.of(last_at),
            }
        ]

    return look


def _levels_look(hall: Hall, rules: SymbolRules, count: int) -> Callable[[Nanos], list[Payload]]:
    def look(_: Nanos) -> list[Payload]:
        update_id, bids, asks = hall.engine.depth(rules.symbol, count)
        return [lambda _: wire.depth(rules, update_id, bids, asks)]

    return look


# ---- names to feeds


@dataclass(frozen=True, slots=True)
class Opened:
    """A feed, and the symbol whose happenings it wants to hear; None for none."""

    feed: Feed
    symbol: str | None


_TICKERS: dict[str, TickerShape] = {"miniTicker": mini_ticker_event, "ticker": ticker_event}
_PLAIN: dict[str, Callable[[Hall, SymbolRules], Feed]] = {
    "trade": lambda _, rules: TradeFeed(rules),
    "aggTrade": AggregateFeed,
    "bookTicker": BestFeed,
    "depth": lambda _, rules: DepthFeed(rules, SLOW),
    "depth@1000ms": lambda _, rules: DepthFeed(rules, SLOW),
    "depth@100ms": lambda _, rules: DepthFeed(rules, FAST),
    "avgPrice": lambda hall, rules: Polled(SLOW, _average_look(hall, rules)),
}
_LEVELS = re.compile(r"depth(5|10|20)(@100ms|@1000ms)?")
_KLINE = re.compile(r"kline_(\w+)")


def open_feed(hall: Hall, name: str) -> Opened | None:
    """The feed of a stream name, None where no such stream ever says anything."""
    code, _, kind = name.partition("@")
    if code in {"!miniTicker", "!ticker"} and kind == "arr":
        return Opened(Polled(SLOW, _all_days_look(hall, _TICKERS[code[1:]])), None)
    rules = hall.listed(code.upper()) if code == code.lower() else None
    feed = None if rules is None else _symbol_feed(hall, rules, kind)
    return None if rules is None or feed is None else Opened(feed, rules.symbol)


def _symbol_feed(hall: Hall, rules: SymbolRules, kind: str) -> Feed | None:
    if kind in _PLAIN:
        return _PLAIN[kind](hall, rules)
    if kind in _TICKERS:
        return Polled(SLOW, _day_look(hall, rules, _TICKERS[kind]))
    if levels := _LEVELS.fullmatch(kind):
        every = FAST if levels[2] == "@100ms" else SLOW
        return Polled(every, _levels_look(hall, rules, int(levels[1])))
    if (kline := _KLINE.fullmatch(kind)) and kline[1] in INTERVALS:
        every = SLOW if kline[1] == "1s" else Nanos(2 * SLOW)
        return Polled(every, KlineFeed(hall, rules, kline[1]).look)
    return None
