"""How much a decided intent leaves behind: bytes in the store and in the changelog, soon afterwards and later.

A gate decides intents on a log in memory, in the intents' own time. What it has kept of them, and nothing else, is then
written to a RocksDB store and compacted: its files are what an intent costs on a disk. Of the changelog, the bytes of
keys and values count that compaction keeps; brokers add about 10 bytes to a record and compress whole batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from rocksdict import Rdict

from bench.harness.workload import bundle_record, catalog_records, credential, established, intent, now_ms
from bench.harness.world import ROOT_KEY
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.codec.wire import CodecWire
from streams.history.driver import Driver, gate_driver
from streams.model.catalog_signature import entry_key
from streams.model.topics import CATALOG, INTENT, RULESET, SESSION, VERDICT
from streams.policy import bundle_from_files, compile_bundle
from streams.processors.row_kinds import RowKind
from streams.processors.rows import verdict_row_key
from streams.processors.settings import GateSettings
from streams.processors.state import VerdictRowV1, encode_row
from streams.stores.rocks import RocksStores

SESSIONS = 200
INTENTS_MS = 2
"""One every so many milliseconds: 500 a second, in one partition."""
LATER_MS = 600_000
SMALL_BYTES_MAX = 150
"""What is aimed at for an intent, its key included."""

_KINDS = (RowKind.VERDICT, RowKind.VERDICT_BYTES, RowKind.VERDICT_BYTES_HEAD, RowKind.UNPROVEN)
Rows = Mapping[bytes, bytes]


def run(*, quick: bool) -> dict[str, Any]:
    """Measure proven intents and a flood of unproven ones."""
    count = 2_000 if quick else 10_000
    driver, sessions = _driver(), [credential(ROOT_KEY, number) for number in range(SESSIONS)]
    for session in sessions:
        driver.pipe(SESSION.name, session.key, established(ROOT_KEY, session))
    layout_1: dict[bytes, bytes] = {}
    for number in range(count):
        session = sessions[number % SESSIONS]
        driver.pipe(INTENT.name, session.key, intent(session, number), driver.clock.now_ms() + INTENTS_MS)
    for read in driver.read_raw(VERDICT.name):
        value = read.value or b""
        verdict: Any = _wire().decode(VERDICT.name, value, read.headers)
        row = VerdictRowV1(verdict.evaluated_at, True, value, verdict.evaluated_at)
        layout_1[verdict_row_key(read.key or b"", verdict.intent_id)] = encode_row(row)
    soon = _kept(driver)
    driver.advance(driver.clock.now_ms() + LATER_MS)
    cases = [
        _case("the verdict in its row (layout 1)", layout_1, count),
        _case("soon afterwards", soon, count),
        _case("later", _kept(driver), count),
    ]
    forged = count // 10
    session = sessions[0]
    before = _kept(driver).keys()
    for number in range(forged):
        made = msgspec.structs.replace(intent(session, count + number), proof=None)
        driver.pipe(INTENT.name, session.key, made, driver.clock.now_ms() + INTENTS_MS)
    flood = {key: row for key, row in _kept(driver).items() if key not in before}
    return {
        "intents": count,
        "later_ms": LATER_MS,
        "small_bytes_max": SMALL_BYTES_MAX,
        "small": max(cases[-1]["store_bytes"], cases[-1]["changelog_bytes"]) <= SMALL_BYTES_MAX,
        "cases": cases,
        "forged": forged,
        "forged_rows": len(flood),
        "forged_bytes": _bytes_of(flood.items()),
    }


def _case(name: str, rows: Rows, intents: int) -> dict[str, Any]:
    return {
        "name": name,
        "rows": len(rows) / intents,
        "store_bytes": _stored_bytes(rows) / intents,
        "changelog_bytes": _bytes_of(rows.items()) / intents,
    }


def _kept(driver: Driver) -> dict[bytes, bytes]:
    prefixes = tuple(kind.prefix for kind in _KINDS)
    return {key: row for key, row in driver.disk.rows(0).items() if key.startswith(prefixes)}


def _bytes_of(rows: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(key) + len(row) for key, row in rows)


def _stored_bytes(rows: Rows) -> int:
    """Return the size of a compacted store with these rows."""
    with TemporaryDirectory(prefix="stoplog-bench-") as scratch:
        store = RocksStores(Path(scratch) / "stores").open(0)
        store.apply(rows, 0)
        store.close()
        folder = Path(scratch) / "stores" / "0"
        database = Rdict(str(folder))
        database.compact_range(None, None)
        database.close()
        return sum(path.stat().st_size for path in folder.glob("*.sst"))


def _driver() -> Driver:
    driver = gate_driver(
        wire=_wire(),
        compile_bundle=lambda source: compile_bundle(bundle_from_files(dict(source.files))),
        settings=GateSettings(root_key=ROOT_KEY),
        start_ms=now_ms(),
    )
    for entry in catalog_records(ROOT_KEY):
        driver.pipe(CATALOG.name, entry_key(entry), entry)
    driver.pipe(RULESET.name, b"default", bundle_record("starter"))
    return driver


def _wire() -> CodecWire:
    return CodecWire(Codec(CommittedSchemas.load()))
