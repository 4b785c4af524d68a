"""Figures become tables without changing what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers.environment import reason
from benchmarks.streams import report as streams
from benchmarks.streams.bouts import BARE, CCXT, CRYPTOFEED, EXECD, Bout
from benchmarks.streams.report import DAEMON, Delay, Found
from benchmarks.tables import Target, machine, percentiles, ratios, saved, spread, table, targets
from benchmarks.tick_to_order import report as ticks
from benchmarks.tick_to_order.exchange import Measured
from benchmarks.tick_to_order.lineup import CCXT as CCXT_ALONE
from benchmarks.tick_to_order.lineup import EXECD as CHAIN
from benchmarks.tick_to_order.lineup import FLOOR, MODEL, NAUTILUS


def test_a_spread_is_the_median_between_the_extremes() -> None:
    assert f"{spread([3.0, 1.0, 2.0]):.1f}" == "2.0 (1.0..3.0)"


def test_nothing_measured_is_an_error_and_no_zero() -> None:
    with pytest.raises(ValueError, match="no round"):
        spread([])
    with pytest.raises(ValueError, match="nothing"):
        percentiles([])


def test_ratios_are_taken_round_by_round() -> None:
    """A slow round slows both: the ratio of the medians would be 1, no round's ratio was."""
    found = ratios([1.0, 10.0, 4.0], [2.0, 4.0, 16.0])

    assert (found.middle, found.low, found.high) == (0.5, 0.25, 2.5)


def test_percentiles_are_told_in_microseconds() -> None:
    low, high, highest = percentiles([1_000 * value for value in range(1, 1002)])

    assert (low, round(high, 6), round(highest, 6)) == (501.0, 991.0, 1000.0)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="execd: 1 cells under 2 heads"):
        table(("who", "what"), [("execd",)])


@pytest.mark.parametrize(
    ("target", "word"),
    [
        (Target("faster", 1.3, 1.3), "yes"),
        (Target("faster", 1.29, 1.3), "**no**"),
        (Target("slower", 2.5, 2.5, at_most=True), "yes"),
        (Target("slower", 2.51, 2.5, at_most=True), "**no**"),
        (Target("absent", None, 1.0), "-"),
    ],
)
def test_a_target_is_met_at_its_bound_and_never_without_a_figure(target: Target, word: str) -> None:
    assert targets([target]).splitlines()[-1].endswith(f"| {word} |")


def test_the_machine_is_told_by_its_class_alone() -> None:
    assert " cores, " in machine()
    assert "_" not in machine()


def test_a_page_is_written_beside_its_figures(tmp_path: Path) -> None:
    path = saved(tmp_path / "results", "streams", "page\n", b"{}")

    assert path.read_text() == "page\n"
    assert path.with_suffix(".json").read_bytes() == b"{}"


def test_pips_own_reason_is_told() -> None:
    assert reason("Collecting x\nERROR: No matching distribution\nmore\n") == "No matching distribution"
    assert reason("") == "pip failed without a word"


def _found() -> Found:
    found = Found()
    for client, per_s in ((BARE, 100.0), (EXECD, 90.0), (CCXT, 10.0)):
        found.floods[client.name, DAEMON] = [Bout(1000, 1000, per_s * part, 5.0, 40.0) for part in (1, 2, 3)]
    found.floods[CRYPTOFEED.name, DAEMON] = [Bout(1000, error="not to be had: no compiler")]
    return found


def test_the_floods_page_tells_how_many_times_as_fast_execd_is() -> None:
    found = _found()

    assert streams.faster(found.floods, CCXT, DAEMON) == (9.0, "9.00 (9.00..9.00)")
    assert "3 x 1,000" in streams.flooded(found.floods)


def test_a_peer_that_cannot_be_had_stands_in_the_table_with_the_reason() -> None:
    found = _found()

    assert "not to be had: no compiler" in streams.flooded(found.floods)
    assert streams.faster(found.floods, CRYPTOFEED, DAEMON) is None


def test_what_a_listener_lost_is_counted_over_all_rounds() -> None:
    found = _found()
    found.floods[EXECD.name, DAEMON][1] = Bout(1000, 993, 90.0, 5.0, 40.0)

    (lost,) = [each for each in streams.wanted(found) if "lost" in each.words]

    assert (lost.found, lost.met) == (7.0, False)


def test_a_flood_that_broke_is_no_flood_without_loss() -> None:
    found = _found()
    found.floods[EXECD.name, DAEMON][1] = Bout(1000, error="it broke")

    (lost,) = [each for each in streams.wanted(found) if "lost" in each.words]

    assert lost.found is None


def test_a_delay_is_held_against_the_bare_loops_at_the_same_rate() -> None:
    delays = [
        Delay(BARE.name, 1000, [(1, 10, 20)], [5.0], 9, 0),
        Delay(EXECD.name, 1000, [(2, 30, 50)], [7.0], 9, 0),
        Delay(EXECD.name, 9000, [(2, 99, 99)], [7.0], 9, 0),
    ]

    assert streams.slower(delays, EXECD.name, 1000) == (3.0, "3.00 (3.00..3.00)")
    assert streams.slower(delays, EXECD.name, 9000) is None


def test_memory_that_rises_with_the_trades_shows() -> None:
    flat = Bout(8, memory_mb=(10.0, 50.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0))
    leaking = Bout(8, memory_mb=tuple(float(10 * each) for each in range(8)))

    assert streams.risen_mb(flat) == 0.0
    assert streams.risen_mb(leaking) == 40.0
    assert streams.risen_mb(Bout(8, memory_mb=(1.0,))) is None


def test_the_whole_page_of_the_streams_holds_every_table_that_has_figures() -> None:
    found = _found()
    found.symbols, found.parents = {1: [Bout(9, 9, 1.0, 2.0, 3.0)]}, {4: [Bout(9, 9, 1.0, 2.0, 3.0)]}
    found.long = Bout(80, 80, 9.0, memory_mb=tuple([50.0] * 8))

    text = streams.page(found, "before", "after")

    for words in ("## Targets", "markets in one loop", "parents on one market", "## Memory", "before", "after"):
        assert words in text
    assert "own ring" not in text


def _cells() -> ticks.Cells:
    return {
        (FLOOR.name, 100): [Measured([100_000, 200_000]), Measured([100_000, 200_000])],
        (CHAIN.name, 100): [Measured([200_000, 400_000]), Measured([300_000, 600_000], late=1)],
        (CCXT_ALONE.name, 100): [Measured(late=5), Measured([1_000_000])],
        (NAUTILUS.name, 100): [Measured(error="nobody has subscribed")],
    }


def test_a_tick_is_held_against_the_floors_of_the_same_rounds() -> None:
    found = ticks.times(_cells(), CHAIN, FLOOR, 100, ticks.P50)

    assert found is not None
    assert (found.low, found.middle, found.high) == (2.0, 2.5, 3.0)
    assert ticks.wanted(_cells(), [100])[0].met


def test_a_round_without_an_answer_leaves_no_ratio() -> None:
    assert ticks.times(_cells(), CCXT_ALONE, FLOOR, 100, ticks.P99) is None
    assert ticks.times(_cells(), MODEL, FLOOR, 100, ticks.P99) is None


def test_who_never_ordered_stands_in_the_table_with_the_reason() -> None:
    text = ticks.measured(_cells(), 100)

    assert "nobody has subscribed" in text
    assert "| execd, curve, journal in RAM | 4 |" in text


def test_the_price_of_a_part_is_the_difference_of_the_rounds() -> None:
    cells = _cells() | {(MODEL.name, 100): [Measured([210_000]), Measured([460_000])]}

    found = ticks.gained(cells, MODEL, CHAIN, 100, ticks.P50)

    assert found is not None
    assert (found.low, found.high) == (-90.0, 10.0)


def test_the_whole_page_of_ticks_holds_targets_and_prices() -> None:
    text = ticks.page(_cells(), [100], "before", "after", {"ccxt": "4"})

    for words in ("## Targets", "## At 100 prints a second", "the journal on a disk", "ccxt 4"):
        assert words in text
