"""The sea: virtual time, one heap of what will happen, one seeded generator, and the weather.

Promise: a seed is a voyage.  No threads, no asyncio, no wall clock; two sails of one seed are equal to the last line.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable

from execd.core.grid import SECOND, Nanos

EPOCH = Nanos(1_800_000_000 * SECOND)
"""When every voyage begins."""

# How often each fault strikes on a bad day, a chance each time; there are worse days.
CHANCES: dict[str, float] = {
    # Requests on their way to the venue.
    "request lost": 0.3,
    "request late": 0.3,  # arrives at any moment of its validity
    "request expired": 0.2,  # arrives after it: the venue refuses it
    "request repeated": 0.3,
    # Answers on their way back.  All of these are a time-out or a broken answer to the client.
    "answer lost": 0.3,
    "answer late": 0.3,  # in time for the client, but about a moment of the past
    "answer broken": 0.2,  # a 5xx at once, whatever becomes of the request
    # What the venue says.
    "order refused": 0.3,
    "cancel refused": 0.3,  # though the order is open
    "cancel lags": 0.3,  # taken, and has its effect later
    "order denied once": 0.2,  # "not found" about an order that it has, once an order
    "order forgotten": 0.5,  # closed orders are "not found" after a while
    "list failed": 0.3,
    "list cut short": 0.3,
    "list lags": 0.5,  # a fill is listed some seconds after it happened
    "request throttled": 0.2,  # refused unread
    # Reports on the account stream.
    "report lost": 0.3,
    "report late": 0.3,
    "report repeated": 0.3,
    "fill unsaid": 0.5,  # only a list shows it
    "stream replays": 0.5,  # at a reconnect: what was said already is said again
    # Prints and quotes on the market stream.
    "print lost": 0.2,
    "print repeated": 0.2,
    # The policy.
    "policy late": 0.5,
    "policy dead": 0.5,
    "policy failed": 0.3,
    "policy absurd": 0.5,
    "policy repeats": 0.3,
    # Our own process.
    "woken late": 0.3,
    "process busy": 0.1,  # facts wait in the inbox for up to three seconds
    "clock misread": 0.5,  # the venue's time, at a start
    # Where it dies.
    "crash before append": 0.02,
    "crash after append": 0.02,  # the row waits for the writer
    "crash while writing": 0.0015,  # in any one call to the disk; a write is cut off
    "crash before sending": 0.1,  # the row is durable
    "crash after sending": 0.1,  # no answer is in the journal
    "crash before telling": 0.3,  # the end is in the journal; nobody has heard of it
    # The disk.
    "power lost": 0.8,  # at a crash: of what was not synced, some is lost, some torn
    "disk slow": 0.1,  # longer than an order may wait
    "sync failed": 0.002,
}
# How often each of these comes on a bad day, a number a voyage.
NUMBERS: dict[str, float] = {
    "crash": 4,
    "outage": 2,  # no request reaches the venue, no answer leaves it; it trades on
    "account stream lost": 3,
    "market stream lost": 3,
    "market silent": 2,
    "pause": 3,
    "drain": 2,
    "kill": 2,
    "parent canceled": 0.3,
    "maintenance": 1,  # streams down, nothing trades, every request is answered by a 503
    "ban": 1,  # every request is refused unread
    "filter changed": 0.5,  # tick and lot size, in the midst of it
    "clock jump": 2,  # of the machine's wall clock, by up to an hour
    "disk full": 1,
    "process unwell": 1,  # it says itself that it should not trade
    "clock found off": 1,
    "limit loosened": 3,  # by a second person, for a while
}
TREACHERY: dict[str, float] = {
    # What no venue should do and a client cannot prevent: it must be booked, and must halt us.
    "venue overfills": 2,
    "stray fill": 1,
    "fill after the final count": 2,
}

# Faults that are dangerous together and seldom meet by chance.
FRONTS: dict[str, dict[str, float]] = {
    "slow network": {"request late": 0.5, "answer late": 0.9, "report lost": 0.9, "request lost": 0.1},
    "mute stream": {"report lost": 0.9, "fill unsaid": 0.9, "list lags": 0.5},
    "amnesia": {"order forgotten": 0.9, "answer lost": 0.5, "report lost": 0.5},
    "slow disk": {"disk slow": 0.9, "kill": 6, "crash": 2, "power lost": 0.8},
    "dying disk": {"crash while writing": 0.01, "sync failed": 0.01, "disk full": 2, "power lost": 0.9},
    "many starts": {"clock misread": 0.9, "crash": 12, "crash after append": 0.05, "power lost": 0.5},
    "treachery": {"stray fill": 2, "venue overfills": 2, "fill after the final count": 1},
    "stubborn venue": {"cancel refused": 0.9, "order denied once": 0.1, "answer broken": 0.3, "report lost": 0.5},
}


class Wreck(BaseException):
    """A promise was broken; nothing of execd may catch it."""


class Crash(BaseException):
    """The process dies where this is raised; nothing of execd may catch it."""


def weather(rng: random.Random, *, fair: bool, treacherous: bool, front: str | None) -> dict[str, float]:
    """Draw the rates of a voyage.  Swarm: most faults are absent from any one seed, so that none hides another."""
    rates: dict[str, float] = {}
    if front is not None:
        return dict(FRONTS[front])
    if fair:
        return rates
    density = rng.choice((0.1, 0.3, 0.6))
    for table in (CHANCES, NUMBERS):
        for fault, often in table.items():
            if rng.random() < density:
                rates[fault] = often * rng.choice((0.1, 0.3, 1.0, 3.0))
    if "crash while writing" in rates and rng.random() < 0.5:
        rates["power lost"] = CHANCES["power lost"]
    if rng.random() < 0.1:
        rates |= rng.choice(list(FRONTS.values()))
    if treacherous:
        rates[rng.choice(list(TREACHERY))] = 2.0
    return rates


class Sea:
    """Virtual time and luck.  `faults` counts what struck; `say` is where a watched voyage is told."""

    def __init__(self, seed: int, say: Callable[[Nanos, str, str], None] | None = None) -> None:
        self.rng = random.Random(seed)
        self.now = EPOCH
        self.wall_ahead = 0
        self.rates: dict[str, float] = {}
        self.calm_from = Nanos(2 * EPOCH)
        self.faults: Counter[str] = Counter()
        self.events = 0
        self._say = say
        self._heap: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self._seq = 0

    @property
    def told(self) -> bool:
        """Whether anybody listens: a line that nobody reads is not made."""
        return self._say is not None

    def say(self, who: str, what: str) -> None:
        """Tell a line of the voyage."""
        if self._say is not None:
            self._say(self.now, who, what)

    def at(self, moment: int, act: Callable[..., None], *given: object) -> None:
        """Let something happen at a moment; what is due at the same moment happens in the order of these calls."""
        self._seq += 1
        heapq.heappush(self._heap, (max(self.now, moment), self._seq, act, given))

    def after(self, delay: int, act: Callable[..., None], *given: object) -> None:
        """Let something happen after a delay."""
        self.at(self.now + delay, act, *given)

    def forget(self) -> None:
        """Let nothing more happen."""
        self._heap.clear()

    def sail(self, over: Callable[[], bool], until: int) -> bool:
        """Let things happen until the voyage is over (True) or its time is up (False)."""
        while self._heap and not over():
            moment, _, act, given = heapq.heappop(self._heap)
            if moment > until:
                return False
            self.now = Nanos(moment)
            self.events += 1
            act(*given)
        return over()

    def strikes(self, fault: str) -> bool:
        """Whether a fault strikes here and now."""
        rate = self.rates.get(fault, 0.0)
        if not rate or self.now >= self.calm_from or self.rng.random() >= min(rate, 0.9):
            return False
        self.count(fault)
        return True

    # The real `Clock` is given these two for its module `time`.

    def time_ns(self) -> int:
        """The machine's wall clock, which may jump."""
        return self.now + self.wall_ahead

    def monotonic_ns(self) -> int:
        """Time since some moment: it never jumps."""
        return self.now - EPOCH

    def count(self, fault: str) -> None:
        """Count and tell a fault."""
        self.faults[fault] += 1
        if self._say is not None:
            self.say("weather", fault)

    def number(self, fault: str) -> int:
        """How often a fault that is counted by the voyage will come."""
        rate = self.rates.get(fault, 0.0)
        count = 0
        while rate and self.rng.random() < rate / (1 + rate):
            count += 1
        return count

    def seconds(self, low: float, high: float) -> int:
        """A span between two numbers of seconds, in nanoseconds."""
        return int(self.rng.uniform(low, high) * SECOND)

    def latency(self) -> int:
        """How long a message takes on a good day, in nanoseconds."""
        return int((0.005 + self.rng.expovariate(30)) * SECOND)
