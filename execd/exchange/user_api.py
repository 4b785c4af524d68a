"""The WebSocket API: the same methods as REST's as frames, sessions, and the user data stream.

Promise: one request frame, one response frame with its id, in order; a signed request is checked against its
parameters sorted by name, exactly as they were sent; user events go to every connection that subscribed, in
the order in which they happened.
Source: binance-spot-api-docs, web-socket-api.md, user-data-stream.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from execd.core.grid import Nanos
from execd.exchange import errors, wire
from execd.exchange.account_methods import ACCOUNT_METHODS
from execd.exchange.auth import Ed25519Key, Key, check_signature, check_window
from execd.exchange.hall import Hall
from execd.exchange.market_methods import MARKET_METHODS
from execd.exchange.methods import Call, Method, perform
from execd.exchange.order_methods import ORDER_METHODS
from execd.exchange.parameters import Arguments, boolean, integer, read, read_security, read_timing
from execd.exchange.records import ExchangeRefusal, Happening, OrderReported
from execd.exchange.rest import url_time_unit
from execd.exchange.sockets import REPLY, Socket, SocketRules
from execd.exchange.storm import Seen, Storm
from execd.exchange.wire import Json, TimeUnit

CONNECT_WEIGHT = 2
SHARED_METHODS: dict[str, Method] = MARKET_METHODS | ORDER_METHODS | ACCOUNT_METHODS
MAX_ID = 2**63 - 1
RATE_LIMITS = boolean("returnRateLimits")
_decode = msgspec.json.Decoder(float_hook=str).decode  # numbers keep the text that was signed


@dataclass(frozen=True, slots=True)
class Request:
    """One frame, taken apart; parameters as the text that a signature covers."""

    id: int | str | None
    method: str
    sent: Mapping[str, str]


class Session:
    """One connection to the WebSocket API: who logged on, and which user streams it has."""

    def __init__(self, hall: Hall, socket: Socket, unit: TimeUnit, *, tell_limits: bool) -> None:
        self._hall = hall
        self._socket = socket
        self._unit = unit
        self._tell_limits = tell_limits
        self._connected = hall.clock()
        self._key: Key | None = None
        self._authorized: Nanos | None = None
        self._subscriptions: dict[int, Key] = {}
        self._ids = itertools.count()
        self._methods = SHARED_METHODS | self._session_methods()

    # ---- requests

    def answer(self, frame: str) -> None:
        """Answer one frame."""
        request_id: int | str | None = None
        tell_limits, places = self._tell_limits, False
        seen = REPLY
        try:
            request = read_request(frame)
            request_id = request.id
            seen = Seen(f"reply {request.method}")
            places = request.method in self._methods and self._methods[request.method].places
            if "returnRateLimits" in request.sent:
                tell_limits = request.sent["returnRateLimits"].lower() == "true"
            body: dict[str, Json] = {"id": request_id, "status": 200, "result": self._perform(request)}
        except ExchangeRefusal as refusal:
            body = {"id": request_id, "status": refusal.status, "error": self._error(refusal)}
        if tell_limits:
            limits = self._hall.limits
            windows = (*limits.orders, limits.weight) if places else (limits.weight,)
            body["rateLimits"] = [window.used() for window in windows]
        self._socket.send(wire.encode(body), seen)

    def _perform(self, request: Request) -> Json:
        method = self._methods.get(request.method)
        if method is None:
            raise errors.unknown_method()
        sent = request.sent
        self._hall.limits.spend(self._hall.clock(), method.cost(sent))
        if method.signed:
            self._admit(sent)
        return perform(self._hall, method, sent, self._unit, (RATE_LIMITS.name,))

    def _admit(self, sent: Mapping[str, str]) -> Key:
        """Who signed this, or who logged on where it is not signed.  Raises ExchangeRefusal."""
        if self._key is not None and "apiKey" not in sent and "signature" not in sent:
            timestamp, window = read_timing(sent)
            check_window(self._hall.clock(), timestamp, window)
            return self._key
        return self._verified(sent)

    def _verified(self, sent: Mapping[str, str]) -> Key:
        key = self._hall.keyring.find(sent.get("apiKey"))
        security = read_security(sent)
        check_signature(key, signed_text(sent), security.signature)
        check_window(self._hall.clock(), security.timestamp, security.recv_window_ms)
        return key

    def _error(self, refusal: ExchangeRefusal) -> Json:
        error: dict[str, Json] = {"code": refusal.code, "msg": refusal.message}
        if isinstance(refusal, errors.PartialRefusal):
            error["data"] = refusal.data
        if isinstance(refusal, errors.LimitExceeded):
            now_ms = TimeUnit.MILLISECOND.of(self._hall.clock())
            error["data"] = {"serverTime": now_ms, "retryAfter": now_ms + refusal.retry_after_ms}
        return error

    # ---- what belongs to the connection itself

    def _session_methods(self) -> dict[str, Method]:
        return {
            "session.logon": Method(self._log_on, 2, None),
            "session.status": Method(self._status, 2),
            "session.logout": Method(self._log_out, 2),
            "session.subscriptions": Method(self._list, 2),
            "userDataStream.subscribe": Method(self._subscribe_session, 2),
            "userDataStream.subscribe.signature": Method(self._subscribe_signed, 2, None),
            "userDataStream.unsubscribe": Method(self._unsubscribe, 2, (integer("subscriptionId"),)),
        }

    def _log_on(self, call: Call) -> Json:
        key = self._verified(_signed_only(call.arguments))
        if not isinstance(key, Ed25519Key):
            raise errors.unsupported_key_type()
        self._key, self._authorized = key, call.now
        return self._status(call)

    def _log_out(self, call: Call) -> Json:
        self._key, self._authorized = None, None
        return self._status(call)

    def _status(self, call: Call) -> Json:
        at = call.unit.of
        return {
            "apiKey": None if self._key is None else self._key.api_key,
            "authorizedSince": None if self._authorized is None else at(self._authorized),
            "connectedSince": at(self._connected),
            "returnRateLimits": self._tell_limits,
            "serverTime": at(call.now),
            "userDataStream": bool(self._subscriptions),
        }

    def _list(self, _: Call) -> Json:
        return [{"subscriptionId": number} for number in self._subscriptions]

    def _subscribe_session(self, _: Call) -> Json:
        if self._key is None:
            raise errors.bad_api_key_format()
        return self._subscribe(self._key)

    def _subscribe_signed(self, call: Call) -> Json:
        return self._subscribe(self._verified(_signed_only(call.arguments)))

    def _subscribe(self, key: Key) -> Json:
        # All keys are the one account's, and an account can be subscribed to once a connection.
        if self._subscriptions:
            raise errors.already_subscribed()
        number = next(self._ids)
        self._subscriptions[number] = key
        return {"subscriptionId": number}

    def _unsubscribe(self, call: Call) -> Json:
        wanted = call.arguments.integer("subscriptionId")
        ended = [number for number in self._subscriptions if wanted in (None, number)]
        if not ended:
            raise errors.nothing_to_unsubscribe()
        for number in ended:
            del self._subscriptions[number]
            event = {"e": "eventStreamTerminated", "E": self._unit.of(call.now)}
            self._socket.send(wire.encode({"subscriptionId": number, "event": event}))
        return {}

    # ---- user events

    def tell(self, event: Callable[[TimeUnit], Json]) -> None:
        """Send a user event to each of this connection's subscriptions."""
        for number in self._subscriptions:
            told = event(self._unit)
            self._socket.send(wire.encode({"subscriptionId": number, "event": told}), _seen(told))

    def terminate(self, name: str) -> None:
        """End this connection's subscriptions by an event of the exchange's own."""
        self.tell(lambda unit: {"e": name, "E": unit.of(self._hall.clock())})
        self._subscriptions.clear()


def _seen(event: Json) -> Seen:
    """Which event this is and whom it is about."""
    if not isinstance(event, Mapping):
        return REPLY
    name, kind = str(event.get("e", "")), str(event.get("x", ""))
    # A cancel's report has the order's own id in `C`.
    order = str(event.get("C") or event.get("c", ""))
    return Seen(f"{name} {kind}".strip(), order, str(event.get("s", "")))


def read_request(frame: str) -> Request:
    """Take a frame apart.  Raises ExchangeRefusal -1135 where it is no request."""
    try:
        sent = _decode(frame)
    except (msgspec.DecodeError, RecursionError) as error:
        raise errors.invalid_json() from error
    if not isinstance(sent, dict) or not isinstance(sent.get("method"), str):
        raise errors.invalid_json()
    parameters, request_id = sent.get("params") or {}, sent.get("id")
    if not isinstance(parameters, dict) or not isinstance(request_id, int | str | None):
        raise errors.invalid_json()
    if isinstance(request_id, int) and abs(request_id) > MAX_ID:
        raise errors.invalid_json()
    texts = {name: _text(value) for name, value in parameters.items() if value is not None}
    return Request(request_id, sent["method"].removeprefix("v3/"), texts)


def _text(value: object) -> str:
    """A parameter as the signature's text has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    try:
        return msgspec.json.encode(value).decode()
    except OverflowError as error:  # a number in a list that no 64 bits hold
        raise errors.invalid_json() from error


def signed_text(sent: Mapping[str, str]) -> bytes:
    """What a signature covers: all parameters but itself, sorted by name."""
    return "&".join(f"{name}={sent[name]}" for name in sorted(sent) if name != "signature").encode()


def _signed_only(arguments: Arguments) -> Mapping[str, str]:
    """The parameters of a method that has none but those of security."""
    names = ("apiKey", "timestamp", "recvWindow", "signature", RATE_LIMITS.name)
    read((), arguments.all, names)
    return arguments.all


class UserFront:
    """Answers connections to the WebSocket API, and passes on what happens to the user's orders."""

    def __init__(self, hall: Hall, rules: SocketRules, register: set[Socket], storm: Storm | None = None) -> None:
        self._hall = hall
        self._rules = rules
        self._register = register
        self._storm = storm
        self._sessions: dict[Session, None] = {}
        self._execution_ids = itertools.count(1)
        hall.listen(self._heard)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        socket = Socket(request, self._rules, self._register, "user", self._storm)
        self._hall.limits.roll(self._hall.clock())
        self._hall.limits.weight.count += CONNECT_WEIGHT
        unit = url_time_unit(request)
        tell_limits = request.query.get("returnRateLimits", "true").lower() == "true"
        session = Session(self._hall, socket, unit, tell_limits=tell_limits)
        self._sessions[session] = None
        try:
            async for frame in socket.frames():
                session.answer(frame)
        finally:
            del self._sessions[session]
        return socket.response

    def terminate(self, name: str) -> None:
        """End every user stream by an event of this name."""
        for session in self._sessions:
            session.terminate(name)

    def _heard(self, happenings: Sequence[Happening]) -> None:
        reports = [each for each in happenings if isinstance(each, OrderReported)]
        if not reports or not self._sessions:
            return
        now = self._hall.clock()
        for report in reports:
            self._tell(self._report(report, now))
        self._tell(self._balances(reports, now))

    def _tell(self, event: Callable[[TimeUnit], Json]) -> None:
        for session in self._sessions:
            session.tell(event)

    def _report(self, report: OrderReported, now: Nanos) -> Callable[[TimeUnit], Json]:
        rules, number = self._hall.engine.rules[report.order.symbol], next(self._execution_ids)
        return lambda unit: wire.execution_report(rules, report, now, number, unit)

    def _balances(self, reports: Sequence[OrderReported], now: Nanos) -> Callable[[TimeUnit], Json]:
        """One balance event for all that happened together, with every asset that it may have touched."""
        touched: dict[str, None] = {}
        for report in reports:
            rules = self._hall.engine.rules[report.order.symbol]
            touched |= dict.fromkeys((rules.base, rules.quote))
        held = self._hall.engine.balances()
        zero = (wire.NOTHING, wire.NOTHING)
        balances = {asset: held.get(asset, zero) for asset in touched}
        return lambda unit: wire.balance_event(balances, reports[-1].at, now, unit)
