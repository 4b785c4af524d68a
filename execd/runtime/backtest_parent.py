"""One parent of a backtest: admitted as an order file would be, worked once by each model, and scored.

Promise: every model gets the same parent and the same market.  Beside what was achieved stands what the same policy
allocates if every slice fills completely at its own VWAP, which is what docs/evaluation.md measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from execd.core.commands import Observation, ProposeSlice
from execd.core.events import Hours, ParentSubmitted, QuoteChanged, SliceProposed
from execd.core.execution import Execution
from execd.core.grid import BPS, HOUR, PPM, Lots, Nanos, Side
from execd.core.schedule import sane
from execd.core.score import score
from execd.policies.curve import TwapPolicy
from execd.policies.season import hours_wanted
from execd.policies.state import HISTORY
from execd.runtime import files
from execd.runtime.admission import AdmissionRefused, admit, window
from execd.runtime.advisor import Advice, Advisor, engage
from execd.runtime.backtest_market import BacktestRefused, Market, history, prints, touch_at
from execd.runtime.backtest_run import TAIL, Terms, Worked, work
from execd.runtime.settings import OrderFile, RiskFile, Settings

TWAP = "twap"
"""The model name by which a backtest asks for the same quantity in every slice."""

BELOW_CEILING = Fraction(95, 100)
"""A parent is made no larger than this part of what risk.yaml allows: prices may rise while it is worked."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What all parents of a backtest have in common.  `share_ppm`: their size in the market's volume of the window."""

    duration: Nanos
    slices: int
    share_ppm: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one model made of one parent.  Slippages in bps of the market's VWAP, positive is a cost.

    Attributes:
        quantity: lots asked for.
        filled: lots that traded.
        complete: filled, but for a rest that the exchange would not take as an order.
        maker: lots of them that made liquidity.
        children: orders sent.
        decided: slices that the model itself decided.
        begun: slices that were begun.
        achieved: the fills' average price; None where nothing traded.
        placed: what each slice filled, at the slice's own VWAP; None likewise.
        allocation: what the policy alone allocates, each slice filled completely at its own VWAP.
        spread_bps: the fills' price beyond the mid of their moment; negative where resting earned it.
        fees_bps: fees over the traded value.
        participation: our share of the market's volume.
        refusals: the gate's, by control.
        alarms: by code.
        clipped: slices whose proposal was moved into the schedule's band.
    """

    quantity: int
    filled: int
    complete: bool
    maker: int
    children: int
    decided: int
    begun: int
    achieved: float | None
    placed: float | None
    allocation: float | None
    spread_bps: float | None
    fees_bps: float | None
    participation: float | None
    refusals: dict[str, int]
    alarms: dict[str, int]
    clipped: int


@dataclass(frozen=True, slots=True)
class Result:
    """One parent: what each model made of it, or why it was not admitted.  `start` in ns, `worth` in quote currency."""

    market: str
    start: Nanos
    side: str
    worth: float
    capped: bool
    refused: str | None
    outcomes: dict[str, Outcome]


def advise(model: str, settings: Settings, shape: Shape) -> Advice:
    """Engage a model as the daemon does: outside of what it was trained for the curve decides, and the advice says so.

    Raises:
        BacktestRefused: there is no such model, or it cannot be used at all.
    """
    if model == TWAP:
        return Advice(TwapPolicy(), model, "", None)
    advice = engage(model, settings.models_dir, shape.duration, shape.slices)
    if advice.fallback is not None and not advice.sha256:
        raise BacktestRefused(f"--model: value is {model}; {advice.fallback}; allowed: curve, twap or a model's folder")
    return advice


def run(
    market: Market,
    start: Nanos,
    side: Side,
    shape: Shape,
    settings: Settings,
    risk: RiskFile,
    advices: Mapping[str, Advice],
) -> Result:
    """Admit a parent at a moment of a market and let every model work it."""
    quote = touch_at(market, start)
    assert quote is not None, "a start is drawn where touches are known"
    try:
        submitted, capped = _admitted(market, start, side, shape, settings, risk, quote)
    except AdmissionRefused as refusal:
        return Result(market.name, start, side.value, 0.0, False, str(refusal), {})
    terms = terms_of(settings)
    past = list(prints(market, Nanos(start - submitted.limits.participation_window), start))
    tape = list(prints(market, start, Nanos(submitted.parent.end + TAIL)))
    outcomes = {}
    for name, advice in advices.items():
        worked = work(submitted, past, tape, adviser(advice), terms)
        outcomes[name] = outcome(worked, allocation_bps(worked.execution, adviser(advice)), advice.policy.name)
    worth = float(market.instrument.money(submitted.parent.quantity * quote.ask))
    return Result(market.name, start, side.value, worth, capped, None, outcomes)


def terms_of(settings: Settings) -> Terms:
    """The imagined exchange of mode paper."""
    paper = settings.paper
    return Terms(paper.latency, paper.maker_fee / BPS, paper.taker_fee / BPS)


def outcome(worked: Worked, allocation: float | None, policy: str) -> Outcome:
    """Add a parent up."""
    execution = worked.execution
    sums, records = score(execution), execution.ledger.values()
    instrument, price = execution.parent.instrument, execution.market.last or execution.market.bid
    value = instrument.money(sums.own.notional)
    filled = {record.number: record.filled for record in records}
    return Outcome(
        quantity=sums.quantity,
        filled=sums.filled,
        complete=sums.filled >= sums.quantity
        or (price is not None and sums.quantity - sums.filled < instrument.least(price)),
        maker=sums.maker,
        children=len(execution.blotter.orders),
        decided=sum(record.decided_by == policy for record in records),
        begun=len(records),
        achieved=sums.slippage_bps,
        placed=_at_own_vwap(execution, filled) if sums.filled else None,
        allocation=allocation,
        spread_bps=BPS * worked.over_mid / worked.mids if worked.mids else None,
        fees_bps=float(BPS * sum(sums.fees.values()) / value) if value else None,
        participation=sums.participation,
        refusals=worked.refusals,
        alarms=worked.alarms,
        clipped=sum("clamped" in " ".join(record.notes) for record in records),
    )


def allocation_bps(execution: Execution, advisor: Advisor) -> float | None:
    """Slippage of the policy's own allocation: asked slice by slice as if all before it had filled at once.

    No band, lot, minimum, queue, spread or latency; a slice that the policy does not answer follows the plan.
    """
    parent, filled = execution.parent, Lots(0)
    placed = {}
    for number in range(parent.slices):
        end = parent.boundary(number + 1)
        answer = advisor.answer(ProposeSlice(parent.id, number, _observation(execution, number, filled), end))
        target = execution.schedule.planned(number)
        if isinstance(answer, SliceProposed) and sane(answer.share):
            target = execution.schedule.wanted(filled, answer.share)
        target = parent.quantity if number == parent.slices - 1 else max(filled, target)
        placed[number] = target - filled
        filled = target
    return _at_own_vwap(execution, placed)


def adviser(advice: Advice) -> Advisor:
    """Ask as live, but by a clock that stands still: a busy machine must not change a result."""
    return Advisor(advice.policy, lambda _model, _seconds: None, monotonic=lambda: 0.0)


def _admitted(
    market: Market,
    start: Nanos,
    side: Side,
    shape: Shape,
    settings: Settings,
    risk: RiskFile,
    quote: QuoteChanged,
) -> tuple[ParentSubmitted, bool]:
    """Admit the parent as the daemon does, and whether risk.yaml made it smaller.  Raises AdmissionRefused."""
    instrument = market.instrument
    volume = int(market.trades(start, Nanos(start + shape.duration)).lots.sum())
    wanted, most = volume * shape.share_ppm // PPM, _most(market, risk, quote)
    order = OrderFile(
        symbol=instrument.symbol,
        side=side,
        quantity=instrument.quantity(max(1, min(wanted, most))),
        duration=shape.duration,
        slices=shape.slices,
        name="backtest",
    )
    when = window(order, start)
    curve = files.curve(when)
    admission = admit(order, instrument, quote.bid, quote.ask, risk, now=start, curve=curve)
    interval = Nanos((when.end - when.start) // when.slices)
    submitted = ParentSubmitted(
        parent=admission.parent,
        limits=admission.limits,
        validity=terms_of(settings).validity,
        own_prints=False,
        contiguous=True,
        curve=admission.curve,
        history=history(market, start, interval, HISTORY),
        proposal_within=settings.timing.proposal_deadline,
        hours=Hours.of(history(market, Nanos(start // HOUR * HOUR), HOUR, hours_wanted(interval))),
    )
    return submitted, wanted > most


def _most(market: Market, risk: RiskFile, quote: QuoteChanged) -> int:
    """The most lots that a parent of a backtest is given."""
    own = risk.instruments[market.instrument.symbol]
    return int(BELOW_CEILING * market.instrument.notional_down(own.parent_notional) / quote.ask)


def _observation(execution: Execution, number: int, filled: Lots) -> Observation:
    """What a policy would be told before a slice if so much had filled; its bars are closed by then."""
    told = execution.observation(execution.parent.boundary(number), number)
    return replace(told, filled=filled, own_notional=0, mid2=None)


def _at_own_vwap(execution: Execution, placed: Mapping[int, int]) -> float | None:
    """Slippage if each slice's lots had the slice's own VWAP; where nothing traded, the price before it."""
    bars = [execution.bar(number) for number in range(execution.parent.slices)]
    volume, notional = sum(bar.volume for bar in bars), sum(bar.notional for bar in bars)
    if not volume:
        return None
    price, paid = Fraction(execution.arrival2 or 0, 2), Fraction(0)
    for number, bar in enumerate(bars):
        price = Fraction(bar.notional, bar.volume) if bar.volume else price
        paid += placed.get(number, 0) * price
    benchmark = Fraction(notional, volume)
    average = paid / sum(placed.values())
    return float(BPS * execution.parent.side.sign * (average - benchmark) / benchmark)
