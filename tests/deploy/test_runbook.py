"""The runbook: who is called finds the alert's own section, and every link in it leads somewhere."""

from __future__ import annotations

import re

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from execd.cli import EPILOG, app
from tests.deploy.runbook import TEXT, anchor, exit_codes, sections
from tests.deploy.test_prometheus import alerts

ALERTS = alerts()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_alert_leads_to_a_section_that_says_what_was_done_and_what_to_do(alert: dict[str, object]) -> None:
    name = str(alert["alert"])
    annotations = alert["annotations"]
    assert isinstance(annotations, dict)
    assert annotations["runbook_url"] == f"deploy/RUNBOOK.md#{anchor(name)}"
    section = sections()[name]
    for part in ("**Means.**", "**execd already did.**", "**Do.**"):
        assert part in section


def test_no_section_is_about_an_alert_that_is_no_more() -> None:
    described = {heading for heading in sections() if heading.startswith("Execd")}
    assert described == {alert["alert"] for alert in ALERTS}


def test_pages_and_tickets_stand_under_their_own_headings() -> None:
    now, today = TEXT.split("# Alerts: a person, today")
    for alert in ALERTS:
        half = now if alert["labels"]["severity"] == "page" else today
        assert f"\n## {alert['alert']}\n" in half


def test_every_link_leads_to_a_section() -> None:
    links = re.findall(r"\]\(#([^)]+)\)", TEXT)
    assert links
    assert set(links) <= {anchor(heading) for heading in sections()}


def test_the_exit_codes_are_those_that_the_program_promises() -> None:
    assert exit_codes() == [int(code) for code in re.findall(r"(\d+) [a-z]", EPILOG)]


def test_every_command_that_it_gives_is_one_that_the_program_takes() -> None:
    given = re.findall(r"`execd ([a-z]+)([^`]*)`", TEXT)
    assert {"status", "check", "run", "pause", "resume", "cancel", "kill", "reset", "report", "replay"} <= {
        verb for verb, _ in given
    }
    program = get_command(app)
    assert isinstance(program, TyperGroup)
    commands = program.commands
    for verb, rest in given:
        assert verb in commands, f"execd has no command {verb}"
        known = {flag for parameter in commands[verb].params for flag in parameter.opts}
        required = {p.opts[0] for p in commands[verb].params if p.required and p.opts[0].startswith("--")}
        flags = set(re.findall(r"--[a-z-]+", rest))
        assert flags <= known, f"execd {verb} has no {flags - known}"
        # Bare names stand for the command as such; one that is given with arguments must be complete.
        assert not flags or required <= flags, f"execd {verb} also needs {required - flags}"
