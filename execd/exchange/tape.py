"""The tape market: real prints again, at a chosen speed, with times moved to now, and a book around them.

Promise: every print of the file is printed exactly once, whole, at its own price and amount, whatever users do, at
`exchange_time(its ts)`.  Users' fills are further trades.  The touch comes from a file of best quotes where there is
one, else from recorded depth, else from the prints; behind it lies the recorded depth, or a model where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.exchange.market import Floor, SymbolRules
from execd.exchange.tapebook import TABLE, LadderBook, RecordedBook, TapeBook, size_table
from execd.exchange.tapedepth import DepthPlayer, Touch, read_depth
from execd.exchange.tapefile import MarketFileError, Quotes, Tape, find_books, holds_depth, read_quotes, read_tape

__all__ = ["MarketFileError", "TapeMarket"]

# A microsecond of tape must last a nanosecond at least, or two moments of the tape would become one.
TOP_SPEED = 1000
# Quotes and depth that stood for less than this are not shown (exchange time).
BLINK = Nanos(5_000_000)

# Where there is no file of quotes: the touch holds 32 to 120 times the mean print (median, Binance spot 2023-24).
TOUCH_IN_PRINTS = 60.0
TOUCH_LOG_SD = 1.0


class TapeMarket:
    """A file's strangers.

    Attributes:
        seed: For the engine's account id; from the tape's first moment.
        symbol: The one symbol that is traded.
        first_ts: The tape's first moment, microseconds UTC.
        last_ts: Its last.
    """

    def __init__(
        self,
        path: str | Path,
        speed: float | str | Fraction,
        start_at: Nanos,
        symbol: str | None = None,
        book_path: str | Path | None = None,
    ) -> None:
        """Read the files.

        Args:
            path: Prints, parquet or csv; see `tapefile.read_tape`.
            speed: Tape seconds per second, above 0 and at most 1000.
            start_at: When the tape's first print is printed, exchange time.
            symbol: As BTC/USDT; None takes it from the file's name.
            book_path: Best quotes, or depth if its name ends in _l2; then it is the only one used.  None looks for the
                files that belong to the tape's.

        Raises:
            MarketFileError: A file is missing or broken.
            ValueError: The speed is out of range.
        """
        self.speed = Fraction(str(speed))
        if not 0 < self.speed <= TOP_SPEED:
            raise ValueError(f"speed {speed}: allowed is above 0 and at most {TOP_SPEED}")
        self._tape = read_tape(Path(path), symbol)
        self.symbol = self._tape.rules.symbol
        self.first_ts, self.last_ts = self._tape.times[0], self._tape.times[-1]
        self.seed = self.first_ts
        self._start = start_at
        quotes, depth = find_books(Path(path)) if book_path is None else _given(Path(book_path))
        self._quotes = None if quotes is None else self._shown(read_quotes(quotes, self._tape))
        self._depth = None if depth is None else self._first_depth(depth)
        self._next_print = self._next_quote = 0
        self._from_prints = _TouchFromPrints(self._tape)
        # The best that was last told, and the last print since then.
        self._told: Touch | None = None
        self._printed: tuple[Side, Ticks] | None = None

    def exchange_time(self, ts: int) -> Nanos:
        """When a moment of the tape (microseconds UTC) comes, exchange time; rounded down to a nanosecond."""
        return Nanos(self._start + (ts - self.first_ts) * 1000 * self.speed.denominator // self.speed.numerator)

    def tape_time(self, at: Nanos) -> int:
        """The last microsecond of the tape that has come by an exchange time: the inverse of `exchange_time`."""
        return self.first_ts + math.ceil((at - self._start + 1) * self.speed / 1000) - 1

    @property
    def ended(self) -> bool:
        """Whether the last print was printed."""
        return self._next_print >= len(self._tape.times)

    def rules(self, symbol: str) -> SymbolRules:
        """The tape's symbol, on the grid of its file.  Raises ValueError for another."""
        if symbol != self.symbol:
            raise ValueError(f"symbol {symbol}: the tape trades {self.symbol} only")
        return self._tape.rules

    def open(self, now: Nanos, symbols: Sequence[str], floor: Floor) -> None:  # noqa: ARG002
        """Show a first book: what was recorded first, or what the first print tells of it."""
        self._floor = floor
        self._book: TapeBook = (
            LadderBook(self._tape, floor) if self._depth is None else RecordedBook(self._tape, floor, self._depth)
        )
        if self._quotes is not None:
            self._told = self._quoted(0)
            self._next_quote = 1
        elif self._depth is not None:
            self._told = self._depth.touch()
        else:
            self._told = self._from_prints.after(0)
        self._redraw(now)

    def next_at(self) -> Nanos | None:
        """When the next print, quote or change of depth is due; None once the tape has ended."""
        if self.ended:
            return None
        return self.exchange_time(min(self._tape.times[self._next_print], self._quote_ts(), self._depth_ts()))

    def act(self) -> None:
        """Print, or change the book.  Prints come first: a book of the same moment tells what they left."""
        due = self._tape.times[self._next_print]
        if min(self._quote_ts(), self._depth_ts()) >= due:
            self._print(self.exchange_time(due))
        elif self._depth_ts() <= self._quote_ts():
            self._deepen(self.exchange_time(self._depth_ts()))
        else:
            self._quote(self.exchange_time(self._quote_ts()))

    def catch_up(self, now: Nanos) -> None:
        """A tape is never left out: after a pause all of it that is due is printed."""

    def taken(self, at: Nanos, symbol: str, side: Side, price: Ticks, quantity: int) -> None:  # noqa: ARG002
        """What a user took from the book is missing there for a while."""
        self._book.miss(at, side.opposite, price, quantity)

    def _shown(self, quotes: Quotes) -> Quotes:
        """From the last quote before the tape on, without those that are gone in the blink of an eye."""
        first = max(0, int(np.searchsorted(quotes.times, self.first_ts, side="right")) - 1)
        buckets = quotes.times[first:] // self._blink
        kept = first + np.flatnonzero(np.append(np.diff(buckets) != 0, True))
        return Quotes(
            quotes.times[kept],
            quotes.bids[kept],
            quotes.bid_sizes[kept],
            quotes.asks[kept],
            quotes.ask_sizes[kept],
        )

    def _first_depth(self, path: Path) -> DepthPlayer:
        """Depth from its first usable moment on: where there are no quotes, it must show a touch."""
        depth = DepthPlayer(read_depth(path, self._tape, self._blink))
        while self._quotes is None and depth.touch() is None:
            if depth.due is None:
                raise MarketFileError(f"{path}: at no moment of the tape does it have both sides, uncrossed")
            depth.play()
        return depth

    @property
    def _blink(self) -> int:
        """The time that is not shown, in microseconds of the tape."""
        return max(1, int(BLINK * self.speed / 1000))

    def _quote_ts(self) -> int:
        if self._quotes is None or self._next_quote >= len(self._quotes.times):
            return self.last_ts + 1
        return max(self.first_ts, int(self._quotes.times[self._next_quote]))

    def _depth_ts(self) -> int:
        due = None if self._depth is None else self._depth.due
        return self.last_ts + 1 if due is None else due

    def _print(self, at: Nanos) -> None:
        tape, number = self._tape, self._next_print
        self._next_print += 1
        taker, price = tape.sides[number], Ticks(tape.prices[number])
        self._floor.print_whole(at, self.symbol, taker, price, Lots(tape.amounts[number]))
        if self._quotes is None and self._depth is None:
            self._book.show(at, self._from_prints.after(number))
            return
        self._printed = (taker, price)
        if None in (self._floor.touch(self.symbol, Side.BUY), self._floor.touch(self.symbol, Side.SELL)):
            self._redraw(at)

    def _quote(self, at: Nanos) -> None:
        self._told, self._printed = self._quoted(self._next_quote), None
        self._next_quote += 1
        self._book.show(at, self._told)

    def _deepen(self, at: Nanos) -> None:
        """The next recorded depth: with the touch of the quotes while they last, else with its own."""
        assert self._depth is not None, "a change of depth without depth"
        self._depth.play()
        if self._quotes is None or self._next_quote >= len(self._quotes.times):
            touch = self._depth.touch()
            if touch is None:
                # Crossed or one-sided: something was lost on the way.  What stood before stays.
                return
            self._told, self._printed = touch, None
        self._redraw(at)

    def _redraw(self, at: Nanos) -> None:
        """Show all that is known, around the last print where that went through what was told last."""
        assert self._told is not None, "nothing was told yet"
        bid, bid_size, ask, ask_size = self._told
        if self._printed is not None:
            taker, price = self._printed
            buying = taker is Side.BUY
            bid, ask = Ticks(min(bid, price - buying)), Ticks(max(ask, price + (not buying)))
        self._book.redraw(at, (bid, bid_size, ask, ask_size))

    def _quoted(self, number: int) -> Touch:
        quotes = self._quotes
        assert quotes is not None, "a quote without a file of quotes"
        bid, ask = Ticks(int(quotes.bids[number])), Ticks(int(quotes.asks[number]))
        return bid, int(quotes.bid_sizes[number]), ask, int(quotes.ask_sizes[number])


def _given(path: Path) -> tuple[Path | None, Path | None]:
    """A book file as quotes or as depth."""
    return (None, path) if holds_depth(path) else (path, None)


class _TouchFromPrints:
    """Best quotes as the prints tell them: a buyer's price is the ask, a seller's the bid."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        turns = [
            abs(tape.prices[number] - tape.prices[number - 1])
            for number in range(1, len(tape.prices))
            if tape.sides[number] is not tape.sides[number - 1]
        ]
        self._spread = max(1, sorted(turns)[len(turns) // 2]) if turns else 1
        self._last: dict[Side, int] = {}
        mean = TOUCH_IN_PRINTS * sum(tape.amounts) / len(tape.amounts)
        self._sizes = size_table(mean, TOUCH_LOG_SD, tape.times[0])

    def after(self, number: int) -> Touch:
        """The touch, once a print is known."""
        taker, price = self._tape.sides[number], self._tape.prices[number]
        # The bid lies under a buyer's price where a seller last was, if that is near; else a usual spread away.
        other = self._last.get(taker.opposite)
        self._last[taker] = price
        if other is None or not 0 < (price - other) * taker.sign <= 2 * self._spread:
            other = max(1, price - taker.sign * self._spread) if taker is Side.BUY else price + self._spread
        bid, ask = (other, price) if taker is Side.BUY else (price, other)
        if ask <= bid:
            ask = bid + 1
        return Ticks(bid), self._sizes[bid % TABLE], Ticks(ask), self._sizes[(ask * 7) % TABLE]
