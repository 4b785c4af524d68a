"""The controls as a person sees them: the page docs/controls.md, and `execd controls` with the limits of this moment.

Promise: the page is made of the code's own inventory and of the models that check risk.yaml and execd.yaml, so that a
default, a range or a ceiling on it is the one that is in force.
"""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from execd.core.controls import CONTROLS, NEVER_OVERRIDDEN, Control
from execd.core.grid import BPS
from execd.core.limits import OVERRIDABLE
from execd.core.risk import CONTROLS as GATE
from execd.runtime import control as door
from execd.runtime.operate import active
from execd.runtime.settings import InstrumentLimits, LimitSettings, OrderFile, RiskFile, Settings
from execd.runtime.settings_load import Group, fields, kind_of
from execd.runtime.show import console_for_people

KINDS = {
    "P": "Before a child order is sent",
    "I": "While orders are out",
    "T": "After the trade",
}
RISK, SETTINGS, ORDER = "risk.yaml", "execd.yaml", "order file"


HEAD = """\
# Controls

Made from `execd/core/controls.py` and the models of the settings files by `execd controls --page`; a test holds this
page to them. It is built to the shape of what SEC 15c3-5, RTS 6 and the FIA's papers ask for, and claims to comply
with none of them. Every limit of risk.yaml must be in the file: one that is left out refuses the start. The file's
sha256 is in the journal's record of every start. An order file can tighten a limit, never loosen it.

The gate asks in this order, and the first refusal wins: {order}. A control that raises refuses (P0). Each refusal is
in the journal with its id and its words, which name the value, the limit and the key that sets it, and is counted in
`execd_risk_rejects_total` by its id.
"""
TAIL = """\
## Overrides

`execd override KEY=VALUE --for 15m --reason WORDS`, given by another user than the one who runs the parent, loosens one
limit of risk.yaml for a while, up to its hard ceiling. It is in the journal with who, why and until when. What can be
loosened: {keys}. Never: {never}.

## What a runaway can cost

Whatever a model proposes, a router drafts or a broken gate lets pass, for ever, twice, or by a wrong price: no more
than the parent's quantity is bought, each lot of it at no more than

    arrival price * (1 + period_collar_bps / 10000) * (1 + max(collar_bps, rest_bps) / 10000)

(a sell likewise downwards), which with the shipped limits is {worst} of the parent's value. The fuse at the wire holds
to that by its own count, with the gate switched off: `tests/runtime/test_knight.py` runs execd amok in four ways
against the practice exchange, and holds it to this bound by the exchange's own account.
"""


def page() -> str:
    """Return docs/controls.md."""
    lines = [HEAD.format(order=" ".join(refusal.value for refusal, _ in GATE))]
    for letter, title in KINDS.items():
        lines += [f"## {title}", "", "| id | control | fires when | limits | action | whose | proved by |"]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [_line(each) for each in CONTROLS if each.id.startswith(letter) and not each.left_out]
        lines.append("")
    lines += ["## Left out", "", "| id | control | would fire when | why there is none |", "|---|---|---|---|"]
    lines += [
        f"| {each.id} | {each.what} | {each.definition} | {each.left_out} |" for each in CONTROLS if each.left_out
    ]
    keys = ", ".join(sorted(f"`{key.removesuffix('_ppm')}`" for key in OVERRIDABLE))
    return "\n".join([*lines, "", TAIL.format(keys=keys, never=", ".join(NEVER_OVERRIDDEN), worst=_worst())])


def _worst() -> str:
    defaults = LimitSettings()
    away = max(defaults.collar_bps, defaults.rest_bps)
    return f"{((BPS + defaults.period_collar_bps) * (BPS + away) - BPS * BPS) / BPS:.0f} bps"


def show(state_dir: Path, name: str | None, risk: RiskFile, settings: Settings, *, json: bool) -> None:
    """Print every control with its limit, and with its use where a parent is running.

    Raises:
        ControlError: a parent is named that is not running, or does not answer.
    """
    there = door.running(active(state_dir))
    status = door.ask(door.choose(active(state_dir), name), "status") if name is not None or len(there) == 1 else {}
    uses: dict[str, Any] = {use["id"]: use for use in status.get("controls", [])}
    rows = [
        {**asdict(each), "limits": dict(_limits(each, risk, settings)), "use": uses.get(each.id)}
        for each in CONTROLS
        if not each.left_out
    ]
    if json:
        sys.stdout.write(json_module.dumps({"parent": status.get("parent"), "controls": rows}) + "\n")
        return
    table = Table(title=f"Controls of {status['parent']}" if status else "Controls")
    for column in ("id", "control", "limit", "used now", "of", "when it fires"):
        table.add_column(column)
    for each, row in zip((each for each in CONTROLS if not each.left_out), rows, strict=True):
        use = row["use"] or {"used": "", "most": ""}
        limits = "\n".join(f"{key}: {value}" for key, value in row["limits"].items())
        table.add_row(each.id, each.what, limits or "fixed", use["used"], use["most"], each.action)
    console = console_for_people()
    console.print(table)
    if not status:
        console.print(
            f"{len(there)} parents run in {state_dir}: name one to see what it uses." if there else "No parent runs."
        )


def _limits(control: Control, risk: RiskFile, settings: Settings) -> Iterator[tuple[str, str]]:
    """What is in force of a control's keys: by the files as they are."""
    for key in control.keys:
        file, _, name = key.rpartition(": ")
        if file == ORDER:
            yield name, "by the order file"
            continue
        if name == "instruments":
            yield name, ", ".join(risk.instruments) or "none"
        elif not file and name in InstrumentLimits.model_fields:
            for symbol, limits in risk.instruments.items():
                yield f"{symbol} {name}", _shown(InstrumentLimits, name, limits)
        elif not file:
            yield name, _shown(LimitSettings, name, risk.limits)
        else:
            group, _, inner = name.rpartition(".")
            holder: Group = getattr(settings, group) if group else settings
            yield name, _shown(type(holder), inner, holder)


def _shown(model: type[Group], name: str, holder: Group) -> str:
    kind = kind_of(model.model_fields[name])
    assert kind is not None, f"{name} is a plain value"
    return kind.show(getattr(holder, name))


def _line(control: Control) -> str:
    limits = "<br>".join(map(_ranged, control.keys)) or "fixed in the code"
    return (
        f"| {control.id} | {control.what} | {control.definition} | {limits} | {control.action} | {control.owner} "
        f"| `{control.test}` |"
    )


def _ranged(key: str) -> str:
    """A limit with its default and what is allowed."""
    file, _, name = key.rpartition(": ")
    if name == "instruments":
        return "`instruments`"
    found = _known(file or RISK)[name]
    kind = kind_of(found)
    assert kind is not None, f"{key} is a plain value"
    default = "" if found.is_required() or found.default is None else f"{kind.show(found.default)}; "
    return f"`{name}`{f' ({file})' if file else ''}: {default}{kind.allowed}"


def _known(file: str) -> Mapping[str, Any]:
    """The fields of a file's model by their dotted names."""
    models: dict[str, tuple[type[Group], ...]] = {
        RISK: (LimitSettings, InstrumentLimits),
        SETTINGS: (Settings,),
        ORDER: (OrderFile,),
    }
    return {".".join(map(str, where)): info for model in models[file] for where, info in fields(model)}
