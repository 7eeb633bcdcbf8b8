"""What a gate keeps in memory of sessions that come and go: caches with bounds, and nothing else."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from functools import _lru_cache_wrapper
from typing import Any

import streams
from simulation.records import SessionMaker
from streams.engine import placement
from streams.model import proof
from streams.model.keys import session_key_of
from streams.processors import audit
from streams.provenance.extraction import digests
from tests.kit import FILES_READ, GateBench

# Functions whose arguments are types or names of ours: there are as many results as there are of these.
OF_OURS = {"streams.codec.schemas"}
KEY_CACHES_BYTES_MAX = 24 * 1024 * 1024
ROUND_SESSIONS = 40


def caches() -> Iterator[_lru_cache_wrapper[Any]]:
    """Every cached function of the package's modules."""
    for module in pkgutil.walk_packages(streams.__path__, "streams."):
        if not module.name.endswith("__main__"):
            loaded = importlib.import_module(module.name)
            yield from (value for value in vars(loaded).values() if isinstance(value, _lru_cache_wrapper))


def test_every_cache_has_a_bound() -> None:
    unbounded = {cache.__module__ for cache in caches() if cache.cache_parameters()["maxsize"] is None}
    assert unbounded <= OF_OURS


def entry_bytes(fill: Callable[[int], object], cache: _lru_cache_wrapper[Any]) -> float:
    """What an entry takes, measured on some hundred of them."""
    count = 500
    cache.cache_clear()
    gc.collect()
    before = sys.getallocatedblocks()
    for number in range(count):
        fill(number)
    # Blocks of the interpreter's allocator: these are small objects, of 112 bytes on average.
    return (sys.getallocatedblocks() - before) / count * 112


def test_the_caches_by_session_together_stay_small_when_they_are_full() -> None:
    """They fill up with sessions that are over, so this is memory that every gate uses in the end."""
    filled = {
        proof.derived_key: lambda number: proof.session_secret(bytes(64), "acme", f"session-{number:020d}"),
        proof.hashed_pads: lambda number: proof.make_hmac(b"%032d" % number, b"message"),
        digests.atom_digester: lambda number: digests.atom_digester(b"%032d" % number),
        placement._partition_of_key: lambda number: placement._partition_of_key(
            session_key_of("acme", f"session-{number:020d}"), 6
        ),
        audit._cached_hmac: lambda number: audit._cached_hmac(b"%032d" % number, b"%032d" % number),
    }
    total = sum(entry_bytes(fill, cache) * (cache.cache_parameters()["maxsize"] or 0) for cache, fill in filled.items())
    assert total < KEY_CACHES_BYTES_MAX


def test_sessions_that_are_over_leave_no_objects() -> None:
    bench = GateBench()

    def round_of_sessions(first: int) -> int:
        for number in range(first, first + ROUND_SESSIONS):
            session = SessionMaker(f"s-{number}")
            bench.establish(session)
            bench.judge(FILES_READ, {"path": "a.txt"}, session=session)
        gc.collect()
        kinds = [str(type(each).__module__) for each in gc.get_objects()]
        return sum(kind.startswith("streams.processors") or kind.startswith("streams.model") for kind in kinds)

    round_of_sessions(1_000)
    before = round_of_sessions(2_000)
    assert round_of_sessions(3_000) - before < ROUND_SESSIONS // 2
