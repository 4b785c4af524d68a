"""The tracker against the definition: whatever comes in whatever order, and whenever somebody looks."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from execd.core.events import Print, TradePrinted
from execd.core.grid import SECOND, Nanos
from execd.core.vwap import VwapTracker
from tests.core.build import at
from tests.core.truth import PARENT, Truth, bars_of, shown, tapes, wires

TRAILING_S = 300
EARLIER = at(-60)


def followed(
    wire: list[Print], looks: set[int], anchored: int | None, *, contiguous: bool
) -> tuple[VwapTracker, Truth]:
    """A tracker and the truth that were told the same; at some steps somebody looks, and it must be the same then."""
    tracker = VwapTracker(PARENT, Nanos(TRAILING_S * SECOND), contiguous=contiguous)
    truth = Truth(PARENT, TRAILING_S, contiguous=contiguous)
    now, bars = EARLIER, {}
    for step, event in enumerate([*wire, None]):
        if step == anchored:
            tracker.anchor()
            truth.anchored = True
        if event is not None:
            now = max(now, event.at) if isinstance(event, TradePrinted) else now
            tracker.observe(now, event)
            truth.tell(event)
        if step in looks or event is None:
            view, true = tracker.view(now), truth.view(now)
            assert shown(view, true) == true
            unseen = {number for gap in tracker.missing for number in range(gap.first, gap.last + 1)}
            assert unseen == truth.missing
            assert list(view.holes) == truth.unseen()
            bars.update({PARENT.slice_at(bar.start): bar for bar in view.bars})
            assert bars_of(bars.values(), PARENT) == truth.bars()
            assert tracker.last_id == (truth.known and truth.known[1] if contiguous else tracker.last_id)
    return tracker, truth


LOOKS = st.sets(st.integers(0, 90))
ANCHORS = st.one_of(st.none(), st.integers(0, 30))


@given(wires(), LOOKS, ANCHORS)
@settings(max_examples=400)
def test_what_a_view_shows_is_what_the_set_of_its_prints_amounts_to(
    wire: list[Print], looks: set[int], anchored: int | None
) -> None:
    """Ids that rise by one: whatever the order, however often, cut otherwise, changed or taken back."""
    followed(wire, looks, anchored, contiguous=True)


@given(wires(), LOOKS, ANCHORS)
@settings(max_examples=200)
def test_the_same_holds_where_ids_tell_nothing_but_repeats(
    wire: list[Print], looks: set[int], anchored: int | None
) -> None:
    followed(wire, looks, anchored, contiguous=False)


@given(tapes(), LOOKS, st.booleans())
def test_a_tape_in_order_is_the_same_whoever_looks_at_it_and_when(
    tape: list[TradePrinted], looks: set[int], contiguous: bool
) -> None:
    tracker, _ = followed([*tape], looks, None, contiguous=contiguous)

    assert tracker.missing == ()
    assert tracker.trades == sum(trade.count for trade in tape if PARENT.start <= trade.at < PARENT.end)


@given(wires(), st.integers(0, 90), st.booleans())
@settings(max_examples=200)
def test_coverage_is_one_if_and_only_if_nothing_is_missing(wire: list[Print], anchored: int, contiguous: bool) -> None:
    tracker, truth = followed(wire, set(), anchored, contiguous=contiguous)
    view = tracker.view(at(700))
    assert 0 <= view.coverage <= 1
    assert (view.coverage == 1) == view.complete == (not view.missing and not truth.unseen())
    assert view.missing >= truth.lost


@given(tapes(), st.data())
@settings(max_examples=200)
def test_a_restored_tracker_goes_on_where_ids_rise_by_one_as_if_it_had_never_stopped(
    tape: list[TradePrinted], data: st.DataObject
) -> None:
    """Sums, bars and gaps; a repeat of what came before counts no more than one after it."""
    order = [tape[0], *data.draw(st.permutations(tape[1:]))]
    order = order[: data.draw(st.integers(1, len(order)))]  # Some never come.
    cut, anchored = data.draw(st.integers(1, len(order))), data.draw(st.booleans())
    before, truth = followed([*order[:cut]], set(), 0 if anchored else None, contiguous=True)
    view = before.view(at(700))
    kept = {PARENT.slice_at(bar.start): bar for bar in rebuilt(order[:cut], anchored).view(at(700)).bars}
    after = VwapTracker(PARENT, Nanos(TRAILING_S * SECOND), contiguous=True)
    after.restore(view, kept)
    again = VwapTracker(PARENT, Nanos(TRAILING_S * SECOND), contiguous=True)
    again.restore(after.view(at(700)), kept)  # A life in which nothing was printed.

    for trade in [*order[cut:], *order]:
        truth.tell(trade)
        again.observe(at(700), trade)

    end, true = again.view(at(700)), truth.view(at(700))
    assert shown(end, ("volume", "notional", "trades", "first_id")) == {
        name: true[name] for name in ("volume", "notional", "trades", "first_id")
    }
    inside = {number for gap in end.gaps for number in range(gap.first, gap.last + 1)}
    in_window = {number for trade in truth.inside(tape) for number in range(trade.id - trade.count + 1, trade.id + 1)}
    assert truth.missing & in_window <= inside <= truth.missing
    assert again.anchored == anchored
    sums = {number: (bar[0], bar[1], bar[3]) for number, bar in truth.bars().items()}
    kept |= {PARENT.slice_at(bar.start): bar for bar in end.bars}
    assert {number: (bar.volume, bar.notional, bar.trades) for number, bar in kept.items()} == sums


def rebuilt(order: list[TradePrinted], anchored: bool) -> VwapTracker:
    """A tracker of which nobody has seen the bars yet."""
    tracker = VwapTracker(PARENT, Nanos(TRAILING_S * SECOND), contiguous=True)
    if anchored:
        tracker.anchor()
    for trade in order:
        tracker.observe(trade.at, trade)
    return tracker
