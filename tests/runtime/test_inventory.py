"""The inventory is whole: no control without its row, no row without its control, its limit and its test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from execd.cli import app
from execd.core.controls import CONTROLS, Control
from execd.core.limits import RiskLimits
from execd.runtime import inventory
from execd.runtime.loosening import NAMES

ROOT = Path(__file__).resolve().parents[2]
IDS = [control.id for control in CONTROLS]


def test_the_page_is_that_of_the_code() -> None:
    assert (ROOT / "docs" / "controls.md").read_text() == inventory.page(), (
        "run: execd controls --page > docs/controls.md"
    )


def test_every_limit_belongs_to_a_control() -> None:
    """None is set by nobody's word and for nothing."""
    keys = {key for control in CONTROLS for key in control.keys if ": " not in key}
    short = {NAMES.get(field, field).removesuffix("_ppm") for field in RiskLimits.__dataclass_fields__}
    assert short <= keys


@pytest.mark.parametrize("control", CONTROLS, ids=IDS)
def test_a_control_is_proved_or_left_out_with_a_reason(control: Control) -> None:
    if control.left_out:
        assert not control.test
        return
    assert control.action
    assert (ROOT / control.test).is_file(), control.test


def test_the_limits_are_listed_where_nothing_runs(tmp_path: Path) -> None:
    """With those of the files as they are."""
    answer = CliRunner().invoke(app, ["controls", "--state-dir", str(tmp_path), "--json"])
    assert answer.exit_code == 0, answer.output
    rows = {row["id"]: row for row in json.loads(answer.stdout)["controls"]}
    assert rows["P9"]["limits"] == {"collar_bps": "50", "rest_bps": "200"}
    assert rows["P7"]["limits"]["BTC/USDT child_notional"] == "50000"
    assert rows["P1"]["use"] is None
    table = CliRunner().invoke(app, ["controls", "--state-dir", str(tmp_path)])
    assert "No parent runs" in table.output


def test_a_parent_that_does_not_run_is_told(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["controls", "nobody", "--state-dir", str(tmp_path)])
    assert (answer.exit_code, "no parent 'nobody' is running" in answer.output) == (5, True)
