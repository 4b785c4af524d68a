"""execd in a process that finds a practice exchange behind the real exchange's own host names, as by a hosts file.

    python -m tests.runtime.hosts READY_FILE run --parent-order ... --mode live --live

Everything else is what an operator has: ccxt's production URLs, certificates that are checked, every interlock.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import patch

from execd import cli
from execd.runtime import launch
from execd.runtime.practice import read_ready
from execd.venues.loopback import Endpoint


def main() -> None:
    """Run `execd` with the arguments after the first."""
    found = read_ready(Path(sys.argv[1]))
    sys.argv = ["execd", *sys.argv[2:]]
    with patch.object(launch, "PRODUCTION", Endpoint(found.port, found.ca)):
        cli.main()


if __name__ == "__main__":
    main()
