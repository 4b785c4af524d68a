"""The comparison's tables, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console

from benchmarks.papers.scoring import tradable
from execd.learning.judging import CHAMPION
from execd.learning.tables import Table, drawn, interval

_PAIRED = f"minus_{CHAMPION}"


def tables(results: dict[str, Any]) -> Iterator[Table]:
    """Yield the tables, one a question."""
    pool, assets, papers = results["pool"], results["assets"], results["papers"]
    header = ("method", "mean", "median", "rms", "p95", "p99", "signed [95 %]", "vs TWAP", "R2", "turnover")
    yield Table(
        "All assets, bps",
        (*header, f"minus {CHAMPION} [95 %]"),
        tuple((f"`{name}`", *_figures(f), interval(f[_PAIRED])) for name, f in pool.items()),
    )
    yield Table(
        "By asset, mean |slippage| in bps, against TWAP",
        ("method", *assets),
        tuple(
            (
                f"`{name}`",
                *(f"{a[name]['mae_bps']:.2f} ({-100 * a[name]['gain_vs_twap']:+.1f} %)" for a in assets.values()),
            )
            for name in pool
        ),
    )
    yield Table(
        "By asset, p99 of |slippage| in bps",
        ("method", *assets),
        tuple((f"`{name}`", *(f"{a[name]['p99_bps']:.1f}" for a in assets.values())) for name in pool),
    )
    yield Table(
        f"By asset, minus {CHAMPION} in bps [95 %]",
        ("method", *assets),
        tuple(
            (f"`{name}`", *(interval(a[name][_PAIRED]) for a in assets.values())) for name in pool if name != CHAMPION
        ),
    )
    yield Table(
        "What the look-ahead is worth: |slippage| of the published index minus the mended one, bps [95 %]",
        tuple(papers["leaky_minus_mended"]),
        (tuple(interval(found) for found in papers["leaky_minus_mended"].values()),),
    )
    yield Table(
        "Each seed alone, all assets",
        (
            *(
                "method",
                "seed",
                "models",
                "parameters",
                "windows",
                "epochs",
                "weights of",
                "last rate",
                "CPU s",
                "mean",
                "p99",
            ),
            *("vs TWAP", f"minus {CHAMPION} [95 %]"),
        ),
        tuple(_seed(row) for row in papers["seeds"]),
    )
    for name, moved in papers["look_ahead"].items():
        yield _look(name, moved)


def _figures(f: dict[str, Any]) -> tuple[str, ...]:
    sizes = [f"{f[f'{key}_bps']:.2f}" for key in ("mae", "median", "rmse", "p95", "p99")]
    gain = f"{-100 * f['gain_vs_twap']:+.1f} %"
    return (*sizes, interval(f["signed"]), gain, f"{f['r2_volume_curve']:.2f}", f"{100 * f['turnover']:.0f} %")


def _seed(row: dict[str, Any]) -> tuple[str, ...]:
    f = row["figures"]
    return (
        *(f"`{row['method']}`", str(row["seed"]), str(row["fits"]), f"{row['parameters']:,}", f"{row['windows']:,}"),
        *(_range(row["epochs"]), _range(row["kept_epoch"]), f"{row['last_rate']:.1e}", str(row["cpu_s"])),
        *(f"{f['mae_bps']:.2f}", f"{f['p99_bps']:.1f}", f"{-100 * f['gain_vs_twap']:+.1f} %", interval(f[_PAIRED])),
    )


def _look(name: str, moved: list[list[float]]) -> Table:
    verdict = "none moves" if tradable(moved) else "some move"
    return Table(
        f"`{name}`: how far allocations move where the bar of slice t is changed; of slices up to t {verdict}",
        ("t", *(f"slice {j}" for j in range(len(moved[0])))),
        tuple((str(t), *(_size(v) for v in row)) for t, row in enumerate(moved)),
    )


def _size(value: float) -> str:
    return "0" if value == 0 else f"{value:.4f}" if value >= 5e-5 else f"{value:.0e}"


def _range(two: list[int]) -> str:
    return str(two[0]) if two[0] == two[1] else f"{two[0]} to {two[1]}"


def show(results: dict[str, Any]) -> None:
    """Print the tables on standard output, as wide as they are."""
    console = Console(width=max(220, Console().width))
    for table in tables(results):
        console.print(drawn(table))
    for line in results["notes"]:
        console.print(line, highlight=False, markup=False)


def markdown(results: dict[str, Any]) -> str:
    """Return the tables as Markdown, after what a reader of them must know."""
    out = [f"# The papers' own packages, {results['date']}", "", *(f"- {line}" for line in results["notes"])]
    for table in tables(results):
        rule = "|".join(["---", *("---:" for _ in table.header[1:])])
        rows = [f"| {' | '.join(row)} |" for row in table.rows]
        out += ["", f"## {table.title}", "", f"| {' | '.join(table.header)} |", f"|{rule}|", *rows]
    return "\n".join(out) + "\n"
