"""The runbook, read as data."""

from __future__ import annotations

import re

from tests.deploy.checkout import DEPLOY

TEXT = (DEPLOY / "RUNBOOK.md").read_text()


def anchor(heading: str) -> str:
    """The anchor that a reader of Markdown makes of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def sections() -> dict[str, str]:
    """Each section's heading and its text."""
    parts = re.split(r"^#{1,3} (.+)$", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def exit_codes() -> list[int]:
    """The codes of the table of exit codes, as it has them."""
    rows = re.findall(r"^\| ([\d, ]+) \|", sections()["Exit codes"], flags=re.MULTILINE)
    return [int(code) for row in rows for code in row.split(",")]
