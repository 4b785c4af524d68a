"""`execd watchdog` beside a daemon that cannot stop itself: real processes, and what the exchange says afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from execd.runtime.latch import Latch
from tests.runtime.account import cancel_all, open_orders, ordered, place
from tests.runtime.process import ROOT, Exchange, Process, execd, report_of, write_order

OURS = "pabcdefghij23456n"
"""What the client ids of some other parent of execd's begin with."""

FOREIGN = "by-hand-1"
FAR = "20000.00"
"""A price that the market does not come to."""

FULL = 100 * 1024
"""Bytes of a file on a disk that is nearly full: the write-ahead log of a journal grows through it within seconds."""

CLEAN = "nothing of execd's is open"


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path_factory.mktemp("exchange"), "--seed", "5", "--weight", "1000000")
    yield exchange
    exchange.stop()


@pytest.fixture
def account(market: Exchange) -> Iterator[Exchange]:
    """An account with an order that some life of execd has left behind, and one that is somebody else's."""
    place(market, f"{OURS}7", FAR)
    place(market, FOREIGN, FAR)
    yield market
    cancel_all(market)


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a short path: a socket lies in it."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a watchdog in a hurry; no port is fought for."""
    return patient(tmp_path, "2s")


def patient(folder: Path, trip_after: str) -> Path:
    path = folder / "watchdog.yaml"
    path.write_text(
        f"watchdog: {{trip_after: {trip_after}, port: 0}}\nvenue: {{request_validity: 2s}}\nmetrics: {{port: 0}}\n"
    )
    return path


def daemon(market: Exchange, state: Path, folder: Path, **how: Any) -> Process:
    """A daemon at work on a long order; the first of its child orders has reached the exchange."""
    order = write_order(folder, duration="10m", slices=200, urgency="low", quantity="2")
    started = Process("run", "-o", order, "--exchange", market.ready, "--json", state=state, **how)
    started.until("order accepted")
    return started


def watchdog(market: Exchange, state: Path, config: Path, *more: str, **how: Any) -> Process:
    return Process("watchdog", "--exchange", market.ready, "--config", config, "--json", *more, state=state, **how)


def dead(state: Path, account: object = "1") -> Path:
    """The heartbeat of a daemon that is no more."""
    beat = state / "active" / "practice-gone.beat"
    beat.parent.mkdir()
    beat.write_text(json.dumps({"pid": 1, "beat": 9, "parent": "p", "account": account}))
    return beat


def left(process: Process) -> dict[str, Any]:
    """Ask a watchdog to leave; what it says it did."""
    process.signal(signal.SIGTERM)
    code, output = process.end()
    assert code == 0, process.said
    return report_of(output)


def alive(market: Exchange) -> list[str]:
    return [str(order["clientOrderId"]) for order in open_orders(market)]


def said_first(process: Process, words: str, then: str) -> bool:
    """Whether one thing was said before another was, if ever."""
    first = next(at for at, line in enumerate(process.said) if words in line)
    return all(at > first for at, line in enumerate(process.said) if then in line)


def stopped(process: Process, _state: Path) -> None:
    process.signal(signal.SIGSTOP)


def hung(process: Process, _state: Path) -> None:
    process.signal(signal.SIGUSR2)


def killed(process: Process, _state: Path) -> None:
    process.kill()


def deaf(process: Process, state: Path) -> None:
    """Its control socket is gone, and then it stops."""
    (socket,) = (state / "active").glob("*.sock")
    socket.unlink()
    process.signal(signal.SIGSTOP)


@pytest.mark.parametrize(
    ("falls_silent", "wakes"),
    [(stopped, signal.SIGCONT), (hung, signal.SIGUSR2), (deaf, signal.SIGCONT), (killed, None)],
)
def test_a_daemon_that_falls_silent_is_latched_and_swept_and_sends_nothing_when_it_wakes(
    account: Exchange,
    state: Path,
    config: Path,
    tmp_path: Path,
    falls_silent: Callable[[Process, Path], None],
    wakes: signal.Signals | None,
) -> None:
    """The latch is set first; nothing of execd's is open, of whatever life; what is somebody else's is left alone."""
    running = daemon(account, state, tmp_path, module="tests.runtime.hangs")
    watching = watchdog(account, state, config)
    watching.until("watching a daemon")

    falls_silent(running, state)
    watching.until(CLEAN)

    assert said_first(watching, "kill switch tripped", "swept")
    assert alive(account) == [FOREIGN]
    (cause,) = Latch.of_all(state).causes()
    assert (cause.by, "practice-test" in cause.cause) == ("watchdog", True)
    found = left(watching)
    assert (found["latched"], found["clean"], found["foreign"]) == (True, True, [FOREIGN])
    assert f"{OURS}7" in found["canceled"]
    if wakes is not None:
        before = ordered(account)
        running.signal(wakes)
        running.until("kill tripped", "watchdog")
        running.signal(signal.SIGTERM)
        assert running.end()[0] == 0, running.said[-20:]
        assert ordered(account) == before


def test_a_full_disk_ends_the_daemon_and_does_not_keep_the_watchdog_from_canceling(
    account: Exchange, state: Path, tmp_path: Path
) -> None:
    """No byte of the latch can be written, and all the same nothing of execd's stays open."""
    running = daemon(account, state, tmp_path, largest=FULL)
    watching = watchdog(account, state, patient(tmp_path, "5s"), largest=0)
    watching.until("watching a daemon")

    watching.until("the latch cannot be written")
    watching.until(CLEAN)

    assert running.end()[0] == 70, running.said[-20:]
    assert alive(account) == [FOREIGN]
    assert left(watching)["latched"]


def test_neither_a_clean_end_nor_a_restart_in_time_is_a_death(market: Exchange, state: Path, tmp_path: Path) -> None:
    """Drained, killed and resumed, drained again: the watchdog tells of it and trips for none of it."""
    watching = watchdog(market, state, patient(tmp_path, "60s"))
    first = daemon(market, state, tmp_path)
    watching.until("watching a daemon")
    first.signal(signal.SIGTERM)
    watching.until("a daemon has ended")
    assert first.end()[0] == 0
    second = daemon(market, state, tmp_path)
    watching.until("watching a daemon")
    second.kill()
    assert list((state / "active").glob("*.beat")), "who is killed leaves a heartbeat behind"

    third = daemon(market, state, tmp_path)
    third.signal(signal.SIGTERM)
    watching.until("a daemon has ended")

    assert third.end()[0] == 0
    found = left(watching)
    assert (found["latched"], found["tripped"], found["canceled"]) == (False, [], [])
    assert not Latch.of_all(state).tripped


def test_an_exchange_that_is_away_is_asked_until_it_is_back(
    market: Exchange, state: Path, config: Path, tmp_path: Path
) -> None:
    """It says so, goes on for ever, and cancels on the exchange that answers in the end."""
    dead(state)
    (tmp_path / "e").mkdir()
    away = Exchange(tmp_path / "e", "--seed", "5")
    away.stop()
    watching = watchdog(away, state, config)
    watching.until("the exchange does not tell what is open", "unreachable")
    place(market, f"{OURS}8", FAR)

    (tmp_path / "line").write_text(market.ready.read_text())
    (tmp_path / "line").replace(away.ready)
    watching.until(CLEAN)

    assert f"{OURS}8" not in alive(market)
    assert left(watching)["canceled"] == [f"{OURS}8"]


@pytest.mark.parametrize("obstacle", ["lock", "folder"])
def test_a_latch_that_hangs_or_has_lost_its_folder_does_not_keep_the_cancels(
    account: Exchange, state: Path, config: Path, obstacle: str
) -> None:
    """Somebody holds the lock of the kill switch for ever, or the state folder is no more."""
    dead(state)
    lock = os.open(state / "KILL.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        watching = watchdog(account, state, config)
        watching.until("watching a daemon")
        if obstacle == "folder":
            state.rename(state.with_name(f"{state.name}-away"))
        watching.until(CLEAN)
        assert alive(account) == [FOREIGN]
        assert left(watching)["latched"]
    finally:
        os.close(lock)


def test_a_kill_switch_that_somebody_else_has_tripped_is_swept_too(
    account: Exchange, state: Path, config: Path
) -> None:
    """With no daemon that could: the file made by hand is enough."""
    watching = watchdog(account, state, config)
    watching.until("watching", "trip_after")

    (state / "KILL").touch()
    watching.until(CLEAN)

    assert alive(account) == [FOREIGN]
    (state / "KILL").unlink()
    watching.until("released")
    assert left(watching)["latched"] is False


def test_once_judges_a_single_time_and_says_by_its_exit_code_whether_a_person_is_needed(
    account: Exchange, state: Path, config: Path
) -> None:
    """0 where nothing is silent; 5 where something was, after it has been swept; it does not trip for it again."""
    command = ("watchdog", "--once", "--json", "--exchange", account.ready, "--config", config)
    code, output, said = execd(*command, state=state)
    assert (code, report_of(output)["latched"]) == (0, False), said
    beat = dead(state, account.described["account"])

    code, output, said = execd(*command, state=state)

    assert (code, report_of(output)["clean"]) == (5, True), said
    assert "another account" not in said
    assert alive(account) == [FOREIGN]
    assert not beat.exists()
    Latch.of_all(state).reset("tester", "drill")
    assert execd(*command, state=state)[0] == 0


def test_a_key_of_another_account_is_told_and_what_died_there_is_not_taken_as_dealt_with(
    account: Exchange, state: Path, config: Path
) -> None:
    """It latches and sweeps what it can reach; the heartbeat stays for a watchdog with the right key."""
    beat = dead(state, "another")

    code, _, said = execd("watchdog", "--once", "--exchange", account.ready, "--config", config, state=state)

    assert code == 5, said
    assert "our key is of another account" in said
    assert Latch.of_all(state).tripped
    assert beat.exists()


def test_it_serves_metrics_and_can_be_tripped_where_no_daemon_answers(
    account: Exchange, state: Path, config: Path
) -> None:
    """Its own port says how long a heartbeat is silent and whether the exchange can be reached; POST /kill trips."""
    from urllib.request import Request, urlopen

    watching = watchdog(account, state, config)
    port = watching.until("metrics are served").rpartition("=")[2].strip()
    url = f"http://127.0.0.1:{port}"
    guard_s = time.monotonic() + 60
    while b"exchange_reachable 1.0" not in (text := urlopen(f"{url}/metrics").read()):
        assert time.monotonic() < guard_s, text

    urlopen(Request(f"{url}/kill?reason=drill", method="POST")).close()
    watching.until(CLEAN)

    text = urlopen(f"{url}/metrics").read().decode()
    assert "execd_watchdog_latched 1.0" in text
    assert "execd_watchdog_canceled_orders_total 1.0" in text
    assert Latch.of_all(state).causes()[0].cause == "drill"
    for secret in account.described["key"].values():
        assert secret not in "".join(watching.said) + text
    left(watching)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--mode", "paper"], 4, "nothing to watch"),
        (["--mode", "testnet"], 4, "key of its own"),
        (["--mode", "testnet", "--exchange", "x.json"], 4, "--exchange is for practice"),
        (["--exchange", "no-such-file.json"], 78, "no-such-file.json"),
        (["--config", "no-such-file.yaml"], 78, "no-such-file.yaml"),
    ],
)
def test_what_could_not_watch_is_refused_with_one_message(
    arguments: list[str], code: int, words: str, state: Path
) -> None:
    got, output, said = execd("watchdog", *arguments, state=state)
    assert (got, output) == (code, ""), said
    assert words in said
    assert len(said.splitlines()) == 1


def test_nothing_that_decides_or_sends_is_even_imported() -> None:
    """A mistake in the core, the sequencer or the journal cannot be one of the watchdog's as well."""
    program = (
        "import sys, execd.runtime.watchdog_run, execd.venues.sweeper; "
        "print(*(name for name in sys.modules if name.startswith('execd.')))"
    )
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    core = {"blotter", "desk", "doubt", "execution", "ledger", "risk", "router", "schedule", "score", "vwap"}
    runtime = {"daemon", "hands", "journal", "journal_file", "kill_switch", "replay", "sequencer", "session", "watch"}
    venues = {"ccxt_orders", "ccxt_venue", "ccxt_wire", "fuse", "paper"}
    shared = {f"execd.{room}.{name}" for room, names in
              (("core", core), ("runtime", runtime), ("venues", venues)) for name in names}  # fmt: skip
    assert not shared & set(printed.stdout.split())
