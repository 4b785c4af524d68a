"""One target under libFuzzer: `python -m tests.fuzz.searcher TARGET [libFuzzer's flags and folders]`.

What is mutated next is chosen by which branches of execd an input reached; a crash is written to a file and ends it.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys


def main(arguments: list[str]) -> None:
    """Search until the flags say that it is enough.  Ends the process itself."""
    # By name: the tool is installed by `make fuzz` alone.
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["execd"]), contextlib.redirect_stderr(io.StringIO()):
        targets = importlib.import_module("tests.fuzz.targets")
    program, name, *flags = arguments
    atheris.Setup([program, *flags], targets.TARGETS[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
