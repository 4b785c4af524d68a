"""execd whose event loop can be hung from outside: `python -m tests.runtime.hangs run ...`.

SIGUSR2 stops the loop, in the middle of whatever it does, until the next SIGUSR2; the process and its threads live on.
"""

from __future__ import annotations

import signal
from types import FrameType

from execd import cli


def hang(_number: int, _frame: FrameType | None) -> None:
    """Do nothing until the same signal comes again."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    signal.sigwait({signal.SIGUSR2})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, hang)
    cli.main()
