"""What the exchange remembers of the user's orders and fills: everything, found by id, client id or time.

Promise: a client id is unique among open orders only, as on Binance: a closed order's may be used again, and then
finds the newest.
"""

from __future__ import annotations

from collections.abc import Iterable

from execd.core.grid import Nanos
from execd.exchange.records import Execution, Order


class Ledger:
    """Orders and executions per symbol, oldest first."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self._orders: dict[str, dict[int, Order]] = {symbol: {} for symbol in symbols}
        self._open: dict[str, dict[int, Order]] = {symbol: {} for symbol in self._orders}
        self._newest: dict[tuple[str, str], Order] = {}
        self._fills: dict[str, list[Execution]] = {symbol: [] for symbol in self._orders}

    def add(self, order: Order) -> None:
        """Remember a new order."""
        self._orders[order.symbol][order.id] = order
        self._open[order.symbol][order.id] = order
        self._newest[order.symbol, order.client_id] = order

    def close(self, order: Order) -> None:
        """The order can trade no more."""
        del self._open[order.symbol][order.id]

    def filled(self, symbol: str, execution: Execution) -> None:
        """Remember a fill."""
        self._fills[symbol].append(execution)

    def find(self, symbol: str, order_id: int | None, client_id: str | None) -> Order | None:
        """The order with these ids (both, where both are given), the newest of a client id."""
        found = (
            self._orders[symbol].get(order_id)
            if order_id is not None
            else self._newest.get((symbol, client_id if client_id is not None else ""))
        )
        if found is not None and client_id is not None and found.client_id != client_id:
            return None
        return found

    def open_orders(self, symbol: str | None) -> list[Order]:
        """Orders that may still trade, of one symbol or of all."""
        if symbol is not None:
            return list(self._open[symbol].values())
        return [order for orders in self._open.values() for order in orders.values()]

    def count_open(self, symbol: str) -> int:
        """How many orders of a symbol may still trade."""
        return len(self._open[symbol])

    def taken(self, client_id: str) -> bool:
        """Whether an open order has this client id."""
        return any(
            (order := self._newest.get((symbol, client_id))) is not None and order.open for symbol in self._orders
        )

    def orders(
        self, symbol: str, order_id: int | None, start: Nanos | None, end: Nanos | None, limit: int
    ) -> list[Order]:
        """Orders from an id on, or of a span of time, or the last ones."""
        found = [
            order
            for order in self._orders[symbol].values()
            if (order_id is None or order.id >= order_id) and _within(order.created, start, end)
        ]
        return found[-limit:] if order_id is None and start is None else found[:limit]

    def executions(
        self,
        symbol: str,
        *,
        order_id: int | None,
        from_id: int | None,
        start: Nanos | None,
        end: Nanos | None,
        limit: int,
    ) -> list[Execution]:
        """Fills of an order, from a trade id on, or of a span of time, or the last ones."""
        found = [
            fill
            for fill in self._fills[symbol]
            if (order_id is None or fill.order_id == order_id)
            and (from_id is None or fill.trade_id >= from_id)
            and _within(fill.at, start, end)
        ]
        return found[-limit:] if from_id is None and start is None else found[:limit]


def _within(moment: Nanos, start: Nanos | None, end: Nanos | None) -> bool:
    return (start is None or moment >= start) and (end is None or moment <= end)
