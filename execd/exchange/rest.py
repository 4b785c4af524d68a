"""The REST front end: paths to methods, who may call them, and Binance's statuses and headers.

Promise: every HTTP request passes `RestFront.answer` and nothing else answers one; that is also where a test
can make the exchange misbehave. A signed request is checked against the exact bytes that were sent, before
percent-decoding: the query as it stood in the request line, followed by the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from execd.exchange import errors, wire
from execd.exchange.account_methods import ACCOUNT_METHODS, SIDE_METHODS
from execd.exchange.auth import check_signature, check_window
from execd.exchange.hall import Hall
from execd.exchange.market_methods import MARKET_METHODS
from execd.exchange.methods import Method, perform
from execd.exchange.order_methods import ORDER_METHODS
from execd.exchange.parameters import read_security
from execd.exchange.records import ExchangeRefusal
from execd.exchange.wire import Json, TimeUnit

API_KEY_HEADER = "X-MBX-APIKEY"
TIME_UNIT_HEADER = "X-MBX-TIME-UNIT"
AS_SENT = "surrogateescape"  # bytes that are no UTF-8 are carried as they are, for the signature's sake
METHODS: dict[str, Method] = MARKET_METHODS | ORDER_METHODS | ACCOUNT_METHODS | SIDE_METHODS

# Every page of the REST documentation that is served here, and the method behind it.
ROUTES: dict[tuple[str, str], str] = {
    ("GET", "/api/v3/ping"): "ping",
    ("GET", "/api/v3/time"): "time",
    ("GET", "/api/v3/exchangeInfo"): "exchangeInfo",
    ("GET", "/api/v3/depth"): "depth",
    ("GET", "/api/v3/trades"): "trades.recent",
    ("GET", "/api/v3/historicalTrades"): "trades.historical",
    ("GET", "/api/v3/aggTrades"): "trades.aggregate",
    ("GET", "/api/v3/klines"): "klines",
    ("GET", "/api/v3/uiKlines"): "uiKlines",
    ("GET", "/api/v3/avgPrice"): "avgPrice",
    ("GET", "/api/v3/ticker/price"): "ticker.price",
    ("GET", "/api/v3/ticker/bookTicker"): "ticker.book",
    ("GET", "/api/v3/ticker/24hr"): "ticker.24hr",
    ("POST", "/api/v3/order"): "order.place",
    ("POST", "/api/v3/order/test"): "order.test",
    ("DELETE", "/api/v3/order"): "order.cancel",
    ("GET", "/api/v3/order"): "order.status",
    ("POST", "/api/v3/order/cancelReplace"): "order.cancelReplace",
    ("GET", "/api/v3/openOrders"): "openOrders.status",
    ("DELETE", "/api/v3/openOrders"): "openOrders.cancelAll",
    ("GET", "/api/v3/allOrders"): "allOrders",
    ("GET", "/api/v3/account"): "account.status",
    ("GET", "/api/v3/account/commission"): "account.commission",
    ("GET", "/api/v3/myTrades"): "myTrades",
    ("GET", "/api/v3/rateLimit/order"): "account.rateLimits.orders",
    ("GET", "/sapi/v1/account/apiRestrictions"): "apiRestrictions",
    ("GET", "/sapi/v1/asset/tradeFee"): "tradeFee",
    ("GET", "/sapi/v1/system/status"): "systemStatus",
    # What a client library asks of Binance's other products when it loads its markets.
    ("GET", "/sapi/v1/capital/config/getall"): "signedNothing",
    ("GET", "/sapi/v1/margin/allPairs"): "signedNothing",
    ("GET", "/sapi/v1/margin/allAssets"): "signedNothing",
    ("GET", "/sapi/v1/margin/isolated/allPairs"): "signedNothing",
    ("GET", "/fapi/v1/exchangeInfo"): "noContracts",
    ("GET", "/dapi/v1/exchangeInfo"): "noContracts",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A request's parameters, decoded, and the bytes that its signature must cover."""

    values: Mapping[str, str]
    payload: bytes


def read_sent(query: str, body: str) -> Sent:
    """Take apart a raw query and a raw form body; where both have a parameter, the query's counts.

    Raises:
        ExchangeRefusal: -1101 where one of them has a parameter twice.
    """
    values: dict[str, str] = {}
    for part in (body, query):
        pairs = parse_qsl(part, keep_blank_values=True)
        if len({name for name, _ in pairs}) < len(pairs):
            raise errors.duplicate_parameter()
        values.update(pairs)
    # Binance signs the query followed by the body, with nothing between them.
    payload = _without_signature(query) + _without_signature(body)
    return Sent(values, payload.encode(errors=AS_SENT))


def _without_signature(part: str) -> str:
    return "&".join(pair for pair in part.split("&") if not pair.startswith("signature="))


def time_unit(text: str | None) -> TimeUnit:
    """The unit that a header or a URL asks for, milliseconds by default.  Raises ExchangeRefusal -1194."""
    if text is None:
        return TimeUnit.MILLISECOND
    if text.upper() not in TimeUnit.__members__:
        raise errors.invalid_time_unit()
    return TimeUnit[text.upper()]


def url_time_unit(request: web.Request) -> TimeUnit:
    """The unit that a WebSocket's URL asks for.  Raises the HTTP answer where there is no such unit."""
    try:
        return time_unit(request.query.get("timeUnit"))
    except ExchangeRefusal as refusal:
        body = wire.encode({"code": refusal.code, "msg": refusal.message})
        raise web.HTTPBadRequest(text=body.decode(), content_type="application/json") from refusal


class RestFront:
    """Answers HTTP requests."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, whatever it is."""
        body = (await request.read()).decode(errors=AS_SENT) if request.method in {"POST", "DELETE"} else ""
        name = ROUTES.get((request.method, request.path))
        if name is None:
            return self._refused(errors.no_such_path(request.rel_url.raw_path, request.method))
        method = METHODS[name]
        try:
            answer = self._perform(request, method, body)
        except ExchangeRefusal as refusal:
            return self._refused(refusal)
        headers = {window.header: str(window.count) for window in self._hall.limits.orders} if method.places else {}
        return self._response(answer, headers=headers)

    def _perform(self, request: web.Request, method: Method, body: str) -> Json:
        # The request line's own text: aiohttp's query has been decoded and would not match the signature.
        _, _, query = request.raw_path.partition("?")
        sent = read_sent(query, body)
        unit = time_unit(request.headers.get(TIME_UNIT_HEADER))
        self._hall.limits.spend(self._hall.clock(), method.cost(sent.values))
        if method.signed:
            self._admit(request.headers.get(API_KEY_HEADER), sent)
        return perform(self._hall, method, sent.values, unit)

    def _admit(self, api_key: str | None, sent: Sent) -> None:
        key = self._hall.keyring.find(api_key)
        security = read_security(sent.values)
        check_signature(key, sent.payload, security.signature)
        check_window(self._hall.clock(), security.timestamp, security.recv_window_ms)

    def _refused(self, refusal: ExchangeRefusal) -> web.Response:
        body: dict[str, Json] = {"code": refusal.code, "msg": refusal.message}
        headers = {}
        if isinstance(refusal, errors.PartialRefusal):
            body["data"] = refusal.data
        if isinstance(refusal, errors.LimitExceeded) and refusal.rest_header:
            headers["Retry-After"] = str(-(-refusal.retry_after_ms // 1_000))
        return self._response(body, refusal.status, headers)

    def _response(self, body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
        weight = str(self._hall.limits.weight.count)
        return web.Response(
            body=wire.encode(body),
            status=status,
            content_type="application/json",
            charset="UTF-8",
            headers={"x-mbx-used-weight": weight, "x-mbx-used-weight-1m": weight, **(headers or {})},
        )
