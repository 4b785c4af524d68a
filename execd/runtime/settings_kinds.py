"""The kinds of values that a settings file may hold, each with the words that say what is allowed.

Promise: a kind reads exactly what its `allowed` says and refuses all else with those words; what `show` writes,
`parse` reads back as the same value.  Numbers come from the file's own text: 0.1 is one tenth, never a float.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from execd.core.grid import PPM, Nanos

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_WHOLE = re.compile(r"[+-]?\d+")
_SPAN = re.compile(r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?(?:(?P<ms>\d+)ms)?")
_UNITS = {"d": 86_400_000_000_000, "h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000}
_LONGEST = 30


class Kind(ABC):
    """How one value is read, shown and explained.  Used as `Annotated[type, Kind(...)]` in a model."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words that follow "allowed: "."""
        return self._allowed()

    def parse(self, text: str) -> Any:
        """Return the value of a text.  Raises ValueError for anything that is not allowed."""
        return self._parse(text)

    def show(self, value: Any) -> str:
        """Return a text that `parse` reads as this value."""
        return self._show(value)

    def read(self, value: object) -> Any:
        """Return the value of a scalar of a file, or check one that a program gives.

        Raises:
            PydanticCustomError: it is not allowed; the words are in its context.
        """
        try:
            if isinstance(value, dict | list):
                raise ValueError("a group where one value belongs")
            return self._parse(value if type(value) is str else self._show(value))
        # What a program gives may be of any type, and a decimal's text of any length.
        except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise PydanticCustomError("not_allowed", "allowed: {allowed}", {"allowed": self.allowed}) from error

    @abstractmethod
    def _allowed(self) -> str: ...

    @abstractmethod
    def _parse(self, text: str) -> Any: ...

    def _show(self, value: Any) -> str:
        return str(value)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)


@dataclass(frozen=True)
class Number(Kind):
    """An exact decimal number from `least` to `most`, or above zero where no least is given."""

    least: str | None = None
    most: str | None = None
    unit: str = ""
    example: str = "0.25"
    ceiling: bool = False

    def _allowed(self) -> str:
        limits = f"from {self.least}" if self.least is not None else "above 0"
        limits += f" to {self.most}{_hard(ceiling=self.ceiling)}" if self.most is not None else ""
        return f"a decimal number {limits}{' ' + self.unit if self.unit else ''}, such as {self.example}"

    def _parse(self, text: str) -> Decimal:
        if not _DECIMAL.fullmatch(text) or len(text) > _LONGEST:
            raise ValueError("not a plain decimal number")
        value = Decimal(text)
        if (self.least is None and value <= 0) or (self.least is not None and value < Decimal(self.least)):
            raise ValueError("too small")
        if self.most is not None and value > Decimal(self.most):
            raise ValueError("too large")
        return value

    def _show(self, value: Any) -> str:
        if isinstance(value, float):
            raise TypeError("a float is no exact number")
        return f"{value:f}" if isinstance(value, Decimal) else str(value)


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from `least` to `most`."""

    least: int
    most: int
    ceiling: bool = False

    def _allowed(self) -> str:
        return f"a whole number from {self.least} to {self.most}{_hard(ceiling=self.ceiling)}"

    def _parse(self, text: str) -> int:
        if not _WHOLE.fullmatch(text) or len(text) > _LONGEST or not self.least <= int(text) <= self.most:
            raise ValueError("not such a whole number")
        return int(text)


@dataclass(frozen=True)
class Span(Kind):
    """A length of time, in nanoseconds inside; in a file days, hours, minutes, seconds, milliseconds."""

    least: str
    most: str
    ceiling: bool = False

    def _allowed(self) -> str:
        limits = f"from {self.least} to {self.most}{_hard(ceiling=self.ceiling)}"
        return f"a duration {limits}, written like 90s, 4h, 1h30m or 250ms"

    def _parse(self, text: str) -> Nanos:
        value = span(text)
        if not span(self.least) <= value <= span(self.most):
            raise ValueError("too short or too long")
        return value

    def _show(self, value: Any) -> str:
        return show_span(value)


@dataclass(frozen=True)
class Rate(Kind):
    """A share, as a percentage or a fraction in the file and in parts per million inside."""

    most: str
    ceiling: bool = False

    def _allowed(self) -> str:
        return (
            f"a share above 0 up to {self.most}{_hard(ceiling=self.ceiling)}, as a percentage (5%) or a fraction (0.05)"
        )

    def _parse(self, text: str) -> int:
        value = self._ppm(text)
        if not 0 < value <= self._ppm(self.most):
            raise ValueError("not such a share")
        return value

    def _show(self, value: Any) -> str:
        return f"{Decimal(value) * 100 / PPM:f}%"

    def _ppm(self, text: str) -> int:
        number = text.removesuffix("%").rstrip()
        if not _DECIMAL.fullmatch(number) or len(number) > _LONGEST:
            raise ValueError("not a plain decimal number")
        value = Decimal(number) * (PPM // 100 if text.endswith("%") else PPM)
        if value != int(value):
            raise ValueError("finer than a millionth")
        return int(value)


@dataclass(frozen=True)
class Moment(Kind):
    """A moment with its time zone, in nanoseconds since the epoch inside."""

    now: bool = False

    def _allowed(self) -> str:
        words = "a time with its zone, such as 2026-11-22T14:00:00Z or 2026-11-22T15:00:00+01:00"
        return f"now, or {words}" if self.now else words

    def _parse(self, text: str) -> Nanos | None:
        if self.now and text == "now":
            return None
        value = datetime.fromisoformat(text)
        if value.tzinfo is None:
            raise ValueError("without a zone")
        since = value - datetime(1970, 1, 1, tzinfo=UTC)
        if since < timedelta(0):
            raise ValueError("before 1970")
        return Nanos(since // timedelta(microseconds=1) * 1000)

    def _show(self, value: Any) -> str:
        if value is None:
            return "now"
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value // 1000)).isoformat()


@dataclass(frozen=True)
class Choice(Kind):
    """One of the words of an enum."""

    words: type[Enum]

    def _allowed(self) -> str:
        *others, last = (word.value for word in self.words)
        return f"{', '.join(others)} or {last}"

    def _parse(self, text: str) -> Enum:
        return self.words(text)

    def _show(self, value: Any) -> str:
        return str(self.words(value).value)


@dataclass(frozen=True)
class Text(Kind):
    """A short text of one shape."""

    pattern: str
    meaning: str

    def _allowed(self) -> str:
        return self.meaning

    def _parse(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise ValueError("not of this shape")
        return text


@dataclass(frozen=True)
class Location(Kind):
    """A file or folder."""

    def _allowed(self) -> str:
        return "a path; a relative one starts at the folder that execd is started in"

    def _parse(self, text: str) -> Path:
        if not text or "\0" in text:
            raise ValueError("empty")
        return Path(text)


def span(text: str) -> Nanos:
    """Return a duration such as 1h30m in nanoseconds.  Raises ValueError."""
    match = _SPAN.fullmatch(text)
    if match is None or not text or len(text) > _LONGEST:
        raise ValueError(f"{text!r} is no duration")
    return Nanos(sum(int(count) * _UNITS[unit] for unit, count in match.groupdict().items() if count))


def show_span(value: int) -> str:
    """Return nanoseconds (of whole milliseconds) as a duration such as 1h30m; what is finer is left out."""
    parts = []
    for unit, size in _UNITS.items():
        count, value = divmod(value, size)
        parts.append(f"{count}{unit}" if count else "")
    return "".join(parts) or "0s"


def _hard(*, ceiling: bool) -> str:
    return " (hard ceiling, set in the code)" if ceiling else ""
