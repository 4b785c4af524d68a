"""A WebSocket in bad weather: what a rule makes of a frame on its way out.

Promise: only the frame that a rule takes suffers; every other is sent whole, once, and in order but for those that a
rule holds back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from execd.exchange.faults import Late, Lose, Repeat, Replay, Swap, Tear, Trickle
from execd.exchange.storm import Seen, Storm

TEXT_FRAME = 0x81
SHORT_MAX, MEDIUM = 125, 126
LENGTH_BYTES, LONG, LONG_BYTES = 2, 127, 8


@dataclass(frozen=True, slots=True)
class SlowFrame:
    """A frame that is written in pieces, past the WebSocket's own writer.

    Attributes:
        frame: the text.
        size: how many bytes at a time.
        every_s: the pause after each piece.
        torn: only its first half is written, and then the connection ends.
    """

    frame: bytes
    size: int
    every_s: float
    torn: bool = False

    async def write(self, transport: asyncio.Transport) -> None:
        """Write the frame; a torn one ends the connection."""
        whole = header(len(self.frame)) + self.frame
        end = len(whole) // 2 if self.torn else len(whole)
        for start in range(0, end, self.size):
            if transport.is_closing():
                return
            transport.write(whole[start : min(end, start + self.size)])
            await asyncio.sleep(self.every_s)
        if self.torn:
            transport.close()  # not `abort`: the half must reach the client


Piece: TypeAlias = bytes | SlowFrame


def header(length: int) -> bytes:
    """The header of a server's text frame (RFC 6455, 5.2)."""
    if length <= SHORT_MAX:
        return bytes((TEXT_FRAME, length))
    if length < 1 << 8 * LENGTH_BYTES:
        return bytes((TEXT_FRAME, MEDIUM)) + length.to_bytes(LENGTH_BYTES)
    return bytes((TEXT_FRAME, LONG)) + length.to_bytes(LONG_BYTES)


@dataclass(slots=True)
class _Held:
    """A frame that waits for some others to pass."""

    frame: bytes
    left: int


class Gusts:
    """What a storm does to the frames of one connection; `put` sends a piece."""

    def __init__(self, storm: Storm, put: Callable[[Piece], None]) -> None:
        self._storm = storm
        self._put = put
        self._held: list[_Held] = []

    def send(self, frame: bytes, seen: Seen) -> None:
        """Send a frame, unless a rule has it otherwise."""
        if seen.what.startswith(("executionReport", "outboundAccountPosition")):
            self._storm.told.append(frame)
        match self._storm.frame(seen):
            case None:
                self._pass(frame)
            case Lose():
                pass
            case Repeat() as rule:
                for _ in range(1 + rule.copies):
                    self._pass(frame)
            case Swap() as rule:
                self._held.append(_Held(frame, rule.by))
            case Late() as rule:
                asyncio.get_running_loop().call_later(rule.for_s, self._put, frame)
            case Tear():
                self._put(SlowFrame(frame, len(frame), 0.0, torn=True))
            case Trickle() as rule:
                self._put(SlowFrame(frame, rule.bytes, rule.every_s))
            case Replay() as rule:
                self._pass(frame)
                for old in list(self._storm.told)[-rule.events :]:
                    self._put(old)

    def _pass(self, frame: bytes) -> None:
        self._put(frame)
        for held in self._held:
            held.left -= 1
            if not held.left:
                self._put(held.frame)
        self._held = [held for held in self._held if held.left]
