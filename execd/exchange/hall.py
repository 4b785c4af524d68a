"""What both front ends, REST and sockets, share: the engine, its clock, the account's keys and limits.

Promise: the engine is brought up to the present before every request, and whatever happened is told to the
listeners, in order and once, before anyone can ask about it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import Enum

from execd.core.grid import Nanos
from execd.exchange import errors
from execd.exchange.auth import Keyring
from execd.exchange.engine import Engine, Happening, SymbolRules
from execd.exchange.limits import RateLimits

Listener = Callable[[Sequence[Happening]], None]
Clock = Callable[[], Nanos]


class KeyRights(Enum):
    """What the account's key is said to be allowed."""

    TRADE = "trade"  # To trade spot from a listed address, nothing else.
    WITHDRAW = "withdraw"  # To withdraw as well.
    TRANSFER = "transfer"  # To move funds to other accounts as well.
    NO_IP = "no-ip"  # To trade from any address.
    READ = "read"  # To look, not to trade.


def steady_clock() -> Clock:
    """The wall clock read once, then carried on by the monotonic clock: it never goes back."""
    offset = time.time_ns() - time.monotonic_ns()
    return lambda: Nanos(time.monotonic_ns() + offset)


class Hall:
    """One exchange with one account."""

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        limits: RateLimits,
        clock: Clock,
        rights: KeyRights = KeyRights.TRADE,
    ) -> None:
        self.engine = engine
        self.rights = rights
        self.keyring = keyring
        self.limits = limits
        self.clock = clock
        self._listeners: list[Listener] = []
        self._by_code = {rules.code: rules for rules in engine.rules.values()}

    @property
    def symbols(self) -> list[SymbolRules]:
        """Every symbol that trades here."""
        return list(self._by_code.values())

    def rules(self, code: str) -> SymbolRules:
        """The rules of a symbol in the wire's spelling, as BTCUSDT.  Raises ExchangeRefusal -1121."""
        if code not in self._by_code:
            raise errors.invalid_symbol()
        return self._by_code[code]

    def listed(self, code: str) -> SymbolRules | None:
        """The rules of a symbol in the wire's spelling, None where it does not trade here."""
        return self._by_code.get(code)

    def listen(self, listener: Listener) -> None:
        """Tell a listener all that happens from now on."""
        self._listeners.append(listener)

    def catch_up(self) -> Nanos:
        """Let everything happen that is due, tell it, and return what time it is."""
        now = self.clock()
        self.engine.advance(now)
        self.tell()
        return now

    def tell(self) -> None:
        """Pass on what has happened since the last time."""
        happenings = self.engine.happenings()
        if happenings:
            for listener in self._listeners:
                listener(happenings)
