"""A symbol's public trades and their aggregates, the last ones, found by id or by time.

Promise: ids are contiguous, so the index of a trade is its id less the first id that is kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import replace

from execd.core.grid import Lots, Nanos
from execd.exchange.records import AggTrade, PublicTrade

KEEP = 1_000_000
MILLISECOND = 1_000_000


class History:
    """What was printed."""

    def __init__(self, first_id: int, keep: int = KEEP) -> None:
        self.next_id = first_id
        self._keep = keep
        self._trades: list[PublicTrade] = []
        self._aggregates: list[AggTrade] = []
        self._next_aggregate = first_id
        self._last_taker = 0

    @property
    def last(self) -> PublicTrade | None:
        """The newest trade."""
        return self._trades[-1] if self._trades else None

    def add(self, trade: PublicTrade) -> None:
        """Keep a trade, whose id must be the next."""
        assert trade.id == self.next_id, f"trade {trade.id} where {self.next_id} is due"
        self.next_id += 1
        self._trades.append(trade)
        self._aggregate(trade)
        spare = self._keep // 4
        if len(self._trades) > self._keep + spare:
            del self._trades[:spare]
        if len(self._aggregates) > self._keep + spare:
            del self._aggregates[:spare]

    def trades(self, from_id: int | None, limit: int) -> list[PublicTrade]:
        """Trades from an id on, or the last ones."""
        if from_id is None or not self._trades:
            return self._trades[-limit:] if limit else []
        first = max(0, from_id - self._trades[0].id)
        return self._trades[first : first + limit]

    def aggregates(self, from_id: int | None, start: Nanos | None, end: Nanos | None, limit: int) -> list[AggTrade]:
        """Aggregates from an id on, or of a span of time (both ends included), or the last ones."""
        held = self._aggregates
        if from_id is not None and held:
            first = max(0, from_id - held[0].id)
            return held[first : first + limit]
        if start is None and end is None:
            return held[-limit:] if limit else []
        low = 0 if start is None else bisect_left(held, start, key=lambda made: made.at)
        high = len(held) if end is None else bisect_right(held, end, key=lambda made: made.at)
        found = held[low:high]
        return found[:limit] if start is not None else found[-limit:]

    def _aggregate(self, trade: PublicTrade) -> None:
        taker = trade.seller_order if trade.buyer_is_maker else trade.buyer_order
        last = self._aggregates[-1] if self._aggregates else None
        if (
            last is not None
            and taker == self._last_taker
            and last.price == trade.price
            and last.at // MILLISECOND == trade.at // MILLISECOND
        ):
            total = Lots(last.quantity + trade.quantity)
            self._aggregates[-1] = replace(last, quantity=total, last_trade=trade.id)
            return
        made = AggTrade(
            self._next_aggregate, trade.price, trade.quantity, trade.id, trade.id, trade.at, trade.buyer_is_maker
        )
        self._next_aggregate += 1
        self._aggregates.append(made)
        self._last_taker = taker
