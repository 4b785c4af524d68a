"""The systemd unit: it parses, it is shut in, and it does not restart what a person must look at first."""

from __future__ import annotations

from pathlib import Path

from tests.deploy.checkout import DEPLOY, read_yaml, succeeds, tool
from tests.deploy.runbook import exit_codes

UNIT = DEPLOY / "systemd" / "execd.service"


def settings() -> dict[str, list[str]]:
    """Each setting of the unit with its values in order; a setting may stand more than once."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """With a program in place of ours that this machine has: verify looks for it."""
    copy = tmp_path / "execd.service"
    copy.write_text(UNIT.read_text().replace("/opt/execd/bin/execd", "/bin/true"))
    printed = succeeds(tool("systemd-analyze"), "verify", str(copy))
    assert "execd.service" not in printed, printed


def test_systemd_rates_the_sandbox_as_tight() -> None:
    """An exposure of at most 2.5 of 10; a unit that says nothing has 9.6."""
    succeeds(tool("systemd-analyze"), "security", "--offline=true", "--threshold=25", "--no-pager", str(UNIT))


def test_an_ending_that_needs_a_person_is_not_restarted_and_a_crash_is() -> None:
    held = {int(code) for code in settings()["RestartPreventExitStatus"][0].split()}
    assert settings()["Restart"] == ["on-failure"]
    assert held == set(exit_codes()) - {0, 1, 70}


def test_a_drain_gets_as_long_as_in_compose() -> None:
    compose = read_yaml(DEPLOY / "compose.yaml")
    assert f"{settings()['TimeoutStopSec'][0]}s" == compose["services"]["execd"]["stop_grace_period"]


def test_the_journal_is_the_only_thing_it_may_write() -> None:
    found = settings()
    assert found["ProtectSystem"] == ["strict"]
    assert found["StateDirectory"] == ["execd"]
    assert "ReadWritePaths" not in found


def test_no_key_stands_in_the_environment_or_on_the_command_line() -> None:
    text = " ".join(settings()["Environment"] + settings()["ExecStart"]).lower()
    assert not any(word in text for word in ("secret", "key", "token", "password"))
