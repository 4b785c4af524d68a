"""Broken files and what execd says to each: one row a file, used by the loader's tests and by the command line's.

A row's `text` is the whole file.  `words` must all stand in one line of the message, which begins with the file's name;
`line` is the line of the file that it names, None where the problem has none.  Order files that are well-formed but
cannot be worked on the practice exchange's BTC/USDT (tick 0.01, lot 0.00001, least order 5 USDT, about 65,000 USDT)
have `stage` "admission"; the others fail in the loader.
"""

from __future__ import annotations

from dataclasses import dataclass

ORDER, SETTINGS, RISK = "order", "settings", "risk"

GOOD_ORDER = """\
symbol: BTC/USDT
side: buy
quantity: 1
duration: 90s
"""


@dataclass(frozen=True)
class BadInput:
    """A file that must be refused."""

    name: str
    kind: str
    text: str | bytes
    words: tuple[str, ...]
    line: int | None = None
    stage: str = "load"


def _order(name: str, text: str | bytes, *words: str, line: int | None = None, stage: str = "load") -> BadInput:
    return BadInput(name, ORDER, text, words, line, stage)


def _changed(name: str, old: str, new: str, *words: str, line: int | None = None, stage: str = "load") -> BadInput:
    assert old in GOOD_ORDER
    return _order(name, GOOD_ORDER.replace(old, new), *words, line=line, stage=stage)


SECRET = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
"""As Binance's documentation shows one; no message may hold it."""

BAD_ORDERS = (
    # The file itself.
    _order("an empty file", "", "the file is empty"),
    _order("comments only", "# nothing\n", "the file is empty"),
    _order("not UTF-8", b"symbol: \xff\xfe\n", "UTF-8", "byte 8"),
    _order("a NUL byte", GOOD_ORDER + "name: a\0b\n", "U+0000", "not allowed", line=5),
    _order("broken YAML", "symbol: [BTC/USDT\nside: buy\n", "not YAML", line=2),
    _order("a tab for indentation", "symbol:\n\tBTC/USDT\n", "not YAML", line=2),
    _order("a list", "- symbol: BTC/USDT\n", "a group of keys"),
    _order("a word", "buy\n", "a group of keys"),
    _order("two documents", GOOD_ORDER + "---\n" + GOOD_ORDER, "a second document", line=6),
    _order("a key twice", GOOD_ORDER + "side: sell\n", "'side' is given twice (first in line 2)", line=5),
    _order("an alias", GOOD_ORDER + "name: &a x\nmodel: *a\n", "alias *a is not allowed", line=6),
    _order("a tag", GOOD_ORDER + "name: !!python/object:os.system x\n", "tag", "is not allowed", line=5),
    _order("deep nesting", "symbol: " + "[" * 500 + "]" * 500, "nested more than 8 deep", line=1),
    _order("a key that is a list", "[a]: b\n", "a key must be a plain text", line=1),
    # Keys.
    _changed("a misspelt key", "quantity", "quantitty", "quantitty: unknown key (did you mean quantity?)", line=3),
    _changed("an unknown key", "duration", "frobnicate", "frobnicate: unknown key; allowed: symbol, side", line=4),
    _changed("a missing key", "side: buy\n", "", "side: missing; allowed: buy or sell"),
    _changed("no quantity", "quantity: 1\n", "", "quantity: neither is given; allowed: either quantity or notional"),
    _changed("quantity and notional", "quantity: 1", "quantity: 1\nnotional: 5000", "quantity: both are given", line=3),
    _changed("no end", "duration: 90s\n", "", "duration: neither is given; allowed: either end or duration"),
    _order("end and duration", GOOD_ORDER + "end: 2031-01-01T00:00:00Z\n", "duration: both are given", line=4),
    _order("slices and slice", GOOD_ORDER + "slices: 9\nslice: 10s\n", "allowed: either slices or slice", line=6),
    # Values.
    _changed(
        "a symbol in small letters",
        "BTC/USDT",
        "btc/usdt",
        "symbol: value is 'btc/usdt'; allowed: BASE/QUOTE in capitals",
        line=1,
    ),
    _changed("a symbol without a slash", "BTC/USDT", "BTCUSDT", "symbol: value is 'BTCUSDT'", "BTC/USDT", line=1),
    _changed("another side", "buy", "long", "side: value is 'long'; allowed: buy or sell", line=2),
    _changed(
        "a negative quantity",
        "quantity: 1",
        "quantity: -1",
        "quantity: value is '-1'; allowed: a decimal number above 0",
        line=3,
    ),
    _changed("no quantity at all", "quantity: 1", "quantity: 0", "quantity: value is '0'", "above 0", line=3),
    _changed("a quantity in words", "quantity: 1", "quantity: one", "quantity: value is 'one'", "above 0", line=3),
    _changed(
        "a quantity with a unit", "quantity: 1", "quantity: 1 BTC", "quantity: value is '1 BTC'", "such as 25", line=3
    ),
    _changed("NaN", "quantity: 1", "quantity: .nan", "quantity: value is '.nan'", "above 0", line=3),
    _changed("infinity", "quantity: 1", "quantity: .inf", "quantity: value is '.inf'", "above 0", line=3),
    _changed(
        "a thousands separator", "quantity: 1", "quantity: 1,000", "quantity: value is '1,000'", "above 0", line=3
    ),
    _changed("an exponent", "quantity: 1", "quantity: 1e3", "quantity: value is '1e3'", "above 0", line=3),
    _changed(
        "a number without end", "quantity: 1", "quantity: " + "9" * 5000, "quantity: value is '99", "above 0", line=3
    ),
    _changed(
        "an empty value", "quantity: 1", "quantity:", "quantity: value is empty; allowed: a decimal number", line=3
    ),
    _changed(
        "a list for a value",
        "quantity: 1",
        "quantity: [1]",
        "quantity: value is a list; allowed: a decimal number",
        line=3,
    ),
    _changed(
        "a duration without a unit", "90s", "90", "duration: value is '90'; allowed: a duration from 10s to 7d", line=4
    ),
    _changed("too short", "90s", "5s", "duration: value is '5s'; allowed: a duration from 10s", line=4),
    _changed("too long", "90s", "30d", "duration: value is '30d'", "to 7d", line=4),
    _changed(
        "a start without a zone",
        "duration",
        "start: 2031-01-01T00:00:00\nduration",
        "start: value is '2031-01-01T00:00:00'; allowed: now, or a time with its zone",
        line=4,
    ),
    _changed(
        "an end before the start",
        "duration: 90s",
        "start: 2031-01-02T00:00:00Z\nend: 2031-01-01T00:00:00Z",
        "end: value is '2031-01-01T00:00:00+00:00'",
        "allowed: a time after the start",
        line=5,
    ),
    _order(
        "slices that are no number",
        GOOD_ORDER + "slices: many\n",
        "slices: value is 'many'; allowed: a whole number from 1 to 5000",
        line=5,
    ),
    _order("no slices", GOOD_ORDER + "slices: 0\n", "slices: value is '0'; allowed: a whole number from 1", line=5),
    _order("half a slice", GOOD_ORDER + "slices: 1.5\n", "slices: value is '1.5'; allowed: a whole number", line=5),
    _order(
        "participation above the ceiling",
        GOOD_ORDER + "participation: 40%\n",
        "participation: value is '40%'",
        "up to 25% (hard ceiling, set in the code)",
        line=5,
    ),
    _order(
        "another urgency",
        GOOD_ORDER + "urgency: asap\n",
        "urgency: value is 'asap'; allowed: low, medium or high",
        line=5,
    ),
    _order(
        "another finish", GOOD_ORDER + "finish: market\n", "finish: value is 'market'; allowed: cross or leave", line=5
    ),
    _order(
        "a model outside its folder",
        GOOD_ORDER + "model: ../../etc\n",
        "model: value is '../../etc'",
        "folder under models_dir",
        line=5,
    ),
    # Secrets.
    _order(
        "a secret by its key",
        GOOD_ORDER + "api_key: abc\n",
        "api_key: a secret does not belong",
        "EXECD_API_KEY",
        line=5,
    ),
    _order("a secret by its looks", GOOD_ORDER + f"name: {SECRET}\n", "name: a secret does not belong", line=5),
    _order("a secret for a key", GOOD_ORDER + f"{SECRET}: x\n", "a secret does not belong", line=5),
    # Well-formed, and not to be worked.
    _changed(
        "an instrument that risk.yaml does not allow",
        "BTC/USDT",
        "DOGE/USDT",
        "symbol: value is DOGE/USDT; allowed: BTC/USDT, ETH/USDT",
        "risk.yaml: instruments",
        stage="admission",
    ),
    _changed(
        "a quantity off the lot",
        "quantity: 1",
        "quantity: 0.123456",
        "quantity: value is 0.123456; allowed: a multiple of 0.00001 BTC, such as 0.12345 or 0.12346",
        stage="admission",
    ),
    _changed(
        "below the least order",
        "quantity: 1",
        "quantity: 0.00005",
        "quantity: value is 0.00005 BTC; allowed: at least 0.00008 BTC (the exchange's least order",
        stage="admission",
    ),
    _changed(
        "money below the least order",
        "quantity: 1",
        "notional: 3",
        "notional: value is 0.00004 BTC; allowed: at least 0.00008 BTC",
        stage="admission",
    ),
    _changed(
        "more than risk.yaml allows",
        "quantity: 1",
        "quantity: 40",
        "quantity: value is 40.00000 BTC, worth 26",
        "allowed: at most 2000000 USDT (",
        "risk.yaml: instruments.BTC/USDT.parent_notional), that is 30.7",
        stage="admission",
    ),
    _changed(
        "too much for the time",
        "quantity: 1",
        "quantity: 25",
        "quantity: value is 25.00000 BTC; allowed: at most 20.00000 BTC in 1m30s",
        "window_quantity); 3m would do",
        stage="admission",
    ),
    _changed(
        "too much for the slices",
        "quantity: 1",
        "quantity: 11\nslices: 1",
        "quantity: value is 11.00000 BTC",
        "at most 10.00000 BTC in 1 slices",
        "2 would do",
        stage="admission",
    ),
    _order(
        "participation above risk.yaml",
        GOOD_ORDER + "participation: 15%\n",
        "participation: value is 15%; allowed: at most 10% (",
        "risk.yaml: limits.participation)",
        stage="admission",
    ),
    _order(
        "a limit price off the tick",
        GOOD_ORDER + "limit_price: 65000.005\n",
        "limit_price: value is 65000.005; allowed: a multiple of 0.01; the nearest are 65000.00 or 65000.01",
        stage="admission",
    ),
    _order(
        "a limit price that is a slip",
        GOOD_ORDER + "limit_price: 78000\n",
        "limit_price: value is 78000; allowed: at most 71501.10, 10 % beyond 65001.00, the best ask",
        stage="admission",
    ),
    _changed(
        "an end in the past",
        "duration: 90s",
        "end: 2020-01-01T00:00:00Z",
        "end: value is 2020-01-01T00:00:00+00:00; allowed: a time after",
        stage="admission",
    ),
    _changed(
        "a start in the past",
        "duration",
        "start: 2020-01-01T00:00:00Z\nduration",
        "start: value is 2020-01-01T00:00:00+00:00; allowed: now, or a time after",
        stage="admission",
    ),
    _order(
        "slices under a second",
        GOOD_ORDER + "slices: 100\n",
        "slices: value is 100 slices; allowed: at most 90, so that a slice lasts at least a second",
        stage="admission",
    ),
)

BAD_SETTINGS = (
    BadInput(
        "an unknown mode",
        SETTINGS,
        "mode: real\n",
        ("mode: value is 'real'; allowed: practice, paper, testnet or live",),
        1,
    ),
    BadInput("an unknown group", SETTINGS, "metrix:\n  port: 1\n", ("metrix: unknown key (did you mean metrics?)",), 1),
    BadInput(
        "an unknown key in a group",
        SETTINGS,
        "metrics:\n  prot: 1\n",
        ("metrics.prot: unknown key (did you mean port?); allowed: host, port",),
        2,
    ),
    BadInput(
        "a port out of range",
        SETTINGS,
        "metrics:\n  port: 70000\n",
        ("metrics.port: value is '70000'; allowed: a whole number from 0 to 65535",),
        2,
    ),
    BadInput(
        "a value for a group",
        SETTINGS,
        "metrics: 9464\n",
        ("metrics: value is '9464'; allowed: a group of keys, each with its value",),
        1,
    ),
    BadInput("a list for a group", SETTINGS, "log: [json]\n", ("log: value is a list; allowed: a group of keys",), 1),
    BadInput(
        "a word for a list",
        SETTINGS,
        "practice:\n  symbols: BTC/USDT\n",
        ("practice.symbols: value is 'BTC/USDT'; allowed: a list",),
        2,
    ),
    BadInput(
        "a bad symbol in a list",
        SETTINGS,
        "practice:\n  symbols:\n    - BTC/USDT\n    - eth\n",
        ("practice.symbols.1: value is 'eth'; allowed: BASE/QUOTE",),
        4,
    ),
    BadInput(
        "a negative balance",
        SETTINGS,
        "practice:\n  balances: {USDT: -5}\n",
        ("practice.balances.USDT: value is '-5'; allowed: a decimal number from 0",),
        2,
    ),
    BadInput(
        "a latch that nobody looks at",
        SETTINGS,
        "timing:\n  latch_poll: 1h\n",
        ("timing.latch_poll: value is '1h'; allowed: a duration from 50ms to 1s",),
        2,
    ),
    BadInput(
        "a secret in the settings",
        SETTINGS,
        "venue:\n  api_secret: abc\n",
        ("venue.api_secret: a secret does not belong in a settings file",),
        2,
    ),
)

_LIMITS = (
    "{{child_quantity: 1, child_notional: {}, window_quantity: 1, parent_notional: {}, day_notional: 1, "
    "approval_notional: 1}}"
)
_INSTRUMENT = "instruments:\n  BTC/USDT:\n    " + _LIMITS

BAD_RISK = (
    BadInput(
        "a collar beyond the ceiling",
        RISK,
        "limits:\n  collar_bps: 900\n",
        ("limits.collar_bps: value is '900'; allowed: a whole number from 1 to 500 (hard ceiling, set in the code)",),
        2,
    ),
    BadInput(
        "participation beyond the ceiling",
        RISK,
        "limits:\n  participation: 0.5\n",
        ("limits.participation: value is '0.5'; allowed: a share above 0 up to 25% (hard ceiling",),
        2,
    ),
    BadInput(
        "messages beyond the ceiling",
        RISK,
        "limits:\n  messages_per_second: 100\n",
        ("limits.messages_per_second: value is '100'; allowed: a whole number from 1 to 10 (hard ceiling",),
        2,
    ),
    BadInput(
        "a child beyond the ceiling",
        RISK,
        _INSTRUMENT.format(200000, 1),
        (
            "instruments.BTC/USDT.child_notional: value is '200000'; allowed: a decimal number above 0",
            "to 100000 (hard ceiling",
        ),
        3,
    ),
    BadInput(
        "a parent beyond the ceiling",
        RISK,
        _INSTRUMENT.format(1, 20000000),
        ("instruments.BTC/USDT.parent_notional: value is '20000000'", "10000000 (hard ceiling"),
        3,
    ),
    BadInput(
        "an instrument without a limit",
        RISK,
        "instruments:\n  BTC/USDT:\n    child_quantity: 1\n",
        ("instruments.BTC/USDT.child_notional: missing; allowed: a decimal number above 0 to 100000",),
        2,
    ),
    BadInput(
        "an instrument that is none",
        RISK,
        "instruments:\n  bitcoin:\n    child_quantity: 1\n",
        ("instruments.bitcoin: value is 'bitcoin'; allowed: BASE/QUOTE in capitals",),
        2,
    ),
    BadInput(
        "a misspelt limit",
        RISK,
        "limits:\n  collar_bsp: 5\n",
        ("limits.collar_bsp: unknown key (did you mean collar_bps?)",),
        2,
    ),
    BadInput(
        "too many instruments",
        RISK,
        "instruments:\n" + "".join(f"  A{n}/USDT: {_LIMITS.format(1, 1)}\n" for n in range(6)),
        ("instruments: value is 6 of them; allowed: at most 5",),
        1,
    ),
)

ALL = (*BAD_ORDERS, *BAD_SETTINGS, *BAD_RISK)
