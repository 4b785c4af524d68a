"""Who is asking, and is the request really theirs and still fresh?

Promise: a signed request is let through only if its key is registered, its signature covers exactly the
bytes that were sent, and its timestamp lies within its own window around the exchange's clock. Rules and
words follow Binance's "Endpoint security type" and "Timing security" pages. No secret is ever shown:
keys have no readable `repr`, and no refusal quotes a signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from execd.core.grid import Nanos
from execd.exchange import errors

API_KEY_FORM = re.compile(r"[A-Za-z0-9]{64}\Z")
_ALPHABET = string.ascii_letters + string.digits

DEFAULT_RECV_WINDOW_MS = Decimal(5_000)
MAX_RECV_WINDOW_MS = Decimal(60_000)
MAX_AHEAD = Nanos(1_000_000_000)
_NANOS_PER_MS = 1_000_000
_LEAST_MICROSECONDS = 10**14  # the year 5138 in milliseconds, March 1973 in microseconds


class Key(Protocol):
    """A registered API key: it can tell whether a signature is its own."""

    @property
    def api_key(self) -> str:
        """What the client sends in X-MBX-APIKEY."""

    def signed(self, payload: bytes, signature: str) -> bool:
        """Whether the signature was made with this key over exactly these bytes."""


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A shared secret; signatures are hexadecimal HMAC-SHA256 in either case."""

    api_key: str
    secret: str = field(repr=False)

    def signed(self, payload: bytes, signature: str) -> bool:
        """Whether the signature was made with this key over exactly these bytes."""
        expected = hmac.new(self.secret.encode(), payload, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.lower().encode())


@dataclass(frozen=True, slots=True)
class Ed25519Key:
    """A public key that the client registered; signatures are base64 of 64 bytes."""

    api_key: str
    public: Ed25519PublicKey = field(repr=False)

    def signed(self, payload: bytes, signature: str) -> bool:
        """Whether the signature was made with this key over exactly these bytes."""
        try:
            self.public.verify(base64.b64decode(signature, validate=True), payload)
        except (binascii.Error, ValueError, InvalidSignature):
            return False
        return True


def new_hmac_key() -> HmacKey:
    """A fresh random key of Binance's shape: 64 letters and digits each."""
    return HmacKey(_random_name(), _random_name())


def ed25519_key(public_pem: bytes) -> Ed25519Key:
    """Register a public key given as PEM under a fresh API key.  Raises ValueError where it is no Ed25519 key."""
    public = load_pem_public_key(public_pem)
    if not isinstance(public, Ed25519PublicKey):
        raise ValueError(f"an Ed25519 public key is needed, not {type(public).__name__}")
    return Ed25519Key(_random_name(), public)


def _random_name() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(64))


class Keyring:
    """All keys of the one account."""

    def __init__(self, *keys: Key) -> None:
        self._keys: dict[str, Key] = {key.api_key: key for key in keys}

    def add(self, key: Key) -> None:
        """Register one more key."""
        self._keys[key.api_key] = key

    def find(self, api_key: str | None) -> Key:
        """The registered key of this name.  Raises ExchangeRefusal -2014 or -2015."""
        if api_key is None or not API_KEY_FORM.match(api_key):
            raise errors.bad_api_key_format()
        key = self._keys.get(api_key)
        if key is None:
            raise errors.rejected_api_key()
        return key


def check_signature(key: Key, payload: bytes, signature: str) -> None:
    """Let only the key's own signature over these bytes pass.  Raises ExchangeRefusal -1022."""
    if not key.signed(payload, signature):
        raise errors.bad_signature()


def check_window(now: Nanos, timestamp: int, recv_window_ms: Decimal | None) -> None:
    """Let only a fresh request pass: timestamp < now + 1 s, and now - timestamp <= the window.

    Args:
        now: the exchange's clock.
        timestamp: what the client sent, in milliseconds or, as Binance allows, in microseconds.
        recv_window_ms: what the client sent, None for the default of 5,000 ms.

    Raises:
        ExchangeRefusal: -1131 for a window over 60,000 ms, -1021 for a request out of it.
    """
    window = DEFAULT_RECV_WINDOW_MS if recv_window_ms is None else recv_window_ms
    if window > MAX_RECV_WINDOW_MS:
        raise errors.recv_window_too_long()
    sent = nanos(timestamp)
    # The exchange compares whole milliseconds; a request of this same millisecond is not late.
    if sent >= now + MAX_AHEAD:
        raise errors.timestamp_ahead()
    if now // _NANOS_PER_MS * _NANOS_PER_MS - sent > window * _NANOS_PER_MS:
        raise errors.timestamp_outside_window()


def nanos(timestamp: int) -> Nanos:
    """A client's timestamp in nanoseconds: sixteen digits are microseconds, thirteen milliseconds."""
    return Nanos(timestamp * (1_000 if timestamp >= _LEAST_MICROSECONDS else _NANOS_PER_MS))
