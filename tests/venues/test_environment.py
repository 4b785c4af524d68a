"""The addresses that a connection uses are those of the environment that was asked for, or nothing connects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ccxt.async_support as ccxt_async
import pytest

from execd.venues import VenueMismatch
from execd.venues.backoff import Backoff
from execd.venues.capabilities import CAPABILITIES, Capabilities, Sandbox
from execd.venues.ccxt_client import demand_environment, make_client
from execd.venues.ccxt_venue import CcxtVenue
from execd.venues.ccxt_wire import Market
from execd.venues.digits import Grid
from execd.venues.loopback import PRODUCTION
from execd.venues.streams.feeds.binance import BinanceFeed
from tests.venues.helpers import an_instrument, now

BINANCE = CAPABILITIES["binance"]
TESTNETS = [caps for caps in CAPABILITIES.values() if caps.sandbox is Sandbox.TESTNET]


def made(caps: Capabilities, *, sandbox: bool) -> Any:
    """The ccxt of an exchange, connected to nothing yet."""
    return make_client(
        caps,
        None,
        session=None,
        venue_ms=lambda: 0,
        backoff=Backoff(lambda: 0),
        doubt_clock=lambda: None,
        recv_window_ms=3000,
        timeout_s=10,
        sandbox=sandbox,
        limited=False,
    )


@pytest.mark.parametrize("caps", CAPABILITIES.values(), ids=lambda caps: caps.exchange)
def test_every_address_that_ccxt_knows_of_an_exchange_is_one_of_its_own(caps: Capabilities) -> None:
    made(caps, sandbox=False)


@pytest.mark.parametrize("caps", TESTNETS, ids=lambda caps: caps.exchange)
def test_on_a_test_network_every_address_is_the_test_networks(caps: Capabilities) -> None:
    made(caps, sandbox=True)


def test_a_switch_to_the_test_network_that_does_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a rehearsal would trade real money."""
    monkeypatch.setattr(ccxt_async.binance, "set_sandbox_mode", lambda _self, _enabled: None)
    with pytest.raises(VenueMismatch, match=r"api\.binance\.com is no address of its test network; nothing was sent"):
        made(BINANCE, sandbox=True)


@pytest.mark.parametrize(
    ("url", "sandbox"),
    [
        ("https://testnet.binance.vision/api/v3", False),
        ("wss://stream.testnet.binance.vision", False),
        ("https://api.binance.com.example.com/api/v3", False),
        ("https://notbinance.com", False),
        ("/api/v3", False),
        ("https://api.binance.com/api/v3", True),
        ("wss://ws-api.binance.com:443/ws-api/v3", True),
        ("https://testnet.example.com", True),
    ],
)
def test_an_address_of_elsewhere_is_refused(url: str, *, sandbox: bool) -> None:
    with pytest.raises(VenueMismatch, match="nothing was sent"):
        demand_environment(BINANCE, [url], sandbox=sandbox)


@pytest.mark.parametrize("sandbox", [True, False])
def test_streams_of_the_other_environment_are_refused(monkeypatch: pytest.MonkeyPatch, *, sandbox: bool) -> None:
    """Reports of one account beside orders on another would be believed."""
    crossed = replace(
        BINANCE, account_stream=BINANCE.sandbox_account_stream, sandbox_account_stream=BINANCE.account_stream
    )
    monkeypatch.setitem(CAPABILITIES, "binance", crossed)
    with pytest.raises(VenueMismatch):
        CcxtVenue("binance", None, PRODUCTION, None, now, sandbox=sandbox)


@pytest.mark.parametrize("sandbox", [True, False])
def test_public_streams_of_the_other_environment_are_refused(monkeypatch: pytest.MonkeyPatch, *, sandbox: bool) -> None:
    """A test network's prices are no benchmark for real orders."""
    monkeypatch.setattr(BinanceFeed, "streams_at", BinanceFeed.streams_at[::-1])
    venue = CcxtVenue("binance", None, PRODUCTION, None, now, sandbox=sandbox)
    monkeypatch.setattr(venue._wire, "market", lambda _: Market(an_instrument(), Grid(an_instrument()), "BTCUSDT"))
    with pytest.raises(VenueMismatch):
        venue._data.feed("BTC/USDT")
