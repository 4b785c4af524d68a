"""From an operator's files to a watchdog at work: which exchange, with which key, until it is asked to leave.

Promise: the key is the watchdog's own, and on live can do no more than trade; what can be known to be wrong is refused
at the start with one sentence, but an exchange that gives no answer is not: being there when it does is what a watchdog
is for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from execd.runtime import practice, telemetry
from execd.runtime.door import Door, PortTakenError
from execd.runtime.heartbeat import FOLDER
from execd.runtime.latch import Latch
from execd.runtime.launch import InterlockError, demand_trade_only
from execd.runtime.practice import PracticeError
from execd.runtime.settings import LogFormat, Mode, Settings, SettingsError
from execd.runtime.settings_secrets import WATCHDOG, Secrets
from execd.runtime.watchdog import LOOK_S, Findings, Watchdog, Way
from execd.runtime.watchdog_metrics import WatchdogMetrics
from execd.venues import VenueUnanswered
from execd.venues.credentials import Credentials
from execd.venues.loopback import PRODUCTION, Endpoint

if TYPE_CHECKING:
    from execd.venues.sweeper import Sweeper, Swept

T = TypeVar("T")

Reach = Callable[[], tuple[Credentials, Endpoint]]
"""Where the exchange is now, and with which key.  Raises PracticeError."""


@dataclass(frozen=True, slots=True)
class Post:
    """What `execd watchdog` was asked to do.

    `exchange` is a file with the ready line of a practice exchange; `once`: judge every heartbeat a single time, and
    leave when what had to be done is done.
    """

    settings: Settings
    exchange: Path | None = None
    once: bool = False


async def run(post: Post) -> Findings:
    """Watch until a signal asks to leave, or once.

    Raises:
        InterlockError, SettingsError, PracticeError, LatchError, VenueError: one clear sentence; nothing is watched.
    """
    settings = post.settings
    reach, own = _reach(post)
    log = settings.log
    secrets = own.values() if own is not None else ()
    redactor = telemetry.configure(json=log.format is LogFormat.JSON, level=log.level.value, secrets=secrets)
    for warning in own.warnings if own is not None else ():
        structlog.get_logger("execd.watchdog").warning(warning)
    line = _Line(settings, reach, redactor)
    metrics = WatchdogMetrics()
    watchdog = Watchdog(
        settings.state_dir / FOLDER,
        settings.mode.value,
        Latch.of_all(settings.state_dir),
        settings.watchdog.trip_after / 1e9,
        Way(lambda: line.ask(_account), lambda: line.ask(_sweep)),
        settings.venue.request_validity / 1e9,
        metrics,
    )
    door = _door(watchdog, metrics)
    try:
        await line.inspect()
        await _open(door, settings)
        await _work(watchdog, settings, once=post.once)
    finally:
        await door.close()
        await line.close()
    return watchdog.found


async def _work(watchdog: Watchdog, settings: Settings, *, once: bool) -> None:
    patience_s = settings.watchdog.trip_after / 1e9
    structlog.get_logger("execd.watchdog").info(
        "watching", state=str(settings.state_dir), mode=settings.mode.value, trip_after_s=patience_s
    )
    loop, current = asyncio.get_running_loop(), asyncio.current_task()
    assert current is not None
    asked: list[str] = []

    def leave(name: str) -> None:
        asked.append(name)
        current.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave, number.name)
    try:
        if once:
            await _once(watchdog, patience_s)
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(watchdog.watch())
            group.create_task(watchdog.sweep())
            group.create_task(watchdog.prove())
    except asyncio.CancelledError:
        if not asked:
            raise
        current.uncancel()
        structlog.get_logger("execd.watchdog").info("leaving", asked_by=asked[0], latched=watchdog.latched)


async def _once(watchdog: Watchdog, patience_s: float) -> None:
    """Judge each heartbeat a single time; where the latch is set by then, sweep until two clean reads."""
    until_s = time.monotonic() + patience_s
    tasks = [asyncio.create_task(each) for each in (watchdog.watch(), watchdog.prove())]
    try:
        # The last look must come after the patience is over.
        while not watchdog.latched and watchdog.looked_s <= until_s:  # noqa: ASYNC110 (what is waited for is the time)
            await asyncio.sleep(LOOK_S)
        pause_s = 0.0
        while watchdog.latched and not watchdog.found.settled:
            await asyncio.sleep(pause_s)
            pause_s = await watchdog.round()
    finally:
        for task in tasks:
            task.cancel()


def _reach(post: Post) -> tuple[Reach, Secrets | None]:
    """How to reach the exchange, and our key where it is not practice's.

    Raises InterlockError, SettingsError, PracticeError.
    """
    settings = post.settings
    if settings.mode is Mode.PAPER:
        raise InterlockError(
            "mode paper imagines its orders: at the exchange there is nothing to watch (execd.yaml: mode)"
        )
    if post.exchange is not None and settings.mode is not Mode.PRACTICE:
        raise InterlockError(f"--exchange is for practice; mode is {settings.mode.value} (execd.yaml)")
    if settings.mode is Mode.PRACTICE:
        # The embedded one comes with the daemon, maybe later, and elsewhere each time.
        ready = post.exchange or settings.state_dir / "practice" / "practice.json"
        if post.exchange is not None:
            practice.read_ready(ready)
        return lambda: _practice(ready), None
    secrets = own_key(settings)
    try:
        credentials = Credentials(secrets.api_key.get_secret_value(), secrets.api_secret.get_secret_value())
    except ValueError as error:
        raise InterlockError(f"{secrets.source}: {error}") from None
    return lambda: (credentials, PRODUCTION), secrets


def own_key(settings: Settings) -> Secrets:
    """The watchdog's key, which is not the daemon's as far as can be known.  Raises InterlockError, SettingsError."""
    own = Secrets.load(settings.watchdog.keys_dir, owner=WATCHDOG)
    if own is None:
        raise InterlockError(
            f"mode {settings.mode.value}: the watchdog needs a key of its own: put api_key and api_secret (mode 0600) "
            f"into {settings.watchdog.keys_dir} (execd.yaml: watchdog.keys_dir), or set EXECD_WATCHDOG_API_KEY and "
            "EXECD_WATCHDOG_API_SECRET"
        )
    if own.mode not in (None, settings.mode.value):
        raise InterlockError(
            f"the watchdog's key is for {own.mode} ({own.mode_at}), but mode is {settings.mode.value} (execd.yaml)"
        )
    # What systemd hands to this process is the watchdog's, and says nothing of the daemon's.
    environment = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
    try:
        daemons = Secrets.load(settings.keys_dir, environment)
    except SettingsError:
        daemons = None  # Not ours to read, as it should be: then it cannot be known.
    if daemons is not None and daemons.api_key.get_secret_value() == own.api_key.get_secret_value():
        raise InterlockError(
            f"the watchdog's key ({own.source}) is the daemon's ({daemons.source}): make a second one for the same "
            "account, so that what happens to one does not happen to both"
        )
    return own


def _practice(ready: Path) -> tuple[Credentials, Endpoint]:
    found = practice.read_ready(ready)
    if found.ca is None:
        raise PracticeError("the practice exchange serves without TLS; start it with --tls")
    return Credentials(found.api_key, found.secret), Endpoint(found.port, found.ca)


class _Line:
    """The connection to the exchange, made anew where the practice exchange has moved."""

    def __init__(self, settings: Settings, reach: Reach, redactor: telemetry.Redactor) -> None:
        self._settings, self._reach, self._redactor = settings, reach, redactor
        self._where: tuple[Credentials, Endpoint] | None = None
        self._sweeper: Sweeper | None = None
        self._moving = asyncio.Lock()

    async def inspect(self) -> None:
        """Refuse at the start what would be useless later: a wrong key, or on live one that may do too much.

        Raises:
            InterlockError, VenueError: the exchange has said so; where it gives no answer, nothing is refused.
        """
        try:
            await self.ask(_account)
            if self._settings.mode is Mode.LIVE:
                demand_trade_only(await self.ask(_key))
        except VenueUnanswered:
            return

    async def ask(self, question: Callable[[Sweeper], Awaitable[T]]) -> T:
        """Ask the exchange where it is now.  Raises VenueError."""
        async with self._moving:
            try:
                where = self._reach()
                if self._sweeper is None or where != self._where:
                    await self.close()
                    self._redactor.hide((where[0].api_key, where[0].secret))
                    self._sweeper, self._where = self._connect(*where), where
            except (PracticeError, OSError) as error:
                # A practice exchange that has left took its certificate with it.
                raise VenueUnanswered(f"the practice exchange is unreachable: {error}") from None
            sweeper = self._sweeper
        return await question(sweeper)

    async def close(self) -> None:
        """Close the connection."""
        if self._sweeper is not None:
            await self._sweeper.close()
        self._sweeper = None

    def _connect(self, credentials: Credentials, endpoint: Endpoint) -> Sweeper:
        from execd.venues.sweeper import Sweeper  # ccxt takes a second to import

        settings = self._settings
        return Sweeper(
            "binance" if settings.mode is Mode.PRACTICE else settings.exchange,
            credentials,
            endpoint,
            sandbox=settings.mode is Mode.TESTNET,
            recv_window_ms=settings.venue.request_validity // 1_000_000,
        )


def _account(sweeper: Sweeper) -> Awaitable[str]:
    return sweeper.account()


def _key(sweeper: Sweeper) -> Awaitable[Any]:
    return sweeper.key_permissions()


def _sweep(sweeper: Sweeper) -> Awaitable[Swept]:
    return sweeper.sweep()


def _door(watchdog: Watchdog, metrics: WatchdogMetrics) -> Door:
    return Door(
        metrics.exposition,
        lambda: max(0.0, time.monotonic() - watchdog.looked_s),
        watchdog.ready,
        watchdog.found.as_dict,
        watchdog.trip,
    )


async def _open(door: Door, settings: Settings) -> None:
    """Serve the metrics; on any free port where the one that was asked for is taken: watching comes first."""
    log = structlog.get_logger("execd.watchdog")
    try:
        await door.open(settings.metrics.host, settings.watchdog.port)
    except PortTakenError as error:
        await door.open(settings.metrics.host, 0)
        log.warning(str(error))
    log.info("metrics are served", port=door.port)
