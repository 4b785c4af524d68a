"""Whatever strangers and users do, the engine matches like a naive matcher, and money is conserved exactly."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.grid import Lots, Side, Ticks
from execd.exchange.engine import Engine, ExchangeRefusal, Order, TradeMade
from tests.exchange.quiet import NOW, SYMBOL, QuietMarket, quiet_engine

BASE = 1_000_000
LOTS = st.integers(1, 400).map(lambda count: count * 100)
PRICES = st.integers(0, 12).map(lambda step: BASE + step)
SIDES = st.sampled_from(list(Side))
STP = st.sampled_from(["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"])
KINDS = st.sampled_from(
    [("LIMIT", "GTC"), ("LIMIT", "IOC"), ("LIMIT", "FOK"), ("LIMIT_MAKER", "GTC"), ("MARKET", "GTC")]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("rest"), SIDES, PRICES, LOTS),
        st.tuples(st.just("take"), SIDES, PRICES, LOTS),
        st.tuples(st.just("shrink"), SIDES, PRICES, LOTS),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("place"), SIDES, PRICES, LOTS, KINDS, STP),
    ),
    max_size=40,
)


@dataclass
class Waiting:
    side: Side
    price: int
    left: int
    owner: str | None


@dataclass
class Naive:
    """A matcher too simple to be wrong: one list in the order of arrival, searched afresh for every trade."""

    waiting: list[Waiting] = field(default_factory=list)
    trades: list[tuple[int, int]] = field(default_factory=list)

    def best(self, side: Side) -> Waiting | None:
        found = [one for one in self.waiting if one.side is side and one.left]
        return min(found, key=lambda one: -one.price * side.sign, default=None)

    def meets(self, side: Side, limit: int | None) -> Waiting | None:
        front = self.best(side.opposite)
        return None if front is None or (limit is not None and front.price * side.sign > limit * side.sign) else front

    def rest(self, side: Side, price: int, lots: int, owner: str | None) -> None:
        if lots and self.meets(side, price) is None:
            self.waiting.append(Waiting(side, price, lots, owner))

    def take(self, side: Side, limit: int | None, lots: int, owner: str | None, stp: str) -> tuple[int, bool]:
        """Lots that are left, and whether self-trade prevention ended the taker."""
        while lots and (front := self.meets(side, limit)) is not None:
            if owner is not None and front.owner is not None and stp != "NONE":
                if stp != "EXPIRE_TAKER":
                    front.left = 0
                if stp != "EXPIRE_MAKER":
                    return lots, True
                continue
            part = min(lots, front.left)
            front.left -= part
            lots -= part
            self.trades.append((front.price, part))
        return lots, False

    def could_fill(self, side: Side, limit: int, lots: int, stp: str) -> bool:
        trial = Naive([Waiting(one.side, one.price, one.left, one.owner) for one in self.waiting])
        return trial.take(side, limit, lots, "trial", stp)[0] == 0

    def place(self, side: Side, limit: int | None, lots: int, name: str, kind: tuple[str, str], stp: str) -> None:
        if kind[1] == "FOK" and limit is not None and not self.could_fill(side, limit, lots, stp):
            return
        left, ended = self.take(side, limit, lots, name, stp)
        if kind in (("LIMIT", "GTC"), ("LIMIT_MAKER", "GTC")) and not ended and limit is not None:
            self.rest(side, limit, left, name)

    def shrink(self, side: Side, price: int, lots: int) -> None:
        for one in reversed(self.waiting):
            if one.side is side and one.price == price and one.owner is None:
                part = min(lots, one.left)
                one.left -= part
                lots -= part

    def depth(self, side: Side) -> list[tuple[int, int]]:
        sizes: dict[int, int] = {}
        for one in self.waiting:
            if one.side is side and one.left:
                sizes[one.price] = sizes.get(one.price, 0) + one.left
        return sorted(sizes.items(), key=lambda level: -level[0] * side.sign)


def follow(engine: Engine, market: QuietMarket, naive: Naive, step: tuple, names: list[str]) -> None:  # type: ignore[type-arg]  # hypothesis' union of tuples
    if step[0] == "cancel":
        name = f"o{step[1]}"
        if any(order.client_id == name for order in engine.open_orders()):
            engine.cancel(NOW, SYMBOL, client_id=name)
            for one in naive.waiting:
                one.left = 0 if one.owner == name else one.left
        return
    what, side, price, lots, *more = step
    if what == "rest":
        market.rest(side, price, lots)
        naive.rest(side, price, lots, None)
    elif what == "take":
        market.floor.take(NOW, SYMBOL, side, lots, Ticks(price))
        naive.take(side, price, lots, None, "NONE")
    elif what == "shrink":
        have = market.floor.market_size(SYMBOL, side, Ticks(price))
        market.floor.set_size(SYMBOL, side, Ticks(price), max(0, have - lots))
        naive.shrink(side, price, lots)
    else:
        kind, stp = more
        name = f"o{len(names)}"
        names.append(name)
        refusable = kind[0] == "LIMIT_MAKER" and naive.meets(side, price) is not None
        with pytest.raises(ExchangeRefusal, match="-2010") if refusable else nullcontext():
            engine.place(NOW, SYMBOL, side, kind[0], kind[1], Lots(lots), Ticks(price), name, stp)
        if not refusable:
            naive.place(side, None if kind[0] == "MARKET" else price, lots, name, kind, stp)


def check_money(engine: Engine, orders: list[Order], start: dict[str, str]) -> None:
    rules = engine.rules[SYMBOL]
    expected = {asset: Decimal(amount) for asset, amount in start.items()}
    for order in orders:
        assert order.filled <= order.quantity
        assert order.filled == sum(fill.quantity for fill in order.fills)
        for fill in order.fills:
            base, quote = rules.quantity(fill.quantity), rules.money(fill.price * fill.quantity)
            expected[rules.base] += order.side.sign * base
            expected[rules.quote] -= order.side.sign * quote
            expected[fill.commission_asset] -= fill.commission
    held = engine.balances()
    assert {asset: free + locked for asset, (free, locked) in held.items()} == expected
    open_buys = sum(order.price * order.remaining for order in orders if order.open and order.side is Side.BUY)
    open_sells = sum(order.remaining for order in orders if order.open and order.side is Side.SELL)
    assert (held[rules.quote][1], held[rules.base][1]) == (rules.money(open_buys), rules.quantity(open_sells))


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_the_engine_matches_like_the_naive_matcher_and_conserves_money(steps: list[tuple]) -> None:  # type: ignore[type-arg]  # hypothesis' union of tuples
    start = {"USDT": "10000000", "BTC": "1000"}
    engine, market = quiet_engine(start)
    naive, names = Naive(), list[str]()
    for step in steps:
        follow(engine, market, naive, step, names)
        _, bids, asks = engine.depth(SYMBOL, 1000)
        assert not bids or not asks or bids[0][0] < asks[0][0]
        assert (bids, asks) == (naive.depth(Side.BUY), naive.depth(Side.SELL))
        told = [one.trade for one in engine.happenings() if isinstance(one, TradeMade)]
        assert [(trade.price, trade.quantity) for trade in told] == naive.trades
        naive.trades.clear()
    trades = engine.trades(SYMBOL, limit=10**6)
    assert [trade.id for trade in trades] == list(range(trades[0].id, trades[0].id + len(trades))) if trades else True
    orders = engine.all_orders(SYMBOL, limit=10**6)
    check_money(engine, orders, start)
    by_id = {trade.id: trade for trade in trades}
    for order in orders:
        for fill in order.fills:
            trade = by_id[fill.trade_id]
            assert (trade.price, trade.quantity) == (fill.price, fill.quantity)
            assert order.id == (trade.buyer_order if order.side is Side.BUY else trade.seller_order)
