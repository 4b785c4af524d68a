"""The wire: an adapter as its contract (execd/venues) allows, over a network as bad as the weather.

Requests are lost, late, repeated; answers likewise, and each call ends in one of three facts.  The account stream
loses, delays, repeats and reorders.  After a loss everything since is fetched before `StreamRestored` is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from execd.core.commands import CancelOrder, Command, ListFills, QueryOrder, SubmitOrder
from execd.core.events import (
    Channel,
    Event,
    FillsListed,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
    StreamLost,
    StreamRestored,
)
from execd.core.grid import MINUTE, SECOND, Lots, Nanos
from tests.sim.sea import Sea
from tests.sim.venue import Venue

PATIENCE = Nanos(10 * SECOND)
"""How long a call waits for its answer, as the real adapters do."""

JUST_BEFORE = 1_000_000
"""The last moment of a validity at which a request may still arrive, before its end, in nanoseconds."""


class Ear(Protocol):
    """Who hears: the process of the moment.  `life` tells one process from the next."""

    life: int

    def hear(self, life: int, fact: Event) -> None:
        """Take a fact in, unless it was meant for an earlier life."""
        ...


class Call:
    """One request and its answer: answered once, whatever the network does."""

    __slots__ = ("answered", "life")

    def __init__(self, life: int) -> None:
        self.life = life
        self.answered = False


class Wire:
    """Carries commands to the venue and facts to the process."""

    def __init__(self, sea: Sea, venue: Venue, validity: Nanos) -> None:
        self.sea, self.venue, self.validity = sea, venue, validity
        self.ear: Ear
        self.up: dict[Channel, bool] = dict.fromkeys(Channel, False)
        self.outage_until = 0
        self.living: dict[str, int] = {}  # orders that this life of the adapter has sent
        self._fifo = 0
        venue.publish, venue.publish_surely = self.report, self.report_surely
        venue.heard = lambda: self.up[Channel.ACCOUNT]

    # -------------------------------------------------------------------------------------------------- requests

    def obey(self, command: Command) -> bool:
        """Carry a command out; False if it is not for the venue."""
        match command:
            case SubmitOrder():
                self._submit(command)
            case CancelOrder(order=order):
                self._ask(lambda: [self.venue.cancel(order)], OrderLost(order, "time-out of a cancel"))
            case QueryOrder(order=order):
                self._ask(lambda: [self.venue.query(order)], None)
            case ListFills(since=since):
                begun = self.sea.now
                self._ask(lambda: self._list(since, begun), None)
            case _:
                return False
        return True

    def _submit(self, command: SubmitOrder) -> None:
        self.living[command.order] = 1
        sea, lost = self.sea, OrderLost(command.order, "time-out of a submit")
        call = Call(self.ear.life)
        last = command.valid_until + self.validity - JUST_BEFORE
        if sea.strikes("request lost"):
            sea.after(PATIENCE, self._give_up, call, lost)
            return
        arrival = sea.now + sea.latency()
        if sea.strikes("request expired"):
            arrival = last + sea.seconds(0, 20)
        elif sea.strikes("request late"):
            arrival = sea.now + int((last - sea.now) * sea.rng.random() ** 0.5)
        expired = arrival > last
        if not expired:
            self.venue.fly(command)
        sea.at(arrival, self._arrive, command, call, lost, expired, True)
        if not expired and sea.strikes("request repeated"):
            sea.at(arrival + sea.latency(), self._arrive, command, Call(-1), lost, expired, False)
        self._doubt(call, lost)

    def _arrive(self, command: SubmitOrder, call: Call, lost: Event, expired: bool, first: bool) -> None:
        """A submit reaches the venue, or the venue's closed door."""
        if expired:
            self._answer(call, [OrderClosed(command.order, Lots(0), "rejected: outside its validity")])
            return
        if first:
            self.venue.land(command)
        if self._dark() or (not first and command.order not in self.venue.held):
            return
        self._answer(call, [self.venue.place(command, repeated=not first)])

    def _ask(self, act: Callable[[], list[Event]], lost: Event | None) -> None:
        """A question, or a cancel: it may arrive late, twice or never."""
        sea, call = self.sea, Call(self.ear.life)
        self._doubt(call, lost)
        if sea.strikes("request lost"):
            return
        delay = sea.seconds(0, 8) if sea.strikes("request late") else sea.latency()
        sea.after(delay, self._reach, act, call)
        if sea.strikes("request repeated"):
            sea.after(delay + sea.latency(), self._reach, act, Call(-1))

    def _reach(self, act: Callable[[], list[Event]], call: Call) -> None:
        if not self._dark():
            self._answer(call, act())

    def _answer(self, call: Call, facts: list[Event]) -> None:
        if self.sea.strikes("answer lost") or self._dark():
            return
        delay = self.sea.seconds(0, 9.9) if self.sea.strikes("answer late") else self.sea.latency()
        self.sea.after(delay, self._told, call, facts)

    def _told(self, call: Call, facts: list[Event]) -> None:
        if call.answered:
            return
        call.answered = True
        for fact in facts:
            self.ear.hear(call.life, fact)

    def _doubt(self, call: Call, lost: Event | None) -> None:
        """The client's side of a call: a broken answer at once, or patience that ends."""
        if self.sea.strikes("answer broken"):
            self.sea.after(self.sea.latency(), self._give_up, call, lost)
        self.sea.after(PATIENCE, self._give_up, call, lost)

    def _give_up(self, call: Call, lost: Event | None) -> None:
        if not call.answered:
            call.answered = True
            if lost is not None:
                self.ear.hear(call.life, lost)

    def _list(self, since: int, begun: Nanos) -> list[Event]:
        if self.sea.strikes("list failed"):
            return []
        fills: list[Event] = [OrderFilled(fill) for fill in self.venue.listed(since)]
        if self.sea.strikes("list cut short"):
            return fills[: self.sea.rng.randint(0, len(fills))]
        return [*fills, FillsListed(begun)]

    def _dark(self) -> bool:
        return self.sea.now < min(self.outage_until, self.sea.calm_from)

    # --------------------------------------------------------------------------------------------------- streams

    def report(self, fact: Event) -> None:
        """Send a report down the account stream."""
        sea = self.sea
        if not self.up[Channel.ACCOUNT] or sea.strikes("report lost"):
            return
        # A stream keeps its order, unless the weather says otherwise.
        self._fifo = max(self._fifo, sea.now + sea.latency())
        late = sea.seconds(0, 30) if sea.strikes("report late") else 0
        sea.at(self._fifo + late, self.ear.hear, self.ear.life, fact)
        if sea.strikes("report repeated"):
            sea.at(self._fifo + sea.seconds(0, 30), self.ear.hear, self.ear.life, fact)

    def report_surely(self, fact: Event) -> None:
        """Send a report that no weather stops: what it tells can be learned in no other way."""
        self.sea.after(self.sea.latency(), self.ear.hear, self.ear.life, fact)

    def connect(self) -> None:
        """A new process: nothing is up, nothing is known of earlier orders but their ids."""
        self.living = {}
        for channel in Channel:
            self.up[channel] = False
            self.sea.after(self.sea.seconds(0.1, 3), self._restore, self.ear.life, channel)

    def lose(self, channel: Channel) -> None:
        """A stream breaks; the silence is noticed later; still later it is back."""
        if not self.up[channel] or self.sea.now >= self.sea.calm_from:
            return
        self.sea.count(f"{channel.value} stream lost")
        self.up[channel] = False
        noticed = self.sea.seconds(0, 4)
        self.sea.after(noticed, self.ear.hear, self.ear.life, StreamLost(channel, "silent"))
        self.sea.after(noticed + self.sea.seconds(0.5, 15), self._restore, self.ear.life, channel)

    def _restore(self, life: int, channel: Channel) -> None:
        """Bring a stream up and catch up on what was missed; if that fails, try again."""
        if life != self.ear.life:
            return
        # Reports that come from now on are heard before the catching up has ended: they may arrive twice.
        self.up[channel] = True
        missed = self._missed() if channel is Channel.ACCOUNT else []
        if missed is None or self._dark():
            self.up[channel] = False
            self.sea.after(2 * SECOND, self._restore, life, channel)
            return
        for fact in [*missed, StreamRestored(channel)]:
            self.sea.after(SECOND // 10, self.ear.hear, life, fact)

    def _missed(self) -> list[Event] | None:
        """What became of our orders meanwhile: fills first, then the states of this life's orders."""
        if self.sea.strikes("list failed"):
            return None
        states = [self.venue.query(order) for order in self.living]
        told = [state for state in states if not isinstance(state, OrderMissing)]
        fills = [OrderFilled(fill) for fill in self.venue.listed(self.sea.now - 60 * MINUTE)]
        for state in told:
            if isinstance(state, OrderClosed):
                self.living.pop(state.order, None)
        return [*fills, *told]
