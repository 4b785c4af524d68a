"""A market as ccxt describes it -> our grid.

Promise: tick, lot and limits come from the venue's own decimal strings; limits are rounded to the strict side.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from execd.core.grid import Instrument, Lots, Notional
from execd.venues import VenueError
from execd.venues.digits import exact

NO_LIMIT = 10**18
"""Lots, where a venue names no largest order: more than any."""


def instrument_of(venue: str, market: Mapping[str, Any], price_decimals: int | None = None) -> Instrument:
    """The grid of one ccxt market, loaded with `number = str`.

    `price_decimals` is how many decimals a price and a quantity have together, where the venue gives that for a tick.
    Raises VenueError where the venue gives no grid, or one of contracts.
    """
    symbol = str(market.get("symbol"))
    _demand_base(venue, symbol, market)
    tick, lot = (_number(market, "precision", name) for name in ("price", "amount"))
    if lot and price_decimals is not None:
        tick = Decimal(format((Decimal(1).scaleb(-price_decimals) / lot).normalize(), "f"))
    if not tick or not lot:
        raise VenueError(f"{venue} gives no price or quantity step for {symbol}")
    least, most = (_number(market, "limits", "amount", name) for name in ("min", "max"))
    cheapest, dearest = (_number(market, "limits", "cost", name) for name in ("min", "max"))
    unit = tick * lot
    try:
        return Instrument(
            venue=venue,
            symbol=symbol,
            base=str(market["base"]),
            quote=str(market["quote"]),
            tick=tick,
            lot=lot,
            min_quantity=Lots(max(1, int(((least or lot) / lot).to_integral_value(ROUND_CEILING)))),
            max_quantity=Lots(int((most / lot).to_integral_value(ROUND_FLOOR)) if most else NO_LIMIT),
            min_notional=Notional(int(((cheapest or Decimal(0)) / unit).to_integral_value(ROUND_CEILING))),
            max_notional=Notional(int((dearest / unit).to_integral_value(ROUND_FLOOR)) if dearest else NO_LIMIT**2),
        )
    except (ValueError, KeyError) as error:
        raise VenueError(f"{venue} describes {symbol} in a way that makes no grid: {error}") from None


def _demand_base(venue: str, symbol: str, market: Mapping[str, Any]) -> None:
    """Refuse a market whose quantities are not in its base currency, nor their value price times quantity."""
    if not market.get("contract"):
        return
    size = _number(market, "contractSize")
    if market.get("linear") is not True or size != 1:
        of = "is not linear" if market.get("linear") is not True else f"has contracts of {size} {market.get('base')}"
        raise VenueError(f"{venue}: {symbol} {of}; execd trades in the base currency only")


def near(symbol: str, symbols: Sequence[str]) -> str:
    """A clause that names symbols like one that does not exist, or nothing."""
    base = symbol.split("/")[0].upper()
    same = [other for other in symbols if other.split("/")[0] == base]
    close = difflib.get_close_matches(symbol.upper(), symbols, n=3)
    names = list(dict.fromkeys([*close, *same]))[:5]
    return f"; did you mean {', '.join(names)}?" if names else ""


def _number(market: Mapping[str, Any], *path: str) -> Decimal | None:
    value: Any = market
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    try:
        number = exact(value)
    except ValueError:
        return None
    if number <= 0:
        return None
    return Decimal(format(number.normalize(), "f"))  # 0.01000000 as 0.01, for people to read
