"""How each exchange's dead-man switch is held and released through ccxt.

Promise: it is called held, or released, only where the answer says so: a 200 with anything else in it is no answer.
The raw endpoints are used, not ccxt's unified call: that one loads every market first, lacks three of these exchanges,
and on Hyperliquid approves a fee to a stranger and cannot release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from execd.core.grid import SECOND, Nanos

MILLISECOND = Nanos(1_000_000)


@dataclass(frozen=True, slots=True)
class Request:
    """One exchange's request.

    `timeout` is the parameter that takes the window, in `unit`s, and `off` the value that disarms; `market` is the
    parameter that takes the market's id, where there is one.  `fires` leads to the field of the answer that is 0 when
    nothing is armed; `tells_off`: the answer to a release has it.
    """

    method: str
    timeout: str
    off: int
    fires: tuple[str | int, ...]
    market: str | None = None
    unit: Nanos = SECOND
    tells_off: bool = True


REQUESTS: Mapping[str, Request] = {
    "kraken": Request("private_post_cancelallordersafter", "timeout", 0, ("result", "triggerTime")),
    "okx": Request("private_post_trade_cancel_all_after", "timeOut", 0, ("data", 0, "triggerTime")),
    "gate": Request("private_spot_post_countdown_cancel_all", "timeout", 0, ("triggerTime",), "currency_pair"),
    # What the answer to -1 holds is documented nowhere.
    "kucoin": Request(
        "private_post_hf_orders_dead_cancel_all", "timeout", -1, ("data", "triggerTime"), "symbols", tells_off=False
    ),
    "binanceusdm": Request(
        "fapiprivate_post_countdowncancelall", "countdownTime", 0, ("countdownTime",), "symbol", MILLISECOND
    ),
}


async def hold(client: Any, market_id: str, window: Nanos) -> None:
    """Start the timer anew.

    Raises:
        ValueError: the answer does not say that it runs.
        Exception: whatever ccxt raises.
    """
    if client.id == "hyperliquid":
        await _schedule(client, {"type": "scheduleCancel", "time": client.nonce() + window // MILLISECOND})
        return
    request = REQUESTS[client.id]
    if not _fires(await _send(client, request, market_id, window // request.unit), request):
        raise ValueError("the answer does not say that the timer runs")


async def release(client: Any, market_id: str) -> None:
    """Stop the timer.

    Raises:
        ValueError: the answer does not say that it stopped.
        Exception: whatever ccxt raises.
    """
    if client.id == "hyperliquid":
        # Without a time: 0, or the present moment as ccxt would send it, is refused.
        await _schedule(client, {"type": "scheduleCancel"})
        return
    request = REQUESTS[client.id]
    answer = await _send(client, request, market_id, request.off)
    if request.tells_off and _fires(answer, request) is not False:
        raise ValueError("the answer does not say that the timer stopped")


async def _send(client: Any, request: Request, market_id: str, value: int) -> object:
    parameters: dict[str, Any] = {request.timeout: value}
    if request.market is not None:
        parameters[request.market] = market_id
    answer: object = await getattr(client, request.method)(parameters)
    return answer


def _fires(answer: object, request: Request) -> bool | None:
    """Whether the answer says that the timer runs; None where it says nothing."""
    found: Any = answer
    for step in request.fires:
        try:
            found = found[step]
        except (LookupError, TypeError):
            return None
    return None if found is None else str(found) not in ("0", "")


async def _schedule(client: Any, action: Mapping[str, Any]) -> None:
    nonce = client.incrementing_nonce()
    signature = client.sign_l1_action(action, nonce)
    answer = await client.private_post_exchange({"action": action, "nonce": nonce, "signature": signature})
    if not isinstance(answer, Mapping) or answer.get("status") != "ok":
        raise ValueError("the answer does not say that it was done")
