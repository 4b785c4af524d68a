"""YAML as settings files need it: texts, lists and mappings, each with its line, and nothing surprising.

Promise: every scalar stays the text that was typed (no float, no date, no `NO` that means false).  What YAML allows
but a settings file has no use for is refused with its line: a key given twice, an alias, a tag, a second document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Where = tuple[str | int, ...]
"""The way to a value: keys and list positions from the top."""

_DEEPEST = 8


class YamlProblem(Exception):
    """The text is no such file.  `line` counts from 1; None where the problem has no line."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.line = line


@dataclass(slots=True)
class Tree:
    """What a file says: `value` of texts, lists and dicts, and the line of each key and item."""

    value: Any = None
    lines: dict[Where, int] = field(default_factory=dict)


def parse(text: str) -> Tree:
    """Read one YAML document.  Raises YamlProblem."""
    tree = Tree()
    try:
        events = (event for event in yaml.parse(text, Loader=yaml.BaseLoader) if not _frame(event))
        first = next(events, None)
        if first is None:
            raise YamlProblem("the file is empty")
        tree.value = _value(first, events, (), tree)
        if (second := next(events, None)) is not None:
            raise YamlProblem("a second document; one file holds one", _line(second))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlProblem(f"not YAML: {error.problem or error.context}", mark.line + 1 if mark else None) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlProblem(f"not YAML: character U+{ord(text[error.position]):04X} is not allowed", line) from error
    return tree


def _value(event: yaml.Event, events: Iterator[yaml.Event], where: Where, tree: Tree) -> Any:
    if len(where) > _DEEPEST:
        raise YamlProblem(f"nested more than {_DEEPEST} deep", _line(event))
    if isinstance(event, yaml.AliasEvent):
        raise YamlProblem(f"the alias *{event.anchor} is not allowed here: write the value out", _line(event))
    if (tag := getattr(event, "tag", None)) is not None:
        raise YamlProblem(f"the tag {tag} is not allowed here", _line(event))
    if isinstance(event, yaml.ScalarEvent):
        return event.value
    if isinstance(event, yaml.SequenceStartEvent):
        return list(_items(events, where, tree))
    assert isinstance(event, yaml.MappingStartEvent), event
    return dict(_pairs(events, where, tree))


def _items(events: Iterator[yaml.Event], where: Where, tree: Tree) -> Iterator[Any]:
    position = 0
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        here = (*where, position)
        tree.lines[here] = _line(event)
        yield _value(event, events, here, tree)
        position += 1


def _pairs(events: Iterator[yaml.Event], where: Where, tree: Tree) -> Iterator[tuple[str, Any]]:
    seen: dict[str, int] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            raise YamlProblem("a key must be a plain text", _line(event))
        key, line = event.value, _line(event)
        if key in seen:
            raise YamlProblem(f"the key {key!r} is given twice (first in line {seen[key]})", line)
        seen[key] = tree.lines[(*where, key)] = line
        yield key, _value(next(events), events, (*where, key), tree)


def _frame(event: yaml.Event) -> bool:
    kinds = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)
    return isinstance(event, kinds)


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    line: int = event.start_mark.line
    return line + 1
