"""Writes dashboards/execd.json: what an operator watches while a parent order is worked.

The dashboard is this file; the JSON is its output and is never edited by hand (`make dashboard`; a test compares).
Every query names its instance by variable, so one Grafana serves many daemons.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parent / "dashboards" / "execd.json"
COLUMNS = 24
"""The width of Grafana's grid."""

Json = dict[str, Any]
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

RUN = 'instance=~"$instance"'
VENUE = f'{RUN}, venue=~"$venue"'
PARENT = f'{VENUE}, parent_id=~"$parent"'
LAST_MESSAGE = f'(execd_market_data_last_message_timestamp_seconds{{{VENUE}, channel=~"trade|book"}} > 0)'
"""When each market channel last spoke; one that has not spoken yet has the value 0 and is left out."""


@dataclass(frozen=True)
class Query:
    """One line, or family of lines, in a panel."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """A panel and its place in the flow of a row: `width` of the grid's 24 columns.

    `steps` are thresholds, (value, color) in rising order; the color below the first of them is green.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    steps: tuple[tuple[float, str], ...] = ()
    bars: bool = False


def quantile(q: float, metric: str, by: str, selector: str) -> str:
    """The `q` quantile of a histogram, one line for each value of the labels `by`."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{{selector}}}[$__rate_interval])))"


def number(title: str, description: str, expr: str, *steps: tuple[float, str], unit: str = "short") -> Panel:
    """A single figure that turns color at its thresholds."""
    return Panel(title, description, unit, (Query(expr),), kind="stat", width=3, height=4, steps=steps)


SAFETY = (
    number(
        "Kill switch",
        "1 while the latch is set for any scope. It survives a restart; only `execd reset` clears it.",
        f"max(execd_kill_switch_active{{{RUN}}})",
        (1, "red"),
    ),
    number(
        "Parents active",
        "Parent orders that are being worked.",
        f'sum(execd_parent_orders{{{RUN}, state="active"}})',
    ),
    number(
        "Open orders",
        "Child orders that rest at an exchange.",
        f"sum(execd_open_orders{{{VENUE}}})",
        (5, "orange"),
        (20, "red"),
    ),
    number(
        "Orders in doubt",
        "Child orders whose state at the exchange is not known. Their whole rest is held back until it is.",
        f"sum(execd_unknown_orders{{{VENUE}}})",
        (1, "red"),
    ),
    number(
        "Oldest market data",
        "Age of the last message on the channel that has been silent the longest.",
        f"max(time() - {LAST_MESSAGE})",
        (2, "orange"),
        (10, "red"),
        unit="s",
    ),
    number(
        "Model fallback",
        "1 while the static curve decides because the model is absent, late or absurd.",
        f"max(execd_model_fallback_active{{{RUN}}})",
        (1, "orange"),
    ),
    number(
        "Exchange agreed",
        "Since our account last agreed with the exchange's. It is compared every half minute.",
        f"max(time() - (execd_reconcile_last_success_timestamp_seconds{{{VENUE}}} > 0))",
        (90, "orange"),
        (180, "red"),
        unit="s",
    ),
    number(
        "Clock offset",
        "Our clock less the exchange's, the largest of all exchanges.",
        f"max(abs(execd_clock_offset_seconds{{{VENUE}}}))",
        (0.25, "orange"),
        (0.75, "red"),
        unit="s",
    ),
)

PROGRESS = (
    Panel(
        "Schedule against filled",
        "Both as a share of the parent's quantity. Filled follows the schedule inside its band.",
        "percentunit",
        (
            Query(f"execd_parent_scheduled_ratio{{{PARENT}}}", "{{parent_id}} scheduled"),
            Query(f"execd_parent_filled_ratio{{{PARENT}}}", "{{parent_id}} filled"),
        ),
        width=12,
    ),
    Panel(
        "Slippage to market VWAP",
        "Own average price against the market's VWAP since the start. Above zero is a cost to the client.",
        "none",
        (Query(f"execd_parent_slippage_vwap_bps{{{PARENT}}}", "{{parent_id}} bps"),),
        width=12,
    ),
    Panel(
        "Market VWAP: how much is known",
        "Share of the market's trades that are in the VWAP. Below 1 the slippage has an error, bounded beside.",
        "percentunit",
        (Query(f"execd_vwap_coverage_ratio{{{PARENT}}}", "{{parent_id}}"),),
        width=12,
    ),
    Panel(
        "Market VWAP: error at most",
        "By how much the VWAP can be off because of the trades that are missing. 0 where none is.",
        "none",
        (Query(f"execd_vwap_error_bound_bps{{{PARENT}}}", "{{parent_id}} bps"),),
        width=12,
    ),
    Panel(
        "Participation",
        "Own filled quantity as a share of the market's volume since the start.",
        "percentunit",
        (Query(f"execd_parent_participation_ratio{{{PARENT}}}", "{{parent_id}}"),),
    ),
    Panel(
        "Ahead (+) or behind (-) schedule",
        "Filled less scheduled, as a share of the parent's quantity.",
        "percentunit",
        (Query(f"parent:execd_schedule_deviation:ratio{{{PARENT}}}", "{{parent_id}}"),),
    ),
    Panel(
        "Time left",
        "Until the parent's end.",
        "s",
        (Query(f"execd_parent_remaining_seconds{{{PARENT}}}", "{{parent_id}}"),),
    ),
)

ORDERS = (
    Panel(
        "Orders by event",
        "What happened to child orders, a minute.",
        "opm",
        (
            Query(
                f"sum by (venue, event) (rate(execd_orders_total{{{VENUE}}}[$__rate_interval])) * 60",
                "{{venue}} {{event}}",
            ),
        ),
        bars=True,
    ),
    Panel(
        "Refused by our own gate",
        "Slices and orders that a risk control stopped, by control, a minute.",
        "opm",
        (
            Query(
                f"sum by (venue, control) (rate(execd_risk_rejects_total{{{VENUE}}}[$__rate_interval])) * 60",
                "{{venue}} {{control}}",
            ),
        ),
        bars=True,
    ),
    Panel(
        "Rejected by the exchange",
        "Orders that the exchange turned down, by reason, a minute.",
        "opm",
        (
            Query(
                f"sum by (venue, reason) (rate(execd_order_rejects_total{{{VENUE}}}[$__rate_interval])) * 60",
                "{{venue}} {{reason}}",
            ),
        ),
        bars=True,
    ),
    Panel(
        "Open and in doubt",
        "Child orders at the exchange, and those of which we do not know.",
        "short",
        (
            Query(f"execd_open_orders{{{VENUE}}}", "{{venue}} {{symbol}} open"),
            Query(f"execd_unknown_orders{{{VENUE}}}", "{{venue}} {{symbol}} in doubt"),
        ),
    ),
    Panel(
        "Fills by liquidity",
        "Executions of our orders, a minute: maker waited, taker crossed.",
        "opm",
        (
            Query(
                f"sum by (venue, liquidity) (rate(execd_fills_total{{{VENUE}}}[$__rate_interval])) * 60",
                "{{venue}} {{liquidity}}",
            ),
        ),
        bars=True,
    ),
    Panel(
        "Time to acknowledgement",
        "From sending a request to the exchange's answer.",
        "s",
        (
            Query(quantile(0.5, "execd_order_ack_seconds", "venue, op", VENUE), "{{venue}} {{op}} p50"),
            Query(quantile(0.99, "execd_order_ack_seconds", "venue, op", VENUE), "{{venue}} {{op}} p99"),
        ),
    ),
)

MACHINE = (
    Panel(
        "Market data age",
        "Since the last message of each channel.",
        "s",
        (
            Query(
                f"time() - {LAST_MESSAGE}",
                "{{venue}} {{symbol}} {{channel}}",
            ),
        ),
        steps=((2, "orange"), (10, "red")),
    ),
    Panel(
        "Event loop lag",
        "How late the loop ran what was due. Orders wait as long.",
        "s",
        (
            Query(quantile(0.5, "execd_event_loop_lag_seconds", "instance", RUN), "{{instance}} p50"),
            Query(quantile(0.99, "execd_event_loop_lag_seconds", "instance", RUN), "{{instance}} p99"),
        ),
        steps=((0.25, "red"),),
    ),
    Panel(
        "Journal append",
        "Until a record is durable. An order leaves only after its record.",
        "s",
        (
            Query(quantile(0.5, "execd_journal_append_seconds", "instance", RUN), "{{instance}} p50"),
            Query(quantile(0.99, "execd_journal_append_seconds", "instance", RUN), "{{instance}} p99"),
        ),
        steps=((1, "red"),),
    ),
    Panel(
        "Reconciliation differences",
        "What our ledger and the exchange's did not agree on, by kind, since the start.",
        "short",
        (
            Query(
                f"sum by (venue, kind) (execd_reconcile_discrepancies_total{{{VENUE}}})",
                "{{venue}} {{kind}}",
            ),
        ),
        steps=((1, "red"),),
    ),
    Panel(
        "Model answer time",
        "How long a proposal took. Past its deadline the curve decides.",
        "s",
        (Query(quantile(0.99, "execd_model_inference_seconds", "model", RUN), "{{model}} p99"),),
    ),
    Panel(
        "Stream reconnects",
        "By reason, in the last hour.",
        "short",
        (
            Query(
                f"sum by (venue, stream, reason) (increase(execd_ws_reconnects_total{{{VENUE}}}[1h]))",
                "{{venue}} {{stream}} {{reason}}",
            ),
        ),
    ),
)

ROWS = (
    ("Is it safe", SAFETY),
    ("Is the order on its way", PROGRESS),
    ("What the orders do", ORDERS),
    ("Can the machine keep up", MACHINE),
)


def field_config(panel: Panel) -> Json:
    """How the panel's values are written and colored."""
    steps: list[Json] = [{"color": "green", "value": None}]
    steps += [{"color": color, "value": value} for value, color in panel.steps]
    defaults: Json = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        shape = {"drawStyle": "bars", "fillOpacity": 80} if panel.bars else {"drawStyle": "line", "fillOpacity": 5}
        custom: Json = {"lineWidth": 1, "showPoints": "never", "spanNulls": False, **shape}
        custom["stacking"] = {"mode": "normal" if panel.bars else "none", "group": "A"}
        custom["thresholdsStyle"] = {"mode": "line" if panel.steps else "off"}
        defaults |= {"color": {"mode": "palette-classic"}, "custom": custom}
    else:
        defaults |= {"color": {"mode": "thresholds"}, "noValue": "no data"}
    return {"defaults": defaults, "overrides": []}


def panel_options(panel: Panel) -> Json:
    """What the panel shows beside its values."""
    if panel.kind == "stat":
        reduce: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"reduceOptions": reduce, "colorMode": "background", "graphMode": "none", "textMode": "value"}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def render_panel(panel: Panel, ident: int, x: int, y: int) -> Json:
    """One panel at its place."""
    targets = [
        {"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": query.expr, "legendFormat": query.legend}
        for i, query in enumerate(panel.queries)
    ]
    return {
        "id": ident,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "targets": targets,
        "fieldConfig": field_config(panel),
        "options": panel_options(panel),
    }


def render_rows() -> list[Json]:
    """All rows, each a heading with its panels laid out from left to right below it."""
    rendered: list[Json] = []
    y = 0
    for title, panels in ROWS:
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        heading = {"id": len(rendered) + 1, "type": "row", "title": title, "collapsed": False, "panels": []}
        rendered.append({**heading, "gridPos": place})
        x, y = 0, y + 1
        for panel in panels:
            if x + panel.width > COLUMNS:
                x, y = 0, y + panel.height
            rendered.append(render_panel(panel, len(rendered) + 1, x, y))
            x += panel.width
        y += panels[-1].height
    return rendered


def variable(name: str, label: str, query: str) -> Json:
    """A choice above the dashboard whose values are those of a metric's label; all of them at first."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def dashboard() -> Json:
    """The dashboard in the schema of Grafana 11."""
    parent = 'label_values(execd_parent_filled_ratio{instance=~"$instance", venue=~"$venue"}, parent_id)'
    variables: list[Json] = [
        {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1},
        variable("instance", "Daemon", "label_values(execd_build_info, instance)"),
        variable("venue", "Exchange", 'label_values(execd_open_orders{instance=~"$instance"}, venue)'),
        variable("parent", "Parent order", parent),
    ]
    return {
        "uid": "execd",
        "title": "execd",
        "description": "A parent order on its way: schedule, price, orders, refusals, and the machine's health.",
        "tags": ["execd"],
        "schemaVersion": 41,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "utc",
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timepicker": {},
        "templating": {"list": variables},
        "annotations": {"list": []},
        "links": [],
        "panels": render_rows(),
    }


def render() -> str:
    """The text of the dashboard's file."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(render())
