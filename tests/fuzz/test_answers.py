"""What fuzzing and reading found that no small input shows: answers without end, and harm that comes later."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from pathlib import Path

import pytest

from execd.core.commands import ListFills
from execd.core.grid import SECOND, Nanos
from execd.runtime.practice import PracticeError, read_ready
from execd.runtime.settings import Settings, SettingsError, load
from execd.venues import binance_rest
from tests.fuzz.files import READY
from tests.fuzz.http import said, served
from tests.fuzz.wire import NOW, OWN, order_path
from tests.venues.helpers import SYMBOL


def test_a_list_of_fills_that_never_ends_is_given_up() -> None:
    """An exchange that answers the same full page whatever id is asked for is not asked for ever."""
    page = [{**OWN, "id": number} for number in range(binance_rest.PAGE)]
    path = order_path((page,) * 50)
    path._client_ids["28"] = "p1n1"
    assert asyncio.run(path.fills(ListFills(SYMBOL, Nanos(NOW - SECOND)))) == ()


@pytest.mark.parametrize("pid", [-1, 0, 1, True, "1", 1.0, 2**40])
def test_a_ready_line_cannot_make_us_signal_other_processes(tmp_path: Path, pid: object) -> None:
    """kill(-1) and kill(0) reach whole groups: such a number is refused when it is read, not when it is used."""
    path = tmp_path / "exchange.json"
    path.write_text(json.dumps({**json.loads(READY), "pid": pid}))
    with pytest.raises(PracticeError, match="pid"):
        read_ready(path)


@pytest.mark.parametrize("speed", ["1e999999999", "1/0", "", "-1", None])
def test_a_tape_speed_that_is_no_plain_number_is_refused(tmp_path: Path, speed: object) -> None:
    """A fraction of a number with nine nines in its exponent would never be computed."""
    path = tmp_path / "exchange.json"
    path.write_text(json.dumps({**json.loads(READY), "tape": {**json.loads(READY)["tape"], "speed": speed}}))
    with pytest.raises(PracticeError, match="ready line"):
        read_ready(path)


def test_a_settings_file_of_nothing_but_slips_is_refused_as_one(tmp_path: Path) -> None:
    """A megabyte of unknown keys is answered soon, and in a message that can be read."""
    path = tmp_path / "execd.yaml"
    path.write_text("".join(f"k{number}: 1\n" for number in range(80_000)))
    with pytest.raises(SettingsError) as refusal:
        load(path, Settings)
    assert len(refusal.value.problems) <= 100


def test_what_is_no_http_leaves_no_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Anybody who reaches the port could fill the log."""
    with caplog.at_level(logging.DEBUG):
        visitor = socket.create_connection(("127.0.0.1", served().door.port))
        assert b"400" in said(visitor, b"nonsense\r\n\r\n", 10.0)
    assert not [record for record in caplog.records if record.exc_info]
