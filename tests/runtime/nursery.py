"""A process that has imported execd and gives birth to lives of it: `python -m tests.runtime.nursery FD`.

Most of a short life is Python reading modules, where nothing can be lost.  A child that is forked off after that runs
`execd ...` from its first line, is a process of its own and dies like one: a campaign of kills gets several times as
many moments for the same time.

Each message on the socket is a JSON object {"arguments", "environment"} with the child's standard output and standard
error beside it; the answer is its process id.  An empty object asks for the exit status of the last child.
"""

from __future__ import annotations

import json
import os
import socket
import sys

# Imported for the children.
import execd.runtime.checking
import execd.runtime.daemon
import execd.runtime.reading
import execd.venues.ccxt_venue
from execd import cli

assert execd.runtime.checking
assert execd.runtime.daemon
assert execd.runtime.reading
assert execd.venues.ccxt_venue

LARGEST = 1 << 16


def main() -> None:
    """Give birth until the socket is closed."""
    with socket.socket(fileno=int(sys.argv[1])) as parent:
        child = 0
        while True:
            message, handles, _, _ = socket.recv_fds(parent, LARGEST, 2)
            if not message:
                return
            asked = json.loads(message)
            if not asked:
                parent.send(str(os.waitpid(child, 0)[1]).encode())
                continue
            child = os.fork()
            if not child:
                parent.close()
                _live(asked["arguments"], asked["environment"], handles)
            for handle in handles:
                os.close(handle)
            parent.send(str(child).encode())


def _live(arguments: list[str], environment: dict[str, str], handles: list[int]) -> None:
    os.dup2(handles[0], 1)
    os.dup2(handles[1], 2)
    for handle in handles:
        os.close(handle)
    os.environ.update(environment)
    sys.argv = ["execd", *arguments]
    cli.main()


if __name__ == "__main__":
    main()
