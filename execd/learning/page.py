"""An evaluation as one HTML file that needs nothing else: tables, and plots as inline SVG."""

from __future__ import annotations

from html import escape
from typing import Any

from execd.learning.tables import Table, notes, tables

_COLORS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0")
_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .5rem 0 2rem; display: block; overflow-x: auto }
table { font-variant-numeric: tabular-nums }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
svg text { font: 12px system-ui, sans-serif; fill: #222 }
"""
_WIDTH, _ROW, _LEFT = 760, 24, 150
_HEIGHT, _PAD = 300, 40


def page(results: dict[str, Any]) -> str:
    """Return the file's text."""
    plots = "".join(
        f"<h2>{escape(shape)}</h2>{_bars(judged['pool'])}{_hours(judged['by']['start_hour'])}"
        for shape, judged in results["shapes"].items()
        if judged["pool"]
    )
    told = "".join(f"<p>{escape(note)}</p>" for note in notes(results))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>execd evaluate</title>'
        f"<style>{_STYLE}</style></head><body><h1>Slippage to VWAP, on data later than what was learned from</h1>"
        f"{told}{plots}{''.join(map(_table, tables(results)))}</body></html>\n"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f"<h3>{escape(table.title)}</h3><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _bars(pool: dict[str, Any]) -> str:
    """Mean |slippage| of each method, with TWAP's as the measure."""
    longest = max(figures["mae_bps"] for figures in pool.values()) or 1.0
    parts = []
    for i, (name, figures) in enumerate(pool.items()):
        y, width = i * _ROW, (_WIDTH - _LEFT - 150) * figures["mae_bps"] / longest
        label = f"{figures['mae_bps']:.2f} bps, {100 * figures['gain_vs_twap']:+.1f} %"
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 16}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LEFT}" y="{y + 3}" width="{width:.1f}" height="{_ROW - 6}" fill="{_color(i)}"/>'
            f'<text x="{_LEFT + width + 6:.1f}" y="{y + 16}">{label}</text>'
        )
    return _figure("Mean |slippage|, all assets, and what it gains on TWAP", parts, len(pool) * _ROW)


def _hours(by: dict[str, Any]) -> str:
    """What each method gains on TWAP by start hour."""
    hours = list(by)
    methods = [name for name in next(iter(by.values())) if name != "twap"]
    gains = {name: [100 * by[hour][name]["gain_vs_twap"] for hour in hours] for name in methods}
    low, high = min(map(min, gains.values())), max(map(max, gains.values()))
    scale = (_HEIGHT - 2 * _PAD) / ((high - low) or 1.0)
    step = (_WIDTH - 220) / max(1, len(hours) - 1)
    parts = []
    for i, name in enumerate(methods):
        points = " ".join(f"{_PAD + j * step:.1f},{_PAD + (high - v) * scale:.1f}" for j, v in enumerate(gains[name]))
        y = _PAD + i * 18
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{_color(i + 1)}" stroke-width="2"/>'
            f'<text x="{_WIDTH - 150}" y="{y}" style="fill:{_color(i + 1)}">{escape(name)}</text>'
        )
    parts += [f'<text x="{_PAD + j * step:.1f}" y="{_HEIGHT - 8}">{escape(h)}</text>' for j, h in enumerate(hours)]
    parts += [f'<text x="0" y="{_PAD + (high - v) * scale:.1f}">{v:.0f}</text>' for v in (low, high)]
    return _figure("Less than TWAP by start hour (UTC), %", parts, _HEIGHT)


def _figure(title: str, parts: list[str], height: int) -> str:
    return f'<h3>{escape(title)}</h3><svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}">{"".join(parts)}</svg>'


def _color(i: int) -> str:
    return _COLORS[i % len(_COLORS)]
