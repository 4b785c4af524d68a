"""The model card and the tables of an evaluation, as Markdown, from the figures alone."""

from __future__ import annotations

from typing import Any

from execd.learning.recipe import span
from execd.policies.manifest import Manifest

_HEAD = (
    "| windows (slices x length) | n | blocks | TWAP | curve | catch-up | convex | model | vs TWAP "
    "| model - catch-up [95 %] | model - convex [95 %] |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
)


def table(cells: list[dict[str, Any]], model: str) -> str:
    """Return one row a cell: mean |slippage| in bps by method, and the model's paired differences."""
    return _HEAD + "".join(_row(cell, cell["methods"], model) for cell in cells)


def _row(cell: dict[str, Any], methods: dict[str, Any], model: str) -> str:
    names = ("twap", "tod_curve", "har_catchup", "convex_dynamic", model)
    sizes = [f"{methods[name]['mae_bps']:.2f}" if name in methods else "-" for name in names]
    mine = methods[model]
    gain = f"{-100 * mine['gain_vs_twap']:+.1f} %"
    against = [difference(mine["minus"].get(name)) for name in ("har_catchup", "convex_dynamic")]
    return "| " + " | ".join([cell["cell"], str(cell["windows"]), str(cell["blocks"]), *sizes, gain, *against]) + " |\n"


def difference(paired: dict[str, float | None] | None) -> str:
    """Return a paired difference for people: mean [low, high], without an interval where there is no ground for one."""
    if paired is None:
        return "-"
    if paired["low"] is None:
        return f"{paired['mean']:+.3f} [too few blocks]"
    return f"{paired['mean']:+.3f} [{paired['low']:+.3f}, {paired['high']:+.3f}]"


def tables(cells: list[dict[str, Any]], model: str) -> str:
    """Return a table for each part of the held-out data, under its heading."""
    parts = dict.fromkeys(cell["part"] for cell in cells)
    return "\n".join(f"### {part}\n\n{table([c for c in cells if c['part'] == part], model)}" for part in parts)


def _residual(learned: dict[str, float]) -> str:
    """Say what the residual network is worth on the validation windows."""
    if not learned:
        return ""
    start, best = learned["validation_convex"], learned["validation_best"]
    if learned["best_epoch"] < 0:
        return (
            f"\nThe residual is zero: on the validation windows none did better than the convex part ({start:.4f}).\n"
        )
    return f"\nOn the validation windows the residual took the objective from {start:.4f} to {best:.4f}.\n"


def card(facts: Manifest) -> str:
    """Return card.md."""
    regimes = "".join(
        f"- {r.name}: windows of {span(round(r.horizon_s[0]))} to {span(round(r.horizon_s[1]))} in {r.slices[0]} to "
        f"{r.slices[1]} slices of {span(round(r.interval_s[0], 1))} to {span(round(r.interval_s[1], 1))}; "
        f"{r.windows:,} windows\n"
        for r in facts.regimes
    )
    learned = facts.scores.get("learning", {})
    judged = tables(facts.scores["cells"], facts.name) if facts.scores else "Not judged yet.\n"
    return f"""# {facts.name}

{facts.recipe["about"]}

Written by `execd train`; every figure is from manifest.json.

## What it does

Before each slice it answers with a cumulative target: the fraction of the parent that should be filled at the slice's
end. It starts from the catch-up forecast of the market's cumulative volume share and moves it by a convex (linear) part
and a small residual network. It sees {len(facts.features.names)} features, and none names the asset, its units or
its price. Its loss was |slippage to the window's market VWAP|; in the residual's, the worst part counts more.
{_residual(learned)}
## What it was trained for

Data from {facts.data_from} to {facts.data_until} (UTC); recorded trades are split inside each file.
A window must lie wholly inside one of these, else the daemon stays on the curve and says so:

{regimes}
## Held-out figures

Mean |slippage| to VWAP in bps, on data later than what was trained on. `catch-up` is execd's own curve policy, `convex`
the convex dynamic policy fitted on the same training windows for that shape alone. Negative differences favor the
model; an interval that holds 0 says that it is not better. `unseen`: assets, or recordings, that were never trained on.
`no history`: nothing known before the start.

{judged}
## What it does not know

- These figures assume that each slice fills completely at the slice's VWAP: no spread, fees, impact or queue.
- Tracking risk falls; the mean signed slippage does not.
- The bars carry no quote volume: a bar's VWAP is taken as (open + high + low + close) / 4.
- Recorded trades are few: some hours of a handful of pairs. Intervals there are wide, or missing.
- Costs of trading are not in the loss; the schedule's band and the risk gate bound what it can ask for.
"""
