"""Every exception becomes one of three facts; only what is on the list is a refusal."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import aiohttp
import pytest
from ccxt.base import errors

from execd.venues import outcomes
from execd.venues.credentials import Credentials
from execd.venues.outcomes import Outcome, classify, explain

REFUSED = [
    errors.InsufficientFunds("balance"),
    errors.InvalidOrder("Filter failure: LOT_SIZE"),
    errors.OrderImmediatelyFillable("Order would immediately match and take."),
    errors.OrderNotFillable("no"),
    errors.ContractUnavailable("no"),
    errors.BadRequest("-1102"),
    errors.BadSymbol("XYZ"),
    errors.OperationRejected("no"),
    errors.MarketClosed("closed"),
    errors.ManualInteractionNeeded("no"),
    errors.RestrictedLocation("no"),
    errors.NoChange("no"),
    errors.MarginModeAlreadySet("no"),
    errors.AuthenticationError("key"),
    errors.PermissionDenied("key"),
    errors.AccountNotEnabled("key"),
    errors.AccountSuspended("key"),
    errors.ArgumentsRequired("symbol"),
    errors.NotSupported("no"),
    errors.RateLimitExceeded("-1015"),
    errors.DDoSProtection("418"),
    errors.InvalidNonce("-1021"),
]

UNKNOWN: list[BaseException] = [
    errors.ExchangeError("POST https://api.binance.com/api/v3/order"),  # a cut body
    errors.RequestTimeout("-1007"),
    errors.ExchangeNotAvailable("503"),
    errors.OnMaintenance("later"),
    errors.OperationFailed("-1000, -1001, -1006"),
    errors.NetworkError("closed"),
    errors.BadResponse("html"),
    errors.NullResponse("empty"),
    errors.CancelPending("wait"),
    errors.ChecksumError("a broken book"),
    errors.DuplicateOrderId("it lives"),
    errors.InvalidOrder("binance Duplicate order sent."),
    errors.ExchangeClosedByUser("closed"),
    errors.InvalidAddress("no business of an order"),
    errors.AddressPending("no business of an order"),
    errors.InvalidProxySettings("never sent, but who knows"),
    errors.UnsubscribeError("no business of an order"),
    TimeoutError(),
    asyncio.CancelledError(),
    ConnectionResetError(),
    TypeError("'str' object is not subscriptable"),
    KeyError("orderId"),
    ValueError("the reply has no status"),
]

NOT_FOUND = [errors.OrderNotFound("-2011"), errors.OrderNotFound("-2013"), errors.OrderNotCached("no")]


@pytest.mark.parametrize("error", REFUSED, ids=lambda error: type(error).__name__)
def test_a_venues_no_is_a_refusal(error: BaseException) -> None:
    assert Outcome.REFUSED is classify(error)


@pytest.mark.parametrize("error", UNKNOWN, ids=lambda error: f"{type(error).__name__}-{error}"[:40])
def test_all_else_is_unknown(error: BaseException) -> None:
    assert Outcome.UNKNOWN is classify(error)


@pytest.mark.parametrize("error", NOT_FOUND, ids=str)
def test_an_order_that_is_not_found_is_neither(error: BaseException) -> None:
    assert Outcome.NOT_FOUND is classify(error)
    assert explain(error, None).startswith("unknown: ")


def test_no_exception_class_of_ccxt_is_forgotten() -> None:
    """A class that a later ccxt adds must be thought about, not fall where it falls."""
    thought_of = {type(error) for error in (*REFUSED, *UNKNOWN, *NOT_FOUND)}
    named = {getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)}

    assert {errors.BaseError} == named - thought_of


def test_a_connection_that_never_came_about_is_a_refusal_whatever_ccxt_calls_it() -> None:
    key = SimpleNamespace(host="api.binance.com", port=443, is_ssl=True, ssl=True)
    error = errors.ExchangeNotAvailable("binance POST")
    error.__cause__ = aiohttp.ClientConnectorError(key, OSError(111, "refused"))  # type: ignore[arg-type]  # a stand-in

    assert Outcome.REFUSED is classify(error)
    assert explain(error, None).startswith("unreachable: ")


def test_a_connection_that_broke_later_is_unknown() -> None:
    error = errors.ExchangeNotAvailable("binance POST")
    error.__cause__ = aiohttp.ServerDisconnectedError()

    assert Outcome.UNKNOWN is classify(error)


def test_a_circle_of_causes_ends() -> None:
    one, two = errors.NetworkError("1"), errors.NetworkError("2")
    one.__cause__, two.__cause__ = two, one

    assert Outcome.UNKNOWN is classify(one)


def test_a_reason_begins_with_a_short_word_and_holds_no_secret() -> None:
    keys = Credentials("k" * 64, "s" * 64)
    text = f"binance GET https://api.binance.com/api/v3/order?symbol=X&signature=abc apiKey={'k' * 64} {'s' * 64}"

    said = explain(errors.InsufficientFunds(text), keys)

    assert said.startswith("funds: ")
    for secret in ("abc", "k" * 64, "s" * 64, "symbol=X"):
        assert secret not in said


@pytest.mark.parametrize(("kind", "word"), outcomes.REFUSALS)
def test_each_refusal_has_its_word(kind: type[Exception], word: str) -> None:
    assert word == explain(kind("said"), None).split(":")[0]
