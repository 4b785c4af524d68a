"""The word of a second user for a large order: a file that the system says is theirs.

Promise: an approval is of one order file, byte for byte, and of one mode; whose it is, is told by the file system's
owner, never by what the file says.  Whoever runs the order cannot give it.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

from execd.core.grid import Instrument, Nanos, Notional
from execd.runtime.settings import Mode, OrderFile
from execd.runtime.users import named

FOLDER = "approvals"
VALID = Nanos(24 * 3_600 * 10**9)
"""How long an approval stands."""


class ApprovalError(Exception):
    """An approval is missing, or could not be given.  One clear sentence.  Exit code 4."""


@dataclass(frozen=True, slots=True)
class Approval:
    """What a second user said: which order file, in which mode, why and when."""

    order_sha256: str
    mode: str
    reason: str
    at: Nanos


def approve(state_dir: Path, order: OrderFile, mode: Mode, reason: str) -> Path:
    """Record that whoever runs this process approves an order file; returns where.

    Raises:
        ApprovalError: the file cannot be written.
    """
    folder = state_dir / FOLDER
    path = folder / f"{order.sha256}.{mode.value}.json"
    record = Approval(order.sha256, mode.value, reason, Nanos(time.time_ns()))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Made anew, so that its owner is who approves now, whoever may have done so before.
        path.unlink(missing_ok=True)
        with path.open("x", encoding="utf-8") as file:
            json.dump(asdict(record), file)
        path.chmod(0o644)
    except OSError as error:
        raise ApprovalError(f"{path}: the approval cannot be written: {error.strerror}") from error
    return path


def missing(state_dir: Path, order: OrderFile, mode: Mode, uid: int, now: Nanos) -> str | None:
    """Say why an order file is not approved for a user to run; None where it is."""
    path = state_dir / FOLDER / f"{order.sha256}.{mode.value}.json"
    try:
        with path.open(encoding="utf-8") as file:
            owner = os.fstat(file.fileno()).st_uid
            found = Approval(**json.load(file))
            age = now - int(found.at)
    except FileNotFoundError:
        return "nobody has approved it"
    except (OSError, ValueError, TypeError, RecursionError) as error:
        return f"{path} cannot be read ({type(error).__name__})"
    if (found.order_sha256, found.mode) != (order.sha256, mode.value):
        return f"{path} is of another order file"
    if owner == uid:
        return f"it was approved by {named(owner)}, who runs it: another user must"
    if not 0 <= age <= VALID:
        return f"the approval of {named(owner)} is older than a day"
    return None


def demand(
    state_dir: Path, order: OrderFile, mode: Mode, instrument: Instrument, worth: Notional, limit: Decimal, now: Nanos
) -> str | None:
    """Hold an order's worth against what needs a second user; returns a warning where the mode lets it pass.

    Args:
        state_dir: where approvals lie.
        order: the order file.
        mode: where its orders go.
        instrument: the grid of `worth`.
        worth: of the whole order, at its worst.
        limit: risk.yaml's approval_notional, in quote currency.
        now: this moment.

    Raises:
        ApprovalError: it is for real money, and not approved.
    """
    if instrument.money(worth) <= limit:
        return None
    why = missing(state_dir, order, mode, os.getuid(), now)
    if why is None:
        return None
    told = (
        f"{order.path} is worth {instrument.money(worth):.2f} {instrument.quote}, more than {limit:f} (risk.yaml: "
        f"approval_notional), and {why}"
    )
    if mode is Mode.LIVE:
        raise ApprovalError(f"{told}: let a second user run `execd approve {order.path} --mode live --reason WORDS`")
    return f"{told}; in mode live it would not start"
