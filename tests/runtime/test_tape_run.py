"""A parent worked on recorded trades: the report's benchmark is recomputed from the file alone, by other code."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import polars
import pytest

from tests.runtime.process import ROOT, execd, report_of, write_order

SHARED = ROOT.parent / "shared" / "data" / "ticks" / "binance_spot_BTCUSDT_2024-08-08_hft.parquet"

Print = tuple[int, Fraction, Fraction]
"""Microseconds UTC, price, amount."""


def vwap(prints: Sequence[Print], first: int, last: int) -> tuple[Fraction, Fraction]:
    """VWAP and volume of the prints in [first, last), microseconds of the tape's own time."""
    inside = [(price, amount) for at, price, amount in prints if first <= at < last]
    volume = sum((amount for _, amount in inside), Fraction(0))
    return sum((price * amount for price, amount in inside), Fraction(0)) / volume, volume


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a short path."""
    return tmp_path_factory.mktemp("s")


def run_on_tape(tape: Path, speed: str, order: Path, state: Path, prints: Sequence[Print]) -> None:
    """Run an order on a tape and hold its report against the prints."""
    code, output, said = execd(
        "run", "-o", order, "--tape", tape, "--speed", speed, "--metrics-port", "0", "--json", state=state
    )

    assert code in (0, 3), said
    report = report_of(output)
    assert report["reconciled"], report["reconciliation"]
    assert report["missing_trades"] == 0
    assert report["filled"] > 0
    price, volume = vwap(prints, report["tape"]["from_us"], report["tape"]["to_us"])
    assert report["market_vwap_ex_own"] == float(price)
    assert report["market_volume_ex_own"] == float(volume)
    own = Fraction(str(report["filled"]))
    assert report["participation"] == pytest.approx(float(own / (own + volume)), rel=1e-12)


def test_the_benchmark_without_own_prints_is_the_tape_s_to_the_last_digit(state: Path, tmp_path: Path) -> None:
    """On a small tape that the test wrote: dense prints at microsecond times, some of them many at once."""
    chance = random.Random(8)
    at, level, prints = 1_700_000_000_000_000, 6_500_000, []
    while at < 1_700_000_000_000_000 + 60_000_000:
        at += chance.choice((0, 137, 20_011, 90_003))
        level += chance.choice((-3, -1, 0, 0, 1, 3))
        prints.append((at, Fraction(level, 100), Fraction(chance.randint(1, 400_000), 100_000), level % 2))
    tape = tmp_path / "binance_spot_BTCUSDT_made.csv"
    with tape.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ts", "price", "amount", "side"])
        for moment, price, amount, side in prints:
            writer.writerow([moment, f"{float(price):.2f}", f"{float(amount):.5f}", "buy" if side else "sell"])

    order = write_order(tmp_path, quantity="1", duration="15s", slices=5)

    run_on_tape(tape, "3", order, state, [(moment, price, amount) for moment, price, amount, _ in prints])


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded market data is not on this machine")
def test_the_benchmark_is_exact_on_recorded_trades(state: Path, tmp_path: Path) -> None:
    """On real trades of BTC/USDT, with the recorded book beside them."""
    frame = polars.read_parquet(SHARED).sort("ts", maintain_order=True)
    prints = [
        (at, Fraction(str(price)), Fraction(str(amount)))
        for at, price, amount in frame.select("ts", "price", "amount").iter_rows()
    ]
    order = write_order(tmp_path, quantity="1", duration="20s", slices=5)

    run_on_tape(SHARED, "4", order, state, prints)
