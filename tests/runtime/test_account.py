"""What the account must hold before an order is worked on it, and who else has orders there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execd.core.grid import Ticks
from execd.runtime.account import Standing, demand_funds, worst_price
from execd.runtime.admission import Admission, AdmissionRefused, admit
from execd.runtime.screen import open_screen
from execd.runtime.settings import OrderFile
from execd.venues import Balance
from tests.runtime.account import cancel_all, open_orders, ordered, place
from tests.runtime.markets import ASK, BID, NOW, RISK_FILE, market
from tests.runtime.process import Exchange, Process, execd, report_of, write_order

FEE = Decimal("0.001")
COSTS = 1 + FEE + Decimal("0.001")
FAR = "30000"
"""A price at which nothing sells."""


def order(**changes: Any) -> OrderFile:
    given: dict[str, Any] = {"symbol": "BTC/USDT", "side": "buy", "quantity": "1", "duration": "90s"} | changes
    return OrderFile(**{key: value for key, value in given.items() if value is not None})


def admitted(file: OrderFile) -> Admission:
    return admit(file, market(), Ticks(BID), Ticks(ASK), RISK_FILE, now=NOW)


def demand(free: str, currency: str = "USDT", **changes: Any) -> None:
    """Hold an order against an account that has so much free, and as much again locked."""
    file = order(**changes)
    balances = [Balance("XRP", "9999999", "9999999"), Balance(currency, free, str(2 * Decimal(free)))]
    demand_funds(file, admitted(file), BID + ASK, Standing(balances, FEE))


def refused(free: str, currency: str = "USDT", **changes: Any) -> str:
    with pytest.raises(AdmissionRefused) as refusal:
        demand(free, currency, **changes)
    (problem,) = refusal.value.problems
    return problem


def test_a_buy_without_a_limit_needs_what_both_collars_let_it_pay() -> None:
    """65,000 and 3 % and 0.5 % on top: 67,284.75; and the fee, and 0.1 %."""
    parent, limits = admitted(order()).parent, admitted(order()).limits
    assert (limits.period_collar_bps, limits.collar_bps) == (300, 50)
    assert worst_price(parent, limits, BID + ASK) == 67_284_75
    needed = Decimal("67284.75") * COSTS

    demand(str(needed))

    told = refused(str(needed - Decimal("0.01")))
    assert (
        "quantity: value is 1.00000 BTC, which may need 67419.3195 USDT with fees; allowed: at most 0.99999 BTC" in told
    )
    assert told.endswith("for 67419.3095 USDT are free on the account")


def test_a_limit_price_bounds_what_a_buy_needs() -> None:
    demand(str(Decimal(65_100) * COSTS), limit_price="65100")
    assert "may need 65230.2 USDT" in refused("65000", limit_price="65100")
    assert "may need 67419.3195 USDT" in refused("65000", limit_price="71000"), "the collars are nearer"


def test_a_buy_given_as_money_needs_that_money() -> None:
    """It never spends more; what is offered instead is money too."""
    demand("25050", quantity=None, notional="25000")
    told = refused("25049", quantity=None, notional="25000")
    assert "notional: value is 0.38461 BTC, which may need 25050 USDT with fees; allowed: at most 24999.001" in told


def test_a_sell_needs_its_quantity_and_no_fee() -> None:
    demand("1", "BTC", side="sell")
    told = refused("0.999999", "BTC", side="sell")
    assert told.endswith(
        "quantity: value is 1.00000 BTC; allowed: at most 0.99999, for 0.999999 BTC are free on the account"
    )
    assert "at most 0.00000, for 0 BTC are free" in refused("1000000", "USDT", side="sell")


def test_what_is_offered_can_be_paid() -> None:
    """The quantity, or the money, that a refusal names is admitted in its place."""
    cases: list[dict[str, Any]] = [{}, {"limit_price": "65100"}, {"quantity": None, "notional": "5000"}]
    for changes in cases:
        told = re.search(r"at most ([\d.]+) ", refused("1234.56", **changes))
        assert told is not None
        demand("1234.56", **(changes | {"notional" if "notional" in changes else "quantity": told[1]}))


def test_a_client_id_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """What somebody else has chosen is no markup: a screen neither hides it nor fails over it."""
    with open_screen(quiet=True) as screen:
        screen.say("the first is [bold]x[/red]")

    assert capsys.readouterr().err == "the first is [bold]x[/red]\n"


# ------------------------------------------------------------------------------------------------------- end to end


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A market on which the account holds a thousand dollars and a tenth of a bitcoin."""
    running = Exchange(tmp_path_factory.mktemp("exchange"), "--seed", "4", "--balances", "USDT=20000,BTC=0.1")
    yield running
    running.stop()


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a short path: a socket lies in it."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def refusing(tmp_path: Path) -> Path:
    """Settings under which foreign orders forbid a start."""
    config = tmp_path / "refuse.yaml"
    config.write_text("account: {foreign_orders: refuse}\n")
    return config


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("side", "words"),
    [
        ("buy", r"0\.50000 BTC, which may need [\d.]+ USDT with fees; .*, for [\d.]+ USDT are free on the account"),
        ("sell", r"0\.50000 BTC; allowed: at most [\d.]+, for [\d.]+ BTC are free on the account"),
    ],
    ids=["buy", "sell"],
)
def test_an_order_that_the_account_cannot_pay_is_refused(
    command: str, side: str, words: str, exchange: Exchange, state: Path, tmp_path: Path
) -> None:
    """Exit code 78 and one sentence; no journal is left that the next start would resume."""
    file = write_order(tmp_path, quantity="0.5", side=side)

    code, output, said = execd(command, "-o", file, "--exchange", exchange.ready, state=state)

    assert (code, output) == (78, ""), said
    assert re.search(words, said), said
    assert len(said.splitlines()) == 1
    assert not list((state / "active").glob("*.journal"))


@pytest.mark.parametrize(("funds", "code"), [("{}", 0), ("{USDT: 5000}", 78), ("{USDT: 20000}", 0), ("{BTC: 1}", 78)])
def test_an_imagined_account_is_held_to_its_funds_if_it_has_any(
    funds: str, code: int, exchange: Exchange, state: Path, tmp_path: Path
) -> None:
    """Mode paper with no balances at all has no funds to run out of."""
    config = tmp_path / "paper.yaml"
    config.write_text(f"mode: paper\npaper: {{balances: {funds}}}\n")
    file = write_order(tmp_path)

    got, _, said = execd("check", "-o", file, "--config", config, "--exchange", exchange.ready, state=state)

    assert got == code, said


def test_foreign_orders_forbid_a_fresh_start_if_the_settings_say_so(
    exchange: Exchange, state: Path, tmp_path: Path, refusing: Path
) -> None:
    """Exit code 5, one sentence with how many, the first and the key; `execd check` says the same; nothing is sent."""
    place(exchange, "by-hand-1", FAR)
    place(exchange, "by-hand-2", FAR)
    before = ordered(exchange)
    try:
        for command in ("run", "check"):
            code, output, said = execd(
                command,
                "-o",
                write_order(tmp_path, quantity="0.05"),
                "--config",
                refusing,
                "--exchange",
                exchange.ready,
                state=state,
            )

            assert (code, output) == (5, ""), said
            assert len(said.splitlines()) == 1
            assert "not of this order: 2, the first is by-hand-1; nothing was sent" in said
            assert "account.foreign_orders" in said
    finally:
        cancel_all(exchange)
    assert ordered(exchange) == before
    assert not list((state / "active").glob("*.journal"))


def test_a_killed_parent_is_not_resumed_beside_foreign_orders_and_is_with_a_warning(
    exchange: Exchange, state: Path, tmp_path: Path, refusing: Path
) -> None:
    """Refusing, its own open orders are not taken for foreign; reporting, the foreign one is left as it is."""
    file = write_order(tmp_path, quantity="0.05", duration="25s", slices=8)
    arguments = ("run", "-o", file, "--exchange", exchange.ready, "--json")
    first = Process(*arguments, state=state)
    first.until("order accepted")
    first.kill()
    place(exchange, "by-hand-3", FAR)
    before = ordered(exchange)

    code, output, said = execd(*arguments, "--config", refusing, state=state)

    assert (code, output) == (5, ""), said
    assert "not of this order: 1, the first is by-hand-3; nothing was sent" in said
    assert ordered(exchange) == before

    code, output, said = execd(*arguments, state=state)

    report = report_of(output)
    assert code in (0, 3), said
    assert "by-hand-3; they are left alone (execd.yaml: account.foreign_orders)" in said
    assert (report["reconciled"], report["foreign_orders"], report["balance_drift"]) == (True, 1, 0.0)
    assert [row["clientOrderId"] for row in open_orders(exchange)] == ["by-hand-3"]
    cancel_all(exchange)


def test_what_somebody_else_trades_shows_as_drift(exchange: Exchange, state: Path, tmp_path: Path) -> None:
    """A stranger buys 0.01 with the same account and pays 0.1 % of it: just that is not explained by our fills."""
    file = write_order(tmp_path, quantity="0.05")
    running = Process("run", "-o", file, "--exchange", exchange.ready, "--json", state=state)
    running.until("order filled")
    place(exchange, "by-hand-4", quantity="0.01")

    code, output = running.end()

    report = report_of(output)
    assert (code, report["reconciled"]) == (0, True), running.said
    assert report["balance_drift"] == 0.00999
