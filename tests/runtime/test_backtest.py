"""A backtest works real parents through the real core, and says what all of it achieves beside the allocation alone."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from execd.cli import app
from execd.core.commands import CancelOrder, Command, SubmitOrder
from execd.core.desk import Desk
from execd.core.events import Event, OrderAccepted, OrderClosed, OrderFilled
from execd.core.grid import SECOND, Nanos, Side
from execd.runtime import backtest, backtest_parent, backtest_run
from execd.runtime.backtest_market import BacktestRefused, open_market
from execd.runtime.backtest_parent import Outcome, Result, advise, run
from execd.runtime.backtest_report import interval, render
from execd.runtime.journal import Row
from execd.runtime.replay import replay
from execd.runtime.settings import InstrumentLimits, RiskFile
from tests.runtime.past import RISK, SETTINGS, bars, flat, job, quiet, quotes, start_of, tape
from tests.runtime.process import ROOT

SHARED = ROOT.parent / "shared" / "data"
RECORDED = SHARED / "ticks" / "binance_perp_BTCUSDT_2024-08-08_hft.parquet"


class Rows:
    """A journal in memory."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def append(self, at: Nanos, fact: Event, commands: Sequence[Command]) -> int:
        self.rows.append(Row(len(self.rows) + 1, at, fact, tuple(commands)))
        return len(self.rows)

    def sent(self) -> list[tuple[Nanos, SubmitOrder]]:
        return [(row.at, command) for row in self.rows for command in row.commands if isinstance(command, SubmitOrder)]


def rising(second: float) -> float:
    """About a basis point in ten seconds."""
    return round(50_000.01 + 0.5 * second, 2)


def thin(_second: float) -> float:
    """A tenth of what the other tapes trade."""
    return 0.05


def worked(monkeypatch: pytest.MonkeyPatch, asked: backtest.Job, second: int = 100) -> tuple[Rows, Outcome]:
    """The rows and the outcome of the first model's work on one buyer."""
    rows, market = Rows(), open_market(asked.data, asked.spread_bps)
    monkeypatch.setattr(backtest_parent, "work", partial(backtest_run.work, log=rows))
    advices = {asked.models[0]: advise(asked.models[0], asked.settings, asked.shape)}
    found = run(market, start_of(second), Side.BUY, asked.shape, asked.settings, asked.risk, advices)
    assert found.refused is None, found.refused
    return rows, found.outcomes[asked.models[0]]


def limited(**changes: str) -> RiskFile:
    """The shipped risk.yaml with other limits for BTC/USDT."""
    own = RISK.instruments["BTC/USDT"].model_dump() | {key: Decimal(value) for key, value in changes.items()}
    return RISK.model_copy(update={"instruments": {"BTC/USDT": InstrumentLimits(**own)}})


# ------------------------------------------------------------------------------------------------------ the real core


def test_every_decision_replays_and_the_room_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are a journal's: another desk decides the same from them, and never has more at risk than was asked."""
    rows, outcome = worked(monkeypatch, job(tape(tmp_path, rising), "curve"))

    assert not replay(rows.rows).differences
    desk = Desk()
    for row in rows.rows:
        desk.handle(row.at, row.fact)
        for execution in desk.executions.values():
            assert execution.committed <= execution.parent.quantity
    assert outcome.filled > 0
    assert len(rows.sent()) == outcome.children


def test_the_limits_of_risk_yaml_bind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller child_quantity makes the children smaller."""
    asked = dataclasses.replace(job(tape(tmp_path, rising), "twap"), risk=limited(child_quantity="0.06"))
    rows, _ = worked(monkeypatch, asked)

    assert {command.quantity for _, command in rows.sent()} > {6_000}
    assert max(command.quantity for _, command in rows.sent()) == 6_000


def test_no_more_than_the_allowed_part_of_the_market_is_traded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent of a quarter of the volume meets the cap of a tenth, and what was printed before its start counts."""
    path = tape(tmp_path, rising, amount=thin)
    quotes(tmp_path, 0.5, rising)
    _, outcome = worked(monkeypatch, job(path, "twap", share="25%"), second=60)

    others = 120 * 4 * 5_000
    # Printed from the tape's begin to the end, 120 s later.
    assert 0.9 * others / 9 < outcome.filled <= others / 9
    assert outcome.filled < outcome.quantity
    assert not outcome.complete


def test_a_request_travels_for_the_latency_and_its_answer_travels_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is heard of an order before its journey, nor its answer before both."""
    latency = Nanos(300_000_000)
    settings = SETTINGS.model_copy(update={"paper": SETTINGS.paper.model_copy(update={"latency": latency})})
    rows, _ = worked(monkeypatch, dataclasses.replace(job(tape(tmp_path, rising), "twap"), settings=settings))
    sent = {command.order: at for at, command in rows.sent()}
    cancels = {c.order: row.at for row in rows.rows for c in row.commands if isinstance(c, CancelOrder)}

    heard = 0
    for row in rows.rows:
        match row.fact:
            case OrderAccepted(order=order):
                assert row.at == sent[order] + 2 * latency
            case OrderFilled(fill=fill):
                assert row.at >= sent[fill.order] + latency
            case OrderClosed(order=order, reason="canceled"):
                assert row.at == cancels[order] + 2 * latency
            case _:
                continue
        heard += 1
    assert heard > 10
    assert cancels


def test_nothing_is_decided_by_what_comes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tapes that part after 130 s give the same rows until then: prices may not leak from the future."""

    def parting(second: float) -> float:
        return rising(second) if second < 130 else rising(second) - 40.0

    rows = []
    for name, price in (("one", rising), ("other", parting)):
        (tmp_path / name).mkdir()
        rows.append(worked(monkeypatch, job(tape(tmp_path / name, price), "curve"))[0].rows)
    early = [[row for row in found if row.at < start_of(130)] for found in rows]

    assert early[0] == early[1]
    assert len(early[0]) > 20
    assert rows[0] != rows[1]


# ---------------------------------------------------------------------------------------------- what is achieved


def test_on_an_even_tape_without_a_spread_the_allocation_is_achieved(tmp_path: Path) -> None:
    """The same volume every second and a tick between bid and ask: nothing stands between plan and fills."""
    found = backtest.backtest(job(tape(tmp_path, rising), parents=6), quiet)

    for each in found["models"].values():
        assert each["completed"] == 1.0
        # A slice of ten seconds is half a basis point wide.
        assert abs(each["gap"]["signed"]["mean"]) < 0.5
        assert each["achieved"]["mae_bps"] < 0.5
    assert found["models"]["twap"]["allocation"]["mae_bps"] < 0.01


def test_the_gap_is_the_half_spread_where_every_slice_has_to_cross(tmp_path: Path) -> None:
    """Prints at the mid never reach an order at the touch, 10 bps away: all is taken, and the gap says what it cost."""
    path = tape(tmp_path)
    quotes(tmp_path, 50.0)
    # A part of each slice's volume is the last print's; the fee is beside the slippage, never in it.
    found = backtest.backtest(job(path), quiet)["models"]["twap"]

    assert found["completed"] == 1.0
    assert found["maker_share"] == 0.0
    assert found["allocation"]["mae_bps"] == 0.0
    assert found["achieved"]["signed_bps"] == pytest.approx(10.0, abs=0.001)
    assert found["gap"]["signed"]["mean"] == pytest.approx(10.0, abs=0.001)
    assert found["gap"]["signed_by_prices"]["mean"] == pytest.approx(10.0, abs=0.001)
    assert found["gap"]["signed_by_quantities"]["mean"] == 0.0
    assert found["spread_bps"] == pytest.approx(10.0, abs=0.001)
    assert found["fees_bps"] == 10.0


def test_resting_is_paid_the_half_spread_where_prints_come_to_it(tmp_path: Path) -> None:
    """Prints on both touches: a buyer that rests at the bid is filled there, below the VWAP."""

    def bouncing(second: float) -> float:
        return 50_000.01 + (25.0 if int(second * 4) % 2 == 0 else -25.0)

    path = tape(tmp_path, bouncing)
    quotes(tmp_path, 25.0, flat, size=0.1)
    found = backtest.backtest(job(path), quiet)["models"]["twap"]

    assert found["maker_share"] == 1.0
    assert found["spread_bps"] == pytest.approx(-5.0, abs=0.01)
    assert found["achieved"]["signed_bps"] == pytest.approx(-5.0, abs=0.01)


def test_the_allocation_fills_each_slice_at_its_own_vwap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TWAP's, added up by hand: a sixth of the order at each slice's price, against a VWAP of uneven volume."""

    def price(second: float) -> float:
        return 50_000.01 + 100.0 * int((second - 100) // 10)

    def amount(second: float) -> float:
        return 0.5 + 0.1 * int(max(0.0, second - 100) // 10)

    path = tape(tmp_path, price, amount=amount)
    _, outcome = worked(monkeypatch, job(path, "twap"))
    prices = np.array([price(100 + 10 * number) for number in range(6)])
    volume = np.array([amount(100 + 10 * number) for number in range(6)])
    vwap = (prices * volume).sum() / volume.sum()

    assert outcome.allocation == pytest.approx(1e4 * (prices.mean() - vwap) / vwap, abs=1e-3)


# -------------------------------------------------------------------------------------------- the same for everyone


def test_the_same_command_gives_the_same_figures_with_any_number_of_workers(tmp_path: Path) -> None:
    asked = job(tape(tmp_path, rising), parents=20)

    first = backtest.backtest(asked, quiet)

    assert backtest.backtest(asked, quiet) == first
    assert backtest.backtest(dataclasses.replace(asked, workers=2), quiet) == first
    assert backtest.backtest(dataclasses.replace(asked, seed=4), quiet) != first


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc, to see the workers")
def test_workers_leave_with_the_process_that_started_them(tmp_path: Path) -> None:
    """Killed, it ends no pool; its standard error is closed only when the last worker has gone, too."""
    path, guard = tape(tmp_path, rising), time.monotonic() + 60
    arguments = ["backtest", "--data", str(path), "--model", "curve", "--duration", "60s", "--parents", "20000"]
    process = subprocess.Popen([sys.executable, "-m", "execd", *arguments], cwd=ROOT, stderr=subprocess.PIPE)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    # Two workers and the tracker of their semaphores.
    while len(children.read_text().split()) < 3:
        assert time.monotonic() < guard, "no worker was started"
    process.kill()

    process.communicate(timeout=60)


def test_every_model_gets_the_same_parents_and_differences_are_paired(tmp_path: Path) -> None:
    """Whom else a model is compared with changes nothing for it."""
    path = tape(tmp_path, rising, amount=lambda second: 0.5 + 0.4 * np.sin(second / 7))
    both, alone = backtest.backtest(job(path), quiet), backtest.backtest(job(path, "twap"), quiet)
    difference = both["paired"]["curve - twap"]

    assert both["models"]["twap"] == alone["models"]["twap"]
    assert alone["paired"] == {}
    for what in ("achieved", "allocation"):
        means = [both["models"][model][what]["mae_bps"] for model in ("curve", "twap")]
        assert difference[what]["mean"] == pytest.approx(means[0] - means[1], abs=2e-6)
    assert difference["allocation"]["mean"] != 0.0


def test_an_interval_needs_blocks_and_holds_the_mean() -> None:
    """Twenty windows of one block are one piece of evidence; differences that agree have a narrow interval."""
    noise = np.random.default_rng(1).normal(1.0, 0.1, 200)

    few = interval(noise, np.zeros(200, dtype=np.int64), 7)
    many = interval(noise, np.arange(200, dtype=np.int64) // 10, 7)

    assert (few["low"], few["high"]) == (None, None)
    assert few["mean"] == many["mean"]
    assert many["low"] is not None
    assert many["high"] is not None
    assert many["mean"] is not None
    assert 0.95 < many["low"] < many["mean"] < many["high"] < 1.05


# ------------------------------------------------------------------------------------------------------- the command


def command(*arguments: str | Path) -> tuple[int, str, str]:
    """`execd backtest` on the shipped configuration."""
    result = CliRunner().invoke(app, ["backtest", "--config", str(ROOT / "config/execd.yaml"), *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped execd.yaml names its neighbors from the checkout's root."""
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("at_home")
def test_the_command_ends_with_one_json_object_or_with_tables(tmp_path: Path) -> None:
    rows = [(number, 100.0, 101.0, 99.0, 100.0, 200.0) for number in range(30)]
    asked = ("--data", bars(tmp_path, rows), "--model", "curve", "--model", "twap", "--duration", "5m", "--slices", "5")
    small = (*asked, "--parents", "4", "--workers", "1", "--quantity-share", "0.1%")

    code, output, _ = command(*small, "--json")
    found = json.loads(output.splitlines()[-1])

    assert code == 0
    assert found["compared"] == found["asked"]["parents"] == 4
    assert set(found["models"]) == {"curve", "twap"}
    assert found["markets"]["BTCUSDT"]["quotes"] == "made: 1 bps wide"
    code, output, _ = command(*small)
    assert code == 0
    assert output.strip() == render(found)
    assert output.count("| twap |") == 2


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--duration", "90"), "--duration: value is 90; allowed: a duration from 10s to 7d"),
        (("--duration", "1s"), "--duration: value is 1s; allowed: a duration from 10s to 7d"),
        (("--duration", "1h"), "no window of 1h without a hole"),
        (("--slices", "100"), "--slices: value is 100; allowed: from 1 to 90"),
        (("--slices", "0"), "--slices: value is 0; allowed: from 1 to 90"),
        (("--quantity-share", "50%"), "--quantity-share: value is 50%; allowed: a share above 0 up to 25%"),
        (("--spread", "-1"), "--spread: value is -1; allowed: a decimal number from 0 to 100 bps"),
        (("--model", "nobody"), "--model: value is nobody;"),
        (("--model", "twap", "--model", "twap"), "--model: twap is given twice"),
        (("--data", "/nowhere"), "--data: /nowhere is no market file"),
        (("--config", "/nowhere.yaml"), "/nowhere.yaml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_gets_one_message_and_exit_code_78(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    code, output, said = command("--data", tape(tmp_path), "--workers", "1", *arguments)
    messages = [line for line in said.splitlines() if line.startswith("execd: ")]

    assert (code, output) == (78, ""), said
    assert len(messages) == 1
    assert words in messages[0]
    assert "Traceback" not in said


def test_what_risk_yaml_does_not_allow_is_left_out_of_a_folder_and_refused_alone(tmp_path: Path) -> None:
    """A folder is worked as far as it can be, and the rest is named."""
    path = tape(tmp_path, rising)
    other = path.rename(tmp_path / "binance_spot_TRXUSDT_2023-11-14.parquet")
    tape(tmp_path, rising)

    found = backtest.backtest(job(tmp_path, "twap"), quiet)

    assert list(found["left_out"]) == [other.name]
    assert "allowed: BTC/USDT" in found["left_out"][other.name]
    assert found["compared"] == 4
    with pytest.raises(BacktestRefused, match="symbol is TRX/USDT"):
        backtest.backtest(job(other, "twap"), quiet)


def test_parents_that_are_not_admitted_are_counted_with_the_reason(tmp_path: Path) -> None:
    """A millionth of the volume is less than the exchange takes."""
    found = backtest.backtest(job(tape(tmp_path, amount=thin), "twap", share="0.0001%"), quiet)

    assert found["admitted"] == found["compared"] == 0
    assert found["refused"]["quantity"]["parents"] == 4
    assert found["models"]["twap"]["achieved"]["mae_bps"] is None
    assert "Not admitted for their quantity: 4" in render(found)


def test_a_parent_is_made_no_larger_than_risk_yaml_allows(tmp_path: Path) -> None:
    """It is worked at that size, and the report says how often."""
    asked = dataclasses.replace(job(tape(tmp_path), "twap"), risk=limited(parent_notional="5000"))

    found = backtest.backtest(asked, quiet)

    assert found["capped"] == found["compared"] == 4
    assert found["mean_worth"] == pytest.approx(0.95 * 5_000, rel=0.01)


@pytest.mark.skipif(not RECORDED.is_file(), reason="needs ../shared/data, the recorded market data")
def test_on_a_recorded_tape_the_shipped_model_works_and_the_gap_is_a_number() -> None:
    """Ninety seconds in fifteen slices on recorded trades and quotes, by all three."""
    asked = job(RECORDED, "vwap-2", "curve", "twap", parents=4, duration="90s", slices=15)
    found = backtest.backtest(asked, quiet)

    assert found["markets"][RECORDED.stem]["quotes"] == "recorded"
    for each in found["models"].values():
        assert each["fallback"] is None
        assert each["alarms"] == {}
        assert each["filled_share"] > 0.95
        assert 0.0 < each["maker_share"] < 1.0
        assert each["gap"]["size"]["mean"] == pytest.approx(
            each["achieved"]["mae_bps"] - each["allocation"]["mae_bps"], abs=2e-6
        )


def test_the_results_of_a_parent_name_its_market_and_side(tmp_path: Path) -> None:
    asked = job(tape(tmp_path), "twap")
    advices = {"twap": advise("twap", asked.settings, asked.shape)}
    market = open_market(asked.data, 0.0)

    found = run(market, start_of(100), Side.SELL, asked.shape, asked.settings, asked.risk, advices)

    assert isinstance(found, Result)
    assert (found.market, found.side, found.start) == (asked.data.stem, "sell", start_of(100))
    assert found.outcomes["twap"].quantity == 60 * 4 * 50_000 // 100
    assert found.start % SECOND == 0
