"""The world around one process: a market that moves, a policy that proposes, operators who interfere, parents to work.

All of it is drawn from the sea's generator when the world is made, or as it goes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from execd.core.commands import ProposeSlice
from execd.core.events import (
    Channel,
    ClockChecked,
    DrainBegun,
    HealthChanged,
    KillReset,
    KillTripped,
    LimitOverridden,
    ParentCanceled,
    ParentPaused,
    ParentResumed,
    ParentSubmitted,
    ProposalFailed,
    QuoteChanged,
    SliceProposed,
    TradePrinted,
)
from execd.core.grid import PPM, SECOND, Instrument, Lots, Nanos, Notional, Side, Ticks
from execd.core.limits import RiskLimits
from execd.core.orders import Fill, Finish, ParentOrder, Urgency
from tests.sim.disk import Disk
from tests.sim.oracles import Oracles
from tests.sim.process import Process
from tests.sim.sea import EPOCH, NUMBERS, TREACHERY, Sea, weather
from tests.sim.venue import LIST_LAG_MAX, Venue
from tests.sim.wire import PATIENCE, Wire

ABSURD = (math.nan, math.inf, -math.inf, -0.5, 1.5, 1e300, 2.0, -0.0)


@dataclass(frozen=True, slots=True)
class Climate:
    """What stays the same for a voyage."""

    fair: bool
    validity: Nanos
    eagerness: float  # how readily the market fills what rests; 0: never, and nothing can be taken either
    restlessness: float  # how often the price moves
    tick_s: float  # mean seconds between two prints
    own_prints: bool


class World:
    """One voyage's cast, wired up.  `sail` in voyage.py lets it live."""

    def __init__(self, sea: Sea, disk: Disk, front: str | None = None) -> None:
        rng = sea.rng
        self.sea = sea
        fair = rng.random() < 0.125 and front is None
        treacherous = not fair and rng.random() < 0.1
        sea.rates = weather(rng, fair=fair, treacherous=treacherous, front=front)
        self.climate = climate(sea, fair=fair)
        self.venue = Venue(sea, skew=0 if fair else sea.seconds(-2, 2), unique_ever=rng.random() < 0.5)
        self.venue.depth = 1_000 if fair else rng.choice((3, 30, 300)) if self.climate.eagerness else 0
        self.venue.traded = self._print_own
        self.wire = Wire(sea, self.venue, self.climate.validity)
        self.oracles = Oracles(sea, self.venue, fair=fair)
        self.disk = disk
        self.process = Process(sea, self.wire, self.oracles, disk, self.propose)
        self.parents = [parent(sea, self.climate, f"P{number + 1}") for number in range(1 + (rng.random() < 0.25))]
        self.end = max(submitted.parent.end for submitted in self.parents)
        self.trade = 0
        self.silent_until = 0
        self._plan()

    def _plan(self) -> None:
        """Put on the heap what will happen whatever we do."""
        sea = self.sea
        sea.calm_from = Nanos(self.end + 30 * SECOND)
        sea.at(EPOCH, self.process.start)
        for submitted in self.parents:
            late = sea.rng.random() < 0.2 and not self.climate.fair
            when = submitted.parent.start + sea.seconds(0, 40) if late else EPOCH + sea.seconds(0, 5)
            sea.at(when, self._submit, submitted)
        sea.after(0, self._tick)
        for fault in [*NUMBERS, *TREACHERY]:
            for _ in range(sea.number(fault)):
                sea.at(EPOCH + int((self.end + 20 * SECOND - EPOCH) * sea.rng.random()), self._strike, fault)

    @property
    def latest_haven(self) -> int:
        """The moment by which everything must have ended: nothing may be stuck.

        From the calm on: a restart, the end of a submit's validity, answers that are no older than our patience, two
        questions, and the list of fills.
        """
        return self.sea.calm_from + 90 * SECOND + 2 * self.climate.validity + 2 * PATIENCE + 3 * LIST_LAG_MAX * SECOND

    # -------------------------------------------------------------------------------------------------- the market

    def _tick(self) -> None:
        sea, venue, rng = self.sea, self.venue, self.sea.rng
        sea.after(int(rng.expovariate(1 / self.climate.tick_s) * SECOND) + 1, self._tick)
        if rng.random() < self.climate.restlessness:
            step = rng.choice((-3, -2, -1, 1, 2, 3))
            venue.bid = max(9_000, min(11_000, venue.bid + step))
            venue.ask = venue.bid + rng.choice((1, 2, 2, 4))
        taker = rng.choice((Side.BUY, Side.SELL))
        self._print(venue.ask if taker is Side.BUY else venue.bid, rng.randint(1, 60), taker)
        if sea.now >= self.silent_until and self.wire.up[Channel.MARKET]:
            quote = QuoteChanged(Ticks(venue.bid), Lots(50), Ticks(venue.ask), Lots(50), Nanos(sea.now + venue.skew))
            self.process.observe(quote)
        venue.match(self.climate.eagerness)

    def _print(self, price: int, lots: int, taker: Side) -> None:
        self.trade += 1
        sea = self.sea
        if sea.now < self.silent_until or not self.wire.up[Channel.MARKET]:
            return
        trade = TradePrinted(self.trade, Ticks(price), Lots(lots), Nanos(sea.now + self.venue.skew), taker)
        if sea.strikes("print lost"):
            if sea.rng.random() < 0.8:
                sea.after(sea.seconds(0, 20), self.process.observe, trade)  # fetched by its id
            return
        self.process.observe(trade)
        if sea.strikes("print repeated"):
            self.process.observe(trade)

    def _print_own(self, fill: Fill) -> None:
        if self.climate.own_prints:
            self._print(fill.price, fill.quantity, Side.BUY)

    # -------------------------------------------------------------------------------------------------- the policy

    def propose(self, command: ProposeSlice) -> None:
        """Answer an observation, or not, or late, or twice, or with nonsense."""
        sea = self.sea
        if sea.strikes("policy dead"):
            return
        delay = sea.seconds(0, 5) if sea.strikes("policy late") else sea.latency()
        share = sea.rng.random() ** 2 if sea.rng.random() < 0.8 else sea.rng.choice((0.0, 1.0))
        if sea.strikes("policy absurd"):
            share = sea.rng.choice(ABSURD)
        answer: SliceProposed | ProposalFailed = SliceProposed(command.parent, command.slice, share, "oracle")
        if sea.strikes("policy failed"):
            answer = ProposalFailed(command.parent, command.slice, "broken")
        sea.after(delay, self.process.hear, self.process.life, answer)
        if sea.strikes("policy repeats"):
            sea.after(delay + sea.seconds(0, 30), self.process.hear, self.process.life, answer)

    # ----------------------------------------------------------------------------------------------- interference

    def _submit(self, submitted: ParentSubmitted) -> None:
        """Hand a parent in, and again wherever a crash has made the process forget it."""
        desk = self.process.desk
        if desk is not None and submitted.parent.id not in desk.executions:
            self.process.post(submitted)
        self.sea.after(6 * SECOND, self._submit, submitted)

    def _speak(
        self,
        fact: ParentPaused
        | ParentResumed
        | ParentCanceled
        | KillReset
        | KillTripped
        | DrainBegun
        | HealthChanged
        | ClockChecked
        | LimitOverridden,
    ) -> None:
        """Let an operator say something, again and again until somebody listens."""
        if not self.process.command(fact) and not isinstance(fact, DrainBegun):
            self.sea.after(self.sea.seconds(1, 5), self._speak, fact)

    def _strike(self, fault: str) -> None:
        sea = self.sea
        victim = sea.rng.choice(self.parents).parent.id
        match fault:
            case "crash":
                if self.process.desk is not None:
                    sea.count(fault)
                    self.process.crash()
            case "account stream lost":
                self.wire.lose(Channel.ACCOUNT)
            case "market stream lost":
                self.wire.lose(Channel.MARKET)
            case "outage":
                sea.count(fault)
                self.wire.outage_until = sea.now + sea.seconds(1, 30)
            case "market silent":
                sea.count(fault)
                self.silent_until = sea.now + sea.seconds(5, 60)
            case "ban":
                sea.count(fault)
                self.wire.banned_until = sea.now + sea.seconds(2, 60)
            case "maintenance":
                sea.count(fault)
                self.venue.shut_until = min(sea.now + sea.seconds(5, 60), sea.calm_from)
                self.wire.lose(Channel.ACCOUNT)
                self.wire.lose(Channel.MARKET)
            case "filter changed":
                sea.count(fault)
                self.venue.tick, self.venue.lot = sea.rng.choice((1, 2, 5)), sea.rng.choice((1, 2, 5))
            case "clock jump":
                sea.count(fault)
                sea.wall_ahead += sea.seconds(-3, 3) if sea.rng.random() < 0.5 else sea.seconds(-3_600, 3_600)
            case "disk full":
                sea.count(fault)
                self.disk.full_until = sea.now + sea.seconds(1, 60)
            case "process unwell" | "clock found off":
                sea.count(fault)
                unwell = fault == "process unwell"
                self._speak(HealthChanged("unwell") if unwell else ClockChecked(Nanos(2 * SECOND)))
                good = HealthChanged(None) if unwell else ClockChecked(Nanos(0))
                sea.after(sea.seconds(1, 40), self._speak, good)
            case "limit loosened":
                sea.count(fault)
                until = Nanos(sea.now + self.venue.skew + sea.seconds(1, 120))
                key = sea.rng.choice(("child_quantity", "child_notional", "open_orders"))
                self._speak(LimitOverridden(victim, key, 10**6, until, "second", "sim"))
            case "pause" | "parent canceled" | "kill" | "drain":
                self._interfere(fault, victim)
            case _:
                if not self.venue.betray(fault) and sea.now < self.end:
                    sea.after(sea.seconds(0.2, 3), self._strike, fault)

    def _interfere(self, fault: str, victim: str) -> None:
        sea, desk = self.sea, self.process.desk
        if fault != "kill" and (desk is None or victim not in desk.executions):
            return  # The operator's door is shut, or knows no such parent; the kill switch needs no door.
        sea.count(fault)
        again = sea.seconds(1, 60)
        match fault:
            case "pause":
                self._speak(ParentPaused(victim, "op"))
                if sea.rng.random() < 0.8:
                    sea.after(again, self._speak, ParentResumed(victim, "op"))
            case "kill":
                self._speak(KillTripped("test"))
                if sea.rng.random() < 0.8:
                    sea.after(again, self._speak, KillReset("op", "test"))
            case "drain":
                self._speak(DrainBegun("test"))
            case _:
                self._speak(ParentCanceled(victim, "op"))


def climate(sea: Sea, *, fair: bool) -> Climate:
    """Draw what stays the same for a voyage."""
    rng = sea.rng
    return Climate(
        fair=fair,
        validity=Nanos(rng.choice((3, 5, 15, 30)) * SECOND),
        eagerness=0.5 if fair else rng.choice((0.0, 0.05, 0.2, 0.6)),
        restlessness=rng.choice((0.1, 0.5)),
        tick_s=rng.choice((0.7, 1.5)),
        own_prints=rng.random() < 0.5,
    )


def parent(sea: Sea, climate: Climate, name: str) -> ParentSubmitted:
    """Draw a parent order, its limits and its curve."""
    rng, fair = sea.rng, climate.fair
    slices = rng.randint(1, 7)
    quantity = Lots(rng.choice((7, 60, 400)) + rng.randint(0, 30))
    start = Nanos(EPOCH + sea.seconds(5, 20))
    side = rng.choice((Side.BUY, Side.SELL))
    order = ParentOrder(
        id=name,
        instrument=instrument(1 if fair else rng.choice((1, 1, 3))),
        side=side,
        quantity=quantity,
        start=start,
        end=Nanos(start + slices * sea.seconds(20, 70)),
        slices=slices,
        limit=None if fair or rng.random() < 0.5 else Ticks(10_000 + side.sign * rng.randint(-3, 30)),
        participation_ppm=PPM if fair else rng.choice((100_000, 300_000, PPM)),
        budget=None if fair or rng.random() < 0.8 else Notional(quantity * rng.randint(9_000, 10_500)),
        urgency=rng.choice(list(Urgency)),
        finish=Finish.CROSS if fair else rng.choice(list(Finish)),
    )
    steps = [rng.random() + 0.05 for _ in range(slices)]
    curve = tuple(min(1.0, sum(steps[: number + 1]) / sum(steps)) for number in range(slices - 1))
    return ParentSubmitted(
        parent=order,
        limits=limits(sea, order, fair=fair),
        validity=climate.validity,
        own_prints=climate.own_prints,
        contiguous=rng.random() < 0.7,
        curve=(*curve, 1.0),
        history=(),
    )


def instrument(least: int) -> Instrument:
    """The one instrument of a voyage: a price of some 10,000 ticks."""
    return Instrument(
        venue="sim",
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.001"),
        min_quantity=Lots(least),
        max_quantity=Lots(100_000),
        min_notional=Notional(10_000 * (least - 1)),
        max_notional=Notional(10**12),
    )


def limits(sea: Sea, order: ParentOrder, *, fair: bool) -> RiskLimits:
    """Draw the limits of a parent: generous in fair weather, else each of them now and then tight."""
    rng = sea.rng

    def sometimes(tight: int, generous: int) -> int:
        return generous if fair or rng.random() < 0.7 else tight

    return RiskLimits(
        child_quantity=Lots(sometimes(max(1, order.quantity // 4), order.quantity)),
        child_notional=Notional(sometimes(order.quantity * 3_000, 10**12)),
        window=Nanos(sometimes(10, 60) * SECOND),
        window_quantity=Lots(sometimes(max(1, order.quantity // 2), 2 * order.quantity)),
        parent_notional=Notional(sometimes(order.quantity * 9_000, 10**13)),
        day_notional=Notional(sometimes(order.quantity * 20_000, 10**14)),
        collar_bps=sometimes(5, 100),
        rest_bps=sometimes(5, 200),
        period_collar_bps=sometimes(20, 2_000),
        references=rng.choice((1, 2)),
        reference_age=Nanos(sometimes(2, 20) * SECOND),
        stale_age=Nanos(sometimes(5, 30) * SECOND),
        participation_ppm=sometimes(200_000, PPM),
        participation_window=Nanos(60 * SECOND),
        ahead_ppm=rng.choice((0, 50_000, 200_000)),
        open_orders=rng.choice((1, 5)),
        messages_per_second=sometimes(1, 5),
        message_burst=sometimes(1, 10),
        rejects_in_a_row=sometimes(2, 20),
        rejects_per_minute=sometimes(5, 1_000),
        same_orders=sometimes(4, 1_000),
        messages_per_fill=sometimes(5, 1_000),
        children_per_slice=sometimes(4, 200),
        spread_bps=sometimes(3, 500),
        swing_bps=sometimes(10, 1_000),
        slippage_bps=sometimes(2, 1_000),
        clock_skew=Nanos(SECOND),
        ack_timeout=Nanos(rng.choice((1, 2, 5)) * SECOND),
    )
