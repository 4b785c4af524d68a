"""The throttle counts exactly what lies in a window that ends now, and keeps no more than that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from execd.core.grid import MINUTE, Lots, Nanos, Ticks
from execd.core.throttle import LONG, Throttle
from tests.core.build import at

STEPS = st.lists(
    st.tuples(st.integers(0, 90), st.sampled_from(["order", "cancel", "fill", "reject"]), st.integers(1, 2)),
    max_size=60,
)


@given(STEPS)
def test_every_count_is_that_of_its_window(steps: list[tuple[int, str, int]]) -> None:
    """Held against a list of all that was done, at every moment and at each window's edge."""
    throttle, now, done = Throttle(), 0, []
    for wait, what, size in steps:
        now += wait
        moment = at(now)
        done.append((moment, what, size))
        if what == "order":
            throttle.order(moment, Lots(size), Ticks(100))
        else:
            getattr(throttle, what)(moment)

        def within(window: Nanos, *kinds: str, end: Nanos = moment) -> list[int]:
            return [size for when, kind, size in done if kind in kinds and when > end - window]

        assert throttle.messages(moment) == len(within(LONG, "order", "cancel"))
        assert throttle.fills(moment) == len(within(LONG, "fill"))
        assert throttle.rejects(moment) == len(within(MINUTE, "reject"))
        for lots in (1, 2):
            assert throttle.alike(moment, Lots(lots), Ticks(100)) == within(MINUTE, "order").count(lots)
        assert throttle.alike(moment, Lots(1), Ticks(101)) == 0


def test_what_a_person_has_looked_at_counts_no_more() -> None:
    throttle = Throttle()
    throttle.order(at(0), Lots(1), Ticks(1))
    throttle.cancel(at(0))
    throttle.fill(at(0))
    throttle.reject(at(0))

    throttle.clear()

    assert throttle.alike(at(0), Lots(1), Ticks(1)) == 0
    assert (throttle.messages(at(0)), throttle.fills(at(0)), throttle.rejects(at(0))) == (0, 0, 0)
