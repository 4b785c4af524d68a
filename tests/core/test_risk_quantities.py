"""How much may still be sent: participation, and the allowance that keeps a clipped wish from being refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.grid import PPM, Lots, Ticks
from execd.core.risk import (
    Approved,
    Refusal,
    Refused,
    RiskView,
    allowance,
    check,
    participation_room,
)
from tests.core.build import BID, a_draft, a_market, a_parent, a_view, an_instrument, limits

R = Refusal

# ------------------------------------------------------------------------------------------------------- participation


@pytest.mark.parametrize(
    ("changes", "room"),
    [
        ({}, 100),  # a tenth of all is a ninth of the others'
        ({"own_trailing": 30}, 66),  # the others' 870 allow 96, of which 30 are gone
        ({"own_trailing": 30, "tape_includes_own": False}, 70),
        ({"leaves": 40}, 60),
        ({"leaves": 400}, 0),
        ({"own_trailing": 1_000}, 0),
        ({"limits": limits(participation_ppm=50_000)}, 47),  # the tighter of the two caps
        ({"parent": a_parent(participation_ppm=200_000)}, 225),
        ({"parent": a_parent(participation_ppm=900_000)}, 300),
        ({"parent": a_parent(participation_ppm=PPM), "limits": limits(participation_ppm=PPM)}, 1_000),
    ],
)
def test_participation_is_our_share_of_the_volume_without_our_own(changes: dict[str, Any], room: int) -> None:
    view = a_view(**{"market": a_market(trailing_volume=900), **changes})

    assert participation_room(view) == room


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, PPM - 1), st.booleans())
def test_what_participation_leaves_keeps_us_under_the_cap_and_a_lot_more_does_not(
    others: int, own: int, leaves: int, ppm: int, printed: bool
) -> None:
    view = a_view(
        market=a_market(trailing_volume=others + (own if printed else 0)),
        own_trailing=own,
        leaves=leaves,
        tape_includes_own=printed,
        limits=limits(participation_ppm=ppm),
        parent=a_parent(participation_ppm=PPM),
    )
    room = participation_room(view)
    after = own + leaves + room

    assert room == 0 or after * PPM <= ppm * (after + others)
    assert (after + 1) * PPM > ppm * (after + 1 + others)


# ----------------------------------------------------------------------------------------------------------- allowance

QUANTITY_CONTROLS = {
    R.ROOM,
    R.AHEAD,
    R.CHILD_QUANTITY,
    R.CHILD_NOTIONAL,
    R.WINDOW,
    R.PARTICIPATION,
    R.BUDGET,
}
SIZES = st.integers(0, 3_000)
MONEY = st.integers(0, 40_000_000)


@st.composite
def crowded_views(draw: st.DrawFn) -> RiskView:
    """Moments at which every quantity control has some say."""
    parent = a_parent(
        quantity=draw(st.integers(1, 3_000)),
        budget=draw(st.none() | MONEY),
        participation_ppm=draw(st.integers(1, PPM)),
        instrument=an_instrument(max_quantity=draw(st.integers(1, 3_000)), max_notional=draw(MONEY)),
    )
    return a_view(
        parent=parent,
        limits=limits(
            child_quantity=draw(SIZES),
            child_notional=draw(MONEY),
            window_quantity=draw(SIZES),
            parent_notional=draw(MONEY),
            participation_ppm=draw(st.integers(1, PPM)),
        ),
        market=a_market(trailing_volume=draw(st.integers(0, 100_000))),
        committed=draw(st.integers(0, parent.quantity)),
        leaves=draw(st.integers(0, 300)),
        spent=draw(st.integers(0, 10_000_000)),
        ceiling=draw(SIZES),
        window_used=draw(st.integers(0, 300)),
        own_trailing=draw(st.integers(0, 300)),
        tape_includes_own=draw(st.booleans()),
    )


@given(crowded_views(), st.integers(1, 3_000), st.integers(9_990, 10_010))
@settings(max_examples=400)
def test_a_wish_that_was_clipped_is_never_refused_for_its_quantity(view: RiskView, wish: int, limit: int) -> None:
    """Except by the exchange's least quantity: what is below that is carried."""
    most, _ = allowance(view, Ticks(limit))
    draft = a_draft(quantity=min(wish, most), limit=limit)

    verdict = check(draft, view)

    if draft.quantity >= view.parent.instrument.least(Ticks(limit)):
        assert verdict == Approved(draft, view.now)
    else:
        assert isinstance(verdict, Refused)
        assert draft.quantity == 0 or verdict.refusal not in QUANTITY_CONTROLS


@given(crowded_views(), st.integers(9_990, 10_010))
@settings(max_examples=200)
def test_one_lot_more_than_is_allowed_is_refused_for_its_quantity(view: RiskView, limit: int) -> None:
    most, _ = allowance(view, Ticks(limit))

    verdict = check(a_draft(quantity=Lots(most + 1), limit=limit), view)

    assert isinstance(verdict, Refused)
    assert verdict.refusal in QUANTITY_CONTROLS | {R.FILTER}


@pytest.mark.parametrize(
    ("changes", "most", "binding"),
    [
        ({"committed": 930}, 70, R.ROOM),
        ({"committed": 930, "ceiling": 950}, 20, R.AHEAD),
        ({"limits": limits(child_quantity=33)}, 33, R.CHILD_QUANTITY),
        ({"limits": limits(child_notional=349_999)}, 34, R.CHILD_NOTIONAL),
        ({"limits": limits(window_quantity=50), "window_used": 20}, 30, R.WINDOW),
        ({"limits": limits(window_quantity=50), "window_used": 80}, 0, R.WINDOW),
        ({"market": a_market(trailing_volume=90)}, 10, R.PARTICIPATION),
        ({"parent": a_parent(instrument=an_instrument(max_quantity=77))}, 77, R.FILTER),
        ({"parent": a_parent(instrument=an_instrument(max_notional=770_000))}, 77, R.FILTER),
        ({"limits": limits(parent_notional=500_000), "spent": 100_000}, 40, R.BUDGET),
        ({"parent": a_parent(budget=300_000), "spent": 100_000}, 20, R.BUDGET),
        ({"parent": a_parent(budget=300_000), "spent": 300_001}, 0, R.BUDGET),
    ],
)
def test_the_allowance_says_which_control_binds(changes: dict[str, Any], most: int, binding: Refusal) -> None:
    assert allowance(a_view(**changes), Ticks(BID)) == (most, binding)


def test_a_price_of_nothing_does_not_allow_everything() -> None:
    assert allowance(a_view(limits=limits(child_notional=50)), Ticks(0)) == (50, R.CHILD_NOTIONAL)
