"""What the practice exchange keeps and tells: orders, executions, public trades, and happenings in order.

Promise: plain data.  Prices are ticks, quantities lots, times nanoseconds; only commissions are Decimal, because no
grid covers them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from execd.core.grid import Lots, Nanos, Side, Ticks


class ExchangeRefusal(Exception):
    """A request that the exchange refuses, with Binance's own code and wording.

    Attributes:
        code: Binance's error code, as -2010.
        message: Binance's text for it.
        status: The HTTP status that goes with it.
    """

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One print on the public tape.  Ids are contiguous per symbol."""

    id: int
    price: Ticks
    quantity: Lots
    at: Nanos
    buyer_is_maker: bool
    buyer_order: int
    seller_order: int


@dataclass(frozen=True, slots=True)
class AggTrade:
    """Consecutive prints of one taker order at one price in one millisecond, added up."""

    id: int
    price: Ticks
    quantity: Lots
    first_trade: int
    last_trade: int
    at: Nanos
    buyer_is_maker: bool


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill of a user's order; `trade_id` is the public trade's id."""

    trade_id: int
    order_id: int
    price: Ticks
    quantity: Lots
    at: Nanos
    is_maker: bool
    commission: Decimal
    commission_asset: str
    is_buyer: bool


@dataclass(slots=True)
class Order:
    """A user's order.  `price` is 0 for a market order; `quote_filled` is in ticks times lots.

    `type` is LIMIT, MARKET or LIMIT_MAKER; `tif` GTC, IOC or FOK; `status` NEW, PARTIALLY_FILLED, FILLED, CANCELED,
    EXPIRED or EXPIRED_IN_MATCH, all as Binance spells them.  `quote_quantity` (ticks times lots) is the budget of a
    market order that was given in quote currency; its `quantity` grows to what was bought or sold.
    """

    id: int
    client_id: str
    account: str
    symbol: str
    side: Side
    type: str
    tif: str
    price: Ticks
    quantity: Lots
    stp: str
    created: Nanos
    updated: Nanos
    filled: Lots = Lots(0)
    quote_filled: int = 0
    status: str = "NEW"
    quote_quantity: int | None = None
    fills: list[Execution] = field(default_factory=list)

    @property
    def remaining(self) -> Lots:
        """Lots that have not traded."""
        return Lots(self.quantity - self.filled)

    @property
    def open(self) -> bool:
        """Whether the order may still trade."""
        return self.status in ("NEW", "PARTIALLY_FILLED")


@dataclass(frozen=True, slots=True)
class TradeMade:
    """A public trade was printed."""

    symbol: str
    trade: PublicTrade


@dataclass(frozen=True, slots=True)
class OrderReported:
    """Something happened to a user's order: `order` is a copy, as it stood right after.

    `execution_type` is NEW, TRADE, CANCELED, REJECTED, EXPIRED or TRADE_PREVENTION.  `cancel_client_id` is the id of
    the cancel request, where the order ended by one.
    """

    order: Order
    execution_type: str
    execution: Execution | None
    at: Nanos
    cancel_client_id: str | None = None


@dataclass(frozen=True, slots=True)
class BookChanged:
    """The book's changed levels with their new absolute sizes; 0 means that the level is gone."""

    symbol: str
    first_update_id: int
    last_update_id: int
    bids: tuple[tuple[Ticks, Lots], ...]
    asks: tuple[tuple[Ticks, Lots], ...]
    at: Nanos


Happening = TradeMade | OrderReported | BookChanged
