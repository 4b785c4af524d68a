"""Facts and commands as JSON, and back.

Promise: `decode(*encode(x)) == x` for every class of `execd.core.events.Event` and `execd.core.commands.Command`, to
the last digit, NaN and infinities included; and whatever bytes `decode` is given, it raises nothing but JournalError.

The kind of a message is its class name.  The body is plain JSON: decimals are strings, enums their values, tuples
lists, integers of any size numbers.  JSON has no NaN and no infinity, so such a float is written {"float": "nan"}.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from execd.core.commands import Command
from execd.core.events import Event

SCHEMA = 3
"""The number of the journal's shape; raised whenever a message or a table changes so that old rows read wrongly."""

Message = Event | Command

KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (*get_args(Event), *get_args(Command))}
"""Every class that can be journalled, by name."""

_ODD_FLOAT = "float"


class JournalError(Exception):
    """A journal cannot be used or a row of it cannot be read.  One clear sentence."""


def encode(message: Message) -> tuple[str, bytes]:
    """Return a message's kind and its JSON body."""
    plain = msgspec.to_builtins(message)
    try:
        text = _text(plain)
    except ValueError:  # a float that JSON cannot write: rare, and to look for it first would cost every row
        text = _text(_finite(plain))
    return type(message).__name__, text.encode("ascii")


def decode(kind: str, body: bytes) -> Any:
    """Return the message that `encode` was given.

    Raises:
        JournalError: the kind is unknown or the body is not one of its.
    """
    return _convert(kind, _parse(body))


def encode_all(messages: Sequence[Message]) -> bytes:
    """Return a list of messages as one JSON list of [kind, body]."""
    parts = [b'["%s",%s]' % (kind.encode("ascii"), body) for kind, body in map(encode, messages)]
    return b"[" + b",".join(parts) + b"]"


def decode_all(body: bytes) -> tuple[Any, ...]:
    """Return the messages that `encode_all` was given.  Raises JournalError."""
    if body == b"[]":  # most facts cause nothing
        return ()
    pairs = _parse(body)
    if not isinstance(pairs, list):
        raise JournalError(f"a list of messages was expected, not {_short(body)}")
    messages = []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
            raise JournalError(f"a pair of kind and body was expected in {_short(body)}")
        messages.append(_convert(pair[0], pair[1]))
    return tuple(messages)


def _text(plain: Any) -> str:
    return json.dumps(plain, separators=(",", ":"), allow_nan=False)


def _parse(body: bytes) -> Any:
    try:
        return _JSON.decode(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise JournalError(f"a message is not JSON: {_short(body)} ({error})") from error


def _convert(kind: str, plain: Any) -> Any:
    wanted = KINDS.get(kind)
    if wanted is None:
        raise JournalError(f"unknown kind of message {kind[:60]!r}: written by another version of execd")
    try:
        return msgspec.convert(plain, wanted)
    # Arithmetic: a decimal NaN in a grid, or an integer too large for a float.
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise JournalError(f"a {kind} does not read as one: {error}") from error


def _finite(plain: Any) -> Any:
    """Replace the floats that JSON cannot write."""
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else {_ODD_FLOAT: repr(plain)}
    if isinstance(plain, dict):
        return {key: _finite(value) for key, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [_finite(value) for value in plain]
    return plain


def _odd(found: dict[str, Any]) -> Any:
    """Undo `_finite`: an object of this one key cannot be anything else, since no message has such a field."""
    if found.keys() == {_ODD_FLOAT} and found[_ODD_FLOAT] in ("nan", "inf", "-inf"):
        return float(found[_ODD_FLOAT])
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


_JSON = json.JSONDecoder(object_hook=_odd, parse_constant=_refuse)


def _short(body: bytes) -> str:
    text = body[:60].decode("utf-8", "replace")
    return repr(text + ("…" if len(body) > 60 else ""))
