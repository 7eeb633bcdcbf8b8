"""Alters a recorded log of 100,000 records in 1,000 ways: `python -m bench.parts.tampering [--alterations N]`.

Prints how many alterations `audit verify` finds, and names each that is missed, or placed in another
batch; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from bench.parts.audit import decided_by_gate, recorded, seal_all
from simulation.records import ROOT_KEY
from simulation.vandal import ACTS, TOPICS, Log, Vandal
from streams.audit.merkle import Frontier
from streams.audit.seal_keys import SealKeys
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.codec.wire import CodecWire
from streams.model.topics import AUDIT_CHECKPOINT, REPORT, VERDICT
from streams.operations.verify.partition import Ends, PartitionReport, Recorded, check_partition

INTENTS = 33_000
"""Each with its verdict, its audit record and the report of its call, and the seals and heads: 99,660 records."""
BATCH = 100
END = 1_000_000
CHANGED = (*TOPICS, REPORT.name)
"""The topics that are altered."""


def checked(log: Log, keys: SealKeys, codec: Codec) -> PartitionReport:
    """Return what is wrong with a log."""
    verdicts, audits, heads, reports = ((lambda found=log[name]: iter(found)) for name in CHANGED)
    given = Recorded(0, verdicts, audits, heads, Ends(END, END, END), {REPORT.name: reports}, {REPORT.name: END})
    return check_partition(given, keys, codec, is_whole=True)


def main(arguments: list[str]) -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--alterations", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    codec, keys = Codec(CommittedSchemas.load()), SealKeys.derived(ROOT_KEY)
    wire = CodecWire(codec)
    made = recorded(codec, seal_all(wire, decided_by_gate(wire, INTENTS), BATCH, Frontier()))
    opened = (made.verdicts, made.audits, made.heads, made.inputs[REPORT.name])
    log = dict(zip(CHANGED, (list(each()) for each in opened), strict=True))
    began = time.process_time()
    clean = checked(log, keys, codec)
    rate = clean.records / (time.process_time() - began)
    print(f"clean: {clean.records} records, {rate:,.0f} a second, offence: {clean.offence}", flush=True)
    found: Counter[str] = Counter()
    wrong = int(clean.offence is not None)
    for seed in range(options.seed, options.seed + options.alterations):
        act, vandal = ACTS[seed % len(ACTS)], Vandal(log, seed)
        report = checked(act(vandal), keys, codec)
        # Each topic has as many records of a batch as any other: of verdicts one more, the seal; of heads one.
        batch = vandal.at // {VERDICT.name: BATCH + 1, AUDIT_CHECKPOINT.name: 1}.get(vandal.topic, BATCH)
        if report.offence is None or abs(report.seals - batch) > 1:
            wrong += 1
            print(f"seed {seed}: {act.__name__} at {vandal.topic} {vandal.at}: {report}", flush=True)
            continue
        found[f"{act.__name__}: {report.offence.kind.value}"] += 1
    for name, count in sorted(found.items()):
        print(f"{count:>6}  {name}")
    print(f"{options.alterations} alterations, {wrong} missed or named at another place")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
