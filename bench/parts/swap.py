"""Measures how long partitions pause while rules are replaced: `python -m bench.parts.swap [--sizes 1000 10000]`.

A gate on the embedded log judges intents for 100 tools, one small batch every few milliseconds. Meanwhile a bundle of
many rules, about 30 for each tool, is published. The result is the longest step in each phase, in CPU time of the
gate's thread (the cost of the replacement) and in elapsed time (the delay of a session on this machine): before; when
the bundle arrives; while another process compiles it; while the gate loads the rules; after. Then the same while the
gate compiles in its own thread. `going back` is the publication of the previous rules.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.parts.rules import make_bundle
from simulation.records import ROOT_KEY, SessionMaker, entry_key, ruleset, tool_entry
from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.codec.wire import CodecWire
from streams.engine.ports import Ports
from streams.engine.settings import EngineSettings
from streams.engine.startup import check_topics
from streams.engine.worker import Worker
from streams.model.bundle_signature import publication_key
from streams.model.control import RulesetBundle
from streams.model.keys import partition_for
from streams.model.topics import CATALOG, INTENT, RULESET, SESSION
from streams.model.types import Record
from streams.operations.rules.publication import make_bundle as publication
from streams.operations.topics.application import carry_out, make_plan
from streams.policy import bundle_from_files, compile_bundle
from streams.ports import Outgoing
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import BundleCompiler, InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate
from streams.processors.settings import GateSettings
from streams.services.gate.compiler import ChildCompiler
from streams.services.gate.heap import settle_heap
from streams.stores.memory import MemoryStores
from streams.topology import GATE
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_offline_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

SIZES = (1_000, 10_000)
FIRST_RULES = 1_000
TOOLS = 100
SESSIONS = 40
PARTITIONS = 4
BATCH = 8
CALM_STEPS = 300
PACE_S = 0.005
FLUSH_MS = 10_000
PHASES = ("before", "it arrives", "compiling", "taking it up", "after", "going back")
ARGS: dict[str, Any] = {"amount": 2_500, "currency": "EUR", "to": "bob@example.com", "memo": "thanks", "n": 4}
_MS = 1e3


class Step(NamedTuple):
    """What one step of the worker took, in ms."""

    wall_ms: float
    cpu_ms: float


class World:
    """A gate on a log in a file, and those who ask it."""

    def __init__(self, compiler: BundleCompiler, folder: Path) -> None:
        self.clock = SystemClock()
        self.settings = Settings(state_dir=folder, topics={"partitions": PARTITIONS}, rules={"allow_unsigned": True})
        self.log = open_log(self.settings)
        admin = self.log.admin()
        carry_out(
            make_plan(self.settings.topics, self.settings.group, admin, [self.settings.tenant]),
            admin,
            1,
            lambda _: None,
        )
        self.wire = CodecWire(build_offline_codec())
        self.publications = Publications("default", UNSIGNED, compiler)
        self.worker = self._build()
        self.publisher = self.log.publisher()
        self.tools = [tool_entry("pay", f"t{number}") for number in range(TOOLS)]
        self.sessions = [SessionMaker(f"s-{number}") for number in range(SESSIONS)]
        self._intents = self._make_intents()

    def _build(self) -> Worker:
        """Build a gate as `streams.wiring.gates` does, with the compiler that is measured."""
        control = ControlState(self.publications, Catalog(ANYBODY))
        settings = EngineSettings(idle_poll_ms=1)
        return Worker(
            spec=GATE,
            processor=Gate(GateSettings(root_key=ROOT_KEY), self.wire, control),
            wire=self.wire,
            ports=Ports(
                consumer=self.log.consumer("gate", "gate"),
                producer=self.log.producer("gate"),
                open_reader=self.log.reader,
                stores=MemoryStores(),
                clock=self.clock,
            ),
            settings=settings,
            partition_counts=check_topics(GATE, self.log.admin()),
        )

    def put(self, topic: str, key: bytes, record: Record) -> None:
        """Write a record."""
        partition = 0 if topic in (CATALOG.name, RULESET.name) else partition_for(key, PARTITIONS)
        self.publisher.publish(Outgoing(topic, partition, key, self.wire.encode(topic, record)))

    def publish(self, bundle: RulesetBundle) -> None:
        """Write rules."""
        self.put(RULESET.name, publication_key(bundle), bundle)
        self.publisher.flush(FLUSH_MS)

    def prepare(self) -> None:
        """Set up tools, sessions and the first rules; the gate serves when this returns, and knows every tool."""
        for entry in self.tools:
            self.put(CATALOG.name, entry_key(entry), entry)
        for session in self.sessions:
            self.put(SESSION.name, session.key, session.established(self.clock.now_ms()))
        self.publish(made_bundle(FIRST_RULES, serial=1, version=1))
        self.worker.start()
        while self.worker.restoring or not self.worker.partitions:
            self.worker.step()
        for _ in range(CALM_STEPS):
            self.step()
        settle_heap()  # as `stoplog gate` does

    def step(self) -> Step:
        """Return a small batch of intents, and the step that judges it."""
        time.sleep(PACE_S)
        for key, value in itertools.islice(self._intents, BATCH):
            self.publisher.publish(Outgoing(INTENT.name, partition_for(key, PARTITIONS), key, value))
        self.publisher.flush(FLUSH_MS)
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        self.worker.step()
        return Step((time.perf_counter() - wall_s) * _MS, (time.thread_time() - cpu_s) * _MS)

    def serial(self) -> int:
        """Return the serial of the rules in force for all."""
        return -1 if self.publications.stable is None else self.publications.stable.serial

    def close(self) -> None:
        """End it."""
        self.worker.stop()
        self.publisher.close()
        self.log.close()

    def _make_intents(self) -> Iterator[tuple[bytes, bytes]]:
        for number in itertools.count():
            session = self.sessions[number % SESSIONS]
            entry = self.tools[number % TOOLS]
            intent = session.intent(entry, ARGS, self.clock.now_ms())
            yield session.key, self.wire.encode(INTENT.name, intent)


def made_bundle(count: int, serial: int, version: int) -> RulesetBundle:
    """Return a publication of so many rules."""
    files = dict(make_bundle(count).files)
    files["bundle.yaml"] = files["bundle.yaml"].replace('version: "1"', f'version: "{version}"')
    return publication(
        bundle_from_files(files),
        header=ruleset({}, serial=serial).header,
        name="default",
        version=str(version),
        serial=serial,
        published_by="bench",
    )


def measure(kind: str, compiler: BundleCompiler, size: int) -> None:
    """Measure one exchange, and the way back."""
    phases: dict[str, list[Step]] = {name: [] for name in PHASES}
    with tempfile.TemporaryDirectory(prefix="stoplog-bench-") as folder:
        world = World(compiler, Path(folder))
        world.prepare()
        phases["before"] = [world.step() for _ in range(CALM_STEPS)]
        world.publish(made_bundle(size, serial=2, version=2))
        began_s = time.perf_counter()
        while world.serial() < 2:
            is_busy = world.publications.is_busy
            step = world.step()
            taking = is_busy or world.serial() == 2
            phases["taking it up" if taking else "compiling" if phases["it arrives"] else "it arrives"].append(step)
        took_s = time.perf_counter() - began_s
        phases["after"] = [world.step() for _ in range(CALM_STEPS)]
        world.publish(made_bundle(FIRST_RULES, serial=3, version=1))
        began_s = time.perf_counter()
        while world.serial() < 3:
            phases["going back"].append(world.step())
        back_ms = (time.perf_counter() - began_s) * _MS
        world.close()
    for name, steps in phases.items():
        if steps:
            cpu_ms, wall_ms = max(step.cpu_ms for step in steps), max(step.wall_ms for step in steps)
            sys.stdout.write(f"{kind:>13} {size:>7,} {name:>13} {len(steps):>7,} {cpu_ms:>10.1f} {wall_ms:>11.1f}\n")
    sys.stdout.write(
        f"{kind:>13} {size:>7,} in force {took_s:.1f} s after publication; going back took {back_ms:.1f} ms\n"
    )


def main() -> None:
    """Print one line for each phase."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    sys.stdout.write(
        f"{'compiled':>13} {'rules':>7} {'phase':>13} {'steps':>7} {'cpu ms max':>10} {'wall ms max':>11}\n"
    )
    compilers: tuple[tuple[str, BundleCompiler], ...] = (
        ("in a process", ChildCompiler(SystemClock())),
        ("in the gate", InlineCompiler(compile_bundle)),
    )
    for (kind, compiler), size in itertools.product(compilers, parser.parse_args().sizes):
        measure(kind, compiler, size)


if __name__ == "__main__":
    main()
