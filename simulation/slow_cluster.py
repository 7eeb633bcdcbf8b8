"""Simulates gates and budget allocators on a cluster whose commits are slow, in virtual time, without faults.

The workers are those of the real engine. A commit takes `commit_ms`: until then nobody can read what was committed, and
the worker does nothing else, as on Kafka. Nothing sleeps and nothing is random except for one seeded source, so that
the same numbers come out every time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from random import Random  # noqa: TID251 - everything of a simulation is drawn from one seeded source
from typing import NamedTuple

from simulation.records import ROOT_KEY, SessionMaker, entry_key, ruleset, tool_entry
from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.engine.settings import EngineSettings
from streams.engine.worker import Worker
from streams.history.workers import build_worker, create_topics
from streams.inmemory.clock import ManualClock
from streams.inmemory.disk import Disk
from streams.inmemory.faults import NoFaults
from streams.inmemory.log import MemoryLog
from streams.model.errors import InvariantError
from streams.model.keys import partition_for
from streams.model.topics import CATALOG, INTENT, RULESET, SESSION, VERDICT
from streams.model.verdict import FINAL_OUTCOMES, Outcome, Verdict
from streams.policy import compile_bundle
from streams.ports import Outgoing, Received, TopicPartition
from streams.ports.wire import Wire
from streams.processors.budgets.allocator import BudgetAllocator
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate
from streams.processors.settings import GateSettings
from streams.topology import BUDGETS, GATE

START_MS = 1_764_061_200_000
TICK_MS = 5
SETTLE_MS = 3_000
"""How long the workers run before the first intent: they take their partitions over."""
END_MS_MAX = 60_000
"""How long after the last intent every intent has its verdict."""
PAY = tool_entry("pay", "refund")
ENGINE = EngineSettings(idle_poll_ms=0, control_stale_ms=1 << 62)

_BUNDLE = 'apiVersion: rules/v1\nbundle: default\nversion: "1"\n'
_RULES = """apiVersion: rules/v1
pack: spending
budgets:
  shared: {{per: tenant, measure: {{sum: args.amount}}, match: {{tools: [pay.refund]}}, limit: {limit}, window: 24h}}
rules:
  - {{id: C-1, effect: permit, match: {{tools: ["*"]}}, when: "true", reason: fine}}
"""


class Load(NamedTuple):
    """What is asked of the cluster.

    Attributes:
        commit_ms: how long each commit takes.
        gates: processes, each with a gate and a budget allocator.
        limit: of the budget that all intents share.
        intents_per_s: of all sessions together.
        intents: how many in all.
        amounts: what a call takes, drawn for each.
        sessions: over all partitions.
        partitions: of each topic.
        favourite_share: how many of the intents belong to the first session.
        seed: of what is drawn.
    """

    commit_ms: int
    gates: int
    limit: int = 3_000
    intents_per_s: int = 400
    intents: int = 5_000
    amounts: tuple[int, ...] = (1,)
    sessions: int = 48
    partitions: int = 4
    favourite_share: float = 0.0
    seed: int = 7


class Spending(NamedTuple):
    """How the budget was spent.

    Attributes:
        before_refusal: units that were spent before the first refusal in the order of the log; all if none came.
        spent: units in all.
        reasons: how often each reason was given.
        median_ms: how long half of the allowed intents waited for their verdict at most, from log to log.
        waited_ms: how long the slowest of them waited.
    """

    before_refusal: int
    spent: int
    reasons: Counter[str]
    median_ms: int
    waited_ms: int


class _LateMarkers(NoFaults):
    def delays_marker(self, transactional_id: str, partition: TopicPartition) -> bool:
        """Return whether a worker has committed: what it wrote becomes visible when its commit is over."""
        del partition
        return transactional_id.startswith(("gate", "owner"))


class SlowCluster:
    """One run."""

    def __init__(self, load: Load, wire: Wire, settings: GateSettings | None = None) -> None:
        """Create the topics, publish the rules, open the sessions, and start the workers."""
        self._load, self._wire = load, wire
        self._settings = settings or GateSettings(root_key=ROOT_KEY)
        self._rng = Random(load.seed)  # noqa: S311 - it is to be repeatable, not secret
        self.clock = ManualClock(START_MS)
        self.log = MemoryLog(self.clock, _LateMarkers())
        for spec in (GATE, BUDGETS):
            create_topics(self.log, spec, load.partitions)
        self._sessions = [SessionMaker(f"s-{number}") for number in range(load.sessions)]
        self._lay_ground()
        self._amounts: dict[str, tuple[int, int]] = {}
        self._busy_until_ms: dict[str, int] = {}
        self._commits: deque[tuple[int, int]] = deque()
        self._workers = {
            f"{kind}-{number}": self._worker(kind, number) for kind in ("gate", "owner") for number in range(load.gates)
        }
        for worker in self._workers.values():
            worker.start()

    def run(self) -> Spending:
        """Propose the intents at their rate, and let the workers work until each has its verdict.

        Raises:
            InvariantError: an intent has no verdict in time.
        """
        self._go_on_until(START_MS + SETTLE_MS)
        began_ms, load = self.clock.now_ms(), self._load
        for number in range(load.intents):
            self._go_on_until(began_ms + number * 1_000 // load.intents_per_s)
            self._propose()
        for _ in range(END_MS_MAX // 1_000):
            self._go_on_until(self.clock.now_ms() + 1_000)
            verdicts = self._final_verdicts()
            if len(verdicts) == load.intents:
                return self._spending(verdicts)
        raise InvariantError(f"{load.intents - len(self._final_verdicts())} intents have no verdict")

    def _lay_ground(self) -> None:
        files = {"bundle.yaml": _BUNDLE, "spending/a.rules.yaml": _RULES.format(limit=self._load.limit)}
        self._append(CATALOG.name, 0, entry_key(PAY), self._wire.encode(CATALOG.name, PAY))
        self._append(RULESET.name, 0, b"default", self._wire.encode(RULESET.name, ruleset(files)))
        for maker in self._sessions:
            event = maker.established(START_MS, expires_ms=START_MS * 2)
            self._append(SESSION.name, self._partition(maker.key), maker.key, self._wire.encode(SESSION.name, event))

    def _propose(self) -> None:
        rng, now_ms = self._rng, self.clock.now_ms()
        maker = self._sessions[0] if rng.random() < self._load.favourite_share else rng.choice(self._sessions)
        amount = rng.choice(self._load.amounts)
        intent = maker.intent(PAY, {"amount": amount}, now_ms)
        self._amounts[intent.intent_id] = (amount, now_ms)
        self._append(INTENT.name, self._partition(maker.key), maker.key, self._wire.encode(INTENT.name, intent))

    def _go_on_until(self, time_ms: int) -> None:
        while self.clock.now_ms() < time_ms:
            self.clock.advance(min(TICK_MS, time_ms - self.clock.now_ms()))
            self._tick()

    def _tick(self) -> None:
        now_ms = self.clock.now_ms()
        while self._commits and self._commits[0][0] <= now_ms:
            self.log.write_markers(self._commits.popleft()[1])
        for name, worker in self._workers.items():
            if self._busy_until_ms.get(name, 0) > now_ms:
                continue
            before = self.log.markers_due
            worker.step()
            if markers := self.log.markers_due - before:
                self._busy_until_ms[name] = now_ms + self._load.commit_ms
                self._commits.append((now_ms + self._load.commit_ms, markers))

    def _worker(self, kind: str, number: int) -> Worker:
        is_gate = kind == "gate"
        control = ControlState(Publications("default", UNSIGNED, InlineCompiler(compile_bundle)), Catalog(ANYBODY))
        gate = Gate(self._settings, self._wire, control)
        return build_worker(
            self.log,
            spec=GATE if is_gate else BUDGETS,
            processor=gate if is_gate else BudgetAllocator(self._wire),
            wire=self._wire,
            stores=Disk(),
            clock=self.clock,
            settings=ENGINE,
            instance=f"{kind}-{number}",
        )

    def _final_verdicts(self) -> Sequence[tuple[Received, Verdict]]:
        found = []
        for _, received in self.log.written_since((VERDICT.name,), -1):
            verdict = self._wire.decode(VERDICT.name, received.value or b"", received.headers)
            if isinstance(verdict, Verdict) and verdict.outcome in FINAL_OUTCOMES:
                found.append((received, verdict))
        return found

    def _spending(self, verdicts: Sequence[tuple[Received, Verdict]]) -> Spending:
        spent = 0
        waits_ms: list[int] = []
        before_refusal: int | None = None
        reasons: Counter[str] = Counter()
        for received, verdict in verdicts:
            reasons[verdict.reason] += 1
            amount, proposed_ms = self._amounts[verdict.intent_id]
            if verdict.outcome is Outcome.ALLOW:
                spent += amount
                waits_ms.append(received.timestamp_ms - proposed_ms)
            elif before_refusal is None:
                before_refusal = spent
        waits_ms.sort()
        before_refusal = spent if before_refusal is None else before_refusal
        return Spending(before_refusal, spent, reasons, waits_ms[len(waits_ms) // 2], waits_ms[-1])

    def _append(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        self.log.append(Outgoing(topic, partition, key, value))

    def _partition(self, key: bytes) -> int:
        return partition_for(key, self._load.partitions)
