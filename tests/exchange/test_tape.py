"""A tape is printed whole, once and in time, whatever users do; their fills come on top."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.exchange.engine import Engine, Order, PublicTrade
from execd.exchange.tape import MarketFileError, TapeMarket

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "ticks"
START = Nanos(1_790_000_000_123_456_789)
T0 = 1_700_000_000_000_000
BUY_AND_SELL = {"ts": [T0, T0 + 1], "price": [100.0, 99.5], "amount": [1.0, 2.0], "side": ["buy", "sell"]}

# (microseconds after T0, price, amount, taker's side)
Row = tuple[int, str, str, str]


def write(path: Path, rows: list[Row]) -> Path:
    lines = [f"{T0 + at},{price},{amount},{side}" for at, price, amount, side in rows]
    path.write_text("\n".join(["ts,price,amount,side", *lines, ""]))
    return path


def open_engine(market: TapeMarket) -> Engine:
    rules = market.rules(market.symbol)
    return Engine(
        [market.symbol],
        market=market,
        now=START,
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
        balances={rules.quote: Decimal(10**9), rules.base: Decimal(10**6)},
    )


@pytest.fixture
def tape(tmp_path: Path) -> Callable[..., tuple[TapeMarket, Engine]]:
    def make(rows: list[Row], speed: float = 1, name: str = "binance_spot_BTCUSDT_x.csv") -> tuple[TapeMarket, Engine]:
        market = TapeMarket(write(tmp_path / name, rows), speed, START)
        return market, open_engine(market)

    return make


TapeMaker = Callable[..., tuple[TapeMarket, Engine]]


def facts(engine: Engine, trades: list[PublicTrade]) -> list[tuple[str, str]]:
    [rules] = engine.rules.values()
    return [(str(rules.price(made.price)), str(rules.quantity(made.quantity))) for made in trades]


def market_prints(engine: Engine) -> list[PublicTrade]:
    """Public trades without those of the user."""
    [symbol] = engine.rules
    own = {fill.trade_id for fill in engine.my_trades(symbol, limit=10**6)}
    return [made for made in engine.trades(symbol, limit=10**6) if made.id not in own]


def at_price(engine: Engine, side: Side, price: str, amount: str, now: Nanos = START, name: str = "a") -> Order:
    [(symbol, rules)] = engine.rules.items()
    return engine.place(now, symbol, side, "LIMIT_MAKER", "GTC", rules.lots(amount), rules.ticks(price), name)


def displayed(engine: Engine, side: Side, price: str) -> Decimal:
    [(symbol, rules)] = engine.rules.items()
    _, bids, asks = engine.depth(symbol, 5000)
    found = dict(bids if side is Side.BUY else asks).get(rules.ticks(price), Lots(0))
    return rules.quantity(found)


def test_every_print_comes_once_whole_and_at_its_time(tape: TapeMaker) -> None:
    rows: list[Row] = [
        (0, "65000.01", "0.00123", "buy"),
        (333, "65000.00", "2", "sell"),
        (333, "64999.99", "0.5", "sell"),
        (5_000_001, "65000.10", "1.00001", "buy"),
    ]
    market, engine = tape(rows, speed=4)
    engine.advance(Nanos(START + 1_250_000_249))
    assert len(market_prints(engine)) == 3
    assert market.next_at() == START + 1_250_000_250
    engine.advance(Nanos(START + 1_250_000_250))
    assert market.next_at() is None
    assert market.ended
    made = market_prints(engine)
    assert [(made.price * Decimal("0.01"), made.quantity * Decimal("0.00001")) for made in made] == [
        (Decimal(price), Decimal(amount)) for _, price, amount, _ in rows
    ]
    assert [made.at - START for made in made] == [0, 83_250, 83_250, 1_250_000_250]
    assert [made.buyer_is_maker for made in made] == [False, True, True, False]
    assert [made.id for made in made] == list(range(made[0].id, made[0].id + 4))


@given(
    st.fractions(min_value=Fraction(1, 100), max_value=1000, max_denominator=10_000),
    st.lists(st.integers(0, 10**12), min_size=2, max_size=10),
)
def test_times_map_back_exactly_at_any_speed(speed: Fraction, moments: list[int]) -> None:
    market = TapeMarket.__new__(TapeMarket)
    market.speed, market.first_ts, market._start = speed, T0, START
    for ts in moments:
        at = market.exchange_time(T0 + ts)
        assert market.tape_time(at) == T0 + ts
        assert market.tape_time(Nanos(at - 1)) == T0 + ts - 1
        assert at == START + (ts * 1000 / speed).__floor__()


def test_a_print_eats_the_queue_before_us_and_its_excess_fills_us(tape: TapeMaker) -> None:
    small: list[Row] = [(number, "100.00", "0.1", "buy") for number in range(2000)]
    late: list[Row] = [(2_000_000, "99.99", "50", "sell"), (3_000_000, "99.99", "100000", "sell")]
    _, engine = tape([(0, "99.99", "0.1", "sell"), *small, *late])
    engine.advance(Nanos(START + 1_500_000_000))
    ahead = displayed(engine, Side.BUY, "99.99")
    assert ahead > 50
    order = at_price(engine, Side.BUY, "99.99", "3", Nanos(START + 1_500_000_000))
    engine.advance(Nanos(START + 2_500_000_000))
    assert order.filled == 0
    engine.advance(Nanos(START + 3 * SECOND))
    assert order.status == "FILLED"
    assert {fill.price for fill in order.fills} == {order.price}
    prints = market_prints(engine)
    assert facts(engine, prints)[-1] == ("99.99", "100000.00000")
    ids = [made.id for made in engine.trades("BTC/USDT", limit=10**6)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert len(ids) == len(prints) + len(order.fills)


def test_a_print_through_our_price_fills_us_up_to_its_size(tape: TapeMaker) -> None:
    _, engine = tape(
        [(0, "100.00", "1", "sell"), (1_000_000, "99.50", "0.7", "sell"), (2_000_000, "99.40", "9", "buy")]
    )
    engine.advance(START)
    order = at_price(engine, Side.BUY, "99.90", "3")
    engine.advance(Nanos(START + SECOND))
    assert order.filled == engine.rules["BTC/USDT"].lots("0.7")
    engine.advance(Nanos(START + 2 * SECOND))
    assert order.status == "FILLED"
    assert {fill.price for fill in order.fills} == {order.price}


def test_takers_find_what_is_shown_and_it_comes_back(tape: TapeMaker) -> None:
    rows: list[Row] = [(second * 1_000_000, "100.00", "0.1", "buy") for second in range(12)]
    _, engine = tape(rows)
    engine.advance(START)
    best = engine.best("BTC/USDT")
    order = engine.place(START, "BTC/USDT", Side.BUY, "LIMIT", "IOC", best.ask_size, best.ask, "take")
    assert order.status == "FILLED"
    assert engine.best("BTC/USDT").ask > best.ask
    engine.advance(Nanos(START + 2 * SECOND))
    some = displayed(engine, Side.SELL, "100.00")
    assert 0 < some < engine.rules["BTC/USDT"].quantity(best.ask_size)
    engine.advance(Nanos(START + 11 * SECOND))
    assert displayed(engine, Side.SELL, "100.00") == engine.rules["BTC/USDT"].quantity(best.ask_size)
    assert len(market_prints(engine)) == 12


def test_unsorted_rows_are_sorted_and_equal_times_keep_their_order(tape: TapeMaker) -> None:
    _, engine = tape([(9, "3", "1", "buy"), (5, "1", "1", "buy"), (5, "2", "1", "sell")])
    engine.advance(Nanos(START + SECOND))
    assert [price for price, _ in facts(engine, market_prints(engine))] == ["1.00", "2.00", "3.00"]


def test_tiny_prices_and_huge_amounts_are_exact(tape: TapeMaker) -> None:
    _, engine = tape(
        [(0, "9.08e-06", "28445331", "buy"), (1, "0.00000907", "123456789012", "sell")], name="x_PEPEUSDT.csv"
    )
    engine.advance(Nanos(START + SECOND))
    assert facts(engine, market_prints(engine)) == [("0.00000908", "28445331"), ("0.00000907", "123456789012")]


def test_a_symbol_that_nobody_knows_takes_its_grid_from_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "trades.csv", [(0, "1.2345", "0.000000001", "buy"), (1, "1.3", "5", "sell")])
    market = TapeMarket(path, 1, START, symbol="FOO/EUR")
    rules = market.rules("FOO/EUR")
    assert (rules.tick, rules.lot, rules.code) == (Decimal("0.0001"), Decimal("0.000000001"), "FOOEUR")
    with pytest.raises(ValueError, match="symbol BTC/USDT: the tape trades FOO/EUR only"):
        market.rules("BTC/USDT")


def test_quotes_beside_the_tape_make_the_touch(tmp_path: Path) -> None:
    (tmp_path / "ticks").mkdir()
    (tmp_path / "book").mkdir()
    path = write(
        tmp_path / "ticks" / "a_BTCUSDT_1_hft.csv", [(0, "100.01", "0.5", "buy"), (2_000_000, "100.51", "0.5", "buy")]
    )
    pl.DataFrame(
        {
            "ts": [T0 - 5, T0 + 1_000_000],
            "bid": [100.0, 100.5],
            "bid_qty": [3.0, 4.0],
            "ask": [100.01, 100.51],
            "ask_qty": [5.0, 6.0],
        }
    ).write_parquet(tmp_path / "book" / "a_BTCUSDT_1_bbo.parquet")
    market = TapeMarket(path, 1, START)
    engine = open_engine(market)
    best = engine.best("BTC/USDT")
    assert (best.bid, best.bid_size, best.ask, best.ask_size) == (10_000, 300_000, 10_001, 500_000)
    engine.advance(START)
    assert engine.best("BTC/USDT").ask_size == 450_000
    engine.advance(Nanos(START + SECOND))
    best = engine.best("BTC/USDT")
    assert (best.bid, best.bid_size, best.ask, best.ask_size) == (10_050, 400_000, 10_051, 600_000)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"price": None}, "column 'price' is missing"),
        ({"side": ["buy", "hold"]}, "side 'hold' is neither buy nor sell"),
        ({"amount": [1.0, 0.0]}, "amount 0.0 is not a number above 0"),
        ({"amount": [1.0, -2.0]}, "amount -2.0 is not a number above 0"),
        ({"price": [float("nan"), 1.0]}, "price NaN is not a number above 0"),
        ({"price": [None, 1.0]}, "price None is not a number above 0"),
        ({"price": ["12,5", "1"]}, "price 12,5 is not a number above 0"),
        ({"ts": [T0, None]}, "row 2: 'ts' is not a whole number of microseconds"),
        ({"ts": ["today", "1"]}, "row 1: 'ts' is not a whole number of microseconds"),
        ({"ts": [], "price": [], "amount": [], "side": []}, "no prints in it"),
    ],
)
def test_a_broken_file_is_named_with_its_problem(tmp_path: Path, change: dict[str, object], says: str) -> None:
    columns = {name: values for name, values in (BUY_AND_SELL | change).items() if values is not None}
    path = tmp_path / "x_BTCUSDT.parquet"
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(MarketFileError) as refused:
        TapeMarket(path, 1, START)
    assert says in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_or_not_what_it_says_is_named(tmp_path: Path) -> None:
    garbage = tmp_path / "x_BTCUSDT.parquet"
    garbage.write_bytes(b"no parquet")
    empty = tmp_path / "y_BTCUSDT.csv"
    empty.touch()
    for path, says in (
        (tmp_path / "none_BTCUSDT.csv", "no such file"),
        (garbage, "cannot be read as parquet"),
        (empty, "the file is empty"),
        (tmp_path / "x_BTCUSDT.json", "ends in .parquet or .csv"),
        (tmp_path / "prices.csv", "its name gives no symbol"),
    ):
        with pytest.raises(MarketFileError, match=says):
            TapeMarket(path, 1, START)


@pytest.mark.parametrize("speed", [0, -1, 1001])
def test_a_speed_that_cannot_be_played_is_refused(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ValueError, match="allowed is above 0 and at most 1000"):
        TapeMarket(write(tmp_path / "x_BTCUSDT.csv", [(0, "1", "1", "buy")]), speed, START)


@pytest.mark.parametrize(
    "name",
    [
        "binance_spot_BTCUSDT_2024-08-08_hft.parquet",
        "binance_spot_PEPEUSDT_2024-10-27_agg.parquet",
        "binance_spot_TRXUSDT_2025-03-04.parquet",
        "bitstamp_spot_BTCUSD_2015-05-01.parquet",
    ],
)
def test_a_real_tape_is_printed_to_the_last_digit_while_we_trade(name: str) -> None:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not here")
    market = TapeMarket(path, 4, START)
    engine = open_engine(market)
    symbol, rules = market.symbol, engine.rules[market.symbol]
    span = market.exchange_time(market.last_ts) - START
    for number in range(200):
        now = Nanos(START + span * number // 200)
        engine.advance(now)
        best = engine.best(symbol)
        assert 0 < best.bid < best.ask
        for order in engine.open_orders(symbol):
            engine.cancel(now, symbol, order_id=order.id)
        price = Ticks(best.ask) if number % 4 == 3 else best.bid
        kind, tif = ("LIMIT", "IOC") if number % 4 == 3 else ("LIMIT_MAKER", "GTC")
        lots = Lots(-(-10 * int(1 / (rules.tick * rules.lot)) // price))  # About 10 in quote currency.
        engine.place(now, symbol, Side.BUY, kind, tif, lots, price, f"o{number}")
    engine.advance(Nanos(START + span))
    assert market.ended
    own = engine.my_trades(symbol, limit=10**6)
    assert {fill.is_maker for fill in own} == {True, False}
    rows = pl.read_parquet(path).sort("ts", maintain_order=True).select("ts", "price", "amount", "side").rows()
    made = market_prints(engine)
    assert len(made) + len(own) == len(engine.trades(symbol, limit=10**6))
    assert [
        (
            market.tape_time(one.at),
            rules.price(one.price),
            rules.quantity(one.quantity),
            "sell" if one.buyer_is_maker else "buy",
        )
        for one in made
    ] == [(ts, Decimal(str(price)), Decimal(str(amount)), side) for ts, price, amount, side in rows]
