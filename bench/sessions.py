"""Whether an intent costs the same however many sessions live: CPU for each intent, memory and disk for each session.

The sessions are written to the stores directly, with their timers, as they would lie there after a restart; the intents
then go to sessions picked all over them, so that nearly each is read from disk or its cache.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.gate import run_child
from bench.workload import ACT, SCOPES, SESSION_TTL_MS, TENANT, credential, intent, now_ms
from bench.world import PARTITIONS, ROOT_KEY, World, open_world
from streams.model.keys import partition_for, session_key
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.proof import derived_uuid
from streams.model.topics import INTENT
from streams.ports import Outgoing
from streams.processors.state import (
    SessionRow,
    SessionStatus,
    Source,
    TimerKind,
    encode_row,
    session_row_key,
    timer_payload,
)
from streams.stores.rocks import RocksStores

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
COUNTS_QUICK = (1_000, 20_000)
ROWS_PER_BATCH = 5_000
# A step that shares no factor with the counts: it visits sessions far apart, and none twice before all were.
STRIDE = 7_919
SOURCES = 4
FLAT_RATIO_MAX = 1.3
AGE_MAX_MS = 8 * SESSION_TTL_MS

_READ = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)


def run(*, quick: bool) -> dict[str, Any]:
    """Measure each number of live sessions, in one run."""
    intents = 2_000 if quick else 20_000
    cases = [_case(sessions, intents) for sessions in (COUNTS_QUICK if quick else COUNTS)]
    least = min(case["cpu_us_per_intent"] for case in cases)
    base_mb = cases[0]["rss_mb"]
    for case in cases:
        case["cpu_ratio"] = case["cpu_us_per_intent"] / least
        case["memory_bytes_per_session"] = max(0.0, case["rss_mb"] - base_mb) * 2**20 / case["sessions"]
    flat = max(case["cpu_ratio"] for case in cases) <= FLAT_RATIO_MAX
    return {"intents": intents, "flat_ratio_max": FLAT_RATIO_MAX, "flat": flat, "cases": cases}


def _case(sessions: int, intents: int) -> dict[str, Any]:
    with open_world("kafka", "empty") as world:
        folder = Path(world.settings["state_dir"]) / "gate" / "gate-1"
        began_s = time.monotonic()
        _fill(folder, sessions)
        filled_s = time.monotonic() - began_s
        disk_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        world.publish(_intents(world, sessions, intents))
        warm_up = intents // 10
        report = run_child(world, count=intents - warm_up, warm_up=warm_up)
    return {
        "sessions": sessions,
        "cpu_us_per_intent": report["cpu_s"] / report["records"] * 1e6,
        "main_thread_us_per_intent": report["main_thread_cpu_s"] / report["records"] * 1e6,
        "rss_mb": report["rss_mb"],
        "disk_bytes_per_session": disk_bytes / sessions,
        "fill_s": filled_s,
    }


def _fill(folder: Path, sessions: int) -> None:
    """Write the sessions' rows and timers; the changelog is empty, so that its offset is 0."""
    provider = RocksStores(folder)
    stores = [provider.open(partition) for partition in range(PARTITIONS)]
    batches: list[dict[bytes, bytes | None]] = [{} for _ in stores]
    for number in range(sessions):
        key = session_key(TENANT, f"s-20251125-{number:07d}")
        partition = partition_for(key, PARTITIONS)
        batch = batches[partition]
        batch.update(_rows(number, key))
        if len(batch) >= ROWS_PER_BATCH:
            stores[partition].apply(batch, 0)
            batches[partition] = {}
    # As the engine keeps stream time; without it a store counts as outdated and is made anew.
    now = b"n", now_ms().to_bytes(8, "big")
    for store, batch in zip(stores, batches, strict=True):
        store.apply({**batch, now[0]: now[1]}, 0)
        store.close()


def _rows(number: int, key: bytes) -> Iterator[tuple[bytes, bytes]]:
    opened_ms = now_ms()
    # Spread over what is left of their lives, and none of them due while it is measured.
    due_ms = opened_ms + SESSION_TTL_MS // 2 + number % (SESSION_TTL_MS // 2)
    sources = tuple(Source(derived_uuid("read", str(number), str(index)), _READ) for index in range(SOURCES))
    row = SessionRow(
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


def _intents(world: World, sessions: int, intents: int) -> Iterator[Outgoing]:
    for number in range(intents):
        session = credential(ROOT_KEY, number * STRIDE % sessions)
        record = intent(session, number)
        yield world.outgoing(INTENT, session.key, record, record.header)
