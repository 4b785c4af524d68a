"""One made-up market for all tests of the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.learning import made_up


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a recipe in it."""
    return made_up.write(tmp_path_factory.mktemp("market") / "data")
