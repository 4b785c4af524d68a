"""Each control passes at its limit and refuses one past it, by name; the first refusal wins; unknown is no."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execd.core import risk
from execd.core.events import MarketView
from execd.core.grid import SECOND, Lots, Nanos, Side, Ticks
from execd.core.limits import RiskLimits
from execd.core.orders import OrderKind
from execd.core.risk import (
    CONTROLS,
    Approved,
    Draft,
    Refusal,
    Refused,
    RiskView,
    check,
    reference2,
    stale,
)
from execd.core.throttle import Throttle
from tests.core.build import BID, START, a_draft, a_market, a_parent, a_view, an_instrument, at, limits

R = Refusal


def seen_before(age: float, **changes: Any) -> RiskView:
    """A view of a market that was last heard of so many seconds ago."""
    return a_view(now=at(30), market=a_market(at(30 - age)), **changes)


def a_sell(**changes: Any) -> Draft:
    return a_draft(side=Side.SELL, limit=Ticks(10_002), **changes)


def lately(*, orders: int = 0, cancels: int = 0, fills: int = 0, rejects: int = 0) -> Throttle:
    """What was done just now; the orders are all like `a_draft()`."""
    throttle = Throttle()
    for _ in range(orders):
        throttle.order(START, Lots(100), a_draft().limit)
    for _ in range(cancels):
        throttle.cancel(START)
    for _ in range(fills):
        throttle.fill(START)
    for _ in range(rejects):
        throttle.reject(START)
    return throttle


SELLER = a_parent(side=Side.SELL)
AT_10_000 = a_market(bid=9_999, ask=10_001, last=10_000, minute_notional=10_000_000)
OLD_IS_FINE = limits(reference_age=Nanos(60 * SECOND))

# control, what passes at its limit, what is one past it, and a part of the words
AT_THE_LIMIT: list[tuple[Refusal, tuple[Draft, RiskView], tuple[Draft, RiskView], str]] = [
    (R.KILLED, (a_draft(), a_view()), (a_draft(), a_view(killed=True)), "execd reset"),
    (R.NOT_TRADING, (a_draft(), a_view()), (a_draft(), a_view(held="paused by ann")), "paused by ann"),
    (
        R.NOT_TRADING,
        (a_draft(), a_view(now=START)),
        (a_draft(), a_view(now=START - 1)),
        "outside the parent's window",
    ),
    (
        R.NOT_TRADING,
        (a_draft(), a_view(now=at(600) - 1, market=a_market(at(600) - 1))),
        (a_draft(), a_view(now=at(600), market=a_market(at(600)))),
        "outside the parent's window",
    ),
    (R.NOT_TRADING, (a_draft(), a_view()), (a_sell(), a_view()), "a sell for a parent that is a buy"),
    (
        R.STALE,
        (a_draft(), seen_before(10, limits=OLD_IS_FINE)),
        (a_draft(), seen_before(10.000_000_001, limits=OLD_IS_FINE)),
        "nothing was seen of the market for 10.0 s; at most 10 s (risk.yaml: stale_age)",
    ),
    (
        R.STALE,
        (a_draft(), a_view(market=a_market(bid=10_000, ask=10_001))),
        (a_draft(), a_view(market=a_market(bid=10_000, ask=10_000))),
        "the book is crossed: the best bid is not below the best ask",
    ),
    (
        R.REPEATED,
        (a_draft(), a_view(rejects=4)),
        (a_draft(), a_view(rejects=5)),
        "5 rejections in a row; at most 5 (risk.yaml: rejects_in_a_row)",
    ),
    (
        R.REPEATED,
        (a_draft(), a_view(lately=lately(rejects=9))),
        (a_draft(), a_view(lately=lately(rejects=10))),
        "10 rejections in a minute; at most 10 (risk.yaml: rejects_per_minute)",
    ),
    (
        R.REPEATED,
        (a_draft(), a_view(lately=lately(orders=19))),
        (a_draft(), a_view(lately=lately(orders=20))),
        "20 orders of 0.100 BTC at 100.00 in a minute; at most 20 (risk.yaml: same_orders)",
    ),
    (
        R.CHILDREN,
        (a_draft(), a_view(children=49)),
        (a_draft(), a_view(children=50)),
        "50 children in this slice; at most 50 (risk.yaml: children_per_slice)",
    ),
    (
        R.MESSAGES_PER_FILL,
        (a_draft(), a_view(lately=lately(cancels=200, fills=2))),
        (a_draft(), a_view(lately=lately(cancels=201, fills=2))),
        "201 messages for 2 fills in ten minutes; at most 100 each (risk.yaml: messages_per_fill)",
    ),
    (
        R.MESSAGES_PER_FILL,
        (a_draft(), a_view(lately=lately(cancels=49), limits=limits(messages_per_fill=5))),
        (a_draft(), a_view(lately=lately(cancels=50), limits=limits(messages_per_fill=5))),
        "50 messages for 0 fills",
    ),
    (
        R.DAY,
        (a_draft(), a_view(spent=400, day_spent=500, limits=limits(day_notional=1_000_900))),
        (a_draft(), a_view(spent=401, day_spent=500, limits=limits(day_notional=1_000_900))),
        "10.00901 USDT on this day; at most 10.00900 USDT (risk.yaml: day_notional)",
    ),
    # A hundred basis points of 10,000 are a hundred ticks.
    (
        R.SPREAD,
        (a_draft(limit=9_950), a_view(market=a_market(bid=9_950, ask=10_050))),
        (a_draft(limit=9_950), a_view(market=a_market(bid=9_949, ask=10_050))),
        "the spread is 101.0 bp wide; at most 100 (risk.yaml: spread_bps)",
    ),
    (
        R.SPREAD,
        (a_draft(), a_view(market=a_market(ask_size=1))),
        (a_draft(), a_view(market=a_market(ask_size=0))),
        "one side of the book is empty",
    ),
    (
        R.INCOMPLETE,
        (a_draft(), a_view(suspect="trades are missing")),
        (a_draft(kind=OrderKind.TAKE), a_view(suspect="trades are missing")),
        "trades are missing",
    ),
    (
        R.CLOCK,
        (a_draft(), a_view(clock_offset=Nanos(-750_000_000))),
        (a_draft(), a_view(clock_offset=Nanos(-751_000_000))),
        "our clock is 751 ms off the exchange's; at most 750 ms (risk.yaml: clock_skew)",
    ),
    (R.UNWELL, (a_draft(), a_view()), (a_draft(), a_view(unwell="the disk is full")), "the disk is full"),
    (
        R.ROOM,
        (a_draft(), a_view(committed=900)),
        (a_draft(), a_view(committed=901)),
        "0.100 BTC for a room of 0.099 BTC",
    ),
    (
        R.BUDGET,
        (a_draft(), a_view(spent=10**11 - 1_000_000)),
        (a_draft(), a_view(spent=10**11 - 999_999)),
        "at most 1000000.00000 USDT (risk.yaml: parent_notional)",
    ),
    (
        R.BUDGET,
        (a_draft(), a_view(spent=500, parent=a_parent(budget=1_000_500))),
        (a_draft(), a_view(spent=501, parent=a_parent(budget=1_000_500))),
        "10.00501 USDT spent; at most 10.00500 USDT (order file: notional)",
    ),
    (
        R.LIMIT_PRICE,
        (a_draft(limit=BID), a_view(parent=a_parent(limit=BID))),
        (a_draft(limit=BID + 1), a_view(parent=a_parent(limit=BID))),
        "100.01 is beyond the limit of 100.00 (order file: limit_price)",
    ),
    (
        R.LIMIT_PRICE,
        (a_sell(), a_view(parent=replace(SELLER, limit=Ticks(10_002)))),
        (a_sell(), a_view(parent=replace(SELLER, limit=Ticks(10_003)))),
        "beyond the limit of 100.03",
    ),
    (
        R.NO_REFERENCE,
        (a_draft(), seen_before(2)),
        (a_draft(), seen_before(2.000_000_001)),
        "fewer than 2 fresh price sources (risk.yaml: references, reference_age)",
    ),
    # The reference is 10,001: 50 bp of it are 50.005 ticks, 200 bp are 200.02.
    (
        R.COLLAR,
        (a_draft(limit=10_051), a_view()),
        (a_draft(limit=10_052), a_view()),
        "51.0 bp through the reference; at most 50 (risk.yaml: collar_bps)",
    ),
    (
        R.COLLAR,
        (replace(a_sell(), limit=Ticks(9_951)), a_view(parent=SELLER)),
        (replace(a_sell(), limit=Ticks(9_950)), a_view(parent=SELLER)),
        "(risk.yaml: collar_bps)",
    ),
    (
        R.COLLAR,
        (a_draft(limit=9_801), a_view()),
        (a_draft(limit=9_800), a_view()),
        "rests 201.0 bp away; at most 200 (risk.yaml: rest_bps)",
    ),
    (
        R.COLLAR,
        (replace(a_sell(), limit=Ticks(10_201)), a_view(parent=SELLER)),
        (replace(a_sell(), limit=Ticks(10_202)), a_view(parent=SELLER)),
        "(risk.yaml: rest_bps)",
    ),
    # A reference of 10,000 and limits that end on a whole tick.
    (
        R.COLLAR,
        (a_draft(limit=10_050), a_view(market=AT_10_000)),
        (a_draft(limit=10_051), a_view(market=AT_10_000)),
        "51.0 bp through the reference; at most 50",
    ),
    (
        R.COLLAR,
        (a_draft(limit=9_800), a_view(market=AT_10_000)),
        (a_draft(limit=9_799), a_view(market=AT_10_000)),
        "rests 201.0 bp away; at most 200",
    ),
    (
        R.PERIOD_COLLAR,
        (a_draft(), a_view(market=AT_10_000, arrival2=16_000, limits=limits(period_collar_bps=2_500))),
        (a_draft(), a_view(market=AT_10_000, arrival2=15_999, limits=limits(period_collar_bps=2_500))),
        "has moved 2501 bp since arrival; at most 2500",
    ),
    (
        R.PERIOD_COLLAR,
        (a_draft(), a_view(arrival2=19_420)),
        (a_draft(), a_view(arrival2=19_419)),
        "has moved 300 bp since arrival; at most 300 (risk.yaml: period_collar_bps)",
    ),
    (
        R.PERIOD_COLLAR,
        (a_draft(), a_view(arrival2=20_620)),
        (a_draft(), a_view(arrival2=20_621)),
        "(risk.yaml: period_collar_bps)",
    ),
    (
        R.CHILD_QUANTITY,
        (a_draft(), a_view(limits=limits(child_quantity=100))),
        (a_draft(), a_view(limits=limits(child_quantity=99))),
        "0.100 BTC; at most 0.099 BTC (risk.yaml: child_quantity)",
    ),
    (
        R.CHILD_NOTIONAL,
        (a_draft(), a_view(limits=limits(child_notional=1_000_000))),
        (a_draft(), a_view(limits=limits(child_notional=999_999))),
        "worth 10.00000 USDT; at most 9.99999 USDT (risk.yaml: child_notional)",
    ),
    (
        R.WINDOW,
        (a_draft(), a_view(window_used=400, limits=limits(window_quantity=500))),
        (a_draft(), a_view(window_used=401, limits=limits(window_quantity=500))),
        "0.501 BTC in 60 s; at most 0.500 BTC (risk.yaml: window_quantity)",
    ),
    (
        R.PARTICIPATION,
        (a_draft(), a_view(market=a_market(trailing_volume=900))),
        (a_draft(), a_view(market=a_market(trailing_volume=899))),
        "0.100 BTC; 0.099 BTC are left of our share of the market's volume (order file: participation)",
    ),
    (
        R.AHEAD,
        (a_draft(), a_view(committed=50, ceiling=150)),
        (a_draft(), a_view(committed=51, ceiling=150)),
        "0.151 BTC would be ahead of the schedule's 0.150 BTC (risk.yaml: ahead)",
    ),
    (
        R.FILTER,
        (a_draft(quantity=5), a_view()),
        (a_draft(quantity=4), a_view()),
        "0.004 BTC at 100.00 is outside the exchange's limits (least 0.005 BTC, most 100.000 BTC)",
    ),
    (
        R.FILTER,
        (a_draft(), a_view(parent=a_parent(instrument=an_instrument(max_quantity=100)))),
        (a_draft(), a_view(parent=a_parent(instrument=an_instrument(max_quantity=99)))),
        "most 0.099 BTC",
    ),
    (
        R.OPEN_ORDERS,
        (a_draft(), a_view(open_orders=4)),
        (a_draft(), a_view(open_orders=5)),
        "5 alive; at most 5 (risk.yaml: open_orders)",
    ),
    (
        R.MESSAGES,
        (a_draft(), a_view(message_tokens=1)),
        (a_draft(), a_view(message_tokens=0)),
        "no message token is left (risk.yaml: messages_per_second)",
    ),
]
NAMES = [f"{refusal.name.lower()}-{number}" for number, (refusal, *_) in enumerate(AT_THE_LIMIT)]


@pytest.mark.parametrize(("refusal", "passing", "refused", "words"), AT_THE_LIMIT, ids=NAMES)
def test_a_control_passes_at_its_limit_and_refuses_one_past_it(
    refusal: Refusal, passing: tuple[Draft, RiskView], refused: tuple[Draft, RiskView], words: str
) -> None:
    assert check(*passing) == Approved(passing[0], passing[1].now)

    verdict = check(*refused)
    assert isinstance(verdict, Refused)
    assert (verdict.refusal, verdict.draft) == (refusal, refused[0])
    assert words in verdict.words


def test_every_control_is_in_the_table_above() -> None:
    assert {refusal for refusal, *_ in AT_THE_LIMIT} == {refusal for refusal, _ in CONTROLS}
    assert {refusal for refusal, _ in CONTROLS} | {R.BROKEN} == set(Refusal)


def test_a_refusal_names_a_key_that_there_is() -> None:
    """What the operator is told to change must exist: a limit by its own name."""
    keys = {field.name for field in dataclasses.fields(RiskLimits)} | {"ahead"}
    for _, _, refused, _ in AT_THE_LIMIT:
        verdict = check(*refused)
        assert isinstance(verdict, Refused)
        for named in re.findall(r"\(risk\.yaml: ([^)]*)\)", verdict.words):
            assert set(named.split(", ")) <= keys, verdict.words


def test_a_refused_participation_names_the_key_of_the_cap_that_binds() -> None:
    tight = a_view(market=a_market(trailing_volume=900), limits=limits(participation_ppm=50_000))

    verdict = check(a_draft(), tight)

    assert isinstance(verdict, Refused)
    assert "(risk.yaml: participation" in verdict.words


def test_the_controls_are_asked_in_a_fixed_order() -> None:
    """The metric label of a refusal, and a replay, depend on which of several reasons is given."""
    order = " ".join(refusal.value for refusal, _ in CONTROLS)

    assert order == (
        "P1 P2 P28 P23 P22 P22b P22c P18 P18b P12 P12b P21 P11 P9a P9 P10 P6 P7 P21b P13 P14 P8 P15 P16 P17"
    )


def test_the_first_refusal_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    fine, no = (lambda _d, _v: None), (lambda _d, _v: "no")
    monkeypatch.setattr(risk, "CONTROLS", ((R.KILLED, fine), (R.ROOM, no), (R.STALE, no)))

    assert check(a_draft(), a_view()) == Refused(a_draft(), R.ROOM, "no")


def test_the_kill_switch_comes_before_everything() -> None:
    everything_is_wrong = a_view(killed=True, held="x", market=MarketView(), committed=5_000, rejects=99)

    verdict = check(a_draft(), everything_is_wrong)

    assert isinstance(verdict, Refused)
    assert verdict.refusal is R.KILLED


# ---------------------------------------------------------------------------------------------------------- fail closed


def test_a_control_that_cannot_answer_has_not_said_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_draft: Draft, _view: RiskView) -> str | None:
        raise ZeroDivisionError

    monkeypatch.setattr(risk, "CONTROLS", ((R.COLLAR, broken), *CONTROLS))

    assert check(a_draft(), a_view()) == Refused(a_draft(), R.BROKEN, "control P9 failed: ZeroDivisionError")


def test_limits_that_make_no_sense_refuse() -> None:
    """No source is demanded and none is there: the median of nothing is an error, and an error is a no."""
    verdict = check(a_draft(), seen_before(5, limits=limits(references=0)))

    assert isinstance(verdict, Refused)
    assert verdict.refusal is R.BROKEN


@pytest.mark.parametrize(
    ("view", "refusal"),
    [
        (a_view(market=MarketView()), R.STALE),
        (a_view(market=a_market(quote_at=None)), R.STALE),
        (a_view(market=a_market(last_at=None)), R.STALE),
        (a_view(market=a_market(bid=None)), R.STALE),
        (a_view(market=a_market(ask=None)), R.STALE),
        (a_view(market=a_market(last=None, minute_volume=0)), R.NO_REFERENCE),
        (a_view(arrival2=None), R.PERIOD_COLLAR),
        (a_view(market=a_market(trailing_volume=0)), R.PARTICIPATION),
    ],
)
def test_what_is_not_known_is_no(view: RiskView, refusal: Refusal) -> None:
    verdict = check(a_draft(), view)

    assert isinstance(verdict, Refused)
    assert verdict.refusal is refusal


def test_an_approval_is_for_the_moment_at_which_it_was_given() -> None:
    assert check(a_draft(), a_view(now=START + 5)) == Approved(a_draft(), Nanos(START + 5))


# ------------------------------------------------------------------------------------------------------- the reference

OLD = Nanos(START - 2 * SECOND - 1)


@pytest.mark.parametrize(
    ("changes", "references", "expected"),
    [
        ({}, 3, 20_020),  # the middle one of three
        ({"bid": 10_500, "ask": 10_502}, 3, 20_040),  # one that is far away has no say
        ({"quote_at": OLD}, 2, 20_030),  # between two: halfway
        ({"quote_at": OLD}, 3, None),
        ({"last_at": OLD}, 1, 20_002),  # the last trade and the minute go together
        ({"last_at": OLD}, 2, None),
        ({"last_at": None}, 2, None),
        ({"minute_volume": 0}, 2, 20_011),
        ({"last": None}, 2, 20_021),
        ({"bid": None}, 2, 20_030),
        ({"quote_at": None}, 2, 20_030),
        ({"quote_at": OLD, "last_at": OLD}, 1, None),
    ],
)
def test_the_reference_is_the_median_of_the_fresh_sources(
    changes: dict[str, Any], references: int, expected: int | None
) -> None:
    """Twice the price in ticks: the mid is 20,002, the last trade 20,020 and the last minute 20,040."""
    market = a_market(**{"last": 10_010, "minute_volume": 100, "minute_notional": 1_002_000, **changes})

    assert reference2(a_view(market=market, limits=limits(references=references))) == expected


@given(st.permutations([20_002, 20_020, 20_040]))
def test_no_source_has_more_say_than_another(prices: list[int]) -> None:
    mid2, last2, minute2 = prices
    market = a_market(bid=mid2 // 2 - 1, ask=mid2 // 2 + 1, last=last2 // 2, minute_volume=2, minute_notional=minute2)

    assert reference2(a_view(market=market)) == 20_020


def test_either_channel_shows_that_the_feed_lives() -> None:
    """A quote stands until the next one comes, and in a quiet market nothing trades."""
    old, now = at(-60), at(0)

    assert stale(now, a_market(quote_at=old), limits()) is None
    assert stale(now, a_market(last_at=old), limits()) is None
    assert stale(now, a_market(quote_at=old, last_at=old), limits()) is not None
