"""How long an exchange has told us to keep away: 429 and 418 with Retry-After.

Promise: while a ban lasts nothing is asked, for asking makes it longer; while only the rate limit is used up, cancels
still go.  What is held back never left: it did not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

TOO_MANY, BANNED = 429, 418
LONGEST_MS = 3 * 86_400_000
"""The longest ban that Binance knows; no header makes us wait longer."""


class Backoff:
    """One exchange's patience with this machine; `now_ms` is our own time in milliseconds."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._until_ms = {TOO_MANY: 0, BANNED: 0}

    def heard(self, status: int, headers: Mapping[str, str]) -> None:
        """Take note of an answer."""
        told = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
        if status in self._until_ms and told.isascii() and told.isdecimal():
            until = self._now_ms() + min(int(told) * 1_000, LONGEST_MS)
            self._until_ms[status] = max(self._until_ms[status], until)

    def refusal(self, method: str) -> str | None:
        """Why a request must not be sent now; None if it may."""
        left = {status: until - self._now_ms() for status, until in self._until_ms.items()}
        if left[BANNED] > 0:
            return f"banned by the exchange for another {left[BANNED] / 1_000:.0f} s; not sent"
        if left[TOO_MANY] > 0 and method != "DELETE":
            return f"the exchange wants no request for another {left[TOO_MANY] / 1_000:.0f} s; not sent"
        return None
