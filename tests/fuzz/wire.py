"""Targets that read what an exchange says: frames of both streams, REST answers, exceptions of ccxt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from ccxt.base import errors

from execd.core.commands import CancelOrder, ListFills, QueryOrder
from execd.core.events import Event, QuoteChanged, TradePrinted
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.runtime.codec import encode
from execd.venues import VenueError, binance_rest
from execd.venues.capabilities import CAPABILITIES
from execd.venues.ccxt_orders import OrderPath
from execd.venues.ccxt_wire import Market, Wire
from execd.venues.credentials import Credentials
from execd.venues.digits import Grid
from execd.venues.loopback import PRODUCTION
from execd.venues.markets import instrument_of
from execd.venues.outcomes import Outcome, answered, classify, explain
from execd.venues.streams import StreamLimits
from execd.venues.streams.binance_account import AccountStream
from execd.venues.streams.binance_frames import AccountFrames, Goodbye, Reply, Report
from execd.venues.streams.feed import BadFrame, StreamBroken
from execd.venues.streams.feeds import FEEDS
from tests.fuzz.target import Target, one_line
from tests.venues.feeds.dialects import DIALECTS
from tests.venues.feeds.dialects_more import DIALECTS_MORE
from tests.venues.helpers import SYMBOL, a_fuse, a_submit, an_instrument

NOW = Nanos(1_770_000_000 * SECOND)
GRID = Grid(an_instrument())
BINANCE = CAPABILITIES["binance"]
BINANCE_FEED = FEEDS["binance"]("BTCUSDT", GRID)
KEYS = Credentials("KEYKEYKEYKEYKEYK", "SECRETSECRETSECRET")
assert BINANCE.reply is not None
FORM = BINANCE.reply


def dumped(*values: object) -> tuple[bytes, ...]:
    """JSON texts."""
    return tuple(json.dumps(value).encode() for value in values)


def spoken() -> tuple[bytes, ...]:
    """A trade and a quote in every exchange's own words."""
    trade = TradePrinted(12345, Ticks(6_492_664), Lots(100), NOW, Side.SELL)
    quote = QuoteChanged(Ticks(6_492_663), Lots(1), Ticks(6_492_664), Lots(2), NOW, 7)
    every = [*DIALECTS.values(), *DIALECTS_MORE.values()]
    return tuple(frame for each in every for frame in (*each.encode([trade]), each.encode_quote(quote)))


# ------------------------------------------------------------------------------------------------------ the streams

TRADE = {"e": "trade", "E": 1672515782136, "s": "BTCUSDT", "t": 12345, "p": "64926.64000000", "q": "0.00100000",
         "T": 1672515782135, "m": True, "M": True}  # fmt: skip
TICKER = {"u": 400900217, "s": "BTCUSDT", "b": "64926.63", "B": "31.21000000", "a": "64926.64", "A": "40.66000000"}
REPORT = {"e": "executionReport", "E": 1499405658658, "s": "BTCUSDT", "c": "p1n1", "S": "BUY", "o": "LIMIT",
          "f": "GTC", "q": "1.00000000", "p": "64000.00", "C": "", "x": "NEW", "X": "NEW", "r": "NONE",
          "i": 4293153, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000", "n": "0", "N": None,
          "T": 1499405658657, "t": -1, "w": True, "m": False}  # fmt: skip
FILL = {**REPORT, "x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.50000000", "L": "64000.00", "z": "0.50000000",
        "n": "0.00050000", "N": "BTC", "t": 77, "m": True}  # fmt: skip
CANCELED = {**REPORT, "x": "CANCELED", "X": "CANCELED", "c": "other", "C": "p1n1"}


def _market_frame(data: bytes) -> None:
    """Every exchange's feed reads facts that can be written down, nothing, or says in one line why not."""
    for name, kind in FEEDS.items():
        feed = kind({**DIALECTS, **DIALECTS_MORE}[name].market if name != "binance" else "BTCUSDT", GRID)
        try:
            facts = feed.decode(data, NOW)
        except StreamBroken as broken:
            one_line(str(broken))
        except BadFrame:
            continue
        else:
            msgspec.json.encode(facts)


def _page(data: bytes) -> None:
    """Every exchange's feed reads a page of trades, or refuses it."""
    answer = parsed(data)
    for kind in FEEDS.values():
        try:
            trades = kind("BTCUSDT", GRID).page(answer)
        except ValueError:
            continue
        msgspec.json.encode(trades)


def _now() -> Nanos:
    return NOW


def _account_frame(data: bytes) -> None:
    """A frame is a report, a reply, a goodbye or nothing; its facts can be journalled."""
    found = AccountFrames("BTCUSDT", GRID, FORM).decode(data)
    assert found is None or isinstance(found, Report | Reply | Goodbye)
    if isinstance(found, Report):
        for fact in found.facts:
            encode(fact)
    if isinstance(found, Reply):
        assert len(found.text) <= 200


def _account_stream(data: bytes) -> None:
    """Whatever comes, the stream of our own orders goes on or says in one line why not."""
    path = order_path(())
    stream = AccountStream(
        "wss://x",
        lambda _: {},
        StreamLimits(),
        credentials=KEYS,
        frames=AccountFrames("BTCUSDT", GRID, FORM),
        catch_up=_nothing_missed,
        heard=lambda report: path.heard(report, SYMBOL),
        clock=_now,
        venue_ms=lambda: NOW // 1_000_000,
    )
    for line in data.split(b"\n"):
        stream._hear(line, lambda _: None)


async def _nothing_missed(_since: Nanos) -> list[Event]:
    return []


# --------------------------------------------------------------------------------------------------- REST answers

ORDER = {"symbol": "BTCUSDT", "orderId": 28, "clientOrderId": "p1n1", "origClientOrderId": "p1n1",
         "price": "64000.00", "origQty": "0.01000", "executedQty": "0.01000", "status": "FILLED"}  # fmt: skip
OWN = {"symbol": "BTCUSDT", "id": 28457, "orderId": 28, "price": "64000.01", "qty": "0.01000", "commission": "0.1",
       "commissionAsset": "USDT", "time": 1499865549590, "isBuyer": True, "isMaker": False}  # fmt: skip
OKX = {"instId": "BTC-USDT", "side": "sell", "sz": "0.1", "px": "64000.01", "tradeId": "7", "ts": "1770000000000"}
KRAKEN = ["64000.01", "0.1", 1770000000.123, "b", "m", "", 7]
PUBLIC = {"id": 28457, "price": "64000.00", "qty": "0.01200", "time": 1499865549590, "isBuyerMaker": True}
BOOK = {"symbol": "BTCUSDT", "bidPrice": "64000.00", "bidQty": "1.0", "askPrice": "64000.01", "askQty": "2.0"}
KLINE = [1499040000000, "0.01", "0.8", "0.01", "64000.01", "148976.11", 1499644799999, "2434.19", 308, "1", "2", "0"]
KEY = {"ipRestrict": True, "enableWithdrawals": False, "enableSpotAndMarginTrading": True}
MARKET = {"symbol": SYMBOL, "base": "BTC", "quote": "USDT", "precision": {"price": "0.01", "amount": "0.00001"},
          "limits": {"amount": {"min": "0.00001", "max": "9000"}, "cost": {"min": "5", "max": "9000000"}}}  # fmt: skip

READERS: tuple[Callable[[Any], object], ...] = (
    lambda row: binance_rest.order_report(row, FORM, GRID),
    lambda row: binance_rest.order_report(row, FORM, GRID, canceled=True),
    lambda row: binance_rest.fill(row, "p1n1", GRID),
    lambda row: BINANCE_FEED.page([row]),
    lambda row: binance_rest.quote(row, GRID, NOW),
    lambda row: binance_rest.kline_bar(row, an_instrument()),
    binance_rest.key_permissions,
)


def _answer(data: bytes) -> None:
    """Each reader of an answer (by the first byte) gives a record that can be journalled, or ValueError."""
    reader = READERS[(data[0] if data else 0) % len(READERS)]
    found = reader(parsed(data[1:]))
    if isinstance(found, binance_rest.OrderReport):
        encode(found.fact)


def _market(data: bytes) -> None:
    """A market as ccxt tells it is a grid of sane numbers, or a VenueError."""
    row = parsed(data)
    if isinstance(row, dict):
        made = instrument_of("binance", {**row, "symbol": SYMBOL})
        Grid(made)
        assert len(str(made.max_notional)) < 200


def parsed(data: bytes) -> Any:
    """JSON as ccxt parses it.  What is no JSON never reaches a reader and gives None."""
    try:
        return json.loads(data, parse_float=str)
    except (ValueError, RecursionError):
        return None


class Answers:
    """ccxt's place: every question gets the next of the given answers, and an exception where none is left."""

    def __init__(self, answers: tuple[Any, ...]) -> None:
        self._left = list(answers)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def answer(*_: object) -> Any:
            if not self._left:
                raise errors.NetworkError("no answer is left")
            found = self._left.pop(0)
            return {"info": found} if name.endswith("_order") and not name.startswith("private") else found

        return answer

    def amount_to_precision(self, _symbol: str, text: str) -> str:
        """What it is given."""
        return text

    price_to_precision = amount_to_precision


def order_path(answers: tuple[Any, ...]) -> OrderPath:
    """An order path whose exchange gives these answers, armed for the parent p1."""
    wire = Wire(BINANCE, KEYS, PRODUCTION, _now, sandbox=False, recv_window_ms=3_000, timeout_s=5.0)
    wire.trading = Answers(answers)
    wire._markets[SYMBOL] = Market(an_instrument(), GRID, "BTCUSDT")
    return OrderPath(wire, a_fuse())


def _orders(data: bytes) -> None:
    """Whatever the exchange answers, an order's way out is a fact, and a question's a VenueError at worst."""
    document = parsed(data)
    answers = tuple(document) if isinstance(document, list) else (document,)
    asyncio.run(_talk(answers))


async def _talk(answers: tuple[Any, ...]) -> None:
    path = order_path(answers)
    facts: list[Event | None] = [
        await path.submit(a_submit(at=NOW)),
        await order_path(answers).cancel(CancelOrder("p1n1", SYMBOL)),
        await order_path(answers).query(QueryOrder("p1n1", SYMBOL)),
        *await order_path(answers).fills(ListFills(SYMBOL, Nanos(NOW - SECOND))),
    ]
    for ask in (lambda: order_path(answers).open_orders(SYMBOL), lambda: path.catch_up(SYMBOL, Nanos(NOW - SECOND))):
        try:
            await ask()
        except VenueError as refusal:
            one_line(str(refusal))
    for fact in facts:
        if fact is not None:
            encode(fact)


# ------------------------------------------------------------------------------------------------------- exceptions

ERRORS = tuple(kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception))


def _error(data: bytes) -> None:
    """Every exception of ccxt, whatever it says and was caused by, is one of three outcomes, told without a secret."""
    first, second, text = (*data[:2], 0, 0)[0], (*data[1:2], 0)[0], data[2:].decode("utf-8", "replace")
    error, cause = (ERRORS[n % len(ERRORS)](text) for n in (first, second))
    error.__cause__ = cause
    assert classify(error) in Outcome
    assert isinstance(answered(error), bool)
    words = explain(error, KEYS)
    one_line(words)
    assert words.isprintable(), "an exchange could tell a terminal what to do"
    assert KEYS.secret not in words
    assert KEYS.api_key not in words


TARGETS = (
    Target("market-frame", _market_frame, (BadFrame,), dumped(
        {"stream": "btcusdt@trade", "data": TRADE}, {"stream": "btcusdt@bookTicker", "data": TICKER},
        {"stream": "x", "data": {"e": "serverShutdown", "E": 1}}, {"e": "serverShutdown", "E": 1},
        {"result": None, "id": 1}) + spoken()),
    Target("page", _page, (ValueError,), dumped(
        [PUBLIC], {"code": "0", "msg": "", "data": [OKX]}, {"error": [], "result": {"XBTUSD": [KRAKEN], "last": ""}})),
    Target("account-frame", _account_frame, (BadFrame,), dumped(
        REPORT, FILL, CANCELED, {"subscriptionId": 0, "event": FILL}, {"id": "execd-1", "status": 200, "result": {}},
        {"id": 7, "status": 400, "error": {"code": -1022, "msg": "Signature for this request is not valid."}},
        {"e": "eventStreamTerminated", "E": 1})),
    Target("account-stream", _account_stream, (StreamBroken,), (b"\n".join(dumped(REPORT, FILL, CANCELED)),)),
    Target("rest-answer", _answer, (ValueError,), tuple(
        bytes([number]) + text for number, text in enumerate(dumped(ORDER, ORDER, OWN, PUBLIC, BOOK, KLINE, KEY)))),
    Target("market", _market, (VenueError,), dumped(MARKET)),
    Target("order-path", _orders, (), dumped(
        ORDER, [ORDER, ORDER, [OWN], [OWN], ORDER], [[OWN], [OWN], ORDER], [[ORDER]], [[OWN], [OWN, OWN], ORDER, 5])),
    Target("ccxt-error", _error, (), (
        b"\x00\x01binance {\"code\":-2010,\"msg\":\"Duplicate order sent.\"}",
        b"\x07\x02GET https://api.binance.com/api/v3/order?symbol=A&timestamp=1&signature=0123456789abcdef",
        b"\x07\x02SECRETSECRETSECRET KEYKEYKEYKEYKEYK\nline")),
)  # fmt: skip
