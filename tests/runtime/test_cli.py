"""The command line: one message and a documented exit code for every broken input, help for every command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from execd.cli import EXPECTED, app, exit_code
from tests.runtime.bad_inputs import ALL, GOOD_ORDER, ORDER, RISK, SECRET, SETTINGS, BadInput
from tests.runtime.process import ROOT, Exchange, execd, write_order

LOADED = [bad for bad in ALL if bad.stage == "load"]
ADMITTED = [bad for bad in ALL if bad.stage == "admission"]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """One market for all tests of this module."""
    exchange = Exchange(tmp_path_factory.mktemp("exchange"), "--seed", "3")
    yield exchange
    exchange.stop()


def arguments(folder: Path, bad: BadInput) -> list[str]:
    """`execd check` on a set of files of which one is broken."""
    texts: dict[str, str | bytes] = {
        ORDER: GOOD_ORDER,
        RISK: (ROOT / "config/risk.yaml").read_bytes(),
        SETTINGS: f"risk_file: {folder / 'risk.yaml'}\n",
        bad.kind: bad.text,
    }
    for kind, text in texts.items():
        (folder / f"{kind}.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return ["--parent-order", str(folder / "order.yaml"), "--config", str(folder / "settings.yaml")]


@pytest.mark.parametrize("bad", LOADED, ids=lambda bad: f"{bad.kind}: {bad.name}")
def test_a_broken_file_is_refused_before_anything_is_connected(tmp_path: Path, bad: BadInput) -> None:
    """Exit code 78 and the loader's message; a traceback on bad input is a bug."""
    result = CliRunner().invoke(app, ["check", *arguments(tmp_path, bad)])

    assert result.exit_code == 78, result.output
    assert any(all(word in line for word in bad.words) for line in result.stderr.splitlines()), result.stderr
    assert result.stderr.startswith("execd: ")
    assert result.stdout == ""
    assert SECRET not in result.output
    assert isinstance(result.exception, SystemExit)


def test_an_order_that_cannot_be_worked_is_refused_with_nothing_sent(market: Exchange, tmp_path: Path) -> None:
    """Every row of the table that only the market can judge gets exit code 78 and its message."""
    for bad in ADMITTED:
        code, output, said = execd("check", *arguments(tmp_path, bad), "--exchange", market.ready, state=tmp_path)

        assert (code, output) == (78, ""), (bad.name, said)
        assert "Traceback" not in said, bad.name


def test_an_unknown_symbol_is_refused_naming_ones_that_exist(market: Exchange, tmp_path: Path) -> None:
    """The exchange knows which symbols there are; the message helps a typing error."""
    order = write_order(tmp_path)
    order.write_text(order.read_text().replace("BTC/USDT", "BTC/USDX"))

    code, _, said = execd("check", "-o", order, "--exchange", market.ready, state=tmp_path)

    assert code == 78
    assert "BTC/USDX" in said
    assert "BTC/USDT" in said
    assert "Traceback" not in said


def test_check_shows_the_plan_and_sends_nothing(market: Exchange, tmp_path: Path) -> None:
    """Each slice with its time and quantity; the last row is the whole quantity."""
    code, output, said = execd("check", "-o", write_order(tmp_path), "--exchange", market.ready, state=tmp_path)

    assert code == 0, said
    assert "The order can run. Nothing was sent." in output
    assert "0.20000" in output


def test_a_port_that_is_taken_is_told_in_one_line(market: Exchange, tmp_path: Path) -> None:
    """`execd exchange` on a port in use ends with 78 and names the port."""
    port = market.described["rest"].rsplit(":", 1)[1]

    code, output, said = execd("exchange", "--port", port, state=tmp_path)

    assert (code, output) == (78, "")
    assert port in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["replay", "no-such.journal"], 5),
        (["report", "no-such.journal"], 5),
        (["status"], 5),
        (["pause", "nobody"], 5),
        (["reset", "--reason", "x"], 5),
        (["healthcheck"], 0),
        (["run"], 2),
        (["dance"], 2),
    ],
)
def test_a_command_with_nothing_to_work_on_says_so(command: list[str], code: int, tmp_path: Path) -> None:
    """One sentence and the documented exit code."""
    result = CliRunner().invoke(app, command, env={"EXECD_STATE_DIR": str(tmp_path)})

    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output


def test_every_command_has_help_with_an_example() -> None:
    """`execd COMMAND --help` tells how it is used."""
    group = typer.main.get_command(app)
    names = list(group.commands)  # type: ignore[attr-defined]  # typer's group has them
    assert {"run", "check", "exchange", "replay", "report", "kill", "reset"} <= set(names)
    for name in names:
        result = CliRunner().invoke(app, [name, "--help"])
        assert result.exit_code == 0
        assert "Example: execd" in result.stdout, name


def test_help_needs_nothing_that_takes_long_to_import() -> None:
    """Whoever asks for help waits for typer alone, and for no library of those who trade."""
    code = (
        "import sys, atexit, execd.cli; sys.argv = ['execd', '--help']; heavy = "
        "('torch', 'ccxt', 'polars', 'numpy', 'pydantic', 'aiohttp', 'asyncio', 'rich', 'structlog', 'execd.runtime');"
        "atexit.register(lambda: print(sorted(name for name in heavy if name in sys.modules))); execd.cli.main()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert "Usage: execd" in found.stdout
    assert found.stdout.splitlines()[-1] == "[]"


def test_every_expected_error_exists_and_has_a_documented_code() -> None:
    """The table of exit codes names classes by module; a renamed one would fall through as unexpected."""
    import importlib

    for module, name, code in EXPECTED:
        kind = getattr(importlib.import_module(module), name)
        assert exit_code(kind(["a problem"]) if name in ("SettingsError", "AdmissionRefused") else kind("a")) == code
    assert exit_code(KeyError("a bug")) is None
