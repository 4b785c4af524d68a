"""Every target by its name."""

from __future__ import annotations

from tests.fuzz import files, http, wire

TARGETS = {target.name: target for target in (*wire.TARGETS, *files.TARGETS, *http.TARGETS)}
