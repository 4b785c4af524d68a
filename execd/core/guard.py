"""What stops a parent beyond the gate: a jump of the market, a cost, a fill or a repeat that a person must look at.

Promise: what disables a parent is told once, and only an operator's word lifts it; a limit that a second person has
loosened is loose until its moment and no longer.  What makes it only rest, trades that are missing, ends by itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from execd.core import risk
from execd.core.commands import RaiseAlarm
from execd.core.events import LimitOverridden, MarketView
from execd.core.grid import BPS, HOUR, SECOND, Lots, Nanos, Notional
from execd.core.limits import OVERRIDABLE, RiskLimits
from execd.core.orders import ChildOrder, Fill, ParentOrder

SWING_PAUSE = Nanos(30 * SECOND)
"""How long nothing is sent after the market has jumped."""

SWINGS_MAX = 3
"""So many jumps within an hour end in a halt that a person lifts."""

GRACE = Nanos(2 * SECOND)
"""How long trades may be missing before the market's data are suspect: a jump of the ids is normally back-filled within
a second, and is not worth a change of mind."""


class Guard:
    """Stands over one parent.  `disabled` says why only an operator lets it go on, None where nothing does."""

    def __init__(self, parent: ParentOrder, limits: RiskLimits) -> None:
        self.disabled: str | None = None
        self.calm_at = Nanos(0)
        """From when on a jump of the market is over."""
        self._parent, self._limits = parent, limits
        self._overrides: list[LimitOverridden] = []
        self._swings: list[Nanos] = []
        self._alarms: list[RaiseAlarm] = []
        self._missing_since: Nanos | None = None
        self._whole_at = Nanos(0)

    def in_force(self, now: Nanos) -> RiskLimits:
        """The limits as they are now: those of the start, but for what a second person has loosened for a while."""
        self._overrides = [each for each in self._overrides if now < each.until]
        if not self._overrides:
            return self._limits
        values: dict[str, Any] = {each.key: each.value for each in self._overrides}
        return replace(self._limits, **values)

    def loosen(self, fact: LimitOverridden) -> None:
        """A second person has loosened a limit."""
        assert fact.key in OVERRIDABLE, f"{fact.key} knows no exception"
        self._overrides.append(fact)

    def paused(self, now: Nanos) -> str | None:
        """Why nothing may be sent for a while, in words; None once the market is calm."""
        if now < self.calm_at:
            return f"the market has jumped; nothing is sent for another {(self.calm_at - now) // SECOND + 1} s"
        return None

    def feel(self, now: Nanos, view: MarketView) -> None:
        """After a jump of the market nothing is sent for a while; the third within an hour is for a person."""
        if now < self.calm_at or (swing := risk.swung(view, self.in_force(now))) is None:
            return
        self.calm_at = Nanos(now + SWING_PAUSE)
        self._swings = [*(moment for moment in self._swings if moment > now - HOUR), now]
        if len(self._swings) >= SWINGS_MAX:
            self.disable("volatility", f"{swing}, the {SWINGS_MAX}rd time in an hour")

    def miss(self, now: Nanos, view: MarketView) -> None:
        """Note since when, without a break, trades of the participation window are missing.

        Nobody looks between two views: what one shows for the first time is missing since the trade after it.
        """
        window = self._limits.participation_window
        untils = [*(gap.until for gap in view.gaps), *(until for _, until in view.holes)]
        recent = [until for until in untils if now < until + window]
        since = self._missing_since
        if since is None or now >= self._whole_at:  # The latter: it has left the window since the last view.
            since = now
        self._missing_since = min(since, *recent) if recent else None
        self._whole_at = Nanos(max(recent, default=0) + window)

    def suspect(self, now: Nanos) -> str | None:
        """Why the market's data are too incomplete to cross the spread on, in words; None where they are not."""
        since = self._missing_since
        if since is None or now >= self._whole_at or now - since <= GRACE:
            return None
        window = self._limits.participation_window // SECOND
        return (
            f"market data are incomplete: trades of the last {window} s have been missing for "
            f"{(now - since) // SECOND} s; orders rest and do not cross"
        )

    def examine(self, order: ChildOrder, fill: Fill) -> None:
        """A fill through its own limit: no exchange does that, so that whoever says so is broken, or we are."""
        if (fill.price - order.limit) * order.side.sign > 0:
            price, limit = self._parent.instrument.price(fill.price), self._parent.instrument.price(order.limit)
            self.disable("anomaly", f"{order.client_id} was filled at {price:f}, beyond its limit of {limit:f}")

    def weigh(self, now: Nanos, filled: Lots, notional: Notional, market: MarketView, arrival2: int) -> None:
        """Hold what the fills have cost against what the market has paid, as a part of the whole parent's value."""
        if not market.volume:
            return
        most = self.in_force(now).slippage_bps
        # What our fills cost beyond the market's VWAP, times the volume; and the parent's value, likewise.
        excess = (notional * market.volume - filled * market.notional) * self._parent.side.sign
        worth = self._parent.quantity * arrival2 * market.volume
        if 2 * excess * BPS > most * worth:
            self.disable(
                "slippage",
                f"the fills have cost {2 * excess * BPS // worth} bp of the parent's value beyond the market's VWAP; "
                f"at most {most} (risk.yaml: slippage_bps)",
            )

    def disable(self, code: str, text: str) -> None:
        """Send nothing more until an operator resumes."""
        if self.disabled is None:
            self.disabled = f"disabled: {text}; an operator resumes it (execd resume)"
            self._alarms.append(RaiseAlarm(self._parent.id, code, text))

    def resume(self) -> None:
        """An operator has looked."""
        self.disabled = None
        self._swings.clear()

    def alarms(self) -> list[RaiseAlarm]:
        """What is to be told, once."""
        alarms, self._alarms = self._alarms, []
        return alarms
