"""What may hang with a disk or with a lock, done beside the loop.

Promise: whoever waits here waits no longer than it says; a call that hangs holds up neither the loop nor the end of the
process, and at most one of them hangs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Aside:
    """Does one thing at a time, in a thread that nobody has to wait for.  Belongs to one event loop."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    async def do(self, work: Callable[[], T], within_s: float) -> T:
        """Return what `work` returns, or raise what it raises.

        Raises:
            TimeoutError: it did not end in time, or what was asked for before it still hangs.
        """
        if self._thread is not None and self._thread.is_alive():
            raise TimeoutError("what was asked for before still hangs")
        result: Future[T] = Future()
        # From now on it cannot be canceled: the thread may always say what became of it.
        result.set_running_or_notify_cancel()

        def run() -> None:
            try:
                result.set_result(work())
            except BaseException as error:  # whatever it is, it belongs to who waits
                result.set_exception(error)

        # An executor's threads would be waited for at the end of the process.
        self._thread = threading.Thread(target=run, name="aside", daemon=True)
        self._thread.start()
        async with asyncio.timeout(within_s):
            return await asyncio.wrap_future(result)
