"""Targets that read files: settings, a recipe, a manifest, the journal, the exchange's ready line, the kill switch."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from execd.core.commands import CancelOrder
from execd.core.events import KillTripped, ParentPaused, Woken
from execd.core.grid import Nanos
from execd.learning import recipe
from execd.learning.recipe import RecipeRefused
from execd.policies import manifest
from execd.policies.manifest import ModelRefused
from execd.runtime import codec, practice
from execd.runtime.codec import JournalError
from execd.runtime.journal import Journal
from execd.runtime.latch import Latch
from execd.runtime.practice import PracticeError
from execd.runtime.settings import OrderFile, RiskFile, Settings, SettingsError, load
from tests.fuzz.target import LONGEST, Target, one_line
from tests.runtime.journal_writer import HEADER

ROOT = Path(__file__).resolve().parents[2]
KINDS = tuple(codec.KINDS)


@cache
def folder() -> Path:
    """Where this process writes its inputs; gone when it ends."""
    made = Path(tempfile.mkdtemp(prefix="execd-fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def written(name: str, data: bytes) -> Path:
    """A file with just these bytes."""
    path = folder() / name
    path.write_bytes(data)
    return path


# --------------------------------------------------------------------------------------------------------- settings


def refused(path: Path, *problems: str) -> None:
    """Assert that a refusal names the file, each problem of it in one line."""
    assert problems
    for problem in problems:
        one_line(problem)
        assert problem.startswith(str(path))


def settings_target(name: str, model: type[OrderFile | RiskFile | Settings], *seeds: Path) -> Target:
    """A settings file: a frozen model, or problems of one line each that name the file."""

    def run(data: bytes) -> None:
        path = written(f"{name}.yaml", data)
        try:
            load(path, model)
        except SettingsError as error:
            refused(path, *error.problems)

    return Target(name, run, (), tuple(seed.read_bytes() for seed in seeds))


def _recipe(data: bytes) -> None:
    recipe.load(written("recipe.yaml", data))


def _manifest(data: bytes) -> None:
    written(manifest.MANIFEST, data)
    manifest.read(folder())


def _ready(data: bytes) -> None:
    """A ready line that reads can be used: its port, its process, its tape."""
    found = practice.read_ready(written("exchange.json", data))
    assert 0 < found.port < 65536
    assert found.pid is None or found.pid > 1, "a signal to it would reach other processes"
    found.tape_moment(1_700_000_000_000_000_000)


def _latch(data: bytes) -> None:
    """Whatever the file holds, the latch is set and says why."""
    latch = Latch(written("KILL", data))
    assert latch.tripped
    causes = latch.causes()
    assert causes
    for cause in causes:
        assert cause.at >= 0


# ---------------------------------------------------------------------------------------------------------- journal


def _row(data: bytes) -> None:
    """A fact of the journal; the first byte says of which kind.  What decodes is written and read again the same."""
    kind = KINDS[data[0] % len(KINDS)] if data else "Nothing"
    _again(codec.decode(kind, data[1:]))


def _commands(data: bytes) -> None:
    """A list of messages, likewise."""
    for message in codec.decode_all(data):
        _again(message)


def _again(message: codec.Message) -> None:
    written_once = codec.encode(message)
    assert codec.encode(codec.decode(*written_once)) == written_once


@cache
def sound() -> SimpleNamespace:
    """A sound journal: its bytes, and what it says."""
    path = folder() / "sound.journal"
    journal = Journal.open(path, header=HEADER, create=True)
    journal.start(Nanos(1), Nanos(0), HEADER)
    for number in range(1, 13):
        commands = [CancelOrder(f"p1n{number}", "BTC/USDT")]
        journal.append(Nanos(number), ParentPaused("p1", f"operator {number}"), commands)
    journal.close()
    contents, rows = Journal.read(path)
    return SimpleNamespace(content=path.read_bytes(), header=contents.header, rows=list(rows))


def _journal(data: bytes) -> None:
    """Bytes of a sound journal change and its end is torn off: it is refused, or it says what it said before."""
    path = written("p1.journal", damaged(data))
    for use in (Journal.peek, Journal.holds_nothing, _reopen, _all_rows):
        try:
            use(path)
        except JournalError as error:
            refused(path, str(error))


def damaged(data: bytes) -> bytes:
    """The sound journal, with its last bytes gone (by the first two bytes) and each next three one other byte."""
    content = bytearray(sound().content)
    gone, edits = int.from_bytes(data[:2], "big") % (len(content) + 1), data[2:]
    for at in range(0, len(edits) - 2, 3):
        content[int.from_bytes(edits[at : at + 2], "big") % len(content)] = edits[at + 2]
    return bytes(content[: len(content) - gone])


def _reopen(path: Path) -> None:
    Journal.open(path, header=HEADER, create=False).close()


def _all_rows(path: Path) -> None:
    contents, rows = Journal.read(path)
    assert contents.header == sound().header
    assert list(rows) == sound().rows


def _database(data: bytes) -> None:
    """Any bytes as a journal are refused."""
    path = written("any.journal", data)
    uses: tuple[Callable[[Path], object], ...] = (Journal.peek, _all_rows)
    for use in uses:
        try:
            use(path)
        except JournalError as error:
            refused(path, str(error))
        else:
            raise AssertionError("a short text was taken for a journal")


def _seeds() -> tuple[bytes, ...]:
    facts: tuple[codec.Message, ...] = (Woken(), KillTripped("by a test"), ParentPaused("p1", "me"))
    encoded = [codec.encode(fact) for fact in facts]
    return tuple(bytes([KINDS.index(kind)]) + body for kind, body in encoded)


READY = (
    b'{"rest": "https://127.0.0.1:8443", "ws": "wss://127.0.0.1:8443", "ws_api": "wss://127.0.0.1:8443/ws-api/v3", '
    b'"ca": "/tmp/ca.pem", "key": {"apiKey": "a", "secret": "b"}, "account": "42", "pid": 4242, "tape": '
    b'{"file": "t.csv", "speed": "2", "start_exchange_ns": 1, "start_tape_us": 1}}\n'
)
MANIFEST = (ROOT / "tests/fuzz/manifest.json").read_bytes()
RECIPES = sorted((ROOT / "models/recipes").glob("vwap-1*.yaml")) or sorted((ROOT / "models/recipes").glob("*.yaml"))

TARGETS = (
    settings_target("order-file", OrderFile, ROOT / "config/orders/demo.yaml"),
    settings_target("settings-file", Settings, ROOT / "config/execd.yaml"),
    settings_target("risk-file", RiskFile, ROOT / "config/risk.yaml"),
    Target("recipe", _recipe, (RecipeRefused,), tuple(path.read_bytes()[:LONGEST] for path in RECIPES[:1])),
    Target("manifest", _manifest, (ModelRefused,), (MANIFEST,)),
    Target("ready-line", _ready, (PracticeError,), (READY, READY.replace(b'"pid": 4242, ', b""))),
    Target("kill-file", _latch, (), (b'\n{"cause": "why", "by": "me", "at": 5}\n', b"", b"by hand")),
    Target("journal-row", _row, (JournalError,), _seeds()),
    Target("journal-commands", _commands, (JournalError,), (codec.encode_all([CancelOrder("p1n1", "BTC/USDT")]),)),
    Target("journal-file", _journal, (), (b"\0\0", b"\x01\0\0\x30\x07")),
    Target("journal-bytes", _database, (), (b"SQLite format 3\0",)),
)
