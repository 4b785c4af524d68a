"""The loop that everything runs on, a start without looks for garbage, and what is imported when."""

from __future__ import annotations

import asyncio
import gc
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from execd.runtime import launch, loop
from execd.runtime.clock import Clock
from execd.runtime.launch import Job
from execd.runtime.practice import PracticeError
from execd.runtime.settings import OrderFile, RiskFile, Settings, load
from tests.runtime.process import ROOT, Exchange, Process, write_order

GUARD_S = 60.0


@pytest.fixture
def collector() -> Iterator[None]:
    """Python's own collector again afterwards, whatever a test did to it."""
    threshold = gc.get_threshold()
    yield
    gc.enable()
    gc.set_threshold(*threshold)
    gc.unfreeze()


async def kind() -> type[asyncio.AbstractEventLoop]:
    """Whose loop runs this."""
    return type(asyncio.get_running_loop())


def test_everything_runs_on_uvloop() -> None:
    assert loop.run(kind()) is uvloop.Loop


def test_without_uvloop_it_runs_on_the_loop_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)

    assert issubclass(loop.run(kind()), asyncio.SelectorEventLoop)


def test_what_a_program_raises_comes_out() -> None:
    async def fail() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        loop.run(fail())


class Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.self = self


def test_a_start_looks_for_no_garbage_and_a_failed_one_leaves_the_collector_on(collector: None) -> None:
    def refuse() -> None:
        with loop.quick_start():
            assert not gc.isenabled()
            raise PracticeError("refused")

    with pytest.raises(PracticeError):
        refuse()

    assert gc.isenabled()


def test_after_a_start_what_it_left_is_spared_and_new_garbage_is_not(collector: None) -> None:
    with loop.quick_start():
        loop.end_quick_start()

        assert gc.isenabled()
        assert gc.get_threshold() == loop.COLLECT_AFTER
        assert gc.get_freeze_count() > 0
        later = weakref.ref(Ring())
        gc.collect()
        assert later() is None


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Exchange]:
    """A market."""
    exchange = Exchange(tmp_path, "--seed", "5")
    yield exchange
    exchange.stop()


def test_the_daemon_ends_its_start_before_it_trades(
    market: Exchange, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A daemon whose collector stayed off would grow; one that looks at all of ccxt and torch would stand still."""
    order = write_order(tmp_path, duration="60s", slices=10)
    state = tmp_path_factory.mktemp("s")
    running = Process(
        "run", "-o", order, "--exchange", market.ready, "--json", state=state, module="tests.runtime.collector"
    )
    running.until("stream restored")
    running.signal(signal.SIGTERM)

    code, _ = running.end()

    assert code == 0, running.said
    assert running.said[-1] == f"collector: threshold={loop.COLLECT_AFTER} spared=True\n"


@pytest.mark.parametrize(
    ("model", "names"),
    [("curve", ["execd.venues.ccxt_venue"]), ("vwap-2", ["execd.venues.ccxt_venue", "execd.policies.network"])],
)
async def test_what_takes_long_to_import_is_imported_beside_the_start_of_the_exchange(
    model: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one other thread, ccxt first; torch only where a model is asked for."""
    imported: queue.Queue[tuple[str, bool]] = queue.Queue()
    monkeypatch.setattr(
        launch,
        "import_module",
        lambda name: imported.put((name, threading.current_thread() is threading.main_thread())),
    )
    order = load(write_order(tmp_path), OrderFile).model_copy(update={"model": model})
    no_folder = tmp_path / "state"
    no_folder.touch()
    job = Job(Settings(state_dir=no_folder), load(ROOT / "config/risk.yaml", RiskFile), order)

    with pytest.raises(PracticeError, match="cannot be started"):
        await launch.open_exchange(job, Clock(), None)

    assert [imported.get(timeout=GUARD_S) for _ in names] == [(name, False) for name in names]
    assert imported.empty()


def imported_by(program: str, *names: str) -> list[str]:
    """Which of these packages a Python program has imported when it ends."""
    code = f"{program}\nimport sys; print(*(name for name in {names!r} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return found.stdout.splitlines()[-1].split()


def test_the_practice_exchange_needs_nothing_of_a_trader() -> None:
    """It starts while execd imports those: two processes that import the same would start one after the other."""
    heavy = ("torch", "ccxt", "numpy", "polars", "pydantic", "execd.runtime")

    assert imported_by("import execd.cli, execd.exchange.server", *heavy) == []


def test_a_daemon_imports_neither_ccxt_nor_torch_by_itself() -> None:
    """They come when an exchange is opened, beside it."""
    assert imported_by("import execd.runtime.daemon", "torch", "ccxt", "polars") == []
