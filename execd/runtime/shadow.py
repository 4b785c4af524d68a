"""A second model that proposes beside the trading one: asked for every slice, recorded, never obeyed.

Promise: whatever the shadow does, the parent is worked as if it were not there.  It thinks in a thread of its own,
which nobody waits for, not even the end of the process; its answers are facts by which nothing is decided.
"""

from __future__ import annotations

import asyncio
import math
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from execd.core.commands import ProposeSlice
from execd.core.events import ShadowProposed
from execd.core.grid import Nanos
from execd.runtime.advisor import NONE, Advice, Seconds, ask, engage, share_of

WAITING_MAX = 2
"""Questions that may wait while the shadow thinks about another; more are answered for it: busy."""


def engage_shadow(name: str, folder: Path, duration: Nanos, slices: int) -> Advice | None:
    """Load the shadow that is asked for, None for "none".  The arguments are those of `engage`."""
    return None if name == NONE else engage(name, folder, duration, slices)


class Shadow:
    """Asks one policy in a thread and posts its answers to the loop.  Make it on the loop."""

    def __init__(
        self, advice: Advice, post: Callable[[ShadowProposed], None], monotonic: Seconds = time.perf_counter
    ) -> None:
        self._advice = advice
        self._post = post
        self._monotonic = monotonic
        self._loop = asyncio.get_running_loop()
        self._questions: queue.Queue[ProposeSlice | None] = queue.Queue(WAITING_MAX)
        threading.Thread(target=self._think, name="shadow", daemon=True).start()

    def ask(self, command: ProposeSlice) -> None:
        """Let the shadow answer a question too, some time later; returns at once."""
        try:
            self._questions.put_nowait(command)
        except queue.Full:
            busy = f"{self._advice.policy.name} was busy with an earlier slice"
            self._post(ShadowProposed(command.parent, command.slice, math.nan, self._advice.policy.name, busy))

    def close(self) -> None:
        """Ask no more.  Waits for nothing."""
        with suppress(queue.Full):  # Then the thread ends when it finds the loop closed.
            self._questions.put_nowait(None)

    def _think(self) -> None:
        while (command := self._questions.get()) is not None:
            fact = answer(self._advice, command, self._monotonic)
            try:
                self._loop.call_soon_threadsafe(self._post, fact)
            except RuntimeError:
                return  # The loop is closed: the parent is over, and nobody listens.


def answer(advice: Advice, command: ProposeSlice, monotonic: Seconds) -> ShadowProposed:
    """Ask the shadow's policy; whatever it does, return a fact."""
    asked = ask(advice.policy, command, monotonic)
    if asked.proposal is None:
        return ShadowProposed(command.parent, command.slice, math.nan, advice.policy.name, asked.why)
    return ShadowProposed(command.parent, command.slice, share_of(asked.proposal), asked.proposal.model, "")
