"""Keys, signatures and time windows: Binance's own worked examples, and every way in which each can fail."""

from __future__ import annotations

import base64
import json
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from execd.core.grid import Nanos
from execd.exchange.auth import HmacKey, Keyring, check_signature, check_window, ed25519_key, new_hmac_key
from execd.exchange.records import ExchangeRefusal
from execd.exchange.rest import read_sent
from execd.exchange.user_api import read_request, signed_text

# The example account of Binance's documentation ("SIGNED Endpoint Examples for POST /api/v3/order").
KEY = HmacKey(
    "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
)
QUERY = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
BODY = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
IN_ONE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
IN_TWO = "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
SECOND_NS = 1_000_000_000
NOW = Nanos(1_700_000_000 * SECOND_NS)
NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("query", "body"), [(f"{QUERY}&{BODY}&signature={IN_ONE}", ""), ("", f"{QUERY}&{BODY}&signature={IN_ONE}")]
)
def test_the_documented_signature_is_accepted_in_the_query_and_in_the_body(query: str, body: str) -> None:
    check_signature(KEY, read_sent(query, body).payload, IN_ONE)


def test_query_and_body_are_signed_as_one_text_with_nothing_between_them() -> None:
    sent = read_sent(QUERY, f"{BODY}&signature={IN_TWO}")
    check_signature(KEY, sent.payload, IN_TWO)
    assert sent.values["quantity"] == "1"


def test_the_documented_websocket_signature_is_accepted() -> None:
    parameters = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
        "newOrderRespType": "ACK",
        "recvWindow": 100,
        "timestamp": 1645423376532,
        "apiKey": KEY.api_key,
    }
    frame = json.dumps({"id": 1, "method": "order.place", "params": parameters})
    signature = "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"
    check_signature(KEY, signed_text(read_request(frame).sent), signature)


def test_a_json_number_is_signed_as_it_was_written() -> None:
    sent = read_request('{"id": 1, "method": "x", "params": {"b": 0.10, "a": true, "c": ["X"], "d": null}}').sent
    assert signed_text(sent) == b'a=true&b=0.10&c=["X"]'


def test_a_signature_counts_in_either_case() -> None:
    check_signature(KEY, f"{QUERY}&{BODY}".encode(), IN_ONE.upper())


@pytest.mark.parametrize("signature", ["", "0" * 64, IN_ONE[:-1], IN_TWO, "é" * 64])
def test_any_other_signature_is_refused(signature: str) -> None:
    with pytest.raises(ExchangeRefusal) as refused:
        check_signature(KEY, f"{QUERY}&{BODY}".encode(), signature)
    assert (refused.value.code, refused.value.status) == (-1022, 400)


def test_a_changed_byte_spoils_the_signature() -> None:
    with pytest.raises(ExchangeRefusal, match="-1022"):
        check_signature(KEY, f"{QUERY}&{BODY}".replace("quantity=1", "quantity=2").encode(), IN_ONE)


def test_an_ed25519_signature_is_accepted_and_a_foreign_one_is_not() -> None:
    private, foreign = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    key = ed25519_key(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    payload = b"symbol=BTCUSDT&timestamp=1"
    assert key.signed(payload, base64.b64encode(private.sign(payload)).decode())
    assert not key.signed(payload, base64.b64encode(foreign.sign(payload)).decode())
    assert not key.signed(payload + b"0", base64.b64encode(private.sign(payload)).decode())
    assert not key.signed(payload, "no base64 at all")


def test_only_an_ed25519_key_can_be_registered_as_one() -> None:
    pem = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(ValueError, match="Ed25519"):
        ed25519_key(pem)


@pytest.mark.parametrize(
    ("api_key", "code"),
    [(None, -2014), ("", -2014), ("short", -2014), ("k" * 65, -2014), ("-" * 64, -2014), ("k" * 64, -2015)],
)
def test_a_key_of_the_wrong_form_and_an_unknown_key_are_told_apart(api_key: str | None, code: int) -> None:
    with pytest.raises(ExchangeRefusal) as refused:
        Keyring(KEY).find(api_key)
    assert (refused.value.code, refused.value.status) == (code, 401)


def test_a_registered_key_is_found_under_its_exact_name() -> None:
    assert Keyring(KEY, new_hmac_key()).find(KEY.api_key) is KEY
    with pytest.raises(ExchangeRefusal, match="-2015"):
        Keyring(KEY).find(KEY.api_key.swapcase())


@pytest.mark.parametrize(
    ("timestamp", "window"),
    [
        (NOW_MS, None),
        (NOW_MS - 5_000, None),
        (NOW_MS + 999, None),
        (NOW_MS - 60_000, Decimal(60_000)),
        (NOW_MS, Decimal(0)),
        ((NOW_MS - 5_000) * 1_000, None),
        (NOW_MS * 1_000 - 500, Decimal("0.5")),
    ],
)
def test_a_timestamp_inside_its_window_passes(timestamp: int, window: Decimal | None) -> None:
    check_window(NOW, timestamp, window)


@pytest.mark.parametrize(
    ("timestamp", "window", "code", "words"),
    [
        (NOW_MS - 5_001, None, -1021, "outside of the recvWindow"),
        (NOW_MS - 11, Decimal(10), -1021, "outside of the recvWindow"),
        (NOW_MS + 1_000, None, -1021, "1000ms ahead of the server's time"),
        ((NOW_MS + 1_000) * 1_000, None, -1021, "1000ms ahead of the server's time"),
        (NOW_MS * 1_000 - 501, Decimal("0.5"), -1021, "outside of the recvWindow"),
        (NOW_MS, Decimal(60_001), -1131, "recvWindow must be less than 60000"),
        (0, None, -1021, "outside of the recvWindow"),
    ],
)
def test_a_timestamp_outside_its_window_is_refused(
    timestamp: int, window: Decimal | None, code: int, words: str
) -> None:
    with pytest.raises(ExchangeRefusal, match=words) as refused:
        check_window(NOW, timestamp, window)
    assert (refused.value.code, refused.value.status) == (code, 400)


def test_a_secret_is_never_shown() -> None:
    assert KEY.secret not in repr(KEY)
    assert KEY.secret not in repr(Keyring(KEY).__dict__)


def test_a_parameter_given_twice_is_refused_and_the_query_goes_before_the_body() -> None:
    with pytest.raises(ExchangeRefusal, match="-1101"):
        read_sent("symbol=A&symbol=B", "")
    assert read_sent("symbol=A", "symbol=B").values["symbol"] == "A"
