"""What the tests of the feeds share: a grid, a moment, prints and quotes that lie on it, and a frame of nearly JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal

from hypothesis import strategies as st

from execd.core.events import QuoteChanged, TradeBusted, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues.digits import Grid
from execd.venues.streams.feed import LATEST_MS, NANOS_PER_MS, BadFrame, Facts, Feed, StreamBroken
from tests.venues.helpers import an_instrument

INSTRUMENT = an_instrument()
GRID = Grid(INSTRUMENT)
"""Ticks of 0.01 and lots of 0.00001."""

NOW = Nanos(1_790_000_000_000_000_007)
"""Our own time, which no exchange of these tests ever writes."""


def price(ticks: int) -> str:
    """A price as exchanges write it."""
    return f"{Decimal(ticks).scaleb(-2):f}"


def size(lots: int) -> str:
    """A quantity as exchanges write it."""
    return f"{Decimal(lots).scaleb(-5):f}"


def frame(message: object) -> bytes:
    """A message as exchanges send it: JSON without spaces, keys in the order given."""
    return json.dumps(message, separators=(",", ":")).encode()


def told(feed: Feed, message: object) -> list[object]:
    """What a feed reads from a message."""
    return list(feed.decode(frame(message), NOW))


def read_all(feed: Feed, frames: Iterable[bytes]) -> list[object]:
    """What a feed reads from frames, one after another."""
    return [fact for each in frames for fact in feed.decode(each, NOW)]


def survives(feed: Feed, bytes_: bytes) -> None:
    """Assert that a feed makes facts of its grid, nothing, or one of its two refusals of any bytes."""
    facts: Facts = ()
    with suppress(BadFrame, StreamBroken):
        facts = feed.decode(bytes_, NOW)
    for fact in facts:
        if isinstance(fact, TradePrinted):
            assert fact.price > 0
            assert fact.quantity > 0
            assert fact.id - fact.count >= -1
        elif isinstance(fact, QuoteChanged):
            assert 0 < fact.bid < fact.ask
        else:
            assert isinstance(fact, TradeBusted)


TIMES = st.integers(0, LATEST_MS).map(lambda ms: Nanos(ms * NANOS_PER_MS))

LOTS = st.integers(1, 10**12).map(Lots)


@st.composite
def prints(draw: st.DrawFn, counts: st.SearchStrategy[int] = st.just(1)) -> TradePrinted:  # noqa: B008 (immutable)
    """A trade on the grid, at a whole millisecond."""
    count = draw(counts)
    return TradePrinted(
        id=draw(st.integers(count, 2**60)),
        price=Ticks(draw(st.integers(1, 10**12))),
        quantity=draw(LOTS),
        at=draw(TIMES),
        taker=draw(st.sampled_from(Side)),
        count=count,
    )


@st.composite
def quotes(draw: st.DrawFn) -> QuoteChanged:
    """A best bid and ask on the grid, at a whole millisecond."""
    bid = draw(st.integers(1, 10**12))
    ask = bid + draw(st.integers(1, 10**6))
    return QuoteChanged(Ticks(bid), draw(LOTS), Ticks(ask), draw(LOTS), draw(TIMES), update=draw(st.integers(1, 2**60)))


@st.composite
def damaged(draw: st.DrawFn, frames: Iterable[bytes]) -> bytes:
    """A good frame of which some bytes were replaced, or any bytes at all."""
    whole = draw(st.sampled_from(list(frames)) | st.binary(max_size=40))
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(len(whole), start + 12)))
    rubbish = st.binary(max_size=8) | st.sampled_from(
        [b"0", b"-1", b"1e999", b'""', b"null", b"{}", b"[]", b'"', b"9" * 30]
    )
    return whole[:start] + draw(rubbish) + whole[end:]
