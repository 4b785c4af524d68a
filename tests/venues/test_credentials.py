"""The key signs as Binance wants it, and is never shown."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from execd.venues.credentials import TEXT_MAX, Credentials, scrub


def pem(key: object) -> str:
    encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]  # both kinds have it
    return str(encoded.decode())


def test_hmac_signs_as_in_binances_own_example() -> None:
    """The example of binance-spot-api-docs, rest-api.md, "SIGNED endpoint examples"."""
    keys = Credentials(
        "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
        "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
    )
    payload = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    )

    assert keys.sign(payload) == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_ed25519_signs_in_base64() -> None:
    private = Ed25519PrivateKey.generate()
    keys = Credentials("key", pem(private))

    private.public_key().verify(base64.b64decode(keys.sign("a=1")), b"a=1")


def test_a_signed_request_covers_its_parameters_in_alphabetical_order() -> None:
    keys = Credentials("key", "secret")

    signed = keys.signed({"timestamp": 5, "symbol": "X"})

    assert keys.sign("apiKey=key&symbol=X&timestamp=5") == signed["signature"]
    assert signed["apiKey"] == "key"


def test_neither_key_nor_secret_is_in_the_repr() -> None:
    shown = repr(Credentials("visible-key", "visible-secret"))

    assert "visible" not in shown


@pytest.mark.parametrize(("key", "secret"), [("", "s"), ("k", ""), (" ", "s"), ("k", "\n")])
def test_half_a_key_is_none(key: str, secret: str) -> None:
    with pytest.raises(ValueError, match="both"):
        Credentials(key, secret)


@pytest.mark.parametrize(
    "secret", ["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", pem(generate_private_key(65537, 1024))]
)
def test_another_pem_is_refused_without_being_quoted(secret: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read|only Ed25519") as refused:
        Credentials("key", secret)

    assert secret.splitlines()[1] not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_text_loses_query_strings_and_secrets_and_is_one_short_line() -> None:
    keys = Credentials("K" * 64, "S" * 64)
    text = f"GET https://x/y?a=1&signature=dead\nbody signature=beef&b=2 {'K' * 64} {'S' * 64} " + "long " * 100

    clean = scrub(text, keys)

    for secret in ("dead", "beef", "K" * 64, "S" * 64, "a=1"):
        assert secret not in clean
    assert "\n" not in clean
    assert len(clean) <= TEXT_MAX
