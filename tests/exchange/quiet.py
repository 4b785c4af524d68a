"""A market in which nobody acts on their own: tests do what strangers do, through the floor it was given."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from execd.core.grid import Nanos, Side, Ticks
from execd.exchange.engine import RULES, Engine, SymbolRules
from execd.exchange.market import Floor

SYMBOL = "BTC/USDT"
NOW = Nanos(1_790_000_000_000_000_000)
MAKER = Decimal("0.0008")
TAKER = Decimal("0.001")


class QuietMarket:
    """Strangers that only move when a test moves them."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.taken_by_users: list[tuple[Side, Ticks, int]] = []
        self.floor: Floor

    def rules(self, symbol: str) -> SymbolRules:
        return RULES[symbol]

    def open(self, now: Nanos, symbols: Sequence[str], floor: Floor) -> None:
        self.floor = floor

    def next_at(self) -> Nanos | None:
        return None

    def act(self) -> None:
        raise AssertionError("nothing is ever due")

    def catch_up(self, now: Nanos) -> None:
        return

    def taken(self, at: Nanos, symbol: str, side: Side, price: Ticks, quantity: int) -> None:
        self.taken_by_users.append((side, price, quantity))

    def rest(self, side: Side, price: int, lots: int) -> None:
        """Strangers add to the queue at a price."""
        have = self.floor.market_size(SYMBOL, side, Ticks(price))
        self.floor.set_size(SYMBOL, side, Ticks(price), have + lots)


def quiet_engine(
    balances: dict[str, str] | None = None, symbols: Sequence[str] = (SYMBOL,), seed: int = 1, now: Nanos = NOW
) -> tuple[Engine, QuietMarket]:
    """An engine with an empty book, and its market."""
    market = QuietMarket(seed)
    money = {"USDT": "1000000", "BTC": "10"} if balances is None else balances
    engine = Engine(
        symbols,
        market=market,
        now=now,
        maker_fee=MAKER,
        taker_fee=TAKER,
        balances={asset: Decimal(amount) for asset, amount in money.items()},
    )
    return engine, market
