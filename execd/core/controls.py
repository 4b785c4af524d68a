"""The inventory of controls: every one that execd has, and every one that it knowingly leaves out.

    P  before a child order is sent       I  while orders are out       T  after the trade

Promise: an id means one thing and is never used again for another; it is the label of the metric and the word in the
journal.  The ids and definitions are built to the shape of what regulators, exchanges and past disasters demand
(SEC 15c3-5, RTS 6, FIA 2015 and 2024); nothing here claims to comply with any of them.  docs/controls.md is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Control:
    """One control.

    `keys` are the limits that set it, by their names in risk.yaml or, with the file's name before them, elsewhere;
    none: it is fixed in the code.  `action` is what happens when it fires, `owner` whose decision the limit is, `test`
    the file that proves it.  `left_out` says why there is no such control here; then it has no test.
    """

    id: str
    what: str
    definition: str
    action: str = ""
    keys: tuple[str, ...] = ()
    owner: str = "risk"
    test: str = ""
    left_out: str = ""


GATE, REPORTS, HOLDS = (
    "tests/core/test_risk.py",
    "tests/core/test_execution_reports.py",
    "tests/core/test_execution_holds.py",
)
LIMITS, START = "tests/core/test_execution_limits.py", "tests/venues/test_environment.py"
SAILS = "tests/sim/test_voyages.py"

CONTROLS: tuple[Control, ...] = (
    # ------------------------------------------------------------------------------------------------- pre-trade
    Control(
        "P1",
        "kill latch",
        "the latch of the parent, of its exchange or of everything is set, or cannot be looked at",
        "refuse; the fuse looks once more at the wire",
        owner="operator",
        test="tests/runtime/test_latch.py",
    ),
    Control(
        "P2",
        "state",
        "paused, draining, disabled, halted, a stream down, an order in doubt, outside of the parent's window, or the "
        "wrong side",
        "refuse; what rests is canceled",
        owner="operator",
        test=HOLDS,
    ),
    Control(
        "P3",
        "environment",
        "real money needs `mode: live`, `--live`, a limit price, and an exchange that agrees",
        "no start, exit code 4",
        ("execd.yaml: mode",),
        owner="operator",
        test=START,
    ),
    Control(
        "P4",
        "key",
        "on live a key that can move funds, works from any address, or cannot be asked about; an account that is not "
        "the journal's",
        "no start, exit code 4 or 5",
        owner="operator",
        test="tests/runtime/test_interlocks.py",
    ),
    Control(
        "P5",
        "allowed instruments",
        "an instrument that risk.yaml does not list; at most five",
        "no admission, exit code 2",
        ("instruments",),
        test="tests/runtime/test_admission.py",
    ),
    Control(
        "P6",
        "size of a child",
        "a child larger than the limit; the router's wish is clipped to it first",
        "clip, else refuse",
        ("child_quantity",),
        test=GATE,
    ),
    Control(
        "P7", "value of a child", "quantity times limit price", "clip, else refuse", ("child_notional",), test=GATE
    ),
    Control(
        "P8",
        "exchange's filters",
        "off the grid, below the least or above the most that the exchange takes; checked on what is really sent",
        "refuse",
        owner="code",
        test=GATE,
    ),
    Control(
        "P9a",
        "a reference price",
        "fewer than so many of mid, last trade and minute VWAP are fresh",
        "refuse",
        ("references", "reference_age"),
        test=GATE,
    ),
    Control(
        "P9",
        "collar of an order",
        "a price too far through the reference (their median), or resting too far away from it",
        "refuse; the fuse holds the same collar at the wire",
        ("collar_bps", "rest_bps"),
        test=GATE,
    ),
    Control(
        "P10",
        "collar of the period",
        "the reference has moved too far from the arrival price",
        "refuse",
        ("period_collar_bps",),
        test=GATE,
    ),
    Control(
        "P11",
        "operator's limit price",
        "a price beyond the order's own limit",
        "refuse",
        ("order file: limit_price",),
        owner="operator",
        test=GATE,
    ),
    Control(
        "P12",
        "room",
        "quantity > total - filled - what may still fill, doubtful orders at their full size; no tolerance",
        "refuse; the fuse counts the same from the journal's rows; an assertion after every fact",
        owner="code",
        test=SAILS,
    ),
    Control(
        "P12b",
        "value of a parent",
        "filled and what may still fill, at the worst price, beyond the parent's value or its budget",
        "clip, else refuse",
        ("parent_notional", "order file: notional"),
        test=GATE,
    ),
    Control(
        "P13",
        "participation",
        "own fills and open quantity as a share of the market's volume in the window, own prints excluded",
        "clip, else refuse",
        ("participation", "participation_window", "order file: participation"),
        test="tests/core/test_risk_quantities.py",
    ),
    Control(
        "P14",
        "ahead of schedule",
        "filled and open quantity beyond the schedule's band",
        "clip, else refuse",
        ("ahead",),
        test=GATE,
    ),
    Control("P15", "open orders", "so many child orders are alive", "refuse", ("open_orders",), test=GATE),
    Control(
        "P16",
        "messages",
        "a token bucket of new orders; cancels and queries pass it by, and are never held back",
        "refuse, wait; the fuse counts orders a second and a minute",
        ("messages_per_second", "message_burst"),
        test=GATE,
    ),
    Control(
        "P17",
        "messages per fill",
        "orders and cancels over fills in ten minutes, from the fiftieth message on",
        "refuse until the window has passed",
        ("messages_per_fill",),
        test=GATE,
    ),
    Control(
        "P18",
        "repeated execution",
        "rejections in a row, rejections in a minute, or orders of one price and quantity in a minute",
        "disable the parent until an operator resumes it",
        ("rejects_in_a_row", "rejects_per_minute", "same_orders"),
        test=REPORTS,
    ),
    Control(
        "P18b", "children of a slice", "so many children in one slice", "refuse", ("children_per_slice",), test=GATE
    ),
    Control(
        "P19",
        "duplicate",
        "client ids are derived from the parent and a number that is used once; one leaves at most once, in all lives",
        "the fuse blows",
        owner="code",
        test="tests/venues/test_fuse.py",
    ),
    Control(
        "P20",
        "credit",
        "the account's free funds do not cover the order at its worst price, with fees",
        "no admission, exit code 2; later the exchange's refusal counts for P18",
        owner="code",
        test="tests/runtime/test_account.py",
    ),
    Control(
        "P21",
        "value of a day",
        "the parent and the account's other parents of this UTC day, unfinished ones at their full size",
        "clip, else refuse",
        ("day_notional",),
        test="tests/runtime/test_siblings.py",
    ),
    Control(
        "P21b",
        "quantity of a window",
        "what filled in any rolling window, or still may",
        "clip, else refuse",
        ("window_quantity", "window"),
        test="tests/core/test_windows.py",
    ),
    Control(
        "P22",
        "fresh market",
        "no quote, no trade, a crossed book, or nothing seen for too long",
        "refuse, and cancel what rests",
        ("stale_age",),
        test=GATE,
    ),
    Control(
        "P22b", "spread", "the spread is too wide, or a side of the book is empty", "refuse", ("spread_bps",), test=GATE
    ),
    Control(
        "P22c",
        "complete market data",
        "trades of the participation window have been missing for more than 2 s without a break",
        "orders rest only, none crosses the spread, in the last slice neither, until the trades have been fetched or "
        "lie further back than the window",
        ("participation_window",),
        test="tests/core/test_suspect.py",
    ),
    Control(
        "P23",
        "clock",
        "our clock is too far off the exchange's, as measured every `timing.clock_check`",
        "refuse",
        ("clock_skew",),
        test=LIMITS,
    ),
    Control(
        "P24",
        "self-trade",
        "an unfinished parent of the account trades the other way; children of one parent have one side, each order "
        "asks the exchange to prevent it",
        "no start, exit code 5; the exchange expires the maker",
        owner="code",
        test="tests/runtime/test_siblings.py",
    ),
    Control(
        "P25",
        "the model's answer",
        "no number, outside of 0 to 1, late, outside of what it was trained for, weights that are not the manifest's",
        "the volume curve decides",
        ("execd.yaml: timing.proposal_deadline",),
        owner="operator",
        test="tests/core/test_schedule.py",
    ),
    Control(
        "P26",
        "order type",
        "limit orders only: one that rests is post-only, one that crosses is immediate-or-cancel inside of the collar",
        "there is no other",
        owner="code",
        test="tests/core/test_router.py",
    ),
    Control(
        "P27",
        "authorization",
        "an order worth more than the limit has not been approved by another user than the one who runs it",
        "no start on live, exit code 4; elsewhere a warning",
        ("approval_notional",),
        test="tests/runtime/test_approval.py",
    ),
    Control(
        "P28",
        "this process",
        "too little disk, a journal that lags, an event loop that is late",
        "refuse; a journal that fails ends the process",
        ("execd.yaml: health.disk_free", "execd.yaml: health.journal_lag", "execd.yaml: health.loop_lag"),
        owner="operator",
        test="tests/runtime/test_health.py",
    ),
    Control(
        "P0",
        "a broken control",
        "a control that raises has not said yes",
        "refuse",
        owner="code",
        test=GATE,
    ),
    # ------------------------------------------------------------------------------------------------- in flight
    Control(
        "I1",
        "answers",
        "an order that is not answered in time is in doubt: never failed, never sent again, its whole rest committed",
        "no new order; cancel, wait out its validity, ask, list fills",
        ("ack_timeout",),
        test="tests/core/test_doubt.py",
    ),
    Control(
        "I2",
        "request validity",
        "every order carries a moment after which the exchange must refuse it",
        "the exchange refuses",
        ("execd.yaml: venue.request_validity",),
        owner="operator",
        test="tests/venues/test_outcomes.py",
    ),
    Control(
        "I3",
        "account stream",
        "it is down, or silent",
        "no new order; all that was missed is fetched before it counts as up",
        ("execd.yaml: venue.silence",),
        owner="operator",
        test=SAILS,
    ),
    Control(
        "I4",
        "market stream",
        "it is down, or silent, or stale (P22)",
        "cancel what rests; go on when it is back",
        ("stale_age",),
        test=HOLDS,
    ),
    Control(
        "I5",
        "age and place of a resting order",
        "the router moves an order that the market has left, and crosses when its slice runs out (urgency)",
        "cancel, send anew once the cancel is confirmed",
        ("order file: urgency",),
        owner="operator",
        test="tests/core/test_router.py",
    ),
    Control(
        "I6",
        "volatility",
        "trades of ten seconds lie too far apart",
        "cancel, pause 30 s; the third time in an hour disable the parent",
        ("swing_bps",),
        test=LIMITS,
    ),
    Control(
        "I7",
        "slippage",
        "the fills have cost too much beyond the market's VWAP, of the whole parent's value",
        "disable the parent until an operator resumes it",
        ("slippage_bps",),
        test=LIMITS,
    ),
    Control(
        "I8",
        "behind schedule",
        "less is filled than planned",
        "alert; catching up stays inside of P13, a rest is left where `finish: leave`",
        ("order file: finish",),
        owner="operator",
        test="tests/deploy/test_prometheus.py",
    ),
    Control(
        "I9",
        "odd fills",
        "a fill through its own limit, more than the order, or of an order that we never sent",
        "book it; disable the parent, after more than the order or a stray halt it and trip its kill switch",
        owner="code",
        test=REPORTS,
    ),
    Control(
        "I10",
        "dead-man switch",
        "where the exchange has one: armed at the start, renewed by a healthy loop alone",
        "the exchange cancels",
        owner="operator",
        test="tests/runtime/test_deadman.py",
    ),
    Control(
        "I11",
        "watchdog",
        "another process sees no heartbeat of the loop for too long",
        "it latches and cancels with its own key",
        ("execd.yaml: watchdog.trip_after",),
        owner="operator",
        test="tests/runtime/test_watchdog.py",
    ),
    Control(
        "I12",
        "running reconciliation",
        "the exchange's list of our fills against the journal, again and again",
        "book what is missing; a difference is alerted, and at the end an exit code",
        ("execd.yaml: timing.reconcile",),
        owner="operator",
        test=SAILS,
    ),
    Control(
        "I13",
        "the loop's own pulse",
        "the heartbeat comes from the sequencer's loop, and only while it keeps up and the journal can be written",
        "I11 fires",
        owner="code",
        test="tests/runtime/test_watchdog.py",
    ),
    Control(
        "I14",
        "throttling and bans",
        "the exchange answered 429 or 418",
        "no new order for Retry-After; cancels keep a share of the limit",
        owner="code",
        test="tests/venues/test_backoff.py",
    ),
    # ------------------------------------------------------------------------------------------------- post-trade
    Control(
        "T1",
        "fills first",
        "a fill is journaled before any figure that it moves is shown",
        "the journal's order",
        owner="code",
        test=SAILS,
    ),
    Control(
        "T2",
        "end of a parent",
        "the exchange's trades by client id = the journal, with fees and costs in a report",
        "exit code 5 where they differ",
        owner="code",
        test="tests/runtime/test_kills.py",
    ),
    Control(
        "T3",
        "end of a day",
        "the exchange's statement = the journal",
        left_out="each parent is reconciled at its end (T2); a day has no more to it where execd is alone there",
    ),
    Control(
        "T4",
        "surveillance",
        "messages per fill and participation are metrics with alerts; self-trades are prevented (P24)",
        "alert",
        owner="risk",
        test="tests/deploy/test_prometheus.py",
    ),
    Control(
        "T5",
        "records",
        "the journal is hash-chained, with builds, hashes and the clock's offset of every start; keeping it is the "
        "operator's",
        "`execd replay` proves it",
        owner="operator",
        test="tests/runtime/test_journal.py",
    ),
    Control(
        "T6",
        "firings",
        "every refusal is counted by control, and stands in the journal with its words",
        "execd_risk_rejects_total",
        owner="code",
        test="tests/runtime/test_telemetry.py",
    ),
)
"""Every control, in the order of the page."""

NEVER_OVERRIDDEN = ("P1", "P3", "P4", "P9", "P10", "P11", "P12", "P16", "P19")
"""What no second person can loosen: the latch, the interlocks, the room, duplicates, and what the fuse holds too."""
