"""The tables of an evaluation, one a question, as text cells: for the terminal and for the page alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from execd.learning.judging import CHAMPION

_PAIRED = f"minus_{CHAMPION}"


@dataclass(frozen=True, slots=True)
class Table:
    """A title that asks, a header and rows; the first cell of a row names it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(results: dict[str, Any]) -> Iterator[Table]:
    """Yield the tables of every shape."""
    for shape, judged in results["shapes"].items():
        if judged["pool"]:
            yield _pool(f"{shape}: how far from VWAP, all assets, bps", judged["pool"])
            yield _grid(f"{shape}: mean |slippage| by asset, bps", judged["assets"], _mae)
            yield _grid(f"{shape}: less than TWAP by asset, %", judged["assets"], _gain)
            yield _grid(f"{shape}: minus {CHAMPION} by asset, bps", judged["assets"], _difference)
            yield _grid(f"{shape}: less than TWAP by start hour (UTC), %", judged["by"]["start_hour"], _gain)
            yield _grid(f"{shape}: mean |slippage| by volatility before, bps", judged["by"]["volatility"], _mae)
            yield _grid(f"{shape}: less than TWAP by volatility before, %", judged["by"]["volatility"], _gain)
        if tried := judged["robustness"]:
            yield _grid(f"{shape}: mean |slippage| and costs by what is achieved, bps", tried, _mae)
            yield _grid(f"{shape}: less than TWAP by what is achieved, %", tried, _gain)
            yield _grid(f"{shape}: minus {CHAMPION} by what is achieved, bps", tried, _difference)


def notes(results: dict[str, Any]) -> list[str]:
    """Return what a reader of the tables must know."""
    told = results["protocol"]
    span = f"Windows that start from {told['from']} and end by {told['until']}, at {told['starts']}"
    scenarios = "; ".join(f"{name}: {about}" for name, about in told["scenarios"].items())
    out = [
        f"{span}; baselines refitted every {told['refit_months']} month(s), {told['embargo_h']} h left out before.",
        "[low, high]: 95 %, bootstrap over weeks, all assets together. R2: to the market's volume curve.",
        "Turnover: the part of the order moved from TWAP's equal slices. Each slice is assumed to fill at its VWAP,",
        f"but in the tables by what is achieved: {scenarios}.",
        "There costs are added to |slippage|, TWAP meets the same, and all methods have the same luck. Before each",
        "slice models see what they really filled; the other methods do not decide by it.",
    ]
    networks = told["networks"]
    if networks["methods"]:
        names = f"{', '.join(networks['methods'])}: the mean of {len(networks['seeds'])} networks"
        out.append(f"{names}, taught anew every {networks['refit_months']} months.")
    for name, model in told["models"].items():
        new = ", ".join(model["never_trained_on"]) or "none"
        out.append(f"{name}: fitted and chosen on data until {model['learned_until']}; never trained on: {new}.")
    for shape, judged in results["shapes"].items():
        out += [f"{shape}: left out {why}." for why in judged["not_covered"].values()]
        if judged["left_out"]:
            out.append(f"{shape}: too little before the span, or nothing in it: {', '.join(judged['left_out'])}.")
    return out


def show(results: dict[str, Any]) -> None:
    """Print the tables on standard output, as wide as they are."""
    every = list(tables(results))
    console = Console(width=max([Console().width, *map(_width, every)]))
    for table in every:
        console.print(drawn(table))
    for note in notes(results):
        console.print(note, highlight=False, markup=False)


def drawn(table: Table) -> RichTable:
    """Return a table for the terminal: nothing wrapped, the first column's words to the left."""
    out = RichTable(title=table.title, title_justify="left", title_style="bold")
    for i, name in enumerate(table.header):
        out.add_column(name, justify="right" if i else "left", no_wrap=True)
    for row in table.rows:
        out.add_row(*row)
    return out


def _width(table: Table) -> int:
    """How many characters wide a table is drawn: its cells, two blanks each and the lines between them."""
    return 1 + sum(3 + max(map(len, column)) for column in zip(table.header, *table.rows, strict=True))


def _pool(title: str, pool: dict[str, Any]) -> Table:
    header = (
        *("method", "windows", "mean", "median", "rms", "p95", "p99", "signed [95 %]", "vs TWAP", "R2", "turnover"),
        f"minus {CHAMPION} [95 %]",
    )
    rows = []
    for name, figures in pool.items():
        sizes = [f"{figures[f'{key}_bps']:.2f}" for key in ("mae", "median", "rmse", "p95", "p99")]
        more = (f"{figures['r2_volume_curve']:.2f}", f"{100 * figures['turnover']:.0f} %")
        rows.append(
            (
                *(name, f"{figures['windows']}", *sizes, interval(figures["signed"]), f"{_gain(figures)} %", *more),
                _difference(figures),
            )
        )
    return Table(title, header, tuple(rows))


def _grid(title: str, by: dict[str, Any], cell: Any) -> Table:
    methods = list(next(iter(by.values())))
    rows = tuple((key, *(cell(figures[name]) for name in methods)) for key, figures in by.items() if figures)
    return Table(title, ("", *methods), rows)


def _mae(figures: dict[str, Any]) -> str:
    return f"{figures['mae_bps']:.2f}"


def _gain(figures: dict[str, Any]) -> str:
    return f"{100 * figures['gain_vs_twap']:.1f}"


def _difference(figures: dict[str, Any]) -> str:
    return interval(figures[_PAIRED])


def interval(paired: dict[str, float | None]) -> str:
    """Return a paired difference with its interval, for people."""
    if paired["low"] is None:
        return f"{paired['mean']:+.2f} [too few weeks]"
    return f"{paired['mean']:+.2f} [{paired['low']:+.2f}, {paired['high']:+.2f}]"
