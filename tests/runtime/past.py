"""Small pasts for backtests, written by the tests: tapes, best quotes beside them, and bars."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from execd.core.grid import SECOND, Nanos
from execd.runtime import backtest
from execd.runtime.settings import RiskFile, Settings, load
from tests.runtime.process import ROOT

BEGIN_US = 1_700_000_000_000_000
NAME = "binance_spot_BTCUSDT_2023-11-14"
PRINTS_A_SECOND = 4
SETTINGS = load(ROOT / "config" / "execd.yaml", Settings).model_copy(update={"models_dir": ROOT / "models"})
RISK = load(ROOT / "config" / "risk.yaml", RiskFile)

Price = Callable[[float], float]
"""A price by the seconds since the tape's begin."""


def flat(_second: float) -> float:
    """A price that never moves; with its cents, or a tape of it would have a coarser grid."""
    return 50_000.01


def tape(folder: Path, price: Price = flat, *, seconds: int = 400, amount: Price = lambda _second: 0.5) -> Path:
    """Prints on a regular beat, bought and sold in turn."""
    times = [number / PRINTS_A_SECOND for number in range(seconds * PRINTS_A_SECOND)]
    frame = pl.DataFrame(
        {
            "ts": [BEGIN_US + int(at * 1_000_000) for at in times],
            "price": [round(price(at), 2) for at in times],
            "amount": [round(amount(at), 5) for at in times],
            "side": ["buy" if number % 2 == 0 else "sell" for number in range(len(times))],
        }
    )
    path = folder / f"{NAME}.parquet"
    frame.write_parquet(path)
    return path


def quotes(folder: Path, half_spread: float, price: Price = flat, *, seconds: int = 400, size: float = 50.0) -> Path:
    """A touch a second around a price, recorded beside the tape."""
    times = list(range(seconds + 1))
    frame = pl.DataFrame(
        {
            "ts": [BEGIN_US + at * 1_000_000 for at in times],
            "bid": [round(price(at) - half_spread, 2) for at in times],
            "bid_qty": [size] * len(times),
            "ask": [round(price(at) + half_spread, 2) for at in times],
            "ask_qty": [size] * len(times),
        }
    )
    path = folder / f"{NAME}_bbo.parquet"
    frame.write_parquet(path)
    return path


def bars(folder: Path, rows: list[tuple[int, float, float, float, float, float]]) -> Path:
    """Bars of a minute: its number, open, high, low, close, volume."""
    names = ("ts", "open", "high", "low", "close", "volume")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns["ts"] = [BEGIN_US // 1000 + 60_000 * int(number) for number in columns["ts"]]
    path = folder / "BTCUSDT.parquet"
    pl.DataFrame(columns).write_parquet(path)
    return path


def job(
    data: Path, *models: str, parents: int = 4, workers: int = 1, seed: int = 3, **shape: str | int
) -> backtest.Job:
    """A backtest with the shipped settings and limits; touches that were not recorded are a tick wide."""
    return backtest.Job(
        settings=SETTINGS,
        risk=RISK,
        data=data,
        models=models or ("curve", "twap"),
        shape=backtest.shape(
            str(shape.get("duration", "60s")), int(shape.get("slices", 6)), str(shape.get("share", "1%"))
        ),
        parents=parents,
        seed=seed,
        workers=workers,
        spread_bps=0.0,
    )


def start_of(second: int) -> Nanos:
    """A moment of the tape."""
    return Nanos(BEGIN_US * 1_000 + second * SECOND)


def quiet(_what: str, _done: float) -> None:
    """Nobody watches."""
