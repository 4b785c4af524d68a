"""The order path: submit, cancel, query, and the list of our own fills.

Promise: an order leaves at most once and only through the fuse, with no wait between the fuse's check and the send; its
outcome is one of three facts, and what nobody can know is `OrderLost`.  Every fact is shown to the fuse on its way out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from execd.core.commands import CancelOrder, ListFills, QueryOrder, SubmitOrder
from execd.core.events import (
    CancelRefused,
    Event,
    FillsListed,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    OrderMissing,
)
from execd.core.grid import Lots, Nanos
from execd.core.orders import OrderKind
from execd.venues import OpenOrder, VenueError, binance_rest
from execd.venues.ccxt_wire import Market, Wire, field, rows
from execd.venues.fuse import Fuse
from execd.venues.outcomes import Outcome, classify
from execd.venues.streams.binance_frames import Report
from execd.venues.streams.feed import NANOS_PER_MS

SEND_MARGIN = Nanos(20 * NANOS_PER_MS)
"""An order with less than this left of its validity is not sent."""

DAY_MS = 86_400_000
"""The longest span of one question about our own trades."""

DAYS_MAX = 35
"""How many days back our own trades are listed."""

LISTING_OVERLAP_MS = 1_000
"""How far before the moment asked for the list begins: the venue's clock is not quite ours."""


class OrderPath:
    """Our orders on one account.

    `living` maps the client ids of orders that may be open to their symbols; `foreign` counts fills and reports of
    orders that are not ours.
    """

    def __init__(self, wire: Wire, fuse: Fuse | None) -> None:
        self.living: dict[str, str] = {}
        self.foreign = 0
        self._wire, self._fuse = wire, fuse
        self._client_ids: dict[str, str] = {}  # by the venue's order id

    def arm(self, fuse: Fuse) -> None:
        """Give the account its fuse.  Before this no order can be sent."""
        self._fuse = fuse

    async def submit(self, command: SubmitOrder) -> OrderAccepted | OrderClosed | OrderLost:
        """Send an order, once.  Never raises but CancelledError; never retries."""
        now = self._wire.clock()
        refusal = self._refusal(command, now)
        if refusal is not None:
            return refusal
        # From here to the send nothing waits: the fuse's word holds for this very moment.
        self.living[command.order] = command.symbol
        try:
            async with asyncio.timeout(self._wire.timeout_s):
                reply = await self._wire.trading.create_order(*self._order(command), self._params(command, now))
            return self._read(reply, command.order, command.symbol)
        except Exception as error:  # ccxt's parsers raise anything for nonsense
            if classify(error) is Outcome.REFUSED:
                refused = OrderClosed(command.order, Lots(0), self._wire.why(error))
                self._note(refused, command.symbol)
                return refused
            return OrderLost(command.order, self._wire.why(error))

    async def cancel(self, command: CancelOrder) -> OrderClosed | CancelRefused | OrderLost:
        """Ask for an order's end.  `OrderClosed` only with the venue's final count."""
        params = {str(self._wire.known.cancel_id): command.order}
        try:
            async with asyncio.timeout(self._wire.timeout_s):
                reply = await self._wire.trading.cancel_order(None, command.symbol, params)
            fact = self._read(reply, command.order, command.symbol, canceled=True)
        except Exception as error:  # as in submit
            if classify(error) is Outcome.UNKNOWN:
                return OrderLost(command.order, self._wire.why(error))
            return CancelRefused(command.order, self._wire.why(error))
        if isinstance(fact, OrderClosed):
            return fact
        return CancelRefused(command.order, "pending: the venue took the cancel but the order is still open")

    async def query(self, command: QueryOrder) -> OrderAccepted | OrderClosed | OrderMissing | None:
        """Ask for one order by our id.  None: no usable answer, ask again later."""
        params = {str(self._wire.known.query_id): command.order}
        try:
            async with asyncio.timeout(self._wire.timeout_s):
                reply = await self._wire.trading.fetch_order(None, command.symbol, params)
            return self._read(reply, command.order, command.symbol)
        except Exception as error:  # as in submit
            if classify(error) is not Outcome.NOT_FOUND:
                return None
            missing = OrderMissing(command.order)
            self._note(missing, command.symbol)
            return missing

    async def fills(self, command: ListFills) -> Sequence[OrderFilled | FillsListed]:
        """Our fills since a moment, of every order on the symbol that is ours, ended by FillsListed; empty: failed."""
        through = self._wire.clock()
        facts: list[OrderFilled] = []
        try:
            market = self._wire.market(command.symbol)
            for row in await self._own_trades(market, command.since):
                order = await self._client_id(market, field(row, "orderId"))
                if self._ours(order):
                    facts.append(OrderFilled(binance_rest.fill(row, order, market.grid)))
                else:
                    self.foreign += 1
        except (VenueError, ValueError):
            return ()
        for fact in facts:
            self._note(fact, command.symbol)
        return (*facts, FillsListed(through))

    async def open_orders(self, symbol: str) -> Sequence[OpenOrder]:
        """All open orders on the symbol, foreign ones too.  Raises VenueError."""
        request = {"symbol": self._wire.market(symbol).id}
        answer = await self._wire.ask("open orders", self._wire.trading.private_get_openorders(request))
        form = self._wire.form()
        orders = [
            OpenOrder(field(row, form.client_id), field(row, form.venue_id), symbol)
            for row in rows(answer, "open orders")
        ]
        self._client_ids.update((order.venue_id, order.client_id) for order in orders)
        return orders

    async def catch_up(self, symbol: str, since: Nanos) -> Sequence[Event]:
        """What became of our orders since a moment, fills first.  Raises VenueError where it cannot be known."""
        states: list[Event] = []
        for order in [order for order, where in self.living.items() if where == symbol]:
            answer = await self.query(QueryOrder(order, symbol))
            if answer is None:
                raise VenueError(f"{order} could not be queried")
            # That the venue does not know it means nothing unless the core asked: only it knows since when.
            if not isinstance(answer, OrderMissing):
                states.append(answer)
        # Listed after the states, so that the fills of a closed order are all there.
        listed = await self.fills(ListFills(symbol, since))
        if not listed:
            raise VenueError("own fills could not be listed")
        return [*(fact for fact in listed if isinstance(fact, OrderFilled)), *states]

    def heard(self, report: Report, symbol: str) -> bool:
        """Take note of a report from the stream; False if it is about an order that is not ours."""
        if not self._ours(report.order):
            self.foreign += 1
            return False
        self._client_ids[report.venue_id] = report.order
        for fact in report.facts:
            self._note(fact, symbol)
        return True

    def _refusal(self, command: SubmitOrder, now: Nanos) -> OrderClosed | OrderLost | None:
        """Why an order must not leave; None once the fuse has let it pass and counted it."""
        why = self._unfit(command, now)
        if why is not None or self._fuse is None:
            return OrderClosed(command.order, Lots(0), why or "refused: there is no fuse")
        return self._fuse.refusal(command, now)

    def _unfit(self, command: SubmitOrder, now: Nanos) -> str | None:
        wire = self._wire
        if wire.credentials is None or not wire.known.proven:
            return f"refused: no order can be sent to {wire.known.exchange} as it was opened"
        if not wire.opened(command.symbol):
            return f"refused: {command.symbol} was not opened"
        if now > command.valid_until - SEND_MARGIN:
            return "expired: before it was sent"
        _, _, _, quantity, price = self._order(command)
        try:
            # ccxt rounds what it is given, half up; it must find nothing to round.
            as_sent = (
                wire.trading.amount_to_precision(command.symbol, quantity),
                wire.trading.price_to_precision(command.symbol, price),
            )
        except Exception as error:  # as in submit; nothing was sent yet
            return wire.why(error)
        if (Decimal(as_sent[0]), Decimal(as_sent[1])) != (Decimal(quantity), Decimal(price)):
            return f"precision: {quantity} at {price} would leave as {as_sent[0]} at {as_sent[1]}"
        return None

    def _order(self, command: SubmitOrder) -> tuple[str, str, str, str, str]:
        instrument = self._wire.market(command.symbol).instrument
        quantity, price = instrument.quantity(command.quantity), instrument.price(command.limit)
        return command.symbol, "limit", command.side.value, format(quantity, "f"), format(price, "f")

    def _params(self, command: SubmitOrder, now: Nanos) -> dict[str, Any]:
        # The venue drops a request after timestamp + recvWindow: that is what makes an order's validity end.
        left_ms = (command.valid_until - now) // NANOS_PER_MS
        how = {"postOnly": True} if command.kind is OrderKind.REST else {"timeInForce": "IOC"}
        return {
            str(self._wire.known.create_id): command.order,
            "timestamp": (now + self._wire.offset) // NANOS_PER_MS,
            "recvWindow": min(self._wire.recv_window_ms, left_ms),
            **how,
            **self._wire.known.self_trade,
        }

    def _read(self, reply: Any, order: str, symbol: str, *, canceled: bool = False) -> OrderAccepted | OrderClosed:
        raw = reply.get("info") if isinstance(reply, dict) else None
        grid = self._wire.market(symbol).grid
        report = binance_rest.order_report(raw, self._wire.form(), grid, canceled=canceled)
        if report.order != order:
            raise ValueError("the reply is about another order")
        self._client_ids[report.venue_id] = order
        fact = report.fact
        self._note(fact, symbol)
        return fact

    def _note(self, fact: Event, symbol: str) -> None:
        """Remember a fact on its way out, and let the fuse learn from it."""
        if isinstance(fact, OrderAccepted):
            self.living[fact.order] = symbol
        elif isinstance(fact, OrderClosed):
            self.living.pop(fact.order, None)
        if self._fuse is not None:
            self._fuse.note(fact, self._wire.clock())

    def _ours(self, order: str) -> bool:
        return self._fuse is not None and self._fuse.owns(order)

    async def _client_id(self, market: Market, venue_id: str) -> str:
        """The client id of an order that the venue names by its own.  Raises VenueError."""
        known = self._client_ids.get(venue_id)
        if known is None:
            request = {"symbol": market.id, "orderId": venue_id}
            answer = await self._wire.ask("an order of ours", self._wire.trading.private_get_order(request))
            known = self._client_ids[venue_id] = field(answer, self._wire.form().client_id)
        return known

    async def _own_trades(self, market: Market, since: Nanos) -> list[Any]:
        """Rows of our own trades since a moment, ascending.  Raises VenueError."""
        start = (since + self._wire.offset) // NANOS_PER_MS - LISTING_OVERLAP_MS
        now = self._wire.venue_ms()
        if now - start > DAYS_MAX * DAY_MS:
            raise VenueError(f"own trades are listed for at most {DAYS_MAX} days")
        while start <= now:
            end = start + DAY_MS - 1
            page = await self._own_page(market, startTime=start, endTime=end)
            while len(page) >= binance_rest.PAGE and end - start > 1:
                # More than a page: which of them were left out is not documented.  Ask for less, then go on by id.
                end = start + (end - start) // 2
                page = await self._own_page(market, startTime=start, endTime=end)
            if page:
                return await self._onward(market, page)
            # The windows share a millisecond: a venue that keeps finer times might count its end to neither of two.
            start = end
        return []

    async def _onward(self, market: Market, found: list[Any]) -> list[Any]:
        """All our trades from a page on, by id: complete whatever the page left out after its last."""
        first = min(int(field(row, "id")) for row in found)
        listed: list[Any] = []
        while True:
            page = await self._own_page(market, fromId=first)
            listed += page
            if len(page) < binance_rest.PAGE:
                return listed
            onward = 1 + max(int(field(row, "id")) for row in page)
            if onward <= first:
                raise VenueError("own trades by id do not go on from where they were asked for")
            first = onward

    async def _own_page(self, market: Market, **which: int) -> list[Any]:
        request = {"symbol": market.id, "limit": binance_rest.PAGE, **which}
        return rows(await self._wire.ask("own trades", self._wire.trading.private_get_mytrades(request)), "own trades")
