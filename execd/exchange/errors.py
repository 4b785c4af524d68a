"""What the wire refuses before the engine is asked, with Binance's own codes, texts and HTTP statuses.

Promise: every refusal that the front ends make themselves is spelled here and nowhere else.
Source: binance-spot-api-docs, errors.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from execd.exchange.records import ExchangeRefusal
from execd.exchange.wire import Json

BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, TOO_MANY_REQUESTS = 400, 401, 404, 429


class LimitExceeded(ExchangeRefusal):
    """A rate limit is used up: status 429.

    Attributes:
        retry_after_ms: how long until the window that was used up is over.
        rest_header: whether REST sends Retry-After (Binance does for request weight, not for order counts).
    """

    def __init__(self, code: int, message: str, retry_after_ms: int, *, rest_header: bool) -> None:
        super().__init__(code, message, TOO_MANY_REQUESTS)
        self.retry_after_ms = retry_after_ms
        self.rest_header = rest_header


def too_much_weight(limit: int, retry_after_ms: int) -> LimitExceeded:
    """-1003: the minute's request weight is used up."""
    text = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return LimitExceeded(-1003, text, retry_after_ms, rest_header=True)


def too_many_orders(limit: int, interval: str, retry_after_ms: int) -> LimitExceeded:
    """-1015: the account placed too many orders."""
    text = f"Too many new orders; current limit is {limit} orders per {interval}."
    return LimitExceeded(-1015, text, retry_after_ms, rest_header=False)


def timestamp_outside_window() -> ExchangeRefusal:
    """-1021: the request is older than its recvWindow."""
    return ExchangeRefusal(-1021, "Timestamp for this request is outside of the recvWindow.")


def timestamp_ahead() -> ExchangeRefusal:
    """-1021: the request comes from the future."""
    return ExchangeRefusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def bad_signature() -> ExchangeRefusal:
    """-1022: the signature does not cover what was sent."""
    return ExchangeRefusal(-1022, "Signature for this request is not valid.")


def illegal(name: str, legal: str) -> ExchangeRefusal:
    """-1100: a parameter's text is not of its form."""
    return ExchangeRefusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def duplicate_parameter() -> ExchangeRefusal:
    """-1101: one parameter, two values."""
    return ExchangeRefusal(-1101, "Duplicate values for a parameter detected.")


def missing(name: str) -> ExchangeRefusal:
    """-1102: a mandatory parameter is absent."""
    return ExchangeRefusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def missing_both(first: str, second: str) -> ExchangeRefusal:
    """-1102: one of two is mandatory and both are absent."""
    return ExchangeRefusal(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def unread(read: int, sent: int) -> ExchangeRefusal:
    """-1104: a parameter was sent that the endpoint does not know."""
    text = f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
    return ExchangeRefusal(-1104, text)


def empty(name: str) -> ExchangeRefusal:
    """-1105: a parameter was sent without a value."""
    return ExchangeRefusal(-1105, f"Parameter '{name}' was empty.")


def not_required(name: str) -> ExchangeRefusal:
    """-1106: a parameter makes no sense beside the others."""
    return ExchangeRefusal(-1106, f"Parameter '{name}' sent when not required.")


def invalid_time_in_force() -> ExchangeRefusal:
    """-1115."""
    return ExchangeRefusal(-1115, "Invalid timeInForce.")


def invalid_order_type() -> ExchangeRefusal:
    """-1116."""
    return ExchangeRefusal(-1116, "Invalid orderType.")


def invalid_side() -> ExchangeRefusal:
    """-1117."""
    return ExchangeRefusal(-1117, "Invalid side.")


def invalid_interval() -> ExchangeRefusal:
    """-1120."""
    return ExchangeRefusal(-1120, "Invalid interval.")


def invalid_symbol() -> ExchangeRefusal:
    """-1121."""
    return ExchangeRefusal(-1121, "Invalid symbol.")


def bad_combination() -> ExchangeRefusal:
    """-1128: parameters that exclude one another."""
    return ExchangeRefusal(-1128, "Combination of optional parameters invalid.")


def invalid_value(name: str) -> ExchangeRefusal:
    """-1130: a value outside of its list."""
    return ExchangeRefusal(-1130, f"Data sent for parameter '{name}' is not valid.")


def recv_window_too_long() -> ExchangeRefusal:
    """-1131."""
    return ExchangeRefusal(-1131, "recvWindow must be less than 60000.")


def invalid_json() -> ExchangeRefusal:
    """-1135: a WebSocket API frame that is no request."""
    return ExchangeRefusal(-1135, "Invalid JSON Request")


def invalid_time_unit() -> ExchangeRefusal:
    """-1194."""
    text = "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."
    return ExchangeRefusal(-1194, text)


def unsupported_order(words: str) -> ExchangeRefusal:
    """-1013: an order type of Binance's that these symbols do not offer, as "Stop loss"."""
    return ExchangeRefusal(-1013, f"{words} orders are not supported for this symbol.")


def bad_api_key_format() -> ExchangeRefusal:
    """-2014: no key, or none that could be one."""
    return ExchangeRefusal(-2014, "API-key format invalid.", UNAUTHORIZED)


def rejected_api_key() -> ExchangeRefusal:
    """-2015: a key that is not registered here."""
    return ExchangeRefusal(-2015, "Invalid API-key, IP, or permissions for action.", UNAUTHORIZED)


def unsupported_key_type() -> ExchangeRefusal:
    """-4056: session.logon with a key that is not Ed25519."""
    return ExchangeRefusal(-4056, "HMAC_SHA256 API key is not supported.")


def unknown_method() -> ExchangeRefusal:
    """-1020 with status 404: a WebSocket API method that does not exist here."""
    return ExchangeRefusal(-1020, "This operation is not supported.", NOT_FOUND)


def already_subscribed() -> ExchangeRefusal:
    """-2035: the session's user data stream is on already."""
    return ExchangeRefusal(-2035, "Subscription already active on this connection.")


def nothing_to_unsubscribe() -> ExchangeRefusal:
    """-2036: no user data stream is on."""
    return ExchangeRefusal(-2036, "Subscription not active on this connection.")


def lookup_too_long() -> ExchangeRefusal:
    """-1127: more than a day was asked for at once."""
    return ExchangeRefusal(-1127, "More than 24 hours between startTime and endTime.")


def no_such_order() -> ExchangeRefusal:
    """-2011: nothing to cancel."""
    return ExchangeRefusal(-2011, "Unknown order sent.")


def no_such_path(path: str, method: str) -> ExchangeRefusal:
    """-5000 with status 404: a page that does not exist here."""
    return ExchangeRefusal(-5000, f"Path {path}, Method {method} is invalid", NOT_FOUND)


def duplicate_symbols() -> ExchangeRefusal:
    """-1151: a list that names a symbol twice."""
    return ExchangeRefusal(-1151, "Symbol is present multiple times in the list.")


def cancel_restricted() -> ExchangeRefusal:
    """-2011: the order is not in the state in which alone it was to be canceled."""
    return ExchangeRefusal(-2011, "Order was not canceled due to cancel restrictions.")


class PartialRefusal(ExchangeRefusal):
    """A cancel-replace of which something failed.

    Attributes:
        data: what became of either half.
    """

    def __init__(self, code: int, message: str, status: int, data: Mapping[str, Json]) -> None:
        super().__init__(code, message, status)
        self.data = data


def cancel_replace_partly_failed(data: Mapping[str, Json]) -> PartialRefusal:
    """-2021 with status 409: one of the two went through."""
    return PartialRefusal(-2021, "Order cancel-replace partially failed.", 409, data)


def cancel_replace_failed(data: Mapping[str, Json]) -> PartialRefusal:
    """-2022: neither went through."""
    return PartialRefusal(-2022, "Order cancel-replace failed.", BAD_REQUEST, data)
