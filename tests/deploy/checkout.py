"""Where the files under test lie, and how a tool from outside is called."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def read_yaml(path: Path) -> Any:
    """What a YAML file says."""
    return yaml.safe_load(path.read_text())


def tool(name: str) -> str:
    """The path of a program; the calling test is skipped where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, its output as text."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def succeeds(*command: str, cwd: Path = ROOT) -> str:
    """Run a program that must succeed; what it printed."""
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
