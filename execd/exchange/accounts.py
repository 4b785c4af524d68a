"""The user's money: free and locked, exact.

Promise: nothing is created or lost.  Locking moves, settling exchanges what was traded and takes the commission from
what was received, in Decimal arithmetic that would raise before it rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Context, Decimal, Inexact, InvalidOperation

from execd.core.grid import Side
from execd.exchange.market import SymbolRules
from execd.exchange.records import ExchangeRefusal, Order

ZERO = Decimal(0)
# Balances are kept to 8 decimals on Binance; so are commissions, which are cut there.
COMMISSION_STEP = Decimal("0.00000001")
EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
ROUGH = Context(prec=60, rounding=ROUND_DOWN)


class Account:
    """One user's balances."""

    def __init__(self, balances: Mapping[str, Decimal]) -> None:
        self._free = {asset: Decimal(amount) for asset, amount in balances.items()}
        self._locked = dict.fromkeys(self._free, ZERO)

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Asset to (free, locked)."""
        return {asset: (free, self._locked[asset]) for asset, free in self._free.items()}

    def free(self, asset: str) -> Decimal:
        """What may be spent of an asset."""
        return self._free.get(asset, ZERO)

    def lock(self, asset: str, amount: Decimal) -> None:
        """Set an amount aside.  Raises ExchangeRefusal -2010 where there is less."""
        self.require(asset, amount)
        self._move(asset, EXACT.minus(amount), amount)

    def unlock(self, asset: str, amount: Decimal) -> None:
        """Give back an amount that was set aside."""
        self._move(asset, amount, EXACT.minus(amount))
        assert self._locked[asset] >= 0, f"more {asset} given back than was locked"

    def require(self, asset: str, amount: Decimal) -> None:
        """Raise ExchangeRefusal -2010 unless an amount is free."""
        if self.free(asset) < amount:
            raise ExchangeRefusal(-2010, "Account has insufficient balance for requested action.")

    def pay(self, asset: str, amount: Decimal) -> None:
        """Take a free amount away."""
        self._move(asset, EXACT.minus(amount), ZERO)
        assert self._free[asset] >= 0, f"{asset} overdrawn"

    def receive(self, asset: str, amount: Decimal) -> None:
        """Add a free amount."""
        self._move(asset, amount, ZERO)

    def _move(self, asset: str, free: Decimal, locked: Decimal) -> None:
        self._free[asset] = EXACT.add(self._free.get(asset, ZERO), free)
        self._locked[asset] = EXACT.add(self._locked.get(asset, ZERO), locked)


def locked_by(rules: SymbolRules, order: Order, lots: int) -> tuple[str, Decimal]:
    """What an order locks for some of its lots: quote at its limit for a buy, base for a sell."""
    if order.side is Side.BUY:
        return rules.quote, rules.money(order.price * lots)
    return rules.base, rules.quantity(lots)


def commission(received: Decimal, rate: Decimal) -> Decimal:
    """The commission on an amount received, cut to 8 decimals."""
    return ROUGH.multiply(received, rate).quantize(COMMISSION_STEP, ROUND_DOWN, ROUGH)
