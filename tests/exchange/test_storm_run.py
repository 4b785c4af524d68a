"""Whole runs of the daemon through bad weather, as processes: what the exchange says at the end is what we say."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import time
import urllib.error
import urllib.request
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.exchange.storms import write_rules
from tests.runtime import process
from tests.runtime.process import ROOT, Exchange, Process, execd, report_of, write_order

WEATHER = ROOT / "config" / "faults"
PATIENCE_S = 150.0
"""An order that the exchange never took is in doubt for half a minute; a storm may have two of them."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes may take longer here than elsewhere."""
    monkeypatch.setattr(process, "GUARD_S", PATIENCE_S)


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a short path: a socket lies in it."""
    return tmp_path_factory.mktemp("s")


def asked(exchange: Exchange, path: str) -> list[dict[str, Any]]:
    """What the exchange lists, asked by other code than execd's; asked again while the weather lasts."""
    described = exchange.described
    trust = ssl.create_default_context(cafile=described["ca"])
    trust.check_hostname = False
    end = time.monotonic() + PATIENCE_S
    while True:
        query = urlencode({"symbol": "BTCUSDT", "limit": 1000, "timestamp": time.time_ns() // 1_000_000})
        secret = described["key"]["secret"].encode()
        signature = hmac.new(secret, query.encode(), hashlib.sha256).hexdigest()
        url = f"{described['rest']}/api/v3/{path}?{query}&signature={signature}"
        request = urllib.request.Request(url, headers={"X-MBX-APIKEY": described["key"]["apiKey"]})
        try:
            with urllib.request.urlopen(request, context=trust, timeout=10) as reply:
                found: list[dict[str, Any]] = json.load(reply)
                return found
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def agreed(exchange: Exchange, report: dict[str, Any]) -> None:
    """The report is the exchange's own account: every fill, no order twice, none alive."""
    fills, orders = asked(exchange, "myTrades"), asked(exchange, "allOrders")
    assert report["reconciled"], report["reconciliation"]
    assert len(fills) == report["fills"] > 0
    assert sum(Decimal(fill["qty"]) for fill in fills) == Decimal(str(report["filled"]))
    assert Decimal(str(report["filled"])) <= Decimal(str(report["quantity"]))
    twice = [name for name, count in Counter(order["clientOrderId"] for order in orders).items() if count > 1]
    assert twice == []
    assert [order for order in orders if order["status"] in ("NEW", "PARTIALLY_FILLED")] == []


def replayed(state: Path) -> None:
    (journal,) = (state / "done").glob("*.journal")
    assert execd("replay", journal, state=state)[0] == 0


@pytest.mark.slow
def test_a_storm_ends_with_our_account_the_exchanges(tmp_path: Path, state: Path) -> None:
    """Every kind of fault at once, in front of the real daemon: nothing lost, nothing twice, a documented exit code."""
    exchange = Exchange(tmp_path, "--seed", "11", "--faults", WEATHER / "storm.yaml")
    try:
        order = write_order(tmp_path, duration="25s", slices=6, urgency="high")
        code, output, said = execd("run", "-o", order, "--exchange", exchange.ready, "--json", state=state)

        assert code in (0, 3), said
        assert "Traceback" not in said
        assert "stream lost" in said
        agreed(exchange, report_of(output))
        replayed(state)
    finally:
        exchange.stop()


@pytest.mark.slow
def test_a_daemon_that_is_killed_in_doubt_resumes_it_and_buys_nothing_twice(tmp_path: Path, state: Path) -> None:
    """kill -9 in the moment in which an order's fate is unknown, and the same command again in the same weather."""
    exchange = Exchange(tmp_path, "--seed", "11", "--faults", WEATHER / "doubt.yaml")
    try:
        order = write_order(tmp_path, duration="25s", slices=6, urgency="high")
        arguments = ("run", "-o", order, "--exchange", exchange.ready, "--json")
        first = Process(*arguments, state=state)
        first.until("order lost")
        first.kill()

        code, output, said = execd(*arguments, state=state)

        assert code in (0, 3), said
        assert "resuming" in said
        agreed(exchange, report_of(output))
        replayed(state)
    finally:
        exchange.stop()


def test_an_exchange_that_is_not_there_for_the_last_word_is_asked_again(tmp_path: Path, state: Path) -> None:
    """A ban in the moment of the final reconciliation: the accounts are compared when it is over, and agree."""
    rules = write_rules(tmp_path, "fault: ban, on: GET /api/v3/openOrders, from_s: 8, for_s: 4, times: 1")
    exchange = Exchange(tmp_path, "--seed", "11", "--faults", rules)
    try:
        order = write_order(tmp_path)
        code, output, said = execd("run", "-o", order, "--exchange", exchange.ready, "--json", state=state)

        assert code in (0, 3), said
        agreed(exchange, report_of(output))
    finally:
        exchange.stop()
