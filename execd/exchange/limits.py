"""How much may be asked for: request weight a minute, orders in ten seconds and a day.

Promise: windows are the wall clock's own (a minute starts at :00), the figures in the headers are those that
decide, and a request over a limit is refused before it does anything. Unlike Binance, which gives the count
back for orders that trade, every order sent counts to the end of its window: the stricter side.
"""

from __future__ import annotations

from dataclasses import dataclass

from execd.core.grid import SECOND, Nanos
from execd.exchange import errors

_NANOS_PER_MS = 1_000_000


@dataclass(slots=True)
class Window:
    """A count that starts anew with each interval of the wall clock."""

    kind: str
    interval: str
    number: int
    seconds: int
    limit: int
    header: str
    count: int = 0
    started: int = 0

    def roll(self, now: Nanos) -> None:
        """Forget the count of a window that is over."""
        window = now // (self.seconds * SECOND)
        if window != self.started:
            self.started, self.count = window, 0

    def left_ms(self, now: Nanos) -> int:
        """Milliseconds until the window is over."""
        span = self.seconds * SECOND
        return -(-(span - now % span) // _NANOS_PER_MS)

    def described(self) -> dict[str, str | int]:
        """The limit as exchangeInfo tells it."""
        return {
            "rateLimitType": self.kind,
            "interval": self.interval,
            "intervalNum": self.number,
            "limit": self.limit,
        }

    def used(self) -> dict[str, str | int]:
        """The limit and its count, as WebSocket API answers carry them."""
        return {**self.described(), "count": self.count}


class RateLimits:
    """All counts: the weight is the address's, the orders are the account's."""

    def __init__(self, *, weight: int = 6_000, orders_10s: int = 100, orders_day: int = 200_000) -> None:
        self.weight = Window("REQUEST_WEIGHT", "MINUTE", 1, 60, weight, "x-mbx-used-weight-1m")
        self.raw = Window("RAW_REQUESTS", "MINUTE", 5, 300, 61_000, "")
        self.orders = (
            Window("ORDERS", "SECOND", 10, 10, orders_10s, "x-mbx-order-count-10s"),
            Window("ORDERS", "DAY", 1, 86_400, orders_day, "x-mbx-order-count-1d"),
        )

    def roll(self, now: Nanos) -> None:
        """Move all windows on to now."""
        for window in (self.weight, *self.orders):
            window.roll(now)

    def spend(self, now: Nanos, weight: int) -> None:
        """Count a request.  Raises LimitExceeded (-1003) where it is over the limit; it counts all the same."""
        self.roll(now)
        self.weight.count += weight
        if self.weight.count > self.weight.limit:
            raise errors.too_much_weight(self.weight.limit, self.weight.left_ms(now))

    def count_order(self, now: Nanos) -> None:
        """Count a new order.  Raises LimitExceeded (-1015) and counts nothing where it is over a limit."""
        self.roll(now)
        for window in self.orders:
            if window.count >= window.limit:
                interval = f"{window.number} {window.interval}"
                raise errors.too_many_orders(window.limit, interval, window.left_ms(now))
        for window in self.orders:
            window.count += 1

    def described(self) -> list[dict[str, str | int]]:
        """All limits as exchangeInfo tells them."""
        return [window.described() for window in (self.weight, *self.orders, self.raw)]
