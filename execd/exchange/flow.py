"""How strangers behave in the synthetic market: how busy, when, which way and how much.

Promise: each class keeps one stylised fact of `profiles` alive and draws only from the generator it is given.  Times
are seconds as floats: no price or quantity is made here that is not rounded to ticks and lots by its user.
"""

from __future__ import annotations

import math
from random import Random

from execd.exchange.profiles import (
    ACTIVITY_QUICK,
    ACTIVITY_SLOW,
    EXCITE_FAST,
    EXCITE_SLOW,
    HOUR_RANGE,
    HOUR_VOLUME,
    SIGN_MEMORY,
    TAKER_LOG_SD,
    TAKER_MOST,
    VOLATILITY_OWN,
)

HOUR = 3600.0


class Reverting:
    """A Gaussian state that returns to 0: the Ornstein-Uhlenbeck process, stepped exactly."""

    def __init__(self, deviation: float, memory: float) -> None:
        self.value = 0.0
        self._deviation = deviation
        self._memory = memory

    def step(self, span: float, random: Random) -> None:
        """Let `span` seconds pass."""
        keep = math.exp(-span / self._memory)
        self.value = self.value * keep + self._deviation * math.sqrt(1.0 - keep * keep) * random.gauss(0.0, 1.0)


class Mood:
    """How busy and how nervous the market is: factors with mean near 1 that cluster, and follow the hour of day."""

    STEP = 1.0

    def __init__(self, now: float, random: Random) -> None:
        self._random = random
        self._quick = Reverting(*ACTIVITY_QUICK)
        self._slow = Reverting(*ACTIVITY_SLOW)
        self._own = Reverting(*VOLATILITY_OWN)
        self._at = now
        self.activity = self.volatility = 1.0
        self._combine(now)

    def step(self, now: float, step: float = STEP) -> None:
        """Bring the mood up to now, no more often than `step` seconds."""
        if now - self._at < step:
            return
        for state in (self._quick, self._slow, self._own):
            state.step(now - self._at, self._random)
        self._at = now
        self._combine(now)

    def _combine(self, now: float) -> None:
        busy = self._quick.value + self._slow.value
        # Centred so that the mean, not the median, of activity is the hour's.
        mean = 0.5 * (ACTIVITY_QUICK[0] ** 2 + ACTIVITY_SLOW[0] ** 2)
        self.activity = hourly(HOUR_VOLUME, now) * math.exp(busy - 0.5 * mean)
        self.volatility = hourly(HOUR_RANGE, now) * math.exp(0.5 * busy + self._own.value - 0.25 * mean)


def hourly(profile: tuple[float, ...], now: float) -> float:
    """A profile by hour of day UTC, joined up by straight lines between the middles of the hours."""
    position = (now / HOUR - 0.5) % 24.0
    low = int(position) % 24
    share = position - int(position)
    return profile[low] * (1.0 - share) + profile[(low + 1) % 24] * share


class Arrivals:
    """When taker orders come: a self-exciting (Hawkes) process with a fast and a slow exponential kernel.

    Simulated by thinning (Ogata 1981).  `rate` is the long-run mean per second at activity 1.
    """

    def __init__(self, rate: float, now: float, random: Random) -> None:
        self._base = rate * (1.0 - EXCITE_FAST[0] - EXCITE_SLOW[0])
        self._random = random
        self._at = now
        # Begun at the mean of the excited parts, so that there is no slow start.
        self._fast = rate * EXCITE_FAST[0]
        self._slow = rate * EXCITE_SLOW[0]

    def next(self, activity: float) -> float:
        """Draw the moment of the next taker order, after which it has excited the process."""
        while True:
            bound = self._base * activity + self._fast + self._slow
            wait = self._random.expovariate(bound)
            self._at += wait
            self._fast *= math.exp(-EXCITE_FAST[1] * wait)
            self._slow *= math.exp(-EXCITE_SLOW[1] * wait)
            if self._random.random() * bound <= self._base * activity + self._fast + self._slow:
                self._fast += EXCITE_FAST[0] * EXCITE_FAST[1]
                self._slow += EXCITE_SLOW[0] * EXCITE_SLOW[1]
                return self._at

    def restart(self, now: float) -> None:
        """Go on from a later moment, as if nothing had been meant to come before it."""
        self._at = max(self._at, now)


class Signs:
    """Which way takers trade: their signs remember each other for long."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._means = [0.0 for _ in SIGN_MEMORY]

    @property
    def expected(self) -> float:
        """The expectation of the next sign, in (-1, 1)."""
        return sum(weight * mean for (weight, _), mean in zip(SIGN_MEMORY, self._means, strict=True))

    def next(self) -> int:
        """Draw the next sign: +1 buys."""
        sign = 1 if self._random.random() < 0.5 * (1.0 + self.expected) else -1
        for number, (_, share) in enumerate(SIGN_MEMORY):
            self._means[number] += share * (sign - self._means[number])
        return sign


class Sizes:
    """How much: log-normal around a mean, in the mean's unit, heavy-tailed."""

    def __init__(self, mean: float, random: Random, deviation: float = TAKER_LOG_SD) -> None:
        self._mu = math.log(mean) - 0.5 * deviation * deviation
        self._deviation = deviation
        self._most = TAKER_MOST * mean
        self._random = random

    def next(self) -> int:
        """Draw a size of at least 1."""
        return max(1, round(min(self._most, self._random.lognormvariate(self._mu, self._deviation))))
