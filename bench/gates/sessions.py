"""Measures how the number of live sessions affects the CPU time of an intent, and their memory and disk space.

The sessions and their timers are written to the stores directly, and the stores are compacted as they would be after
some time. Then the intents go to sessions in two orders. In turns: each session makes several calls, as an agent does,
before the next one does. One by one, which is the hardest case: each session makes one call, so that with a million
sessions every call reads its row from disk, and with a thousand from memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rocksdict import Rdict

from bench.gates.gate import run_child
from bench.harness.workload import ACT, SCOPES, SESSION_TTL_MS, TENANT, credential, intent, now_ms
from bench.harness.world import PARTITIONS, ROOT_KEY, World, open_world
from streams.model.keys import partition_for, session_key_of
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.proof import derived_uuid
from streams.model.topics import INTENT
from streams.ports import Outgoing
from streams.processors.rows import TimerKind, session_row_key, timer_payload
from streams.processors.session_row import SessionRow, SessionStatus, Source, evolve
from streams.processors.state import encode_row
from streams.stores.rocks import RocksStores

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
COUNTS_QUICK = (1_000, 20_000)
ROWS_PER_BATCH = 5_000
# A step that shares no factor with the counts: it visits sessions far apart, and none twice before all were.
STRIDE = 7_919
SOURCES = 4
CALLS_OF_A_TURN = 8
TURNS_AT_ONCE = 500
FLAT_RATIO_MAX = 1.3
AGE_MAX_MS = 8 * SESSION_TTL_MS

_READ = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)


def run(*, quick: bool) -> dict[str, Any]:
    """Measure each number of live sessions, in one run."""
    intents = 2_000 if quick else 100_000
    cases: list[dict[str, Any]] = []
    for sessions in COUNTS_QUICK if quick else COUNTS:
        with TemporaryDirectory(prefix="stoplog-bench-") as scratch:
            filled = Path(scratch) / "filled"
            _fill(filled, sessions)
            _settle(filled)
            cases += [_case(filled, sessions, intents, calls) for calls in (CALLS_OF_A_TURN, 1)]
    for calls in (CALLS_OF_A_TURN, 1):
        own = [case for case in cases if case["calls_of_a_turn"] == calls]
        _compare(own)
    in_turns = [case["cpu_ratio"] for case in cases if case["calls_of_a_turn"] > 1]
    return {
        "intents": intents,
        "calls_of_a_turn": CALLS_OF_A_TURN,
        "flat_ratio_max": FLAT_RATIO_MAX,
        "flat": max(in_turns) <= FLAT_RATIO_MAX,
        "cases": cases,
    }


def _compare(cases: list[dict[str, Any]]) -> None:
    least, base_mb = min(case["cpu_us_per_intent"] for case in cases), cases[0]["rss_mb"]
    for case in cases:
        case["cpu_ratio"] = case["cpu_us_per_intent"] / least
        case["memory_bytes_per_session"] = max(0.0, case["rss_mb"] - base_mb) * 2**20 / case["sessions"]


def _case(filled: Path, sessions: int, intents: int, calls: int) -> dict[str, Any]:
    disk_bytes = sum(path.stat().st_size for path in filled.rglob("*") if path.is_file())
    with open_world("kafka", "empty") as world:
        shutil.copytree(filled, Path(world.settings["state_dir"]) / "gate" / "gate-1")
        world.publish(_intents(world, sessions, intents, calls))
        warm_up = intents // 10
        report = run_child(world, count=intents - warm_up, warm_up=warm_up)
    return {
        "sessions": sessions,
        "calls_of_a_turn": calls,
        "cpu_us_per_intent": report["cpu_s"] / report["records"] * 1e6,
        "main_thread_us_per_intent": report["main_thread_cpu_s"] / report["records"] * 1e6,
        "rss_mb": report["rss_mb"],
        "disk_bytes_per_session": disk_bytes / sessions,
    }


def _fill(folder: Path, sessions: int) -> None:
    """Write the sessions' rows and timers; the changelog is empty, so that its offset is 0."""
    provider = RocksStores(folder)
    stores = [provider.open(partition) for partition in range(PARTITIONS)]
    batches: list[dict[bytes, bytes | None]] = [{} for _ in stores]
    for number in range(sessions):
        key = session_key_of(TENANT, f"s-20251125-{number:07d}")
        partition = partition_for(key, PARTITIONS)
        batch = batches[partition]
        batch.update(session_rows(number, key))
        if len(batch) >= ROWS_PER_BATCH:
            stores[partition].apply(batch, 0)
            batches[partition] = {}
    # The engine stores stream time. A store without it is outdated and would be built again.
    now = b"n", now_ms().to_bytes(8, "big")
    for store, batch in zip(stores, batches, strict=True):
        store.apply({**batch, now[0]: now[1]}, 0)
        store.close()


def _settle(folder: Path) -> None:
    """Compact what was written at once: a gate would do so while it is measured, and not for what it measures."""
    for partition in range(PARTITIONS):
        database = Rdict(str(folder / str(partition)))
        database.compact_range(None, None)
        database.close()


def session_rows(number: int, key: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the rows that a session leaves in the state of its partition."""
    opened_ms = now_ms()
    # Spread over what is left of their lives, and none of them due while it is measured.
    due_ms = opened_ms + SESSION_TTL_MS // 2 + number % (SESSION_TTL_MS // 2)
    sources = tuple(Source(derived_uuid("read", str(number), str(index)), _READ) for index in range(SOURCES))
    row = evolve(
        SessionRow(),
        status=SessionStatus.LIVE,
        established_ms=opened_ms,
        expires_ms=opened_ms + SESSION_TTL_MS,
        credential_ms=opened_ms + SESSION_TTL_MS,
        too_old_ms=opened_ms + AGE_MAX_MS,
        active_ms=opened_ms,
        sub=f"user:{number:07d}@bench.example",
        act_iss=ACT.iss,
        act_sub=ACT.sub,
        scopes=SCOPES,
        label=_READ,
        sources=sources,
        housekeeping_ms=due_ms,
    )
    yield session_row_key(key), encode_row(row)
    # As the engine keeps timers; a store has no other way in.
    yield b"t" + due_ms.to_bytes(8, "big") + timer_payload(TimerKind.HOUSEKEEPING, key), b""


def _intents(world: World, sessions: int, intents: int, calls: int) -> Iterator[Outgoing]:
    """Yield intents of `TURNS_AT_ONCE` sessions beside each other, so that the calls of one come some way apart."""
    for number in range(intents):
        lane, turn = number % TURNS_AT_ONCE, number // (TURNS_AT_ONCE * calls)
        picked = (turn * TURNS_AT_ONCE + lane) * STRIDE % sessions
        session = credential(ROOT_KEY, picked)
        record = intent(session, number)
        yield world.outgoing(INTENT, session.key, record, record.header)
