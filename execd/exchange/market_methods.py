"""What anyone may ask: the exchange's rules, its books, trades, candles and prices.

Promise: nothing here changes the market, and each answer is what Binance's REST page of the same name shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from execd.exchange import errors, wire
from execd.exchange.filters import STP_MODES
from execd.exchange.hall import Hall
from execd.exchange.market import SymbolRules, decimal_string
from execd.exchange.methods import Call, Method
from execd.exchange.parameters import LIMIT, SYMBOL, TIMES, Parameter, choice, integer, text
from execd.exchange.tickers import (
    AVERAGE_MINUTES,
    INTERVALS,
    Bar,
    bars,
    day_statistics,
    full_ticker,
    mini_ticker,
    recent_average,
)
from execd.exchange.wire import Json, TimeUnit

MAX_DEPTH = 5_000
MAX_ROWS = 1_000


# ---- general


def ping(_: Call) -> Json:
    """Nothing, quickly."""
    return {}


def server_time(call: Call) -> Json:
    """The exchange's clock."""
    return {"serverTime": call.unit.of(call.now)}


def exchange_info(call: Call) -> Json:
    """The rules: of one symbol, of a list, or of all."""
    return {
        "timezone": "UTC",
        "serverTime": call.unit.of(call.now),
        "rateLimits": call.hall.limits.described(),
        "exchangeFilters": [],
        "symbols": [symbol_info(rules) for rules in _selected(call)],
    }


def symbol_info(rules: SymbolRules) -> Json:
    """One symbol as exchangeInfo describes it."""
    return {
        "symbol": rules.code,
        "status": "TRADING",
        "baseAsset": rules.base,
        "baseAssetPrecision": 8,
        "quoteAsset": rules.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters(rules),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": list(STP_MODES),
    }


def filters(rules: SymbolRules) -> Json:
    """What an order must keep to."""
    amount = decimal_string
    lots = {"minQty": amount(rules.min_quantity), "maxQty": amount(rules.max_quantity), "stepSize": amount(rules.lot)}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": amount(rules.min_price),
            "maxPrice": amount(rules.max_price),
            "tickSize": amount(rules.tick),
        },
        {"filterType": "LOT_SIZE", **lots},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": str(rules.bid_multiplier_up),
            "bidMultiplierDown": str(rules.bid_multiplier_down),
            "askMultiplierUp": str(rules.ask_multiplier_up),
            "askMultiplierDown": str(rules.ask_multiplier_down),
            "avgPriceMins": rules.average_price_minutes,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": amount(rules.min_notional),
            "applyMinToMarket": True,
            "maxNotional": amount(rules.max_notional),
            "applyMaxToMarket": True,
            "avgPriceMins": rules.average_price_minutes,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": rules.max_open_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]


# ---- books and trades


def depth(call: Call) -> Json:
    """The book's best levels."""
    rules = call.rules
    update_id, bids, asks = call.hall.engine.depth(rules.symbol, call.arguments.limit(100, MAX_DEPTH))
    return wire.depth(rules, update_id, bids, asks)


def recent_trades(call: Call) -> Json:
    """The last trades, oldest first."""
    rules = call.rules
    made = call.hall.engine.trades(rules.symbol, limit=call.arguments.limit(500, MAX_ROWS))
    return [wire.trade(rules, each, call.unit) for each in made]


def historical_trades(call: Call) -> Json:
    """Trades from an id on, or the last ones."""
    rules, sent = call.rules, call.arguments
    made = call.hall.engine.trades(rules.symbol, from_id=sent.integer("fromId"), limit=sent.limit(500, MAX_ROWS))
    return [wire.trade(rules, each, call.unit) for each in made]


def aggregate_trades(call: Call) -> Json:
    """Trades of one taker order at one price, added up."""
    rules, sent = call.rules, call.arguments
    if "fromId" in sent and ("startTime" in sent or "endTime" in sent):
        raise errors.bad_combination()
    made = call.hall.engine.agg_trades(
        rules.symbol,
        from_id=sent.integer("fromId"),
        start=sent.moment("startTime"),
        end=sent.through("endTime"),
        limit=sent.limit(500, MAX_ROWS),
    )
    return [wire.agg_trade(rules, each, call.unit) for each in made]


# ---- candles and prices


def klines(call: Call) -> Json:
    """Candles, oldest first."""
    rules, sent = call.rules, call.arguments
    interval = INTERVALS.get(sent.sure("interval"))
    if interval is None:
        raise errors.invalid_interval()
    start, end = sent.moment("startTime"), sent.through("endTime")
    found = bars(call.hall, rules, interval, start, end, sent.limit(500, MAX_ROWS))
    return [_kline(rules, bar, call.unit) for bar in found]


def _kline(rules: SymbolRules, bar: Bar, unit: TimeUnit) -> Json:
    prices = [rules.price_string(ticks) for ticks in (bar.open, bar.high, bar.low, bar.close)]
    return [
        unit.of(bar.open_at),
        *prices,
        rules.quantity_string(bar.volume),
        unit.last_before(bar.ends_at),
        rules.money_string(bar.quote_volume),
        bar.trades,
        rules.quantity_string(bar.taker_base),
        rules.money_string(bar.taker_quote),
        "0",
    ]


def average_price(call: Call) -> Json:
    """The volume-weighted average of the last five minutes."""
    rules = call.rules
    average, last_at = recent_average(call.hall, rules, call.now)
    return {"mins": AVERAGE_MINUTES, "price": decimal_string(average), "closeTime": call.unit.of(last_at)}


def last_price(call: Call) -> Json:
    """The last price of one symbol, of a list, or of all."""
    return _each(call, lambda rules: {"symbol": rules.code, "price": rules.price_string(_last(call.hall, rules))})


def _last(hall: Hall, rules: SymbolRules) -> int:
    found = hall.engine.trades(rules.symbol, limit=1)
    return found[-1].price if found else 0


def best_prices(call: Call) -> Json:
    """Best bid and ask of one symbol, of a list, or of all."""
    return _each(call, lambda rules: wire.book_ticker(rules, call.hall.engine.best(rules.symbol)))


def day_ticker(call: Call) -> Json:
    """Statistics of the last 24 hours for one symbol, a list, or all."""
    mini = call.arguments.text("type") == "MINI"
    shape = mini_ticker if mini else full_ticker
    return _each(call, lambda rules: shape(rules, day_statistics(call.hall, rules, call.now), call.unit))


# ---- one, several or all symbols


def _selected(call: Call) -> list[SymbolRules]:
    codes = call.arguments.names("symbols")
    if "symbol" in call.arguments:
        if codes is not None:
            raise errors.bad_combination()
        return [call.rules]
    if codes is None:
        return call.hall.symbols
    if len(set(codes)) < len(codes):
        raise errors.duplicate_symbols()
    return [call.hall.rules(code) for code in codes]


def _each(call: Call, shape: Callable[[SymbolRules], Json]) -> Json:
    """One object where one symbol was named, a list otherwise."""
    answers: Sequence[Json] = [shape(rules) for rules in _selected(call)]
    return answers[0] if "symbol" in call.arguments else answers


def _by_symbols(one: int, every: int) -> Callable[[Mapping[str, str]], int]:
    return lambda sent: one if "symbol" in sent else every


def _depth_weight(sent: Mapping[str, str]) -> int:
    limit = sent.get("limit", "100")
    # A limit that is no number is refused later; it costs what the largest would.
    rows = int(limit) if re.fullmatch(LIMIT.legal, limit) else MAX_DEPTH
    return next((weight for most, weight in ((100, 5), (500, 25), (1_000, 50)) if rows <= most), 250)


_SYMBOLS = text("symbols")
_FROM_ID = integer("fromId")
_PERIOD = (Parameter("interval"), *TIMES, Parameter("timeZone"), LIMIT)

MARKET_METHODS: dict[str, Method] = {
    "ping": Method(ping, 1),
    "time": Method(server_time, 1),
    "exchangeInfo": Method(
        exchange_info, 20, (SYMBOL, _SYMBOLS, text("permissions"), text("showPermissionSets"), text("symbolStatus"))
    ),
    "depth": Method(depth, _depth_weight, (SYMBOL.required, LIMIT)),
    "trades.recent": Method(recent_trades, 25, (SYMBOL.required, LIMIT)),
    "trades.historical": Method(historical_trades, 25, (SYMBOL.required, LIMIT, _FROM_ID)),
    "trades.aggregate": Method(aggregate_trades, 4, (SYMBOL.required, LIMIT, _FROM_ID, *TIMES)),
    "klines": Method(klines, 2, (SYMBOL.required, *_PERIOD)),
    "uiKlines": Method(klines, 2, (SYMBOL.required, *_PERIOD)),
    "avgPrice": Method(average_price, 2, (SYMBOL.required,)),
    "ticker.price": Method(last_price, _by_symbols(2, 4), (SYMBOL, _SYMBOLS)),
    "ticker.book": Method(best_prices, _by_symbols(2, 4), (SYMBOL, _SYMBOLS)),
    "ticker.24hr": Method(day_ticker, _by_symbols(2, 80), (SYMBOL, _SYMBOLS, choice("type", "FULL", "MINI"))),
}
