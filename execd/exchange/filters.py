"""Binance's checks of a new order: its shape, the symbol's filters, and whether the money is there.

Promise: nothing is changed here; a check passes or raises ExchangeRefusal with Binance's code and words.
"""

from __future__ import annotations

from decimal import Decimal

from execd.core.grid import Side
from execd.exchange.book import Book
from execd.exchange.market import SymbolRules
from execd.exchange.records import ExchangeRefusal, Order

TYPES = ("LIMIT", "MARKET", "LIMIT_MAKER")
TIFS = ("GTC", "IOC", "FOK")
# What an order may count on, by its self-trade prevention mode, where the user's own orders are in the way.
OWN_IN_THE_WAY = {"NONE": "count", "EXPIRE_MAKER": "skip", "EXPIRE_TAKER": "stop", "EXPIRE_BOTH": "stop"}
STP_MODES = tuple(OWN_IN_THE_WAY)


def check_shape(order: Order) -> None:
    """Refuse an order that no symbol would take: an unknown type, time in force or mode."""
    if order.type not in TYPES:
        raise ExchangeRefusal(-1116, "Invalid orderType.")
    if order.tif not in TIFS:
        raise ExchangeRefusal(-1115, "Invalid timeInForce.")
    if order.stp not in STP_MODES:
        raise ExchangeRefusal(-1013, "This symbol does not allow the specified self-trade prevention mode.")
    if order.type != "MARKET" and order.price <= 0:
        raise ExchangeRefusal(-1013, "Invalid price.")
    if order.quantity <= 0 and order.quote_quantity is None:
        raise ExchangeRefusal(-1013, "Invalid quantity.")


def check_filters(rules: SymbolRules, order: Order, last: int | None, open_orders: int) -> None:
    """Refuse an order that a filter of the symbol does not let pass.

    Args:
        rules: The symbol's rules.
        order: The new order.
        last: The last traded price in ticks, None where there is none yet.
        open_orders: How many orders of the symbol are open.
    """
    if order.type != "MARKET":
        _check_price(rules, order, last)
    if order.quote_quantity is None:
        _check_quantity(rules, order)
    price = order.price if order.type != "MARKET" else last
    notional = order.quote_quantity
    if notional is None and price is not None:
        notional = order.quantity * price
    if notional is not None and not rules.min_notional <= rules.money(notional) <= rules.max_notional:
        raise _failed("NOTIONAL")
    if open_orders >= rules.max_open_orders:
        raise _failed("MAX_NUM_ORDERS")


def required(rules: SymbolRules, order: Order, book: Book) -> tuple[str, Decimal]:
    """What the order needs, in which asset; a market buy needs what it would cost to walk the book now."""
    own = OWN_IN_THE_WAY[order.stp]
    if order.side is Side.SELL:
        lots, _ = book.plan(order.side, limit=None, lots=None, budget=order.quote_quantity, own=own)
        return rules.base, rules.quantity(order.quantity if order.quote_quantity is None else lots)
    if order.type != "MARKET":
        return rules.quote, rules.money(order.price * order.quantity)
    if order.quote_quantity is not None:
        return rules.quote, rules.money(order.quote_quantity)
    _, money = book.plan(order.side, limit=None, lots=order.quantity, own=own)
    return rules.quote, rules.money(money)


def _check_price(rules: SymbolRules, order: Order, last: int | None) -> None:
    price = rules.price(order.price)
    if not rules.min_price <= price <= rules.max_price:
        raise _failed("PRICE_FILTER")
    if last is None:
        return
    up, down = (
        (rules.bid_multiplier_up, rules.bid_multiplier_down)
        if order.side is Side.BUY
        else (rules.ask_multiplier_up, rules.ask_multiplier_down)
    )
    if not last * down <= order.price <= last * up:
        raise _failed("PERCENT_PRICE_BY_SIDE")


def _check_quantity(rules: SymbolRules, order: Order) -> None:
    if not rules.min_quantity <= rules.quantity(order.quantity) <= rules.max_quantity:
        raise _failed("LOT_SIZE")


def _failed(name: str) -> ExchangeRefusal:
    return ExchangeRefusal(-1013, f"Filter failure: {name}")
