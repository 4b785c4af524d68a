"""execd in a process whose exchange has a dead-man switch: Binance's orders, Kraken's timer, each through real ccxt.

    python -m tests.runtime.timed PORT AUTHORITY run --parent-order ... --exchange ...

PORT and AUTHORITY lead to a recorder that plays Kraken (tests/venues/timers.py).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp

from execd import cli
from execd.venues import ccxt_venue
from execd.venues.capabilities import CAPABILITIES
from execd.venues.loopback import Endpoint
from tests.venues.timers import Timed, signing

ENDPOINT = Endpoint(int(sys.argv[1]), Path(sys.argv[2]))


class Venue(Timed):
    """Connects to the recorder when the timer is first needed."""

    _to_recorder: aiohttp.ClientSession | None = None

    def _timed(self) -> Any:
        if self._to_recorder is None:
            self._to_recorder = ENDPOINT.session(CAPABILITIES["kraken"].hosts)
            self.timer = signing("kraken", self._to_recorder)
        return self.timer

    async def close(self) -> None:
        """Close every connection."""
        await super().close()
        if self._to_recorder is not None:
            await self.timer.close()
            await self._to_recorder.close()


def main() -> None:
    """Run `execd` with the arguments after the first two."""
    sys.argv = ["execd", *sys.argv[3:]]
    with patch.object(ccxt_venue, "CcxtVenue", Venue):
        cli.main()


if __name__ == "__main__":
    main()
