"""One sender and one listener, each a process on a processor of its own where there are two: what came of it.

Promise: a listener that breaks or does not end in time is an answer like any other, with its reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cores import LISTENER, SENDER
from benchmarks.peers.environment import ROOT, Environment
from benchmarks.streams.clients.tally import Task, Told
from benchmarks.streams.flood import Flood
from benchmarks.wire import FIRST_ID

PATIENCE_S = 300.0
MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())


@dataclass(frozen=True, slots=True)
class Client:
    """Who listens.

    Attributes:
        name: In the tables.
        module: Under benchmarks.streams.clients.
        form: One of wire.FORMS.
        peer: Whether it runs in the environment of the peers; then this is its package's name.
        ring: Trades that ccxt.pro keeps; 0 for its own choice.
        share: Of a round's trades it gets so much: a slow one would take all day.
    """

    name: str
    module: str
    form: str
    peer: str = ""
    ring: int = 0
    share: float = 1.0


BARE = Client("bare websockets + msgspec", "bare", "combined")
EXECD = Client("execd, whole data plane", "plane", "combined")
CRYPTOFEED = Client("cryptofeed", "crypto_feed", "aggregate", peer="cryptofeed")
CCXT = Client("ccxt.pro, ring of 200,000", "ccxt_pro", "raw", ring=200_000, share=0.2)
CCXT_DEFAULT = Client("ccxt.pro, its own ring of 1,000", "ccxt_pro", "raw")


@dataclass(frozen=True, slots=True)
class Bout:
    """What came of one flood.

    Attributes:
        sent: Trades.
        seen: Of them, by the listener.
        per_s: Trades a second, from the first byte sent to the last trade dealt with.
        cpu_us: Processor time a trade, in us.
        peak_mb: The most memory of the listener.
        memory_mb: Its memory every second, where that was asked for.
        error: Why there are no figures, "" where there are.
    """

    sent: int
    seen: int = 0
    per_s: float = 0.0
    cpu_us: float = 0.0
    peak_mb: float = 0.0
    memory_mb: tuple[float, ...] = ()
    error: str = ""

    @property
    def lost(self) -> int:
        """Trades that were sent and not seen."""
        return self.sent - self.seen


class Ring:
    """Where bouts are held."""

    def __init__(self, peers: Environment) -> None:
        self._peers = peers

    def flood(self, client: Client, loop: str, count: int, **more: int | bool) -> Bout:
        """Send so many as fast as they are read; `more` are fields of the listener's Task."""
        streams = int(more.get("streams", 1))
        return self._bout(client, Flood(client.form, count, streams=streams, core=SENDER), loop, **more)

    def pace(self, client: Client, loop: str, per_second: int, count: int) -> tuple[Bout, NDArray[np.int64]]:
        """Send at a rate; also from the sending to the listener's last word on each trade, in ns."""
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            sent, heard = Path(folder) / "sent", Path(folder) / "heard"
            flood = Flood(client.form, count, per_second=per_second, stamps=str(sent), core=SENDER)
            bout = self._bout(client, flood, loop, arrivals=str(heard))
            if bout.error:
                return bout, np.empty(0, dtype=np.int64)
            since = np.fromfile(heard, dtype=np.int64) - np.fromfile(sent, dtype=np.int64)
            return bout, since[since > 0]  # One that never came has no moment.

    def _bout(self, client: Client, flood: Flood, loop: str, **more: int | bool | str) -> Bout:
        sent = flood.count * flood.streams
        if client.peer and client.peer in self._peers.missing:
            return Bout(sent, error=f"not to be had: {self._peers.missing[client.peer]}")
        with _sender(flood) as sender:
            assert sender.stdout is not None
            task = Task(int(sender.stdout.readline()), flood.count, FIRST_ID, loop, core=LISTENER, ring=client.ring)
            found = self._listen(client, replace(task, **more))  # type: ignore[arg-type]  # each by its field's name
            if isinstance(found, str):
                return Bout(sent, error=found)
            began = int(sender.stdout.readline())
        took = (found.ended_ns - began) / 1e9
        cpu_us = found.cpu_s / sent * 1e6
        return Bout(sent, found.seen, sent / took, cpu_us, found.peak_mb, tuple(found.memory_mb or ()))

    def _listen(self, client: Client, task: Task) -> Told | str:
        """What a listener tells, or why it does not."""
        python = str(self._peers.python) if client.peer else sys.executable
        module = f"benchmarks.streams.clients.{client.module}"
        try:
            done = subprocess.run(
                [python, "-m", module, task.argument()], capture_output=True, text=True, timeout=PATIENCE_S, cwd=ROOT
            )
        except subprocess.TimeoutExpired:
            return f"did not end within {PATIENCE_S:g} s"
        if done.returncode or not done.stdout.strip():
            return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:200]
        return Told(**json.loads(done.stdout.strip().splitlines()[-1]))


@contextmanager
def _sender(flood: Flood) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.streams.flood", flood.argument()],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
