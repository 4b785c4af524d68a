"""A storm over the whole exchange: its doors, its open connections, and when what happens to them.

Promise: without a faults file none of this is there; with one, every request and connection passes here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import WSCloseCode

from execd.exchange import wire
from execd.exchange.faults import Close, Maintenance, Reset, Silence, Terminate, TimedRule
from execd.exchange.hall import Hall
from execd.exchange.sockets import Socket
from execd.exchange.storm import Seen, Storm
from execd.exchange.storm_requests import Handler, StormyRest, guarded
from execd.exchange.user_api import UserFront
from execd.exchange.wire import Json, TimeUnit

SHUTDOWN = "serverShutdown"
FAREWELL_S = 0.05
"""Between the last words of an exchange and its closing of the connection, so that they are sent."""


class Weather:
    """What a storm does to one exchange."""

    def __init__(self, storm: Storm, hall: Hall, sockets: set[Socket]) -> None:
        self.storm = storm
        self._hall = hall
        self._sockets = sockets
        self._closing: set[asyncio.Task[None]] = set()
        self._rest: StormyRest | None = None

    def over_rest(self, handler: Handler) -> Handler:
        """REST's handler, in this weather."""
        self._rest = StormyRest(self.storm, self._hall, handler)
        return guarded(self.storm, self._rest.answer)

    def over_sockets(self, handler: Handler) -> Handler:
        """A handler of connections, in this weather."""
        return guarded(self.storm, handler)

    def blow(self, users: UserFront) -> None:
        """Do to connections what is due."""
        for rule in self.storm.due():
            self._strike(rule, users)

    def clear(self) -> None:
        """Let everybody go who is kept waiting: the exchange closes."""
        if self._rest is not None:
            self._rest.clear()

    def _strike(self, rule: TimedRule, users: UserFront) -> None:
        match rule:
            case Silence():
                for socket in self._open(rule.stream):
                    socket.mute(rule.for_s)
            case Reset():
                for socket in self._open(rule.stream):
                    socket.cut()
            case Close():
                self._close(self._open(rule.stream), rule.code, rule.reason)
            case Terminate():
                users.terminate(rule.event)
            case Maintenance():
                users.terminate(SHUTDOWN)
                event: Mapping[str, Json] = {"e": SHUTDOWN, "E": TimeUnit.MILLISECOND.of(self._hall.clock())}
                for socket in self._open("market"):
                    socket.send(wire.encode(event), Seen(SHUTDOWN))
                self._close(self._open("any"), WSCloseCode.GOING_AWAY, "maintenance")

    def _open(self, kind: str) -> list[Socket]:
        return [socket for socket in self._sockets if kind in ("any", socket.kind)]

    def _close(self, sockets: list[Socket], code: int, reason: str) -> None:
        for socket in sockets:
            task = asyncio.create_task(_farewell(socket, code, reason))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _farewell(socket: Socket, code: int, reason: str) -> None:
    await asyncio.sleep(FAREWELL_S)
    await socket.close(code, reason)
