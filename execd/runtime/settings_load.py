"""From a file to a frozen model, or to one clear message.

Promise: `load` returns a model of which every value was checked, or raises a SettingsError that lists each problem as
`FILE:LINE: key: value is ...; allowed: ...`; never anything else, whatever the file holds.  A value that looks like a
secret is refused and never shown.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from execd.runtime import settings_yaml
from execd.runtime.settings_kinds import Kind
from execd.runtime.settings_yaml import Tree, Where, YamlProblem

LARGEST = 1 << 20
"""The largest settings file, in bytes."""

TOLD = 50
"""The most problems of one file that are told."""

_SECRET_KEY = re.compile(
    r"(?i).*(api[_-]?key|secret|passw|passphrase|token|private[_-]?key|credential|signature|listen[_-]?key).*"
)
# Forty or more letters and digits, of both cases and with digits, as exchanges make their keys; or a private key.
_SECRET_VALUE = re.compile(r"(?s)(?!/)(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9+/=]{40,}|.*-----BEGIN.*")
_NO_SECRETS = (
    "a secret does not belong in a settings file; allowed: $CREDENTIALS_DIRECTORY, the folder keys_dir, or the "
    "environment variables EXECD_API_KEY and EXECD_API_SECRET"
)
_SHAPES = {
    "tuple_type": "a list, such as [a, b]",
    "dict_type": "a group of keys, each with its value",
    "model_type": "a group of keys, each with its value",
    "model_attributes_type": "a group of keys, each with its value",
}


class SettingsError(Exception):
    """A file cannot be used.  `problems` are sentences, each naming the file; the text is all of them, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Group(BaseModel):
    """A group of keys: frozen, and no key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class File(Group):
    """A whole file.  `path` and `sha256` tell where it came from and what it held, byte for byte.

    Where `complete`, a key that is left out is refused: nobody shall trade under a limit that no file names.
    """

    complete: ClassVar[bool] = False
    _path: Path = PrivateAttr(default=Path())
    _sha256: str = PrivateAttr(default="")

    @property
    def path(self) -> Path:
        """The file that it was read from; `Path()` where a program made it."""
        return self._path

    @property
    def sha256(self) -> str:
        """The sha256 of the file, in hex; empty where a program made it."""
        return self._sha256


Model = TypeVar("Model", bound=File)


def cross(key: str, text: str) -> PydanticCustomError:
    """Make the error of a rule between several keys, told at one of them: raise it in a model's validator."""
    return PydanticCustomError("cross", "{text}", {"key": key, "text": text})


def load(path: Path, model: type[Model]) -> Model:
    """Read a settings file.

    Raises:
        SettingsError: the file is absent, no file, not UTF-8, not YAML, or a key or value of it is not allowed.
    """
    content = _content(path)
    try:
        tree = settings_yaml.parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path}: not a text file in UTF-8 (byte {error.start})"]) from error
    except YamlProblem as error:
        raise SettingsError([_at(path, error.line, str(error))]) from error
    if not isinstance(tree.value, dict):
        raise SettingsError([f"{path}: {_SHAPES['model_type']} was expected, such as `key: value`"])
    _without_secrets(path, tree)
    left_out = list(_left_out(path, tree, model)) if model.complete else []
    try:
        made = model.model_validate(tree.value)
    except ValidationError as error:
        told = [(_line(tree, where), text) for where, text in islice(_problems(error, model), TOLD)]
        problems = [_at(path, line, text) for line, text in sorted(told, key=lambda item: item[0] or 0)]
        if (more := error.error_count() - TOLD) > 0:
            problems.append(f"{path}: and {more} problems more")
        problems += left_out[: TOLD - len(problems)]
        raise SettingsError(list(dict.fromkeys(problems))) from error
    if left_out:
        raise SettingsError(left_out[:TOLD])
    made._path, made._sha256 = path, sha256(content).hexdigest()  # noqa: SLF001  # its own loader
    return made


def fields(model: type[BaseModel], where: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Yield the way to every field of a model and of the groups in it, with pydantic's description of it."""
    for name, info in model.model_fields.items():
        yield (*where, name), info
        inner = group_of(info.annotation)
        if inner is not None:
            yield from fields(inner, (*where, name))


def group_of(annotation: Any) -> type[BaseModel] | None:
    """Return the group that a field holds or maps names to, None for a plain value."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def kind_of(info: Any) -> Kind | None:
    """Return the kind of a field's value, None for groups and lists."""
    # An optional value keeps its kind inside the union with None.
    parts = get_args(info.annotation)
    inner = [item for part in parts if type(None) in parts for item in getattr(part, "__metadata__", ())]
    return next((item for item in (*info.metadata, *inner) if isinstance(item, Kind)), None)


def _content(path: Path) -> bytes:
    try:
        if not path.exists():
            raise SettingsError([f"{path}: there is no such file"])
        if not path.is_file():
            raise SettingsError([f"{path}: not a file"])
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise SettingsError([f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"]) from error
    if len(content) > LARGEST:
        raise SettingsError([f"{path}: larger than {LARGEST} bytes: not a settings file"])
    return content


def _without_secrets(path: Path, tree: Tree) -> None:
    problems = []
    for where, text in _texts(tree.value, ()):
        key = str(where[-1])
        if _SECRET_VALUE.fullmatch(key):
            problems.append(_at(path, tree.lines[where], _NO_SECRETS))
        elif _SECRET_KEY.fullmatch(key) or _SECRET_VALUE.fullmatch(text):
            problems.append(_at(path, tree.lines[where], f"{_name(where)}: {_NO_SECRETS}"))
    if problems:
        raise SettingsError(problems[:TOLD])


def _left_out(path: Path, tree: Tree, model: type[File]) -> Iterator[str]:
    """Tell what a file leaves out; what lies in a mapping of names is demanded by the model itself."""
    missing: dict[Where, list[str]] = {}
    for where, info in fields(model):
        kind, top = kind_of(info), model.model_fields[str(where[0])]
        if kind is not None and where not in tree.lines and get_origin(top.annotation) is not dict:
            shown = f"{where[-1]} ({kind.allowed}, such as {kind.show(info.default)})"
            missing.setdefault(where[:-1], []).append(shown)
    for group, keys in missing.items():
        # Of a whole group the names are enough: what each allows stands in the shipped file.
        told = keys[0] if len(keys) == 1 else ", ".join(key.partition(" ")[0] for key in keys)
        yield f"{path}: {_name(group)}: missing; every key must be given, here {told}"


def _texts(value: Any, where: Where) -> Iterator[tuple[Where, str]]:
    """Yield every scalar with the way to it, and every key as a scalar of no text."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(inner, dict | list):
                yield (*where, key), ""
            yield from _texts(inner, (*where, key))
    else:
        yield where, value


def _problems(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Where, str]]:
    for detail in error.errors(include_url=False):
        where = tuple(part for part in detail["loc"] if part != "[key]")
        if detail["type"] == "cross":
            context = detail.get("ctx", {})
            key = (*where, context["key"])
            yield key, f"{_name(key)}: {context['text']}"
        else:
            yield where, f"{_name(where)}: {_complaint(detail, where, model)}"


def _complaint(detail: ErrorDetails, where: Where, model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown(str(where[-1]), _keys(model, where[:-1]))
    if kind == "missing":
        return f"missing; allowed: {_allowed(model, where)}"
    allowed = detail["ctx"]["allowed"] if kind == "not_allowed" else _SHAPES.get(kind, detail["msg"])
    return f"value is {_shown(detail['input'])}; allowed: {allowed}"


def _unknown(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"unknown key{hint}; allowed: {', '.join(known)}"


def _keys(model: type[BaseModel], where: Where) -> list[str]:
    """Return the keys of the group at a place, whose names may pass through a mapping of names."""
    group: type[BaseModel] = model
    for part in where:
        info = group.model_fields.get(str(part))
        if info is not None and (inner := group_of(info.annotation)) is not None:
            group = inner
    return list(group.model_fields)


def _allowed(model: type[BaseModel], where: Where) -> str:
    found = {way[-1]: info for way, info in fields(model)}.get(where[-1])
    kind = kind_of(found) if found is not None else None
    return kind.allowed if kind is not None else _SHAPES["dict_type"]


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "a group of keys"
    text = str(value)
    return "empty" if not text else repr(text[:60] + "…" if len(text) > 60 else text)


def _name(where: Where) -> str:
    return ".".join(str(part) for part in where) or "the file"


def _line(tree: Tree, where: Where) -> int | None:
    return next((tree.lines[where[:end]] for end in range(len(where), 0, -1) if where[:end] in tree.lines), None)


def _at(path: Path, line: int | None, text: str) -> str:
    return f"{path}:{line}: {text}" if line else f"{path}: {text}"
