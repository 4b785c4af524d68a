"""Look for bytes that crash a decoder: `python -m tests.fuzz [TARGET ...] [--seconds N] [--seed S] [--keep]`.

Prints a line a target: executions, what was found anew, crashes.  Ends with 1 if anything crashed, with 2 where atheris
is not installed (`make fuzz` does that).  What crashes lies in build/fuzz/TARGET/crash-*; put it into
tests/fuzz/corpus/TARGET once it is mended.  --keep adds the smallest of what reached
something new.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.target import CORPUS, LONGEST, Target
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
FOUND = ROOT / "build" / "fuzz"
HANG_S = 20
"""One input may take so many seconds."""

MEMORY_MB = 1024
KEPT_BYTES = 10_000
"""The most that is kept of one target, smallest first: the corpus is committed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search of one target came to."""

    executions: int
    found: int
    crashes: list[Path]
    said: str


def search(target: Target, seconds: int, seed: int) -> Outcome:
    """Search one target in a process of its own."""
    pool = FOUND / target.name
    shutil.rmtree(pool, ignore_errors=True)
    corpus = pool / "corpus"
    corpus.mkdir(parents=True)
    for number, entry in enumerate(target.corpus()):
        (corpus / f"known-{number}").write_bytes(entry)
    flags = (f"-max_total_time={seconds}", f"-seed={seed}", "-print_final_stats=1", f"-artifact_prefix={pool}/")
    said = _run(target.name, *flags, str(corpus))
    executions = re.search(r"number_of_executed_units: (\d+)", said)
    found = [path for path in corpus.iterdir() if not path.name.startswith("known-")]
    crashes = sorted(path for path in pool.iterdir() if path.is_file())
    return Outcome(int(executions[1]) if executions else 0, len(found), crashes, said)


def keep(target: Target) -> None:
    """Add to the committed corpus what was found, smallest first, up to a bound."""
    place = CORPUS / target.name
    place.mkdir(parents=True, exist_ok=True)
    left = KEPT_BYTES - sum(path.stat().st_size for path in place.iterdir())
    known = set(target.corpus())
    found = (FOUND / target.name / "corpus").iterdir()
    for path in sorted(found, key=lambda path: (path.stat().st_size, path.name)):
        content = path.read_bytes()
        if content not in known and len(content) <= left:
            (place / path.name[:12]).write_bytes(content)
            left -= len(content)


def _run(name: str, *flags: str) -> str:
    limits = (f"-timeout={HANG_S}", f"-rss_limit_mb={MEMORY_MB}", f"-max_len={LONGEST}")
    command = [sys.executable, "-m", "tests.fuzz.searcher", name, *limits, *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
    return done.stdout + done.stderr


def say(*lines: str) -> None:
    """Print lines at once."""
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Search the targets that are named, or all, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", help=f"of {', '.join(TARGETS)}; all if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="add what was found to tests/fuzz/corpus")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.target) - set(TARGETS)):
        parser.error(f"unknown target {', '.join(unknown)}; known are {', '.join(TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed: `make fuzz` installs it, or pip install atheris==3.0.0")
    crashes = executions = 0
    for name in asked.target or TARGETS:
        outcome = search(TARGETS[name], asked.seconds, asked.seed)
        executions += outcome.executions
        crashes += len(outcome.crashes) or (outcome.executions == 0)
        say(f"{name:17} {outcome.executions:>9,} executions {outcome.found:>5} new  crashes: {len(outcome.crashes)}")
        if outcome.crashes or not outcome.executions:
            say(outcome.said[-3000:], *map(str, outcome.crashes))
        elif asked.keep:
            keep(TARGETS[name])
    say(f"{executions:,} executions; crashes: {crashes}")
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
