"""A past for the synthetic market: candles before it opened, drawn cheaply, candle by candle.

Promise: by the same mood as the live market, consistent (low <= open, close, mean price <= high; seconds add up to
minutes), and ending at the price at which the live market begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from execd.core.grid import MINUTE, SECOND, Nanos, Ticks
from execd.exchange.flow import Mood
from execd.exchange.market import Candle

MINUTES = 2 * 24 * 60
SECONDS = 2 * 3600
# Volume of a candle has a log-normal part of its own; a second's is wilder than a minute's.
MINUTE_NOISE = 0.45
SECOND_NOISE = 1.1
# Spread of a second's or minute's extremes beyond open and close, over its standard deviation.
WICK = 0.45


@dataclass(frozen=True, slots=True)
class Scale:
    """What a market of activity and volatility 1 does: ticks a square-root second, lots and prints a second."""

    ticks: float
    lots: float
    prints: float


def make_past(end: Nanos, price: Ticks, scale: Scale, random: Random) -> tuple[list[Candle], list[Candle]]:
    """Candles before `end`, the last closing at `price`.

    Args:
        end: The moment at which the live market begins.
        price: Its first price in ticks.
        scale: The symbol's scale.
        random: Where chance comes from.

    Returns:
        Seconds of two hours and minutes of two days, oldest first.
    """
    turn = Nanos((end - SECONDS * SECOND) // MINUTE * MINUTE)
    start = Nanos(turn - MINUTES * MINUTE + SECONDS * SECOND)
    mood = Mood(start / SECOND, random)
    minutes = _walk(start, turn, MINUTE, MINUTE_NOISE, scale, mood, random)
    seconds = _walk(turn, Nanos(end // SECOND * SECOND), SECOND, SECOND_NOISE, scale, mood, random)
    _shift(minutes, seconds, price)
    return seconds, minutes + _add_up(seconds)


def _walk(
    start: Nanos, end: Nanos, length: Nanos, noise: float, scale: Scale, mood: Mood, random: Random
) -> list[Candle]:
    """Candles as displacements from 0 ticks; `_shift` makes prices of them."""
    candles: list[Candle] = []
    span = length / SECOND
    close = 0
    for opened in range(start, end, length):
        mood.step(opened / SECOND, 0.0)
        deviation = scale.ticks * mood.volatility * math.sqrt(span)
        opening, close = close, close + round(random.gauss(0.0, deviation))
        high = max(opening, close) + round(abs(random.gauss(0.0, WICK * deviation)))
        low = min(opening, close) - round(abs(random.gauss(0.0, WICK * deviation)))
        wild = math.exp(random.gauss(0.0, noise) - 0.5 * noise * noise)
        volume = max(1, round(scale.lots * span * mood.activity * wild))
        trades = max(1, round(scale.prints * span * mood.activity * wild))
        bought = round(volume * min(0.95, max(0.05, random.gauss(0.5, 0.15))))
        candles.append(
            Candle(Nanos(opened), Ticks(opening), Ticks(high), Ticks(low), Ticks(close), volume, 0, trades, bought, 0)
        )
    return candles


def _shift(minutes: list[Candle], seconds: list[Candle], price: Ticks) -> None:
    """Turn displacements into prices: both walks are joined, end at `price`, and never fall below 1."""
    late = price - seconds[-1].close
    for candles, shift in ((seconds, late), (minutes, late + seconds[0].open - minutes[-1].close)):
        for candle in candles:
            candle.open, candle.high = Ticks(max(1, candle.open + shift)), Ticks(max(1, candle.high + shift))
            candle.low, candle.close = Ticks(max(1, candle.low + shift)), Ticks(max(1, candle.close + shift))
            mean = (candle.open + candle.high + candle.low + candle.close) // 4
            candle.quote_volume, candle.taker_quote = mean * candle.volume, mean * candle.taker_base


def _add_up(seconds: list[Candle]) -> list[Candle]:
    minutes: list[Candle] = []
    for second in seconds:
        start = Nanos(second.open_at - second.open_at % MINUTE)
        if not minutes or minutes[-1].open_at != start:
            minutes.append(Candle(start, second.open, second.high, second.low, second.close, 0, 0, 0, 0, 0))
        minute = minutes[-1]
        minute.high, minute.low = max(minute.high, second.high), min(minute.low, second.low)
        minute.close = second.close
        minute.volume += second.volume
        minute.quote_volume += second.quote_volume
        minute.trades += second.trades
        minute.taker_base += second.taker_base
        minute.taker_quote += second.taker_quote
    return minutes
