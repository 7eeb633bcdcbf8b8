"""Measures what an exchange waits for until its tokens are used up: `python -m bench.parts.used_tokens [--claims 400]`.

Two token services share a log. First one request at a time claims its tokens, then requests at both services at the
same time. The result is the time from the question to the answer, on the embedded log and on a Kafka broker, beside the
time for a change of the SQLite file alone, which is what a service without others would wait for.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.harness.quantiles import quantile
from bench.harness.workload import now_ms
from bench.harness.world import KINDS, World, open_world
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM
from streams.services.sts.store import Claim, Place, StsStore
from streams.services.sts.used_tokens import UsedTokens
from streams.wiring.clock import SystemClock

SERVICES = 2
AT_ONCE = 16
LIFE_MS = 600_000
NAMES = 4
"""What an exchange with an agent's token and a DPoP proof uses up: these, and the ids of its grant and session."""

WARM_UP = 20


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(prog="python -m bench.parts.used_tokens", description=__doc__)
    parser.add_argument("--claims", type=int, default=400, help="how many, one at a time; at once, four times as many")
    count = parser.parse_args().claims
    print(f"{'':<44}{'p50 ms':>10}{'p99 ms':>10}{'a second':>10}")
    for kind in KINDS:
        with open_world(kind, "empty") as world:
            _print(f"{kind}, file alone", *_file_alone(world.folder, count))
            with _services(world) as services:
                _claim_all(services, "warm", WARM_UP, 1)
                _print(f"{kind}, one at a time", *_claim_all(services, "alone", count, 1))
                _print(f"{kind}, {AT_ONCE} at once", *_claim_all(services, "at once", 4 * count, AT_ONCE))


@contextlib.contextmanager
def _services(world: World) -> Iterator[list[UsedTokens]]:
    with contextlib.ExitStack() as stack:
        services = []
        for number in range(SERVICES):
            transport = stack.enter_context(Transport(world.log, world.codec, SystemClock()))
            store = StsStore(world.folder / f"sts-{number}" / "memory.sqlite")
            stack.callback(store.close)
            used = UsedTokens(
                transport,
                store,
                service=f"sts-{number}",
                issuer="https://sts.example",
                tenant_uid="bench",
                entropy=SYSTEM,
                report=print,
            )
            stack.callback(used.close)
            used.start()
            services.append(used)
        yield services


def _claim_all(services: Sequence[UsedTokens], kind: str, count: int, threads: int) -> tuple[list[float], float]:
    def claim(number: int) -> None:
        if not services[number % len(services)].use_once(_names(kind, number), now_ms() + LIFE_MS):
            raise RuntimeError(f"claim {number} must be the first one of its tokens")

    return _timed(claim, count, threads)


def _file_alone(folder: Path, count: int) -> tuple[list[float], float]:
    store = StsStore(folder / "alone" / "memory.sqlite")

    def claim(number: int) -> None:
        store.take_in([Claim(_names("file", number), now_ms() + LIFE_MS, now_ms())], Place(number, b""))

    try:
        return _timed(claim, count, 1)
    finally:
        store.close()


def _timed(work: Callable[[int], None], count: int, threads: int) -> tuple[list[float], float]:
    """Return the times in ms, in ascending order, and how many there were in a second."""

    def once(number: int) -> float:
        began_ns = time.perf_counter_ns()
        work(number)
        return (time.perf_counter_ns() - began_ns) / 1e6

    began_s = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        times_ms = sorted(pool.map(once, range(count)))
    return times_ms, count / (time.perf_counter() - began_s)


def _names(kind: str, number: int) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(f"{kind} {number} {part}".encode()).digest() for part in range(NAMES))


def _print(what: str, times_ms: list[float], a_second: float) -> None:
    print(f"{what:<44}{quantile(times_ms, 0.5):>10.1f}{quantile(times_ms, 0.99):>10.1f}{a_second:>10.0f}", flush=True)


if __name__ == "__main__":
    main()
