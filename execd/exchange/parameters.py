"""What a method may be sent, and the one way of reading it.

Promise: a handler sees only parameters that its method declares, each present if mandatory and of its legal
form; everything else is refused before the handler runs, with the text that Binance gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from execd.core.grid import Nanos
from execd.exchange import errors
from execd.exchange.auth import nanos
from execd.exchange.records import ExchangeRefusal

SECURITY_NAMES = ("timestamp", "recvWindow", "signature", "apiKey")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, the texts that are legal, and how an illegal one is refused."""

    name: str
    legal: str = ".*"
    mandatory: bool = False
    refusal: Callable[[], ExchangeRefusal] | None = None

    @property
    def required(self) -> Parameter:
        """The same parameter, mandatory."""
        return replace(self, mandatory=True)

    def check(self, text: str) -> None:
        """Refuse an empty or illegal text."""
        if not text:
            raise errors.empty(self.name)
        if not re.fullmatch(self.legal, text, re.DOTALL):
            raise self.refusal() if self.refusal is not None else errors.illegal(self.name, f"^{self.legal}$")


def integer(name: str) -> Parameter:
    """A whole number."""
    return Parameter(name, "[0-9]{1,19}")


def decimal(name: str) -> Parameter:
    """An amount without sign or exponent."""
    return Parameter(name, r"([0-9]{1,20})(\.[0-9]{1,20})?")


def choice(name: str, *values: str, refusal: Callable[[], ExchangeRefusal] | None = None) -> Parameter:
    """One word of a list."""
    return Parameter(name, "|".join(values), refusal=refusal or (lambda: errors.invalid_value(name)))


def client_id(name: str) -> Parameter:
    """A client order id of Binance's form."""
    return Parameter(name, r"[a-zA-Z0-9-_]{1,36}")


def boolean(name: str) -> Parameter:
    """`true` or `false`."""
    return Parameter(name, "true|false|TRUE|FALSE")


def text(name: str) -> Parameter:
    """Anything."""
    return Parameter(name)


SYMBOL = Parameter("symbol", "[A-Z0-9-_.]{1,20}")
LIMIT = integer("limit")
TIMES = (integer("startTime"), integer("endTime"))


TIMESTAMP = integer("timestamp").required
RECV_WINDOW = decimal("recvWindow")
SIGNATURE = text("signature").required


class Arguments:
    """The parameters of one call, checked, with a typed way to each; an absent one reads as None."""

    def __init__(self, sent: Mapping[str, str]) -> None:
        self._sent = sent

    def __contains__(self, name: str) -> bool:
        return name in self._sent

    @property
    def all(self) -> Mapping[str, str]:
        """Everything that was sent."""
        return self._sent

    def text(self, name: str) -> str | None:
        """A text as it was sent."""
        return self._sent.get(name)

    def sure(self, name: str) -> str:
        """The text of a parameter that must be there.  Raises ExchangeRefusal -1102."""
        if name not in self._sent:
            raise errors.missing(name)
        return self._sent[name]

    def integer(self, name: str) -> int | None:
        """A whole number."""
        sent = self._sent.get(name)
        return None if sent is None else int(sent)

    def decimal(self, name: str) -> Decimal | None:
        """An exact amount."""
        sent = self._sent.get(name)
        return None if sent is None else Decimal(sent)

    def boolean(self, name: str) -> bool:
        """A flag, False where it is absent."""
        return self._sent.get(name, "false").lower() == "true"

    def moment(self, name: str) -> Nanos | None:
        """A moment in nanoseconds, from milliseconds or microseconds."""
        sent = self.integer(name)
        return None if sent is None else nanos(sent)

    def through(self, name: str) -> Nanos | None:
        """The last nanosecond of a moment: what is told in whole milliseconds is in it to its end."""
        sent = self.integer(name)
        return None if sent is None else Nanos(nanos(sent + 1) - 1)

    def limit(self, default: int, most: int) -> int:
        """How many rows: at least one, never more than the endpoint gives."""
        asked = self.integer("limit")
        if asked == 0:
            raise errors.invalid_value("limit")
        return min(default if asked is None else asked, most)

    def names(self, name: str) -> list[str] | None:
        """A JSON array of texts, as `symbols` is sent.  Raises ExchangeRefusal -1100."""
        sent = self._sent.get(name)
        if sent is None:
            return None
        try:
            names = msgspec.json.decode(sent, type=list[str])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise errors.illegal(name, '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$') from error
        if not names:
            raise errors.empty(name)
        return names


def read(declared: Sequence[Parameter], sent: Mapping[str, str], security: Sequence[str] = ()) -> Arguments:
    """Check what was sent against what is declared.

    Args:
        declared: the method's own parameters.
        sent: all names and texts of the request.
        security: further names that the front end has read itself (timestamp, signature and their like).

    Raises:
        ExchangeRefusal: -1102 for a missing one, -1105 for an empty one, -1100 (or the parameter's own code)
            for an illegal one, -1104 where something was sent that nobody reads.
    """
    for parameter in declared:
        if parameter.name in sent:
            parameter.check(sent[parameter.name])
        elif parameter.mandatory:
            raise errors.missing(parameter.name)
    known = {parameter.name for parameter in declared} | set(security)
    count = sum(name in known for name in sent)
    if count < len(sent):
        raise errors.unread(count, len(sent))
    return Arguments(sent)


@dataclass(frozen=True, slots=True)
class Security:
    """What every signed request carries beside its own parameters."""

    timestamp: int
    recv_window_ms: Decimal | None
    signature: str


def read_timing(sent: Mapping[str, str]) -> tuple[int, Decimal | None]:
    """Timestamp and recvWindow (milliseconds).  Raises ExchangeRefusal where they are absent or no numbers."""
    names = (TIMESTAMP.name, RECV_WINDOW.name)
    timing = read((TIMESTAMP, RECV_WINDOW), {name: sent[name] for name in names if name in sent})
    return int(timing.sure(TIMESTAMP.name)), timing.decimal(RECV_WINDOW.name)


def read_security(sent: Mapping[str, str]) -> Security:
    """Timestamp, recvWindow and signature.  Raises ExchangeRefusal where one is absent or malformed."""
    timestamp, window = read_timing(sent)
    if not sent.get(SIGNATURE.name):
        raise errors.missing(SIGNATURE.name)
    return Security(timestamp, window, sent[SIGNATURE.name])
