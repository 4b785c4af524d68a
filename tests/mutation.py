"""Plant every small change that mutmut knows into a module, and count those that the module's own tests notice.

    python -m tests.mutation                        # all modules of `TESTS`
    python -m tests.mutation execd/core/router.py   # one of them

Each module is worked on in a copy of its own, build/mutmut/NAME, which stays: `mutmut results` and `mutmut show MUTANT`
in it tell of the survivors.  A change that makes the tests hang until they are stopped is noticed, and counted apart.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "mutmut"

JOURNAL = "tests/runtime/test_journal.py"
JOURNALS = [
    "tests/runtime/test_journal_by_hand.py",
    "tests/runtime/test_journal_file.py",
    JOURNAL,
    # They start processes, and would take minutes for every mutant that lives.
    f"--deselect={JOURNAL}::test_no_acknowledged_row_is_lost_to_kill_9",
    f"--deselect={JOURNAL}::test_a_disk_that_takes_no_more_ends_the_process_at_once",
    f"--deselect={JOURNAL}::test_a_folder_that_may_not_be_written_is_refused",
]
TESTS: dict[str, list[str]] = {
    "execd/core/risk.py": [
        "tests/core/test_risk.py",
        "tests/core/test_risk_quantities.py",
        "tests/core/test_execution_limits.py",
        "tests/core/test_survivors.py",
    ],
    "execd/core/guard.py": ["tests/core/test_guard.py", "tests/core/test_execution_limits.py"],
    "execd/core/throttle.py": ["tests/core/test_throttle.py"],
    "execd/venues/fuse.py": ["tests/venues/test_fuse.py"],
    "execd/core/orders.py": ["tests/core/test_orders.py", "tests/core/test_survivors.py"],
    "execd/core/router.py": ["tests/core/test_router.py", "tests/core/test_survivors.py"],
    "execd/runtime/journal.py": JOURNALS,
    "execd/runtime/journal_file.py": JOURNALS,
}
"""Which tests answer for which module."""

COPIED = ["execd", "tests", "pyproject.toml"]
SETTINGS = """
[tool.mutmut]
source_paths = ["execd"]
only_mutate = ["{module}"]
# No test here takes long: what runs for seconds more than it should hangs.
timeout_multiplier = 3.0
timeout_constant = 2.0
pytest_add_cli_args = ["-p", "no:randomly", "-p", "no:xdist"]
pytest_add_cli_args_test_selection = {tests}
"""


def copied(module: str) -> Path:
    """A fresh copy of the tree in which mutmut is set to one module; returns its folder."""
    folder = BUILD / Path(module).stem
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    with (folder / "pyproject.toml").open("a") as settings:
        settings.write(SETTINGS.format(module=module, tests=json.dumps(TESTS[module])))
    return folder


def mutmut(folder: Path, *arguments: str) -> str:
    """Run mutmut in a copy; returns what it said, which a file beside the copy keeps too."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    folder.with_suffix(".log").write_text(done.stdout)
    if done.returncode:
        raise SystemExit(f"mutmut failed in {folder}; the end of {folder.with_suffix('.log')}:\n{done.stdout[-2000:]}")
    return done.stdout


def judged(module: str) -> str:
    """Work on one module; returns the lines to print: its counts, and what no test noticed."""
    folder = copied(module)
    mutmut(folder, "run", "--max-children", str(len(os.sched_getaffinity(0))))
    lived = [line.strip() for line in mutmut(folder, "results").splitlines() if not line.endswith("timeout")]
    mutmut(folder, "export-cicd-stats")
    counts = json.loads((folder / "mutants" / "mutmut-cicd-stats.json").read_text())
    noticed = counts["killed"] + counts["timeout"]
    head = (
        f"{module}: {counts['total']} mutants, {counts['killed']} killed, {counts['timeout']} hung, "
        f"{counts['total'] - noticed} survived: {noticed / counts['total']:.1%}"
    )
    return "\n  ".join([head, *lived])


def main() -> None:
    """Judge the modules that are named, else all."""
    modules = sys.argv[1:] or list(TESTS)
    if unknown := [module for module in modules if module not in TESTS]:
        raise SystemExit(f"{unknown[0]}: not one of {', '.join(TESTS)}")
    for module in modules:
        sys.stdout.write(judged(module) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
