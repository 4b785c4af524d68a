"""The API key: used to sign, never shown.

Promise: the secret appears in no `repr`, and `scrub` takes it, the key and every signed query string out of a text
before that text leaves an adapter: ccxt writes whole URLs with their signature into its exceptions.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

TEXT_MAX = 200
"""Characters of an error's text that are kept."""

_QUERY = re.compile(r"\?[^\s\"']*")
_SIGNED = re.compile(r"(?i)\b(signature|apikey|secret|passphrase|password)=[^\s&\"']+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key and its secret: a text for HMAC-SHA256, or a private Ed25519 key in PEM.

    Raises ValueError (without the secret in it) where a part is missing or the PEM is no Ed25519 key.
    """

    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    _private: Ed25519PrivateKey | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if not self.api_key.strip() or not self.secret.strip():
            raise ValueError("credentials need both an API key and a secret")
        if "PRIVATE KEY" in self.secret:
            object.__setattr__(self, "_private", _ed25519(self.secret))

    def sign(self, payload: str) -> str:
        """Sign a request: hexadecimal HMAC-SHA256, or Ed25519 in base64."""
        if self._private is not None:
            return base64.b64encode(self._private.sign(payload.encode())).decode()
        return hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    def signed(self, params: Mapping[str, str | int]) -> dict[str, str | int]:
        """Parameters of a Binance WebSocket API request with their signature (over `k=v`, keys in order)."""
        full: dict[str, str | int] = {**params, "apiKey": self.api_key}
        payload = "&".join(f"{name}={full[name]}" for name in sorted(full))
        return {**full, "signature": self.sign(payload)}


def _ed25519(pem: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem.strip().encode(), password=None)
    except (ValueError, TypeError):
        # Neither the text of the cause nor its traceback may be shown: it is about the key.
        raise ValueError("the secret looks like a PEM private key but cannot be read as one") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("the secret is a PEM private key of another kind; only Ed25519 is supported")
    return key


def scrub(text: str, credentials: Credentials | None) -> str:
    """One line of at most `TEXT_MAX` characters without query strings, signatures, key or secret."""
    if credentials is not None:
        for word in (credentials.secret, credentials.secret.strip(), credentials.api_key):
            text = text.replace(word, "***")
    text = _SIGNED.sub(r"\1=***", _QUERY.sub("?***", text))
    # What is not printable could tell a terminal what to do.
    text = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(text.split())[:TEXT_MAX]
