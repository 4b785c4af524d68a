"""The wire: an adapter as its contract (execd/venues) allows, over a network as bad as the weather.

Requests are lost, late, repeated, refused unread; answers likewise, and each call ends in one of three facts.  The
account stream loses, delays, repeats and reorders.  After a loss everything since is fetched before `StreamRestored` is
said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from execd.core.commands import CancelOrder, ListFills, QueryOrder, SubmitOrder
from execd.core.events import (
    CancelRefused,
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
from execd.venues import OpenOrder, VenueCaps, VenueError
from execd.venues.fuse import Fuse
from tests.sim.crew import Promise
from tests.sim.sea import Crash, Sea, Wreck
from tests.sim.venue import FOREIGN, Venue

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


class Wire:
    """The venue's adapter, as the hands call it, and its streams."""

    def __init__(self, sea: Sea, venue: Venue, validity: Nanos) -> None:
        self.sea, self.venue, self.validity = sea, venue, validity
        self.caps = VenueCaps(contiguous_trade_ids=True, own_prints=True, request_validity=validity)
        self.ear: Ear
        self.clock: Callable[[], Nanos]
        self.leaving: Callable[[SubmitOrder], None]
        """Told of each order in the moment in which it really leaves."""
        self.fuses: dict[str, Fuse] = {}
        self.up: dict[Channel, bool] = dict.fromkeys(Channel, False)
        self.outage_until = self.banned_until = 0
        self.living: dict[str, int] = {}  # orders that this life of the adapter has sent
        self._said: deque[Event] = deque(maxlen=10)
        self._fifo = 0
        venue.publish, venue.publish_surely = self.report, self.report_surely
        venue.heard = lambda: self.up[Channel.ACCOUNT]

    # -------------------------------------------------------------------------------------------------- requests

    async def submit(self, command: SubmitOrder) -> Event:
        """Send an order, once, if the fuse lets it pass."""
        if self.sea.strikes("crash before sending"):
            raise Crash
        now = self.clock()
        if now > command.valid_until:
            return OrderClosed(command.order, Lots(0), "expired: before it was sent")
        if (refusal := self._refusal(command, now)) is not None:
            return refusal
        self.leaving(command)
        answer = self._send(command, now)
        if self.sea.strikes("crash after sending"):
            raise Crash
        facts = await answer
        return self._noted(facts)[0]

    async def cancel(self, command: CancelOrder) -> Event:
        """Ask for an order's end."""
        order = command.order
        if order == FOREIGN:
            raise Wreck("an order that is not ours was canceled")
        refused = CancelRefused(order, "throttled: too many requests")
        answer = self._ask(lambda: [self.venue.cancel(order)], [OrderLost(order, "time-out of a cancel")], [refused])
        return self._noted(await answer)[0]

    async def query(self, command: QueryOrder) -> Event | None:
        """Ask for one order; None where there is no answer."""
        facts = self._noted(await self._ask(lambda: [self.venue.query(command.order)], [], []))
        return facts[0] if facts else None

    async def fills(self, command: ListFills) -> list[Event]:
        """List our fills; without a FillsListed the list is not whole."""
        begun = self.clock()
        return self._noted(await self._ask(lambda: self._list(command.since, begun), [], []))

    async def open_orders(self, symbol: str) -> list[OpenOrder]:
        """List what is open on the account, somebody else's order too.  Raises VenueError where there is no answer."""
        orders: list[OpenOrder] = await self._ask(lambda: self.venue.listed_open(symbol), [], [])
        if not orders:
            raise VenueError("no answer")
        return orders

    def _refusal(self, command: SubmitOrder, now: Nanos) -> Event | None:
        parent = command.order.rpartition("n")[0]
        fuse = self.fuses[parent]
        refusal = fuse.refusal(command, now)
        if fuse.blown is not None and parent not in self.venue.treacherous:
            raise Wreck(f"the fuse blew: {fuse.blown}")
        return refusal

    def _noted(self, facts: list[Event]) -> list[Event]:
        for fact in facts:
            self.note(fact)
        return facts

    def note(self, fact: Event) -> None:
        """Let the fuses learn from a fact that came."""
        for fuse in self.fuses.values():
            fuse.note(fact, self.clock())

    def _send(self, command: SubmitOrder, now: Nanos) -> Promise:
        self.living[command.order] = 1
        sea, call = self.sea, Promise()
        lost: list[Event] = [OrderLost(command.order, "time-out of a submit")]
        # The worst that a client may do: what it was given is on the wire only when it has just not expired.
        last = sea.now + command.valid_until - now + self.validity - JUST_BEFORE
        if sea.strikes("request lost"):
            sea.after(PATIENCE, call.settle, lost)
            return call
        arrival = sea.now + sea.latency()
        if sea.strikes("request expired"):
            arrival = last + sea.seconds(0, 20)
        elif sea.strikes("request late"):
            arrival = sea.now + int((last - sea.now) * sea.rng.random() ** 0.5)
        expired = arrival > last
        if not expired:
            self.venue.fly(command)
        sea.at(arrival, self._arrive, command, call, expired, True)
        if not expired and sea.strikes("request repeated"):
            sea.at(arrival + sea.latency(), self._arrive, command, Promise(), expired, False)
        self._doubt(call, lost)
        return call

    def _arrive(self, command: SubmitOrder, call: Promise, expired: bool, first: bool) -> None:
        """A submit reaches the venue, or the venue's closed door."""
        if first and not expired:
            self.venue.land(command)
        if self._dark() or (not first and command.order not in self.venue.held):
            return
        if self._unread():
            self._answer(call, [OrderClosed(command.order, Lots(0), "throttled: too many requests")])
        elif self._closed():
            self._answer(call, [OrderLost(command.order, "503")])
        elif expired:
            self._answer(call, [OrderClosed(command.order, Lots(0), "rejected: outside its validity")])
        else:
            self._answer(call, [self.venue.place(command, repeated=not first)])

    def _ask(self, act: Callable[[], list[Any]], lost: list[Event], refused: list[Event]) -> Promise:
        """A question, or a cancel: it may arrive late, twice or never."""
        sea, call = self.sea, Promise()
        self._doubt(call, lost)
        if sea.strikes("request lost"):
            return call
        delay = sea.seconds(0, 8) if sea.strikes("request late") else sea.latency()
        sea.after(delay, self._reach, act, call, lost, refused)
        if sea.strikes("request repeated"):
            sea.after(delay + sea.latency(), self._reach, act, Promise(), lost, refused)
        return call

    def _reach(self, act: Callable[[], list[Any]], call: Promise, lost: list[Event], refused: list[Event]) -> None:
        if self._dark():
            return
        if self._unread():
            self._answer(call, refused)
        elif self._closed():
            self._answer(call, lost)
        else:
            self._answer(call, act())

    def _answer(self, call: Promise, facts: list[Event]) -> None:
        if self.sea.strikes("answer lost") or self._dark():
            return
        delay = self.sea.seconds(0, 9.9) if self.sea.strikes("answer late") else self.sea.latency()
        self.sea.after(delay, call.settle, facts)

    def _doubt(self, call: Promise, lost: list[Event]) -> None:
        """The client's side of a call: a broken answer at once, or patience that ends."""
        if self.sea.strikes("answer broken"):
            self.sea.after(self.sea.latency(), call.settle, lost)
        self.sea.after(PATIENCE, call.settle, lost)

    def _list(self, since: int, begun: Nanos) -> list[Event]:
        if self.sea.strikes("list failed"):
            return []
        fills: list[Event] = [OrderFilled(fill) for fill in self.venue.listed(since)]
        if self.sea.strikes("list cut short"):
            return fills[: self.sea.rng.randint(0, len(fills))]
        return [*fills, FillsListed(begun)]

    def _dark(self) -> bool:
        return self.sea.now < min(self.outage_until, self.sea.calm_from)

    def _unread(self) -> bool:
        return self.sea.now < min(self.banned_until, self.sea.calm_from) or self.sea.strikes("request throttled")

    def _closed(self) -> bool:
        return self.sea.now < self.venue.shut_until

    # --------------------------------------------------------------------------------------------------- streams

    def report(self, fact: Event) -> None:
        """Send a report down the account stream."""
        sea = self.sea
        if not self.up[Channel.ACCOUNT] or sea.strikes("report lost"):
            return
        self._said.append(fact)
        # A stream keeps its order, unless the weather says otherwise.
        self._fifo = max(self._fifo, sea.now + sea.latency())
        late = sea.seconds(0, 30) if sea.strikes("report late") else 0
        sea.at(self._fifo + late, self.ear.hear, self.ear.life, fact)
        if sea.strikes("report repeated"):
            sea.at(self._fifo + sea.seconds(0, 30), self.ear.hear, self.ear.life, fact)

    def report_surely(self, fact: Event) -> None:
        """Send a report that no weather stops: what it tells can be learned in no other way."""
        self.sea.after(self.sea.latency(), self.ear.hear, self.ear.life, fact)

    def connect(self, clock: Callable[[], Nanos]) -> None:
        """A new process: nothing is up, nothing is known of earlier orders but their ids."""
        self.clock = clock
        self.living, self.fuses = {}, {}
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
        if missed is None or self._dark() or self._closed() or self._unread():
            self.up[channel] = False
            self.sea.after(2 * SECOND, self._restore, life, channel)
            return
        if channel is Channel.ACCOUNT and self.sea.strikes("stream replays"):
            missed = [*self._said, *missed]
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
