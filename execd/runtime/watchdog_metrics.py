"""What Prometheus scrapes of the watchdog: each series is there from the start."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

ROUNDS = ("clean", "open", "failed")


class WatchdogMetrics:
    """The metrics of one watchdog."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self._daemons = Gauge("execd_watchdog_daemons", "Daemons that are watched.", registry=registry)
        self._age = Gauge(
            "execd_watchdog_heartbeat_age_seconds",
            "How long the daemon that has been silent for longest is silent; 0 where none is watched.",
            registry=registry,
        )
        self._latched = Gauge(
            "execd_watchdog_latched",
            "1 while nothing of execd's may be open: the kill switch is set.",
            registry=registry,
        )
        self._trips = Counter("execd_watchdog_trips", "Heartbeats that have stopped.", registry=registry)
        self._rounds = Counter(
            "execd_watchdog_rounds", "Rounds of canceling at the exchange, by outcome.", ["outcome"], registry=registry
        )
        for outcome in ROUNDS:
            self._rounds.labels(outcome)
        self._canceled = Counter("execd_watchdog_canceled_orders", "Orders that were canceled.", registry=registry)
        self._reached = Gauge(
            "execd_watchdog_exchange_reachable",
            "1 if the exchange gave an answer to the watchdog's own key when it was last asked.",
            registry=registry,
        )
        self._reached_at = Gauge(
            "execd_watchdog_exchange_last_answer_timestamp_seconds",
            "When the exchange last gave an answer to the watchdog's own key.",
            registry=registry,
        )
        self._strangers = Gauge(
            "execd_watchdog_other_accounts",
            "Accounts of watched daemons that the watchdog's key is not of: there it cannot cancel.",
            registry=registry,
        )

    def exposition(self) -> bytes:
        """Return all series in Prometheus' text format.  May be called from any thread."""
        return generate_latest(self.registry)

    def looked(self, ages_s: Mapping[str, float], *, latched: bool) -> None:
        """Heartbeats and latch were looked at."""
        self._daemons.set(len(ages_s))
        self._age.set(max(ages_s.values(), default=0.0))
        self._latched.set(latched)

    def tripped(self) -> None:
        """A heartbeat has stopped."""
        self._trips.inc()

    def swept(self, outcome: str, canceled: int = 0) -> None:
        """A round at the exchange ended."""
        self._rounds.labels(outcome).inc()
        self._canceled.inc(canceled)

    def reached(self, at_s: float | None) -> None:
        """The exchange answered at a moment (seconds since the epoch), or did not (None)."""
        self._reached.set(at_s is not None)
        if at_s is not None:
            self._reached_at.set(at_s)

    def strangers(self, count: int) -> None:
        """So many accounts of daemons are not ours."""
        self._strangers.set(count)
