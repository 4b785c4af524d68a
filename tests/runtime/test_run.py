"""`execd run` against a practice exchange in a process of its own: what an operator sees, end to end."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.process import Exchange, Process, execd, report_of, write_order


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """One synthetic market for all tests of this module."""
    exchange = Exchange(tmp_path_factory.mktemp("exchange"), "--seed", "11")
    yield exchange
    exchange.stop()


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a short path: a socket lies in it."""
    return tmp_path_factory.mktemp("s")


def test_an_order_is_filled_reported_and_reconciled(market: Exchange, state: Path, tmp_path: Path) -> None:
    """The report's figures hang together, the exchange agrees, and every decision of the journal repeats."""
    order = write_order(tmp_path)

    code, output, said = execd("run", "-o", order, "--exchange", market.ready, "--json", state=state)

    assert code == 0, said
    report = report_of(output)
    assert (report["state"], report["filled"], report["quantity"]) == ("filled", 0.2, 0.2)
    assert report["reconciled"]
    assert report["fills"] > 0
    assert report["missing_trades"] == 0
    assert report["market_volume"] == pytest.approx(report["market_volume_ex_own"] + 0.2)
    slippage = 1e4 * (report["average_price"] / report["market_vwap"] - 1)
    assert report["slippage_bps"] == pytest.approx(slippage, abs=1e-6)
    assert report["model"] == {"name": "curve", "sha256": "", "share": 0.0, "fallback": None}
    assert sum(row["filled"] for row in report["slices"]) == pytest.approx(0.2)
    (journal,) = (state / "done").glob("*.journal")
    assert report["journal"] == str(journal)
    code, output, _ = execd("replay", journal, "--json", state=state)
    assert (code, report_of(output)["identical"]) == (0, True)
    code, output, _ = execd("report", journal, state=state)
    assert code == 0
    assert "market VWAP without own prints" in output


def test_a_sell_in_quote_currency_works_too(market: Exchange, state: Path, tmp_path: Path) -> None:
    """A sell given as money is a quantity at the mid, rounded down, and its slippage has the other sign."""
    order = write_order(tmp_path, side="sell")
    order.write_text(order.read_text().replace("quantity: 0.2", "notional: 10000"))

    code, output, said = execd("run", "-o", order, "--exchange", market.ready, "--json", state=state)

    assert code == 0, said
    report = report_of(output)
    assert report["reconciled"]
    assert report["filled"] * report["arrival_price"] == pytest.approx(10_000, rel=1e-3)
    slippage = -1e4 * (report["average_price"] / report["market_vwap"] - 1)
    assert report["slippage_bps"] == pytest.approx(slippage, abs=1e-6)


def test_a_drained_parent_is_resumed_by_the_same_command(market: Exchange, state: Path, tmp_path: Path) -> None:
    """SIGTERM cancels what is open and exits 0; the same command goes on with the same parent and the same count."""
    order = write_order(tmp_path, duration="25s", slices=8)
    first = Process("run", "-o", order, "--exchange", market.ready, "--json", state=state)
    parent = re.search(r"parent=(\w+)", first.until("parent submitted"))
    first.until("order filled")

    first.signal(signal.SIGTERM)

    code, output = first.end()
    drained = report_of(output)
    assert (code, drained["reconciled"]) == (0, True), first.said
    assert 0 < drained["filled"] < 0.2
    code, output, said = execd("run", "-o", order, "--exchange", market.ready, "--json", state=state)
    report = report_of(output)
    assert code == 0, said
    assert parent is not None
    assert parent.group(1) == report["parent"]
    assert (report["filled"], report["reconciled"]) == (0.2, True)
    assert report["missing_trades"] == 0, "the prints of the pause were fetched"


def test_an_operator_pauses_resumes_and_cancels(market: Exchange, state: Path, tmp_path: Path) -> None:
    """Each word reaches the daemon, who spoke it stands in the log, and a canceled parent ends reconciled."""
    order = write_order(tmp_path, duration="60s", slices=10)
    running = Process("run", "-o", order, "--exchange", market.ready, "--json", state=state)
    running.until("submit order")

    for verb in ("pause", "resume", "cancel"):
        assert execd(verb, state=state)[0] == 0
        assert "uid" in running.until(f"parent {'canceled' if verb == 'cancel' else verb + 'd'}")

    code, output = running.end()
    report = report_of(output)
    assert (code, report["state"], report["reconciled"]) == (0, "canceled", True)


def test_paper_imagines_fills_on_the_real_stream(market: Exchange, state: Path, tmp_path: Path) -> None:
    """Mode paper works the same order on the same prints, and nothing of it reaches the exchange."""
    order = write_order(tmp_path)

    code, output, said = execd("run", "-o", order, "--mode", "paper", "--exchange", market.ready, "--json", state=state)

    report = report_of(output)
    assert code in (0, 3), said
    assert report["reconciled"]
    assert report["filled"] > 0
    assert report["market_volume"] == report["market_volume_ex_own"], "an imagined fill is on no tape"


def test_a_killed_paper_parent_is_resumed_with_its_imagined_fills(
    market: Exchange, state: Path, tmp_path: Path
) -> None:
    """What was imagined before the kill is in the journal, counts, and is reconciled at the end."""
    order = write_order(tmp_path, duration="25s", slices=8)
    arguments = ("run", "-o", order, "--mode", "paper", "--exchange", market.ready, "--json")
    first = Process(*arguments, state=state)
    first.until("order filled")
    first.kill()

    code, output, said = execd(*arguments, state=state)

    report = report_of(output)
    assert code in (0, 3), said
    assert report["reconciled"], report["reconciliation"]
    assert report["filled"] > 0


def test_metrics_and_status_are_served_and_hold_no_secret(market: Exchange, state: Path, tmp_path: Path) -> None:
    """Neither the key nor the secret is in the log, the status or the journal."""
    order = write_order(tmp_path)
    running = Process("run", "-o", order, "--exchange", market.ready, "--json", state=state)
    running.until("order accepted")
    _, status, _ = execd("status", "--json", state=state)
    running.end()

    (journal,) = (state / "done").glob("*.journal")
    for secret in market.described["key"].values():
        assert secret not in status
        assert secret not in "".join(running.said)
        assert secret.encode() not in journal.read_bytes()
    assert report_of(status)["state"] == "working"


def test_an_order_file_that_was_changed_does_not_resume_another_parent(
    market: Exchange, state: Path, tmp_path: Path
) -> None:
    """The unfinished parent is named, with both ways out; --fresh is one of them."""
    order = write_order(tmp_path, duration="60s", slices=10)
    first = Process("run", "-o", order, "--exchange", market.ready, state=state)
    first.until("submit order")
    first.kill()
    write_order(tmp_path, quantity="0.1")

    code, _, said = execd("run", "-o", order, "--exchange", market.ready, state=state)

    assert code == 5
    assert "--fresh" in said
    assert "Traceback" not in said


def test_a_parent_that_is_being_worked_on_cannot_be_given_up_under_its_daemon(
    market: Exchange, state: Path, tmp_path: Path
) -> None:
    """--fresh beside a running daemon is refused, and the journal stays where the daemon has it."""
    order = write_order(tmp_path, duration="60s", slices=10)
    first = Process("run", "-o", order, "--exchange", market.ready, state=state)
    first.until("submit order")

    code, _, said = execd("run", "-o", order, "--exchange", market.ready, "--fresh", state=state)

    assert code == 5
    assert "another execd is working on this journal" in said
    assert (state / "active" / "practice-test.journal").exists()
    first.kill()


def test_a_journal_without_a_fact_is_put_away_and_the_order_begins_anew(
    market: Exchange, state: Path, tmp_path: Path
) -> None:
    """Killed before the first row was durable, nothing was sent: the same command simply works."""
    order = write_order(tmp_path)
    active = state / "active" / "practice-test.journal"
    active.parent.mkdir(parents=True)
    active.touch()

    code, output, said = execd("run", "-o", order, "--exchange", market.ready, "--json", state=state)

    assert code == 0, said
    assert report_of(output)["reconciled"]
    assert [path.name for path in (state / "abandoned").iterdir()] == ["practice-test-empty.journal"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--live"], 4, "mode is practice"),
        (["--mode", "live"], 4, "--live"),
        (["--mode", "live", "--live"], 4, "limit_price"),
        (["--mode", "testnet"], 4, "api_key"),
        (["--mode", "sideways"], 78, "practice, paper, testnet, live"),
        (["--tape", "no-such-file.parquet"], 78, "no-such-file.parquet"),
        (["--speed", "0"], 2, "--speed"),
        (["--exchange", "no-such-file.json"], 78, "no-such-file.json"),
        (["--config", "no-such-file.yaml"], 78, "no-such-file.yaml"),
    ],
)
def test_what_must_not_run_is_refused_with_one_message(
    arguments: list[str], code: int, words: str, state: Path, tmp_path: Path
) -> None:
    """An interlock, a bad option: the documented exit code, the word that helps, no traceback, nothing sent."""
    got, output, said = execd("run", "-o", write_order(tmp_path), *arguments, state=state)

    assert code == got, said
    assert words in said
    assert "Traceback" not in said
    assert output == ""
