"""How a faults file is read.

Promise: a file that cannot be meant is refused before anything is opened, by one message with the key, its value and
what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, get_args

import msgspec
import yaml

from execd.exchange.faults import FRAME_RULES, REQUEST_RULES, TIMED_RULES, Faults, Goodbye, Stream
from execd.exchange.options import BadOptions

ALLOWED: dict[str, tuple[str, ...]] = {
    "fault": tuple(str(rule.__struct_config__.tag) for rule in (*REQUEST_RULES, *FRAME_RULES, *TIMED_RULES)),
    "stream": get_args(Stream),
    "event": get_args(Goodbye),
}
"""What a message lists where a word is none of those that may stand there."""


class _Texts(yaml.BaseLoader):
    """Lists, mappings and texts; a key that is given twice is no YAML."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        """A mapping.  Raises YAMLError."""
        keys = [key.value for key, _ in node.value]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.MarkedYAMLError(problem=f"the key {twice[0]!r} is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def read_faults(path: Path) -> Faults:
    """Read a faults file.  Raises BadOptions: the file, the key, its value and what is allowed."""
    try:
        # Texts only, which `convert` reads as what they are to be: YAML would take the key `on` for a truth value.
        told = yaml.load(path.read_text(encoding="utf-8"), Loader=_Texts)  # noqa: S506 - a BaseLoader makes texts only
    except (OSError, UnicodeDecodeError) as error:
        raise BadOptions(f"faults {path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise BadOptions(f"faults {path}: not YAML: {' '.join(str(error).split())}") from error
    try:
        return msgspec.convert(told, Faults, strict=False)
    except msgspec.ValidationError as error:
        raise BadOptions(f"faults {path}: {_where(told, str(error))}") from error


def _where(told: object, text: str) -> str:
    """A message of msgspec's with its place first, the value that stands there, and what may stand there."""
    says, _, place = text.partition(" - at `$")
    keys = re.findall(r"\.(\w+)|\[(\d+)\]", place)
    found = told
    for key, index in keys:
        if key and isinstance(found, dict):
            found = found.get(key)
        elif index and isinstance(found, list):
            found = found[int(index)]
    shown = f" {found!r}:" if keys and isinstance(found, str) else ""
    name = place.rstrip("`").lstrip(".")
    allowed = ALLOWED.get(keys[-1][0] if keys else "", ())
    more = f"; allowed are {', '.join(allowed)}" if allowed else ""
    return f"{name}:{shown} {says}{more}" if name else f"{says}{more}"
