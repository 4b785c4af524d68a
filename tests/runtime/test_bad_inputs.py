"""Every broken file gets one clear message that names file, key, value and what is allowed, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from execd.core.grid import Ticks
from execd.runtime.admission import AdmissionRefused, admit
from execd.runtime.settings import OrderFile, RiskFile, Settings, SettingsError, load
from tests.runtime.bad_inputs import ALL, BAD_ORDERS, GOOD_ORDER, ORDER, RISK, SECRET, SETTINGS, BadInput
from tests.runtime.markets import ASK, BID, NOW, RISK_FILE, market

MODELS: dict[str, type[OrderFile | Settings | RiskFile]] = {ORDER: OrderFile, SETTINGS: Settings, RISK: RiskFile}


def refused(path: Path, bad: BadInput) -> tuple[str, ...]:
    """What execd says to a file."""
    if bad.stage == "load":
        with pytest.raises(SettingsError) as problem:
            load(path, MODELS[bad.kind])
        return problem.value.problems
    order = load(path, OrderFile)
    with pytest.raises(AdmissionRefused) as refusal:
        admit(order, market(order.symbol), Ticks(BID), Ticks(ASK), RISK_FILE, now=NOW)
    return refusal.value.problems


@pytest.mark.parametrize("bad", ALL, ids=lambda bad: f"{bad.kind}: {bad.name}")
def test_a_broken_file_gets_its_message(tmp_path: Path, bad: BadInput) -> None:
    path = tmp_path / f"{bad.kind}.yaml"
    path.write_bytes(bad.text if isinstance(bad.text, bytes) else bad.text.encode())
    problems = refused(path, bad)

    where = f"{path}:{bad.line}: " if bad.line is not None else f"{path}: "
    matching = [line for line in problems if all(word in line for word in bad.words)]
    assert matching, problems
    assert matching[0].startswith(where), problems
    for line in problems:
        assert "\n" not in line
        assert "Traceback" not in line
        assert SECRET not in line
        assert len(line) < 600, "a message that a person reads"


def test_the_table_is_long_enough_and_has_no_row_twice() -> None:
    assert len(ALL) >= 25
    assert len({(bad.kind, bad.name) for bad in ALL}) == len(ALL)
    assert len({bad.text for bad in BAD_ORDERS}) == len(BAD_ORDERS)


def test_the_order_that_they_are_made_from_is_good(tmp_path: Path) -> None:
    path = tmp_path / "order.yaml"
    path.write_text(GOOD_ORDER)
    order = load(path, OrderFile)

    assert admit(order, market(order.symbol), Ticks(BID), Ticks(ASK), RISK_FILE, now=NOW).warnings == ()
