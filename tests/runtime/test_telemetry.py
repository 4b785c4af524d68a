"""One line a fact, every series from the start, and no secret anywhere."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from execd.core.commands import CancelOrder, FinishParent, RaiseAlarm, RecordRefusal, SubmitOrder
from execd.core.events import (
    Channel,
    Event,
    Gap,
    KillReset,
    KillTripped,
    MarketObserved,
    MarketView,
    OrderAccepted,
    OrderClosed,
    OrderFilled,
    OrderLost,
    ParentSubmitted,
    ProposalFailed,
    SliceProposed,
    StreamLost,
    StreamRestored,
    Woken,
)
from execd.core.execution import Execution
from execd.core.grid import SECOND, Lots, Nanos, Notional, Side, Ticks
from execd.core.orders import Fill, Liquidity, OrderKind
from execd.core.risk import Refusal
from execd.runtime.admission import admit
from execd.runtime.latch import Kind, Scope
from execd.runtime.metrics import Metrics
from execd.runtime.settings import OrderFile
from execd.runtime.telemetry import FactLog, Redactor, configure, phrase
from tests.runtime.bad_inputs import SECRET
from tests.runtime.markets import ASK, BID, NOW, RISK_FILE, market

KEY = "AKIDcanary7Qx"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJcanaryLine\n-----END PRIVATE KEY-----"
CANARIES = (KEY, SECRET, "MC4CAQAwBQYDK2VwBCIEIJcanaryLine")


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """A stream to log to; all of logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    yield io.StringIO()
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def submitted() -> ParentSubmitted:
    order = OrderFile(symbol="BTC/USDT", side=Side.BUY, quantity=Decimal(1), duration=Nanos(90 * SECOND), slices=2)
    admission = admit(order, market(), Ticks(BID), Ticks(ASK), RISK_FILE, now=NOW)
    return ParentSubmitted(
        parent=admission.parent,
        limits=admission.limits,
        validity=Nanos(3 * SECOND),
        own_prints=True,
        contiguous=True,
        curve=admission.curve,
        history=(),
    )


BEGIN = submitted()
PARENT = BEGIN.parent.id
ORDER = BEGIN.parent.client_id(1)
FILL = Fill("t1", ORDER, Ticks(65_000_00), Lots(2_000), NOW, Liquidity.TAKER, Decimal("1.30"), "USDT")
SUBMIT = SubmitOrder(ORDER, "BTC/USDT", Side.BUY, Lots(5_000), Ticks(65_001_00), OrderKind.TAKE, 0, NOW)
GAP = Gap(3, 5, NOW, NOW)


# ------------------------------------------------------------------------------------------------------- log lines


def test_each_fact_and_each_command_is_a_line_with_its_keys(out: io.StringIO) -> None:
    configure(json=True, stream=out)
    log = FactLog()
    log(NOW, BEGIN, [SUBMIT])
    log(NOW, OrderFilled(FILL), [CancelOrder(ORDER, "BTC/USDT")])
    log(NOW, OrderClosed(ORDER, Lots(2_000), "canceled"), [FinishParent(PARENT, "the end came")])

    told = lines(out)
    assert [line["event"] for line in told] == [
        "parent submitted", "submit order", "order filled", "cancel order", "order closed", "finish parent",
    ]  # fmt: skip
    assert told[0]["quantity"] == "1.00000"
    assert (told[1]["order"], told[1]["side"], told[1]["limit"], told[1]["quantity"]) == (
        ORDER,
        "buy",
        "65001.00",
        "0.05000",
    )
    assert (told[2]["price"], told[2]["quantity"], told[2]["fee"], told[2]["liquidity"]) == (
        "65000.00", "0.02000", "1.30", "taker",
    )  # fmt: skip
    assert told[4]["reason"] == "canceled"
    assert all({"level", "timestamp"} <= line.keys() for line in told)


@pytest.mark.parametrize(
    ("message", "level"),
    [
        (Woken(), "debug"),
        (MarketObserved(PARENT, MarketView()), "debug"),
        (OrderLost(ORDER, "time-out"), "warning"),
        (StreamLost(Channel.MARKET, "silent"), "warning"),
        (ProposalFailed(PARENT, 1, "late"), "warning"),
        (KillTripped("operator"), "critical"),
        (OrderAccepted(ORDER, "7", Lots(0)), "info"),
    ],
)
def test_what_a_human_should_see_stands_out(out: io.StringIO, message: Event, level: str) -> None:
    configure(json=True, level="debug", stream=out)
    FactLog()(NOW, message, [])
    assert [line["level"] for line in lines(out)] == [level]


def test_an_alarm_is_an_error_and_a_refusal_a_warning(out: io.StringIO) -> None:
    configure(json=True, stream=out)
    FactLog()(NOW, Woken(), [RaiseAlarm(PARENT, "overfill", "too much"), RecordRefusal(PARENT, 1, "P9", "too dear")])
    assert [(line["level"], line["event"]) for line in lines(out)] == [
        ("error", "raise alarm"),
        ("warning", "record refusal"),
    ]


def test_a_line_for_people_is_one_line(out: io.StringIO) -> None:
    configure(json=False, stream=out)
    FactLog()(NOW, OrderFilled(FILL), [])
    text = out.getvalue()
    assert text.count("\n") == 1
    assert "order filled" in text
    assert ORDER in text


def test_a_class_name_is_read_as_words() -> None:
    assert [phrase(kind) for kind in (OrderFilled, KillTripped, Woken)] == ["order filled", "kill tripped", "woken"]


# --------------------------------------------------------------------------------------------------------- secrets


def raise_with_secrets() -> None:
    held = {"secret": SECRET}  # A local variable, as a library's frame would hold it.
    raise ValueError(f"GET https://x/api?timestamp=1&signature=9f86d081884c7d65 by {KEY} {len(held)}")


@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_passes_any_way_out(out: io.StringIO, as_json: bool) -> None:
    """Log values, names, nested ones, reprs, exceptions with locals, libraries' loggers, uncaught exceptions."""
    configure(json=as_json, level="debug", secrets=(KEY, SECRET, *PEM.splitlines()), stream=out)
    log = structlog.get_logger()

    class Holder:
        def __repr__(self) -> str:
            return f"Holder({SECRET})"

    message = f"the key is {KEY}"
    log.info(message, url=f"wss://x/ws?listenKey=abc{SECRET}", nested=[{"a": (KEY, {SECRET})}])
    log.info("named", api_key="short", apiSecret="other", headers={"X-MBX-APIKEY": "third"}, holder=Holder())
    log.info("quoted", body='{"signature": "sig-nature", "token":"tok-en"}', pem=PEM, raw=PEM.encode())
    log.bind(**{SECRET: 1}).info("a key for a key")
    for logger in (log, logging.getLogger("ccxt")):
        try:
            raise_with_secrets()
        except ValueError:
            logger.exception("it broke with %s", KEY)
    logging.getLogger("aiohttp").error("request %s", {"apiKey": KEY, "secret": SECRET})
    try:
        raise_with_secrets()
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    FactLog(log)(NOW, OrderLost(ORDER, f"signature=abcdef {SECRET}"), [])

    text = out.getvalue()
    planted = (*CANARIES, "9f86d081884c7d65", "short", "other", "third", "sig-nature", "tok-en", "abcdef")
    assert [secret for secret in planted if secret in text] == []
    assert text.count("it broke") == 2
    assert "raise_with_secrets" in text, "the traceback itself is there"
    assert "uncaught exception" in text


async def test_an_exception_in_a_forgotten_task_is_redacted_too(out: io.StringIO) -> None:
    configure(json=True, secrets=(KEY, SECRET), stream=out)
    asyncio.get_running_loop().call_exception_handler({"message": f"boom {KEY}", "exception": ValueError(SECRET)})
    assert "boom ***" in out.getvalue()
    assert SECRET not in out.getvalue()


def test_secrets_that_come_later_are_hidden_from_then_on(out: io.StringIO) -> None:
    configure(json=True, stream=out).hide((KEY,))
    structlog.get_logger().info(KEY)
    assert KEY not in out.getvalue()


def test_a_library_does_not_fill_the_log_with_its_debug_lines(out: io.StringIO) -> None:
    configure(json=True, level="debug", stream=out)
    logging.getLogger("ccxt").debug("a whole request")
    assert out.getvalue() == ""


def test_a_redactor_takes_the_longer_of_two_secrets_whole() -> None:
    assert Redactor(("abcd", "abcdefgh")).text("x abcdefgh y abcd") == "x *** y ***"
    assert Redactor(("a/b+c==",)).text("q=a%2Fb%2Bc%3D%3D") == "q=***"
    assert Redactor(("ab",)).text("abba") == "abba", "too short to be a secret: it would blot out every line"


# --------------------------------------------------------------------------------------------------------- metrics


def scrape(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = [
        number
        for (series, have), number in scrape(metrics).items()
        if series == name and labels.items() <= dict(have).items()
    ]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def test_names_and_help_keep_prometheus_rules() -> None:
    families = list(text_string_to_metric_families(Metrics().exposition().decode()))
    units = (
        "_seconds",
        "_ratio",
        "_bps",
        "_total",
        "_info",
        "_active",
        "_orders",
        "_trades",
        "_connected",
        "_quote",
        "_build",
        "_psi",
        "_base",
    )
    assert len(families) > 30
    for family in families:
        assert re.fullmatch(r"execd_[a-z_]+", family.name), family.name
        assert family.documentation.endswith("."), family.name
        if family.type == "counter":
            assert all(s.name.endswith("_total") for s in family.samples), family.name
        elif family.type == "histogram":
            assert family.name.endswith("_seconds"), family.name
        elif family.type == "gauge":
            assert family.name.endswith(units), family.name
        assert not any(s.name.endswith("_created") for s in family.samples), family.name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None
    done = subprocess.run([promtool, "check", "metrics"], input=Metrics().exposition(), capture_output=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_every_series_is_there_before_anything_happens_and_they_are_not_too_many() -> None:
    """The gauges of a parent alone wait for a parent."""
    metrics = Metrics("binance", "BTC/USDT", "net-1", started=NOW)
    before = set(scrape(metrics))
    everything(metrics)
    after = {series for series in scrape(metrics) if not series[0].startswith(("execd_parent_", "execd_vwap_"))}

    assert after <= before
    assert 300 < len(before) < 1_500


def everything(metrics: Metrics) -> None:
    """Tell the metrics all that can happen."""
    execution = Execution(BEGIN)
    metrics(NOW, BEGIN, [SUBMIT, RecordRefusal(PARENT, 1, Refusal.COLLAR.value, "x")])
    metrics(NOW, OrderAccepted(ORDER, "7", Lots(0)), [CancelOrder(ORDER, "BTC/USDT")])
    metrics(NOW, OrderFilled(FILL), [])
    for reason in ("filled", "canceled", "expired", "rejected: x", "funds: x", "utter: nonsense", ""):
        metrics(NOW, OrderClosed(ORDER, Lots(2_000), reason), [])
    for event in (
        OrderLost(ORDER, "x"), KillTripped("x"), KillReset("a", "b"), ProposalFailed(PARENT, 0, "late"),
        SliceProposed(PARENT, 0, math.nan, "net-1"), MarketObserved(PARENT, MarketView(gaps=(GAP,))), Woken(),
    ):  # fmt: skip
        metrics(NOW, event, [])
    for channel in Channel:
        metrics(NOW, StreamLost(channel, "silent for 10 s"), [])
        metrics(NOW, StreamRestored(channel), [])
    metrics.parent(execution, NOW, latched=())
    metrics.tripped(Scope.PARENT, Kind.CONTROL)
    metrics.all_ended(0.5)
    metrics.appended("OrderFilled", 0.001)
    metrics.appended("Nonsense", 0.001)
    metrics.journal_failed()
    metrics.loop_lagged(0.01)
    metrics.inferred("net-1", 0.002)
    metrics.clock_checked(Nanos(SECOND))
    metrics.reconciled(answered=True, differences=2)


def test_orders_are_counted_by_what_befell_them() -> None:
    metrics = Metrics()
    metrics(NOW, BEGIN, [SUBMIT])
    metrics(Nanos(NOW + SECOND // 10), OrderAccepted(ORDER, "7", Lots(0)), [])
    metrics(NOW, OrderAccepted(ORDER, "7", Lots(0)), [])
    metrics(NOW, OrderLost(ORDER, "x"), [CancelOrder(ORDER, "BTC/USDT")])
    metrics(Nanos(NOW + SECOND), OrderClosed(ORDER, Lots(0), "canceled"), [])

    counted = {
        event: value(metrics, "execd_orders_total", event=event)
        for event in ("sent", "acked", "unknown", "resolved", "canceled", "filled")
    }
    assert counted == {"sent": 1, "acked": 1, "unknown": 1, "resolved": 1, "canceled": 1, "filled": 0}
    assert value(metrics, "execd_order_ack_seconds_sum", op="create") == pytest.approx(0.1)
    assert value(metrics, "execd_order_ack_seconds_sum", op="cancel") == pytest.approx(1)


def test_a_refusal_of_the_exchange_is_counted_by_one_of_a_few_reasons() -> None:
    metrics = Metrics()
    for reason in ("funds: not enough", "funds: again", "Filter failure: PRICE_FILTER"):
        metrics(NOW, OrderClosed(ORDER, Lots(0), reason), [])

    assert value(metrics, "execd_order_rejects_total", reason="funds") == 2
    assert value(metrics, "execd_order_rejects_total", reason="other") == 1
    assert value(metrics, "execd_orders_total", event="rejected") == 3


def test_a_fill_that_is_told_twice_counts_once() -> None:
    metrics = Metrics()
    metrics(NOW, BEGIN, [])
    in_base = Fill("t2", ORDER, Ticks(65_000_00), Lots(1_000), NOW, Liquidity.MAKER, Decimal("0.00001"), "BTC")
    rebate = Fill("t3", ORDER, Ticks(65_000_00), Lots(1_000), NOW, Liquidity.MAKER, Decimal(-1), "USDT")
    for fill in (FILL, FILL, in_base, FILL, rebate):
        metrics(NOW, OrderFilled(fill), [])

    assert value(metrics, "execd_fills_total", liquidity="taker") == 1
    assert value(metrics, "execd_fills_total", liquidity="maker") == 2
    assert value(metrics, "execd_filled_quote_total") == pytest.approx(1_300 + 650 + 650)
    assert value(metrics, "execd_fees_quote_total") == pytest.approx(1.30 + 0.65)


def test_a_parents_gauges_say_where_it_stands() -> None:
    metrics, execution = Metrics(), Execution(BEGIN)
    metrics.parent(execution, Nanos(NOW + 45 * SECOND), latched=())

    assert value(metrics, "execd_parent_scheduled_ratio", parent_id=PARENT) == pytest.approx(0.5)
    assert value(metrics, "execd_parent_filled_ratio", side="buy") == 0
    assert value(metrics, "execd_parent_remaining_seconds") == pytest.approx(45)
    assert value(metrics, "execd_parent_orders", state="waiting") == 1
    assert value(metrics, "execd_parent_orders", state="done") == 0


def test_how_far_the_vwap_can_be_trusted_shows() -> None:
    """It is 1 only if nothing is missing, and no bound is an infinite one."""
    metrics, execution = Metrics(), Execution(BEGIN)
    torn = MarketView(
        trades=27,
        volume=Lots(300),
        notional=Notional(300 * 10_000),
        largest=Lots(10),
        window_low=Ticks(9_990),
        window_high=Ticks(10_022),
        gaps=(GAP,),
    )
    for view, shown in (
        (MarketView(), (1, 0, 0)),
        (torn, (0.9, 3, 2)),
        (MarketView(gaps=(GAP,)), (0, 3, math.inf)),
    ):
        execution.market = view
        metrics.parent(execution, NOW, latched=())
        names = ("coverage_ratio", "missing_trades", "error_bound_bps")
        assert tuple(value(metrics, f"execd_vwap_{name}", parent_id=PARENT) for name in names) == pytest.approx(shown)


def test_the_kill_switch_shows_by_scope_and_its_trips_by_what_caused_them() -> None:
    metrics, execution = Metrics(), Execution(BEGIN)
    metrics.tripped(Scope.PARENT, Kind.CONTROL)
    assert value(metrics, "execd_kill_switch_active", scope="parent") == 1
    assert value(metrics, "execd_kill_switch_active", scope="all") == 0
    assert value(metrics, "execd_kill_switch_trips_total", scope="parent", cause="control") == 1
    assert value(metrics, "execd_kill_switch_trips_total", scope="parent", cause="http") == 0
    metrics.parent(execution, NOW, latched={Scope.ALL})
    assert [value(metrics, "execd_kill_switch_active", scope=scope) for scope in ("all", "parent")] == [1, 0]
    metrics(NOW, KillReset("bob", "drill"), [])
    assert value(metrics, "execd_kill_switch_active", scope="all") == 0
    metrics.all_ended(0.3)
    assert value(metrics, "execd_kill_switch_cancel_seconds_sum") == pytest.approx(0.3)


def test_the_curve_in_the_models_place_shows() -> None:
    metrics = Metrics(model="net-1")
    steps: list[tuple[Event, int]] = [
        (ProposalFailed(PARENT, 0, "late"), 1),
        (SliceProposed(PARENT, 1, 0.2, "net-1"), 0),
        (SliceProposed(PARENT, 2, math.nan, "net-1"), 1),
        (SliceProposed(PARENT, 3, 1.5, "net-1"), 1),
    ]
    for event, active in steps:
        metrics(NOW, event, [])
        assert value(metrics, "execd_model_fallback_active", model="net-1") == active


def test_a_models_inputs_show_from_the_start() -> None:
    metrics = Metrics(model="net-1")
    assert value(metrics, "execd_model_input_drift_ratio", model="net-1") == 0
    assert value(metrics, "execd_model_input_psi", model="net-1") == 0

    metrics.looked("net-1", 0.0625, 0.31)

    assert value(metrics, "execd_model_input_drift_ratio", model="net-1") == 0.0625
    assert value(metrics, "execd_model_input_psi", model="net-1") == 0.31


def test_what_was_heard_of_the_market_shows() -> None:
    metrics = Metrics(started=NOW)
    later = Nanos(NOW + 4 * SECOND)
    for channel in ("trade", "book", "account"):
        stamp = value(metrics, "execd_market_data_last_message_timestamp_seconds", channel=channel)
        assert stamp == pytest.approx(NOW / 1e9), "not 1970: nothing is stale before it began"
    view = MarketView(last_at=later, last_venue_at=Nanos(later - SECOND), last_id=9, quote_at=NOW, gaps=(GAP,))
    for _ in range(2):
        metrics(later, MarketObserved(PARENT, view), [])

    assert value(metrics, "execd_market_data_last_message_timestamp_seconds", channel="trade") == pytest.approx(
        later / 1e9
    )
    assert value(metrics, "execd_market_data_lag_seconds_sum") == pytest.approx(1)
    assert value(metrics, "execd_market_data_gaps_total") == 1


def test_streams_that_break_show() -> None:
    metrics = Metrics()
    metrics(NOW, StreamRestored(Channel.MARKET), [])
    assert value(metrics, "execd_ws_connected", stream="market") == 1
    metrics(NOW, StreamLost(Channel.MARKET, "silent for 10 s"), [])
    assert value(metrics, "execd_ws_connected", stream="market") == 0
    assert value(metrics, "execd_ws_reconnects_total", stream="market", reason="silence") == 1


def test_frames_that_made_no_sense_are_counted_once() -> None:
    metrics = Metrics()
    assert value(metrics, "execd_ws_bad_frames_total") == 0
    metrics.survived(3)
    metrics.survived(3)
    metrics.survived(5)
    assert value(metrics, "execd_ws_bad_frames_total") == 5


def test_a_reconciliation_counts_as_success_only_if_it_was_one() -> None:
    metrics = Metrics()
    metrics.reconciled(answered=False, differences=0)
    metrics.reconciled(answered=True, differences=2)
    assert value(metrics, "execd_reconcile_last_success_timestamp_seconds") == 0
    assert value(metrics, "execd_reconcile_discrepancies_total") == 2
    metrics.reconciled(answered=True, differences=0)
    assert value(metrics, "execd_reconcile_last_success_timestamp_seconds") > 0


def test_no_order_id_price_or_error_is_a_label() -> None:
    metrics = Metrics()
    everything(metrics)
    labels = {text for _, have in scrape(metrics) for _, text in have}
    assert not labels & {ORDER, "t1", "65000.00", "nonsense", "utter: nonsense"}
    assert not any(secret in metrics.exposition().decode() for secret in CANARIES)
