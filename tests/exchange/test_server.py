"""The exchange as a process and as a guest in ours: how it says that it is ready, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from execd.exchange.limits import RateLimits
from execd.exchange.options import BadOptions, ExchangeOptions, read_balances
from execd.exchange.server import PracticeExchange
from execd.exchange.tape import TapeMarket
from tests.exchange.client import PATIENCE_S, Client

ROOT = Path(__file__).resolve().parents[2]
SERVE = """
import sys
from pathlib import Path
from execd.exchange.options import ExchangeOptions
from execd.exchange.server import main
sys.exit(main(ExchangeOptions(**eval(sys.argv[1]))))
"""


@asynccontextmanager
async def process(options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """An exchange of its own, in a process of its own."""
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, options, stdout=pipe, stderr=pipe, cwd=ROOT
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def ready(running: asyncio.subprocess.Process) -> dict[str, Any]:
    """The line that tells that it is ready."""
    assert running.stdout is not None
    async with asyncio.timeout(4 * PATIENCE_S):
        line = await running.stdout.readline()
    told: dict[str, Any] = json.loads(line)
    return told


async def ended(running: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Exit code, and the rest of what it printed."""
    async with asyncio.timeout(4 * PATIENCE_S):
        out, error = await running.communicate()
    assert running.returncode is not None
    return running.returncode, out.decode(), error.decode()


# ---- a process of its own


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_prints_one_line_when_ready_serves_and_ends_on_a_signal(number: signal.Signals) -> None:
    async with process('{"symbols": ("BTC/USDT", "SOL/USDT")}') as running:
        told = await ready(running)
        assert told.keys() == {"rest", "ws", "ws_api", "ca", "key", "account", "symbols", "pid"}
        assert told["key"].keys() == {"apiKey", "secret"}
        assert (told["ca"], told["symbols"], told["pid"]) == (None, ["BTC/USDT", "SOL/USDT"], running.pid)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{told['rest']}/api/v3/ping") as reply:
                assert reply.status == 200
            for path in ("/ws/btcusdt@trade", "/stream?streams=btcusdt@trade", "/stream/ws/0"):
                async with session.ws_connect(told["ws"] + path) as stream:
                    assert not stream.closed
            async with session.ws_connect(told["ws_api"] + "/ws-api/v3") as api:
                running.send_signal(number)
                assert (await api.receive(PATIENCE_S)).type is aiohttp.WSMsgType.CLOSE
        assert await ended(running) == (0, "", "")


async def test_it_ends_by_itself_when_nobody_is_there() -> None:
    async with process('{"linger": 0.5, "symbols": ("BTC/USDT",)}') as running:
        told = await ready(running)
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{told['ws']}/ws") as stream:
            with pytest.raises(TimeoutError):
                await stream.receive(1.0)
            assert running.returncode is None, "somebody is there"
        assert await ended(running) == (0, "", "")


async def test_the_authority_is_there_while_it_runs_and_gone_afterwards() -> None:
    async with process('{"tls": True, "symbols": ("BTC/USDT",)}') as running:
        told = await ready(running)
        assert told["rest"].startswith("https://")
        assert told["ws"].startswith("wss://")
        trust = ssl.create_default_context(cafile=told["ca"])
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
            session.get(f"{told['rest']}/api/v3/ping") as reply,
        ):
            assert reply.status == 200
        running.terminate()
        assert (await ended(running))[0] == 0
    assert not Path(told["ca"]).parent.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ('{"port": 70000}', "port 70000: must lie between 0 and 65535"),
        ('{"symbols": ("BTC/EUR",)}', "symbol BTC/EUR"),
        ('{"symbols": ()}', "symbols: at least one"),
        ('{"symbols": ("BTC/USDT", "BTC/USDT")}', "there twice"),
        ('{"linger": 0}', "linger 0: must be greater than 0"),
        ('{"tape": Path("/nowhere/spot_BTCUSDT.csv")}', "/nowhere/spot_BTCUSDT.csv"),
        ('{"ed25519": Path("/nowhere/key.pem")}', "ed25519 /nowhere/key.pem"),
    ],
)
async def test_bad_options_are_one_line_and_exit_code_78(options: str, words: str) -> None:
    async with process(options) as running:
        code, out, error = await ended(running)
    assert (code, out) == (os.EX_CONFIG, "")
    assert error.startswith("execd exchange: ")
    assert words in error
    assert error.count("\n") == 1, error


async def test_a_port_in_use_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadOptions, match=f"port {port}: Address already in use; choose another, or 0"):
            async with PracticeExchange(ExchangeOptions(port=port, symbols=("BTC/USDT",))):
                pass


@pytest.mark.parametrize(
    ("content", "words"), [("ts,price\n1,2\n", "amount"), ("", "broken"), ("ts,price,amount,side\n", "broken")]
)
async def test_a_broken_tape_is_refused_by_its_name(tmp_path: Path, content: str, words: str) -> None:
    tape = tmp_path / "broken_spot_BTCUSDT.csv"
    tape.write_text(content)
    with pytest.raises(BadOptions, match=words) as refused:
        async with PracticeExchange(ExchangeOptions(tape=tape)):
            pass
    assert str(tape) in str(refused.value)


@pytest.mark.parametrize(
    ("options", "words"), [({"speed": 0}, "speed 0"), ({"symbols": ("BTC/USDT", "ETH/USDT")}, "one symbol only")]
)
async def test_what_a_tape_cannot_do_is_refused(still_tape: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOptions, match=words):
        async with PracticeExchange(ExchangeOptions(tape=still_tape, **options)):
            pass


# ---- a guest in our process


async def test_the_tapes_times_can_be_mapped_by_what_is_told(tmp_path: Path) -> None:
    tape = tmp_path / "short_spot_BTCUSDT.csv"
    moments = [1_700_000_000_000_000, 1_700_000_000_400_001, 1_700_000_001_000_000]
    tape.write_text("\n".join(["ts,price,amount,side", *(f"{ts},50000,0.1,buy" for ts in moments)]))
    options = ExchangeOptions(tape=tape, speed=Fraction(10, 3), head_start_s=0.05)
    async with PracticeExchange(options, limits=RateLimits(weight=10**9)) as exchange:
        told = json.loads(json.dumps(exchange.endpoints.described()))["tape"]
        async with Client(exchange) as client:
            trades: list[Any] = []
            while len(trades) < len(moments):
                reply = await client.get("trades", symbol="BTCUSDT", headers={"X-MBX-TIME-UNIT": "MICROSECOND"})
                trades = reply.body
    assert told.keys() == {
        "file",
        "symbol",
        "start_exchange_ns",
        "start_tape_us",
        "end_tape_us",
        "speed",
        "tick",
        "lot",
    }
    assert (told["file"], told["symbol"], told["start_tape_us"]) == (str(tape), "BTC/USDT", moments[0])
    speed = Fraction(told["speed"])
    for trade, ts in zip(trades, moments, strict=True):
        at = told["start_exchange_ns"] + (ts - told["start_tape_us"]) * 1_000 / speed
        assert trade["time"] == int(at // 1_000)
    market = TapeMarket(tape, speed, told["start_exchange_ns"])
    assert market.exchange_time(moments[1]) // 1_000 == trades[1]["time"]


async def test_the_secret_is_told_in_the_ready_line_and_nowhere_else(exchange: PracticeExchange) -> None:
    secret = exchange.endpoints.key.secret
    assert secret in json.dumps(exchange.endpoints.described())
    assert secret not in repr(exchange.endpoints)
    assert secret not in str(vars(exchange))


async def test_nothing_is_left_when_it_has_closed(tmp_path: Path) -> None:
    before = {task.get_name() for task in asyncio.all_tasks()}
    async with PracticeExchange(ExchangeOptions(symbols=("BTC/USDT",), tls=True)) as exchange:
        folder = exchange.endpoints.ca
        port = exchange.endpoints.port
    assert folder is not None
    assert not folder.parent.exists()
    assert {task.get_name() for task in asyncio.all_tasks()} == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


async def test_two_exchanges_run_side_by_side_with_keys_of_their_own(still_tape: Path) -> None:
    options = ExchangeOptions(tape=still_tape, head_start_s=0.001)
    async with PracticeExchange(options) as one, PracticeExchange(options) as other, Client(one) as client:
        assert one.endpoints.port != other.endpoints.port
        client.endpoints = one.endpoints
        assert (await client.signed("GET", "account")).status == 200
        headers = {"X-MBX-APIKEY": other.endpoints.key.api_key}
        assert (await client.raw("GET", "/api/v3/account", headers=headers)).code == -2015


async def test_a_market_that_breaks_is_not_passed_over(still_tape: Path) -> None:
    def broken(now: int) -> None:
        raise ZeroDivisionError("the engine is broken")

    async def serve() -> None:
        async with PracticeExchange(ExchangeOptions(tape=still_tape)) as exchange, asyncio.timeout(PATIENCE_S):
            exchange.hall.engine.advance = broken  # type: ignore[method-assign]
            await exchange.finished()

    with pytest.raises(ZeroDivisionError, match="the engine is broken"):
        await serve()


async def test_the_account_begins_with_what_was_chosen(still_tape: Path) -> None:
    options = ExchangeOptions(tape=still_tape, balances=read_balances("USDT=5000.5, BTC=2"))
    async with PracticeExchange(options) as exchange, Client(exchange) as client:
        rows = (await client.signed("GET", "account")).body["balances"]
    assert {row["asset"]: row["free"] for row in rows} == {"USDT": "5000.50000000", "BTC": "2.00000000"}


@pytest.mark.parametrize("words", ["", "USDT", "USDT=", "=5", "USDT=-5", "USDT=NaN", "USDT=5;BTC=1"])
def test_balances_that_cannot_be_read_are_refused(words: str) -> None:
    with pytest.raises(BadOptions, match="must be a currency and an amount, as USDT=5000000"):
        read_balances(words)
