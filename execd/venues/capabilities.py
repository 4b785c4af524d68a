"""What each exchange offers and where it lays its traps, as data.

Promise: an exchange whose order path was not proven by our own tests has no `reply` here, and no order of ours can be
sent to it.  The facts were found with ccxt 4.5.90 by reading its requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from execd.core.grid import SECOND, Nanos
from execd.venues.deadman import NO_DEAD_MAN, DeadMan, Reach, timer

MILLISECOND = Nanos(1_000_000)


class Sandbox(Enum):
    """How a venue lets one practise."""

    NONE = "none"
    TESTNET = "testnet"  # ccxt's set_sandbox_mode(True).
    DEMO = "demo"  # A header or another host; not by set_sandbox_mode.


@dataclass(frozen=True, slots=True)
class OrderReply:
    """Where a raw order reply keeps its facts: ccxt's parsed fields guess where a field is missing.

    `closed` maps each final status to the word by which we report it; `open` are the statuses of a living order.
    """

    venue_id: str
    client_id: str
    canceled_client_id: str
    status: str
    filled: str
    open: frozenset[str]
    closed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One exchange.

    `create_id`, `query_id` and `cancel_id` name the parameter that carries our client id; None: there is no such way.
    `account_stream` is the WebSocket API that carries our own reports.  `processing` is how long the venue may work on
    a request that it accepted.  `hosts` are its domains, `test_hosts` those of its test network.  `self_trade` is what
    each order asks for, so that it trades with no other of the account's.  `market_types` are the kinds of market that
    are loaded: those whose quantities are in the base currency and whose streams we read; none named: all.
    `currencies`: a market's grid needs the list of currencies.  `price_decimals`: by kind of market, how many decimals
    a price has at most, those of the quantity included, where ccxt takes the tick from the price of the moment.
    `clock_step` is how finely it tells its time, `kline_page` how many klines an answer surely holds, `kline_reach` how
    many of the newest can be asked for, and `keyed_history` whether old trades by id want a key.
    """

    exchange: str
    create_id: str | None
    query_id: str | None
    cancel_id: str | None
    dead_man: DeadMan
    sandbox: Sandbox
    hosts: tuple[str, ...]
    test_hosts: tuple[str, ...] = ()
    traps: tuple[str, ...] = ()
    reply: OrderReply | None = None
    account_stream: str | None = None
    sandbox_account_stream: str | None = None
    processing: Nanos = Nanos(10 * SECOND)
    self_trade: Mapping[str, str] = field(default_factory=dict)
    market_types: tuple[str, ...] = ()
    currencies: bool = False
    price_decimals: Mapping[str, int] = field(default_factory=dict)
    clock_step: Nanos = MILLISECOND
    kline_page: int = 1_000
    kline_reach: int = 20_000
    keyed_history: bool = False

    @property
    def proven(self) -> bool:
        """Whether our tests have proven the order path."""
        return self.reply is not None


_BINANCE = Capabilities(
    exchange="binance",
    create_id="newClientOrderId",
    query_id="origClientOrderId",
    cancel_id="origClientOrderId",
    dead_man=NO_DEAD_MAN,
    sandbox=Sandbox.TESTNET,
    hosts=("binance.com", "binance.vision"),
    test_hosts=("testnet.binance.vision", "testnet.binancefuture.com"),
    traps=(
        "a client id is unique among open orders only: a filled one can be used again",
        "fetch_trades gives aggregate ids, another sequence than the stream's trade ids",
        "-2010 'Duplicate order sent.' arrives as InvalidOrder though an earlier order lives",
        "myTrades has no client id",
    ),
    reply=OrderReply(
        venue_id="orderId",
        client_id="clientOrderId",
        canceled_client_id="origClientOrderId",
        status="status",
        filled="executedQty",
        open=frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW", "PENDING_CANCEL"}),
        closed={
            "FILLED": "filled",
            "CANCELED": "canceled",
            "EXPIRED": "expired",
            "EXPIRED_IN_MATCH": "prevented",
            "REJECTED": "rejected",
        },
    ),
    account_stream="wss://ws-api.binance.com:443/ws-api/v3",
    sandbox_account_stream="wss://ws-api.testnet.binance.vision/ws-api/v3",
    self_trade={"selfTradePreventionMode": "EXPIRE_MAKER"},
    market_types=("spot",),
)

_OTHERS = (
    Capabilities(
        exchange="binanceusdm",
        create_id="newClientOrderId",
        query_id="origClientOrderId",
        cancel_id="origClientOrderId",
        dead_man=timer(Reach.SYMBOL, 60, 10),
        sandbox=Sandbox.DEMO,
        hosts=("binance.com", "binancefuture.com"),
        traps=("the countdown is not in ccxt's unified API", "historicalTrades gives at most 500"),
        keyed_history=True,
    ),
    Capabilities(
        exchange="okx",
        create_id="clOrdId",
        query_id="clOrdId",
        cancel_id="clOrdId",
        dead_man=timer(
            Reach.ACCOUNT, 30, 5, least=10, most=120, trap="a tag would narrow it to orders that carry the tag"
        ),
        sandbox=Sandbox.DEMO,
        hosts=("okx.com",),
        traps=("orders go to the batch endpoint and the reply has no status", "the trades channel merges fills"),
        market_types=("spot",),
        kline_page=100,
    ),
    Capabilities(
        exchange="bybit",
        create_id="orderLinkId",
        query_id="orderLinkId",
        cancel_id="orderLinkId",
        dead_man=DeadMan(
            Reach.CONNECTION,
            trap="DCP counts from the loss of a private WebSocket with the topic dcp; Bybit itself switches it on",
        ),
        sandbox=Sandbox.TESTNET,
        hosts=("bybit.com", "bytick.com"),
        test_hosts=("api-testnet.bybit.com", "stream-testnet.bybit.com"),
        traps=("fetch_order passes clientOrderId on unread: use fetch_open_orders", "the reply has no status"),
        market_types=("spot", "linear"),
    ),
    Capabilities(
        exchange="coinbase",
        create_id="client_order_id",
        query_id=None,
        cancel_id=None,
        dead_man=NO_DEAD_MAN,
        sandbox=Sandbox.NONE,
        hosts=("coinbase.com",),
        traps=("clientOrderId is dropped without a word and a random id is sent: pass client_order_id",),
        kline_page=300,
    ),
    Capabilities(
        exchange="kraken",
        create_id="cl_ord_id",
        query_id=None,
        cancel_id="cl_ord_id",
        dead_man=timer(
            Reach.ACCOUNT, 60, 15, trap="to be disarmed before announced maintenance: it fires when that ends"
        ),
        sandbox=Sandbox.NONE,
        hosts=("kraken.com", "kraken.zendesk.com"),
        traps=(
            "fetch_order sends the client id as userref: list orders by cl_ord_id instead",
            "each subscription repeats the last 50 trades",
        ),
        currencies=True,
        clock_step=SECOND,
        kline_page=720,
    ),
    Capabilities(
        exchange="bitget",
        create_id="clientOid",
        query_id="clientOid",
        cancel_id="clientOid",
        dead_man=DeadMan(Reach.NONE, trap="only its unified trading account has one"),
        sandbox=Sandbox.DEMO,
        hosts=("bitget.com",),
        traps=("asked for more than 200 old klines, ccxt skips the first of them",),
        market_types=("spot",),
        kline_page=200,
    ),
    Capabilities(
        exchange="gate",
        create_id="text",
        query_id="text",
        cancel_id=None,
        dead_man=timer(Reach.SYMBOL, 60, 15, least=5),
        sandbox=Sandbox.TESTNET,
        hosts=("gateio.ws", "gate.com"),
        test_hosts=("api-testnet.gateapi.io", "ws-testnet.gate.io"),
        traps=("ids are at most 28 characters after 't-'", "a spot cancel by client id goes to /orders/None"),
        market_types=("spot",),
        kline_reach=9_900,
    ),
    Capabilities(
        exchange="kucoin",
        create_id="clientOid",
        query_id="clientOid",
        cancel_id="clientOid",
        dead_man=timer(
            Reach.SYMBOL, 60, 15, least=5, trap="one setting an account: the last one overwrites; fires up to 10 s late"
        ),
        sandbox=Sandbox.NONE,
        hosts=("kucoin.com",),
        traps=("one more request goes out before the first order", "old trades have no id that the stream's have"),
        market_types=("spot",),
    ),
    Capabilities(
        exchange="deribit",
        create_id="label",
        query_id=None,
        cancel_id=None,
        dead_man=DeadMan(
            Reach.CONNECTION,
            trap="only orders of that WebSocket, or with scope account of later ones: none that REST has sent",
        ),
        sandbox=Sandbox.TESTNET,
        hosts=("deribit.com",),
        test_hosts=("test.deribit.com",),
        traps=("the unified client id is ignored: pass label", "the parsed client id is always empty"),
    ),
    Capabilities(
        exchange="hyperliquid",
        create_id="cloid",
        query_id="cloid",
        cancel_id="cloid",
        dead_man=timer(
            Reach.ACCOUNT, 60, 15, least=5, trap="fires at most 10 times a day, and only for accounts of much volume"
        ),
        sandbox=Sandbox.TESTNET,
        hosts=("hyperliquid.xyz",),
        test_hosts=("hyperliquid-testnet.xyz",),
        traps=("ids are 0x and 32 hexadecimal digits", "an order's price has 5 digits at most, unless it is whole"),
        market_types=("spot", "swap"),
        price_decimals={"spot": 8, "swap": 6},
    ),
)

CAPABILITIES: Mapping[str, Capabilities] = {caps.exchange: caps for caps in (_BINANCE, *_OTHERS)}
