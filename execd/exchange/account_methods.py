"""What the account's owner may ask about the account: balances, own trades, fees, counts, the key's rights.

Promise: the account can trade spot and nothing else: no withdrawal, no transfer, no margin, whatever is asked.
The empty lists are what a client library reads of Binance's other products when it loads its markets.
"""

from __future__ import annotations

from execd.exchange import errors, wire
from execd.exchange.hall import KeyRights
from execd.exchange.market import decimal_string
from execd.exchange.methods import Call, Method
from execd.exchange.order_methods import check_span, commission_rates
from execd.exchange.parameters import LIMIT, SYMBOL, TIMES, boolean, integer
from execd.exchange.wire import Json

MAX_ROWS = 1_000
BPS = 10_000


def account(call: Call) -> Json:
    """Balances, fees and rights."""
    hall = call.hall
    omit = call.arguments.boolean("omitZeroBalances")
    rows: list[Json] = [
        {"asset": asset, "free": decimal_string(free), "locked": decimal_string(locked)}
        for asset, (free, locked) in hall.engine.balances().items()
        if not omit or free or locked
    ]
    return {
        "makerCommission": int(hall.engine.maker_fee * BPS),
        "takerCommission": int(hall.engine.taker_fee * BPS),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": f"{hall.engine.maker_fee:.8f}",
            "taker": f"{hall.engine.taker_fee:.8f}",
            "buyer": wire.ZERO,
            "seller": wire.ZERO,
        },
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": call.unit.of(call.now),
        "accountType": "SPOT",
        "balances": rows,
        "permissions": ["SPOT"],
        "uid": hall.engine.account_id,
    }


def account_commission(call: Call) -> Json:
    """What orders of a symbol pay."""
    rates = {name.removesuffix("ForOrder"): value for name, value in commission_rates(call).items()}
    return {"symbol": call.rules.code, **rates}


def order_counts(call: Call) -> Json:
    """How many orders have been placed in the current intervals."""
    call.hall.limits.roll(call.now)
    return [window.used() for window in call.hall.limits.orders]


def my_trades(call: Call) -> Json:
    """Own fills: of an order, from a trade id or a time on, or the last ones."""
    sent, rules = call.arguments, call.rules
    timed = "startTime" in sent or "endTime" in sent
    if timed and ("orderId" in sent or "fromId" in sent):
        raise errors.bad_combination()
    check_span(sent)
    fills = call.hall.engine.my_trades(
        rules.symbol,
        order_id=sent.integer("orderId"),
        from_id=sent.integer("fromId"),
        start=sent.moment("startTime"),
        end=sent.through("endTime"),
        limit=sent.limit(500, MAX_ROWS),
    )
    return [wire.my_trade(rules, fill, call.unit) for fill in fills]


def key_rights(call: Call) -> Json:
    """What the key may do, or is said to: read and trade spot, from a fixed address, nothing else."""
    rights = call.hall.rights
    return {
        "ipRestrict": rights is not KeyRights.NO_IP,
        "createTime": call.unit.of(call.now),
        "enableReading": True,
        "enableSpotAndMarginTrading": rights is not KeyRights.READ,
        "enableWithdrawals": rights is KeyRights.WITHDRAW,
        "enableInternalTransfer": rights is KeyRights.TRANSFER,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": rights is KeyRights.TRANSFER,
        "enableVanillaOptions": False,
        "enablePortfolioMarginTrading": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
    }


def trade_fees(call: Call) -> Json:
    """Maker and taker rates, symbol by symbol."""
    maker, taker = str(call.hall.engine.maker_fee), str(call.hall.engine.taker_fee)
    wanted = call.arguments.text("symbol")
    return [
        {"symbol": rules.code, "makerCommission": maker, "takerCommission": taker}
        for rules in call.hall.symbols
        if wanted in (None, rules.code)
    ]


def system_status(_: Call) -> Json:
    """Open for business."""
    return {"status": 0, "msg": "normal"}


def nothing(_: Call) -> Json:
    """An empty list: another product, not traded here."""
    return []


def no_contracts(call: Call) -> Json:
    """The rules of a derivatives exchange without contracts."""
    return {"timezone": "UTC", "serverTime": call.unit.of(call.now), "rateLimits": [], "symbols": []}


ACCOUNT_METHODS: dict[str, Method] = {
    "account.status": Method(account, 20, (boolean("omitZeroBalances"),), signed=True),
    "account.commission": Method(account_commission, 20, (SYMBOL.required,), signed=True),
    "account.rateLimits.orders": Method(order_counts, 40, signed=True),
    "myTrades": Method(
        my_trades, 20, (SYMBOL.required, integer("orderId"), integer("fromId"), *TIMES, LIMIT), signed=True
    ),
}

# Other products and account pages: reached by REST only.
SIDE_METHODS: dict[str, Method] = {
    "apiRestrictions": Method(key_rights, 1, signed=True),
    "tradeFee": Method(trade_fees, 1, (SYMBOL,), signed=True),
    "systemStatus": Method(system_status, 1, None),
    "signedNothing": Method(nothing, 1, None, signed=True),
    "noContracts": Method(no_contracts, 1, None),
}
