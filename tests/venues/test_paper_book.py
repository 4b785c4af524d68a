"""Imagined fills: never more, earlier or better than the public tape allows."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.events import CancelRefused, OrderAccepted, OrderClosed, OrderFilled, OrderMissing
from execd.core.grid import Lots, Nanos, Side, Ticks
from execd.core.orders import Liquidity, OrderKind
from execd.venues.paper_book import PaperBook
from tests.venues.helpers import UNHURRIED, a_print, a_quote, a_submit, an_instrument

NOW = Nanos(5)


@pytest.fixture
def book() -> PaperBook:
    """A market of 99 (50 lots) to 101 (40 lots)."""
    made = PaperBook(an_instrument(), maker_fee=Decimal("0.001"), taker_fee=Decimal("0.002"))
    made.quoted(a_quote(99, 50, 101, 40))
    return made


def quantities(facts: tuple[OrderFilled | OrderClosed, ...]) -> list[int]:
    return [fact.fill.quantity for fact in facts if isinstance(fact, OrderFilled)]


def test_a_post_only_order_that_would_take_is_refused(book: PaperBook) -> None:
    answer, fills = book.submit(a_submit(1, 10, 101), NOW)

    assert isinstance(answer, OrderClosed)
    assert Lots(0) == answer.filled
    assert answer.reason.startswith("crosses")
    assert fills == ()
    assert isinstance(book.query("p1n1"), OrderMissing)


def test_an_order_at_the_touch_waits_behind_all_that_is_displayed(book: PaperBook) -> None:
    answer, _ = book.submit(a_submit(1, 10, 99), NOW)
    assert OrderAccepted("p1n1", "paper-1", Lots(0)) == answer

    assert quantities(book.printed(a_print(99, 50, Side.SELL))) == []
    assert quantities(book.printed(a_print(99, 7, Side.SELL))) == [7]
    facts = book.printed(a_print(99, 100, Side.SELL))
    assert quantities(facts) == [3]
    assert OrderClosed("p1n1", Lots(10), "filled") == facts[-1]


def test_one_print_eats_the_queue_first_and_its_excess_fills_us(book: PaperBook) -> None:
    book.submit(a_submit(1, 10, 99), NOW)

    assert quantities(book.printed(a_print(99, 54, Side.SELL))) == [4]


def test_a_print_through_our_price_fills_up_to_its_size(book: PaperBook) -> None:
    book.submit(a_submit(1, 10, 99), NOW)

    assert quantities(book.printed(a_print(98, 6, Side.SELL))) == [6]


def test_a_print_at_our_price_by_our_own_side_is_not_for_us(book: PaperBook) -> None:
    book.submit(a_submit(1, 10, 99), NOW)

    assert quantities(book.printed(a_print(99, 500, Side.BUY))) == []


def test_a_better_price_than_the_touch_has_no_queue(book: PaperBook) -> None:
    book.submit(a_submit(1, 10, 100), NOW)

    assert quantities(book.printed(a_print(100, 5, Side.SELL))) == [5]


def test_behind_the_touch_nobody_knows_the_queue_until_it_is_the_touch(book: PaperBook) -> None:
    book.submit(a_submit(1, 10, 98), NOW)
    assert quantities(book.printed(a_print(98, 500, Side.SELL))) == []

    book.quoted(a_quote(98, 20, 101, 40))

    assert quantities(book.printed(a_print(98, 25, Side.SELL))) == [5]


def test_a_queue_only_shrinks(book: PaperBook) -> None:
    """A smaller display means that some before us left; a larger one, that others joined behind."""
    book.submit(a_submit(1, 10, 99), NOW)
    book.quoted(a_quote(99, 5, 101, 40))
    book.quoted(a_quote(99, 900, 101, 40))

    assert quantities(book.printed(a_print(99, 15, Side.SELL))) == [10]


def test_two_orders_share_a_print_and_the_better_price_comes_first(book: PaperBook) -> None:
    book.submit(a_submit(1, 10, 99), NOW)
    book.submit(a_submit(2, 10, 100), NOW)

    facts = book.printed(a_print(98, 15, Side.SELL))

    assert [(fact.fill.order, fact.fill.quantity) for fact in facts if isinstance(fact, OrderFilled)] == [
        ("p1n2", 10),
        ("p1n1", 5),
    ]


def test_taking_gets_the_displayed_size_once_at_its_price(book: PaperBook) -> None:
    answer, fills = book.submit(a_submit(1, 30, 105, kind=OrderKind.TAKE), NOW)
    assert OrderClosed("p1n1", Lots(30), "filled") == answer
    assert Ticks(101) == fills[0].fill.price
    assert Liquidity.TAKER is fills[0].fill.liquidity

    answer, fills = book.submit(a_submit(2, 30, 105, kind=OrderKind.TAKE), NOW)
    assert OrderClosed("p1n2", Lots(10), "expired") == answer

    answer, _ = book.submit(a_submit(3, 30, 105, kind=OrderKind.TAKE), NOW)
    assert OrderClosed("p1n3", Lots(0), "expired") == answer
    book.quoted(a_quote(99, 50, 101, 40))
    answer, _ = book.submit(a_submit(4, 30, 105, kind=OrderKind.TAKE), NOW)
    assert OrderClosed("p1n4", Lots(30), "filled") == answer


def test_taking_outside_of_its_limit_expires(book: PaperBook) -> None:
    answer, fills = book.submit(a_submit(1, 30, 100, kind=OrderKind.TAKE), NOW)

    assert OrderClosed("p1n1", Lots(0), "expired") == answer
    assert fills == ()


def test_without_a_quote_nothing_is_taken_and_a_resting_order_only_fills_through() -> None:
    book = PaperBook(an_instrument(), maker_fee=Decimal(0), taker_fee=Decimal(0))
    answer, _ = book.submit(a_submit(1, 30, 100, kind=OrderKind.TAKE), NOW)
    assert OrderClosed("p1n1", Lots(0), "expired") == answer

    book.submit(a_submit(2, 30, 100), NOW)
    assert quantities(book.printed(a_print(100, 99, Side.SELL))) == []
    assert quantities(book.printed(a_print(99, 9, Side.SELL))) == [9]


def test_sells_mirror_buys(book: PaperBook) -> None:
    book.submit(a_submit(1, 10, 101, side=Side.SELL), NOW)

    assert quantities(book.printed(a_print(101, 40, Side.BUY))) == []
    assert quantities(book.printed(a_print(101, 2, Side.BUY))) == [2]
    assert quantities(book.printed(a_print(102, 9, Side.BUY))) == [8]
    answer, fills = book.submit(a_submit(2, 10, 99, side=Side.SELL, kind=OrderKind.TAKE), NOW)
    assert OrderClosed("p1n2", Lots(10), "filled") == answer
    assert Ticks(99) == fills[0].fill.price


def test_fees_are_exact_and_in_quote_currency(book: PaperBook) -> None:
    book.submit(a_submit(1, 10, 100), NOW)
    (fact, _) = book.printed(a_print(100, 10, Side.SELL))

    assert isinstance(fact, OrderFilled)
    assert Decimal("0.00001") * 10 * Decimal("1.00") * Decimal("0.001") == fact.fill.fee
    assert fact.fill.fee_currency == "USDT"


def test_a_canceled_order_fills_no_more_and_cancels_once(book: PaperBook) -> None:
    book.submit(a_submit(1, 10, 100), NOW)
    book.printed(a_print(100, 4, Side.SELL))

    assert OrderClosed("p1n1", Lots(4), "canceled") == book.cancel("p1n1")
    assert book.printed(a_print(100, 10, Side.SELL)) == ()
    assert isinstance(book.cancel("p1n1"), CancelRefused)
    assert isinstance(book.cancel("p1n9"), CancelRefused)
    assert OrderClosed("p1n1", Lots(4), "canceled") == book.query("p1n1")
    assert book.living() == ()


def test_an_id_is_taken_once(book: PaperBook) -> None:
    book.submit(a_submit(1, 10, 100), NOW)

    answer, _ = book.submit(a_submit(1, 99, 100), NOW)

    assert isinstance(answer, OrderClosed)
    assert OrderAccepted("p1n1", "paper-1", Lots(0)) == book.query("p1n1")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.integers(95, 100), st.integers(1, 30), st.integers(1, 3)),
        st.tuples(st.just("print"), st.integers(93, 105), st.integers(1, 40), st.integers(0, 1)),
        st.tuples(st.just("order"), st.integers(94, 104), st.integers(1, 25), st.integers(0, 1)),
        st.tuples(st.just("cancel"), st.integers(0, 5), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@UNHURRIED
@given(STEPS)
def test_no_order_fills_more_than_its_quantity_or_worse_than_its_limit_and_no_print_is_used_twice(
    steps: list[tuple[str, int, int, int]],
) -> None:
    book = PaperBook(an_instrument(), maker_fee=Decimal(0), taker_fee=Decimal(0))
    orders: dict[str, tuple[int, int]] = {}
    filled: dict[str, int] = {}
    ids: set[str] = set()

    def count(fact: OrderFilled) -> None:
        quantity, limit = orders[fact.fill.order]
        filled[fact.fill.order] = filled.get(fact.fill.order, 0) + fact.fill.quantity
        assert filled[fact.fill.order] <= quantity
        assert fact.fill.price <= limit
        assert fact.fill.id not in ids
        ids.add(fact.fill.id)

    for kind, price, size, choice in steps:
        if kind == "quote":
            book.quoted(a_quote(price, size, price + choice, size))
        elif kind == "order":
            number = len(orders) + 1
            order = a_submit(number, size, price, at=NOW, kind=OrderKind.TAKE if choice else OrderKind.REST)
            orders[order.order] = (size, price)
            answer, fills = book.submit(order, NOW)
            for fact in fills:
                count(fact)
            assert answer.filled == filled.get(order.order, 0)
        elif kind == "cancel":
            book.cancel(f"p1n{price}")
        else:
            facts = book.printed(a_print(price, size, Side.BUY if choice else Side.SELL))
            for made in facts:
                if isinstance(made, OrderFilled):
                    count(made)
            assert sum(quantities(facts)) <= size
    for name, total in filled.items():
        state = book.query(name)
        assert isinstance(state, OrderAccepted | OrderClosed)
        assert total == state.filled
