"""No bytes from outside can crash a decoder: each gives its answer or its documented refusal in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.target import CORPUS, Target
from tests.fuzz.targets import TARGETS

EACH = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
SLOW = {"operator", "door", "answer"}
"""Targets of which one run takes a hundredth of a second: a server is given time to answer."""

NASTY = (
    b"null", b"true", b"[]", b"{}", b'""', b"0", b"-1", b"1.5", b"1e400", b"NaN", b"-Infinity", b"9" * 30, b"9" * 5000,
    b'"NaN"', b'"Infinity"', b'"1e999999999"', b'"-0.1"', b'"1_0"', b'"' + b"9" * 4299 + b'"', b'"\\ud800"',
    b'"\\u0000"',     b"[" * 3000, b'{"a":' * 3000, "\u2028\u0661".encode(), b"\xff", b"\0", b"\n", b"\r\n", b"&a [*a]",
    b"!!python/name:os ",     b"2020-13-45", b"? [a]", b"%", b"1:60",
)  # fmt: skip
"""What values are replaced by: each has broken some decoder of somebody's."""

VALUES = re.compile(rb'"[^"]*"|[\w.+-]+')


@st.composite
def spoiled(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A good input of which values were replaced, bytes changed, parts cut out or repeated."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        spoil = draw(st.sampled_from((_replace, _put, _cut, _repeat)))
        data = spoil(draw, data)
    return data


def _replace(draw: st.DrawFn, data: bytes) -> bytes:
    values = list(VALUES.finditer(data))
    if not values:
        return data
    value = draw(st.sampled_from(values))
    return data[: value.start()] + draw(st.sampled_from(NASTY)) + data[value.end() :]


def _put(draw: st.DrawFn, data: bytes) -> bytes:
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.sampled_from(NASTY) | st.binary(min_size=1, max_size=4)) + data[at:]


def _cut(draw: st.DrawFn, data: bytes) -> bytes:
    first, last = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
    return data[:first] + data[last:]


def _repeat(draw: st.DrawFn, data: bytes) -> bytes:
    at, size = draw(st.integers(0, len(data))), draw(st.integers(1, 40))
    return data[:at] + data[at : at + size] + data[at:]


@EACH
def test_what_was_found_before_does_no_harm(target: Target) -> None:
    """Every seed is understood by a decoder that is well, and every input that was kept still passes."""
    understood = [target.check(data) for data in target.corpus()]
    assert any(understood[: len(target.seeds)]), "no seed is understood: the target tests only refusals"


def test_the_corpus_is_small_and_each_folder_of_it_has_a_target() -> None:
    """It is committed; a folder without a target would be replayed by nobody."""
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 300_000


@EACH
def test_a_good_input_that_was_spoiled_is_understood_or_refused(target: Target) -> None:
    """Values of another type, numbers without end, depth without end, torn and repeated parts."""
    _hold(target, spoiled(target.corpus()), 25 if target.name in SLOW else 150)


@EACH
def test_any_bytes_are_understood_or_refused(target: Target) -> None:
    """Bytes of no form at all."""
    _hold(target, st.binary(max_size=200), 15 if target.name in SLOW else 60)


def _hold(target: Target, inputs: st.SearchStrategy[bytes], examples: int) -> None:
    """Check the target with so many inputs."""

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def holds(data: bytes) -> None:
        target.check(data)

    holds()


ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(("0.01", "5"))
JSON = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)
SPEAKS_JSON = ("market-frame", "page", "account-frame", "rest-answer", "market", "order-path", "manifest", "ready-line",
               "kill-file", "journal-row", "journal-commands")  # fmt: skip


@pytest.mark.parametrize("name", SPEAKS_JSON)
def test_a_field_may_hold_anything(name: str) -> None:
    """Each field of a good JSON input holds any JSON value, one at a time and several at once."""
    target = TARGETS[name]

    @settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        seed = data.draw(st.sampled_from(target.seeds))
        head, body = (seed[:1], seed[1:]) if name in ("rest-answer", "journal-row") else (b"", seed)
        try:
            value = json.loads(body)
        except ValueError:
            return
        for _ in range(data.draw(st.integers(1, 3))):
            value = _changed(data.draw, value)
        target.check(head + json.dumps(value).encode())

    holds()


def _changed(draw: Callable[[st.SearchStrategy[object]], object], value: object) -> object:
    """The value with one part of it, somewhere, made anything."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: _changed(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 9)):
        index = draw(st.integers(0, len(value) - 1))
        assert isinstance(index, int)
        return [*value[:index], _changed(draw, value[index]), *value[index + 1 :]]
    return draw(JSON)
