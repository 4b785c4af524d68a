"""What Binance's JSON looks like: every shape that leaves the practice exchange, from the engine's records.

Promise: prices and quantities are exact decimal strings, times are milliseconds (or microseconds where the
client asked), and the field names, their order and their spelling ("cummulativeQuoteQty") are Binance's.
Sources: binance-spot-api-docs, rest-api.md, web-socket-streams.md, user-data-stream.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

import msgspec

from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.exchange.engine import (
    AggTrade,
    BookChanged,
    Execution,
    Order,
    OrderReported,
    PublicTrade,
    SymbolRules,
)
from execd.exchange.market import Quote, decimal_string

Json: TypeAlias = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None
Levels: TypeAlias = Sequence[tuple[Ticks, Lots]]

NO_LIST = -1
ZERO = "0.00000000"
NOTHING = Decimal(0)
encode = msgspec.json.Encoder().encode


class TimeUnit(Enum):
    """What one unit of a timestamp on the wire is, in nanoseconds."""

    MILLISECOND = 1_000_000
    MICROSECOND = 1_000

    def of(self, at: int) -> int:
        """A moment in this unit."""
        return at // self.value

    def last_before(self, at: int) -> int:
        """The last whole unit before a moment: how Binance writes the end of a candle."""
        return at // self.value - 1


def side_name(side: Side) -> str:
    """BUY or SELL."""
    return side.name


# ---- market data


def trade(rules: SymbolRules, made: PublicTrade, unit: TimeUnit) -> Json:
    """One row of /trades."""
    return {
        "id": made.id,
        "price": rules.price_string(made.price),
        "qty": rules.quantity_string(made.quantity),
        "quoteQty": rules.money_string(made.price * made.quantity),
        "time": unit.of(made.at),
        "isBuyerMaker": made.buyer_is_maker,
        "isBestMatch": True,
    }


def trade_event(rules: SymbolRules, made: PublicTrade, now: Nanos, unit: TimeUnit) -> Json:
    """<symbol>@trade."""
    return {
        "e": "trade",
        "E": unit.of(now),
        "s": rules.code,
        "t": made.id,
        "p": rules.price_string(made.price),
        "q": rules.quantity_string(made.quantity),
        "T": unit.of(made.at),
        "m": made.buyer_is_maker,
        "M": True,
    }


def agg_trade(rules: SymbolRules, made: AggTrade, unit: TimeUnit) -> dict[str, Json]:
    """One row of /aggTrades."""
    return {
        "a": made.id,
        "p": rules.price_string(made.price),
        "q": rules.quantity_string(made.quantity),
        "f": made.first_trade,
        "l": made.last_trade,
        "T": unit.of(made.at),
        "m": made.buyer_is_maker,
        "M": True,
    }


def agg_trade_event(rules: SymbolRules, made: AggTrade, now: Nanos, unit: TimeUnit) -> Json:
    """<symbol>@aggTrade."""
    return {"e": "aggTrade", "E": unit.of(now), "s": rules.code, **agg_trade(rules, made, unit)}


def levels(rules: SymbolRules, side: Levels) -> Json:
    """One side of a book: price and size, best first."""
    return [[rules.price_string(price), rules.quantity_string(size)] for price, size in side]


def depth(rules: SymbolRules, update_id: int, bids: Levels, asks: Levels) -> Json:
    """/depth, and <symbol>@depth5 and its like."""
    return {"lastUpdateId": update_id, "bids": levels(rules, bids), "asks": levels(rules, asks)}


def depth_event(rules: SymbolRules, change: BookChanged, now: Nanos, unit: TimeUnit) -> Json:
    """<symbol>@depth."""
    return {
        "e": "depthUpdate",
        "E": unit.of(now),
        "s": rules.code,
        "U": change.first_update_id,
        "u": change.last_update_id,
        "b": levels(rules, change.bids),
        "a": levels(rules, change.asks),
    }


def book_ticker(rules: SymbolRules, best: Quote) -> Json:
    """/ticker/bookTicker."""
    return {
        "symbol": rules.code,
        "bidPrice": rules.price_string(best.bid),
        "bidQty": rules.quantity_string(best.bid_size),
        "askPrice": rules.price_string(best.ask),
        "askQty": rules.quantity_string(best.ask_size),
    }


def book_ticker_event(rules: SymbolRules, best: Quote, update_id: int) -> Json:
    """<symbol>@bookTicker."""
    return {
        "u": update_id,
        "s": rules.code,
        "b": rules.price_string(best.bid),
        "B": rules.quantity_string(best.bid_size),
        "a": rules.price_string(best.ask),
        "A": rules.quantity_string(best.ask_size),
    }


# ---- orders


def _quote_budget(rules: SymbolRules, order: Order) -> str:
    return ZERO if order.quote_quantity is None else rules.money_string(order.quote_quantity)


def _order_core(rules: SymbolRules, order: Order) -> dict[str, Json]:
    return {
        "price": rules.price_string(order.price),
        "origQty": rules.quantity_string(order.quantity),
        "executedQty": rules.quantity_string(order.filled),
        "origQuoteOrderQty": _quote_budget(rules, order),
        "cummulativeQuoteQty": rules.money_string(order.quote_filled),
        "status": order.status,
        "timeInForce": order.tif,
        "type": order.type,
        "side": side_name(order.side),
    }


def acknowledged(rules: SymbolRules, order: Order, unit: TimeUnit) -> dict[str, Json]:
    """The answer to a new order, newOrderRespType ACK."""
    return {
        "symbol": rules.code,
        "orderId": order.id,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_id,
        "transactTime": unit.of(order.updated),
    }


def placed(rules: SymbolRules, order: Order, unit: TimeUnit) -> dict[str, Json]:
    """The answer to a new order, newOrderRespType RESULT."""
    return {
        **acknowledged(rules, order, unit),
        **_order_core(rules, order),
        "workingTime": unit.of(order.created),
        "selfTradePreventionMode": order.stp,
    }


def placed_with_fills(rules: SymbolRules, order: Order, unit: TimeUnit) -> dict[str, Json]:
    """The answer to a new order, newOrderRespType FULL."""
    fills: list[Json] = [
        {
            "price": rules.price_string(fill.price),
            "qty": rules.quantity_string(fill.quantity),
            "commission": decimal_string(fill.commission),
            "commissionAsset": fill.commission_asset,
            "tradeId": fill.trade_id,
        }
        for fill in order.fills
    ]
    return {**placed(rules, order, unit), "fills": fills}


def canceled(rules: SymbolRules, order: Order, cancel_client_id: str, unit: TimeUnit) -> dict[str, Json]:
    """The answer to a cancel: `clientOrderId` is the cancel's own id."""
    return {
        "symbol": rules.code,
        "origClientOrderId": order.client_id,
        "orderId": order.id,
        "orderListId": NO_LIST,
        "clientOrderId": cancel_client_id,
        "transactTime": unit.of(order.updated),
        **_order_core(rules, order),
        "selfTradePreventionMode": order.stp,
    }


def queried(rules: SymbolRules, order: Order, unit: TimeUnit) -> dict[str, Json]:
    """An order as GET /order and the order lists tell it."""
    return {
        "symbol": rules.code,
        "orderId": order.id,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_id,
        **_order_core(rules, order),
        "stopPrice": ZERO,
        "icebergQty": ZERO,
        "time": unit.of(order.created),
        "updateTime": unit.of(order.updated),
        "isWorking": True,
        "workingTime": unit.of(order.created),
        "selfTradePreventionMode": order.stp,
    }


def my_trade(rules: SymbolRules, fill: Execution, unit: TimeUnit) -> Json:
    """One row of /myTrades."""
    return {
        "symbol": rules.code,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": NO_LIST,
        "price": rules.price_string(fill.price),
        "qty": rules.quantity_string(fill.quantity),
        "quoteQty": rules.money_string(fill.price * fill.quantity),
        "commission": decimal_string(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": unit.of(fill.at),
        "isBuyer": fill.is_buyer,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


# ---- user events


def execution_report(
    rules: SymbolRules, report: OrderReported, now: Nanos, execution_id: int, unit: TimeUnit
) -> dict[str, Json]:
    """The user event `executionReport`: on a cancel `c` is the cancel's id and `C` the order's own."""
    order = report.order
    by_cancel = report.cancel_client_id
    return {
        "e": "executionReport",
        "E": unit.of(now),
        "s": rules.code,
        "c": order.client_id if by_cancel is None else by_cancel,
        "S": side_name(order.side),
        "o": order.type,
        "f": order.tif,
        "q": rules.quantity_string(order.quantity),
        "p": rules.price_string(order.price),
        "P": ZERO,
        "F": ZERO,
        "g": NO_LIST,
        "C": "" if by_cancel is None else order.client_id,
        "x": report.execution_type,
        "X": order.status,
        "r": "NONE",
        "i": order.id,
        **_last_fill(rules, report.execution),
        "z": rules.quantity_string(order.filled),
        "T": unit.of(report.at),
        "I": execution_id,
        "w": order.open and order.type != "MARKET" and report.execution_type == "NEW",
        "M": False,
        "O": unit.of(order.created),
        "Z": rules.money_string(order.quote_filled),
        "Q": _quote_budget(rules, order),
        "W": unit.of(order.created),
        "V": order.stp,
    }


def _last_fill(rules: SymbolRules, fill: Execution | None) -> dict[str, Json]:
    if fill is None:
        return {"l": ZERO, "L": ZERO, "n": "0", "N": None, "t": -1, "m": False, "Y": ZERO}
    return {
        "l": rules.quantity_string(fill.quantity),
        "L": rules.price_string(fill.price),
        "n": decimal_string(fill.commission),
        "N": fill.commission_asset,
        "t": fill.trade_id,
        "m": fill.is_maker,
        "Y": rules.money_string(fill.price * fill.quantity),
    }


def balance_event(
    balances: Mapping[str, tuple[Decimal, Decimal]], changed_at: Nanos, now: Nanos, unit: TimeUnit
) -> dict[str, Json]:
    """The user event `outboundAccountPosition`: asset to free and locked."""
    rows: list[Json] = [
        {"a": asset, "f": decimal_string(free), "l": decimal_string(locked)}
        for asset, (free, locked) in balances.items()
    ]
    return {"e": "outboundAccountPosition", "E": unit.of(now), "u": unit.of(changed_at), "B": rows}
