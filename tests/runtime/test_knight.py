"""What a runaway can cost: execd run amok against the practice exchange loses at most the bound of docs/controls.md.

bought <= the parent, and each fill at no more than  arrival * (1 + period collar) * (1 + the order's collar)
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execd.runtime.settings import RiskFile, load
from tests.runtime.account import open_orders, ordered, trades
from tests.runtime.process import ROOT, Exchange, Process, report_of, write_order

LIMITS = load(ROOT / "config" / "risk.yaml", RiskFile).limits
QUANTITY = Decimal("0.2")
FILLED, UNFILLED = 0, 3


def amok(
    wrong: str, folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, dict[str, Any], Exchange]:
    """Run an order of twelve seconds with something broken; its log, its report, and the exchange, still there."""
    monkeypatch.setenv("KNIGHT", wrong)
    exchange = Exchange(folder, "--seed", "5")
    order = write_order(folder, name="knight", quantity=str(QUANTITY), duration="12s", slices=4, urgency="high")
    life = Process(
        "run", "-o", order, "--exchange", exchange.ready, "--json", state=state, module="tests.runtime.knight"
    )
    code, output = life.end()
    assert code in (FILLED, UNFILLED), life.said[-20:]
    return "".join(life.said), report_of(output), exchange


def worst(arrival: float) -> Decimal:
    """The highest price at which anything may be bought."""
    away = Decimal(max(LIMITS.collar_bps, LIMITS.rest_bps)) / 10_000
    return Decimal(arrival) * (1 + Decimal(LIMITS.period_collar_bps) / 10_000) * (1 + away)


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a short path: a socket lies in it."""
    return tmp_path_factory.mktemp("s")


@pytest.mark.parametrize("wrong", ["everything", "reference", "switched", "duplicates"])
def test_a_runaway_loses_no_more_than_the_bound(
    wrong: str, tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the exchange: nothing beyond the parent, nothing beyond the collars, no id twice, nothing left open."""
    said, report, exchange = amok(wrong, tmp_path, state, monkeypatch)
    try:
        rows, ids, still = trades(exchange), ordered(exchange), open_orders(exchange)
    finally:
        exchange.stop()

    assert sum(Decimal(row["qty"]) for row in rows) <= QUANTITY
    assert all(row["isBuyer"] for row in rows)
    assert all(Decimal(row["price"]) <= worst(report["arrival_price"]) for row in rows)
    assert len(ids) == len(set(ids))
    assert not still
    assert report["reconciled"], report["reconciliation"]
    assert ("fuse: " in said) == (wrong != "everything"), "where the gate is broken, the fuse has stopped it"


def test_the_report_says_which_control_stopped_what(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes were clipped to the schedule's band, prices refused by the collar, and it did not get further than that."""
    _, report, exchange = amok("everything", tmp_path, state, monkeypatch)
    exchange.stop()

    # What the market alone is in the way of is told once in a while, however often it is tried.
    assert report["refused"]["P9"] > 0, "prices half as high again, and half as low"
    assert sum(report["clipped"].values()) > 5, "ten times the parent"
    assert set(report["clipped"]) <= {"P12", "P14", "P13", "P6", "P7", "P21b", "P12b"}
