"""What happened, as log lines and metrics: a line a fact and a line a command, and never a secret in any of them.

Promise: whatever passes `configure`d logging, ours or a library's, exceptions included, has been through the redactor:
values under telling names, `signature=` and its like inside any text, and every loaded secret wherever it stands are
replaced.  Tracebacks never show local variables.  The core does not log; this module reads what it was told and said.
"""

from __future__ import annotations

import dataclasses
import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from decimal import Decimal
from enum import Enum
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import quote

import structlog

from execd.core.commands import CancelOrder, Command, FinishParent, RaiseAlarm, RecordRefusal, SubmitOrder
from execd.core.events import (
    CancelRefused,
    Event,
    KillReset,
    KillTripped,
    MarketObserved,
    OrderLost,
    OrderMissing,
    ParentSubmitted,
    ProposalFailed,
    StreamLost,
    Woken,
)
from execd.core.grid import Instrument, Nanos
from execd.core.orders import Fill, ParentOrder

HIDDEN = "***"
_NAMES = r"signature|api[_-]?key|secret|passw(?:or)?d|passphrase|token|authorization|private[_-]?key|listen[_-]?key"
_NAME = re.compile(rf"(?i).*(?:{_NAMES}).*")
_INSIDE = re.compile(rf"(?i)((?:{_NAMES})[\"']?\s*[=:]\s*[\"']?)[^&\s\"',;)}}\]]+")
_SHORTEST = 4
"""Shorter values are not replaced by value: they would blot out half of every line."""

_WARNINGS = (OrderLost, StreamLost, ProposalFailed, OrderMissing, CancelRefused, KillReset)
_PRICES = frozenset({"price", "limit"})
_QUANTITIES = frozenset({"quantity", "filled"})


class Redactor:
    """Takes secrets out of log lines.  A structlog processor; also usable on any text by `text`."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._values: list[str] = []
        self.hide(secrets)

    def hide(self, secrets: Sequence[str]) -> None:
        """Replace these values too from now on."""
        forms = {form for secret in secrets for form in (secret, quote(secret, safe="")) if len(secret) >= _SHORTEST}
        # The longest first, so that a key that is part of another leaves no tail.
        self._values = sorted(forms | set(self._values), key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        for value in self._values:
            text = text.replace(value, HIDDEN)
        return _INSIDE.sub(rf"\1{HIDDEN}", text)

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Redact a whole log line."""
        return {self.text(str(key)): self._named(str(key), value) for key, value in line.items()}

    def _named(self, name: str, value: Any) -> Any:
        return HIDDEN if _NAME.fullmatch(name) and not isinstance(value, bool) else self._value(value)

    def _value(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._named(str(key), inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(inner) for inner in value]
        # A renderer would take the repr of anything else, after us: so we take it first.
        return self.text(value if isinstance(value, str) else str(value) if isinstance(value, Decimal) else repr(value))


def configure(
    *, json: bool, level: str = "info", secrets: Sequence[str] = (), stream: TextIO | None = None
) -> Redactor:
    """Set up logging for the whole process, the libraries' too, and uncaught exceptions; returns the redactor.

    Args:
        json: a JSON object a line, else text for people.
        level: the least that is logged: debug, info, warning or error.
        secrets: every loaded secret.
        stream: where to; standard error if None.
    """
    out: TextIO = stream if stream is not None else sys.stderr
    redactor = Redactor(secrets)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ends = [_traceback(json=json), redactor, _renderer(json=json, stream=out)]
    structlog.configure(
        processors=[*shared, *ends],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[remove, *ends]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # A library's debug lines may hold whole requests.
    root.setLevel(max(logging.WARNING, getattr(logging, level.upper())))
    sys.excepthook = _log_uncaught
    return redactor


class FactLog:
    """Logs each fact with its commands."""

    def __init__(self, log: Any = None) -> None:
        self._log = log if log is not None else structlog.get_logger("execd")
        self._grids: dict[str, Instrument] = {}

    def know(self, parent: ParentOrder) -> None:
        """Take note of a parent's grid, so that its prices and quantities are logged in their own units."""
        self._grids[parent.id] = parent.instrument

    def __call__(self, _now: Nanos, event: Event, commands: Sequence[Command]) -> None:
        """Log a fact and the commands that it caused."""
        if isinstance(event, ParentSubmitted):
            self.know(event.parent)
        self._say(self._level(event), event)
        for command in commands:
            self._say(self._command_level(command), command)

    def _say(self, level: Callable[..., Any], message: Event | Command) -> None:
        level(phrase(type(message)), **self._keys(message))

    def _level(self, event: Event) -> Callable[..., Any]:
        if isinstance(event, Woken | MarketObserved):
            level = self._log.debug
        elif isinstance(event, KillTripped):
            level = self._log.critical
        else:
            level = self._log.warning if isinstance(event, _WARNINGS) else self._log.info
        return level  # type: ignore[no-any-return]  # structlog's loggers are untyped

    def _command_level(self, command: Command) -> Callable[..., Any]:
        if isinstance(command, RaiseAlarm):
            level = self._log.error
        elif isinstance(command, RecordRefusal):
            level = self._log.warning
        else:
            plain = isinstance(command, SubmitOrder | CancelOrder | FinishParent)
            level = self._log.info if plain else self._log.debug
        return level  # type: ignore[no-any-return]  # structlog's loggers are untyped

    def _keys(self, message: Any) -> dict[str, Any]:
        """A message's own fields as the keys of its line: a fill's among them, large ones left to the journal."""
        if isinstance(message, ParentSubmitted):
            return self._parent(message.parent)
        keys: dict[str, Any] = {}
        for field in dataclasses.fields(message):
            value = getattr(message, field.name)
            if isinstance(value, Fill):
                keys |= self._keys(value)
            elif not dataclasses.is_dataclass(value):
                keys[field.name] = value
        grid = self._grids.get(_parent_of(keys))
        return {name: _shown(name, value, grid) for name, value in keys.items()}

    def _parent(self, parent: ParentOrder) -> dict[str, Any]:
        grid = parent.instrument
        return {
            "parent": parent.id,
            "venue": grid.venue,
            "symbol": grid.symbol,
            "side": parent.side.value,
            "quantity": f"{grid.quantity(parent.quantity):f}",
            "limit": None if parent.limit is None else f"{grid.price(parent.limit):f}",
            "start": parent.start,
            "end": parent.end,
            "slices": parent.slices,
        }


def phrase(kind: type[Any]) -> str:
    """The words of a class name: OrderFilled is "order filled"."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).lower()


def _parent_of(keys: Mapping[str, Any]) -> str:
    """The id of the parent that a message is about: named, or the part of a client id before its number."""
    return str(keys.get("parent") or str(keys.get("order", "")).rpartition("n")[0])


def _shown(name: str, value: Any, grid: Instrument | None) -> Any:
    if isinstance(value, Enum):
        return value.value
    if grid is not None and isinstance(value, int) and name in _PRICES:
        return f"{grid.price(value):f}"
    if grid is not None and isinstance(value, int) and name in _QUANTITIES:
        return f"{grid.quantity(value):f}"
    return value


def _traceback(*, json: bool) -> Any:
    if not json:
        return structlog.processors.format_exc_info
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return structlog.processors.ExceptionRenderer(transformer)


def _renderer(*, json: bool, stream: TextIO) -> Any:
    if json:
        return structlog.processors.JSONRenderer(sort_keys=False)
    plain = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain, pad_event_to=20)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what nobody caught, redacted; the default would print it as it is."""
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger("execd").critical("uncaught exception", exc_info=(kind, error, trace))
