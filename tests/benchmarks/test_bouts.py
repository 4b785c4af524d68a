"""The benchmarks run against what is in this tree: a change that breaks them is seen with it, not a month later."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.peers.environment import Environment
from benchmarks.streams.bouts import BARE, CRYPTOFEED, EXECD, Client, Ring
from benchmarks.tick_to_order.lineup import EXECD as CHAIN
from benchmarks.tick_to_order.lineup import FLOOR, NAUTILUS, Entry, measure

NOBODY = Environment(Path(sys.executable), missing={"cryptofeed": "no compiler", "nautilus_trader": "no wheel"})
COUNT, TRIGGERS = 2_000, 3


@pytest.mark.parametrize("client", [BARE, EXECD], ids=["bare", "execd"])
def test_a_flood_is_seen_to_its_last_trade(client: Client) -> None:
    bout = Ring(NOBODY).flood(client, "asyncio", COUNT)

    assert bout.error == ""
    assert (bout.sent, bout.lost) == (COUNT, 0)


def test_several_markets_and_parents_see_every_trade_each() -> None:
    bout = Ring(NOBODY).flood(EXECD, "asyncio", COUNT, streams=2, parents=2)

    assert (bout.error, bout.sent, bout.lost) == ("", 2 * COUNT, 0)


def test_each_trade_of_a_paced_stream_has_its_delay() -> None:
    bout, nanos = Ring(NOBODY).pace(EXECD, "asyncio", 5_000, COUNT)

    assert (bout.error, bout.lost, len(nanos)) == ("", 0, COUNT)


@pytest.mark.slow
@pytest.mark.parametrize("entry", [FLOOR, CHAIN], ids=["floor", "execd"])
def test_every_trigger_releases_one_order(entry: Entry) -> None:
    found = measure(entry, NOBODY, per_second=200, triggers=TRIGGERS, seed=1)

    assert (found.error, len(found.nanos)) == ("", TRIGGERS)


def test_a_peer_that_is_not_there_is_told_of_and_not_run() -> None:
    bout = Ring(NOBODY).flood(CRYPTOFEED, "asyncio", COUNT)

    assert bout.error == "not to be had: no compiler"
    assert measure(NAUTILUS, NOBODY, 100, 1, 1).error == "not to be had: no wheel"


def test_a_listener_that_breaks_is_told_of_by_its_own_last_word() -> None:
    bout = Ring(NOBODY).flood(Client("nobody", "no_such_listener", "raw"), "asyncio", COUNT)

    assert "No module named benchmarks.streams.clients.no_such_listener" in bout.error
