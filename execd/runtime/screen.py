"""Progress where the operator looks: a panel on a terminal, a line now and then elsewhere, nothing for machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from execd.core.execution import Execution
from execd.core.grid import SECOND, Nanos
from execd.runtime.show import console_for_people, line, progress

LINE_EVERY = Nanos(5 * SECOND)


class TerminalScreen:
    """Redraws one panel."""

    def __init__(self, live: Live, console: Console) -> None:
        self._live, self._console = live, console

    def show(self, execution: Execution, now: Nanos) -> None:
        """Draw the present state over the last."""
        self._live.update(progress(execution, now), refresh=True)

    def say(self, words: str) -> None:
        """Print one sentence above the panel."""
        self._console.print(words, markup=False)


class PlainScreen:
    """Prints a line every few seconds."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console, self._quiet = console, quiet
        self._shown_at = Nanos(0)

    def show(self, execution: Execution, now: Nanos) -> None:
        """Print the present state if it is time."""
        if not self._quiet and now >= self._shown_at + LINE_EVERY:
            self._shown_at = now
            self._console.print(line(execution, now), soft_wrap=True, highlight=False)

    def say(self, words: str) -> None:
        """Print one sentence."""
        self._console.print(words, soft_wrap=True, highlight=False, markup=False)


@contextmanager
def open_screen(*, quiet: bool) -> Iterator[TerminalScreen | PlainScreen]:
    """A screen on standard error; `quiet` shows sentences but no progress."""
    console = console_for_people(stderr=True)
    if quiet or not console.is_terminal:
        yield PlainScreen(console, quiet=quiet)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield TerminalScreen(live, console)
