"""POST /kill trips, whatever is in it, and nothing else can be changed through the door."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.runtime import door as doors
from execd.runtime.door import Door, reason_in
from execd.runtime.latch import Scope

FIRING = {
    "version": "4",
    "status": "firing",
    "receiver": "execd-kill",
    "commonLabels": {"alertname": "ExecdOverfill", "severity": "page"},
    "alerts": [{"status": "firing", "labels": {"alertname": "ExecdOverfill"}}],
}
"""What an Alertmanager posts, shortened."""


class Served:
    """A door, and what was killed through it."""

    def __init__(self, *, killing: bool = True) -> None:
        self.killed: list[tuple[Scope, str, str]] = []
        kill = self._kill if killing else None
        self.door = Door(lambda: b"", lambda: 0.0, lambda: {"streams": True}, lambda: {"parent": "p1"}, kill)

    async def _kill(self, scope: Scope, reason: str, by: str) -> None:
        self.killed.append((scope, reason, by))

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.door.port}{path}"
        async with aiohttp.ClientSession() as session, session.request(method, url, **more) as answer:
            return answer.status, await answer.text()


@contextlib.asynccontextmanager
async def serving(*, killing: bool = True) -> AsyncIterator[Served]:
    served = Served(killing=killing)
    await served.door.open("127.0.0.1", 0)
    try:
        yield served
    finally:
        await served.door.close()


@pytest.mark.parametrize(
    ("query", "body", "scope", "reason"),
    [
        ("", b"", Scope.ALL, "no reason was given"),
        ("?scope=parent&reason=wrong%20side", b"", Scope.PARENT, "wrong side"),
        ("?scope=exchange", b"plain words", Scope.EXCHANGE, "plain words"),
        ("", b'{"reason": "in JSON"}', Scope.ALL, "in JSON"),
        ("", json.dumps(FIRING).encode(), Scope.ALL, "alert ExecdOverfill"),
        ("", b"\xff\x00 not text\n\n", Scope.ALL, "\ufffd not text"),
        ("", b"[" * 100_000, Scope.ALL, "[" * doors.REASON_MAX),
        ("", b"x" * 2_000_000, Scope.ALL, "no reason was given"),
        ("?reason=" + "y" * 1000, b"", Scope.ALL, "y" * doors.REASON_MAX),
        ("?reason=resolved", b"", Scope.ALL, "resolved"),
    ],
)
async def test_whatever_is_posted_kills_and_says_who_and_why(
    query: str, body: bytes, scope: Scope, reason: str
) -> None:
    """A body that is too large, no text or empty is no reason to go on trading."""
    async with serving() as served:
        status, answer = await served.ask("POST", f"/kill{query}", data=body)

        assert (status, json.loads(answer)["tripped"]) == (200, True)
        assert served.killed == [(scope, reason, "http 127.0.0.1")]


@pytest.mark.parametrize(
    ("query", "headers", "body", "status", "words"),
    [
        ("", {}, {**FIRING, "status": "resolved"}, 200, "resolved"),
        ("?scope=world", {}, {}, 400, "allowed: all, exchange, parent"),
        ("", {"Origin": "https://example.org"}, {}, 403, "not from a browser"),
        ("", {"Sec-Fetch-Site": "cross-site"}, {}, 403, "not from a browser"),
    ],
)
async def test_what_is_over_what_means_nothing_and_what_a_page_sends_kills_nothing(
    query: str, headers: dict[str, str], body: dict[str, Any], status: int, words: str
) -> None:
    async with serving() as served:
        got, answer = await served.ask("POST", f"/kill{query}", json=body, headers=headers)

        assert (got, served.killed) == (status, [])
        assert words in answer


@pytest.mark.parametrize(("method", "path"), [("GET", "/kill"), ("DELETE", "/kill"), ("POST", "/reset")])
async def test_there_is_no_way_back_through_the_door(method: str, path: str) -> None:
    async with serving() as served:
        status, _ = await served.ask(method, path)

        assert status in (404, 405)
        assert served.killed == []


async def test_a_door_that_has_nobody_to_kill_has_no_kill() -> None:
    async with serving(killing=False) as served:
        assert (await served.ask("POST", "/kill"))[0] == 404


@given(st.binary())
def test_every_body_is_a_reason(body: bytes) -> None:
    assert reason_in(body) is not None


@given(
    st.dictionaries(
        st.sampled_from(["reason", "alerts", "status", "commonLabels"]),
        st.none() | st.text() | st.integers() | st.dictionaries(st.just("alertname"), st.text() | st.none()),
    )
)
def test_only_what_an_alertmanager_calls_resolved_is_none(told: dict[str, Any]) -> None:
    resolved = "alerts" in told and told.get("status") == "resolved"

    assert (reason_in(json.dumps(told).encode()) is None) == resolved
