"""Nothing that rests on an incomplete benchmark is shown as exact: not in a line, a panel, a report or a status."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from execd.core.events import Gap, MarketView
from execd.core.execution import Execution
from execd.core.grid import Lots, Notional, Ticks
from execd.runtime import operate
from execd.runtime.exactness import bound, bps, percent, ratio
from execd.runtime.reconcile import Verdict
from execd.runtime.report import ModelUse, Report, as_dict, report
from execd.runtime.show import line, progress, show
from tests.core.build import START, Work, at

MODEL = ModelUse("curve", "", None)
HOLE = (at(5), at(6))
GAP = Gap(1, 5, at(1), at(2))
SEEN: dict[str, Any] = {
    "trades": 90,
    "elapsed": at(30) - START,
    "volume": Lots(900),
    "notional": Notional(9_000_000),
    "largest": Lots(20),
    "window_low": Ticks(9_990),
    "window_high": Ticks(10_020),
    "peak": Lots(20),
}


def worked(**market: Any) -> Execution:
    """Ten lots bought at 10,000 ticks in such a market."""
    work = Work()
    work.fill(work.working(), 10, 1)
    work.market = {**SEEN, **market}
    work.wake(2)
    return work.execution


def reported(execution: Execution) -> Report:
    return report(execution, Verdict(0, 0), MODEL, mode="practice", journal="here")


def drawn(thing: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(thing)
    return out.getvalue()


def shown(execution: Execution) -> str:
    out = io.StringIO()
    show(reported(execution), Console(file=out, width=160))
    return " ".join(out.getvalue().split())


# --------------------------------------------------------------------------------------------------------- the words


@given(st.fractions(0, 1))
def test_a_share_is_rounded_down_and_is_whole_only_if_all_is_known(share: Fraction) -> None:
    words = percent(share)
    assert words.startswith("≥ ") == (share < 1)
    shown = Fraction(words.removeprefix("≥ ").removesuffix(" %")) / 100
    assert shown <= share < shown + Fraction(1, 10_000)
    assert (ratio(share) == 1) == (share == 1)


def test_almost_all_is_not_all() -> None:
    almost = 1 - Fraction(1, 10**30)

    assert percent(almost) == "≥ 99.99 %"
    assert percent(Fraction(1)) == "100.00 %"
    assert ratio(almost) < 1


@pytest.mark.parametrize(
    ("value", "off", "exact", "words"),
    [
        (None, None, True, "-"),
        (-1.204, 0.0, True, "-1.20 bp"),
        (-1.204, 0.391, False, "-1.20 ± 0.40 bp"),
        (-1.204, None, False, "about -1.20 bp"),
        (None, None, False, "-"),
    ],
)
def test_basis_points_say_how_exact_they_are(value: float | None, off: float | None, exact: bool, words: str) -> None:
    assert bps(value, off, exact=exact) == words


def test_a_bound_is_rounded_up() -> None:
    assert [bound(off) for off in (0.3, 0.301, 1e-9, 12.0)] == ["0.30", "0.31", "0.01", "12.00"]


# ------------------------------------------------------------------------------------------------ where they are shown


def test_a_whole_benchmark_is_shown_as_exact_everywhere() -> None:
    execution = worked()
    found = as_dict(reported(execution))

    assert (found["benchmark_exact"], found["coverage"], found["missing_ranges"]) == (True, 1.0, [])
    assert found["vwap_error_bps"] == found["slippage_error_bps"] == found["slippage_ex_own_error_bps"] == 0.0
    for text in (line(execution, at(2)), drawn(progress(execution, at(2))), shown(execution)):
        assert "+0.00 bp" in text
        assert "±" not in text
        assert "≥" not in text
    assert "100.00 %" in shown(execution)


def test_an_incomplete_benchmark_is_shown_with_what_is_known_and_what_it_can_be_off() -> None:
    """100 lots may be missing, at worst all of them at 10,020: the VWAP is off by at most 2 bp."""
    execution = worked(gaps=(GAP,))

    for text in (line(execution, at(2)), drawn(progress(execution, at(2))), shown(execution)):
        assert "+0.00 ± 2.01 bp" in text
        assert "+0.00 bp\n" not in text
        assert "≥ 94.73 %" in text
    assert "at most 2.00 bp" in drawn(progress(execution, at(2)))
    assert (
        "The benchmark is incomplete: ≥ 94.73 % of the prints are in it; its VWAP is off by at most 2.00 bp"
        in shown(execution)
    )
    assert "participation" in shown(execution)
    assert "about 1.11%" in shown(execution)


def test_each_part_that_is_missing_is_reported_with_its_time_its_trades_and_its_own_bound() -> None:
    found = as_dict(reported(worked(gaps=(GAP,), holes=(HOLE,), lost=3)))

    assert not found["benchmark_exact"]
    assert found["coverage"] == pytest.approx(90 / 98 * (1 - 1 / 30))
    assert [(part["from"][-16:], part["to"][-16:], part["trades"]) for part in found["missing_ranges"]] == [
        ("08:00:01.000000Z", "08:00:02.000000Z", 5),
        ("08:00:05.000000Z", "08:00:06.000000Z", "unknown"),
        ("08:00:00.000000Z", "08:00:30.000000Z", 3),
    ]
    alone = [part["vwap_error_bps"] for part in found["missing_ranges"]]
    assert alone == pytest.approx([20 * 100 / 1_000, 20 * 40 / 940, 20 * 60 / 840])
    assert found["vwap_error_bps"] == pytest.approx(20 * 200 / 980)


def test_where_nothing_bounds_the_error_none_is_given() -> None:
    execution = worked(volume=Lots(0), notional=Notional(0), trades=0, gaps=(GAP,))
    found = as_dict(reported(execution))

    assert (found["coverage"], found["vwap_error_bps"], found["slippage_bps"], found["slippage_error_bps"]) == (
        0.0,
        None,
        None,
        None,
    )
    assert found["missing_ranges"][0]["vwap_error_bps"] is None
    assert "nothing bounds how far its VWAP is off" in shown(execution)
    assert "unknown" in drawn(progress(execution, at(2)))


def test_of_many_missing_parts_the_first_are_shown_and_the_rest_are_counted() -> None:
    gaps = tuple(Gap(10 * number, 10 * number, at(number), at(number)) for number in range(14))

    assert "and 4 more" in shown(worked(gaps=gaps))


def test_a_status_says_how_exact_it_is() -> None:
    def figure(market: dict[str, Any], key: str) -> str:
        return operate._figure(as_dict(reported(worked(**market))), key)

    assert figure({}, "slippage_bps") == "+0.00 bp"
    assert figure({"gaps": (GAP,)}, "slippage_bps") == "+0.00 ± 2.01 bp"
    assert figure({}, "coverage") == "100.00 %"
    assert figure({"gaps": (GAP,)}, "coverage") == "≥ 94.73 %"
    assert figure({"gaps": (GAP,)}, "participation").startswith("about 0.01")
    assert not figure({}, "participation").startswith("about")
    assert operate._figure({}, "coverage") == "None"


def test_a_view_of_nothing_is_a_whole_one() -> None:
    assert MarketView().complete
