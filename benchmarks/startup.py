"""How long execd takes to start: `execd --help`, and `execd run` until the market's stream stands.

    python -m benchmarks.startup [--rounds 10] [--out FILE]

Each round is a whole process, as an operator starts it: Python, imports, settings, the embedded practice exchange (a
process too), the model, an account with nothing in it.  Files are in the page cache, for a first round is left out.
`execd run` is over with its start when its log says that the market's stream is restored: subscribed, with nothing
missed.  The stages between come from what is seen from outside: when the exchange's log and ready line were written,
and when the daemon logged that it took the parent.  Prints a table in Markdown and writes it to benchmarks/results.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import IO

import msgspec

from benchmarks.decision import machine
from execd.runtime import practice

ORDER = Path("config/orders/demo.yaml")
HELP_WITHIN_S, STREAM_WITHIN_S = 0.25, 3.0
"""The targets, on 2 cores."""

SETTINGS = "log: {format: json}\nmetrics: {port: 0}\n"
"""Else as shipped."""

HEAD = "| s | least | median | most | target |\n|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Start:
    """Moments of one `execd run`, in seconds since it was asked for."""

    asked: float
    """The practice exchange was asked to start."""
    ready: float
    """It was ready."""
    taken: float
    """The parent was admitted and is in the journal."""
    streaming: float
    """The market's stream stands."""


def helped() -> float:
    """Seconds that `execd --help` takes."""
    began = time.time()
    subprocess.run([sys.executable, "-m", "execd", "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.time() - began


def started() -> Start:
    """Start the demonstration in a fresh state folder, and end it when its market's stream stands."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        settings = folder / "execd.yaml"
        settings.write_text(SETTINGS, encoding="utf-8")
        command = ["run", "--parent-order", str(ORDER), "--config", str(settings), "--state-dir", str(folder / "state")]
        exchange = folder / "state" / "practice"
        began = time.time()
        with _running([sys.executable, "-m", "execd", *command, "--json"], exchange) as log:
            taken, streaming = _wait(log, ("parent submitted", None), ("stream restored", "market"))
            # Written when the exchange was started, and not after.
            asked = (exchange / "practice.log").stat().st_mtime
            ready = (exchange / "practice.json").stat().st_mtime
        return Start(asked - began, ready - began, taken - began, streaming - began)


def _wait(log: IO[bytes], *lines: tuple[str, str | None]) -> list[float]:
    """When each of these lines, an event and its channel, came; in this order."""
    moments = []
    for wanted in lines:
        for line in log:
            # Sentences for people are among them.
            told = msgspec.json.decode(line) if line.startswith(b"{") else {}
            if (told.get("event"), told.get("channel")) == wanted:
                moments.append(time.time())
                break
        else:
            raise SystemExit(f"execd run ended before its log said {wanted[0]}")
    return moments


@contextmanager
def _running(command: Sequence[str], exchange: Path) -> Iterator[IO[bytes]]:
    """Its standard error; afterwards it and its exchange are gone."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        yield process.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
        if (left := practice.left_behind(exchange)) is not None:
            practice.stop(left)


def row(name: str, seconds: Sequence[float], target: float | None = None) -> str:
    """A line of the table."""
    least, middle, most = min(seconds), median(seconds), max(seconds)
    line = f"| {name} | {least:.2f} | {middle:.2f} | {most:.2f} |"
    return line if target is None else f"{line} {target:g} |"


def measure(rounds: int) -> Iterator[str]:
    """The tables' lines."""
    # The first of each fills the page cache and writes the compiled modules.
    helps = [helped() for _ in range(rounds + 1)][1:]
    starts = [started() for _ in range(rounds + 1)][1:]
    yield HEAD
    yield row("`execd --help`", helps, HELP_WITHIN_S)
    yield row("`execd run` to the market's stream", [each.streaming for each in starts], STREAM_WITHIN_S)
    yield ""
    yield "Where the time of `execd run` goes:"
    yield ""
    yield HEAD.replace(" target |", "").removesuffix("---|")
    yield row("Python, settings, the daemon's own code", [each.asked for each in starts])
    yield row("the practice exchange starts; ccxt is imported", [each.ready - each.asked for each in starts])
    yield row("market, account, clock; torch, model; admission", [each.taken - each.ready for each in starts])
    yield row("connection and subscription", [each.streaming - each.taken for each in starts])


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="whole processes a figure")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    out = Path("benchmarks/results") / f"startup-{today}.md"
    parser.add_argument("--out", type=Path, default=out, help="where to write the tables")
    given = parser.parse_args()
    os.environ.pop("EXECD_STATE_DIR", None)
    os.environ.pop("EXECD_EXCHANGE", None)
    lines = [machine(), "", f"{given.rounds} processes a figure, each in a fresh state folder.", ""]
    lines += [*measure(given.rounds), "", machine()]
    text = "\n".join(lines)
    sys.stdout.write(f"{text}\n")
    given.out.write_text(f"# How long execd takes to start, {today}\n\n`make bench-startup`.\n\n{text}\n", "utf-8")


if __name__ == "__main__":
    main()
