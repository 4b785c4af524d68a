"""execd's commands: parse, call, print.

Promise: bad input ends with one clear message on standard error and an exit code from the list below, never with a
traceback; what a machine reads goes to standard output, all else to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fractions import Fraction

    from execd.runtime.launch import Job

DONE, UNEXPECTED, USAGE, UNFILLED, INTERLOCK, HUMAN, BAD_INPUT = 0, 1, 2, 3, 4, 5, 78

EPILOG = (
    "Exit codes: 0 done or drained; 1 unexpected; 2 usage; 3 the parent ended unfilled; 4 a safety interlock refused; "
    "5 a human is needed; 70 the journal could not be written; 78 bad order, configuration, model or data."
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Works a parent order on a crypto exchange so that its average price stays close to the market's VWAP.",
    epilog=EPILOG,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

OrderOption = Annotated[Path, typer.Option("--parent-order", "-o", help="The order file (docs/order-file.md).")]
ConfigOption = Annotated[Path, typer.Option("--config", help="The settings (docs/configuration.md).")]
StateOption = Annotated[
    Path | None, typer.Option("--state-dir", envvar="EXECD_STATE_DIR", help="Overrides state_dir of the settings.")
]
ModeOption = Annotated[
    str | None, typer.Option("--mode", help="Overrides mode of the settings: practice, paper, testnet or live.")
]
ExchangeOption = Annotated[
    Path | None,
    typer.Option(
        "--exchange",
        envvar="EXECD_EXCHANGE",
        help="A file with the ready line of a running `execd exchange --tls`; else practice starts its own.",
    ),
]
TapeOption = Annotated[Path | None, typer.Option("--tape", help="Practice: replay these trades (parquet or csv).")]
SpeedOption = Annotated[str, typer.Option("--speed", help="Practice: seconds of tape a second, such as 4 or 0.5.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines: the last line of output is one JSON object.")]
LiveOption = Annotated[bool, typer.Option("--live", help="Real money: needed beside mode live.")]
PortOption = Annotated[
    int | None, typer.Option("--metrics-port", min=0, max=65535, help="Overrides metrics.port of the settings.")
]

ScopeOption = Annotated[str, typer.Option("--scope", help="What it stops: all, exchange NAME or parent NAME.")]
ScopeName = Annotated[str | None, typer.Argument(help="Which exchange or parent, with --scope.")]

CONFIG = Path("config/execd.yaml")


@app.command(
    epilog="Example: execd run --parent-order config/orders/demo.yaml   |   "
    "execd run -o config/orders/tape.yaml --tape trades.parquet --speed 4 --json"
)
def run(
    parent_order: OrderOption,
    config: ConfigOption = CONFIG,
    *,
    state_dir: StateOption = None,
    mode: ModeOption = None,
    exchange: ExchangeOption = None,
    tape: TapeOption = None,
    speed: SpeedOption = "1",
    live: LiveOption = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Give up an unfinished parent of this order file.")] = False,
    metrics_port: PortOption = None,
    json: JsonOption = False,
) -> None:
    """Work a parent order to its end.  The same command again resumes a parent that was interrupted."""
    from execd.runtime.loop import quick_start

    with _one_message(), quick_start():
        job = _job(parent_order, config, state_dir, mode, exchange, tape, speed, metrics_port, live=live, fresh=fresh)
        code = _run(job, json=json)
    raise typer.Exit(code)


@app.command(epilog="Example: execd check --parent-order config/orders/demo.yaml")
def check(
    parent_order: OrderOption,
    config: ConfigOption = CONFIG,
    *,
    state_dir: StateOption = None,
    mode: ModeOption = None,
    exchange: ExchangeOption = None,
    tape: TapeOption = None,
    speed: SpeedOption = "1",
    live: LiveOption = False,
    json: JsonOption = False,
) -> None:
    """Say all that is wrong with an order, or show its plan.  Nothing is sent."""
    with _one_message():
        from execd.runtime import checking, loop

        job = _job(parent_order, config, state_dir, mode, exchange, tape, speed, None, live=live, fresh=False)
        found = loop.run(checking.check(job))
        checking.show(found, json=json)
    raise typer.Exit(DONE)


@app.command(epilog="Example: execd exchange --port 8080 --tls --seed 7 > exchange.json")
def exchange(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port on loopback; 0 takes a free one.")] = 0,
    *,
    tls: Annotated[bool, typer.Option("--tls", help="Serve TLS with an authority of its own.")] = False,
    tape: Annotated[Path | None, typer.Option(help="Replay these trades (parquet or csv).")] = None,
    book: Annotated[Path | None, typer.Option(help="Best quotes, or depth (*_l2), of the tape.")] = None,
    speed: SpeedOption = "1",
    seed: Annotated[int, typer.Option(min=0, help="The seed of the synthetic market.")] = 7,
    symbols: Annotated[str | None, typer.Option(help="Comma-separated, such as BTC/USDT,ETH/USDT.")] = None,
    balances: Annotated[str | None, typer.Option(help="Such as USDT=5000000,BTC=50.")] = None,
    linger: Annotated[float | None, typer.Option(help="Leave after nobody was there for so many seconds.")] = None,
    ed25519: Annotated[Path | None, typer.Option(help="A public key (PEM) to accept beside the HMAC key.")] = None,
    weight: Annotated[int, typer.Option(min=1, help="Request weight a minute; more is answered with 429.")] = 6_000,
    faults: Annotated[Path | None, typer.Option(help="Misbehave by the rules of this file (YAML).")] = None,
    key_permissions: Annotated[
        str, typer.Option(help="What its key is said to be allowed: trade, withdraw, transfer, no-ip or read.")
    ] = "trade",
) -> None:
    """Serve the practice exchange: Binance Spot's protocol on loopback.  Prints one JSON line when it is ready."""
    with _one_message():
        from execd.exchange.options import ExchangeOptions, read_balances, read_rights
        from execd.exchange.server import main as serve

        options = ExchangeOptions(
            port=port,
            tls=tls,
            tape=tape,
            book=book,
            speed=_speed(speed),
            seed=seed,
            symbols=None if symbols is None else tuple(word.strip() for word in symbols.split(",")),
            balances=None if balances is None else read_balances(balances),
            linger=linger,
            ed25519=ed25519,
            weight=weight,
            faults=faults,
            rights=read_rights(key_permissions),
        )
        code = serve(options)
    raise typer.Exit(code)


@app.command(epilog="Example: execd replay state/done/practice-demo-p....journal")
def replay(journal: Annotated[Path, typer.Argument(help="A journal.")], *, json: JsonOption = False) -> None:
    """Repeat every decision of a journal and say whether each was identical."""
    with _one_message():
        from execd.runtime import reading

        identical = reading.replay(journal, json=json)
    raise typer.Exit(DONE if identical else HUMAN)


@app.command(epilog="Example: execd report state/done/practice-demo-p....journal")
def report(journal: Annotated[Path, typer.Argument(help="A journal.")], *, json: JsonOption = False) -> None:
    """Show the report of a journal, as far as it goes.  The exchange is not asked."""
    with _one_message():
        from execd.runtime import reading

        reading.report(journal, json=json)


@app.command(epilog="Example: execd status   |   execd status practice-demo --json")
def status(
    name: Annotated[str | None, typer.Argument(help="Which parent, where several run.")] = None,
    config: ConfigOption = CONFIG,
    *,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """Show how a running parent stands."""
    with _one_message():
        from execd.runtime import operate

        operate.status(_state_dir(config, state_dir), name, json=json)


def _verb(name: str, help_text: str) -> None:
    @app.command(name, help=help_text, epilog=f"Example: execd {name}   |   execd {name} practice-demo")
    def verb(
        parent: Annotated[str | None, typer.Argument(help="Which parent, where several run.")] = None,
        config: ConfigOption = CONFIG,
        *,
        state_dir: StateOption = None,
    ) -> None:
        with _one_message():
            from execd.runtime import operate

            operate.tell(_state_dir(config, state_dir), parent, name)


_verb("pause", "Send no new orders for a running parent and cancel what is open; `resume` lifts it.")
_verb("resume", "Lift a pause, and let an order that was stopped by rejections go on.")
_verb("cancel", "End a running parent: cancel, resolve, report.")


@app.command(
    epilog='Example: execd kill --reason "wrong side"   |   '
    'execd kill --scope parent practice-demo --reason "wrong side"'
)
def kill(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    name: ScopeName = None,
    config: ConfigOption = CONFIG,
    *,
    scope: ScopeOption = "all",
    state_dir: StateOption = None,
) -> None:
    """Trip the kill switch: nothing but cancels and queries leaves any more, over every restart, until `reset`."""
    with _one_message():
        from execd.runtime import operate

        operate.kill(_state_dir(config, state_dir), reason, scope, name)


@app.command(epilog='Example: execd reset --reason "cause found: wrong side in the order file"')
def reset(
    reason: Annotated[str, typer.Option("--reason", help="Why it may trade again; it is recorded.")],
    name: ScopeName = None,
    config: ConfigOption = CONFIG,
    *,
    scope: ScopeOption = "all",
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="The scope's name, typed here and not at the prompt.")
    ] = None,
    unreconciled: Annotated[
        bool, typer.Option("--unreconciled", help="No daemon runs; I have looked at the exchange: nothing is open.")
    ] = False,
    state_dir: StateOption = None,
) -> None:
    """Release the kill switch, once nothing is open or in doubt and the accounts agree.  Only a human does this."""
    with _one_message():
        from execd.runtime import operate

        operate.reset(_state_dir(config, state_dir), reason, scope, name, confirm, unreconciled=unreconciled)


@app.command(
    epilog="Example: execd watchdog   |   execd watchdog --once --json   |   execd watchdog --exchange exchange.json"
)
def watchdog(
    config: ConfigOption = CONFIG,
    *,
    state_dir: StateOption = None,
    mode: ModeOption = None,
    exchange: Annotated[
        Path | None,
        typer.Option(
            "--exchange",
            envvar="EXECD_EXCHANGE",
            help="Practice: the file that `execd run --exchange` was given; else the exchange that it started.",
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Judge each heartbeat a single time; 5 if the kill switch is set.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Watch the daemons of a state folder; when one falls silent, trip the kill switch and cancel at the exchange.

    Run it beside `execd run`, as a process of its own, with a key of its own, until a signal ends it.
    """
    with _one_message():
        from execd.runtime import loop, watchdog_run
        from execd.runtime.overrides import override
        from execd.runtime.settings import Settings, load

        settings = override(load(config, Settings), state_dir=state_dir, mode=mode, metrics_port=None)
        found = loop.run(watchdog_run.run(watchdog_run.Post(settings, exchange, once=once)))
        if json:
            sys.stdout.write(_json(found.as_dict()) + "\n")
    raise typer.Exit(HUMAN if once and found.latched else DONE)


@app.command(epilog='Example: execd override child_notional=80000 --for 15m --reason "thick book, agreed with risk"')
def override(
    setting: Annotated[str, typer.Argument(help="KEY=VALUE, as in risk.yaml (execd controls --page lists the keys).")],
    name: Annotated[str | None, typer.Argument(help="Which parent, where several run.")] = None,
    config: ConfigOption = CONFIG,
    *,
    lasting: Annotated[str, typer.Option("--for", help="How long, at most 1d.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    state_dir: StateOption = None,
) -> None:
    """Loosen one limit of a running parent for a while, as another user than the one who runs it."""
    with _one_message():
        from execd.runtime import control, loosening
        from execd.runtime.operate import active

        folder = _state_dir(config, state_dir)
        stem = control.choose(active(folder), name).name.removesuffix(control.SUFFIX)
        sys.stdout.write(loosening.ask(folder, stem, setting, lasting, reason) + "\n")


@app.command(
    epilog='Example: execd approve config/orders/large.yaml --mode live --reason "agreed in the morning meeting"'
)
def approve(
    order: Annotated[Path, typer.Argument(help="The order file.")],
    config: ConfigOption = CONFIG,
    *,
    mode: ModeOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is recorded.")],
    state_dir: StateOption = None,
) -> None:
    """Approve an order file, byte for byte, for another user to run within a day (risk.yaml: approval_notional)."""
    with _one_message():
        from execd.runtime import approval
        from execd.runtime.overrides import override as changed
        from execd.runtime.settings import OrderFile, Settings, load

        settings = changed(load(config, Settings), state_dir=state_dir, mode=mode, metrics_port=None)
        path = approval.approve(settings.state_dir, load(order, OrderFile), settings.mode, reason)
        sys.stdout.write(f"{path}: {order} is approved for mode {settings.mode.value}\n")


@app.command(epilog="Example: execd controls   |   execd controls practice-demo --json   |   execd controls --page")
def controls(
    name: Annotated[str | None, typer.Argument(help="Which parent, where several run.")] = None,
    config: ConfigOption = CONFIG,
    *,
    page: Annotated[bool, typer.Option("--page", help="Print docs/controls.md instead.")] = False,
    state_dir: StateOption = None,
    json: JsonOption = False,
) -> None:
    """List every control with its limit, and how much of it a running parent uses right now."""
    with _one_message():
        from execd.runtime import inventory
        from execd.runtime.settings import RiskFile, Settings, load

        if page:
            sys.stdout.write(inventory.page())
            return
        settings = load(config, Settings)
        risk = load(settings.risk_file, RiskFile)
        inventory.show(_state_dir(config, state_dir), name, risk, settings, json=json)


@app.command(epilog="Example: execd healthcheck")
def healthcheck(
    config: ConfigOption = CONFIG,
    *,
    state_dir: StateOption = None,
) -> None:
    """Ask each running daemon of the state folder whether it answers.  Exit code 1 if one does not."""
    with _one_message():
        from execd.runtime import operate

        well = operate.healthy(_state_dir(config, state_dir))
    raise typer.Exit(DONE if well else UNEXPECTED)


@app.command(epilog="Example: execd train models/recipes/vwap-2.yaml --data DIR --out models/vwap-2")
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe under models/recipes.")],
    data: Annotated[Path, typer.Option(help="The folder of market data (docs/evaluation.md).")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
) -> None:
    """Train a model from a recipe.  Interrupted, the same command goes on."""
    with _one_message():
        from execd.learning import progress
        from execd.learning.training import train as teach

        with progress.bars() as say:
            teach(recipe, data, out, say)


@app.command(epilog="Example: execd evaluate models/vwap-2 --data DIR/bars/binance_perp_30m --until 2025-07-01")
def evaluate(
    data: Annotated[Path, typer.Option(help="A folder of bars, SYM.parquet each (models/README.md).")],
    models: Annotated[list[Path] | None, typer.Argument(help="Model folders; none: the baselines alone.")] = None,
    *,
    shapes: Annotated[str, typer.Option(help="Comma-separated; the first is the main one.")] = "12x1h",
    assets: Annotated[str | None, typer.Option(help="Comma-separated file stems; all, if absent.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="Date; after the models' data, if absent.")] = None,
    until: Annotated[str | None, typer.Option(help="Date; the end of the data, if absent.")] = None,
    refit_months: Annotated[int, typer.Option(help="How often the baselines are fitted anew.")] = 1,
    methods: Annotated[
        str,
        typer.Option(
            help="Baselines, comma-separated: names, default (seconds an asset and refit) or all, which adds "
            "rnn_dynamic and transformer_pooled: of each about 50 seconds of a core an asset and half-year."
        ),
    ] = "default",
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; as many as cores, if absent.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the tables and plots into this file.")] = None,
    held_out: Annotated[bool, typer.Option("--held-out", help="Instead: by the first recipe's split.")] = False,
    json: JsonOption = False,
) -> None:
    """Score models beside every baseline, on data that is later than what they learned from."""
    with _one_message():
        from execd.learning import comparison, evaluation, page, progress, tables, walkforward

        names = tuple(models or ())
        if held_out and not names:
            raise typer.BadParameter("--held-out: has no model whose recipe says what was held out; name one")
        if html is not None and not html.parent.is_dir():
            raise typer.BadParameter(f"--html {html}: its folder is absent; allowed is a file in one that exists")
        if held_out:
            with progress.bars() as say:
                judged = evaluation.evaluate(names, data, say)
            sys.stdout.write((_json(judged) if json else evaluation.render(judged)) + "\n")
            return
        question = comparison.Question(
            models=names,
            folder=data,
            shapes=tuple(comparison.layout(text) for text in shapes.split(",")),
            assets=None if assets is None else tuple(word.strip() for word in assets.split(",")),
            first=first,
            until=until,
            months=refit_months,
            methods=walkforward.named(methods),
            jobs=jobs or os.cpu_count() or 1,
        )
        with progress.bars() as say:
            found = comparison.compare(question, say)
        if html is not None:
            html.write_text(page.page(found), encoding="utf-8")
        if json:
            sys.stdout.write(_json(found) + "\n")
        else:
            tables.show(found)


@app.command(epilog="Example: execd backtest --data DIR --duration 90s --slices 15 --parents 2000 --json")
def backtest(
    data: Annotated[Path, typer.Option(help="A file of bars or of trades, or a folder of them (docs/backtest.md).")],
    config: ConfigOption = CONFIG,
    *,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Whom to compare, once for each: a model's name, curve or twap. [default: all of these]"),
    ] = None,
    duration: Annotated[str, typer.Option(help="The length of a parent, such as 90s or 4h.")] = "90s",
    slices: Annotated[int, typer.Option(help="Into how many slices it is cut.")] = 15,
    quantity_share: Annotated[str, typer.Option(help="Its size, of the market's volume in its window.")] = "1%",
    parents: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many are worked.")] = 1000,
    spread: Annotated[str, typer.Option(help="Bps between bid and ask where no quotes were recorded.")] = "1",
    seed: Annotated[int, typer.Option(min=0, help="The seed of starts and sides.")] = 7,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 2,
    json: JsonOption = False,
) -> None:
    """Work many parents through the real core on the past, with the fills of mode paper, and say what is achieved."""
    with _one_message():
        from execd.learning import progress
        from execd.runtime import backtest as backtesting
        from execd.runtime import backtest_report
        from execd.runtime.settings import RiskFile, Settings, load

        settings = load(config, Settings)
        job = backtesting.Job(
            settings=settings,
            risk=load(settings.risk_file, RiskFile),
            data=data,
            models=tuple(model or dict.fromkeys((settings.model, "curve", "twap"))),
            shape=backtesting.shape(duration, slices, quantity_share),
            parents=parents,
            seed=seed,
            workers=workers,
            spread_bps=backtesting.spread(spread),
        )
        with progress.bars() as say:
            found = backtesting.backtest(job, say)
        sys.stdout.write(_json(found) if json else backtest_report.render(found))
        sys.stdout.write("\n")


def _run(job: Job, *, json: bool) -> int:
    from execd.runtime import daemon, loop, screen
    from execd.runtime.report import as_json
    from execd.runtime.show import console_for_people, show

    with screen.open_screen(quiet=json) as shown:
        result = loop.run(daemon.run(job, shown))
    found = result.report
    if json:
        sys.stdout.write(as_json(found) + "\n")
    else:
        show(found, console_for_people())
    if result.drained:
        sys.stderr.write("execd: drained; the same command resumes the parent\n")
        return DONE
    if not found.verdict.agrees:
        return HUMAN
    return DONE if found.complete or found.state == "canceled" else UNFILLED


def _job(
    parent_order: Path,
    config: Path,
    state_dir: Path | None,
    mode: str | None,
    exchange_file: Path | None,
    tape: Path | None,
    speed: str,
    metrics_port: int | None,
    *,
    live: bool,
    fresh: bool,
) -> Job:
    from execd.runtime.launch import Job
    from execd.runtime.overrides import override
    from execd.runtime.settings import OrderFile, RiskFile, Settings, SettingsError, load

    settings = override(load(config, Settings), state_dir=state_dir, mode=mode, metrics_port=metrics_port)
    risk = load(settings.risk_file, RiskFile)
    if tape is not None and not tape.is_file():
        raise SettingsError([f"--tape: {tape} is no file; give a parquet or csv file of trades"])
    return Job(
        settings=settings,
        risk=risk,
        order=load(parent_order, OrderFile),
        live=live,
        exchange=exchange_file,
        tape=tape,
        speed=_speed(speed),
        fresh=fresh,
    )


def _state_dir(config: Path, state_dir: Path | None) -> Path:
    from execd.runtime.settings import Settings, load

    return state_dir or load(config, Settings).state_dir


def _speed(text: str) -> Fraction:
    from fractions import Fraction

    try:
        speed = Fraction(text)
    except (ValueError, ZeroDivisionError):
        speed = Fraction(0)
    if not 0 < speed <= 1000:
        raise typer.BadParameter(f"--speed: value is {text}; allowed: a number above 0 and at most 1000, such as 4")
    return speed


def _json(found: Any) -> str:
    import json

    return json.dumps(found, allow_nan=False)


@contextmanager
def _one_message() -> Iterator[None]:
    """Turn what an operator can cause into one message and an exit code."""
    try:
        yield
    except (typer.Exit, typer.BadParameter):
        raise
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        sys.stderr.write(f"execd: {error}\n")
        raise typer.Exit(code) from None


def exit_code(error: Exception) -> int | None:
    """The documented exit code of an expected error; None for one that nobody expected."""
    for module, name, code in EXPECTED:
        # Looked up only where its module was imported: an error cannot come from one that was not.
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return code
    return None


EXPECTED = (
    ("execd.runtime.settings_load", "SettingsError", BAD_INPUT),
    ("execd.runtime.admission", "AdmissionRefused", BAD_INPUT),
    ("execd.runtime.siblings", "OppositeError", HUMAN),
    ("execd.runtime.approval", "ApprovalError", INTERLOCK),
    ("execd.runtime.loosening", "OverrideError", HUMAN),
    ("execd.runtime.launch", "InterlockError", INTERLOCK),
    ("execd.runtime.practice", "PracticeError", BAD_INPUT),
    ("execd.runtime.backtest_market", "BacktestRefused", BAD_INPUT),
    ("execd.runtime.session", "UnsafeError", HUMAN),
    ("execd.runtime.journal_file", "JournalError", HUMAN),
    ("execd.runtime.codec", "JournalError", HUMAN),
    ("execd.runtime.latch", "LatchError", HUMAN),
    ("execd.runtime.scopes", "ScopeError", USAGE),
    ("execd.runtime.control", "ControlError", HUMAN),
    ("execd.runtime.heartbeat", "HeartbeatError", HUMAN),
    ("execd.venues", "VenueMismatch", INTERLOCK),
    ("execd.venues", "VenueUnanswered", UNEXPECTED),
    ("execd.venues", "VenueError", BAD_INPUT),
    ("execd.policies.manifest", "ModelRefused", BAD_INPUT),
    ("execd.learning.recipe", "RecipeRefused", BAD_INPUT),
    ("execd.learning.series", "DataRefused", BAD_INPUT),
    ("execd.exchange.options", "BadOptions", BAD_INPUT),
)
"""Every error that input, the exchange or an operator can cause, by the module that defines it."""


def main() -> None:
    """Run the command line."""
    # Threads of numerical libraries are slower than one for a single row, and take the core that the feed needs.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    app()
