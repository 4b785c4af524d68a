"""The dead-man switch of each exchange: what real ccxt sends to hold and release it, and what counts as an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from execd.core.grid import SECOND, Nanos
from execd.venues import VenueError, ccxt_deadman
from execd.venues.capabilities import CAPABILITIES
from execd.venues.deadman import Reach
from tests.venues.conftest import Desk
from tests.venues.helpers import SYMBOL
from tests.venues.timers import KEY, KRAKEN_ARMED, KRAKEN_OFF, NOW_MS, Recorder, Timed, a_client, recording

RUNBOOK = Path(__file__).resolve().parents[2] / "deploy" / "RUNBOOK.md"
ARMED, OFF = {"triggerTime": "1790000060"}, {"triggerTime": "0"}


@dataclass(frozen=True)
class Case:
    """What one exchange must be sent, and what it then answers."""

    exchange: str
    path: str
    held: dict[str, Any]
    released: dict[str, Any]
    armed: Any
    off: Any
    market: str = ""


CASES = (
    Case(
        "kraken",
        "/0/private/CancelAllOrdersAfter",
        {"timeout": "60"},
        {"timeout": "0"},
        KRAKEN_ARMED,
        KRAKEN_OFF,
    ),
    Case(
        "okx",
        "/api/v5/trade/cancel-all-after",
        {"timeOut": "30"},
        {"timeOut": "0"},
        {"code": "0", "msg": "", "data": [{**ARMED, "tag": "", "ts": "1790000000"}]},
        {"code": "0", "msg": "", "data": [{**OFF, "tag": "", "ts": "1790000000"}]},
    ),
    Case(
        "gate",
        "/api/v4/spot/countdown_cancel_all",
        {"timeout": "60", "currency_pair": "BTC_USDT"},
        {"timeout": "0", "currency_pair": "BTC_USDT"},
        {"triggerTime": "1790000060000"},
        {"triggerTime": "0"},
        "BTC_USDT",
    ),
    Case(
        "kucoin",
        "/api/v1/hf/orders/dead-cancel-all",
        {"timeout": "60", "symbols": "BTC-USDT"},
        {"timeout": "-1", "symbols": "BTC-USDT"},
        {"code": "200000", "data": {"currentTime": 1790000000, "triggerTime": 1790000060}},
        {"code": "200000", "data": {}},
        "BTC-USDT",
    ),
    Case(
        "binanceusdm",
        "/fapi/v1/countdownCancelAll",
        {"symbol": "BTCUSDT", "countdownTime": "60000"},
        {"symbol": "BTCUSDT", "countdownTime": "0"},
        {"symbol": "BTCUSDT", "countdownTime": "60000"},
        {"symbol": "BTCUSDT", "countdownTime": "0"},
        "BTCUSDT",
    ),
    Case(
        "hyperliquid",
        "/exchange",
        {"action": {"type": "scheduleCancel", "time": str(NOW_MS + 60_000)}},
        {"action": {"type": "scheduleCancel"}},
        {"status": "ok", "response": {"type": "default"}},
        {"status": "ok", "response": {"type": "default"}},
    ),
)
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: case.exchange)


@pytest.fixture
async def recorder(tmp_path: Path) -> AsyncIterator[Recorder]:
    """Every exchange's own host names, served here over TLS."""
    async with recording(tmp_path) as found:
        yield found


def client_of(case: Case, recorder: Recorder) -> AbstractAsyncContextManager[Any]:
    """The real ccxt of a case's exchange."""
    return a_client(case.exchange, recorder.endpoint)


def window(case: Case) -> Nanos:
    """The window that execd asks an exchange for."""
    return CAPABILITIES[case.exchange].dead_man.window


def told(sent: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What was sent under the names that count, as text; signatures and moments aside."""
    found: dict[str, Any] = {}
    for name in wanted:
        value = sent[name]
        found[name] = {k: str(v) for k, v in value.items()} if isinstance(value, dict) else str(value)
    return found


@EACH
async def test_holding_asks_for_the_window_at_the_exchanges_own_endpoint(case: Case, recorder: Recorder) -> None:
    recorder.answer = case.armed
    async with client_of(case, recorder) as client:
        await ccxt_deadman.hold(client, case.market, window(case))

    ((path, sent),) = recorder.came
    assert case.path == path
    assert case.held == told(sent, case.held)


@EACH
async def test_releasing_sends_the_value_that_disarms(case: Case, recorder: Recorder) -> None:
    recorder.answer = case.off
    async with client_of(case, recorder) as client:
        await ccxt_deadman.release(client, case.market)

    ((path, sent),) = recorder.came
    assert case.path == path
    assert case.released == told(sent, case.released)


@EACH
@pytest.mark.parametrize("nonsense", [{}, [], "fine", None], ids=["empty", "list", "text", "null"])
async def test_an_answer_that_does_not_say_so_holds_nothing(case: Case, recorder: Recorder, nonsense: object) -> None:
    recorder.answer = nonsense
    async with client_of(case, recorder) as client:
        with pytest.raises(Exception, match=r".+"):
            await ccxt_deadman.hold(client, case.market, window(case))


@pytest.mark.parametrize("case", [case for case in CASES if case.off != case.armed], ids=lambda case: case.exchange)
async def test_an_answer_that_says_the_contrary_is_not_taken_for_a_yes(case: Case, recorder: Recorder) -> None:
    """A timer that is off was not held; one that still runs was not released, where the exchange tells that at all."""
    recorder.answer = case.off
    async with client_of(case, recorder) as client:
        with pytest.raises(ValueError, match="timer runs"):
            await ccxt_deadman.hold(client, case.market, window(case))
        recorder.answer = case.armed
        if ccxt_deadman.REQUESTS[case.exchange].tells_off:
            with pytest.raises(ValueError, match="timer stopped"):
                await ccxt_deadman.release(client, case.market)


@EACH
async def test_an_exchange_that_is_out_of_order_has_held_nothing(case: Case, recorder: Recorder) -> None:
    recorder.answer, recorder.status = case.armed, 503
    async with client_of(case, recorder) as client:
        with pytest.raises(Exception, match="503"):
            await ccxt_deadman.hold(client, case.market, window(case))
    assert 1 == len(recorder.came), "nothing is repeated by the library"


async def test_hyperliquids_refusal_is_told_in_its_own_words(recorder: Recorder) -> None:
    """It refuses accounts of little volume with status 200."""
    (case,) = [case for case in CASES if case.exchange == "hyperliquid"]
    recorder.answer = {"status": "err", "response": "Cannot set scheduled cancel time until enough volume traded."}
    async with client_of(case, recorder) as client:
        with pytest.raises(Exception, match="enough volume traded"):
            await ccxt_deadman.hold(client, case.market, window(case))


def test_each_timer_that_a_request_holds_has_its_request_and_each_window_is_one_that_the_exchange_takes() -> None:
    """Two renewals in a row may fail without the timer firing."""
    held = {name: caps.dead_man for name, caps in CAPABILITIES.items() if caps.dead_man.held}
    assert set(held) == {case.exchange for case in CASES} == {*ccxt_deadman.REQUESTS, "hyperliquid"}
    for name, timer in held.items():
        assert timer.least <= timer.window <= timer.most, name
        assert 0 < 3 * timer.renew <= timer.window, name
        assert 0 == timer.window % SECOND, name
        symbol = name in ccxt_deadman.REQUESTS and ccxt_deadman.REQUESTS[name].market is not None
        assert symbol is (timer.reach is Reach.SYMBOL), name


def test_the_runbook_has_every_timer_as_it_is() -> None:
    """Whose orders it cancels and after how long is what a person who was called must know."""
    reach = {
        Reach.NONE: "nothing: it has none",
        Reach.ACCOUNT: "**every order of the account**",
        Reach.SYMBOL: "orders in the symbol",
        Reach.CONNECTION: "not used",
    }
    rows = RUNBOOK.read_text(encoding="utf-8").split("## Dead-man switch")[1].split("\n## ")[0].splitlines()
    for name, caps in CAPABILITIES.items():
        timer = caps.dead_man
        times = f"{timer.window // SECOND} s, {timer.renew // SECOND} s" if timer.held else ""
        (row,) = [row for row in rows if row.startswith(f"| {name} |")]
        assert [name, reach[timer.reach], times, timer.trap] == [cell.strip() for cell in row.split("|")[1:-1]]


def test_what_no_request_holds_says_why() -> None:
    for name in ("bybit", "deribit"):
        timer = CAPABILITIES[name].dead_man
        assert (timer.reach, timer.held) == (Reach.CONNECTION, False)
        assert "WebSocket" in timer.trap


async def test_binance_spot_has_none_and_says_so(desk: Desk) -> None:
    assert Reach.NONE is desk.venue.caps.dead_man.reach
    for call in (desk.venue.hold_dead_man, desk.venue.release_dead_man):
        with pytest.raises(VenueError, match="binance has no timer that a request holds"):
            await call(SYMBOL)


@pytest.mark.parametrize("fault", ["503", "silence", "nonsense"])
async def test_every_fault_of_the_wire_becomes_one_sentence_without_a_secret(
    recorder: Recorder, desk: Desk, fault: str
) -> None:
    recorder.status = 503 if fault == "503" else 200
    recorder.silent = fault == "silence"
    async with client_of(CASES[0], recorder) as client:
        venue = Timed("binance", desk.line.credentials, desk.line.endpoint, None, desk.line.clock)
        venue.timer = client
        await venue.open(SYMBOL)
        venue._wire.timeout_s = 0.3
        for call, words in ((venue.hold_dead_man, "holding"), (venue.release_dead_man, "releasing")):
            with pytest.raises(VenueError, match=f"{words} the dead-man switch") as told_:
                await call(SYMBOL)
            assert KEY.secret not in str(told_.value)
            assert KEY.api_key not in str(told_.value)
        await venue.close()
