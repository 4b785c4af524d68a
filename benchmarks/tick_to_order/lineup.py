"""Who is measured from tick to order, and one measurement of one of them.

Promise: whoever does not start, breaks or never orders is an answer like any other, with its reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cores import LISTENER, SENDER
from benchmarks.peers.environment import ROOT, Environment
from benchmarks.streams.bouts import MEMORY
from benchmarks.tick_to_order.clients.job import Job
from benchmarks.tick_to_order.exchange import Measured, Plan

PATIENCE_S = 180.0
DISK = ROOT / "build"
"""Where a journal on a disk lies: in the checkout, on whatever that is on."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Who answers triggers.

    Attributes:
        name: In the tables.
        module: Under benchmarks.tick_to_order.clients.
        combined: Whether it listens to a combined stream.
        peer: Its package, where it runs in the environment of the peers.
        model: Of execd: who decides.
        disk: Of execd: whether the journal is on a disk, else in memory.
        hand: Of execd: whether the order goes out by a hand-written request.
    """

    name: str
    module: str
    combined: bool = True
    peer: str = ""
    model: str = "curve"
    disk: bool = False
    hand: bool = False


FLOOR = Entry("bare loop (the floor)", "bare")
EXECD = Entry("execd, curve, journal in RAM", "chain")
MODEL = Entry("execd, model vwap-2, journal in RAM", "chain", model="vwap-2")
DURABLE = Entry("execd, curve, journal on disk", "chain", disk=True)
HAND = Entry("execd, curve, journal in RAM, order not by ccxt", "chain", hand=True)
CCXT = Entry("ccxt.pro alone", "ccxt_pro", combined=False)
NAUTILUS = Entry("nautilus_trader", "nautilus", peer="nautilus_trader")
ENTRIES = (FLOOR, EXECD, MODEL, DURABLE, HAND, CCXT, NAUTILUS)


def measure(entry: Entry, peers: Environment, per_second: int, triggers: int, seed: int) -> Measured:
    """Let one of them answer so many triggers amid so many prints a second."""
    if entry.peer in peers.missing:
        return Measured(error=f"not to be had: {peers.missing[entry.peer]}")
    plan = Plan(per_second, triggers, entry.combined, SENDER, seed)
    with tempfile.TemporaryDirectory(dir=DISK if entry.disk else MEMORY) as folder:
        exchange = _started(sys.executable, "exchange", plan.argument())
        assert exchange.stdout is not None
        job = Job(int(exchange.stdout.readline()), core=LISTENER, journal=folder, model=entry.model, hand=entry.hand)
        python = str(peers.python) if entry.peer else sys.executable
        errors = Path(folder) / "errors"
        with errors.open("w") as told:
            listener = _started(python, f"clients.{entry.module}", job.argument(), told.fileno())
            try:
                said, _ = exchange.communicate(timeout=PATIENCE_S)
                measured = Measured(**json.loads(said))
            except subprocess.TimeoutExpired:
                measured = Measured(error=f"did not end within {PATIENCE_S:g} s")
            finally:
                for process in (listener, exchange):
                    process.kill()
                    process.wait()
        if measured.error:
            # A listener that has left has said why; of the others it is the exchange that knows.
            last = (errors.read_text().strip().splitlines() or [""])[-1][:160]
            measured.error = f"{measured.error}{f': {last}' if last else ''}"
        return measured


def _started(python: str, module: str, argument: str, errors: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, "-m", f"benchmarks.tick_to_order.{module}", argument],
        stdout=subprocess.PIPE if errors is None else subprocess.DEVNULL,
        stderr=errors,
        text=True,
        cwd=ROOT,
    )
