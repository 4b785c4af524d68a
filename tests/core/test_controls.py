"""The inventory of controls is whole, and an id means one thing."""

from __future__ import annotations

from execd.core.controls import CONTROLS, NEVER_OVERRIDDEN
from execd.core.limits import OVERRIDABLE
from execd.core.risk import Refusal

IDS = [control.id for control in CONTROLS]


def test_every_control_of_the_checklist_is_there_once() -> None:
    demanded = {f"P{n}" for n in range(1, 29)} | {f"I{n}" for n in range(1, 15)} | {f"T{n}" for n in range(1, 7)}
    assert demanded <= set(IDS)
    assert len(IDS) == len(set(IDS))


def test_every_refusal_of_the_gate_has_its_row() -> None:
    assert {refusal.value for refusal in Refusal} <= set(IDS)


def test_what_is_never_overridden_cannot_be() -> None:
    for control in CONTROLS:
        if control.id in NEVER_OVERRIDDEN:
            assert not {f"{key}_ppm" for key in control.keys} & OVERRIDABLE
            assert not set(control.keys) & OVERRIDABLE
