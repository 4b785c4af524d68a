"""What the account's owner may ask about orders: place, test, cancel, replace, look up.

Promise: an order reaches the engine only if every parameter that its type needs was sent and none that its
type does not have; the answers are Binance's, down to which client id stands where after a cancel.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from execd.core.grid import Lots, Side, Ticks
from execd.exchange import errors, wire
from execd.exchange.filters import STP_MODES, check_filters, check_shape
from execd.exchange.market import SymbolRules
from execd.exchange.methods import Call, Method
from execd.exchange.parameters import (
    LIMIT,
    SYMBOL,
    TIMES,
    Arguments,
    boolean,
    choice,
    client_id,
    decimal,
    integer,
)
from execd.exchange.records import ExchangeRefusal, Order
from execd.exchange.wire import Json, TimeUnit

DEFAULT_STP = "EXPIRE_MAKER"
MAX_ROWS = 1_000
DAY_NS = 86_400 * 10**9

# What each order type demands beside symbol, side and type, and what it does not have.
REQUIRED = {"LIMIT": ("timeInForce", "quantity", "price"), "LIMIT_MAKER": ("quantity", "price"), "MARKET": ()}
SURPLUS = {
    "LIMIT": ("quoteOrderQty", "stopPrice", "trailingDelta"),
    "LIMIT_MAKER": ("timeInForce", "quoteOrderQty", "stopPrice", "trailingDelta"),
    "MARKET": ("timeInForce", "price", "stopPrice", "trailingDelta", "icebergQty"),
}
UNSUPPORTED = {
    "STOP_LOSS": "Stop loss",
    "STOP_LOSS_LIMIT": "Stop loss limit",
    "TAKE_PROFIT": "Take profit",
    "TAKE_PROFIT_LIMIT": "Take profit limit",
}
_ALPHABET = string.ascii_letters + string.digits

ResponseShape = Callable[[SymbolRules, Order, TimeUnit], dict[str, Json]]
RESPONSES: dict[str, ResponseShape] = {
    "ACK": wire.acknowledged,
    "RESULT": wire.placed,
    "FULL": wire.placed_with_fills,
}


def new_client_id() -> str:
    """What Binance does where the client gave no id: twenty-two letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(22))


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order as it was asked for, in ticks and lots; price 0 and GTC for a market order."""

    rules: SymbolRules
    side: Side
    type: str
    tif: str
    quantity: Lots
    price: Ticks
    quote_quantity: int | None
    client_id: str
    stp: str
    response: ResponseShape


def read_order(call: Call) -> NewOrder:
    """Make an order of the parameters.  Raises ExchangeRefusal where they are incomplete or contradict."""
    sent, kind = call.arguments, call.arguments.sure("type")
    rules = call.rules
    _check_composition(kind, sent)
    price, quantity, budget = sent.text("price"), sent.text("quantity"), sent.text("quoteOrderQty")
    return NewOrder(
        rules=rules,
        side=Side[sent.sure("side")],
        type=kind,
        tif=sent.text("timeInForce") or "GTC",
        quantity=Lots(0) if quantity is None else rules.lots(quantity),
        price=Ticks(0) if price is None else rules.ticks(price),
        quote_quantity=None if budget is None else rules.money_down(budget),
        client_id=sent.text("newClientOrderId") or new_client_id(),
        stp=sent.text("selfTradePreventionMode") or DEFAULT_STP,
        response=RESPONSES[sent.text("newOrderRespType") or ("ACK" if kind == "LIMIT_MAKER" else "FULL")],
    )


def _check_composition(kind: str, sent: Arguments) -> None:
    if kind in UNSUPPORTED:
        raise errors.unsupported_order(UNSUPPORTED[kind])
    for name in REQUIRED[kind]:
        sent.sure(name)
    if kind == "MARKET" and "quantity" not in sent and "quoteOrderQty" not in sent:
        raise errors.missing_both("quantity", "quoteOrderQty")
    surplus = SURPLUS[kind]
    if kind == "MARKET" and "quantity" in sent:
        surplus = (*surplus, "quoteOrderQty")
    for name in surplus:
        if name in sent:
            raise errors.not_required(name)
    if "icebergQty" in sent:
        raise errors.unsupported_order("Iceberg")


def check(call: Call, new: NewOrder) -> None:
    """All checks that need no money: what /order/test does.  Raises ExchangeRefusal."""
    engine, rules = call.hall.engine, new.rules
    order = Order(
        id=0,
        client_id=new.client_id,
        account="",
        symbol=rules.symbol,
        side=new.side,
        type=new.type,
        tif=new.tif,
        price=new.price,
        quantity=new.quantity,
        stp=new.stp,
        created=call.now,
        updated=call.now,
        quote_quantity=new.quote_quantity,
    )
    check_shape(order)
    last = engine.trades(rules.symbol, limit=1)
    check_filters(rules, order, last[-1].price if last else None, len(engine.open_orders(rules.symbol)))


def _enter(call: Call, new: NewOrder) -> Json:
    order = call.hall.engine.place(
        call.now,
        new.rules.symbol,
        new.side,
        new.type,
        new.tif,
        new.quantity,
        new.price,
        new.client_id,
        new.stp,
        new.quote_quantity,
    )
    return new.response(new.rules, order, call.unit)


# ---- placing


def place(call: Call) -> Json:
    """Enter a new order."""
    return _enter(call, read_order(call))


def test_order(call: Call) -> Json:
    """Check a new order without entering it; on request tell what it would pay."""
    new = read_order(call)
    check(call, new)
    if not call.arguments.boolean("computeCommissionRates"):
        return {}
    return commission_rates(call)


def commission_rates(call: Call) -> dict[str, Json]:
    """What the account pays, apart from the symbol: only the standard commission is not zero."""
    nothing: Json = {"maker": wire.ZERO, "taker": wire.ZERO}
    standard: Json = {"maker": f"{call.hall.engine.maker_fee:.8f}", "taker": f"{call.hall.engine.taker_fee:.8f}"}
    discount: Json = {
        "enabledForAccount": False,
        "enabledForSymbol": False,
        "discountAsset": "BNB",
        "discount": wire.ZERO,
    }
    return {
        "standardCommissionForOrder": standard,
        "specialCommissionForOrder": nothing,
        "taxCommissionForOrder": nothing,
        "discount": discount,
    }


# ---- canceling


def cancel(call: Call) -> Json:
    """Cancel one order by its id, by its client id, or by both."""
    sent = call.arguments
    _named(sent, "origClientOrderId", "orderId")
    return _cancel(call, sent.integer("orderId"), sent.text("origClientOrderId"), sent.text("newClientOrderId"))


def _cancel(call: Call, order_id: int | None, name: str | None, cancel_name: str | None) -> Json:
    rules, engine = call.rules, call.hall.engine
    _check_restrictions(call, order_id, name)
    cancel_id = cancel_name or new_client_id()
    order = engine.cancel(call.now, rules.symbol, order_id=order_id, client_id=name, new_client_id=cancel_id)
    return wire.canceled(rules, order, cancel_id, call.unit)


def _check_restrictions(call: Call, order_id: int | None, name: str | None) -> None:
    only = call.arguments.text("cancelRestrictions")
    if only is None:
        return
    found = [
        order
        for order in call.hall.engine.open_orders(call.rules.symbol)
        if order_id in (None, order.id) and name in (None, order.client_id)
    ]
    if found and found[0].status != only.removeprefix("ONLY_"):
        raise errors.cancel_restricted()


def cancel_all(call: Call) -> Json:
    """Cancel all open orders of a symbol; it is an error if there is none."""
    rules, engine = call.rules, call.hall.engine
    orders = engine.open_orders(rules.symbol)
    if not orders:
        raise errors.no_such_order()
    answers = []
    for order in orders:
        name = new_client_id()
        gone = engine.cancel(call.now, rules.symbol, order_id=order.id, new_client_id=name)
        answers.append(wire.canceled(rules, gone, name, call.unit))
    return answers


def cancel_replace(call: Call) -> Json:
    """Cancel one order and enter another; the new one's checks come before either."""
    sent = call.arguments
    _named(sent, "cancelOrigClientOrderId", "cancelOrderId")
    new = read_order(call)
    check(call, new)
    old_id, old_name = sent.integer("cancelOrderId"), sent.text("cancelOrigClientOrderId")
    gone, cancel_answer = _attempt(lambda: _cancel(call, old_id, old_name, sent.text("cancelNewClientOrderId")))
    if not gone and sent.text("cancelReplaceMode") == "STOP_ON_FAILURE":
        raise errors.cancel_replace_failed(_outcome(gone, cancel_answer, "NOT_ATTEMPTED", None))
    entered, new_answer = _attempt(lambda: _enter(call, new))
    outcome = _outcome(gone, cancel_answer, _word(entered), new_answer)
    if gone and entered:
        return outcome
    raise errors.cancel_replace_partly_failed(outcome) if gone or entered else errors.cancel_replace_failed(outcome)


def _attempt(action: Callable[[], Json]) -> tuple[bool, Json]:
    try:
        return True, action()
    except ExchangeRefusal as refusal:
        return False, {"code": refusal.code, "msg": refusal.message}


def _word(succeeded: bool) -> str:  # noqa: FBT001 - one private use
    return "SUCCESS" if succeeded else "FAILURE"


def _outcome(gone: bool, cancel_answer: Json, entered: str, new_answer: Json) -> dict[str, Json]:  # noqa: FBT001
    return {
        "cancelResult": _word(gone),
        "newOrderResult": entered,
        "cancelResponse": cancel_answer,
        "newOrderResponse": new_answer,
    }


def _named(sent: Arguments, *names: str) -> None:
    if not any(name in sent for name in names):
        raise errors.missing_both(*names)


# ---- looking up


def query(call: Call) -> Json:
    """One order, by its id or its client id."""
    sent, rules = call.arguments, call.rules
    _named(sent, "origClientOrderId", "orderId")
    order = call.hall.engine.order(
        rules.symbol, order_id=sent.integer("orderId"), client_id=sent.text("origClientOrderId")
    )
    return wire.queried(rules, order, call.unit)


def open_orders(call: Call) -> Json:
    """Orders that may still trade, of one symbol or of all."""
    only = call.rules.symbol if "symbol" in call.arguments else None
    rules = call.hall.engine.rules
    return [wire.queried(rules[order.symbol], order, call.unit) for order in call.hall.engine.open_orders(only)]


def all_orders(call: Call) -> Json:
    """Orders in any state, from an id or a time on, or the last ones."""
    sent, rules = call.arguments, call.rules
    check_span(sent)
    orders = call.hall.engine.all_orders(
        rules.symbol,
        order_id=sent.integer("orderId"),
        start=sent.moment("startTime"),
        end=sent.through("endTime"),
        limit=sent.limit(500, MAX_ROWS),
    )
    return [wire.queried(rules, order, call.unit) for order in orders]


def check_span(sent: Arguments) -> None:
    """Let at most a day between two given times pass.  Raises ExchangeRefusal -1127."""
    start, end = sent.moment("startTime"), sent.through("endTime")
    if start is not None and end is not None and end - start > DAY_NS:
        raise errors.lookup_too_long()


def _open_orders_weight(sent: Mapping[str, str]) -> int:
    return 6 if "symbol" in sent else 80


_SIDE = choice("side", "BUY", "SELL", refusal=errors.invalid_side).required
_TYPE = choice("type", *REQUIRED, *UNSUPPORTED, refusal=errors.invalid_order_type).required
_RESTRICTIONS = choice("cancelRestrictions", "ONLY_NEW", "ONLY_PARTIALLY_FILLED")
_ORDER_ID = integer("orderId")
_ORIGINAL = client_id("origClientOrderId")

NEW_ORDER = (
    SYMBOL.required,
    _SIDE,
    _TYPE,
    choice("timeInForce", "GTC", "IOC", "FOK", refusal=errors.invalid_time_in_force),
    decimal("quantity"),
    decimal("quoteOrderQty"),
    decimal("price"),
    client_id("newClientOrderId"),
    decimal("stopPrice"),
    integer("trailingDelta"),
    decimal("icebergQty"),
    choice("newOrderRespType", *RESPONSES),
    choice("selfTradePreventionMode", *STP_MODES),
)
REPLACED_ORDER = (
    choice("cancelReplaceMode", "STOP_ON_FAILURE", "ALLOW_FAILURE").required,
    integer("cancelOrderId"),
    client_id("cancelOrigClientOrderId"),
    client_id("cancelNewClientOrderId"),
    _RESTRICTIONS,
    choice("orderRateLimitExceededMode", "DO_NOTHING", "CANCEL_ONLY"),
)

ORDER_METHODS: dict[str, Method] = {
    "order.place": Method(place, 1, NEW_ORDER, signed=True, places=True),
    "order.test": Method(test_order, 1, (*NEW_ORDER, boolean("computeCommissionRates")), signed=True),
    "order.cancel": Method(
        cancel,
        1,
        (SYMBOL.required, _ORDER_ID, _ORIGINAL, client_id("newClientOrderId"), _RESTRICTIONS),
        signed=True,
    ),
    "order.cancelReplace": Method(cancel_replace, 1, (*NEW_ORDER, *REPLACED_ORDER), signed=True, places=True),
    "order.status": Method(query, 4, (SYMBOL.required, _ORDER_ID, _ORIGINAL), signed=True),
    "openOrders.status": Method(open_orders, _open_orders_weight, (SYMBOL,), signed=True),
    "openOrders.cancelAll": Method(cancel_all, 1, (SYMBOL.required,), signed=True),
    "allOrders": Method(all_orders, 20, (SYMBOL.required, _ORDER_ID, *TIMES, LIMIT), signed=True),
}
