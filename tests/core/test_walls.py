"""The walls of the house stand: the import arrows, who may make an Approved, and who knows which library."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import execd

EXECD = Path(execd.__file__).parent
ROOT = EXECD.parent

# library: the only places that may know it
KNOWN_BY = {
    "torch": {"policies", "learning"},
    "ccxt": {"venues"},
    "pydantic": {"runtime/settings"},
}


@cache
def sources() -> list[tuple[str, ast.Module]]:
    """Every module of execd by its path inside the package."""
    paths = sorted(EXECD.rglob("*.py"))
    return [(path.relative_to(EXECD).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def made(tree: ast.AST, name: str) -> int:
    """How often a class is called, by its own name or as an attribute of its module."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sum(
        (isinstance(called, ast.Name) and called.id == name)
        or (isinstance(called, ast.Attribute) and called.attr == name)
        for called in calls
    )


def imported(tree: ast.AST) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_the_import_arrows_hold() -> None:
    """cli -> runtime -> venues | policies | exchange -> core, and inside core from the desk down to the grid."""
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_only_the_gate_makes_an_approval_and_in_one_place() -> None:
    assert {path: count for path, tree in sources() if (count := made(tree, "Approved"))} == {"core/risk.py": 1}


def test_an_approval_is_not_made_by_copying_one() -> None:
    """Nothing but the router reads an Approved, and nothing else is handed one."""
    mentions = {
        path
        for path, tree in sources()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "Approved")
        or (isinstance(node, ast.Attribute) and node.attr == "Approved")
    }

    assert mentions == {"core/risk.py", "core/router.py"}


@pytest.mark.parametrize("library", KNOWN_BY)
def test_a_library_is_known_in_its_own_room_alone(library: str) -> None:
    strangers = [
        path
        for path, tree in sources()
        if library in imported(tree) and not any(path.startswith(room) for room in KNOWN_BY[library])
    ]

    assert strangers == []


def test_the_way_of_looking_finds_what_it_looks_for() -> None:
    tree = ast.parse("import torch.nn\nfrom ccxt.pro import binance\nrisk.Approved(d, t)\nApproved(d, t)\nApproved\n")

    assert imported(tree) == {"torch", "ccxt"}
    assert made(tree, "Approved") == 2
