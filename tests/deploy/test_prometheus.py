"""The rules of Prometheus: it accepts them, they fire when they must, and they ask only for metrics that execd has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.checkout import DEPLOY, read_yaml, succeeds, tool
from tests.deploy.metrics import recorded, series, used_in

PROMETHEUS = DEPLOY / "prometheus"


def rules() -> list[dict[str, Any]]:
    """All rules, of all groups."""
    return [rule for group in read_yaml(PROMETHEUS / "rules.yml")["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """The rules that call a person."""
    return [rule for rule in rules() if "alert" in rule]


def test_prometheus_accepts_its_configuration_and_the_rules_that_it_names() -> None:
    printed = succeeds(tool("promtool"), "check", "config", "prometheus.yml", cwd=PROMETHEUS)
    assert f"{len(rules())} rules found" in printed


def test_the_rules_fire_when_they_must_and_only_then() -> None:
    succeeds(tool("promtool"), "test", "rules", "rules_test.yml", cwd=PROMETHEUS)


def test_the_alerts_that_trip_the_kill_switch_exist_and_call_a_person_all_the_same() -> None:
    """Routed by Alertmanager's own rules; what is over trips nothing."""
    found = read_yaml(PROMETHEUS / "alertmanager.yml")
    first, _ = found["route"]["routes"]
    (matcher,) = first["matchers"]
    named = set(matcher.split('"')[1].split("|"))
    assert named <= {alert["alert"] for alert in alerts() if alert["labels"]["severity"] == "page"}
    (hook,) = next(each for each in found["receivers"] if each["name"] == first["receiver"])["webhook_configs"]
    assert hook == {"url": "http://execd:9464/kill?scope=all", "send_resolved": False}
    amtool = tool("amtool")
    succeeds(amtool, "check-config", "alertmanager.yml", cwd=PROMETHEUS)
    for name in named:
        labels = [f"alertname={name}", "severity=page"]
        routed = succeeds(amtool, "config", "routes", "test", "--config.file=alertmanager.yml", *labels, cwd=PROMETHEUS)
        assert "kill,page" in routed


def test_every_page_is_shown_to_fire() -> None:
    shown = {
        case["alertname"]
        for test in read_yaml(PROMETHEUS / "rules_test.yml")["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert {alert["alert"] for alert in alerts() if alert["labels"]["severity"] == "page"} <= shown


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_each_alert_says_how_urgent_it_is_and_what_happened(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert all(text.strip() for text in alert["annotations"].values())


def test_no_two_alerts_share_a_name() -> None:
    names = [alert["alert"] for alert in alerts()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_each_rule_asks_only_for_series_and_labels_that_exist(rule: dict[str, Any]) -> None:
    known = series() | recorded(rules())
    for name, labels in used_in(rule["expr"]):
        assert name in known, f"execd exports no {name}"
        assert labels <= known[name] | {"instance", "job"}, f"{name} has no label {labels - known[name]}"


def test_what_is_scraped_is_judged_within_the_second() -> None:
    """An operator should see trouble within five seconds of it."""
    settings = read_yaml(PROMETHEUS / "prometheus.yml")["global"]
    assert settings["scrape_interval"] == settings["evaluation_interval"] == "1s"
    groups = read_yaml(PROMETHEUS / "rules.yml")["groups"]
    assert {group["interval"] for group in groups if group["name"] == "execd.pages"} == {"1s"}
