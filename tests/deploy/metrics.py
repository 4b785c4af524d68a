"""The series that execd exports, and those that an expression of Prometheus asks for."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from prometheus_client.metrics import MetricWrapperBase

from execd.runtime.metrics import Metrics
from execd.runtime.watchdog_metrics import WatchdogMetrics

Known = dict[str, set[str]]
"""Series -> its labels."""

_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?")
_GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")


@cache
def series() -> Known:
    """Every series of daemon and watchdog, by the names that a scrape shows, and `up`, which is Prometheus' own."""
    metrics, watchdog = Metrics(), WatchdogMetrics()
    ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
    found: Known = {"up": set()}
    for collector in {*metrics.registry._collector_to_names, *watchdog.registry._collector_to_names}:
        if not isinstance(collector, MetricWrapperBase):
            continue  # the process' own metrics
        # prometheus_client tells a family's labels nowhere else before it has a value.
        name, labels = collector._name, set(collector._labelnames)
        for end in ends.get(collector._type or "", [""]):
            found[name + end] = labels | {"le"} if end == "_bucket" else labels
    # Info keeps the labels of its values apart.
    build = next(f for f in metrics.registry.collect() if f.name == "execd_build")
    found["execd_build_info"] |= set(build.samples[0].labels)
    return found


def recorded(rules: list[dict[str, Any]]) -> Known:
    """The series that recording rules make, with the labels by which each was summed, or else those it was made of."""
    made: Known = {}
    for rule in rules:
        if "record" in rule:
            grouped = {label for labels in _GROUPING.findall(rule["expr"]) for label in _words(labels)}
            asked = [series()[name] for name, _ in used_in(rule["expr"])]
            made[rule["record"]] = grouped - {"le"} or set.intersection(*asked)
    return made


def used_in(expr: str) -> list[tuple[str, set[str]]]:
    """Each series that an expression names, with the labels by which it is selected and grouped."""
    grouped = {label for labels in _GROUPING.findall(expr) for label in _words(labels)}
    bare = _GROUPING.sub("", expr)
    found = []
    for name, selector in _SELECTOR.findall(bare):
        if name == "up" or "execd_" in name:
            matched = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
            found.append((name, matched | grouped))
    return found


def _words(labels: str) -> list[str]:
    return [label.strip() for label in labels.split(",") if label.strip()]
