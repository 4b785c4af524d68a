"""A model that only watches: asked beside the trading one, recorded, scored, and never in the way."""

from __future__ import annotations

import asyncio
import math
import threading
from pathlib import Path
from typing import Any

import pytest

from execd.core.commands import Observation, ProposeSlice
from execd.core.events import Event, ShadowProposed, SliceProposed
from execd.core.grid import SECOND, Lots, Nanos
from execd.core.ledger import SliceRecord
from execd.policies import Policy, Proposal
from execd.policies.curve import CurvePolicy
from execd.policies.features import golden_observations
from execd.runtime import replay
from execd.runtime.advisor import Advice, Advisor
from execd.runtime.hands import Hands
from execd.runtime.journal import Journal
from execd.runtime.reconcile import Verdict
from execd.runtime.report import ModelUse, as_dict, as_json, report
from execd.runtime.shadow import WAITING_MAX, Shadow, answer, engage_shadow
from tests.core.build import Work, a_bar, at
from tests.runtime.process import ROOT, Exchange, execd, report_of, write_order

GUARD_S = 20.0
DEMO = Nanos(90 * SECOND)


class Slow:
    """A policy that thinks until it is let go."""

    name = "slow"

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def propose(self, observation: Observation) -> Proposal:
        """Wait, and answer."""
        self.begun.set()
        assert self.go.wait(GUARD_S)
        return Proposal(0.5, self.name)


class Wild:
    """A policy that answers what it was given, or raises it."""

    name = "wild"

    def __init__(self, what: Any) -> None:
        self._what = what

    def propose(self, observation: Observation) -> Proposal:
        """Answer or raise."""
        if isinstance(self._what, Exception):
            raise self._what
        if isinstance(self._what, float):
            return Proposal(self._what, self.name)
        return self._what  # type: ignore[no-any-return]  # nonsense is the point


def advice(policy: Policy) -> Advice:
    return Advice(policy, policy.name, "", None)


def a_question(number: int = 0) -> ProposeSlice:
    """The first golden observation, with a second to answer."""
    seen = golden_observations()[0]
    return ProposeSlice("P1", number, seen, Nanos(seen.now + SECOND))


def still() -> float:
    """A clock that stands still: nothing is ever late."""
    return 0.0


class Heard:
    """What was posted, to wait for."""

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self._more = asyncio.Event()

    def __call__(self, event: Any) -> None:
        self.facts.append(event)
        self._more.set()

    async def until(self, count: int) -> list[Any]:
        """Wait for so many facts."""
        async with asyncio.timeout(GUARD_S):
            while len(self.facts) < count:
                self._more.clear()
                await self._more.wait()
        return self.facts


# --------------------------------------------------------------------------------------------------------- one answer


def test_a_shadows_answer_is_a_fact_with_its_share_and_its_name() -> None:
    expected = CurvePolicy().propose(a_question().observation)

    assert answer(advice(CurvePolicy()), a_question(3), still) == ShadowProposed("P1", 3, expected.share, "curve", "")


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (ValueError("no\nreason"), "wild: ValueError: no reason"),
        (None, "wild: TypeError: it answered no proposal"),
        (math.nan, ""),
    ],
)
def test_a_shadow_that_fails_is_a_fact_too(what: object, why: str) -> None:
    fact = answer(advice(Wild(what)), a_question(), still)

    assert (math.isnan(fact.share), fact.model, fact.why) == (True, "wild", why)


def test_a_shadow_that_is_late_gave_no_share() -> None:
    moments = iter((0.0, 1.5))

    fact = answer(advice(CurvePolicy()), a_question(), lambda: next(moments))

    assert math.isnan(fact.share)
    assert fact.why == "curve was late: 1.500 s of 1 s"


def test_none_is_no_shadow_and_a_refused_one_has_a_reason() -> None:
    models = ROOT / "models"
    curve, absent = (engage_shadow(name, models, DEMO, 12) for name in ("curve", "no-such-model"))

    assert engage_shadow("none", models, DEMO, 12) is None
    assert curve is not None
    assert curve.fallback is None
    assert absent is not None
    assert "no-such-model" in str(absent.fallback)


# ---------------------------------------------------------------------------------------------------- in its own thread


async def test_the_trading_answer_comes_first_and_waits_for_no_shadow() -> None:
    heard, slow = Heard(), Slow()
    shadow = Shadow(advice(slow), heard, still)
    async with asyncio.TaskGroup() as group:
        trading = Advisor(CurvePolicy(), lambda _model, _seconds: None, monotonic=still)
        hands = Hands(None, trading, heard, _durable, group, lambda _: None, shadow)  # type: ignore[arg-type]  # no venue is asked
        hands.obey(a_question(), 1)
        assert [type(fact) for fact in heard.facts] == [SliceProposed], "the shadow is still thinking"
    slow.go.set()

    assert (await heard.until(2))[1] == ShadowProposed("P1", 0, 0.5, "slow", "")
    shadow.close()


async def _durable(_seq: int) -> None:
    """No order is sent here."""


async def test_a_shadow_that_hangs_is_passed_over_and_the_loop_goes_on() -> None:
    heard, slow = Heard(), Slow()
    shadow = Shadow(advice(slow), heard, still)
    shadow.ask(a_question(0))
    assert await asyncio.to_thread(slow.begun.wait, GUARD_S)

    for number in range(1, WAITING_MAX + 2):
        shadow.ask(a_question(number))

    (busy,) = heard.facts
    assert (busy.slice, busy.why) == (WAITING_MAX + 1, "slow was busy with an earlier slice")
    assert math.isnan(busy.share)
    shadow.close()
    slow.go.set()
    facts = await heard.until(2 + WAITING_MAX)
    assert [fact.slice for fact in facts[1:]] == list(range(WAITING_MAX + 1))


async def test_a_closed_shadow_ends_its_thread() -> None:
    before = set(threading.enumerate())
    shadow = Shadow(advice(CurvePolicy()), Heard(), still)
    (thread,) = set(threading.enumerate()) - before

    shadow.close()

    await asyncio.to_thread(thread.join, GUARD_S)
    assert not thread.is_alive()


def test_a_shadow_that_answers_after_the_end_ends_quietly() -> None:
    slow = Slow()

    async def leave() -> threading.Thread:
        before = set(threading.enumerate())
        Shadow(advice(slow), Heard(), still).ask(a_question())
        (thread,) = set(threading.enumerate()) - before
        return thread

    thread = asyncio.run(leave())
    slow.go.set()
    thread.join(GUARD_S)
    assert not thread.is_alive()


# --------------------------------------------------------------------------------------------------------- the report


def over(*answers: ShadowProposed) -> Work:
    """A parent of three decided slices that is over, and what the shadow said."""
    work = Work()
    execution = work.execution
    for number, share in enumerate((0.1, 0.5, 1.0)):
        record = SliceRecord(number, at(0), at(60), Lots(300), Lots(300), share, "m", "proposed", Lots(0))
        execution.ledger[number] = record
        execution.bars[number] = a_bar(60 * number, notional=1_000_000 + 10_000 * number)
    for said in answers:
        work.tell(said)
    execution.ended_why = "filled"
    return work


def reported(work: Work, shadow: ModelUse | None = None) -> dict[str, Any]:
    result = report(work.execution, Verdict(0, 0), ModelUse("m", "", None), mode="paper", journal="j", shadow=shadow)
    assert "NaN" not in as_json(result)
    return as_dict(result)


def test_the_report_scores_the_shadow_beside_the_trading_model() -> None:
    found = reported(
        over(
            ShadowProposed("P1", 0, 0.5, "m-2", ""),
            ShadowProposed("P1", 1, math.nan, "m-2", "m-2 was late: 2 s of 1 s"),
            ShadowProposed("P1", 2, 1.0, "m-2", ""),
        ),
        ModelUse("m-2", "abc", None),
    )

    shadow = found["shadow"]
    assert (shadow["name"], shadow["sha256"], shadow["refused"]) == ("m-2", "abc", None)
    assert (shadow["slices"], shadow["failed"]) == (2, 1)
    # Prices 100,000, 101,000 and 102,000; the shadow's 50 % and 50 % at the end, the trading 10 %, 40 % and 50 %.
    assert shadow["allocation_slippage_bps"] == pytest.approx(0.0)
    assert shadow["trading_allocation_slippage_bps"] == pytest.approx(1e4 * 0.4 / 101)
    assert [row["shadow_share"] for row in found["slices"]] == [0.5, None, 1.0]
    assert [row["shadow_why"] for row in found["slices"]] == ["proposed", "m-2 was late: 2 s of 1 s", "proposed"]


def test_a_share_that_cannot_be_is_shown_in_words() -> None:
    (row, *_) = reported(over(ShadowProposed("P1", 0, 7.0, "m-2", "")))["slices"]

    assert (row["shadow_share"], row["shadow_why"]) == (None, "m-2 proposed 7.0")


def test_a_refused_shadow_has_its_reason_and_no_score() -> None:
    shadow = reported(over(), ModelUse("m-2", "", "no such folder"))["shadow"]

    assert (shadow["refused"], shadow["slices"], shadow["failed"]) == ("no such folder", 0, 0)
    assert shadow["allocation_slippage_bps"] is None


def test_without_a_shadow_there_is_none_and_from_a_journal_it_is_known_by_its_facts() -> None:
    assert reported(over())["shadow"] is None
    assert reported(over(ShadowProposed("P1", 0, 0.5, "m-2", "")))["shadow"]["name"] == "m-2"


# ---------------------------------------------------------------------------------------------------------- end to end


def test_a_run_with_a_shadow_decides_as_one_without_it(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same policy as its own shadow scores the same; and with its facts taken out every decision repeats."""
    exchange, state = Exchange(tmp_path_factory.mktemp("exchange"), "--seed", "12"), tmp_path_factory.mktemp("s")
    try:
        order = write_order(tmp_path)
        order.write_text(order.read_text() + "shadow: curve\n")
        code, output, said = execd("run", "-o", order, "--exchange", exchange.ready, "--json", state=state)
    finally:
        exchange.stop()
    assert code == 0, said
    found = report_of(output)
    shadow = found["shadow"]
    assert (shadow["name"], shadow["refused"], shadow["slices"], shadow["failed"]) == ("curve", None, 4, 0)
    assert [row["shadow_share"] for row in found["slices"]] == [row["share"] for row in found["slices"]]
    assert shadow["allocation_slippage_bps"] == shadow["trading_allocation_slippage_bps"] is not None

    (journal,) = (state / "done").glob("*.journal")
    _, read = Journal.read(journal)
    rows = list(read)
    seen: list[Event] = [row.fact for row in rows if isinstance(row.fact, ShadowProposed)]
    assert len(seen) == 4
    assert replay.replay(rows).differences == []
    assert replay.replay(row for row in rows if row.fact not in seen).differences == []
    code, output, _ = execd("report", journal, state=state)
    assert code == 0
    assert "slippage of its allocation alone" in output
