"""A large order needs a second user, whose word is a file that the system says is theirs."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from execd.core.grid import SECOND, Nanos, Notional
from execd.runtime.approval import FOLDER, VALID, ApprovalError, approve, demand, missing
from execd.runtime.settings import Mode, OrderFile, load
from tests.core.build import an_instrument

ORDER = "symbol: BTC/USDT\nside: buy\nquantity: 1\nduration: 1h\n"
SOMEBODY_ELSE = os.getuid() + 1


@pytest.fixture
def order(tmp_path: Path) -> OrderFile:
    path = tmp_path / "order.yaml"
    path.write_text(ORDER)
    return load(path, OrderFile)


def given(state: Path, order: OrderFile) -> tuple[Path, Nanos]:
    """An approval of ours for live; where it lies, and when it was given."""
    path = approve(state, order, Mode.LIVE, "agreed")
    return path, Nanos(json.loads(path.read_text())["at"])


def test_an_approval_is_for_others_for_a_day_for_one_file_in_one_mode(tmp_path: Path, order: OrderFile) -> None:
    _, at = given(tmp_path, order)

    assert missing(tmp_path, order, Mode.LIVE, SOMEBODY_ELSE, at) is None
    assert missing(tmp_path, order, Mode.LIVE, SOMEBODY_ELSE, Nanos(at + VALID)) is None
    assert "older than a day" in str(missing(tmp_path, order, Mode.LIVE, SOMEBODY_ELSE, Nanos(at + VALID + 1)))
    assert "older than a day" in str(missing(tmp_path, order, Mode.LIVE, SOMEBODY_ELSE, Nanos(at - SECOND)))
    assert "who runs it: another user must" in str(missing(tmp_path, order, Mode.LIVE, os.getuid(), at))
    assert missing(tmp_path, order, Mode.TESTNET, SOMEBODY_ELSE, at) == "nobody has approved it"


def test_a_changed_order_file_is_not_approved(tmp_path: Path, order: OrderFile) -> None:
    path, at = given(tmp_path, order)
    order.path.write_text(ORDER.replace("1h", "2h"))
    changed = load(order.path, OrderFile)
    assert missing(tmp_path, changed, Mode.LIVE, SOMEBODY_ELSE, at) == "nobody has approved it"

    path.rename(path.with_name(f"{changed.sha256}.live.json"))
    assert "is of another order file" in str(missing(tmp_path, changed, Mode.LIVE, SOMEBODY_ELSE, at))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"order_sha256": 1}', b"[" * 100_000])
def test_nonsense_approves_nothing(tmp_path: Path, order: OrderFile, content: bytes) -> None:
    path, at = given(tmp_path, order)
    path.write_bytes(content)
    assert "cannot be read" in str(missing(tmp_path, order, Mode.LIVE, SOMEBODY_ELSE, at))


def test_real_money_is_refused_and_all_else_is_warned(tmp_path: Path, order: OrderFile) -> None:
    """A hundred thousand of the quote currency is the limit; one more is beyond it."""
    grid = an_instrument()
    at, beyond = grid.notional_down(Decimal(100_000)), grid.notional_down(Decimal(100_001))

    def asked(mode: Mode, worth: Notional) -> str | None:
        return demand(tmp_path, order, mode, grid, worth, Decimal(100_000), Nanos(0))

    assert asked(Mode.LIVE, at) is None
    with pytest.raises(ApprovalError, match=r"worth 100001\.00 USDT, more than 100000 .*let a second user run `execd"):
        asked(Mode.LIVE, beyond)
    assert "in mode live it would not start" in str(asked(Mode.PRACTICE, beyond))


def test_an_approved_order_needs_no_more_words(
    tmp_path: Path, order: OrderFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, at = given(tmp_path, order)
    monkeypatch.setattr(os, "getuid", lambda: SOMEBODY_ELSE)
    grid = an_instrument()

    worth = grid.notional_down(Decimal(100_001))
    assert demand(tmp_path, order, Mode.LIVE, grid, worth, Decimal(100_000), at) is None


def test_an_approval_that_cannot_be_written_is_told(tmp_path: Path, order: OrderFile) -> None:
    (tmp_path / FOLDER).write_text("no folder")
    with pytest.raises(ApprovalError, match="the approval cannot be written"):
        approve(tmp_path, order, Mode.LIVE, "agreed")
