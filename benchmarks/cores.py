"""Which processors the sender and the listener keep to, so that neither takes the other's time.

Promise: nothing but the standard library; where processors cannot be chosen, or there is but one, nothing is held.
"""

from __future__ import annotations

import os

ANY = -1
_ALLOWED = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

SENDER, LISTENER = _ALLOWED[:2] if len(_ALLOWED) > 1 else (ANY, ANY)


def keep_to(core: int) -> None:
    """Hold this thread, and those that it starts, to a processor."""
    if core != ANY:
        os.sched_setaffinity(0, {core})


def let_go() -> None:
    """Let this thread, and those that it starts, run wherever the process might when it began."""
    if _ALLOWED:
        os.sched_setaffinity(0, _ALLOWED)
