"""The dashboard: it is what its generator writes, it says what it shows, and every query can have an answer."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.deploy.checkout import DEPLOY, read_yaml, succeeds, tool
from tests.deploy.metrics import recorded, series, used_in
from tests.deploy.test_prometheus import rules

GRAFANA = DEPLOY / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "execd.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]


@cache
def generator() -> ModuleType:
    """The program that writes the dashboard; it is no part of any package."""
    spec = importlib.util.spec_from_file_location("make_dashboard", GRAFANA / "make_dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its own module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_committed_dashboard_is_what_its_generator_writes() -> None:
    written = (GRAFANA / "dashboards" / "execd.json").read_text()
    assert written == generator().render(), "run `make dashboard`"


def test_prometheus_can_parse_every_query(tmp_path: Path) -> None:
    """As the expressions of rules, with Grafana's own variables filled in."""
    listed = [
        {"record": f"panel:query:{i}", "expr": expr.replace("$__rate_interval", "1m")}
        for i, (_, expr) in enumerate(QUERIES)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": listed}]}))
    assert f"{len(QUERIES)} rules found" in succeeds(tool("promtool"), "check", "rules", str(file))


@pytest.mark.parametrize(("title", "expr"), QUERIES, ids=lambda text: text)
def test_each_query_asks_only_for_series_and_labels_that_exist(title: str, expr: str) -> None:
    known = series() | recorded(rules())
    asked = used_in(expr)
    assert asked
    for name, labels in asked:
        assert name in known, f"{title}: execd exports no {name}"
        assert labels <= known[name] | {"instance"}, f"{title}: {name} has no label {labels - known[name]}"
        assert "instance" in labels, f"{title}: {name} would mix the daemons of one Prometheus"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_says_what_it_shows_in_which_unit_and_from_the_chosen_source(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert {source["uid"] for source in sources} == {"${datasource}"}


def test_no_two_panels_overlap_or_share_an_id() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
    idents = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(idents) == len(set(idents))


def test_grafana_finds_the_source_and_the_dashboard_where_compose_puts_them() -> None:
    source = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yaml")["datasources"][0]
    provider = read_yaml(GRAFANA / "provisioning" / "dashboards" / "execd.yaml")["providers"][0]
    compose = read_yaml(DEPLOY / "compose.yaml")["services"]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in compose["grafana"]["volumes"]
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in compose["grafana"]["volumes"]
