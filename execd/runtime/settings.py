"""The three files of an operator: execd.yaml, risk.yaml and an order file, as frozen models.

Promise: a model that exists is valid, and holds what its file said to the last digit; the defaults here are the values
in the shipped config/execd.yaml and config/risk.yaml.  No file can loosen a limit of risk beyond the hard ceiling that
is written in this module.  `load(path, Model)` reads one; secrets are not read here (see settings_secrets).
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from execd.core.grid import MINUTE, SECOND, Nanos, Side
from execd.core.orders import Finish, Urgency
from execd.runtime.settings_kinds import Choice, Location, Moment, Number, Rate, Span, Text, Whole
from execd.runtime.settings_load import File, Group, SettingsError, cross, load

__all__ = ["InstrumentLimits", "Mode", "OrderFile", "RiskFile", "Settings", "SettingsError", "load"]

MILLISECOND = 1_000_000
INSTRUMENTS = 5
"""The most instruments that risk.yaml may allow."""

Symbol = Annotated[
    str,
    # A perpetual's name as ccxt spells it ends with the currency that it settles in.
    Text(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}(:[A-Z0-9]{1,20})?", "BASE/QUOTE in capitals, such as BTC/USDT"),
]
Currency = Annotated[str, Text(r"[A-Z0-9]{1,20}", "a currency in capitals, such as USDT")]
Host = Annotated[str, Text(r"[A-Za-z0-9.:-]{1,255}", "a host name or address, such as 127.0.0.1")]
ModelName = Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "the name of a folder under models_dir, or curve")]
ShadowName = Annotated[
    str, Text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "the name of a folder under models_dir, or curve, or none")
]
ExchangeName = Annotated[str, Text(r"[a-z0-9]{1,30}", "an exchange's name as ccxt spells it, such as binance")]
Amount = Annotated[Decimal, Number(least="0", most="1000000000000", example="100000")]
FeeBps = Annotated[Decimal, Number(least="-10", most="100", unit="bps", example="7.5")]


class Mode(Enum):
    """Where orders go."""

    PRACTICE = "practice"
    PAPER = "paper"
    TESTNET = "testnet"
    LIVE = "live"


class LogFormat(Enum):
    """How a log line looks."""

    CONSOLE = "console"
    JSON = "json"


class ForeignOrders(Enum):
    """What becomes of a start while orders of somebody else are open on the account."""

    REPORT = "report"
    REFUSE = "refuse"


class LogLevel(Enum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


# -------------------------------------------------------------------------------------------------------- execd.yaml


class MetricsSettings(Group):
    """Where /metrics is served."""

    host: Host = Field(
        default="127.0.0.1",
        description="The address that /metrics is served on; whoever reaches it can trip the kill switch.",
    )
    port: Annotated[int, Whole(0, 65535)] = Field(default=9464, description="The port of /metrics; 0 takes a free one.")


class LogSettings(Group):
    """The log, on standard error."""

    format: Annotated[LogFormat, Choice(LogFormat)] = Field(
        default=LogFormat.CONSOLE, description="For people (console) or for machines (json), a line per fact."
    )
    level: Annotated[LogLevel, Choice(LogLevel)] = Field(default=LogLevel.INFO, description="The least that is logged.")


class TimingSettings(Group):
    """How often, and how long."""

    proposal_deadline: Annotated[Nanos, Span("10ms", "10s")] = Field(
        default=Nanos(500 * MILLISECOND),
        description="How long a model may take for a slice; after that the curve decides.",
    )
    latch_poll: Annotated[Nanos, Span("50ms", "1s")] = Field(
        default=Nanos(250 * MILLISECOND), description="How often the kill switch's file is looked at."
    )
    progress: Annotated[Nanos, Span("100ms", "1m")] = Field(
        default=SECOND, description="How often progress is shown while an order is worked."
    )
    reconcile: Annotated[Nanos, Span("1s", "10m")] = Field(
        default=Nanos(30 * SECOND),
        description="How often our fills are compared with the exchange's while an order is worked.",
    )
    clock_check: Annotated[Nanos, Span("5s", "10m")] = Field(
        default=MINUTE, description="How often our clock is compared with the exchange's."
    )
    drain: Annotated[Nanos, Span("1s", "5m")] = Field(
        default=MINUTE, description="How long a stop (SIGTERM, Ctrl-C) may take to cancel and resolve what is open."
    )


class HealthSettings(Group):
    """When this process no longer trusts itself to trade: no new order leaves, cancels go on."""

    disk_free: Annotated[int, Whole(0, 1_000_000)] = Field(
        default=256, description="The least that must be free on the disk of the journals, in MiB."
    )
    journal_lag: Annotated[Nanos, Span("10ms", "10s")] = Field(
        default=SECOND, description="How long the journal's disk may need for a row."
    )
    loop_lag: Annotated[Nanos, Span("10ms", "10s")] = Field(
        default=SECOND, description="How late the event loop may be, by the worst hundredth of the last 10 s."
    )


class VenueSettings(Group):
    """How we speak to a real exchange."""

    request_validity: Annotated[Nanos, Span("500ms", "1m")] = Field(
        default=Nanos(3 * SECOND),
        description="After this the exchange must not act on a request any more (recvWindow).",
    )
    silence: Annotated[Nanos, Span("1s", "5m")] = Field(
        default=Nanos(10 * SECOND),
        description="A stream that says nothing for so long is taken as broken, a lively one sooner.",
    )
    connections: Annotated[int, Whole(1, 3)] = Field(
        default=1,
        description="How many connections carry the public trades and quotes: with two, one may break unnoticed.",
    )


class AccountSettings(Group):
    """The account at the exchange."""

    foreign_orders: Annotated[ForeignOrders, Choice(ForeignOrders)] = Field(
        default=ForeignOrders.REPORT,
        description="Where orders that are not of this parent order are open in its market when execd starts: say so "
        "and leave them alone (report), or do not start (refuse).",
    )


class WatchdogSettings(Group):
    """The watchdog, a process of its own: execd watchdog."""

    trip_after: Annotated[Nanos, Span("2s", "5m")] = Field(
        default=Nanos(15 * SECOND),
        description="A daemon whose heartbeat has stopped for so long is taken for dead: the kill switch is tripped.",
    )
    keys_dir: Annotated[Path, Location()] = Field(
        default=Path("keys/watchdog"),
        description="The folder that holds the files api_key and api_secret of the watchdog's own key.",
    )
    port: Annotated[int, Whole(0, 65535)] = Field(
        default=9465, description="The port of the watchdog's own /metrics, on metrics.host; 0 takes a free one."
    )


class PracticeSettings(Group):
    """The embedded practice exchange."""

    seed: Annotated[int, Whole(0, 2**63 - 1)] = Field(
        default=7, description="The seed of the synthetic market: the same seed makes the same market."
    )
    symbols: tuple[Symbol, ...] = Field(
        default=("BTC/USDT", "ETH/USDT"), description="The markets that it has.", min_length=1
    )
    balances: dict[Currency, Amount] = Field(
        default={"USDT": Decimal(5_000_000), "BTC": Decimal(50), "ETH": Decimal(1000)},
        description="What the account holds at the start.",
    )


class PaperSettings(Group):
    """Mode paper: real streams, imagined fills."""

    latency: Annotated[Nanos, Span("0ms", "10s")] = Field(
        default=Nanos(50 * MILLISECOND), description="How long an imagined request takes to reach the exchange."
    )
    maker_fee: FeeBps = Field(
        default=Decimal(10), description="The fee of an imagined fill that made liquidity, in bps."
    )
    taker_fee: FeeBps = Field(
        default=Decimal(10), description="The fee of an imagined fill that took liquidity, in bps."
    )
    balances: dict[Currency, Amount] = Field(
        default={"USDT": Decimal(5_000_000), "BTC": Decimal(50), "ETH": Decimal(1000)},
        description="What the imagined account holds at the start.",
    )


class Settings(File):
    """config/execd.yaml: how this installation of execd runs."""

    mode: Annotated[Mode, Choice(Mode)] = Field(
        default=Mode.PRACTICE,
        description="Where orders go: the embedded practice exchange, real streams with imagined fills (paper), "
        "the exchange's test network, or real money (live also needs --live).",
    )
    exchange: ExchangeName = Field(default="binance", description="The exchange, for every mode but practice.")
    state_dir: Annotated[Path, Location()] = Field(
        default=Path("state"), description="The folder of journals, the kill switch's file and reports."
    )
    keys_dir: Annotated[Path, Location()] = Field(
        default=Path("keys"),
        description="The folder that holds the files api_key and api_secret, readable by you alone.",
    )
    risk_file: Annotated[Path, Location()] = Field(
        default=Path("config/risk.yaml"), description="The file of risk limits."
    )
    models_dir: Annotated[Path, Location()] = Field(
        default=Path("models"), description="The folder of the trained models."
    )
    model: ModelName = Field(
        default="vwap-2", description="The model of orders that name none; curve is the volume curve."
    )
    shadow: ShadowName = Field(
        default="none", description="A second model that proposes beside the trading one; recorded, never obeyed."
    )
    metrics: MetricsSettings = Field(default=MetricsSettings(), description="Where /metrics is served.")
    log: LogSettings = Field(default=LogSettings(), description="The log, on standard error.")
    timing: TimingSettings = Field(default=TimingSettings(), description="How often, and how long.")
    health: HealthSettings = Field(
        default=HealthSettings(), description="When this process no longer trusts itself to trade."
    )
    venue: VenueSettings = Field(default=VenueSettings(), description="How we speak to a real exchange.")
    account: AccountSettings = Field(default=AccountSettings(), description="The account at the exchange.")
    watchdog: WatchdogSettings = Field(
        default=WatchdogSettings(), description="The watchdog, a process of its own: execd watchdog."
    )
    practice: PracticeSettings = Field(default=PracticeSettings(), description="The embedded practice exchange.")
    paper: PaperSettings = Field(default=PaperSettings(), description="Mode paper: real streams, imagined fills.")


# --------------------------------------------------------------------------------------------------------- risk.yaml


class InstrumentLimits(Group):
    """What may be done in one instrument.  Quantities in its base currency, values in its quote currency."""

    child_quantity: Annotated[Decimal, Number(example="0.5")] = Field(description="The most in one child order.")
    child_notional: Annotated[Decimal, Number(most="100000", ceiling=True, example="10000")] = Field(
        description="The most value in one child order."
    )
    window_quantity: Annotated[Decimal, Number(example="5")] = Field(
        description="The most that may fill, or still may, in any limits.window."
    )
    parent_notional: Annotated[Decimal, Number(most="10000000", ceiling=True, example="1000000")] = Field(
        description="The most value of one parent order."
    )
    day_notional: Annotated[Decimal, Number(most="50000000", ceiling=True, example="2000000")] = Field(
        description="The most value of all parent orders of a UTC day, those still worked on at their full size."
    )
    approval_notional: Annotated[Decimal, Number(most="10000000", ceiling=True, example="100000")] = Field(
        description="A live order worth more than this needs the approval of a second user (execd approve)."
    )


class LimitSettings(Group):
    """Limits for every instrument.  The upper end of each range is the hard ceiling of this build."""

    window: Annotated[Nanos, Span("10s", "10m", ceiling=True)] = Field(
        default=MINUTE, description="The length of the rolling window of window_quantity."
    )
    collar_bps: Annotated[int, Whole(1, 500, ceiling=True)] = Field(
        default=50, description="How far beyond the reference price an order may buy or sell, in bps."
    )
    rest_bps: Annotated[int, Whole(1, 500, ceiling=True)] = Field(
        default=200, description="How far from the reference price a resting order may lie, in bps."
    )
    period_collar_bps: Annotated[int, Whole(10, 1000, ceiling=True)] = Field(
        default=300,
        description="How far the reference may move from the arrival price before the order pauses, in bps.",
    )
    references: Annotated[int, Whole(2, 3, ceiling=True)] = Field(
        default=2, description="How many fresh sources (mid, last trade, minute VWAP) the reference price needs."
    )
    reference_age: Annotated[Nanos, Span("100ms", "30s", ceiling=True)] = Field(
        default=Nanos(5 * SECOND), description="A source of the reference price is fresh up to this age."
    )
    stale_age: Annotated[Nanos, Span("500ms", "30s", ceiling=True)] = Field(
        default=Nanos(10 * SECOND), description="Market data older than this stop every new order."
    )
    participation: Annotated[int, Rate("25%", ceiling=True)] = Field(
        default=100_000, description="The most of the market's volume that we may be; an order may ask for less."
    )
    participation_window: Annotated[Nanos, Span("30s", "15m", ceiling=True)] = Field(
        default=Nanos(5 * MINUTE), description="The rolling window over which participation is measured."
    )
    ahead: Annotated[int, Rate("10%", ceiling=True)] = Field(
        default=50_000, description="How far filled and open quantity may run ahead of the schedule, of the parent."
    )
    open_orders: Annotated[int, Whole(1, 20, ceiling=True)] = Field(default=5, description="Child orders open at once.")
    messages_per_second: Annotated[int, Whole(1, 10, ceiling=True)] = Field(
        default=2, description="New orders a second, on average; cancels and queries are never held back."
    )
    message_burst: Annotated[int, Whole(1, 20, ceiling=True)] = Field(default=5, description="New orders at once.")
    rejects_in_a_row: Annotated[int, Whole(1, 10, ceiling=True)] = Field(
        default=5, description="So many refusals of the exchange in a row stop the order."
    )
    rejects_per_minute: Annotated[int, Whole(1, 50, ceiling=True)] = Field(
        default=10, description="So many refusals of the exchange within a minute stop the order."
    )
    same_orders: Annotated[int, Whole(1, 50, ceiling=True)] = Field(
        default=20, description="So many orders of one price and quantity within a minute stop the order."
    )
    messages_per_fill: Annotated[int, Whole(5, 500, ceiling=True)] = Field(
        default=100, description="Orders and cancels that may be sent for each fill, over ten minutes."
    )
    children_per_slice: Annotated[int, Whole(1, 50, ceiling=True)] = Field(
        default=20, description="Child orders that one slice may send."
    )
    spread_bps: Annotated[int, Whole(1, 500, ceiling=True)] = Field(
        default=100, description="The widest spread in which a new order is sent, in bps."
    )
    swing_bps: Annotated[int, Whole(10, 1000, ceiling=True)] = Field(
        default=200,
        description="Trades further apart than this within 10 s pause the order for 30 s, the third time in an hour "
        "until an operator resumes it, in bps.",
    )
    slippage_bps: Annotated[int, Whole(1, 200, ceiling=True)] = Field(
        default=25,
        description="When the fills have cost more than this beyond the market's VWAP, of the whole order's value, "
        "the order stops until an operator resumes it, in bps.",
    )
    clock_skew: Annotated[Nanos, Span("50ms", "1s", ceiling=True)] = Field(
        default=Nanos(750 * MILLISECOND),
        description="A clock further off the exchange's than this stops every new order.",
    )
    ack_timeout: Annotated[Nanos, Span("500ms", "30s", ceiling=True)] = Field(
        default=Nanos(5 * SECOND), description="An order that the exchange has not answered for so long is in doubt."
    )


class RiskFile(File):
    """config/risk.yaml: what may be traded, and how much at once.  An order file can tighten it, never loosen it."""

    complete = True

    instruments: dict[Symbol, InstrumentLimits] = Field(
        default={}, description=f"The instruments that may be traded, at most {INSTRUMENTS}; any other is refused."
    )
    limits: LimitSettings = Field(default=LimitSettings(), description="Limits for every instrument.")

    @model_validator(mode="after")
    def _not_too_many(self) -> RiskFile:
        if len(self.instruments) > INSTRUMENTS:
            raise cross("instruments", f"value is {len(self.instruments)} of them; allowed: at most {INSTRUMENTS}")
        return self


# -------------------------------------------------------------------------------------------------------- order file


class OrderFile(File):
    """A parent order, as its operator writes it."""

    symbol: Symbol = Field(description="What to trade.")
    side: Annotated[Side, Choice(Side)] = Field(description="Which way.")
    quantity: Annotated[Decimal, Number(example="25")] | None = Field(
        default=None, description="How much, in the base currency.  Give this or notional."
    )
    notional: Annotated[Decimal, Number(example="50000")] | None = Field(
        default=None,
        description="For how much, in the quote currency; a buy never spends more.  Give this or quantity.",
    )
    start: Annotated[Nanos | None, Moment(now=True)] = Field(default=None, description="When to begin.")
    end: Annotated[Nanos, Moment()] | None = Field(default=None, description="When to be done.  Give this or duration.")
    duration: Annotated[Nanos, Span("10s", "7d")] | None = Field(
        default=None, description="How long to take from the start.  Give this or end."
    )
    slices: Annotated[int, Whole(1, 5000)] | None = Field(
        default=None,
        description="In how many slices.  Give this, or slice, or neither: then a slice is a twelfth of the "
        "order's time, but not under 5 s and not over 1 min.",
    )
    slice: Annotated[Nanos, Span("1s", "1h")] | None = Field(default=None, description="How long a slice is.")
    limit_price: Annotated[Decimal, Number(example="64250.5")] | None = Field(
        default=None, description="The worst price at which anything is traded."
    )
    participation: Annotated[int, Rate("25%", ceiling=True)] | None = Field(
        default=None, description="The most of the market's volume that we may be; at most what risk.yaml allows."
    )
    urgency: Annotated[Urgency, Choice(Urgency)] = Field(
        default=Urgency.MEDIUM, description="How soon a slice that rests in the book crosses the spread."
    )
    finish: Annotated[Finish, Choice(Finish)] = Field(
        default=Finish.CROSS,
        description="What becomes of a rest at the end: cross the spread inside the collar, or leave it.",
    )
    model: ModelName | None = Field(default=None, description="What proposes the slices; else the model of execd.yaml.")
    shadow: ShadowName | None = Field(
        default=None, description="What proposes beside it, recorded and never obeyed; else the shadow of execd.yaml."
    )
    name: Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}", "up to 40 letters, digits, spaces and . _ -")] = (
        Field(default="order", description="A name for logs and reports.")
    )
    exchange: ExchangeName | None = Field(default=None, description="Refuse the order on any exchange but this one.")

    @model_validator(mode="after")
    def _consistent(self) -> OrderFile:
        if (self.quantity is None) == (self.notional is None):
            have = "neither is given" if self.quantity is None else "both are given"
            raise cross("quantity", f"{have}; allowed: either quantity or notional")
        if (self.end is None) == (self.duration is None):
            have = "neither is given" if self.end is None else "both are given"
            raise cross("duration", f"{have}; allowed: either end or duration")
        if self.slices is not None and self.slice is not None:
            raise cross("slice", "slices is given too; allowed: either slices or slice")
        if self.start is not None and self.end is not None and self.end <= self.start:
            show = Moment().show
            raise cross("end", f"value is {show(self.end)!r}; allowed: a time after the start, {show(self.start)}")
        return self
