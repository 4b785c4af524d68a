"""What a practice exchange can be told: where to listen, what to trade, and whose market it is.

Promise: options that cannot be met are refused before anything is opened, with one message that names the
option, its value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm

from execd.core.grid import SECOND, Nanos
from execd.exchange.auth import Ed25519Key, ed25519_key
from execd.exchange.hall import Clock, KeyRights
from execd.exchange.market import MarketModel
from execd.exchange.synthetic import SyntheticMarket
from execd.exchange.wire import Json

MAX_PORT = 65_535
DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT")
PLENTY = Decimal(10_000_000)
SCARCE = {"BTC": Decimal(1_000), "ETH": Decimal(20_000), "BNB": Decimal(100_000), "SOL": Decimal(100_000)}


class BadOptions(ValueError):
    """An option that cannot be met; the message is for the person who gave it."""


@dataclass(frozen=True, slots=True)
class ExchangeOptions:
    """How an exchange is set up.

    Attributes:
        port: The TCP port on loopback; 0 for a free one.
        tls: Whether to speak TLS, with an authority of its own.
        tape: A file of trades to replay instead of the synthetic market.
        book: A file of best quotes, or of depth (*_l2), that belongs to the tape; None looks for them beside it.
        speed: How many seconds of tape pass in one second.
        head_start_s: How long after the opening the tape's first print comes: time for a client to connect.
        seed: What the synthetic market's chance begins with.
        symbols: What is traded, as BTC/USDT. None: BTC/USDT and ETH/USDT, or with a tape what its name says.
        linger: End after nobody has been there for so many seconds; None: never.
        ed25519: A PEM file with an Ed25519 public key to register beside the HMAC key.
        maker_fee: Share of what is received, for orders that made the liquidity.
        taker_fee: The same for orders that took it.
        balances: What the account holds at the opening, by currency; None: plenty of everything.
        weight: Request weight that may be asked for in a minute; Binance's is 6,000.
        faults: A file of rules by which the exchange misbehaves; None: it does not.
        rights: What the account's key is said to be allowed; it can trade spot and nothing else, whatever is said.
    """

    port: int = 0
    tls: bool = False
    tape: Path | None = None
    book: Path | None = None
    speed: float | Fraction = 1.0
    head_start_s: float = 2.0
    seed: int = 1
    symbols: tuple[str, ...] | None = None
    linger: float | None = None
    ed25519: Path | None = None
    maker_fee: Decimal = Decimal("0.001")
    taker_fee: Decimal = Decimal("0.001")
    balances: Mapping[str, Decimal] | None = None
    weight: int = 6_000
    faults: Path | None = None
    rights: KeyRights = KeyRights.TRADE


@dataclass(frozen=True, slots=True)
class Opening:
    """A market to open with."""

    market: MarketModel
    symbols: list[str]
    tape: Json


def open_market(options: ExchangeOptions, clock: Clock) -> Opening:
    """Make the market that the options ask for.  Raises BadOptions."""
    _check(options)
    try:
        return _synthetic(options) if options.tape is None else _taped(options, options.tape, clock)
    except ValueError as error:
        raise BadOptions(str(error)) from error


def _check(options: ExchangeOptions) -> None:
    if not 0 <= options.port <= MAX_PORT:
        raise BadOptions(f"port {options.port}: must lie between 0 and {MAX_PORT}")
    if options.linger is not None and not options.linger > 0:
        raise BadOptions(f"linger {options.linger}: must be greater than 0 seconds")
    symbols = options.symbols
    if symbols is None:
        return
    if not symbols:
        raise BadOptions("symbols: at least one is needed, as BTC/USDT")
    if len(set(symbols)) < len(symbols):
        raise BadOptions(f"symbols {','.join(symbols)}: one of them is there twice")
    if options.tape is not None and len(symbols) > 1:
        raise BadOptions(f"symbols {','.join(symbols)}: a tape has one symbol only")


def _synthetic(options: ExchangeOptions) -> Opening:
    market = SyntheticMarket(options.seed)
    symbols = list(options.symbols or DEFAULT_SYMBOLS)
    for symbol in symbols:
        market.rules(symbol)
    return Opening(market, symbols, None)


def _taped(options: ExchangeOptions, path: Path, clock: Clock) -> Opening:
    # Reading files needs polars, which nobody else here does.
    from execd.exchange.tape import TapeMarket

    symbol = None if options.symbols is None else options.symbols[0]

    def read(start_at: int) -> TapeMarket:
        return TapeMarket(path, options.speed, Nanos(start_at), symbol, options.book)

    lead = round(options.head_start_s * SECOND)
    began = clock()
    start = began + lead
    market = read(start)
    if (took := clock() - began) > lead:
        # The tape must not have begun when the doors open.
        start = clock() + 2 * took + lead
        market = read(start)
    rules = market.rules(market.symbol)
    described: Json = {
        "file": str(path),
        "symbol": market.symbol,
        "start_exchange_ns": start,
        "start_tape_us": market.first_ts,
        "end_tape_us": market.last_ts,
        "speed": str(market.speed),
        "tick": str(rules.tick),
        "lot": str(rules.lot),
    }
    return Opening(market, [market.symbol], described)


def read_public_key(path: Path) -> Ed25519Key:
    """Register the Ed25519 public key in a PEM file.  Raises BadOptions."""
    try:
        return ed25519_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise BadOptions(f"ed25519 {path}: no Ed25519 public key in PEM form ({error})") from error


def read_balances(words: str) -> dict[str, Decimal]:
    """Read balances as a command line gives them, USDT=5000000,BTC=50.  Raises BadOptions."""
    balances: dict[str, Decimal] = {}
    for word in words.split(","):
        currency, _, amount = word.strip().partition("=")
        try:
            balances[currency] = Decimal(amount)
        except InvalidOperation:
            balances[currency] = Decimal(-1)
        if not currency or not balances[currency].is_finite() or balances[currency] < 0:
            raise BadOptions(f"balances {word}: must be a currency and an amount, as USDT=5000000")
    return balances


def read_rights(word: str) -> KeyRights:
    """Read what the key is said to be allowed.  Raises BadOptions."""
    try:
        return KeyRights(word)
    except ValueError:
        allowed = ", ".join(rights.value for rights in KeyRights)
        raise BadOptions(f"key-permissions {word}: must be one of {allowed}") from None


def opening_balances(opening: Opening, chosen: Mapping[str, Decimal] | None) -> dict[str, Decimal]:
    """What the account begins with: what was chosen, else enough for any order that the market could digest."""
    if chosen is not None:
        return dict(chosen)
    balances: dict[str, Decimal] = {}
    for symbol in opening.symbols:
        rules = opening.market.rules(symbol)
        balances[rules.base] = SCARCE.get(rules.base, PLENTY)
        balances.setdefault(rules.quote, PLENTY)
    return balances
