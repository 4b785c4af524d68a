"""The tasks of one life, without a loop: real coroutines, resumed by the sea.

Promise: a task goes on at a moment of the sea, in the order in which it was woken; once the life is over, none does.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any

from tests.sim.sea import Sea

Work = Coroutine[Any, Any, None]


class Promise:
    """An answer to come.  The first one counts; one task may wait for it."""

    __slots__ = ("_answer", "_wake", "settled")

    def __init__(self) -> None:
        self.settled = False
        self._answer: Any = None
        self._wake: Callable[[], None] = _nobody

    def settle(self, answer: Any) -> None:
        """Answer, and wake who waits."""
        if not self.settled:
            self.settled, self._answer = True, answer
            self._wake()

    def __await__(self) -> Generator[Promise, None, Any]:
        if not self.settled:
            yield self
        return self._answer

    def wake(self, wake: Callable[[], None]) -> None:
        """Have somebody woken by the answer."""
        self._wake = wake


class Crew:
    """Takes the place of the TaskGroup in which the hands keep their calls.  `guard` runs each step of a task."""

    def __init__(self, sea: Sea, guard: Callable[..., None]) -> None:
        self._sea, self._guard = sea, guard
        self._working: dict[int, Work] = {}
        self._gone = False

    def create_task(self, work: Work) -> None:
        """Begin a task, after whatever happens now."""
        self._working[id(work)] = work
        self._sea.at(self._sea.now, self._go_on, work)

    def _go_on(self, work: Work) -> None:
        if not self._gone:
            self._guard(self._step, work)

    def _step(self, work: Work) -> None:
        try:
            promise = work.send(None)
        except StopIteration:
            del self._working[id(work)]
        else:
            promise.wake(lambda: self._sea.at(self._sea.now, self._go_on, work))

    def abandon(self) -> None:
        """The life is over: nothing goes on."""
        self._gone = True
        for work in self._working.values():
            work.close()
        self._working.clear()


def _nobody() -> None:
    """Nobody waits for the answer yet."""
