"""On loopback the exchange's names lead to this machine, and no other name leads anywhere."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from execd.exchange.certificates import make_identity
from execd.venues.capabilities import CAPABILITIES, Sandbox
from execd.venues.digits import Grid
from execd.venues.loopback import PRODUCTION, Endpoint
from execd.venues.streams.feeds import FEEDS
from tests.venues.helpers import an_instrument
from tests.venues.hostile import Hostile

HOSTS = CAPABILITIES["binance"].hosts


async def test_a_production_url_reaches_the_practice_exchange_with_certificates_checked(line: Hostile) -> None:
    session = line.endpoint.session(HOSTS)
    assert session is not None
    async with session, session.get("https://api.binance.com/api/v3/ping") as answer:
        assert 200 == answer.status


async def test_another_authority_is_not_believed(line: Hostile, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = make_identity(tmp_path / "other")
    session = Endpoint(line.endpoint.port, stranger.authority).session(HOSTS)
    assert session is not None
    async with session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get("https://api.binance.com/api/v3/ping")


@pytest.mark.parametrize("host", ["example.com", "binance.com.example.com", "notbinance.com", "api.kraken.com"])
async def test_any_other_host_is_refused_before_anything_is_sent(line: Hostile, host: str) -> None:
    session = line.endpoint.session(HOSTS)
    assert session is not None
    async with session:
        with pytest.raises(aiohttp.ClientConnectorError, match="not a host of the exchange"):
            await session.get(f"https://{host}/")
    with pytest.raises(OSError, match="not a host of the exchange"):
        line.endpoint.websocket(f"wss://{host}/ws", HOSTS)
    assert [] == line.requests


def test_production_maps_nothing() -> None:
    assert PRODUCTION.session(HOSTS) is None
    assert {} == PRODUCTION.websocket("wss://stream.binance.com:9443", HOSTS)


@pytest.mark.parametrize(("port", "authority"), [(1, None), (None, Path("ca.pem"))])
def test_half_a_loopback_endpoint_is_none(port: int | None, authority: Path | None) -> None:
    with pytest.raises(ValueError, match="both"):
        Endpoint(port, authority)


def test_each_exchange_in_the_table_is_known_to_ccxt_and_its_streams_are_on_its_own_hosts(tmp_path: Path) -> None:
    import ccxt

    loopback = Endpoint(1, make_identity(tmp_path).authority)
    for caps in CAPABILITIES.values():
        assert caps.exchange in ccxt.exchanges
        for url in (caps.account_stream, caps.sandbox_account_stream):
            if url is not None:
                loopback.websocket(url, caps.hosts)
        if caps.exchange in FEEDS:
            for sandbox in (False, True):
                feed = FEEDS[caps.exchange]("BTCUSDT", Grid(an_instrument()), sandbox=sandbox)
                loopback.websocket(feed.url, (*caps.hosts, *caps.test_hosts))
        if caps.proven:
            assert caps.create_id
            assert caps.query_id
            assert caps.cancel_id
            assert caps.sandbox_account_stream is None or caps.sandbox is Sandbox.TESTNET
