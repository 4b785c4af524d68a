"""What of the market an order waits for, and whether a print has brought it.

    refused by the market alone  ->  after  ->  Volume | News | Spread | Prices  ->  `met` by a print: look again now

Promise: it decides nothing.  It only lets us look before the next regular look; what is decided then rests on the view
that the journal holds.  A print costs a comparison or two, integers all.
"""

from __future__ import annotations

from execd.core import risk
from execd.core.events import MarketView, Print, QuoteChanged, TradePrinted
from execd.core.grid import BPS, PPM, Side
from execd.core.risk import Draft, Refusal, RiskView
from execd.core.vwap import last_price2, minute_price2


class Volume:
    """So many lots must trade until an order fits into our share of the market's volume."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def met(self, event: Print) -> bool:
        """Count a trade; True once enough has traded.  What leaves the window meanwhile, the next look sees."""
        if type(event) is TradePrinted:
            self.left -= event.quantity
        return self.left <= 0


class News:
    """A trade, a quote that is not crossed, or both must be seen; neither is named where either will do."""

    __slots__ = ("quote", "trade")

    def __init__(self, *, trade: bool, quote: bool) -> None:
        self.trade, self.quote = trade, quote

    def met(self, event: Print) -> bool:
        """Note what came; True once nothing that was named is missing."""
        if type(event) is TradePrinted:
            self.trade = False
        elif type(event) is QuoteChanged and event.bid < event.ask:
            self.quote = False
        else:
            return False
        return not (self.trade or self.quote)


class Spread:
    """A quote must come whose spread is no wider than so many bps, with something on both sides."""

    __slots__ = ("bps",)

    def __init__(self, bps: int) -> None:
        self.bps = bps

    def met(self, event: Print) -> bool:
        """Whether this is such a quote."""
        if type(event) is not QuoteChanged:
            return False
        wide = 2 * (event.ask - event.bid) * BPS
        return 0 < wide <= self.bps * (event.bid + event.ask) and event.bid_size > 0 and event.ask_size > 0


class Prices:
    """Twice the reference price must come to lie between two bounds, both included.

    The reference is the median of mid, last trade and minute VWAP: two of them inside bring it inside.
    """

    __slots__ = ("_high2", "_last", "_low2", "_mid", "_minute")

    def __init__(self, low2: int, high2: int, market: MarketView) -> None:
        self._low2, self._high2 = low2, high2
        prices = (market.mid2, last_price2(market), minute_price2(market))
        self._mid, self._last, self._minute = (price is not None and low2 <= price <= high2 for price in prices)

    def met(self, event: Print) -> bool:
        """Note where mid or last trade lie now; True where two of the three lie inside."""
        if type(event) is TradePrinted:
            self._last = self._low2 <= 2 * event.price <= self._high2
        elif type(event) is QuoteChanged:
            self._mid = self._low2 <= event.bid + event.ask <= self._high2
        return self._mid + self._last + self._minute > 1


Awaited = Volume | News | Spread | Prices


def news(market: MarketView) -> News:
    """What ends a stale market: what was never seen or is crossed, or, where all is only old, anything."""
    bid, ask = market.bid, market.ask
    return News(trade=market.last_at is None, quote=bid is None or ask is None or bid >= ask)


def after(refusal: Refusal, draft: Draft, view: RiskView) -> Awaited | None:
    """Return what a refused draft waits for, None where the market alone does not bring it."""
    limits = view.limits
    match refusal:
        case Refusal.PARTICIPATION:
            lots = lots_missing(draft, view)
            return None if lots is None else Volume(lots)
        case Refusal.NO_REFERENCE:
            return _references(view)
        case Refusal.SPREAD:
            return Spread(limits.spread_bps)
        case Refusal.COLLAR:
            through, rest = limits.collar_bps, limits.rest_bps
            below, above = (through, rest) if draft.side is Side.BUY else (rest, through)
            worth = 2 * draft.limit * BPS
            return Prices(-(-worth // (BPS + below)), worth // max(1, BPS - above), view.market)
        case Refusal.PERIOD_COLLAR if view.arrival2 is not None:
            away = limits.period_collar_bps * view.arrival2 // BPS
            return Prices(view.arrival2 - away, view.arrival2 + away, view.market)
        case _:
            return None


def lots_missing(draft: Draft, view: RiskView) -> int | None:
    """Lots that must trade until our share of the market's volume has room for as much as all else lets pass.

    None where all else lets less pass than the exchange takes.  The whole, not the least that the exchange takes: a
    regular look takes what there is room for, and a print must not cut an order into crumbs.
    """
    wanted = min(draft.quantity, risk.allowance(view, draft.limit, but=Refusal.PARTICIPATION)[0])
    if wanted < view.parent.instrument.least(draft.limit):
        return None
    ppm = min(view.limits.participation_ppm, view.parent.participation_ppm)
    # own <= others * cap / (1 - cap)  <=>  others >= own * (1 - cap) / cap
    others = -(-(view.own_trailing + view.leaves + wanted) * (PPM - ppm) // ppm)
    return others + (view.own_trailing if view.tape_includes_own else 0) - view.market.trailing_volume


def _references(view: RiskView) -> News:
    """A trade brings two of the three sources; where all three are needed, a quote brings the third."""
    market, oldest = view.market, view.now - view.limits.reference_age
    old_trade = market.last_at is None or market.last_at < oldest
    old_quote = market.quote_at is None or market.quote_at < oldest
    return News(trade=old_trade and view.limits.references > 1, quote=old_quote and view.limits.references > 2)
