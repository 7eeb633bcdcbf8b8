"""Measures an executor: other servers' verdicts that it skips, own calls, a backlog, and the time to a call.

`python -m bench.executors.executor REVISION [--log LOG] [--turns N]` compares it with that of an earlier commit.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.gates.gate import open_sessions
from bench.gates.latency import SESSIONS as GATE_SESSIONS
from bench.gates.latency import measure
from bench.harness.checkouts import worktree
from bench.harness.child import Child
from bench.harness.environments import REPOSITORY
from bench.harness.gate_process import served_gate
from bench.harness.machine import describe_machine, forget_settings
from bench.harness.quantiles import quantile
from bench.harness.reading import read_to_end
from bench.harness.report import RESULTS, save
from bench.harness.sealed_verdicts import SealedVerdicts
from bench.harness.turns import take_turns
from bench.harness.workload import ACT, TENANT, TRACEPARENT, now_ms
from bench.harness.world import KINDS, PARTITIONS, ROOT_KEY, Kind, World, open_world
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.canonical import canonical, sha256
from streams.model.keys import partition_for, session_key_of
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.proof import derived_uuid
from streams.model.topics import AUDIT_REPORTED, VERDICT
from streams.model.types import Header, ToolRef
from streams.model.verdict import Outcome, RuleEffect, RuleHit, RuleMode, Verdict, VerdictMode
from streams.ports import Outgoing, TopicPartition
from streams.sdk import SingleUseStore

OWN, OTHER = "mail", "crm"
TOOL = "send"
GROUP = "stoplog-executor-bench"
SESSIONS = 500
# What a gate gives an ALLOW by default, and the longest that it can be set to.
LIFE_MS, LONG_LIFE_MS = 30_000, 3_600_000
RATE = 1_000
OWN_EVERY_AT_RATE, OWN_EVERY_IN_BACKLOG = 5, 10
# The first part of a measurement is not counted.
WARM_UP_SHARE = 0.1
# A gate that judges 5,000 intents a second commits so many at a time, after its interval of 25 ms; and at `RATE`.
COMMITTED = 125
COMMITTED_AT_RATE = 25
CASE_S_MAX = 300.0
PUBLISH_MS_AHEAD = 2
TURNS = 3
_BODY = "Dear Bob, the refund for order 2025-11-25-000017 is on its way and will be there by Friday."


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    skipped: int
    own: int
    backlog: int
    rate_s: int


FULL = Sizes(skipped=100_000, own=20_000, backlog=100_000, rate_s=15)
QUICK = Sizes(skipped=5_000, own=1_000, backlog=5_000, rate_s=3)
PER_TURN = Sizes(skipped=20_000, own=3_000, backlog=0, rate_s=5)


def run(*, quick: bool) -> dict[str, Any]:
    """Measure each log."""
    sizes = QUICK if quick else FULL
    return {
        "sizes": vars(sizes),
        "rate_per_s": RATE,
        "life_ms": LIFE_MS,
        "own_every_in_backlog": OWN_EVERY_IN_BACKLOG,
        "own_every_at_rate": OWN_EVERY_AT_RATE,
        "committed": COMMITTED,
        "cases": [
            {
                "log": kind,
                "skipped": skipped(kind, sizes.skipped),
                "own": own_calls(kind, sizes.own),
                "backlog": backlog(kind, sizes.backlog),
                "rate": at_rate(kind, sizes.rate_s),
                "gate": gate_at_rate(kind, sizes.rate_s),
            }
            for kind in KINDS
        ],
    }


def skipped(kind: Kind, count: int, checkout: Path = REPOSITORY) -> dict[str, float]:
    """Measure verdicts of another server: from an own call in front of them to own calls behind them."""
    with open_world(kind, "empty") as world:
        front = _one_per_partition(world, 0)
        behind = _one_per_partition(world, PARTITIONS)
        sealed = SealedVerdicts(world.codec)
        world.publish(sealed.transaction(front))
        others = (_verdict(world, number, OTHER, LONG_LIFE_MS) for number in range(count))
        world.publish(_committed(sealed, others))
        world.publish(sealed.transaction(behind))
        with _executor(world, calls=2 * PARTITIONS, checkout=checkout) as child:
            child.wait_complete()
            report = child.end()
    began_ns, cpu_s = report["began_ns"], report["cpu_s"]
    wall_s = (max(began_ns[PARTITIONS:]) - min(began_ns[:PARTITIONS])) / 1e9
    used_s = max(cpu_s[PARTITIONS:]) - min(cpu_s[:PARTITIONS])
    return {"per_s": count / wall_s, "cpu_us": used_s / count * 1e6, **_memory(report)}


def own_calls(kind: Kind, count: int, checkout: Path = REPOSITORY) -> dict[str, float]:
    """Measure own calls that do nothing, which are all on the log before the executor starts."""
    with open_world(kind, "empty") as world:
        own = (_verdict(world, number, OWN, LONG_LIFE_MS) for number in range(count))
        world.publish(_committed(SealedVerdicts(world.codec), own))
        with _executor(world, calls=count, checkout=checkout) as child:
            child.wait_complete()
            report = child.end()
    ordered = sorted(zip(report["began_ns"], report["cpu_s"], strict=True))
    counted = ordered[int(count * WARM_UP_SHARE) :]
    (first_ns, first_s), (last_ns, last_s) = counted[0], counted[-1]
    return {
        "per_s": (len(counted) - 1) / (last_ns - first_ns) * 1e9,
        "cpu_us": (last_s - first_s) / (len(counted) - 1) * 1e6,
        "ran_twice": report["ran_twice"],
        **_memory(report),
    }


def backlog(kind: Kind, count: int) -> dict[str, float]:
    """Measure how a backlog of verdicts with a usual life is worked off, one in `OWN_EVERY_IN_BACKLOG` an own call.

    What had not expired when the executor began, and expires before it is run, could have run in a faster executor.
    """
    own = count // OWN_EVERY_IN_BACKLOG
    with open_world(kind, "empty") as world:
        world.publish(_committed(SealedVerdicts(world.codec), _mixed(world, count, OWN_EVERY_IN_BACKLOG)))
        with _executor(world, calls=own, checkout=REPOSITORY) as child:
            ready_ms = now_ms()
            child.wait_complete(LIFE_MS / 1000)
            report = child.end()
        began = {TopicPartition(AUDIT_REPORTED.name, number): 0 for number in range(PARTITIONS)}
        reports = [
            world.codec.decode(AUDIT_REPORTED.name, each.value, each.headers)
            for each in read_to_end(world, AUDIT_REPORTED, began)
        ]
        refused = {
            each.verdict_id
            for each in reports
            if isinstance(each, AuditEvent) and each.event_type is AuditEventType.REFUSAL
        }
        begin = {TopicPartition(VERDICT.name, number): 0 for number in range(PARTITIONS)}
        verdicts = [
            world.codec.decode(VERDICT.name, each.value, each.headers) for each in read_to_end(world, VERDICT, begin)
        ]
    ran = [each for each in report["began_ns"] if each]
    expired = [each.expires_at for each in verdicts if isinstance(each, Verdict) and each.verdict_id in refused]
    return {
        "verdicts": count,
        "own": own,
        "ran": len(ran),
        "ran_twice": report["ran_twice"],
        "expired": len(expired),
        "expired_preventable": sum(each > ready_ms for each in expired),
        "seconds": max(ran, default=0) / 1e9 - ready_ms / 1e3,
        **_memory(report),
    }


def at_rate(kind: Kind, duration_s: int, checkout: Path = REPOSITORY) -> dict[str, float]:
    """Measure the time from a verdict's append until its call begins, at a steady rate."""
    count = RATE * duration_s
    own = count // OWN_EVERY_AT_RATE
    with open_world(kind, "empty") as world:
        first = _one_per_partition(world, own)
        with _executor(world, calls=own + PARTITIONS, checkout=checkout) as child:
            sealed = SealedVerdicts(world.codec)
            world.publish(sealed.transaction(first))
            time.sleep(duration_s / 2)
            made = sealed.transactions(_mixed(world, count, OWN_EVERY_AT_RATE), COMMITTED_AT_RATE)
            world.publish(_paced(made, RATE / COMMITTED_AT_RATE))
            child.wait_complete(LIFE_MS / 1000)
            report = child.end()
        begin = {TopicPartition(VERDICT.name, number): 0 for number in range(PARTITIONS)}
        waits = []
        for record in read_to_end(world, VERDICT, begin):
            verdict = world.codec.decode(VERDICT.name, record.value, record.headers)
            if isinstance(verdict, Verdict) and verdict.tool.server_id == OWN:
                number = json.loads(verdict.args_json)["number"]
                if own * WARM_UP_SHARE < number < own and report["began_ns"][number]:
                    waits.append(report["began_ns"][number] / 1e6 - record.timestamp_ms)
    waits.sort()
    return {
        "own_per_s": RATE / OWN_EVERY_AT_RATE,
        "samples": len(waits),
        "p50_ms": quantile(waits, 0.5),
        "p99_ms": quantile(waits, 0.99),
        "max_ms": waits[-1],
        **_memory(report),
    }


def gate_at_rate(kind: Kind, duration_s: int) -> dict[str, float]:
    """Measure the time from an intent's append until its verdict can be read, at the same rate: what comes before."""
    count = RATE * duration_s
    with open_world(kind, "permit-all") as world:
        open_sessions(world, GATE_SESSIONS)
        with served_gate(world):
            waits = sorted(measure(world, first=0, count=count, rate=RATE)[int(count * WARM_UP_SHARE) :])
    return {"p50_ms": quantile(waits, 0.5), "p99_ms": quantile(waits, 0.99), "max_ms": waits[-1]}


def _memory(report: dict[str, Any]) -> dict[str, float]:
    """Return the memory after a quarter of the time, and at the end: a flat one does not grow between them."""
    samples = report["rss_kb"]
    return {"rss_mb_at_quarter": samples[len(samples) // 4] / 1024, "rss_mb_at_end": samples[-1] / 1024}


def _mixed(world: World, count: int, own_every: int) -> Iterator[Outgoing]:
    """Yield verdicts of which one in `own_every` is an own one; made as they are asked for."""
    for number in range(count):
        turn, rest = divmod(number, own_every)
        yield _verdict(world, turn, OWN, LIFE_MS) if rest == 0 else _verdict(world, number, OTHER, LIFE_MS)


def _committed(sealed: SealedVerdicts, verdicts: Iterator[Outgoing]) -> Iterator[Outgoing]:
    """Yield the verdicts of a busy gate, with their seals."""
    return itertools.chain.from_iterable(sealed.transactions(verdicts, COMMITTED))


def _paced(transactions: Iterator[list[Outgoing]], rate: float) -> Iterator[Outgoing]:
    """Yield so many transactions a second, the records of each at once, as they can be read on the log of a gate."""
    began_s = time.monotonic()
    for number, records in enumerate(transactions):
        while (left_s := began_s + number / rate - time.monotonic()) > 0:
            time.sleep(min(left_s, PUBLISH_MS_AHEAD / 1000))
        yield from records


def _one_per_partition(world: World, first: int) -> list[Outgoing]:
    """Return an own call on each partition."""
    found: dict[int, Outgoing] = {}
    candidate = 0
    while len(found) < PARTITIONS:
        session_id = f"s-mark-{candidate}"
        partition = partition_for(session_key_of(TENANT, session_id), PARTITIONS)
        if partition not in found:
            found[partition] = _verdict(world, first + len(found), OWN, LONG_LIFE_MS, session_id)
        candidate += 1
    return list(found.values())


def _verdict(world: World, number: int, server_id: str, life_ms: int, session_id: str | None = None) -> Outgoing:
    """Return an ALLOW as a gate makes it."""
    at_ms = now_ms()
    session_id = session_id or f"s-{number % SESSIONS}"
    args = canonical({"number": number, "to": ["bob@example.com"], "subject": "Your refund", "body": _BODY})
    verdict_id = derived_uuid("bench verdict", server_id, session_id, str(number))
    verdict = Verdict(
        header=Header(id=verdict_id, source="gate/bench", time=at_ms, tenant_uid=TENANT, traceparent=TRACEPARENT),
        verdict_id=verdict_id,
        intent_id=derived_uuid("bench intent", server_id, session_id, str(number)),
        session_id=session_id,
        outcome=Outcome.ALLOW,
        reason="permitted",
        reason_text="a rule permits it",
        rules=(
            RuleHit(
                rule_id="ALL-001",
                rule_version="1",
                effect=RuleEffect.PERMIT,
                mode=RuleMode.ENFORCE,
                reason="everything",
            ),
        ),
        sub="alice",
        act=ACT,
        tool=ToolRef(server_id=server_id, name=TOOL, catalog_version=1),
        args_json=args.decode(),
        args_digest=sha256(args),
        label=Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE),
        ruleset_digest=sha256(b"rules"),
        ruleset_offset=0,
        session_sequence=number,
        revocation_offset=0,
        evaluated_at=at_ms,
        expires_at=at_ms + life_ms,
        audience=server_id,
        mode=VerdictMode.ENFORCE,
    )
    return world.outgoing(VERDICT, session_key_of(TENANT, session_id), verdict, verdict.header)


class _Executor(Child):
    """A running `bench.executors.executor_child`."""

    def wait_complete(self, seconds: float = CASE_S_MAX) -> None:
        """Wait until all calls have begun, for at most `seconds`."""
        select.select([self.output], [], [], seconds)


@contextlib.contextmanager
def _executor(world: World, *, calls: int, checkout: Path) -> Iterator[_Executor]:
    order: dict[str, Any] = {
        "settings": world.settings,
        "single_use": str(world.folder / "used"),
        "group": GROUP,
        "instance": "e-1",
        "servers": [OWN],
        "tools": [f"{OWN}/{TOOL}"],
        "root_key": ROOT_KEY.hex(),
        "calls": calls,
    }
    # Verdicts from before the executor's first start could have been used before, as far as it knows.
    with SingleUseStore(Path(order["single_use"]), "e-1") as store:
        store.begin(0)
    with _Executor("bench.executors.executor_child", order, checkout=checkout) as child:
        child.wait_ready()
        yield child


def compare(revision: str, kind: Kind, turns: int) -> dict[str, Any]:
    """Measure the executor of an earlier commit and this one in turns."""
    with worktree(revision) as earlier:
        checkouts = {"earlier": earlier, "now": REPOSITORY}

        def measure(name: str) -> dict[str, Any]:
            checkout = checkouts[name]
            measured = {
                "skipped": skipped(kind, PER_TURN.skipped, checkout),
                "own": own_calls(kind, PER_TURN.own, checkout),
                "rate": at_rate(kind, PER_TURN.rate_s, checkout),
            }
            print(name, json.dumps(measured), flush=True)
            return measured

        # Each part of a turn warms up by itself, so all turns count.
        pairs = take_turns(list(checkouts), measure, turns, warm_up=0)
    found = dict(zip(checkouts, zip(*pairs, strict=True), strict=True))
    return {
        "revision": revision,
        "log": kind,
        "turns": turns,
        "figures": {
            name: {
                part: {figure: median(run[part][figure] for run in runs) for figure in runs[0][part]}
                for part in runs[0]
            }
            for name, runs in found.items()
        },
    }


def main() -> int:
    """Compare with an earlier commit and write the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.executors.executor", description=__doc__)
    parser.add_argument("revision", metavar="REVISION", help="the earlier commit")
    parser.add_argument("--log", choices=KINDS, action="append", help="a log that both run on (default: all)")
    parser.add_argument("--turns", type=int, default=TURNS, help=f"turns of each version (default: {TURNS})")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the result goes (default: bench/results)")
    options = parser.parse_args()
    forget_settings()
    machine = describe_machine()
    result = {"cases": [compare(options.revision, kind, options.turns) for kind in options.log or KINDS]}
    save("executor_compare", result, machine, quick=options.turns < TURNS, folder=options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
