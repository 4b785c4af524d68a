"""Limits are whole numbers, and set once."""

from __future__ import annotations

import dataclasses

import pytest

from execd.core.limits import RiskLimits
from tests.core.build import limits


def test_every_limit_is_a_whole_number() -> None:
    """A float limit would make a refusal depend on rounding."""
    assert {type(getattr(limits(), field.name)) for field in dataclasses.fields(RiskLimits)} == {int}


def test_a_limit_cannot_be_loosened_once_set() -> None:
    given = limits()

    with pytest.raises(dataclasses.FrozenInstanceError):
        given.child_quantity = 10**9  # type: ignore[misc,assignment]  # it is the point
