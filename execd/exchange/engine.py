"""The engine of the practice exchange: users' orders against the market, by Binance Spot's rules.

Promise: pure and synchronous.  Time is an argument, chance comes from the market model's seed, prices and quantities
are whole ticks and lots.  What happened is told by `happenings`, in order; what is refused raises ExchangeRefusal with
Binance's code and leaves everything as it was.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.exchange.accounts import Account, commission, locked_by
from execd.exchange.book import Entry
from execd.exchange.filters import OWN_IN_THE_WAY, check_filters, check_shape, required
from execd.exchange.floor import Pit, TradingFloor
from execd.exchange.ledger import Ledger
from execd.exchange.market import RULES, MarketModel, Quote, SymbolRules
from execd.exchange.records import (
    AggTrade,
    BookChanged,
    ExchangeRefusal,
    Execution,
    Happening,
    Order,
    OrderReported,
    PublicTrade,
    TradeMade,
)

__all__ = [
    "RULES",
    "AggTrade",
    "BookChanged",
    "Engine",
    "ExchangeRefusal",
    "Execution",
    "Happening",
    "Order",
    "OrderReported",
    "PublicTrade",
    "Quote",
    "SymbolRules",
    "TradeMade",
]

MILLISECOND = 1_000_000
USER = "user"


class Engine:
    """One exchange with one user account.

    Attributes:
        rules: Symbol to its rules.
        account_id: The account's uid; another exchange (another seed or opening time) has another.
        opened: When the exchange opened.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        *,
        market: MarketModel,
        now: Nanos,
        maker_fee: Decimal,
        taker_fee: Decimal,
        balances: Mapping[str, Decimal],
    ) -> None:
        self.rules: dict[str, SymbolRules] = {symbol: market.rules(symbol) for symbol in symbols}
        self.account_id = random.Random(f"{market.seed}:{now}").randrange(10**8, 10**9)  # noqa: S311
        self.opened = now
        self.maker_fee = maker_fee
        self.taker_fee = taker_fee
        self._market = market
        self._now = now
        self._account = Account(balances)
        self._ledger = Ledger(symbols)
        self._entries: dict[int, Entry] = {}
        # Ids begin where no exchange that opened earlier has come to: none makes a thousand a second.
        self._floor = TradingFloor(list(self.rules.values()), now // MILLISECOND, self._settle, market.taken)
        market.open(now, symbols, self._floor)
        self._floor.flush(now)
        self.happenings()

    # ------------------------------------------------------------------------------------------------------- orders

    def place(
        self,
        now: Nanos,
        symbol: str,
        side: Side,
        type: str,  # noqa: A002 - the wire's own name
        tif: str,
        quantity: Lots,
        price: Ticks,
        client_id: str,
        stp: str = "EXPIRE_MAKER",
        quote_quantity: int | None = None,
    ) -> Order:
        """Place an order and match it.

        Args:
            now: The exchange's time.
            symbol: As BTC/USDT.
            side: The order's side.
            type: LIMIT, MARKET or LIMIT_MAKER.
            tif: GTC, IOC or FOK; read for LIMIT only.
            quantity: Lots; 0 with `quote_quantity`.
            price: Ticks; 0 for MARKET.
            client_id: Unique among open orders.
            stp: NONE, EXPIRE_TAKER, EXPIRE_MAKER or EXPIRE_BOTH.
            quote_quantity: For MARKET instead of `quantity`: ticks times lots to spend or to get.

        Returns:
            The order itself, as it stands after matching; it changes as it trades.

        Raises:
            ExchangeRefusal: The order is not accepted; nothing has changed.
        """
        pit = self._pit(symbol)
        order = self._draft(now, symbol, side, type, tif, quantity, price, client_id, stp, quote_quantity)
        self.advance(now)
        self._check(pit, order)
        order.id = self._floor.new_order_id()
        if order.type != "MARKET":
            self._account.lock(*locked_by(pit.rules, order, order.quantity))
        self._ledger.add(order)
        self._report(order, "NEW")
        self._execute(pit, order)
        self._floor.flush(now)
        return order

    def test(
        self,
        now: Nanos,
        symbol: str,
        side: Side,
        type: str,  # noqa: A002 - the wire's own name
        tif: str,
        quantity: Lots,
        price: Ticks,
        client_id: str,
        stp: str = "EXPIRE_MAKER",
        quote_quantity: int | None = None,
    ) -> None:
        """Check an order as `place` would, and forget it.  Raises ExchangeRefusal."""
        pit = self._pit(symbol)
        self._check(pit, self._draft(now, symbol, side, type, tif, quantity, price, client_id, stp, quote_quantity))

    def cancel(
        self,
        now: Nanos,
        symbol: str,
        *,
        order_id: int | None = None,
        client_id: str | None = None,
        new_client_id: str | None = None,
    ) -> Order:
        """End an open order.  Raises ExchangeRefusal -2011 where there is none."""
        pit = self._pit(symbol)
        self.advance(now)
        order = self._ledger.find(symbol, order_id, client_id)
        if order is None or not order.open:
            raise ExchangeRefusal(-2011, "Unknown order sent.")
        self._withdraw(pit, order, "CANCELED", "CANCELED", new_client_id)
        self._floor.flush(now)
        return order

    def cancel_all(self, now: Nanos, symbol: str) -> list[Order]:
        """End all open orders of a symbol.  Raises ExchangeRefusal -2011 where there is none."""
        self._pit(symbol)
        self.advance(now)
        orders = self._ledger.open_orders(symbol)
        if not orders:
            raise ExchangeRefusal(-2011, "Unknown order sent.")
        return [self.cancel(now, symbol, order_id=order.id) for order in orders]

    def order(self, symbol: str, *, order_id: int | None = None, client_id: str | None = None) -> Order:
        """An order by its id or client id.  Raises ExchangeRefusal -2013 where there is none."""
        self._pit(symbol)
        found = self._ledger.find(symbol, order_id, client_id)
        if found is None:
            raise ExchangeRefusal(-2013, "Order does not exist.")
        return found

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Orders that may still trade, oldest first, of one symbol or of all."""
        if symbol is not None:
            self._pit(symbol)
        return self._ledger.open_orders(symbol)

    def all_orders(
        self,
        symbol: str,
        *,
        order_id: int | None = None,
        start: Nanos | None = None,
        end: Nanos | None = None,
        limit: int = 500,
    ) -> list[Order]:
        """Orders from an id on, or created in a span (both ends included), or the last ones; oldest first."""
        self._pit(symbol)
        return self._ledger.orders(symbol, order_id, start, end, limit)

    def my_trades(
        self,
        symbol: str,
        *,
        order_id: int | None = None,
        from_id: int | None = None,
        start: Nanos | None = None,
        end: Nanos | None = None,
        limit: int = 500,
    ) -> list[Execution]:
        """Own fills of an order, from a trade id on, or in a span, or the last ones; oldest first."""
        self._pit(symbol)
        return self._ledger.executions(symbol, order_id=order_id, from_id=from_id, start=start, end=end, limit=limit)

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Asset to (free, locked), exact."""
        return self._account.balances()

    # ------------------------------------------------------------------------------------------------------- market

    def trades(self, symbol: str, *, from_id: int | None = None, limit: int = 500) -> list[PublicTrade]:
        """Public trades from an id on, or the last ones; oldest first."""
        return self._pit(symbol).history.trades(from_id, limit)

    def agg_trades(
        self,
        symbol: str,
        *,
        from_id: int | None = None,
        start: Nanos | None = None,
        end: Nanos | None = None,
        limit: int = 500,
    ) -> list[AggTrade]:
        """Aggregate trades from an id on, or in a span (both ends included), or the last ones; oldest first."""
        return self._pit(symbol).history.aggregates(from_id, start, end, limit)

    def depth(self, symbol: str, limit: int) -> tuple[int, list[tuple[Ticks, Lots]], list[tuple[Ticks, Lots]]]:
        """The last update id, and the best bids and asks with their sizes."""
        pit = self._pit(symbol)
        return pit.update_id, pit.book.depth(Side.BUY, limit), pit.book.depth(Side.SELL, limit)

    def best(self, symbol: str) -> Quote:
        """Best bid and ask; price 0 and size 0 where a side is empty."""
        book = self._pit(symbol).book
        bid = (*book.depth(Side.BUY, 1), (Ticks(0), Lots(0)))[0]
        ask = (*book.depth(Side.SELL, 1), (Ticks(0), Lots(0)))[0]
        return Quote(*bid, *ask)

    def klines(
        self,
        symbol: str,
        interval_ns: int,
        start: Nanos | None = None,
        end: Nanos | None = None,
        limit: int = 500,
    ) -> list[list[int]]:
        """Klines, oldest first; see `klines.Klines.answer`."""
        return self._pit(symbol).klines.answer(Nanos(interval_ns), self._now, start=start, end=end, limit=limit)

    def advance(self, now: Nanos) -> None:
        """Let the market act up to now."""
        self._market.catch_up(now)
        while (due := self._market.next_at()) is not None and due <= now:
            # Users' orders are reported with the time of what filled them.
            self._now = max(self._now, due)
            self._market.act()
            self._floor.flush(self._now)
        self._now = max(self._now, now)

    def next_at(self) -> Nanos | None:
        """When the market wants to act next; None where it never will."""
        return self._market.next_at()

    def happenings(self) -> list[Happening]:
        """What happened since this was last asked, in order."""
        told = self._floor.happenings
        self._floor.happenings = []
        return told

    # -------------------------------------------------------------------------------------------------------- inside

    def _pit(self, symbol: str) -> Pit:
        pit = self._floor.pits.get(symbol)
        if pit is None:
            raise ExchangeRefusal(-1121, "Invalid symbol.")
        return pit

    def _draft(
        self,
        now: Nanos,
        symbol: str,
        side: Side,
        kind: str,
        tif: str,
        quantity: Lots,
        price: Ticks,
        client_id: str,
        stp: str,
        quote_quantity: int | None,
    ) -> Order:
        tif = tif if kind == "LIMIT" else "GTC"
        price = price if kind != "MARKET" else Ticks(0)
        order = Order(0, client_id, USER, symbol, side, kind, tif, price, quantity, stp, now, now)
        order.quote_quantity = quote_quantity if kind == "MARKET" else None
        return order

    def _check(self, pit: Pit, order: Order) -> None:
        check_shape(order)
        last = pit.history.last
        check_filters(pit.rules, order, None if last is None else last.price, self._ledger.count_open(order.symbol))
        if self._ledger.taken(order.client_id):
            raise ExchangeRefusal(-2010, "Duplicate order sent.")
        if order.type == "LIMIT_MAKER" and pit.book.crosses(order.side, order.price):
            raise ExchangeRefusal(-2010, "Order would immediately match and take.")
        self._account.require(*required(pit.rules, order, pit.book))

    def _execute(self, pit: Pit, order: Order) -> None:
        own = OWN_IN_THE_WAY[order.stp]
        if order.quote_quantity is not None:
            order.quantity, _ = pit.book.plan(order.side, limit=None, lots=None, budget=order.quote_quantity, own=own)
        if order.tif == "FOK":
            lots, _ = pit.book.plan(order.side, limit=order.price, lots=order.quantity, own=own)
            if lots < order.quantity:
                self._end(pit, order, "EXPIRED", "EXPIRED")
                return
        self._match(pit, order)
        if not order.open:
            return
        if order.type == "MARKET" or order.tif != "GTC":
            self._end(pit, order, "EXPIRED", "EXPIRED")
            return
        entry = self._entries[order.id] = Entry(order.id, order.remaining, order)
        pit.book.join(order.side, order.price, entry)

    def _match(self, pit: Pit, order: Order) -> None:
        sign = order.side.sign
        while order.open and order.remaining and (front := pit.book.front(order.side.opposite)) is not None:
            level, entry = front
            if order.type != "MARKET" and level.price * sign > order.price * sign:
                return
            if entry.order is not None and order.stp != "NONE":
                if order.stp != "EXPIRE_TAKER":
                    self._withdraw(pit, entry.order, "EXPIRED_IN_MATCH", "TRADE_PREVENTION")
                if order.stp != "EXPIRE_MAKER":
                    self._end(pit, order, "EXPIRED_IN_MATCH", "TRADE_PREVENTION")
                continue
            lots = min(order.remaining, entry.left)
            self._floor.trade(self._now, pit, order.side, level, entry, lots, order.id, order)

    def _withdraw(self, pit: Pit, order: Order, status: str, told: str, cancel_client_id: str | None = None) -> None:
        pit.book.withdraw(order.side, order.price, self._entries.pop(order.id))
        self._end(pit, order, status, told, cancel_client_id)

    def _end(self, pit: Pit, order: Order, status: str, told: str, cancel_client_id: str | None = None) -> None:
        if order.type != "MARKET":
            self._account.unlock(*locked_by(pit.rules, order, order.remaining))
        order.status = status
        order.updated = self._now
        self._ledger.close(order)
        self._report(order, told, cancel_client_id=cancel_client_id)

    def _settle(self, order: Order, trade: PublicTrade, is_maker: bool) -> None:  # noqa: FBT001
        """Exchange the money of a fill, and tell."""
        rules = self.rules[order.symbol]
        if order.type != "MARKET":
            self._account.unlock(*locked_by(rules, order, trade.quantity))
        base, quote = rules.quantity(trade.quantity), rules.money(trade.price * trade.quantity)
        buying = order.side is Side.BUY
        (paid, price), (got, asset) = (
            ((quote, rules.quote), (base, rules.base)) if buying else ((base, rules.base), (quote, rules.quote))
        )
        fee = commission(got, self.maker_fee if is_maker else self.taker_fee)
        self._account.pay(price, paid)
        self._account.receive(asset, got - fee)
        execution = Execution(trade.id, order.id, trade.price, trade.quantity, trade.at, is_maker, fee, asset, buying)
        order.filled = Lots(order.filled + trade.quantity)
        order.quote_filled += trade.price * trade.quantity
        order.status = "PARTIALLY_FILLED" if order.remaining else "FILLED"
        order.updated = trade.at
        order.fills.append(execution)
        self._ledger.filled(order.symbol, execution)
        if not order.remaining:
            self._ledger.close(order)
            self._entries.pop(order.id, None)
        self._report(order, "TRADE", execution)

    def _report(
        self, order: Order, told: str, execution: Execution | None = None, *, cancel_client_id: str | None = None
    ) -> None:
        copy = replace(order, fills=list(order.fills))
        self._floor.happenings.append(OrderReported(copy, told, execution, order.updated, cancel_client_id))
