"""The settings models as text: the tables of the docs and the bodies of the shipped files.

python -m tests.runtime.settings_tables           prints all tables, to paste into docs/
python -m tests.runtime.settings_tables execd     prints config/execd.yaml's body
python -m tests.runtime.settings_tables risk      prints config/risk.yaml's body
"""

from __future__ import annotations

import sys
import textwrap
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from execd.runtime.settings import InstrumentLimits, LimitSettings, OrderFile, RiskFile, Settings
from execd.runtime.settings_load import fields, group_of, kind_of

LISTS = {"symbols": "a list of BASE/QUOTE in capitals", "balances": "currencies in capitals, each with an amount"}


def allowed(name: str, info: Any) -> str:
    kind = kind_of(info)
    return kind.allowed if kind is not None else LISTS[name]


def shown(info: Any) -> str:
    """The default as a file would write it; empty where there is none."""
    default = info.default
    if default is PydanticUndefined:
        return ""
    kind = kind_of(info)
    if kind is not None and (default is not None or "now" in kind.allowed.split(",")):
        return kind.show(default)
    if isinstance(default, tuple):
        return f"[{', '.join(default)}]"
    if isinstance(default, dict):
        return "{" + ", ".join(f"{key}: {value}" for key, value in default.items()) + "}"
    assert default is None or isinstance(default, Enum), default
    return ""


def table(model: type[BaseModel]) -> str:
    lines = ["| key | means | allowed | if left out |", "|---|---|---|---|"]
    for where, info in fields(model):
        if group_of(info.annotation) is not None:
            continue
        out = "must be given" if info.is_required() else f"`{shown(info)}`" if shown(info) else ""
        lines.append(
            f"| `{'.'.join(map(str, where))}` | {info.description} | {allowed(str(where[-1]), info)} | {out} |"
        )
    return "\n".join(lines)


def comment(text: str, indent: int) -> str:
    return textwrap.fill(text, 116 - indent, initial_indent=" " * indent + "# ", subsequent_indent=" " * indent + "# ")


def body(model: type[BaseModel]) -> str:
    lines = []
    for where, info in fields(model):
        indent = 2 * (len(where) - 1)
        if group_of(info.annotation) is not None:
            lines += ["", comment(info.description or "", indent), " " * indent + f"{where[-1]}:"]
            continue
        words = f"{info.description} Allowed: {allowed(str(where[-1]), info)}."
        lines += [comment(words, indent), " " * indent + f"{where[-1]}: {shown(info)}"]
    return "\n".join(lines)


TABLES: dict[str, list[type[BaseModel]]] = {
    "docs/order-file.md": [OrderFile],
    "docs/configuration.md": [Settings, InstrumentLimits, LimitSettings],
}

if __name__ == "__main__":
    if sys.argv[1:]:
        text = body(Settings if sys.argv[1] == "execd" else RiskFile)
    else:
        text = "\n\n".join(f"{path}\n{table(model)}" for path, models in TABLES.items() for model in models)
    sys.stdout.write(text + "\n")
