"""The core is pure: no I/O, no clock, no chance, no threads, no logging; and a float is never a price or a quantity.

Read from the source by its syntax tree, so that a violation is found where it is written, run or not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import execd.core

CORE = Path(execd.core.__file__).parent
MODULES = sorted(CORE.glob("*.py"))

MAY_IMPORT = {
    "__future__",
    "collections",
    "collections.abc",
    "dataclasses",
    "decimal",
    "enum",
    "fractions",
    "itertools",
    "math",
    # For the prints alone: a frozen dataclass takes ten times as long to make, and there are thousands a second.
    "msgspec",
    "typing",
}
# Builtins that reach outside, or that run what no linter has read.
FORBIDDEN_NAMES = {
    "__import__",
    "breakpoint",
    "compile",
    "eval",
    "exec",
    "globals",
    "hash",
    "id",
    "input",
    "open",
    "print",
}
# Where a float may be made: shares and curves, the policy's view of a price, basis points, and words for people.
# A schedule floors its float at once; a score is made of Fractions and Decimals until its last step.
FLOATS_ARE_AT_HOME = {"schedule.py", "score.py"}
DECIMALS_ARE_AT_HOME = {"grid.py"}
FLOATS_MAY_BE_MADE_IN = {("execution.py", "observation"), ("risk.py", "stale")}
MAY_BE_FLOAT = {"share", "curve", "arrival"}


def violations(source: str, name: str) -> list[str]:
    """What a module of the core must not do, each with its line."""
    tree = ast.parse(source)
    found = [*_imports(tree), *_names(tree), *_float_fields(tree)]
    if name not in FLOATS_ARE_AT_HOME:
        found += _floats(tree, name)
    return found


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = ["." * node.level + (node.module or "")]
        for module in modules:
            ours = module == "execd.core" or module.startswith("execd.core.")
            if not ours and module not in MAY_IMPORT:
                yield f"{node.lineno}: imports {module}"  # type: ignore[attr-defined]  # both kinds have a line


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in FORBIDDEN_NAMES:
            yield f"{node.lineno}: uses {node.id}"
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield f"{node.lineno}: shares a variable"
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"{node.lineno}: waits"


def _float_fields(tree: ast.AST) -> Iterator[str]:
    """A float where a number of ticks, lots or nanoseconds could stand: any name but the few that may be one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, annotation = node.target.id, node.annotation
        elif isinstance(node, ast.arg) and node.annotation is not None:
            name, annotation = node.arg, node.annotation
        else:
            continue
        mentioned = {part.id for part in ast.walk(annotation) if isinstance(part, ast.Name)}
        if "float" in mentioned and name not in MAY_BE_FLOAT:
            yield f"{annotation.lineno}: {name} is a float"


def _floats(tree: ast.AST, module: str) -> Iterator[str]:
    """Float literals, float() and true divisions outside of words for people and of the few named functions."""

    exact = module in DECIMALS_ARE_AT_HOME

    def walk(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.JoinedStr):
            return
        if isinstance(node, ast.FunctionDef) and (module, node.name) in FLOATS_MAY_BE_MADE_IN:
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{node.lineno}: the float {node.value}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            yield f"{node.lineno}: makes a float"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) and not exact:
            yield f"{node.lineno}: divides truly"
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    return walk(tree)


def test_there_is_a_core_to_read() -> None:
    assert {"grid.py", "execution.py", "risk.py"} <= {path.name for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_of_the_core_is_pure(path: Path) -> None:
    assert violations(path.read_text(encoding="utf-8"), path.name) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import time", "imports time"),
        ("import random", "imports random"),
        ("from datetime import datetime", "imports datetime"),
        ("import asyncio", "imports asyncio"),
        ("import logging", "imports logging"),
        ("import os.path", "imports os.path"),
        ("from os import environ", "imports os"),
        ("import torch", "imports torch"),
        ("from execd.runtime import codec", "imports execd.runtime"),
        ("from execd.corelike import x", "imports execd.corelike"),
        ("from . import grid", "imports ."),
        ("open('x')", "uses open"),
        ("print('x')", "uses print"),
        ("key = id(order)", "uses id"),
        ("when = __import__('time')", "uses __import__"),
        ("async def handle(): ...", "waits"),
        ("price: float = 1", "price is a float"),
        ("def submit(limit: float | None): ...", "limit is a float"),
        ("price = 100.5", "the float 100.5"),
        ("price = float(text)", "makes a float"),
        ("mid = (bid + ask) / 2", "divides truly"),
        ("total /= 2", "divides truly"),
    ],
)
def test_an_impure_line_would_be_found(line: str, words: str) -> None:
    """The checks above can fail."""
    (violation,) = violations(f"import math\n{line}\n", "somewhere.py")

    assert violation == f"2: {words}"


@pytest.mark.parametrize(
    "line", ["words = f'{age / 1e9:.1f} s'", "mid2 = bid + ask", "half = mid2 // 2", "share: float"]
)
def test_a_pure_line_would_not(line: str) -> None:
    assert violations(line, "somewhere.py") == []


def test_the_core_says_in_one_place_what_it_is_and_every_module_what_it_promises() -> None:
    for path in MODULES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path.name
