"""What an exception means: the request did not happen, the order is not known, or nobody can say.

Promise: `REFUSED` is said only for what is on a list of errors by which a venue answers "no", or that stop a request
before it leaves.  Everything else, and all that was never thought of, is `UNKNOWN`: a bare `ExchangeError` comes out of
a cut reply to an order that lives, a 503 with a polite JSON body too.  Importing this imports ccxt.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import aiohttp
from ccxt.base import errors

from execd.venues.credentials import Credentials, scrub


class Outcome(Enum):
    """What became of a request that ended in an exception."""

    REFUSED = "refused"  # It did not happen, and will not.
    NOT_FOUND = "not found"  # The venue does not know the order that we asked about.
    UNKNOWN = "unknown"  # It may have happened.  Ask; never resend.


# The venue read the request and said no, or it never left.  From the fault table of a real ccxt against a hostile
# exchange; subclasses are meant too.  InvalidOrder has two exceptions, see `classify`.
REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (errors.OrderImmediatelyFillable, "crosses"),
    (errors.InsufficientFunds, "funds"),
    (errors.InvalidOrder, "invalid"),
    (errors.BadSymbol, "symbol"),
    (errors.BadRequest, "request"),
    (errors.MarketClosed, "closed"),
    (errors.OperationRejected, "rejected"),
    (errors.AuthenticationError, "auth"),
    (errors.ArgumentsRequired, "request"),
    (errors.NotSupported, "unsupported"),
    (errors.RateLimitExceeded, "throttled"),
    (errors.DDoSProtection, "throttled"),
    (errors.InvalidNonce, "clock"),
)

_NOT_FOUND = (errors.OrderNotFound, errors.OrderNotCached)

# A checksum that does not match is about data, not about a request; it only inherits from a refusal.
_NOT_REFUSALS = (errors.ChecksumError, errors.DuplicateOrderId)


def classify(error: BaseException) -> Outcome:
    """Which of the three an exception is."""
    if _never_left(error):
        return Outcome.REFUSED
    if isinstance(error, _NOT_FOUND):
        return Outcome.NOT_FOUND
    # "Duplicate order sent." comes as InvalidOrder, yet says that an earlier order of this id lives.
    if isinstance(error, _NOT_REFUSALS) or "duplicate" in str(error).lower():
        return Outcome.UNKNOWN
    return Outcome.REFUSED if isinstance(error, tuple(kind for kind, _ in REFUSALS)) else Outcome.UNKNOWN


def answered(error: BaseException) -> bool:
    """Whether the venue itself said no, so that asking again is of no use."""
    # NetworkError holds what is refused only for now, too: a rate limit, a ban, a clock.
    final = classify(error) is not Outcome.UNKNOWN and not isinstance(error, errors.NetworkError)
    return final and not _never_left(error)


def explain(error: BaseException, credentials: Credentials | None) -> str:
    """A short word, a colon, and what the venue said without any secret."""
    if _never_left(error):
        word = "unreachable"
    elif isinstance(error, _NOT_FOUND):
        word = "unknown"
    else:
        word = next((word for kind, word in REFUSALS if isinstance(error, kind)), type(error).__name__)
    return f"{word}: {scrub(str(error), credentials)}" if str(error) else word


def _never_left(error: BaseException) -> bool:
    # The connection itself failed: refused, no route, no such host, a wrong certificate.
    return any(isinstance(cause, aiohttp.ClientConnectorError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__
