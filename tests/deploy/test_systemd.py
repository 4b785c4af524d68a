"""The systemd units: they parse, are shut in, and do not restart what a person must look at first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.checkout import DEPLOY, read_yaml, succeeds, tool
from tests.deploy.runbook import exit_codes

UNIT, WATCHDOG = (DEPLOY / "systemd" / name for name in ("execd.service", "execd-watchdog.service"))

each_unit = pytest.mark.parametrize("unit", [UNIT, WATCHDOG], ids=lambda unit: unit.stem)


def settings(unit: Path = UNIT) -> dict[str, list[str]]:
    """Each setting of a unit with its values in order; a setting may stand more than once."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@each_unit
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    """With a program in place of ours that this machine has: verify looks for it."""
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/execd/bin/execd", "/bin/true"))
    printed = succeeds(tool("systemd-analyze"), "verify", str(copy))
    assert unit.name not in printed, printed


@each_unit
def test_systemd_rates_the_sandbox_as_tight(unit: Path) -> None:
    """An exposure of at most 2.5 of 10; a unit that says nothing has 9.6."""
    succeeds(tool("systemd-analyze"), "security", "--offline=true", "--threshold=25", "--no-pager", str(unit))


def test_an_ending_that_needs_a_person_is_not_restarted_and_a_crash_is() -> None:
    held = {int(code) for code in settings()["RestartPreventExitStatus"][0].split()}
    assert settings()["Restart"] == ["on-failure"]
    assert held == set(exit_codes()) - {0, 1, 70}


def test_a_drain_gets_as_long_as_in_compose() -> None:
    compose = read_yaml(DEPLOY / "compose.yaml")
    assert f"{settings()['TimeoutStopSec'][0]}s" == compose["services"]["execd"]["stop_grace_period"]


@each_unit
def test_the_state_is_the_only_thing_it_may_write(unit: Path) -> None:
    found = settings(unit)
    assert found["ProtectSystem"] == ["strict"]
    assert found["StateDirectory"] == ["execd"]
    assert "ReadWritePaths" not in found


@each_unit
def test_no_key_stands_in_the_environment_or_on_the_command_line(unit: Path) -> None:
    text = " ".join(settings(unit)["Environment"] + settings(unit)["ExecStart"]).lower()
    assert not any(word in text for word in ("secret", "key", "token", "password"))


def test_the_watchdog_is_there_before_the_daemon_and_stays_when_it_goes() -> None:
    """It is started again whatever ends it but a refusal, and acts as the daemon's user on the daemon's state."""
    found, daemon = settings(WATCHDOG), settings()
    assert (found["Before"], found["Restart"], found["StartLimitIntervalSec"]) == (["execd.service"], ["always"], ["0"])
    assert {int(code) for code in found["RestartPreventExitStatus"][0].split()} < set(exit_codes())
    assert not found.keys() & {"BindsTo", "PartOf", "Requires", "JoinsNamespaceOf"}
    for name in ("User", "Group", "StateDirectory", "StateDirectoryMode", "WorkingDirectory", "Environment"):
        assert found[name] == daemon[name]
    assert int(found["OOMScoreAdjust"][0]) < int(daemon["OOMScoreAdjust"][0])
