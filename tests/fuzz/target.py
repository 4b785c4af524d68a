"""What a fuzz target is: bytes in, understood or refused, and nothing else.

Promise: `check` raises exactly where a decoder broke its contract: an error that it does not document, a refusal of
several lines or without end, or a property of the target's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
"""Inputs that were found by searching, a folder a target; all of them made here."""

LONGEST = 8192
"""The longest input that is made, in bytes."""

WORDS_MAX = 2_000
"""The longest refusal: one sentence fits a screen, whatever it quotes."""


@dataclass(frozen=True, slots=True)
class Target:
    """One decoder.

    `run` gives it the bytes; what it raises beyond `refusals` is a crash, and so is a refusal of more than one line.
    `seeds` are good inputs to begin with.
    """

    name: str
    run: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]

    def check(self, data: bytes) -> bool:
        """Whether the decoder understood the bytes; False where it refused them as documented."""
        try:
            self.run(data)
        except self.refusals as refusal:
            one_line(str(refusal))
            return False
        return True

    def corpus(self) -> list[bytes]:
        """The seeds, and all that was found and kept."""
        kept = sorted((CORPUS / self.name).glob("*"))
        return [*self.seeds, *(path.read_bytes() for path in kept)]


def one_line(text: str) -> None:
    """Assert that a refusal is one sentence that can be shown to an operator."""
    assert text, "a refusal says nothing"
    assert len(text) <= WORDS_MAX, f"a refusal of {len(text)} characters: {text[:200]}"
    assert len(text.splitlines()) == 1, f"a refusal of several lines: {text!r}"
