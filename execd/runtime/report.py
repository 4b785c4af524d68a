"""What happened, for people and for machines: one result, shown as tables and a plot or as one JSON object.

Promise: every figure is derived from the journalled account of the parent; prices and sums are exact until they are
printed; a benchmark with missing prints is never shown as exact.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from execd.core.coverage import error
from execd.core.execution import Execution
from execd.core.grid import BPS, Nanos
from execd.core.ledger import SliceRecord
from execd.core.schedule import sane
from execd.core.score import Score, allocated, score
from execd.runtime.exactness import ratio
from execd.runtime.reconcile import Verdict


@dataclass(frozen=True, slots=True)
class ModelUse:
    """The model that an order asked for: who decided, and why it did not where it did not."""

    asked: str
    sha256: str
    fallback: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a parent, or its present state.

    `balance_drift` is base currency on the account that our fills do not explain; None where that is not known.
    """

    execution: Execution
    score: Score
    verdict: Verdict
    model: ModelUse
    mode: str
    journal: str
    tape: dict[str, Any] | None = None
    shadow: ModelUse | None = None
    balance_drift: Decimal | None = None

    @property
    def state(self) -> str:
        """`filled`, `unfilled` (the end came first), `canceled`, or where it stands while it is not over."""
        if self.execution.ended_why is None:
            return self.execution.phase.value
        if self.score.filled >= self.score.quantity:
            return "filled"
        return "canceled" if self.execution.canceled_by else "unfilled"

    @property
    def complete(self) -> bool:
        """Whether the order was filled but for a rest that the exchange would not accept as an order."""
        parent, market = self.execution.parent, self.execution.market
        rest = self.score.quantity - self.score.filled
        price = market.last or market.bid
        return rest <= 0 or (price is not None and rest < parent.instrument.least(price))


def report(
    execution: Execution,
    verdict: Verdict,
    model: ModelUse,
    *,
    mode: str,
    journal: str,
    tape: dict[str, Any] | None = None,
    shadow: ModelUse | None = None,
    balance_drift: Decimal | None = None,
) -> Report:
    """Add up an execution.  Without a `shadow`, the one that the journal tells of is reported, if any."""
    if shadow is None and execution.shadow:
        shadow = ModelUse(next(iter(execution.shadow.values())).model, "", None)
    return Report(execution, score(execution), verdict, model, mode, journal, tape, shadow, balance_drift)


def price(ticks: Fraction | None, execution: Execution) -> float | None:
    """A price in ticks as a number in quote currency, correctly rounded once."""
    return None if ticks is None else float(ticks * Fraction(execution.parent.instrument.tick))


def moment(at: Nanos) -> str:
    """A moment as RFC 3339 in UTC, to the microsecond."""
    whole, nanos = divmod(at, 1_000_000_000)
    stamp = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{nanos // 1000:06d}Z"


def as_dict(result: Report) -> dict[str, Any]:
    """The report as JSON types.  Quantities and prices are numbers in base and quote currency."""
    execution, sums = result.execution, result.score
    parent = execution.parent
    instrument = parent.instrument
    records = _records(execution)
    decided = [record for record in records if record.decided_by != "curve"]
    return {
        "state": result.state,
        "why": execution.ended_why,
        "parent": parent.id,
        "mode": result.mode,
        "venue": instrument.venue,
        "symbol": instrument.symbol,
        "side": parent.side.value,
        "quantity": _number(instrument.quantity(sums.quantity)),
        "filled": _number(instrument.quantity(sums.filled)),
        "remaining": _number(instrument.quantity(max(0, sums.quantity - sums.filled))),
        "average_price": price(sums.own.vwap, execution),
        "market_vwap": price(sums.market.vwap, execution),
        "market_vwap_ex_own": price(sums.market_ex_own.vwap, execution),
        "market_volume": _number(instrument.quantity(sums.market.volume)),
        "market_volume_ex_own": _number(instrument.quantity(sums.market_ex_own.volume)),
        "market_notional_ex_own": str(instrument.money(sums.market_ex_own.notional)),
        "missing_trades": sums.missing,
        "benchmark_exact": sums.complete,
        "coverage": ratio(sums.coverage),
        "missing_ranges": _missing_ranges(execution, sums),
        "vwap_error_bps": sums.error_bps,
        "slippage_bps": sums.slippage_bps,
        "slippage_error_bps": sums.slippage_error_bps,
        "slippage_ex_own_bps": sums.slippage_ex_own_bps,
        "slippage_ex_own_error_bps": sums.slippage_ex_own_error_bps,
        "arrival_price": price(sums.arrival, execution),
        "arrival_slippage_bps": sums.arrival_bps,
        "shortfall_bps": sums.shortfall_bps,
        "participation": sums.participation,
        "fills": len(execution.blotter.fills),
        "maker_share": sums.maker / sums.own.volume if sums.own.volume else None,
        "orders": len(execution.blotter.orders),
        "refused": dict(sorted(execution.refused.items())),
        "clipped": dict(sorted(execution.clipped.items())),
        "fees": {currency: _number(amount) for currency, amount in sorted(sums.fees.items())},
        "model": {
            "name": result.model.asked,
            "sha256": result.model.sha256,
            "share": len(decided) / len(records) if records else 0.0,
            "fallback": result.model.fallback,
        },
        "shadow": _shadow(result, records),
        "start": moment(parent.start),
        "end": moment(parent.end),
        "start_ns": parent.start,
        "end_ns": parent.end,
        "slices": [_slice(record, execution) for record in records],
        "reconciled": result.verdict.agrees,
        "reconciliation": result.verdict.words(),
        "foreign_orders": len(result.verdict.foreign),
        "balance_drift": None if result.balance_drift is None else _number(result.balance_drift),
        "tape": result.tape,
        "journal": result.journal,
    }


def as_json(result: Report) -> str:
    """The report as one line of JSON."""
    return json.dumps(as_dict(result), allow_nan=False)


def _missing_ranges(execution: Execution, sums: Score) -> list[dict[str, Any]]:
    """Each part of the window that is not known: its time, its trades, and by how much it alone can move the VWAP.

    One whose time is lost may lie anywhere from the start to the last print.
    """
    market, start = execution.market, execution.parent.start
    ranges = []
    for part in sums.missed:
        alone = error(market, (part,), sums.market.volume, sums.market.notional)
        since = start if part.since is None else part.since
        until = Nanos(start + market.elapsed) if part.until is None else part.until
        ranges.append(
            {
                "from": moment(since),
                "to": moment(until),
                "trades": "unknown" if part.trades is None else part.trades,
                "vwap_error_bps": None if alone is None else float(BPS * alone),
            }
        )
    return ranges


def _slice(record: SliceRecord, execution: Execution) -> dict[str, Any]:
    instrument = execution.parent.instrument
    bar = execution.bars.get(record.number)
    return {
        "slice": record.number + 1,
        "start": moment(record.start),
        "planned": _number(instrument.quantity(record.planned)),
        "target": _number(instrument.quantity(record.target)),
        "share": record.share,
        "filled": _number(instrument.quantity(record.filled)),
        "average_price": price(_ratio(record.notional, record.filled), execution),
        "market_volume": _number(instrument.quantity(bar.volume)) if bar else 0.0,
        "market_vwap": price(_ratio(bar.notional, bar.volume), execution) if bar else None,
        "children": record.children,
        "decided_by": record.decided_by,
        "why": record.why,
        **_shadow_slice(record, execution),
        "notes": dict(record.notes),
    }


def _shadow(result: Report, records: list[SliceRecord]) -> dict[str, Any] | None:
    """What the shadow would have made of the same market: its allocation and the trading one's, without execution."""
    if result.shadow is None:
        return None
    execution, answers = result.execution, result.execution.shadow
    traded = {record.number: record.share for record in records if record.share is not None}
    return {
        "name": result.shadow.asked,
        "sha256": result.shadow.sha256,
        "refused": result.shadow.fallback,
        "slices": sum(sane(answer.share) for answer in answers.values()),
        "failed": sum(not sane(answer.share) for answer in answers.values()),
        "allocation_slippage_bps": allocated(execution, {at: answer.share for at, answer in answers.items()})
        if answers
        else None,
        "trading_allocation_slippage_bps": allocated(execution, traded),
    }


def _shadow_slice(record: SliceRecord, execution: Execution) -> dict[str, Any]:
    answer = execution.shadow.get(record.number)
    if answer is None:
        return {"shadow_share": None, "shadow_why": None}
    if sane(answer.share):
        return {"shadow_share": answer.share, "shadow_why": "proposed"}
    return {"shadow_share": None, "shadow_why": answer.why or f"{answer.model} proposed {answer.share}"}


def _records(execution: Execution) -> list[SliceRecord]:
    return [execution.ledger[number] for number in sorted(execution.ledger)]


def _ratio(notional: int, lots: int) -> Fraction | None:
    return Fraction(notional, lots) if lots else None


def _number(value: Decimal) -> float:
    return float(value)
