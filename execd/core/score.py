"""How well we did: exact sums in, basis points out.

Measures, positive = a cost to the client, s = +1 for a buy and -1 for a sell:

    slippage to VWAP         = 1e4 * s * (P - VWAP) / VWAP                              [bps]
    implementation shortfall = s * [sum q_i (p_i - p_0) + (N - Q)(p_end - p_0)]         [bps of N * p_0]  (Perold 1988)
    participation            = our filled / market volume                               fees are kept apart

The slippage of an allocation alone asks what a schedule is worth without its execution: each slice filled at the
market's average price in it.

The market's VWAP over [start, end) is by venue time, with and without our own prints.  Where trades are missing from
it, `core/coverage.py` bounds by how much it, and so what is compared with it, can be off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from execd.core.coverage import Missed, error, missed
from execd.core.execution import Execution
from execd.core.grid import BPS
from execd.core.orders import Fill, Liquidity
from execd.core.schedule import sane


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Volume in lots and notional in tick-lots of the market over the window; `vwap` in ticks, None without volume."""

    volume: int
    notional: int

    @property
    def vwap(self) -> Fraction | None:
        """The volume-weighted average price in ticks, exact."""
        return Fraction(self.notional, self.volume) if self.volume else None


@dataclass(frozen=True, slots=True)
class Score:
    """The result of a parent so far.  Prices in ticks, exact; quantities in lots.

    `missing` counts public trades that we know we did not see; `missed` are the parts of the window that are not known,
    and `coverage` how much of it is, 1 if and only if the benchmark is complete.  `vwap_error` and `vwap_error_ex_own`
    bound by which part of itself the market's VWAP can be off, None where nothing does.
    """

    quantity: int
    filled: int
    own: Benchmark
    market: Benchmark
    market_ex_own: Benchmark
    arrival: Fraction | None
    last_mid: Fraction | None
    missing: int
    maker: int
    fees: dict[str, Decimal]
    sign: int
    coverage: Fraction = Fraction(1)
    missed: tuple[Missed, ...] = ()
    vwap_error: Fraction | None = Fraction(0)
    vwap_error_ex_own: Fraction | None = Fraction(0)

    @property
    def complete(self) -> bool:
        """Whether the benchmark holds every trade of the window so far, as far as ids and streams tell."""
        return self.coverage == 1

    @property
    def error_bps(self) -> float | None:
        """By how much the market's VWAP can be off, rounded up; None where nothing bounds it."""
        return None if self.vwap_error is None else _at_least(BPS * self.vwap_error)

    @property
    def slippage_bps(self) -> float | None:
        """Our average price against the market's VWAP, own prints included."""
        return _slippage(self.own.vwap, self.market.vwap, self.sign)

    @property
    def slippage_ex_own_bps(self) -> float | None:
        """Our average price against the VWAP of everybody else."""
        return _slippage(self.own.vwap, self.market_ex_own.vwap, self.sign)

    @property
    def slippage_error_bps(self) -> float | None:
        """By how much `slippage_bps` can be off; None where there is none, or nothing bounds it."""
        return _slippage_error(self.own.vwap, self.market.vwap, self.vwap_error)

    @property
    def slippage_ex_own_error_bps(self) -> float | None:
        """By how much `slippage_ex_own_bps` can be off; None where there is none, or nothing bounds it."""
        return _slippage_error(self.own.vwap, self.market_ex_own.vwap, self.vwap_error_ex_own)

    @property
    def arrival_bps(self) -> float | None:
        """Our average price against the mid at arrival."""
        return _slippage(self.own.vwap, self.arrival, self.sign)

    @property
    def shortfall_bps(self) -> float | None:
        """Implementation shortfall without fees: what was traded and what was not, against the arrival price."""
        if self.arrival is None or self.last_mid is None:
            return None
        traded = self.own.notional - self.own.volume * self.arrival
        untraded = (self.quantity - self.filled) * (self.last_mid - self.arrival)
        return float(BPS * self.sign * (traded + untraded) / (self.quantity * self.arrival))

    @property
    def participation(self) -> float | None:
        """Our share of the market's volume, own prints counted in it once."""
        total = self.market_ex_own.volume + self.own.volume
        return float(Fraction(self.own.volume, total)) if total else None


def score(execution: Execution) -> Score:
    """Add up a parent as of its last market view."""
    parent, market = execution.parent, execution.market
    fills = execution.blotter.fills
    inside = [fill for fill in fills if parent.start <= fill.at < parent.end] if execution.own_prints else []
    own, seen, unseen = _sums(inside), Benchmark(market.volume, market.notional), missed(market)
    others = Benchmark(seen.volume - own.volume, seen.notional - own.notional)
    total: dict[str, Decimal] = {}
    for fill in fills:
        total[fill.fee_currency] = total.get(fill.fee_currency, Decimal(0)) + fill.fee
    return Score(
        quantity=parent.quantity,
        filled=execution.filled,
        own=_sums(fills),
        market=seen,
        market_ex_own=others,
        arrival=None if execution.arrival2 is None else Fraction(execution.arrival2, 2),
        last_mid=None if market.mid2 is None else Fraction(market.mid2, 2),
        missing=market.missing,
        maker=sum(fill.quantity for fill in fills if fill.liquidity is Liquidity.MAKER),
        fees=total,
        sign=parent.side.sign,
        coverage=market.coverage,
        missed=unseen,
        vwap_error=error(market, unseen, seen.volume, seen.notional),
        vwap_error_ex_own=error(market, unseen, others.volume, others.notional),
    )


def allocated(execution: Execution, share: Mapping[int, float]) -> float | None:
    """Return the slippage, in bps, of the schedule that proposals for its slices amount to, each filled at its VWAP.

    A proposal is a share of what was left when its slice was decided, and so a cumulative target; one below an earlier
    one means to wait.  Where none is sane the curve's plan stands, the last slice takes the rest, and a slice in which
    nothing traded has the price of the one before.

    Args:
        execution: the parent.
        share: what was proposed, by the number of the slice; raw.

    Returns:
        None before the parent's end, where it was canceled, and where nothing was decided or nothing traded.
    """
    if execution.ended_why is None or execution.canceled_by is not None or not execution.ledger:
        return None
    quantity, last = execution.parent.quantity, max(execution.ledger)
    bars = [execution.bar(number) for number in range(last + 1)]
    market = Benchmark(sum(bar.volume for bar in bars), sum(bar.notional for bar in bars))
    price, paid, reached = market.vwap, Fraction(0), Fraction(0)
    if price is None:
        return None
    for number, bar in enumerate(bars):
        if bar.volume:
            price = Fraction(bar.notional, bar.volume)
        target = Fraction(quantity) if number == last else _target(execution, number, share.get(number))
        aimed = max(reached, target)
        paid += (aimed - reached) * price
        reached = aimed
    return _slippage(paid / quantity, market.vwap, execution.parent.side.sign)


def _target(execution: Execution, number: int, share: float | None) -> Fraction:
    """The cumulative lots that a proposal aims at; 0, which is to wait, in a slice that was never decided."""
    record = execution.ledger.get(number)
    if record is None:
        return Fraction(0)
    if share is None or not sane(share):
        return Fraction(record.planned)
    return record.before + Fraction(share) * max(0, execution.parent.quantity - record.before)


def _sums(fills: list[Fill]) -> Benchmark:
    return Benchmark(sum(fill.quantity for fill in fills), sum(fill.price * fill.quantity for fill in fills))


def _slippage(price: Fraction | None, benchmark: Fraction | None, sign: int) -> float | None:
    if price is None or not benchmark:
        return None
    return float(BPS * sign * (price - benchmark) / benchmark)


def _slippage_error(price: Fraction | None, benchmark: Fraction | None, off: Fraction | None) -> float | None:
    """The most that 1e4 * P / VWAP can change if the VWAP changes by this part of itself, either way."""
    if price is None or not benchmark or off is None or off >= 1:
        return None
    return _at_least(BPS * price / benchmark * off / (1 - off))


def _at_least(bound: Fraction) -> float:
    """A float that is not below a bound: rounded to the nearest one, it could be."""
    value = float(bound)
    return value if value >= bound else math.nextafter(value, math.inf)
