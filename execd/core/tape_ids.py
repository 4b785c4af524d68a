"""Which public trades have been seen: by their ids, and where ids tell nothing, by the spans that may lack some.

Promise: no id counts twice, whatever comes in whatever order; an id that is known to be missing stands in a gap until
it comes or is given up for lost; memory is bounded whatever comes.
"""

from __future__ import annotations

from execd.core.events import Gap, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks

LATEST = 65_536
"""How many of the latest prints are kept, so that they can be corrected or taken back; a power of two."""

GAPS_MAX = 64
"""Most ranges of missing ids that are kept fillable; older ones are given up for lost."""

HOLES_MAX = 64
"""Most spans with unknown content that are told apart; beyond, the two with the least between them become one."""


class TapeIds:
    """What is common to both kinds of ids.

    `run` is the last id of those that rise by one, None where they do not; then the latest prints lie in `ring` at
    their ids' places, `ring[id & mask]`.  `first_at` is the venue's time of the first print seen: until `anchored`,
    what was printed before it may still come.  `gaps` are the ranges that may still come, as they were found; `lost`
    counts the ids given up of those that concern the window.
    """

    __slots__ = ("_end", "_start", "anchored", "first_at", "gaps", "lost", "mask", "ring", "run")

    def __init__(self, start: Nanos, end: Nanos) -> None:
        self._start, self._end = start, end
        self.anchored = False
        self.run: int | None = None
        self.ring: list[TradePrinted | None] = []  # made with the first print: most replays see none
        self.mask = LATEST - 1
        self.first_at: Nanos | None = None
        self.gaps: list[Gap] = []
        self.lost = 0

    def concerns(self, gap: Gap) -> bool:
        """Whether trades of a gap may lie in the window, by the venue's times of the trades beside it."""
        return gap.until >= self._start and gap.since < self._end


class RunningIds(TapeIds):
    """Ids that rise by one: what is not there is known."""

    __slots__ = ("_first",)

    def __init__(self, start: Nanos, end: Nanos) -> None:
        super().__init__(start, end)
        self._first = 0

    @property
    def last(self) -> int | None:
        """The highest id seen."""
        return self.run

    def take(self, trade: TradePrinted) -> bool:
        """Note the ids of a print; False if any of them was seen before, or lies before what is known to matter.

        Those of its ids that were not seen are then missing: what they traded is not known apart from the rest.
        """
        first, last = trade.id - trade.count + 1, trade.id
        if self.run is None:
            self._begin(first, trade)
        elif first == self.run + 1:
            self.run = last
            self.put(trade)
        elif last <= self.run and first >= self._first and not self.gaps:
            return False
        else:
            return self._take_odd(first, last, trade)
        return True

    def awaits(self, number: int) -> bool:
        """Whether an id is missing and may still come."""
        return any(gap.first <= number <= gap.last for gap in self.gaps)

    def void(self, number: int) -> bool:
        """Use up an id that was not seen: no trade of it will count.  False if it was seen before."""
        run = self.run
        if run is None or (number < self._first and self.anchored):
            return True  # There is nothing to take back.
        if number > run:
            # When the ids between were printed nothing tells yet.
            self._miss(Gap(run + 1, number, self._reached_at(), max(self._reached_at(), self._end)))
            self._reach(number, self._reached_at())
        elif number < self._first:
            at = self._first_at()
            self._miss(Gap(number, self._first - 1, at, at))
            self._first = number
        taken = self._fill(number, number, None)
        if taken:
            self.put(nothing(number, self._reached_at()))
        return taken

    def find(self, number: int) -> TradePrinted | None:
        """The print of this id, if it is one of the latest."""
        found = self.ring[number & self.mask] if self.ring else None
        return found if found is not None and found.id == number else None

    def put(self, trade: TradePrinted) -> None:
        """Remember what is known of an id, unless a later one has its place."""
        before = self.ring[trade.id & self.mask]
        if before is None or before.id <= trade.id:
            self.ring[trade.id & self.mask] = trade

    def latest(self) -> list[TradePrinted]:
        """The prints that are remembered, in no order."""
        return [trade for trade in self.ring if trade is not None and trade.count]

    def restore(self, last: int, at: Nanos, first: int, gaps: list[Gap]) -> None:
        """Go on after an id whose print had this time, where the lowest id that matters was `first`."""
        self._begin(first, nothing(last, at))
        self.gaps = gaps

    def _take_odd(self, first: int, last: int, trade: TradePrinted) -> bool:
        assert self.run is not None
        if last > self.run:
            self._miss(Gap(self.run + 1, last, self._reached_at(), trade.at))
            self._reach(last, trade.at)
        if first < self._first and not self.anchored:
            self._miss(Gap(first, self._first - 1, trade.at, self._first_at()))
            self._first, self.first_at = first, trade.at
        taken = self._fill(first, last, trade.at)
        if taken:
            self.put(trade)
        while len(self.gaps) > GAPS_MAX:
            # The oldest, but before any of the window's one that is not.
            gap = min(self.gaps, key=self.concerns)
            self.gaps.remove(gap)
            self.lost += (gap.last - gap.first + 1) * self.concerns(gap)
        return taken

    def _begin(self, first: int, trade: TradePrinted) -> None:
        self.ring = [None] * (self.mask + 1)
        self._first, self.first_at, self.run = first, trade.at, trade.id
        self.put(trade)

    def _reach(self, last: int, at: Nanos) -> None:
        self.run = last
        self.put(nothing(last, at))  # Until it is known better: whether it counts is not decided yet.

    def _reached_at(self) -> Nanos:
        reached = None if self.run is None else self.ring[self.run & self.mask]
        assert reached is not None, "the highest id has its place in the ring"
        return reached.at

    def _first_at(self) -> Nanos:
        assert self.first_at is not None, "what has begun has a first print"
        return self.first_at

    def _miss(self, gap: Gap) -> None:
        """Note ids that were not seen, as one with a gap that they continue."""
        since, until = min(gap.since, gap.until), max(gap.since, gap.until)
        for index, other in enumerate(self.gaps):
            if other.last + 1 == gap.first or gap.last + 1 == other.first:
                first, last = min(other.first, gap.first), max(other.last, gap.last)
                self.gaps[index] = Gap(first, last, min(since, other.since), max(until, other.until))
                return
        self.gaps.append(Gap(gap.first, gap.last, since, until))

    def _fill(self, first: int, last: int, at: Nanos | None) -> bool:
        """Take a range out of the one gap that holds all of it; False if there is none."""
        for index, gap in enumerate(self.gaps):
            if gap.first <= first and last <= gap.last:
                # A venue's times need not rise with its ids to the last digit.
                beside = gap.until if at is None else at
                left = Gap(gap.first, first - 1, min(gap.since, beside), max(gap.since, beside))
                beside = gap.since if at is None else at
                right = Gap(last + 1, gap.last, min(beside, gap.until), max(beside, gap.until))
                self.gaps[index : index + 1] = [part for part in (left, right) if part.first <= part.last]
                return True
        return False


class LooseIds(TapeIds):
    """Ids without an order: the latest ones are told apart, and what is missing is not known by them.

    Two generations of them: when the young one is full it becomes the old one, and the old one is forgotten.  What is
    not later than `floor` was seen in an earlier life, or cannot be told from what was.
    """

    __slots__ = ("_old", "_young", "floor", "last")

    def __init__(self, start: Nanos, end: Nanos) -> None:
        super().__init__(start, end)
        self._young: dict[int, TradePrinted] = {}
        self._old: dict[int, TradePrinted] = {}
        self.floor: Nanos | None = None
        self.last: int | None = None

    def take(self, trade: TradePrinted) -> bool:
        """Note the id of a print; False if it was seen before."""
        number = trade.id
        if number in self._young or number in self._old or (self.floor is not None and trade.at <= self.floor):
            return False
        self.put(trade)
        if self.last is None or number > self.last:
            self.last = number
        if not self.anchored and (self.first_at is None or trade.at < self.first_at):
            self.first_at = trade.at
        return True

    def find(self, number: int) -> TradePrinted | None:
        """The print of this id, if it is one of the latest."""
        return self._young.get(number) or self._old.get(number)

    def put(self, trade: TradePrinted) -> None:
        """Remember what is known of an id."""
        self._young[trade.id] = trade
        if len(self._young) > self.mask:
            self._old, self._young = self._young, {}

    def latest(self) -> list[TradePrinted]:
        """The prints that are remembered, in no order."""
        return [trade for trade in (self._old | self._young).values() if trade.count]


class Holes:
    """Spans [since, until] of venue time in which trades may have been missed, ascending, none touching another."""

    __slots__ = ("spans",)

    def __init__(self) -> None:
        self.spans: list[tuple[Nanos, Nanos]] = []

    def add(self, since: Nanos, until: Nanos) -> None:
        """Note a span; nothing where it ends before it begins."""
        if until < since:
            return
        apart = []
        for span in self.spans:
            if span[1] + 1 < since or until + 1 < span[0]:
                apart.append(span)
            else:
                since, until = min(since, span[0]), max(until, span[1])
        self.spans = sorted([*apart, (since, until)])
        if len(self.spans) > HOLES_MAX:
            self._join_the_nearest()

    def mend(self, since: Nanos, until: Nanos) -> None:
        """Take out a span of which every trade is known."""
        parts = []
        for low, high in self.spans:
            parts += [(low, min(high, Nanos(since - 1))), (max(low, Nanos(until + 1)), high)]
        self.spans = sorted({(low, high) for low, high in parts if low <= high})

    def within(self, start: Nanos, end: Nanos) -> tuple[tuple[Nanos, Nanos], ...]:
        """What of them lies in [start, end), cut to it."""
        cut = [(max(since, start), min(until, Nanos(end - 1))) for since, until in self.spans]
        return tuple((since, until) for since, until in cut if since <= until)

    def _join_the_nearest(self) -> None:
        between = [after[0] - before[1] for before, after in zip(self.spans, self.spans[1:], strict=False)]
        nearest = between.index(min(between))
        self.spans[nearest : nearest + 2] = [(self.spans[nearest][0], self.spans[nearest + 1][1])]


def nothing(number: int, at: Nanos) -> TradePrinted:
    """What stands for an id that counts for nothing: busted, or not known apart."""
    return TradePrinted(number, Ticks(0), Lots(0), at, Side.BUY, 0)
