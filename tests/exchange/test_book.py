"""The book keeps price-time priority and its sums, and is never crossed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from execd.core.grid import Side, Ticks
from execd.exchange.book import Book, Entry

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["join", "shrink", "clear", "eat"]),
        st.sampled_from(list(Side)),
        st.integers(1, 20),
        st.integers(1, 9),
    ),
    max_size=60,
)


def rest(book: Book, side: Side, price: int, lots: int, number: int = 0) -> Entry:
    entry = Entry(number, lots)
    book.join(side, Ticks(price), entry)
    return entry


def test_the_best_price_is_the_highest_bid_and_the_lowest_ask() -> None:
    book = Book()
    for price in (98, 99, 97):
        rest(book, Side.BUY, price, 1)
    for price in (102, 101, 103):
        rest(book, Side.SELL, price, 1)
    assert (book.touch(Side.BUY), book.touch(Side.SELL)) == (99, 101)
    assert [price for price, _ in book.depth(Side.BUY, 5)] == [99, 98, 97]
    assert [price for price, _ in book.depth(Side.SELL, 2)] == [101, 102]


def test_the_oldest_of_the_best_level_is_in_front() -> None:
    book = Book()
    first = rest(book, Side.SELL, 101, 2)
    second = rest(book, Side.SELL, 101, 3)
    front = book.front(Side.SELL)
    assert front is not None
    assert front[1] is first
    book.reduce(Side.SELL, front[0], first, 2)
    after = book.front(Side.SELL)
    assert after is not None
    assert after[1] is second


def test_shrinking_takes_from_the_end_of_the_queue() -> None:
    book = Book()
    first, second = rest(book, Side.BUY, 99, 4), rest(book, Side.BUY, 99, 4)
    book.shrink(Side.BUY, Ticks(99), 5)
    assert (first.left, second.left) == (3, 0)


def test_a_plan_stops_at_its_limit_its_quantity_and_its_budget() -> None:
    book = Book()
    for price in (101, 102, 103):
        rest(book, Side.SELL, price, 10)
    assert book.plan(Side.BUY, limit=Ticks(102), lots=100) == (20, 2030)
    assert book.plan(Side.BUY, limit=None, lots=15) == (15, 1010 + 510)
    assert book.plan(Side.BUY, limit=None, lots=None, budget=1010 + 102 * 3 + 101) == (13, 1010 + 306)


@given(MOVES)
def test_sums_hold_and_nothing_crosses_whatever_is_done(moves: list[tuple[str, Side, int, int]]) -> None:
    book = Book()
    for what, side, price, lots in moves:
        if what == "join" and not book.crosses(side, Ticks(price)):
            rest(book, side, price, lots)
        elif what == "shrink" and book.market_size(side, Ticks(price)) >= lots:
            book.shrink(side, Ticks(price), lots)
        elif what == "clear":
            book.clear_better(side, Ticks(price))
            touch = book.touch(side)
            assert touch is None or (touch - price) * side.sign <= 0
        elif what == "eat" and (front := book.front(side)) is not None:
            book.reduce(side, *front, min(lots, front[1].left))
        bid, ask = book.touch(Side.BUY), book.touch(Side.SELL)
        assert bid is None or ask is None or bid < ask
        for half in book.sides.values():
            levels = list(half)
            assert all(level.queue and level.total == sum(entry.left for entry in level.queue) for level in levels)
            assert all(level.market == level.total for level in levels)
            assert [level.price for level in levels] == sorted(
                {level.price for level in levels}, reverse=half.side is Side.BUY
            )
