"""What goes wrong again and again, said once: until it is well, or goes wrong in another way."""

from __future__ import annotations

from typing import Any


class Complaints:
    """Says errors to a structlog logger."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._standing: dict[str, str] = {}

    def say(self, what: str, why: str | None) -> None:
        """Say what is wrong and why, unless that was the last thing said of it; None where it is well."""
        if why is None:
            self._standing.pop(what, None)
        elif self._standing.get(what) != why:
            self._standing[what] = why
            self._log.error(what, why=why)
