"""Make, the lock file and CI's script: a fresh machine gets what was tested, and runs all of it."""

from __future__ import annotations

import os
import stat
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.deploy.checkout import ROOT, run, succeeds

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins() -> dict[str, str]:
    """The lock file: package -> version."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def needed() -> dict[str, str]:
    """Every installed package that execd, its tests or its build need, directly or not: package -> version."""
    project = PROJECT["project"]
    roots = [*project["dependencies"], *project["optional-dependencies"]["dev"], *PROJECT["build-system"]["requires"]]
    pending = [Requirement(root) for root in roots]
    followed: set[tuple[str, str]] = set()
    found: dict[str, str] = {}
    while pending:
        wanted = pending.pop()
        package = distribution(wanted.name)
        found[canonicalize_name(wanted.name)] = Version(package.version).public
        for extra in {"", *wanted.extras} - {extra for name, extra in followed if name == wanted.name}:
            followed.add((wanted.name, extra))
            requirements = [Requirement(text) for text in package.requires or ()]
            pending += [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": extra})]
    return found


def test_every_package_that_is_used_is_pinned_at_the_version_that_is_tested() -> None:
    assert pins() == needed(), "pyproject.toml, constraints.txt and .venv do not agree: make lock, then make install"


def test_torch_is_pinned_without_a_build_so_that_any_machine_finds_one() -> None:
    torch = next(line for line in PROJECT["project"]["dependencies"] if line.startswith("torch=="))
    assert torch == f"torch=={pins()['torch']}"
    assert "+" not in torch


def test_make_alone_lists_every_target() -> None:
    targets = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:")).split()[
        1:
    ]
    listed = [line.split()[1] for line in succeeds("make").splitlines() if line.startswith("  make ")]
    assert sorted(listed) == sorted(targets)


def test_the_demo_is_the_program_itself_on_an_order_file_that_exists() -> None:
    assert ".venv/bin/execd run --parent-order config/orders/demo.yaml" in succeeds("make", "--dry-run", "demo")
    assert (ROOT / "config/orders/demo.yaml").is_file()


def test_a_check_runs_lint_format_types_arrows_and_tests() -> None:
    commands = succeeds("make", "--dry-run", "check")
    for tool in ("ruff check .", "ruff format --check .", "mypy", "lint-imports", "pytest"):
        assert f".venv/bin/{tool}" in commands


def test_torch_comes_first_and_from_the_index_that_is_named() -> None:
    plan = succeeds("make", "--dry-run", "--always-make", "install", "TORCH_INDEX=https://torch.example/cpu")
    installs = [line for line in plan.splitlines() if "-m pip" in line]
    assert f"--no-deps --index-url https://torch.example/cpu torch=={pins()['torch']}" in installs[0]
    assert "--requirement constraints.txt" in installs[1]
    assert "--editable ." in installs[2]
    assert "pip --disable-pip-version-check --quiet check" in installs[3]
    assert all("torch.example" not in line for line in installs[1:])


def test_a_python_that_is_too_old_is_refused_in_one_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    refused = run("make", "--always-make", "install", f"PYTHON={old}")
    assert refused.returncode != 0
    assert "execd needs Python 3.11 or 3.12: make install PYTHON=/path/to/python3.11" in refused.stderr


def test_ci_runs_the_check_even_where_promtool_cannot_be_had(tmp_path: Path) -> None:
    """Its tools are replaced on PATH: an apt-get that fails, and a make that only tells how it was called."""
    for name, body in {"apt-get": "exit 1", "id": "echo 0", "make": 'echo "make:" "$@"'}.items():
        stub = tmp_path / name
        stub.write_text(f"#!/bin/sh\n{body}\n")
        stub.chmod(0o755)
    (tmp_path / "bash").symlink_to("/bin/bash")
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    script = ROOT / ".ci" / "run"
    done = run("/usr/bin/env", f"PATH={tmp_path}", "/bin/bash", str(script))
    assert done.returncode == 0
    assert done.stdout.startswith("make: check PYTEST_FLAGS=")
    assert "promtool could not be installed" in done.stderr
    assert script.stat().st_mode & stat.S_IXUSR
    assert os.access(script, os.X_OK)
