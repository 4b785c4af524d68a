"""The shipped files, the kinds of values, the loader: what they promise."""

from __future__ import annotations

import os
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from execd.core.grid import SECOND, Nanos, Side
from execd.core.limits import RiskLimits
from execd.core.orders import Finish, Urgency
from execd.runtime import settings_load
from execd.runtime.settings import (
    InstrumentLimits,
    LimitSettings,
    Mode,
    OrderFile,
    RiskFile,
    Settings,
    SettingsError,
    load,
)
from execd.runtime.settings_kinds import Kind, Moment, Number, Rate, Span, Whole, show_span, span
from execd.runtime.settings_load import File, fields, group_of, kind_of
from execd.runtime.settings_yaml import YamlProblem, parse
from tests.runtime.settings_tables import TABLES, allowed, table

ROOT = Path(__file__).resolve().parents[2]


def comments(path: Path) -> str:
    """A file's comments as one text, so that line breaks do not matter."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return " ".join(" ".join(line.lstrip("# ") for line in lines if line.startswith("#")).split())


@pytest.mark.parametrize(("name", "model"), [("execd.yaml", Settings), ("risk.yaml", RiskFile)])
def test_a_shipped_file_has_every_key_explained_with_what_is_allowed(name: str, model: type[File]) -> None:
    path = ROOT / "config" / name
    text, tree = comments(path), parse(path.read_text())
    for where, info in fields(model):
        if where[0] == "instruments" and len(where) == 2:
            assert all(where[1] in limits for limits in tree.value["instruments"].values()), where
        else:
            assert where in tree.lines, f"{where} is not in {name}"
        assert " ".join((info.description or "").split()) in text, where
        if group_of(info.annotation) is None:
            assert f"Allowed: {allowed(str(where[-1]), info)}" in text, where


def test_the_shipped_settings_are_the_defaults() -> None:
    assert load(ROOT / "config" / "execd.yaml", Settings).model_dump() == Settings().model_dump()
    assert load(ROOT / "config" / "risk.yaml", RiskFile).limits == LimitSettings()
    assert RiskFile().instruments == {}, "without a file nothing may be traded"


def test_the_limits_of_risk_yaml_are_those_of_the_gate() -> None:
    """Every field of RiskLimits comes from a key of the same meaning, so that none is set by nobody."""
    own = {"child_quantity", "child_notional", "window_quantity", "parent_notional", "day_notional"}
    common = {
        {"participation": "participation_ppm", "ahead": "ahead_ppm"}.get(n, n) for n in LimitSettings.model_fields
    }

    # What needs a second person is decided before there is a gate.
    assert "approval_notional" in InstrumentLimits.model_fields
    assert own | {"approval_notional"} == set(InstrumentLimits.model_fields)
    assert own | common == set(RiskLimits.__dataclass_fields__)


def test_every_limit_has_a_hard_ceiling() -> None:
    for where, info in fields(LimitSettings):
        assert "hard ceiling" in allowed(str(where[-1]), info), where


def test_every_default_is_a_value_that_a_file_may_hold() -> None:
    for model in (Settings, RiskFile, OrderFile):
        for where, info in fields(model):
            kind = kind_of(info)
            if kind is not None and not info.is_required() and info.default is not None:
                assert kind.parse(kind.show(info.default)) == info.default, where


@pytest.mark.parametrize("path", TABLES)
def test_the_tables_of_the_docs_are_those_of_the_models(path: str) -> None:
    text = (ROOT / path).read_text()
    for model in TABLES[path]:
        assert table(model) in text, f"{path}: run python -m tests.runtime.settings_tables and paste the table"


def write(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text)
    return path


def test_an_order_file_says_just_what_it_says(tmp_path: Path) -> None:
    text = (
        "symbol: ETH/USDT\nside: sell\nnotional: 1234.10\nstart: 2031-01-01T00:00:00+01:00\nduration: 1h30m\n"
        "slice: 30s\nlimit_price: 0.1\nparticipation: 2.5%\nurgency: high\nfinish: leave\nmodel: net-1\nname: A b\n"
        "exchange: kraken\n"
    )
    order = load(write(tmp_path, text), OrderFile)

    assert (order.symbol, order.side, order.quantity, order.notional) == (
        "ETH/USDT",
        Side.SELL,
        None,
        Decimal("1234.10"),
    )
    assert order.start == 1_924_988_400 * SECOND
    assert (order.end, order.duration, order.slice) == (None, 5_400 * SECOND, 30 * SECOND)
    assert (order.limit_price, order.participation) == (Decimal("0.1"), 25_000)
    assert (order.urgency, order.finish) == (Urgency.HIGH, Finish.LEAVE)
    assert (order.model, order.name, order.exchange) == ("net-1", "A b", "kraken")
    assert order.sha256 == sha256(text.encode()).hexdigest()
    assert order.path == tmp_path / "file.yaml"


def test_numbers_keep_their_text(tmp_path: Path) -> None:
    """0.1 is one tenth; a float would not be."""
    order = load(write(tmp_path, "symbol: A/B\nside: buy\nquantity: 0.1\nduration: 1m\n"), OrderFile)
    assert str(order.quantity) == "0.1"


def test_words_that_yaml_takes_for_something_else_stay_words(tmp_path: Path) -> None:
    text = "symbol: NO/NULL\nside: buy\nquantity: 010\nduration: 1m\nname: 1_000\n"
    with pytest.raises(SettingsError, match="name: value is '~'"):
        load(write(tmp_path, text.replace("name: 1_000", "name: ~")), OrderFile)
    order = load(write(tmp_path, text), OrderFile)
    assert (order.symbol, order.quantity, order.name) == ("NO/NULL", Decimal(10), "1_000")


def test_a_model_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().mode = Mode.LIVE


def test_a_program_may_make_a_model_from_values() -> None:
    order = OrderFile(
        symbol="BTC/USDT", side=Side.BUY, quantity=Decimal(2), duration=Nanos(90 * SECOND), participation=50_000
    )
    assert (order.quantity, order.participation, order.sha256) == (Decimal(2), 50_000, "")
    with pytest.raises(ValidationError):
        OrderFile(symbol="BTC/USDT", side=Side.BUY, quantity=0.1, duration=Nanos(90 * SECOND))  # type: ignore[arg-type]


def a_folder(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    pass


def a_giant(path: Path) -> None:
    path.write_bytes(b"#" * (settings_load.LARGEST + 1))


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [(a_folder, "not a file"), (nothing, "there is no such file"), (a_giant, "larger than"), (a_pipe, "not a file")],
)
def test_what_is_no_file_is_refused(tmp_path: Path, make: object, words: str) -> None:
    path = tmp_path / "order.yaml"
    assert callable(make)
    make(path)
    with pytest.raises(SettingsError) as problem:
        load(path, OrderFile)
    assert str(problem.value).startswith(f"{path}: {words}")


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError):
        load(tmp_path / name, OrderFile)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "order.yaml"
    path.write_bytes(b"\xef\xbb\xbfsymbol: A/B\nside: buy\nquantity: 1\nduration: 1m\n")
    assert load(path, OrderFile).symbol == "A/B"


def test_all_problems_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as problem:
        load(write(tmp_path, "side: x\nsymbol: y\nduration: z\nwhat: 1\n"), OrderFile)
    assert [line.split(":")[1] for line in problem.value.problems] == ["1", "2", "3", "4"]


WORDS = st.sampled_from(
    ["symbol", "side", "quantity", "BTC/USDT", "buy", "1", ":", ": ", "-", "- ", "\n", "  ", "[", "]", "{", "}", "&a",
     "*a", "!!str", "|", ">", "'", '"', "#", "?", "%", "---", "...", "\t", "\0", "é", "limits", "instruments", "<<"]
)  # fmt: skip


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=25).map("".join) | st.text(max_size=60))
def test_no_text_makes_the_loader_say_anything_but_its_errors(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for model in (OrderFile, RiskFile, Settings):
        try:
            loaded = load(path, model)
        except SettingsError as error:
            told = error.problems
        else:
            assert isinstance(loaded, model)
            continue
        assert told
        assert all(line.startswith(str(path)) and "\n" not in line for line in told)


@given(st.text(max_size=40))
def test_no_text_makes_a_kind_raise_anything_but_a_value_error(text: str) -> None:
    kinds: list[Kind] = [Number(), Whole(0, 9), Span("1ms", "1d"), Rate("25%"), Moment(now=True)]
    for kind in kinds:
        try:
            value = kind.parse(text)
        except ValueError:
            continue
        assert kind.parse(kind.show(value)) == value


@given(st.integers(0, 10**12).map(lambda ms: ms * 1_000_000))
def test_a_duration_is_read_as_it_is_shown(value: int) -> None:
    assert span(show_span(value)) == value


@given(st.integers(1, 250_000))
def test_a_share_is_read_as_it_is_shown(ppm: int) -> None:
    assert Rate("25%").parse(Rate("25%").show(ppm)) == ppm


@given(st.datetimes(min_value=datetime(1970, 1, 3), timezones=st.timezones()))  # noqa: DTZ001  # hypothesis adds the zone
def test_a_moment_is_read_as_it_is_shown(value: datetime) -> None:
    moment = Moment()
    text = value.isoformat()
    assert moment.parse(moment.show(moment.parse(text))) == moment.parse(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("4h", 14_400), ("1h30m", 5_400), ("1d", 86_400), ("1500ms", 1.5), ("0s", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert span(text) == seconds * SECOND


@pytest.mark.parametrize("text", ["", "s", "1", "1.5h", "-1s", "30m1h", "1 h", "1H", "1week", "1s ٣s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        span(text)


def test_lines_are_known_for_keys_and_items() -> None:
    tree = parse("a:\n  - x\n  - b: y\n\nc: z\n")
    assert tree.value == {"a": ["x", {"b": "y"}], "c": "z"}
    assert tree.lines == {("a",): 1, ("a", 0): 2, ("a", 1): 3, ("a", 1, "b"): 3, ("c",): 5}


def test_a_yaml_problem_knows_its_line() -> None:
    with pytest.raises(YamlProblem) as problem:
        parse("a: 1\nb: 2\na: 3\n")
    assert problem.value.line == 3


class Sample(File):
    """A model with a field of which a file cannot say nothing."""

    count: Annotated[int, Whole(1, 3)] = Field(default=2, description="A count.")


def test_values_too_long_to_read_are_cut_in_messages(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as problem:
        load(write(tmp_path, f"count: {'7' * 5000}\n"), Sample)
    assert len(str(problem.value)) < 300 + len(str(tmp_path))


def test_a_limit_that_risk_yaml_leaves_out_refuses_the_start(tmp_path: Path) -> None:
    """Nobody trades under a limit that no file names: one is told with what it allows, several by their names."""
    text = (ROOT / "config" / "risk.yaml").read_text()
    without = "\n".join(line for line in text.splitlines() if not line.startswith("  spread_bps:"))
    with pytest.raises(SettingsError) as refusal:
        load(write(tmp_path, without), RiskFile)
    (problem,) = refusal.value.problems
    assert "limits: missing; every key must be given, here spread_bps (a whole number from 1 to 500" in problem

    with pytest.raises(SettingsError) as refusal:
        load(write(tmp_path, "instruments: {}\nlimits: {window: 1m, ahead: 0}\n"), RiskFile)
    first, second = refusal.value.problems
    assert "limits.ahead: value is" in first
    assert "here collar_bps, rest_bps, " in second
