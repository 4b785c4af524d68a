"""The guard itself: what it lets through, what it refuses, and that child processes are guarded as well."""

from __future__ import annotations

import socket
import subprocess
import sys

import aiohttp
import pytest

from tests.guard import sitecustomize as guard

OUTSIDE = "192.0.2.1"  # TEST-NET-1: belongs to nobody


@pytest.fixture(autouse=True)
def _expected() -> object:
    """Refusals are what these tests are about."""
    yield
    guard.REFUSED.clear()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "", None, b"127.0.0.1", "/tmp/socket"])
def test_this_machine_may_be_reached(host: object) -> None:
    assert guard.is_loopback(host)


@pytest.mark.parametrize("host", ["api.binance.com", OUTSIDE, "0.0.0.0", "8.8.8.8", "2001:db8::1", b"example.com"])
def test_no_other_may(host: object) -> None:
    assert not guard.is_loopback(host)


def test_connecting_sending_and_resolving_raise() -> None:
    with socket.socket() as tcp, pytest.raises(guard.OutsideWorld):
        tcp.connect((OUTSIDE, 443))
    with socket.socket() as tcp, pytest.raises(guard.OutsideWorld):
        tcp.connect_ex((OUTSIDE, 443))
    with socket.socket(type=socket.SOCK_DGRAM) as udp, pytest.raises(guard.OutsideWorld):
        udp.sendto(b"x", (OUTSIDE, 53))
    for resolve in (socket.gethostbyname, lambda name: socket.getaddrinfo(name, 443)):
        with pytest.raises(guard.OutsideWorld):
            resolve("api.binance.com")
    assert len(guard.REFUSED) == 5


async def test_a_client_library_cannot_take_it_for_bad_luck() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(guard.OutsideWorld):
            await session.get(f"http://{OUTSIDE}/")


def test_a_process_that_a_test_starts_is_guarded_too() -> None:
    code = "import socket; socket.create_connection(('api.binance.com', 443))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "OutsideWorld" in done.stderr
