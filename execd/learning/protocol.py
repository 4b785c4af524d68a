"""What an evaluation says of itself: the rules by which its figures were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from execd.learning.baselines.allocator import SEEDS
from execd.learning.walkforward import EMBARGO, NETWORK_MONTHS, NETWORKS, Span, Wanted
from execd.policies.learned import LearnedPolicy
from execd.policies.manifest import Manifest
from execd.policies.profile import HOUR


def protocol(span: Span, wanted: Wanted, models: Mapping[str, LearnedPolicy], assets: Sequence[str]) -> dict[str, Any]:
    """Return the rules of one evaluation, for its JSON."""
    return {
        "starts": "every full hour, UTC",
        "from": day(span.first),
        "until": day(span.until),
        "refit_months": span.months,
        "embargo_h": EMBARGO // HOUR,
        "blocks": "weeks, all assets together",
        "gain_vs_twap": "fraction of TWAP's mean |slippage| at the same cadence",
        "seed": wanted.seed,
        "methods": list(wanted.methods),
        "networks": {
            "methods": [name for name in NETWORKS if name in wanted.methods],
            "refit_months": NETWORK_MONTHS,
            "seeds": [wanted.seed + i for i in range(SEEDS)],
            "decide": "the mean of what the networks of all seeds decide",
        },
        "models": {
            name: {
                "learned_until": learned_until(policy.manifest),
                "never_trained_on": _unseen(policy.manifest, assets),
            }
            for name, policy in models.items()
        },
    }


def learned_until(manifest: Manifest) -> str:
    """Return the last day that a model was fitted on, or chosen by."""
    splits = manifest.recipe.get("splits", {})
    return max(manifest.data_until, str(splits.get("validate_until", "")))


def day(at: int) -> str:
    """Return the date of a moment (ns), UTC."""
    return datetime.fromtimestamp(at / 1e9, UTC).strftime("%Y-%m-%d")


def _unseen(manifest: Manifest, assets: Sequence[str]) -> list[str]:
    seen = {asset for source in _sources(manifest) for asset in source.get("assets", ())}
    return [asset for asset in assets if asset not in seen]


def _sources(manifest: Manifest) -> Iterator[dict[str, Any]]:
    yield from manifest.recipe.get("sources", ())
