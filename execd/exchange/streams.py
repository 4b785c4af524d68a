"""The market streams: /ws/<stream>, /ws and SUBSCRIBE, /stream?streams=a/b.

Promise: each payload is made once for all who listen to it in the same form; a client is told what it asked
for and nothing else, in the order in which it happened. A stream name that does not exist is accepted and
stays silent, as on Binance (that is what lets a library connect to /ws/0 and subscribe later).
Source: binance-spot-api-docs, web-socket-streams.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from execd.core.grid import Nanos
from execd.exchange import wire
from execd.exchange.feeds import Opened, Payload, open_feed
from execd.exchange.hall import Hall
from execd.exchange.records import Happening
from execd.exchange.rest import url_time_unit
from execd.exchange.sockets import Socket, SocketRules
from execd.exchange.storm import Seen, Storm
from execd.exchange.wire import Json, TimeUnit

MAX_STREAMS = 1_024
MAX_ID_LENGTH = 36
MAX_ID = 2**63 - 1
COMMANDS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


@dataclass(eq=False, slots=True)
class Subscriber:
    """One connection and what it wants to hear, in which form."""

    socket: Socket
    combined: bool
    unit: TimeUnit
    names: dict[str, None] = field(default_factory=dict)


class StreamHub:
    """Who listens to what."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._feeds: dict[str, Opened] = {}
        self._listeners: dict[str, dict[Subscriber, None]] = {}
        hall.listen(self._heard)

    def subscribe(self, subscriber: Subscriber, names: Sequence[str]) -> None:
        """Let a subscriber hear some streams from now on."""
        for name in names:
            subscriber.names[name] = None
            self._listeners.setdefault(name, {})[subscriber] = None
            if name not in self._feeds and (opened := open_feed(self._hall, name)) is not None:
                self._feeds[name] = opened

    def unsubscribe(self, subscriber: Subscriber, names: Sequence[str]) -> None:
        """Let a subscriber hear some streams no more."""
        for name in names:
            subscriber.names.pop(name, None)
            listeners = self._listeners.get(name, {})
            listeners.pop(subscriber, None)
            if not listeners:
                self._listeners.pop(name, None)
                self._feeds.pop(name, None)

    def flush(self, now: Nanos) -> None:
        """Send what is due."""
        for name, opened in self._feeds.items():
            for payload in opened.feed.take(now):
                self._publish(name, payload)

    def _heard(self, happenings: Sequence[Happening]) -> None:
        feeds = [opened for opened in self._feeds.values() if opened.symbol is not None]
        if not feeds:
            return
        for happening in happenings:
            symbol = getattr(happening, "symbol", None)
            for opened in feeds:
                if opened.symbol == symbol:
                    opened.feed.hear(happening)
        self.flush(self._hall.clock())

    def _publish(self, name: str, payload: Payload) -> None:
        frames: dict[tuple[bool, TimeUnit], bytes] = {}
        seen = Seen(name, symbol=name.partition("@")[0].upper())
        for subscriber in self._listeners[name]:
            form = (subscriber.combined, subscriber.unit)
            if form not in frames:
                data = payload(subscriber.unit)
                frames[form] = wire.encode({"stream": name, "data": data} if subscriber.combined else data)
            subscriber.socket.send(frames[form], seen)


class CommandRefused(Exception):
    """A command that the stream server does not take, with its own small error codes."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


RequestId = int | str | None


class StreamFront:
    """Answers connections to the market streams."""

    def __init__(
        self, hall: Hall, hub: StreamHub, rules: SocketRules, register: set[Socket], storm: Storm | None = None
    ) -> None:
        self._hall = hall
        self._hub = hub
        self._rules = rules
        self._register = register
        self._storm = storm
        self._commands: dict[str, Callable[[Subscriber, list[Json]], Json]] = {
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._unsubscribe,
            "LIST_SUBSCRIPTIONS": lambda subscriber, _: list(subscriber.names),
            "SET_PROPERTY": self._set_property,
            "GET_PROPERTY": self._get_property,
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        socket = Socket(request, self._rules, self._register, "market", self._storm)
        path = request.match_info.get("names", "")
        # /stream/ws/... is what a library builds whose base URL must have "/stream" in it: raw payloads.
        combined = request.path.startswith("/stream") and not request.path.startswith("/stream/ws")
        subscriber = Subscriber(socket, combined, url_time_unit(request))
        self._hall.catch_up()
        self._hub.subscribe(subscriber, _names(path) + _names(request.query.get("streams", "")))
        try:
            async for frame in socket.frames():
                self._hall.catch_up()
                socket.send(wire.encode(self._command(subscriber, frame)))
        finally:
            self._hub.unsubscribe(subscriber, list(subscriber.names))
        return socket.response

    def _command(self, subscriber: Subscriber, frame: str) -> Json:
        request_id: RequestId = None
        try:
            method, parameters, request_id = read_command(frame)
            return {"result": self._commands[method](subscriber, parameters), "id": request_id}
        except CommandRefused as refusal:
            return {"error": {"code": refusal.code, "msg": refusal.message}, "id": request_id}

    def _subscribe(self, subscriber: Subscriber, parameters: list[Json]) -> Json:
        names = _texts(parameters)
        if len(subscriber.names | dict.fromkeys(names)) > MAX_STREAMS:
            raise CommandRefused(2, f"Invalid request: too many streams; a connection may have {MAX_STREAMS}")
        self._hub.subscribe(subscriber, names)
        return None

    def _unsubscribe(self, subscriber: Subscriber, parameters: list[Json]) -> Json:
        self._hub.unsubscribe(subscriber, _texts(parameters))
        return None

    def _set_property(self, subscriber: Subscriber, parameters: list[Json]) -> Json:
        match parameters:
            case ["combined", bool(value)]:
                subscriber.combined = value
            case ["combined", _]:
                raise CommandRefused(1, "Invalid value type: expected Boolean")
            case _:
                raise CommandRefused(0, "Unknown property")
        return None

    def _get_property(self, subscriber: Subscriber, parameters: list[Json]) -> Json:
        if parameters != ["combined"]:
            raise CommandRefused(0, "Unknown property")
        return subscriber.combined


def read_command(frame: str) -> tuple[str, list[Json], RequestId]:
    """A frame's method, parameters and id.  Raises CommandRefused with Binance's words."""
    try:
        sent = msgspec.json.decode(frame)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CommandRefused(3, "Invalid JSON: expected value at line 1 column 1") from error
    if not isinstance(sent, dict) or "method" not in sent:
        raise CommandRefused(2, "Invalid request: missing field `method`")
    method, parameters, request_id = sent["method"], sent.get("params", []), sent.get("id")
    if method not in COMMANDS:
        expected = ", ".join(f"`{each}`" for each in COMMANDS)
        raise CommandRefused(2, f"Invalid request: unknown variant `{method}`, expected one of {expected}")
    fits = not isinstance(request_id, int) or -MAX_ID <= request_id <= MAX_ID
    if isinstance(request_id, bool) or not isinstance(request_id, int | str | None) or not fits:
        raise CommandRefused(2, "Invalid request: request ID must be an unsigned integer")
    if isinstance(request_id, str) and len(request_id) > MAX_ID_LENGTH:
        raise CommandRefused(2, "Invalid request: request ID is too long")
    if not isinstance(parameters, list):
        raise CommandRefused(2, "Invalid request: params must be a list")
    return method, parameters, request_id


def _names(text: str) -> list[str]:
    return [name for name in text.split("/") if name]


def _texts(parameters: list[Json]) -> list[str]:
    names = [each for each in parameters if isinstance(each, str)]
    if not names or len(names) < len(parameters):
        raise CommandRefused(2, "Invalid request: params must be stream names")
    return names
