"""What an operator does to running daemons from another process: look, pause, resume, cancel, kill, reset."""

from __future__ import annotations

import getpass
import json as json_module
import sys
from pathlib import Path

from rich.table import Table

from execd.runtime import control
from execd.runtime.latch import Latch
from execd.runtime.show import console_for_people

SHOWN = (
    ("state", "state"),
    ("held", "nothing is sent because"),
    ("side", "side"),
    ("symbol", "symbol"),
    ("quantity", "quantity"),
    ("filled", "filled"),
    ("average_price", "average price"),
    ("market_vwap", "market VWAP"),
    ("slippage_bps", "slippage, bps"),
    ("participation", "participation"),
    ("missing_trades", "prints not seen"),
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
        table.add_row(words, str(found.get(key)))
    console_for_people().print(table)


def tell(state_dir: Path, name: str | None, verb: str) -> None:
    """Send a verb to a running parent.  Raises ControlError."""
    answer = control.ask(control.choose(active(state_dir), name), verb)
    sys.stdout.write(f"{answer.get('parent')}: {verb} was taken\n")


def kill(state_dir: Path, reason: str) -> None:
    """Latch the kill switch of everything that runs on a state folder.  Raises LatchError."""
    latch = Latch.of_all(state_dir)
    latch.trip(reason, getpass.getuser())
    sys.stdout.write(
        f"{latch.path}: latched; running daemons cancel what is open and send nothing until `execd reset`\n"
    )


def reset(state_dir: Path, reason: str) -> None:
    """Release the kill switch, showing why it was set.  Raises LatchError."""
    latch = Latch.of_all(state_dir)
    for cause in latch.reset(getpass.getuser(), reason):
        sys.stdout.write(f"was: {cause.cause} (by {cause.by})\n")
    sys.stdout.write(f"{latch.path}: released; the record is in {latch.log}\n")


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
