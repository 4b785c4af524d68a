"""The data plane beside others: sustained trades a second, latency, growth, memory.

    python -m benchmarks.streams [--rounds 5] [--count 1000000] [--prints 10000000] [--out benchmarks/results]

All clients take turns within a round, so that all see the same machine.  `--quick` is for whoever changes this.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.environment import environment
from benchmarks.streams.bouts import BARE, CCXT, CCXT_DEFAULT, CRYPTOFEED, EXECD, Client, Ring
from benchmarks.streams.report import DAEMON, LOOPS, Delay, Found, page
from benchmarks.tables import caution, machine, percentiles, saved

RATES = (1_000, 10_000, 50_000)
KEEPS_UP = {CCXT.name: 10_000}
"""The highest rate that a client is asked for, where it is known to drown above."""

PACED_S = 4.0
SYMBOLS, PARENTS = (1, 4, 16, 64), (1, 2, 4, 8, 16)


def floods(ring: Ring, found: Found, rounds: int, count: int) -> None:
    """All clients on both loops, in turns."""
    for number in range(rounds):
        for loop in LOOPS:
            for client in (BARE, EXECD, CRYPTOFEED, CCXT):
                bout = ring.flood(client, loop, int(count * client.share))
                found.floods.setdefault((client.name, loop), []).append(bout)
                say(f"round {number + 1}: {client.name}, {loop}: {bout.error or f'{bout.per_s:,.0f}/s'}")


def delays(ring: Ring, found: Found, rounds: int, seconds: float) -> None:
    """The latencies at each rate, in turns."""
    clients = (BARE, EXECD, CCXT)
    told: dict[tuple[int, str], Delay] = {}
    for _ in range(rounds):
        for rate in RATES:
            for client in clients:
                if rate <= KEEPS_UP.get(client.name, rate):
                    _delay(ring, told, client, rate, int(rate * seconds))
    found.delays = [told[rate, client.name] for rate in RATES for client in clients if (rate, client.name) in told]


def _delay(ring: Ring, told: dict[tuple[int, str], Delay], client: Client, rate: int, count: int) -> None:
    bout, nanos = ring.pace(client, DAEMON, rate, count)
    before = told.get((rate, client.name), Delay(client.name, rate, [], [], 0, 0))
    if bout.error or not len(nanos):
        told[rate, client.name] = Delay(client.name, rate, [], [], 0, 0, bout.error or "nothing came")
        return
    told[rate, client.name] = Delay(
        client.name,
        rate,
        [*before.rounds, percentiles(nanos)],
        [*before.cpu_us, bout.cpu_us],
        before.count + len(nanos),
        before.lost + bout.lost,
    )
    say(f"{client.name} at {rate:,}/s: p99 {percentiles(nanos)[1]:,.0f} us")


def growth(ring: Ring, found: Found, rounds: int, count: int) -> None:
    """What execd costs by markets and by parents, in turns."""
    for _ in range(rounds):
        for streams in SYMBOLS:
            bout = ring.flood(EXECD, DAEMON, count // streams, streams=streams)
            found.symbols.setdefault(streams, []).append(bout)
            say(f"{streams} markets: {bout.error or f'{bout.cpu_us:.2f} us'}")
        for parents in PARENTS:
            bout = ring.flood(EXECD, DAEMON, count // 2, parents=parents)
            found.parents.setdefault(parents, []).append(bout)
            say(f"{parents} parents: {bout.error or f'{bout.cpu_us:.2f} us'}")


def say(words: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {words}\n")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of the floods")
    parser.add_argument("--count", type=int, default=1_000_000, help="trades of a flood; ccxt.pro gets a fifth of them")
    parser.add_argument("--prints", type=int, default=10_000_000, help="of the long flood that memory is watched in")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="where the page is written")
    parser.add_argument("--quick", action="store_true", help="small numbers, and no page is written")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.count, given.prints = 2, 100_000, 300_000
    peers, before = environment(), "\n\n".join(filter(None, (machine(), caution())))
    ring, found = Ring(peers), Found()
    found.versions = {"ccxt": version("ccxt"), "websockets": version("websockets"), **peers.versions}
    floods(ring, found, given.rounds, given.count)
    found.ring.append(ring.flood(CCXT_DEFAULT, DAEMON, int(given.count * 1.2)))
    delays(ring, found, min(3, given.rounds), 1.0 if given.quick else PACED_S)
    growth(ring, found, min(2, given.rounds), given.count // 3)
    if given.prints:
        found.long = ring.flood(EXECD, DAEMON, given.prints, sample=True)
    text = page(found, before, machine())
    sys.stdout.write(text)
    if not given.quick:
        figures = {
            **asdict(found),
            "floods": {" on ".join(key): value for key, value in asdict(found)["floods"].items()},
        }
        say(f"written to {saved(given.out, 'streams', text, json.dumps(figures, indent=1).encode())}")


if __name__ == "__main__":
    main()
