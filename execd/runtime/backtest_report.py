"""What a backtest found: per model what the whole system achieved, what its allocation alone would have, and the gap.

Promise: figures are means over the same admitted parents for every model; differences are paired by parent, and their
95 % intervals come from a bootstrap over blocks of time, all markets of a block together, so that windows that overlap
do not count as evidence twice.  Below `FEWEST_BLOCKS` blocks no interval is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from execd.runtime.advisor import Advice
from execd.runtime.backtest_market import Market
from execd.runtime.backtest_parent import Outcome, Result

DRAWS = 2_000
FEWEST_BLOCKS = 8

Floats = NDArray[np.float64]
Figure = Callable[[Outcome], float | None]


def summarize(
    results: Sequence[Result],
    *,
    advices: Mapping[str, Advice],
    markets: Mapping[str, Market],
    left_out: Mapping[str, str],
    asked: Mapping[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Add up all parents: plain data, ready for JSON.

    Args:
        results: one a parent.
        advices: who decided, by the model's name.
        markets: by name.
        left_out: files that were not used, and why.
        asked: what was asked for, to be repeated.
        seed: of the bootstrap.
    """
    admitted = [result for result in results if result.refused is None]
    # Compared is what every model traded at all.
    common = [result for result in admitted if all(o.achieved is not None for o in result.outcomes.values())]
    lengths = {name: max(market.block, int(asked["duration_s"] * 1e9)) for name, market in markets.items()}
    blocks = np.array([result.start // lengths[result.market] for result in common], dtype=np.int64)
    return {
        "asked": dict(asked),
        "admitted": len(admitted),
        "refused": _refused(results),
        "capped": sum(result.capped for result in admitted),
        "compared": len(common),
        "blocks": len(np.unique(blocks)),
        "mean_worth": _mean(result.worth for result in admitted),
        "models": {name: _model(name, advice, admitted, common, blocks, seed) for name, advice in advices.items()},
        "paired": {
            f"{one} - {other}": {
                what: interval(
                    np.abs(_column(common, one, figure)) - np.abs(_column(common, other, figure)), blocks, seed
                )
                for what, figure in (("achieved", _achieved), ("allocation", _allocation))
            }
            for one, other in combinations(advices, 2)
        },
        "markets": {name: _market(name, market, common, list(advices)) for name, market in markets.items()},
        "left_out": dict(left_out),
    }


def interval(difference: Floats, blocks: NDArray[np.int64], seed: int) -> dict[str, float | None]:
    """Return the mean and its 95 % interval by a bootstrap over blocks; None where there is no ground for one."""
    if not len(difference):
        return {"mean": None, "low": None, "high": None}
    _, index = np.unique(blocks, return_inverse=True)
    sums, counts = np.bincount(index, difference), np.bincount(index)
    found: dict[str, float | None] = {"mean": _short(difference.mean()), "low": None, "high": None}
    if len(sums) >= FEWEST_BLOCKS:
        draws = np.random.default_rng(seed).integers(0, len(sums), (DRAWS, len(sums)))
        means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
        found["low"], found["high"] = (_short(q) for q in np.quantile(means, (0.025, 0.975)))
    return found


def _refused(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """Parents that were not admitted, by the key of the first problem, with one problem to read."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        if result.refused is not None:
            first = result.refused.partition("\n")[0]
            each = found.setdefault([*first.split(": "), first][1], {"parents": 0, "example": first})
            each["parents"] += 1
    return found


def _model(
    name: str,
    advice: Advice,
    admitted: Sequence[Result],
    common: Sequence[Result],
    blocks: NDArray[np.int64],
    seed: int,
) -> dict[str, Any]:
    outcomes = [result.outcomes[name] for result in admitted]
    achieved, allocation = _column(common, name, _achieved), _column(common, name, _allocation)
    placed = _column(common, name, lambda o: o.placed)
    filled = sum(o.filled for o in outcomes)
    return {
        "decided_by": advice.policy.name,
        "sha256": advice.sha256,
        "fallback": advice.fallback,
        "achieved": _figures(achieved),
        "allocation": _figures(allocation),
        "gap": {
            # How much larger |slippage| is than that of the allocation alone, and how much more is paid.
            "size": interval(np.abs(achieved) - np.abs(allocation), blocks, seed),
            "signed": interval(achieved - allocation, blocks, seed),
            # Other quantities in the slices than the policy wanted: the band, lots, what did not fill in time.
            "size_by_quantities": interval(np.abs(placed) - np.abs(allocation), blocks, seed),
            "signed_by_quantities": interval(placed - allocation, blocks, seed),
            # Other prices than the slices' own VWAP: spread, queue, the moment inside the slice.
            "size_by_prices": interval(np.abs(achieved) - np.abs(placed), blocks, seed),
            "signed_by_prices": interval(achieved - placed, blocks, seed),
        },
        "completed": _mean(float(o.complete) for o in outcomes),
        "filled_share": _mean(o.filled / o.quantity for o in outcomes),
        "maker_share": _short(sum(o.maker for o in outcomes) / filled) if filled else None,
        "children_per_slice": _mean(o.children / max(1, o.begun) for o in outcomes),
        "spread_bps": _mean(o.spread_bps for o in outcomes if o.spread_bps is not None),
        "fees_bps": _mean(o.fees_bps for o in outcomes if o.fees_bps is not None),
        "participation": _mean(o.participation for o in outcomes if o.participation is not None),
        "decided_share": _short(sum(o.decided for o in outcomes) / max(1, sum(o.begun for o in outcomes))),
        "clipped_share": _short(sum(o.clipped for o in outcomes) / max(1, sum(o.begun for o in outcomes))),
        "refusals": _total(o.refusals for o in outcomes),
        "alarms": _total(o.alarms for o in outcomes),
    }


def _figures(slip: Floats) -> dict[str, float | None]:
    if not len(slip):
        return dict.fromkeys(("mae_bps", "median_bps", "rmse_bps", "p95_bps", "signed_bps"))
    size = np.abs(slip)
    return {
        "mae_bps": _short(size.mean()),
        "median_bps": _short(np.median(size)),
        "rmse_bps": _short(np.sqrt((slip**2).mean())),
        "p95_bps": _short(np.quantile(size, 0.95)),
        "signed_bps": _short(slip.mean()),
    }


def _market(name: str, market: Market, common: Sequence[Result], models: Sequence[str]) -> dict[str, Any]:
    own = [result for result in common if result.market == name]
    return {
        "symbol": market.instrument.symbol,
        "quotes": market.quotes,
        "compared": len(own),
        "achieved_mae_bps": {model: _mean(np.abs(_column(own, model, _achieved)).tolist()) for model in models},
        "allocation_mae_bps": {model: _mean(np.abs(_column(own, model, _allocation)).tolist()) for model in models},
    }


def _achieved(outcome: Outcome) -> float | None:
    return outcome.achieved


def _allocation(outcome: Outcome) -> float | None:
    return outcome.allocation


def _column(results: Sequence[Result], model: str, figure: Figure) -> Floats:
    return np.array([figure(result.outcomes[model]) for result in results], dtype=np.float64)


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return _short(np.mean(found)) if found else None


def _short(value: np.floating[Any] | float) -> float:
    """A figure to a millionth: what lies beyond is no finding."""
    return round(float(value), 6)


# ---------------------------------------------------------------------------------------------------- for people


def render(found: Mapping[str, Any]) -> str:
    """Return the report as Markdown: what was achieved, the gap, the differences between models, the markets."""
    parts = [_heading(found), _achieved_table(found), _gap_table(found), _paired_table(found), _market_table(found)]
    for key, each in found["refused"].items():
        parts.append(f"Not admitted for their {key}: {each['parents']}, such as {each['example']}")
    if found["left_out"]:
        parts.append(f"Left out ({len(found['left_out'])} files; --json says why): {', '.join(found['left_out'])}")
    return "\n\n".join(part for part in parts if part)


def _heading(found: Mapping[str, Any]) -> str:
    asked, refused = found["asked"], sum(each["parents"] for each in found["refused"].values())
    return (
        f"{found['compared']} parents of {asked['slices']} slices in {asked['duration_s']:g} s compared, "
        f"{asked['quantity_share'] * 100:g} % of the window's volume each ({found['mean_worth'] or 0:.0f} in quote "
        f"currency on average, {found['capped']} made smaller by risk.yaml), {found['blocks']} blocks of time; "
        f"{refused} were not admitted. Slippage to the market's VWAP in bps, positive is a cost."
    )


def _achieved_table(found: Mapping[str, Any]) -> str:
    names = ("mae_bps", "median_bps", "rmse_bps", "p95_bps", "signed_bps")
    head = (
        "| model | mean | median | rms | p95 | signed | completed | filled | maker | children a slice | spread | fees "
        "| decided by the model | clipped by the band |"
    )
    rows = [head, "|---|" + "---:|" * 13]
    for model, each in found["models"].items():
        cells = [_number(each["achieved"][name]) for name in names]
        cells += [_percent(each[name]) for name in ("completed", "filled_share", "maker_share")]
        cells += [_number(each[name]) for name in ("children_per_slice", "spread_bps", "fees_bps")]
        cells += [_percent(each[name]) for name in ("decided_share", "clipped_share")]
        rows.append(f"| {_who(model, each)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _gap_table(found: Mapping[str, Any]) -> str:
    head = (
        "| model | allocation alone: mean | signed | the gap in mean [95 %] | by quantities | by prices "
        "| the gap in signed [95 %] | by quantities | by prices |"
    )
    rows = [head, "|---|" + "---:|" * 8]
    for model, each in found["models"].items():
        gap = each["gap"]
        cells = [_number(each["allocation"]["mae_bps"]), _number(each["allocation"]["signed_bps"])]
        for kind in ("size", "signed"):
            cells += [_between(gap[kind])]
            cells += [_number(gap[f"{kind}_by_{why}"]["mean"], "+") for why in ("quantities", "prices")]
        rows.append(f"| {_who(model, each)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _paired_table(found: Mapping[str, Any]) -> str:
    if not found["paired"]:
        return ""
    rows = ["| difference in mean | achieved [95 %] | allocation alone [95 %] |", "|---|---:|---:|"]
    for pair, each in found["paired"].items():
        rows.append(f"| {pair} | {_between(each['achieved'])} | {_between(each['allocation'])} |")
    return "\n".join(rows)


def _market_table(found: Mapping[str, Any]) -> str:
    models = list(found["models"])
    rows = [
        f"| market | touch | parents | {' | '.join(f'{model} (allocation)' for model in models)} |",
        "|---|---|" + "---:|" * (1 + len(models)),
    ]
    for name, each in found["markets"].items():
        cells = [
            f"{_number(each['achieved_mae_bps'][model])} ({_number(each['allocation_mae_bps'][model])})"
            for model in models
        ]
        rows.append(f"| {name} | {each['quotes']} | {each['compared']} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _who(model: str, each: Mapping[str, Any]) -> str:
    return model if each["fallback"] is None else f"{model}: {each['decided_by']} decides, {each['fallback']}"


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f} %"


def _between(found: Mapping[str, float | None]) -> str:
    mean, low, high = found["mean"], found["low"], found["high"]
    if mean is None:
        return "-"
    return f"{mean:+.3f} [too few blocks]" if low is None else f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
