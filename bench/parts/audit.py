"""Measures what sealing costs a gate, and what checking seals and the whole log costs: `python -m bench audit`.

The records are those that a real gate writes, with permit-all rules, a verdict and an audit record of each intent; and
of each call the report of its executor, which the gate has read and seals, too.
Costs are CPU time in microseconds, the best of several runs, on a log of a million records. Writing the two further
records of a transaction is not part of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from bench.parts.replay import InMemory, Run
from simulation.records import ROOT_KEY, SessionMaker, entry_key, ruleset, tool_entry
from streams.audit.merkle import Frontier, leaf_hash
from streams.audit.notes import Checkpoint, Note
from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.audit.seal_keys import SealKeys, derived_seal_key
from streams.audit.seals import read_leaf
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.codec.wire import CodecWire
from streams.engine.state import PartitionState
from streams.model.audit import AuditCheckpoint, Seal
from streams.model.proof import derived_uuid
from streams.model.topics import AUDIT, AUDIT_CHECKPOINT, CATALOG, REPORT, RULESET, SEAL_KEY, SESSION, VERDICT
from streams.operations.archive.copies import copy_topics
from streams.operations.archive.export import export_audit
from streams.operations.verify.partition import Ends, Recorded, check_partition
from streams.policy import compile_bundle
from streams.ports import Outgoing, Received
from streams.ports.open_log import Log
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate
from streams.processors.rows import SEALED_KEY
from streams.processors.seals import OFFSET_UNKNOWN, Seals, encode_frontier
from streams.processors.settings import GateSettings
from streams.sdk.executor.seal_checks import PartitionSeals
from streams.stores.memory import MemoryStores

START_MS = 1_764_061_200_000
BATCHES = (1, 10, 30, 100, 300, 1_000)
INTENTS = 2_000
RUNS = 7
LOG_RECORDS = 1_000_000
SINK_INTENTS = 10_000
SINK_RUNS = 3
TOOL = tool_entry("mail", "send")
RULES = {
    "bundle.yaml": 'apiVersion: rules/v1\nbundle: default\nversion: "1"\n',
    "all/a.rules.yaml": "apiVersion: rules/v1\npack: all\nrules:\n"
    '  - {id: A-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}\n',
}


class Decided(NamedTuple):
    """What a gate seals of a call: its verdict and its audit record, and the report of its executor."""

    written: list[Outgoing]
    report: Received


def decided_by_gate(wire: CodecWire, count: int) -> list[Decided]:
    """Return what a gate seals of so many calls."""
    rules = Publications("default", UNSIGNED, InlineCompiler(compile_bundle))
    control = ControlState(rules, Catalog(ANYBODY), stale=False)
    control.apply(CATALOG.name, entry_key(TOOL), TOOL, 1, START_MS)
    control.apply(RULESET.name, b"default", ruleset(RULES), 1, START_MS)
    control.settle()
    gate = Gate(GateSettings(root_key=ROOT_KEY), wire, control)
    state = PartitionState(MemoryStores().open(0))
    maker = SessionMaker()
    gate.process(SESSION.name, maker.key, maker.established(START_MS), state, START_MS, START_MS)
    found: list[Decided] = []
    for number in range(count):
        intent = maker.intent(
            TOOL, {"to": "ann@example.com", "subject": f"number {number}", "body": "x" * 200}, START_MS
        )
        outputs = gate.process("agent.intent.v1", maker.key, intent, state, START_MS, START_MS)
        written = [Outgoing(each.topic.name, 0, each.key, each.value) for each in outputs]
        value = wire.encode(REPORT.name, maker.result(intent, START_MS))
        report = Received(REPORT.name, 0, number, START_MS, maker.key, value)
        found.append(Decided([each for each in written if each.topic in Seals.topics], report))
    return found


def best_us(act: Callable[[], object], count: int) -> float:
    """CPU time of the best run, for each of `count` things that it does."""
    best = float("inf")
    for _ in range(RUNS):
        began = time.process_time_ns()
        act()
        best = min(best, time.process_time_ns() - began)
    return best / 1_000 / count


def old_log() -> Frontier:
    """Return the frontier of a log of `LOG_RECORDS`."""
    return Frontier(LOG_RECORDS, bytes(32 * LOG_RECORDS.bit_count()))


class Batch(NamedTuple):
    """What a transaction has written and read, and the value of its seal."""

    written: list[Outgoing]
    read: list[Received]
    seal: bytes


def seal_all(wire: CodecWire, decided: Sequence[Decided], batch: int, before: Frontier | None = None) -> list[Batch]:
    """Seal calls, in batches of so many."""
    hook = Seals(wire, derived_seal_key(ROOT_KEY), "")
    state = PartitionState(MemoryStores().open(0))
    state.put(SEALED_KEY, encode_frontier(before or old_log()))
    found = []
    for start in range(0, len(decided), batch):
        part = decided[start : start + batch]
        written, read = [each for call in part for each in call.written], [call.report for call in part]
        seal, _ = hook.before_commit(written, read, state, START_MS)
        found.append(Batch(written, read, seal.value or b""))
    return found


def read_all(codec: Codec, batches: list[tuple[list[Received], Received]], keys: SealKeys) -> int:
    """Check batches as an executor does; return how many verdicts are proven."""
    seals, proven = PartitionSeals(0, lambda: keys, codec), 0
    for own, seal in batches:
        for each in own:
            seals.hold(each, 0)
        proven += len(seals.sealed(seal).proven)
    return proven


def received(batches: list[Batch], own_every: int) -> list[tuple[list[Received], Received]]:
    """Return the batches as an executor reads them that every so many verdicts concern."""
    found, offset = [], 0
    for part, _, seal in batches:
        verdicts = [each for each in part if each.topic == VERDICT.name]
        own = [
            Received(VERDICT.name, 0, offset + number, START_MS, each.key, each.value)
            for number, each in enumerate(verdicts)
            if (offset + number) % own_every == 0
        ]
        offset += len(verdicts) + 1
        found.append((own, Received(VERDICT.name, 0, offset - 1, START_MS, SEAL_KEY, seal)))
    return found


def recorded(codec: Codec, batches: list[Batch]) -> Recorded:
    """Return the batches as an auditor reads them, with the heads that go with their seals."""
    found: dict[str, list[Received]] = {VERDICT.name: [], AUDIT.name: [], AUDIT_CHECKPOINT.name: []}

    def add(topic: str, key: bytes | None, value: bytes | None) -> None:
        found[topic].append(Received(topic, 0, len(found[topic]), START_MS, key, value))

    reports = [each for batch in batches for each in batch.read]
    for part, _, value in batches:
        for each in part:
            add(each.topic, each.key, each.value)
        add(VERDICT.name, SEAL_KEY, value)
        seal = codec.decode(VERDICT.name, value, ())
        if not isinstance(seal, Seal):
            raise TypeError("the hook has not written a seal")
        head = Checkpoint.parse(Note.parse(seal.signed_head).text)
        checkpoint = AuditCheckpoint(
            header=msgspec.structs.replace(seal.header, id=derived_uuid("head", seal.signed_head)),
            partition=0,
            tree_size=head.size,
            root=head.root,
            first_audit_offset=OFFSET_UNKNOWN,
            signed_head=seal.signed_head,
        )
        add(AUDIT_CHECKPOINT.name, b"0", codec.encode(AUDIT_CHECKPOINT.name, checkpoint))
    verdicts, audits, heads = (partial(iter, each) for each in found.values())
    ends = Ends(*(len(each) for each in found.values()))
    return Recorded(
        0, verdicts, audits, heads, ends, {REPORT.name: partial(iter, reports)}, {REPORT.name: len(reports)}
    )


def verify_rate(codec: Codec, keys: SealKeys, batches: list[Batch]) -> float:
    """Return how many records `audit verify` checks in a second of CPU time, without reading them."""
    log = recorded(codec, batches)
    report = check_partition(log, keys, codec)
    if report.offence is not None or report.unknown:
        raise RuntimeError(f"a clean log is found to be {report}")
    return 1_000_000 / best_us(lambda: check_partition(log, keys, codec), report.records)


def sink_rates(codec: Codec) -> tuple[float, float]:
    """Return the records a second of CPU time that `audit export` writes to Parquet: as a table, and byte for byte."""
    run = Run(SINK_INTENTS)
    log: Log = InMemory(run.driver.log)  # type: ignore[assignment]  # a reader and an admin are enough
    rates = []
    for export in (partial(export_audit, log, codec, run.driver.clock), partial(copy_topics, log, run.driver.clock)):
        best = 0.0
        for _ in range(SINK_RUNS):
            with TemporaryDirectory() as folder:
                began = time.process_time()
                done = export(Path(folder))
                best = max(best, done.records_count / (time.process_time() - began))
        rates.append(best)
    return rates[0], rates[1]


def main() -> None:
    """Print the measurements."""
    codec = Codec(CommittedSchemas.load())
    wire, keys = CodecWire(codec), SealKeys.derived(ROOT_KEY)
    decided = decided_by_gate(wire, INTENTS)
    written, reports = [each for call in decided for each in call.written], [call.report for call in decided]
    sizes = [
        sum(len(each.value or b"") for each in written if each.topic == name) for name in (VERDICT.name, AUDIT.name)
    ]
    sizes.append(sum(len(each.value or b"") for each in reports))
    verdict, audit, report = (size // INTENTS for size in sizes)
    print(f"verdicts of {verdict} bytes, audit records of {audit} bytes, reports of {report} bytes\n")
    hashes_us = best_us(lambda: [leaf_hash(each.value or b"") for each in written], INTENTS)
    reports_us = best_us(lambda: [read_leaf(each) for each in reports], INTENTS)
    print(f"hashing verdict and audit record: {hashes_us:.1f} us an intent, and its report: {reports_us:.1f} us\n")
    print(
        f"{'intents':>8}{'gate: us':>11}{'bytes of seals':>16}{'executor: us a verdict':>26}{'of which one in':>18}"
        f"{'verify: records':>18}"
    )
    print(
        f"{'a batch':>8}{'an intent':>11}{'an intent':>16}{'all of them its own':>26}{'ten its own':>18}"
        f"{'a second':>18}"
    )
    for batch in BATCHES:
        sealing_us = best_us(partial(seal_all, wire, decided, batch), INTENTS)
        batches = seal_all(wire, decided, batch)
        seal_bytes = sum(len(each.seal) for each in batches) / INTENTS
        checking_us = []
        for own_every in (1, 10):
            read = received(batches, own_every)
            own_count = sum(len(each) for each, _ in read)
            checking_us.append(best_us(partial(read_all, codec, read, keys), own_count))
        rate = verify_rate(codec, keys, seal_all(wire, decided, batch, Frontier()))
        print(
            f"{batch:>8}{sealing_us:>11.1f}{seal_bytes:>16.0f}{checking_us[0]:>26.1f}{checking_us[1]:>18.1f}{rate:>18,.0f}"
        )
    table, copies = sink_rates(codec)
    print(f"\nsink to Parquet: {table:,.0f} records a second as a table, {copies:,.0f} byte for byte (with verdicts)")


if __name__ == "__main__":
    main()
