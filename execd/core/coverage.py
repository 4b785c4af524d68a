"""How far off the market's VWAP can be, by what is known to be missing of it.

Promise: exact arithmetic, and a bound that holds if all of this does:

- no trade that was missed was larger than the window's largest print;
- none was outside the window's lowest and highest price;
- no second in a hole traded more than the window's busiest second;
- a trade that was taken back too late to be found was no larger, and inside those prices.

With V seen, A the most that may have to be added and T the most that may have to be taken away, the VWAP is off by at
most (A + T) / (V + A - T) of the way from it to the further end of the price range.  V must be more than 2 T: what is
then taken away is less than what stays, and adding less than A makes the error no larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from execd.core.events import MarketView
from execd.core.grid import SECOND, Nanos


@dataclass(frozen=True, slots=True)
class Missed:
    """A part of the window that is not known: when, how many trades, and the most lots that they can have traded.

    `since` and `until`, by the venue's time, are None where that is lost; `trades` is None where nobody can count them.
    """

    since: Nanos | None
    until: Nanos | None
    trades: int | None
    volume: int


def missed(view: MarketView) -> tuple[Missed, ...]:
    """What is not known of the window, one after the other; what has no time last."""
    gaps = [(gap.since, gap.until, gap.last - gap.first + 1) for gap in view.gaps]
    parts = [Missed(since, until, trades, trades * view.largest) for since, until, trades in gaps]
    parts += [Missed(since, until, None, _seconds(since, until) * view.peak) for since, until in view.holes]
    parts.sort(key=lambda part: (part.since or 0, part.until or 0))
    return (*parts, *([Missed(None, None, view.lost, view.lost * view.largest)] if view.lost else []))


def error(view: MarketView, parts: tuple[Missed, ...], volume: int, notional: int) -> Fraction | None:
    """By which part of itself the VWAP of such sums of the window can be off; None where no bound can be given.

    `parts` are those that are missing; the sums are the window's, or what is left of them without our own prints.
    """
    if not parts:
        return Fraction(0)
    # Only what is lost can be in the sums wrongly; the rest is not in them.
    taken = sum(part.volume for part in parts if part.since is None)
    added = sum(part.volume for part in parts if part.since is not None)
    if volume <= 2 * taken or notional <= 0 or view.window_low is None or view.window_high is None:
        return None
    vwap = Fraction(notional, volume)
    reach = max(view.window_high - vwap, vwap - view.window_low)
    return Fraction(added + taken, volume + added - taken) * reach * Fraction(volume, notional)


def _seconds(since: Nanos, until: Nanos) -> int:
    """How many seconds of the clock a span touches."""
    return until // SECOND - since // SECOND + 1
