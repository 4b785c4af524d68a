"""From an order file to a parent order that can be worked, or to the sentences that say what to change.

Promise: nothing is sent for an order that this module has not admitted, and what it admits can be scheduled: on the
exchange's grid, above its minimums, inside risk.yaml, in a window that lies ahead.  Quantities are never rounded up,
and an order file tightens limits, never loosens them.  Pure: `now` and the quote are arguments.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2s
from itertools import pairwise

from execd.core.grid import BPS, MINUTE, SECOND, Instrument, Lots, Nanos, Notional, OffGrid, Side, Ticks
from execd.core.limits import RiskLimits
from execd.core.orders import ParentOrder
from execd.core.schedule import Schedule
from execd.runtime.settings import InstrumentLimits, OrderFile, RiskFile
from execd.runtime.settings_kinds import Moment, Rate, show_span

LATE = Nanos(5 * SECOND)
"""A start that lies no further back than this is taken as now."""

SHORTEST, LONGEST = Nanos(10 * SECOND), Nanos(7 * 24 * 60 * MINUTE)
"""How long an order may take."""

SLICE_SHORTEST = SECOND
SLICES_MOST = 5_000
SLICE_LEAST, SLICE_MOST, SLICES_USUAL = Nanos(5 * SECOND), MINUTE, 12
"""Where the file says nothing: a twelfth of the order's time, within these bounds."""

ABSURD_BPS = 1_000
"""A limit price that is further than this on the wrong side of the market is taken for a slip of the pen."""


class AdmissionRefused(Exception):
    """The order cannot be worked as written.  `problems` are sentences of the form `FILE: key: ...; allowed: ...`."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Window:
    """When an order is worked, and in how many slices."""

    start: Nanos
    end: Nanos
    slices: int


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One slice of the plan: `lots` in it, `planned` by its end."""

    slice: int
    start: Nanos
    end: Nanos
    lots: Lots
    planned: Lots


@dataclass(frozen=True, slots=True)
class Admission:
    """An order that can be worked: what the core needs of it, what an operator should know, and the plan."""

    parent: ParentOrder
    limits: RiskLimits
    curve: tuple[float, ...]
    warnings: tuple[str, ...]
    plan: tuple[PlanRow, ...]


def parent_id(order_sha256: str, created: Nanos) -> str:
    """Return the id of a parent: `p` and fifteen characters of a-z and 2-7, derived, so that none is ever random."""
    digest = blake2s(f"{order_sha256} {created}".encode(), digest_size=10).digest()
    return "p" + b32encode(digest).decode("ascii").lower()[:15]


def window(order: OrderFile, now: Nanos) -> Window:
    """Return the window that an order file means at a moment.

    Raises:
        AdmissionRefused: it lies in the past, or is too short, too long, or cut too finely.
    """
    start = now if order.start is None or now - LATE <= order.start < now else order.start
    end = order.end if order.end is not None else Nanos(start + (order.duration or 0))
    show, key = Moment().show, "end" if order.end is not None else "duration"
    if start < now:
        raise _no(order, "start", show(order.start), f"now, or a time after {show(now)}")
    if end <= now:
        raise _no(order, key, show(end), f"a time after {show(now)}")
    if not SHORTEST <= end - start <= LONGEST:
        allowed = f"from {show_span(SHORTEST)} to {show_span(LONGEST)} after the start"
        raise _no(order, key, f"{show_span(end - start)} after the start", allowed)
    slices = _slices(order, Nanos(end - start))
    if (end - start) // slices < SLICE_SHORTEST or slices > SLICES_MOST:
        most = min(SLICES_MOST, (end - start) // SLICE_SHORTEST)
        key = "slices" if order.slices is not None else "slice"
        raise _no(order, key, f"{slices} slices", f"at most {most}, so that a slice lasts at least a second")
    return Window(start, end, slices)


def admit(
    order: OrderFile,
    instrument: Instrument,
    bid: Ticks,
    ask: Ticks,
    risk: RiskFile,
    *,
    now: Nanos,
    curve: Sequence[float] | None = None,
) -> Admission:
    """Turn an order file into a parent order with its limits and its plan.

    Args:
        order: the file; its symbol is the instrument's.
        instrument: the exchange's grid and filters.
        bid: the best bid now, in ticks.
        ask: the best ask now, in ticks.
        risk: risk.yaml.
        now: this moment; with the file's sha256 it makes the parent's id.
        curve: cumulative fraction due at the end of each slice of `window(order, now)`; None spreads evenly.

    Raises:
        AdmissionRefused: with every problem that could be found.
    """
    assert order.symbol == instrument.symbol, f"{order.symbol} is not {instrument.symbol}"
    when = window(order, now)
    own = risk.instruments.get(order.symbol)
    if own is None:
        known = ", ".join(risk.instruments) or "none yet"
        raise _no(order, "symbol", order.symbol, f"{known} ({risk.path}: instruments)")
    if not 0 < bid < ask:
        raise AdmissionRefused([f"{order.path}: symbol: {order.symbol} has no usable quote now; try again later"])
    check = _Check(order, instrument, own, risk, bid, ask)
    limits, limit, quantity = check.limits(), check.limit(), check.quantity()
    check.participation()
    if check.problems or quantity is None or limits is None:
        raise AdmissionRefused(check.problems)
    parent = ParentOrder(
        id=parent_id(order.sha256, now),
        instrument=instrument,
        side=order.side,
        quantity=quantity,
        start=when.start,
        end=when.end,
        slices=when.slices,
        limit=limit,
        participation_ppm=order.participation or limits.participation_ppm,
        budget=check.budget(),
        urgency=order.urgency,
        finish=order.finish,
    )
    points = tuple(curve) if curve is not None else tuple((k + 1) / when.slices for k in range(when.slices))
    plan = _plan(Schedule(parent, points, limits.ahead_ppm))
    check.schedulable(parent, limits, plan)
    if check.problems:
        raise AdmissionRefused(check.problems)
    return Admission(parent, limits, points, tuple(check.warnings), plan)


def _slices(order: OrderFile, length: Nanos) -> int:
    if order.slices is not None:
        return order.slices
    usual = max(SLICE_LEAST, min(SLICE_MOST, length // SLICES_USUAL), -(-length // SLICES_MOST))
    return max(1, round(length / (order.slice or usual)))


def _plan(schedule: Schedule) -> tuple[PlanRow, ...]:
    parent = schedule.parent
    planned = [schedule.planned(number) for number in range(-1, parent.slices)]
    return tuple(
        PlanRow(number, parent.boundary(number), parent.boundary(number + 1), Lots(after - before), after)
        for number, (before, after) in enumerate(pairwise(planned))
    )


def _no(order: OrderFile, key: str, value: object, allowed: str) -> AdmissionRefused:
    return AdmissionRefused([f"{order.path}: {key}: value is {value}; allowed: {allowed}"])


class _Check:
    """One order against one instrument: gathers what is wrong (`problems`) and what is odd (`warnings`)."""

    def __init__(
        self, order: OrderFile, instrument: Instrument, own: InstrumentLimits, risk: RiskFile, bid: Ticks, ask: Ticks
    ) -> None:
        self.order, self.instrument, self.own, self.risk = order, instrument, own, risk
        self.bid, self.ask = bid, ask
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.key = "quantity" if order.quantity is not None else "notional"

    def limits(self) -> RiskLimits | None:
        """The limits on the instrument's grid, rounded to the strict side; None if one leaves nothing."""
        own, common, grid = self.own, self.risk.limits, self.instrument
        whole = {
            "child_quantity": grid.lots_down(own.child_quantity),
            "child_notional": grid.notional_down(own.child_notional),
            "window_quantity": grid.lots_down(own.window_quantity),
            "parent_notional": grid.notional_down(own.parent_notional),
            "day_notional": grid.notional_down(own.day_notional),
        }
        for key in (key for key, value in whole.items() if value < 1):
            unit = grid.lot if "quantity" in key else grid.tick * grid.lot
            name, value = f"instruments.{grid.symbol}.{key}", getattr(own, key)
            self.problems.append(f"{self.risk.path}: {name}: value is {value:f}; allowed: at least {unit:f}")
        if min(whole.values()) < 1:
            return None
        return RiskLimits(
            child_quantity=Lots(whole["child_quantity"]),
            child_notional=Notional(whole["child_notional"]),
            window=common.window,
            window_quantity=Lots(whole["window_quantity"]),
            parent_notional=Notional(whole["parent_notional"]),
            day_notional=Notional(whole["day_notional"]),
            collar_bps=common.collar_bps,
            rest_bps=common.rest_bps,
            period_collar_bps=common.period_collar_bps,
            references=common.references,
            reference_age=common.reference_age,
            stale_age=common.stale_age,
            participation_ppm=common.participation,
            participation_window=common.participation_window,
            ahead_ppm=common.ahead,
            open_orders=common.open_orders,
            messages_per_second=common.messages_per_second,
            message_burst=common.message_burst,
            rejects_in_a_row=common.rejects_in_a_row,
            rejects_per_minute=common.rejects_per_minute,
            same_orders=common.same_orders,
            messages_per_fill=common.messages_per_fill,
            children_per_slice=common.children_per_slice,
            spread_bps=common.spread_bps,
            swing_bps=common.swing_bps,
            slippage_bps=common.slippage_bps,
            clock_skew=common.clock_skew,
            ack_timeout=common.ack_timeout,
        )

    def limit(self) -> Ticks | None:
        """The limit price in ticks, held against the market."""
        price = self.order.limit_price
        if price is None:
            return None
        try:
            ticks = self.instrument.ticks(price)
        except OffGrid:
            better = self.instrument.ticks_not_worse(price, self.order.side)
            worse = Ticks(better + self.order.side.sign)
            near = " or ".join(f"{self.instrument.price(t):f}" for t in sorted((better, worse)) if t > 0)
            self._no("limit_price", f"{price:f}", f"a multiple of {self.instrument.tick:f}; the nearest are {near}")
            return None
        self._against_market(price, ticks)
        return ticks

    def quantity(self) -> Lots | None:
        """The quantity in lots, never more than was asked; None if there is none."""
        order, grid = self.order, self.instrument
        if order.quantity is None:
            # Lots for the money at the mid, rounded down.
            lots = Lots(2 * grid.notional_down(order.notional or Decimal(0)) // (self.bid + self.ask))
        else:
            try:
                lots = grid.lots(order.quantity)
            except OffGrid:
                below = grid.lots_down(order.quantity)
                near = " or ".join(f"{grid.quantity(n):f}" for n in (below, below + 1) if n > 0)
                self._no("quantity", f"{order.quantity:f}", f"a multiple of {grid.lot:f} {grid.base}, such as {near}")
                return None
        return lots if self._worth_trading(lots) and self._worth_risking(lots) else None

    def budget(self) -> Notional | None:
        """The most that a buy given in quote currency may spend."""
        if self.order.notional is None or self.order.side is Side.SELL:
            return None
        return self.instrument.notional_down(self.order.notional)

    def participation(self) -> None:
        """An order may ask for less of the market than risk.yaml allows, never for more."""
        wanted, most = self.order.participation, self.risk.limits.participation
        if wanted is not None and wanted > most:
            show = Rate("100%").show
            self._no("participation", show(wanted), f"at most {show(most)} ({self.risk.path}: limits.participation)")

    def schedulable(self, parent: ParentOrder, limits: RiskLimits, plan: Sequence[PlanRow]) -> None:
        """Hold the plan against the exchange's least order and against the limits on rate and size."""
        self._small_slices(parent, plan)
        child = max(1, min(limits.child_quantity, limits.child_notional // self.ask))
        self._fits(parent, plan, child * limits.children_per_slice, limits)
        windows = -(-(parent.end - parent.start) // limits.window)
        if parent.quantity > windows * limits.window_quantity:
            length = show_span(-(-parent.quantity // limits.window_quantity) * limits.window)
            self._no(
                self.key,
                self._amount(parent.quantity),
                f"at most {self._amount(windows * limits.window_quantity)} in {show_span(parent.end - parent.start)} "
                f"({self.risk.path}: instruments.{self.instrument.symbol}.window_quantity); {length} would do",
            )

    # ------------------------------------------------------------------------------------------------------ details

    def _against_market(self, price: Decimal, limit: Ticks) -> None:
        side = self.order.side
        touch = self.ask if side is Side.BUY else self.bid
        bps = side.sign * (limit - touch) * BPS // touch
        market = f"{self.instrument.price(touch):f}, the best {'ask' if side is Side.BUY else 'bid'}"
        if bps > ABSURD_BPS:
            most = self.instrument.ticks_not_worse(
                self.instrument.price(touch) * (BPS + side.sign * ABSURD_BPS) / BPS, side
            )
            allowed = f"{'at most' if side is Side.BUY else 'at least'} {self.instrument.price(most):f}"
            self._no("limit_price", f"{price:f}", f"{allowed}, {ABSURD_BPS // 100} % beyond {market}")
        elif bps < -self.risk.limits.period_collar_bps:
            self.warnings.append(f"limit_price {price:f} is {-bps} bps away from {market}: likely nothing will trade")

    def _worth_trading(self, lots: int) -> bool:
        """Whether the whole order is one that the exchange would take."""
        grid = self.instrument
        least = grid.least(self.bid)
        if lots >= least:
            return True
        worth = f"{grid.money(least * self.bid):.2f} {grid.quote} at {grid.price(self.bid):f}"
        self._no(self.key, self._amount(lots), f"at least {self._amount(least)} (the exchange's least order, {worth})")
        return False

    def _worth_risking(self, lots: int) -> bool:
        """Whether the whole order's value is within risk.yaml."""
        grid, most = self.instrument, self.instrument.notional_down(self.own.parent_notional)
        if lots * self.ask <= most:
            return True
        key = f"{self.risk.path}: instruments.{grid.symbol}.parent_notional"
        self._no(
            self.key,
            f"{self._amount(lots)}, worth {grid.money(lots * self.ask):.2f} {grid.quote}",
            f"at most {self.own.parent_notional:f} {grid.quote} ({key}), that is {self._amount(most // self.ask)}",
        )
        return False

    def _small_slices(self, parent: ParentOrder, plan: Sequence[PlanRow]) -> None:
        least = self.instrument.least(self.bid)
        small = sum(row.lots < least for row in plan)
        if small:
            self.warnings.append(
                f"{small} of {parent.slices} slices are smaller than the exchange's least order of "
                f"{self._amount(least)}: their quantity is carried into later slices; with "
                f"slices: {max(1, parent.quantity // least)} or fewer an even slice would be large enough"
            )

    def _fits(self, parent: ParentOrder, plan: Sequence[PlanRow], most: int, limits: RiskLimits) -> None:
        """Hold the slices against the number and the size of the children that one may send."""
        key = f"{self.risk.path}: instruments.{self.instrument.symbol}.child_quantity and child_notional"
        if parent.quantity > most * parent.slices:
            needed = -(-parent.quantity // most)
            allowed = (
                f"at most {self._amount(most * parent.slices)} in {parent.slices} slices ({key}); {needed} would do"
            )
            self._no(self.key, self._amount(parent.quantity), allowed)
        elif (largest := max(row.lots for row in plan)) > most:
            self.warnings.append(
                f"the largest slice, {self._amount(largest)}, is more than {limits.children_per_slice} child orders "
                f"may hold ({key}): it will run behind its schedule"
            )

    def _amount(self, lots: int) -> str:
        return f"{self.instrument.quantity(lots):f} {self.instrument.base}"

    def _no(self, key: str, value: str, allowed: str) -> None:
        self.problems.append(f"{self.order.path}: {key}: value is {value}; allowed: {allowed}")
