"""What an operator sees of a limit is what the gate sees, in its own terms."""

from __future__ import annotations

from execd.core.controls import CONTROLS
from execd.core.grid import Lots, Nanos
from execd.core.throttle import Throttle
from execd.core.usage import uses
from tests.core.build import START, a_market, a_parent, a_view, limits

IDS = [control.id for control in CONTROLS]


def seen(**changes: object) -> dict[str, tuple[str, str]]:
    """Each control's use and its limit."""
    return {use.id: (use.used, use.most) for use in uses(a_view(**changes))}


def test_every_use_is_of_a_control_of_the_inventory() -> None:
    assert set(seen(market=a_market(low=10_000, high=10_100))) <= set(IDS)


def test_the_figures_are_those_of_the_moment() -> None:
    lately = Throttle()
    lately.cancel(START)
    lately.fill(START)
    found = seen(
        market=a_market(START - 1_500_000_000, low=10_000, high=10_100, bid=9_950, ask=10_050),
        now=START,
        lately=lately,
        committed=Lots(50),
        ceiling=Lots(150),
        window_used=Lots(40),
        spent=100_000,
        day_spent=200_000,
        open_orders=2,
        message_tokens=3,
        rejects=1,
        children=4,
        clock_offset=Nanos(-5_000_000),
        arrival2=20_000,
    )

    assert found["P12"] == ("0.050", "1.000")
    assert found["P14"] == ("0.050", "0.150")
    assert found["P21b"] == ("0.040", "10.000")
    assert found["P12b"] == ("1.00", "1000000.00")
    assert found["P21"] == ("3.00", "10000000.00")
    assert found["I6"] == ("100.0 bp", "200 bp")
    assert found["P22b"] == ("100.0 bp", "100 bp")
    assert found["P22"] == ("1.5 s", "10 s")
    assert found["P23"] == ("5 ms", "750 ms")
    assert found["P15"] == ("2", "5")
    assert found["P16"] == ("2", "5")
    assert found["P17"] == ("1", "100")
    assert found["P18"] == ("1", "5")
    assert found["P18b"] == ("4", "50")
    assert found["P10"] == ("1.0 bp", "300 bp")


def test_the_state_is_told_in_words() -> None:
    assert (seen()["P1"], seen()["P2"], seen()["P28"]) == (("clear", ""), ("trading", ""), ("well", ""))
    assert seen()["P22c"] == ("complete", "")
    found = seen(killed=True, held="paused by ann", unwell="the disk is full", suspect="trades are missing")
    assert (found["P1"][0], found["P2"][0], found["P28"][0]) == ("latched", "paused by ann", "the disk is full")
    assert found["P22c"][0] == "trades are missing"


def test_what_is_not_known_is_not_shown() -> None:
    """No quote, no trade, no arrival price."""
    found = seen(market=a_market(bid=None, ask=None, quote_at=None, last=None, last_at=None), arrival2=None)
    assert found["P22"] == ("never", "10 s")
    assert not {"P22b", "I6", "P10"} & set(found)


def test_the_tighter_of_two_limits_is_shown() -> None:
    """The order's own budget, where it has one."""
    assert seen(parent=a_parent(budget=500_000))["P12b"] == ("0.00", "5.00")
    assert seen(parent=a_parent(budget=10**12), limits=limits(parent_notional=300_000))["P12b"] == ("0.00", "3.00")
