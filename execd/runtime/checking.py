"""`execd check`: everything that `execd run` would refuse, and the plan, without sending anything."""

from __future__ import annotations

import json as json_module
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from execd.runtime import launch, practice
from execd.runtime.admission import Admission
from execd.runtime.clock import Clock
from execd.runtime.launch import Job
from execd.runtime.report import moment
from execd.runtime.session import admitted
from execd.runtime.show import console_for_people


@dataclass(frozen=True, slots=True)
class Checked:
    """An order that could run now: its plan, its quote, and who would decide."""

    admission: Admission
    bid: str
    ask: str
    model: str
    fallback: str | None
    shadow: str | None
    shadow_refused: str | None
    warnings: tuple[str, ...]


async def check(job: Job) -> Checked:
    """Connect, look, admit, leave.

    Raises:
        InterlockError, AdmissionRefused, UnsafeError, SettingsError, VenueError, PracticeError: one clear sentence.
    """
    launch.interlocks(job)
    clock = Clock()
    async with AsyncExitStack() as stack:
        opened = await launch.open_exchange(job, clock, None)
        if opened.own and opened.practice is not None:
            stack.callback(practice.stop, opened.practice)
        stack.push_async_callback(opened.venue.close)
        instrument = await launch.settle(job, opened, clock)
        found = await admitted(job, opened.venue, instrument, clock)
    admission, quote, advice, shadow = found.admission, found.quote, found.advice, found.shadow
    return Checked(
        admission,
        f"{instrument.price(quote.bid):f}",
        f"{instrument.price(quote.ask):f}",
        advice.asked,
        advice.fallback,
        None if shadow is None else shadow.asked,
        None if shadow is None else shadow.fallback,
        (*admission.warnings, *opened.warnings),
    )


def show(found: Checked, *, json: bool) -> None:
    """Print the plan."""
    if json:
        sys.stdout.write(json_module.dumps(as_dict(found)) + "\n")
        return
    console = console_for_people()
    parent = found.admission.parent
    quantity = parent.instrument.quantity
    table = Table(
        title=f"{parent.side.value} {quantity(parent.quantity):f} {parent.instrument.symbol}, {parent.slices} slices, "
        f"market {found.bid} / {found.ask}"
    )
    for name in ("slice", "from", "to", "in it", "by its end"):
        table.add_column(name, justify="right")
    for row in found.admission.plan:
        table.add_row(
            str(row.slice + 1),
            moment(row.start)[11:23],
            moment(row.end)[11:23],
            f"{quantity(row.lots):f}",
            f"{quantity(row.planned):f}",
        )
    console.print(table)
    console.print(
        f"Decides: {found.model}" + (f" would not, the curve does: {found.fallback}" if found.fallback else "")
    )
    if found.shadow is not None:
        console.print(
            f"Watches: {found.shadow}" + (f" would not: {found.shadow_refused}" if found.shadow_refused else "")
        )
    for warning in found.warnings:
        console.print(f"Note: {warning}", style="yellow")
    console.print("The order can run. Nothing was sent.", style="green")


def as_dict(found: Checked) -> dict[str, Any]:
    """The plan as JSON types."""
    parent = found.admission.parent
    quantity = parent.instrument.quantity
    return {
        "ok": True,
        "symbol": parent.instrument.symbol,
        "side": parent.side.value,
        "quantity": float(quantity(parent.quantity)),
        "start": moment(parent.start),
        "end": moment(parent.end),
        "bid": float(found.bid),
        "ask": float(found.ask),
        "model": found.model,
        "fallback": found.fallback,
        "shadow": found.shadow,
        "shadow_refused": found.shadow_refused,
        "warnings": list(found.warnings),
        "slices": [
            {
                "slice": row.slice + 1,
                "start": moment(row.start),
                "quantity": float(quantity(row.lots)),
                "planned": float(quantity(row.planned)),
            }
            for row in found.admission.plan
        ],
    }
