"""Candles of one second and one minute, kept as trades come, and added up to any interval when asked.

Promise: whole numbers; a candle without a trade is not kept but is answered, flat at the close before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from execd.core.grid import MINUTE, SECOND, Nanos, Ticks
from execd.exchange.market import Candle
from execd.exchange.records import PublicTrade

DAY = Nanos(24 * 60 * MINUTE)
WEEK = Nanos(7 * DAY)
# The epoch was a Thursday; Binance's weeks begin on Monday.
FIRST_MONDAY = Nanos(4 * DAY)
KEEP_SECONDS = 6 * 3600
KEEP_MINUTES = 14 * 24 * 60


class Series:
    """Candles of one length, oldest first, only those in which something traded."""

    def __init__(self, length: Nanos, keep: int) -> None:
        self.length = length
        self._keep = keep
        self._candles: list[Candle] = []
        self._starts: list[Nanos] = []

    def remember(self, candles: Sequence[Candle]) -> None:
        """Take in candles that lie before all others, oldest first."""
        assert not self._starts or not candles or candles[-1].open_at < self._starts[0], "history after the present"
        self._candles[:0] = candles
        self._starts[:0] = [candle.open_at for candle in candles]

    def add(self, trade: PublicTrade) -> None:
        """Count a trade in.  Trades come in the order of their times."""
        start = Nanos(trade.at - trade.at % self.length)
        if not self._starts or self._starts[-1] < start:
            self._begin(start, trade.price)
        candle = self._candles[-1]
        money = trade.price * trade.quantity
        candle.high = max(candle.high, trade.price)
        candle.low = min(candle.low, trade.price)
        candle.close = trade.price
        candle.volume += trade.quantity
        candle.quote_volume += money
        candle.trades += 1
        if not trade.buyer_is_maker:
            candle.taker_base += trade.quantity
            candle.taker_quote += money

    def between(self, start: Nanos, end: Nanos) -> list[Candle]:
        """Candles that begin in [start, end)."""
        return self._candles[bisect_left(self._starts, start) : bisect_left(self._starts, end)]

    def close_before(self, moment: Nanos) -> Ticks | None:
        """The last close of a candle that begins before a moment."""
        number = bisect_left(self._starts, moment)
        return self._candles[number - 1].close if number else None

    @property
    def first(self) -> Nanos | None:
        """When the oldest candle begins."""
        return self._starts[0] if self._starts else None

    def _begin(self, start: Nanos, price: Ticks) -> None:
        self._starts.append(start)
        self._candles.append(Candle(start, price, price, price, price, 0, 0, 0, 0, 0))
        if len(self._starts) > self._keep + self._keep // 4:
            del self._starts[: self._keep // 4], self._candles[: self._keep // 4]


class Klines:
    """The candles of one symbol."""

    def __init__(self) -> None:
        self._seconds = Series(SECOND, KEEP_SECONDS)
        self._minutes = Series(MINUTE, KEEP_MINUTES)

    def remember(self, seconds: Sequence[Candle], minutes: Sequence[Candle]) -> None:
        """Take in the past, oldest first."""
        self._seconds.remember(seconds)
        self._minutes.remember(minutes)

    def add(self, trade: PublicTrade) -> None:
        """Count a trade in."""
        self._seconds.add(trade)
        self._minutes.add(trade)

    def answer(
        self, interval: Nanos, now: Nanos, *, start: Nanos | None = None, end: Nanos | None = None, limit: int = 500
    ) -> list[list[int]]:
        """Klines as Binance answers them: from `start` on, or the last ones up to `end` (now at the latest).

        Args:
            interval: Length: whole seconds below a minute, whole minutes above.
            now: The exchange's time; the candle that holds it is the last, unfinished.
            start: The first candle begins at or after this moment.
            end: The last candle begins at or before this moment.
            limit: The most candles.

        Returns:
            Oldest first: open time, open, high, low, close, volume, close time (the next open less 1 ms), quote
            volume, trades, taker buy volume, taker buy quote volume; nanoseconds, ticks, lots, ticks times lots.
        """
        series = self._minutes if interval % MINUTE == 0 else self._seconds
        if interval % series.length or series.first is None:
            return []
        shift = FIRST_MONDAY if interval == WEEK else 0
        oldest = _floor(series.first, interval, shift)
        newest = _floor(now if end is None else min(now, end), interval, shift)
        first = oldest if start is None else max(oldest, -_floor(Nanos(-start), interval, -shift))
        if start is None:
            first = max(first, newest - (limit - 1) * interval)
        newest = min(newest, first + (limit - 1) * interval)
        return _fold(series, Nanos(first), Nanos(newest), interval)


def _floor(moment: Nanos, interval: Nanos, shift: int) -> int:
    return moment - (moment - shift) % interval


def _fold(series: Series, first: Nanos, newest: Nanos, interval: Nanos) -> list[list[int]]:
    rows: list[list[int]] = []
    held = series.between(first, Nanos(newest + interval))
    close = series.close_before(first)
    at = 0
    for opened in range(first, newest + 1, interval):
        upto = at
        while upto < len(held) and held[upto].open_at < opened + interval:
            upto += 1
        part, at = held[at:upto], upto
        if part:
            close = part[-1].close
            rows.append(_row(opened, interval, part))
        elif close is not None:
            rows.append([opened, close, close, close, close, 0, opened + interval - 1_000_000, 0, 0, 0, 0])
    return rows


def _row(opened: int, interval: Nanos, part: list[Candle]) -> list[int]:
    return [
        opened,
        part[0].open,
        max(candle.high for candle in part),
        min(candle.low for candle in part),
        part[-1].close,
        sum(candle.volume for candle in part),
        opened + interval - 1_000_000,
        sum(candle.quote_volume for candle in part),
        sum(candle.trades for candle in part),
        sum(candle.taker_base for candle in part),
        sum(candle.taker_quote for candle in part),
    ]
