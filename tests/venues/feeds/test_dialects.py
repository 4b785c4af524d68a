"""What is true of every feed that a dialect of ours writes for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.events import QuoteChanged, TradePrinted
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.venues.capabilities import CAPABILITIES, Sandbox
from execd.venues.ccxt_client import demand_environment
from execd.venues.streams.feed import BadFrame, Feed
from execd.venues.streams.feeds import FEEDS
from tests.venues.feeds.dialects import DIALECTS, Dialect
from tests.venues.feeds.samples import GRID, NOW, damaged, prints, quotes, read_all, survives
from tests.venues.helpers import UNHURRIED

TRADES = [
    TradePrinted(41, Ticks(6_492_664), Lots(100), Nanos(1_790_000_000_123_000_000), Side.SELL),
    TradePrinted(42, Ticks(6_492_665), Lots(1), Nanos(1_790_000_000_124_000_000), Side.BUY),
]
QUOTE = QuoteChanged(Ticks(6_492_664), Lots(7), Ticks(6_492_665), Lots(8), Nanos(1_790_000_000_125_000_000), 9)


def _has_testnet(name: str) -> bool:
    return CAPABILITIES[name].sandbox is Sandbox.TESTNET


@dataclass(frozen=True)
class Pair:
    """A feed and the dialect that it reads."""

    feed: Feed
    dialect: Dialect


@pytest.fixture(params=sorted(DIALECTS), scope="module")
def pair(request: pytest.FixtureRequest) -> Pair:
    dialect = DIALECTS[request.param]
    return Pair(FEEDS[request.param](dialect.market, GRID), dialect)


@pytest.mark.parametrize("name", sorted(FEEDS))
def test_every_feed_is_made_in_the_same_way(name: str) -> None:
    """Whoever makes one need not know which it is."""
    feed = FEEDS[name]("BTC/USDT", GRID, sandbox=True, linear=True)

    assert feed.url.startswith("wss://")


@pytest.mark.parametrize(
    ("name", "sandbox"),
    [(name, sandbox) for name in sorted(FEEDS) for sandbox in (False, True) if not sandbox or _has_testnet(name)],
)
def test_a_feed_speaks_to_the_environment_that_it_is_made_for(name: str, sandbox: bool) -> None:
    """Practice must not be judged by the live market, nor money by the test network's."""
    feed = FEEDS[name]("BTC/USDT", GRID, sandbox=sandbox)

    demand_environment(CAPABILITIES[name], [feed.url, feed.request(None, None, None).url], sandbox=sandbox)


@UNHURRIED
@given(data=st.data())
def test_what_is_written_is_read_exactly(pair: Pair, data: st.DataObject) -> None:
    """Price, quantity, time, side, id and count of any trades come back as they were, in their order."""
    counts = st.integers(1, 50) if "okx" in pair.feed.url else st.just(1)
    trades = data.draw(st.lists(prints(counts), max_size=5))

    assert trades == read_all(pair.feed, pair.dialect.encode(trades))


@UNHURRIED
@given(quote=quotes())
def test_a_best_quote_is_read_exactly(pair: Pair, quote: QuoteChanged) -> None:
    """Where the exchange numbers it by its time, that is its number."""
    read = pair.feed.decode(pair.dialect.encode_quote(quote), NOW)

    update = quote.at // 1_000_000 if "hyperliquid" in pair.feed.url else quote.update
    assert [QuoteChanged(quote.bid, quote.bid_size, quote.ask, quote.ask_size, quote.at, update)] == list(read)


@pytest.mark.parametrize("ask", [Ticks(0), Ticks(6_492_663), Ticks(6_492_664)])
def test_a_book_that_is_crossed_or_half_empty_is_no_quote(pair: Pair, ask: Ticks) -> None:
    """No decision is made by such a market."""
    crossed = QuoteChanged(QUOTE.bid, QUOTE.bid_size, ask, QUOTE.ask_size, QUOTE.at, QUOTE.update)

    assert not pair.feed.decode(pair.dialect.encode_quote(crossed), NOW)


@UNHURRIED
@given(data=st.data())
def test_any_bytes_are_facts_nothing_or_refused(pair: Pair, data: st.DataObject) -> None:
    """A broken frame costs that frame, never the daemon."""
    frames = [*pair.dialect.encode(TRADES), pair.dialect.encode_quote(QUOTE)]

    survives(pair.feed, data.draw(damaged(frames)))


@pytest.mark.parametrize("wrong", [b"", b"{", b"[]", b"7", b'"x"', b"\xff\xfe", b"[" * 5000, b'{"a":' * 5000])
def test_what_is_no_message_is_a_bad_frame(pair: Pair, wrong: bytes) -> None:
    """Also where a naive parser would run out of stack."""
    with pytest.raises(BadFrame):
        pair.feed.decode(wrong, NOW)


@pytest.mark.parametrize("answer", [None, 7, "x", {}, {"data": 7}, [7], [{}], [[]], [None]])
def test_nonsense_for_a_page_is_refused(pair: Pair, answer: object) -> None:
    """With ValueError and with nothing else."""
    with pytest.raises(ValueError, match=r"."):
        pair.feed.page(answer)
