"""The practice exchange as a server: in this process, or alone behind `execd exchange`.

    async with PracticeExchange(ExchangeOptions()) as exchange:
        exchange.endpoints.rest, .ws, .ws_api, .ca, .key

Promise: it listens on loopback only, keeps nothing when it ends, and lets go of every connection, file and task.
Between requests one pump advances the engine; with nobody connected it hardly wakes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import ssl
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from aiohttp import web

from execd.exchange.auth import Ed25519Key, HmacKey, Keyring, new_hmac_key
from execd.exchange.certificates import make_identity
from execd.exchange.engine import Engine
from execd.exchange.faults_file import read_faults
from execd.exchange.hall import Clock, Hall, steady_clock
from execd.exchange.limits import RateLimits
from execd.exchange.options import BadOptions, ExchangeOptions, open_market, opening_balances, read_public_key
from execd.exchange.rest import RestFront
from execd.exchange.sockets import Socket, SocketRules
from execd.exchange.storm import Storm
from execd.exchange.storm_house import Weather
from execd.exchange.storm_requests import Handler
from execd.exchange.streams import StreamFront, StreamHub
from execd.exchange.user_api import UserFront
from execd.exchange.wire import Json, encode

HOST = "127.0.0.1"
BUSY_PAUSE_S = 0.01
IDLE_PAUSE_S = 0.25
CLOSE_WITHIN_S = 3.0
STREAM_MESSAGES_PER_S = 5


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the exchange is, and with which keys.

    Attributes:
        rest: Base of `{rest}/api/v3/...`.
        ws: Base of `{ws}/ws/...` and `{ws}/stream...`.
        ws_api: Base of `{ws_api}/ws-api/v3`.
        port: The TCP port of all three.
        ca: The authority to trust, a PEM file; None without TLS.
        key: The account's HMAC key.
        ed25519: The registered Ed25519 key, where one was given.
        account: The account's number.
        tape: How tape time maps to exchange time, in tape mode.
    """

    rest: str
    ws: str
    ws_api: str
    port: int
    ca: Path | None
    key: HmacKey
    ed25519: Ed25519Key | None
    account: int
    symbols: tuple[str, ...]
    tape: Json

    def described(self) -> dict[str, Json]:
        """The line that `execd exchange` prints when it is ready: the one place where the secret is told."""
        line: dict[str, Json] = {
            "rest": self.rest,
            "ws": self.ws,
            "ws_api": self.ws_api,
            "ca": None if self.ca is None else str(self.ca),
            "key": {"apiKey": self.key.api_key, "secret": self.key.secret},
            "account": self.account,
            "pid": os.getpid(),
            "symbols": list(self.symbols),
        }
        if self.ed25519 is not None:
            line["ed25519"] = {"apiKey": self.ed25519.api_key}
        if self.tape is not None:
            line["tape"] = self.tape
        return line


class PracticeExchange:
    """A running exchange; an asynchronous context manager."""

    def __init__(
        self,
        options: ExchangeOptions | None = None,
        *,
        clock: Clock | None = None,
        limits: RateLimits | None = None,
        socket_rules: SocketRules | None = None,
    ) -> None:
        """Prepare an exchange; nothing is opened yet.

        Args:
            options: What it trades and where it listens.
            clock: The exchange's clock; a test may give its own.
            limits: Rate limits; Binance's by default.
            socket_rules: How connections are kept; Binance's by default.
        """
        self._options = options or ExchangeOptions()
        self._clock = clock or steady_clock()
        self._limits = limits or RateLimits(weight=self._options.weight)
        self._socket_rules = socket_rules or SocketRules()
        self._sockets: set[Socket] = set()
        self._guests = 0
        self._left_at = 0.0
        self._arrival = asyncio.Event()
        self._cleanup = contextlib.AsyncExitStack()
        self._pumping: asyncio.Task[None] | None = None
        self.hall: Hall
        self.endpoints: Endpoints
        self.weather: Weather | None = None

    async def __aenter__(self) -> PracticeExchange:
        """Open for business.  Raises BadOptions where the options cannot be met."""
        async with contextlib.AsyncExitStack() as cleanup:
            await self._open(cleanup)
            self._cleanup = cleanup.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection and stop."""
        await self._cleanup.aclose()

    @property
    def sockets(self) -> frozenset[Socket]:
        """The WebSocket connections that are open now."""
        return frozenset(self._sockets)

    async def finished(self) -> None:
        """Wait until nobody has been there for as long as the options say; raise what broke the pump."""
        assert self._pumping is not None, "the exchange is not open"
        await asyncio.shield(self._pumping)

    # ---- opening

    async def _open(self, cleanup: contextlib.AsyncExitStack) -> None:
        options = self._options
        faults = None if options.faults is None else read_faults(options.faults)
        opening = open_market(options, self._clock)
        key = new_hmac_key()
        extra = None if options.ed25519 is None else read_public_key(options.ed25519)
        keyring = Keyring(key) if extra is None else Keyring(key, extra)
        engine = Engine(
            opening.symbols,
            market=opening.market,
            now=self._clock(),
            maker_fee=options.maker_fee,
            taker_fee=options.taker_fee,
            balances=opening_balances(opening, options.balances),
        )
        self.hall = Hall(engine, keyring=keyring, limits=self._limits, clock=self._clock, rights=options.rights)
        if faults is not None:
            self.weather = Weather(Storm(faults, self._clock), self.hall, self._sockets)
        hub = StreamHub(self.hall)
        users = UserFront(self.hall, self._socket_rules, self._sockets, self._storm)
        identity = make_identity(self._private_folder(cleanup)) if options.tls else None
        port = await self._listen(
            cleanup, self._application(hub, users), None if identity is None else identity.context
        )
        secure = "" if identity is None else "s"
        self.endpoints = Endpoints(
            rest=f"http{secure}://{HOST}:{port}",
            ws=f"ws{secure}://{HOST}:{port}",
            ws_api=f"ws{secure}://{HOST}:{port}",
            port=port,
            ca=None if identity is None else identity.authority,
            key=key,
            ed25519=extra,
            account=engine.account_id,
            symbols=tuple(opening.symbols),
            tape=opening.tape,
        )
        self._left_at = asyncio.get_running_loop().time()
        self._pumping = asyncio.create_task(self._pump(hub, users))
        cleanup.push_async_callback(self._stop_pump, self._pumping)

    def _private_folder(self, cleanup: contextlib.AsyncExitStack) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="execd-exchange-"))
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    @property
    def _storm(self) -> Storm | None:
        return None if self.weather is None else self.weather.storm

    async def _listen(
        self, cleanup: contextlib.AsyncExitStack, application: web.Application, context: ssl.SSLContext | None
    ) -> int:
        runner = web.AppRunner(application, access_log=None, handle_signals=False)
        await runner.setup()
        cleanup.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, HOST, self._options.port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            text = f"port {self._options.port}: {reason}; choose another, or 0 for a free one"
            raise BadOptions(text) from error
        cleanup.push_async_callback(self._close_sockets)
        host_and_port: tuple[str, int] = runner.addresses[0]
        return host_and_port[1]

    def _application(self, hub: StreamHub, users: UserFront) -> web.Application:
        rules = replace(self._socket_rules, messages_per_s=STREAM_MESSAGES_PER_S)
        markets: Handler = StreamFront(self.hall, hub, rules, self._sockets, self._storm).answer
        reports: Handler = users.answer
        rest: Handler = RestFront(self.hall).answer
        if self.weather is not None:
            markets, reports = self.weather.over_sockets(markets), self.weather.over_sockets(reports)
            rest = self.weather.over_rest(rest)
        application = web.Application()
        route = application.router.add_route
        for path in ("/ws", "/ws/{names:.*}", "/stream", "/stream/ws", "/stream/ws/{names:.*}", "/stream/{names:.*}"):
            route("GET", path, self._attended(markets))
        route("GET", "/ws-api/v3", self._attended(reports))
        route("*", "/{path:.*}", self._attended(rest))
        return application

    # ---- running

    def _attended(self, handler: Handler) -> Handler:
        """The same handler, with the caller counted as a guest while it runs."""

        async def attended(request: web.Request) -> web.StreamResponse:
            self._guests += 1
            self._arrival.set()
            try:
                return await handler(request)
            finally:
                self._guests -= 1
                self._left_at = asyncio.get_running_loop().time()

        return attended

    async def _pump(self, hub: StreamHub, users: UserFront) -> None:
        """Let the market go on, until nobody has been here for the time that the options allow."""
        while not self._deserted():
            hub.flush(self.hall.catch_up())
            if self.weather is not None:
                self.weather.blow(users)
            if self._guests:
                await asyncio.sleep(BUSY_PAUSE_S)
                continue
            self._arrival.clear()
            # Not asyncio.wait_for: in Python 3.11 it can swallow the cancel that ends the pump.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_PAUSE_S):
                    await self._arrival.wait()

    def _deserted(self) -> bool:
        linger = self._options.linger
        if linger is None or self._guests:
            return False
        return asyncio.get_running_loop().time() - self._left_at > linger

    # ---- closing

    async def _stop_pump(self, pumping: asyncio.Task[None]) -> None:
        pumping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pumping

    async def _close_sockets(self) -> None:
        if self.weather is not None:
            self.weather.clear()
        closing = [asyncio.create_task(socket.close()) for socket in self.sockets]
        if closing:
            _, late = await asyncio.wait(closing, timeout=CLOSE_WITHIN_S)
            for task in late:
                task.cancel()
            for socket in self.sockets:
                socket.cut()


async def serve(options: ExchangeOptions, announce: Callable[[Endpoints], None]) -> None:
    """Run an exchange until a signal comes or it is deserted.

    Args:
        options: What it trades and where it listens.
        announce: Called once, when it is ready.

    Raises:
        BadOptions: The options cannot be met.
    """
    async with PracticeExchange(options) as exchange:
        loop = asyncio.get_running_loop()
        ending = asyncio.create_task(exchange.finished())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.cancel)
        announce(exchange.endpoints)
        with contextlib.suppress(asyncio.CancelledError):
            await ending
        if exchange.weather is not None:
            counts = ", ".join(f"{name} {count}" for name, count in sorted(exchange.weather.storm.done.items()))
            sys.stderr.write(f"execd exchange: faults done: {counts or 'none'}\n")


def print_ready(endpoints: Endpoints) -> None:
    """Tell on standard output, in one line of JSON, where the exchange is."""
    sys.stdout.write(encode(endpoints.described()).decode() + "\n")
    sys.stdout.flush()


def main(options: ExchangeOptions) -> int:
    """Serve an exchange of its own; what `execd exchange` does.

    Returns:
        The exit code: 0 after a signal or when deserted, 78 (EX_CONFIG) where the options cannot be met; the
        reason is one line on standard error.
    """
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(options, print_ready))
    except BadOptions as problem:
        sys.stderr.write(f"execd exchange: {problem}\n")
        return os.EX_CONFIG
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for every platform
        return None
    return uvloop.new_event_loop
