"""Candles and 24-hour statistics: the engine's figures under names, and the tickers made of them.

Promise: sums are whole numbers (ticks, lots, ticks times lots); only averages and percentages are rounded,
once, where they are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from execd.core.grid import MINUTE, SECOND, Nanos
from execd.exchange.hall import Hall
from execd.exchange.market import SymbolRules, decimal_string
from execd.exchange.wire import Json, TimeUnit

DAY = Nanos(86_400 * SECOND)
INTERVALS: dict[str, Nanos] = {
    name: Nanos(seconds * SECOND)
    for name, seconds in {
        "1s": 1,
        "1m": 60,
        "3m": 180,
        "5m": 300,
        "15m": 900,
        "30m": 1_800,
        "1h": 3_600,
        "2h": 7_200,
        "4h": 14_400,
        "6h": 21_600,
        "8h": 28_800,
        "12h": 43_200,
        "1d": 86_400,
    }.items()
}
AVERAGE_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle: prices in ticks, volumes in lots, quote amounts in ticks times lots."""

    open_at: Nanos
    ends_at: Nanos
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    trades: int
    taker_base: int
    taker_quote: int


def bars(
    hall: Hall, rules: SymbolRules, interval: Nanos, start: Nanos | None, end: Nanos | None, limit: int
) -> list[Bar]:
    """The engine's candles by name of figure, oldest first."""
    rows = hall.engine.klines(rules.symbol, interval, start, end, limit)
    return [
        Bar(Nanos(at), Nanos(at + interval), first, high, low, last, volume, *rest)
        for at, first, high, low, last, volume, _, *rest in rows
    ]


def recent_average(hall: Hall, rules: SymbolRules, now: Nanos) -> tuple[Decimal, Nanos]:
    """The five-minute average price, to 8 decimals, and the time of the last trade."""
    start = Nanos(now - AVERAGE_MINUTES * MINUTE)
    found = bars(hall, rules, MINUTE, start, None, AVERAGE_MINUTES + 1)
    volume, quote = sum(bar.volume for bar in found), sum(bar.quote_volume for bar in found)
    last = hall.engine.trades(rules.symbol, limit=1)
    price = rules.price(last[-1].price) if last else Decimal(0)
    average = _rounded(rules.tick * quote / volume) if volume else price
    return average, (last[-1].at if last else now)


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1e-8"))


@dataclass(frozen=True, slots=True)
class DayStatistics:
    """The last 24 hours of one symbol; prices in ticks, volumes in lots, quote in ticks times lots."""

    open: int
    high: int
    low: int
    last: int
    last_quantity: int
    volume: int
    quote_volume: int
    trades: int
    last_id: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int
    opened: Nanos
    closed: Nanos


def day_statistics(hall: Hall, rules: SymbolRules, now: Nanos) -> DayStatistics:
    """Add up the last 24 hours from minute candles."""
    minutes = DAY // MINUTE
    found = bars(hall, rules, MINUTE, Nanos(now - DAY), None, minutes + 1)
    traded = [bar for bar in found if bar.trades]
    last = hall.engine.trades(rules.symbol, limit=1)
    best = hall.engine.best(rules.symbol)
    price = last[-1].price if last else 0
    return DayStatistics(
        open=traded[0].open if traded else price,
        high=max((bar.high for bar in traded), default=price),
        low=min((bar.low for bar in traded), default=price),
        last=price,
        last_quantity=last[-1].quantity if last else 0,
        volume=sum(bar.volume for bar in traded),
        quote_volume=sum(bar.quote_volume for bar in traded),
        trades=sum(bar.trades for bar in traded),
        last_id=last[-1].id if last else -1,
        bid=best.bid,
        bid_size=best.bid_size,
        ask=best.ask,
        ask_size=best.ask_size,
        opened=Nanos(now - DAY),
        closed=now,
    )


def changes(rules: SymbolRules, day: DayStatistics) -> tuple[str, str, str]:
    """Price change, the same in percent, and the volume-weighted average price, as text."""
    percent = Decimal(100 * (day.last - day.open)) / day.open if day.open else Decimal(0)
    average = _rounded(rules.tick * day.quote_volume / day.volume) if day.volume else Decimal(0)
    change = rules.price(day.last - day.open)
    return f"{change:.8f}", f"{percent:.3f}", decimal_string(average)


def mini_ticker(rules: SymbolRules, day: DayStatistics, unit: TimeUnit) -> Json:
    """/ticker/24hr, type MINI."""
    return {
        "symbol": rules.code,
        "openPrice": rules.price_string(day.open),
        "highPrice": rules.price_string(day.high),
        "lowPrice": rules.price_string(day.low),
        "lastPrice": rules.price_string(day.last),
        "volume": rules.quantity_string(day.volume),
        "quoteVolume": rules.money_string(day.quote_volume),
        "openTime": unit.of(day.opened),
        "closeTime": unit.of(day.closed),
        "firstId": day.last_id - day.trades + 1,
        "lastId": day.last_id,
        "count": day.trades,
    }


def full_ticker(rules: SymbolRules, day: DayStatistics, unit: TimeUnit) -> Json:
    """/ticker/24hr, type FULL."""
    change, percent, average = changes(rules, day)
    mini = mini_ticker(rules, day, unit)
    assert isinstance(mini, dict)
    return {
        **mini,
        "priceChange": change,
        "priceChangePercent": percent,
        "weightedAvgPrice": average,
        "prevClosePrice": rules.price_string(day.open),
        "lastQty": rules.quantity_string(day.last_quantity),
        "bidPrice": rules.price_string(day.bid),
        "bidQty": rules.quantity_string(day.bid_size),
        "askPrice": rules.price_string(day.ask),
        "askQty": rules.quantity_string(day.ask_size),
    }


# ---- stream events


def kline_event(rules: SymbolRules, name: str, bar: Bar, ids: tuple[int, int], now: Nanos, unit: TimeUnit) -> Json:
    """The event of a candle's stream."""
    return {
        "e": "kline",
        "E": unit.of(now),
        "s": rules.code,
        "k": {
            "t": unit.of(bar.open_at),
            "T": unit.last_before(bar.ends_at),
            "s": rules.code,
            "i": name,
            "f": ids[0],
            "L": ids[1],
            "o": rules.price_string(bar.open),
            "c": rules.price_string(bar.close),
            "h": rules.price_string(bar.high),
            "l": rules.price_string(bar.low),
            "v": rules.quantity_string(bar.volume),
            "n": bar.trades,
            "x": bar.ends_at <= now,
            "q": rules.money_string(bar.quote_volume),
            "V": rules.quantity_string(bar.taker_base),
            "Q": rules.money_string(bar.taker_quote),
            "B": "0",
        },
    }


def mini_ticker_event(rules: SymbolRules, day: DayStatistics, now: Nanos, unit: TimeUnit) -> dict[str, Json]:
    """<symbol>@miniTicker."""
    return {
        "e": "24hrMiniTicker",
        "E": unit.of(now),
        "s": rules.code,
        "c": rules.price_string(day.last),
        "o": rules.price_string(day.open),
        "h": rules.price_string(day.high),
        "l": rules.price_string(day.low),
        "v": rules.quantity_string(day.volume),
        "q": rules.money_string(day.quote_volume),
    }


def ticker_event(rules: SymbolRules, day: DayStatistics, now: Nanos, unit: TimeUnit) -> dict[str, Json]:
    """<symbol>@ticker."""
    change, percent, average = changes(rules, day)
    return {
        **mini_ticker_event(rules, day, now, unit),
        "e": "24hrTicker",
        "p": change,
        "P": percent,
        "w": average,
        "x": rules.price_string(day.open),
        "Q": rules.quantity_string(day.last_quantity),
        "b": rules.price_string(day.bid),
        "B": rules.quantity_string(day.bid_size),
        "a": rules.price_string(day.ask),
        "A": rules.quantity_string(day.ask_size),
        "O": unit.of(day.opened),
        "C": unit.of(day.closed),
        "F": day.last_id - day.trades + 1,
        "L": day.last_id,
        "n": day.trades,
    }
