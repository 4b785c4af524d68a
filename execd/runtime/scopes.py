"""Which latch an operator means: everything, an exchange by its name, or a parent order by its id or its file's name.

Promise: a word that names nothing is refused, saying what there is: a kill that stops nothing must not look like one
that does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from execd.runtime.journal import Journal, JournalError
from execd.runtime.latch import NAME, Latch, Scope
from execd.venues.capabilities import CAPABILITIES

PARENT = re.compile(r"p[a-z2-7]{15}")
"""A parent's id, as `admission.parent_id` makes it."""


class ScopeError(Exception):
    """There is nothing of that name.  One clear sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """A scope by its name: `all`, an exchange, or a parent's id."""

    scope: Scope
    name: str

    def latch(self, folder: Path) -> Latch:
        """The latch of it.  Raises LatchError."""
        match self.scope:
            case Scope.ALL:
                return Latch.of_all(folder)
            case Scope.EXCHANGE:
                return Latch.of_exchange(folder, self.name)
            case Scope.PARENT:
                return Latch.of_parent(folder, self.name)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A parent that is not over: its name in the state folder, its journal, its id; why that is not known, if not."""

    name: str
    journal: Path
    parent: str | None
    unread: str = ""

    @property
    def short(self) -> str:
        """The name in the order file; the state folder's has the mode before it."""
        return self.name.partition("-")[2]


def choose(folder: Path, word: str, name: str | None) -> Target:
    """What an operator means by `--scope WORD NAME`.

    Raises:
        ScopeError: the word or the name means nothing here.
    """
    try:
        scope = Scope(word)
    except ValueError:
        known = ", ".join(scope.value for scope in Scope)
        raise ScopeError(f"--scope: value is {word!r}; allowed: {known}") from None
    match scope:
        case Scope.ALL:
            if name is not None:
                raise ScopeError(f"--scope all takes no name, but {name!r} is given; allowed: --scope parent {name}")
            return Target(scope, scope.value)
        case Scope.EXCHANGE:
            return Target(scope, _exchange(name))
        case Scope.PARENT:
            return Target(scope, _parent(folder, name))


def unfinished(folder: Path) -> Iterator[Unfinished]:
    """The parents of a state folder that are not over, whether a daemon works them or not."""
    for path in sorted((folder / "active").glob("*.journal")):
        try:
            yield Unfinished(path.stem, path, Journal.peek(path).parent)
        except JournalError as error:
            yield Unfinished(path.stem, path, None, str(error))


def _exchange(name: str | None) -> str:
    known = ", ".join(sorted(CAPABILITIES))
    if name is None:
        raise ScopeError(f"--scope exchange needs a name; allowed: {known}")
    if name not in CAPABILITIES:
        raise ScopeError(f"--scope exchange: value is {name!r}; allowed: {known}")
    return name


def _parent(folder: Path, name: str | None) -> str:
    there = list(unfinished(folder))
    meant = {each.parent for each in there if each.parent and name in (each.name, each.short, each.parent)}
    # A parent that is over may have left its latch.
    meant |= {left for path in folder.glob(f"{NAME}.*") if PARENT.fullmatch(left := path.suffix[1:]) and left == name}
    if len(meant) == 1:
        return meant.pop()
    known = ", ".join(f"{each.name} ({each.parent or each.unread})" for each in there) or "none"
    asked = "needs a name" if name is None else f"value is {name!r}" + (", which several have" if meant else "")
    raise ScopeError(f"--scope parent: {asked}; unfinished in {folder}: {known}")
