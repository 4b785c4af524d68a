"""A parent on a person's screen: progress while it works, tables and a plot when it is over."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from execd.core.execution import Execution, Phase
from execd.core.grid import PPM, Nanos
from execd.core.score import score
from execd.runtime.exactness import bound, bps, percent, told
from execd.runtime.report import Report, as_dict, price

if TYPE_CHECKING:
    from execd.core.orders import ChildOrder

PLOT_HEIGHT = 14
BAR_WIDTH = 40
WIDE = 120
MISSING_SHOWN = 10
KILLED = "the kill switch is latched: nothing is sent"


def line(execution: Execution, now: Nanos) -> str:
    """Progress in one line, for logs and for terminals that cannot redraw."""
    sums, parent = score(execution), execution.parent
    quantity = parent.instrument.quantity
    due = execution.schedule.target(now)
    words = [
        f"{max(0, parent.end - now) / 1e9:5.0f} s left",
        f"filled {quantity(sums.filled):f} of {quantity(sums.quantity):f} {parent.instrument.base}",
        f"due {quantity(due):f}",
        f"average {_price(price(sums.own.vwap, execution), execution)}",
        f"market VWAP {_price(price(sums.market.vwap, execution), execution)}",
        f"slippage {bps(sums.slippage_bps, sums.slippage_error_bps, exact=sums.complete)}",
        f"open orders {len(execution.blotter.alive)}",
    ]
    if not sums.complete:
        words.append(f"{percent(sums.coverage)} of prints seen")
    held = KILLED if execution.killed else execution.held(now) if execution.phase is Phase.WORKING else None
    return ", ".join(words) + (f" ({held})" if held else "")


def progress(execution: Execution, now: Nanos) -> RenderableType:
    """Progress as a panel that can be drawn again and again."""
    sums, parent = score(execution), execution.parent
    quantity = parent.instrument.quantity
    due = execution.schedule.target(now)
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True)
    table.add_row("schedule", _bar(due, sums.quantity, "cyan"), f"{quantity(due):f}", _percent(due, sums.quantity))
    filled = _bar(sums.filled, sums.quantity, "green")
    table.add_row("filled", filled, f"{quantity(sums.filled):f}", _percent(sums.filled, sums.quantity))
    facts = Table.grid(padding=(0, 2))
    facts.add_row("market VWAP", _price(price(sums.market.vwap, execution), execution), "remaining", _remaining(sums))
    slippage = bps(sums.slippage_bps, sums.slippage_error_bps, exact=sums.complete)
    facts.add_row("own average", _price(price(sums.own.vwap, execution), execution), "slippage", slippage)
    if not sums.complete:
        off = "unknown" if sums.error_bps is None else f"at most {bound(sums.error_bps)} bp"
        facts.add_row("prints seen", Text(percent(sums.coverage), style="yellow"), "market VWAP off by", off)
    facts.add_row("slice", _slice_words(execution, now), "time left", f"{max(0, parent.end - now) / 1e9:.0f} s")
    orders = Text("\n".join(_order(order, execution) for order in execution.blotter.alive.values()) or "none open")
    facts.add_row("child orders", orders)
    held = execution.held(now) if execution.phase is Phase.WORKING else None
    rows: list[RenderableType] = [table, facts]
    if execution.killed:
        rows.append(Text(KILLED, style="bold red"))
    elif held:
        rows.append(Text(held, style="yellow"))
    title = f"{parent.side.value} {quantity(parent.quantity):f} {parent.instrument.symbol}  {parent.id}"
    return Panel(Group(*rows), title=title, expand=False)


def show(result: Report, console: Console) -> None:
    """Print the report: the account, the slices, the decisions with their reasons, the plot, the reconciliation."""
    found = as_dict(result)
    console.print(_account(result, found))
    console.print(_slices(result, found))
    console.print(_decisions(found))
    _plot(result, console)
    if found["model"]["fallback"]:
        console.print(
            f"The model {found['model']['name']} did not decide: {found['model']['fallback']}", style="yellow"
        )
    if found["shadow"] and found["shadow"]["refused"]:
        console.print(f"The shadow {found['shadow']['name']} was refused: {found['shadow']['refused']}", style="yellow")
    if not found["benchmark_exact"]:
        console.print(Text(told(result.score), style="yellow"))
        console.print(_missing(found))
    if found["foreign_orders"]:
        console.print(f"{found['foreign_orders']} open orders on the account are not execd's; they were left alone.")
    lot, drift = result.execution.parent.instrument.lot, result.balance_drift
    if drift is not None and abs(drift) >= lot:
        console.print(
            f"The account's {result.execution.parent.instrument.base} changed by {drift.normalize():+f} beyond this "
            "order's fills: something else has traded or moved it.",
            style="yellow",
        )
    style = "green" if found["reconciled"] else "bold red"
    console.print(Text(f"Reconciliation: {found['reconciliation']}", style=style))


def _account(result: Report, found: dict[str, Any]) -> Table:
    execution = result.execution
    table = Table(title=f"{found['side']} {found['quantity']:g} {found['symbol']}: {found['state']} ({found['why']})")
    table.add_column("what")
    table.add_column("figure", justify="right")
    base, exact, share = execution.parent.instrument.base, found["benchmark_exact"], found["participation"]
    fees = ", ".join(f"{amount:g} {currency}" for currency, amount in found["fees"].items()) or "none"
    rows = [
        ("filled", f"{execution.parent.instrument.quantity(result.score.filled):f} {base}"),
        ("average price", _price(found["average_price"], execution)),
        ("market VWAP, own prints in it", _price(found["market_vwap"], execution)),
        ("market VWAP without own prints", _price(found["market_vwap_ex_own"], execution)),
        ("prints in the market VWAP", percent(result.score.coverage)),
        ("slippage to VWAP (positive is a cost)", bps(found["slippage_bps"], found["slippage_error_bps"], exact=exact)),
        (
            "slippage to VWAP without own prints",
            bps(found["slippage_ex_own_bps"], found["slippage_ex_own_error_bps"], exact=exact),
        ),
        ("slippage to the arrival price", bps(found["arrival_slippage_bps"], None)),
        ("implementation shortfall", bps(found["shortfall_bps"], None)),
        ("participation", "-" if share is None else f"{'' if exact else 'about '}{share:.2%}"),
        ("fills / child orders", f"{found['fills']} / {found['orders']}"),
        ("filled as maker", "-" if found["maker_share"] is None else f"{found['maker_share']:.0%}"),
        ("fees", fees),
        ("model", f"{found['model']['name']}, decided {found['model']['share']:.0%} of the slices"),
    ]
    if shadow := found["shadow"]:
        rows.append(("shadow", f"{shadow['name']}, proposed for {shadow['slices']} of {len(found['slices'])} slices"))
        rows.append(("slippage of its allocation alone", bps(shadow["allocation_slippage_bps"], None, exact=exact)))
        trading = bps(shadow["trading_allocation_slippage_bps"], None, exact=exact)
        rows.append(("slippage of the trading allocation alone", trading))
    for row in rows:
        table.add_row(*row)
    return table


def _missing(found: dict[str, Any]) -> Table:
    """What is missing of the benchmark, and what each part of it alone can change."""
    table = Table(title="missing from the benchmark", box=SIMPLE, pad_edge=False)
    for name in ("from", "to", "trades", "VWAP off by at most"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found["missing_ranges"][:MISSING_SHOWN]:
        off = row["vwap_error_bps"]
        table.add_row(row["from"], row["to"], str(row["trades"]), "unknown" if off is None else f"{bound(off)} bp")
    more = len(found["missing_ranges"]) - MISSING_SHOWN
    if more > 0:
        table.caption = f"and {more} more: --json shows them all"
    return table


def _slices(result: Report, found: dict[str, Any]) -> Table:
    execution = result.execution
    table = Table(title="slices", box=SIMPLE, pad_edge=False)
    for name in ("slice", "planned", "target", "filled", "average", "market VWAP", "orders"):
        table.add_column(name, justify="right", no_wrap=True)
    digits = _digits(execution.parent.instrument.lot)
    for row in found["slices"]:
        table.add_row(
            str(row["slice"]),
            *(f"{row[name]:.{digits}f}" for name in ("planned", "target", "filled")),
            _price(row["average_price"], execution),
            _price(row["market_vwap"], execution),
            str(row["children"]),
        )
    return table


def _decisions(found: dict[str, Any]) -> Table:
    """Who set each slice's target, and what stood in its way."""
    table = Table(title="decisions", box=SIMPLE, pad_edge=False)
    table.add_column("slice", justify="right", no_wrap=True)
    table.add_column("decided by", no_wrap=True)
    table.add_column("why")
    if found["shadow"]:
        table.add_column("share / shadow's")
    for row in found["slices"]:
        notes = "; ".join(f"{note} x{count}" if count > 1 else note for note, count in row["notes"].items())
        cells = [str(row["slice"]), row["decided_by"], f"{row['why']}{'; ' if notes else ''}{notes}"]
        if found["shadow"]:
            cells.append(_shares(row))
        table.add_row(*cells)
    return table


def _shares(row: dict[str, Any]) -> str:
    """What the trading model and the shadow proposed for a slice, the reason where the shadow did not."""
    own = "-" if row["share"] is None else f"{row['share']:.4f}"
    shadow = row["shadow_why"] or "-" if row["shadow_share"] is None else f"{row['shadow_share']:.4f}"
    return f"{own} / {shadow}"


def _plot(result: Report, console: Console) -> None:
    """Planned, aimed and filled, cumulative, slice by slice."""
    import plotext  # slow to import, and only a finished report needs it

    execution = result.execution
    records = [execution.ledger[number] for number in sorted(execution.ledger)]
    if not records:
        return
    lot = float(execution.parent.instrument.lot)
    numbers = [record.number + 1 for record in records]
    done, total = [], 0
    for record in records:
        total += record.filled
        done.append(total * lot)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(min(90, console.width), PLOT_HEIGHT)
    plotext.plot(numbers, [record.planned * lot for record in records], label="planned", marker="dot")
    plotext.plot(numbers, done, label="filled", marker="braille")
    plotext.title(f"cumulative {execution.parent.instrument.base} at the end of each slice")
    console.print(Text.from_ansi(plotext.build()))


def _order(order: ChildOrder, execution: Execution) -> str:
    instrument = execution.parent.instrument
    return (
        f"{order.client_id} {order.kind.value} {instrument.quantity(order.leaves):f} left of "
        f"{instrument.quantity(order.quantity):f} at {instrument.price(order.limit):f} {order.state.value}"
    )


def _slice_words(execution: Execution, now: Nanos) -> str:
    number = execution.parent.slice_at(now) + 1
    record = execution.ledger.get(number - 1)
    return f"{number} of {execution.parent.slices}" + (f" ({record.decided_by})" if record else "")


def _remaining(sums: Any) -> str:
    return _percent(max(0, sums.quantity - sums.filled), sums.quantity)


def _bar(part: int, whole: int, style: str) -> Text:
    full = BAR_WIDTH * min(part, whole) // whole
    return Text("█" * full, style=style) + Text("░" * (BAR_WIDTH - full), style="dim")


def _percent(part: int, whole: int) -> str:
    return f"{part * PPM // whole / 10_000:.1f} %"


def _price(value: float | None, execution: Execution) -> str:
    if value is None:
        return "-"
    digits = _digits(execution.parent.instrument.tick)
    return f"{value:,.{digits}f}"


def _digits(unit: Decimal) -> int:
    return max(0, -int(unit.normalize().as_tuple().exponent))


def console_for_people(*, stderr: bool = False) -> Console:
    """A console that draws color only on a terminal, and never where NO_COLOR is set."""
    console = Console(stderr=stderr, no_color="NO_COLOR" in os.environ)
    if not console.is_terminal:
        console.width = max(console.width, WIDE)  # A file has no edge to wrap at; tables need some room.
    return console
