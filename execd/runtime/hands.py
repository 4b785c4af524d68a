"""Obeys the desk's commands: each becomes one call and one fact.

Promise: a submit is called at most once, and only when the row that holds it is durable; whatever goes wrong with a
call becomes a fact, never silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, assert_never

from execd.core.commands import (
    CancelOrder,
    Command,
    FinishParent,
    ListFills,
    ProposeSlice,
    QueryOrder,
    RaiseAlarm,
    RecordRefusal,
    SubmitOrder,
)
from execd.core.events import Event, OrderLost
from execd.runtime.advisor import Advisor
from execd.runtime.shadow import Shadow
from execd.venues import Venue, VenueError


class Hands:
    """Calls the venue and the policy.  Needs a running TaskGroup to keep its calls in."""

    def __init__(
        self,
        venue: Venue,
        advisor: Advisor,
        post: Callable[[Event], None],
        durable: Callable[[int], Awaitable[None]],
        group: asyncio.TaskGroup,
        finished: Callable[[FinishParent], None],
        shadow: Shadow | None = None,
    ) -> None:
        self._venue = venue
        self._advisor = advisor
        self._post = post
        self._durable = durable
        self._group = group
        self._finished = finished
        self._shadow = shadow

    def obey(self, command: Command, seq: int) -> None:
        """Begin to do what is asked; returns at once."""
        match command:
            case ProposeSlice():
                self._post(self._advisor.answer(command))
                if self._shadow is not None:
                    self._shadow.ask(command)
            case SubmitOrder():
                self._call(self._submit(command, seq))
            case CancelOrder():
                self._call(self._cancel(command))
            case QueryOrder():
                self._call(self._query(command))
            case ListFills():
                self._call(self._list(command))
            case FinishParent():
                self._finished(command)
            case RaiseAlarm() | RecordRefusal():
                pass  # The witness has told whoever counts and logs.
            case _:
                assert_never(command)

    def _call(self, call: Coroutine[Any, Any, None]) -> None:
        self._group.create_task(call)

    async def _submit(self, command: SubmitOrder, seq: int) -> None:
        # A disk that takes too long costs the order its validity: the adapter then does not send it.
        await self._durable(seq)
        try:
            self._post(await self._venue.submit(command))
        # An adapter that breaks its contract has left us without knowledge, and that has a name.
        except Exception as error:
            self._post(OrderLost(command.order, f"the adapter failed: {type(error).__name__}"))

    async def _cancel(self, command: CancelOrder) -> None:
        try:
            self._post(await self._venue.cancel(command))
        except Exception as error:  # as in _submit
            self._post(OrderLost(command.order, f"the adapter failed: {type(error).__name__}"))

    async def _query(self, command: QueryOrder) -> None:
        try:
            answer = await self._venue.query(command)
        except VenueError:
            return  # No answer; the core asks again.
        if answer is not None:
            self._post(answer)

    async def _list(self, command: ListFills) -> None:
        try:
            facts = await self._venue.fills(command)
        except VenueError:
            return  # No answer; the core asks again.
        for fact in facts:
            self._post(fact)
