"""From an operator's files to an exchange that may be asked: which one, over which connection, with which key.

Promise: nothing connects where the files do not point; real money needs `mode: live` and `--live` together, a key that
is said to be for it, that can trade but not withdraw, addresses that are the exchange's own, a clock that agrees with
the exchange's, and an order with a limit price.  What is refused here is refused before an order was sent.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from execd.core.grid import BPS, SECOND, Instrument, Nanos
from execd.runtime import practice
from execd.runtime.advisor import CURVE, NONE
from execd.runtime.clock import Clock
from execd.runtime.practice import Practice, PracticeError
from execd.runtime.settings import Mode, OrderFile, RiskFile, Settings
from execd.runtime.settings_kinds import show_span
from execd.runtime.settings_secrets import Secrets
from execd.venues import Balance, KeyPermissions, Venue, VenueError, VenueUnanswered
from execd.venues.credentials import Credentials
from execd.venues.loopback import PRODUCTION, Endpoint

if TYPE_CHECKING:
    from execd.venues.ccxt_venue import CcxtVenue
    from execd.venues.paper import PaperVenue


SKEW_TOLD = Nanos(250 * 1_000_000)
"""A clock that is further off than this is told; `limits.clock_skew` of risk.yaml refuses."""

NOT_CHECKED = "what the exchange key may do was not checked: a test network cannot be asked"


class InterlockError(Exception):
    """A safety interlock refused to start.  One clear sentence, saying how to change it.  Exit code 4."""


@dataclass(frozen=True, slots=True)
class Job:
    """What `execd run` or `execd check` was asked to do.

    `exchange` is a file with the ready line of a practice exchange that runs already; `tape` and `speed` make the
    embedded one replay a tape.  `fresh` abandons an unfinished parent of the same name.
    """

    settings: Settings
    risk: RiskFile
    order: OrderFile
    live: bool = False
    exchange: Path | None = None
    tape: Path | None = None
    speed: Fraction = Fraction(1)
    fresh: bool = False

    @property
    def mode(self) -> Mode:
        """Where orders go."""
        return self.settings.mode

    @property
    def model(self) -> str:
        """The name of the model that decides."""
        return self.order.model or self.settings.model

    @property
    def shadow(self) -> str:
        """The name of the model that watches."""
        return self.order.shadow or self.settings.shadow


@dataclass(slots=True)
class Opened:
    """An exchange that was connected to.

    `paper` is the imagined account where orders are imagined; `own`: we started `practice` and must end it; `key` is
    who can say what the key may do, where that must be known.
    """

    venue: Venue
    paper: PaperVenue | None = None
    practice: Practice | None = None
    own: bool = False
    key: CcxtVenue | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    warnings: list[str] = field(default_factory=list)


def interlocks(job: Job) -> None:
    """Refuse what must not even connect.  Raises InterlockError."""
    if job.mode is Mode.LIVE and not job.live:
        raise InterlockError("mode is live (execd.yaml), but --live is not given: add --live to trade real money")
    if job.live and job.mode is not Mode.LIVE:
        raise InterlockError(
            f"--live is given, but mode is {job.mode.value} (execd.yaml): set mode to live to trade real money"
        )
    if job.mode is Mode.LIVE and job.order.limit_price is None:
        raise InterlockError("mode live needs a limit price: set limit_price in the order file")
    if job.tape is not None and job.mode is not Mode.PRACTICE:
        raise InterlockError(f"--tape replays a market on the practice exchange; mode is {job.mode.value} (execd.yaml)")
    if job.exchange is not None and job.mode not in (Mode.PRACTICE, Mode.PAPER):
        raise InterlockError(f"--exchange is for practice and paper; mode is {job.mode.value} (execd.yaml)")
    if job.order.exchange is not None and job.order.exchange != exchange_of(job):
        raise InterlockError(
            f"the order is for {job.order.exchange} (order file: exchange), but this is {exchange_of(job)}"
        )


def exchange_of(job: Job) -> str:
    """The name of the exchange that a job works on; the practice exchange speaks Binance's protocol."""
    return "binance" if job.mode is Mode.PRACTICE or job.exchange is not None else job.settings.exchange


async def open_exchange(job: Job, clock: Callable[[], Nanos], resume: Practice | None) -> Opened:
    """Connect a job to its exchange.

    Args:
        job: what was asked.
        clock: our time.
        resume: the practice exchange that holds an unfinished parent, to be used again.

    Raises:
        InterlockError, PracticeError, SettingsError, VenueError: one clear sentence.
    """
    if job.mode is Mode.PRACTICE:
        return await _open_practice(job, clock, resume)
    if job.mode is Mode.PAPER:
        return _open_paper(job, clock)
    return _open_real(job, clock)


def _import_ahead(job: Job) -> None:
    """Import ccxt, then torch, in a thread, while we wait for the exchange: who needs one waits for what is left of it.

    To be called when nothing in the files forbids to connect: the process does not end before its threads.  One after
    the other, for two threads gain nothing.  What fails here fails again, and is told, where it is needed.
    """
    names = ["execd.venues.ccxt_venue"]
    if not {job.model, job.shadow} <= {CURVE, NONE}:
        names.append("execd.policies.network")
    thread = ThreadPoolExecutor(1, "imports")
    for name in names:
        thread.submit(import_module, name)
    thread.shutdown(wait=False)


async def settle(job: Job, opened: Opened, clock: Clock) -> Instrument:
    """Load the market, follow the exchange's clock, check the key: all that comes before the account is asked for.

    Warnings are added to those of `opened`.  Raises InterlockError, VenueError.
    """
    venue = opened.venue
    instrument = await venue.open(job.order.symbol)
    # Before the first signed request: its timestamp must be one that the exchange takes.
    opened.warnings += await follow_clock(job, venue, clock)
    if opened.key is not None:
        demand_trade_only(await _permissions(opened.key))
    return instrument


async def follow_clock(job: Job, venue: Venue, clock: Clock) -> list[str]:
    """Shift our clock to the venue's time; what to warn of.

    Raises:
        InterlockError: where real orders are sent, and the clocks are too far apart.
        VenueError: the venue's time is not to be had.
    """
    offset = await venue.clock_offset()
    warnings = _skew(job, offset)
    clock.shift(offset)
    # Measured anew: what is left is what the venue's requests must add to a clock that was just shifted.
    await venue.clock_offset()
    return warnings


def _skew(job: Job, offset: Nanos) -> list[str]:
    if abs(offset) <= SKEW_TOLD:
        return []
    side = "behind" if offset > 0 else "ahead of"
    told = f"this machine's clock is {abs(offset) / SECOND:.3f} s {side} the exchange's"
    limit = job.risk.limits.clock_skew
    if abs(offset) > limit and job.mode in (Mode.LIVE, Mode.TESTNET):
        raise InterlockError(
            f"{told}; allowed: {show_span(limit)} (risk.yaml: limits.clock_skew): repair its time synchronization"
        )
    return [f"{told}; execd goes by the exchange's"]


async def _permissions(venue: CcxtVenue) -> KeyPermissions:
    try:
        return await venue.key_permissions()
    except VenueUnanswered:
        raise  # The exchange may answer later: worth another start.
    except VenueError as error:
        raise InterlockError(f"real money needs to know what the exchange key may do: {error}") from None


async def _open_practice(job: Job, clock: Callable[[], Nanos], resume: Practice | None) -> Opened:
    own = job.exchange is None
    if job.exchange is not None:
        found = practice.read_ready(job.exchange)
        _import_ahead(job)
    else:
        _import_ahead(job)
        found = resume or await practice.start(job.settings.state_dir / "practice", _arguments(job))
    venue = _ccxt(job, clock, Credentials(found.api_key, found.secret), _endpoint(found), "binance")
    return Opened(venue, practice=found, own=own, secrets=(found.api_key, found.secret))


def _arguments(job: Job) -> list[str]:
    chosen = job.settings.practice
    arguments = ["--seed", str(chosen.seed)]
    if job.tape is not None:
        return [*arguments, "--tape", str(job.tape.resolve()), "--speed", str(job.speed)]
    balances = ",".join(f"{currency}={amount}" for currency, amount in chosen.balances.items())
    return [*arguments, "--symbols", ",".join(chosen.symbols), "--balances", balances]


def _open_paper(job: Job, clock: Callable[[], Nanos]) -> Opened:
    from execd.venues.paper import PaperVenue

    found = practice.read_ready(job.exchange) if job.exchange is not None else None
    endpoint = PRODUCTION if found is None else _endpoint(found)
    _import_ahead(job)
    data = _ccxt(job, clock, None, endpoint, exchange_of(job))
    chosen = job.settings.paper
    funds = [Balance(currency, str(amount), str(amount)) for currency, amount in chosen.balances.items()]
    venue = PaperVenue(
        data,
        clock,
        latency=chosen.latency,
        maker_fee=chosen.maker_fee / BPS,
        taker_fee=chosen.taker_fee / BPS,
        funds=funds,
    )
    return Opened(venue, venue, found)


def _open_real(job: Job, clock: Callable[[], Nanos]) -> Opened:
    secrets = Secrets.load(job.settings.keys_dir)
    if secrets is None:
        raise InterlockError(
            f"mode {job.mode.value} needs an exchange key: put api_key, api_secret and api_mode (mode 0600) into "
            f"{job.settings.keys_dir} (execd.yaml: keys_dir), or set EXECD_API_KEY, EXECD_API_SECRET and EXECD_API_MODE"
        )
    _demand_same_environment(job, secrets)
    try:
        credentials = Credentials(secrets.api_key.get_secret_value(), secrets.api_secret.get_secret_value())
    except ValueError as error:
        raise InterlockError(f"{secrets.source}: {error}") from None
    _import_ahead(job)
    venue = _ccxt(job, clock, credentials, PRODUCTION, job.settings.exchange)
    opened = Opened(venue, secrets=secrets.values(), warnings=list(secrets.warnings))
    if job.mode is Mode.LIVE:
        opened.key = venue
    else:
        opened.warnings.append(NOT_CHECKED)
    return opened


def _demand_same_environment(job: Job, secrets: Secrets) -> None:
    """Refuse a key that is for the other environment, or for real money without being said to be."""
    mode = job.mode.value
    if secrets.mode not in (None, mode):
        raise InterlockError(
            f"the exchange key is for {secrets.mode} ({secrets.mode_at}), but mode is {mode} (execd.yaml)"
        )
    if secrets.mode is None and job.mode is Mode.LIVE:
        raise InterlockError(
            f"nothing says that the exchange key is for real money: put the word live into {secrets.mode_at}"
        )


def demand_trade_only(key: KeyPermissions) -> None:
    """Refuse a key that could do more than trade, or that works from anywhere.  Raises InterlockError."""
    problems = []
    if key.excess:
        problems.append(f"it may move funds: switch off {', '.join(key.excess)}")
    if not key.ip_listed:
        problems.append("it works from any address: restrict it to this machine's (ipRestrict)")
    if not key.may_trade:
        problems.append("it may not trade: switch on enableSpotAndMarginTrading")
    if problems:
        raise InterlockError(f"the exchange key must not be used for real money: {'; '.join(problems)}")


def _endpoint(found: Practice) -> Endpoint:
    if found.ca is None:
        raise PracticeError("the practice exchange serves without TLS; start it with --tls")
    return Endpoint(found.port, found.ca)


def _ccxt(
    job: Job, clock: Callable[[], Nanos], credentials: Credentials | None, endpoint: Endpoint, exchange: str
) -> CcxtVenue:
    from execd.venues.ccxt_venue import CcxtVenue  # ccxt takes a second to import

    return CcxtVenue(
        exchange,
        credentials,
        endpoint,
        None,
        clock,
        sandbox=job.mode is Mode.TESTNET,
        recv_window_ms=job.settings.venue.request_validity // 1_000_000,
        stale_s=job.settings.venue.silence / 1e9,
        connections=job.settings.venue.connections,
    )
