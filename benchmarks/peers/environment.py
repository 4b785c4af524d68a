"""The virtual environment of the peers: pinned, made where it is not there yet.

Promise: a package that cannot be had is told of with the reason, and everything else goes on without it.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "peers-venv"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PACKAGES = ("cryptofeed", "nautilus_trader")


@dataclass(frozen=True, slots=True)
class Environment:
    """Who can be run, with which interpreter.

    Attributes:
        python: The environment's interpreter.
        versions: Of each package that is there.
        missing: Of each that is not, why.
    """

    python: Path
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def environment() -> Environment:
    """Return the environment, made first if it is not there or was made of other pins."""
    python, stamp = FOLDER / "bin" / "python", FOLDER / ".installed"
    pins = REQUIREMENTS.read_text()
    if not stamp.exists() or stamp.read_text() != pins:
        sys.stderr.write(f"installing the peers into {FOLDER.relative_to(ROOT)}\n")
        venv.create(FOLDER, clear=True, with_pip=True)
        failed = {package: why for package in PACKAGES if (why := _install(python, package))}
        if not failed:
            stamp.write_text(pins)
        return _looked(python, failed)
    return _looked(python, {})


def _install(python: Path, package: str) -> str | None:
    """Install one package with what it needs, at the pinned versions; why not, where that fails."""
    pin = next(line for line in REQUIREMENTS.read_text().splitlines() if line.startswith(f"{package}=="))
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run([*pip, "install", "--constraint", str(REQUIREMENTS), pin], capture_output=True, text=True)
    if done.returncode == 0:
        return None
    return reason(done.stderr)


def reason(stderr: str) -> str:
    """The line of pip's output that says what is wrong."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["pip failed without a word"])[0][:200]


def _looked(python: Path, failed: dict[str, str]) -> Environment:
    found = Environment(python, missing=dict(failed))
    for package in PACKAGES:
        asked = f"import importlib.metadata as m; import {package}; print(m.version('{package}'))"
        done = subprocess.run([str(python), "-c", asked], capture_output=True, text=True)
        if done.returncode == 0:
            found.versions[package] = done.stdout.strip()
        else:
            found.missing.setdefault(package, reason(done.stderr.strip().rpartition("\n")[2]))
    return found
