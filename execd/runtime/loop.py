"""The event loop of whatever trades or streams, and Python's garbage collector around it.

Promise: uvloop where it is installed, asyncio's own loop elsewhere, with the same behavior; a start that is not slowed
by looks for garbage, and afterwards no pause that grows with what was imported.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")

COLLECT_AFTER = (10_000, 10, 10)
"""gc's thresholds while we trade.  Looking at ten thousand young objects takes 0.2 ms; Python's 700 would look fourteen
times as often for cycles of garbage, of which a loop that trades makes few."""


SWITCH_S = 0.0005
"""How long a thread may keep the interpreter while another waits: in Python's 5 ms the journal's writer would keep the
loop that trades from its next order."""


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a program to its end on the fastest loop there is; return what it returns, raise what it raises."""
    with asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(main)


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for every platform
        return None
    return uvloop.new_event_loop


@contextmanager
def quick_start() -> Iterator[None]:
    """Look for no garbage until `end_quick_start`, or the end.

    Imports make 370,000 objects, all of them to keep; to look at them again and again costs 0.4 s.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def end_quick_start() -> None:
    """Collect again, but never what lives now, and let no thread hold up the loop.

    One look at all that ccxt and torch leave would take 0.1 s, in which nothing trades; so even this does not look.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    gc.enable()
