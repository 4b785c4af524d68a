"""A process that writes a journal until it is killed: `python -m tests.runtime.journal_writer FILE [LARGEST]`.

With LARGEST the system lets no file of it grow beyond so many bytes: a disk that fills up.  It
prints the number of each row once that row is durable; a test reads the numbers and kills it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

from execd.core.events import ParentPaused
from execd.core.grid import Nanos
from execd.runtime.journal import Header, Journal, JournalFailed

HEADER = Header(
    parent="p1",
    account="account-7",
    mode="practice",
    order_sha256="0" * 64,
    created=Nanos(1),
    code="test",
    config_sha256="1" * 64,
    risk_sha256="2" * 64,
    model_sha256="3" * 64,
)


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def die(failed: JournalFailed) -> None:
    say(f"failed {failed}")
    os._exit(70)


async def main() -> None:
    if len(sys.argv) > 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    journal = Journal.open(Path(sys.argv[1]), header=HEADER, create=True)
    # As the daemon does: a failed journal ends the process from the writer's thread, whatever the loop is at.
    journal.on_failure = die
    journal.start(Nanos(journal.last), Nanos(0), HEADER)
    say(f"open {journal.last}")
    try:
        while True:
            # Groups of one to three rows: one transaction may hold several.
            for _ in range(1 + journal.last % 3):
                seq = journal.append(Nanos(journal.last), ParentPaused("p1", "x" * 200 + str(journal.last + 1)), ())
            await journal.sync(seq)
            say(f"durable {seq}")
    except JournalFailed:
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main())
