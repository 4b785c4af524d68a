"""What must agree before real orders are sent: flag, mode, key, address, clock.

The exchange is the practice exchange behind Binance's own host names, real and test: the same code, the same ccxt, the
same interlocks as for real money, with nothing at stake.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from execd.exchange.hall import KeyRights
from execd.exchange.options import ExchangeOptions
from execd.exchange.server import PracticeExchange
from execd.runtime import checking, launch
from execd.runtime.checking import Checked
from execd.runtime.launch import InterlockError, Job
from execd.runtime.settings import Mode, OrderFile, RiskFile, Settings, load
from execd.runtime.settings_load import SettingsError
from execd.runtime.settings_secrets import Secrets
from execd.venues import VenueUnanswered
from execd.venues.loopback import Endpoint
from tests.runtime.process import GUARD_S, ROOT, Exchange, report_of, write_order

INTERLOCK = 4
SECRETS = {"api_key": "k" * 64, "api_secret": "s" * 64}


def lay(folder: Path, **files: str) -> Path:
    """A folder of keys, readable by us alone."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return folder


def a_job(folder: Path, mode: Mode, keys: Path, ready: Path | None = None) -> Job:
    """An order at a price that the synthetic market is near; rehearsals need an exchange's ready line."""
    path = write_order(folder)
    path.write_text(f"{path.read_text()}limit_price: 66000\n")
    settings = Settings(mode=mode, keys_dir=keys, state_dir=folder / "state")
    risk, order = load(ROOT / "config/risk.yaml", RiskFile), load(path, OrderFile)
    return Job(settings, risk, order, live=mode is Mode.LIVE, exchange=ready)


Checks = Callable[..., Awaitable[Checked]]


@pytest.fixture
async def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Checks]:
    """`execd check`, for a mode, against an exchange whose key is said to have some rights."""
    async with AsyncExitStack() as stack:

        async def checked(
            mode: Mode = Mode.LIVE, word: str | None = "live", rights: KeyRights = KeyRights.TRADE, faults: str = ""
        ) -> Checked:
            rules = tmp_path / "faults.yaml"
            rules.write_text(f"seed: 1\nrules: [{faults}]\n")
            options = ExchangeOptions(tls=True, rights=rights, faults=rules if faults else None)
            exchange = await stack.enter_async_context(PracticeExchange(options))
            ends = exchange.endpoints
            monkeypatch.setattr(launch, "PRODUCTION", Endpoint(ends.port, ends.ca))
            said = {} if word is None else {"api_mode": word}
            keys = lay(tmp_path / "keys", api_key=ends.key.api_key, api_secret=ends.key.secret, **said)
            ready = tmp_path / "exchange.json"
            ready.write_text(json.dumps(ends.described()))
            real = mode in (Mode.LIVE, Mode.TESTNET)
            return await checking.check(a_job(tmp_path, mode, keys, None if real else ready))

        yield checked


async def test_a_key_that_only_trades_from_a_listed_address_is_let_through(check: Checks) -> None:
    assert (await check()).warnings == ()


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        (KeyRights.WITHDRAW, "it may move funds: switch off enableWithdrawals"),
        (KeyRights.TRANSFER, "it may move funds: switch off enableInternalTransfer, permitsUniversalTransfer"),
        (KeyRights.NO_IP, r"it works from any address: restrict it to this machine's \(ipRestrict\)"),
        (KeyRights.READ, "it may not trade: switch on enableSpotAndMarginTrading"),
    ],
)
async def test_a_key_of_other_rights_is_refused_and_told_what_to_switch(
    check: Checks, rights: KeyRights, words: str
) -> None:
    with pytest.raises(InterlockError, match=f"must not be used for real money: {words}$"):
        await check(rights=rights)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("{fault: answer, on: GET /sapi/v1/account/apiRestrictions, code: -2015}", InterlockError),
        ("{fault: page, on: GET /sapi/v1/account/apiRestrictions, status: 200}", InterlockError),
        ("{fault: drop, on: GET /sapi/v1/account/apiRestrictions}", VenueUnanswered),
    ],
    ids=["refused", "nonsense", "no answer"],
)
async def test_a_key_of_which_nothing_is_known_is_refused(check: Checks, answer: str, error: type[Exception]) -> None:
    """No answer is the exchange's trouble, and another start may get one; the others are for a person."""
    with pytest.raises(error):
        await check(faults=answer)


async def test_on_the_test_network_it_is_said_that_the_key_was_not_checked(check: Checks) -> None:
    """Even a bad key passes there: the test network does not tell."""
    found = await check(Mode.TESTNET, "testnet", KeyRights.WITHDRAW)

    assert found.warnings == (launch.NOT_CHECKED,)


@pytest.mark.parametrize(
    ("mode", "word", "words"),
    [
        (Mode.LIVE, "testnet", r"is for testnet \(.*api_mode\), but mode is live"),
        (Mode.TESTNET, "live", r"is for live \(.*api_mode\), but mode is testnet"),
        (Mode.LIVE, None, "put the word live into .*api_mode"),
    ],
)
async def test_a_key_of_the_other_environment_is_refused_before_anything_connects(
    tmp_path: Path, mode: Mode, word: str | None, words: str
) -> None:
    """Nothing listens: whoever connected would fail otherwise."""
    keys = lay(tmp_path / "keys", **SECRETS, **({} if word is None else {"api_mode": word}))
    with pytest.raises(InterlockError, match=words):
        await checking.check(a_job(tmp_path, mode, keys))


async def test_a_key_that_does_not_say_what_it_is_for_may_be_used_on_the_test_network(check: Checks) -> None:
    assert (await check(Mode.TESTNET, None)).warnings == (launch.NOT_CHECKED,)


SKEW = "{{fault: skew, on: GET /api/v3/time, ms: {}}}"


@pytest.mark.parametrize(("mode", "word"), [(Mode.LIVE, "live"), (Mode.TESTNET, "testnet")])
@pytest.mark.parametrize(("ms", "side"), [(2000, "behind"), (-2000, "ahead of")])
async def test_clocks_that_are_too_far_apart_refuse_real_orders(
    check: Checks, mode: Mode, word: str, ms: int, side: str
) -> None:
    with pytest.raises(InterlockError, match=rf"clock is \d\.\d+ s {side} the exchange's; allowed: 750ms .*clock_skew"):
        await check(mode, word, faults=SKEW.format(ms))


async def test_a_clock_that_is_off_by_less_than_the_limit_is_told(check: Checks) -> None:
    (warning,) = (await check(faults=SKEW.format(500))).warnings

    assert "behind the exchange's; execd goes by the exchange's" in warning


@pytest.mark.parametrize("mode", [Mode.PRACTICE, Mode.PAPER])
async def test_a_rehearsal_is_only_told_of_its_clock(check: Checks, mode: Mode) -> None:
    """Nothing is at stake, and execd goes by the exchange's clock anyway."""
    (warning,) = (await check(mode, faults=SKEW.format(-2000))).warnings

    assert "ahead of the exchange's; execd goes by the exchange's" in warning


@pytest.mark.parametrize("place", ["file", "variable"])
def test_a_word_that_is_no_environment_is_refused_and_not_shown(tmp_path: Path, place: str) -> None:
    """It may be a secret that lies in the wrong place."""
    keys = lay(tmp_path / "keys", **SECRETS, api_mode="canary") if place == "file" else None
    environment = {"EXECD_API_KEY": "k", "EXECD_API_SECRET": "s", "EXECD_API_MODE": "canary"}
    with pytest.raises(SettingsError, match=r"api_mode|EXECD_API_MODE.*allowed: live or testnet") as told:
        Secrets.load(keys, environment)
    assert "canary" not in str(told.value)


def test_what_a_key_is_for_is_read_beside_the_key(tmp_path: Path) -> None:
    """A word in the environment says nothing of a key in a file."""
    environment = {"EXECD_API_KEY": "k", "EXECD_API_SECRET": "s", "EXECD_API_MODE": "live"}
    of_environment = Secrets.load(None, environment)
    of_folder = Secrets.load(lay(tmp_path / "keys", **SECRETS), environment)

    assert of_environment is not None
    assert of_folder is not None
    assert (of_environment.mode, of_environment.mode_at) == ("live", "EXECD_API_MODE")
    assert (of_folder.mode, of_folder.mode_at) == (None, str(tmp_path / "keys" / "api_mode"))


# ------------------------------------------------------------------------------------------------- the real command


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """An exchange that says of its key that it may withdraw."""
    exchange = Exchange(tmp_path_factory.mktemp("bad"), "--seed", "21", "--key-permissions", "withdraw")
    yield exchange
    exchange.stop()


def run(exchange: Exchange, folder: Path, mode: str, *arguments: str) -> tuple[int, str, str]:
    """`execd run` of a short order with the exchange's own key; exit code, standard output, standard error."""
    key = exchange.described["key"]
    keys = lay(folder / "keys", api_key=key["apiKey"], api_secret=key["secret"], api_mode=mode)
    order = write_order(folder)
    order.write_text(f"{order.read_text()}limit_price: 66000\n")
    config = folder / "execd.yaml"
    config.write_text(f"mode: {mode}\nkeys_dir: {keys}\nmetrics: {{port: 0}}\n")
    command = [sys.executable, "-m", "tests.runtime.hosts", str(exchange.ready), "run", "-o", str(order)]
    done = subprocess.run(
        [*command, "--config", str(config), "--state-dir", str(folder / "state"), "--json", *arguments],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short path: a socket lies in it."""
    return tmp_path_factory.mktemp("s")


def test_a_live_order_is_refused_on_a_key_that_may_withdraw(bad: Exchange, folder: Path) -> None:
    """Exit code 4 and one sentence; no journal is left, so nothing can have been sent."""
    code, output, said = run(bad, folder, "live", "--live")

    assert (code, output) == (INTERLOCK, "")
    assert said.splitlines()[-1] == (
        "execd: the exchange key must not be used for real money: it may move funds: switch off enableWithdrawals"
    )
    assert "Traceback" not in said
    assert not list((folder / "state").rglob("*.journal"))


def test_an_order_on_the_test_network_is_worked_to_its_end(bad: Exchange, folder: Path) -> None:
    """Through ccxt's own test URLs, REST and both streams; that the key was not checked is said."""
    code, output, said = run(bad, folder, "testnet")

    assert code == 0, said
    report = report_of(output)
    assert (report["mode"], report["filled"], report["reconciled"]) == ("testnet", 0.2, True)
    assert launch.NOT_CHECKED in said


def test_a_live_order_with_everything_in_agreement_is_worked_to_its_end(folder: Path) -> None:
    """The interlocks let through what they should: flag, mode, key, addresses, clock and limit price agree."""
    exchange = Exchange(folder, "--seed", "22")
    try:
        code, output, said = run(exchange, folder, "live", "--live")
    finally:
        exchange.stop()

    assert code == 0, said
    report = report_of(output)
    assert (report["mode"], report["filled"], report["reconciled"]) == ("live", 0.2, True)
    assert json.dumps(exchange.described["key"]["secret"]) not in output + said


def test_the_exchange_refuses_rights_that_it_does_not_know() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "execd", "exchange", "--key-permissions", "all"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert done.stderr == ("execd: key-permissions all: must be one of trade, withdraw, transfer, no-ip, read\n")
