"""Orders do what Binance Spot says they do, and money is exact."""

from __future__ import annotations

from decimal import Decimal

import pytest

from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.exchange.engine import (
    BookChanged,
    Engine,
    ExchangeRefusal,
    Happening,
    Order,
    OrderReported,
    TradeMade,
)
from tests.exchange.quiet import MAKER, NOW, SYMBOL, TAKER, QuietMarket, quiet_engine

PRICE = 6_500_000  # 65,000.00
LOTS = 100_000  # 1 BTC


def place(
    engine: Engine,
    side: Side,
    price: int,
    lots: int,
    name: str = "a",
    *,
    kind: str = "LIMIT",
    tif: str = "GTC",
    stp: str = "EXPIRE_MAKER",
    money: int | None = None,
) -> Order:
    return engine.place(NOW, SYMBOL, side, kind, tif, Lots(lots), Ticks(price), name, stp, money)


def traded(happenings: list[Happening]) -> list[tuple[int, int]]:
    return [(told.trade.price, told.trade.quantity) for told in happenings if isinstance(told, TradeMade)]


def reports(happenings: list[Happening]) -> list[tuple[str, str]]:
    return [(told.execution_type, told.order.status) for told in happenings if isinstance(told, OrderReported)]


@pytest.fixture
def market() -> tuple[Engine, QuietMarket]:
    """Strangers bid 2 BTC at 65,000.00 and 5 at 64,999.00, and ask 1 at 65,000.01 and 3 at 65,001.00."""
    engine, market = quiet_engine()
    market.rest(Side.BUY, PRICE, 2 * LOTS)
    market.rest(Side.BUY, PRICE - 100, 5 * LOTS)
    market.rest(Side.SELL, PRICE + 1, LOTS)
    market.rest(Side.SELL, PRICE + 100, 3 * LOTS)
    return engine, market


def test_a_limit_order_trades_what_it_can_and_rests_with_the_remainder(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    order = place(engine, Side.BUY, PRICE + 50, 2 * LOTS)
    told = engine.happenings()
    assert (order.status, order.filled, order.quote_filled) == ("PARTIALLY_FILLED", LOTS, LOTS * (PRICE + 1))
    assert engine.best(SYMBOL).bid == PRICE + 50
    assert engine.best(SYMBOL).bid_size == LOTS
    assert reports(told) == [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED")]
    assert [type(one) for one in told] == [OrderReported, TradeMade, OrderReported, BookChanged]


def test_immediate_or_cancel_never_rests(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    order = place(engine, Side.BUY, PRICE + 50, 2 * LOTS, tif="IOC")
    assert (order.status, order.filled) == ("EXPIRED", LOTS)
    assert engine.open_orders() == []
    assert engine.balances()["USDT"][1] == 0


def test_fill_or_kill_trades_all_or_nothing(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    assert place(engine, Side.BUY, PRICE + 50, LOTS + 1, tif="FOK").status == "EXPIRED"
    assert traded(engine.happenings()) == []
    assert place(engine, Side.BUY, PRICE + 100, 4 * LOTS, "b", tif="FOK").status == "FILLED"


def test_post_only_is_refused_where_it_would_take(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    before = engine.balances()
    with pytest.raises(ExchangeRefusal, match="-2010: Order would immediately match and take"):
        place(engine, Side.BUY, PRICE + 1, LOTS, kind="LIMIT_MAKER")
    assert engine.balances() == before
    assert engine.happenings() == []
    assert place(engine, Side.BUY, PRICE, LOTS, kind="LIMIT_MAKER").status == "NEW"


def test_a_market_order_walks_the_book_and_what_it_cannot_get_expires(market: tuple[Engine, QuietMarket]) -> None:
    engine, quiet = market
    order = place(engine, Side.BUY, 0, 5 * LOTS, kind="MARKET")
    assert (order.status, order.filled) == ("EXPIRED", 4 * LOTS)
    assert traded(engine.happenings()) == [(PRICE + 1, LOTS), (PRICE + 100, 3 * LOTS)]
    assert quiet.taken_by_users == [(Side.BUY, PRICE + 1, LOTS), (Side.BUY, PRICE + 100, 3 * LOTS)]


def test_a_market_order_by_quote_quantity_spends_no_more(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    budget = (PRICE + 1) * LOTS + (PRICE + 100) * 7 + 99
    order = place(engine, Side.BUY, 0, 0, kind="MARKET", money=budget)
    assert (order.status, order.filled) == ("FILLED", LOTS + 7)
    assert order.quote_filled == (PRICE + 1) * LOTS + (PRICE + 100) * 7


def test_a_resting_order_waits_for_the_queue_before_it(market: tuple[Engine, QuietMarket]) -> None:
    engine, quiet = market
    order = place(engine, Side.BUY, PRICE, LOTS, kind="LIMIT_MAKER")
    quiet.rest(Side.BUY, PRICE, LOTS)
    quiet.floor.take(NOW, SYMBOL, Side.SELL, 2 * LOTS, Ticks(PRICE))
    assert order.filled == 0
    quiet.floor.take(NOW, SYMBOL, Side.SELL, LOTS // 2, Ticks(PRICE))
    assert (order.filled, order.status) == (LOTS // 2, "PARTIALLY_FILLED")
    quiet.floor.take(NOW, SYMBOL, Side.SELL, LOTS, Ticks(PRICE))
    assert order.status == "FILLED"
    assert engine.open_orders() == []
    assert [fill.is_maker for fill in order.fills] == [True, True]


def test_fees_come_out_of_what_is_received_at_the_rate_of_maker_or_taker(market: tuple[Engine, QuietMarket]) -> None:
    engine, quiet = market
    bought = place(engine, Side.BUY, PRICE + 1, LOTS, tif="IOC").fills[0]
    assert (bought.commission, bought.commission_asset) == (TAKER, "BTC")
    sold = place(engine, Side.SELL, PRICE + 10, LOTS, "b")
    quiet.floor.take(NOW, SYMBOL, Side.BUY, LOTS, Ticks(PRICE + 10))
    assert sold.fills[0].commission == Decimal("65000.10") * MAKER
    assert sold.fills[0].commission_asset == "USDT"
    free = engine.balances()
    assert free["BTC"] == (Decimal(10) - TAKER, Decimal(0))
    assert free["USDT"] == (Decimal(1_000_000) + Decimal("0.09") - Decimal("65000.10") * MAKER, Decimal(0))


def test_own_fills_are_public_trades_with_the_same_id(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    order = place(engine, Side.BUY, PRICE + 100, 2 * LOTS, tif="IOC")
    public = engine.trades(SYMBOL, limit=2)
    assert [fill.trade_id for fill in order.fills] == [trade.id for trade in public]
    assert [trade.buyer_order for trade in public] == [order.id, order.id]
    assert [trade.buyer_is_maker for trade in public] == [False, False]


@pytest.mark.parametrize(
    ("mode", "maker", "taker", "filled"),
    [
        ("NONE", "FILLED", "FILLED", LOTS),
        ("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH", 0),
        ("EXPIRE_MAKER", "EXPIRED_IN_MATCH", "NEW", 0),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH", 0),
    ],
)
def test_self_trade_prevention_expires_whom_the_mode_says(mode: str, maker: str, taker: str, filled: int) -> None:
    engine, _ = quiet_engine()
    resting = place(engine, Side.BUY, PRICE, LOTS, "rest")
    taking = place(engine, Side.SELL, PRICE, LOTS, "take", stp=mode)
    assert (resting.status, taking.status, taking.filled) == (maker, taker, filled)
    prevented = ("TRADE_PREVENTION", "EXPIRED_IN_MATCH")
    assert reports(engine.happenings()).count(prevented) == [maker, taker].count("EXPIRED_IN_MATCH")


def test_a_client_id_is_unique_among_open_orders_only(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    first = place(engine, Side.BUY, PRICE - 500, LOTS, "same")
    with pytest.raises(ExchangeRefusal, match="-2010: Duplicate order sent"):
        place(engine, Side.BUY, PRICE - 500, LOTS, "same")
    engine.cancel(NOW, SYMBOL, client_id="same")
    second = place(engine, Side.BUY, PRICE - 500, LOTS, "same")
    assert engine.order(SYMBOL, client_id="same") is second
    assert engine.order(SYMBOL, order_id=first.id).status == "CANCELED"


def test_canceling_unlocks_and_a_second_cancel_is_unknown(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    order = place(engine, Side.BUY, PRICE - 500, LOTS)
    assert engine.balances()["USDT"] == (Decimal(1_000_000) - Decimal(64_995), Decimal(64_995))
    engine.happenings()
    engine.cancel(NOW, SYMBOL, order_id=order.id, new_client_id="cancel")
    told = engine.happenings()[0]
    assert isinstance(told, OrderReported)
    assert (told.execution_type, told.cancel_client_id) == ("CANCELED", "cancel")
    assert engine.balances()["USDT"] == (Decimal(1_000_000), Decimal(0))
    with pytest.raises(ExchangeRefusal, match="-2011: Unknown order sent"):
        engine.cancel(NOW, SYMBOL, order_id=order.id)


def test_cancel_all_ends_every_open_order_of_the_symbol(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    orders = [place(engine, Side.BUY, PRICE - 500 - step, LOTS, f"o{step}") for step in range(3)]
    assert engine.cancel_all(NOW, SYMBOL) == orders
    assert engine.open_orders(SYMBOL) == []
    with pytest.raises(ExchangeRefusal, match="-2011"):
        engine.cancel_all(NOW, SYMBOL)


@pytest.mark.parametrize(
    ("side", "price", "lots", "kind", "says"),
    [
        (Side.BUY, 0, LOTS, "LIMIT", "-1013: Invalid price"),
        (Side.BUY, PRICE, 0, "LIMIT", "-1013: Invalid quantity"),
        (Side.BUY, 100_000_001, LOTS, "LIMIT", "-1013: Filter failure: PRICE_FILTER"),
        (Side.BUY, PRICE, 1_000_000_000, "LIMIT", "-1013: Filter failure: LOT_SIZE"),
        (Side.BUY, PRICE, 7, "LIMIT", "-1013: Filter failure: NOTIONAL"),
        (Side.BUY, PRICE // 6, LOTS, "LIMIT", "-1013: Filter failure: PERCENT_PRICE_BY_SIDE"),
        (Side.SELL, PRICE * 6, LOTS, "LIMIT", "-1013: Filter failure: PERCENT_PRICE_BY_SIDE"),
        (Side.BUY, PRICE, 20 * LOTS, "LIMIT", "-2010: Account has insufficient balance"),
        (Side.SELL, PRICE, 11 * LOTS, "LIMIT", "-2010: Account has insufficient balance"),
        (Side.SELL, 0, 11 * LOTS, "MARKET", "-2010: Account has insufficient balance"),
        (Side.BUY, PRICE, LOTS, "STOP_LOSS", "-1116: Invalid orderType"),
    ],
)
def test_a_bad_order_is_refused_with_binances_code_and_changes_nothing(
    market: tuple[Engine, QuietMarket], side: Side, price: int, lots: int, kind: str, says: str
) -> None:
    engine, quiet = market
    quiet.floor.take(NOW, SYMBOL, Side.BUY, 1, Ticks(PRICE + 1))
    engine.happenings()
    before = engine.balances(), engine.depth(SYMBOL, 10)
    with pytest.raises(ExchangeRefusal, match=says):
        place(engine, side, price, lots, kind=kind)
    assert (engine.balances(), engine.depth(SYMBOL, 10)) == before
    assert engine.all_orders(SYMBOL) == []


def test_a_market_buy_beyond_the_purse_is_refused() -> None:
    engine, quiet = quiet_engine({"USDT": "100"})
    quiet.rest(Side.SELL, PRICE, LOTS)
    with pytest.raises(ExchangeRefusal, match="-2010: Account has insufficient balance"):
        place(engine, Side.BUY, 0, 1000, kind="MARKET")


def test_a_market_buy_is_measured_against_what_it_will_really_meet() -> None:
    engine, quiet = quiet_engine({"USDT": "700", "BTC": "1"})
    quiet.rest(Side.SELL, PRICE + 200_000, LOTS)
    place(engine, Side.SELL, PRICE, 1000, "own")
    with pytest.raises(ExchangeRefusal, match="-2010: Account has insufficient balance"):
        place(engine, Side.BUY, 0, 1060, kind="MARKET", stp="EXPIRE_MAKER")
    assert engine.order(SYMBOL, client_id="own").status == "NEW"


def test_no_more_open_orders_than_the_filter_allows(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    for number in range(200):
        place(engine, Side.BUY, PRICE - 1000, 10, f"o{number}")
    with pytest.raises(ExchangeRefusal, match="MAX_NUM_ORDERS"):
        place(engine, Side.BUY, PRICE - 1000, 10, "one more")


def test_unknown_symbols_and_orders_have_their_codes() -> None:
    engine, _ = quiet_engine()
    with pytest.raises(ExchangeRefusal, match="-1121"):
        engine.depth("ETH/USDT", 5)
    with pytest.raises(ExchangeRefusal, match="-2013"):
        engine.order(SYMBOL, client_id="nobody")


@pytest.mark.parametrize(
    ("text", "says"),
    [("65000.001", "PRICE_FILTER"), ("1e9x", "-1100"), ("-1", "-1100"), ("NaN", "-1100"), ("1.123456789", "-1111")],
)
def test_a_price_off_the_grid_never_becomes_ticks(text: str, says: str) -> None:
    engine, _ = quiet_engine()
    with pytest.raises(ExchangeRefusal, match=says):
        engine.rules[SYMBOL].ticks(text)


def test_the_wire_prints_eight_decimals() -> None:
    engine, _ = quiet_engine()
    rules = engine.rules[SYMBOL]
    assert rules.price_string(6_500_001) == "65000.01000000"
    assert rules.quantity_string(1) == "0.00001000"
    assert rules.money_string(6_500_001) == "0.65000010"
    assert rules.ticks("65000.01") == 6_500_001


def test_update_ids_are_contiguous_and_changes_add_up_to_the_book(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    engine.happenings()
    last, bids, asks = engine.depth(SYMBOL, 100)
    book = {Side.BUY: dict(bids), Side.SELL: dict(asks)}
    place(engine, Side.BUY, PRICE + 50, 2 * LOTS)
    place(engine, Side.SELL, PRICE + 40, LOTS // 2, "b", stp="NONE")
    engine.cancel(NOW, SYMBOL, client_id="a")
    for told in engine.happenings():
        if isinstance(told, BookChanged):
            assert told.first_update_id == last + 1
            last = told.last_update_id
            book[Side.BUY].update(told.bids)
            book[Side.SELL].update(told.asks)
    now_last, bids, asks = engine.depth(SYMBOL, 100)
    assert last == now_last
    assert {price: lots for price, lots in book[Side.BUY].items() if lots} == dict(bids)
    assert {price: lots for price, lots in book[Side.SELL].items() if lots} == dict(asks)


def test_aggregates_join_one_takers_prints_at_one_price(market: tuple[Engine, QuietMarket]) -> None:
    engine, quiet = market
    quiet.rest(Side.SELL, PRICE + 1, LOTS)
    quiet.floor.take(NOW, SYMBOL, Side.BUY, 2 * LOTS + 5, Ticks(PRICE + 100))
    quiet.floor.take(NOW, SYMBOL, Side.BUY, 5, Ticks(PRICE + 100))
    found = engine.agg_trades(SYMBOL)
    assert [(made.price, made.quantity, made.last_trade - made.first_trade) for made in found] == [
        (PRICE + 1, 2 * LOTS, 1),
        (PRICE + 100, 5, 0),
        (PRICE + 100, 5, 0),
    ]
    assert [made.id for made in found] == list(range(found[0].id, found[0].id + 3))
    assert engine.agg_trades(SYMBOL, from_id=found[1].id, limit=1) == [found[1]]
    assert engine.agg_trades(SYMBOL, start=Nanos(NOW + 1)) == []


def test_own_history_is_found_by_id_and_by_time(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    orders = [
        engine.place(Nanos(NOW + step), SYMBOL, Side.BUY, "LIMIT", "IOC", Lots(100), Ticks(PRICE + 1), f"o{step}")
        for step in range(5)
    ]
    assert engine.all_orders(SYMBOL, order_id=orders[3].id) == orders[3:]
    assert engine.all_orders(SYMBOL, limit=2) == orders[3:]
    assert engine.all_orders(SYMBOL, start=Nanos(NOW + 1), end=Nanos(NOW + 2)) == orders[1:3]
    fills = engine.my_trades(SYMBOL)
    assert engine.my_trades(SYMBOL, order_id=orders[1].id) == [fills[1]]
    assert engine.my_trades(SYMBOL, from_id=fills[2].trade_id, limit=2) == fills[2:4]
    assert engine.my_trades(SYMBOL, start=Nanos(NOW + 4)) == fills[4:]


def test_another_exchange_has_another_account_and_later_ids() -> None:
    first, _ = quiet_engine()
    same, _ = quiet_engine()
    later, _ = quiet_engine(now=Nanos(NOW + 60_000_000_000))
    assert first.account_id == same.account_id != later.account_id
    assert later.depth(SYMBOL, 1)[0] > first.depth(SYMBOL, 1)[0]


def test_a_checked_order_leaves_no_trace(market: tuple[Engine, QuietMarket]) -> None:
    engine, _ = market
    engine.happenings()
    engine.test(NOW, SYMBOL, Side.BUY, "LIMIT", "GTC", Lots(LOTS), Ticks(PRICE + 1), "t")
    assert engine.happenings() == []
    assert engine.all_orders(SYMBOL) == []
    with pytest.raises(ExchangeRefusal, match="-2010"):
        engine.test(NOW, SYMBOL, Side.SELL, "LIMIT", "GTC", Lots(11 * LOTS), Ticks(PRICE + 1), "t")
