"""A faults file is read as it was meant, or refused by one message before anything is opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from execd.exchange.faults import Answer, Silence
from execd.exchange.faults_file import read_faults
from execd.exchange.options import BadOptions
from tests.runtime.process import ROOT, execd

EXAMPLES = sorted((ROOT / "config" / "faults").glob("*.yaml"))

# What is written, and the words that the message must hold: the place, the value, what is allowed.
BAD = [
    ("", ["Expected `object`"]),
    ("rules: 5", ["rules: '5'", "Expected `array`"]),
    ("rules: [", ["not YAML"]),
    ("rules: []\nseed: -1", ["seed: '-1'", ">= 0"]),
    ("rules: []\nsed: 1", ["unknown field `sed`"]),
    ("rules: []\nrules: []", ["'rules' is given twice"]),
    ("rules: [{fault: anser}]", ["rules[0].fault: 'anser'", "allowed are answer, filter, page"]),
    ("rules: [{on: x}]", ["rules[0]", "`fault`"]),
    ("rules: [{fault: drop, offten: 3}]", ["rules[0]", "unknown field `offten`"]),
    ("rules: [{fault: drop}, {fault: drop, chance: 1.5}]", ["rules[1].chance: '1.5'", "<= 1.0"]),
    ("rules: [{fault: drop, chance: nan}]", ["rules[0].chance: 'nan'"]),
    ("rules: [{fault: drop, chance: often}]", ["rules[0].chance: 'often'", "Expected `float`"]),
    ("rules: [{fault: drop, times: 0}]", ["rules[0].times: '0'", ">= 1"]),
    ("rules: [{fault: drop, from_s: 3, until_s: 2}]", ["rules[0]", "until_s 2 must be greater than from_s 3"]),
    ("rules: [{fault: drop, on: POST /api/v3/ordr}]", ["rules[0].on", "POST /api/v3/ordr", "fits no request"]),
    ("rules: [{fault: answer, code: -5}]", ["rules[0]", "code -5 needs a status and a message", "-1007"]),
    ("rules: [{fault: filter, filter: SIZE}]", ["rules[0]", "'SIZE'", "LOT_SIZE"]),
    ("rules: [{fault: hang, for_s: 0}]", ["rules[0].for_s: '0'"]),
    ("rules: [{fault: silence, at_s: 3}]", ["rules[0]", "required field `for_s`"]),
    ("rules: [{fault: silence, at_s: 3, for_s: 3, stream: x}]", ["rules[0].stream: 'x'", "market, user, any"]),
    ("rules: [{fault: terminate, at_s: 3, event: bye}]", ["rules[0].event: 'bye'", "listenKeyExpired"]),
    ("rules: [{fault: close, at_s: 3, code: 7}]", ["rules[0].code: '7'", ">= 1000"]),
]


@pytest.mark.parametrize(("text", "words"), BAD, ids=[text or "empty" for text, _ in BAD])
def test_what_cannot_be_meant_is_refused_with_its_place(text: str, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(text)

    with pytest.raises(BadOptions) as refused:
        read_faults(path)

    said = str(refused.value)
    assert said.startswith(f"faults {path}: ")
    assert "\n" not in said
    for word in words:
        assert word in said


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.yaml", binary):
        with pytest.raises(BadOptions, match="cannot be read"):
            read_faults(path)


def test_every_key_means_what_it_says(tmp_path: Path) -> None:
    """`on` is a key like any other, whatever YAML thinks of the word; numbers and truth values are no texts."""
    path = tmp_path / "faults.yaml"
    path.write_text(
        "seed: 7\n"
        "rules:\n"
        "  - {fault: answer, on: POST /api/v3/order, order: '*n3', code: -1007, taken: true, chance: 0.5, skip: 1}\n"
        "  - {fault: silence, at_s: 20, for_s: 1.5, stream: user}\n"
    )

    found = read_faults(path)

    assert found.seed == 7
    assert found.rules == [
        Answer(on="POST /api/v3/order", order="*n3", code=-1007, taken=True, chance=0.5, skip=1),
        Silence(at_s=20.0, for_s=1.5, stream="user"),
    ]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_can_be_read(path: Path) -> None:
    assert read_faults(path).rules


def test_the_command_refuses_a_bad_file_by_one_line_and_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("rules: [{fault: drop, chance: 2}]")

    code, output, said = execd("exchange", "--faults", path, state=tmp_path)

    assert (code, output) == (os.EX_CONFIG, "")
    assert said == f"execd exchange: faults {path}: rules[0].chance: '2': Expected `float` <= 1.0\n"
