"""Observations to test policies with: any slice of a window over made-up bars."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np

from execd.core.commands import Observation
from execd.core.events import UNKNOWN_HOURS, Bar, Hours
from execd.core.grid import HOUR, Instrument, Lots, Nanos, Notional, Side, Ticks
from execd.policies.curve import expected_curve
from execd.policies.season import HOURS, hours_wanted

START = 1_714_564_020_000_000_000  # 2024-05-01 11:47 UTC

INSTRUMENT = Instrument(
    "test",
    "BTC/USDT",
    "BTC",
    "USDT",
    Decimal("0.01"),
    Decimal("0.001"),
    Lots(1),
    Lots(10**9),
    Notional(1),
    Notional(10**18),
)


def bars(seed: int, first: int, last: int, interval: int, start: int = START) -> tuple[Bar, ...]:
    """Bars number `first` to `last` (exclusive) of an endless made-up market; number 0 opens at `start`."""
    made = []
    for i in range(first, last):
        random = np.random.default_rng([seed, i + 10_000])
        volume = 0 if random.random() < 0.05 else int(random.lognormal(7.0, 1.0)) + 1
        close = 6_000_000 + int(random.normal(0, 3000))
        notional = volume * (close + int(random.normal(0, 500)))
        made.append(Bar(Nanos(start + i * interval), Lots(volume), Notional(notional), Ticks(close), volume % 7))
    return tuple(made)


def hours(seed: int, interval: int = HOUR, start: int = START) -> Hours:
    """The weeks before a start, with as much volume as bars of `interval` have, and a few hours missing."""
    made = bars(seed, -HOURS, 0, HOUR, start // HOUR * HOUR)
    more = [replace(bar, volume=Lots(bar.volume * HOUR // interval)) for bar in made]
    return Hours.of([bar for i, bar in enumerate(more) if i % 97 != 5])


def observation(
    at: int, slices: int = 12, interval: int = 7_500_000_000, history: int = 40, filled: int = 0, seed: int = 1
) -> Observation:
    """What is known before slice `at`."""
    end = Nanos(START + interval * slices)
    return Observation(
        instrument=INSTRUMENT,
        side=Side.BUY,
        now=Nanos(START + interval * at),
        start=Nanos(START),
        end=end,
        slice=at,
        slices=slices,
        interval=Nanos(interval),
        quantity=Lots(25_000),
        filled=Lots(filled),
        own_notional=filled * 6_000_000,
        bars=bars(seed, 0, at, interval),
        history=bars(seed, -history, 0, interval),
        curve=expected_curve(Nanos(START), end, slices),
        arrival=6_000_000.0,
        mid2=12_000_000,
        hours=hours(seed, interval) if hours_wanted(interval) else UNKNOWN_HOURS,
    )


def scaled(seen: Observation, price: int, volume: int) -> Observation:
    """The same market in other units: prices times `price`, volumes times `volume`."""

    def bar(b: Bar) -> Bar:
        return replace(
            b,
            volume=Lots(b.volume * volume),
            notional=Notional(b.notional * price * volume),
            close=Ticks(b.close * price),
        )

    weeks = replace(
        seen.hours,
        volume=tuple(Lots(v * volume) for v in seen.hours.volume),
        close=tuple(Ticks(c * price) for c in seen.hours.close),
    )
    return replace(seen, bars=tuple(map(bar, seen.bars)), history=tuple(map(bar, seen.history)), hours=weeks)
