"""When an exchange misbehaves: the rules of a faults file with their counts, their chances and their moments.

Promise: the same file and the same traffic give the same faults, for every rule has a chance of its own out of the
file's seed.  `done` counts what was done wrong, by the name of the fault; `told` are the last user events.  Nothing
here touches a socket.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from execd.core.grid import SECOND
from execd.exchange.faults import (
    FILTERS,
    REQUEST_RULES,
    Ban,
    Faults,
    FrameRule,
    Maintenance,
    Matched,
    NotFound,
    RequestRule,
    Timed,
    TimedRule,
)
from execd.exchange.hall import Clock

R = TypeVar("R", bound=Matched)

REPLAYED_MAX = 1_000
"""User events that are kept for a replay."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What passes: a request or a frame, and whom it is about.

    Attributes:
        what: `POST /api/v3/order`, `btcusdt@trade`, `executionReport TRADE`, `reply`.
        order: the order's client id, or nothing.
        symbol: as BTCUSDT, or nothing.
        age_s: how long ago the order was placed, where there is one.
    """

    what: str
    order: str = ""
    symbol: str = ""
    age_s: float | None = None


class Storm:
    """All rules of a file, from the moment at which the exchange opened."""

    def __init__(self, faults: Faults, clock: Clock) -> None:
        self.done: Counter[str] = Counter()
        self._clock = clock
        self._opened = clock()
        self._filters = random.Random(f"{faults.seed}:filters")  # noqa: S311 - repeatable on purpose
        self._requests: list[_Trigger[RequestRule]] = []
        self._frames: list[_Trigger[FrameRule]] = []
        self._alarms: list[_Alarm] = []
        for number, rule in enumerate(faults.rules):
            chance = random.Random(f"{faults.seed}:{number}")  # noqa: S311 - repeatable on purpose
            if isinstance(rule, Timed):
                self._alarms.append(_Alarm(rule, chance))
            elif isinstance(rule, REQUEST_RULES):
                self._requests.append(_Trigger(rule, chance))
            else:
                self._frames.append(_Trigger(rule, chance))
        self._banned_until = self._shut_until = 0.0
        self.told: deque[bytes] = deque(maxlen=REPLAYED_MAX)

    def request(self, seen: Seen) -> RequestRule | None:
        """The rule that takes a request, None where it is let pass."""
        return self._first(self._requests, seen)

    def frame(self, seen: Seen) -> FrameRule | None:
        """The rule that takes a frame on its way out, None where it is let pass."""
        return self._first(self._frames, seen)

    def due(self) -> list[TimedRule]:
        """The rules whose moment has come since the last time."""
        now = self._now_s()
        found = [alarm.rule for alarm in self._alarms for _ in range(alarm.rings(now))]
        self.done.update(name_of(rule) for rule in found)
        for rule in found:
            if isinstance(rule, Maintenance):
                self._shut_until = max(self._shut_until, now + rule.for_s)
        return found

    def ban(self, rule: Ban) -> None:
        """Let nobody in for a while."""
        self._banned_until = self._now_s() + rule.for_s

    @property
    def banned_s(self) -> float:
        """How long the ban goes on; 0 where there is none."""
        return max(0.0, self._banned_until - self._now_s())

    @property
    def shut(self) -> bool:
        """Whether there is maintenance."""
        return self._now_s() < self._shut_until

    def a_filter(self) -> str:
        """Any filter."""
        return self._filters.choice(FILTERS)

    def _first(self, triggers: list[_Trigger[R]], seen: Seen) -> R | None:
        now = self._now_s()
        for trigger in triggers:
            if trigger.takes(seen, now):
                self.done[name_of(trigger.rule)] += 1
                return trigger.rule
        return None

    def _now_s(self) -> float:
        return (self._clock() - self._opened) / SECOND


def name_of(rule: RequestRule | FrameRule | TimedRule | Matched) -> str:
    """A fault's name, as the file has it."""
    return str(rule.__struct_config__.tag)


class _Trigger(Generic[R]):
    """A rule, how many have fitted it, and its chance."""

    def __init__(self, rule: R, chance: random.Random) -> None:
        self.rule = rule
        self._chance = chance
        self._fitted = self._taken = 0

    def takes(self, seen: Seen, now_s: float) -> bool:
        """Whether the rule takes this one."""
        rule = self.rule
        if not self._fits(seen, now_s):
            return False
        self._fitted += 1
        if self._fitted <= rule.skip or self._taken == rule.times:
            return False
        if self._chance.random() >= rule.chance:
            return False
        self._taken += 1
        return True

    def _fits(self, seen: Seen, now_s: float) -> bool:
        rule = self.rule
        if now_s < rule.from_s or (rule.until_s is not None and now_s >= rule.until_s):
            return False
        if isinstance(rule, NotFound) and (seen.age_s is None or seen.age_s >= rule.for_s):
            return False
        patterns = ((seen.what, rule.on), (seen.order, rule.order), (seen.symbol, rule.symbol))
        return all(fnmatchcase(text, pattern) for text, pattern in patterns)


class _Alarm:
    """A rule and its next moment."""

    def __init__(self, rule: TimedRule, chance: random.Random) -> None:
        self.rule = rule
        self._chance = chance
        self._at: float | None = rule.at_s
        self._rung = 0

    def rings(self, now_s: float) -> int:
        """How many moments have come since the last time."""
        rang = 0
        while self._at is not None and self._at <= now_s:
            self._rung += 1
            rang += self._chance.random() < self.rule.chance
            over = self.rule.every_s is None or self._rung == self.rule.times
            self._at = None if over or self.rule.every_s is None else self._at + self.rule.every_s
        return rang
