"""What Prometheus scrapes: the series of this process, each there from the start.

Promise: an absent series never hides a fault: every labelled one is made when the process begins.  No label holds an
order id, a price or an error's text; `parent_id` stands on gauges only.  Counters come from (fact, commands) pairs,
each fill counted once; the gauges of a parent from `parent`, which the event loop calls about once a second.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Collection, Sequence
from decimal import Decimal

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from execd.core.commands import CancelOrder, Command, RecordRefusal, SubmitOrder
from execd.core.events import (
    Channel,
    Event,
    KillReset,
    MarketObserved,
    MarketView,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    ParentSubmitted,
    ProposalFailed,
    SliceProposed,
    StreamLost,
    StreamRestored,
)
from execd.core.execution import Execution, Phase
from execd.core.grid import Instrument, Nanos
from execd.core.orders import Fill, Liquidity, OrderState
from execd.core.risk import Refusal
from execd.core.schedule import sane
from execd.core.score import score
from execd.runtime.codec import KINDS
from execd.runtime.exactness import ratio
from execd.runtime.latch import Kind, Scope

ORDER_EVENTS = ("sent", "acked", "filled", "canceled", "expired", "rejected", "unknown", "resolved")
REJECT_REASONS = (
    "crosses", "funds", "invalid", "symbol", "request", "closed", "rejected", "auth", "unsupported", "throttled",
    "clock", "unreachable", "refused", "other",
)  # fmt: skip
PARENT_STATES = ("waiting", "active", "paused", "halted", "ending", "done")
DATA_CHANNELS = ("trade", "book", "account")
LOSS_REASONS = ("silence", "closed", "other")

_REQUEST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_AGE = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LOOP = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_KILL = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30)
_DISK = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)
_PLACE = ("venue", "symbol")
_PARENT = ("parent_id", "venue", "symbol", "side")

# A second series for the birth of each counter would double the scrape and tell nothing that we use.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no hint there


class Metrics:
    """The metrics of one process, which works one symbol on one venue."""

    def __init__(
        self,
        venue: str = "practice",
        symbol: str = "BTC/USDT",
        model: str = "curve",
        *,
        version: str = "unknown",
        commit: str = "unknown",
        started: Nanos = Nanos(0),
    ) -> None:
        self.registry = CollectorRegistry()
        self._venue, self._symbol, self._model = venue, symbol, model
        self._grid: Instrument | None = None
        self._sent: dict[str, Nanos] = {}
        self._cancels: dict[str, Nanos] = {}
        self._doubted: set[str] = set()
        self._fills: set[str] = set()
        self._seen = MarketView()
        self._bad_frames_told = 0
        self._make()
        build = {"version": version, "commit": commit, "python": platform.python_version(), "model": model}
        self._build.info(build)
        self._started.set(started / 1e9)
        self._begin(started)

    def exposition(self) -> bytes:
        """Return all series in Prometheus' text format.  May be called from any thread."""
        return generate_latest(self.registry)

    def __call__(self, now: Nanos, event: Event, commands: Sequence[Command]) -> None:
        """Count a fact and the commands that it caused."""
        match event:
            case MarketObserved(view=view):
                self._market(view)
            case OrderAccepted(order=order):
                self._answered(now, order)
                self._resolved(order)
            case OrderClosed(order=order, reason=reason):
                self._closed(now, order, reason)
            case OrderFilled(fill=fill):
                self._filled(fill)
            case OrderLost(order=order):
                self._order("unknown")
                self._doubted.add(order)
            case _:
                self._control(event)
        if isinstance(event, OrderAccepted | OrderClosed | OrderFilled):
            self._last_message.labels(self._venue, self._symbol, "account").set(now / 1e9)
        for command in commands:
            self._count(now, command)

    def parent(self, execution: Execution, now: Nanos, *, latched: Collection[Scope]) -> None:
        """Set the gauges of a parent, and which scopes of the kill switch are set.  Call on the event loop."""
        parent, sums = execution.parent, score(execution)
        self._grid = parent.instrument
        due = execution.schedule.target(now) / parent.quantity
        left = max(0, parent.end - now) / 1e9 if execution.phase is not Phase.DONE else 0.0
        off = math.inf if sums.error_bps is None else sums.error_bps
        own = (due, sums.filled / parent.quantity, sums.slippage_bps or 0.0, sums.participation or 0.0, left)
        values = (*own, ratio(sums.coverage), sums.missing, off)
        for gauge, value in zip(self._of_parent, values, strict=True):
            gauge.labels(parent.id, self._venue, self._symbol, parent.side.value).set(value)
        # Not from the facts: between two slices there may be none for minutes while the prints go on.
        for channel, at in zip(("trade", "book"), execution.tracker.heard_at, strict=True):
            if at is not None:
                self._last_message.labels(self._venue, self._symbol, channel).set(at / 1e9)
        for state in PARENT_STATES:
            self._parents.labels(state).set(state == _state(execution))
        alive = execution.blotter.alive.values()
        self._open.labels(self._venue, self._symbol).set(len(alive))
        doubted = sum(order.state is OrderState.IN_DOUBT for order in alive)
        self._unknown.labels(self._venue, self._symbol).set(doubted)
        for scope in Scope:
            self._kill.labels(scope.value).set(scope in latched)

    def tripped(self, scope: Scope, kind: Kind) -> None:
        """A latch of the kill switch got a new cause."""
        self._kill.labels(scope.value).set(1)
        self._trips.labels(scope.value, kind.value).inc()

    def all_ended(self, seconds: float) -> None:
        """So long after the desk heard of a trip no order of ours was alive any more."""
        self._kill_cancel.observe(seconds)

    def appended(self, kind: str, seconds: float) -> None:
        """A row of the journal became durable.  May be called from any thread."""
        self._append.labels(kind if kind in KINDS else "other").observe(seconds)

    def journal_failed(self) -> None:
        """A write to the journal failed.  May be called from any thread."""
        self._journal_errors.labels("append").inc()

    def loop_lagged(self, seconds: float) -> None:
        """The event loop came so much later than asked."""
        self._lag.observe(seconds)

    def inferred(self, model: str, seconds: float) -> None:
        """A policy took so long for a proposal."""
        self._inference.labels(model).observe(seconds)

    def looked(self, model: str, drift: float, psi: float) -> None:
        """A model's inputs: the share of them out of the training range, and the parent's PSI so far."""
        self._drift.labels(model).set(drift)
        self._psi.labels(model).set(psi)

    def clock_checked(self, offset: Nanos) -> None:
        """The venue's clock is this far ahead of ours."""
        # The metric is ours minus the venue's, as the alert on it reads.
        self._clock.labels(self._venue).set(-offset / 1e9)

    def survived(self, bad_frames: int) -> None:
        """So many frames of the streams made no sense so far."""
        self._bad_frames.labels(self._venue).inc(bad_frames - self._bad_frames_told)
        self._bad_frames_told = bad_frames

    def dead_man(self, expiry: Nanos | None) -> None:
        """The exchange's own timer fires then unless it is held again; None: it is not armed."""
        self._dead_man.labels(self._venue).set(0 if expiry is None else expiry / 1e9)

    def reconciled(self, *, answered: bool, differences: int) -> None:
        """Our account was held against the venue's: whether the venue answered, and in how much we differ."""
        self._differences.labels(self._venue, "fill").inc(differences)
        if answered and not differences:
            self._reconciled.labels(self._venue).set_to_current_time()

    def drifted(self, quantity: Decimal) -> None:
        """The base balance has changed by so much more than our fills explain, in this life of the process."""
        self._balance_drift.labels(self._venue, self._symbol).set(float(quantity))

    # ------------------------------------------------------------------------------------------------------ counting

    def _control(self, event: Event) -> None:
        match event:
            case ParentSubmitted(parent=parent):
                self._grid = parent.instrument
            case SliceProposed(share=share):
                self._fallback.labels(self._model).set(not sane(share))
            case ProposalFailed():
                self._fallback.labels(self._model).set(1)
            case StreamLost(channel=channel, why=why):
                self._connected.labels(self._venue, channel.value).set(0)
                self._reconnects.labels(self._venue, channel.value, _loss(why)).inc()
            case StreamRestored(channel=channel):
                self._connected.labels(self._venue, channel.value).set(1)
            case KillReset():
                for scope in Scope:
                    self._kill.labels(scope.value).set(0)
            case _:
                pass

    def _market(self, view: MarketView) -> None:
        """Read what the streams did from what a decision saw of them."""
        if view.last_at is not None and view.last_venue_at is not None and view.last_id != self._seen.last_id:
            lag = max(0, view.last_at - view.last_venue_at) / 1e9
            self._data_lag.labels(self._venue, "trade").observe(lag)
        new = {gap.first for gap in view.gaps} - {gap.first for gap in self._seen.gaps}
        self._gaps.labels(self._venue, self._symbol).inc(len(new))
        self._seen = view

    def _count(self, now: Nanos, command: Command) -> None:
        match command:
            case SubmitOrder(order=order):
                self._order("sent")
                self._sent[order] = now
            case CancelOrder(order=order):
                self._cancels.setdefault(order, now)
            case RecordRefusal(control=control):
                self._risk_rejects.labels(self._venue, control).inc()
            case _:
                pass

    def _answered(self, now: Nanos, order: str) -> None:
        if (sent := self._sent.pop(order, None)) is not None:
            self._order("acked")
            self._ack.labels(self._venue, "create").observe((now - sent) / 1e9)

    def _closed(self, now: Nanos, order: str, reason: str) -> None:
        word = reason.partition(":")[0].strip()
        never_acked = self._sent.pop(order, None)
        if word in ("filled", "canceled", "expired"):
            self._order(word)
        else:
            self._order("rejected")
            known = word if word in REJECT_REASONS else "other"
            self._rejects.labels(self._venue, self._symbol, known).inc()
        if never_acked is not None:
            self._ack.labels(self._venue, "create").observe((now - never_acked) / 1e9)
        if (asked := self._cancels.pop(order, None)) is not None:
            self._ack.labels(self._venue, "cancel").observe((now - asked) / 1e9)
        self._resolved(order)

    def _resolved(self, order: str) -> None:
        if order in self._doubted:
            self._doubted.discard(order)
            self._order("resolved")

    def _filled(self, fill: Fill) -> None:
        if fill.id in self._fills:
            return
        self._fills.add(fill.id)
        self._fills_total.labels(self._venue, self._symbol, fill.liquidity.value).inc()
        if (grid := self._grid) is None:
            return
        price = grid.price(fill.price)
        self._filled_quote.labels(self._venue, self._symbol).inc(float(price * grid.quantity(fill.quantity)))
        in_quote = {grid.quote: Decimal(1), grid.base: price}.get(fill.fee_currency)
        if in_quote is not None and fill.fee > 0:
            self._fees.labels(self._venue, self._symbol).inc(float(fill.fee * in_quote))

    def _order(self, event: str) -> None:
        self._orders.labels(self._venue, self._symbol, event).inc()

    # ------------------------------------------------------------------------------------------------------- the set

    def _make(self) -> None:
        def gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
            return Gauge(f"execd_{name}", text, labels, registry=self.registry)

        def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(f"execd_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, labels: Sequence[str], buckets: Sequence[float]) -> Histogram:
            return Histogram(f"execd_{name}", text, labels, registry=self.registry, buckets=buckets)

        self._build = Info("execd_build", "The running build and its model.", registry=self.registry)
        self._started = gauge("start_time_seconds", "When the process began, Unix time.")
        self._kill = gauge("kill_switch_active", "1 while the kill switch is latched.", ["scope"])
        self._trips = counter("kill_switch_trips", "Causes that tripped the kill switch.", ["scope", "cause"])
        self._kill_cancel = histogram(
            "kill_switch_cancel_seconds", "From hearing of a trip to no order of ours alive.", (), _KILL
        )
        self._parents = gauge("parent_orders", "Parent orders by state.", ["state"])
        self._of_parent = (
            gauge("parent_scheduled_ratio", "Share of the parent that is due by its schedule.", _PARENT),
            gauge("parent_filled_ratio", "Share of the parent that has filled.", _PARENT),
            gauge("parent_slippage_vwap_bps", "Own average against the market's VWAP; positive is a cost.", _PARENT),
            gauge("parent_participation_ratio", "Own share of the market's volume in the window.", _PARENT),
            gauge("parent_remaining_seconds", "Time to the parent's end.", _PARENT),
            gauge("vwap_coverage_ratio", "How much of the market is in the VWAP; 1 only if all of it is.", _PARENT),
            gauge("vwap_missing_trades", "Public trades known to be missing from the VWAP.", _PARENT),
            gauge("vwap_error_bound_bps", "By how much the VWAP can be off; +Inf where nothing bounds it.", _PARENT),
        )
        self._orders = counter("orders", "What befell child orders.", [*_PLACE, "event"])
        self._rejects = counter("order_rejects", "Child orders that the venue refused.", [*_PLACE, "reason"])
        self._risk_rejects = counter("risk_rejects", "Child orders that the risk gate refused.", ["venue", "control"])
        self._open = gauge("open_orders", "Child orders that may still trade.", _PLACE)
        self._unknown = gauge("unknown_orders", "Child orders whose state at the venue is in doubt.", _PLACE)
        self._ack = histogram("order_ack_seconds", "From a request to the venue's answer.", ["venue", "op"], _REQUEST)
        self._fills_total = counter("fills", "Fills, each once.", [*_PLACE, "liquidity"])
        self._filled_quote = counter("filled_quote", "Value that has filled, in quote currency.", _PLACE)
        self._fees = counter("fees_quote", "Fees paid in quote or base currency, in quote currency.", _PLACE)
        self._last_message = gauge(
            "market_data_last_message_timestamp_seconds", "When a channel last spoke.", [*_PLACE, "channel"]
        )
        self._data_lag = histogram(
            "market_data_lag_seconds", "From the venue's time of a message to ours.", ["venue", "channel"], _AGE
        )
        self._gaps = counter("market_data_gaps", "Gaps in the public trades.", _PLACE)
        self._reconnects = counter("ws_reconnects", "Streams that broke.", ["venue", "stream", "reason"])
        self._bad_frames = counter("ws_bad_frames", "Frames of the streams that made no sense.", ["venue"])
        self._connected = gauge("ws_connected", "1 while a stream is up.", ["venue", "stream"])
        self._lag = histogram("event_loop_lag_seconds", "How late the event loop came.", (), _LOOP)
        self._append = histogram("journal_append_seconds", "From append to durability.", ["kind"], _DISK)
        self._journal_errors = counter("journal_errors", "Writes to the journal that failed.", ["op"])
        self._clock = gauge("clock_offset_seconds", "Our clock minus the venue's.", ["venue"])
        self._dead_man = gauge(
            "deadman_expiry_timestamp_seconds", "When the venue cancels unless we renew; 0: it will not.", ["venue"]
        )
        self._inference = histogram("model_inference_seconds", "Time for a proposal.", ["model"], _REQUEST)
        self._fallback = gauge("model_fallback_active", "1 while the curve decides for the model.", ["model"])
        self._drift = gauge("model_input_drift_ratio", "Share of the last inputs out of the training range.", ["model"])
        self._psi = gauge("model_input_psi", "Stability index of the parent's inputs against training's.", ["model"])
        self._reconciled = gauge(
            "reconcile_last_success_timestamp_seconds", "When our account last agreed with the venue's.", ["venue"]
        )
        self._balance_drift = gauge("position_drift_base", "Base balance that our fills do not explain.", _PLACE)
        self._differences = counter("reconcile_discrepancies", "What did not agree with the venue.", ["venue", "kind"])

    def _begin(self, started: Nanos) -> None:
        """Make every labelled series, so that none is absent until its first event."""
        venue, symbol = self._venue, self._symbol
        for scope in Scope:
            self._kill.labels(scope.value).set(0)
            for cause in Kind:
                self._trips.labels(scope.value, cause.value)
        for state in PARENT_STATES:
            self._parents.labels(state).set(0)
        for event in ORDER_EVENTS:
            self._orders.labels(venue, symbol, event)
        for reason in REJECT_REASONS:
            self._rejects.labels(venue, symbol, reason)
        for control in Refusal:
            self._risk_rejects.labels(venue, control.value)
        for operation in ("create", "cancel"):
            self._ack.labels(venue, operation)
        for liquidity in Liquidity:
            self._fills_total.labels(venue, symbol, liquidity.value)
        for metric in (self._filled_quote, self._fees, self._gaps, self._open, self._unknown, self._balance_drift):
            metric.labels(venue, symbol)
        self._data_lag.labels(venue, "trade")
        for name in DATA_CHANNELS:
            # Nothing was heard yet: its age counts from our birth, not from 1970.
            self._last_message.labels(venue, symbol, name).set(started / 1e9)
        for channel in Channel:
            self._connected.labels(venue, channel.value)
            for reason in LOSS_REASONS:
                self._reconnects.labels(venue, channel.value, reason)
        for kind in (*KINDS, "other"):
            self._append.labels(kind)
        self._differences.labels(venue, "fill")
        self._journal_errors.labels("append")
        self._bad_frames.labels(venue)
        self._clock.labels(venue)
        self._dead_man.labels(venue)
        self._reconciled.labels(venue)
        self._inference.labels(self._model)
        for of_model in (self._fallback, self._drift, self._psi):
            of_model.labels(self._model).set(0)


def _state(execution: Execution) -> str:
    if execution.phase is not Phase.WORKING:
        return str(execution.phase.value)
    if execution.killed or execution.halted is not None:
        return "halted"
    return "paused" if execution.paused_by is not None else "active"


def _loss(why: str) -> str:
    """One of a few words for why a stream broke."""
    if "silen" in why:
        return "silence"
    return "closed" if "clos" in why else "other"
