"""Behind the touch of a tape lies the depth that was recorded beside it, at its moments; prints stay what they were."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.exchange.tape import TapeMarket
from execd.exchange.tapebook import SHOWN
from execd.exchange.tapedepth import read_depth
from execd.exchange.tapefile import read_tape
from tests.exchange.depth import (
    NAME,
    QUIET,
    SECONDS,
    SHOWN_FIRST,
    SNAPSHOT,
    START,
    T0,
    Print,
    Row,
    after,
    best,
    depth_frame,
    levels,
    open_engine,
    replay,
    shown,
    write_quotes,
    write_tape,
)

SIDES = {"buy": Side.BUY, "sell": Side.SELL}

# --------------------------------------------------------------------------------------------------- a book of ours


def test_the_book_is_what_the_snapshot_and_its_changes_say(tmp_path: Path) -> None:
    engine = replay(
        tmp_path,
        [
            *SNAPSHOT,
            (SECONDS, "diff", "bid", "99.99", "0", 11),
            (SECONDS, "diff", "bid", "99.98", "7", 11),
            (SECONDS, "diff", "ask", "100.01", "0.5", 11),
            (2 * SECONDS, "diff", "ask", "100.01", "0", 12),
            (2 * SECONDS, "diff", "ask", "100.03", "0.00001", 12),
            (3 * SECONDS, "diff", "ask", "100", "9", 13),
        ],
    )
    assert shown(engine) == levels(*SHOWN_FIRST)
    assert after(engine, SECONDS - 1)[0] == levels(SHOWN_FIRST[0])[0]
    assert after(engine, SECONDS) == levels([("99.98", "7"), ("99.97", "3")], [("100.01", "0.5"), ("100.02", "4")])
    assert after(engine, 2 * SECONDS)[1] == levels([("100.02", "4"), ("100.03", "0.00001")])[0]
    assert after(engine, 3 * SECONDS)[1] == levels([("100", "9"), ("100.02", "4"), ("100.03", "0.00001")])[0]


@pytest.mark.parametrize("clock", [-10, 1_500_000, 50_000_000])
def test_a_snapshot_takes_the_place_its_id_gives_it_whatever_its_clock_and_row(tmp_path: Path, clock: int) -> None:
    # Asked for elsewhere, by another clock: it knows nothing of id 12, and all up to 10.
    snapshot = [(clock, *row[1:]) for row in SNAPSHOT]
    engine = replay(
        tmp_path,
        [
            (1 * SECONDS, "diff", "bid", "99", "5", 8),
            (1 * SECONDS, "diff", "ask", "101", "5", 8),
            (2 * SECONDS, "diff", "bid", "99.99", "6", 12),
            *snapshot[:2],
            (1 * SECONDS, "diff", "bid", "99.97", "3", 10),
            *snapshot[2:],
            (3 * SECONDS, "diff", "bid", "99.97", "0", 13),
        ],
    )
    assert shown(engine)[1] == levels(SHOWN_FIRST[1])[0]
    assert after(engine, 2 * SECONDS)[0] == levels([("99.99", "6"), ("99.97", "3")])[0]
    assert after(engine, 3 * SECONDS)[0] == levels([("99.99", "6")])[0]


def test_all_that_came_before_the_tape_is_there_when_it_opens(tmp_path: Path) -> None:
    path = write_tape(tmp_path, QUIET)
    rows: list[Row] = [
        (-4 * SECONDS, "diff", "bid", "99.97", "0", 11),
        (-3 * SECONDS, "diff", "ask", "100.02", "0", 12),
    ]
    depth_frame([*SNAPSHOT, *rows]).write_parquet(tmp_path / f"{NAME}_l2.parquet")
    market = TapeMarket(path, 1, START)
    assert shown(open_engine(market)) == levels([("99.99", "1")], [("100.01", "2")])
    assert market.next_at() == START


def test_a_second_snapshot_replaces_all_that_stood(tmp_path: Path) -> None:
    engine = replay(
        tmp_path,
        [
            *SNAPSHOT,
            (SECONDS, "snapshot", "bid", "99", "1", 20),
            (SECONDS, "snapshot", "ask", "101", "2", 20),
        ],
    )
    assert after(engine, SECONDS) == levels([("99", "1")], [("101", "2")])


def test_the_moments_of_depth_never_go_back_in_time(tmp_path: Path) -> None:
    late = [(200, *row[1:5], 20) for row in SNAPSHOT]
    path = tmp_path / "x_l2.parquet"
    depth_frame(
        [*SNAPSHOT, (500, "diff", "bid", "99", "1", 15), *late, (900, "diff", "bid", "99", "1", 21)]
    ).write_parquet(path)
    depth = read_depth(path, read_tape(write_tape(tmp_path, QUIET)), apart=100)
    assert (depth.times - T0).tolist() == [0, 500, 900]
    assert depth.fresh.tolist() == [False, True, False]


def test_a_tape_at_the_first_tick_has_no_bid_at_zero(tmp_path: Path) -> None:
    rows: list[Row] = [(-5, "snapshot", "bid", "0.01", "1", 10), (-5, "snapshot", "ask", "0.02", "4", 10)]
    engine = replay(tmp_path, rows, [(0, "0.01", "9", "sell"), (SECONDS, "0.01", "9", "buy")])
    assert after(engine, SECONDS)[0] == []


def test_what_stands_for_the_blink_of_an_eye_is_left_out(tmp_path: Path) -> None:
    engine = replay(
        tmp_path,
        [
            *SNAPSHOT,
            (SECONDS + 1000, "diff", "bid", "99.97", "0", 11),
            (SECONDS + 2000, "snapshot", "bid", "99.98", "1", 20),
            (SECONDS + 2000, "snapshot", "bid", "99.96", "4", 20),
            (SECONDS + 2000, "snapshot", "ask", "101", "2", 20),
            (SECONDS + 3000, "diff", "bid", "99.98", "2", 21),
            (SECONDS + 3000, "diff", "bid", "99.99", "3", 21),
        ],
    )
    assert after(engine, SECONDS + 2999)[0] == levels(SHOWN_FIRST[0])[0]
    assert after(engine, SECONDS + 3000) == levels([("99.99", "3"), ("99.98", "2"), ("99.96", "4")], [("101", "2")])


def test_the_touch_is_the_quotes_and_what_is_behind_it_the_depths(tmp_path: Path) -> None:
    write_quotes(
        tmp_path / f"{NAME}_bbo.parquet",
        [(-1, 99.98, 8, 100.01, 9), (2 * SECONDS, 99.99, 5, 100.02, 6), (3 * SECONDS, 99.96, 1, 99.98, 2)],
    )
    engine = replay(tmp_path, [*SNAPSHOT, (SECONDS, "diff", "bid", "99.96", "2", 11)])
    # 99.99 is better than what is bid, so it is not there.
    assert shown(engine) == levels([("99.98", "8"), ("99.97", "3")], [("100.01", "9"), ("100.02", "4")])
    assert after(engine, SECONDS)[0] == levels([("99.98", "8"), ("99.97", "3"), ("99.96", "2")])[0]
    # Between two changes of depth former touches stay as they were left.
    bids, asks = after(engine, 2 * SECONDS)
    assert bids == levels([("99.99", "5"), ("99.98", "8"), ("99.97", "3"), ("99.96", "2")])[0]
    assert asks == levels([("100.02", "6")])[0]
    assert after(engine, 3 * SECONDS) == levels([("99.96", "1")], [("99.98", "2"), ("100.02", "6")])


def test_after_the_last_quote_the_touch_is_the_depths_own(tmp_path: Path) -> None:
    write_quotes(tmp_path / f"{NAME}_bbo.parquet", [(-1, 99.98, 8, 100.01, 9)])
    engine = replay(tmp_path, [*SNAPSHOT, (SECONDS, "diff", "bid", "99.96", "2", 11)])
    assert shown(engine)[0] == levels([("99.98", "8"), ("99.97", "3")])[0]
    assert after(engine, SECONDS)[0] == levels([("99.99", "1"), ("99.97", "3"), ("99.96", "2")])[0]


def test_quotes_a_second_apart_are_not_asked_where_there_is_depth(tmp_path: Path) -> None:
    write_quotes(tmp_path / f"{NAME}_bbo1s.parquet", [(-1, 90.0, 8, 110.0, 9)])
    assert shown(replay(tmp_path, SNAPSHOT)) == levels(*SHOWN_FIRST)


def test_depth_is_found_in_the_book_folder_and_a_given_file_is_the_only_one(tmp_path: Path) -> None:
    for folder in ("ticks", "book", "other"):
        (tmp_path / folder).mkdir()
    path = write_tape(tmp_path / "ticks", QUIET)
    depth_frame(SNAPSHOT).write_parquet(tmp_path / "book" / f"{NAME}_l2.parquet")
    write_quotes(tmp_path / "book" / f"{NAME}_bbo.parquet", [(-1, 99.98, 8, 100.01, 9)])
    assert shown(open_engine(TapeMarket(path, 1, START)))[0] == levels([("99.98", "8"), ("99.97", "3")])[0]
    depth = tmp_path / "other" / "any_l2.parquet"
    depth_frame([(at, kind, side, price, "6", number) for at, kind, side, price, _, number in SNAPSHOT]).write_parquet(
        depth
    )
    only_depth = shown(open_engine(TapeMarket(path, 1, START, book_path=depth)))
    assert only_depth[0] == levels([("99.99", "6"), ("99.97", "6")])[0]
    only_quotes = shown(open_engine(TapeMarket(path, 1, START, book_path=tmp_path / "book" / f"{NAME}_bbo.parquet")))
    assert only_quotes[0][0] == (Decimal("99.98"), Decimal(8))
    assert len(only_quotes[0]) > 2


def test_crossed_and_one_sided_moments_are_passed_over(tmp_path: Path) -> None:
    engine = replay(
        tmp_path,
        [
            *SNAPSHOT,
            (SECONDS, "diff", "bid", "100.01", "5", 11),
            (2 * SECONDS, "diff", "bid", "99.98", "5", 12),
            (3 * SECONDS, "diff", "ask", "100.01", "0", 13),
            (4 * SECONDS, "diff", "ask", "100.02", "0", 14),
            (5 * SECONDS, "diff", "ask", "100.05", "1", 15),
        ],
    )
    first = after(engine, 0)
    assert after(engine, SECONDS) == after(engine, 2 * SECONDS) == first
    bids = levels([("100.01", "5"), ("99.99", "1"), ("99.98", "5"), ("99.97", "3")])[0]
    assert after(engine, 3 * SECONDS) == (bids, *levels([("100.02", "4")]))
    assert after(engine, 4 * SECONDS) == (bids, *levels([("100.02", "4")]))
    assert after(engine, 5 * SECONDS) == (bids, *levels([("100.05", "1")]))


def test_a_record_that_begins_crossed_opens_with_its_first_good_moment(tmp_path: Path) -> None:
    crossed: Row = (-5, "snapshot", "bid", "100.02", "1", 10)
    assert shown(replay(tmp_path, [*SNAPSHOT, crossed, (9, "diff", "bid", "100.02", "0", 11)])) == levels(*SHOWN_FIRST)


def test_only_the_nearest_levels_are_shown(tmp_path: Path) -> None:
    rows: list[Row] = [(-5, "snapshot", "bid", str(99 - Decimal(n) / 100), str(n + 1), 10) for n in range(200)]
    rows += [(-5, "snapshot", "ask", str(100 + Decimal(n) / 100), str(n + 1), 10) for n in range(200)]
    # The nearest goes: another comes in at the far end.
    engine = replay(tmp_path, [*rows, (SECONDS, "diff", "bid", "99", "0", 11)])
    bids, asks = shown(engine)
    assert bids == [(99 - Decimal(n) / 100, Decimal(n + 1)) for n in range(SHOWN + 1)]
    assert asks == [(100 + Decimal(n) / 100, Decimal(n + 1)) for n in range(SHOWN + 1)]
    assert after(engine, SECONDS)[0] == [(99 - Decimal(n) / 100, Decimal(n + 1)) for n in range(1, SHOWN + 2)]


def test_prices_off_the_tapes_grid_move_away_from_the_touch(tmp_path: Path) -> None:
    rows = [*SNAPSHOT, (-5, "snapshot", "bid", "99.995", "1", 10), (-5, "snapshot", "ask", "100.001", "5", 10)]
    assert shown(replay(tmp_path, rows)) == levels([("99.99", "1"), ("99.97", "3")], [("100.01", "5"), ("100.02", "4")])


# ------------------------------------------------------------------------------------------------- prints and orders


def test_a_print_eats_what_is_recorded_until_the_record_says_more(tmp_path: Path) -> None:
    engine = replay(
        tmp_path,
        [*SNAPSHOT, (2 * SECONDS, "diff", "bid", "99.9", "1", 11)],
        [(0, "100.01", "0.5", "buy"), (SECONDS, "100.02", "1", "buy"), (60 * SECONDS, "100.01", "1", "buy")],
    )
    assert after(engine, 0)[1] == levels([("100.01", "1.5"), ("100.02", "4")])[0]
    assert after(engine, SECONDS)[1] == levels([("100.02", "3")])[0]
    # The depth is as recorded at each of its moments, though it did not name what the prints had changed.
    assert after(engine, 2 * SECONDS) == levels(
        [("99.99", "1"), ("99.97", "3"), ("99.9", "1")], [("100.01", "2"), ("100.02", "4")]
    )


def test_a_print_through_all_that_is_recorded_leaves_two_sides_around_it(tmp_path: Path) -> None:
    engine = replay(tmp_path, SNAPSHOT, [(0, "150", "9", "buy"), (SECONDS, "50", "9", "sell")])
    bids, asks = after(engine, 0)
    assert bids == levels(SHOWN_FIRST[0])[0]
    assert asks == levels([("150", "2")])[0]
    bids, asks = after(engine, SECONDS)
    assert bids == levels([("50", "1")])[0]
    assert asks[0][0] > 50


def test_what_we_take_is_missing_from_the_recorded_levels_and_comes_back(tmp_path: Path) -> None:
    ticking: list[Row] = [(at * SECONDS, "diff", "bid", "99", str(at), 10 + at) for at in range(1, 8)]
    engine = replay(tmp_path, [*SNAPSHOT, *ticking])
    rules = engine.rules["BTC/USDT"]
    engine.advance(Nanos(START - 1))
    lots, limit = Lots(rules.lots("4")), Ticks(rules.ticks("100.02"))
    order = engine.place(Nanos(START - 1), "BTC/USDT", Side.BUY, "LIMIT", "IOC", lots, limit, "take")
    paid = {str(rules.price(fill.price)): rules.quantity(fill.quantity) for fill in order.fills}
    assert paid == {"100.01": Decimal(2), "100.02": Decimal(2)}
    assert shown(engine)[1] == levels([("100.02", "2")])[0]
    for at in range(1, 6):
        nearer, farther = after(engine, at * SECONDS)[1]
        # It comes back evenly in five seconds.
        assert abs(nearer[1] - Decimal("0.4") * at) < Decimal("0.0001")
        assert abs(farther[1] - 2 - Decimal("0.4") * at) < Decimal("0.0001")
    assert after(engine, 6 * SECONDS)[1] == levels(SHOWN_FIRST[1])[0]


def test_an_order_of_ours_waits_behind_what_was_recorded_before_it(tmp_path: Path) -> None:
    engine = replay(
        tmp_path,
        [*SNAPSHOT, (SECONDS, "diff", "bid", "99.99", "5", 11)],
        [(0, "100.01", "0.1", "buy"), (2 * SECONDS, "99.99", "0.6", "sell"), (3 * SECONDS, "99.99", "1.6", "sell")],
    )
    engine.advance(START)
    rules = engine.rules["BTC/USDT"]
    order = engine.place(
        START, "BTC/USDT", Side.BUY, "LIMIT_MAKER", "GTC", rules.lots("1"), rules.ticks("99.99"), "wait"
    )
    assert after(engine, SECONDS)[0][0] == (Decimal("99.99"), Decimal(6))
    engine.advance(Nanos(START + 2 * SECOND))
    assert order.filled == 0
    engine.advance(Nanos(START + 3 * SECOND))
    # One was before us, 2.2 were sold, and what came later is behind us.
    assert order.status == "FILLED"


Change = tuple[str, int, int]
Trade = tuple[int, int, str]
PRICES = st.integers(95, 105)
CHANGES = st.lists(st.tuples(st.sampled_from(["bid", "ask"]), PRICES, st.integers(0, 5)), min_size=1, max_size=6)
TRADES = st.tuples(PRICES, st.integers(1, 9), st.sampled_from(["buy", "sell"]))
# A second each: whether it is a snapshot, what it says, a print just after it, an order half a second after it.
STEPS = st.lists(st.tuples(st.booleans(), CHANGES, st.none() | TRADES, TRADES), min_size=1, max_size=25)
WIDE: list[Row] = [(-1, "snapshot", "bid", "95", "1", 1), (-1, "snapshot", "ask", "105", "1", 1)]


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_whatever_is_recorded_and_printed_the_book_is_as_recorded_at_each_good_moment(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, list[Change], Trade | None, Trade]]
) -> None:
    engine = replay(tmp_path_factory.mktemp("depth"), *recording(steps))
    bids: dict[Decimal, Decimal] = {Decimal(95): Decimal(1)}
    asks: dict[Decimal, Decimal] = {Decimal(105): Decimal(1)}
    for second, (fresh, changes, _, _) in enumerate(steps, start=1):
        if fresh:
            bids, asks = {}, {}
        for side, price, size in changes:
            (bids if side == "bid" else asks)[Decimal(price)] = Decimal(size)
        shown_bids, shown_asks = after(engine, second * SECONDS)
        assert shown_bids[0][0] < shown_asks[0][0]
        right = best(bids, highest=True), best(asks, highest=False)
        if right[0] and right[1] and right[0][0][0] < right[1][0][0]:
            assert (shown_bids, shown_asks) == right


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_whatever_we_take_each_print_comes_once_and_the_book_never_crosses(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, list[Change], Trade | None, Trade]]
) -> None:
    rows, prints = recording(steps)
    engine = replay(tmp_path_factory.mktemp("depth"), rows, prints)
    [(symbol, rules)] = engine.rules.items()
    for second, (_, _, _, (price, size, side)) in enumerate(steps, start=1):
        now = Nanos(START + second * SECOND + SECOND // 2)
        engine.advance(now)
        lots, limit = rules.lots(str(size)), rules.ticks(str(price))
        # Every third order stays.
        tif = "IOC" if second % 3 else "GTC"
        engine.place(now, symbol, SIDES[side], "LIMIT", tif, lots, limit, f"o{second}")
        quote = engine.best(symbol)
        assert not quote.bid or not quote.ask or quote.bid < quote.ask
    engine.advance(Nanos(START + (len(steps) + 1) * SECOND))
    own = {fill.trade_id for fill in engine.my_trades(symbol, limit=10**6)}
    made = [one for one in engine.trades(symbol, limit=10**6) if one.id not in own]
    assert [(rules.price(one.price), rules.quantity(one.quantity)) for one in made] == [
        (Decimal(price), Decimal(amount)) for _, price, amount, _ in prints
    ]


def recording(steps: list[tuple[bool, list[Change], Trade | None, Trade]]) -> tuple[list[Row], list[Print]]:
    rows, prints = list(WIDE), [(0, "100", "1", "buy")]
    for second, (fresh, changes, printed, _) in enumerate(steps, start=1):
        kind, at = "snapshot" if fresh else "diff", second * SECONDS
        rows += [(at, kind, side, str(price), str(size), second + 1) for side, price, size in changes]
        if printed is not None:
            price, amount, side = printed
            prints.append((at + 1, str(price), str(amount), side))
    return rows, [*prints, ((len(steps) + 1) * SECONDS, "100", "1", "sell")]
