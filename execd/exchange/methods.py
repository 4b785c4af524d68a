"""What a method of the exchange is, and the one way in which any of them is performed.

    rate limit -> parameters -> engine brought up to now -> answer -> happenings told

Promise: REST and the WebSocket API are two spellings of the same methods. Each method is one row of a table
(weight, parameters, whether it must be signed, the function that answers), and `perform` is the only caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from execd.core.grid import Nanos
from execd.exchange.hall import Hall
from execd.exchange.market import SymbolRules
from execd.exchange.parameters import SECURITY_NAMES, Arguments, Parameter, read
from execd.exchange.wire import Json, TimeUnit


@dataclass(frozen=True, slots=True)
class Call:
    """One request, let in: what was asked, when, and how times are to be written."""

    hall: Hall
    now: Nanos
    arguments: Arguments
    unit: TimeUnit

    @property
    def rules(self) -> SymbolRules:
        """The rules of the symbol that was sent.  Raises ExchangeRefusal -1102 or -1121."""
        return self.hall.rules(self.arguments.sure("symbol"))


@dataclass(frozen=True, slots=True)
class Method:
    """One thing that the exchange can be asked.

    Attributes:
        answer: Makes the answer.  May raise ExchangeRefusal.
        weight: What a call costs of the minute's request weight.
        parameters: All that may be sent; None where anything may, as on other products' endpoints.
        signed: Whether key, timestamp and signature are demanded.
        places: Whether a call counts as a new order.
    """

    answer: Callable[[Call], Json]
    weight: int | Callable[[Mapping[str, str]], int]
    parameters: tuple[Parameter, ...] | None = ()
    signed: bool = False
    places: bool = False

    def cost(self, sent: Mapping[str, str]) -> int:
        """The weight of a call with these parameters."""
        return self.weight if isinstance(self.weight, int) else self.weight(sent)


def perform(
    hall: Hall, method: Method, sent: Mapping[str, str], unit: TimeUnit, also_read: tuple[str, ...] = ()
) -> Json:
    """Answer a request that has been let in and paid for.

    Args:
        hall: the exchange.
        method: what is asked.
        sent: all parameters as text, those of security included.
        unit: how times are written in the answer.
        also_read: names that the front end reads itself, beside those of security.

    Raises:
        ExchangeRefusal: what Binance would refuse, with its code.
    """
    security = (*SECURITY_NAMES, *also_read) if method.signed else also_read
    arguments = Arguments(sent) if method.parameters is None else read(method.parameters, sent, security)
    now = hall.catch_up()
    if method.places:
        hall.limits.count_order(now)
    try:
        return method.answer(Call(hall, now, arguments, unit))
    finally:
        hall.tell()
