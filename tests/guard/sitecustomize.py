"""Nothing leaves this machine: every connection or name look-up that is not loopback's raises.

Promise: an audit hook, which no library can get round by an alias or a C call of the socket module. Python
imports a module of this name at start-up, so processes that tests start are guarded too (tests/conftest.py
puts this folder on their PYTHONPATH).
"""

from __future__ import annotations

import ipaddress
import sys
from types import ModuleType

REFUSED: list[str] = []
_HOST_AT = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}


class OutsideWorld(RuntimeError):
    """Something wanted to reach a host that is not this one. No OSError: nobody may take it for bad luck."""


def is_loopback(host: object) -> bool:
    """Whether a host is this machine: a loopback address, localhost, none at all, or a Unix socket's path."""
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode(errors="replace")
    if host is None or not isinstance(host, str) or host in {"", "localhost"} or host.startswith(("/", "\0")):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def guard(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse an audit event that reaches out."""
    place = _HOST_AT.get(event)
    if place is None:
        return
    target = arguments[place]
    host = target[0] if isinstance(target, tuple) and target else target
    if not is_loopback(host):
        REFUSED.append(f"{event} {target}")
        raise OutsideWorld(f"{event} {target}: tests reach nothing but this machine")


def install() -> None:
    """Guard this process from now on; once is enough."""
    if not getattr(sys, "_execd_guarded", False):
        sys._execd_guarded = True  # type: ignore[attr-defined]  # the hook cannot be asked for, nor removed
        sys.addaudithook(guard)


def _join(first: ModuleType | None) -> None:
    """Be one with the copy that Python itself imported in a process that a test, or pytest-xdist, started."""
    if first is not None and first.__name__ != __name__ and hasattr(first, "OutsideWorld"):
        globals().update(REFUSED=first.REFUSED, OutsideWorld=first.OutsideWorld)


install()
_join(sys.modules.get("sitecustomize"))
