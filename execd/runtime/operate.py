"""What an operator does to running daemons from another process: look, pause, resume, cancel, kill, reset."""

from __future__ import annotations

import json as json_module
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.table import Table

from execd.runtime import control, release, scopes
from execd.runtime.exactness import bps, percent
from execd.runtime.latch import Latch, LatchError
from execd.runtime.scopes import Target
from execd.runtime.show import console_for_people
from execd.runtime.users import named

NUDGE_WITHIN_S = 1.0
"""How long a daemon may take to say that it will look; it looks by itself within `timing.latch_poll`."""

SHOWN = (
    ("state", "state"),
    ("held", "nothing is sent because"),
    ("side", "side"),
    ("symbol", "symbol"),
    ("quantity", "quantity"),
    ("filled", "filled"),
    ("average_price", "average price"),
    ("market_vwap", "market VWAP"),
    ("open_orders", "open orders"),
    ("in_doubt", "of these in doubt"),
    ("slippage_bps", "slippage"),
    ("participation", "participation"),
    ("coverage", "prints in the market VWAP"),
    ("missing_trades", "prints known to be missing"),
    ("reconciliation", "reconciliation"),
)


def active(state_dir: Path) -> Path:
    """Where the sockets of running daemons lie."""
    return state_dir / "active"


def status(state_dir: Path, name: str | None, *, json: bool) -> None:
    """Print how a running parent stands.  Raises ControlError."""
    found = control.ask(control.choose(active(state_dir), name), "status")
    if json:
        sys.stdout.write(json_module.dumps(found) + "\n")
        return
    table = Table(title=str(found.get("parent")))
    table.add_column("what")
    table.add_column("figure", justify="right")
    for key, words in SHOWN:
        table.add_row(words, _figure(found, key))
    for cause in found.get("kill", {}).get("causes", ()):
        table.add_row("kill switch", str(cause))
    console_for_people().print(table)


def _figure(found: dict[str, Any], key: str) -> str:
    """A figure of a status in words; one that rests on an incomplete benchmark with its error."""
    value, exact = found.get(key), bool(found.get("benchmark_exact"))
    if key == "slippage_bps":
        return bps(value, found.get("slippage_error_bps"), exact=exact)
    if key == "coverage" and value is not None:
        return percent(Fraction(value))
    if key == "participation" and value is not None and not exact:
        return f"about {value}"
    return str(value)


def tell(state_dir: Path, name: str | None, verb: str) -> None:
    """Send a verb to a running parent.  Raises ControlError."""
    answer = control.ask(control.choose(active(state_dir), name), verb)
    sys.stdout.write(f"{answer.get('parent')}: {verb} was taken\n")


def kill(state_dir: Path, reason: str, scope: str, name: str | None) -> None:
    """Latch the kill switch of a scope, and have the running daemons look at it at once.

    Raises:
        ScopeError: there is nothing of that name; nothing was latched.
        LatchError: the latch is not known to be durable.
    """
    target = scopes.choose(state_dir, scope, name)
    latch = target.latch(state_dir)
    latch.trip(reason, who())
    sys.stdout.write(
        f"{latch.path}: latched; running daemons cancel what is open and send nothing until `execd reset`\n"
    )
    for running, path in control.running(active(state_dir)).items():
        try:
            control.ask(path, "look", NUDGE_WITHIN_S)
        except control.ControlError:
            sys.stderr.write(f"execd: {running} does not answer; if it lives, it looks at the latch by itself\n")


def reset(
    state_dir: Path, reason: str, scope: str, name: str | None, confirm: str | None, *, unreconciled: bool
) -> None:
    """Release the kill switch of a scope, showing why it was set.

    Args:
        state_dir: the state folder.
        reason: why it may trade again.
        scope: all, exchange or parent.
        name: which exchange or parent.
        confirm: the scope's name as the operator has typed it; None asks for it, where there is a terminal.
        unreconciled: the operator has looked at the exchange where no daemon can.

    Raises:
        ScopeError: there is nothing of that name.
        LatchError: it is not set, must not be released, or cannot be; it stays set.
    """
    target = scopes.choose(state_dir, scope, name)
    latch = target.latch(state_dir)
    for cause in latch.causes():
        sys.stdout.write(f"was: {cause.cause} (by {cause.by})\n")
    unproven: list[str] = []
    if latch.tripped:
        unproven = _demand_clean(release.look(state_dir, target), latch, unreconciled=unreconciled)
        _demand_typed(target, latch, confirm)
    latch.reset(who(), reason, unproven)
    sys.stdout.write(f"{latch.path}: released; the record is in {latch.log}\n")


def _demand_clean(found: release.Findings, latch: Latch, *, unreconciled: bool) -> list[str]:
    """Refuse what is not clean; what could not be known and was answered for by the operator is returned."""
    if found.forbids:
        raise LatchError(f"{latch.path}: stays set: {'; '.join(found.forbids)}")
    if found.unknown and not unreconciled:
        raise LatchError(
            f"{latch.path}: stays set: {'; '.join(found.unknown)}. Or look at the exchange yourself: --unreconciled"
        )
    return found.unknown


def _demand_typed(target: Target, latch: Latch, confirm: str | None) -> None:
    if confirm is None:
        if not sys.stdin.isatty():
            raise LatchError(f"{latch.path}: stays set: there is no terminal to ask at; give --confirm {target.name}")
        sys.stdout.write(f"Type {target.name} to release {latch.path}: ")
        sys.stdout.flush()
        confirm = sys.stdin.readline().strip()
    if confirm != target.name:
        raise LatchError(f"{latch.path}: stays set: {confirm!r} was typed, not {target.name!r}")


def who() -> str:
    """The user of this process, by the system and not by the environment; behind sudo, who called it."""
    behind = os.environ.get("SUDO_USER")
    return f"{named(os.getuid())}{f', sudo by {behind}' if behind else ''}"


def healthy(state_dir: Path) -> bool:
    """Whether every daemon that has a socket answers; says so for each."""
    well = True
    for name, path in control.running(active(state_dir)).items():
        try:
            control.ask(path, "status")
        except control.ControlError as error:
            sys.stderr.write(f"execd: {error}\n")
            well = False
        else:
            sys.stdout.write(f"{name}: answers\n")
    return well
