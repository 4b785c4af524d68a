"""The codec gives back exactly what it was given, and breaks on nothing but with a JournalError."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execd.core.events import ParentPaused
from execd.core.grid import Instrument
from execd.core.orders import ParentOrder
from execd.runtime.codec import KINDS, JournalError, decode, decode_all, encode, encode_all

BIG = st.integers(min_value=-(2**100), max_value=2**100)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: BIG,
    float: st.floats(),
    str: st.text(max_size=12),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
}
POSITIVE = st.decimals(min_value="1e-12", max_value="1e6", allow_nan=False, allow_infinity=False).filter(
    lambda d: d > 0
)
# Fields of classes that refuse some values.
PICKY: dict[type[Any], dict[str, st.SearchStrategy[Any]]] = {
    Instrument: {
        "tick": POSITIVE,
        "lot": POSITIVE,
        "min_quantity": st.integers(1, 10**9),
        "max_quantity": st.integers(10**9, 2**80),
    },
    ParentOrder: {
        "quantity": st.integers(1),
        "slices": st.integers(1, 10**6),
        "start": st.integers(-100, 0),
        "end": st.integers(1),
    },
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Every value of a type, found from the hints alone, so that a new field or class is tested without a word here."""
    hint = getattr(hint, "__supertype__", hint)  # A NewType is what it is made of.
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in LEAVES:
        return LEAVES[hint]
    if hint is type(None):
        return st.none()
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        own = PICKY.get(hint, {})
        hints = get_type_hints(hint)
        return st.builds(
            hint, **{f.name: own[f.name] if f.name in own else values(hints[f.name]) for f in dataclasses.fields(hint)}
        )
    if origin in (Union, UnionType):
        return st.one_of(*map(values, arguments))
    if origin is tuple and arguments[-1] is ...:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, arguments))
    if origin is dict:
        return st.dictionaries(*map(values, arguments), max_size=3)
    raise TypeError(f"no values are known for {hint}")


MESSAGES = st.sampled_from(sorted(KINDS)).flatmap(lambda name: values(KINDS[name]))


def same(left: Any, right: Any) -> bool:
    """Equality in which NaN equals NaN, 1 is not 1.0, 0.0 is not -0.0 and Decimal("1.0") is not Decimal("1")."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return math.isnan(left) == math.isnan(right) and (math.isnan(left) or repr(left) == repr(right))
    if isinstance(left, Decimal):
        return repr(left) == repr(right)
    if dataclasses.is_dataclass(left):
        return all(same(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left))
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_message_of_every_kind_comes_back_exactly(kind: str) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values(KINDS[kind]))
    def check(message: Any) -> None:
        name, body = encode(message)

        assert name == kind
        assert same(decode(name, body), message)
        json.loads(body, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))

    check()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(MESSAGES, max_size=4))
def test_a_list_of_messages_comes_back_exactly_and_in_order(messages: list[Any]) -> None:
    assert same(decode_all(encode_all(messages)), tuple(messages))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)) | st.text(max_size=20),
    st.binary(max_size=200) | st.text(max_size=60).map(str.encode),
)
def test_no_bytes_raise_anything_but_a_journal_error(kind: str, body: bytes) -> None:
    for read in (lambda: decode(kind, body), lambda: decode_all(body)):
        with contextlib.suppress(JournalError):
            read()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(MESSAGES, st.data())
def test_a_damaged_body_raises_nothing_but_a_journal_error(message: Any, data: st.DataObject) -> None:
    kind, body = encode(message)
    position = data.draw(st.integers(0, len(body) - 1))
    damaged = (
        body[:position] + bytes([data.draw(st.integers(0, 255))]) + body[position + data.draw(st.integers(0, 3)) :]
    )
    with contextlib.suppress(JournalError):
        decode(kind, damaged)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("Nonsense", b"{}"),
        ("ParentPaused", b"{}"),
        ("ParentPaused", b'{"parent":1,"by":"x"}'),
        ("ParentPaused", b""),
        ("ParentPaused", b"\xff\xfe"),
        ("ParentPaused", b"[" * 100_000),
        ("Woken", b"3"),
        ("SliceProposed", b'{"parent":"p","slice":0,"share":NaN,"model":"m"}'),
        ("SliceProposed", b'{"parent":"p","slice":0,"share":1e9999999,"model":[]}'),
        ("SliceProposed", b'{"parent":"p","slice":0,"share":' + b"9" * 400 + b',"model":"m"}'),
        ("SliceProposed", b'{"parent":"p","slice":0,"share":{"float":"nah"},"model":"m"}'),
    ],
)
def test_a_broken_body_or_kind_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(JournalError):
        decode(kind, body)


@pytest.mark.parametrize("body", [b"{}", b"[1]", b'[["Woken"]]', b"[[1,{}]]", b'[["Nonsense",{}]]', b'"x"'])
def test_a_broken_list_of_messages_is_refused(body: bytes) -> None:
    with pytest.raises(JournalError):
        decode_all(body)


def test_a_message_with_odd_text_survives() -> None:
    """Lone surrogates, quotes and control characters may come in an exchange's error text."""
    message = ParentPaused(parent='"\\\ud800\x00\n', by="łódź \U0001f40d")

    assert decode(*encode(message)) == message
