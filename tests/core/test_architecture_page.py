"""ARCHITECTURE.md tells the truth about the state machine."""

from __future__ import annotations

from pathlib import Path

from execd.core.orders import TRANSITIONS, OrderState

PAGE = Path(__file__).resolve().parents[2] / "ARCHITECTURE.md"


def test_the_picture_of_the_states_is_the_table() -> None:
    """Each state stands on the page with exactly the moves that the table allows."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    drawn = {}
    for line in lines:
        state, arrow, targets = line.partition("->")
        if arrow and state.strip() in {each.value for each in OrderState}:
            drawn[state.strip()] = {word.strip() for word in targets.split(",") if word.strip()}

    table = {state.value: {target.value for target in targets} for state, targets in TRANSITIONS.items()}
    assert table == drawn
