"""What an exchange may be told to do wrong: the rules of a faults file (read by `faults_file`).

    seed: 7
    rules:
      - {fault: answer, on: POST /api/v3/order, code: -1007, taken: true, chance: 0.1}
      - {fault: lose, on: executionReport TRADE, skip: 2, times: 1}
      - {fault: silence, stream: user, at_s: 20, for_s: 15}

Promise: plain data, and every kind of fault says what it does to what it takes.  Rules on requests and on frames
(`Matched`) are asked in the file's order and the first that fits takes it; rules on connections (`Timed`) happen at
their moments.  All times are seconds since the exchange opened.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal, TypeAlias

import msgspec

from execd.exchange.rest import ROUTES

Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Pause: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Chance: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=1)]
Stream: TypeAlias = Literal["market", "user", "any"]
Goodbye: TypeAlias = Literal["eventStreamTerminated", "listenKeyExpired", "serverShutdown"]
Status: TypeAlias = Annotated[int, msgspec.Meta(ge=200, le=599)]

# Binance's own status and words for the codes that a client must tell apart (binance-spot-api-docs, errors.md).
KNOWN_CODES: dict[int, tuple[int, str]] = {
    -1000: (500, "An unknown error occurred while processing the request."),
    -1001: (500, "Internal error; unable to process your request. Please try again."),
    -1003: (429, "Too many requests queued."),
    -1006: (500, "An unexpected response was received from the message bus. Execution status unknown."),
    -1007: (408, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    -1008: (503, "Server is currently overloaded with other requests. Please try again in a few minutes."),
    -1015: (429, "Too many new orders; current limit is 100 orders per 10 SECOND."),
    -1016: (400, "This service is no longer available."),
    -1021: (400, "Timestamp for this request is outside of the recvWindow."),
    -1022: (400, "Signature for this request is not valid."),
    -2010: (400, "Account has insufficient balance for requested action."),
    -2011: (400, "Unknown order sent."),
    -2013: (400, "Order does not exist."),
    -2015: (401, "Invalid API-key, IP, or permissions for action."),
}
FILTERS = (
    "PRICE_FILTER",
    "PERCENT_PRICE",
    "PERCENT_PRICE_BY_SIDE",
    "LOT_SIZE",
    "MARKET_LOT_SIZE",
    "MIN_NOTIONAL",
    "NOTIONAL",
    "ICEBERG_PARTS",
    "TRAILING_DELTA",
    "MAX_POSITION",
    "MAX_NUM_ORDERS",
    "MAX_NUM_ALGO_ORDERS",
    "MAX_NUM_ICEBERG_ORDERS",
    "EXCHANGE_MAX_NUM_ORDERS",
    "EXCHANGE_MAX_NUM_ALGO_ORDERS",
)


class Matched(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="fault"):
    """A rule that takes what passes.

    Attributes:
        on: a pattern (*, ?, [..]) of what passes: `POST /api/v3/order`, `btcusdt@trade`, `executionReport TRADE`.
        order: a pattern of the order's client id.
        symbol: a pattern of the symbol, as BTCUSDT.
        skip: how many of those that fit are let pass first.
        times: how many are taken at most; None for no end.
        chance: with what probability each is taken, by the file's seed.
        from_s: from when on.
        until_s: until when; None for no end.
    """

    on: str = "*"
    order: str = "*"
    symbol: str = "*"
    skip: Count = 0
    times: Positive | None = None
    chance: Chance = 1.0
    from_s: Seconds = 0.0
    until_s: Seconds | None = None

    def __post_init__(self) -> None:
        if self.until_s is not None and self.until_s <= self.from_s:
            raise ValueError(f"until_s {self.until_s:g} must be greater than from_s {self.from_s:g}")


class Taking(Matched, frozen=True, kw_only=True):
    """A rule on requests.  `taken`: the exchange does what was asked, and only its answer is at fault."""

    taken: bool = False


# ---- requests


class Answer(Taking, frozen=True, kw_only=True, tag="answer"):
    """An error with one of Binance's codes; status and message where they are not Binance's own."""

    code: int
    status: Status | None = None
    message: str | None = None
    retry_after_s: Count | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.code not in KNOWN_CODES and (self.status is None or self.message is None):
            raise ValueError(f"code {self.code} needs a status and a message; known are {sorted(KNOWN_CODES)}")


class Filter(Matched, frozen=True, kw_only=True, tag="filter"):
    """A refusal by a filter, -1013; by any of them in turn of chance where none is named."""

    filter: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.filter is not None and self.filter not in FILTERS:
            raise ValueError(f"filter {self.filter!r} is none of {', '.join(FILTERS)}")


class Page(Taking, frozen=True, kw_only=True, tag="page"):
    """A gateway's HTML page instead of an answer."""

    status: Status = 502


class Drop(Taking, frozen=True, kw_only=True, tag="drop"):
    """The connection is reset instead of an answer."""


class Hang(Taking, frozen=True, kw_only=True, tag="hang"):
    """No answer; after `for_s` the connection is reset."""

    for_s: Pause = 60.0


class Delay(Taking, frozen=True, kw_only=True, tag="delay"):
    """Late by `for_s`: the answer (`taken`), or the request itself."""

    for_s: Pause


class Cut(Matched, frozen=True, kw_only=True, tag="cut"):
    """The request is done and the connection reset in the middle of the answer."""


class Drip(Matched, frozen=True, kw_only=True, tag="drip"):
    """The answer comes `bytes` at a time, every `every_s`."""

    bytes: Positive = 16
    every_s: Pause = 0.1


class NotFound(Matched, frozen=True, kw_only=True, tag="not-found"):
    """Queries and cancels of an order younger than `for_s` are told that it does not exist."""

    for_s: Pause


class Lag(Matched, frozen=True, kw_only=True, tag="lag"):
    """Lists (openOrders, allOrders, myTrades) leave out what is younger than `for_s`."""

    for_s: Pause


class Skew(Matched, frozen=True, kw_only=True, tag="skew"):
    """serverTime is told wrong by `ms`."""

    ms: int


class Ban(Matched, frozen=True, kw_only=True, tag="ban"):
    """A 429 with Retry-After, and then 418 to every request and connection until `for_s` have passed."""

    for_s: Pause


# ---- frames


class Lose(Matched, frozen=True, kw_only=True, tag="lose"):
    """The frame is not sent."""


class Repeat(Matched, frozen=True, kw_only=True, tag="repeat"):
    """The frame is sent `copies` times more."""

    copies: Positive = 1


class Swap(Matched, frozen=True, kw_only=True, tag="swap"):
    """The frame comes after the next `by` frames of its connection."""

    by: Positive = 2


class Late(Matched, frozen=True, kw_only=True, tag="late"):
    """The frame comes `for_s` late; others overtake it."""

    for_s: Pause


class Tear(Matched, frozen=True, kw_only=True, tag="tear"):
    """The connection is reset in the middle of the frame."""


class Trickle(Matched, frozen=True, kw_only=True, tag="trickle"):
    """The frame comes `bytes` at a time, every `every_s`."""

    bytes: Positive = 8
    every_s: Pause = 0.1


class Replay(Matched, frozen=True, kw_only=True, tag="replay"):
    """When a user stream is subscribed to, its last `events` are sent once more."""

    on: str = "reply userDataStream.subscribe*"
    events: Positive = 10


# ---- connections


class Timed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="fault"):
    """A rule that happens at a moment, and again every `every_s` up to `times` in all, each with its `chance`."""

    at_s: Seconds
    every_s: Pause | None = None
    times: Positive | None = None
    chance: Chance = 1.0


class OnStream(Timed, frozen=True, kw_only=True):
    """A rule on the open connections of a kind."""

    stream: Stream = "any"


class Silence(OnStream, frozen=True, kw_only=True, tag="silence"):
    """Half open: for `for_s` nothing is sent, not even a pong, and nothing that comes is read."""

    for_s: Pause


class Reset(OnStream, frozen=True, kw_only=True, tag="reset"):
    """Connections are reset."""


class Close(OnStream, frozen=True, kw_only=True, tag="close"):
    """Connections are closed politely, as after 24 hours."""

    code: Annotated[int, msgspec.Meta(ge=1000, le=4999)] = 1001
    reason: str = "24 hours"


class Terminate(Timed, frozen=True, kw_only=True, tag="terminate"):
    """User streams are ended by an event of the exchange's; the connection stays."""

    event: Goodbye = "eventStreamTerminated"


class Maintenance(Timed, frozen=True, kw_only=True, tag="maintenance"):
    """serverShutdown to all, connections closed, and 503 to everybody for `for_s`."""

    for_s: Pause


RequestRule: TypeAlias = (
    Answer | Filter | Page | Drop | Hang | Delay | Cut | Drip | NotFound | Lag | Skew | Ban
)  # fmt: skip
FrameRule: TypeAlias = Lose | Repeat | Swap | Late | Tear | Trickle | Replay
TimedRule: TypeAlias = Silence | Reset | Close | Terminate | Maintenance
REQUEST_RULES = (Answer, Filter, Page, Drop, Hang, Delay, Cut, Drip, NotFound, Lag, Skew, Ban)
FRAME_RULES = (Lose, Repeat, Swap, Late, Tear, Trickle, Replay)
TIMED_RULES = (Silence, Reset, Close, Terminate, Maintenance)


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    rules: list[RequestRule | FrameRule | TimedRule]
    seed: Count = 0

    def __post_init__(self) -> None:
        asked = [f"{method} {path}" for method, path in ROUTES]
        for number, rule in enumerate(self.rules):
            if isinstance(rule, REQUEST_RULES) and not any(fnmatchcase(each, rule.on) for each in asked):
                raise ValueError(f"rules[{number}].on: {rule.on!r} fits no request, such as 'POST /api/v3/order'")
