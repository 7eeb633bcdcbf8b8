"""Measures how fast recorded verdicts are made again, and that all come out: `python -m bench.parts.replay [INTENTS]`.

A gate decides the intents on a log in memory, with rules that change, stops, blocked tools, results that taint sessions
and restarts of the gate in between; it seals each transaction, as a gate does. Then the replay makes the verdicts again
from the log. It is done in two processes with different hash seeds, one of which replays the partitions in the opposite
order; both must give the recorded bytes.

Both are measured in rows of `BATCH` verdicts: of the gate, all that it does between the writing of the intents and the
end of its transaction; of the replay, all that it does, reading included. The figures are CPU time, and the medians of
the rows, so that what else the machine does in between doesn't count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from random import Random
from statistics import median

import msgspec

from simulation.records import ROOT_KEY, SessionMaker, entry_key, report_keys, revocation, ruleset, tool_entry
from simulation.seals import SealedProcessor
from streams.audit.attribute_writers import ANYBODY as WRITTEN_BY_ANYBODY
from streams.audit.publishers import UNSIGNED
from streams.audit.releasers import ANYBODY as RELEASED_BY_ANYBODY
from streams.audit.reviewers import ANYBODY
from streams.audit.seal_keys import derived_seal_key
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.codec.wire import CodecWire
from streams.history.driver import DRIVER_SETTINGS, gate_driver, make_gate
from streams.history.replay import PartitionReplay
from streams.inmemory.log import MemoryLog
from streams.model.attributes import USUAL_ROOM
from streams.model.catalog import EntryState
from streams.model.keys import partition_for
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import principal_target
from streams.model.topics import CATALOG, INTENT, REPORT, REVOCATION, RULESET, SESSION
from streams.model.types import Record
from streams.operations.replay.recorded import RecordedLog
from streams.operations.replay.run import ReplaySetup
from streams.policy import compile_bundle
from streams.ports import Outgoing
from streams.ports.processor import Processor
from streams.processors.seals import Seals
from streams.processors.settings import GateSettings

INTENTS = 100_000
PARTITIONS = 6
BATCH = 250
SESSIONS = 1_000
DISTURBED_EVERY = 20
"""Batches between two changes of rules, stops, tools or restarts."""

START_MS = 1_764_061_200_000
GATE = GateSettings(root_key=ROOT_KEY)
READ, FETCH, SEND = tool_entry("files", "read"), tool_entry("web", "fetch"), tool_entry("mail", "send")
UNTRUSTED = Label(integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.PRIVATE)
RULES = """
apiVersion: rules/v1
pack: all
rules:
  - {id: A-1, effect: permit, match: {tools: [files.read, web.fetch, mail.send]}, when: "true", reason: fine}
  - id: A-2
    effect: deny
    match: {tools: [mail.send]}
    when: session.tainted && args.to.endsWith("@outside.example")
    reason: VARIANT
"""
HEAD = 'apiVersion: rules/v1\nbundle: default\nversion: "1"\n'


class InMemory:
    """The log of the run as operations see a log."""

    name = "log in memory"

    def __init__(self, log: MemoryLog) -> None:
        self.reader, self.admin = log.reader, log.admin


class Run:
    """A gate that decides so many intents."""

    def __init__(self, intents: int) -> None:
        self.rng = Random(1)  # noqa: S311 - it is to be repeatable, not secret
        self.wire = CodecWire(Codec(CommittedSchemas.load()))
        self.driver = gate_driver(
            wire=self.wire, compile_bundle=compile_bundle, settings=GATE, start_ms=START_MS, partitions=PARTITIONS
        )
        for entry in (READ, FETCH, SEND):
            self.driver.pipe(CATALOG.name, entry_key(entry), entry)
            self.driver.pipe(CATALOG.name, entry_key(keys := report_keys(entry.server_id)), keys)
        self.driver.restart(self.gate())
        self.serial = self.version = 0
        self.rows_us: list[float] = []
        self.publish()
        self.makers = [SessionMaker(f"s-{number}", sub=f"user-{number % 40}") for number in range(SESSIONS)]
        for maker in self.makers:
            self.write(SESSION.name, maker, maker.established(self.tick()))
        self.driver.settle()
        acts: Sequence[Callable[[], None]] = (self.publish, self.stop, self.block, self.restart)
        for number in range(intents // BATCH):
            for _ in range(BATCH):
                self.propose()
            began_s = time.process_time()
            self.driver.settle()
            self.rows_us.append((time.process_time() - began_s) / BATCH * 1e6)
            if number % DISTURBED_EVERY == DISTURBED_EVERY - 1:
                acts[number // DISTURBED_EVERY % len(acts)]()

    def tick(self) -> int:
        """Let a millisecond pass, and return the time."""
        now_ms = self.driver.clock.now_ms() + 1
        self.driver.clock.set_ms(now_ms)
        return now_ms

    def write(self, topic: str, maker: SessionMaker, record: Record) -> None:
        """Write a record of a session; the gate reads it later."""
        outgoing = Outgoing(topic, partition_for(maker.key, PARTITIONS), maker.key, self.wire.encode(topic, record))
        self.driver.log.append(outgoing, timestamp_ms=self.driver.clock.now_ms())

    def propose(self) -> None:
        """Write an intent of some session, and sometimes the report of one."""
        maker, rng = self.rng.choice(self.makers), self.rng
        to = f"a@{rng.choice(('example.com', 'outside.example'))}"
        entry, args = rng.choice(((READ, {"path": "a.txt"}), (FETCH, {"url": "u"}), (SEND, {"to": to})))
        intent = maker.intent(entry, args, self.tick())
        self.write(INTENT.name, maker, intent)
        if entry is FETCH and rng.random() < 0.1:
            self.write(REPORT.name, maker, maker.result(intent, self.tick(), label=UNTRUSTED))

    def publish(self) -> None:
        """Publish other rules."""
        self.serial += 1
        files = {"bundle.yaml": HEAD, "all/a.rules.yaml": RULES.replace("VARIANT", f"variant {self.serial}")}
        made = ruleset(files, serial=self.serial, time_ms=self.tick())
        self.driver.pipe(RULESET.name, f"default/{self.serial}".encode(), made)

    def stop(self) -> None:
        """Stop a user."""
        target = principal_target("acme", f"user-{self.rng.randrange(40)}")
        key, record = revocation(RevocationKind.SUBJECT, target, time_ms=self.tick(), until_ms=self.tick() + 5_000)
        self.driver.pipe(REVOCATION.name, key, record)

    def block(self) -> None:
        """Block a tool, or approve it again."""
        self.version += 1
        state = EntryState.BLOCKED if self.version % 2 else EntryState.APPROVED
        self.tick()
        changed = msgspec.structs.replace(FETCH, catalog_version=self.version + 1, state=state)
        self.driver.pipe(CATALOG.name, entry_key(changed), changed)

    def restart(self) -> None:
        """Let another gate take over."""
        self.driver.restart(self.gate())

    def gate(self) -> Processor:
        """Return a gate that seals what it writes."""
        hook = Seals(self.wire, derived_seal_key(ROOT_KEY), "")
        return SealedProcessor(make_gate(self.wire, compile_bundle, GATE), hook)


def child(intents: int, *, reverse: bool) -> dict[str, object]:
    """Decide and replay. Return the figures, and the digest of the replayed verdicts."""
    run = Run(intents)
    rows_us: list[float] = []
    began_s = time.process_time()
    recorded = RecordedLog(InMemory(run.driver.log), run.wire, run.driver.clock, DRIVER_SETTINGS.time_ahead_max_ms)  # type: ignore[arg-type]  # a reader and an admin are enough
    setup = ReplaySetup(
        wire=run.wire, gate=GATE, engine=DRIVER_SETTINGS, publishers=UNSIGNED, reviewers=ANYBODY,
        releasers=RELEASED_BY_ANYBODY, writers=WRITTEN_BY_ANYBODY, attributes_room=USUAL_ROOM,
    )  # fmt: skip
    plan = setup.plan(recorded)
    digests: dict[int, str] = {}
    verdicts = same = 0
    recorded_s = time.process_time() - began_s
    began_s = time.process_time()
    for number in sorted(range(PARTITIONS), reverse=reverse):
        digest = sha256()
        for each in PartitionReplay(plan, recorded.recording(number)).run():
            verdicts += 1
            same += each.is_same
            digest.update(b"" if each.made is None else each.made.value)
            if verdicts % BATCH == 0:
                now_s = time.process_time()
                rows_us.append((now_s - began_s) / BATCH * 1e6)
                began_s = now_s
        digests[number] = digest.hexdigest()
    return {
        "verdicts": verdicts,
        "same": same,
        "decided_us": median(run.rows_us),
        "replayed_us": median(rows_us) + recorded_s / verdicts * 1e6,
        "digest": sha256(json.dumps(sorted(digests.items())).encode()).hexdigest(),
    }


def main(intents: int) -> int:
    """Run both processes side by side, print what they found, and return the exit status."""
    commands = [(seed, [sys.executable, "-m", "bench.parts.replay", str(intents), seed]) for seed in ("1", "2")]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONHASHSEED": seed})
        for seed, command in commands
    ]
    found = [json.loads(process.communicate()[0]) for process in running]
    print(f"{'hash seed':<12}{'verdicts':>10}{'byte for byte':>16}{'gate us':>10}{'replay us':>12}{'replayed/s':>12}")
    for (seed, _), each in zip(commands, found, strict=True):
        figures = f"{each['decided_us']:>10.0f}{each['replayed_us']:>12.0f}{1e6 / each['replayed_us']:>12.0f}"
        print(f"{seed:<12}{each['verdicts']:>10}{each['same']:>16}{figures}")
    is_same = len({each["digest"] for each in found}) == 1
    print(
        f"both made {'the same' if is_same else 'DIFFERENT'} bytes; CPU time for each verdict, with all that it reads"
    )
    return 0 if is_same and all(each["same"] == each["verdicts"] for each in found) else 1


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(child(int(sys.argv[1]), reverse=sys.argv[2] == "2")))
        sys.exit(0)
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else INTENTS))
