"""execd in a process that tells at its end, on standard error, how its garbage collector was left."""

from __future__ import annotations

import gc
import sys

from execd import cli


def main() -> None:
    """Run `execd` with the arguments."""
    try:
        cli.main()
    finally:
        sys.stderr.write(f"collector: threshold={gc.get_threshold()} spared={gc.get_freeze_count() > 0}\n")


if __name__ == "__main__":
    main()
