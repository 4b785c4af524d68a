"""The kill switch of the real command: every way to trip it, the way back, and a start with it set."""

from __future__ import annotations

import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.runtime.account import open_orders
from tests.runtime.process import Exchange, Process, execd, report_of, write_order

SCOPES = ("all", "exchange", "parent")
CERTAIN = "killed: the exchange has nothing of ours open"


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Exchange]:
    """A market, and an account that nobody else trades on."""
    exchange = Exchange(tmp_path, "--seed", "11")
    yield exchange
    exchange.stop()


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a short path: a socket lies in it."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        number: int = asked.getsockname()[1]
        return number


def http(port: int, path: str, *, post: bool = False) -> tuple[int, str]:
    """What the door answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method="POST" if post else "GET")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def latched(port: int) -> dict[str, float]:
    """Which scopes a scrape shows as latched."""
    families = {each.name: each for each in text_string_to_metric_families(http(port, "/metrics")[1])}
    return {each.labels["scope"]: each.value for each in families["execd_kill_switch_active"].samples}


def resets(state: Path, *scope: str, confirm: str) -> tuple[int, str]:
    """Exit code and words of a reset."""
    code, _, said = execd("reset", *scope, "--reason", "drill is over", "--confirm", confirm, state=state)
    return code, said


@pytest.mark.slow
def test_each_way_to_kill_stops_a_daemon_until_a_human_has_taken_all_of_them_back(
    market: Exchange, state: Path, tmp_path: Path, port: int
) -> None:
    """The command, a hand's file, HTTP, a signal: each is told with who did it; the sweep ends; three resets."""
    order = write_order(tmp_path, duration="180s", slices=10, urgency="low")
    arguments = ("run", "-o", order, "--exchange", market.ready, "--metrics-port", str(port))
    running = Process(*arguments, state=state)
    running.until("order accepted")

    assert execd("kill", "--scope", "parent", "test", "--reason", "wrong side", state=state)[0] == 0
    running.until("kill tripped", "parent: wrong side", "uid")
    heard = len(running.said)
    (state / "KILL.binance").touch()
    running.until("kill tripped", "exchange: the file was made by hand")
    assert http(port, "/kill?reason=drill", post=True)[0] == 200
    running.until("kill tripped", "all: drill", "http 127.0.0.1")
    running.signal(signal.SIGUSR1)
    running.until("kill tripped", "all: SIGUSR1", "signal")

    code, said = resets(state, confirm="all")
    assert (code, "not yet said twice" in said) == (5, True), said
    running.until(CERTAIN)
    assert open_orders(market) == []
    assert not any("submit order" in line for line in running.said[heard:])
    assert latched(port) == dict.fromkeys(SCOPES, 1)
    assert http(port, "/readyz")[0] == 503
    status = report_of(execd("status", "--json", state=state)[1])
    assert (status["kill"]["clear"], status["open_orders"], status["reconciled"]) == (True, 0, True)
    assert "kill switch" in status["held"]

    assert resets(state, confirm="all")[0] == 0
    assert resets(state, "--scope", "exchange", "binance", confirm="binance")[0] == 0
    code, said = resets(state, "--scope", "parent", "test", confirm="test")
    assert (code, f"not '{status['parent']}'" in said) == (5, True), said
    assert resets(state, "--scope", "parent", "test", confirm=status["parent"])[0] == 0
    running.until("kill reset")
    running.until("submit order")
    running.kill()


@pytest.mark.slow
def test_a_start_with_the_latch_set_cancels_what_it_finds_and_sends_nothing(
    market: Exchange, state: Path, tmp_path: Path, port: int
) -> None:
    """Killed with an order open, latched by hand while nobody lived: it comes up, answers, cancels, and stays so."""
    order = write_order(tmp_path, duration="180s", slices=10, urgency="low")
    arguments = ("run", "-o", order, "--exchange", market.ready, "--metrics-port", str(port))
    first = Process(*arguments, state=state)
    first.until("order accepted")
    first.kill()
    assert open_orders(market)
    (state / "KILL").touch()

    second = Process(*arguments, state=state)
    second.until("kill tripped", "made by hand")
    second.until(CERTAIN)

    assert open_orders(market) == []
    assert not any("submit order" in line for line in second.said)
    assert latched(port) == {"all": 1, "exchange": 0, "parent": 0}
    status = report_of(execd("status", "--json", state=state)[1])
    assert (status["reconciled"], status["open_orders"], status["kill"]["clear"]) == (True, 0, True)
    second.kill()
    third = Process(*arguments, state=state)
    third.until("the kill switch is latched")
    third.kill()
    assert not any("submit order" in line for line in third.said), "what the journal knows is not forgotten either"
